//! Adding users, and what an owner or the command line does with them.

use super::links::UserLink;
use crate::app::App;
use crate::app::Failure;
use crate::app::tokens::refuse_tokens;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::user::ChallengeKind;
use crate::domain::user::Role;
use crate::domain::user::User;
use crate::domain::user::parse_name;
use crate::storage::users::NewUser;
use crate::storage::users::UserChanged;

/// A change that an owner makes to somebody's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountChange {
    /// Another role.
    Role(Role),
    /// No sign-in any more; all sessions end.
    Disable,
    /// Sign-in again.
    Enable,
    /// All sessions end.
    SignOut,
    /// The second factor is taken away, and all sessions end.
    ResetSecondFactor,
}

impl App {
    /// Adds a user, with a password where one is given, else with a link by which they choose one.
    ///
    /// # Errors
    /// A sentence, when the address has a user already, or the name or the password is refused.
    pub async fn add_user(
        &self,
        actor: &Actor,
        email: &EmailAddress,
        name: Option<&str>,
        role: Role,
        password: Option<&str>,
    ) -> Result<Option<UserLink>, Failure> {
        refuse_tokens(actor)?;
        let name = match name {
            Some(name) => {
                parse_name(name).map_err(|words| Failure::invalid_field("name", words))?
            }
            None => email
                .as_str()
                .split('@')
                .next()
                .unwrap_or_default()
                .to_owned(),
        };
        let password = match password {
            Some(password) => Some(
                self.chosen_password(password, email, &name)
                    .await?
                    .map_err(|words| Failure::invalid_field("password", words))?,
            ),
            None => None,
        };
        let new = NewUser {
            email,
            name: &name,
            role,
            password: password.as_deref(),
        };
        let Some(id) = self.storage.add_user(actor, &new, self.now()).await? else {
            return Err(Failure::conflict(format!(
                "{} is a user already.",
                email.as_str()
            )));
        };
        tracing::info!(user = email.masked(), %role, "user added");
        match password {
            Some(_) => Ok(None),
            None => Ok(Some(self.make_link(ChallengeKind::Invite, Some(id)).await?)),
        }
    }

    /// Adds the owner of `desk.owner` where there is no user at all.
    ///
    /// # Errors
    /// A sentence, when the file cannot be read or its password is refused.
    pub async fn add_owner_of_settings(&self) -> Result<(), Failure> {
        let desk = &self.settings.desk;
        let (Some(owner), Some(file)) = (&desk.owner, &desk.owner_password_file) else {
            return Ok(());
        };
        if !desk.enabled || self.storage.has_users().await? {
            return Ok(());
        }
        let email = EmailAddress::parse_new(owner)
            .map_err(|error| Failure::invalid(format!("desk.owner: {error}")))?;
        let text = std::fs::read_to_string(file).map_err(|error| {
            Failure::invalid(format!(
                "desk.owner_password_file: {} cannot be read: {error}.",
                file.display()
            ))
        })?;
        let password = text.trim_end_matches(['\r', '\n']);
        match self
            .add_user(&Actor::system(), &email, None, Role::Owner, Some(password))
            .await
        {
            // Another process was faster.
            Err(_) if self.storage.has_users().await? => Ok(()),
            Err(failure) => Err(Failure::invalid(format!(
                "desk.owner_password_file: {failure}"
            ))),
            Ok(_) => Ok(()),
        }
    }

    /// The user with that address.
    ///
    /// # Errors
    /// A sentence, when there is none.
    pub async fn user_named(&self, email: &EmailAddress) -> Result<User, Failure> {
        let found = self.storage.user_by_email(email).await?;
        found.map(|found| found.user).ok_or_else(|| {
            Failure::not_found(format!(
                "There is no user {}; `verdicts users list` shows all.",
                email.as_str()
            ))
        })
    }

    /// Changes somebody's account.
    ///
    /// # Errors
    /// A sentence, when it would leave no owner.
    pub async fn change_account(
        &self,
        actor: &Actor,
        user: &User,
        change: AccountChange,
    ) -> Result<(), Failure> {
        refuse_tokens(actor)?;
        let now = self.now();
        let changed = match change {
            AccountChange::Role(role) => self.storage.set_role(actor, user.id, role, now).await?,
            AccountChange::Disable => {
                let since = user.disabled_at.unwrap_or(now);
                self.storage
                    .disable_user(actor, user.id, Some(since), now)
                    .await?
            }
            AccountChange::Enable => self.storage.disable_user(actor, user.id, None, now).await?,
            AccountChange::SignOut => {
                self.storage.sign_out(actor, user.id, now).await?;
                UserChanged::Done
            }
            AccountChange::ResetSecondFactor => {
                self.storage
                    .reset_second_factor(actor, user.id, now)
                    .await?;
                UserChanged::Done
            }
        };
        if changed == UserChanged::LastOwner {
            return Err(Failure::conflict(format!(
                "{} is the last owner: make somebody else an owner first.",
                user.email.as_str()
            )));
        }
        tracing::info!(user = user.email.masked(), ?change, "user changed");
        Ok(())
    }

    /// Sets somebody's password, and ends all their sessions.
    ///
    /// # Errors
    /// A sentence, when the password is refused.
    pub async fn set_password(
        &self,
        actor: &Actor,
        user: &User,
        password: &str,
    ) -> Result<(), Failure> {
        refuse_tokens(actor)?;
        let hash = self
            .chosen_password(password, &user.email, &user.name)
            .await?
            .map_err(|words| Failure::invalid_field("password", words))?;
        self.storage
            .set_password(actor, user.id, Some(&hash), self.now())
            .await?;
        tracing::info!(user = user.email.masked(), "password set");
        Ok(())
    }

    /// Takes somebody's password away, ends all their sessions, and makes a link by which they choose another.
    pub async fn reset_password(&self, actor: &Actor, user: &User) -> Result<UserLink, Failure> {
        refuse_tokens(actor)?;
        self.storage
            .set_password(actor, user.id, None, self.now())
            .await?;
        tracing::info!(user = user.email.masked(), "password taken away");
        self.make_link(ChallengeKind::Reset, Some(user.id)).await
    }
}
