//! A database of before the baseline, carried over to it: all of it in one transaction, or nothing.
//!
//! Until 0.2.0 the schema stood in 26 migrations, which are kept in `migrations/before_baseline`. A database that has applied any number
//! of them is first brought to the last; then its tables are renamed, the baseline makes the new ones, the rows are copied, and the old
//! tables go. In the list of migrations the baseline takes the place of the 26. What stood in words and is a code now is read by [`words`].

mod words;

use sqlx::AssertSqlSafe;
use sqlx::PgConnection;
use sqlx::SqlSafeStr;
use sqlx::SqliteConnection;
use sqlx::migrate::AppliedMigration;
use sqlx::migrate::Migrate;
use sqlx::migrate::Migration;
use sqlx::migrate::Migrator;

use super::MIGRATIONS;
use super::StorageError;

static BEFORE_BASELINE: Migrator = sqlx::migrate!("./migrations/before_baseline");

/// Table in which sqlx lists what was applied.
const APPLIED: &str = "_sqlx_migrations";

/// The tables of the last migration before the baseline, each before those that it refers to.
const OLD_TABLES: [&str; 41] = [
    "attempt_totals",
    "bookmarks",
    "chunks",
    "comparisons",
    "consents",
    "deliverers",
    "deliveries",
    "digest_counts",
    "digest_minutes",
    "failure_reasons",
    "former_addresses",
    "history",
    "inbound",
    "inbound_unmatched",
    "installation",
    "kept_secrets",
    "lifted",
    "mail_quotas",
    "mails_set_aside",
    "moves",
    "notices",
    "observations",
    "panel_history",
    "picks",
    "preferences",
    "publish_progress",
    "refusal_lots",
    "refusals",
    "relay_days",
    "reviews",
    "secret_names",
    "send_domains",
    "senders",
    "suppressions",
    "variants",
    "visitor_votes",
    "votes",
    "webhook_events",
    // What others refer to.
    "digests",
    "subscribers",
    "tools",
];

/// The connection that migrates.
pub(super) enum MigrationConnection<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

/// Carries the database over if it is one of before the baseline. The caller sees to it that nobody else migrates at the same time.
///
/// # Errors
/// When its state is none that a release or a commit before the baseline left, or the database fails. Then nothing is changed.
pub(super) async fn carry_over(
    mut connection: MigrationConnection<'_>,
) -> Result<(), StorageError> {
    connection.run(connection.begin()).await?;
    let carried = carry_over_within(&mut connection).await;
    connection
        .run(if carried.is_ok() {
            "commit"
        } else {
            "rollback"
        })
        .await?;
    carried
}

async fn carry_over_within(connection: &mut MigrationConnection<'_>) -> Result<(), StorageError> {
    let applied = connection.applied().await?;
    // Those that were written beside the baseline make new tables and nothing else: these are made anew, for they may refer to others.
    let later = MIGRATIONS.iter().skip(1);
    let later: Vec<&Migration> = later.filter(|one| is_applied(one, &applied)).collect();
    let later_tables: Vec<&str> = later.iter().copied().flat_map(tables_of).collect();
    let Some(pending) = pending_before_baseline(&applied)? else {
        return Ok(());
    };
    tracing::info!(
        "upgrading a database from before 0.2.0 in one transaction; this may take a minute per ten million deliveries"
    );
    for migration in pending {
        connection.run(migration.sql.clone()).await?;
    }
    let old_tables: Vec<&str> = later_tables
        .iter()
        .rev()
        .copied()
        .chain(OLD_TABLES)
        .collect();
    connection.set_aside(&old_tables).await?;
    let baseline = baseline();
    connection.run(baseline.sql.clone()).await?;
    connection.run(include_str!("copy.sql")).await?;
    words::copy_history(connection).await?;
    words::copy_picks(connection).await?;
    connection
        .run(match connection {
            MigrationConnection::Sqlite(_) => include_str!("deliveries_sqlite.sql"),
            MigrationConnection::Postgres(_) => include_str!("deliveries_postgres.sql"),
        })
        .await?;
    connection.run(include_str!("reasons.sql")).await?;
    for migration in &later {
        connection.run(migration.sql.clone()).await?;
    }
    for table in later_tables {
        // A row that the migration itself puts in is among the old ones, as it became since.
        connection
            .run(AssertSqlSafe(format!("delete from {table}")))
            .await?;
        connection
            .run(AssertSqlSafe(format!(
                "insert into {table} select * from old_{table}"
            )))
            .await?;
    }
    for table in old_tables.iter().filter(|table| **table != "deliveries") {
        connection
            .run(AssertSqlSafe(format!("drop table old_{table}")))
            .await?;
    }
    for migration in BEFORE_BASELINE.iter() {
        connection
            .run(AssertSqlSafe(format!(
                "delete from {APPLIED} where version = {}",
                migration.version
            )))
            .await?;
    }
    Ok(connection.migrate().skip(APPLIED, baseline).await?)
}

/// The migrations that a database of before the baseline still lacks; `None`: it is no such database.
fn pending_before_baseline(
    applied: &[AppliedMigration],
) -> Result<Option<Vec<&'static Migration>>, StorageError> {
    let is_one_of = |migrations: &Migrator, one: &AppliedMigration| {
        migrations
            .iter()
            .any(|known| known.version == one.version && known.checksum == one.checksum)
    };
    let has_baseline = applied
        .iter()
        .any(|one| one.version == baseline().version && one.checksum == baseline().checksum);
    if applied.is_empty() || has_baseline {
        return Ok(None);
    }
    let unknown = applied
        .iter()
        .find(|one| !is_one_of(&BEFORE_BASELINE, one) && !is_one_of(&MIGRATIONS, one));
    if let Some(unknown) = unknown {
        return Err(StorageError::UnknownSchema(unknown.version));
    }
    let pending = BEFORE_BASELINE.iter();
    Ok(Some(
        pending
            .filter(|known| !is_applied(known, applied))
            .collect(),
    ))
}

fn is_applied(migration: &Migration, applied: &[AppliedMigration]) -> bool {
    applied.iter().any(|one| one.version == migration.version)
}

/// The tables that a migration makes, in their order.
fn tables_of(migration: &'static Migration) -> impl Iterator<Item = &'static str> {
    let lines = migration.sql.as_str().lines();
    lines.filter_map(|line| line.strip_prefix("create table ")?.split([' ', '(']).next())
}

fn baseline() -> &'static Migration {
    &MIGRATIONS.migrations[0]
}

impl MigrationConnection<'_> {
    /// `immediate`: of two processes on one SQLite file the second waits here, and finds all done.
    fn begin(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "begin immediate",
            Self::Postgres(_) => "begin",
        }
    }

    async fn run(&mut self, sql: impl SqlSafeStr) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(connection) => sqlx::raw_sql(sql)
                .execute(&mut **connection)
                .await
                .map(drop),
            Self::Postgres(connection) => sqlx::raw_sql(sql)
                .execute(&mut **connection)
                .await
                .map(drop),
        }
    }

    fn migrate(&mut self) -> &mut (dyn Migrate + Send) {
        match self {
            Self::Sqlite(connection) => &mut **connection,
            Self::Postgres(connection) => &mut **connection,
        }
    }

    async fn applied(&mut self) -> Result<Vec<AppliedMigration>, StorageError> {
        let list = self.migrate();
        list.ensure_migrations_table(APPLIED).await?;
        // One that failed half-way is named when the others are run.
        match list.dirty_version(APPLIED).await? {
            Some(_) => Ok(Vec::new()),
            None => Ok(list.list_applied_migrations(APPLIED).await?),
        }
    }

    /// Renames the old tables, and makes room for the names of their indexes and constraints.
    async fn set_aside(&mut self, old: &[&str]) -> Result<(), StorageError> {
        let quoted = old.iter().map(|table| format!("'{table}'"));
        let tables = quoted.collect::<Vec<_>>().join(", ");
        let freed: Vec<String> = match self {
            // An index cannot be renamed there; those of keys go by their table's name.
            Self::Sqlite(connection) => {
                let sql = format!(
                    "select 'drop index ' || name || ';' from sqlite_master where type = 'index' and sql is not null and tbl_name in ({tables})"
                );
                sqlx::query_scalar(AssertSqlSafe(sql))
                    .fetch_all(&mut **connection)
                    .await?
            }
            Self::Postgres(connection) => {
                let sql = format!(
                    "select format('alter index %I rename to %I;', c.relname, 'old_' || c.relname)
                     from pg_index i join pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid
                     where t.relname in ({tables}) and t.relnamespace = cast(current_schema() as regnamespace)
                     union all
                     select format('alter table %I rename constraint %I to %I;', t.relname, c.conname, 'old_' || c.conname)
                     from pg_constraint c join pg_class t on t.oid = c.conrelid
                     where c.contype in ('c', 'f') and t.relname in ({tables}) and t.relnamespace = cast(current_schema() as regnamespace)"
                );
                sqlx::query_scalar(AssertSqlSafe(sql))
                    .fetch_all(&mut **connection)
                    .await?
            }
        };
        let renamed = old.iter();
        let renamed = renamed.map(|table| format!("alter table {table} rename to old_{table};"));
        let sql = freed.concat() + &renamed.collect::<String>();
        Ok(self.run(AssertSqlSafe(sql)).await?)
    }
}
