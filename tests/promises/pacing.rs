//! When a digest reaches whom: spread over a window, and by each reader's own clock.

use std::time::Duration;

use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue::comparison;
use crate::support::on_both;
use serde_json::json;
use verdicts::config::Approval;
use verdicts::config::Settings;
use verdicts::domain::Timestamp;
use verdicts::domain::actor::Actor;
use verdicts::domain::digest::DigestState;
use verdicts::domain::slot::Slot;

const TWO_HOURS: i64 = 2 * 60 * 60 * 1000;

fn at(moment: &str) -> Timestamp {
    moment.parse().expect("a moment")
}

async fn tick_at(test_app: &TestApp, moment: &str) -> DigestState {
    test_app.set_clock(moment);
    test_app.app.tick().await.expect("a tick");
    test_app.app.storage.digests().await.expect("digests")[0].state
}

/// Delivers what is due at that moment; answers how many mails of the digest are out then.
async fn sent_by(test_app: &TestApp, slot: &str, moment: &str) -> u64 {
    test_app.set_clock(moment);
    let slot: Slot = slot.parse().expect("a slot");
    let now = test_app.app.now().timestamp_millis();
    let due = due_moments(&test_app.test_db, slot.id())
        .await
        .iter()
        .filter(|(_, due)| *due <= now)
        .count() as u64;
    test_app
        .deliver_while("what is due", async || {
            test_app
                .app
                .storage
                .tally(slot.id())
                .await
                .expect("a tally")
                .sent
                == due
        })
        .await;
    due
}

/// Reader and due moment of each delivery of a digest.
async fn due_moments(test_db: &TestDb, digest: i64) -> Vec<(i64, i64)> {
    let sql =
        "select subscriber_id, due_at from deliveries where mailing_id = $1 order by subscriber_id";
    if test_db.is_postgres() {
        let pool = sqlx::PgPool::connect(&test_db.database_url)
            .await
            .expect("a connection");
        return sqlx::query_as(sql)
            .bind(digest)
            .fetch_all(&pool)
            .await
            .expect("rows");
    }
    let pool = sqlx::SqlitePool::connect(&test_db.database_url)
        .await
        .expect("a connection");
    sqlx::query_as(sql)
        .bind(digest)
        .fetch_all(&pool)
        .await
        .expect("rows")
}

/// Gives a reader the largest number there is.
async fn give_largest_number(test_db: &TestDb, email: &str) {
    let sql = "update subscribers set id = 9223372036854775807 where email_key = $1";
    // Their consent and history would be left without them.
    let orphans = ["delete from consents", "delete from history"];
    if test_db.is_postgres() {
        let pool = sqlx::PgPool::connect(&test_db.database_url)
            .await
            .expect("a connection");
        for sql in orphans {
            sqlx::query(sql).execute(&pool).await.expect("deleted");
        }
        sqlx::query(sql)
            .bind(email)
            .execute(&pool)
            .await
            .expect("updated");
    } else {
        let pool = sqlx::SqlitePool::connect(&test_db.database_url)
            .await
            .expect("a connection");
        for sql in orphans {
            sqlx::query(sql).execute(&pool).await.expect("deleted");
        }
        sqlx::query(sql)
            .bind(email)
            .execute(&pool)
            .await
            .expect("updated");
    }
}

fn over_two_hours(settings: &mut Settings) {
    settings.schedule.spread = Duration::from_secs(2 * 60 * 60);
}

/// Picked on Monday morning, for Tuesday 09:00 on everybody's own clock.
fn by_local_time(settings: &mut Settings) {
    settings.schedule.pick = "0 8 * * MON".into();
    settings.schedule.local_time = true;
}

const AROUND_THE_WORLD: &str = "email,timezone\ntokyo@example.org,Asia/Tokyo\nberlin@example.org,Europe/Berlin\n\
    york@example.org,America/New_York\nhome@example.org,\nodd@example.org,Mars/Base\n";

/// A service that was set up on Monday morning, with readers around the world.
async fn app_around_the_world(test_db: TestDb, adapt: impl FnOnce(&mut Settings)) -> TestApp {
    let test_app = TestApp::open_with(test_db, |settings| {
        by_local_time(settings);
        adapt(settings);
    })
    .await;
    test_app
        .seed_catalogue(&comparison("week", "Data", at("2026-11-29T12:00:00Z")))
        .await;
    test_app.enlist_all(AROUND_THE_WORLD).await;
    test_app
}

/// Who of them has had the digest.
fn reached(test_app: &TestApp) -> Vec<&'static str> {
    let all = ["tokyo", "berlin", "york", "home", "odd"];
    all.into_iter()
        .filter(|name| !test_app.mails_to(&format!("{name}@example.org")).is_empty())
        .collect()
}

async fn deliver_at(test_app: &TestApp, moment: &str) -> Vec<&'static str> {
    sent_by(test_app, "2026-W49", moment).await;
    reached(test_app)
}

on_both! {
    async fn a_digest_is_spread_evenly_over_its_window(test_db) {
        let test_app = TestApp::open_with(test_db, over_two_hours).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 400).await;
        tick_at(&test_app, "2026-11-24T08:00:00Z").await;
        assert_eq!(tick_at(&test_app, "2026-11-24T09:00:00Z").await, DigestState::Sending);
        let mut sent = vec![0];
        for moment in ["2026-11-24T09:30:01Z", "2026-11-24T10:00:01Z", "2026-11-24T10:30:01Z", "2026-11-24T11:00:01Z"] {
            sent.push(sent_by(&test_app, "2026-W48", moment).await);
        }
        assert_eq!(sent[4], 400);
        assert!(sent.windows(2).all(|pair| (60..=140).contains(&(pair[1] - pair[0]))), "about a hundred each half hour: {sent:?}");
    }

    async fn a_reader_has_the_same_point_of_the_window_each_week(test_db) {
        let again = test_db.again();
        let test_app = TestApp::open_with(test_db, over_two_hours).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 50).await;
        give_largest_number(&again, "reader7@example.org").await;
        for (pick, send) in [("2026-11-24T08:00:00Z", "2026-11-24T09:00:00Z"), ("2026-12-01T08:00:00Z", "2026-12-01T09:00:00Z")] {
            test_app.seed_catalogue(&comparison(&format!("on-{}", &pick[5..10]), "Data", at(pick) - chrono::TimeDelta::hours(3))).await;
            tick_at(&test_app, pick).await;
            tick_at(&test_app, send).await;
        }
        let digests = test_app.app.storage.digests().await.expect("digests");
        let mut weeks = Vec::new();
        for digest in digests {
            let published = digest.published_at.expect("published").timestamp_millis();
            let due = due_moments(&again, digest.slot.id()).await;
            weeks.push(due.into_iter().map(|(reader, due)| (reader, due - published)).collect::<Vec<_>>());
        }
        assert_eq!((weeks[0].len(), weeks[0].last().expect("the last").0), (50, i64::MAX));
        assert_eq!(weeks[0], weeks[1]);
        assert!(weeks[0].iter().all(|(_, offset)| (0..TWO_HOURS).contains(offset)), "{:?}", weeks[0]);
    }

    async fn nine_o_clock_is_nine_o_clock_by_each_readers_own_clock(test_db) {
        let test_app = app_around_the_world(test_db, |_| {}).await;
        assert_eq!(tick_at(&test_app, "2026-11-30T18:59:00Z").await, DigestState::Approved);
        assert_eq!(tick_at(&test_app, "2026-11-30T19:00:00Z").await, DigestState::Sending, "the first clock anywhere shows Tuesday 09:00");
        assert!(deliver_at(&test_app, "2026-11-30T23:59:00Z").await.is_empty());
        assert_eq!(deliver_at(&test_app, "2026-12-01T00:00:01Z").await, ["tokyo"]);
        assert_eq!(deliver_at(&test_app, "2026-12-01T07:59:00Z").await, ["tokyo"]);
        assert_eq!(deliver_at(&test_app, "2026-12-01T08:00:01Z").await, ["tokyo", "berlin"]);
        assert_eq!(deliver_at(&test_app, "2026-12-01T09:00:01Z").await, ["tokyo", "berlin", "home", "odd"]);
        assert_eq!(deliver_at(&test_app, "2026-12-01T13:59:00Z").await.len(), 4);
        assert_eq!(deliver_at(&test_app, "2026-12-01T14:00:01Z").await.len(), 5);
        let dated = |name: &str| {
            let mails = test_app.mails_to(&format!("{name}@example.org"));
            mail_parser::MessageParser::default().parse(&mails[0]).and_then(|mail| mail.date().map(|date| date.to_timestamp()))
        };
        assert_eq!(dated("tokyo"), Some(at("2026-12-01T00:00:00Z").timestamp()));
        assert_eq!(dated("york"), Some(at("2026-12-01T14:00:00Z").timestamp()), "no mail looks older than it is");
    }

    async fn whoever_is_past_the_time_when_it_is_approved_gets_it_at_once(test_db) {
        let test_app = app_around_the_world(test_db, |settings| settings.schedule.approval = Approval::Required).await;
        assert_eq!(tick_at(&test_app, "2026-11-30T20:00:00Z").await, DigestState::Draft);
        test_app.set_clock("2026-12-01T08:30:00Z");
        test_app.app.approve_digest(&Actor::cli(), "2026-W49".parse().expect("a slot")).await.expect("approved");
        assert_eq!(tick_at(&test_app, "2026-12-01T08:31:00Z").await, DigestState::Sending);
        assert_eq!(deliver_at(&test_app, "2026-12-01T08:32:00Z").await, ["tokyo", "berlin"]);
        assert_eq!(deliver_at(&test_app, "2026-12-01T14:00:01Z").await.len(), 5);
    }

    async fn a_digest_approved_after_its_time_keeps_to_the_clocks_that_do_not_show_it_yet(test_db) {
        let test_app = app_around_the_world(test_db, |settings| settings.schedule.approval = Approval::Required).await;
        tick_at(&test_app, "2026-11-30T20:00:00Z").await;
        test_app.set_clock("2026-12-01T12:00:00Z");
        test_app.app.approve_digest(&Actor::cli(), "2026-W49".parse().expect("a slot")).await.expect("approved");
        assert_eq!(tick_at(&test_app, "2026-12-01T12:01:00Z").await, DigestState::Sending);
        assert_eq!(deliver_at(&test_app, "2026-12-01T12:02:00Z").await, ["tokyo", "berlin", "home", "odd"]);
        assert_eq!(deliver_at(&test_app, "2026-12-01T14:00:01Z").await.len(), 5);
    }

    async fn what_is_sent_by_hand_goes_to_all_at_once(test_db) {
        let test_app = app_around_the_world(test_db, over_two_hours).await;
        test_app.stock_small().await;
        test_app.send_digest().await;
        assert_eq!(reached(&test_app).len(), 5);
    }

    async fn a_zone_comes_with_a_sign_up_and_nonsense_is_passed_over(test_db) {
        let program = Program::set_up(&test_db);
        let test_app = TestApp::open(test_db).await;
        let zone = |email: &str| program.run(&["--json", "subscribers", "show", email]).good().json()["timezone"].clone();
        test_app.post_json("/subscribe", &json!({ "email": "api@example.org", "timezone": "America/Sao_Paulo" })).await;
        test_app.post_form("/subscribe", &[("email", "form@example.org"), ("timezone", "Asia/Kolkata"), ("website", "")]).await;
        let odd = test_app.post_json("/subscribe", &json!({ "email": "odd@example.org", "timezone": "'; drop table" })).await;
        assert_eq!(odd.status(), reqwest::StatusCode::ACCEPTED);
        assert_eq!([zone("api@example.org"), zone("form@example.org"), zone("odd@example.org")], [json!("America/Sao_Paulo"), json!("Asia/Kolkata"), json!(null)]);
        test_app.post_json("/subscribe", &json!({ "email": "form@example.org" })).await;
        assert_eq!(zone("form@example.org"), json!("Asia/Kolkata"), "asking again without one forgets nothing");
    }

    async fn nobody_moves_the_clock_of_somebody_on_the_list_by_signing_them_up(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.enlist_all(AROUND_THE_WORLD).await;
        let before = test_app.record_of("tokyo@example.org").await;
        test_app.post_json("/subscribe", &json!({ "email": "tokyo@example.org", "timezone": "Europe/Rome" })).await;
        assert_eq!(test_app.record_of("tokyo@example.org").await, before);
    }

    async fn a_zone_survives_an_export_and_an_import(test_db) {
        let elsewhere = if test_db.is_postgres() { TestDb::postgres().expect("a database") } else { TestDb::sqlite() };
        let (program, other) = (Program::set_up(&test_db), Program::set_up(&elsewhere));
        program.write("list.csv", AROUND_THE_WORLD);
        program.run(&["subscribers", "import", "list.csv", "--consent", "at the fair", "--confirmed"]).good();
        let exported = program.run(&["subscribers", "export", "-"]).good().out;
        assert!(exported.starts_with("email,name,confirmed_at,source,state,timezone\n"), "{exported}");
        other.run_with_input(&["subscribers", "import", "-", "--consent", "moved", "--confirmed"], exported.as_bytes());
        let list = other.run(&["--json", "subscribers", "list"]).good().json();
        let mut zones: Vec<_> = list["subscribers"].as_array().expect("a list").iter().filter_map(|row| row["timezone"].as_str()).collect();
        zones.sort();
        assert_eq!(zones, ["America/New_York", "Asia/Tokyo", "Europe/Berlin"]);
    }
}
