#!/usr/bin/perl
# Sessions of Net::FTP in one program, at which it works by turns. "shared": they have one cache of TLS sessions.
# netftp.pl PORT ROUNDS tls|clear shared|own DIRECTORY LOCAL [DIRECTORY LOCAL ...]
use strict;
use warnings;
use Net::FTP;

my ($port, $rounds, $how, $cache, @places) = @ARGV;
my @sessions;
my %shared;

if ($how eq 'tls' && $cache eq 'shared') {
	require IO::Socket::SSL;
	%shared = (SSL_session_cache => IO::Socket::SSL::Session_Cache->new(50));
}
while (my ($directory, $local) = splice(@places, 0, 2)) {
	my $f = Net::FTP->new('127.0.0.1', Port => $port, Timeout => 120, Passive => 1, SSL_verify_mode => 0, %shared)
	    or die "connect: $@\n";
	!$how || $how ne 'tls' || $f->starttls or die 'starttls: ', $f->message;
	$f->login('alice', 'alice') or die 'login: ', $f->message;
	$how ne 'tls' || $f->prot('P') or die 'prot: ', $f->message;
	$f->binary;
	$f->cwd($directory) or die 'cwd: ', $f->message;
	push @sessions, [$f, $local];
}
for my $i (0 .. $rounds - 1) {
	$_->[0]->put("$_->[1]/source", "up-$i") or die "put $i: ", $_->[0]->message for @sessions;
	$_->[0]->get("up-$i", "$_->[1]/got-$i") or die "get $i: ", $_->[0]->message for @sessions;
	$_->[0]->append("$_->[1]/piece", 'log') or die "append $i: ", $_->[0]->message for @sessions;
	for (@sessions) {
		my @names = $_->[0]->ls;
		grep { $_ eq "up-$i" } @names or die "up-$i is not listed: ", $_->[0]->message;
		$_->[0]->dir or die "dir $i: ", $_->[0]->message;
	}
}
$_->[0]->quit for @sessions;
