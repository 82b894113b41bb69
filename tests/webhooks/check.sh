#!/usr/bin/env bash
# Other people's libraries verify what arrives: PyPI's standardwebhooks, and npm's where npm is. Ends within a minute.
# Usage: tests/webhooks/check.sh PATH-OF-THE-PROGRAM
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "${1:-$here/../../target/debug/verdicts}")
tools=$here/../../target/webhooks
mkdir -p "$tools"
# Once for each list of packages; the hashes are in it.
if ! cmp -s "$here/requirements.txt" "$tools/requirements.txt"; then
    rm -rf "$tools/python"
    python3 -m venv "$tools/python"
    "$tools/python/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$tools/requirements.txt"
fi
dir=$(mktemp -d /tmp/verdicts-webhooks.XXXXXX)
trap 'rm -rf "$dir"' EXIT
timeout 60 "$tools/python/bin/python" "$here/check.py" "$program" "$dir" "$here/../../docs/webhooks.md"
