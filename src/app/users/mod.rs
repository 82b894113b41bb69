//! Users of the desk: who they are ([`accounts`]), how they sign in ([`signing_in`], [`second_factor`], [`passkeys`], [`oidc`] with [`identities`] and `providers`), and the links that work once
//! ([`links`]).

pub mod accounts;
pub mod identities;
pub mod links;
mod notice_mails;
mod notices;
pub mod oidc;
pub mod passkeys;
pub(super) mod providers;
pub mod second_factor;
pub mod signing_in;

use std::collections::HashMap;

use chrono::TimeDelta;

use self::signing_in::SignedIn;
use super::App;
use super::Failure;
use crate::config::SecondFactor;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::user::Role;
use crate::domain::user::User;
use crate::identity::password::HashError;
use crate::identity::password::TypedPassword;

/// A session that nobody uses ends after this time,
pub const IDLE: TimeDelta = TimeDelta::days(14);
/// and each after this one.
pub const ABSOLUTE: TimeDelta = TimeDelta::days(90);
/// A sign-in that stops half-way is over after this time.
pub const HALF_WAY: TimeDelta = TimeDelta::minutes(10);
/// Time for which a sign-in counts as recent, for what must not be done on somebody's unlocked machine.
pub const RECENT: TimeDelta = TimeDelta::minutes(10);

/// Names of users by [`Actor::key`].
#[derive(Debug, Default)]
pub struct Authors(HashMap<String, String>);

impl Authors {
    /// Name of an author: a user's, or what else acted.
    pub fn name(&self, key: &str) -> &str {
        if let Some(name) = self.0.get(key) {
            return name;
        }
        match key.split(':').next() {
            Some("cli") => "the command line",
            Some("schedule") => "the schedule",
            Some("token") => "a program",
            Some("user") => "a former user",
            _ => "the service",
        }
    }
}

impl App {
    /// Returns whether the desk answers: it is enabled, and somebody may use it.
    pub async fn is_desk_open(&self) -> Result<bool, Failure> {
        Ok(self.settings.desk.enabled && self.storage.has_users().await?)
    }

    /// Returns whether a role must have a second factor.
    pub fn demands_second_factor(&self, role: Role) -> bool {
        match self.settings.desk.second_factor {
            SecondFactor::All => true,
            SecondFactor::Owner => role == Role::Owner,
            SecondFactor::Off => false,
        }
    }

    /// The name of a user in addresses: it does not show their number.
    pub fn user_name(&self, user: i64) -> String {
        self.secrets.user_name(user)
    }

    /// Names of the authors that [`Actor::key`] stands for, for sentences.
    pub async fn authors(&self) -> Result<Authors, Failure> {
        let users = self.storage.users().await?;
        let named = |user: User| (format!("user:{}", self.user_name(user.id)), user.name);
        Ok(Authors(users.into_iter().map(named).collect()))
    }

    /// Returns the user of a session as the audit log names them.
    pub fn actor_of(&self, who: &SignedIn) -> Actor {
        Actor::user(
            self.user_name(who.user.id),
            Some(who.session.network.clone()),
        )
    }

    /// Forgets sessions, links and attempts that are over.
    pub(super) async fn forget_sign_ins(&self, now: Timestamp) -> Result<(), Failure> {
        let ended = self.storage.forget_sign_ins(now - IDLE, now).await?;
        if ended > 0 {
            tracing::debug!(ended, "sessions of the desk that are over are forgotten");
        }
        Ok(())
    }

    /// Hashes a password that somebody chose.
    ///
    /// # Errors
    /// A sentence, when it is refused.
    pub(super) async fn chosen_password(
        &self,
        text: &str,
        email: &EmailAddress,
        name: &str,
    ) -> Result<Result<String, String>, Failure> {
        let (site, host) = (&self.settings.site, self.settings.host());
        let about = [email.as_str(), name, &site.name, &site.newsletter, host];
        match TypedPassword::choose(text, &about) {
            Ok(password) => Ok(Ok(self.passwords.hash(&password).await?)),
            Err(words) => Ok(Err(words)),
        }
    }
}

impl From<HashError> for Failure {
    fn from(error: HashError) -> Self {
        Failure::internal(format!(
            "The machine had no room to check a password: {error}. Try again."
        ))
    }
}
