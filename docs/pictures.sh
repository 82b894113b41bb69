#!/usr/bin/env bash
# Makes the pictures of the documentation anew: needs the built program and Debian's chromium.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
program=${1:-$root/target/release/verdicts}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export VERDICTS_DATABASE__URL="sqlite:$dir/verdicts.db"
"$program" catalog import "$root/content" --dates-to-now >/dev/null
"$program" digest preview --out "$dir" >/dev/null
chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update \
    --disable-sync --user-data-dir="$dir/chrome" --hide-scrollbars --window-size=640,1090 \
    --screenshot="$root/docs/images/digest.png" "file://$dir/digest.html" 2>/dev/null
echo "docs/images/digest.png"
