//! All time limits that depend on one another, in one table: each row was a way to make the sender stand still, or a mail useless, with
//! settings that were each within their own range.
//!
//! Held when the settings are read, so at each start and by `config` and `doctor`; the table in docs/sending.md is made from it. What
//! a limit waits for that is no setting stands here by the constant's value: the module that owns it names this table.

use std::time::Duration;

use super::ConfigError;
use super::Settings;

/// One side of a relation.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    /// A setting.
    Setting(&'static str, fn(&Settings) -> Duration),
    /// A time that no setting changes, and its name.
    Fixed(&'static str, Duration),
}

impl Limit {
    /// A setting's key, or what the fixed time is.
    pub fn name(self) -> &'static str {
        match self {
            Self::Setting(name, _) | Self::Fixed(name, _) => name,
        }
    }

    /// Its length in these settings.
    pub fn length(self, settings: &Settings) -> Duration {
        match self {
            Self::Setting(_, read) => read(settings),
            Self::Fixed(_, length) => length,
        }
    }

    fn is_setting(self) -> bool {
        matches!(self, Self::Setting(..))
    }
}

/// A limit that must leave room for others: `long` is at least `times` as long as all of `short` together.
#[derive(Debug, Clone, Copy)]
pub struct Relation {
    /// The one that must be long enough.
    pub long: Limit,
    /// Number of times that the others fit into it.
    pub times: u32,
    /// The others.
    pub short: &'static [Limit],
    /// Consequence of a broken relation, as the rest of a sentence that begins with "or".
    pub otherwise: &'static str,
}

/// The longest that a request to a page may take.
pub const REQUEST_MAX: Duration = Duration::from_secs(30);
/// The shortest that a call to PostgreSQL may last, however short the lease is.
pub const DATABASE_CALL_MIN: Duration = Duration::from_secs(1);
/// Time that a turn to write into SQLite is waited for, and another process's lock on the file.
pub const SQLITE_TURN_MAX: Duration = Duration::from_secs(60);

const RETRY_FIRST: Limit = Limit::Setting("mail.retry.first", |s| s.mail.retry.first);
const MAX_AGE: Limit = Limit::Setting("mail.retry.max_age", |s| s.mail.retry.max_age);
const CONNECT: Limit = Limit::Setting("mail.timeouts.connect", |s| s.mail.timeouts.connect);
const GREETING: Limit = Limit::Setting("mail.timeouts.greeting", |s| s.mail.timeouts.greeting);
const CONFIRM_WITHIN: Limit = Limit::Setting("signup.confirm_within", |s| s.signup.confirm_within);
const CATCH_UP: Limit = Limit::Setting("schedule.catch_up", |s| s.schedule.catch_up);
const BRAKE_WAIT: Limit = Limit::Setting("bounces.brake_wait", |s| s.bounces.brake_wait);
const LEASE: Limit = Limit::Setting("mail.lease", |s| s.mail.lease);
const DATABASE_CALL: Limit = Limit::Fixed(
    "the shortest limit of a call to PostgreSQL",
    DATABASE_CALL_MIN,
);
const TICK: Limit = Limit::Fixed("the schedule's clock", Duration::from_secs(60));
const WEEK: Limit = Limit::Fixed(
    "the time between two digests",
    Duration::from_secs(7 * 86_400),
);
const HEARTBEAT: Limit = Limit::Fixed("a look for senders that died", Duration::from_secs(1));
const REQUEST: Limit = Limit::Fixed("a request to a page", REQUEST_MAX);
const SQLITE_TURN: Limit = Limit::Fixed("a turn to write into SQLite", SQLITE_TURN_MAX);

/// The table.
pub const RELATIONS: &[Relation] = &[
    Relation {
        long: MAX_AGE,
        times: 2,
        short: &[RETRY_FIRST],
        otherwise: "a mail that is put off once is given up without a second attempt (a wait is up to a quarter longer than it says)",
    },
    Relation {
        long: CONFIRM_WITHIN,
        times: 2,
        short: &[RETRY_FIRST],
        otherwise: "a confirmation that a reader's server puts off once arrives with a link that is over, for the relay waits as long as we do",
    },
    Relation {
        long: CATCH_UP,
        times: 2,
        short: &[TICK],
        otherwise: "a pick or send time is over before the clock looks at it, and no digest is ever sent",
    },
    Relation {
        long: GREETING,
        times: 2,
        short: &[CONNECT],
        otherwise: "a relay whose first address is silent, or whose TLS is slow, never gets through its greeting",
    },
    Relation {
        long: LEASE,
        times: 1,
        short: &[HEARTBEAT],
        otherwise: "a sender that works is taken for dead, and its mails are in doubt",
    },
    Relation {
        long: LEASE,
        times: 3,
        short: &[DATABASE_CALL],
        otherwise: "one call that gets no answer leaves no time to write a result over another connection, and mails are in doubt",
    },
    Relation {
        long: WEEK,
        times: 2,
        short: &[BRAKE_WAIT],
        otherwise: "the next digest goes out before the refusals of the last one are judged",
    },
    Relation {
        long: SQLITE_TURN,
        times: 2,
        short: &[REQUEST],
        otherwise: "a page would blame the database where it only has to wait",
    },
];

impl Relation {
    /// Returns whether these settings keep it.
    pub fn holds(&self, settings: &Settings) -> bool {
        let short: Duration = self
            .short
            .iter()
            .map(|limit| limit.length(settings))
            .fold(Duration::ZERO, Duration::saturating_add);
        self.long.length(settings) >= short.saturating_mul(self.times)
    }

    /// `mail.retry.max_age` at least twice `mail.retry.first`.
    fn demand(&self, shown: impl Fn(Limit) -> String) -> String {
        let short: Vec<String> = self.short.iter().map(|limit| shown(*limit)).collect();
        let times = match self.times {
            1 => "as long as",
            2 => "twice",
            _ => "three times",
        };
        let together = if short.len() > 1 { " together" } else { "" };
        format!("at least {times} {}{together}", short.join(" and "))
    }

    /// The fault of settings that break it: both names, both values, why, and what to change.
    fn fault(&self, settings: &Settings) -> ConfigError {
        let shown = |limit: Limit| {
            format!(
                "{} ({})",
                limit.name(),
                humantime::format_duration(limit.length(settings))
            )
        };
        let changes: Vec<String> = [(self.long, "raise")]
            .into_iter()
            .chain(self.short.iter().map(|limit| (*limit, "lower")))
            .filter(|(limit, _)| limit.is_setting())
            .map(|(limit, verb)| format!("{verb} {}", limit.name()))
            .collect();
        ConfigError(format!(
            "{} must be {}, or {}: {}.",
            shown(self.long),
            self.demand(shown),
            self.otherwise,
            changes.join(" or ")
        ))
    }
}

/// Holds all limits against one another.
pub(super) fn check(settings: &Settings) -> Result<(), ConfigError> {
    match RELATIONS.iter().find(|relation| !relation.holds(settings)) {
        Some(broken) => Err(broken.fault(settings)),
        None => Ok(()),
    }
}

/// Lists settings that work and could be better, as sentences.
pub fn advice(settings: &Settings) -> Vec<String> {
    let mail = &settings.mail;
    let wasted = mail.relays_in_force().into_iter().filter_map(|relay| {
        let (rate, connections) = (f64::from(relay.rate_per_second), relay.connections as f64);
        // Each connection has one mail in this time.
        let turn = Duration::from_secs_f64(if rate > 0.0 { connections / rate } else { 0.0 });
        (turn > mail.idle).then(|| {
            format!(
                "{}: at rate_per_second ({}) each of its connections ({}) has a mail every {}, longer than mail.idle ({}), so each mail needs \
                 a new connection: lower connections",
                relay.name,
                relay.rate_per_second,
                relay.connections,
                humantime::format_duration(Duration::from_secs(turn.as_secs())),
                humantime::format_duration(mail.idle)
            )
        })
    });
    wasted.collect()
}

/// The table as it stands in docs/sending.md, with the defaults.
pub fn table() -> String {
    let settings = Settings::default();
    let code = |limit: Limit| {
        let length = humantime::format_duration(limit.length(&settings));
        if limit.is_setting() {
            format!("`{}` ({length})", limit.name())
        } else {
            format!("{} ({length})", limit.name())
        }
    };
    let rows = RELATIONS.iter().map(|row| {
        format!(
            "| {} | {} | {} |\n",
            code(row.long),
            row.demand(code),
            row.otherwise
        )
    });
    format!(
        "| limit | must be | or |\n| --- | --- | --- |\n{}",
        rows.collect::<String>()
    )
}

#[cfg(test)]
#[path = "relations_tests.rs"]
pub mod tests;
