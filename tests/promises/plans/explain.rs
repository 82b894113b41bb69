//! What a database would do for a statement, and what of it grows with the list or its history.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use sqlx::AssertSqlSafe;
use sqlx::Connection as _;
use sqlx::Row as _;

use crate::support::TestDb;

/// Tables that stay small, each with the reason. Any other grows.
const SMALL: [(&str, &str); 46] = [
    ("page_versions", "sixteen rows"),
    ("sources", "each added by a person"),
    ("maintenance_runs", "one row"),
    ("restorations", "one for each restoration from a backup"),
    ("settings", "keys of the desk's allow list"),
    ("audit_head", "one row"),
    ("segments", "saved filters, at most 200"),
    ("digests", "one a week"),
    ("picks", "some a week"),
    ("digest_revisions", "fifty a digest, read by digest"),
    ("test_recipients", "ten addresses"),
    (
        "digest_versions",
        "one for each correction and choice, read by digest",
    ),
    ("digest_variants", "one for each choice, read by digest"),
    (
        "digest_send_stats",
        "as many as a send lasts, read by digest",
    ),
    ("digest_counts", "one a week"),
    ("digest_roll_ups", "one a week"),
    ("digest_votes", "some a week"),
    ("growth_state", "one row"),
    ("dns_checks", "a few"),
    ("relay_trials", "one a relay"),
    ("growth_events", "changes of the last minute"),
    ("failure_reasons", "two hundred a digest"),
    ("digest_skips", "one for each digest and reason"),
    ("publish_progress", "digests that are being published"),
    ("attempt_totals", "one for each kind and outcome"),
    ("secret_names", "secrets that were ever used"),
    ("mail_quotas", "quotas that are used just now"),
    ("observations", "one for each kind"),
    ("installation", "one row"),
    ("instance_secrets", "one row"),
    ("senders", "processes that are alive"),
    (
        "delivery_processes",
        "processes that send, of the last hour",
    ),
    ("relay_daily_usage", "one a day and relay"),
    ("tools", "the catalogue"),
    ("users", "those who run the newsletter"),
    ("tokens", "a thousand at most"),
    ("event_head", "one row"),
    ("webhook_endpoints", "fifty at most"),
    ("webhook_patterns", "those of fifty endpoints at most"),
    ("recovery_codes", "ten a user"),
    ("passkeys", "twenty a user at most"),
    ("identities", "twenty a user at most"),
    ("challenges", "links that are good now, one a user"),
    ("reviews", "the catalogue"),
    ("comparisons", "the catalogue"),
    ("panel_history", "the catalogue's changes"),
];

/// Partial indexes that hold what waits just now, not what was.
const OPEN_WORK: [&str; 11] = [
    "audit_unchained",
    "events_new",
    "jobs_held",
    "delivery_batches_held",
    "delivery_batches_transactional",
    "subscribers_waiting",
    "webhook_events_waiting",
    "refusals_waiting",
    "refusal_groups_due",
    "refusal_groups_held",
    "refusal_groups_deciding",
];

pub enum Planner {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

impl Planner {
    pub async fn open(test_db: &TestDb) -> Self {
        if test_db.is_postgres() {
            let mut connection = sqlx::PgConnection::connect(&test_db.database_url)
                .await
                .expect("a connection");
            sqlx::raw_sql("set plan_cache_mode = force_generic_plan")
                .execute(&mut connection)
                .await
                .expect("set");
            Self::Postgres(connection)
        } else {
            Self::Sqlite(
                sqlx::SqliteConnection::connect(&test_db.database_url)
                    .await
                    .expect("a connection"),
            )
        }
    }

    pub async fn run(&mut self, sql: &'static str) {
        match self {
            Self::Sqlite(c) => sqlx::raw_sql(sql)
                .execute(c)
                .await
                .map(|_| ())
                .expect("done"),
            Self::Postgres(c) => sqlx::raw_sql(sql)
                .execute(c)
                .await
                .map(|_| ())
                .expect("done"),
        }
    }

    /// All tables that there are.
    async fn tables(&mut self) -> BTreeSet<String> {
        let rows: Vec<(String,)> = match self {
            Self::Sqlite(c) => sqlx::query_as("select name from sqlite_master where type = 'table'").fetch_all(c).await,
            Self::Postgres(c) => {
                sqlx::query_as("select table_name::text from information_schema.tables where table_schema = 'public'").fetch_all(c).await
            }
        }
        .expect("tables");
        rows.into_iter()
            .map(|(name,)| name)
            .filter(|name| !name.starts_with("sqlite_") && !name.starts_with("_sqlx"))
            .collect()
    }

    /// The plan of a statement.
    pub async fn lines(&mut self, sql: &str) -> Vec<String> {
        match self {
            Self::Sqlite(c) => {
                let rows = sqlx::query(AssertSqlSafe(format!("explain query plan {sql}")))
                    .fetch_all(c)
                    .await
                    .expect("a plan");
                rows.into_iter()
                    .map(|row| row.get::<String, _>("detail"))
                    .collect()
            }
            Self::Postgres(c) => plan(c, sql).await,
        }
    }

    /// What of a statement grows: scans of a table that grows, and of a whole digest's part of the ledger.
    pub async fn growing(&mut self, sql: &str) -> Vec<String> {
        let tables = self.tables().await;
        let names = named(sql, &tables);
        let grows = |name: &str| {
            names.get(name).is_some_and(|tables| {
                tables
                    .iter()
                    .any(|table| !SMALL.iter().any(|(small, _)| small == table))
            })
        };
        match self {
            Self::Sqlite(c) => {
                let rows = sqlx::query(AssertSqlSafe(format!("explain query plan {sql}")))
                    .fetch_all(c)
                    .await;
                let rows = match rows {
                    Ok(rows) => rows,
                    Err(error) => return vec![format!("it cannot be planned: {error}")],
                };
                let lines = rows.into_iter().map(|row| row.get::<String, _>("detail"));
                lines
                    .filter(|line| sqlite_grows(line, &grows, &names))
                    .collect()
            }
            Self::Postgres(c) => postgres_growing(&plan(c, sql).await, &grows),
        }
    }
}

/// The names of tables in a statement: their own, and what it calls them.
fn named(sql: &str, tables: &BTreeSet<String>) -> BTreeMap<String, BTreeSet<String>> {
    let words: Vec<&str> = sql
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (at, word) in words
        .iter()
        .enumerate()
        .filter(|(_, word)| tables.contains(**word))
    {
        let called = words.get(at + 1).filter(|called| called.len() <= 5);
        for name in called.into_iter().chain([word]) {
            names
                .entry((*name).to_owned())
                .or_default()
                .insert((*word).to_owned());
        }
    }
    names
}

fn sqlite_grows(
    line: &str,
    grows: &impl Fn(&str) -> bool,
    names: &BTreeMap<String, BTreeSet<String>>,
) -> bool {
    let mut words = line.split_whitespace();
    let (kind, name) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let is_open_work = OPEN_WORK.iter().any(|index| line.contains(index));
    let is_ledger = names
        .get(name)
        .is_some_and(|tables| tables.contains("deliveries"));
    match kind {
        "SCAN" => grows(name) && !is_open_work,
        // Each first column that there is, in turn: a mailing, and transactional mails are mailings.
        "SEARCH" if line.contains("ANY(") => grows(name),
        "SEARCH" => {
            is_ledger
                && line.contains("sqlite_autoindex_deliveries")
                && !line.contains("subscriber_id")
        }
        _ => false,
    }
}

/// PostgreSQL's plan for any values.
async fn plan(connection: &mut sqlx::PgConnection, sql: &str) -> Vec<String> {
    let number = |rest: &str| {
        rest.chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
            .parse::<usize>()
            .ok()
    };
    let count = sql.split('$').skip(1).filter_map(number).max().unwrap_or(0);
    let mut types = types_of(sql, count);
    loop {
        let types_now = if types.is_empty() {
            String::new()
        } else {
            format!("({})", types.join(", "))
        };
        let prepared = sqlx::raw_sql(AssertSqlSafe(format!("prepare p {types_now} as {sql}")))
            .execute(&mut *connection)
            .await;
        let Err(error) = prepared else { break };
        // A value whose type its place does not tell: numbers are the most of them.
        let message = error.to_string();
        let named = message
            .rsplit_once("parameter $")
            .and_then(|(_, rest)| rest.split(' ').next()?.parse::<usize>().ok());
        // Or the only value of a `case`, which counts as a text.
        let in_case = || {
            (1..=count).find(|n| types[n - 1] == "unknown" && sql.contains(&format!("then ${n} ")))
        };
        let unknown = named.or_else(|| in_case().filter(|_| message.contains("text")));
        let kind = if unknown.is_some_and(|n| sql.contains(&format!("${n} = '"))) {
            "text"
        } else {
            "bigint"
        };
        match unknown
            .and_then(|n| types.get_mut(n - 1))
            .filter(|known| **known == "unknown")
        {
            Some(known) => *known = kind,
            None => {
                return vec![format!(
                    "Seq Scan on nothing, for it cannot be planned: {message} (cost="
                )];
            }
        }
    }
    let values = if count == 0 {
        String::new()
    } else {
        format!("({})", vec!["null"; count].join(", "))
    };
    let rows = sqlx::raw_sql(AssertSqlSafe(format!("explain execute p{values}")))
        .fetch_all(&mut *connection)
        .await;
    sqlx::raw_sql("deallocate p")
        .execute(connection)
        .await
        .expect("forgotten");
    rows.unwrap_or_else(|error| panic!("{error}: {sql}"))
        .into_iter()
        .map(|row| row.get::<String, _>(0))
        .collect()
}

/// The types of a statement's values, where PostgreSQL cannot tell them: lists of values that no table gives a type.
fn types_of(sql: &str, count: usize) -> Vec<&'static str> {
    let cycle: &[&str] = match sql {
        _ if sql.starts_with("with step") => &["bigint", "bigint", "bigint", "text"],
        _ if sql.starts_with("with zones") => &["text", "bigint"],
        _ => return vec!["unknown"; count],
    };
    let listed = sql.matches("cast($").count() * 2;
    let listed = if cycle.len() == 4 { count - 2 } else { listed };
    (0..count)
        .map(|n| {
            if n < listed {
                cycle[n % cycle.len()]
            } else {
                "bigint"
            }
        })
        .collect()
}

fn postgres_growing(lines: &[String], grows: &impl Fn(&str) -> bool) -> Vec<String> {
    let mut growing = Vec::new();
    // The nodes above, by depth.
    let mut above: Vec<(usize, String)> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let (depth, node) = (
            line.len() - line.trim_start().len(),
            line.trim_start().trim_start_matches("->  "),
        );
        if !node.contains("(cost=") {
            continue;
        }
        above.retain(|(other, _)| *other < depth);
        let conditions: String = lines[at + 1..]
            .iter()
            .take_while(|line| !line.contains("(cost="))
            .cloned()
            .collect();
        let is_limited = above
            .iter()
            .rev()
            .find(|(_, node)| !node.starts_with("Nested Loop"))
            .is_some_and(|(_, node)| node.starts_with("Limit"));
        let table = node.split_once(" on ").map_or("", |(_, rest)| {
            rest.split_whitespace().next().unwrap_or_default()
        });
        let is_open_work = OPEN_WORK.iter().any(|index| node.contains(index));
        let is_scan = node.contains("cannot be planned")
            || node.contains("Seq Scan on ")
            || (node.starts_with("Index") && !conditions.contains("Index Cond"));
        // By its key and nothing less: of a mailing alone it is a whole digest, of a reader alone the whole ledger.
        let is_part_of_key = node.contains(" deliveries_pkey")
            && conditions.contains("Index Cond")
            && !(conditions.contains("mailing_id") && conditions.contains("subscriber_id"));
        if (is_scan && (grows(table) || table == "nothing,") && !is_open_work || is_part_of_key)
            && !is_limited
        {
            growing.push(format!(
                "{} {}",
                node.split("  (cost").next().unwrap_or_default(),
                conditions.trim()
            ));
        }
        above.push((depth, node.to_owned()));
    }
    growing
}
