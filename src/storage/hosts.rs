//! The hosts of one PostgreSQL database (`host1,host2` in `database.url`), of which one is the primary.
//!
//! sqlx 0.9 knows one host for each pool. So each host has options of its own here, by which TLS asks for and verifies the name of the host
//! that is dialled, and the pool is led to the one that answers as the primary (`pg_is_in_recovery()`). It is looked for when the
//! database is opened, and whenever the server that was used so far is lost, stops, or turns out to be a standby.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::PgConnection;
use sqlx::PgPool;
use sqlx::Row as _;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio::time::timeout;

use super::StorageError;
use super::bounded::is_connection_lost;
use super::server_health::ServerHealth;
use super::servers::DatabaseServer;
use super::servers::reachable;
use crate::config::DatabaseHosts;
use crate::dial::NEXT_ADDRESS;

/// Upper bound on the wait for a connection to PostgreSQL.
pub(super) const CONNECT_MAX: Duration = Duration::from_secs(15);
/// Upper bound on one host's answer, once others are there to be asked.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Lower bound on the time between two searches for the primary.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Kind of server that listens at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostKind {
    /// PostgreSQL, with a session for each connection.
    Server,
    /// A pooler in transaction mode.
    Pooler,
}

impl HostKind {
    /// Statements for a new connection, of which the last tells whether it leads to a standby.
    pub(super) fn set_up(self) -> &'static str {
        match self {
            // What no start-up parameter can say, because not every server has it (since PostgreSQL 14, and on some systems): the server
            // looks for its client while a statement runs, and so ends what nobody waits for any more.
            Self::Server => {
                "do $$ begin perform set_config('client_connection_check_interval', '2000', false); exception when others then null; end $$; \
                 select pg_is_in_recovery()"
            }
            // A setting would stay with a session of the server that others get next.
            Self::Pooler => "select pg_is_in_recovery()",
        }
    }
}

/// The hosts, in the order of the address.
#[derive(Debug, Clone)]
pub(super) struct Hosts(Arc<KnownHost>);

struct KnownHost {
    hosts: Vec<(PgConnectOptions, Option<DatabaseServer>)>,
    kind: HostKind,
    /// True if a standby will do (`target_session_attrs=any`).
    takes_any: bool,
    state: Mutex<HostsState>,
}

impl std::fmt::Debug for KnownHost {
    /// Leaves out the options: sqlx 0.9 prints their password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct HostsState {
    /// The host that is used.
    current: usize,
    /// By the clock of [`ServerHealth`].
    looked_at: u64,
    last_look: Option<Instant>,
    /// Reason why none was found.
    why: Option<String>,
}

/// Result of a search of all hosts.
enum HostSearch {
    Primary(usize),
    /// No primary, and a standby that answers what reads.
    Standby(usize),
    Nothing(Vec<(usize, sqlx::Error)>),
}

impl Hosts {
    /// Reads an address; `set_up` adds to the options of each host.
    pub(super) async fn find(
        url: &str,
        kind: HostKind,
        set_up: impl Fn(PgConnectOptions) -> PgConnectOptions,
    ) -> Result<Self, StorageError> {
        let listed = DatabaseHosts::parse(url).map_err(|_| StorageError::Address)?;
        let is_alone = listed.urls.len() == 1;
        let mut hosts = Vec::new();
        for url in &listed.urls {
            let options =
                set_up(PgConnectOptions::from_str(url.expose())?.application_name("verdicts"));
            hosts.push(reachable(options, is_alone).await?);
        }
        Ok(Self(Arc::new(KnownHost {
            hosts,
            kind,
            takes_any: listed.takes_any,
            state: Mutex::default(),
        })))
    }

    pub(super) fn kind(&self) -> HostKind {
        self.0.kind
    }

    /// Those that are reached by a name.
    pub(super) fn servers(&self) -> Vec<DatabaseServer> {
        self.0
            .hosts
            .iter()
            .filter_map(|(_, server)| server.clone())
            .collect()
    }

    pub(super) fn are_several(&self) -> bool {
        self.0.hosts.len() > 1
    }

    /// Looks for the primary; a standby where there is none.
    pub(super) async fn primary(&self) -> sqlx::Result<PgConnectOptions> {
        let mut state = self.0.state.lock().await;
        if self.are_several() {
            state.current = match self.find_primary(state.current).await {
                HostSearch::Primary(host) | HostSearch::Standby(host) => host,
                HostSearch::Nothing(missed) => return Err(self.in_words(missed)),
            };
        }
        Ok(self.0.hosts[state.current].0.clone())
    }

    /// Leads new connections of the pool to the primary, if there was trouble since it was last looked for.
    ///
    /// # Errors
    /// When no host answers.
    pub(super) async fn lead(&self, pool: &PgPool, health: &ServerHealth) -> sqlx::Result<()> {
        if !self.are_several() {
            return Ok(());
        }
        let mut state = self.0.state.lock().await;
        if !health.is_suspected_since(state.looked_at) {
            return Ok(());
        }
        if state.last_look.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            // Whoever asks with many others is answered as they are.
            return state.why.clone().map_or(Ok(()), |why| {
                Err(sqlx::Error::Io(std::io::Error::other(why)))
            });
        }
        let looked_at = health.now();
        let found = self.find_primary(state.current).await;
        state.last_look = Some(Instant::now());
        let host = match found {
            HostSearch::Primary(host) => {
                state.looked_at = looked_at;
                host
            }
            HostSearch::Standby(host) => host,
            // It is there, and has no room for one more connection, say: those that are open may still be good.
            HostSearch::Nothing(missed)
                if missed
                    .iter()
                    .any(|(host, error)| *host == state.current && !is_connection_lost(error)) =>
            {
                return Ok(());
            }
            HostSearch::Nothing(missed) => {
                let error = self.in_words(missed);
                state.why = Some(error.to_string());
                return Err(error);
            }
        };
        state.why = None;
        if host != state.current {
            tracing::warn!(
                "switched to database server {} (was {})",
                self.place(host),
                self.place(state.current)
            );
            state.current = host;
            pool.set_connect_options(self.0.hosts[host].0.clone());
        }
        Ok(())
    }

    /// Asks the hosts, `first` first and each a little later than the one before, until one is the primary.
    async fn find_primary(&self, first: usize) -> HostSearch {
        let mut asked = JoinSet::new();
        let others = (0..self.0.hosts.len()).filter(|host| *host != first);
        for (turn, host) in std::iter::once(first).chain(others).enumerate() {
            let (options, kind) = (self.0.hosts[host].0.clone(), self.0.kind);
            asked.spawn(async move {
                tokio::time::sleep(NEXT_ADDRESS * turn as u32).await;
                let answer = timeout(ANSWER_MAX, connect(&options, kind)).await;
                (
                    host,
                    answer.unwrap_or_else(|_| {
                        Err(
                            std::io::Error::other(format!("no answer within {ANSWER_MAX:?}"))
                                .into(),
                        )
                    }),
                )
            });
        }
        let (mut standby, mut missed) = (None, Vec::new());
        while let Some(answered) = asked.join_next().await {
            match answered {
                Ok((host, Ok((_, is_standby)))) if !is_standby || self.0.takes_any => {
                    return HostSearch::Primary(host);
                }
                Ok((host, Ok(_))) => standby = standby.or(Some(host)),
                Ok((host, Err(error))) => missed.push((host, error)),
                Err(_) => {}
            }
        }
        standby.map_or(HostSearch::Nothing(missed), HostSearch::Standby)
    }

    /// Returns why no host can be used. What waiting does not mend (a wrong password, say) is the error itself.
    fn in_words(&self, mut missed: Vec<(usize, sqlx::Error)>) -> sqlx::Error {
        if let Some(at) = missed
            .iter()
            .position(|(_, error)| !is_connection_lost(error))
        {
            return missed.swap_remove(at).1;
        }
        let each: Vec<String> = missed
            .iter()
            .map(|(host, error)| format!("{}: {error}", self.place(*host)))
            .collect();
        sqlx::Error::Io(std::io::Error::other(format!(
            "none of its hosts answers: {}",
            each.join("; ")
        )))
    }

    fn place(&self, host: usize) -> String {
        let (options, _) = &self.0.hosts[host];
        format!("{}:{}", options.get_host(), options.get_port())
    }
}

/// Connects to a server outside of a pool, within [`CONNECT_MAX`]; with true if it is a standby.
pub(super) async fn connect(
    options: &PgConnectOptions,
    kind: HostKind,
) -> sqlx::Result<(PgConnection, bool)> {
    bounded(async {
        let mut connection = PgConnection::connect_with(options).await?;
        let is_standby = set_up(&mut connection, kind).await?;
        Ok((connection, is_standby))
    })
    .await
}

/// Sets a new session up; returns true if its server is a standby.
pub(super) async fn set_up(connection: &mut PgConnection, kind: HostKind) -> sqlx::Result<bool> {
    sqlx::raw_sql(kind.set_up())
        .fetch_one(connection)
        .await?
        .try_get(0)
}

/// Gives work on a connection that is being made as long as one may take, [`CONNECT_MAX`].
pub(super) async fn bounded<T>(work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    timeout(CONNECT_MAX, work).await.unwrap_or_else(|_| {
        let words = format!(
            "the server did not answer within {}",
            humantime::format_duration(CONNECT_MAX)
        );
        Err(sqlx::Error::Io(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            words,
        )))
    })
}
