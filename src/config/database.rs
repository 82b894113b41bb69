//! `[database]`: where everything is kept.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::DatabaseHosts;
use super::SecretUrl;
use super::Settings;
use super::fault;
use super::relations::DATABASE_CALL_MIN;
use super::within;

/// `[database]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// `sqlite:PATH` or `postgres://...`, of PostgreSQL also with several hosts ([`DatabaseHosts`]).
    pub url: SecretUrl,
    /// PostgreSQL server behind a pooler in transaction mode (pgbouncer), where one stands at `url`.
    pub direct_url: Option<SecretUrl>,
    /// Connections to PostgreSQL, or readers of SQLite, of this process.
    pub connections: u32,
    /// Loss that a power cut or a failover may cause.
    pub durability: Durability,
    /// Time that `serve` waits at its start for a database server that is not up yet.
    #[serde(with = "humantime_serde")]
    pub wait_at_start: Duration,
}

/// `database.durability`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Nothing: a commit is on the disk before it counts.
    Full,
    /// The last commits, for more mails a second: on SQLite after a power cut, on PostgreSQL after a failover to a replica, for which no
    /// commit waits.
    Relaxed,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            url: "sqlite:data/verdicts.db".into(),
            direct_url: None,
            connections: 8,
            durability: Durability::Full,
            wait_at_start: Duration::from_secs(30),
        }
    }
}

/// A page waits for a call too.
const DATABASE_CALL_MAX: Duration = Duration::from_secs(10);

impl Settings {
    /// Upper bound on one statement, commit or ping on PostgreSQL: a third of the lease, so that a result is written over another
    /// connection before others take this sender for dead, and no more than ten seconds.
    pub fn database_call_max(&self) -> Duration {
        (self.mail.lease / 3).clamp(DATABASE_CALL_MIN, DATABASE_CALL_MAX)
    }
}

impl DatabaseSettings {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !(1..=500).contains(&self.connections) {
            return fault("database.connections", "expected 1 to 500");
        }
        within("database.wait_at_start", self.wait_at_start, Duration::ZERO)?;
        let is_postgres = |url: &SecretUrl| {
            let url = url.expose();
            url.starts_with("postgres:") || url.starts_with("postgresql:")
        };
        if !is_postgres(&self.url) && !self.url.expose().starts_with("sqlite:") {
            return fault(
                "database.url",
                "expected sqlite:PATH or postgres://user:password@host/name; no other database is known here",
            );
        }
        if self
            .direct_url
            .as_ref()
            .is_some_and(|direct| !is_postgres(direct) || !is_postgres(&self.url))
        {
            return fault(
                "database.direct_url",
                "it is for PostgreSQL behind a pooler: expected postgres://... here and in database.url",
            );
        }
        for (key, address) in [
            ("database.url", Some(&self.url)),
            ("database.direct_url", self.direct_url.as_ref()),
        ] {
            if let Some(Err(words)) = address.map(|address| DatabaseHosts::parse(address.expose()))
            {
                return fault(key, &words);
            }
        }
        Ok(())
    }
}
