//! `[signup]`: how people join.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::days;
use super::fault;
use super::one_or_many;
use super::within;

/// `[signup]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignUpSettings {
    /// Life of a confirmation link from when its mail is sent; then an unconfirmed sign-up is forgotten.
    #[serde(with = "humantime_serde")]
    pub confirm_within: Duration,
    /// Time from a confirmation mail to the one reminder of it; zero: none.
    #[serde(with = "humantime_serde")]
    pub remind_after: Duration,
    /// Sign-ups and other requests for mail an hour from one client (IPv4 address, IPv6 /64).
    pub per_client: u32,
    /// The same from one IPv6 /48, which one site has with all its /64.
    pub per_site: u32,
    /// Mails a day that strangers can cause to one mailbox, or one reader to others.
    pub mails_per_day: u32,
    /// Mails to one mailbox that ask for an answer and get none, before no more are sent.
    pub unanswered: u32,
    /// Other sites from whose pages people may sign up: origins as browsers write them (RFC 6454, 6.2).
    #[serde(deserialize_with = "one_or_many")]
    pub origins: Vec<String>,
}

impl Default for SignUpSettings {
    fn default() -> Self {
        Self {
            confirm_within: days(3),
            remind_after: days(1),
            per_client: 30,
            per_site: 120,
            mails_per_day: 5,
            unanswered: 4,
            origins: Vec::new(),
        }
    }
}

impl SignUpSettings {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (key, value) in [
            ("signup.per_client", self.per_client),
            ("signup.per_site", self.per_site),
            ("signup.mails_per_day", self.mails_per_day),
            ("signup.unanswered", self.unanswered),
        ] {
            if value == 0 {
                return fault(key, "expected at least 1");
            }
        }
        for origin in &self.origins {
            // As browsers write it, or it would never match: no path, no slash at the end, no port that goes without saying.
            let written = url::Url::parse(origin)
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https"))
                .map(|url| url.origin());
            if origin.contains('*')
                || written.is_none_or(|written| written.ascii_serialization() != *origin)
            {
                // One with a password in it is not quoted.
                let quoted = if origin.contains('@') {
                    "an address with a user".into()
                } else {
                    format!("{origin:?}")
                };
                let what = format!(
                    "{quoted} is not an origin; expected scheme and host alone, like \"https://blog.example.org\""
                );
                return fault("signup.origins", &what);
            }
        }
        if !self.remind_after.is_zero() {
            within(
                "signup.remind_after",
                self.remind_after,
                Duration::from_secs(60),
            )?;
        }
        within(
            "signup.confirm_within",
            self.confirm_within,
            Duration::from_secs(1),
        )
    }
}
