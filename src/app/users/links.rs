//! Links that work once: the first owner's, an invitation, another password. Only a hash of each is kept.

use chrono::TimeDelta;

use super::signing_in::PendingSignIn;
use super::signing_in::SignInClient;
use crate::app::App;
use crate::app::Failure;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::subscriber::network_of;
use crate::domain::user::ChallengeKind;
use crate::domain::user::Role;
use crate::domain::user::User;
use crate::domain::user::parse_name;
use crate::identity::secret;
use crate::storage::users::NewUser;

/// A link that was just made: it is shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct UserLink {
    /// The whole address.
    pub url: String,
    /// Time at which it expires.
    pub expires_at: Timestamp,
}

/// Shows nothing of the link, for debug output ends up in logs.
impl std::fmt::Debug for UserLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

/// Form that makes the first owner.
#[derive(Debug, Clone, Copy)]
pub struct FirstOwner<'a> {
    /// Address.
    pub email: &'a str,
    /// Name.
    pub name: &'a str,
    /// Password.
    pub password: &'a str,
}

/// Result of following a link.
#[derive(Debug)]
pub enum FollowedLink {
    /// Signed in, as far as a password goes.
    In(PendingSignIn),
    /// The input is refused, for the reason in words.
    Refused(String),
    /// The link is over, was used, or is none of ours.
    Over,
}

const fn life(kind: ChallengeKind) -> TimeDelta {
    match kind {
        ChallengeKind::Setup | ChallengeKind::Reset => TimeDelta::hours(24),
        ChallengeKind::Invite => TimeDelta::days(7),
    }
}

impl App {
    /// Makes a link that makes the first owner; `None` where there is a user already, or no desk.
    pub async fn setup_link(&self) -> Result<Option<UserLink>, Failure> {
        if !self.settings.desk.enabled || self.storage.has_users().await? {
            return Ok(None);
        }
        Ok(Some(self.make_link(ChallengeKind::Setup, None).await?))
    }

    pub(super) async fn make_link(
        &self,
        kind: ChallengeKind,
        user: Option<i64>,
    ) -> Result<UserLink, Failure> {
        let (token, expires_at) = (secret::token(), self.now() + life(kind));
        self.storage
            .make_challenge(&secret::sha256(&token), kind, user, expires_at)
            .await?;
        let place = match kind {
            ChallengeKind::Setup => "setup",
            ChallengeKind::Invite | ChallengeKind::Reset => "password",
        };
        Ok(UserLink {
            url: format!("{}/desk/{place}/{token}", self.settings.desk_url()),
            expires_at,
        })
    }

    /// Returns whether a link may make the first owner.
    pub async fn is_setup_link(&self, token: &str) -> Result<bool, Failure> {
        let found = self
            .storage
            .challenge(&secret::sha256(token), self.now())
            .await?;
        let is_good = matches!(found, Some((ChallengeKind::Setup, _)));
        Ok(is_good && self.settings.desk.enabled && !self.storage.has_users().await?)
    }

    /// Makes the first owner, and signs them in.
    pub async fn set_up(
        &self,
        token: &str,
        asked: FirstOwner<'_>,
        visitor: &SignInClient<'_>,
    ) -> Result<FollowedLink, Failure> {
        if !self.is_setup_link(token).await? {
            return Ok(FollowedLink::Over);
        }
        let email = match EmailAddress::parse_new(asked.email.trim()) {
            Ok(email) => email,
            Err(error) => return Ok(FollowedLink::Refused(error.to_string())),
        };
        let name = match parse_name(asked.name) {
            Ok(name) => name,
            Err(words) => return Ok(FollowedLink::Refused(words)),
        };
        let password = match self.chosen_password(asked.password, &email, &name).await? {
            Ok(password) => password,
            Err(words) => return Ok(FollowedLink::Refused(words)),
        };
        let new = NewUser {
            email: &email,
            name: &name,
            role: Role::Owner,
            password: Some(&password),
        };
        let added = self
            .storage
            .add_first_user(&new, &secret::sha256(token), self.now())
            .await?;
        let Some(id) = added else {
            return Ok(FollowedLink::Over);
        };
        tracing::info!(
            user = email.masked(),
            "the desk is set up: its first owner was added"
        );
        self.begin_for(id, visitor).await
    }

    /// The user whose password a link sets; `None` where it is no such link.
    pub async fn user_of_link(&self, token: &str) -> Result<Option<User>, Failure> {
        let found = self
            .storage
            .challenge(&secret::sha256(token), self.now())
            .await?;
        let Some((ChallengeKind::Invite | ChallengeKind::Reset, Some(id))) = found else {
            return Ok(None);
        };
        let user = self.storage.user(id).await?.map(|found| found.user);
        Ok(user.filter(|user| user.disabled_at.is_none()))
    }

    /// Sets the password that a link is for, and signs its user in.
    pub async fn set_password_by_link(
        &self,
        token: &str,
        password: &str,
        visitor: &SignInClient<'_>,
    ) -> Result<FollowedLink, Failure> {
        let Some(user) = self.user_of_link(token).await? else {
            return Ok(FollowedLink::Over);
        };
        let hash = match self
            .chosen_password(password, &user.email, &user.name)
            .await?
        {
            Ok(hash) => hash,
            Err(words) => return Ok(FollowedLink::Refused(words)),
        };
        let themselves = Actor::user(self.user_name(user.id), Some(network_of(visitor.client)));
        let is_set = self
            .storage
            .set_password_by_link(
                &themselves,
                &secret::sha256(token),
                user.id,
                &hash,
                self.now(),
            )
            .await?;
        if !is_set {
            return Ok(FollowedLink::Over);
        }
        tracing::info!(user = user.email.masked(), "password set by a link");
        self.begin_for(user.id, visitor).await
    }

    async fn begin_for(
        &self,
        id: i64,
        visitor: &SignInClient<'_>,
    ) -> Result<FollowedLink, Failure> {
        let Some(found) = self.storage.user(id).await? else {
            return Ok(FollowedLink::Over);
        };
        Ok(FollowedLink::In(
            self.begin_session(&found.user, None, None, visitor).await?,
        ))
    }
}
