#!/usr/bin/env bash
# Dovecot 2.3.19.1: one mail that the server may not open ends the whole IMAP session in the middle of a FETCH.
#
# RFC 3501 7.1 gives a server "NO" for a command that failed, and RFC 9051 a code for one mail that it cannot hand out. Dovecot writes the
# mails in front of the bad one, a FETCH for the bad one without the text that was asked for, and then "* BYE": no tagged answer, and
# nothing of the mails behind it. A client that fetches "all since the last time" and begins anew where it stopped meets the same mail
# at each visit, and never sees what lies behind. A client has to take a FETCH without the item asked for as "cannot be read", put that
# UID aside, and ask for the rest on a new connection, one mail a command.
#
# The mailbox is a Maildir of five mails whose third lost its right to be read (as a restored backup or a copy as root leaves it).
#
# Seen: Debian's dovecot-imapd 2.3.19.1 (deb12u7): texts of 1 and 2, "* 3 FETCH (UID 3)", "* BYE FETCH failed"; no answer to the FETCH
# nor to the NOOP behind it. Needs that package; two seconds. Fails if that changes.
set -euo pipefail
version=$(dovecot --version 2>/dev/null || true)
case $version in
    2.3.19.1*) echo "Dovecot $version" ;;
    *) echo "skipped: needs Dovecot 2.3.19.1, here is ${version:-none}"; exit 0 ;;
esac
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder"/{run,state,mail/{cur,new,tmp}}
for number in 1 2 3 4 5; do
    printf 'From: news@sender.example\r\nSubject: mail %s\r\n\r\nText %s\r\n' $number $number > "$folder/mail/cur/$number.mx.example:2,"
done
chmod 000 "$folder/mail/cur/3.mx.example:2,"
user=$(id -un) as_user=()
# A right to read is nothing to root.
if [ "$user" = root ]; then
    user=nobody
    as_user=(setpriv --reuid=nobody --regid="$(id -gn nobody)" --clear-groups)
    chown -R nobody "$folder"
fi
cat > "$folder/dovecot.conf" <<CONF
base_dir = $folder/run
state_dir = $folder/state
default_internal_user = $user
default_internal_group = $(id -gn "$user")
default_login_user = $user
mail_location = maildir:$folder/mail
first_valid_uid = 1
ssl = no
CONF
# Started by hand, Dovecot's imap speaks to its standard input as a session that has signed in.
seen=$(printf '%s\r\n' 'a1 SELECT INBOX' 'a2 UID FETCH 1:* (UID BODY.PEEK[TEXT])' 'a3 NOOP' 'a4 LOGOUT' |
    "${as_user[@]}" env USER="$user" HOME="$folder" /usr/lib/dovecot/imap -c "$folder/dovecot.conf" 2>/dev/null | tr -d '\r' || true)
seen=$(sed -n '/^a1 OK/,$p' <<<"$seen")
echo "$seen"
grep -q '^Text 2$' <<<"$seen"
grep -q '^\* 3 FETCH (UID 3)$' <<<"$seen"
grep -q '^\* BYE FETCH failed' <<<"$seen"
! grep -qE '^(a2|a3|a4) |^Text [45]$' <<<"$seen"
echo "as described: the session ended at the third of five mails"
