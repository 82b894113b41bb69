//! Opening the database: addresses, files, and how each kind is set up.

use std::path::Path;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection;
use sqlx::PgPool;
use sqlx::Row;
use sqlx::postgres::PgConnectOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::sqlite::SqliteJournalMode;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::sqlite::SqliteSynchronous;
use tokio::time::timeout;

use super::Pools;
use super::StorageError;
use super::bounded::BoundedConnection;
use super::bounded::ServerHealth;
use super::kept::Kept;
use super::servers::Server;
use super::servers::reachable;
use super::writer::LONGEST_TURN;
use super::writer::Writer;

/// How long a connection to PostgreSQL is waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// Lower bound on the same once the pool is open, where it is as long as a call.
const ACQUIRE_MIN: Duration = Duration::from_secs(5);
/// A connection that lay idle longer is asked whether it still lives before it is used again; a round trip each time would
/// halve what one can do.
const FRESH: Duration = Duration::from_secs(1);
/// Upper bound on that question: a connection that does not answer it is closed, and another one made.
const PING_MAX: Duration = Duration::from_secs(2);

/// The file of a SQLite address; `None` for one that lives in memory only.
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    let options = SqliteConnectOptions::from_str(url).ok()?;
    let path = options.get_filename().to_path_buf();
    let in_memory = url.contains(":memory:") || url.contains("mode=memory") || path.as_os_str().is_empty();
    (url.starts_with("sqlite:") && !in_memory).then_some(path)
}

pub(super) async fn sqlite(url: &str, connections: u32, durable: bool) -> Result<Pools, StorageError> {
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
        .synchronous(if durable { SqliteSynchronous::Full } else { SqliteSynchronous::Normal })
        .foreign_keys(true)
        .busy_timeout(LONGEST_TURN)
        // What is erased is overwritten, not just unlinked.
        .pragma("secure_delete", "on")
        .pragma("temp_store", "memory")
        // Rows that `optimize` looks at in each index: a bound on its time.
        .pragma("analysis_limit", "400");
    let writer = Writer::open(options.clone()).await?;
    let readers = SqlitePoolOptions::new().test_before_acquire(false).acquire_timeout(LONGEST_TURN).max_connections(connections);
    Ok(Pools::Sqlite { readers: readers.connect_with(options.create_if_missing(false).pragma("query_only", "on")).await?, writer })
}

/// Settings of a PostgreSQL session that the statements rely on, whatever the server, the database or the role have as their default:
/// each statement sees what is committed (a serializable default fails one of two transactions that meet, with 40001), writes are
/// allowed, and the server cuts no statement off: the limit of a call is ours. And the server finds out about a client that vanished without a word: a transaction that
/// it left open would hold its locks until the kernel's own keepalive, two hours later.
const SESSION: [(&str, &str); 10] = [
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("default_transaction_deferrable", "off"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("client_encoding", "utf8"),
    // Milliseconds; longer than any pause within a transaction, in which only the database is waited for.
    ("idle_in_transaction_session_timeout", "30000"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
];

/// `synchronous_commit` of relaxed durability: a commit waits for the server's own disk and for no replica. `off` would wait for neither.
const RELAXED: &str = "local";

/// The same for a transaction behind a pooler, which hands on no start-up settings.
const BEGIN: &str = "begin isolation level read committed read write; set local statement_timeout = 0; set local lock_timeout = 0; \
     set local idle_in_transaction_session_timeout = 30000";
const BEGIN_RELAXED: &str = "begin isolation level read committed read write; set local statement_timeout = 0; set local lock_timeout = 0; \
     set local synchronous_commit = local; set local idle_in_transaction_session_timeout = 30000";

/// Where a server is, and how a session on it is set up.
fn session(url: &str) -> sqlx::Result<PgConnectOptions> {
    Ok(PgConnectOptions::from_str(url)?.application_name("verdicts").options(SESSION))
}

pub(super) async fn postgres(url: &str, connections: u32, durable: bool, call_max: Duration) -> Result<(Pools, Vec<Server>), StorageError> {
    let (options, server) = reachable(session(url)?).await?;
    // Left to the server where it should be durable: it may know better (synchronous replicas).
    let options = if durable { options } else { options.options([("synchronous_commit", RELAXED)]) };
    let health = ServerHealth::new(call_max);
    let pools = Pools::Postgres { pool: pool(options, connections, &health).await?, health, kept: Kept::default() };
    Ok((pools, server.into_iter().collect()))
}

/// PostgreSQL behind a pooler in transaction mode, which may give each transaction another server connection. So nothing may
/// last longer than one: no prepared statement but the unnamed one, no setting but `set local`, no lock, no `listen`.
#[derive(Debug, Clone)]
pub(super) struct Pooled {
    pub pool: PgPool,
    /// The server behind it, for what takes a session.
    pub direct: Arc<PgConnectOptions>,
    health: ServerHealth,
    begin: &'static str,
}

impl Pooled {
    pub(super) async fn begin(&self) -> sqlx::Result<BoundedConnection> {
        BoundedConnection::acquire(&self.pool, &self.health).await?.begin(self.begin).await
    }
}

pub(super) async fn pooled(
    url: &str,
    direct_url: &str,
    connections: u32,
    durable: bool,
    call_max: Duration,
) -> Result<(Pools, Vec<Server>), StorageError> {
    // A parameter that pgbouncer refuses unless told to pass it over; it is about floats, of which there are none.
    let options = PgConnectOptions::from_str(url)?.application_name("verdicts").extra_float_digits(None).statement_cache_capacity(0);
    let begin = if durable { BEGIN } else { BEGIN_RELAXED };
    let (options, pooler) = reachable(options).await?;
    let (direct, server) = reachable(session(direct_url)?).await?;
    let health = ServerHealth::new(call_max);
    let pooled = Pooled { pool: pool(options, connections, &health).await?, direct: direct.into(), health, begin };
    Ok((Pools::Pooled(pooled), pooler.into_iter().chain(server).collect()))
}

async fn pool(options: PgConnectOptions, connections: u32, health: &ServerHealth) -> Result<PgPool, StorageError> {
    // One connection first: it says at once why there is none, where the pool would try until its time is over and not say it.
    let first = timeout(LONGEST_WAIT, sqlx::PgConnection::connect_with(&options)).await;
    let mut first = first.map_err(|_| sqlx::Error::PoolTimedOut)??;
    // By the simple protocol: behind a pooler the halves of a prepared query could meet two servers.
    let encoding: String = sqlx::raw_sql("show server_encoding").fetch_one(&mut first).await?.try_get(0)?;
    first.close().await?;
    if encoding != "UTF8" {
        return Err(StorageError::Encoding(encoding));
    }
    let (made, reused) = (health.clone(), health.clone());
    let pool = PgPoolOptions::new()
        .max_connections(connections.max(2))
        .acquire_timeout(health.limit().clamp(ACQUIRE_MIN, LONGEST_WAIT))
        .test_before_acquire(false)
        // A standby answers what reads, and would be found out by the first write alone. Not refused here, where sqlx would try again
        // until its time is over and then not say why.
        .after_connect(move |connection, _| {
            let health = made.clone();
            Box::pin(async move {
                health.note_role(sqlx::raw_sql("select pg_is_in_recovery()").fetch_one(connection).await?.try_get(0)?);
                Ok(())
            })
        })
        .before_acquire(move |connection, state| {
            let health = reused.clone();
            Box::pin(async move {
                let is_fresh = state.idle_for < FRESH;
                Ok(health.may_reuse(state.age) && (is_fresh || matches!(timeout(PING_MAX, connection.ping()).await, Ok(Ok(())))))
            })
        });
    Ok(pool.connect_with(options).await?)
}

/// A folder that is made here is its owner's alone: addresses lie in it.
fn make_private(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

fn make_private_file(path: &Path) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ())
}
