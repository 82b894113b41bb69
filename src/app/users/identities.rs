//! Accounts of users at providers: linking and unlinking them.

use super::oidc::ProvedByProvider;
use super::signing_in::SignedIn;
use crate::app::App;
use crate::app::Failure;
use crate::domain::actor::Actor;
use crate::domain::user::User;
use crate::identity::oidc::OidcPerson;
use crate::identity::secret;
use crate::storage::identities::IdentityUnlinked;
use crate::storage::identities::UserIdentity;

/// Accounts at providers of one user.
const IDENTITIES_MAX: usize = 20;
/// Characters of a hash that name an account at a provider in forms and commands.
const NAME: usize = 16;

impl UserIdentity {
    /// The name of the account in forms and commands.
    pub fn short_name(&self) -> String {
        secret::sha256(&format!("{} {}", self.issuer, self.subject))[..NAME].to_owned()
    }
}

impl App {
    /// Links the account of a person at a provider to the user who is signed in.
    pub(super) async fn link(
        &self,
        who: &SignedIn,
        person: &OidcPerson,
    ) -> Result<ProvedByProvider, Failure> {
        let identities = self.storage.identities(who.user.id).await?;
        if identities.len() >= IDENTITIES_MAX {
            return Ok(Err(
                "You have linked as many accounts as there may be. Unlink one first.".into(),
            ));
        }
        let account = (person.issuer.as_str(), person.subject.as_str());
        let (actor, now) = (self.actor_of(who), self.now());
        let linked = self
            .storage
            .link_identity(&actor, who.user.id, account, now)
            .await?;
        if !linked {
            return Ok(Err(
                "That account is linked already, to you or to somebody else.".into(),
            ));
        }
        tracing::info!(
            user = who.user.email.masked(),
            issuer = person.issuer,
            "account at a provider linked"
        );
        Ok(Ok(None))
    }

    /// Links an account at a provider to a user, by the command line.
    ///
    /// # Errors
    /// A sentence, when no provider of the settings has that issuer, or the account is linked already.
    pub async fn link_account(
        &self,
        actor: &Actor,
        user: &User,
        issuer: &str,
        subject: &str,
    ) -> Result<(), Failure> {
        if !self
            .settings
            .desk
            .oidc
            .iter()
            .any(|known| known.issuer == issuer)
        {
            return Err(Failure::invalid(format!(
                "No provider of desk.oidc has the issuer {issuer}, letter for letter."
            )));
        }
        if subject.is_empty() || subject.len() > 255 {
            return Err(Failure::invalid("A subject has 1 to 255 characters."));
        }
        let linked = self
            .storage
            .link_identity(actor, user.id, (issuer, subject), self.now())
            .await?;
        match linked {
            true => Ok(()),
            false => Err(Failure::conflict("That account is linked already.")),
        }
    }

    /// The account at a provider of a user that has that short name.
    ///
    /// # Errors
    /// A sentence, when there is none.
    pub async fn identity_named(&self, user: &User, name: &str) -> Result<UserIdentity, Failure> {
        let identities = self.storage.identities(user.id).await?;
        let found = identities
            .into_iter()
            .find(|found| found.short_name() == name);
        found.ok_or_else(|| {
            Failure::not_found(format!(
                "There is no such account; `verdicts users identities {}` lists them.",
                user.email.as_str()
            ))
        })
    }

    /// Unlinks an account at a provider, and ends no session. `is_own`: its user does it, and keeps one where nothing else lets them in.
    ///
    /// # Errors
    /// A sentence, when there is no such account or it must stay.
    pub async fn unlink_account(
        &self,
        actor: &Actor,
        user: &User,
        name: &str,
        is_own: bool,
    ) -> Result<(), Failure> {
        let found = self.identity_named(user, name).await?;
        let keeps_one = is_own && !user.has_password && user.passkeys == 0;
        let unlinked = self
            .storage
            .unlink_identity(actor, &found, keeps_one, self.now())
            .await?;
        match unlinked {
            IdentityUnlinked::Done => {
                tracing::info!(
                    user = user.email.masked(),
                    issuer = found.issuer,
                    "account at a provider unlinked"
                );
                Ok(())
            }
            IdentityUnlinked::Unknown => Err(Failure::not_found("It is not linked any more.")),
            IdentityUnlinked::Last => Err(Failure::conflict(
                "Nothing else would let you in. Add a passkey, or ask an owner for a link to choose a password, first.",
            )),
        }
    }
}
