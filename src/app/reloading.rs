//! SIGHUP: a changed settings file is taken over by a process that serves, as far as that is possible without a restart.

use super::App;
use super::AppParts;
use super::Failure;
use super::jobs::locked;
use crate::config::Loaded;
use crate::config::Settings;

/// Result of a reload, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Keys whose change is in force.
    pub taken: Vec<String>,
    /// Keys whose change needs a restart.
    pub needs_restart: Vec<String>,
}

impl App {
    /// Takes over what changed between two readings of the settings, where that needs no restart. The keys of `mail.dkim` are read anew
    /// in any case: their files may have changed under the same names.
    ///
    /// # Errors
    /// A sentence that names the setting that cannot be used; then everything stays as it was.
    pub fn reload(&self, old: &Loaded, new: &Loaded) -> Result<Reloaded, Failure> {
        let invalid = |error: &dyn std::fmt::Display| Failure::invalid(error.to_string());
        // All of it, also what a restart would take: a bad file is refused as a whole.
        let parts = AppParts::from(&new.settings)?;
        let base = self
            .base_settings
            .reloaded(&new.settings)
            .map_err(|error| invalid(&error))?;
        let (mut taken, needs_restart): (Vec<String>, Vec<String>) = old
            .changed(new)
            .into_iter()
            .partition(|key| Settings::is_reloaded(key));
        let before = self.signing.signers().records();
        if parts.signing.signers().records() != before {
            self.signing.replace(parts.signing);
            if !taken.iter().any(|key| key == "mail.dkim") {
                taken.push("mail.dkim".into());
            }
        }
        self.base_settings.replace(base);
        self.note_origins(new.shown());
        let desk = locked(&self.desk_seen).clone();
        self.put_in_force(&desk)?;
        self.wake_senders();
        Ok(Reloaded {
            taken,
            needs_restart,
        })
    }
}
