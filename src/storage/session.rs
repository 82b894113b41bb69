//! Connections that read and transactions that write, on whichever database is open.

use super::bounded::Bounded;
use super::writer::SqliteTx;

/// A connection that reads.
pub(super) enum Reader {
    Sqlite(sqlx::pool::PoolConnection<sqlx::Sqlite>),
    Postgres(Bounded),
    /// Within a transaction, for outside one each half of a query may meet another server connection.
    Pooled(Bounded),
}

/// A transaction that writes; dropped without [`Tx::commit`] it changes nothing.
pub(super) enum Tx {
    Sqlite(SqliteTx),
    Postgres(Bounded),
    Pooled(Bounded),
}

/// Where the query macros run.
pub(super) enum Session<'a> {
    Sqlite(&'a mut sqlx::SqliteConnection),
    /// And whether a statement may stay prepared.
    Postgres(&'a mut Bounded, bool),
}

/// Whatever the query macros can run on: a reader, or a transaction.
pub(super) trait Queryable {
    fn session(&mut self) -> Session<'_>;

    fn is_postgres(&mut self) -> bool {
        matches!(self.session(), Session::Postgres(..))
    }
}

impl Queryable for Reader {
    fn session(&mut self) -> Session<'_> {
        match self {
            Self::Sqlite(connection) => Session::Sqlite(connection),
            Self::Postgres(connection) => Session::Postgres(connection, true),
            Self::Pooled(connection) => Session::Postgres(connection, false),
        }
    }
}

impl Queryable for Tx {
    fn session(&mut self) -> Session<'_> {
        match self {
            Self::Sqlite(tx) => Session::Sqlite(tx.connection()),
            Self::Postgres(connection) => Session::Postgres(connection, true),
            Self::Pooled(connection) => Session::Postgres(connection, false),
        }
    }
}

impl Reader {
    /// For a report that reads all rows of a digest: its statements may last minutes.
    pub(super) fn patient(mut self) -> Self {
        if let Self::Postgres(connection) | Self::Pooled(connection) = &mut self {
            connection.be_patient();
        }
        self
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
