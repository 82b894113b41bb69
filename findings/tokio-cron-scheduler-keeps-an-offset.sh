#!/usr/bin/env bash
# tokio-cron-scheduler 0.15.1: a job in a time zone keeps the offset of the day on which it was made.
#
# `Job::new_async_tz(pattern, Europe::Berlin, ..)` works the first run out in that zone. What the scheduler keeps is a number of seconds
# from UTC, and each later run is worked out with it: "every Monday at 9" comes at 8 from the end of October to the end of March, or at
# 10 the other way round, until the program is started again. `next_tick_for_job` tells the same wrong time, so nothing contradicts it.
#
# No clock is changed here: the job is due in some seconds of today and in the month of the other season (January or July). Before its
# run the next one is now; after it, the next is months ahead, and is compared with what chrono-tz says.
#
# Seen: made on 30 November for 05:56:55, Berlin time, of today and of 30 July, it ran on the second, and then said 2027-07-30 06:56:55
# CEST. Run in summer it must be an hour early instead. Needs cargo; half a minute. Fails if that changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "offset"
version = "0.0.0"
edition = "2021"
[dependencies]
chrono = { version = "=0.4.45", default-features = false, features = ["std", "clock"] }
chrono-tz = "=0.10.4"
tokio = { version = "=1.54.1", features = ["rt-multi-thread", "macros", "time"] }
tokio-cron-scheduler = "=0.15.1"
TOML
cat > "$folder/src/main.rs" <<'RUST'
use chrono::{Datelike, Duration, Offset, Timelike, Utc};
use chrono_tz::Europe::Berlin;
use tokio_cron_scheduler::{Job, JobScheduler};

#[tokio::main]
async fn main() {
    let due = Utc::now().with_timezone(&Berlin) + Duration::seconds(3);
    let is_summer = due.offset().fix().local_minus_utc() == 7200;
    let other_month = if is_summer { 1 } else { 7 };
    let pattern = format!("{} {} {} {} {},{other_month} *", due.second(), due.minute(), due.hour(), due.day(), due.month());

    let (runs, mut ran) = tokio::sync::mpsc::unbounded_channel();
    let job = Job::new_async_tz(pattern.as_str(), Berlin, move |_, _| {
        let runs = runs.clone();
        Box::pin(async move { runs.send(()).expect("someone waits") })
    });
    let mut scheduler = JobScheduler::new().await.expect("a scheduler");
    let id = scheduler.add(job.expect("a job")).await.expect("added");
    scheduler.start().await.expect("started");
    ran.recv().await.expect("the first run");

    let mut next = scheduler.next_tick_for_job(id).await.expect("known").expect("a next run");
    while next - Utc::now() < Duration::days(1) {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        next = scheduler.next_tick_for_job(id).await.expect("known").expect("a next run");
    }
    let said = next.with_timezone(&Berlin);
    let later = (said.time() - due.with_nanosecond(0).expect("a moment").time()).num_minutes();
    let wrong = (later + 720).rem_euclid(1440) - 720;
    println!("made in {}: {pattern}", if is_summer { "summer" } else { "winter" });
    println!("ran on the second; next said to be {said}, {wrong} minutes off");
}
RUST
seen=$(cd "$folder" && cargo run --quiet)
echo "$seen"
case $seen in
    "made in winter"*) grep -q ', 60 minutes off$' <<<"$seen" ;;
    "made in summer"*) grep -q ', -60 minutes off$' <<<"$seen" ;;
    *) false ;;
esac
echo "as described: the next run keeps the offset of the day on which the job was made"
