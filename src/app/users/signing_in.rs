//! Signing in: the password, the session, and how often one may try.

use std::net::IpAddr;

use chrono::TimeDelta;

use super::ABSOLUTE;
use super::HALF_WAY;
use super::IDLE;
use super::RECENT;
use crate::app::App;
use crate::app::Failure;
use crate::domain::Timestamp;
use crate::domain::address::EmailAddress;
use crate::domain::network::household;
use crate::domain::subscriber::network_of;
use crate::domain::user::Stage;
use crate::domain::user::User;
use crate::identity::password::Checked;
use crate::identity::password::TypedPassword;
use crate::identity::secret;
use crate::storage::sessions::NewSession;
use crate::storage::sessions::UserSession;
use crate::storage::users::Credentials;

/// Longest name of a program that is kept, in characters.
const AGENT_MAX: usize = 200;
/// A session's last use is written down at most this often.
const SEEN_EVERY: TimeDelta = TimeDelta::minutes(5);

/// Attempts from one network: so many at once, then one for each so many milliseconds.
const PER_NETWORK: (i64, i64) = (10, 20_000);
/// Attempts on one account, from wherever they come.
const PER_ACCOUNT: (i64, i64) = (20, 60_000);
/// Ceremonies that a network begins. A page of the sign-in begins one when it opens, and again every four minutes, so that these are more.
const CEREMONIES: (i64, i64) = (60, 2_000);

/// Client that sends a request before anybody is signed in.
#[derive(Debug, Clone, Copy)]
pub struct SignInClient<'a> {
    /// Their address.
    pub client: IpAddr,
    /// Their program, as that calls itself.
    pub agent: &'a str,
}

/// A session that has just begun.
pub struct PendingSignIn {
    /// Its token, which only the browser keeps.
    pub token: String,
    /// Stage of the sign-in.
    pub stage: Stage,
}

/// Shows nothing of the token, for debug output ends up in logs.
impl std::fmt::Debug for PendingSignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Begun({})", self.stage)
    }
}

/// Result of an attempt to sign in.
#[derive(Debug)]
pub enum SignIn {
    /// It was right.
    In(PendingSignIn),
    /// Address, password or code is wrong; which, is not said.
    Wrong,
    /// There were too many attempts: how long to wait.
    TooMany(TimeDelta),
}

/// User who asks, with their session.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The user.
    pub user: User,
    /// The session.
    pub session: UserSession,
    /// The credentials, for what asks for them again.
    pub(in crate::app) credentials: Credentials,
}

/// Kind of proof that is tried; each is counted by itself.
#[derive(Debug, Clone, Copy)]
pub(super) enum SignInAttempt {
    Password,
    Code,
    Passkey,
    Provider,
}

impl App {
    /// Checks an address and a password, and begins a session.
    pub async fn sign_in(
        &self,
        email: &str,
        password: &str,
        visitor: &SignInClient<'_>,
    ) -> Result<SignIn, Failure> {
        let email = EmailAddress::parse(email.trim()).ok();
        // What is no address is counted as one too.
        let account = email.as_ref().map(EmailAddress::key).unwrap_or_default();
        if let Some(wait) = self
            .count_attempt(SignInAttempt::Password, &account, visitor)
            .await?
        {
            return Ok(SignIn::TooMany(wait));
        }
        let found = match &email {
            Some(email) => self.storage.user_by_email(email).await?,
            None => None,
        };
        let typed = TypedPassword::new(password);
        // Somebody who may not sign in is nobody, and takes as long.
        let found = found.filter(|found| found.user.disabled_at.is_none());
        let kept = found.as_ref().and_then(|found| found.password.clone());
        let checked = self.passwords.check(typed.as_ref(), kept.clone()).await?;
        if let (Some(found), Checked::Wrong) = (&found, checked) {
            let key = self.account_key(SignInAttempt::Password, &account);
            self.storage
                .tell_if_locked(found.user.id, &key, PER_ACCOUNT, self.now())
                .await?;
        }
        let Some(found) = found.filter(|_| checked != Checked::Wrong) else {
            tracing::info!(
                network = network_of(visitor.client),
                "a sign-in to the desk was refused"
            );
            return Ok(SignIn::Wrong);
        };
        if let (Checked::RightAndOld, Some(typed), Some(old)) = (checked, typed, kept) {
            let fresh = self.passwords.hash(&typed).await?;
            self.storage
                .rehash_password(found.user.id, &old, &fresh)
                .await?;
        }
        self.forgive_attempts(SignInAttempt::Password, &account)
            .await?;
        Ok(SignIn::In(
            self.begin_session(&found.user, None, None, visitor).await?,
        ))
    }

    /// Begins a session: as far as a password goes, or at `stage`.
    pub(super) async fn begin_session(
        &self,
        user: &User,
        stage: Option<Stage>,
        instead: Option<&UserSession>,
        visitor: &SignInClient<'_>,
    ) -> Result<PendingSignIn, Failure> {
        self.begin_session_of(user, stage, (instead, self.now()), visitor)
            .await
    }

    /// The same for a user who proved at `strong_at` who they are.
    pub(super) async fn begin_session_of(
        &self,
        user: &User,
        stage: Option<Stage>,
        (instead, strong_at): (Option<&UserSession>, Timestamp),
        visitor: &SignInClient<'_>,
    ) -> Result<PendingSignIn, Failure> {
        let by_password = match (user.has_second_factor, user.passkeys > 0) {
            (true, _) => Stage::Code,
            _ if !self.demands_second_factor(user.role) => Stage::Full,
            // Their passkey is the second factor: whoever has the password alone must not set up another.
            (false, true) => Stage::Code,
            (false, false) => Stage::Enrol,
        };
        let stage = stage.unwrap_or(by_password);
        let life = match stage {
            Stage::Full => ABSOLUTE,
            Stage::Code | Stage::Enrol => HALF_WAY,
        };
        let (token, now) = (secret::token(), self.now());
        let agent: String = visitor
            .agent
            .chars()
            .filter(|c| !c.is_control())
            .take(AGENT_MAX)
            .collect();
        let new = NewSession {
            token_sha256: &secret::sha256(&token),
            user: user.id,
            stage,
            expires_at: now + life,
            strong_at: strong_at.min(now),
            agent: &agent,
            network: &network_of(visitor.client),
        };
        let instead = instead.map(|session| session.token_sha256.as_str());
        self.storage.begin_session(&new, instead, now).await?;
        tracing::info!(user = user.email.masked(), %stage, "signed in to the desk");
        Ok(PendingSignIn { token, stage })
    }

    /// Returns whose session a token is of.
    pub async fn session(&self, token: &str) -> Result<Option<SignedIn>, Failure> {
        let (hash, now) = (secret::sha256(token), self.now());
        let Some((session, credentials)) = self.storage.session(&hash, now - IDLE, now).await?
        else {
            return Ok(None);
        };
        if now - session.seen_at > SEEN_EVERY {
            self.storage
                .touch_session(&session.token_sha256, credentials.user.id, now)
                .await?;
        }
        Ok(Some(SignedIn {
            user: credentials.user.clone(),
            session,
            credentials,
        }))
    }

    /// Returns whether somebody gave their password not long ago.
    pub fn is_recent(&self, who: &SignedIn) -> bool {
        self.now() - who.session.strong_at < RECENT
    }

    /// Asks for the password once more, so that the sign-in counts as recent.
    pub async fn confirm_sign_in(
        &self,
        who: &SignedIn,
        password: &str,
        visitor: &SignInClient<'_>,
    ) -> Result<SignIn, Failure> {
        if let Some(refused) = self.check_again(who, password, visitor).await? {
            return Ok(refused);
        }
        let begun = self
            .begin_session(&who.user, Some(Stage::Full), Some(&who.session), visitor)
            .await?;
        Ok(SignIn::In(begun))
    }

    /// Changes somebody's own password: all their sessions end, and a new one begins here. The error is why the new one is refused.
    pub async fn change_own_password(
        &self,
        who: &SignedIn,
        (old, new): (&str, &str),
        visitor: &SignInClient<'_>,
    ) -> Result<Result<SignIn, String>, Failure> {
        if let Some(refused) = self.check_again(who, old, visitor).await? {
            return Ok(Ok(refused));
        }
        let hash = match self
            .chosen_password(new, &who.user.email, &who.user.name)
            .await?
        {
            Ok(hash) => hash,
            Err(words) => return Ok(Err(words)),
        };
        self.storage
            .set_password(&self.actor_of(who), who.user.id, Some(&hash), self.now())
            .await?;
        tracing::info!(user = who.user.email.masked(), "password changed");
        let begun = self
            .begin_session(&who.user, Some(Stage::Full), None, visitor)
            .await?;
        Ok(Ok(SignIn::In(begun)))
    }

    async fn check_again(
        &self,
        who: &SignedIn,
        password: &str,
        visitor: &SignInClient<'_>,
    ) -> Result<Option<SignIn>, Failure> {
        let account = who.user.email.key();
        if let Some(wait) = self
            .count_attempt(SignInAttempt::Password, &account, visitor)
            .await?
        {
            return Ok(Some(SignIn::TooMany(wait)));
        }
        let kept = who.credentials.password.clone();
        let checked = self
            .passwords
            .check(TypedPassword::new(password).as_ref(), kept)
            .await?;
        if checked == Checked::Wrong {
            return Ok(Some(SignIn::Wrong));
        }
        self.forgive_attempts(SignInAttempt::Password, &account)
            .await?;
        Ok(None)
    }

    /// Takes one attempt from the network and one from the account; answers how long to wait where none is left. They are counted in the
    /// database, before anything is checked: several processes, and attempts at the same time, count together.
    pub(super) async fn count_attempt(
        &self,
        tried: SignInAttempt,
        account: &str,
        visitor: &SignInClient<'_>,
    ) -> Result<Option<TimeDelta>, Failure> {
        let network = self
            .secrets
            .count_hash("sign-in from", &household(visitor.client).to_string());
        let account = self.account_key(tried, account);
        for (key, (burst, every)) in [(network, PER_NETWORK), (account, PER_ACCOUNT)] {
            if let Err(wait) = self
                .storage
                .take_attempt(&key, burst, every, self.now())
                .await?
            {
                tracing::warn!(
                    network = network_of(visitor.client),
                    "too many attempts to sign in to the desk"
                );
                return Ok(Some(TimeDelta::milliseconds(wait)));
            }
        }
        Ok(None)
    }

    /// Takes one of the ceremonies that a network may begin; answers how long to wait where none is left.
    pub(super) async fn count_ceremony(
        &self,
        visitor: &SignInClient<'_>,
    ) -> Result<Option<TimeDelta>, Failure> {
        let network = household(visitor.client).to_string();
        let key = self.secrets.count_hash("ceremony from", &network);
        let (burst, every) = CEREMONIES;
        let taken = self
            .storage
            .take_attempt(&key, burst, every, self.now())
            .await?;
        Ok(taken.err().map(TimeDelta::milliseconds))
    }

    /// An account whose owner came in has all of its attempts again.
    pub(super) async fn forgive_attempts(
        &self,
        tried: SignInAttempt,
        account: &str,
    ) -> Result<(), Failure> {
        Ok(self
            .storage
            .forgive_attempts(&self.account_key(tried, account))
            .await?)
    }

    fn account_key(&self, tried: SignInAttempt, account: &str) -> String {
        let what = match tried {
            SignInAttempt::Password => "sign-in to",
            SignInAttempt::Code => "code for",
            SignInAttempt::Passkey => "passkey",
            SignInAttempt::Provider => "provider",
        };
        self.secrets.count_hash(what, account)
    }
}
