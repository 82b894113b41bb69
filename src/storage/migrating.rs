//! Migrations on PostgreSQL, which may take as long as they need while their server works on them.
//!
//! No limit bounds them, so another connection looks after them: a server that vanished, or whose answer was lost on the way, is noticed, and a
//! lock that somebody else holds is named.

use std::time::Duration;

use sqlx::PgConnection;
use sqlx::migrate::Migrate as _;
use sqlx::migrate::MigrateError;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;

use super::Storage;
use super::StorageError;
use super::carry_over::MigrationConnection;
use super::carry_over::carry_over;
use super::hosts::CONNECT_MAX;
use super::hosts::HostKind;
use super::hosts::connect;
use super::page_versions;
use super::session::Tx;
use super::subscriber_list::POSTGRES_INDEXES;

/// Pause between two looks at the session that migrates.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Looks in a row that fail before the server counts as lost.
const LOOKS_FAILED_MAX: u32 = 2;

/// Runs the migrations over a connection of their own.
///
/// # Errors
/// When one fails, or the server does not answer any more.
pub(super) async fn migrate(
    migrations: &Migrator,
    storage: &Storage,
    options: &PgConnectOptions,
) -> Result<(), StorageError> {
    let options = options
        .clone()
        .options([("statement_timeout", "0"), ("lock_timeout", "0")]);
    let (mut connection, _) = connect(&options, HostKind::Server).await?;
    let session = tokio::time::timeout(CONNECT_MAX, number_of(&mut connection))
        .await
        .map_err(|_| silent())??;
    tokio::select! {
        done = run(migrations, &mut connection) => done,
        lost = watch(storage, session) => Err(lost),
    }
}

/// Under the lock that sqlx takes for its own part, so that of several processes one carries the database over.
async fn run(migrations: &Migrator, connection: &mut PgConnection) -> Result<(), StorageError> {
    connection.lock().await?;
    let carried = carry_over(MigrationConnection::Postgres(connection)).await;
    connection.unlock().await?;
    carried?;
    migrations.run(&mut *connection).await?;
    connection.lock().await?;
    let made = async {
        sqlx::raw_sql(POSTGRES_INDEXES)
            .execute(&mut *connection)
            .await?;
        sqlx::raw_sql(page_versions::POSTGRES)
            .execute(&mut *connection)
            .await
    }
    .await;
    connection.unlock().await?;
    made?;
    Ok(())
}

async fn number_of(connection: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(connection)
        .await
}

/// State of the session that migrates, as its server sees it.
#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
struct MigratingSession {
    is_active: bool,
    changed_at: Option<i64>,
    /// Sessions that hold the lock that it waits for, or an empty text.
    blocked_by: String,
}

/// Ends with the error once the session `number` cannot come to its end any more.
async fn watch(storage: &Storage, number: i32) -> StorageError {
    let (mut failed, mut last, mut said): (u32, Option<MigratingSession>, String) =
        (0, None, String::new());
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let seen = match look(storage, number).await {
            Ok(Some(seen)) => seen,
            Ok(None) => return silent(),
            Err(error) => {
                failed += 1;
                if failed >= LOOKS_FAILED_MAX {
                    return error;
                }
                continue;
            }
        };
        failed = 0;
        // It has done what it was asked since the look before, and we have not heard so.
        if !seen.is_active && last.as_ref() == Some(&seen) {
            return silent();
        }
        let sessions = &seen.blocked_by;
        if !sessions.is_empty()
            && *sessions != said
            && last
                .as_ref()
                .is_some_and(|last| last.blocked_by == *sessions)
        {
            said.clone_from(sessions);
            tracing::warn!(
                "migrate waits for a lock that other sessions of the database hold (pg_stat_activity: pid {sessions}): another migrate, or \
                 a transaction that somebody left open"
            );
        }
        last = Some(seen);
    }
}

async fn look(storage: &Storage, number: i32) -> Result<Option<MigratingSession>, StorageError> {
    let mut reader = storage.read().await?;
    let super::StorageSession::Postgres(bounded, keeps) = super::Queryable::session(&mut reader)
    else {
        return Ok(None);
    };
    let seen: sqlx::Result<Option<MigratingSession>> = call!(bounded, c => {
        sqlx::query_as(
            "select coalesce(state = 'active', false) as is_active,
               cast(extract(epoch from state_change) * 1000 as bigint) as changed_at,
               array_to_string(pg_blocking_pids(pid), ', ') as blocked_by
             from pg_stat_activity where pid = $1",
        )
        .bind(number)
        .persistent(keeps)
        .fetch_optional(c)
        .await
    });
    Ok(seen?)
}

fn silent() -> StorageError {
    let words =
        "the server did not answer any more while it migrated; what it had not committed is undone";
    StorageError::Query(sqlx::Error::Io(std::io::Error::new(
        std::io::ErrorKind::TimedOut,
        words,
    )))
}

/// A migration that failed because its server was lost or takes no writes is that error, and no fault of the tables.
impl From<MigrateError> for StorageError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
                if super::bounded::is_connection_lost(&error) =>
            {
                Self::Query(error)
            }
            error => Self::Migrate(error),
        }
    }
}

/// Leaves room on the pages of the ledger (PostgreSQL).
pub(super) async fn leave_room(tx: &mut Tx) -> Result<(), StorageError> {
    if !tx.is_postgres() {
        return Ok(());
    }
    // Room for the two versions that a row of the ledger will have: they stay on its page, and no index is touched (heap-only
    // tuples). SQLite has no such thing; a ledger in partitions says it for each (docs/partitions.sql).
    execute!(
        tx,
        "do $$ begin
           if exists (select from pg_class where oid = 'deliveries'::regclass and relkind = 'r' and reloptions is null) then
             alter table deliveries set (fillfactor = 55);
           end if;
         end $$"
    )?;
    Ok(())
}
