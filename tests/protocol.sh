#!/bin/sh
# PROTOCOL.md is what the table of messages says.
top=${top_srcdir:-$(dirname "$0")/..}
if ./make-protocol | cmp -s - "$top/PROTOCOL.md"; then
	echo "1 passed, 0 failed"
	exit 0
fi
echo "PROTOCOL.md is not what privsep/messages.def says: run make protocol"
echo "0 passed, 1 failed"
exit 1
