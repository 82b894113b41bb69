//! Settings of the desk: each with its value, its default and its origin; those of the allow list can be set, and serving processes take
//! them without a restart.

use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::App;
use super::Failure;
use super::face;
use super::jobs::locked;
use crate::config::DESK_KEYS;
use crate::config::DeskKey;
use crate::config::Settings;
use crate::config::ShownSetting;
use crate::config::desk_key;
use crate::domain::actor::Actor;
use crate::domain::timetable::Timetable;
use crate::render::Site;

/// Pause between two looks whether another process or a command set something.
pub const FOLLOW_EVERY: Duration = Duration::from_secs(5);

/// A setting with where it comes from.
#[derive(Debug, Clone, Serialize)]
pub struct SettingView {
    /// `section.key`.
    pub key: String,
    /// Value in force, as it would stand in the file; secrets are masked.
    pub value: serde_json::Value,
    /// Value where nobody sets one.
    pub default: serde_json::Value,
    /// `default`, `desk`, a file, or an environment variable.
    pub origin: String,
    /// True if it can be set at the desk now.
    pub is_settable: bool,
    /// True if serving processes take a change only when they start.
    pub needs_restart: bool,
}

impl App {
    /// Keeps where each setting of file and environment comes from, for the desk to show.
    pub fn note_origins(&self, shown: Vec<ShownSetting>) {
        self.origins.replace(shown);
    }

    /// Takes over what was set at the desk since the last look, here or by another process; `true` if anything was. A value that can
    /// no longer be used, since the file beside it changed, leaves all of the desk's settings out, and says so.
    pub async fn refresh_settings(&self) -> Result<bool, Failure> {
        let rows = self.storage.desk_settings().await?;
        let values: Vec<(String, String)> =
            rows.into_iter().map(|row| (row.key, row.value)).collect();
        {
            let mut seen = locked(&self.desk_seen);
            if *seen == values {
                return Ok(false);
            }
            seen.clone_from(&values);
        }
        self.put_in_force(&values)?;
        tracing::info!(count = values.len(), "took over the settings of the desk");
        Ok(true)
    }

    /// Puts the settings of file and environment in force, with these of the desk.
    pub(super) fn put_in_force(&self, values: &[(String, String)]) -> Result<(), Failure> {
        let texts = || {
            values
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str()))
        };
        let made = self
            .base_settings
            .with_desk(texts())
            .map_err(|error| Failure::invalid(error.to_string()))
            .and_then(|settings| self.made_of(settings));
        let (settings, times, site) = match made {
            Ok(made) => made,
            Err(failure) => {
                tracing::error!("the settings of the desk are left out: {failure}");
                self.made_of(self.base_settings.clone())?
            }
        };
        let is_taken = self.site.replace(site)
            && self.pick_times.replace(times.0)
            && self.send_times.replace(times.1)
            && self.settings.replace(settings);
        if !is_taken {
            tracing::warn!(
                "settings were changed too often since the start: restart to take the last ones"
            );
        }
        self.letters.forget();
        Ok(())
    }

    /// Settings with what is made of them: the times of pick and send, and the site. The zone is not the desk's to set.
    fn made_of(
        &self,
        settings: Settings,
    ) -> Result<(Settings, (Timetable, Timetable), Site), Failure> {
        let zone = &self.site.timezone;
        let times = |key: &'static str, text: &str| {
            Timetable::parse(text, zone.clone())
                .map_err(|error| Failure::invalid_field(key, format!("{key}: {error}")))
        };
        let pick = times("schedule.pick", &settings.schedule.pick)?;
        let send = times("schedule.send", &settings.schedule.send)?;
        let site = face::site(&settings, &self.relays, zone.clone())?;
        Ok((settings, (pick, send), site))
    }

    /// Follows what other processes and commands set, until told to stop.
    pub async fn follow_settings_until(&self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(FOLLOW_EVERY) => {}
            }
            if let Err(failure) = self.refresh_settings().await {
                tracing::debug!(
                    cause = failure.cause(),
                    "the settings of the desk were not read: {failure}"
                );
            }
        }
    }

    /// Every setting, in the order of the file.
    pub async fn setting_views(&self) -> Result<Vec<SettingView>, Failure> {
        let rows = self.storage.desk_settings().await?;
        let set: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
        Ok(views(
            &self.base_settings,
            &self.settings,
            &self.origins,
            &set,
        ))
    }

    /// Returns true if file and environment leave this setting to the desk.
    pub fn may_set(&self, known: &DeskKey) -> bool {
        known.is_free(&self.base_settings)
    }

    /// Sets a setting of the allow list, or gives it back to its default (`None`). All processes that serve take it within seconds.
    ///
    /// # Errors
    /// Not found, where the key is not on the list; a conflict, where file or environment set it; invalid, with the reason.
    pub async fn set_setting(
        &self,
        actor: &Actor,
        key: &str,
        value: Option<&str>,
    ) -> Result<&'static DeskKey, Failure> {
        let known = desk_key(key).ok_or_else(|| not_settable(key))?;
        let value = value.map(str::trim);
        if value.is_some() && !known.is_free(&self.base_settings) {
            return Err(Failure::conflict(format!(
                "{key} is set in the settings file or the environment, which wins: change it there, or take it out there first."
            )));
        }
        let rows = self.storage.desk_settings().await?;
        let others = rows.iter().filter(|row| row.key != key);
        let others = others.map(|row| (row.key.as_str(), row.value.as_str()));
        let all = others.chain(value.map(|value| (known.key, value)));
        let settings = self
            .base_settings
            .with_desk(all)
            .map_err(|error| Failure::invalid_field(known.key, error.to_string()))?;
        self.made_of(settings)?;
        self.storage
            .set_setting(actor, known.key, value, self.now())
            .await?;
        self.refresh_settings().await?;
        Ok(known)
    }
}

impl App {
    /// Sets several settings: all that are given, or none where one is refused.
    ///
    /// # Errors
    /// As [`App::set_setting`].
    pub async fn set_settings(
        &self,
        actor: &Actor,
        changes: &[(&str, Option<&str>)],
    ) -> Result<(), Failure> {
        let rows = self.storage.desk_settings().await?;
        let is_changed = |key: &str| changes.iter().any(|(changed, _)| *changed == key);
        let kept = rows.iter().filter(|row| !is_changed(&row.key));
        let mut all: Vec<(&str, &str)> = kept
            .map(|row| (row.key.as_str(), row.value.as_str()))
            .collect();
        for (key, value) in changes {
            let known = desk_key(key).ok_or_else(|| not_settable(key))?;
            if value.is_some() && !known.is_free(&self.base_settings) {
                return Err(Failure::conflict(format!(
                    "{key} is set in the settings file or the environment, which wins: change it there, or take it out there first."
                )));
            }
            all.extend(value.map(|value| (known.key, value.trim())));
        }
        let settings = self
            .base_settings
            .with_desk(all.into_iter())
            .map_err(|error| Failure::invalid_field("settings", error.to_string()))?;
        self.made_of(settings)?;
        for (key, value) in changes {
            self.set_setting(actor, key, *value).await?;
        }
        Ok(())
    }
}

fn not_settable(key: &str) -> Failure {
    let keys: Vec<&str> = DESK_KEYS.iter().map(|known| known.key).collect();
    Failure::not_found(format!(
        "{key} cannot be set here: set it in the settings file or the environment. These can: {}.",
        keys.join(", ")
    ))
}

/// Settings in force, beside those of file and environment.
pub fn views(
    base: &Settings,
    in_force: &Settings,
    origins: &[ShownSetting],
    set: &[&str],
) -> Vec<SettingView> {
    let defaults = Settings::default().values();
    let default_of = |key: &str| {
        let found = defaults.iter().find(|(known, _)| known == key);
        found.map_or(serde_json::Value::Null, |(_, value)| value.clone())
    };
    let values = in_force.values().into_iter();
    values
        .map(|(key, value)| {
            let default = default_of(&key);
            let known = desk_key(&key);
            let is_settable = known.is_some_and(|known| known.is_free(base));
            let noted = origins.iter().find(|shown| shown.key == key);
            let origin = match noted {
                _ if is_settable && set.contains(&key.as_str()) => "desk".to_owned(),
                Some(shown) => shown.origin.clone(),
                None if value == default => "default".into(),
                None => "settings".into(),
            };
            SettingView {
                needs_restart: known.is_none_or(|known| known.needs_restart),
                key,
                value,
                default,
                origin,
                is_settable,
            }
        })
        .collect()
}
