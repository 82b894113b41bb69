//! Secrets of an installation: those that the database keeps, and the names of those that it was used with.

use super::Storage;
use super::StorageError;
use super::Tx;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::secret::Secret;

impl Storage {
    /// The secret kept under `name`, after keeping `fresh`, if given, where there was none.
    pub async fn keep_secret(
        &self,
        name: &str,
        fresh: Option<&Secret>,
    ) -> Result<Option<Secret>, StorageError> {
        if fresh.is_none() {
            return self.instance_secret(name).await;
        }
        let mut tx = self.begin().await?;
        if let Some(fresh) = fresh {
            execute!(
                tx,
                "insert into instance_secrets (name, value) values ($1, $2) on conflict (name) do nothing",
                name,
                fresh.expose()
            )?;
        }
        let value: Option<(String,)> = optional!(
            tx,
            "select value from instance_secrets where name = $1",
            name
        )?;
        tx.commit().await?;
        Ok(value.map(|(value,)| value.into()))
    }

    /// Reads the secret kept under `name`. A database of before the baseline has it in another table, and is not migrated without it.
    async fn instance_secret(&self, name: &str) -> Result<Option<Secret>, StorageError> {
        let found: Result<Option<(String,)>, sqlx::Error> = optional!(
            self.read().await?,
            "select value from instance_secrets where name = $1",
            name
        );
        let found = match found.map_err(StorageError::from) {
            Err(error) if error.is_not_migrated() => {
                let sql = sqlx::AssertSqlSafe("select value from kept_secrets where name = $1");
                optional!(self.read().await?, sql, name)?
            }
            found => found?,
        };
        Ok(found.map(|(value,): (String,)| value.into()))
    }

    /// The names of the secrets that this database was used with; none before it was migrated.
    pub async fn secret_names(&self) -> Result<Vec<String>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Result<Vec<(String,)>, sqlx::Error> = all!(
            reader,
            "select name from secret_names order by first_used_at, name limit 1000"
        );
        match rows.map_err(StorageError::from) {
            Err(error) if error.is_not_migrated() => Ok(Vec::new()),
            rows => Ok(rows?.into_iter().map(|(name,)| name).collect()),
        }
    }

    /// Notes that a database is used with these secrets.
    pub async fn note_secret_names(
        &self,
        names: &[String],
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        note_names(&mut tx, names, now).await?;
        Ok(tx.commit().await?)
    }

    /// Notes that a database is used with these secrets alone: those of before are lost for good.
    pub async fn replace_secret_names(
        &self,
        actor: &Actor,
        names: &[String],
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        let lost = execute!(tx, "delete from secret_names")?;
        note_names(&mut tx, names, now).await?;
        let detail = serde_json::json!({ "lost": lost });
        self.author(actor)
            .note(&mut tx, AuditAction::SecretReplaced, None, &detail, now)
            .await?;
        Ok(tx.commit().await?)
    }
}

async fn note_names(tx: &mut Tx, names: &[String], now: Timestamp) -> Result<(), StorageError> {
    for name in names {
        execute!(
            tx,
            "insert into secret_names (name, first_used_at) values ($1, $2) on conflict (name) do nothing",
            name,
            now.timestamp_millis()
        )?;
    }
    Ok(())
}
