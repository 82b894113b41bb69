//! Limits on what may go out: by the day, over how many connections, and to which domains.
//!
//! Three rules that the delivery engine asks. [`allowance`]: what a relay may send today, with a new one warmed up day by
//! day. [`ConcurrencyLimit`]: over how many connections, as the far end shows that it bears them. [`DomainLimits`]: what one
//! recipient domain is spared.

use std::borrow::Cow;

use chrono::TimeDelta;
use serde::Deserialize;
use serde::Serialize;

use super::Timestamp;
use super::address::mail_domain;

/// `mail.warm_up`: a relay or sending domain that nobody knows yet begins with few messages a day, and more each day;
/// large receivers turn strangers away that send much at once (M3AAWG Sender Best Common Practices).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WarmUp {
    /// Messages on the first day; 0: no warm-up.
    pub start: u64,
    /// Each day so many times as many as on the day before.
    pub growth: f64,
    /// After so many days it is over.
    pub days: u32,
}

impl Default for WarmUp {
    fn default() -> Self {
        Self {
            start: 0,
            growth: 1.5,
            days: 30,
        }
    }
}

/// The number of a day, counted in UTC whatever the site's zone: relays that limit by the day do not know that zone.
pub fn day_of(moment: Timestamp) -> i64 {
    moment.timestamp().div_euclid(24 * 60 * 60)
}

/// Returns when a day of [`day_of`] begins.
pub fn start_of(day: i64) -> Timestamp {
    super::from_millis(day.saturating_mul(24 * 60 * 60 * 1_000))
}

/// The messages that a relay may be given on `today`, all processes together; `None`: any number. `first_day`: its first
/// day of use, if it has been used; `per_day`: its limit, 0 for none, which the warm-up never exceeds.
pub fn allowance(plan: WarmUp, per_day: u64, first_day: Option<i64>, today: i64) -> Option<u64> {
    let limit = (per_day > 0).then_some(per_day);
    // A clock that was set back does not end the warm-up, and does not make it negative.
    let days_in_use = today.saturating_sub(first_day.unwrap_or(today)).max(0);
    if plan.start == 0 || days_in_use >= i64::from(plan.days) {
        return limit;
    }
    // A cast of a float to an integer stops at the largest one.
    let warm = (plan.start as f64 * plan.growth.powf(days_in_use as f64)).max(1.0) as u64;
    Some(limit.map_or(warm, |limit| limit.min(warm)))
}

/// Part of a day's allowance that digests may take: `reserved` per cent of it, at least one mail, are left to transactional mail.
pub fn digest_share(allowed: u64, reserved: u32) -> u64 {
    if reserved == 0 || allowed < 2 {
        return allowed;
    }
    let kept = u128::from(allowed) * u128::from(reserved) / 100;
    allowed - u64::try_from(kept).unwrap_or(allowed).clamp(1, allowed - 1)
}

/// Throttling replies of one moment count as one: all connections hear them at once.
const ONE_MOMENT: TimeDelta = TimeDelta::seconds(5);

/// Number of connections that a relay bears: additive increase, multiplicative decrease, as TCP finds the width of a link
/// (RFC 5681). It begins at the most that the settings allow, so that a relay that never throttles never waits.
#[derive(Debug, Clone, PartialEq)]
pub struct ConcurrencyLimit {
    allowed: f64,
    most: f64,
    halved_at: Option<Timestamp>,
}

impl ConcurrencyLimit {
    /// Open as far as it goes: `most` connections, at least one.
    pub fn new(most: usize) -> Self {
        let most = most.max(1) as f64;
        Self {
            allowed: most,
            most,
            halved_at: None,
        }
    }

    /// The connections that may be open: 1 to the most.
    pub fn connections(&self) -> usize {
        self.allowed as usize
    }

    /// Returns whether throttling has narrowed it.
    pub fn is_narrowed(&self) -> bool {
        self.allowed < self.most
    }

    /// A message was taken. When each connection has had one taken there is room for about one connection more.
    pub fn on_accepted(&mut self) {
        self.allowed = (self.allowed + self.allowed.recip()).min(self.most);
    }

    /// The far end says that this is too much. Halves, at most once in five seconds; `true` if it did.
    pub fn on_throttled(&mut self, now: Timestamp) -> bool {
        // Also when the clock was set back meanwhile: then the moment of the last halving tells nothing.
        let same_moment = self
            .halved_at
            .is_some_and(|last| (now - last).abs() < ONE_MOMENT);
        if same_moment {
            return false;
        }
        self.halved_at = Some(now);
        self.allowed = (self.allowed / 2.0).max(1.0);
        true
    }
}

/// A recipient domain in `mail.per_domain`: `*`, or a name that is kept as lower-case A-labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainName(String);

impl DomainName {
    /// Returns whether it stands for every domain that no other rule names.
    fn is_any(&self) -> bool {
        self.0 == "*"
    }
}

/// A text that is no mail domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a mail domain; one looks like example.org, or * for any other")]
pub struct DomainNameError(String);

impl TryFrom<String> for DomainName {
    type Error = DomainNameError;
    fn try_from(text: String) -> Result<Self, DomainNameError> {
        if text == "*" {
            return Ok(Self(text));
        }
        mail_domain(&text).map(Self).ok_or(DomainNameError(text))
    }
}

impl From<DomainName> for String {
    fn from(domain: DomainName) -> Self {
        domain.0
    }
}

/// Limits of one process on one recipient domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DomainLimit {
    /// Connections that carry mail to it at once; 0: no limit.
    pub connections: usize,
    /// Messages a second; 0: no limit.
    pub rate_per_second: u32,
}

/// `mail.per_domain`, ready to be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DomainLimits {
    named: Vec<(Vec<DomainName>, DomainLimit)>,
    any_other: Option<DomainLimit>,
}

impl DomainLimits {
    /// One rule for each group of domains, which share its limit (gmail.com and googlemail.com are one mail server). The
    /// first rule that names a domain is its rule.
    pub fn new(rules: impl IntoIterator<Item = (Vec<DomainName>, DomainLimit)>) -> Self {
        let mut limits = Self::default();
        for (domains, limit) in rules {
            if limits.any_other.is_none() && domains.iter().any(DomainName::is_any) {
                limits.any_other = Some(limit);
            }
            limits.named.push((domains, limit));
        }
        limits
    }

    /// Returns whether there is no rule at all, so that nobody needs to ask.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// The limit for a recipient's domain, and the name under which its messages are counted: the first domain of its
    /// rule; under the rule for any other domain, its own in lower case. `None`: no rule is about it.
    pub fn of<'a>(&'a self, domain: &'a str) -> Option<(Cow<'a, str>, DomainLimit)> {
        let named = self.named.iter().find(|(domains, _)| {
            domains
                .iter()
                .any(|known| known.0.eq_ignore_ascii_case(domain))
        });
        if let Some((domains, limit)) = named {
            let first = domains.iter().find(|domain| !domain.is_any())?;
            return Some((Cow::Borrowed(&first.0), *limit));
        }
        let is_lower = !domain.bytes().any(|b| b.is_ascii_uppercase());
        let name = if is_lower {
            Cow::Borrowed(domain)
        } else {
            Cow::Owned(domain.to_ascii_lowercase())
        };
        self.any_other.map(|limit| (name, limit))
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
