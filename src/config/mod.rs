//! Floor 2: the settings. Plain data; it builds nothing.
//!
//! Five layers, the later wins: the defaults below, what the desk sets (`desk_layer`, added once the database is open), a TOML file,
//! credentials of systemd, environment variables (`VERDICTS_SECTION__KEY`, or `..._FILE` with the name of a file: `secret_files`).
//! An unknown key or a bad value is an error that names it and where it stands. A section's file holds its keys, their
//! defaults and their limits, in that order.

mod api;
mod bounces;
mod database;
mod database_hosts;
mod desk;
mod desk_layer;
mod environment;
mod events;
mod face;
mod faults;
mod inbound;
mod keep;
mod log;
mod mail;
mod oidc;
mod picker;
pub mod relations;
mod relays;
mod reload;
mod schedule;
mod secret_files;
mod secret_url;
mod shown;
mod signup;
mod site;
mod sources;
mod votes;
mod webhooks_in;
mod webhooks_out;

use std::path::Path;
use std::time::Duration;

use figment::Figment;
use figment::providers::Format;
use figment::providers::Serialized;
use figment::providers::Toml;
use serde::Deserialize;
use serde::Serialize;

pub use api::ApiSettings;
pub use bounces::BounceSettings;
pub use database::DatabaseSettings;
pub use database::Durability;
pub use database_hosts::DatabaseHosts;
pub use desk::ByteSize;
pub use desk::DeskSettings;
pub use desk::SecondFactor;
pub use desk_layer::DESK_KEYS;
pub use desk_layer::DeskKey;
pub use desk_layer::ValueKind;
pub use desk_layer::desk_key;
pub use events::EventSettings;
pub use face::DARK_GROUND;
pub use inbound::InboundSettings;
pub use keep::KeepSettings;
pub use log::LogSettings;
pub use mail::DkimKey;
pub use mail::MailSettings;
pub use mail::PauseSettings;
pub use mail::RetrySettings;
pub use mail::TimeoutSettings;
pub use oidc::ClientAuth;
pub use oidc::OidcSettings;
pub use picker::PickerSettings;
pub use relays::ListedRelaySettings;
pub use relays::PerDomain;
pub use relays::RelaySettings;
pub use schedule::Approval;
pub use schedule::ScheduleSettings;
pub use secret_url::SecretUrl;
pub use shown::ShownSetting;
pub use signup::SignUpSettings;
pub use site::SiteSettings;
pub use sources::SourceSettings;
pub use votes::VoteSettings;
pub use webhooks_in::WebhookSettings;
pub use webhooks_out::WebhooksOutSettings;

/// Path of the settings file when none is named.
pub const DEFAULT_FILE: &str = "config/verdicts.toml";

/// Every setting. `config/verdicts.toml` explains each key.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The site and its address.
    pub site: SiteSettings,
    /// The database.
    pub database: DatabaseSettings,
    /// Outgoing mail.
    pub mail: MailSettings,
    /// Time at which digests are made and sent.
    pub schedule: ScheduleSettings,
    /// The picker.
    pub picker: PickerSettings,
    /// Sign-up.
    pub signup: SignUpSettings,
    /// Votes of readers and visitors.
    pub votes: VoteSettings,
    /// Time at which what comes back ends a subscription.
    pub bounces: BounceSettings,
    /// Listeners for mail that comes back.
    pub inbound: InboundSettings,
    /// Providers that may tell of mails by webhook.
    pub webhooks_in: WebhookSettings,
    /// Webhook endpoints that events are sent to.
    pub webhooks_out: WebhooksOutSettings,
    /// The feed of events.
    pub events: EventSettings,
    /// Places from which tools and comparisons come in.
    pub sources: SourceSettings,
    /// The publisher's web interface.
    pub desk: DeskSettings,
    /// The API.
    pub api: ApiSettings,
    /// Time for which the tables that grow keep their rows.
    pub keep: KeepSettings,
    /// Lines on stderr.
    pub log: LogSettings,
}

const fn days(n: u64) -> Duration {
    Duration::from_secs(n * 24 * 60 * 60)
}

/// The settings with the memory of where each came from.
#[derive(Clone)]
pub struct Loaded {
    /// The settings in force.
    pub settings: Settings,
    /// Places where a setting has the name of an earlier version, as sentences.
    pub old_names: Vec<String>,
    figment: Figment,
}

impl std::fmt::Debug for Loaded {
    /// Leaves out what was read, for the secrets stand in it as they were written.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Reads the settings: `file`, or [`DEFAULT_FILE`] if it is there, then `environment`.
///
/// # Errors
/// A sentence that names the key and the place: an unknown key, a value of the wrong kind or out of range, a file that
/// was named and cannot be read.
pub fn load(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Loaded, ConfigError> {
    let environment: Vec<(String, String)> = environment.collect();
    let defaults = Figment::from(Serialized::defaults(Settings::default()));
    let mut figment = defaults.clone();
    let named = file.or_else(|| Some(Path::new(DEFAULT_FILE)).filter(|path| path.is_file()));
    match named {
        Some(path) if !path.is_file() => {
            return Err(ConfigError(format!(
                "The settings file {} is not there; name one that exists with --config.",
                path.display()
            )));
        }
        Some(path) => {
            check_syntax(path)?;
            figment = figment.merge(webhooks_in::WithOldName(Toml::file_exact(path)));
        }
        None => {}
    }
    let old_names = old_names(named, &environment);
    let given = secret_files::read(&defaults, environment.into_iter())?;
    for (key, text, file) in given.credentials {
        figment = figment.merge(environment::credential(&defaults, key, text, &file)?);
    }
    for value in environment::values(&defaults, given.variables.into_iter())? {
        figment = figment.merge(value);
    }
    let settings: Settings = figment
        .extract()
        .map_err(|error| ConfigError(faults::describe(error)))?;
    settings.check()?;
    Ok(Loaded {
        settings,
        old_names,
        figment,
    })
}

/// Says where a section still has its old name: it is read, and should be renamed.
fn old_names(file: Option<&Path>, environment: &[(String, String)]) -> Vec<String> {
    let file = file
        .filter(|path| std::fs::read_to_string(path).is_ok_and(|text| webhooks_in::is_old(&text)));
    let in_file = file.map(|path| {
        format!(
            "{}: the section [webhooks] is called [webhooks_in] now. Rename it.",
            path.display()
        )
    });
    let variables = environment
        .iter()
        .filter(|(name, _)| name.starts_with("VERDICTS_WEBHOOKS__"))
        .map(|(name, _)| {
            let new = name.replacen("WEBHOOKS__", "WEBHOOKS_IN__", 1);
            format!("The environment variable {name} is called {new} now. Rename it.")
        });
    in_file.into_iter().chain(variables).collect()
}

impl Loaded {
    /// Keys whose values differ between two readings, secrets among them, sorted.
    pub fn changed(&self, other: &Self) -> Vec<String> {
        let (old, new) = (self.settings.values(), other.settings.values());
        let mut keys: Vec<String> = old.into_iter().map(|(key, _)| key).collect();
        let added = new.into_iter().map(|(key, _)| key);
        let added: Vec<String> = added.filter(|key| !keys.contains(key)).collect();
        keys.extend(added);
        // As they were written: what masks a secret would hide its change.
        let value = |loaded: &Self, key: &str| loaded.figment.find_value(key).ok();
        keys.retain(|key| value(self, key) != value(other, key));
        keys
    }
}

impl Settings {
    /// Checks what types cannot say. Each fault names its key.
    fn check(&self) -> Result<(), ConfigError> {
        self.site.check()?;
        self.database.check()?;
        self.mail.check()?;
        self.schedule.check()?;
        self.picker.check()?;
        self.signup.check()?;
        self.votes.check()?;
        self.bounces.check()?;
        self.inbound.check()?;
        self.webhooks_in.check()?;
        self.webhooks_out.check()?;
        self.sources.check()?;
        self.desk.check()?;
        self.api.check()?;
        self.keep.check()?;
        self.log.check()?;
        if self.desk.two_people && self.schedule.approval != Approval::Required {
            return fault(
                "desk.two_people",
                "needs schedule.approval = \"required\": where nobody has to approve, no second person is asked",
            );
        }
        relations::check(self)
    }

    /// `site.base_url` without a slash at its end.
    pub fn base_url(&self) -> &str {
        self.site.base_url.as_str().trim_end_matches('/')
    }

    /// The address of the desk without a slash at its end: `desk.base_url`, else where it listens by itself, else `site.base_url`.
    pub fn desk_url(&self) -> String {
        match (&self.desk.base_url, self.desk.listen) {
            (Some(url), _) => url.as_str().trim_end_matches('/').to_owned(),
            (None, Some(listen)) => format!("http://{listen}"),
            (None, None) => self.base_url().to_owned(),
        }
    }

    /// The host in `site.base_url`.
    pub fn host(&self) -> &str {
        self.site.base_url.host_str().unwrap_or("localhost")
    }

    /// Returns whether the database and the transport are the embedded defaults, so that a first start may bring its sample.
    pub fn is_embedded_default(&self) -> bool {
        self.database.url == DatabaseSettings::default().url
            && self
                .mail
                .relays_in_force()
                .iter()
                .all(|relay| relay.transport.expose().starts_with("mailbox:"))
    }
}

fn fault<T>(key: &str, what: &str) -> Result<T, ConfigError> {
    Err(ConfigError(format!("{key}: {what}.")))
}

/// From `least` up to a century: more is a slip of the pen, and would not be counted in milliseconds.
fn within(key: &str, value: Duration, least: Duration) -> Result<(), ConfigError> {
    if value < least || value > days(36_500) {
        return fault(
            key,
            &format!(
                "expected {} or more, and at most 100 years",
                humantime::format_duration(least)
            ),
        );
    }
    Ok(())
}

/// A list, or a single text in its place: easier to write in an environment variable. By a visitor rather than an untagged
/// enum, which would lose what is wrong with a value.
fn one_or_many<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct OneOrMany<T>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for OneOrMany<T> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a text or a list of texts")
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<T>, E> {
            T::deserialize(serde::de::value::StrDeserializer::new(text)).map(|one| vec![one])
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, list: A) -> Result<Vec<T>, A::Error> {
            Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(list))
        }
    }
    deserializer.deserialize_any(OneOrMany(std::marker::PhantomData))
}

/// Checks that the file is TOML at all. figment would quote the faulty line, and there may be a secret in it.
fn check_syntax(path: &Path) -> Result<(), ConfigError> {
    let fault =
        |words: String| ConfigError(format!("The settings file {}: {words}.", path.display()));
    let text = std::fs::read_to_string(path)
        .map_err(|error| fault(format!("it cannot be read ({error})")))?;
    text.parse::<toml::Table>().map(|_| ()).map_err(|error| {
        let line = error.span().map_or(1, |span| {
            text[..span.start.min(text.len())].matches('\n').count() + 1
        });
        fault(format!("line {line} is not TOML ({})", error.message()))
    })
}

/// Settings that cannot be used, as a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub(crate) String);

#[cfg(test)]
mod tests;
