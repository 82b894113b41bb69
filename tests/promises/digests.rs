//! Digests: what is picked, how they live, and that each goes out once.

use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue::comparison;
use crate::support::catalogue::small;
use crate::support::on_both;
use crate::support::test_app::START;
use chrono::TimeDelta;
use mail_parser::MessageParser;
use std::collections::HashSet;
use verdicts::app::Clock;
use verdicts::app::delivery::SendEnding;
use verdicts::app::issue::digests::SendResult;
use verdicts::config::Approval;
use verdicts::domain::Timestamp;
use verdicts::domain::actor::Actor;
use verdicts::domain::digest::DigestState;

fn start() -> Timestamp {
    START.parse().expect("a moment")
}

/// The words of a `digest send` that sent nothing, and the digest's state.
fn not_sent(sent: SendResult) -> (DigestState, String) {
    match sent {
        SendResult::Not(status, words) => (status.digest.state, words),
        SendResult::Delivered(status, ending) => panic!("sent: {status:?} {ending:?}"),
    }
}

async fn picked(test_app: &TestApp) -> Vec<String> {
    let picks = test_app
        .app
        .picks_at(test_app.app.now())
        .await
        .expect("picks");
    picks
        .into_iter()
        .map(|pick| pick.comparison.to_string())
        .collect()
}

async fn tick_at(test_app: &TestApp, moment: &str) {
    test_app.set_clock(moment);
    test_app.app.tick().await.expect("a tick");
}

on_both! {
    async fn a_week_has_one_digest_whoever_asks_for_it(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        test_app.seed_catalogue(&small(12, test_app.app.now())).await;
        test_app.seed_subscribers("reader", 2).await;
        assert!(matches!(test_app.send_digest().await, SendResult::Delivered(_, SendEnding::Final)));
        for moment in ["2026-11-24T08:00:00Z", "2026-11-24T09:00:00Z", "2026-11-29T23:00:00Z"] {
            tick_at(&test_app, moment).await;
            let (state, words) = not_sent(test_app.send_digest().await);
            assert!(state == DigestState::Sent && words.contains("2026-W48 was sent already"), "{words}");
        }
        assert_eq!((sink.mails(), test_app.app.storage.digests().await.expect("digests").len()), (2, 1));
        tick_at(&test_app, "2026-11-30T00:01:00Z").await;
        assert!(matches!(test_app.send_digest().await, SendResult::Delivered(_, SendEnding::Final)), "the next week has its own");
        assert_eq!(sink.mails(), 4);
    }

    async fn publishing_freezes_what_a_digest_says_and_who_gets_it(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        test_app.seed_catalogue(&small(5, start())).await;
        test_app.seed_subscribers("reader", 2).await;
        tick_at(&test_app, "2026-11-24T08:00:00Z").await;
        tick_at(&test_app, "2026-11-24T09:00:00Z").await;
        let page = test_app.page("/digests/2026-W48").await;
        assert!(page.contains("Tool t0 l"), "{page}");

        test_app.seed_catalogue(&small(5, start()).replace("Tool t", "Renamed t").replace("score = 80", "score = 13")).await;
        test_app.seed_subscribers("latecomer", 1).await;
        assert!(test_app.page("/tools/t0-l").await.contains("Renamed t0 l"), "the catalogue did change");
        assert!(matches!(test_app.send_digest().await, SendResult::Delivered(_, SendEnding::Final)));
        let mut mails = sink.received();
        mails.sort_by(|a, b| a.to.cmp(&b.to));
        assert_eq!(mails.iter().map(|mail| mail.to.as_str()).collect::<Vec<_>>(), ["reader0@example.org", "reader1@example.org"]);
        for mail in mails {
            let mail = MessageParser::default().parse(&mail.data).expect("a mail");
            for body in [mail.body_text(0).expect("text"), mail.body_html(0).expect("HTML")] {
                assert!(body.contains("Tool t0 l") && !body.contains("Renamed"), "{body}");
            }
        }
        assert_eq!(test_app.page("/digests/2026-W48").await, page);
    }

    async fn a_digest_lives_by_hand_and_each_step_repeats(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| settings.schedule.approval = Approval::Required).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 2).await;
        tick_at(&test_app, "2026-11-24T08:00:00Z").await;
        let program = Program::set_up(&test_app.test_db);
        let state = |verb: &str| program.run(&["--json", "digest", verb, "2026-W48"]).good().json()["state"].as_str().map(String::from);
        let refused = |verb: &str, words: &[&str]| program.run(&["digest", verb, "202648"]).refused(words);

        assert_eq!(state("show").as_deref(), Some("draft"));
        refused("pause", &["2026-W48 is draft", "only one that is being sent can be paused"]);
        refused("resume", &["2026-W48 is draft", "only a paused one can be resumed"]);
        assert_eq!([state("approve").as_deref(), state("approve").as_deref()], [Some("approved"); 2]);
        refused("pause", &["2026-W48 is approved"]);

        // The program approved by the machine's clock, so that this clock must be past both.
        let due = Clock::system().now().max("2026-11-24T09:00:00Z".parse().expect("a moment")) + TimeDelta::minutes(1);
        tick_at(&test_app, &due.to_rfc3339()).await;
        assert_eq!(state("show").as_deref(), Some("sending"));
        refused("approve", &["2026-W48 is sending", "only a draft can be approved"]);
        assert_eq!([state("pause").as_deref(), state("pause").as_deref()], [Some("paused"); 2]);
        let held = program.run(&["digest", "send", "2026-W48"]);
        assert!(held.code == 1 && held.err.contains("digest resume 2026-W48"), "{held:?}");
        assert_eq!([state("resume").as_deref(), state("resume").as_deref()], [Some("sending"); 2]);
        assert_eq!([state("cancel").as_deref(), state("cancel").as_deref()], [Some("cancelled"); 2]);
        assert_eq!(test_app.get("/digests/2026-W48").await.status(), reqwest::StatusCode::NOT_FOUND, "nobody got it");
        refused("resume", &["2026-W48 is cancelled"]);
        refused("approve", &["2026-W48 is cancelled"]);

        let sent = program.run(&["digest", "send", "2026-W48"]);
        assert!(sent.code == 1 && sent.err.contains("2026-W48 is cancelled"), "{sent:?}");
        let shown = program.run(&["--json", "digest", "show", "2026-W48"]).good().json();
        assert_eq!(shown["deliveries"], serde_json::json!({ "queued": 0, "sending": 0, "sent": 0, "failed": 0, "uncertain": 0, "skipped": 2 }));
        assert_eq!((&shown["recipients"], &shown["skipped"]), (&2.into(), &serde_json::json!({ "cancelled": 2 })));
        let text = program.run(&["digest", "show", "2026-W48"]).good().out;
        assert!(text.contains("failed 0, uncertain 0, skipped 2") && text.contains("skipped 2 times: the digest was cancelled"), "{text}");
        for verb in ["show", "approve", "pause", "resume", "cancel", "audit"] {
            program.run(&["digest", verb, "2020-W01"]).refused(&["There is no digest 2020-W01", "digest list"]);
        }
    }

    async fn a_digest_cancelled_before_its_time_reaches_nobody(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 2).await;
        tick_at(&test_app, "2026-11-24T08:00:00Z").await;
        test_app.app.cancel_digest(&Actor::cli(), test_app.slot()).await.expect("cancelled");
        tick_at(&test_app, "2026-11-24T09:00:00Z").await;
        assert_eq!(not_sent(test_app.send_digest().await).0, DigestState::Cancelled);
        let status = test_app.app.status(test_app.slot()).await.expect("a digest");
        assert_eq!((status.digest.published_at, status.tally.queued, sink.mails()), (None, 0, 0));
    }

    async fn a_skipped_slot_is_recorded_and_stays_skipped(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        test_app.seed_subscribers("reader", 2).await;
        for _ in 0..2 {
            let (state, words) = not_sent(test_app.send_digest().await);
            assert!(state == DigestState::Skipped && words.contains("2026-W48 is skipped"), "{words}");
            test_app.stock_small().await;
        }
        assert_eq!((sink.mails(), test_app.app.storage.digests().await.expect("digests").len()), (0, 1));
        let program = Program::set_up(&test_app.test_db);
        let said = program.run(&["--json", "digest", "send", "2026-W48"]).good();
        assert_eq!((&said.json()["state"], &said.json()["recipients"]), (&"skipped".into(), &0.into()));
        tick_at(&test_app, "2026-12-01T08:00:00Z").await;
        assert_eq!(test_app.app.status(test_app.slot()).await.expect("a digest").digest.state, DigestState::Approved, "the next week is its own");
    }

    async fn with_nobody_on_the_list_nothing_is_sent_and_the_week_is_not_used_up(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        test_app.stock_small().await;
        test_app.sign_up("pending@example.org").await;
        for _ in 0..2 {
            let (state, words) = not_sent(test_app.send_digest().await);
            assert!(state == DigestState::Approved && words.contains("Nobody is on the list yet"), "{words}");
        }
        assert_eq!(test_app.get("/digests/2026-W48").await.status(), 404);
        test_app.seed_subscribers("reader", 1).await;
        assert!(matches!(test_app.send_digest().await, SendResult::Delivered(_, SendEnding::Final)));
        assert_eq!(sink.received_by("reader0@example.org").len(), 1);
    }

    async fn a_comparison_that_was_sent_is_never_picked_again(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        test_app.seed_catalogue(&small(8, test_app.app.now())).await;
        test_app.seed_subscribers("reader", 1).await;
        let first = picked(&test_app).await;
        test_app.send_digest().await;
        assert!(picked(&test_app).await.iter().all(|slug| !first.contains(slug)), "nor in the same week");
        test_app.wait(TimeDelta::days(7));
        let second = picked(&test_app).await;
        assert_eq!((first.len(), second.len()), (5, 3));
        assert_eq!(first.iter().chain(&second).collect::<HashSet<_>>().len(), 8);
        test_app.send_digest().await;
        test_app.wait(TimeDelta::days(7));
        assert_eq!(not_sent(test_app.send_digest().await).0, DigestState::Skipped);
        assert_eq!(sink.mails(), 2);
    }

    async fn a_tool_comes_once_in_a_digest(test_db) {
        let test_app = TestApp::open(test_db).await;
        let names = ["a-l", "a-r", "b-l", "b-r", "c-l", "c-r", "d-l"];
        let tools: String = ["a", "b", "c", "d"].map(|name| comparison(name, "Data", start() - TimeDelta::days(100))).concat();
        let pairs = names.iter().enumerate().flat_map(|(n, left)| names[..n].iter().map(move |right| (*left, *right)));
        let pairs: String = pairs
            .map(|(l, r)| format!("[[comparisons]]\nslug = \"{l}-{r}\"\nleft = \"{l}\"\nright = \"{r}\"\npublished_at = 2026-11-23T09:00:00Z\n"))
            .collect();
        test_app.seed_catalogue(&(tools + &pairs)).await;
        let picks = picked(&test_app).await;
        let tools: Vec<&str> = picks.iter().flat_map(|slug| [&slug[..3], &slug[4..]]).collect();
        assert_eq!((picks.len(), tools.iter().collect::<HashSet<_>>().len()), (3, 6), "{picks:?}");
    }

    async fn picks_are_the_same_in_both_databases_and_in_any_order_of_import(test_db) {
        let reference = TestDb::sqlite();
        let (straight, shuffled) = (Program::set_up(&reference), Program::set_up(&test_db));
        // Pairs of them share their moment and their category, so that ties must be broken alike.
        let parts: Vec<String> = (0..31)
            .map(|n| comparison(&format!("n{}", (n * 17) % 31), ["Data", "Design"][n % 4 / 2], start() - TimeDelta::hours(9 * (n as i64 / 2))))
            .collect();
        straight.write("all.toml", parts.concat());
        straight.run(&["catalog", "import", "all.toml"]).good();
        for n in (0..31).map(|n| (n * 12 + 5) % 31) {
            shuffled.write("one.toml", &parts[n]);
            shuffled.run(&["catalog", "import", "one.toml"]).good();
        }
        for at in ["2026-11-24T08:00:00Z", "2026-11-22T08:00:00Z", "2026-12-10T08:00:00Z"] {
            let picks = straight.run(&["--json", "digest", "pick", "--as-of", at]).good();
            assert_eq!(picks.json()["picks"].as_array().map(Vec::len), Some(5), "{at}");
            assert_eq!(shuffled.run(&["--json", "digest", "pick", "--as-of", at]).good().out, picks.out, "{at}");
        }
    }

    async fn a_test_copy_goes_to_one_address_and_changes_nothing(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::open_to(test_db.again(), &sink).await;
        test_app.seed_catalogue(&small(5, start())).await;
        tick_at(&test_app, "2026-11-24T08:00:00Z").await;
        test_app.seed_subscribers("reader", 2).await;
        let program = Program::set_up(&test_db).with("VERDICTS_MAIL__TRANSPORT", &sink.url()).with("VERDICTS_MAIL__FROM", "News <news@verdicts.example>");
        let copy = || program.run(&["--json", "digest", "send", "2026-W48", "--to", "editor@example.org"]).good().json();
        for published in [false, true] {
            // Copies are counted, so that nobody makes a flood of them.
            let before = test_db.dump_without_quotas().await;
            assert_eq!(copy()["to"], "editor@example.org");
            assert_eq!(test_db.dump_without_quotas().await, before, "published: {published}");
            test_app.send_digest().await;
        }
        let copies = sink.received_by("editor@example.org");
        assert_eq!((copies.len(), sink.mails()), (2, 4));
        let subjects = copies.iter().map(|mail| MessageParser::default().parse(&mail.data).expect("a mail").subject().map(String::from));
        assert!(subjects.flatten().all(|subject| subject.starts_with("[Test] ")));
    }

    async fn a_preview_writes_three_files_and_changes_nothing(test_db) {
        let test_app = TestApp::open(test_db.again()).await;
        test_app.seed_catalogue(&small(3, start())).await;
        test_app.seed_subscribers("reader", 1).await;
        let program = Program::set_up(&test_db);
        let read = |name: &str| std::fs::read(test_db.dir.path().join("out/deep").join(name)).expect("a file");
        for published in [false, true] {
            let before = test_db.dump().await;
            let which = if published { ["--id", "202648"] } else { ["--as-of", "2026-11-24T08:00:00Z"] };
            let said = program.run(&["--json", "digest", "preview", which[0], which[1], "--out", "out/deep"]).good().json();
            assert_eq!(test_db.dump().await, before, "published: {published}");
            assert_eq!((&said["slot"], &said["items"]), (&"2026-W48".into(), &3.into()));
            let (html, text, eml) = (read("digest.html"), read("digest.txt"), read("digest.eml"));
            let mail = MessageParser::default().parse(&eml).expect("a mail");
            assert_eq!(mail.subject(), said["subject"].as_str());
            for header in ["From", "To", "Date", "Message-ID", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post"] {
                assert!(mail.header_raw(header).is_some_and(|value| !value.trim().is_empty()), "{header}");
            }
            let same = |part: &str, file: &[u8]| part.replace("\r\n", "\n").trim() == String::from_utf8_lossy(file).replace("\r\n", "\n").trim();
            assert!(same(&mail.body_html(0).expect("HTML"), &html) && same(&mail.body_text(0).expect("text"), &text));
            assert!(String::from_utf8_lossy(&text).contains("/unsubscribe/") && String::from_utf8_lossy(&html).contains("Tool t0 l"));
            test_app.send_digest().await;
        }
    }
}
