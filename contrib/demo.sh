#!/bin/sh
# Serves a small demo tree from a build directory: contrib/demo.sh BUILD [PORT]
# This is what ./bootstrap run ends with. Nothing outside BUILD is changed.
set -eu
build=$(cd "$1" && pwd)
port=${2:-2121}
tree=$build/demo

if [ ! -d "$tree" ]; then
	mkdir -p "$tree/incoming" "$tree/pub/docs"
	cp "$(dirname "$0")/../README.md" "$(dirname "$0")/../DESIGN.md" "$tree/pub/docs/"
	printf 'Welcome to sallyport. Look into pub/, leave something in incoming/.\n' >"$tree/README"
	head -c 1048576 /dev/urandom >"$tree/pub/1MiB.bin"
	# Sessions of a server started by root run as nobody.
	[ "$(id -u)" != 0 ] || chown 65534:65534 "$tree/incoming"
fi

# A certificate of its own, so that FTPS can be tried too; clients must be told to accept it.
if [ ! -f "$build/demo.crt" ]; then
	(umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$build/demo.key" -out "$build/demo.crt" 2>/dev/null)
fi
printf 'The user is demo, the password demo, the certificate %s. Another port: ./bootstrap run PORT\n' "$build/demo.crt"
exec "$build/sallyportd" --libexec "$build" serve "$tree" --address 127.0.0.1 --port "$port" --user demo:demo \
	--certificate "$build/demo.crt" --private-key "$build/demo.key"
