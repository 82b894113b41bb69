//! Settings that a serving process takes over from a changed file, and those that need a restart.

use super::DESK_KEYS;
use super::Settings;

/// Keys beside those of the desk that are read anew wherever they are used, or are made anew when they change.
const RELOADED: [&str; 16] = [
    "log.level",
    "mail.dkim",
    "mail.poll",
    "mail.in_doubt",
    "inbound.keep",
    "inbound.keep_raw",
    "inbound.sign_ups_per_hour",
    "inbound.sign_ups_per_domain",
    "inbound.answers_per_hour",
    "keep.networks",
    "keep.deliveries",
    "keep.audit",
    "keep.ended",
    "schedule.publish_range",
    "signup.remind_after",
    "site.privacy_url",
];

impl Settings {
    /// Returns true if a process that serves takes over a change of this key without a restart.
    pub fn is_reloaded(key: &str) -> bool {
        RELOADED.contains(&key)
            || DESK_KEYS
                .iter()
                .any(|known| known.key == key && !known.needs_restart)
    }

    /// These settings with those of `new` that are taken over without a restart.
    ///
    /// # Errors
    /// A sentence, where the two do not fit each other.
    pub fn reloaded(&self, new: &Self) -> Result<Self, super::ConfigError> {
        let mut settings = self.clone();
        for known in DESK_KEYS.iter().filter(|known| !known.needs_restart) {
            known.copy(new, &mut settings);
        }
        let (to, from) = (&mut settings, new);
        to.log = from.log.clone();
        to.keep = from.keep.clone();
        to.mail.dkim.clone_from(&from.mail.dkim);
        to.mail.poll = from.mail.poll;
        to.mail.in_doubt = from.mail.in_doubt;
        to.inbound.keep = from.inbound.keep;
        to.inbound.keep_raw = from.inbound.keep_raw;
        to.inbound.sign_ups_per_hour = from.inbound.sign_ups_per_hour;
        to.inbound.sign_ups_per_domain = from.inbound.sign_ups_per_domain;
        to.inbound.answers_per_hour = from.inbound.answers_per_hour;
        to.schedule.publish_range = from.schedule.publish_range;
        to.signup.remind_after = from.signup.remind_after;
        to.site.privacy_url.clone_from(&from.site.privacy_url);
        settings.check()?;
        Ok(settings)
    }
}
