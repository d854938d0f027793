<?php
// One session of PHP's ftp extension: php ftp.php PORT DIRECTORY LOCAL ROUNDS tls|clear
[, $port, $directory, $local, $rounds, $how] = $argv;

function must($result, $what)
{
	if ($result === false) {
		fwrite(STDERR, "$what: " . (error_get_last()['message'] ?? 'failed') . "\n");
		exit(1);
	}
	return $result;
}

$c = must($how === 'tls' ? ftp_ssl_connect('127.0.0.1', (int)$port) : ftp_connect('127.0.0.1', (int)$port), 'connect');
must(ftp_login($c, 'alice', 'alice'), 'login');
must(ftp_pasv($c, true), 'pasv');
must(ftp_chdir($c, $directory), 'chdir');
for ($i = 0; $i < (int)$rounds; $i++) {
	must(ftp_put($c, "up-$i", "$local/source", FTP_BINARY), "put $i");
	must(ftp_get($c, "$local/got-$i", "up-$i", FTP_BINARY), "get $i");
	must(ftp_append($c, 'log', "$local/piece", FTP_BINARY), "append $i");
	must(in_array("up-$i", must(ftp_nlist($c, '.'), "nlist $i")), "up-$i in nlist");
	must(ftp_mlsd($c, '.'), "mlsd $i");
}
ftp_close($c);
