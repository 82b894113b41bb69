//! Errors of the database, with advice.

use std::path::PathBuf;

use crate::domain::UnknownName;
use crate::domain::address::InvalidAddress;
use crate::domain::catalogue::ScoreError;
use crate::domain::catalogue::SlugError;
use crate::domain::slot::SlotError;

/// An error of the database. `Display` is for the log; [`StorageError::advice`] for the person.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The address is of no known kind.
    #[error("not the address of a database")]
    Address,
    /// A SQLite file, or its folder, cannot be made.
    #[error("cannot make {0}: {1}")]
    Folder(PathBuf, std::io::Error),
    /// A PostgreSQL database whose encoding cannot hold every name.
    #[error("the database's encoding is {0}")]
    Encoding(String),
    /// The tables could not be brought up to date.
    #[error("migration: {0}")]
    Migrate(sqlx::migrate::MigrateError),
    /// A migration stands in the database's list that no version of this program has, or had.
    #[error("migration {0} was applied, and this program does not know it")]
    UnknownSchema(i64),
    /// A query failed, or the connection did.
    #[error("{0}")]
    Query(#[from] sqlx::Error),
    /// A stored value that this program does not store.
    #[error("what is stored is not readable: {0}")]
    Stored(String),
}

impl StorageError {
    /// Returns true if nothing answers, or a server that takes no writes now, so that waiting may help.
    pub fn is_unreachable(&self) -> bool {
        // 57P01 to 57P05: shutting down, crashed, starting up, its database dropped, idle for too long (PostgreSQL, appendix A).
        // An answer that is none: a proxy that takes connections while nobody is behind it, and closes them.
        matches!(
            self,
            Self::Query(
                sqlx::Error::Io(_)
                    | sqlx::Error::Tls(_)
                    | sqlx::Error::Protocol(_)
                    | sqlx::Error::PoolTimedOut
                    | sqlx::Error::PoolClosed
            )
        ) || matches!(
            self.code().as_deref(),
            Some("57P01" | "57P02" | "57P03" | "57P04" | "57P05")
        ) || self.is_standby()
    }

    /// Returns whether the server is a standby, or a primary that was demoted (25006, read_only_sql_transaction): the session's own default
    /// is to write.
    pub fn is_standby(&self) -> bool {
        self.code().as_deref() == Some("25006")
    }

    /// Returns whether others are in the way for the moment: the server has no connection left (53300), or the turn to write into the file
    /// did not come (SQLITE_BUSY).
    pub fn is_crowded(&self) -> bool {
        // The pool tries for a while by itself and then says no more than that it did.
        let timed_out = matches!(self, Self::Query(sqlx::Error::PoolTimedOut));
        timed_out
            || self.code().is_some_and(|code| {
                code == "53300"
                    || code.len() < 5 && code.parse::<u32>().is_ok_and(|code| code & 0xff == 5)
            })
    }

    /// Returns whether the database works, and could not do this in its time: somebody else holds a lock (55P03; SQLite's BUSY and LOCKED), or
    /// the statement took too long, or was cancelled (57014).
    pub fn is_held_up(&self) -> bool {
        self.is_locked() || self.code().as_deref() == Some("57014")
    }

    fn is_locked(&self) -> bool {
        let Some(code) = self.code() else {
            return false;
        };
        code == "55P03"
            || code.len() < 5
                && code
                    .parse::<u32>()
                    .is_ok_and(|number| matches!(number & 0xff, 5 | 6))
    }

    /// The row or table whose lock was waited for, in PostgreSQL's words, where it says so: `while updating tuple (0,1) in relation "x"`.
    fn place_of_lock(&self) -> Option<String> {
        let Self::Query(sqlx::Error::Database(error)) = self else {
            return None;
        };
        let place = error
            .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?
            .r#where()?;
        Some(place.lines().next().unwrap_or_default().to_owned())
    }

    /// Returns whether the database answers that it cannot work until somebody mends it: no room, read-only, damaged.
    pub fn is_out_of_order(&self) -> bool {
        let Some(code) = self.code() else {
            return false;
        };
        match code.parse::<u32>() {
            // SQLite's primary result codes: READONLY, IOERR, CORRUPT, FULL, CANTOPEN, NOTADB.
            Ok(number) if code.len() < 5 => matches!(number & 0xff, 8 | 10 | 11 | 13 | 14 | 26),
            // PostgreSQL, appendix A: insufficient resources, system error, data or index corrupted.
            _ => {
                code.starts_with("53")
                    || code.starts_with("58")
                    || matches!(&*code, "XX001" | "XX002")
            }
        }
    }

    /// Returns whether `database.url` leads to a pooler in transaction mode that was not announced: it refuses a start-up parameter (08P01,
    /// pgbouncer), or a prepared statement is missing or already there because another server session answered (26000, 42P05).
    fn is_unannounced_pooler(&self) -> bool {
        let is_parameter = matches!(self, Self::Query(sqlx::Error::Database(error)) if error.message().contains("startup parameter"));
        is_parameter || matches!(self.code().as_deref(), Some("26000" | "42P05"))
    }

    /// Returns whether the server broke off a transaction because two met, so that it may be repeated as a whole.
    pub(super) fn is_broken_off(&self) -> bool {
        matches!(self.code().as_deref(), Some("40001" | "40P01"))
    }

    fn code(&self) -> Option<std::borrow::Cow<'_, str>> {
        match self {
            Self::Query(sqlx::Error::Database(error)) => error.code(),
            _ => None,
        }
    }

    /// Returns whether the tables are missing or too old.
    pub fn is_not_migrated(&self) -> bool {
        let Self::Query(sqlx::Error::Database(error)) = self else {
            return false;
        };
        // 42P01 and 42703: undefined table and column (PostgreSQL); SQLite has only words for them.
        matches!(error.code().as_deref(), Some("42P01" | "42703"))
            || error.message().starts_with("no such table")
            || error.message().starts_with("no such column")
    }

    /// Returns what the operator should do.
    pub fn advice(&self) -> String {
        match self {
            Self::Address => {
                "database.url is not an address that is known here: expected sqlite:PATH or postgres://user:password@host/name.".into()
            }
            Self::Folder(dir, error) => {
                format!("{} cannot be made ({error}); choose another place in database.url.", dir.display())
            }
            Self::Encoding(encoding) => {
                format!(
                    "The database at database.url is in {encoding}, which cannot hold every name and text. Make one in UTF-8 \
                     (create database verdicts encoding 'UTF8' template template0), and name it in database.url."
                )
            }
            _ if self.is_unannounced_pooler() => {
                format!(
                    "A pooler (pgbouncer) stands at database.url, and it refused: {self}. Set database.direct_url to the PostgreSQL server \
                     behind it, like postgres://user:password@server/name, and keep the pooler in database.url."
                )
            }
            _ if self.is_standby() => {
                "The database server at database.url takes no writes: it is a standby, or a primary that was demoted. Each try connects \
                 anew, so all goes on once the address leads to the primary."
                    .into()
            }
            _ if self.is_unreachable() => {
                format!("The database cannot be reached ({self}); check that it runs and that database.url is right.")
            }
            _ if self.is_locked() => {
                let place = self.place_of_lock().map(|place| format!(", {place}")).unwrap_or_default();
                format!(
                    "The database is up, but somebody else holds a lock in it for too long ({self}{place}), so nothing was changed. Try again; if it \
                     lasts, end what holds it (PostgreSQL: pg_blocking_pids() of the sessions in pg_stat_activity)."
                )
            }
            _ if self.is_held_up() => {
                format!(
                    "The database is up, but did not do this in its time ({self}), so nothing was changed. Try again; if it lasts, look at its load."
                )
            }
            _ if self.is_not_migrated() => "The database's tables are missing or too old; run `verdicts migrate`.".into(),
            Self::UnknownSchema(version) => format!(
                "The database's tables are not those of any version that this program can carry over: their migration {version} is unknown. Was it \
                 used by a newer version? Then start that one; otherwise restore the backup of before. Nothing was changed."
            ),
            Self::Migrate(error) => format!("The database's tables cannot be brought up to date: {error}. Was it used by a newer version?"),
            Self::Query(error) => format!("The database refused: {error}. Check database.url, the disk's space and the rights on it."),
            Self::Stored(what) => format!("The database holds something this version cannot read: {what}. Was it used by a newer version?"),
        }
    }
}

/// Every way in which a stored value is refused by its type.
macro_rules! unreadable {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for StorageError {
            fn from(error: $error) -> Self {
                Self::Stored(error.to_string())
            }
        })+
    };
}
unreadable!(
    UnknownName,
    InvalidAddress,
    SlugError,
    ScoreError,
    SlotError,
    serde_json::Error
);
