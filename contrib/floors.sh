#!/bin/sh
# Fails when a folder includes a higher floor or a sibling (see HACKING.md).
# usage: contrib/floors.sh [SOURCE-DIRECTORY]
cd "${1:-$(dirname "$0")/..}" || exit 2
status=0
# folder  what it may include, as prefixes
while read -r folder allowed; do
	bad=$(find "$folder" -name '*.[ch]' -o -name '*.def' | xargs grep -nE '^#[[:space:]]*include[[:space:]]+"' /dev/null |
		grep -vE "include[[:space:]]+\"(config\.h|${folder}/|${allowed})")
	[ -z "$bad" ] && continue
	printf '%s may not include:\n%s\n' "$folder" "$bad"
	status=1
done <<'EOF'
common common/
authz common/
privsep common/
account common/
daemon/listener common/|authz/|privsep/|account/
daemon/monitor common/|authz/|privsep/|account/
daemon/worker common/|authz/|privsep/|account/
daemon/agent common/|authz/|privsep/|account/
daemon/keeper common/|authz/|privsep/|account/
ctl common/|authz/|privsep/|account/
EOF
exit $status
