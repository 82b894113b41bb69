#!/usr/bin/env bash
# Haraka 3.3.4 offers PIPELINING and refuses every command that comes in the same packet as the final dot.
#
# RFC 2920 3.1 says that the transfer of a mail's text may be the first "command" of a group, with the MAIL of the next mail behind it.
# A client that does this with Haraka has its first mail taken and the next one refused with 503, a code that is permanent: a reader who
# gets it is written off for a fault of the order in which bytes went out. The same commands after the answer to the dot are taken, so
# it is not seen with one mail a connection. Groups in front of DATA are no problem. Wait for the answer to the dot, unless the server has
# shown that it bears more; and never count a 503 against a recipient.
#
# Seen: 250 for the first mail, then "503 Bad sequence of commands - pipelined after end of DATA" for MAIL, RCPT and RSET, and 250 for the
# same MAIL after that. Needs node, npm and python3; half a minute. Fails if that changes.
set -euo pipefail
folder=$(mktemp -d); daemon=
finish() {
    [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
cd "$folder"
echo '{"private": true}' > package.json
npm install --silent --no-audit --no-fund --omit=optional Haraka@3.3.4 >&2
mkdir -p server/config server/queue server/plugins
cp node_modules/Haraka/config/connection.ini server/config/
port=2599
printf 'listen=127.0.0.1:%s\nnodes=0\n' $port > server/config/smtp.ini
printf 'mx.reader.example\n' > server/config/me
printf 'level=emerg\n' > server/config/log.ini
printf 'take\n' > server/config/plugins
# Takes every recipient and every mail, and keeps none.
cat > server/plugins/take.js <<'JS'
exports.hook_rcpt = (next) => next(OK);
exports.hook_queue = (next) => next(OK);
JS
node node_modules/Haraka/bin/haraka -c "$folder/server" >"$folder/log" 2>&1 &
daemon=$!
for _ in $(seq 300); do
    ! (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null || break
    sleep 0.1
done
seen=$(python3 - $port <<'PY'
import socket
import sys

client = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 30)
replies = client.makefile('rb')

def reply():
    while (line := replies.readline().decode().rstrip())[3:4] == '-':
        if line.endswith('PIPELINING'):
            print('offered: PIPELINING')
    return line

def send(text, count):
    client.sendall(text.replace('\n', '\r\n').encode())
    return [reply() for _ in range(count)]

reply()
send('EHLO client.example\n', 1)
envelope = 'MAIL FROM:<news@sender.example>\nRCPT TO:<%s@reader.example>\n'
print('in front of the text:', [line[:3] for line in send(envelope % 'one' + 'DATA\n', 3)])
dot, *behind = send('Subject: one\n\nHello\n.\n' + envelope % 'two' + 'RSET\n', 4)
print('the dot:', dot[:3])
for line in behind:
    print('behind the dot:', line)
print('once more:', [line[:3] for line in send(envelope % 'two', 2)])
PY
)
echo "$seen"
refused='behind the dot: 503 Bad sequence of commands - pipelined after end of DATA'
[ "$seen" = "offered: PIPELINING
in front of the text: ['250', '250', '354']
the dot: 250
$refused
$refused
$refused
once more: ['250', '250']" ]
echo "as described: what follows the dot in its packet is refused"
