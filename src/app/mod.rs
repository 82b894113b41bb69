//! Floor 4: the use cases, where storage, rendering and mail meet. Writes go through here.
//!
//! This file says what a process holds. The folders, in the order of a digest's life:
//!
//! - [`subscribing`]: signing up and leaving, preferences, votes, and the list as its operator handles it.
//! - [`catalogue`]: tools and comparisons in and out.
//! - [`issue`]: the week's issue, from the pick to its publication.
//! - [`delivery`]: the sender, its relays and breakers, and the reasons why mail waits.
//! - [`returns`]: what comes back, and what it means for its reader.
//! - [`checks`]: `doctor`, metrics, upkeep, what is kept.
//! - [`jobs`]: imports, exports and changes of many, with progress.
//! - [`users`]: people who run the newsletter; [`tokens`] with [`idempotency`]: programs that act for them; [`audit_log`]: what they changed.
//! - [`webhooks_out`]: events, told to other programs.
//!
//! Beside them: [`growth`] (who joins and who leaves), [`deliverability`] (what comes back, DNS), [`views`] (things as programs see them), [`backup`] (copies, and the way back), `failure` (errors with a kind), `secrets` and [`keys`] (what signs), [`connections`]
//! (places at the doors).

pub mod audit_log;
pub mod backup;
pub mod catalogue;
pub mod catalogue_upload;
pub mod check_result;
pub mod checks;
pub mod connections;
mod database;
pub mod deliverability;
pub mod delivery;
pub mod desk_settings;
pub mod export;
mod face;
mod failure;
pub mod growth;
pub mod idempotency;
pub mod issue;
pub mod jobs;
pub mod keys;
pub mod live;
pub mod pulse;
mod reloading;
pub mod returns;
mod secrets;
pub mod sources;
pub mod subscribing;
pub mod tokens;
pub mod users;
pub mod views;
pub mod webhooks_out;

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;

use tokio::sync::Notify;

use crate::config;
use crate::config::Settings;
use crate::config::ShownSetting;
use crate::domain::Timestamp;
use crate::domain::pick::PickerRules;
use crate::domain::timetable::Timetable;
use crate::domain::to_millis;
use crate::domain::token::Secrets;
use crate::domain::verp::ReturnPath;
use crate::domain::zone::Zone;
use crate::identity::passkey::Passkeys;
use crate::identity::password::Passwords;
use crate::mail::ConnectionLimits;
use crate::mail::Mailbox;
use crate::mail::SmtpTimeouts;
use crate::mail::Transport;
use crate::mail::imap::Account;
use crate::render::Site;
use crate::storage::Storage;
use crate::storage::sqlite_file;
use delivery::Signing;
use delivery::relay::Relay;
pub use failure::Failure;
pub use failure::FailureKind;
pub use failure::FieldFault;
pub use failure::Outage;
use live::Live;
pub use returns::webhooks::Fetch;

/// Source of `now`: the caller brings it, so that a test can.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that asks `now`.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The machine's clock.
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place where the system's clock is read"
    )]
    pub fn system() -> Self {
        Self::new(chrono::Utc::now)
    }

    /// The moment, in whole milliseconds.
    pub fn now(&self) -> Timestamp {
        to_millis((self.0)())
    }
}

/// State of a process: the open database, the settings made ready for use, the clock.
pub struct App {
    /// The settings in force.
    pub settings: Live<Settings>,
    /// The settings as file and environment have them.
    pub(crate) base_settings: Live<Settings>,
    /// Origins of these, once they are known.
    pub(crate) origins: Live<Vec<ShownSetting>>,
    /// The desk's settings at the last look.
    pub(crate) desk_seen: Mutex<Vec<(String, String)>>,
    /// Pages may read straight from it; writes go through the use cases.
    pub storage: Storage,
    /// Facts about the site that every page and mail shows.
    pub site: Live<Site>,
    pub(crate) clock: Clock,
    pub(crate) secrets: Secrets,
    /// The ways out; never none.
    pub(crate) relays: Vec<Arc<Relay>>,
    pub(crate) signing: Live<Signing>,
    pub(crate) from: Mailbox,
    pub(crate) reply_to: Option<Mailbox>,
    /// The envelope's sender: where bounces go.
    pub(crate) return_path: ReturnPath,
    /// The mailbox elsewhere that mail comes back to.
    pub(crate) returns: Option<Account>,
    pub(crate) pick_times: Live<Timetable>,
    pub(crate) send_times: Live<Timetable>,
    /// Zone of the times that a command prints, where it is not the site's.
    pub(crate) shown_zone: OnceLock<Zone>,
    /// The rules of time zones.
    pub(crate) zones: checks::zones::Zones,
    pub(crate) letters: delivery::template_cache::TemplateCache,
    /// Reason why a digest whose time has come was last not published, so that each reason is said once.
    pub(crate) unpublished: Mutex<String>,
    /// Time at which the database's statistics were last gathered here.
    pub(crate) statistics_at: Mutex<Option<Timestamp>>,
    /// Readers in the next range of a digest that is being published.
    pub(crate) range_size: issue::publishing::RangeSize,
    /// Webhooks of providers.
    pub(crate) webhooks: returns::webhooks::WebhookStates,
    /// Client for webhook endpoints.
    pub(crate) hooks: webhooks_out::WebhookSender,
    /// Recent statistics of this process's sends, not written yet.
    pub(crate) minutes: delivery::SendStats,
    /// Number of mails of a send to each domain, not written yet.
    pub(crate) sends: delivery::Sends,
    /// Signs of life of this process's roles.
    pub pulse: pulse::Pulse,
    /// State of this process's sender.
    pub sending: delivery::SendStatus,
    /// Rung when there is something to deliver.
    pub(crate) doorbell: Notify,
    /// Warnings about standstill and clock that were given already.
    pub(crate) said: delivery::waiting::StallNotices,
    /// Time of the last count of readers for a page, and its result.
    pub(crate) readers_at: Mutex<Option<(Timestamp, u64)>>,
    /// Hashes passwords of the desk's users.
    pub(crate) passwords: Passwords,
    /// Passkeys of the desk's users; the error says why there are none.
    pub(crate) passkeys: Result<Passkeys, String>,
    /// Providers with whom users of the desk sign in.
    pub(crate) providers: Vec<users::providers::KnownProvider>,
    /// Jobs of the desk that this process does.
    pub(crate) jobs: jobs::Jobs,
}

/// Passkeys for the address of the desk.
fn passkeys(settings: &Settings) -> Result<Passkeys, String> {
    let url = settings.desk_url();
    let parsed =
        url::Url::parse(&url).map_err(|_| format!("Passkeys are off: {url} is no address."))?;
    Passkeys::new(&parsed, &settings.site.name)
}

impl App {
    /// Checks the settings and opens the database they name, without bringing its tables up to date. A SQLite database that
    /// is not there is made, and so is a secret.
    ///
    /// # Errors
    /// A sentence that names the setting that cannot be used, or says why the database cannot be opened.
    pub async fn open(settings: Settings, clock: Clock) -> Result<Arc<Self>, Failure> {
        Self::open_with(settings, clock, Fetch::network()).await
    }

    /// Opens a database that is there already, for commands that only work on an installation: started in the wrong folder they
    /// would otherwise make an empty database and answer as if the list were empty.
    ///
    /// # Errors
    /// As [`App::open`]; and a sentence that says where the SQLite file was looked for and is not.
    pub async fn open_existing(settings: Settings, clock: Clock) -> Result<Arc<Self>, Failure> {
        if let Some(file) = sqlite_file(settings.database.url.expose())
            && !file.exists()
        {
            // A setting that cannot be used may be the reason, and is worth more words.
            Self::check(&settings)?;
            let place = std::path::absolute(&file).unwrap_or(file);
            return Err(Failure::not_found(format!(
                "There is no database at {} (database.url is {}). Run this where the service runs, or name its settings with --config \
                 or VERDICTS_DATABASE__URL; `verdicts serve`, `migrate` and imports make a database.",
                place.display(),
                settings.database.url.shown()
            )));
        }
        Self::open(settings, clock).await
    }

    /// The same, with another way to what lies at https addresses.
    ///
    /// # Errors
    /// As [`App::open`].
    pub async fn open_with(
        settings: Settings,
        clock: Clock,
        fetch: Fetch,
    ) -> Result<Arc<Self>, Failure> {
        let parts = AppParts::from(&settings)?;
        let providers = users::providers::known_providers(&settings)?;
        let storage = database::open_storage(&settings).await?;
        let secrets = secrets::open(&settings, &storage, clock.now()).await?;
        let storage = storage.named_by(secrets.clone());
        Ok(Arc::new(Self {
            site: Live::new(face::site(&settings, &parts.relays, parts.timezone)?),
            storage,
            clock,
            secrets,
            relays: parts.relays,
            signing: Live::new(parts.signing),
            from: parts.from,
            reply_to: parts.reply_to,
            return_path: parts.return_path,
            returns: parts.returns,
            pick_times: Live::new(parts.pick_times),
            send_times: Live::new(parts.send_times),
            zones: parts.zones,
            letters: delivery::template_cache::TemplateCache::default(),
            unpublished: Mutex::default(),
            statistics_at: Mutex::default(),
            range_size: issue::publishing::RangeSize::default(),
            webhooks: returns::webhooks::WebhookStates::new(fetch),
            hooks: webhooks_out::WebhookSender::new(&settings)?,
            minutes: delivery::SendStats::default(),
            sends: delivery::Sends::default(),
            pulse: pulse::Pulse::default(),
            sending: delivery::SendStatus::default(),
            doorbell: Notify::new(),
            said: delivery::waiting::StallNotices::default(),
            readers_at: Mutex::default(),
            passwords: Passwords::default(),
            passkeys: passkeys(&settings),
            providers,
            jobs: jobs::Jobs::default(),
            base_settings: Live::new(settings.clone()),
            origins: Live::new(Vec::new()),
            shown_zone: OnceLock::new(),
            desk_seen: Mutex::default(),
            settings: Live::new(settings),
        }))
    }

    /// Checks the settings as [`App::open`] does, and opens nothing.
    pub fn check(settings: &Settings) -> Result<(), Failure> {
        users::providers::known_providers(settings)?;
        webhooks_out::WebhookSender::new(settings)?;
        AppParts::from(settings).map(|_| ())
    }

    /// Lists settings that will do nothing, as sentences; for settings that [`App::check`] let pass.
    ///
    /// # Errors
    /// As [`App::check`].
    pub fn advice(settings: &Settings, now: Timestamp) -> Result<Vec<String>, Failure> {
        let (parts, schedule) = (AppParts::from(settings)?, &settings.schedule);
        let timing = checks::schedule_times::Timing {
            pick: (&schedule.pick, &parts.pick_times),
            send: (&schedule.send, &parts.send_times),
            timezone: &parts.timezone,
        };
        Ok(timing.unused_times(now))
    }

    /// Opens the database alone.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn open_database(settings: &Settings) -> Result<Storage, Failure> {
        Ok(database::open_storage(settings).await?)
    }

    /// The file of a SQLite database.
    pub fn database_file(settings: &Settings) -> Option<PathBuf> {
        sqlite_file(settings.database.url.expose())
    }

    /// The domain of `mail.from`.
    pub fn sender_domain(settings: &Settings) -> Result<String, Failure> {
        let from = Mailbox::parse(&settings.mail.from)
            .map_err(|error| Failure::invalid_field("mail.from", format!("mail.from: {error}")))?;
        Ok(from.domain().to_owned())
    }

    /// The moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The name that stands before an opened mail.
    pub fn sender_name(&self) -> String {
        self.settings
            .mail
            .from
            .split(" <")
            .next()
            .unwrap_or_default()
            .trim_matches('"')
            .to_owned()
    }

    /// The first way out.
    pub(crate) fn transport(&self) -> &Transport {
        &self.relays[0].transport
    }

    /// The folder of mails, where the transport is one and may be shown to somebody.
    pub fn mailbox(&self) -> Option<&crate::mail::Maildir> {
        self.relays
            .iter()
            .find_map(|relay| relay.transport.mailbox())
            .filter(|_| {
                let mail = &self.settings.mail;
                mail.shows_mailbox(self.settings.site.listen.ip())
            })
    }

    /// The mailbox that mail comes back to, if it is one at another server (`inbound.imap`).
    pub fn returns(&self) -> Option<&Account> {
        self.returns.as_ref()
    }

    /// The settings of `[picker]`.
    pub(crate) fn rules(&self) -> PickerRules {
        let picker = &self.settings.picker;
        PickerRules {
            max_items: picker.max_items,
            min_items: picker.min_items,
            look_back: delta(picker.look_back),
            votes_weight: picker.votes_weight,
        }
    }

    /// Somebody may want mail at once.
    pub(crate) fn wake_senders(&self) {
        self.doorbell.notify_one();
    }
}

/// The settings, made ready for use; each fault names its key.
pub(crate) struct AppParts {
    pub relays: Vec<Arc<Relay>>,
    pub signing: Signing,
    pub from: Mailbox,
    pub reply_to: Option<Mailbox>,
    pub return_path: ReturnPath,
    pub returns: Option<Account>,
    pub pick_times: Timetable,
    pub send_times: Timetable,
    pub zones: checks::zones::Zones,
    /// `site.timezone`
    pub timezone: Zone,
}

impl AppParts {
    pub(crate) fn from(settings: &Settings) -> Result<Self, Failure> {
        let mail = &settings.mail;
        let fault = |key: &str, error: &dyn std::fmt::Display| {
            Failure::invalid_field(key.to_owned(), format!("{key}: {error}"))
        };
        let mailbox =
            |key: &str, text: &str| Mailbox::parse(text).map_err(|error| fault(key, &error));
        let from = mailbox("mail.from", &mail.from)?;
        let return_path = mail
            .return_path
            .as_deref()
            .map(|text| mailbox("mail.return_path", text))
            .transpose()?;
        let limits = &mail.timeouts;
        let timeouts = SmtpTimeouts {
            connect: limits.connect,
            greeting: limits.greeting,
            command: limits.command,
            data: limits.data,
            finish: limits.finish,
        };
        let use_limits = ConnectionLimits {
            mails: mail.messages_per_connection,
            idle: mail.idle,
            takes_ahead: mail.envelope_ahead,
        };
        let hello = mail.hello.as_deref().unwrap_or_else(|| settings.host());
        let relay = |relay: &config::RelaySettings| {
            let key = if mail.relays.is_empty() {
                "mail.transport".into()
            } else {
                format!("mail.relays ({}): transport", relay.name)
            };
            let transport = Transport::parse(relay.transport.expose(), hello, timeouts, use_limits)
                .map_err(|error| fault(&key, &error))?;
            Ok::<_, Failure>(Arc::new(Relay::new(relay, transport)))
        };
        let zones = checks::zones::Zones::open(settings.site.zoneinfo.as_deref())
            .map_err(|error| fault("site.zoneinfo", &format_args!("{error}.")))?;
        let timezone = zones.get(&settings.site.timezone).ok_or_else(|| {
            let words = format_args!(
                "expected a name of the time zone database, like Europe/Berlin, and found {:?}.",
                settings.site.timezone
            );
            fault("site.timezone", &words)
        })?;
        let inbound = &settings.inbound;
        let returns = inbound
            .imap
            .as_ref()
            .map(|url| Account::parse(url.expose(), &inbound.imap_after))
            .transpose();
        let relays = mail
            .relays_in_force()
            .iter()
            .map(relay)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            relays,
            signing: Signing::open(mail).map_err(|error| fault("mail.dkim", &error))?,
            return_path: ReturnPath::new(return_path.as_ref().unwrap_or(&from).address())
                .map_err(|error| fault("mail.return_path", &error))?,
            returns: returns.map_err(|error| fault("inbound.imap", &format_args!("{error}.")))?,
            from,
            reply_to: mail
                .reply_to
                .as_deref()
                .map(|text| mailbox("mail.reply_to", text))
                .transpose()?,
            pick_times: Timetable::parse(&settings.schedule.pick, timezone.clone())
                .map_err(|error| fault("schedule.pick", &error))?,
            send_times: Timetable::parse(&settings.schedule.send, timezone.clone())
                .map_err(|error| fault("schedule.send", &error))?,
            zones,
            timezone,
        })
    }
}

/// A setting's duration as the domain counts; the settings are checked to be below a century.
pub(crate) fn delta(duration: std::time::Duration) -> chrono::TimeDelta {
    chrono::TimeDelta::from_std(duration).unwrap_or(chrono::TimeDelta::MAX)
}

/// Makes a file, or empties it, for its owner's eyes alone: a secret, or addresses.
pub fn private_file(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
