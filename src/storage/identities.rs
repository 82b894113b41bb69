//! Accounts of the desk's users at providers of OpenID Connect.

use serde_json::json;

use super::Storage;
use super::StorageError;
use super::audit_log::ChangeSubject;
use super::ids::fresh;
use super::users::NewUser;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::from_millis;

/// An account of a user at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserIdentity {
    /// Issuer.
    pub issuer: String,
    /// Subject.
    pub subject: String,
    /// Its user.
    pub user: i64,
    /// Time when it was linked.
    pub linked_at: Timestamp,
    /// Time when it last signed in.
    pub used_at: Option<Timestamp>,
}

/// Result of removing a link to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityUnlinked {
    /// Done.
    Done,
    /// There is none such.
    Unknown,
    /// It is the last way in.
    Last,
}

#[derive(sqlx::FromRow)]
struct IdentityRow {
    issuer: String,
    subject: String,
    user_id: i64,
    linked_at: i64,
    used_at: Option<i64>,
}

impl IdentityRow {
    fn read(self) -> UserIdentity {
        UserIdentity {
            issuer: self.issuer,
            subject: self.subject,
            user: self.user_id,
            linked_at: from_millis(self.linked_at),
            used_at: self.used_at.map(from_millis),
        }
    }
}

impl Storage {
    /// The user to whom an account at a provider is linked.
    pub async fn identity(
        &self,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<UserIdentity>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<IdentityRow> = optional!(
            reader,
            "select issuer, subject, user_id, linked_at, used_at from identities where issuer = $1 and subject = $2",
            issuer,
            subject
        )?;
        Ok(row.map(IdentityRow::read))
    }

    /// A user's accounts at providers.
    pub async fn identities(&self, user: i64) -> Result<Vec<UserIdentity>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<IdentityRow> = all!(
            reader,
            "select issuer, subject, user_id, linked_at, used_at from identities where user_id = $1
             order by linked_at, issuer, subject limit 100",
            user
        )?;
        Ok(rows.into_iter().map(IdentityRow::read).collect())
    }

    /// Links an account at a provider to a user; `false` if it is linked already, to whomever.
    pub async fn link_identity(
        &self,
        actor: &Actor,
        user: i64,
        (issuer, subject): (&str, &str),
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let linked = execute!(
            tx,
            "insert into identities (issuer, subject, user_id, linked_at) values ($1, $2, $3, $4) on conflict (issuer, subject) do nothing",
            issuer,
            subject,
            user,
            now.timestamp_millis()
        )?;
        if linked == 0 {
            return Ok(false);
        }
        let what = (user, AuditAction::UserIdentityLinked);
        self.note_user(&mut tx, actor, what, None, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Adds a user who is known by an account at a provider; `None` if the address has a user, or the account is linked, already.
    pub async fn add_user_with_identity(
        &self,
        new: &NewUser<'_>,
        (issuer, subject): (&str, &str),
        now: Timestamp,
    ) -> Result<Option<i64>, StorageError> {
        let mut tx = self.begin().await?;
        let id = fresh(now);
        let added = execute!(
            tx,
            "insert into users (id, email, email_key, name, role, created_at) values ($1, $2, $3, $4, $5, $6)
             on conflict (email_key) do nothing",
            id,
            new.email.as_str(),
            new.email.key(),
            new.name,
            new.role.as_str(),
            now.timestamp_millis()
        )?;
        if added == 0 {
            return Ok(None);
        }
        let linked = execute!(
            tx,
            "insert into identities (issuer, subject, user_id, linked_at) values ($1, $2, $3, $4) on conflict (issuer, subject) do nothing",
            issuer,
            subject,
            id,
            now.timestamp_millis()
        )?;
        if linked == 0 {
            return Ok(None);
        }
        let detail = json!({ "role": new.role.as_str(), "by": "oidc" });
        let actor = Actor::system();
        let author = self.author(&actor);
        let subject = Some(ChangeSubject::User(id));
        author
            .note(&mut tx, AuditAction::UserAdded, subject, &detail, now)
            .await?;
        tx.commit().await?;
        Ok(Some(id))
    }

    /// Notes that an account at a provider signed its user in.
    pub async fn use_identity(
        &self,
        issuer: &str,
        subject: &str,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update identities set used_at = $3 where issuer = $1 and subject = $2",
            issuer,
            subject,
            now.timestamp_millis()
        )?;
        Ok(tx.commit().await?)
    }

    /// Removes the link of a user to an account at a provider. `keeps_one`: refused if it is the last.
    pub async fn unlink_identity(
        &self,
        actor: &Actor,
        identity: &UserIdentity,
        keeps_one: bool,
        now: Timestamp,
    ) -> Result<IdentityUnlinked, StorageError> {
        let (user, mut tx) = (identity.user, self.begin().await?);
        // Of two that are removed at once, the second waits here and sees that it is the last.
        execute!(tx, "update users set role = role where id = $1", user)?;
        let removed = execute!(
            tx,
            "delete from identities where issuer = $1 and subject = $2 and user_id = $3",
            identity.issuer.as_str(),
            identity.subject.as_str(),
            user
        )?;
        if removed == 0 {
            return Ok(IdentityUnlinked::Unknown);
        }
        let (left,): (i64,) = one!(
            tx,
            "select count(*) from identities where user_id = $1",
            user
        )?;
        if keeps_one && left == 0 {
            return Ok(IdentityUnlinked::Last);
        }
        let what = (user, AuditAction::UserIdentityUnlinked);
        self.note_user(&mut tx, actor, what, None, now).await?;
        tx.commit().await?;
        Ok(IdentityUnlinked::Done)
    }
}
