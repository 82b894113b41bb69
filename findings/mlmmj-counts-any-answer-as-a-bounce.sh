#!/usr/bin/env bash
# mlmmj 1.3.0 counts whatever comes to a subscriber's return path as a bounce, an absence note too.
#
# Its list mails go out from `list+bounces-7-reader=reader.example@..`. RFC 3834 4 has an absence note go to the return path of the mail
# that it answers, and RFC 3461 has notices of delay and of success go there as well. mlmmj looks at the address only: the subscriber
# gets a line in `bounce/`, as for a mailbox that does not exist, and by its documents that is what `mlmmj-maintd` ends a subscription for
# when it lasts longer than `bouncelife` (5 days). So a return path is no proof of a failure, and whoever moves a list away from mlmmj
# should not take its bounce folder for a list of dead addresses.
#
# Seen: Debian's mlmmj 1.3.0-4: an absence note (Auto-Submitted: auto-replied) and a notice "Action: delayed" each make the same line as
# a real failure: "7:<time> # <date>". Needs apt-get, dpkg and the Debian 12 archive; five seconds. Fails if that changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -q mlmmj=1.3.0-4 >/dev/null 2>&1 || { echo "skipped: mlmmj 1.3.0-4 is not to be had"; exit 0; }
dpkg -x mlmmj_*.deb package
programs=$folder/package/usr/bin
"$programs/mlmmj-process" -V
list=$folder/news
mkdir -p "$list"/{incoming,queue/discarded,archive,text,subconf,unsubconf,bounce,control,moderation,requeue}
mkdir "$list"/{subscribers.d,digesters.d,nomailsubs.d}
echo news@list.example > "$list/control/listaddress"
echo owner@list.example > "$list/control/owner"
echo + > "$list/control/delimiter"
echo 0 > "$list/index"

# Hands the list a mail that came to the return path of the reader NAME, with the further header and text that are given.
answer() {
    local name=$1
    shift
    echo "$name@reader.example" >> "$list/subscribers.d/${name:0:1}"
    printf '%s\n' "To: news+bounces-7-$name=reader.example@list.example" "$@" |
        "$programs/mlmmj-receive" -L "$list" -F
    for _ in $(seq 50); do
        [ ! -s "$list/bounce/$name=reader.example" ] || break
        sleep 0.1
    done
    echo "$name: $(sed -E 's/:[0-9]+ # .*/:<time> # <date>/' "$list/bounce/$name=reader.example" 2>&1)"
}
report() {
    printf '%s\n' 'From: MAILER-DAEMON@mx.reader.example' "Subject: $3" 'MIME-Version: 1.0' \
        'Content-Type: multipart/report; report-type=delivery-status; boundary=b' '' '--b' 'Content-Type: message/delivery-status' '' \
        'Reporting-MTA: dns; mx.reader.example' '' "Final-Recipient: rfc822; $1@reader.example" "Action: $2" "Status: $4" '' '--b--'
}
seen=$(
    answer failed "$(report failed failed 'Undelivered' 5.1.1)"
    answer waiting "$(report waiting delayed 'Not yet delivered' 4.4.1)"
    answer away 'From: away@reader.example' 'Subject: Out of office' 'Auto-Submitted: auto-replied' '' 'I am back on Monday.'
)
echo "$seen"
[ "$seen" = 'failed: 7:<time> # <date>
waiting: 7:<time> # <date>
away: 7:<time> # <date>' ]
echo "as described: a delay and an absence are counted as the failure is"
