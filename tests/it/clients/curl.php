<?php
// Sessions of PHP's curl extension that run at the same time and share libcurl's cache of TLS sessions:
// php curl.php PORT ROUNDS tls|clear DIRECTORY LOCAL [DIRECTORY LOCAL ...]
[, $port, $rounds, $how] = $argv;
$places = array_chunk(array_slice($argv, 4), 2);
$share = curl_share_init();
curl_share_setopt($share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
$handles = array_map(fn() => curl_init(), $places);
$multi = curl_multi_init();

// One transfer of each session, all at once.
function transfer(callable $set)
{
	global $handles, $places, $multi, $share, $port, $how;
	foreach ($handles as $i => $h) {
		curl_reset($h);
		curl_setopt_array($h, [CURLOPT_SHARE => $share, CURLOPT_USERPWD => 'alice:alice', CURLOPT_RETURNTRANSFER => true,
		    CURLOPT_USE_SSL => $how === 'tls' ? CURLUSESSL_ALL : CURLUSESSL_NONE, CURLOPT_SSL_VERIFYPEER => false,
		    CURLOPT_SSL_VERIFYHOST => 0]);
		[$path, $options] = $set($places[$i][1]);
		curl_setopt_array($h, $options + [CURLOPT_URL => "ftp://127.0.0.1:$port/{$places[$i][0]}/$path"]);
		curl_multi_add_handle($multi, $h);
	}
	do {
		curl_multi_exec($multi, $running);
		while ($done = curl_multi_info_read($multi))
			if ($done['result'] !== CURLE_OK) {
				fwrite(STDERR, curl_getinfo($done['handle'], CURLINFO_EFFECTIVE_URL) . ': ' . curl_strerror($done['result']) .
				    ' ' . curl_error($done['handle']) . "\n");
				exit(1);
			}
		if ($running)
			curl_multi_select($multi, 1);
	} while ($running);
	foreach ($handles as $h)
		curl_multi_remove_handle($multi, $h);
	return array_map('curl_multi_getcontent', $handles);
}

function upload($file)
{
	return [CURLOPT_UPLOAD => true, CURLOPT_INFILE => fopen($file, 'rb'), CURLOPT_INFILESIZE => filesize($file)];
}

for ($i = 0; $i < (int)$rounds; $i++) {
	transfer(fn($local) => ["up-$i", upload("$local/source")]);
	foreach (transfer(fn($local) => ["up-$i", []]) as $k => $content)
		file_put_contents("{$places[$k][1]}/got-$i", $content);
	transfer(fn($local) => ['log', upload("$local/piece") + [CURLOPT_APPEND => true]]);
	foreach (transfer(fn($local) => ['', [CURLOPT_DIRLISTONLY => true]]) as $listing)
		if (!str_contains($listing, "up-$i")) {
			fwrite(STDERR, "up-$i is not listed\n");
			exit(1);
		}
}
