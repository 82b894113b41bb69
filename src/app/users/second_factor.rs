//! Codes of an authenticator app, and the recovery codes that stand in for it.

use super::signing_in::PendingSignIn;
use super::signing_in::SignIn;
use super::signing_in::SignInAttempt;
use super::signing_in::SignInClient;
use super::signing_in::SignedIn;
use crate::app::App;
use crate::app::Failure;
use crate::domain::user::Stage;
use crate::domain::user::User;
use crate::identity::secret;
use crate::identity::totp::TotpKey;

/// A second factor that is offered and not set up yet.
pub struct TotpOffer {
    /// Seed from which its key is drawn; worth nothing without `site.secret`.
    pub seed: String,
    /// The picture for the app; none where the site's name is too long for one.
    pub qr: Option<String>,
    /// The key, for typing it in.
    pub key: String,
}

/// Result of setting up a second factor.
pub enum TotpEnrolled {
    /// It is set up; these recovery codes are shown once.
    Done(PendingSignIn, Vec<String>),
    /// The code is not that of the picture.
    Wrong,
    /// There were too many attempts: how long to wait.
    TooMany(chrono::TimeDelta),
}

impl App {
    /// Offers a second factor: the same as before where `seed` is that of an offer, else a fresh one. Nothing is kept.
    pub fn offer_second_factor(
        &self,
        user: &User,
        seed: Option<&str>,
    ) -> Result<TotpOffer, Failure> {
        let seed = match seed.filter(|seed| is_seed(seed)) {
            Some(seed) => seed.to_owned(),
            None => secret::token(),
        };
        let keys = self.totp_keys(user, &seed);
        let key = keys
            .first()
            .ok_or_else(|| Failure::internal("There is no secret to draw a key from."))?;
        Ok(TotpOffer {
            qr: key.qr_svg(&self.site.name, user.email.as_str()),
            key: key.in_groups(),
            seed,
        })
    }

    /// The keys that a seed stands for, the newest secret's first.
    fn totp_keys(&self, user: &User, seed: &str) -> Vec<TotpKey> {
        let drawn = self.secrets.keys_of("totp", &format!("{}:{seed}", user.id));
        drawn.into_iter().map(TotpKey::new).collect()
    }

    /// Sets up the second factor of an offer, once a code proves that the app has it.
    pub async fn set_up_second_factor(
        &self,
        who: &SignedIn,
        (seed, code): (&str, &str),
        visitor: &SignInClient<'_>,
    ) -> Result<TotpEnrolled, Failure> {
        let account = who.user.email.key();
        if let Some(wait) = self
            .count_attempt(SignInAttempt::Code, &account, visitor)
            .await?
        {
            return Ok(TotpEnrolled::TooMany(wait));
        }
        let keys = self.totp_keys(&who.user, seed);
        // Only the newest secret: its picture was shown.
        let step = keys
            .first()
            .filter(|_| is_seed(seed))
            .and_then(|key| key.step_of(code, self.now()));
        let Some(step) = step else {
            return Ok(TotpEnrolled::Wrong);
        };
        let codes = secret::recovery_codes();
        self.storage
            .set_second_factor(
                &self.actor_of(who),
                who.user.id,
                (seed, step),
                &hashes(&codes),
                self.now(),
            )
            .await?;
        self.storage
            .end_sessions(who.user.id, Some(&who.session.token_sha256))
            .await?;
        self.forgive_attempts(SignInAttempt::Code, &account).await?;
        tracing::info!(user = who.user.email.masked(), "second factor set up");
        let begun = self
            .begin_session(&who.user, Some(Stage::Full), Some(&who.session), visitor)
            .await?;
        Ok(TotpEnrolled::Done(begun, codes))
    }

    /// Checks the code after a password: of the app, or a recovery code.
    pub async fn enter_code(
        &self,
        who: &SignedIn,
        typed: &str,
        visitor: &SignInClient<'_>,
    ) -> Result<SignIn, Failure> {
        let account = who.user.email.key();
        if let Some(wait) = self
            .count_attempt(SignInAttempt::Code, &account, visitor)
            .await?
        {
            return Ok(SignIn::TooMany(wait));
        }
        if !self.takes_code(who, typed).await? {
            tracing::info!(user = who.user.email.masked(), "a code was refused");
            return Ok(SignIn::Wrong);
        }
        self.forgive_attempts(SignInAttempt::Code, &account).await?;
        let begun = self
            .begin_session(&who.user, Some(Stage::Full), Some(&who.session), visitor)
            .await?;
        Ok(SignIn::In(begun))
    }

    async fn takes_code(&self, who: &SignedIn, typed: &str) -> Result<bool, Failure> {
        let (id, now) = (who.user.id, self.now());
        if let Some(code) = secret::recovery_code(typed) {
            let used = self
                .storage
                .use_recovery_code(id, &secret::sha256(&code), now)
                .await?;
            if used {
                tracing::warn!(user = who.user.email.masked(), "a recovery code was used");
            }
            return Ok(used);
        }
        let Some(seed) = &who.credentials.totp_seed else {
            return Ok(false);
        };
        let keys = self.totp_keys(&who.user, seed);
        match keys.iter().find_map(|key| key.step_of(typed, now)) {
            Some(step) => Ok(self.storage.use_totp_step(id, step).await?),
            None => Ok(false),
        }
    }

    /// Takes away one's own second factor, where the role may be without.
    ///
    /// # Errors
    /// A sentence, where it must not.
    pub async fn remove_own_second_factor(&self, who: &SignedIn) -> Result<(), Failure> {
        if self.demands_second_factor(who.user.role) && who.user.passkeys == 0 {
            return Err(Failure::forbidden(format!(
                "Your role ({}) signs in with a second factor: desk.second_factor says so. Set up another app, or add a passkey first.",
                who.user.role
            )));
        }
        self.storage
            .remove_second_factor(&self.actor_of(who), who.user.id, self.now())
            .await?;
        tracing::info!(user = who.user.email.masked(), "second factor taken away");
        Ok(())
    }

    /// Makes new recovery codes in the place of the old ones.
    pub async fn renew_recovery_codes(&self, who: &SignedIn) -> Result<Vec<String>, Failure> {
        let codes = secret::recovery_codes();
        self.storage
            .set_recovery_codes(who.user.id, &hashes(&codes))
            .await?;
        Ok(codes)
    }
}

/// Returns whether a text is such as [`secret::token`] makes.
fn is_seed(text: &str) -> bool {
    text.len() == 43
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// A code is hashed as it is read when somebody types it.
fn hashes(codes: &[String]) -> Vec<String> {
    codes
        .iter()
        .filter_map(|code| secret::recovery_code(code))
        .map(|code| secret::sha256(&code))
        .collect()
}
