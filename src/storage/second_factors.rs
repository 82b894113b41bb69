//! Second factors of the desk's users: the seed of their codes, the last step that was used, recovery codes.

use super::Storage;
use super::StorageError;
use super::Tx;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;

impl Storage {
    /// Sets up a second factor whose first code was of `step`, with these recovery codes in the place of earlier ones.
    pub async fn set_second_factor(
        &self,
        actor: &Actor,
        user: i64,
        (seed, step): (&str, i64),
        codes_sha256: &[String],
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update users set totp_seed = $2, totp_step = $3 where id = $1",
            user,
            seed,
            step
        )?;
        write_codes(&mut tx, user, codes_sha256).await?;
        let what = (user, AuditAction::UserSecondFactorSet);
        self.note_user(&mut tx, actor, what, None, now).await?;
        Ok(tx.commit().await?)
    }

    /// Takes a second factor away, for its user.
    pub async fn remove_second_factor(
        &self,
        actor: &Actor,
        user: i64,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        self.take_second_factor(&mut tx, actor, user, now).await?;
        Ok(tx.commit().await?)
    }

    /// Takes somebody's second factor and passkeys away, and ends all their sessions.
    pub async fn reset_second_factor(
        &self,
        actor: &Actor,
        user: i64,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        self.take_second_factor(&mut tx, actor, user, now).await?;
        execute!(tx, "delete from passkeys where user_id = $1", user)?;
        execute!(tx, "delete from sessions where user_id = $1", user)?;
        Ok(tx.commit().await?)
    }

    async fn take_second_factor(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        user: i64,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        execute!(
            tx,
            "update users set totp_seed = null, totp_step = null where id = $1",
            user
        )?;
        execute!(tx, "delete from recovery_codes where user_id = $1", user)?;
        let what = (user, AuditAction::UserSecondFactorRemoved);
        self.note_user(tx, actor, what, None, now).await
    }

    /// Replaces a user's recovery codes.
    pub async fn set_recovery_codes(
        &self,
        user: i64,
        codes_sha256: &[String],
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        write_codes(&mut tx, user, codes_sha256).await?;
        Ok(tx.commit().await?)
    }

    /// Uses up the code of a step; `false` if it, or a later one, was used before.
    pub async fn use_totp_step(&self, user: i64, step: i64) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let used = execute!(
            tx,
            "update users set totp_step = $2 where id = $1 and totp_seed is not null and (totp_step is null or totp_step < $2)",
            user,
            step
        )?;
        tx.commit().await?;
        Ok(used > 0)
    }

    /// Uses up a recovery code; `false` if there is none such, or it was used before.
    pub async fn use_recovery_code(
        &self,
        user: i64,
        code_sha256: &str,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let used = execute!(
            tx,
            "update recovery_codes set used_at = $3 where user_id = $1 and code_sha256 = $2 and used_at is null",
            user,
            code_sha256,
            now.timestamp_millis()
        )?;
        tx.commit().await?;
        Ok(used > 0)
    }

    /// Returns the number of recovery codes that a user has left.
    pub async fn recovery_codes_left(&self, user: i64) -> Result<i64, StorageError> {
        let mut reader = self.read().await?;
        let (left,): (i64,) = one!(
            reader,
            "select count(*) from recovery_codes where user_id = $1 and used_at is null",
            user
        )?;
        Ok(left)
    }
}

async fn write_codes(tx: &mut Tx, user: i64, codes_sha256: &[String]) -> Result<(), StorageError> {
    execute!(tx, "delete from recovery_codes where user_id = $1", user)?;
    for code in codes_sha256 {
        execute!(
            tx,
            "insert into recovery_codes (user_id, code_sha256) values ($1, $2)",
            user,
            code.as_str()
        )?;
    }
    Ok(())
}
