//! Settings that were set at the desk.

use super::Storage;
use super::StorageError;
use super::audit_log::ChangeSubject;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::from_millis;

/// A setting that was set at the desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeskSetting {
    /// `section.key`.
    pub key: String,
    /// Value as it was typed.
    pub value: String,
    /// Author: [`Actor::key`].
    pub set_by: String,
    /// Time.
    pub set_at: Timestamp,
}

impl Storage {
    /// Every setting that was set at the desk, by key; none before the first migration.
    pub async fn desk_settings(&self) -> Result<Vec<DeskSetting>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Result<Vec<(String, String, String, i64)>, sqlx::Error> = all!(
            reader,
            "select key, value, set_by, set_at from settings order by key"
        );
        let rows = match rows.map_err(StorageError::from) {
            Err(error) if error.is_not_migrated() => Vec::new(),
            rows => rows?,
        };
        let setting = |(key, value, set_by, set_at)| DeskSetting {
            key,
            value,
            set_by,
            set_at: from_millis(set_at),
        };
        Ok(rows.into_iter().map(setting).collect())
    }

    /// Sets a setting, or gives it back to its default; `false` if it stands so already. The log gets both values, which are no secrets.
    pub async fn set_setting(
        &self,
        actor: &Actor,
        key: &str,
        value: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let before: Option<(String,)> =
            optional!(tx, "select value from settings where key = $1", key)?;
        let before = before.map(|(value,)| value);
        if before.as_deref() == value {
            return Ok(false);
        }
        match value {
            Some(value) => execute!(
                tx,
                "insert into settings (key, value, set_by, set_at) values ($1, $2, $3, $4)
                 on conflict (key) do update set value = excluded.value, set_by = excluded.set_by, set_at = excluded.set_at",
                key,
                value,
                actor.key(),
                now.timestamp_millis()
            )?,
            None => execute!(tx, "delete from settings where key = $1", key)?,
        };
        let detail = serde_json::json!({ "before": before, "after": value });
        let subject = Some(ChangeSubject::Setting(key));
        self.author(actor)
            .note(&mut tx, AuditAction::SettingChanged, subject, &detail, now)
            .await?;
        tx.commit().await?;
        Ok(true)
    }
}
