//! The brake: many hard refusals alike in one send end nobody before a person or the next send confirms them; few end by themselves.

use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use verdicts::config::Settings;
use verdicts::domain::actor::Actor;
use verdicts::domain::brake::Decision;
use verdicts::domain::brake::HeldBy;
use verdicts::domain::digest::DigestState;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::storage::inbound::InboundResult;

use crate::inbound::a_week_later;
use crate::inbound::report;
use crate::inbound::return_path;
use crate::inbound::take;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::smtp_sink::Stage;
use crate::support::until;
use crate::webhooks::world::SIGNED;
use crate::webhooks::world::tell_signed;

const GONE: &str = "550 5.1.1 user unknown";

async fn app_to(test_db: TestDb, sink: &SmtpSink) -> TestApp {
    let url = sink.url();
    let test_app =
        TestApp::open_with(test_db, |settings| settings.mail.transport = url.into()).await;
    test_app.stock_small().await;
    test_app
}

/// A service that keeps its mails in a folder, with `count` readers at `big.example` who have this week's digest.
async fn app_with_mailbox(
    test_db: TestDb,
    count: usize,
    adapt: impl FnOnce(&mut Settings),
) -> TestApp {
    let test_app = TestApp::open_with(test_db, |settings| {
        settings.mail.return_path = Some("bounces+{verp}@verdicts.example".into());
        settings.webhooks_in.set_keys(
            verdicts::domain::webhook::Provider::Signed,
            vec![SIGNED.into()],
        );
        adapt(settings);
    })
    .await;
    test_app.stock_small().await;
    enlist_at(&test_app, "r", "big.example", count).await;
    test_app.send_digest().await;
    test_app
}

/// `name0@domain`, `name1@domain`, ...
async fn enlist_at(test_app: &TestApp, name: &str, domain: &str, count: usize) {
    let rows: String = (0..count)
        .map(|n| format!("{name}{n}@{domain}\n"))
        .collect();
    test_app.enlist_all(&format!("email\n{rows}")).await;
}

async fn bounced(test_app: &TestApp) -> u64 {
    let counts = test_app
        .app
        .storage
        .count_subscribers()
        .await
        .expect("counts");
    counts
        .into_iter()
        .find(|(state, _)| *state == SubscriberState::Bounced)
        .map_or(0, |(_, count)| count)
}

async fn held(test_app: &TestApp) -> Vec<(HeldBy, String, u64)> {
    let held = test_app.app.held_refusals(None).await.expect("a list");
    held.into_iter()
        .map(|held| (held.kind, held.name, held.readers))
        .collect()
}

async fn tick_later(test_app: &TestApp, time: TimeDelta) {
    test_app.wait(time);
    test_app.app.tick().await.expect("a tick");
}

on_both! {
    async fn a_thousand_readers_of_one_host_are_held_and_twenty_of_twenty_hosts_end(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("*", GONE).only_counts()).await;
        let test_app = app_to(test_db, &sink).await;
        enlist_at(&test_app, "r", "big.example", 1_000).await;
        let rows: String = (0..20).map(|n| format!("one@host{n}.example\n")).collect();
        test_app.enlist_all(&format!("email\n{rows}")).await;
        test_app.send_digest().await;
        assert_eq!(bounced(&test_app).await, 20, "those of the twenty hosts, without a person, once the send is over");
        assert_eq!(held(&test_app).await, [(HeldBy::Domain, "big.example".into(), 1_000)]);
        let status = test_app.app.status(test_app.slot()).await.expect("a status");
        let [only] = status.held.as_slice() else { panic!("{:?}", status.held) };
        assert_eq!((only.refused, only.mails, only.words.as_str()), (1_000, 1_000, "user unknown"));
        let doctor = test_app.app.examine().await;
        assert!(doctor.iter().any(|finding| finding.what == "bounces" && finding.words.contains("big.example")), "{doctor:?}");
        // One recorder serves all tests of this process: another service may have been asked in between.
        until("the metric", async || test_app.page("/metrics").await.contains("verdicts_bounces_held 1000")).await;
        let figures = test_app.page("/metrics").await;
        assert!(["hard", "recipient", "passing"].iter().all(|class| figures.contains(&format!("verdicts_refusals_total{{class=\"{class}\"}}"))));
        tick_later(&test_app, TimeDelta::days(1)).await;
        assert_eq!(bounced(&test_app).await, 20, "time alone ends nobody");
    }

    async fn three_hundred_domains_that_refuse_alike_by_one_relay_are_held(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("one", GONE)).await;
        let test_app = app_to(test_db, &sink).await;
        let rows: String = (0..300).map(|n| format!("one@host{n}.example\n")).collect();
        test_app.enlist_all(&format!("email\n{rows}fine@host7.example\n")).await;
        test_app.send_digest().await;
        assert_eq!((bounced(&test_app).await, held(&test_app).await), (0, vec![(HeldBy::Relay, "default".into(), 300)]));
        let decided = test_app.app.decide_on(&Actor::cli(), "default", Decision::Dismissed, |_, _| {}).await.expect("dismissed");
        assert_eq!((decided.readers, held(&test_app).await), (300, vec![]));
        assert_eq!(bounced(&test_app).await, 0);
    }

    async fn the_dead_mailboxes_of_a_large_provider_end_without_a_person(test_db) {
        let dead = (0..12).fold(Script::accept_all().only_counts(), |script, n| script.reply_to(&format!("dead{n}"), GONE));
        let sink = SmtpSink::start(dead).await;
        let test_app = app_to(test_db, &sink).await;
        enlist_at(&test_app, "r", "webmail.example", 588).await;
        enlist_at(&test_app, "dead", "webmail.example", 12).await;
        test_app.send_digest().await;
        assert_eq!((bounced(&test_app).await, held(&test_app).await), (12, vec![]));
    }

    async fn a_send_is_judged_once_each_of_its_mails_was_tried(test_db) {
        let refused_or_put_off = Script::accept_all().reply_to("*", GONE).reply_to("later", "451 4.3.0 try later");
        let sink = SmtpSink::start(refused_or_put_off).await;
        let test_app = app_to(test_db, &sink).await;
        enlist_at(&test_app, "r", "big.example", 12).await;
        test_app.enlist_all("email\nlater@other.example\nalone@small.example\n").await;
        test_app.send_digest().await;
        assert_eq!(held(&test_app).await, [(HeldBy::Domain, "big.example".into(), 12)]);
        assert_eq!(test_app.state_of("alone@small.example").await, Some(SubscriberState::Bounced));
        assert_eq!(bounced(&test_app).await, 1);
    }

    async fn the_first_readers_of_a_bad_hour_are_not_ended_before_it_is_judged(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("*", GONE)).await;
        let url = sink.url();
        let test_app = TestApp::open_with(test_db, |settings| {
            settings.mail.transport = url.into();
            // The last mails are due a day later.
            settings.schedule.spread = Duration::from_secs(12 * 3_600);
        })
        .await;
        test_app.stock_small().await;
        enlist_at(&test_app, "r", "big.example", 240).await;
        test_app.set_clock("2026-11-24T09:00:30Z");
        test_app.app.tick().await.expect("picked and published");
        let refused = async || sink.commands().iter().filter(|line| line.starts_with("RCPT")).count();
        test_app.wait(TimeDelta::minutes(30));
        test_app.deliver_while("the first mails", async || refused().await >= 5).await;
        assert!(refused().await < 240 && bounced(&test_app).await == 0, "some are refused, and nobody knows yet how many will be");
        tick_later(&test_app, TimeDelta::minutes(61)).await;
        test_app.wait(TimeDelta::hours(13));
        let is_sent = async || test_app.app.status(test_app.slot()).await.expect("a status").digest.state == DigestState::Sent;
        test_app.deliver_while("all mails", is_sent).await;
        tick_later(&test_app, TimeDelta::minutes(61)).await;
        assert_eq!((bounced(&test_app).await, held(&test_app).await), (0, vec![(HeldBy::Domain, "big.example".into(), 240)]));
    }

    async fn the_same_answers_in_the_next_send_end_them(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("*", "550 5.1.1 user unknown")).await;
        let test_app = app_to(test_db, &sink).await;
        enlist_at(&test_app, "r", "big.example", 30).await;
        test_app.send_digest().await;
        assert_eq!((bounced(&test_app).await, held(&test_app).await.len()), (0, 1));
        a_week_later(&test_app, 1).await;
        assert_eq!((bounced(&test_app).await, held(&test_app).await), (30, vec![]));
    }

    async fn a_mail_that_is_accepted_in_the_next_send_releases_them(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_to(test_db, &sink).await;
        enlist_at(&test_app, "r", "big.example", 30).await;
        sink.order(Stage::Recipient, "*", GONE);
        test_app.send_digest().await;
        assert_eq!((bounced(&test_app).await, held(&test_app).await.len()), (0, 1));
        sink.order(Stage::Recipient, "*", "250 2.1.5 ok");
        a_week_later(&test_app, 1).await;
        assert_eq!((bounced(&test_app).await, held(&test_app).await), (0, vec![]));
        let record = test_app.record_of("r0@big.example").await;
        assert!(record.contains("a later digest arrived"), "{record}");
        sink.order(Stage::Recipient, "*", GONE);
        a_week_later(&test_app, 2).await;
        assert_eq!((bounced(&test_app).await, held(&test_app).await.len()), (0, 1), "another bad hour is the first of its row");
    }

    async fn reports_are_gathered_and_held(test_db) {
        let test_app = app_with_mailbox(test_db, 12, |_| {}).await;
        for n in 0..12 {
            let reader = format!("r{n}@big.example");
            assert_eq!(take(&test_app, &report(&return_path(&test_app, &reader), &reader, GONE)).await, InboundResult::Waits, "{reader}");
        }
        assert_eq!((bounced(&test_app).await, held(&test_app).await), (0, vec![]));
        tick_later(&test_app, TimeDelta::minutes(61)).await;
        assert_eq!((bounced(&test_app).await, held(&test_app).await), (0, vec![(HeldBy::Domain, "big.example".into(), 12)]));
        let decided = test_app.app.decide_on(&Actor::cli(), "big.example", Decision::Accepted, |_, _| {}).await.expect("accepted");
        assert_eq!((decided.readers, bounced(&test_app).await), (12, 12));
        let suppressed = test_app.test_db.dump().await.iter().filter(|row| row.starts_with("suppressions")).count();
        assert_eq!(suppressed, 12);
        test_app.app.decide_on(&Actor::cli(), "big.example", Decision::Accepted, |_, _| {}).await.expect_err("nothing is left to accept");
    }

    async fn a_report_about_one_reader_of_many_ends_after_the_wait(test_db) {
        let test_app = app_with_mailbox(test_db, 40, |_| {}).await;
        for n in 0..3 {
            let reader = format!("r{n}@big.example");
            assert_eq!(take(&test_app, &report(&return_path(&test_app, &reader), &reader, GONE)).await, InboundResult::Waits);
        }
        tick_later(&test_app, TimeDelta::minutes(61)).await;
        assert_eq!((bounced(&test_app).await, held(&test_app).await), (3, vec![]));
    }

    async fn webhooks_are_held_as_reports_are_and_what_comes_late_follows_the_decision(test_db) {
        let test_app = app_with_mailbox(test_db, 15, |_| {}).await;
        for n in 0..12 {
            tell_signed(&test_app, &format!("event {n}"), "bounce", &format!("r{n}@big.example"), GONE).await;
        }
        tick_later(&test_app, TimeDelta::minutes(61)).await;
        assert_eq!((bounced(&test_app).await, held(&test_app).await), (0, vec![(HeldBy::Domain, "big.example".into(), 12)]));
        tell_signed(&test_app, "event 12", "bounce", "r12@big.example", GONE).await;
        assert_eq!(held(&test_app).await, [(HeldBy::Domain, "big.example".into(), 13)]);
        test_app.app.decide_on(&Actor::cli(), "big.example", Decision::Dismissed, |_, _| {}).await.expect("dismissed");
        tell_signed(&test_app, "event 13", "bounce", "r13@big.example", GONE).await;
        tick_later(&test_app, TimeDelta::minutes(61)).await;
        assert_eq!((bounced(&test_app).await, held(&test_app).await), (0, vec![]));
        let record = test_app.record_of("r13@big.example").await;
        assert!(record.contains("dismissed by hand"), "{record}");
    }

    async fn complaints_and_unsubscribes_act_at_once_while_refusals_are_held(test_db) {
        let test_app = app_with_mailbox(test_db, 12, |_| {}).await;
        for n in 0..12 {
            let reader = format!("r{n}@big.example");
            take(&test_app, &report(&return_path(&test_app, &reader), &reader, GONE)).await;
        }
        tick_later(&test_app, TimeDelta::minutes(61)).await;
        tell_signed(&test_app, "c", "complaint", "r0@big.example", "").await;
        assert_eq!(test_app.state_of("r0@big.example").await, Some(SubscriberState::Complained));
        let link = test_app.goodbye_link("r1@big.example");
        test_app.post(&link).await;
        assert_eq!(test_app.state_of("r1@big.example").await, Some(SubscriberState::Unsubscribed));
        test_app.app.erase_subscriber(&Actor::cli(), &"r2@big.example".parse().expect("an address")).await.expect("erased");
        a_week_later(&test_app, 1).await;
        assert_eq!(test_app.mails_to("r3@big.example").len(), 2, "held readers go on getting digests");
        assert_eq!(held(&test_app).await, [(HeldBy::Domain, "big.example".into(), 10)], "reports of the later digest may still come");
        tick_later(&test_app, TimeDelta::minutes(61)).await;
        assert_eq!((bounced(&test_app).await, held(&test_app).await), (0, vec![]), "none came: the later digest arrived");
    }

    async fn a_decision_that_was_cut_short_is_carried_out_by_any_process(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("*", GONE).only_counts()).await;
        let test_app = app_to(test_db, &sink).await;
        enlist_at(&test_app, "r", "big.example", 250).await;
        test_app.send_digest().await;
        let storage = &test_app.app.storage;
        assert_eq!(storage.decide(&Actor::cli(), HeldBy::Domain, "big.example", Decision::Accepted, test_app.app.now()).await.expect("decided"), Some(250));
        let worked = storage.end_judged(test_app.app.now()).await.expect("a step");
        assert!(worked.ended < 250 && worked.is_more, "{worked:?}");
        // Killed here. Another process finds the rest.
        test_app.app.deliver_until(&stop_soon()).await;
        assert_eq!((bounced(&test_app).await, held(&test_app).await), (250, vec![]));
        let again = storage.decide(&Actor::cli(), HeldBy::Domain, "big.example", Decision::Accepted, test_app.app.now()).await.expect("an answer");
        assert_eq!(again, None, "nothing is done twice");
    }

    async fn the_commands_list_accept_and_dismiss(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("*", "550 5.1.1 <r@x.example> user unknown")).await;
        let test_app = app_to(test_db.again(), &sink).await;
        enlist_at(&test_app, "r", "big.example", 12).await;
        enlist_at(&test_app, "r", "huge.example", 14).await;
        test_app.send_digest().await;
        let program = Program::set_up(&test_db);
        let text = program.run(&["bounces", "list"]).good().out;
        assert!(text.contains("domain huge.example: 14 readers held; 14 of 14 mails of 2026-W48") && !text.contains("r@x.example"), "{text}");
        let json = program.run(&["--json", "bounces", "list"]).good().json();
        assert_eq!((&json["held"][1]["name"], &json["held"][1]["readers"], &json["held"][1]["kind"]), (&"big.example".into(), &12.into(), &"domain".into()));
        let shown = program.run(&["--json", "digest", "show", "2026-W48"]).good().json();
        assert_eq!(shown["held"][0]["name"], "huge.example");
        assert!(program.run(&["digest", "show", "2026-W48"]).good().out.contains("held: domain huge.example"));
        assert!(program.run(&["doctor"]).out.contains("huge.example"));
        program.run(&["bounces", "accept", "other.example"]).refused(&["other.example", "nothing was changed"]);
        let accepted = program.run(&["--json", "bounces", "accept", "BIG.example"]).good().json();
        assert_eq!((&accepted["readers"], &accepted["decision"]), (&12.into(), &"accepted".into()));
        assert!(program.run(&["bounces", "dismiss", "domain:huge.example"]).good().out.contains("14 readers are dropped"));
        assert_eq!((bounced(&test_app).await, held(&test_app).await), (12, vec![]));
        program.run(&["bounces", "dismiss", "huge.example"]).refused(&["huge.example"]);
    }

    async fn killed_during_a_send_each_refusal_is_counted_once_and_nobody_is_ended(test_db) {
        const HALF: usize = 300;
        let accepted = (0..HALF).fold(Script::accept_all(), |script, n| script.reply_to(&format!("ok{n}"), "250 2.1.5 ok"));
        let sink = SmtpSink::start(accepted.reply_to("*", GONE).delay(Duration::from_millis(1))).await;
        let program = Program::set_up(&test_db)
            .with("VERDICTS_MAIL__TRANSPORT", &sink.url())
            .with("VERDICTS_SITE__LISTEN", "127.0.0.1:0");
        #[allow(clippy::disallowed_methods, reason = "the program looks at the machine's clock, so its catalogue must be of today")]
        let catalogue = crate::crash::catalogue_json(chrono::Utc::now());
        program.run_with_input(&["catalog", "import", "-"], catalogue.as_bytes()).good();
        let rows: String = (0..HALF).map(|n| format!("ok{n}@fine.example\ngone{n}@big.example\n")).collect();
        let rows = format!("email\n{rows}alone@small.example\n");
        program.run_with_input(&["subscribers", "import", "-", "--consent", "test", "--confirmed"], rows.as_bytes()).good();
        for at in [60, 160] {
            let mut sending = program.start("send", &["digest", "send"]);
            sink.wait_for(at, Duration::from_secs(60)).await;
            sending.kill();
        }
        assert!(sink.mails() < HALF, "the kills came in time");
        let said = program.run(&["digest", "send"]).good();
        assert_eq!(said.err.matches("too many similar hard refusals").count(), 1, "{}", said.err);
        assert!(said.err.contains("big.example") && !said.err.contains("gone1@"), "{}", said.err);
        let json = program.run(&["--json", "bounces", "list"]).good().json();
        assert_eq!((&json["held"][0]["readers"], &json["held"][0]["refused"], &json["unjudged"]), (&HALF.into(), &HALF.into(), &0.into()), "{json}");
        let count = program.run(&["--json", "subscribers", "list", "--state", "bounced"]).good().out;
        assert!(count.contains("alone@small.example") && !count.contains("gone"), "{count}");
    }

    async fn without_a_brake_hard_refusals_end_at_once(test_db) {
        let test_app = app_with_mailbox(test_db, 12, |settings| settings.bounces.brake_count = 0).await;
        for n in 0..12 {
            let reader = format!("r{n}@big.example");
            assert_eq!(take(&test_app, &report(&return_path(&test_app, &reader), &reader, GONE)).await, InboundResult::Ended);
        }
    }
}

/// A signal that stops a loop after its first look.
fn stop_soon() -> CancellationToken {
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        token.cancel();
    });
    stop
}
