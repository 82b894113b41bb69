//! What goes wrong with a database, and what to do then.

use std::path::PathBuf;

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
