//! API tokens: programs act with them for the user who made them. A scope names a part of what users may do, and no scope
//! reaches users or tokens themselves.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Timestamp;
use super::named;
use super::user::AccessLevel;
use super::user::Area;
use super::user::Role;

named! {
    /// A part of what a token may do. [`Scope::demand`] says which role has it.
    Scope {
        /// Read tools, reviews and comparisons.
        CatalogueRead => "catalogue:read",
        /// Change them.
        CatalogueWrite => "catalogue:write",
        /// Read digests, their text and their results.
        DigestsRead => "digests:read",
        /// Change a draft.
        DigestsWrite => "digests:write",
        /// Approve a draft, and send it back.
        DigestsApprove => "digests:approve",
        /// Publish, pause, resume, cancel and skip.
        DigestsSend => "digests:send",
        /// Read subscribers with their addresses.
        SubscribersRead => "subscribers:read",
        /// Add, change, pause and unsubscribe subscribers, and save filters.
        SubscribersWrite => "subscribers:write",
        /// Erase subscribers.
        SubscribersErase => "subscribers:erase",
        /// Export subscribers.
        SubscribersExport => "subscribers:export",
        /// Import subscribers.
        SubscribersImport => "subscribers:import",
        /// Read the suppression list.
        SuppressionsRead => "suppressions:read",
        /// Put addresses on the suppression list, and take them off.
        SuppressionsWrite => "suppressions:write",
        /// Read growth and deliverability.
        StatsRead => "stats:read",
        /// Read votes.
        VotesRead => "votes:read",
        /// Read webhook endpoints, their deliveries, and the feed of events.
        WebhooksRead => "webhooks:read",
        /// Change webhook endpoints.
        WebhooksWrite => "webhooks:write",
        /// Read sources and their proposals.
        SourcesRead => "sources:read",
        /// Change sources, and decide on proposals.
        SourcesWrite => "sources:write",
        /// Read jobs.
        JobsRead => "jobs:read",
        /// Read the audit log.
        AuditRead => "audit:read",
        /// Read the settings that may be set at the desk.
        SettingsRead => "settings:read",
        /// Change them.
        SettingsWrite => "settings:write",
        /// Read `/metrics`.
        MetricsRead => "metrics:read",
    }
}

impl Scope {
    /// Level that the maker's role must reach, and in which area.
    pub const fn demand(self) -> (Area, AccessLevel) {
        use AccessLevel::Read;
        use AccessLevel::Write;
        match self {
            Self::CatalogueRead | Self::SourcesRead => (Area::Catalogue, Read),
            Self::CatalogueWrite | Self::SourcesWrite => (Area::Catalogue, Write),
            Self::DigestsRead | Self::StatsRead | Self::VotesRead | Self::JobsRead => {
                (Area::Results, Read)
            }
            Self::MetricsRead => (Area::Results, Read),
            Self::DigestsWrite => (Area::Draft, Write),
            Self::DigestsApprove | Self::DigestsSend => (Area::Send, Write),
            Self::SubscribersRead | Self::SuppressionsRead => (Area::Subscribers, Read),
            Self::SubscribersWrite | Self::SubscribersImport => (Area::Subscribers, Write),
            Self::SubscribersErase | Self::SubscribersExport => (Area::Erase, Write),
            Self::SuppressionsWrite => (Area::Suppressions, Write),
            Self::WebhooksRead | Self::WebhooksWrite => (Area::Settings, Write),
            Self::SettingsRead | Self::SettingsWrite => (Area::Settings, Write),
            Self::AuditRead => (Area::Audit, Read),
        }
    }

    /// Returns whether a role has it.
    pub fn is_within(self, role: Role) -> bool {
        let (area, level) = self.demand();
        role.may(area, level)
    }

    /// Returns whether it only reads.
    pub fn only_reads(self) -> bool {
        self.as_str().ends_with(":read")
    }
}

/// Scopes of a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(pub BTreeSet<Scope>);

impl Scopes {
    /// Those that a role has.
    #[must_use]
    pub fn within(&self, role: Role) -> Self {
        let mut scopes = self.clone();
        scopes.0.retain(|scope| scope.is_within(role));
        scopes
    }

    /// Reads scopes for a user of a role: words, `all` for all that the role has, or `read` for those that only read.
    ///
    /// # Errors
    /// When a word is no scope.
    pub fn choose(text: &str, role: Role) -> Result<Self, super::UnknownName> {
        let all = Scope::ALL
            .iter()
            .copied()
            .filter(|scope| scope.is_within(role));
        match text.trim() {
            "all" => Ok(all.collect()),
            "read" => Ok(all.filter(|scope| scope.only_reads()).collect()),
            words => words.parse(),
        }
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl std::str::FromStr for Scopes {
    type Err = super::UnknownName;

    /// Reads words with spaces or commas between them.
    fn from_str(text: &str) -> Result<Self, super::UnknownName> {
        text.split([' ', ','])
            .filter(|word| !word.is_empty())
            .map(str::parse)
            .collect::<Result<BTreeSet<_>, _>>()
            .map(Self)
    }
}

impl std::fmt::Display for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|scope| scope.as_str()).collect();
        f.write_str(&words.join(" "))
    }
}

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Number of its row; it never leaves the process.
    pub id: i64,
    /// Name that stands in the token itself, in lists and in the audit log.
    pub public_id: String,
    /// Name for people.
    pub name: String,
    /// The user who made it, by the number of their row.
    pub user: i64,
    /// Scopes that it was given.
    pub scopes: Scopes,
    /// Networks that it may be used from; none: any.
    pub networks: Vec<IpNet>,
    /// Time when it was made.
    pub created_at: Timestamp,
    /// Time from which it no longer works.
    pub expires_at: Option<Timestamp>,
    /// Time of its last use, to a minute.
    pub used_at: Option<Timestamp>,
    /// Network of its last use.
    pub used_from: Option<String>,
    /// Time until which the token before the last rotation works.
    pub previous_until: Option<Timestamp>,
    /// Time when it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl ApiToken {
    /// Returns whether it may be used from an address.
    pub fn admits(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        self.networks.is_empty() || self.networks.iter().any(|net| net.contains(&client))
    }

    /// Returns whether it works at that time, as far as it knows itself.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|until| until > now)
    }
}

/// Length of the secret part of a token: 32 bytes in base64url without padding.
const SECRET: usize = 43;
/// Length of the public part: 10 bytes in base32.
const PUBLIC_ID: usize = 16;

/// Parts of a token's text, `vd_<public id>_<secret>`.
pub fn token_text(public_id: &str, secret: &str) -> String {
    format!("vd_{public_id}_{secret}")
}

/// The public part of a text that has the form of a token.
pub fn public_id_of(text: &str) -> Option<&str> {
    let (public_id, secret) = text.strip_prefix("vd_")?.split_once('_')?;
    let is_public = public_id.len() == PUBLIC_ID
        && public_id
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
    let is_secret = secret.len() == SECRET
        && secret
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    (is_public && is_secret).then_some(public_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_scope_reaches_further_than_its_makers_role() {
        let all: Scopes = Scope::ALL.iter().copied().collect();
        assert_eq!(all.within(Role::Owner), all);
        let analyst = all.within(Role::Analyst).to_string();
        assert_eq!(
            analyst,
            "catalogue:read digests:read stats:read votes:read sources:read jobs:read metrics:read"
        );
        assert!(
            !all.within(Role::Editor)
                .0
                .contains(&Scope::SuppressionsWrite)
        );
        assert!(!all.within(Role::Writer).0.contains(&Scope::DigestsSend));
    }

    #[test]
    fn scopes_are_read_as_they_are_written() {
        let scopes: Scopes = "stats:read, catalogue:read".parse().expect("scopes");
        assert_eq!(scopes.to_string(), "catalogue:read stats:read");
        assert_eq!("".parse::<Scopes>(), Ok(Scopes::default()));
        assert!("tokens:write".parse::<Scopes>().is_err());
        let read = Scopes::choose("read", Role::Owner).expect("scopes");
        assert!(!read.0.is_empty() && read.0.iter().all(|scope| scope.only_reads()));
        assert_eq!(
            Scopes::choose("all", Role::Owner).expect("scopes").0.len(),
            Scope::ALL.len()
        );
    }

    #[test]
    fn only_a_whole_token_has_a_public_part() {
        let secret = "A".repeat(SECRET);
        let text = token_text("abcdefgh234567ab", &secret);
        assert_eq!(public_id_of(&text), Some("abcdefgh234567ab"));
        for bad in [
            "",
            "vd_",
            "vd_abcdefgh234567ab_short",
            &text[1..],
            &format!("{text}x"),
            &text.replace("ab", "a\u{0}"),
        ] {
            assert_eq!(public_id_of(bad), None, "{bad:?}");
        }
    }
}
