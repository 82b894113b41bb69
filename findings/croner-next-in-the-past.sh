#!/usr/bin/env bash
# croner 3.0.1: the next occurrence after a moment lies before it, in the hour that the clock runs through twice.
#
# `find_next_occurrence(start, false)` promises the first match after `start`. On the day that daylight saving ends, a local time such as
# 02:30 exists twice, and croner always answers with the first of the two. For the whole second hour that answer is over already: a
# loop "sleep until the next, run, ask again" does not sleep, and runs as often as the processor lets it; a list of coming
# runs begins with one that has been. Compare the answer with the moment that was asked for before acting on it.
#
# Seen: Europe/Berlin, 2026-10-25, 60 moments from 02:00 CET to 02:59 CET. "30 2 * * *" answers 30 times with 02:30 CEST of the hour
# before, "*/15 * * * *" 45 times; "0 * * * *" is always right. Needs cargo; ten seconds to a minute. Fails if that changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "next"
version = "0.0.0"
edition = "2021"
[dependencies]
chrono = { version = "=0.4.45", default-features = false, features = ["std"] }
chrono-tz = "=0.10.4"
croner = "=3.0.1"
TOML
cat > "$folder/src/main.rs" <<'RUST'
use chrono::{Duration, TimeZone, Utc};

fn main() {
    let second_hour = Utc.with_ymd_and_hms(2026, 10, 25, 1, 0, 0).single().expect("a moment");
    for pattern in ["30 2 * * *", "*/15 * * * *", "0 * * * *"] {
        let cron: croner::Cron = pattern.parse().expect("a pattern");
        let mut past = Vec::new();
        for minute in 0..60 {
            let now = (second_hour + Duration::minutes(minute)).with_timezone(&chrono_tz::Europe::Berlin);
            let next = cron.find_next_occurrence(&now, false).expect("a next occurrence");
            if next <= now {
                past.push(format!("after {now} comes {next}"));
            }
        }
        println!("{pattern}: {} of 60 in the past, {}", past.len(), past.first().map_or("none", |first| first));
    }
}
RUST
seen=$(cd "$folder" && cargo run --quiet)
echo "$seen"
[ "$seen" = '30 2 * * *: 30 of 60 in the past, after 2026-10-25 02:00:00 CET comes 2026-10-25 02:30:00 CEST
*/15 * * * *: 45 of 60 in the past, after 2026-10-25 02:00:00 CET comes 2026-10-25 02:15:00 CEST
0 * * * *: 0 of 60 in the past, none' ]
echo "as described: in the repeated hour the next occurrence is one that is over"
