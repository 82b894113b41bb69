//! Connections that read and transactions that write, on whichever database is open.

use super::bounded::BoundedConnection;
use super::writer::SqliteTx;

/// A connection that reads.
pub(super) enum ReadConnection {
    Sqlite(sqlx::pool::PoolConnection<sqlx::Sqlite>),
    Postgres(BoundedConnection),
    /// Within a transaction, for outside one each half of a query may meet another server connection.
    Pooled(BoundedConnection),
}

/// A transaction that writes; dropped without [`Tx::commit`] it changes nothing.
pub(super) enum Tx {
    Sqlite(SqliteTx),
    Postgres(BoundedConnection),
    Pooled(BoundedConnection),
}

/// Connection that the query macros run on.
pub(super) enum StorageSession<'a> {
    Sqlite(&'a mut sqlx::SqliteConnection),
    /// With true if a statement may stay prepared on it.
    Postgres(&'a mut BoundedConnection, bool),
}

/// A reader or a transaction, for the query macros.
pub(super) trait Queryable {
    fn session(&mut self) -> StorageSession<'_>;

    fn is_postgres(&mut self) -> bool {
        matches!(self.session(), StorageSession::Postgres(..))
    }
}

impl Queryable for ReadConnection {
    fn session(&mut self) -> StorageSession<'_> {
        match self {
            Self::Sqlite(connection) => StorageSession::Sqlite(connection),
            Self::Postgres(connection) => StorageSession::Postgres(connection, true),
            Self::Pooled(connection) => StorageSession::Postgres(connection, false),
        }
    }
}

impl Queryable for Tx {
    fn session(&mut self) -> StorageSession<'_> {
        match self {
            Self::Sqlite(tx) => StorageSession::Sqlite(tx.connection()),
            Self::Postgres(connection) => StorageSession::Postgres(connection, true),
            Self::Pooled(connection) => StorageSession::Postgres(connection, false),
        }
    }
}

impl ReadConnection {
    /// Lets its statements last minutes, for a report that reads all rows of a digest or of the list.
    pub(super) async fn for_report(self) -> sqlx::Result<Self> {
        Ok(match self {
            Self::Postgres(connection) => Self::Postgres(connection.begin_report().await?),
            Self::Pooled(connection) => Self::Pooled(connection.begin_report().await?),
            Self::Sqlite(connection) => Self::Sqlite(connection),
        })
    }
}

impl Tx {
    pub(super) fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_) | Self::Pooled(_))
    }

    pub(super) async fn commit(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(connection) | Self::Pooled(connection) => connection.commit().await,
        }
    }
}
