#!/usr/bin/env bash
# Starts one PostgreSQL cluster for all processes of a run of cargo-nextest (.config/nextest.toml) and passes its URL on. It ends with
# the program that called this. Where PostgreSQL is not installed, it does nothing: the tests say so.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${PG_BIN:-$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -1 || true)}
if [ ! -x "$bin/initdb" ]; then
    exit 0
fi
place=${TMPDIR:-/dev/shm}
[ -w "$place" ] || place=/tmp
as=()
if [ "$(id -u)" = 0 ]; then
    owner=postgres
    id postgres >/dev/null 2>&1 || owner=nobody
    as=(setpriv --reuid="$(id -u "$owner")" --regid="$(id -g "$owner")" --clear-groups)
fi
cd /
home=$("${as[@]}" mktemp -d "$place/verdicts-postgres-XXXXXX")
export HOME=$home LC_ALL=C TZ=UTC
"${as[@]}" "$bin/initdb" --auth=trust --encoding=UTF8 --locale=C --no-sync -U postgres -D "$home/data" >/dev/null
{
    cat "$here/settings.conf"
    echo "unix_socket_directories = '$home'"
} | "${as[@]}" tee -a "$home/data/postgresql.conf" >/dev/null
port=
for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 12000))
    "${as[@]}" "$bin/pg_ctl" start -s -w -t 60 -o "-p $port" -D "$home/data" -l "$home/server.log" && break
    port=
done
[ -n "$port" ]
# Without this script's outputs, for whose end the caller waits.
setsid "${as[@]}" bash -c 'tail --pid="$1" -f /dev/null; "$2/pg_ctl" stop -s -m immediate -D "$3/data"; rm -rf "$3"' sh "$PPID" "$bin" "$home" \
    </dev/null >/dev/null 2>&1 &
echo "TEST_POSTGRES_URL=postgres://postgres@127.0.0.1:$port" >>"$NEXTEST_ENV"
