//! Signing in at a provider (OpenID Connect). Only an account that is linked signs in, or one for which the settings have users made; an address
//! alone never does. Linking and unlinking are in `identities`.

use chrono::TimeDelta;
use serde::Deserialize;
use serde::Serialize;

use super::providers::KnownProvider;
use super::signing_in::PendingSignIn;
use super::signing_in::SignInAttempt;
use super::signing_in::SignInClient;
use super::signing_in::SignedIn;
use crate::app::App;
use crate::app::Failure;
use crate::config::OidcSettings;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::user::CeremonyKind;
use crate::domain::user::Role;
use crate::domain::user::Stage;
use crate::domain::user::User;
use crate::domain::user::parse_name;
use crate::identity::oidc::OidcPerson;
use crate::identity::oidc::OidcSecrets;
use crate::identity::oidc_fault::OidcFault;
use crate::identity::oidc_fault::code_of;
use crate::identity::secret;
use crate::storage::passkeys::NewCeremony;
use crate::storage::users::NewUser;
use crate::storage::users::UserChanged;

/// Time for which a provider's answer is awaited: people sign in there, perhaps with a second factor.
pub const AT_PROVIDER: TimeDelta = TimeDelta::minutes(10);

/// Purpose for which a browser goes to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OidcPurpose {
    /// Sign in.
    SignIn,
    /// Link an account there to the user who is signed in.
    Link,
    /// Prove once more who is signed in.
    Confirm,
}

/// State that is kept while a browser is at a provider.
#[derive(Serialize, Deserialize)]
struct OidcState {
    provider: String,
    purpose: OidcPurpose,
    /// SHA-256 of the session that goes on, unless it is a new one that begins.
    session: Option<String>,
    secrets: OidcSecrets,
    next: String,
}

/// Parameters with which a browser comes back.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct OidcAnswer {
    /// Code to be exchanged for tokens.
    pub code: String,
    /// State that the browser took along.
    pub state: String,
    /// Issuer (RFC 9207).
    pub iss: Option<String>,
    /// Error code.
    pub error: Option<String>,
}

/// Reason why nobody was signed in, for the page.
#[derive(Debug)]
pub struct OidcRefusal {
    /// Sentence for the person.
    pub words: String,
    /// True if the provider gave no answer: the same request may succeed later.
    pub is_unreachable: bool,
}

impl From<String> for OidcRefusal {
    fn from(words: String) -> Self {
        Self {
            words,
            is_unreachable: false,
        }
    }
}

/// Result of going to a provider.
#[derive(Debug)]
pub enum OidcBegun {
    /// The browser goes on to this address.
    To(String),
    /// It cannot.
    Refused(OidcRefusal),
    /// There were too many attempts: how long to wait.
    TooMany(TimeDelta),
}

/// Result of coming back from a provider.
#[derive(Debug)]
pub enum OidcSignIn {
    /// Signed in; the page to go on to.
    In(PendingSignIn, String),
    /// The account is linked.
    Linked,
    /// It is refused; what the browser went there for, as far as that is known.
    Refused(OidcRefusal, Option<OidcPurpose>),
    /// There were too many attempts: how long to wait.
    TooMany(TimeDelta),
}

impl App {
    /// Begins a sign-in at a provider, for the browser with that token.
    pub async fn begin_oidc(
        &self,
        slug: &str,
        browser: &str,
        (purpose, who, next): (OidcPurpose, Option<&SignedIn>, &str),
        visitor: &SignInClient<'_>,
    ) -> Result<OidcBegun, Failure> {
        let Some((settings, known)) = self.provider_at(slug) else {
            return Err(Failure::not_found("There is no such provider."));
        };
        if let Some(wait) = self.count_ceremony(visitor).await? {
            return Ok(OidcBegun::TooMany(wait));
        }
        let ready = async {
            let us = self.client_at(settings).await?;
            let provider = known.provider(&settings.issuer, false, self.now()).await?;
            Ok::<_, OidcFault>((us, provider))
        };
        let (us, provider) = match ready.await {
            Ok(ready) => ready,
            Err(fault) => return Ok(OidcBegun::Refused(self.refusal(settings, &fault))),
        };
        let id = secret::token();
        let is_fresh = purpose != OidcPurpose::SignIn;
        let request = provider.begin(&us, &settings.scopes, &id, is_fresh);
        let state = OidcState {
            provider: slug.to_owned(),
            purpose,
            session: who
                .filter(|_| is_fresh)
                .map(|who| who.session.token_sha256.clone()),
            secrets: request.secrets,
            next: next.to_owned(),
        };
        let text = serde_json::to_string(&state)
            .map_err(|error| Failure::internal(format!("A sign-in cannot be kept: {error}.")))?;
        let new = NewCeremony {
            id_sha256: &secret::sha256(&id),
            kind: CeremonyKind::Oidc,
            browser_sha256: &secret::sha256(browser),
            state: &text,
            expires_at: self.now() + AT_PROVIDER,
        };
        self.storage.begin_ceremony(&new).await?;
        Ok(OidcBegun::To(request.url.into()))
    }

    /// Takes the answer with which a browser comes back from a provider.
    pub async fn finish_oidc(
        &self,
        slug: &str,
        browser: &str,
        answer: &OidcAnswer,
        who: Option<&SignedIn>,
        visitor: &SignInClient<'_>,
    ) -> Result<OidcSignIn, Failure> {
        let Some((settings, known)) = self.provider_at(slug) else {
            return Err(Failure::not_found("There is no such provider."));
        };
        let tried = SignInAttempt::Provider;
        if let Some(wait) = self.count_attempt(tried, &answer.state, visitor).await? {
            return Ok(OidcSignIn::TooMany(wait));
        }
        let browser = secret::sha256(browser);
        let kept = self
            .use_ceremony(&answer.state, CeremonyKind::Oidc, &browser)
            .await?;
        let state: Option<OidcState> = kept.and_then(|text| serde_json::from_str(&text).ok());
        let Some(state) = state.filter(|state| state.provider == slug) else {
            return Ok(OidcSignIn::Refused(String::from(LATE).into(), None));
        };
        let refused = |words: String| Ok(OidcSignIn::Refused(words.into(), Some(state.purpose)));
        if let Some(code) = &answer.error {
            let code = code_of(code);
            return refused(format!(
                "{} signed nobody in: it says {code}.",
                settings.name
            ));
        }
        if answer
            .iss
            .as_ref()
            .is_some_and(|iss| *iss != settings.issuer)
        {
            return refused(format!(
                "The answer is of another provider than {}.",
                settings.name
            ));
        }
        // Whoever links or confirms is still who began it.
        let who = who.filter(|who| who.session.stage == Stage::Full);
        let session = who.map(|who| who.session.token_sha256.as_str());
        if state.purpose != OidcPurpose::SignIn && session != state.session.as_deref() {
            return refused("You are signed in anew since you went there. Begin again.".into());
        }
        let person = match self
            .person_of(settings, known, &answer.code, &state.secrets)
            .await
        {
            Ok(person) => person,
            Err(fault) => {
                let refusal = self.refusal(settings, &fault);
                return Ok(OidcSignIn::Refused(refusal, Some(state.purpose)));
            }
        };
        let done = match (state.purpose, who) {
            (OidcPurpose::Link, Some(who)) => self.link(who, &person).await?,
            (OidcPurpose::Confirm, Some(who)) => {
                self.confirm_by_provider(settings, who, &person, visitor)
                    .await?
            }
            _ => self.sign_in_by_provider(settings, &person, visitor).await?,
        };
        Ok(match done {
            Ok(Some(begun)) => OidcSignIn::In(begun, state.next),
            Ok(None) => OidcSignIn::Linked,
            Err(words) => OidcSignIn::Refused(words.into(), Some(state.purpose)),
        })
    }

    /// Exchanges a code and checks what comes. A key that is not known may be new, so that the provider's document is fetched once more.
    async fn person_of(
        &self,
        settings: &OidcSettings,
        known: &KnownProvider,
        code: &str,
        secrets: &OidcSecrets,
    ) -> Result<OidcPerson, OidcFault> {
        let us = self.client_at(settings).await?;
        let network = known.network();
        let provider = known.provider(&settings.issuer, false, self.now()).await?;
        let tokens = provider.exchange(&us, code, secrets, network).await?;
        let wanted = (settings.role_claim.as_deref(), self.now());
        match provider.check(&us, &tokens, secrets, wanted, network).await {
            Err(OidcFault::UnknownKey) => {
                let provider = known.provider(&settings.issuer, true, self.now()).await?;
                provider.check(&us, &tokens, secrets, wanted, network).await
            }
            checked => checked,
        }
    }

    /// Refusal for the page. The log has the particulars.
    fn refusal(&self, settings: &OidcSettings, fault: &OidcFault) -> OidcRefusal {
        let name = &settings.name;
        tracing::warn!(provider = name, %fault, "a sign-in by a provider failed");
        let words = match fault {
            OidcFault::Unreachable(_) => {
                format!("{name} does not answer now. Try again later, or sign in another way.")
            }
            OidcFault::Refused(code) if code == "invalid_client" => format!(
                "{name} does not take this service's client_id or client_secret: an owner has to look at desk.oidc (client_auth may have to be \"post\")."
            ),
            OidcFault::Refused(code) => format!("{name} signed nobody in: it says {code}."),
            OidcFault::Unusable(_) | OidcFault::UnknownKey | OidcFault::Untrusted(_) => format!(
                "{name} gave an answer that is not taken, so nobody was signed in. `verdicts doctor` and the log say why."
            ),
        };
        OidcRefusal {
            words,
            is_unreachable: matches!(fault, OidcFault::Unreachable(_)),
        }
    }

    async fn confirm_by_provider(
        &self,
        settings: &OidcSettings,
        who: &SignedIn,
        person: &OidcPerson,
        visitor: &SignInClient<'_>,
    ) -> Result<ProvedByProvider, Failure> {
        let known = self
            .storage
            .identity(&person.issuer, &person.subject)
            .await?;
        if known.is_none_or(|known| known.user != who.user.id) {
            return Ok(Err("That account is not linked to you.".into()));
        }
        let (proved_at, now) = (proved_at(person), self.now());
        if now - proved_at >= super::RECENT {
            return Ok(Err(format!(
                "{} does not say that you proved anew who you are. Add a password or a passkey under Your account for this, or ask an owner for a link.",
                settings.name
            )));
        }
        let instead = (Some(&who.session), proved_at);
        let begun = self
            .begin_session_of(&who.user, Some(Stage::Full), instead, visitor)
            .await?;
        Ok(Ok(Some(begun)))
    }

    async fn sign_in_by_provider(
        &self,
        settings: &OidcSettings,
        person: &OidcPerson,
        visitor: &SignInClient<'_>,
    ) -> Result<ProvedByProvider, Failure> {
        let account = (person.issuer.as_str(), person.subject.as_str());
        let role = match &settings.role_claim {
            Some(claim) => match settings.role_for(&person.groups) {
                Some(role) => Some(role),
                None => {
                    return Ok(Err(format!(
                        "{} gives you none of the roles that this desk knows (claim {claim}).",
                        settings.name
                    )));
                }
            },
            None => None,
        };
        let user = match self.storage.identity(account.0, account.1).await? {
            Some(known) => known.user,
            None => match self.add_by_provider(settings, person, role).await? {
                Ok(user) => user,
                Err(words) => return Ok(Err(words)),
            },
        };
        let Some(user) = self.storage.user(user).await?.map(|found| found.user) else {
            return Ok(Err(unknown(settings)));
        };
        if user.disabled_at.is_some() {
            return Ok(Err(unknown(settings)));
        }
        let user = self.with_role(user, role).await?;
        let now = self.now();
        self.storage.use_identity(account.0, account.1, now).await?;
        let begun = self
            .begin_session_of(&user, Some(Stage::Full), (None, proved_at(person)), visitor)
            .await?;
        Ok(Ok(Some(begun)))
    }

    /// Makes a user for somebody new, where the settings have it so and their address is verified and allowed.
    async fn add_by_provider(
        &self,
        settings: &OidcSettings,
        person: &OidcPerson,
        role: Option<Role>,
    ) -> Result<Result<i64, String>, Failure> {
        if !settings.create {
            return Ok(Err(unknown(settings)));
        }
        let email = person.email.as_deref().map(EmailAddress::parse_new);
        let Some(Ok(email)) = email.filter(|_| person.is_email_verified) else {
            return Ok(Err(format!(
                "{} does not say that you have a verified address, so that no user is made for you.",
                settings.name
            )));
        };
        if !settings.allows(&email) {
            return Ok(Err(unknown(settings)));
        }
        let of_address = email.as_str().split('@').next().unwrap_or_default();
        let name = person.name.as_deref().map(parse_name);
        let name = name
            .and_then(Result::ok)
            .unwrap_or_else(|| of_address.to_owned());
        let new = NewUser {
            email: &email,
            name: &name,
            role: role.unwrap_or(Role::Analyst),
            password: None,
        };
        let account = (person.issuer.as_str(), person.subject.as_str());
        let added = self
            .storage
            .add_user_with_identity(&new, account, self.now())
            .await?;
        let Some(id) = added else {
            return Ok(Err(format!(
                "Your address has a user here already, who is not linked to {}. Sign in as before, and link the account under Your account.",
                settings.name
            )));
        };
        tracing::info!(
            user = email.masked(),
            issuer = person.issuer,
            "user added by a provider"
        );
        Ok(Ok(id))
    }

    /// Gives a user the role that their provider says; the last owner keeps theirs.
    async fn with_role(&self, user: User, role: Option<Role>) -> Result<User, Failure> {
        let Some(role) = role.filter(|role| *role != user.role) else {
            return Ok(user);
        };
        let changed = self
            .storage
            .set_role(&Actor::system(), user.id, role, self.now())
            .await?;
        if changed == UserChanged::LastOwner {
            tracing::warn!(
                user = user.email.masked(),
                %role,
                "a provider gives the last owner another role: they stay an owner"
            );
            return Ok(user);
        }
        Ok(User { role, ..user })
    }
}

/// A session that begins, or none for a link; or the reason in words.
pub(super) type ProvedByProvider = Result<Option<PendingSignIn>, String>;

const LATE: &str = "That took more than ten minutes, was used already, or was begun in another browser. Try again.";

/// Time at which somebody proved who they are; long ago, where the provider does not say.
fn proved_at(person: &OidcPerson) -> Timestamp {
    person.signed_in_at.unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The same words for an account that is not linked, not allowed, and of a user who is disabled.
fn unknown(settings: &OidcSettings) -> String {
    format!(
        "Your account at {} is not linked to a user here. Sign in another way and link it under Your account, or ask an owner.",
        settings.name
    )
}
