//! The copy of what is kept of a person holds all of it: a walk over the schema fails on a column that it lacks.

mod columns;

use std::collections::BTreeSet;
use verdicts::domain::actor::Actor;

use chrono::TimeDelta;
use serde_json::Value;
use verdicts::app::webhooks_out::TypedEndpoint;

use crate::inbound::app_with_a_reader_and;
use crate::inbound::report;
use crate::inbound::return_path;
use crate::journey::link;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use columns::COLUMNS;
use columns::In::Copy;
use columns::In::Not;

const ADA: &str = "reader0@example.org";

/// Tables with a column that sounds like a person's and is none, or none that anybody can tell whose it is.
const OTHERS: &[(&str, &str)] = &[
    (
        "visitor_votes",
        "a visitor is no subscriber: their cookie is kept as a hash, and nothing ties it to an address",
    ),
    ("digests", "counts its recipients"),
    ("digest_revisions", "what users wrote of an issue"),
    ("digest_versions", "mails before a correction"),
    ("digest_notes", "what is said about an issue"),
    ("test_recipients", "the publisher's own people"),
    ("users", "who runs the newsletter, which is no subscriber"),
    ("sessions", "of users"),
    ("tokens", "of programs that act for users"),
    (
        "audit",
        "what the publisher's side did, in ids and codes; what concerns a reader stands in their history too",
    ),
    ("audit_head", "the hash of a row of the audit log"),
];

/// Whether a column's name says that its row is about a person.
fn is_personal(column: &str) -> bool {
    ["subscriber", "email", "address", "visitor", "network", "recipient", "hash", "client"].iter().any(|word| column.contains(word))
        // Of content, not of a person.
        && !matches!(column, "content_hash" | "body_hash")
}

async fn columns_of(test_db: &TestDb) -> Vec<(String, String)> {
    if test_db.is_postgres() {
        let pool = sqlx::PgPool::connect(&test_db.database_url)
            .await
            .expect("a connection");
        let sql = "select table_name::text, column_name::text from information_schema.columns where table_schema = 'public'";
        sqlx::query_as(sql).fetch_all(&pool).await.expect("columns")
    } else {
        let pool = sqlx::SqlitePool::connect(&test_db.database_url)
            .await
            .expect("a connection");
        let sql = "select t.name, c.name from sqlite_master t, pragma_table_info(t.name) c where t.type = 'table'";
        sqlx::query_as(sql).fetch_all(&pool).await.expect("columns")
    }
}

/// What stands in a column in some row, as text; `None` where no row has anything.
async fn values(test_db: &TestDb, table: &str, column: &str) -> Vec<String> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select cast({column} as text) from {table} where {column} is not null"
    ));
    if test_db.is_postgres() {
        let pool = sqlx::PgPool::connect(&test_db.database_url)
            .await
            .expect("a connection");
        sqlx::query_scalar(sql)
            .fetch_all(&pool)
            .await
            .expect("values")
    } else {
        let pool = sqlx::SqlitePool::connect(&test_db.database_url)
            .await
            .expect("a connection");
        sqlx::query_scalar(sql)
            .fetch_all(&pool)
            .await
            .expect("values")
    }
}

/// What the copy has at a place, as the database would write it.
fn at(copy: &Value, test_db: &str) -> Vec<String> {
    let mut found = vec![copy];
    for part in test_db.split('/').skip(1) {
        found = found
            .into_iter()
            .flat_map(|value| match part {
                "*" => value.as_array().into_iter().flatten().collect::<Vec<_>>(),
                part => value.get(part).into_iter().collect(),
            })
            .collect();
    }
    found
        .into_iter()
        .filter(|value| !value.is_null())
        .map(as_stored)
        .collect()
}

fn as_stored(value: &Value) -> String {
    match value {
        Value::Bool(yes) => u8::from(*yes).to_string(),
        Value::String(text) => match chrono::DateTime::parse_from_rfc3339(text) {
            Ok(at) => at.timestamp_millis().to_string(),
            Err(_) => text.clone(),
        },
        other => other.to_string(),
    }
}

/// Somebody of whom everything is kept that can be: what no door leaves is written behind the program's back.
async fn app_with_a_full_life(test_db: TestDb) -> (TestApp, String) {
    let test_app = app_with_a_reader_and(test_db, |_| {}).await;
    let endpoint = TypedEndpoint {
        name: "CRM".into(),
        url: "https://crm.example/hook".into(),
        kinds: vec!["*".into()],
        personal: true,
        ..TypedEndpoint::default()
    };
    let by = Actor::cli();
    let added = test_app.app.add_webhook_endpoint(&by, &endpoint).await;
    added.expect("added");
    let digest = test_app.mails_to(ADA).pop().expect("a digest");
    test_app.post(&link(&digest, "/vote/t0-l/ship/")).await;
    test_app.post(&link(&digest, "/save/t0-l/")).await;
    let preferences = link(&digest, "/preferences/");
    test_app
        .post_form(
            &preferences,
            &[
                ("category", "Design"),
                ("rhythm", "monthly"),
                ("pause", "4"),
            ],
        )
        .await;
    let returned = report(&return_path(&test_app, ADA), ADA, "552 5.2.2 mailbox full");
    test_app
        .app
        .take_inbound(
            returned.as_bytes(),
            verdicts::domain::inbound_channel::InboundChannel::Command,
        )
        .await
        .expect("taken");
    test_app.wait(TimeDelta::minutes(11));
    test_app.post(&format!("{preferences}/link")).await;
    test_app.deliver_confirmations().await;
    let data = link(&test_app.mails_to(ADA).pop().expect("a mail"), "/account/");
    test_app
        .post_form(&format!("{data}/name"), &[("name", "Ada Lovelace")])
        .await;
    test_app
        .post_form(&format!("{data}/address"), &[("email", "ada@new.example")])
        .await;
    // The other reader goes, so that every row left is about her.
    test_app
        .app
        .erase_subscriber(
            &Actor::cli(),
            &"reader1@example.org".parse().expect("an address"),
        )
        .await
        .expect("erased");
    let hash = test_app
        .app
        .address_hashes(&ADA.parse().expect("an address"))
        .remove(0);
    for sql in [
        "delete from suppressions".to_owned(),
        "delete from events where subscriber_id is null".to_owned(),
        "delete from deliveries where subscriber_id not in (select id from subscribers)".to_owned(),
        "update subscribers set timezone = 'Europe/Berlin', locale = 'de', requested_at = 1700000000001, confirmation_at = 1700000000002, reminded_at = 1700000000003, link_sent_at = 1700000000008".to_owned(),
        "insert into former_addresses (email_key, subscriber_id, left_at) select 'ada@old.example', id, 1700000000008 from subscribers".to_owned(),
        "insert into unsubscribe_reasons (subscriber_id, reason, given_at) select id, 'too_often', 1700000000010 from subscribers".to_owned(),
        format!("insert into inbound_unmatched (fingerprint, received_at, channel, report, email_key, tried_with) values ('f', 1700000000009, 'a pipe', '{{}}', '{ADA}', 'x')"),
        "update refusals set outcome = 'released'".to_owned(),
        "update consents set network = '192.0.2.0/24'".to_owned(),
        "update deliveries set uncertain_at = 1700000000004, relay = 'the relay', reply = '250 taken', variant = 7, version = 3, skip_reason = 'left'".to_owned(),
        format!("insert into suppressions (address_hash, key_name, reason, created_at, note) values ('{hash}', 'x', 'bounced', 1700000000005, 'a note')"),
        format!("insert into suppression_removals (address_hash, lifted_at, reason, suppressed_at, note) values ('{hash}', 1700000000006, 'complained', 1700000000007, 'back again')"),
    ] {
        crate::support::run_raw_sql(&test_app.test_db, Box::leak(sql.into_boxed_str())).await;
    }
    (test_app, data)
}

on_both! {
    async fn a_readers_copy_holds_every_column_that_is_kept_of_them(test_db) {
        let (test_app, data) = app_with_a_full_life(test_db).await;
        let copy: Value = test_app.post(&format!("{data}/export")).await.json().await.expect("JSON");
        let schema = columns_of(&test_app.test_db).await;
        let personal: BTreeSet<&String> = schema.iter().filter(|(table, column)| is_personal(column) || COLUMNS.iter().any(|(known, _)| known == table)).map(|(table, _)| table).collect();
        for table in personal.into_iter().filter(|table| !OTHERS.iter().any(|(other, _)| other == table)) {
            let (_, known) = COLUMNS.iter().find(|(name, _)| name == table).unwrap_or_else(|| panic!("the table {table} is about people: put it into the copy (storage/personal_data.rs), or say here why not"));
            for (_, column) in schema.iter().filter(|(of, _)| of == table) {
                let (_, test_db) = known.iter().find(|(name, _)| name == column).unwrap_or_else(|| panic!("{table}.{column} is kept of people: put it into the copy (storage/personal_data.rs), or say here why not"));
                let Copy(test_db) = test_db else { continue };
                let (kept, copied) = (values(&test_app.test_db, table, column).await, at(&copy, test_db));
                // The welcome and the like stand as `kind` in the copy, which has one name for each mail.
                let kept: Vec<String> = kept.into_iter().filter(|value| !(table == "deliveries" && column == "kind" && value == "confirmation")).collect();
                assert!(!kept.is_empty(), "{table}.{column} is empty: this test must fill it");
                for value in kept {
                    assert!(copied.contains(&value), "{table}.{column} has {value:?}, the copy at {test_db} has {copied:?}");
                }
            }
        }
        for (name, columns) in COLUMNS {
            for (column, test_db) in *columns {
                assert!(schema.iter().any(|(table, of)| table == name && of == column), "{name}.{column} is no more");
                assert!(!matches!(test_db, Not("")));
            }
        }
        assert!(!copy.to_string().contains("reader1@"));
    }

    async fn a_readers_copy_names_each_of_many_digests(test_db) {
        let (test_app, data) = app_with_a_full_life(test_db).await;
        for sql in [
            "with recursive weeks (n) as (select 1 union all select n + 1 from weeks where n < 23)
             insert into digests (id, state, created_at, send_at, published_at, recipients)
             select 202500 + n, 'sent', n, n, n, 1 from weeks",
            "insert into deliveries (mailing_id, subscriber_id, kind, state, queued_at, due_at)
             select g.id, s.id, 'digest', 'sent', g.id, g.id from digests g, subscribers s where g.id < 202524",
        ] {
            crate::support::run_raw_sql(&test_app.test_db, sql).await;
        }
        let copy: Value = test_app.post(&format!("{data}/export")).await.json().await.expect("JSON");
        let slots: BTreeSet<&str> = copy["mails"].as_array().expect("mails").iter().filter_map(|mail| mail["slot"].as_str()).collect();
        for week in 1..=23 {
            assert!(slots.contains(format!("2025-W{week:02}").as_str()), "week {week} is missing among {slots:?}");
        }
        assert_eq!(slots.len(), 24, "those, and the digest that went out");
    }

    async fn an_erasure_leaves_a_keyed_hash_and_rows_of_the_ledger_that_name_nobody(test_db) {
        let (test_app, data) = app_with_a_full_life(test_db).await;
        crate::support::run_raw_sql(&test_app.test_db, "delete from suppressions; delete from suppression_removals").await;
        test_app.post_form(&format!("{data}/erase"), &[("sure", "yes")]).await;
        let left = test_app.test_db.dump().await;
        for row in &left {
            let lower = row.to_lowercase();
            assert!(!["reader0", "lovelace", "ada@new", "ada@old", "192.0.2.0", "europe/berlin"].iter().any(|personal| lower.contains(personal)), "{row}");
        }
        let tables: BTreeSet<&str> = COLUMNS.iter().map(|(table, _)| *table).filter(|table| left.iter().any(|row| row.starts_with(&format!("{table}:")))).collect();
        assert_eq!(tables, BTreeSet::from(["deliveries", "events", "suppressions"]));
        let about: Vec<String> = values(&test_app.test_db, "events", "subscriber_id").await;
        assert!(about.is_empty(), "events about them went with them: {about:?}");
    }
}
