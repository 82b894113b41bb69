//! The audit log: who changed what, written with the change, in ids and codes, chained so that a row that is changed or gone shows.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;
use verdicts::app::audit_log::AuditRequest;
use verdicts::app::audit_log::AuditSubject;
use verdicts::app::issue::preflight::Preflight;
use verdicts::app::issue::sending::SendOrder;
use verdicts::app::subscribing::list::ImportTerms;
use verdicts::domain::actor::Actor;
use verdicts::domain::audit::AuditAction;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::storage::audit_log::AuditEntry;
use verdicts::storage::audit_log::ChainFault;

use crate::inbound::READER;
use crate::inbound::app_with_a_reader;
use crate::inbound::report;
use crate::inbound::return_path;
use crate::inbound::take;
use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::run_raw_sql;

async fn log(test_app: &TestApp) -> Vec<AuditEntry> {
    let log = test_app
        .app
        .audit_log(&AuditRequest::default(), None, 10_000)
        .await;
    log.expect("the audit log")
}

/// What was done, and by what kind of actor, oldest first.
async fn done(test_app: &TestApp) -> Vec<String> {
    let log = log(test_app).await.into_iter().rev();
    log.map(|entry| format!("{} {}", entry.row.actor_kind, entry.row.what))
        .collect()
}

async fn chain_all(test_app: &TestApp) {
    while test_app.app.storage.chain_audit(3).await.expect("chained") > 0 {}
}

/// Five rows, chained.
async fn app_with_a_chain(test_db: TestDb) -> TestApp {
    let test_app = TestApp::open(test_db).await;
    for name in ["a", "b", "c", "d", "e"] {
        test_app.seed_subscribers(name, 1).await;
    }
    chain_all(&test_app).await;
    let check = test_app.app.check_audit().await.expect("checked");
    assert_eq!((check.rows, check.unchained, check.fault), (5, 0, None));
    test_app
}

async fn fault(test_app: &TestApp) -> Option<ChainFault> {
    test_app.app.check_audit().await.expect("checked").fault
}

on_both! {
    async fn a_weeks_changes_are_logged_by_actor_and_no_row_holds_an_address(test_db) {
        let test_app = app_with_a_reader(test_db.again()).await;
        let mut expected = vec!["cli catalogue.imported", "cli subscribers.imported", "cli digest.drafted", "cli digest.published", "system digest.finished"];
        let seen = done(&test_app).await;
        assert!(expected.iter().all(|one| seen.iter().any(|row| row == one)), "{seen:?}");

        test_app.join("new@example.org").await;
        test_app.post(&test_app.goodbye_link("reader1@example.org")).await;
        assert_eq!(test_app.state_of("reader1@example.org").await, Some(SubscriberState::Unsubscribed));
        assert_eq!(done(&test_app).await, seen, "what readers do stands in their history");

        take(&test_app, &report(&return_path(&test_app, READER), READER, "550 5.1.1 no such user")).await;
        let reader = READER.parse().expect("an address");
        test_app.app.lift_suppression(&Actor::cli(), &reader, "their server was broken, says ada@example.org").await.expect("lifted");
        let hand = Actor::user("u1", Some("203.0.113.0/24".into()));
        test_app.app.add_subscriber(&hand, &"bob@example.org".parse().expect("an address"), "at the fair", false).await.expect("added");
        let name = |entry: &AuditEntry| entry.row.subject.clone().expect("a subject");
        let of_reader = AuditSubject::Subscriber(READER.parse().expect("an address"));
        let about = test_app.app.audit_log(&AuditRequest { subject: Some(of_reader), ..AuditRequest::default() }, None, 100).await.expect("rows");
        let whats: Vec<&str> = about.iter().map(|entry| entry.row.what.as_str()).collect();
        assert_eq!(whats, ["suppression.removed", "subscriber.bounced"], "newest first, by the address that the log does not have");
        assert_eq!(name(&about[0]), name(&about[1]));
        test_app.app.erase_subscriber(&Actor::cli(), &reader).await.expect("erased");
        test_app.app.export_subscribers(&Actor::cli(), Vec::new()).await.expect("exported");
        expected = vec![
            "inbound subscriber.bounced", "cli suppression.removed", "cli suppression.removed", "user subscriber.added", "cli subscriber.erased",
            "cli subscribers.exported",
        ];
        assert_eq!(done(&test_app).await[seen.len()..], expected[..]);
        let log = log(&test_app).await;
        let added = log.iter().find(|entry| entry.row.actor_kind == "user").expect("the user's");
        assert_eq!((added.row.actor.as_str(), added.row.network.as_deref()), ("u1", Some("203.0.113.0/24")));
        let erased = log.iter().find(|entry| entry.row.what == "subscriber.erased").expect("a row");
        assert_eq!(name(erased), name(&about[0]), "the opaque id is the same");

        let rows: Vec<String> = test_db.dump().await.into_iter().filter(|row| row.starts_with("audit: ")).collect();
        assert_eq!(rows.len(), log.len());
        for row in rows {
            assert!(!row.contains('@') && !row.contains("example") && !row.contains("broken"), "{row}");
        }
    }

    async fn what_is_done_to_users_is_logged_by_who_did_it_and_a_refused_change_is_not(test_db) {
        let test_app = TestApp::open(test_db.again()).await;
        let program = Program::set_up(&test_db);
        let run = |words: &[&str]| program.run(words).code;
        assert_eq!(run(&["users", "add", "ada@example.org", "--role", "owner"]), 0);
        assert_eq!(run(&["users", "add", "ada@example.org", "--role", "owner"]), 1, "she is one already");
        assert_eq!(run(&["users", "role", "ada@example.org", "writer"]), 1, "the last owner stays one");
        assert_eq!(run(&["users", "disable", "ada@example.org"]), 1, "and stays");
        assert_eq!(run(&["users", "add", "bea@example.org", "--role", "writer"]), 0);
        assert_eq!(run(&["users", "role", "bea@example.org", "editor"]), 0);
        assert_eq!(run(&["users", "reset-password", "bea@example.org"]), 0);
        assert_eq!(run(&["users", "reset-second-factor", "bea@example.org"]), 0);
        assert_eq!(run(&["users", "sign-out", "bea@example.org"]), 0);
        assert_eq!(run(&["users", "disable", "bea@example.org"]), 0);
        assert_eq!(run(&["users", "enable", "bea@example.org"]), 0);
        let whats = ["added", "added", "role_changed", "password_reset", "second_factor_removed", "signed_out", "disabled", "enabled"];
        assert_eq!(done(&test_app).await, whats.map(|what| format!("cli user.{what}")));
        let log = log(&test_app).await;
        assert_eq!(log[5].row.detail, r#"{"role":"editor"}"#);
        assert!(log.iter().all(|entry| entry.row.subject.as_ref().is_some_and(|subject| !subject.is_empty())), "each names its user");
        assert!(test_app.test_db.dump().await.iter().filter(|row| row.starts_with("audit: ")).all(|row| !row.contains("example.org")), "by an opaque id");
    }

    async fn each_step_of_a_digests_life_is_logged_once_and_what_is_refused_is_not(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 3).await;
        let (cli, slot) = (Actor::cli(), test_app.slot());
        assert!(test_app.app.approve_digest(&cli, slot).await.is_err(), "there is none yet");
        test_app.app.draft_digest(&cli).await.expect("a draft");
        test_app.app.cancel_digest(&cli, slot).await.expect("cancelled");
        test_app.app.cancel_digest(&cli, slot).await.expect("cancelled already");
        assert!(test_app.app.approve_digest(&cli, slot).await.is_err(), "it is over");
        let order = SendOrder { slot: None, preflight: Preflight::Heeded, other_week: false };
        let stop = CancellationToken::new();
        test_app.app.send_digest(&cli, order, &stop, &std::sync::Arc::default(), |_| {}).await.ok();
        let life: Vec<String> = done(&test_app).await.into_iter().filter(|row| row.contains(" digest.")).collect();
        assert_eq!(life, ["cli digest.drafted", "cli digest.cancelled"]);
        let rows = test_app.app.audit_log(&AuditRequest { what: Some(AuditAction::DigestCancelled), ..AuditRequest::default() }, None, 10).await.expect("rows");
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].row.subject_kind.as_deref(), rows[0].row.subject.clone()), (Some("digest"), Some(slot.to_string())));
    }

    async fn a_change_that_fails_or_is_only_tried_leaves_no_row(test_db) {
        let test_app = TestApp::open(test_db.again()).await;
        test_app.stock_small().await;
        let before = done(&test_app).await;
        let terms = ImportTerms { consent: "x", confirmed: true, dry_run: true };
        test_app.app.import_subscribers(&Actor::cli(), "email\nada@example.org\n".as_bytes(), terms, |_| {}).await.expect("counted");
        let broken = ImportTerms { dry_run: false, ..terms };
        test_app.app.import_subscribers(&Actor::cli(), "name\nAda\n".as_bytes(), broken, |_| {}).await.expect_err("no column of addresses");
        test_app.app.erase_subscriber(&Actor::cli(), &"nobody@example.org".parse().expect("an address")).await.expect_err("unknown");
        test_app.stock_small().await;
        assert_eq!(done(&test_app).await, before, "the same catalogue again changes nothing");
    }

    async fn no_change_is_made_whose_row_cannot_be_written(test_db) {
        let test_app = TestApp::open(test_db.again()).await;
        test_app.stock_small().await;
        run_raw_sql(&test_db, "alter table audit rename to audit_gone").await;
        test_app.app.draft_digest(&Actor::cli()).await.expect_err("no row, no change");
        let terms = ImportTerms { consent: "x", confirmed: true, dry_run: false };
        test_app.app.import_subscribers(&Actor::cli(), "email\nada@example.org\n".as_bytes(), terms, |_| {}).await.expect_err("no row, no change");
        assert!(test_app.app.storage.digest(test_app.slot()).await.expect("an answer").is_none());
        assert_eq!(test_app.known_people().await, 0);
    }

    async fn a_row_that_was_changed_shows(test_db) {
        let test_app = app_with_a_chain(test_db.again()).await;
        run_raw_sql(&test_db, "update audit set actor = 'somebody' where seq = 3").await;
        assert_eq!(fault(&test_app).await, Some(ChainFault::Changed(3)));
        let program = Program::set_up(&test_db);
        let said = program.run(&["audit", "verify"]);
        assert!(said.code == 1 && said.out.contains("row 3 was changed"), "{said:?}");
    }

    async fn a_row_that_was_taken_out_shows_the_last_one_too(test_db) {
        let test_app = app_with_a_chain(test_db.again()).await;
        run_raw_sql(&test_db, "delete from audit where seq = 5").await;
        assert_eq!(fault(&test_app).await, Some(ChainFault::Missing(5)));
        run_raw_sql(&test_db, "delete from audit where seq = 2").await;
        assert_eq!(fault(&test_app).await, Some(ChainFault::Missing(2)));
        // Closing the gap changes the rows behind it.
        run_raw_sql(&test_db, "update audit set seq = 2 where seq = 3; update audit set seq = 3 where seq = 4; update audit_head set seq = 3").await;
        assert_eq!(fault(&test_app).await, Some(ChainFault::Changed(2)));
    }

    async fn processes_that_chain_at_once_make_one_chain(test_db) {
        let (test_app, other) = (TestApp::open(test_db.again()).await, TestApp::open(test_db.again()).await);
        for n in 0..30 {
            test_app.seed_subscribers(&format!("reader{n}-"), 1).await;
        }
        tokio::join!(chain_all(&test_app), chain_all(&other), chain_all(&test_app), chain_all(&other));
        chain_all(&test_app).await;
        let check = test_app.app.check_audit().await.expect("checked");
        assert_eq!((check.rows, check.unchained, check.fault), (30, 0, None));
        let places: BTreeSet<i64> = log(&test_app).await.iter().filter_map(|entry| Some(entry.link.as_ref()?.seq)).collect();
        assert_eq!(places, (1..=30).collect());
    }

    async fn the_schedule_chains_and_the_commands_show_the_log(test_db) {
        let test_app = TestApp::open(test_db.again()).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 2).await;
        let program = Program::set_up(&test_db);
        let waiting = program.run(&["--json", "audit", "verify"]);
        assert_eq!((&waiting.json()["unchained"], &waiting.json()["holds"]), (&2.into(), &true.into()));
        test_app.app.tick().await.expect("a tick");
        let whole = program.run(&["--json", "audit", "verify"]).json();
        assert_eq!((&whole["unchained"], &whole["holds"]), (&0.into(), &true.into()), "{whole}");

        let listed = program.run(&["--json", "audit", "list", "--what", "subscribers.imported"]).json();
        let [row] = listed["rows"].as_array().map(Vec::as_slice).expect("rows") else { panic!("{listed}") };
        assert_eq!((&row["actor_kind"], &row["what"], &row["detail"]["added"]), (&"cli".into(), &"subscribers.imported".into(), &2.into()));
        assert!(row.get("id").is_none() && row["seq"].is_number() && row["hash"].as_str().is_some_and(|hash| hash.len() == 64), "{row}");
        let newest = program.run(&["audit", "list", "--limit", "1"]);
        assert_eq!((newest.code, newest.out.lines().count()), (0, 1), "{newest:?}");
        for wrong in [&["audit", "list", "--what", "made.up"][..], &["audit", "list", "--subject", "2026-W47"], &["audit", "list", "--limit", "0"]] {
            assert_eq!(program.run(wrong).code, 2, "{wrong:?}");
        }
        let unknown = program.run(&["audit", "list", "--subject", "nobody@example.org"]);
        assert!(unknown.code == 1 && unknown.err.contains("There is no subscriber"), "{unknown:?}");
        let none = program.run(&["--json", "audit", "list", "--subject", "digest:2020-W01"]).json();
        assert_eq!(none["rows"].as_array().map(Vec::len), Some(0));
    }
}
