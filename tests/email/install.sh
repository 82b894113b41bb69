#!/usr/bin/env bash
# Fetches the programs that look at the mails and pages into target/email, beside the build.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tools=$here/../../target/email
mkdir -p "$tools"
cp "$here"/package.json "$here"/package-lock.json "$tools"
# Once for each lock file.
if cmp -s "$here/package-lock.json" "$tools/node_modules/.fetched"; then
    exit
fi
# No script of a package runs. They come with a newer Node than Debian's, whose npm warns of that and works.
npm ci --prefix "$tools" --ignore-scripts --no-audit --no-fund --loglevel=error
cp "$here/package-lock.json" "$tools/node_modules/.fetched"
