//! Many events in little memory. `VERDICTS_WEBHOOK_EVENTS=100000` runs it in full; it prints what it measured.

use std::time::Duration;
use std::time::Instant;

use super::*;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::hook_sink::status;
use crate::support::run_raw_sql;

/// Peak of the memory of a process, in KiB (proc_pid_status(5)).
fn peak_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a status");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .expect("a peak");
    line.split_whitespace()
        .nth(1)
        .expect("a number")
        .parse()
        .expect("a number")
}

/// Writes many events at once.
async fn insert_events(test_app: &TestApp, count: usize) {
    let sql = format!(
        "insert into events (id, kind, at, data) with recursive n (i) as (select 1 union all select i + 1 from n where i < {count})
         select 'evt_' || i, 'breaker.opened', 1795510000000 + i, '{{\"relay\":\"main\"}}' from n"
    );
    run_raw_sql(&test_app.test_db, Box::leak(sql.into_boxed_str())).await;
}

on_both! {
    async fn events_go_to_three_endpoints_in_memory_that_does_not_grow_with_them(test_db) {
        let count: usize = std::env::var("VERDICTS_WEBHOOK_EVENTS").map_or(600, |text| text.parse().expect("a number"));
        let test_app = app_at(test_db).await;
        let sinks = [HookSink::start().await, HookSink::start().await, HookSink::start().await];
        for sink in &sinks {
            add(&test_app, &typed(sink, &["*"])).await;
            sink.answer(|_, _| status(204));
        }
        let program = Program::set_up(&test_app.test_db).with("VERDICTS_WEBHOOKS_OUT__ALLOW_PRIVATE", "127.0.0.1");
        let mut running = program.start("serve", &["serve", "--role", "deliver"]);
        happen(&test_app, "first").await;
        let arrived = || sinks.iter().map(|sink| sink.received().len()).collect::<Vec<_>>();
        crate::support::until("the first", async || arrived().iter().all(|count| *count == 1)).await;
        let before = peak_kib(running.id);
        let began = Instant::now();
        insert_events(&test_app, count).await;
        while arrived().iter().any(|arrived| *arrived <= count) {
            assert!(began.elapsed() < Duration::from_secs(3_600), "{:?}", arrived());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (took, after) = (began.elapsed().as_secs_f64(), peak_kib(running.id));
        running.terminate();
        let (grown, rate) = ((after - before) / 1_024, 3.0 * count as f64 / took);
        println!("{count} events to three endpoints: {rate:.0} requests/s, peak {} MB, {grown} MB over the first event", after / 1_024);
        assert!(grown < 64, "{grown} MB");
        assert_eq!(arrived(), [count + 1; 3], "each once");
    }

    async fn mail_keeps_its_pace_while_webhooks_go_out(test_db) {
        let smtp = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::stocked(test_db, &smtp, |settings| {
            private(settings);
            settings.mail.rate_per_second = 40;
        }).await;
        test_app.seed_subscribers("reader", 120).await;
        let sinks = [HookSink::start().await, HookSink::start().await, HookSink::start().await];
        for sink in &sinks {
            add(&test_app, &typed(sink, &["breaker.*"])).await;
        }
        let alone = paced(&test_app).await;
        insert_events(&test_app, 20_000).await;
        let stop = test_app.stop.child_token();
        let (app, token) = (test_app.app.clone(), stop.clone());
        let sending = tokio::spawn(async move { app.send_webhooks_until(&token).await });
        crate::support::until("webhooks go out", async || sinks.iter().all(|sink| !sink.received().is_empty())).await;
        test_app.wait(chrono::TimeDelta::days(7));
        test_app.seed_catalogue(&crate::support::catalogue::comparison("next", "Data", test_app.app.now() - chrono::TimeDelta::hours(1))).await;
        let beside = paced(&test_app).await;
        stop.cancel();
        sending.await.expect("ended in order");
        let requests: usize = sinks.iter().map(|sink| sink.received().len()).sum();
        println!("120 mails at 40 a second: {:.2} s alone, {:.2} s beside {requests} webhooks", alone.as_secs_f64(), beside.as_secs_f64());
        assert!(requests < 60_000, "webhooks went out all the while");
        // It is the limit that sets the pace, so that a busy machine shows little in it.
        assert!(beside < alone * 2, "{alone:?}, {beside:?}");
    }
}

/// How long the week's digest takes.
async fn paced(test_app: &TestApp) -> Duration {
    let began = Instant::now();
    test_app.send_digest().await;
    began.elapsed()
}
