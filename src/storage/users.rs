//! Users of the desk and their passwords. Second factors are in `second_factors`, sessions and links in [`super::sessions`].

use serde_json::json;

use super::Storage;
use super::StorageError;
use super::Tx;
use super::audit_log::ChangeSubject;
use super::ids::fresh;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::audit::AuditAction;
use crate::domain::from_millis;
use crate::domain::user::Role;
use crate::domain::user::User;

/// Credentials of a user, as they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: User,
    /// PHC string of the password.
    pub password: Option<String>,
    /// Seed from which the key of codes is drawn.
    pub totp_seed: Option<String>,
}

/// A user who is added.
#[derive(Debug, Clone)]
pub struct NewUser<'a> {
    /// Address.
    pub email: &'a EmailAddress,
    /// Name.
    pub name: &'a str,
    /// Role.
    pub role: Role,
    /// PHC string of a password, if one is set already.
    pub password: Option<&'a str>,
}

/// Result of a change of a role or of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserChanged {
    /// Done, or so already.
    Done,
    /// Nobody would be left who can sign in as owner.
    LastOwner,
}

#[derive(sqlx::FromRow)]
pub(super) struct UserRow {
    pub id: i64,
    email: String,
    name: String,
    role: String,
    password: Option<String>,
    totp_seed: Option<String>,
    created_at: i64,
    seen_at: Option<i64>,
    disabled_at: Option<i64>,
    passkeys: i64,
    identities: i64,
}

impl UserRow {
    pub(super) fn read(self) -> Result<Credentials, StorageError> {
        Ok(Credentials {
            user: User {
                id: self.id,
                email: EmailAddress::parse(&self.email)?,
                name: self.name,
                role: self.role.parse()?,
                has_password: self.password.is_some(),
                has_second_factor: self.totp_seed.is_some(),
                passkeys: self.passkeys,
                identities: self.identities,
                created_at: from_millis(self.created_at),
                seen_at: self.seen_at.map(from_millis),
                disabled_at: self.disabled_at.map(from_millis),
            },
            password: self.password,
            totp_seed: self.totp_seed,
        })
    }
}

impl Storage {
    /// Returns whether anybody may use the desk: without users there is none. `false` before the first migration.
    pub async fn has_users(&self) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let row: Result<Option<(i64,)>, sqlx::Error> =
            optional!(reader, "select id from users limit 1");
        match row.map_err(StorageError::from) {
            Err(error) if error.is_not_migrated() => Ok(false),
            row => Ok(row?.is_some()),
        }
    }

    /// All users, by address: they are few.
    pub async fn users(&self) -> Result<Vec<User>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<UserRow> = all!(
            reader,
            "select id, email, name, role, password, totp_seed, created_at, seen_at, disabled_at,
             (select count(*) from passkeys where user_id = users.id) as passkeys,
             (select count(*) from identities where user_id = users.id) as identities from users order by email_key limit 1000"
        )?;
        stored(
            rows.into_iter()
                .map(|row| row.read().map(|found| found.user))
                .collect(),
        )
    }

    /// The user with that address.
    pub async fn user_by_email(
        &self,
        email: &EmailAddress,
    ) -> Result<Option<Credentials>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<UserRow> = optional!(
            reader,
            "select id, email, name, role, password, totp_seed, created_at, seen_at, disabled_at,
             (select count(*) from passkeys where user_id = users.id) as passkeys,
             (select count(*) from identities where user_id = users.id) as identities from users where email_key = $1",
            email.key()
        )?;
        stored(row.map(UserRow::read).transpose())
    }

    /// The user with that number.
    pub async fn user(&self, id: i64) -> Result<Option<Credentials>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<UserRow> = optional!(
            reader,
            "select id, email, name, role, password, totp_seed, created_at, seen_at, disabled_at,
             (select count(*) from passkeys where user_id = users.id) as passkeys,
             (select count(*) from identities where user_id = users.id) as identities from users where id = $1",
            id
        )?;
        stored(row.map(UserRow::read).transpose())
    }

    /// Adds a user; `None` if the address has one already.
    pub async fn add_user(
        &self,
        actor: &Actor,
        new: &NewUser<'_>,
        now: Timestamp,
    ) -> Result<Option<i64>, StorageError> {
        let mut tx = self.begin().await?;
        let id = fresh(now);
        let added = execute!(
            tx,
            "insert into users (id, email, email_key, name, role, password, created_at) values ($1, $2, $3, $4, $5, $6, $7)
             on conflict (email_key) do nothing",
            id,
            new.email.as_str(),
            new.email.key(),
            new.name,
            new.role.as_str(),
            new.password,
            now.timestamp_millis()
        )?;
        if added == 0 {
            return Ok(None);
        }
        self.note_user(&mut tx, actor, (id, AuditAction::UserAdded), new.role, now)
            .await?;
        tx.commit().await?;
        Ok(Some(id))
    }

    /// Adds the first user of all and uses up the link that allowed it; `None` if there is one, or the link was used.
    pub async fn add_first_user(
        &self,
        new: &NewUser<'_>,
        link_sha256: &str,
        now: Timestamp,
    ) -> Result<Option<i64>, StorageError> {
        let mut tx = self.begin().await?;
        // The deleted row decides between two who press at once.
        let used = execute!(
            tx,
            "delete from challenges where token_sha256 = $1 and kind = 'setup' and expires_at > $2",
            link_sha256,
            now.timestamp_millis()
        )?;
        if used == 0 {
            return Ok(None);
        }
        let id = fresh(now);
        let added = execute!(
            tx,
            "insert into users (id, email, email_key, name, role, password, created_at)
             select $1, $2, $3, $4, $5, $6, $7 from installation where id = 1 and not exists (select 1 from users)",
            id,
            new.email.as_str(),
            new.email.key(),
            new.name,
            new.role.as_str(),
            new.password,
            now.timestamp_millis()
        )?;
        if added == 0 {
            return Ok(None);
        }
        execute!(tx, "delete from challenges where kind = 'setup'")?;
        let what = (id, AuditAction::UserAdded);
        self.note_user(&mut tx, &Actor::system(), what, new.role, now)
            .await?;
        tx.commit().await?;
        Ok(Some(id))
    }

    /// Gives a user another role; the last owner keeps theirs.
    pub async fn set_role(
        &self,
        actor: &Actor,
        user: i64,
        role: Role,
        now: Timestamp,
    ) -> Result<UserChanged, StorageError> {
        let mut tx = self.begin().await?;
        let had_owner = lock_owners(&mut tx).await?;
        execute!(
            tx,
            "update users set role = $2 where id = $1",
            user,
            role.as_str()
        )?;
        if had_owner && !has_owner(&mut tx).await? {
            return Ok(UserChanged::LastOwner);
        }
        let what = (user, AuditAction::UserRoleChanged);
        self.note_user(&mut tx, actor, what, role, now).await?;
        tx.commit().await?;
        Ok(UserChanged::Done)
    }

    /// Shuts a user out, or lets them in again; the last owner stays.
    pub async fn disable_user(
        &self,
        actor: &Actor,
        user: i64,
        at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<UserChanged, StorageError> {
        let mut tx = self.begin().await?;
        let had_owner = lock_owners(&mut tx).await?;
        execute!(
            tx,
            "update users set disabled_at = $2 where id = $1",
            user,
            at.map(|at| at.timestamp_millis())
        )?;
        if had_owner && !has_owner(&mut tx).await? {
            return Ok(UserChanged::LastOwner);
        }
        if at.is_some() {
            execute!(tx, "delete from sessions where user_id = $1", user)?;
            execute!(tx, "delete from challenges where user_id = $1", user)?;
        }
        let what = if at.is_some() {
            AuditAction::UserDisabled
        } else {
            AuditAction::UserEnabled
        };
        self.note_user(&mut tx, actor, (user, what), None, now)
            .await?;
        tx.commit().await?;
        Ok(UserChanged::Done)
    }

    /// Sets a user's password, or takes it away, and ends all their sessions and links.
    pub async fn set_password(
        &self,
        actor: &Actor,
        user: i64,
        password: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        replace_password(&mut tx, user, password).await?;
        let what = if password.is_some() {
            AuditAction::UserPasswordSet
        } else {
            AuditAction::UserPasswordReset
        };
        self.note_user(&mut tx, actor, (user, what), None, now)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Ends all sessions of a user.
    pub async fn sign_out(
        &self,
        actor: &Actor,
        user: i64,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(tx, "delete from sessions where user_id = $1", user)?;
        let what = (user, AuditAction::UserSignedOut);
        self.note_user(&mut tx, actor, what, None, now).await?;
        Ok(tx.commit().await?)
    }

    /// Writes the audit row of a change to a user, with the role that they have from then on where the change gave one.
    pub(super) async fn note_user(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        (user, what): (i64, AuditAction),
        role: impl Into<Option<Role>>,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let detail = match role.into() {
            Some(role) => json!({ "role": role.as_str() }),
            None => json!({}),
        };
        let author = self.author(actor);
        author
            .note(tx, what, Some(ChangeSubject::User(user)), &detail, now)
            .await
    }

    /// Keeps the same password with other parameters; nothing if another was set meanwhile.
    pub async fn rehash_password(
        &self,
        user: i64,
        old: &str,
        new: &str,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update users set password = $3 where id = $1 and password = $2",
            user,
            old,
            new
        )?;
        Ok(tx.commit().await?)
    }
}

/// Two owners who take the role from each other at once: the second waits, and then sees what the first did. (SQLite has one writer.)
/// Answers whether there is an owner who may sign in.
async fn lock_owners(tx: &mut Tx) -> Result<bool, StorageError> {
    execute!(tx, "update users set role = role where role = 'owner'")?;
    has_owner(tx).await
}

/// Sets a password, or takes it away, and ends all sessions and links of its user.
pub(super) async fn replace_password(
    tx: &mut Tx,
    user: i64,
    password: Option<&str>,
) -> Result<(), StorageError> {
    execute!(
        tx,
        "update users set password = $2 where id = $1",
        user,
        password
    )?;
    execute!(tx, "delete from sessions where user_id = $1", user)?;
    execute!(tx, "delete from challenges where user_id = $1", user)?;
    Ok(())
}

async fn has_owner(tx: &mut Tx) -> Result<bool, StorageError> {
    let row: Option<(i64,)> = optional!(
        tx,
        "select id from users where role = 'owner' and disabled_at is null limit 1"
    )?;
    Ok(row.is_some())
}
