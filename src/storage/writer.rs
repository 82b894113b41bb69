//! SQLite's one writer: a connection held for good, on which transactions take turns.
//!
//! Held, for a query through sqlx's pool costs three times one on a connection at hand. Turns are fair: who waited longest
//! is next, so a sign-up waits for one group commit at most, not for a whole send.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection;
use sqlx::SqliteConnection;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::Mutex;
use tokio::sync::OwnedMutexGuard;

use super::StorageError;
use super::carry_over::carry_over;
use super::file::DatabaseFile;

/// Time that a turn is waited for, and another process's lock on the file.
pub(super) const LONGEST_TURN: Duration = crate::config::relations::SQLITE_TURN_MAX;

/// The writer, shared by all who write in this process.
#[derive(Debug, Clone)]
pub(super) struct SharedWriter {
    options: Arc<SqliteConnectOptions>,
    turn: Arc<Mutex<HeldConnection>>,
    file: Arc<DatabaseFile>,
}

#[derive(Debug)]
pub(super) struct HeldConnection {
    connection: SqliteConnection,
    /// True if a text that was begun may have left a transaction open.
    is_unsure: bool,
    is_closed: bool,
}

impl SharedWriter {
    pub(super) async fn open(options: SqliteConnectOptions) -> sqlx::Result<Self> {
        let connection = SqliteConnection::connect_with(&options).await?;
        let file = Arc::new(DatabaseFile::of(options.get_filename())?);
        // From now on a file that is not there was taken away.
        let options = Arc::new(options.create_if_missing(false));
        Ok(Self {
            options,
            turn: Arc::new(Mutex::new(HeldConnection {
                connection,
                is_unsure: false,
                is_closed: false,
            })),
            file,
        })
    }

    /// Options of a connection of one's own to the same file.
    pub(super) fn options(&self) -> SqliteConnectOptions {
        self.options.as_ref().clone()
    }

    /// Checks that the file is still the one that was opened.
    pub(super) fn check_file(&self) -> sqlx::Result<()> {
        Ok(self.file.check()?)
    }

    /// Checks what no statement on a connection at hand can tell, for it may have all of that in memory: that the disk has room, and
    /// that a connection of its own can read the file's schema and the first rows of each table.
    pub(super) async fn probe(&self) -> sqlx::Result<()> {
        self.check_file()?;
        let file = self.file.clone();
        tokio::task::spawn_blocking(move || file.check_room())
            .await
            .map_err(|_| sqlx::Error::WorkerCrashed)??;
        let options = self.options.as_ref().clone().pragma("query_only", "on");
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let tables: Vec<String> =
            sqlx::query_scalar("select name from sqlite_master where type = 'table'")
                .fetch_all(&mut connection)
                .await?;
        for table in tables {
            // Names of our own migrations.
            let sql = sqlx::AssertSqlSafe(format!("select 1 from \"{table}\" limit 1"));
            sqlx::query(sql).fetch_optional(&mut connection).await?;
        }
        connection.close().await
    }

    /// Begins a transaction. `BEGIN IMMEDIATE`: a plain `BEGIN` that writes later fails with "database is locked" as soon as
    /// another process wrote in between, and no waiting mends that. Not by sqlx's own transactions: after a full disk, when
    /// SQLite rolls back by itself, they take the connection for one still in its transaction, for ever.
    pub(super) async fn begin(&self) -> sqlx::Result<SqliteTx> {
        let mut turn = self.turn().await?;
        turn.is_unsure = true;
        let mut tx = SqliteTx {
            turn,
            writer: self.clone(),
        };
        sqlx::query("begin immediate")
            .execute(tx.connection())
            .await?;
        Ok(tx)
    }

    /// A turn for one statement, which is a transaction of its own: one trip to the driver's thread instead of three.
    pub(super) async fn statement(&self) -> sqlx::Result<Statement> {
        self.turn().await.map(Statement)
    }

    /// sqlx locks a migration on PostgreSQL only. Of two processes that begin at once on one SQLite file the second fails as
    /// a whole, and finds all done when it looks again.
    pub(super) async fn migrate(&self, migrations: &Migrator) -> Result<(), StorageError> {
        let mut turn = self.turn().await?;
        carry_over(super::carry_over::MigrationConnection::Sqlite(
            &mut turn.connection,
        ))
        .await?;
        let mut tries = 0;
        loop {
            match migrations.run(&mut turn.connection).await {
                Err(_) if tries < 20 => tries += 1,
                result => return Ok(result?),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits for the turns that were taken, and gives no more.
    pub(super) async fn close(&self) {
        self.turn.lock().await.is_closed = true;
    }

    async fn turn(&self) -> sqlx::Result<OwnedMutexGuard<HeldConnection>> {
        let waited = tokio::time::timeout(LONGEST_TURN, self.turn.clone().lock_owned()).await;
        let mut turn = waited.map_err(|_| sqlx::Error::PoolTimedOut)?;
        if turn.is_closed {
            return Err(sqlx::Error::PoolClosed);
        }
        self.check_file()?;
        if turn.is_unsure {
            self.roll_back(&mut turn).await?;
        }
        Ok(turn)
    }

    /// Ends what the last turn left open, if anything. A connection that cannot even say whether there was gives way to a new one.
    async fn roll_back(&self, turn: &mut HeldConnection) -> sqlx::Result<()> {
        match sqlx::query("rollback").execute(&mut turn.connection).await {
            Ok(_) => {}
            Err(sqlx::Error::Database(error))
                if error.message().contains("no transaction is active") => {}
            Err(_) => {
                let old = std::mem::replace(
                    &mut turn.connection,
                    SqliteConnection::connect_with(&self.options).await?,
                );
                // It is gone either way.
                let _ = old.close_hard().await;
            }
        }
        turn.is_unsure = false;
        Ok(())
    }
}

/// A turn with an open transaction; dropped without [`SqliteTx::commit`], it is rolled back.
#[derive(Debug)]
pub(super) struct SqliteTx {
    turn: OwnedMutexGuard<HeldConnection>,
    writer: SharedWriter,
}

impl SqliteTx {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.turn.connection
    }

    pub(super) async fn commit(mut self) -> sqlx::Result<()> {
        sqlx::query("commit").execute(self.connection()).await?;
        self.turn.is_unsure = false;
        // What was committed into a file that is gone is lost: nobody may be told that it was kept.
        self.writer.check_file()
    }
}

impl Drop for SqliteTx {
    fn drop(&mut self) {
        // At once rather than with the next turn, which may be far: other processes wait for the file.
        if let (true, Ok(runtime)) = (self.turn.is_unsure, tokio::runtime::Handle::try_current()) {
            let writer = self.writer.clone();
            runtime.spawn(async move { writer.turn().await.map(drop) });
        }
    }
}

/// A turn for one statement outside any transaction.
pub(super) struct Statement(OwnedMutexGuard<HeldConnection>);

impl Statement {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.0.connection
    }
}
