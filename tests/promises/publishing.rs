//! Publishing in ranges: killed between any two, everybody on the list at the freeze has the digest once, and nobody waits for the whole.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::Connection as _;
use tokio_util::sync::CancellationToken;
use verdicts::app::issue::preflight::Preflight;
use verdicts::domain::actor::Actor;
use verdicts::domain::delivery::SkipReason;
use verdicts::domain::digest::DigestState;

use crate::support::House;
use crate::support::Place;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::behind_its_back;
use crate::support::catalogue;
use crate::support::on_both;
use crate::support::until;

/// A house whose digests are published in ranges of so many readers.
async fn house_of(place: Place, sink: &SmtpSink, range: u32) -> House {
    let url = sink.url();
    House::open_with(place, |settings| {
        settings.mail.transport = url.into();
        settings.schedule.publish_range = range;
    })
    .await
}

/// Another process on the same database.
async fn another(house: &House, sink: &SmtpSink, range: u32) -> House {
    let other = house_of(house.place.again(), sink, range).await;
    other.set_clock(&house.app.now().to_rfc3339());
    other
}

/// Freezes this week's digest, and makes its first range: then the process is gone.
async fn freeze(house: &House) {
    house.set_clock("2026-11-24T09:00:30Z");
    house.app.tick().await.expect("picked and published");
}

async fn audited(house: &House) -> (u64, bool, Vec<String>) {
    let audit = house
        .app
        .storage
        .audit(house.slot(), 10)
        .await
        .expect("an audit")
        .expect("a digest");
    (audit.recipients, audit.is_publishing, audit.faults)
}

/// How many mails each reader has, of those who have any.
fn mails_by_reader(sink: &SmtpSink) -> Vec<usize> {
    let received = sink.received();
    let readers: BTreeSet<&String> = received.iter().map(|mail| &mail.to).collect();
    readers
        .iter()
        .map(|to| received.iter().filter(|mail| mail.to == **to).count())
        .collect()
}

async fn state(house: &House) -> DigestState {
    house
        .app
        .storage
        .digest(house.slot())
        .await
        .expect("an answer")
        .expect("a digest")
        .state
}

on_both! {
    async fn killed_after_any_range_another_process_goes_on(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let house = house_of(place, &sink, 7).await;
        house.stock_small().await;
        house.enlist("r", 40).await;
        freeze(&house).await;
        let mut made = 7;
        // After each range another process looks: nothing is amiss, and it goes on where the last one was killed.
        while made < 40 {
            assert_eq!(audited(&house).await, (made, true, Vec::new()));
            assert_eq!(house.app.storage.tally(house.slot().id()).await.expect("a tally").queued, made);
            assert_ne!(house.app.storage.finish_digests(house.app.now()).await.expect("looked"), [house.slot()], "it is not over");
            let other = another(&house, &sink, 7).await;
            let range = other.app.storage.publish_range(7, other.app.now()).await.expect("made").expect("a range");
            made = (made + 7).min(40);
            assert_eq!((range.recipients, range.is_last), (made, made == 40));
        }
        assert_eq!(house.app.storage.publish_range(7, house.app.now()).await.expect("looked"), None);
        house.deliver_while("all", async || state(&house).await == DigestState::Sent).await;
        assert_eq!((mails_by_reader(&sink), audited(&house).await), (vec![1; 40], (40, false, Vec::new())));
    }

    async fn whoever_delivers_makes_what_is_left_and_sends_before_the_last_range(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let house = house_of(place, &sink, 10).await;
        house.stock_small().await;
        house.enlist("r", 300).await;
        freeze(&house).await;
        assert_eq!(audited(&house).await, (10, true, Vec::new()));
        let other = another(&house, &sink, 10).await;
        other.deliver_while("all", async || state(&other).await == DigestState::Sent).await;
        assert_eq!((mails_by_reader(&sink), audited(&house).await), (vec![1; 300], (300, false, Vec::new())));
    }

    async fn what_is_made_is_sent_while_the_rest_is_not(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let house = house_of(place, &sink, 10).await;
        house.stock_small().await;
        house.enlist("r", 30).await;
        freeze(&house).await;
        // A process that only sends: the rest is held up elsewhere.
        let (now, storage) = (house.app.now(), &house.app.storage);
        let sender = storage.register_sender("a test", chrono::TimeDelta::hours(1), now).await.expect("entered");
        let claimed = storage.claim(sender, &[], None, 100, now).await.expect("claimed").jobs;
        assert_eq!((claimed.len(), audited(&house).await), (10, (10, true, Vec::new())));
        storage.leave_sender(sender, now).await.expect("left");
    }

    async fn who_joins_or_comes_back_after_the_freeze_waits_and_who_leaves_gets_nothing(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let house = house_of(place, &sink, 5).await;
        house.stock_small().await;
        house.enlist("r", 20).await;
        let id = |email: &'static str| {
            let storage = &house.app.storage;
            async move { storage.person(&email.parse().expect("one")).await.expect("an answer").expect("somebody").subscriber.id }
        };
        let (back, leaver) = (id("r18@example.org").await, id("r19@example.org").await);
        assert!(house.app.storage.unsubscribe(&verdicts::domain::actor::Actor::reader(), back, verdicts::domain::history::UnsubscribedBy::Link, house.app.now()).await.expect("left"));
        freeze(&house).await;
        house.wait(chrono::TimeDelta::minutes(1));
        house.enlist("new", 5).await;
        house.sign_up("r18@example.org").await;
        house.app.storage.confirm(back, house.app.now()).await.expect("confirmed");
        assert!(house.app.storage.unsubscribe(&verdicts::domain::actor::Actor::reader(), leaver, verdicts::domain::history::UnsubscribedBy::Link, house.app.now()).await.expect("left"));
        house.send_digest().await;
        // r19 left before their range was made, r18 came back after the freeze.
        let digests: BTreeSet<String> = sink.received().into_iter().map(|mail| mail.to).filter(|to| !to.starts_with("new")).collect();
        assert!((0..18).all(|n| digests.contains(&format!("r{n}@example.org"))) && !digests.contains("r19@example.org"), "{digests:?}");
        let digest = house.app.status(house.slot()).await.expect("a digest");
        assert_eq!((digest.digest.recipients, digest.tally.sent, digest.digest.state), (18, 18, DigestState::Sent));
        assert_eq!(audited(&house).await, (18, false, Vec::new()));
    }

    async fn paused_and_resumed_between_ranges_everybody_has_it_once(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let house = house_of(place, &sink, 6).await;
        house.stock_small().await;
        house.enlist("r", 30).await;
        freeze(&house).await;
        house.app.pause_digest(&Actor::cli(), house.slot()).await.expect("paused");
        let range = house.app.storage.publish_range(6, house.app.now()).await.expect("made").expect("a range");
        assert_eq!((range.recipients, audited(&house).await), (12, (12, true, Vec::new())), "deliveries are made, and nothing goes out");
        assert_eq!(sink.mails(), 0);
        house.app.resume_digest(&Actor::cli(), house.slot(), Preflight::Forced).await.expect("resumed");
        house.send_digest().await;
        assert_eq!((mails_by_reader(&sink), audited(&house).await), (vec![1; 30], (30, false, Vec::new())));
    }

    async fn cancelled_between_ranges_no_more_are_made_and_the_counts_say_so(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let house = house_of(place, &sink, 6).await;
        house.stock_small().await;
        house.enlist("r", 30).await;
        freeze(&house).await;
        house.app.storage.publish_range(6, house.app.now()).await.expect("made");
        let status = house.app.cancel_digest(&Actor::cli(), house.slot()).await.expect("cancelled");
        assert_eq!((status.tally.failed, status.tally.skipped, status.tally.open(), status.digest.recipients), (0, 12, 0, 12));
        assert_eq!(status.skips, [(SkipReason::Cancelled, 12)]);
        assert_eq!(house.app.storage.publish_range(6, house.app.now()).await.expect("looked"), None);
        assert_eq!((audited(&house).await, sink.mails()), ((12, false, Vec::new()), 0));
        assert_eq!(house.page("/digests").await.matches("2026-W48").count(), 0, "it reached nobody");
    }

    async fn a_sign_up_is_through_before_the_last_range(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let house = house_of(place, &sink, 20).await;
        house.stock_small().await;
        house.enlist("r", 4_000).await;
        freeze(&house).await;
        let (app, stop) = (house.app.clone(), CancellationToken::new());
        let publishing = tokio::spawn(async move { app.publish_ranges(&stop).await.expect("published") });
        for n in 0..5 {
            house.sign_up(&format!("new{n}@example.org")).await;
        }
        assert!(!publishing.is_finished() && audited(&house).await.1, "five sign-ups took as long as two hundred ranges");
        publishing.await.expect("published");
        assert_eq!(audited(&house).await, (4_000, false, Vec::new()));
        assert_eq!(house.known_people().await, 4_005);
    }

    async fn choices_are_followed_in_each_range(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let house = house_of(place, &sink, 3).await;
        house.stock_small().await;
        house.enlist("r", 12).await;
        behind_its_back(
            &house.place,
            "insert into preferences (subscriber_id, categories, monthly, paused_until)
               select id, '[]', 0, 9999999999999 from subscribers where email in ('r1@example.org', 'r10@example.org')",
        )
        .await;
        freeze(&house).await;
        let stop = CancellationToken::new();
        house.app.publish_ranges(&stop).await.expect("published");
        let status = house.app.status(house.slot()).await.expect("a digest");
        assert_eq!((status.digest.recipients, status.tally.queued, status.tally.skipped), (12, 10, 2));
        assert_eq!(status.skips, [(SkipReason::Paused, 2)]);
        assert_eq!(audited(&house).await, (12, false, Vec::new()));
    }

    async fn the_counts_that_are_kept_are_those_of_the_rows_at_each_look(place) {
        let script = (0..60).step_by(3).fold(Script::accept_all(), |script, n| {
            script.reply_to(&format!("r{n}"), if n % 2 == 0 { "451 4.3.0 try later" } else { "550 5.7.1 not wanted" })
        });
        let sink = SmtpSink::start(script.delay(Duration::from_millis(2))).await;
        let house = house_of(place, &sink, 8).await;
        house.stock_small().await;
        house.enlist("r", 60).await;
        freeze(&house).await;
        house.deliver_while("a first try of all", async || {
            let (_, is_publishing, faults) = audited(&house).await;
            assert_eq!(faults, [""; 0]);
            let tally = house.app.storage.tally(house.slot().id()).await.expect("a tally");
            !is_publishing && tally.sent == 40 && tally.failed == 10
        })
        .await;
        let status = house.app.status(house.slot()).await.expect("a digest");
        assert_eq!((status.tally.queued, status.tally.skipped, status.failures), (10, 0, vec![("550 5.7.1 not wanted".to_owned(), 10)]));
        assert_eq!(audited(&house).await, (60, false, Vec::new()));
    }

    async fn killed_in_the_middle_of_the_ranges_and_started_again_nobody_is_lost(place) {
        const READERS: usize = 3_000;
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = Program::set_up(&place)
            .with("VERDICTS_MAIL__TRANSPORT", &sink.url())
            .with("VERDICTS_SCHEDULE__PUBLISH_RANGE", "25");
        #[allow(clippy::disallowed_methods, reason = "the program looks at the machine's clock, so its catalogue must be of today")]
        let now = chrono::Utc::now();
        program.write("catalogue.toml", catalogue::small(5, now));
        program.run(&["catalog", "import", "catalogue.toml"]).good();
        let rows: String = (0..READERS).map(|n| format!("r{n}@example.org\n")).collect();
        program.run_with_input(&["subscribers", "import", "-", "--consent", "test", "--confirmed"], format!("email\n{rows}").as_bytes()).good();
        let mut cut_short = 0;
        for kill_at in [1, 300, 600] {
            let mut sending = program.start("send", &["digest", "send"]);
            sink.wait_for(kill_at, Duration::from_secs(60)).await;
            sending.kill();
            let audit = program.run(&["digest", "audit", "--json"]).good().json();
            cut_short += u32::from(audit["digests"][0]["is_publishing"] == true);
        }
        assert!(cut_short > 0, "no kill came between two ranges");
        program.run(&["digest", "send"]).good();
        let audit = program.run(&["digest", "audit", "--json"]).good().json();
        let digest = &audit["digests"][0];
        assert_eq!((digest["recipients"].as_u64(), digest["deliveries"]["sent"].as_u64()), (Some(3_000), Some(3_000)), "{digest}");
        assert_eq!((mails_by_reader_count(&sink), &digest["is_publishing"]), (READERS, &serde_json::json!(false)));
    }
}

fn mails_by_reader_count(sink: &SmtpSink) -> usize {
    sink.received()
        .into_iter()
        .map(|mail| mail.to)
        .collect::<BTreeSet<String>>()
        .len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_publish_one_digest_together() {
    let Some(place) = Place::postgres() else {
        return;
    };
    let sink = SmtpSink::start(Script::accept_all()).await;
    let house = house_of(place, &sink, 10).await;
    house.stock_small().await;
    house.enlist("r", 500).await;
    freeze(&house).await;
    let other = another(&house, &sink, 10).await;
    let stop = CancellationToken::new();
    let (one, two) = tokio::join!(
        house.app.publish_ranges(&stop),
        other.app.publish_ranges(&stop)
    );
    assert!(one.is_ok() && two.is_ok());
    until("the last range", async || !audited(&house).await.1).await;
    assert_eq!(audited(&house).await, (500, false, Vec::new()));
    house.send_digest().await;
    assert_eq!(mails_by_reader(&sink), [1; 500]);
}

/// Rows of the subscribers that PostgreSQL has read so far, by its own count, which a connection gives when it ends.
async fn subscribers_read(house: House) -> (Place, i64) {
    house.app.storage.close().await;
    let place = house.place.again();
    let mut connection = sqlx::PgConnection::connect(&place.database_url)
        .await
        .expect("a connection");
    until("the other connections have ended", async || {
        let others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
            and backend_type = 'client backend'";
        sqlx::query_scalar::<_, i64>(others).fetch_one(&mut connection).await.expect("a count") == 0
    })
    .await;
    let read = "select cast(sum(seq_tup_read) as bigint) + (select cast(sum(idx_tup_read) as bigint) from pg_stat_user_indexes
        where relname = 'subscribers') from pg_stat_user_tables where relname = 'subscribers'";
    let read = sqlx::query_scalar(read)
        .fetch_one(&mut connection)
        .await
        .expect("a count");
    drop(house);
    (place, read)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_reads_its_own_readers_alone_right_after_an_import() {
    let Some(place) = Place::postgres() else {
        return;
    };
    let sink = SmtpSink::start(Script::accept_all()).await;
    let house = house_of(place, &sink, 200).await;
    house.stock_small().await;
    // So many that the planner, without statistics, would rather collect all that are left and sort them.
    let fill = "alter table subscribers set (autovacuum_enabled = off);
        insert into subscribers (id, email, email_key, state, state_at, created_at)
        select i, i || '@example.org', i || '@example.org', 'active', 0, 0 from generate_series(1, 200000) i";
    behind_its_back(&house.place, fill).await;
    freeze(&house).await;
    let (place, before) = subscribers_read(house).await;
    let house = house_of(place, &sink, 200).await;
    house.set_clock("2026-11-24T09:00:40Z");
    for _ in 0..5 {
        house
            .app
            .storage
            .publish_range(200, house.app.now())
            .await
            .expect("made")
            .expect("a range");
    }
    let (_, after) = subscribers_read(house).await;
    assert!(
        (1_000..10_000).contains(&(after - before)),
        "{} rows were read for 1,000 deliveries",
        after - before
    );
}
