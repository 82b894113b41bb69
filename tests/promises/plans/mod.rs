//! What statements cost as the list and its history grow: none scans a table that grows, on either database, with statistics or
//! without. All texts of `src/storage` are looked at; what is put together at run time is caught on its way.

mod events;
mod explain;
mod read_all;
mod source;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::PoisonError;

use tracing::Event;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::layer::SubscriberExt as _;
use verdicts::domain::subscriber_filter::IssueResult;
use verdicts::domain::subscriber_filter::SubscriberFilter;

use crate::codes;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::run_raw_sql;
use explain::Planner;

/// Whole commands that join all of a digest: as above.
const AUDITS: [&str; 2] = [
    "select count(*) from deliveries d join subscribers s",
    "select subscriber_id, state, uncertain_at, attempts",
];

/// How the statements begin that are put together at run time.
const COMPOSED: [&str; 14] = [
    "select s.id, s.email, s.name",
    "select s.id, s.created_at, ",
    "select count(*) from (select 1 as one",
    "select d.subscriber_id, max(d.mailing_id)",
    "with step (mailing",
    "with zones (zone",
    "insert into subscribers (id, email, email_key",
    "insert into consents (subscriber_id",
    "insert into history (subscriber_id",
    "select address_hash from suppressions",
    "select email_key from former_addresses",
    "select tool, reviewer, score",
    "select slug, name, category",
    "select tool, cast(sum(",
];

/// Where they are put together; `analyze` names a table, and reads as much of it whatever its size; the look at a file in `writer`
/// reads one row of each.
const COMPOSED_AT: [&str; 16] = [
    // Triggers, when a database is migrated.
    "page_versions.rs: AssertSqlSafe(sql)",
    // The whole database, once a backup.
    "backups.rs: \"vacuum into",
    "subscriber_list/statement.rs: AssertSqlSafe(self.text)",
    // Of a database of before the baseline, once.
    "carry_over/words.rs: ",
    "instance_secrets.rs: sql",
    "catalogue.rs: AssertSqlSafe(sql)",
    // Of the server's own views, one session.
    "migrating.rs: \"select coalesce(state = 'active'",
    "imports.rs: AssertSqlSafe(sql)",
    "imports.rs: \"insert into subscribers",
    "imports.rs: \"insert into consents",
    "imports.rs: \"insert into history",
    "publishing.rs: \"with zones",
    "statistics.rs: sqlx::AssertSqlSafe(format!(\"analyze",
    "ledger/updates.rs: sqlx::AssertSqlSafe(text_of",
    "opening.rs: ",
    "writer.rs: sql",
];

/// What sqlx was given to run by this process, of what is put together.
static CAUGHT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

struct Catch;

impl<S: Subscriber> Layer<S> for Catch {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            event.record(&mut Statement);
        }
    }
}

struct Statement;

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        let sql = value.trim();
        // Several statements at once are those with which tests fill a database: of them only the first would be explained, and the
        // others run.
        if field.name() == "db.statement"
            && !sql.contains(';')
            && COMPOSED.iter().any(|start| sql.starts_with(start))
        {
            CAUGHT
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(sql.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

/// A digest, an import and a page: whatever is put together at run time.
async fn scenario(test_app: &TestApp) {
    let only_sql =
        tracing_subscriber::filter::filter_fn(|metadata| metadata.target() == "sqlx::query");
    // The second of the two tests finds it set.
    let _ = tracing::subscriber::set_global_default(
        tracing_subscriber::registry().with(Catch.with_filter(only_sql)),
    );
    test_app.stock_small().await;
    test_app.seed_subscribers("r", 8).await;
    // An import asks for former addresses once anybody has one.
    let moved = "insert into former_addresses (email_key, subscriber_id, left_at) select 'before@example.org', min(id), 0 from subscribers";
    run_raw_sql(&test_app.test_db, moved).await;
    test_app.seed_subscribers("s", 2).await;
    test_app.send_digest().await;
    test_app.page("/").await;
    list_subscribers(test_app).await;
}

/// The list of subscribers by each condition alone, and by each together with one that no index serves.
async fn list_subscribers(test_app: &TestApp) {
    let slot = test_app.slot().to_string();
    let conditions = [
        ("search", "ada@"),
        ("search", "@example.org"),
        ("search", "ada lovelace"),
        ("search", "ada"),
        ("state", "active"),
        ("joined_from", "2020-01-01"),
        ("joined_until", "2030-01-01"),
        ("source", "import"),
        ("category", "Data"),
        ("zone", "Europe/Berlin"),
        ("paused", "yes"),
        ("bounced", "1"),
        ("votes", "1"),
        ("consent_before", "2030-01-01"),
    ];
    let alone = conditions.iter().map(|condition| vec![*condition]);
    let results = IssueResult::all().map(|result| result.to_string());
    let results: Vec<String> = results.collect();
    let issues = results
        .iter()
        .map(|result| vec![("issue", slot.as_str()), ("result", result.as_str())]);
    let filters: Vec<Vec<(&str, &str)>> = alone.chain(issues).chain([Vec::new()]).collect();
    for filter in &filters {
        for more in [None, Some(("zone", "Europe/Oslo"))] {
            let pairs = filter.iter().copied().chain(more);
            let filter = SubscriberFilter::of(pairs).expect("a filter");
            let mut after = None;
            // The second page begins behind the first.
            for _ in 0..2 {
                let page = test_app
                    .app
                    .subscriber_page(&filter, after.as_deref(), 1)
                    .await;
                after = page.expect("a page").next;
                if after.is_none() {
                    break;
                }
            }
            test_app.app.count_page(&filter).await.expect("counted");
            let query = test_app.app.list_query(&filter);
            let walk = test_app.app.next_subscribers(&query, None, 3);
            let last = walk.await.expect("subscribers").rows.last().cloned();
            if let Some(last) = last {
                let ids = [last.listed.subscriber.id];
                test_app
                    .app
                    .storage
                    .last_digests(&ids)
                    .await
                    .expect("digests");
            }
        }
    }
}

/// Rows enough that a scan is dear, in each table that grows.
const FILL: &str = "
    insert into subscribers (id, email, email_key, state, state_at, created_at)
      with recursive n (i) as (select 1000000 union all select i + 1 from n where i < 1020000)
      select i, i || '@example.org', i || '@example.org', 'active', 0, 0 from n;
    insert into digests (id, state, created_at, send_at, published_at, recipients)
      with recursive n (i) as (select 1 union all select i + 1 from n where i < 30)
      select 190000 + i, 'sent', 0, 0, i, 4000 from n;
    insert into digest_notes (id, digest_id, revision, kind, author, said, at)
      with recursive n (i) as (select 1 union all select i + 1 from n where i < 300)
      select g.id * 1000 + n.i, g.id, 0, 'comment', 'cli:cli', 'x', n.i from digests g cross join n where g.id < 195000;
    insert into digest_counts (mailing_id, sent, failed, skipped, uncertain)
      select id, 4000, 0, 0, 0 from digests where id < 195000;
    insert into deliveries (mailing_id, subscriber_id, kind, state, queued_at, due_at, attempts, started_at, first_at, finished_at)
      select g.id, s.id, 'digest', 'sent', 0, 0, 1, 0, 0, 0 from digests g cross join subscribers s
      where g.id < 195000 and s.id between 1000000 and 1003999;
    insert into deliveries (mailing_id, subscriber_id, kind, state, queued_at, due_at, attempts, started_at, first_at, finished_at)
      select 5000000 + id, id, 'confirmation', 'sent', 0, 0, 1, 0, 0, 0 from subscribers where id >= 1000000;
    insert into digest_outcomes (mailing_id, dimension, name, sent, failed, uncertain, skipped)
      select 190001 + id % 20, 'domain', 'd' || id, 1, 0, 0, 0 from subscribers where id >= 1000000;
    insert into growth_days (day, source, joined) select id, 'form', 1 from subscribers where id >= 1000000;
    insert into growth_delays (day, step, times) select id, 1, 1 from subscribers where id >= 1000000; insert into growth_cohorts (joined_week, left_week, times) select id, id, 1 from subscribers where id >= 1000000;
    insert into consents (subscriber_id, requested_at, shown, source) select id, 0, 'shown', 'form' from subscribers where id between 1000000 and 1020000;
    insert into history (subscriber_id, at, code) select id, 0, 'confirmed' from subscribers where id between 1000000 and 1020000;
    insert into transactional_mails (mailing_id, subscriber_id, email, token_id) select 9000000 + id, id, 'x', id from subscribers where id between 1000000 and 1020000;
    insert into preferences (subscriber_id, categories, monthly) select id, '[]', 1 from subscribers where id between 1000000 and 1020000;
    insert into email_changes (id, subscriber_id, email, email_key, requested_at) select id, id, 'x', 'x', 0 from subscribers where id between 1000000 and 1020000;
    insert into tools (slug, name, category, tagline, description, pricing, entry_price, published_at, sample)
      with recursive n (i) as (select 1 union all select i + 1 from n where i < 500)
      select 'fill' || i, 'Tool', 'Data', 't', 'd', 'p', 'e', 0, 0 from n;
    insert into votes (tool, subscriber_id, verdict, voted_at)
      select 'fill' || (1 + id % 500), id, 'ship', id from subscribers where id between 1000000 and 1020000;
    insert into bookmarks (tool, subscriber_id, saved_at, ships, skips)
      select 'fill' || (1 + id % 500), id, 0, 1, 1 from subscribers where id between 1000000 and 1020000;
    insert into visitor_votes (tool, visitor, network, verdict, voted_at)
      select 'fill' || (1 + id % 500), 'v' || id, 'n' || id, 'ship', 0 from subscribers where id between 1000000 and 1020000;
    insert into refusals (subscriber_id, mailing_id, at, class, reply, pattern, domain, relay, outcome, address_hash, key_name)
      select id, 190001 + id % 20, 0, 'hard', 'l', 'w' || (id % 50), 'd' || (id % 500), 'r', case when id % 500 = 0 then 'waiting' end, 'h', 'k'
      from subscribers where id between 1000000 and 1020000;
    insert into refusal_groups (mailing_id, pattern, domain, relay, hard_count, report_count, state, opened_at, due_at)
      select 190001 + id % 20, 'w' || (id % 50), 'd' || id, 'r', 1, 0, case when id % 500 = 0 then 'held' else 'done' end, 0,
        case when id % 500 = 1 then 0 end
      from subscribers where id between 1000000 and 1020000;
    insert into send_domains (mailing_id, domain, relay, mails)
      select 190001 + id % 20, 'd' || id, 'r', 1 from subscribers where id between 1000000 and 1020000;
    insert into former_addresses (email_key, subscriber_id, left_at)
      select 'old' || id, id, 0 from subscribers where id between 1000000 and 1020000;
    insert into unsubscribe_reasons (subscriber_id, reason, given_at) select id, 'other', 0 from subscribers where id between 1000000 and 1020000;
    insert into inbound_mails (fingerprint, received_at, channel, class, subscriber_id, mailing_id)
      select 'f' || id, id, 'imap', 'soft', id, 190001 from subscribers where id between 1000000 and 1020000;
    insert into jobs (id, kind, state, made_by, input, created_at, held_until, finished_at)
      select id, 'export', 'done', 'u', '{}', id, id, case when id % 500 > 0 then id end from subscribers where id between 1000000 and 1020000;
    insert into inbound_reports (fingerprint, subscriber_id, received_at, raw, is_cut)
      select 'f' || id, id, id, 'raw', 0 from subscribers where id between 1000000 and 1020000;
    insert into inbound_unmatched (fingerprint, received_at, channel, report, email_key, tried_with)
      select 'f' || id, id, 'imap', '{}', id || '@example.org', 't' || id from subscribers where id between 1000000 and 1020000;
    insert into sources (id, name, kind, url, host, mapping, mode, every_seconds, created_at, next_at)
      select id, 's' || id, 'feed', 'u', 'h' || id, '{}', 'review', 3600, 0, id from subscribers where id between 1000000 and 1000499;
    insert into proposals (id, source_id, guid, url, title, content, content_sha256, version, remarks, state, seen_at, changed_at)
      select id, 1000000 + id % 500, 'g' || id, 'u' || id, 't', '{}', 'h', 1, '[]', case when id % 500 = 0 then 'new' else 'accepted' end, 0, 0
      from subscribers where id between 1000000 and 1020000;
    insert into mailbox_retries (mailbox, validity, uid, step, reason, tries, first_at, next_at)
      select 'm' || (id % 500), 1, id, 'fetch', 'r', 1, 0, 0 from subscribers where id between 1000000 and 1020000;
    insert into users (id, email, email_key, name, role, created_at)
      select id, id || '@desk.example', id || '@desk.example', 'A', 'writer', 0 from subscribers where id between 1000000 and 1000499;
    insert into tokens (id, public_id, name, token_sha256, user_id, scopes, networks, created_at) select id, 'p' || id, 'A', 'h' || id, id, 'votes:read', '', 0 from users where id between 1000000 and 1000499;
    insert into idempotency_keys (token_id, key, request_sha256, subscriber_id, created_at) select 1000000 + id % 500, 'k' || id, 'h', id, id from subscribers where id between 1000000 and 1020000;
    insert into user_notices (id, kind, subject, episode, said, path, at, seen_at)
      select id, 'sent', 's' || id, 0, 'x', '/desk', id, id from subscribers where id between 1000000 and 1020000;
    insert into user_mails (id, user_id, kind, state, first_notice_id, queued_at, due_at, attempts, finished_at)
      select id, 1000000 + id % 500, 'sent', 'sent', id, id, id, 1, case when id % 500 > 0 then id end from subscribers where id between 1000000 and 1020000;
    insert into user_notice_mutes (user_id, kind, muted_at)
      with recursive n (i) as (select 1 union all select i + 1 from n where i < 40)
      select u.id, 'kind' || n.i, 0 from users u cross join n where u.id between 1000000 and 1000499;
    insert into sessions (token_sha256, user_id, stage, created_at, seen_at, expires_at, strong_at, agent, network)
      select 's' || id, 1000000 + id % 500, 'full', 0, id, id, 0, 'a', 'n' from subscribers where id between 1000000 and 1020000;
    insert into ceremonies (id_sha256, kind, browser_sha256, state, expires_at)
      select 'i' || id, 'passkey_proof', 'b', '{}', id from subscribers where id between 1000000 and 1020000;
    insert into sign_in_attempts (key, full_at) select 'k' || id, id from subscribers where id between 1000000 and 1020000;
    insert into suppressions (address_hash, key_name, reason, created_at) select 'h' || id, 'k', 'erased', 0 from subscribers where id between 1000000 and 1020000;
    insert into suppression_removals (address_hash, lifted_at, reason, suppressed_at, note) select 'h' || id, 0, 'bounced', 0, 'n' from subscribers where id between 1000000 and 1020000;
    insert into webhook_events (provider, id, kind, body_sha256, received_at, acted_at) select 'ses', 'w' || id, 'events', 'd', id, id from subscribers where id between 1000000 and 1020000;
    insert into audit (id, at, actor_kind, actor, what, subject_kind, subject, detail, seq, previous_hash, hash)
      select id, id, 'cli', 'cli', 'what' || (id % 500), 'digest', 'd' || id, '{}', case when id > 1000009 then id end, 'h', 'h'
      from subscribers where id between 1000000 and 1020000;
    insert into delivery_batches (mailing_id, first_id, last_id, class, due_at, is_split)
      select g.id, s.id, s.id, 'digest', 0, 1 from digests g cross join subscribers s where g.id < 190011 and s.id between 1000000 and 1001000;
";

/// What grows, of all statements that are of this database.
async fn look(planner: &mut Planner, statements: &[(String, String)], when: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (file, sql) in statements {
        let is_known = read_all::READ_ALL
            .iter()
            .any(|(start, _)| sql.starts_with(start))
            || AUDITS.iter().any(|start| sql.starts_with(start));
        for line in planner.growing(sql).await.into_iter().filter(|_| !is_known) {
            found.push(format!("{file}, {when}: {line}\n    {sql}"));
        }
    }
    found
}

/// The statements of the database of `place`: those that are written down, and those that were put together.
fn statements(test_db: &TestDb) -> Vec<(String, String)> {
    let caught = CAUGHT
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    for start in COMPOSED {
        assert!(
            caught.iter().any(|sql| sql.starts_with(start)),
            "the scenario does not run what begins with {start:?}"
        );
    }
    let numbered = |sql: &str| !sql.contains('?');
    let composed = caught
        .into_iter()
        .filter(|sql| numbered(sql) || !test_db.is_postgres())
        .map(|sql| ("composed".to_owned(), sql));
    let is_planned = |sql: &str| {
        ["select", "insert", "update", "delete", "with"]
            .iter()
            .any(|start| sql.starts_with(start))
    };
    let is_for_postgres = |sql: &str| {
        [
            " for share",
            " for update",
            "pg_notify",
            "tableoid",
            "current_setting",
            "clock_timestamp",
            "pg_",
            "collate \"C\"",
            "strpos(",
        ]
        .iter()
        .any(|mark| sql.contains(mark))
    };
    let is_for_sqlite = |sql: &str| {
        [
            "sqlite_version(",
            "instr(",
            "indexed by",
            "s.email_key >=",
            "and lower(s.name) >=",
            "order by s.email_key limit",
        ]
        .iter()
        .any(|mark| sql.contains(mark))
    };
    source::read()
        .texts
        .into_iter()
        .chain(composed)
        .filter(|(_, sql)| {
            let is_other = match test_db.is_postgres() {
                // The address in byte order is plain text on SQLite.
                true => is_for_sqlite(sql),
                false => is_for_postgres(sql),
            };
            is_planned(sql.trim_start()) && !is_other
        })
        .collect()
}

on_both! {
    async fn no_statement_scans_what_grows(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        scenario(&test_app).await;
        assert_eq!(codes::unknown(&test_app.test_db).await.0, [""; 0], "all that the program writes is read back");
        let statements = statements(&test_app.test_db);
        assert!(statements.len() > 150, "{} statements", statements.len());
        let mut found = Vec::new();
        let mut planner = Planner::open(&test_app.test_db).await;
        if test_app.test_db.is_postgres() {
            planner.run(FILL).await; planner.run(events::FILL).await;
            // What an index can serve at all, by the tables' pages alone; and what it serves by their statistics.
            planner.run("set enable_seqscan = off").await;
            found.extend(look(&mut planner, &statements, "without statistics").await);
            planner.run("analyze; set enable_seqscan = on").await;
        } else {
            planner.run("delete from sqlite_stat1").await;
            planner = Planner::open(&test_app.test_db).await;
            found.extend(look(&mut planner, &statements, "without statistics").await);
            planner.run(FILL).await; planner.run(events::FILL).await;
            planner.run("analyze").await; planner = Planner::open(&test_app.test_db).await;
        }
        found.extend(look(&mut planner, &statements, "with statistics").await);
        assert!(found.is_empty(), "{} plans grow:\n{}", found.len(), found.join("\n"));
    }
}

#[test]
fn each_statement_is_written_down_or_caught_on_its_way() {
    let source = source::read();
    let unknown: Vec<&String> = source
        .composed
        .iter()
        .filter(|test_db| !COMPOSED_AT.iter().any(|known| test_db.starts_with(known)))
        .collect();
    assert!(
        unknown.is_empty(),
        "put together at run time, and looked at by nobody: {unknown:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_would_be_seen() {
    for test_db in [Some(TestDb::sqlite()), TestDb::postgres()]
        .into_iter()
        .flatten()
    {
        let test_app = TestApp::open(test_db).await;
        let mut planner = Planner::open(&test_app.test_db).await;
        for sql in [
            "select kind from deliveries where subscriber_id = $1",
            "select count(*) from deliveries where mailing_id = $1",
            "select i.reply from inbound_mails i where i.status = $1",
        ] {
            assert!(
                !planner.growing(sql).await.is_empty(),
                "{sql}: {:?}",
                planner.lines(sql).await
            );
        }
        assert!(
            planner
                .growing("select kind from deliveries where mailing_id = $1 and subscriber_id = $2")
                .await
                .is_empty()
        );
    }
}
