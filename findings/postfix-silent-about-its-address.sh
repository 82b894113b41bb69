#!/usr/bin/env bash
# Postfix 3.7.11 that was told to listen at an address of no interface does not start, and says why neither to its caller nor in its log.
#
# `inet_interfaces` may name addresses. Where one of them is on no interface (a container that got another address, an address that
# comes up later than the mail server), each command of Postfix ends at once: `postfix start` exits 1 without a word on standard error,
# because words go there only if it is a terminal, and the file of `maillog_file` is not even made. Where no syslog daemon runs, as in a
# container, nothing is left of the reason. `postfix status` cannot be asked either, it fails in the same way; and the other
# addresses, which are there, are not served. At a terminal the same command names parameter and address.
#
# Seen: exit 1, no output, no log file; at a terminal "fatal: parameter inet_interfaces: no local interface found for 192.0.2.77". Needs
# Debian's postfix 3.7.11, root, `script`, and no syslog daemon to be as silent as said; ten seconds. Fails if that changes.
set -euo pipefail
version=$(postconf -d -h mail_version 2>/dev/null || true)
[ "$version" = 3.7.11 ] && [ "$(id -u)" = 0 ] || { echo "skipped: needs Postfix 3.7.11 and root, here is ${version:-none}"; exit 0; }
folder=$(mktemp -d); log=/var/log/${folder##*/}.log
trap 'rm -rf "$folder" "$log"' EXIT
mkdir "$folder"/{conf,queue,data}
chmod 755 "$folder"
chown postfix "$folder/data"
cat > "$folder/conf/master.cf" <<'CONF'
2597 inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
CONF
listen_at() {
    cat > "$folder/conf/main.cf" <<CONF
compatibility_level = 3.6
queue_directory = $folder/queue
data_directory = $folder/data
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.sender.example
inet_interfaces = $1
inet_protocols = ipv4
maillog_file = $log
CONF
}
try() {
    local said code=0
    listen_at "$1"
    said=$(postfix -c "$folder/conf" start 2>&1 </dev/null) || code=$?
    echo "$1: exit $code, said '$said', log $([ -e "$log" ] && echo there || echo none)"
}
seen=$(
    try 127.0.0.1
    postfix -c "$folder/conf" stop
    rm -f "$log"
    try '127.0.0.1, 192.0.2.77'
    echo "at a terminal: $(script -qec "postfix -c $folder/conf start" /dev/null </dev/null | tr -d '\r')"
)
echo "Postfix $version"
echo "$seen"
grep -q "^127.0.0.1: exit 0, said '', log there$" <<<"$seen"
grep -q "^127.0.0.1, 192.0.2.77: exit 1, said '', log none$" <<<"$seen"
grep -q '^at a terminal: .*inet_interfaces.*192\.0\.2\.77' <<<"$seen"
echo "as described: it fails without a word"
