//! Each reason why nothing goes out has its line, and what waits for nobody has none.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use verdicts::app::delivery::SendEnding;
use verdicts::app::delivery::SendProgress;
use verdicts::app::issue::digests::SendResult;
use verdicts::app::issue::preflight::Preflight;
use verdicts::app::issue::sending::SendOrder;
use verdicts::config::Settings;
use verdicts::domain::actor::Actor;
use verdicts::domain::delivery::MailClass;
use verdicts::domain::delivery::UncertainPolicy;
use verdicts::domain::digest::DigestState;
use verdicts::domain::waiting::WaitReason;
use verdicts::storage::waits::Deliverer;

use crate::stalls;
use crate::stalls::app_to;
use crate::stalls::finding;
use crate::stalls::publish;
use crate::stalls::readyz;
use crate::stalls::reasons;
use crate::stalls::stall;
use crate::stalls::wait_for_words;
use crate::support::Behaviour;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::run_raw_sql;
use crate::support::until;

/// A time limit that no test meets.
const LONG: Duration = Duration::from_secs(100);

/// Limits that no test meets: on SQLite the clock that a test moves is the one that leases are judged by.
fn patient(settings: &mut Settings) {
    settings.mail.lease = LONG * 100;
    (
        settings.mail.timeouts.command,
        settings.mail.timeouts.data,
        settings.mail.timeouts.finish,
    ) = (LONG, LONG, LONG);
}

/// Another process says that it sends, and that its mail waits for nothing.
async fn note_another_sender(test_app: &TestApp) {
    let other = Deliverer {
        process: "another".into(),
        waits: Vec::new(),
        relays: "[]".into(),
        ahead: None,
    };
    test_app
        .app
        .storage
        .note_deliverer(&other, test_app.app.now())
        .await
        .expect("noted");
}

/// Keeps the database from being written until the connection is dropped.
enum WriteLock {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

impl WriteLock {
    async fn take(test_db: &TestDb) -> Self {
        use sqlx::Connection as _;
        if test_db.is_postgres() {
            let mut connection = sqlx::PgConnection::connect(&test_db.database_url)
                .await
                .expect("a connection");
            sqlx::raw_sql("begin; lock table installation in exclusive mode")
                .execute(&mut connection)
                .await
                .expect("locked");
            return Self::Postgres(connection);
        }
        let mut connection = sqlx::SqliteConnection::connect(&test_db.database_url)
            .await
            .expect("a connection");
        sqlx::raw_sql("pragma busy_timeout = 60000; begin immediate")
            .execute(&mut connection)
            .await
            .expect("locked");
        Self::Sqlite(connection)
    }

    async fn release(self) {
        let done = match self {
            Self::Sqlite(mut connection) => sqlx::raw_sql("rollback")
                .execute(&mut connection)
                .await
                .map(|_| ()),
            Self::Postgres(mut connection) => sqlx::raw_sql("rollback")
                .execute(&mut connection)
                .await
                .map(|_| ()),
        };
        done.expect("unlocked");
    }
}

on_both! {
    async fn a_paused_digest_is_named_until_it_goes_on(test_db) {
        let sink = SmtpSink::start(Script::accept_all().delay(Duration::from_millis(30))).await;
        let test_app = app_to(&sink, 60, test_db, |settings| settings.mail.connections = 1).await;
        publish(&test_app).await;
        test_app.deliver_while("some mails", async || sink.mails() >= 5).await;
        test_app.app.pause_digest(&Actor::cli(), test_app.slot()).await.expect("paused");
        assert_eq!(stall(&test_app).await, None, "some of it went out a moment ago");
        test_app.wait(TimeDelta::minutes(2));
        let found = stall(&test_app).await.expect("a stall");
        assert_eq!((reasons(&found), found.waits[0].slot), (vec![WaitReason::DigestPaused], Some(test_app.slot())));
        let ready = readyz(&test_app).await;
        assert_eq!((&ready["status"], &ready["waiting_for"][0]["reason"]), (&json!("degraded"), &json!("digest_paused")), "{ready}");
        assert!(test_app.page("/metrics").await.contains("verdicts_sending_waits{reason=\"digest_paused\"} "));
        let words = finding(&test_app, "sending").await.words;
        assert!(words.contains(&format!("{}: somebody to resume it, for it is paused", test_app.slot())), "{words}");
        assert_eq!(test_app.app.status(test_app.slot()).await.expect("a status").time_left, None);
        assert!(test_app.page("/check-inbox").await.contains("is on its way to it."), "a sign-up waits for no digest");
        test_app.app.resume_digest(&Actor::cli(), test_app.slot(), Preflight::Heeded).await.expect("resumed");
        test_app.deliver_while("the rest", async || sink.mails() == 60).await;
        test_app.wait(TimeDelta::minutes(2));
        assert_eq!((stall(&test_app).await, readyz(&test_app).await), (None, json!({ "status": "ready" })));
    }

    async fn a_paused_digest_is_named_by_digest_show_and_in_the_log(test_db) {
        let program = stalls::with_a_digest_that_waits(&test_db).await;
        let slot = crate::support::this_week();
        program.run(&["digest", "pause", &slot]).good();
        run_raw_sql(&test_db, "update delivery_batches set due_at = due_at - 120000").await;
        let named = format!("it waits for {slot}: somebody to resume it, for it is paused: `verdicts digest resume`");
        let shown = program.run(&["digest", "show", &slot]).good().out;
        assert!(shown.contains("waiting: no digest mail went out since 20") && shown.contains(&named), "{shown}");
        let json = program.run(&["--json", "digest", "show", &slot]).good().json();
        let wait = &json["waiting"]["for"][0];
        assert_eq!((&wait["reason"], &wait["slot"]), (&json!("digest_paused"), &json!(slot)), "{json}");
        let mut serve = program.start("serve", &["serve", "--role", "deliver"]);
        wait_for_words(&program, &named).await;
        program.run(&["digest", "cancel", &slot]).good();
        let log = wait_for_words(&program, "no digest that is due is paused any more").await;
        assert_eq!(log.matches(&named).count(), 1, "{log}");
        serve.terminate();
    }

    async fn a_send_of_one_digest_leaves_a_sign_up_to_nobody_and_that_is_said(test_db) {
        let sink = SmtpSink::start(Script::accept_all().after_body("*", Behaviour::hold())).await;
        let test_app = app_to(&sink, 5, test_db, patient).await;
        let (app, stop) = (test_app.app.clone(), CancellationToken::new());
        let token = stop.clone();
        let sending = tokio::spawn(async move {
            let order = SendOrder { slot: None, other_week: false, preflight: Preflight::Heeded };
            app.send_digest(&Actor::cli(), order, &token, &Arc::new(SendProgress::default()), |_| {}).await.expect("sent")
        });
        until("all mails are at their final dot", async || {
            test_app.app.storage.tally(test_app.slot().id()).await.is_ok_and(|tally| tally.sending == 5)
        }).await;
        test_app.sign_up("ada@example.org").await;
        test_app.wait(TimeDelta::seconds(61));
        let said = async || test_app.app.stall().await.expect("an answer").map(|stall| reasons(&stall));
        until("both are named", async || said().await == Some(vec![WaitReason::NoSender, WaitReason::RelaySilent])).await;
        let words = finding(&test_app, "sending").await.words;
        assert!(words.contains("`verdicts digest send` sends its digest alone"), "{words}");
        note_another_sender(&test_app).await;
        assert_eq!(said().await, Some(vec![WaitReason::RelaySilent]), "another process would send it");
        stop.cancel();
        sink.release();
        assert!(matches!(sending.await.expect("ended"), SendResult::Delivered(_, SendEnding::Stopped | SendEnding::Final)));
    }

    async fn a_database_that_takes_no_writes_is_named(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_to(&sink, 5, test_db.again(), |_| {}).await;
        publish(&test_app).await;
        test_app.wait(TimeDelta::seconds(61));
        assert_eq!(reasons(&stall(&test_app).await.expect("a stall")), [WaitReason::NoSender]);
        let lock = WriteLock::take(&test_db).await;
        assert_eq!(reasons(&stall(&test_app).await.expect("a stall")), [WaitReason::Database]);
        let words = finding(&test_app, "sending").await.words;
        assert!(words.contains("the database, which takes no writes"), "{words}");
        lock.release().await;
        assert_eq!(reasons(&stall(&test_app).await.expect("a stall")), [WaitReason::NoSender]);
    }

    async fn deliveries_that_are_still_to_be_made_are_named(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_to(&sink, 5, test_db.again(), |_| {}).await;
        publish(&test_app).await;
        // As if whoever froze it had died before the first range.
        run_raw_sql(&test_db, "delete from delivery_batches").await;
        run_raw_sql(&test_db, "insert into publish_progress (mailing_id, after_id, until_id, due, month_at) select id, 0, 0, '', 0 from digests").await;
        note_another_sender(&test_app).await;
        test_app.wait(TimeDelta::seconds(40));
        note_another_sender(&test_app).await;
        test_app.wait(TimeDelta::seconds(40));
        assert_eq!(reasons(&stall(&test_app).await.expect("a stall")), [WaitReason::Publishing]);
        note_another_sender(&test_app).await;
        assert!(finding(&test_app, "sending").await.words.contains("the digest's deliveries, which are being made"));
    }

    async fn a_relays_pace_is_named_alone_where_nothing_else_is_waited_for(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_to(&sink, 40, test_db, |settings| {
            patient(settings);
            (settings.mail.connections, settings.mail.rate_per_second) = (1, 1);
        }).await;
        publish(&test_app).await;
        let (stop, app) = (test_app.stop.child_token(), test_app.app.clone());
        let token = stop.clone();
        let serving = tokio::spawn(async move { app.deliver_until(&token).await });
        until("a mail is out", async || sink.mails() > 0).await;
        // A mail goes out each second, and then nothing waits: a minute passes by the service's clock until the next one.
        until("the pace is named", async || {
            let found = stall(&test_app).await;
            if found.is_none() {
                test_app.wait(TimeDelta::seconds(61));
            }
            found.is_some_and(|stall| reasons(&stall) == [WaitReason::Pace] && stall.waits[0].relay.is_some() && stall.waits[0].until.is_some())
        }).await;
        until("doctor names it", async || {
            if stall(&test_app).await.is_none() {
                test_app.wait(TimeDelta::seconds(61));
            }
            finding(&test_app, "sending").await.words.contains("the relay's pace (rate_per_second)")
        }).await;
        stop.cancel();
        serving.await.expect("ended");
    }

    async fn a_domain_that_waits_for_its_own_mail_is_named_beside_the_relay_that_has_it(test_db) {
        let good = SmtpSink::start(Script::accept_all()).await;
        let silent = SmtpSink::start(Script::accept_all().after_body("*", Behaviour::hold())).await;
        let relays = json!([{ "name": "a", "transport": good.url() }, { "name": "b", "transport": silent.url() }]);
        let test_app = app_to(&good, 20, test_db, |settings| {
            patient(settings);
            settings.mail.relays = serde_json::from_value(relays).expect("relays");
            settings.mail.per_domain = serde_json::from_value(json!([{ "domain": "*", "connections": 1 }])).expect("limits");
        }).await;
        publish(&test_app).await;
        let (stop, app) = (test_app.stop.child_token(), test_app.app.clone());
        let token = stop.clone();
        let serving = tokio::spawn(async move { app.deliver_until(&token).await });
        let open = async || test_app.app.sending.get().and_then(|snapshot| snapshot.oldest.clone()).map(|mail| mail.relay);
        until("the silent one has a mail", async || open().await.as_deref() == Some("b")).await;
        let (storage, slot) = (&test_app.app.storage, test_app.slot().id());
        let is_written = async || storage.tally(slot).await.expect("a tally").sent == storage.ended_by_minutes(slot).await.expect("a sum");
        until("what went out is written down", is_written).await;
        test_app.wait(TimeDelta::seconds(90));
        until("both are named", async || {
            let said = stall(&test_app).await.map(|stall| reasons(&stall)).unwrap_or_default();
            said.contains(&WaitReason::DomainPace) && said.contains(&WaitReason::RelaySilent)
        }).await;
        stop.cancel();
        silent.release();
        serving.await.expect("ended in order");
    }

    async fn what_the_brake_or_a_doubt_holds_is_over_and_nothing_waits(test_db) {
        let script = Script::accept_all().reply_to("*", "550 5.1.1 user unknown").after_body("d0", Behaviour::close());
        let sink = SmtpSink::start(script.reply_to("d0", "250 2.1.5 fine")).await;
        let test_app = app_to(&sink, 30, test_db, |settings| settings.mail.in_doubt = UncertainPolicy::Hold).await;
        test_app.seed_subscribers("d", 1).await;
        let SendResult::Delivered(status, ending) = test_app.send_digest().await else { panic!("it was sent") };
        assert_eq!((ending, status.digest.state, status.tally.uncertain), (SendEnding::Final, DigestState::Sent, 1));
        assert!(!test_app.app.status(test_app.slot()).await.expect("a status").held.is_empty(), "the brake holds them");
        test_app.wait(TimeDelta::minutes(2));
        assert_eq!((stall(&test_app).await, readyz(&test_app).await), (None, json!({ "status": "ready" })));
        assert!(!test_app.app.stall().await.expect("an answer").is_some_and(|stall| stall.holds(MailClass::Transactional)));
    }
}
