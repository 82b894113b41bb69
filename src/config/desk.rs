//! `[desk]`: the publisher's web interface.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::OidcSettings;
use super::fault;
use super::oidc;
use super::one_or_many;
use super::site::is_base_url;
use crate::domain::address::EmailAddress;

/// Longest time in which a send can be undone: more is a schedule.
const UNDO_MAX: Duration = Duration::from_secs(86_400);

/// `[desk]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeskSettings {
    /// True if there is a desk at all. It answers nobody before there is a user.
    pub enabled: bool,
    /// Address on which it listens, if not the site's.
    pub listen: Option<SocketAddr>,
    /// Networks that it answers; empty: all.
    #[serde(deserialize_with = "one_or_many")]
    pub networks: Vec<IpNet>,
    /// The address that browsers ask it by, if not `site.base_url`.
    pub base_url: Option<url::Url>,
    /// Roles that must have a second factor.
    pub second_factor: SecondFactor,
    /// Time between "send now" and the first mail, in which it can be stopped.
    #[serde(with = "humantime_serde")]
    pub undo: Duration,
    /// Largest file that can be uploaded, like "64MiB".
    pub largest_upload: ByteSize,
    /// True if whoever changed a digest last may not approve it.
    pub two_people: bool,
    /// The address of an owner whom `serve` adds where there is no user yet.
    pub owner: Option<String>,
    /// A file with that owner's password in it.
    pub owner_password_file: Option<PathBuf>,
    /// Providers with whom users sign in.
    pub oidc: Vec<OidcSettings>,
}

/// Size in bytes, written like `64MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(pub u64);

/// Units, largest first.
const UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl TryFrom<String> for ByteSize {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let found = UNITS.iter().find_map(|(unit, bytes)| {
            let number: u64 = text.trim().strip_suffix(unit)?.trim_end().parse().ok()?;
            number.checked_mul(*bytes)
        });
        let size = found.ok_or_else(|| format!("{text:?}: expected a size like 64MiB"))?;
        Ok(Self(size))
    }
}

impl std::fmt::Display for ByteSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whole = UNITS
            .iter()
            .find(|(_, bytes)| self.0.is_multiple_of(*bytes));
        let (unit, bytes) = whole.copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

impl From<ByteSize> for String {
    fn from(size: ByteSize) -> Self {
        size.to_string()
    }
}

/// Roles that sign in with a code too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecondFactor {
    /// Owners must.
    Owner,
    /// Everybody must.
    All,
    /// Nobody must; everybody may.
    Off,
}

impl Default for DeskSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: None,
            networks: Vec::new(),
            base_url: None,
            second_factor: SecondFactor::Owner,
            undo: Duration::from_secs(300),
            largest_upload: ByteSize(64 << 20),
            two_people: false,
            owner: None,
            owner_password_file: None,
            oidc: Vec::new(),
        }
    }
}

impl DeskSettings {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.base_url.as_ref().is_some_and(|url| !is_base_url(url)) {
            return fault(
                "desk.base_url",
                "expected an http or https address without a path, a user or a password, like https://desk.example.org",
            );
        }
        if self.undo > UNDO_MAX {
            return fault("desk.undo", "expected at most 1 day");
        }
        if !(1 << 10..=1 << 30).contains(&self.largest_upload.0) {
            return fault("desk.largest_upload", "expected from 1KiB to 1GiB");
        }
        if let Some(owner) = &self.owner
            && let Err(error) = EmailAddress::parse_new(owner)
        {
            return fault("desk.owner", error.to_string().trim_end_matches('.'));
        }
        if self.owner.is_some() != self.owner_password_file.is_some() {
            return fault(
                "desk.owner, desk.owner_password_file",
                "each needs the other: the address of the first owner, and a file with their password",
            );
        }
        oidc::check(&self.oidc)
    }
}
