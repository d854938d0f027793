#!/bin/sh
# Fails when a folder includes a higher floor or a sibling, or two files of a program each other (see HACKING.md).
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
daemon/verifier common/|authz/|privsep/|account/
ctl common/|authz/|privsep/|account/
EOF
# Files of one program that include each other's headers: each of them is in the other's hands. Those there are may only
# become fewer.
known="keeper/certificate=keeper/keyring listener/control=listener/server listener/doors=listener/server \
listener/keeper=listener/pool listener/keeper=listener/server listener/keeper=listener/templates \
listener/names=listener/server listener/pool=listener/pool_inside listener/pool=listener/server \
listener/pool=listener/templates listener/reload=listener/server listener/selftest=listener/server \
listener/server=listener/templates worker/ask=worker/session worker/data=worker/session \
worker/feat=worker/verbs worker/handlers=worker/verbs worker/move=worker/transfer worker/pulse=worker/session \
worker/reply=worker/session worker/session=worker/transfer worker/session=worker/verb_tls \
worker/tls_link=worker/tls_stream worker/tls_profile=worker/tls_stream"
circles=$(find daemon ctl -name '*.[ch]' | xargs grep -HE '^#[[:space:]]*include[[:space:]]+"(daemon|ctl)/.*\.h"' |
	sed -E 's|^([^:]*)\.[ch]:.*"([^"]*)\.h".*|\1 \2|; s|daemon/||g' |
	awk '$1 != $2 { has[$1, $2] = 1; from[NR] = $1; to[NR] = $2 }
	    END { for (i in from) if (from[i] < to[i] && has[to[i], from[i]]) print from[i] "=" to[i] }' | sort -u)
for pair in $circles; do
	case " $known " in
	*" $pair "*) continue ;;
	esac
	printf '%s and %s include each other\n' "${pair%=*}" "${pair#*=}"
	status=1
done
exit $status
