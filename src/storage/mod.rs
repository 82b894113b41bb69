//! Floor 3: all SQL, and nothing but SQL, for SQLite and PostgreSQL.
//!
//! One SQL text per query; the macros `execute!`, `optional!` and `all!` run it on whichever database is open. Every
//! public function is a whole unit of work with its own transaction, which never leaves this module. In reading order:
//!
//! - Connections: this file (transactions, macros), `session`, `opening`, `migrating` with `page_versions`, `carry_over`, `writer`, `file`, `instance_secrets`; for PostgreSQL `servers`, `hosts`, `server_pool`, `bounded`, `server_health`, `call_limits` and `pinned_connection`.
//! - Catalogue: [`catalogue`], [`catalogue_import`] and [`catalogue_edit`] with `changes` and `catalogue_removal`, [`catalogue_list`], [`sources`] with [`proposals`], [`votes`], [`browsing`], [`bookmarks`].
//! - Subscribers: [`subscribers`] with `history`, [`quotas`] and `transactional`, [`reminders`], [`preferences`], [`email_changes`], [`people`], [`subscriber_list`], [`operator`], [`segments`], [`jobs`], [`personal_data`], [`imports`], [`links`], [`growth`] with [`growth_figures`].
//! - Digests: [`digests`] with [`drafts`] and [`approvals`], [`publishing`] with [`variants`] and [`corrections`], [`digest_results`] with [`roll_ups`].
//! - Ledger: [`ledger`], a folder: batches under leases, updates in groups, counts, statistics. [`notifications`] wakes its senders, [`clock`] judges leases; [`relays`], [`failed_deliveries`], [`retrying`], [`waits`], [`audit`].
//! - What comes back: [`inbound`], [`webhooks`], [`inbound_reports`], [`returned`], [`suppressions`], [`unmatched`], [`refusals`], [`brake`], [`held_refusals`], `sends`. For other programs: [`events`], the outbox and its feed; [`webhooks_out`].
//! - Operation: [`settings`], [`user_notices`], [`users`] with `second_factors`, [`passkeys`], [`identities`] and [`sessions`], [`tokens`] with [`idempotency`], [`audit_log`], [`observations`], [`dns_checks`], [`keeping`], [`backups`], [`diagnostics`], `statistics`.

use std::sync::Arc;
use std::time::Duration;

use opening::Pooled;
use pinned_connection::PinnedConnection;
use server_pool::ServerPool;
use session::Queryable;
use session::ReadConnection;
use session::StorageSession;
use session::Tx;
use sqlx::SqlitePool;
use writer::SharedWriter;

use crate::domain::Timestamp;
use crate::domain::token::Secrets;

/// Runs `$body` with `$c` bound to the `PgConnection` within `$bounded`, for no longer than a call to the server may last.
macro_rules! call {
    ($bounded:expr, $c:ident => $body:expr) => {{
        let limit = $bounded.begin_call();
        let $c = $bounded.raw();
        let done = tokio::time::timeout(limit, async { $body }).await;
        $bounded.end_call(done)
    }};
}

/// Runs `$body` with `$c` bound to the connection of whichever database `$conn` (a `ReadConnection` or a `Tx`) is on, and `$keeps` to
/// whether a statement may stay prepared on it (see [`Pooled`](opening::Pooled)).
macro_rules! on {
    ($conn:expr, $c:ident, $keeps:ident => $body:expr) => {{
        // Not needed where the bound of a generic brings the method.
        #[allow(unused_imports)]
        use $crate::storage::Queryable as _;
        match $conn.session() {
            $crate::storage::StorageSession::Sqlite($c) => {
                let $keeps = true;
                $body
            }
            $crate::storage::StorageSession::Postgres(bounded, $keeps) => call!(bounded, $c => $body),
        }
    }};
}

/// Runs a statement; answers how many rows it touched.
macro_rules! execute {
    ($conn:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        on!($conn, c, keeps => {
            sqlx::query($sql)$(.bind($bind))*.persistent(keeps).execute(&mut *c).await.map(|done| done.rows_affected())
        })
    };
}

/// Reads at most one row.
macro_rules! optional {
    ($conn:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        on!($conn, c, keeps => sqlx::query_as($sql)$(.bind($bind))*.persistent(keeps).fetch_optional(&mut *c).await)
    };
}

/// Reads the one row that there must be.
macro_rules! one {
    ($conn:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        on!($conn, c, keeps => sqlx::query_as($sql)$(.bind($bind))*.persistent(keeps).fetch_one(&mut *c).await)
    };
}

/// Reads all rows: only where their number is bounded.
macro_rules! all {
    ($conn:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        on!($conn, c, keeps => sqlx::query_as($sql)$(.bind($bind))*.persistent(keeps).fetch_all(&mut *c).await)
    };
}

mod ahead;
pub mod approvals;
/// Repeats a unit of work that PostgreSQL broke off since two transactions met (40P01, 40001), up to [`ATTEMPTS_MAX`] times.
macro_rules! repeated {
    ($unit:expr) => {{
        let mut attempt = 1;
        loop {
            match $unit.await {
                Err(error) if attempt < $crate::storage::ATTEMPTS_MAX && $crate::storage::StorageError::is_broken_off(&error) => {
                    tracing::debug!(%error, attempt, "two transactions met; this one is repeated");
                    tokio::time::sleep($crate::storage::pause_before(attempt)).await;
                    attempt += 1;
                }
                done => break done,
            }
        }
    }};
}

pub mod audit;
pub mod audit_log;
pub mod backups;
pub mod bookmarks;
mod bounded;
pub mod brake;
pub mod browsing;
mod call_limits;
mod carry_over;
pub mod catalogue;
pub mod catalogue_edit;
pub mod catalogue_import;
pub mod catalogue_list;
mod catalogue_removal;
mod changes;
pub mod clock;
pub mod corrections;
pub mod diagnostics;
pub mod digest_results;
pub mod digests;
pub mod dns_checks;
pub mod drafts;
pub mod email_changes;
mod error;
pub mod events;
pub mod failed_deliveries;
mod file;
pub mod growth;
pub mod growth_figures;
pub mod held_refusals;
mod history;
mod hosts;
pub mod idempotency;
pub mod identities;
mod ids;
pub mod imports;
pub mod inbound;
pub mod inbound_reports;
mod instance_secrets;
pub mod jobs;
pub mod keeping;
pub mod ledger;
pub mod links;
mod migrating;
pub mod notifications;
pub mod observations;
mod opening;
pub mod operator;
mod page_versions;
pub mod passkeys;
pub mod people;
pub mod personal_data;
mod pinned_connection;
pub mod preferences;
pub mod proposals;
pub mod publishing;
pub mod quotas;
pub mod refusal_groups;
pub mod refusals;
pub mod relays;
pub mod reminders;
pub mod retrying;
pub mod returned;
pub mod roll_ups;
mod second_factors;
pub mod segments;
mod sends;
mod server_health;
mod server_pool;
mod servers;
mod session;
pub mod sessions;
pub mod set_aside;
pub mod settings;
pub mod sources;
mod statistics;
pub mod subscriber_list;
pub mod subscribers;
pub mod suppressions;
pub mod tokens;
mod transactional;
pub mod unmatched;
mod unsubscribe_reasons;
pub mod user_notices;
pub mod users;
pub mod variants;
pub mod votes;
pub mod waits;
pub mod webhooks;
pub mod webhooks_out;
mod writer;

pub use error::StorageError;
pub use opening::sqlite_file;
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// The open database.
#[derive(Debug, Clone)]
pub struct Storage {
    pools: Pools,
    /// The database servers that are reached by a name.
    servers: Arc<[servers::DatabaseServer]>,
    /// Secrets that name subscribers outside this process; `None` until they are known.
    names: Option<Arc<Secrets>>,
}

/// Settings of a PostgreSQL session that decide whether the statements can work.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SessionFacts {
    /// The database's encoding: `UTF8`, for any other is refused when it is opened.
    pub encoding: String,
    /// The isolation level of a transaction: `read committed`, whatever the server's default is.
    pub isolation: String,
    /// The schema that tables are made in.
    pub schema: Option<String>,
}

#[derive(Debug, Clone)]
enum Pools {
    /// WAL lets many read beside one writer, so there is exactly one that writes: waiting in our own queue is fair and
    /// cheap, waiting in SQLite's busy handler is neither.
    Sqlite {
        readers: SqlitePool,
        writer: SharedWriter,
    },
    Postgres {
        server: ServerPool,
        /// For steps.
        kept: PinnedConnection,
    },
    /// Through a pooler that lends the server for one transaction at a time.
    Pooled(Pooled),
}

impl Storage {
    /// Opens the database at `url` with up to `connections` connections; a SQLite file that is not there is made. `direct_url`:
    /// where a pooler in transaction mode stands at `url`, the server behind it. `durable`: a commit is on the disk before it
    /// counts, so that a power cut costs nothing. `call_max`: upper bound on a statement, a commit or a ping on PostgreSQL.
    ///
    /// # Errors
    /// When the address is of no known kind, or nothing answers there.
    pub async fn open(
        url: &str,
        direct_url: Option<&str>,
        connections: u32,
        durable: bool,
        call_max: Duration,
    ) -> Result<Self, StorageError> {
        let is_postgres = url.starts_with("postgres:") || url.starts_with("postgresql:");
        let (pools, servers) = match direct_url {
            _ if url.starts_with("sqlite:") => (
                opening::sqlite(url, connections, durable).await?,
                Vec::new(),
            ),
            Some(direct_url) if is_postgres => {
                opening::pooled(url, direct_url, connections, durable, call_max).await?
            }
            None if is_postgres => opening::postgres(url, connections, durable, call_max).await?,
            _ => return Err(StorageError::Address),
        };
        Ok(Self {
            pools,
            servers: servers.into(),
            names: None,
        })
    }

    /// The same database, with what names a subscriber in the audit log.
    #[must_use]
    pub fn named_by(self, secrets: Secrets) -> Self {
        Self {
            names: Some(Arc::new(secrets)),
            ..self
        }
    }

    /// Brings the tables up to date; doing it twice, or from two processes at once, is doing it once.
    pub async fn migrate(&self, now: Timestamp) -> Result<(), StorageError> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => writer.migrate(&MIGRATIONS).await?,
            Pools::Postgres { server, .. } => {
                migrating::migrate(&MIGRATIONS, self, &server.options()).await?
            }
            // Its lock and its statements belong to a session, which a pooler does not keep.
            Pools::Pooled(pooled) => {
                migrating::migrate(&MIGRATIONS, self, &pooled.direct.primary().await?).await?
            }
        }
        let mut tx = self.begin().await?;
        subscriber_list::make_on_sqlite(&mut tx).await?;
        page_versions::make_on_sqlite(&mut tx).await?;
        migrating::leave_room(&mut tx).await?;
        execute!(
            tx,
            "insert into installation (id, created_at) values (1, $1) on conflict (id) do nothing",
            now.timestamp_millis()
        )?;
        growth::begin(&mut tx, now).await?;
        tx.commit().await?;
        self.refresh_statistics().await
    }

    /// Returns whether the tables are those of this program: `false` before [`Storage::migrate`], or after an update.
    pub async fn is_up_to_date(&self) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let done: Result<Vec<(i64, Vec<u8>)>, sqlx::Error> = all!(
            reader,
            "select version, checksum from _sqlx_migrations where success"
        );
        match done.map_err(StorageError::from) {
            // Each by itself: two that were written side by side may come in either order. By its checksum too: the first migration of a
            // database of before the baseline is another one.
            Ok(rows) => Ok(MIGRATIONS.iter().all(|migration| {
                rows.iter().any(|(version, checksum)| {
                    *version == migration.version && **checksum == *migration.checksum
                })
            })),
            Err(error) if error.is_not_migrated() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns when this database was first set up: nothing scheduled before that was missed.
    pub async fn created_at(&self) -> Result<Timestamp, StorageError> {
        let mut reader = self.read().await?;
        let (created_at,): (i64,) =
            one!(reader, "select created_at from installation where id = 1")?;
        Ok(crate::domain::from_millis(created_at))
    }

    /// Notes that the sample was brought: it is brought once. `false` if that was noted before.
    pub async fn note_sample(&self, now: Timestamp) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let noted = execute!(
            tx,
            "update installation set sample_at = $1 where id = 1 and sample_at is null",
            now.timestamp_millis()
        )?;
        tx.commit().await?;
        Ok(noted > 0)
    }

    /// Returns whether anybody is known here, or was: what a secret was needed for. `false` before the first migration.
    pub async fn has_people(&self) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let row: Result<Option<(i64,)>, sqlx::Error> = optional!(
            reader,
            "select 1 from installation where exists (select 1 from subscribers) or exists (select 1 from suppressions)"
        );
        match row.map_err(StorageError::from) {
            Err(error) if error.is_not_migrated() => Ok(false),
            row => Ok(row?.is_some()),
        }
    }

    /// Returns whether several machines can share it.
    pub fn is_postgres(&self) -> bool {
        !matches!(self.pools, Pools::Sqlite { .. })
    }

    /// Returns what a PostgreSQL session of this process works with: encoding, isolation, and the schema that tables are looked for in (none
    /// where `search_path` names no schema that exists). `None` on SQLite, which has no such choice.
    pub async fn session_facts(&self) -> Result<Option<SessionFacts>, StorageError> {
        if !self.is_postgres() {
            return Ok(None);
        }
        let mut reader = self.read().await?;
        Ok(Some(one!(
            reader,
            "select current_setting('server_encoding') as encoding, current_setting('transaction_isolation') as isolation,
               cast(current_schema() as text) as schema"
        )?))
    }

    /// Closes all connections.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres { server, kept } => {
                kept.release();
                server.close().await;
            }
            Pools::Pooled(pooled) => pooled.pooler.close().await,
        }
    }

    /// Checks that something can be written: by writing what is there already, for only the commit of that meets a lost server. On
    /// SQLite also that the file is still the same, whole, and has room to grow.
    pub async fn can_write(&self) -> Result<(), StorageError> {
        if let Pools::Sqlite { writer, .. } = &self.pools {
            writer.probe().await?;
        }
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update installation set created_at = created_at where id = 1"
        )?;
        Ok(tx.commit().await?)
    }

    async fn read(&self) -> Result<ReadConnection, StorageError> {
        Ok(match &self.pools {
            Pools::Sqlite { readers, writer } => {
                writer.check_file()?;
                ReadConnection::Sqlite(readers.acquire().await?)
            }
            Pools::Postgres { server, .. } => ReadConnection::Postgres(server.acquire().await?),
            // Outside a transaction each half of a query may meet another server connection. Nothing is written: it ends by rollback.
            Pools::Pooled(pooled) => ReadConnection::Pooled(pooled.begin().await?),
        })
    }

    /// Begins a transaction that writes.
    async fn begin(&self) -> Result<Tx, StorageError> {
        Ok(match &self.pools {
            Pools::Sqlite { writer, .. } => Tx::Sqlite(writer.begin().await?),
            Pools::Postgres { server, .. } => {
                Tx::Postgres(server.acquire().await?.begin("begin").await?)
            }
            Pools::Pooled(pooled) => Tx::Pooled(pooled.begin().await?),
        })
    }
}

/// Attempts of a unit of work that the server breaks off.
const ATTEMPTS_MAX: u32 = 5;
/// Up to 20 ms before the second attempt, 40 ms before the third.
fn pause_before(attempt: u32) -> Duration {
    Duration::from_millis(rand::random_range(1..=20 * u64::from(attempt)))
}

/// Takes a stored value that could not be read for the fault that it is.
fn stored<T, E: Into<StorageError>>(result: Result<T, E>) -> Result<T, StorageError> {
    result.map_err(Into::into)
}
