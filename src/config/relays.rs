//! `[[mail.relays]]` and `mail.per_domain`: several ways out, and what some recipients are spared.

use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::MailSettings;
use super::PauseSettings;
use super::SecretUrl;
use super::fault;
use super::one_or_many;
use crate::domain::limits::DomainLimit;
use crate::domain::limits::DomainLimits;
use crate::domain::limits::DomainName;
use crate::domain::limits::WarmUp;

/// More relays than that are a slip of the pen.
const MOST_RELAYS: usize = 50;

/// An entry of `[[mail.relays]]`. What it leaves out is as in `[mail]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedRelaySettings {
    /// Name in the ledger and the metrics.
    pub name: String,
    /// Like `mail.transport`.
    pub transport: SecretUrl,
    /// Its share, against the weights of the others.
    #[serde(default = "one")]
    pub weight: u32,
    /// Connections of each process to it.
    pub connections: Option<usize>,
    /// Mails a second of each process to it; 0: no limit.
    pub rate_per_second: Option<u32>,
    /// Mails a day of all processes to it; 0: no limit.
    pub per_day: Option<u64>,
    /// Fewer a day at first.
    pub warm_up: Option<WarmUp>,
}

const fn one() -> u32 {
    1
}

/// A way out with its limits, as it is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct RelaySettings {
    /// Name in the ledger and the metrics; `default` where there is only `mail.transport`.
    pub name: String,
    /// Like `mail.transport`.
    pub transport: SecretUrl,
    /// Its share, against the weights of the others: 1 to 1,000.
    pub weight: u32,
    /// Connections of this process to it.
    pub connections: usize,
    /// Mails a second of this process to it; 0: no limit.
    pub rate_per_second: u32,
    /// Mails a day of all processes to it; 0: no limit.
    pub per_day: u64,
    /// Fewer a day at first.
    pub warm_up: WarmUp,
    /// `mail.transactional_share`
    pub transactional_share: u32,
    /// `mail.pause`
    pub pause: PauseSettings,
}

/// An entry of `mail.per_domain`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerDomain {
    /// A recipient domain, or several that share the limit; `*`: each domain that no other entry names.
    #[serde(deserialize_with = "one_or_many")]
    pub domain: Vec<DomainName>,
    /// Connections of this process that carry mail there at once; 0: no limit.
    #[serde(default)]
    pub connections: usize,
    /// Mails a second of this process; 0: no limit.
    #[serde(default)]
    pub rate_per_second: u32,
}

impl MailSettings {
    /// The ways out: those of `[[mail.relays]]`, or the one that `mail.transport` names. Never none.
    pub fn relays_in_force(&self) -> Vec<RelaySettings> {
        if self.relays.is_empty() {
            let only = ListedRelaySettings {
                name: "default".into(),
                transport: self.transport.clone(),
                weight: 1,
                connections: None,
                rate_per_second: None,
                per_day: None,
                warm_up: None,
            };
            return vec![self.relay(&only)];
        }
        self.relays
            .iter()
            .map(|listed| self.relay(listed))
            .collect()
    }

    fn relay(&self, listed: &ListedRelaySettings) -> RelaySettings {
        RelaySettings {
            name: listed.name.clone(),
            transport: listed.transport.clone(),
            weight: listed.weight,
            connections: listed.connections.unwrap_or(self.connections),
            rate_per_second: listed.rate_per_second.unwrap_or(self.rate_per_second),
            per_day: listed.per_day.unwrap_or(self.per_day),
            warm_up: listed.warm_up.unwrap_or(self.warm_up),
            transactional_share: self.transactional_share,
            pause: self.pause,
        }
    }

    /// `mail.per_domain`, ready to be asked.
    pub fn domain_limits(&self) -> DomainLimits {
        let limit = |entry: &PerDomain| DomainLimit {
            connections: entry.connections,
            rate_per_second: entry.rate_per_second,
        };
        DomainLimits::new(
            self.per_domain
                .iter()
                .map(|entry| (entry.domain.clone(), limit(entry))),
        )
    }

    pub(super) fn check_relays(&self) -> Result<(), ConfigError> {
        if self.relays.len() > MOST_RELAYS {
            return fault("mail.relays", &format!("expected at most {MOST_RELAYS}"));
        }
        check_warm_up("mail.warm_up", self.warm_up)?;
        for (at, relay) in self.relays.iter().enumerate() {
            let is_name =
                |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_.".contains(&c);
            if relay.name.is_empty() || relay.name.len() > 40 || !relay.name.bytes().all(is_name) {
                return fault(
                    "mail.relays.name",
                    "expected 1 to 40 of a-z, 0-9, \"-\", \"_\" and \".\"",
                );
            }
            let key = |key: &str| format!("mail.relays ({}): {key}", relay.name);
            if self.relays[..at]
                .iter()
                .any(|other| other.name == relay.name)
            {
                return fault(&key("name"), "expected a name of its own for each relay");
            }
            if !(1..=1_000).contains(&relay.weight) {
                return fault(&key("weight"), "expected 1 to 1000");
            }
            if relay
                .connections
                .is_some_and(|connections| !(1..=200).contains(&connections))
            {
                return fault(&key("connections"), "expected 1 to 200");
            }
            relay
                .warm_up
                .map_or(Ok(()), |plan| check_warm_up(&key("warm_up"), plan))?;
        }
        if self.per_domain.iter().any(|entry| entry.domain.is_empty()) {
            return fault("mail.per_domain.domain", "expected a domain, or \"*\"");
        }
        Ok(())
    }
}

fn check_warm_up(key: &str, plan: WarmUp) -> Result<(), ConfigError> {
    if !(1.0..=10.0).contains(&plan.growth) {
        return fault(&format!("{key}.growth"), "expected 1 to 10");
    }
    if plan.days > 365 {
        return fault(&format!("{key}.days"), "expected at most 365");
    }
    Ok(())
}
