//! Opening the database: addresses, files, and how each kind is set up.

use std::path::Path;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::sqlite::SqliteJournalMode;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::sqlite::SqliteSynchronous;

use super::Pools;
use super::StorageError;
use super::bounded::BoundedConnection;
use super::call_limits::CallLimits;
use super::hosts::HostKind;
use super::hosts::Hosts;
use super::server_health::ServerHealth;
use super::server_pool::ServerPool;
use super::servers::DatabaseServer;
use super::writer::LONGEST_TURN;
use super::writer::SharedWriter;
use crate::storage::pinned_connection::PinnedConnection;

/// The file of a SQLite address; `None` for one that lives in memory only.
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    let options = SqliteConnectOptions::from_str(url).ok()?;
    let path = options.get_filename().to_path_buf();
    let in_memory =
        url.contains(":memory:") || url.contains("mode=memory") || path.as_os_str().is_empty();
    (url.starts_with("sqlite:") && !in_memory).then_some(path)
}

pub(super) async fn sqlite(
    url: &str,
    connections: u32,
    durable: bool,
) -> Result<Pools, StorageError> {
    // Each connection of a database in memory would see one of its own.
    let path = sqlite_file(url).ok_or(StorageError::Address)?;
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        make_private(dir).map_err(|error| StorageError::Folder(dir.to_path_buf(), error))?;
    }
    // Its owner's alone, whatever the folder allows; SQLite gives the files beside it the same rights.
    make_private_file(&path).map_err(|error| StorageError::Folder(path.clone(), error))?;
    let options = SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(if durable {
            SqliteSynchronous::Full
        } else {
            SqliteSynchronous::Normal
        })
        .foreign_keys(true)
        .busy_timeout(LONGEST_TURN)
        // What is erased is overwritten, not just unlinked.
        .pragma("secure_delete", "on")
        .pragma("temp_store", "memory")
        // Rows that `optimize` looks at in each index: a bound on its time.
        .pragma("analysis_limit", "400");
    let writer = SharedWriter::open(options.clone()).await?;
    let readers = SqlitePoolOptions::new()
        .test_before_acquire(false)
        .acquire_timeout(LONGEST_TURN)
        .max_connections(connections);
    Ok(Pools::Sqlite {
        readers: readers
            .connect_with(options.create_if_missing(false).pragma("query_only", "on"))
            .await?,
        writer,
    })
}

pub(super) async fn postgres(
    url: &str,
    connections: u32,
    durable: bool,
    call_max: Duration,
) -> Result<(Pools, Vec<DatabaseServer>), StorageError> {
    let limits = CallLimits::of(call_max);
    let set_up = |options: PgConnectOptions| {
        let options = options.options(limits.session());
        // Left to the server where it should be durable: it may know better (synchronous replicas).
        if durable {
            options
        } else {
            options.options([("synchronous_commit", RELAXED)])
        }
    };
    let hosts = Hosts::find(url, HostKind::Server, set_up).await?;
    let servers = hosts.servers();
    let server = ServerPool::open(hosts, connections, ServerHealth::new(limits)).await?;
    Ok((
        Pools::Postgres {
            server,
            kept: PinnedConnection::default(),
        },
        servers,
    ))
}

/// PostgreSQL behind a pooler in transaction mode, which may give each transaction another server connection. So nothing may
/// last longer than one: no prepared statement but the unnamed one, no setting but `set local`, no lock, no `listen`.
#[derive(Debug, Clone)]
pub(super) struct Pooled {
    pub pooler: ServerPool,
    /// The server behind it, for what takes a session.
    pub direct: Hosts,
    begin: Arc<str>,
}

impl Pooled {
    pub(super) async fn begin(&self) -> sqlx::Result<BoundedConnection> {
        self.pooler
            .acquire()
            .await?
            .begin(AssertSqlSafe(self.begin.clone()))
            .await
    }
}

pub(super) async fn pooled(
    url: &str,
    direct_url: &str,
    connections: u32,
    durable: bool,
    call_max: Duration,
) -> Result<(Pools, Vec<DatabaseServer>), StorageError> {
    let limits = CallLimits::of(call_max);
    // A parameter that pgbouncer refuses unless told to pass it over; it is about floats, of which there are none.
    let hosts = Hosts::find(url, HostKind::Pooler, |options| {
        options.extra_float_digits(None).statement_cache_capacity(0)
    })
    .await?;
    let direct = Hosts::find(direct_url, HostKind::Server, |options| {
        options.options(limits.session())
    })
    .await?;
    let relaxed = if durable {
        String::new()
    } else {
        format!("; set local synchronous_commit = {RELAXED}")
    };
    let begin = format!(
        "begin isolation level read committed read write; {}{relaxed}",
        limits.in_transaction()
    )
    .into();
    let servers = hosts
        .servers()
        .into_iter()
        .chain(direct.servers())
        .collect();
    let pooler = ServerPool::open(hosts, connections, ServerHealth::new(limits)).await?;
    Ok((
        Pools::Pooled(Pooled {
            pooler,
            direct,
            begin,
        }),
        servers,
    ))
}

/// `synchronous_commit` of relaxed durability: a commit waits for the server's own disk and for no replica. `off` would wait for neither.
const RELAXED: &str = "local";

/// A folder that is made here is its owner's alone: addresses lie in it.
fn make_private(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

pub(super) fn make_private_file(path: &Path) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ())
}
