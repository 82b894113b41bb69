//! Floor 3: all SQL, and nothing but SQL, for SQLite and PostgreSQL.
//!
//! One SQL text per query; the macros `execute!`, `optional!` and `all!` run it on whichever database is open. Every
//! public function is a whole unit of work with its own transaction, which never leaves this module. Reading order:
//! this file (opening, transactions, macros), [`catalogue`], [`stocking`] with `changes`, [`votes`],
//! [`bookmarks`], [`subscribers`], [`people`], [`digests`],
//! [`ledger`] with `senders` and [`steps`], [`relays`], [`audit`].

use std::path::Path;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sqlx::Connection;
use sqlx::PgPool;
use sqlx::SqlitePool;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnectOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::sqlite::SqliteJournalMode;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::sqlite::SqliteSynchronous;

use crate::domain::Timestamp;

/// Runs `$body` with `$c` bound to the connection of whichever database `$conn` (a `Reader` or a `Tx`) is on.
macro_rules! on {
    ($conn:expr, $c:ident => $body:expr) => {{
        // Not needed where the bound of a generic brings the method.
        #[allow(unused_imports)]
        use $crate::storage::Queryable as _;
        match $conn.session() {
            $crate::storage::Session::Sqlite($c) => $body,
            $crate::storage::Session::Postgres($c) => $body,
        }
    }};
}

/// Runs a statement; answers how many rows it touched.
macro_rules! execute {
    ($conn:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        on!($conn, c => sqlx::query($sql)$(.bind($bind))*.execute(&mut *c).await.map(|done| done.rows_affected()))
    };
}

/// Reads at most one row.
macro_rules! optional {
    ($conn:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        on!($conn, c => sqlx::query_as($sql)$(.bind($bind))*.fetch_optional(&mut *c).await)
    };
}

/// Reads the one row that there must be.
macro_rules! one {
    ($conn:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        on!($conn, c => sqlx::query_as($sql)$(.bind($bind))*.fetch_one(&mut *c).await)
    };
}

/// Reads all rows: only where their number is bounded.
macro_rules! all {
    ($conn:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        on!($conn, c => sqlx::query_as($sql)$(.bind($bind))*.fetch_all(&mut *c).await)
    };
}

pub mod audit;
pub mod bookmarks;
pub mod catalogue;
mod changes;
pub mod digests;
mod ids;
pub mod ledger;
pub mod people;
pub mod relays;
mod senders;
pub mod steps;
pub mod stocking;
pub mod subscribers;
pub mod votes;

/// How long a connection to PostgreSQL is waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// The open database.
#[derive(Debug, Clone)]
pub struct Storage {
    pools: Pools,
}

#[derive(Debug, Clone)]
enum Pools {
    /// WAL lets many read beside one writer, so there is exactly one that writes: waiting in our own queue is fair and
    /// cheap, waiting in SQLite's busy handler is neither.
    Sqlite {
        readers: SqlitePool,
        writer: SqlitePool,
    },
    Postgres(PgPool),
}

/// A connection that reads.
enum Reader {
    Sqlite(PoolConnection<sqlx::Sqlite>),
    Postgres(PoolConnection<sqlx::Postgres>),
}

/// A transaction that writes; dropped without [`Tx::commit`] it changes nothing.
enum Tx {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

/// What the query macros run on.
enum Session<'a> {
    Sqlite(&'a mut sqlx::SqliteConnection),
    Postgres(&'a mut sqlx::PgConnection),
}

/// Whatever the query macros can run on: a reader, or a transaction.
trait Queryable {
    fn session(&mut self) -> Session<'_>;
}

impl Queryable for Reader {
    fn session(&mut self) -> Session<'_> {
        match self {
            Self::Sqlite(c) => Session::Sqlite(c),
            Self::Postgres(c) => Session::Postgres(c),
        }
    }
}

impl Queryable for Tx {
    fn session(&mut self) -> Session<'_> {
        match self {
            Self::Sqlite(tx) => Session::Sqlite(tx),
            Self::Postgres(tx) => Session::Postgres(tx),
        }
    }
}

impl Tx {
    fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    async fn commit(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
    }
}

impl Storage {
    /// Opens the database at `url` with up to `connections` connections; a SQLite file that is not there is made. `durable`:
    /// a commit is on the disk before it counts, so that a power cut costs nothing.
    ///
    /// # Errors
    /// When the address is of no known kind, or nothing answers there.
    pub async fn open(url: &str, connections: u32, durable: bool) -> Result<Self, StorageError> {
        let pools = if url.starts_with("sqlite:") {
            open_sqlite(url, connections, durable).await?
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            open_postgres(url, connections, durable).await?
        } else {
            return Err(StorageError::Address);
        };
        Ok(Self { pools })
    }

    /// Brings the tables up to date; doing it twice, or from two processes at once, is doing it once.
    pub async fn migrate(&self, now: Timestamp) -> Result<(), StorageError> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => migrate_sqlite(writer).await?,
            Pools::Postgres(pool) => MIGRATIONS.run(pool).await?,
        }
        let mut tx = self.begin().await?;
        execute!(tx, "insert into installation (id, created_at) values (1, $1) on conflict (id) do nothing", now.timestamp_millis())?;
        Ok(tx.commit().await?)
    }

    /// Whether the tables are those of this program: `false` before [`Storage::migrate`], or after an update.
    pub async fn is_up_to_date(&self) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let done: Result<Option<(i64,)>, sqlx::Error> = optional!(reader, "select max(version) from _sqlx_migrations where success");
        let newest = MIGRATIONS.iter().map(|migration| migration.version).max();
        match done {
            Ok(row) => Ok(row.map(|(version,)| version) >= newest),
            Err(sqlx::Error::Database(_) | sqlx::Error::ColumnDecode { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// When this database was first set up: nothing scheduled before that was missed.
    pub async fn created_at(&self) -> Result<Timestamp, StorageError> {
        let mut reader = self.read().await?;
        let (created_at,): (i64,) = one!(reader, "select created_at from installation where id = 1")?;
        Ok(crate::domain::from_millis(created_at))
    }

    /// Notes that the sample was brought: it is brought once. `false` if that was noted before.
    pub async fn note_sample(&self, now: Timestamp) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let noted = execute!(tx, "update installation set sample_at = $1 where id = 1 and sample_at is null", now.timestamp_millis())?;
        tx.commit().await?;
        Ok(noted > 0)
    }

    /// The secret kept under `name`, after keeping `fresh`, if given, where there was none.
    pub async fn keep_secret(&self, name: &str, fresh: Option<&str>) -> Result<Option<String>, StorageError> {
        let mut tx = self.begin().await?;
        if let Some(fresh) = fresh {
            execute!(tx, "insert into kept_secrets (name, value) values ($1, $2) on conflict (name) do nothing", name, fresh)?;
        }
        let value: Option<(String,)> = optional!(tx, "select value from kept_secrets where name = $1", name)?;
        tx.commit().await?;
        Ok(value.map(|(value,)| value))
    }

    /// Whether several machines can share it.
    pub fn is_postgres(&self) -> bool {
        matches!(self.pools, Pools::Postgres(_))
    }

    /// Closes all connections.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }

    /// Whether something can be written: by writing what is there already, for only the commit of that meets a full disk.
    pub async fn can_write(&self) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(tx, "update installation set created_at = created_at where id = 1")?;
        Ok(tx.commit().await?)
    }

    async fn read(&self) -> Result<Reader, StorageError> {
        Ok(match &self.pools {
            Pools::Sqlite { readers, .. } => Reader::Sqlite(readers.acquire().await?),
            Pools::Postgres(pool) => Reader::Postgres(pool.acquire().await?),
        })
    }

    /// Begins a transaction that writes. `BEGIN IMMEDIATE` on SQLite: a plain `BEGIN` that writes later fails with
    /// "database is locked" as soon as another process wrote in between, and no waiting mends that.
    async fn begin(&self) -> Result<Tx, StorageError> {
        Ok(match &self.pools {
            Pools::Sqlite { writer, .. } => Tx::Sqlite(match writer.begin_with("begin immediate").await {
                Ok(tx) => tx,
                // A full disk makes SQLite roll back by itself, and the driver then takes the connection for one that is still
                // in its transaction, for ever. A new connection knows nothing of that.
                Err(sqlx::Error::InvalidSavePointStatement | sqlx::Error::BeginFailed) => {
                    writer.acquire().await?.close().await?;
                    writer.begin_with("begin immediate").await?
                }
                Err(error) => return Err(error.into()),
            }),
            Pools::Postgres(pool) => Tx::Postgres(pool.begin().await?),
        })
    }
}

/// The file of a SQLite address; `None` for one that lives in memory only.
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    let options = SqliteConnectOptions::from_str(url).ok()?;
    let path = options.get_filename().to_path_buf();
    let in_memory = url.contains(":memory:") || url.contains("mode=memory") || path.as_os_str().is_empty();
    (url.starts_with("sqlite:") && !in_memory).then_some(path)
}

async fn open_sqlite(url: &str, connections: u32, durable: bool) -> Result<Pools, StorageError> {
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
        .busy_timeout(Duration::from_secs(60))
        // What is erased is overwritten, not just unlinked.
        .pragma("secure_delete", "on")
        .pragma("temp_store", "memory");
    let pool = || SqlitePoolOptions::new().test_before_acquire(false).acquire_timeout(Duration::from_secs(60));
    let writer = pool().max_connections(1).connect_with(options.clone()).await?;
    let readers = pool().max_connections(connections).connect_with(options.pragma("query_only", "on")).await?;
    Ok(Pools::Sqlite { readers, writer })
}

/// sqlx locks a migration on PostgreSQL only. Of two processes that begin at once on one SQLite file the second fails as a
/// whole, and finds all done when it looks again.
async fn migrate_sqlite(writer: &SqlitePool) -> Result<(), sqlx::migrate::MigrateError> {
    let mut tries = 0;
    loop {
        match MIGRATIONS.run(writer).await {
            Err(_) if tries < 20 => tries += 1,
            result => return result,
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
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

async fn open_postgres(url: &str, connections: u32, durable: bool) -> Result<Pools, StorageError> {
    let options = PgConnectOptions::from_str(url)?.application_name("verdicts");
    // Left to the server where it should be durable: it may know better (synchronous replicas).
    let options = if durable { options } else { options.options([("synchronous_commit", "off")]) };
    // One connection first: it says at once why there is none, where the pool would try until its time is over and not say it.
    let first = tokio::time::timeout(LONGEST_WAIT, sqlx::PgConnection::connect_with(&options)).await;
    first.map_err(|_| sqlx::Error::PoolTimedOut)??.close().await?;
    let pool = PgPoolOptions::new().max_connections(connections.max(2)).acquire_timeout(LONGEST_WAIT);
    Ok(Pools::Postgres(pool.connect_with(options).await?))
}

/// What went wrong with the database. `Display` is for the log; [`StorageError::advice`] for the person.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The address is of no known kind.
    #[error("not the address of a database")]
    Address,
    /// A SQLite file, or its folder, cannot be made.
    #[error("cannot make {0}: {1}")]
    Folder(PathBuf, std::io::Error),
    /// The tables could not be brought up to date.
    #[error("migration: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A query failed, or the connection did.
    #[error("{0}")]
    Query(#[from] sqlx::Error),
    /// What is stored is not what this program stores.
    #[error("what is stored is not readable: {0}")]
    Stored(String),
}

impl StorageError {
    /// Whether nothing answers, so that waiting may help.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Query(sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed))
    }

    /// Whether the tables are missing or too old.
    pub fn is_not_migrated(&self) -> bool {
        let Self::Query(sqlx::Error::Database(error)) = self else { return false };
        // 42P01 and 42703: undefined table and column (PostgreSQL); SQLite has only words for them.
        matches!(error.code().as_deref(), Some("42P01" | "42703"))
            || error.message().starts_with("no such table")
            || error.message().starts_with("no such column")
    }

    /// What the operator should do.
    pub fn advice(&self) -> String {
        match self {
            Self::Address => {
                "database.url is not an address that is known here: expected sqlite:PATH or postgres://user:password@host/name.".into()
            }
            Self::Folder(dir, error) => {
                format!("{} cannot be made ({error}); choose another place in database.url.", dir.display())
            }
            _ if self.is_unreachable() => {
                format!("The database cannot be reached ({self}); check that it runs and that database.url is right.")
            }
            _ if self.is_not_migrated() => "The database's tables are missing or too old; run `verdicts migrate`.".into(),
            Self::Migrate(error) => format!("The database's tables cannot be brought up to date: {error}. Was it used by a newer version?"),
            Self::Query(error) => format!("The database refused: {error}. Check database.url, the disk's space and the rights on it."),
            Self::Stored(what) => format!("The database holds something this version cannot read: {what}. Was it used by a newer version?"),
        }
    }
}

fn stored<T>(result: Result<T, String>) -> Result<T, StorageError> {
    result.map_err(StorageError::Stored)
}
