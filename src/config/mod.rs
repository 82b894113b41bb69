//! Floor 2: the settings. Plain data; it builds nothing.
//!
//! Three layers, the later wins: the defaults below, a TOML file, environment variables (`VERDICTS_SECTION__KEY`).
//! An unknown key or a bad value is an error that names it and where it stands.

mod environment;
mod shown;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use chrono_tz::Tz;
use figment::Figment;
use figment::providers::Format;
use figment::providers::Serialized;
use figment::providers::Toml;
use ipnet::IpNet;
use serde::Deserialize;
use serde::Serialize;

use crate::domain::delivery::InDoubt;

pub use shown::Shown;

/// Where the settings file is looked for when none is named.
pub const DEFAULT_FILE: &str = "config/verdicts.toml";

/// Every setting. `config/verdicts.toml` explains each key.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The site and its address.
    pub site: Site,
    /// Where everything is kept.
    pub database: Database,
    /// How mail leaves.
    pub mail: Mail,
    /// When digests are made and sent.
    pub schedule: Schedule,
    /// How comparisons are chosen.
    pub picker: Picker,
    /// How people join.
    pub signup: SignUp,
}

/// `[site]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Links in mails begin with it; no slash at the end.
    pub base_url: url::Url,
    /// Where the service listens.
    pub listen: SocketAddr,
    /// The site's name.
    pub name: String,
    /// The newsletter's name.
    pub newsletter: String,
    /// Slots and the times that people read follow this zone.
    pub timezone: Tz,
    /// Sign links; the first signs, all check. Empty: made on first start and kept beside the database.
    #[serde(deserialize_with = "one_or_many")]
    pub secret: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    #[serde(deserialize_with = "one_or_many")]
    pub trusted_proxies: Vec<IpNet>,
}

/// `[database]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `sqlite:PATH` or `postgres://...`.
    pub url: String,
    /// Connections to PostgreSQL, or readers of SQLite, of this process.
    pub connections: u32,
    /// What a power cut may cost.
    pub durability: Durability,
}

/// `database.durability`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Nothing: a commit is on the disk before it counts.
    Full,
    /// The last commits, for more mails a second.
    Relaxed,
}

/// `[mail]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// `mailbox:DIR`, `smtp://...` or `smtps://...`.
    pub transport: String,
    /// Whom mails come from: `Name <address>`.
    pub from: String,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// The envelope's sender, where bounces go; without it the address of `from`.
    pub return_path: Option<String>,
    /// Printed in every digest, as the law asks of newsletters in many places.
    pub postal_address: Option<String>,
    /// `List-Id` (RFC 2919); without it made of the host of `site.base_url`.
    pub list_id: Option<String>,
    /// What we call ourselves in EHLO; without it the host of `site.base_url`.
    pub hello: Option<String>,
    /// Connections of this process.
    pub connections: usize,
    /// Mails a second of this process; 0: no limit.
    pub rate_per_second: u32,
    /// When to try again.
    pub retry: Retry,
    /// What becomes of a mail of which nobody can know whether it was taken.
    pub in_doubt: InDoubt,
    /// How long a sender may be silent before others take over its work.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// Time limits of the steps of a conversation.
    pub timeouts: Timeouts,
}

/// `[mail.retry]`
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Wait before the second attempt; doubled each time.
    #[serde(with = "humantime_serde")]
    pub first: Duration,
    /// After that a mail counts as failed.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
}

/// `[mail.timeouts]`: RFC 5321 4.5.3.2 asks for 5 minutes a command, 3 a block of data and 10 for the last dot.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// TCP and TLS handshakes.
    #[serde(with = "humantime_serde")]
    pub connect: Duration,
    /// A command's answer.
    #[serde(with = "humantime_serde")]
    pub command: Duration,
    /// Writing the body.
    #[serde(with = "humantime_serde")]
    pub data: Duration,
    /// The answer to the last dot.
    #[serde(with = "humantime_serde")]
    pub finish: Duration,
}

/// `[schedule]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Cron: when the week's comparisons are picked.
    pub pick: String,
    /// Cron: when the digest is sent.
    pub send: String,
    /// A time missed by less than this is made up.
    #[serde(with = "humantime_serde")]
    pub catch_up: Duration,
    /// Whether a person must approve a digest.
    pub approval: Approval,
}

/// `schedule.approval`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// A picked digest is approved at once.
    Auto,
    /// It waits for `digest approve`.
    Required,
}

/// `[picker]`
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picker {
    /// Most comparisons in a digest.
    pub max_items: usize,
    /// With fewer the slot is skipped.
    pub min_items: usize,
    /// How far back a comparison that was never sent is still news.
    #[serde(with = "humantime_serde")]
    pub look_back: Duration,
}

/// `[signup]`
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignUp {
    /// An unconfirmed sign-up is forgotten after this.
    #[serde(with = "humantime_serde")]
    pub confirm_within: Duration,
    /// Sign-ups an hour from one client (IPv4 address, IPv6 /64).
    pub per_client: u32,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            base_url: url::Url::parse("http://127.0.0.1:8080").expect("a literal"),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            name: "Ship or Skip".into(),
            newsletter: "Weekly AI Tool Verdicts".into(),
            timezone: Tz::UTC,
            secret: Vec::new(),
            trusted_proxies: Vec::new(),
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self { url: "sqlite:data/verdicts.db".into(), connections: 8, durability: Durability::Full }
    }
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            transport: "mailbox:data/mailbox".into(),
            from: "Ship or Skip <newsletter@localhost>".into(),
            reply_to: None,
            return_path: None,
            postal_address: None,
            list_id: None,
            hello: None,
            connections: 10,
            rate_per_second: 0,
            retry: Retry::default(),
            in_doubt: InDoubt::Resend,
            lease: Duration::from_secs(60),
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self { first: Duration::from_secs(5 * 60), max_age: days(4) }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self { connect: Duration::from_secs(30), command: minutes(5), data: minutes(3), finish: minutes(10) }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self { pick: "0 8 * * TUE".into(), send: "0 9 * * TUE".into(), catch_up: days(2), approval: Approval::Auto }
    }
}

impl Default for Picker {
    fn default() -> Self {
        Self { max_items: 5, min_items: 1, look_back: days(28) }
    }
}

impl Default for SignUp {
    fn default() -> Self {
        Self { confirm_within: days(3), per_client: 30 }
    }
}

const fn days(n: u64) -> Duration {
    Duration::from_secs(n * 24 * 60 * 60)
}

/// The settings with the memory of where each came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings in force.
    pub settings: Settings,
    figment: Figment,
}

/// Reads the settings: `file`, or [`DEFAULT_FILE`] if it is there, then `environment`.
///
/// # Errors
/// A sentence that names the key and the place: an unknown key, a value of the wrong kind or out of range, a file that
/// was named and cannot be read.
pub fn load(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Loaded, ConfigError> {
    let defaults = Figment::from(Serialized::defaults(Settings::default()));
    let mut figment = defaults.clone();
    let named = file.or_else(|| Some(Path::new(DEFAULT_FILE)).filter(|path| path.is_file()));
    match named {
        Some(path) if !path.is_file() => {
            return Err(ConfigError(format!("The settings file {} is not there; name one that exists with --config.", path.display())));
        }
        Some(path) => {
            check_syntax(path)?;
            figment = figment.merge(Toml::file_exact(path));
        }
        None => {}
    }
    for value in environment::values(&defaults, environment)? {
        figment = figment.merge(value);
    }
    let settings: Settings = figment.extract().map_err(|error| ConfigError(describe(&error)))?;
    settings.check()?;
    Ok(Loaded { settings, figment })
}

impl Settings {
    /// What types cannot say. Each fault names its key.
    fn check(&self) -> Result<(), ConfigError> {
        let fault = |key: &str, what: &str| Err(ConfigError(format!("{key}: {what}.")));
        let base = &self.site.base_url;
        if !matches!(base.scheme(), "http" | "https")
            || base.host().is_none()
            || base.path() != "/"
            || base.query().is_some()
            || base.fragment().is_some()
        {
            return fault("site.base_url", "expected an http or https address without a path, like https://news.example.org");
        }
        if self.site.secret.iter().any(|secret| secret.len() < 16) {
            return fault("site.secret", "each secret needs at least 16 characters; `openssl rand -hex 32` makes one");
        }
        if self.site.name.trim().is_empty() || self.site.newsletter.trim().is_empty() {
            return fault("site.name, site.newsletter", "expected a name");
        }
        for (key, text) in [("site.name", &self.site.name), ("site.newsletter", &self.site.newsletter)] {
            if text.chars().any(|c| c.is_control()) || text.chars().count() > 200 {
                return fault(key, "expected one line of at most 200 characters");
            }
        }
        let is_list_id = |id: &String| id.contains('.') && id.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
        if self.mail.list_id.as_ref().is_some_and(|id| !is_list_id(id)) {
            return fault("mail.list_id", "expected a name like weekly.news.example.org (RFC 2919)");
        }
        if !(1..=200).contains(&self.mail.connections) {
            return fault("mail.connections", "expected 1 to 200");
        }
        if !(1..=500).contains(&self.database.connections) {
            return fault("database.connections", "expected 1 to 500");
        }
        if !(1..=20).contains(&self.picker.max_items) || self.picker.min_items > self.picker.max_items {
            return fault("picker.max_items, picker.min_items", "expected 1 to 20, and min_items not above max_items");
        }
        if self.signup.per_client == 0 {
            return fault("signup.per_client", "expected at least 1");
        }
        let century = days(36_500);
        for (key, value, least) in [
            ("mail.retry.first", self.mail.retry.first, Duration::from_millis(1)),
            ("mail.retry.max_age", self.mail.retry.max_age, Duration::from_millis(1)),
            ("mail.lease", self.mail.lease, Duration::from_secs(1)),
            ("mail.timeouts.connect", self.mail.timeouts.connect, Duration::from_millis(1)),
            ("mail.timeouts.command", self.mail.timeouts.command, Duration::from_millis(1)),
            ("mail.timeouts.data", self.mail.timeouts.data, Duration::from_millis(1)),
            ("mail.timeouts.finish", self.mail.timeouts.finish, Duration::from_millis(1)),
            ("schedule.catch_up", self.schedule.catch_up, Duration::ZERO),
            ("picker.look_back", self.picker.look_back, Duration::from_secs(1)),
            ("signup.confirm_within", self.signup.confirm_within, Duration::from_secs(1)),
        ] {
            if value < least || value > century {
                return fault(key, &format!("expected {} or more, and at most 100 years", humantime::format_duration(least)));
            }
        }
        Ok(())
    }

    /// `site.base_url` without a slash at its end.
    pub fn base_url(&self) -> &str {
        self.site.base_url.as_str().trim_end_matches('/')
    }

    /// The host in `site.base_url`.
    pub fn host(&self) -> &str {
        self.site.base_url.host_str().unwrap_or("localhost")
    }

    /// Whether the database and the transport are the embedded defaults, so that a first start may bring its sample.
    pub fn is_embedded_default(&self) -> bool {
        self.database.url == Database::default().url && self.mail.transport.starts_with("mailbox:")
    }
}

/// A list, or a single value in its place: easier to write in an environment variable.
fn one_or_many<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a text or a list of texts")]
    enum OneOrMany<T> {
        One(T),
        Many(Vec<T>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

/// Whether the file is TOML at all. figment would quote the faulty line, and there may be a secret in it.
fn check_syntax(path: &Path) -> Result<(), ConfigError> {
    let fault = |words: String| ConfigError(format!("The settings file {}: {words}.", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| fault(format!("it cannot be read ({error})")))?;
    text.parse::<toml::Table>().map(|_| ()).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        fault(format!("line {line} is not TOML ({})", error.message()))
    })
}

fn describe(error: &figment::Error) -> String {
    let sentences: Vec<String> = error
        .clone()
        .into_iter()
        .map(|fault| {
            let key = fault.path.join(".");
            let place = fault.metadata.as_ref().map(|m| match &m.source {
                Some(figment::Source::File(path)) => path.display().to_string(),
                _ => m.name.to_string(),
            });
            let place = place.map(|p| format!(" (in {p})")).unwrap_or_default();
            match &fault.kind {
                figment::error::Kind::UnknownField(name, known) => {
                    let key = key.strip_suffix(name.as_str()).unwrap_or(&key).trim_end_matches('.');
                    let section = if key.is_empty() { "the settings have".into() } else { format!("[{key}] has") };
                    format!("Unknown setting {name:?}{place}: {section} {}.", known.join(", "))
                }
                kind if key.is_empty() => format!("{kind}{place}."),
                kind => format!("{key}: {kind}{place}."),
            }
        })
        .collect();
    sentences.join(" ")
}

/// Settings that cannot be used, as a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub(crate) String);

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
