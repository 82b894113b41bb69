#!/usr/bin/env bash
# qpsmtpd 0.94 refuses a second EHLO, which is how a client may start anew.
#
# RFC 5321 4.1.4: "An EHLO command MAY be issued by a client later in the session", and has the effect of RSET. Clients use it where
# one layer has made the connection and said EHLO, and another wants the list of extensions for itself (lettre keeps its list to itself,
# so a caller who wants to know about PIPELINING asks again). qpsmtpd answers 503 and shows no extension, and a client that takes a
# refused EHLO for the end of the session delivers nothing. The session itself goes on: MAIL is taken after the 503. OpenSMTPD 6.8.0p2
# does the same (seen, not run here). Say EHLO once for each state of TLS.
#
# Seen: Debian's qpsmtpd 0.94-5: "250-...", then "503 but you already said HELO ...", then 250 to MAIL. Needs apt-get, dpkg, perl and the
# Debian 12 archive; ten seconds. Fails if that changes.
set -euo pipefail
folder=$(mktemp -d); daemon=
finish() {
    [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
cd "$folder"
apt-get download -q qpsmtpd=0.94-5 libnet-dns-perl libmailtools-perl libtimedate-perl >/dev/null 2>&1 ||
    { echo "skipped: qpsmtpd 0.94-5 is not to be had"; exit 0; }
for package in *.deb; do dpkg -x "$package" package; done
mkdir config plugins spool
: > config/plugins
echo 1 > config/loglevel
echo "$folder/spool" > config/spool_dir
echo "$folder/plugins" > config/plugin_dirs
user=$(id -un)
# The server refuses to stay root.
if [ "$user" = root ]; then user=nobody; chown -R nobody "$folder"; fi
port=2598
QPSMTPD_CONFIG=$folder/config perl -T -I "$folder/package/usr/share/perl5" package/usr/bin/qpsmtpd-forkserver \
    -l 127.0.0.1 -p $port -u "$user" >"$folder/log" 2>&1 &
daemon=$!
for _ in $(seq 100); do
    ! (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null || break
    sleep 0.1
done
exec 3<>/dev/tcp/127.0.0.1/$port
answer() {
    local line
    while read -r -t 20 line <&3; do
        line=${line%$'\r'}
        echo "$1: $line"
        [[ $line == ???-* ]] || break
    done
}
seen=$(
    answer connected
    for command in 'EHLO client.example' 'EHLO client.example' 'MAIL FROM:<news@sender.example>' QUIT; do
        printf '%s\r\n' "$command" >&3
        answer "$command"
    done
)
echo "$seen"
grep -q '^connected: 220 .* qpsmtpd 0\.94 ' <<<"$seen"
[ "$(grep -cE '^EHLO client.example: 250 ' <<<"$seen")" = 1 ]
[ "$(grep -cE '^EHLO client.example: 503 ' <<<"$seen")" = 1 ]
grep -q '^MAIL FROM:<news@sender.example>: 250 ' <<<"$seen"
echo "as described: the second EHLO is refused, the session goes on"
