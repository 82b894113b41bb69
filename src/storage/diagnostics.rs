//! Facts about the database for whoever looks for a fault.

use std::path::Path;

use sqlx::Connection as _;
use sqlx::SqliteConnection;

use super::MIGRATIONS;
use super::Storage;
use super::StorageError;
use super::opening::sqlite_file;
use crate::domain::Timestamp;
use crate::domain::from_millis;

/// Facts about the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseFacts {
    /// Product.
    pub kind: &'static str,
    /// Version of the server, or of the library.
    pub version: String,
    /// Bytes of the whole database.
    pub bytes: Option<u64>,
    /// Bytes of SQLite's write-ahead log.
    pub wal_bytes: Option<u64>,
    /// Number of the newest migration that was run.
    pub migration: Option<i64>,
    /// Migrations of this program that were not run.
    pub migrations_missing: u64,
    /// Bytes that are free where the database's file lies.
    pub disk_free: Option<u64>,
}

/// A sender's lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderLease {
    /// Process of the sender.
    pub process: String,
    /// Time at which it began.
    pub started_at: Timestamp,
    /// Time at which its lease ends unless it is renewed.
    pub expires_at: Timestamp,
    /// Reason why it holds back mail.
    pub trouble: Option<String>,
}

impl Storage {
    /// Reads the facts. `url`: the database's address, for the file of SQLite.
    pub async fn database_facts(&self, url: &str) -> Result<DatabaseFacts, StorageError> {
        let mut reader = self.read().await?;
        let file = sqlite_file(url);
        let (kind, version, bytes): (_, String, Option<i64>) = if self.is_postgres() {
            let (version, bytes): (String, i64) = one!(
                reader,
                "select current_setting('server_version'), pg_database_size(current_database())"
            )?;
            ("PostgreSQL", version, Some(bytes))
        } else {
            let (version,): (String,) = one!(reader, "select cast(sqlite_version() as text)")?;
            let bytes = file.as_deref().and_then(length);
            ("SQLite", version, bytes.map(u64::cast_signed))
        };
        let done: Vec<(i64,)> = all!(reader, "select version from _sqlx_migrations where success")?;
        let is_done = |version: i64| done.iter().any(|(known,)| *known == version);
        let missing = MIGRATIONS.iter().filter(|known| !is_done(known.version));
        Ok(DatabaseFacts {
            kind,
            version,
            bytes: bytes.map(i64::unsigned_abs),
            wal_bytes: file.as_deref().and_then(|file| {
                let mut name = file.as_os_str().to_owned();
                name.push("-wal");
                length(Path::new(&name))
            }),
            migration: done.iter().map(|(version,)| *version).max(),
            migrations_missing: missing.count() as u64,
            disk_free: file.as_deref().and_then(disk_free),
        })
    }

    /// Version of the SQLite that is compiled in.
    pub async fn sqlite_version() -> Result<String, StorageError> {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await?;
        let version = sqlx::query_scalar("select cast(sqlite_version() as text)")
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        Ok(version)
    }

    /// Number of the newest migration of this program.
    pub fn newest_migration() -> i64 {
        MIGRATIONS
            .iter()
            .map(|known| known.version)
            .max()
            .unwrap_or(0)
    }

    /// Leases of the senders, by process.
    pub async fn sender_leases(&self) -> Result<Vec<SenderLease>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String, i64, i64, Option<String>)> = all!(
            reader,
            "select process, started_at, expires_at, trouble from senders order by process, id"
        )?;
        let lease = |(process, started_at, expires_at, trouble)| SenderLease {
            process,
            started_at: from_millis(started_at),
            expires_at: from_millis(expires_at),
            trouble,
        };
        Ok(rows.into_iter().map(lease).collect())
    }
}

fn length(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|data| data.len())
}

/// Bytes that a user without privileges can still write there.
#[cfg(unix)]
fn disk_free(path: &Path) -> Option<u64> {
    let facts = rustix::fs::statvfs(path).ok()?;
    facts.f_bavail.checked_mul(facts.f_frsize)
}

#[cfg(not(unix))]
fn disk_free(_: &Path) -> Option<u64> {
    None
}
