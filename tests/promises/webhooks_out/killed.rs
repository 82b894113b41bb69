//! A process that is killed at any instant loses no event, and sends none under another id.

use std::collections::BTreeSet;

use super::*;
use crate::support::Program;
use crate::support::hook_sink::HookAnswer;
use crate::support::hook_sink::status;
use crate::support::until;

const EVENTS: usize = 30;

on_both! {
    async fn killed_between_sending_and_recording_it_sends_the_same_id_again(test_db) {
        let test_app = app_at(test_db).await;
        let sink = HookSink::start().await;
        add(&test_app, &typed(&sink, &["*"])).await;
        for number in 0..EVENTS {
            happen(&test_app, &number.to_string()).await;
        }
        let program = Program::set_up(&test_app.test_db).with("VERDICTS_WEBHOOKS_OUT__ALLOW_PRIVATE", "127.0.0.1");
        // Answered, and no answer at all: neither was written down when the process died.
        sink.answer(|number, _| if number % 7 == 3 { HookAnswer::Silence } else { status(200) });
        for round in 1..=3 {
            let mut running = program.start("serve", &["serve", "--role", "deliver"]);
            until("requests come", async || sink.received().len() >= round * 6).await;
            running.kill();
        }
        sink.answer(|_, _| status(200));
        let mut running = program.start("serve", &["serve", "--role", "deliver"]);
        let ids = || sink.received().iter().map(|hooked| hooked.id().to_owned()).collect::<BTreeSet<_>>();
        until("all have come", async || ids().len() >= EVENTS).await;
        running.terminate();
        let (all, _) = test_app.app.event_feed(None, &[], 1_000).await.expect("a page");
        let written: BTreeSet<String> = all.into_iter().map(|event| event.id).collect();
        assert_eq!(ids(), written, "each, and never under another id");
        let twice = sink.received().len() - EVENTS;
        assert!(twice <= 3 * 4, "{twice} came twice: at most what was under way at each kill");
    }
}
