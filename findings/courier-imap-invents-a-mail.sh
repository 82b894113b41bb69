#!/usr/bin/env bash
# courier-imap 5.0.13 hands out a mail of its own in place of one that it cannot open, and says OK.
#
# IMAP has NO for a FETCH that could not give all that was asked for. Courier gives a complete mail from "System Administrator
# <root@localhost>", subject "message unavailable", with size and text, under the UID of the mail that is there and may not be read. Nothing
# in the protocol tells it from a mail of the mailbox. A program that reads reports and deletes what it has dealt with takes it for
# some mail that is no report, and deletes the real one, which a repaired permission would have shown. The invented mail has no Date, no
# Message-ID and no Received line: hold a mail to be real by one of these, and keep what has none.
#
# The mailbox is a Maildir of three mails whose second lost its right to be read (as a restored backup or a copy as root leaves it).
#
# Seen: Debian's courier-imap 5.0.13+1.0.16-3+b6: UID 2 is the invented mail, then "OK FETCH completed". Needs apt-get, dpkg and the Debian
# 12 archive; five seconds. Fails if that changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -q courier-imap=5.0.13+1.0.16-3+b6 courier-authlib libcourier-unicode4 libgamin0 libidn12 >/dev/null 2>&1 ||
    { echo "skipped: courier-imap 5.0.13 is not to be had"; exit 0; }
for package in *.deb; do dpkg -x "$package" package; done
mkdir -p Maildir/{cur,new,tmp}
for number in 1 2 3; do
    printf '%s\n' 'From: news@sender.example' "Subject: mail $number" '' "Text $number" > "Maildir/cur/100000000$number.mx.example:2,"
done
chmod 000 Maildir/cur/1000000002.mx.example:2,
as_user=()
# A right to read is nothing to root.
if [ "$(id -u)" = 0 ]; then
    as_user=(setpriv --reuid=nobody --regid="$(id -gn nobody)" --clear-groups)
    chown -R "nobody:$(id -gn nobody)" "$folder"
fi
libraries=$(find "$folder/package" -name '*.so.*' -printf '%h\n' | sort -u | paste -sd :)
# Started by hand with AUTHENTICATED, Courier's imapd speaks to its standard input as a session that has signed in.
coproc "${as_user[@]}" env -i HOME="$folder" LD_LIBRARY_PATH="$libraries" AUTHENTICATED=reader@reader.example \
    IMAP_CAPABILITY='IMAP4rev1 UIDPLUS' "$folder/package/usr/bin/imapd" Maildir 2>/dev/null
exec 3<&"${COPROC[0]}" 4>&"${COPROC[1]}"
until_line() {
    local line
    while read -r -t 20 line <&3; do
        line=${line%$'\r'}
        echo "$line"
        [[ $line != $1* ]] || return 0
    done
    return 1
}
seen=$(
    until_line '* PREAUTH' >/dev/null
    for command in 'a1 SELECT INBOX' 'a2 UID FETCH 1:* (UID BODY.PEEK[])'; do
        printf '%s\r\n' "$command" >&4
        until_line "${command%% *} "
    done
    printf 'a3 LOGOUT\r\n' >&4
)
seen=$(sed -n '/^a1 OK/,$p' <<<"$seen")
echo "$seen"
[ "$(grep -c '^Text [13]$' <<<"$seen")" = 2 ]
! grep -q '^Text 2$' <<<"$seen"
grep -q '^\* 2 FETCH (UID 2 BODY\[\] {' <<<"$seen"
grep -q '^Subject: message unavailable$' <<<"$seen"
! grep -qiE '^(Date|Message-ID|Received):' <<<"$seen"
grep -q '^a2 OK ' <<<"$seen"
echo "as described: a mail that nobody sent, and OK"
