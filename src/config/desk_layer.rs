//! Settings that may be set at the desk: a layer below the file and the environment, so that what stands there wins. Secrets, the database,
//! transports and whatever reaches the machine are not among them.

use std::time::Duration;

use super::Approval;
use super::ConfigError;
use super::Settings;
use super::fault;

/// Kind of a value, for the words beside its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// A line of text.
    Text,
    /// A whole number.
    Number,
    /// A time like `28d`.
    Duration,
    /// `true` or `false`.
    YesNo,
    /// Cron: five fields.
    Cron,
    /// `auto` or `required`.
    Approval,
}

/// A setting that may be set at the desk.
pub struct DeskKey {
    /// `section.key`.
    pub key: &'static str,
    /// Effect, in a sentence.
    pub words: &'static str,
    /// Kind of its value.
    pub kind: ValueKind,
    /// True if serving processes take a change only when they start.
    pub needs_restart: bool,
    read: fn(&Settings) -> String,
    write: fn(&mut Settings, &str) -> Result<(), String>,
}

impl std::fmt::Debug for DeskKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.key)
    }
}

/// A value that can be written as a text and read back.
trait DeskValue: Sized {
    fn show(&self) -> String;
    fn parse(text: &str) -> Result<Self, String>;
}

impl DeskValue for String {
    fn show(&self) -> String {
        self.clone()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text.chars().any(char::is_control) {
            true => Err("expected one line".into()),
            false => Ok(text.to_owned()),
        }
    }
}

impl DeskValue for Option<String> {
    fn show(&self) -> String {
        self.clone().unwrap_or_default()
    }

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Some(String::parse(text)?).filter(|text| !text.is_empty()))
    }
}

macro_rules! numbers {
    ($($number:ty),+) => {$(
        impl DeskValue for $number {
            fn show(&self) -> String {
                self.to_string()
            }

            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| "expected a whole number".into())
            }
        }
    )+};
}

numbers!(u32, usize);

impl DeskValue for Duration {
    fn show(&self) -> String {
        humantime::format_duration(*self).to_string()
    }

    fn parse(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text).map_err(|_| "expected a time like 5m, 36h or 28d".into())
    }
}

impl DeskValue for bool {
    fn show(&self) -> String {
        self.to_string()
    }

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "expected true or false".into())
    }
}

impl DeskValue for Approval {
    fn show(&self) -> String {
        match self {
            Self::Auto => "auto".into(),
            Self::Required => "required".into(),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "required" => Ok(Self::Required),
            _ => Err("expected auto or required".into()),
        }
    }
}

macro_rules! desk_keys {
    ($($section:ident . $name:ident: $kind:ident, $restart:literal, $words:literal;)+) => {
        /// The list, in the order of the settings file.
        pub const DESK_KEYS: &[DeskKey] = &[$(DeskKey {
            key: concat!(stringify!($section), ".", stringify!($name)),
            words: $words,
            kind: ValueKind::$kind,
            needs_restart: $restart,
            read: |settings| settings.$section.$name.show(),
            write: |settings, text| {
                settings.$section.$name = DeskValue::parse(text)?;
                Ok(())
            },
        }),+];
    };
}

desk_keys! {
    site.name: Text, false, "Name of the site, on pages and in mails.";
    site.newsletter: Text, false, "Name of the newsletter.";
    mail.subject: Text, false, "Pattern of a digest's subject.";
    mail.postal_address: Text, false, "Postal address at the end of each mail; many countries demand one.";
    schedule.pick: Cron, false, "When the week's comparisons are picked.";
    schedule.send: Cron, false, "When the digest is sent.";
    schedule.catch_up: Duration, false, "A time that was missed by less than this is made up.";
    schedule.spread: Duration, false, "Over how long a digest's mails become due.";
    schedule.local_time: YesNo, false, "Send at that time by each reader's own clock, where their zone is known.";
    schedule.approval: Approval, false, "auto: a picked digest goes out by itself; required: somebody must approve it.";
    picker.max_items: Number, false, "Most comparisons in a digest.";
    picker.min_items: Number, false, "With fewer comparisons the week is skipped.";
    picker.look_back: Duration, false, "Age up to which a comparison that was never sent is still news.";
    picker.votes_weight: Number, false, "Most points, of a comparison's 100, that readers' votes give.";
    signup.confirm_within: Duration, false, "How long a confirmation link works.";
    signup.per_client: Number, true, "Requests for mail an hour from one client.";
    signup.per_site: Number, false, "The same from one IPv6 /48.";
    signup.mails_per_day: Number, false, "Mails a day that strangers can cause to one mailbox.";
    signup.unanswered: Number, false, "Mails without an answer after which a mailbox gets no more of them.";
    bounces.hard: Number, false, "Digests in a row refused for want of a mailbox, after which a subscription ends. 0: never.";
    bounces.soft: Number, false, "Digests in a row refused for the recipient's sake, after which a subscription ends. 0: never.";
    bounces.brake_count: Number, false, "Like refusals at one domain from which they are held for a person. 0: no brake.";
    bounces.brake_share: Number, false, "Per cent of the mails to that domain from which they are held.";
    bounces.brake_domains: Number, false, "Domains that refuse alike from which a relay's refusals are held.";
    bounces.brake_wait: Duration, false, "Time that reports are gathered before they are judged.";
    desk.undo: Duration, false, "Time between \"send now\" and the first mail, in which it can be stopped.";
    desk.two_people: YesNo, false, "Whoever changed a digest last may not approve it; needs schedule.approval = required.";
}

/// The entry of a key, if it may be set at the desk.
pub fn desk_key(key: &str) -> Option<&'static DeskKey> {
    DESK_KEYS.iter().find(|known| known.key == key)
}

impl DeskKey {
    /// Gives `to` the value that `from` has.
    pub(super) fn copy(&self, from: &Settings, to: &mut Settings) {
        // What was shown can be read: the text is this key's own.
        let _ = (self.write)(to, &self.value(from));
    }

    /// Its value in these settings, as it is typed.
    pub fn value(&self, settings: &Settings) -> String {
        (self.read)(settings)
    }

    /// Returns true if these settings, of file and environment, leave the key to the desk: a value that equals the default does not count
    /// as set.
    pub fn is_free(&self, base: &Settings) -> bool {
        self.value(base) == self.value(&Settings::default())
    }
}

impl Settings {
    /// These settings, of file and environment, with what the desk sets where they leave it free. A key that this version does not know
    /// is passed over.
    ///
    /// # Errors
    /// A sentence that names the key whose value cannot be used, alone or beside the others.
    pub fn with_desk<'a>(
        &self,
        values: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ConfigError> {
        let mut settings = self.clone();
        for (key, text) in values {
            let Some(known) = desk_key(key).filter(|known| known.is_free(self)) else {
                continue;
            };
            if let Err(what) = (known.write)(&mut settings, text.trim()) {
                return fault(known.key, &what);
            }
        }
        settings.check()?;
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_reads_back_what_it_shows_and_none_is_a_secret() {
        let defaults = Settings::default();
        let shown = defaults.values();
        for key in DESK_KEYS {
            let text = key.value(&defaults);
            let same = defaults.with_desk([(key.key, text.as_str())].into_iter());
            assert_eq!(key.value(&same.expect(key.key)), text, "{}", key.key);
            assert!(
                shown.iter().any(|(known, _)| known == key.key),
                "{}",
                key.key
            );
            for refused in ["secret", "database", "transport", "dkim", "relays", "owner"] {
                assert!(!key.key.contains(refused), "{}", key.key);
            }
        }
    }

    #[test]
    fn the_file_wins_and_its_default_does_not_count() {
        let mut base = Settings::default();
        base.picker.max_items = 3;
        let desk = [
            ("picker.max_items", "4"),
            ("site.name", "Ours"),
            ("gone.key", "x"),
        ];
        let settings = base.with_desk(desk.into_iter()).expect("settings");
        assert_eq!(
            (settings.picker.max_items, settings.site.name.as_str()),
            (3, "Ours")
        );
        assert!(
            Settings::default()
                .with_desk([("picker.max_items", "x")].into_iter())
                .is_err()
        );
        let alone = Settings::default().with_desk([("desk.two_people", "true")].into_iter());
        assert!(alone.is_err_and(|error| error.to_string().contains("schedule.approval")));
    }
}
