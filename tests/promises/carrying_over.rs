//! A database of before 0.2.0 is carried over to the baseline: whole, with what was under way.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sqlx::AssertSqlSafe;
use sqlx::Connection as _;
use sqlx::migrate::Migrate;
use sqlx::migrate::Migrator;

use crate::codes;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;

/// The last migration of commit 7296efe, and of the last commit before the baseline.
const FIRST_PUBLISHED: i64 = 13;
const LAST_BEFORE: i64 = 132;

/// Each old table and its columns, and where they stand now; empty: the same columns.
const COPIED: [(&str, &str, &str, &str); 36] = [
    (
        "installation",
        "id, created_at, sample_at",
        "installation",
        "id, created_at, sample_at",
    ),
    (
        "kept_secrets",
        "name, value",
        "instance_secrets",
        "name, value",
    ),
    (
        "tools",
        "slug, name, tagline, description, url, pricing, entry_price, published_at, sample",
        "tools",
        "",
    ),
    (
        "reviews",
        "tool, position, reviewer, score, verdict, take",
        "reviews",
        "",
    ),
    (
        "comparisons",
        "slug, left_tool, right_tool, published_at, sample",
        "comparisons",
        "",
    ),
    (
        "panel_history",
        "tool, at, ships, skips, points",
        "panel_history",
        "",
    ),
    (
        "subscribers",
        "id, email, name, state, state_at, created_at, requested_at, confirmation_at, reminded_at, timezone",
        "subscribers",
        "",
    ),
    (
        "consents",
        "subscriber_id, requested_at, shown, source, network, confirmed_at",
        "consents",
        "",
    ),
    ("history", "subscriber_id, at", "history", ""),
    (
        "preferences",
        "subscriber_id, categories, monthly, paused_until",
        "preferences",
        "",
    ),
    (
        "moves",
        "id, subscriber_id, email, email_key, requested_at",
        "email_changes",
        "",
    ),
    (
        "suppressions",
        "address_hash, key_name, reason, created_at, note",
        "suppressions",
        "",
    ),
    (
        "lifted",
        "address_hash, lifted_at, reason, suppressed_at, note",
        "suppression_removals",
        "",
    ),
    (
        "votes",
        "tool, subscriber_id, verdict, voted_at",
        "votes",
        "",
    ),
    (
        "visitor_votes",
        "tool, visitor, network, verdict, voted_at",
        "visitor_votes",
        "",
    ),
    (
        "bookmarks",
        "subscriber_id, tool, saved_at, ships, skips",
        "bookmarks",
        "",
    ),
    (
        "digests",
        "id, state, created_at, send_at, approved_at, published_at, finished_at, recipients, content, subject, html, plain",
        "digests",
        "",
    ),
    (
        "picks",
        "digest_id, position, comparison, score_thousandths",
        "picks",
        "",
    ),
    (
        "variants",
        "digest_id, number, categories, monthly, saved, changes, content, subject, html, plain",
        "digest_variants",
        "",
    ),
    (
        "senders",
        "id, process, started_at, expires_at",
        "senders",
        "",
    ),
    (
        "deliveries",
        "mailing_id, subscriber_id, queued_at, due_at, attempts, sender_id, started_at, first_at, uncertain_at, finished_at, relay, variant",
        "deliveries",
        "",
    ),
    (
        "chunks",
        "mailing_id, first_id, last_id, due_at, sender_id, is_cut",
        "delivery_batches",
        "mailing_id, first_id, last_id, due_at, sender_id, is_split",
    ),
    (
        "digest_minutes",
        "mailing_id, minute, sent, later, failed, uncertain",
        "digest_send_stats",
        "mailing_id, minute, sent, deferred, failed, uncertain",
    ),
    (
        "relay_days",
        "relay, day, begun",
        "relay_daily_usage",
        "relay, day, reserved",
    ),
    (
        "inbound",
        "fingerprint, received_at, door, meaning, reason, status, line, subscriber_id, mailing_id",
        "inbound_mails",
        "fingerprint, received_at, channel, class, reason, status, reply, subscriber_id, mailing_id",
    ),
    (
        "webhook_events",
        "provider, id, digest, received_at, acted_at, body",
        "webhook_events",
        "provider, id, body_sha256, received_at, acted_at, body",
    ),
    // From here on tables that 7296efe had not.
    (
        "publish_progress",
        "mailing_id, after_id, until_id, due, month_at",
        "publish_progress",
        "",
    ),
    ("secret_names", "name, first_used_at", "secret_names", ""),
    (
        "refusal_lots",
        "mailing_id, words, domain, relay, hard, reports, state, held_by, decision, opened_at, due_at, held_at, checked_id, checked_after",
        "refusal_groups",
        "mailing_id, pattern, domain, relay, hard_count, report_count, state, held_by, decision, opened_at, due_at, held_at, checked_id, checked_after",
    ),
    (
        "send_domains",
        "mailing_id, domain, relay, mails",
        "send_domains",
        "",
    ),
    ("mail_quotas", "key, used_until", "mail_quotas", ""),
    (
        "observations",
        "what, seen_at, detail",
        "observations",
        "code, seen_at, detail",
    ),
    (
        "attempt_totals",
        "kind, outcome, total, last_at",
        "attempt_totals",
        "",
    ),
    (
        "inbound_unmatched",
        "fingerprint, received_at, door, reading, email_key, tried_with",
        "inbound_unmatched",
        "fingerprint, received_at, channel, report, email_key, tried_with",
    ),
    (
        "mails_set_aside",
        "mailbox, validity, uid, step, reason, tries, first_at, next_at",
        "mailbox_retries",
        "",
    ),
    (
        "deliverers",
        "process, seen_at, waits, ahead_ms",
        "delivery_processes",
        "process, seen_at, waits, clock_skew_ms",
    ),
];

enum Database {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

impl Database {
    async fn open(test_db: &TestDb) -> Self {
        if test_db.is_postgres() {
            let connection = sqlx::PgConnection::connect(&test_db.database_url).await;
            return Self::Postgres(connection.expect("a connection"));
        }
        let options: sqlx::sqlite::SqliteConnectOptions =
            test_db.database_url.parse().expect("an address");
        let connection =
            sqlx::SqliteConnection::connect_with(&options.create_if_missing(true)).await;
        Self::Sqlite(connection.expect("a connection"))
    }

    async fn run(&mut self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(connection) => sqlx::raw_sql(sql).execute(connection).await.map(drop),
            Self::Postgres(connection) => sqlx::raw_sql(sql).execute(connection).await.map(drop),
        }
        .expect("done");
    }

    async fn texts(&mut self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(connection) => sqlx::query_scalar(sql).fetch_all(connection).await,
            Self::Postgres(connection) => sqlx::query_scalar(sql).fetch_all(connection).await,
        }
        .unwrap_or_else(|error| panic!("{error}"))
    }

    /// The rows of some columns, each as one text.
    async fn rows(&mut self, table: &str, columns: &str) -> Vec<String> {
        let texts = columns
            .split(", ")
            .map(|column| format!("coalesce(cast({column} as text), '-')"))
            .collect::<Vec<_>>();
        let mut rows = self
            .texts(&format!(
                "select {} from {table}",
                texts.join(" || '|' || ")
            ))
            .await;
        rows.sort();
        rows
    }

    /// Applies the migrations of before the baseline up to that one, as sqlx does.
    async fn migrate_to(&mut self, last: i64) {
        let folder = PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/migrations/before_baseline"
        ));
        let migrations = Migrator::new(folder).await.expect("migrations");
        match self {
            Self::Sqlite(connection) => migrations.run_to(last, connection).await,
            Self::Postgres(connection) => migrations.run_to(last, connection).await,
        }
        .expect("migrated");
    }

    /// Applies the migrations that were written beside the baseline, on a database of before it.
    async fn migrate_beside(&mut self) {
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"));
        let migrations = Migrator::new(folder).await.expect("migrations");
        let beside = migrations
            .iter()
            .skip(1)
            .filter(|migration| migration.version <= LAST_BESIDE);
        for migration in beside {
            self.run(migration.sql.as_str()).await;
            let list: &mut dyn Migrate = match self {
                Self::Sqlite(connection) => connection,
                Self::Postgres(connection) => connection,
            };
            list.skip("_sqlx_migrations", migration)
                .await
                .expect("noted");
        }
    }

    /// All tables, columns, indexes and keys, in words that two like databases share.
    async fn schema(&mut self) -> Vec<String> {
        let sql = match self {
            Self::Sqlite(_) => {
                "select type || ' ' || name || ': ' || coalesce(sql, '') from sqlite_master where name not like 'sqlite%' and name not like '\\_sqlx%' escape '\\'"
            }
            Self::Postgres(_) => {
                "select table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '')
                 from information_schema.columns where table_schema = 'public' and table_name not like '\\_sqlx%'
                 union all select indexdef from pg_indexes where schemaname = 'public' and tablename not like '\\_sqlx%'
                 union all select cast(cast(conrelid as regclass) as text) || ' ' || conname || ' ' || pg_get_constraintdef(oid) from pg_constraint
                   where connamespace = cast('public' as regnamespace) and cast(cast(conrelid as regclass) as text) not like '\\_sqlx%'"
            }
        };
        let mut schema = self.texts(sql).await;
        schema.sort();
        schema
    }
}

/// The last migration that was written beside the baseline; later ones meet a database that has it.
const LAST_BESIDE: i64 = 241;

/// A database of commit 7296efe, or of the last one before the baseline, filled; what is in it, by table.
async fn filled(test_db: &TestDb, last: i64) -> BTreeMap<&'static str, Vec<String>> {
    let mut database = Database::open(test_db).await;
    database.migrate_to(FIRST_PUBLISHED).await;
    database
        .run(include_str!("../fixtures/schema/filled_0013.sql"))
        .await;
    if last > FIRST_PUBLISHED {
        database.migrate_to(last).await;
        database
            .run(include_str!("../fixtures/schema/filled_0132.sql"))
            .await;
    }
    let tables = if last > FIRST_PUBLISHED {
        COPIED.len()
    } else {
        26
    };
    let mut rows = BTreeMap::new();
    for (table, columns, _, _) in &COPIED[..tables] {
        rows.insert(*table, database.rows(table, columns).await);
    }
    rows
}

fn program(test_db: &TestDb) -> Program {
    Program::in_place(test_db).with("VERDICTS_SITE__SECRET", "a secret for tests only")
}

async fn holds_what_was_there(test_db: TestDb, last: i64) {
    let before = filled(&test_db, last).await;
    is_carried_over(test_db, last, before).await;
}

async fn is_carried_over(
    test_db: TestDb,
    last: i64,
    mut before: BTreeMap<&'static str, Vec<String>>,
) -> TestApp {
    let sink = SmtpSink::start(Script::accept_all()).await;
    let test_app = TestApp::open_to(test_db, &sink).await;
    let mut database = Database::open(&test_app.test_db).await;
    for (old, columns, table, now) in COPIED {
        let Some(mut rows) = before.remove(old) else {
            continue;
        };
        let columns = if now.is_empty() { columns } else { now };
        let mut found = database.rows(table, columns).await;
        if old == "secret_names" {
            // The program notes its own.
            found.retain(|row| rows.contains(row));
        }
        rows.sort();
        assert_eq!(found, rows, "{old} is {table} now");
    }
    assert_eq!(before, BTreeMap::new());
    assert_eq!(
        database
            .texts("select cast(version as text) from _sqlx_migrations order by version")
            .await[0],
        "1"
    );
    let fresh = TestApp::open(test_app.test_db.another()).await;
    assert_eq!(
        database.schema().await,
        Database::open(&fresh.test_db).await.schema().await,
        "the schema is that of a new database"
    );
    let (unknown, empty) = codes::unknown(&test_app.test_db).await;
    assert_eq!(unknown, [""; 0]);
    let is_younger = |table: &&str| codes::YOUNGER.contains(table);
    let empty: Vec<_> = empty.iter().filter(|table| !is_younger(table)).collect();
    assert!(
        last == FIRST_PUBLISHED || empty.is_empty(),
        "{empty:?} hold no codes: this test must fill them"
    );
    let history = database
        .rows("history", "subscriber_id, at, code, parameters")
        .await;
    for (row, sentence) in [
        (
            r#"1|1790000000024|refused|{"class":"recipient","count":2,"limit":5,"reply":"552 5.2.2 mailbox full"}"#,
            "refused, 2 of 5 in a row: 552 5.2.2 mailbox full",
        ),
        (
            r#"1|1790000000026|note|{"text":"something that a version of long ago wrote"}"#,
            "something that a version of long ago wrote",
        ),
    ] {
        assert!(
            history.iter().any(|entry| entry == row),
            "{row} in {history:#?}"
        );
        assert!(
            test_app
                .record_of("ada@old.example")
                .await
                .contains(sentence)
        );
    }
    assert_eq!(
        history.iter().filter(|row| row.contains("|note|")).count(),
        1,
        "{history:#?}"
    );
    what_was_under_way_goes_on(&test_app, &sink).await;
    test_app
}

/// The confirmation that waits, the digest that was being sent and the one in doubt, and then a digest of this week.
async fn what_was_under_way_goes_on(test_app: &TestApp, sink: &SmtpSink) {
    let kinds = Database::open(&test_app.test_db)
        .await
        .rows("deliveries", "kind, state, skip_reason, attempts")
        .await;
    for (row, times) in [
        ("confirmation|skipped|superseded|0", 1),
        ("confirmation|queued|-|0", 1),
        ("welcome|sent|-|1", 1),
        ("already_subscribed|sent|-|1", 1),
        ("account_link|sent|-|1", 1),
        ("account_link|skipped|expired|0", 1),
        ("email_change|queued|-|0", 1),
        ("email_changed|sent|-|1", 1),
        ("digest|failed|-|1", 1),
        ("digest|failed|-|3", 1),
        ("digest|skipped|cancelled|0", 2),
    ] {
        assert_eq!(
            kinds.iter().filter(|kind| *kind == row).count(),
            times,
            "{row} in {kinds:?}"
        );
    }
    for digest in ["2026-W40", "2025-W05"] {
        let slot = digest.parse().expect("a week");
        let audit = test_app
            .app
            .storage
            .audit(slot, 10)
            .await
            .expect("an audit")
            .expect("a digest");
        assert_eq!(audit.faults, [""; 0], "{digest}");
    }
    test_app
        .deliver_while("what waits", async || {
            ["ben", "gus", "hal"]
                .iter()
                .all(|name| !sink.received_by(&format!("{name}@old.example")).is_empty())
                && !sink.received_by("hal@new.example").is_empty()
        })
        .await;
    test_app.stock_small().await;
    test_app.send_digest().await;
    let audit = test_app
        .app
        .storage
        .audit(test_app.slot(), 10)
        .await
        .expect("an audit")
        .expect("a digest");
    assert_eq!(audit.faults, [""; 0]);
    assert_eq!(
        (audit.deliveries.sent, audit.deliveries.skipped),
        (4, 1),
        "fay follows a category with nothing new"
    );
    let skips = test_app.app.storage.skips(202640).await.expect("reasons");
    let skips: Vec<String> = skips
        .iter()
        .map(|(reason, times)| format!("{times} {reason}"))
        .collect();
    assert_eq!(
        skips,
        [
            "2 note",
            "1 cancelled",
            "1 erased",
            "1 left",
            "1 monthly",
            "1 not_requested",
            "1 nothing_new",
            "1 paused",
            "1 suppressed"
        ]
    );
    let failures = test_app
        .app
        .storage
        .failures(202640, 100)
        .await
        .expect("reasons");
    assert_eq!(
        failures.iter().map(|(_, times)| times).sum::<u64>(),
        2,
        "{failures:?}"
    );
    let slot = "2026-W42".parse().expect("a week");
    let audit = test_app
        .app
        .storage
        .audit(slot, 10)
        .await
        .expect("an audit")
        .expect("a digest");
    assert_eq!((audit.faults, audit.deliveries.sent), (Vec::new(), 3));
}

on_both! {
    async fn a_database_of_the_first_published_commit_is_carried_over(test_db) {
        holds_what_was_there(test_db, FIRST_PUBLISHED).await;
    }

    async fn a_database_of_the_last_commit_before_the_baseline_is_carried_over(test_db) {
        holds_what_was_there(test_db, LAST_BEFORE).await;
    }

    async fn tables_that_were_made_beside_the_baseline_keep_their_rows(test_db) {
        let before = filled(&test_db, LAST_BEFORE).await;
        let mut database = Database::open(&test_db).await;
        database.migrate_beside().await;
        database.run("insert into unsubscribe_reasons (subscriber_id, reason, given_at) values (3, 'too_often', 1790000000005)").await;
        let test_app = is_carried_over(test_db, LAST_BEFORE, before).await;
        let mut database = Database::open(&test_app.test_db).await;
        assert_eq!(database.rows("unsubscribe_reasons", "subscriber_id, reason, given_at").await, ["3|too_often|1790000000005"]);
    }

    async fn a_database_of_an_unknown_state_is_left_alone_and_named(test_db) {
        filled(&test_db, LAST_BEFORE).await;
        let mut database = Database::open(&test_db).await;
        database.run("update _sqlx_migrations set description = 'of another program', checksum = (select checksum from _sqlx_migrations where version = 13) where version = 8").await;
        let before = database.schema().await;
        program(&test_db).run(&["migrate"]).refused(&["their migration 8 is unknown", "Nothing was changed"]);
        assert_eq!(database.schema().await, before);
    }

    async fn a_carry_over_that_fails_half_way_changes_nothing(test_db) {
        filled(&test_db, LAST_BEFORE).await;
        let mut database = Database::open(&test_db).await;
        // A table of the operator's own with a name that the baseline needs.
        database.run("create table instance_secrets (mine text)").await;
        let before = (database.schema().await, database.rows("deliveries", "mailing_id, subscriber_id, state").await);
        program(&test_db).run(&["migrate"]).refused(&["instance_secrets", "already exists"]);
        assert_eq!((database.schema().await, database.rows("deliveries", "mailing_id, subscriber_id, state").await), before);
        database.run("drop table instance_secrets").await;
        TestApp::open(test_db).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secret_that_an_old_database_keeps_is_found() {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    filled(&test_db, LAST_BEFORE).await;
    let mut database = Database::open(&test_db).await;
    database.run("insert into kept_secrets (name, value) values ('site.secret', 'a secret for tests only')").await;
    let program = Program::in_place(&test_db);
    program.run(&["migrate"]).good();
    let kept = database
        .texts("select value from instance_secrets where name = 'site.secret'")
        .await;
    assert_eq!(kept, ["a secret for tests only"]);
    program
        .run(&["subscribers", "show", "ada@old.example"])
        .good();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_in_partitions_stays_in_them() {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    filled(&test_db, LAST_BEFORE).await;
    let mut database = Database::open(&test_db).await;
    database
        .run(include_str!("../../docs/partitions.sql"))
        .await;
    let partitions = "select cast(cast(inhrelid as regclass) as text) from pg_inherits where inhparent = cast('deliveries' as regclass) order by 1";
    let before = (
        database.texts(partitions).await,
        database
            .rows("deliveries_2026", "mailing_id, subscriber_id")
            .await,
    );
    let sink = SmtpSink::start(Script::accept_all()).await;
    let test_app = TestApp::open_to(test_db, &sink).await;
    assert_eq!(
        (
            database.texts(partitions).await,
            database
                .rows("deliveries_2026", "mailing_id, subscriber_id")
                .await
        ),
        before
    );
    what_was_under_way_goes_on(&test_app, &sink).await;
}
