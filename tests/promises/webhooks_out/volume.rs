//! Many events in little memory. `VERDICTS_WEBHOOK_EVENTS=100000` runs it in full; it prints what it measured.

use std::time::Duration;
use std::time::Instant;

use super::*;
use crate::support::Program;
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
        let sql = format!(
            "insert into events (id, kind, at, data) with recursive n (i) as (select 1 union all select i + 1 from n where i < {count})
             select 'evt_' || i, 'breaker.opened', 1795510000000 + i, '{{\"relay\":\"main\"}}' from n"
        );
        let began = Instant::now();
        run_raw_sql(&test_app.test_db, Box::leak(sql.into_boxed_str())).await;
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
}
