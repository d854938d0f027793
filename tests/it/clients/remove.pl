#!/usr/bin/perl
# Net::FTP removes a directory with all that is in it: remove.pl PORT tls|clear DIRECTORY
use strict;
use warnings;
use Net::FTP;

my ($port, $how, $directory) = @ARGV;
my $f = Net::FTP->new('127.0.0.1', Port => $port, Timeout => 120, Passive => 1, SSL_verify_mode => 0) or die "connect: $@\n";

$how ne 'tls' || $f->starttls or die 'starttls: ', $f->message;
$f->login('alice', 'alice') or die 'login: ', $f->message;
$how ne 'tls' || $f->prot('P') or die 'prot: ', $f->message;
$f->rmdir($directory, 1) or die 'rmdir: ', $f->message;
$f->quit;
