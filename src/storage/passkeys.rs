//! Passkeys of the desk's users, and the ceremonies in which they are added and used.

use super::Storage;
use super::StorageError;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::from_millis;
use crate::domain::user::CeremonyKind;

/// A passkey as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPasskey {
    /// The credential's id, in base64url.
    pub credential: String,
    /// Its owner.
    pub user: i64,
    /// The owner as authenticators know them.
    pub handle: String,
    /// Name that its owner gave it.
    pub name: String,
    /// The public key with its counter, as JSON.
    pub key: String,
    /// Time when it was added.
    pub created_at: Timestamp,
    /// Time when it last signed in.
    pub used_at: Option<Timestamp>,
}

/// A passkey that is added.
#[derive(Debug, Clone)]
pub struct NewPasskey<'a> {
    /// The credential's id, in base64url.
    pub credential: &'a str,
    /// Its owner.
    pub user: i64,
    /// The owner as authenticators know them.
    pub handle: &'a str,
    /// Name that its owner gave it.
    pub name: &'a str,
    /// The public key with its counter, as JSON.
    pub key: &'a str,
}

/// A ceremony that begins.
#[derive(Debug, Clone)]
pub struct NewCeremony<'a> {
    /// SHA-256 of its id.
    pub id_sha256: &'a str,
    /// Purpose.
    pub kind: CeremonyKind,
    /// SHA-256 of the token of the browser or the session that begins it.
    pub browser_sha256: &'a str,
    /// State that the answer is checked against.
    pub state: &'a str,
    /// Time at which it expires.
    pub expires_at: Timestamp,
}

/// Result of removing a passkey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasskeyRemoved {
    /// Done.
    Done,
    /// There is none such.
    Unknown,
    /// It is the last, and its owner must keep one.
    Last,
}

#[derive(sqlx::FromRow)]
struct PasskeyRow {
    credential: String,
    user_id: i64,
    handle: String,
    name: String,
    key: String,
    created_at: i64,
    used_at: Option<i64>,
}

impl PasskeyRow {
    fn read(self) -> UserPasskey {
        UserPasskey {
            credential: self.credential,
            user: self.user_id,
            handle: self.handle,
            name: self.name,
            key: self.key,
            created_at: from_millis(self.created_at),
            used_at: self.used_at.map(from_millis),
        }
    }
}

impl Storage {
    /// Keeps a ceremony until its answer comes.
    pub async fn begin_ceremony(&self, new: &NewCeremony<'_>) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "insert into ceremonies (id_sha256, kind, browser_sha256, state, expires_at) values ($1, $2, $3, $4, $5)",
            new.id_sha256,
            new.kind.as_str(),
            new.browser_sha256,
            new.state,
            new.expires_at.timestamp_millis()
        )?;
        Ok(tx.commit().await?)
    }

    /// Uses a ceremony up, right or wrong as its answer may be, and gives its state; `None` if it is over, was used, is for something
    /// else or was begun by another browser.
    pub async fn use_ceremony(
        &self,
        id_sha256: &str,
        kind: CeremonyKind,
        browser_sha256: &str,
        now: Timestamp,
    ) -> Result<Option<String>, StorageError> {
        let mut tx = self.begin().await?;
        let row: Option<(String,)> = optional!(
            tx,
            "delete from ceremonies where id_sha256 = $1 and kind = $2 and browser_sha256 = $3 and expires_at > $4 returning state",
            id_sha256,
            kind.as_str(),
            browser_sha256,
            now.timestamp_millis()
        )?;
        tx.commit().await?;
        Ok(row.map(|(state,)| state))
    }

    /// The passkeys of a user, the oldest first.
    pub async fn passkeys(&self, user: i64) -> Result<Vec<UserPasskey>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<PasskeyRow> = all!(
            reader,
            "select credential, user_id, handle, name, key, created_at, used_at from passkeys where user_id = $1
             order by created_at, credential limit 100",
            user
        )?;
        Ok(rows.into_iter().map(PasskeyRow::read).collect())
    }

    /// The passkey with that credential id.
    pub async fn passkey(&self, credential: &str) -> Result<Option<UserPasskey>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<PasskeyRow> = optional!(
            reader,
            "select credential, user_id, handle, name, key, created_at, used_at from passkeys where credential = $1",
            credential
        )?;
        Ok(row.map(PasskeyRow::read))
    }

    /// Adds a passkey; `false` if its credential id is somebody's already.
    pub async fn add_passkey(
        &self,
        actor: &Actor,
        new: &NewPasskey<'_>,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let added = execute!(
            tx,
            "insert into passkeys (credential, user_id, handle, name, key, created_at) values ($1, $2, $3, $4, $5, $6)
             on conflict (credential) do nothing",
            new.credential,
            new.user,
            new.handle,
            new.name,
            new.key,
            now.timestamp_millis()
        )?;
        if added == 0 {
            return Ok(false);
        }
        let what = (new.user, AuditAction::UserPasskeyAdded);
        self.note_user(&mut tx, actor, what, None, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Notes that a passkey proved who its owner is, and the counter that it came with; `false` if it was used or removed meanwhile, so that no
    /// counter goes back.
    pub async fn use_passkey(
        &self,
        credential: &str,
        (old, new): (&str, &str),
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let used = execute!(
            tx,
            "update passkeys set key = $3, used_at = $4 where credential = $1 and key = $2",
            credential,
            old,
            new,
            now.timestamp_millis()
        )?;
        tx.commit().await?;
        Ok(used > 0)
    }

    /// Writes down that a passkey was refused because its counter went back.
    pub async fn note_refused_passkey(
        &self,
        actor: &Actor,
        user: i64,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        let what = (user, AuditAction::UserPasskeyRefused);
        self.note_user(&mut tx, actor, what, None, now).await?;
        Ok(tx.commit().await?)
    }

    /// Gives a user's passkey another name; `false` if there is none such.
    pub async fn rename_passkey(
        &self,
        user: i64,
        credential: &str,
        name: &str,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let renamed = execute!(
            tx,
            "update passkeys set name = $3 where credential = $1 and user_id = $2",
            credential,
            user,
            name
        )?;
        tx.commit().await?;
        Ok(renamed > 0)
    }

    /// Removes a user's passkey. `keeps_one`: refused if it is the last.
    pub async fn remove_passkey(
        &self,
        actor: &Actor,
        (user, credential): (i64, &str),
        keeps_one: bool,
        now: Timestamp,
    ) -> Result<PasskeyRemoved, StorageError> {
        let mut tx = self.begin().await?;
        // Of two that are removed at once, the second waits here and sees that it is the last.
        execute!(tx, "update users set role = role where id = $1", user)?;
        let removed = execute!(
            tx,
            "delete from passkeys where credential = $1 and user_id = $2",
            credential,
            user
        )?;
        if removed == 0 {
            return Ok(PasskeyRemoved::Unknown);
        }
        let (left,): (i64,) = one!(tx, "select count(*) from passkeys where user_id = $1", user)?;
        if keeps_one && left == 0 {
            return Ok(PasskeyRemoved::Last);
        }
        let what = (user, AuditAction::UserPasskeyRemoved);
        self.note_user(&mut tx, actor, what, None, now).await?;
        tx.commit().await?;
        Ok(PasskeyRemoved::Done)
    }
}
