//! Passkeys: adding them, and proving by one who somebody is. The authenticator verifies its user, so that one counts as two factors.

use chrono::TimeDelta;
use serde_json::Value;
use serde_json::json;

use super::signing_in::PendingSignIn;
use super::signing_in::SignInAttempt;
use super::signing_in::SignInClient;
use super::signing_in::SignedIn;
use crate::app::App;
use crate::app::Failure;
use crate::domain::actor::Actor;
use crate::domain::subscriber::network_of;
use crate::domain::user::CeremonyKind;
use crate::domain::user::Stage;
use crate::domain::user::User;
use crate::domain::user::parse_name;
use crate::identity::passkey;
use crate::identity::passkey::PasskeyRefusal;
use crate::identity::passkey::PasskeyRequest;
use crate::identity::passkey::PasskeyUser;
use crate::identity::passkey::Passkeys;
use crate::identity::secret;
use crate::storage::passkeys::NewCeremony;
use crate::storage::passkeys::NewPasskey;
use crate::storage::passkeys::PasskeyRemoved;
use crate::storage::passkeys::UserPasskey;

/// Time for which an authenticator's answer is awaited.
pub const CEREMONY: TimeDelta = TimeDelta::minutes(5);
/// Passkeys of one user.
const PASSKEYS_MAX: i64 = 20;
/// Characters of a credential's hash that name a passkey in forms and commands.
const NAME: usize = 16;

/// Result of adding a passkey.
#[derive(Debug)]
pub enum PasskeyAdded {
    /// It was added.
    Done,
    /// It was added, and completes the sign-in that waited for a second factor.
    In(PendingSignIn),
    /// It is refused, for the reason in words.
    Refused(String),
}

/// Result of a proof by a passkey.
#[derive(Debug)]
pub enum PasskeySignIn {
    /// It was right.
    In(PendingSignIn),
    /// It is refused, for the reason in words.
    Refused(&'static str),
    /// There were too many attempts: how long to wait.
    TooMany(TimeDelta),
}

impl UserPasskey {
    /// The name of the passkey in forms and commands.
    pub fn short_name(&self) -> String {
        secret::sha256(&self.credential)[..NAME].to_owned()
    }
}

impl App {
    /// Passkeys of this desk.
    ///
    /// # Errors
    /// A sentence that says why there are none.
    pub fn passkeys(&self) -> Result<&Passkeys, &str> {
        self.passkeys.as_ref().map_err(String::as_str)
    }

    fn ready_passkeys(&self) -> Result<&Passkeys, Failure> {
        self.passkeys().map_err(Failure::conflict)
    }

    /// Begins to add a passkey; answers the options for the browser.
    pub async fn begin_passkey(&self, who: &SignedIn) -> Result<Value, Failure> {
        let known = self.storage.passkeys(who.user.id).await?;
        let handle = match known.first() {
            Some(passkey) => passkey.handle.clone(),
            None => passkey::new_handle(),
        };
        let ids: Vec<String> = known.into_iter().map(|known| known.credential).collect();
        let user = PasskeyUser {
            handle: &handle,
            account: who.user.email.as_str(),
            name: &who.user.name,
        };
        let mut request = self
            .ready_passkeys()?
            .begin_adding(user, &ids)
            .map_err(broken)?;
        // The handle is kept with the rest, so that the browser cannot bring another.
        request.state = json!({ "handle": handle, "state": request.state }).to_string();
        self.begin_ceremony(CeremonyKind::PasskeyNew, &who.session.token_sha256, request)
            .await
    }

    /// Adds the passkey that an authenticator made.
    pub async fn add_passkey(
        &self,
        who: &SignedIn,
        (ceremony, answer): (&str, &str),
        name: &str,
        visitor: &SignInClient<'_>,
    ) -> Result<PasskeyAdded, Failure> {
        let name = match parse_name(name) {
            Ok(name) => name,
            Err(words) => return Ok(PasskeyAdded::Refused(words)),
        };
        let session = &who.session.token_sha256;
        let Some(state) = self
            .use_ceremony(ceremony, CeremonyKind::PasskeyNew, session)
            .await?
        else {
            return Ok(PasskeyAdded::Refused(LATE.into()));
        };
        let state: Value = serde_json::from_str(&state).unwrap_or_default();
        let text = |key: &str| state[key].as_str().unwrap_or_default().to_owned();
        let made = match self.ready_passkeys()?.finish_adding(answer, &text("state")) {
            Ok(made) => made,
            Err(refusal) => return Ok(PasskeyAdded::Refused(words(refusal).into())),
        };
        if who.user.passkeys >= PASSKEYS_MAX {
            let words =
                format!("You have {PASSKEYS_MAX} passkeys. Remove one that you do not use first.");
            return Ok(PasskeyAdded::Refused(words));
        }
        let new = NewPasskey {
            credential: &made.credential,
            user: who.user.id,
            handle: &text("handle"),
            name: &name,
            key: &made.key,
        };
        let actor = self.actor_of(who);
        if !self.storage.add_passkey(&actor, &new, self.now()).await? {
            return Ok(PasskeyAdded::Refused(
                "That passkey is known here already.".into(),
            ));
        }
        tracing::info!(user = who.user.email.masked(), "passkey added");
        if who.session.stage == Stage::Full {
            return Ok(PasskeyAdded::Done);
        }
        let begun = self
            .begin_session(&who.user, Some(Stage::Full), Some(&who.session), visitor)
            .await?;
        Ok(PasskeyAdded::In(begun))
    }

    /// Begins to ask for a proof; answers the options for the browser. `browser`: the token of the browser, or of the session that has to
    /// be proved anew. The error is how long to wait.
    pub async fn begin_passkey_proof(
        &self,
        browser: &str,
        visitor: &SignInClient<'_>,
    ) -> Result<Result<Value, TimeDelta>, Failure> {
        if let Some(wait) = self.count_ceremony(visitor).await? {
            return Ok(Err(wait));
        }
        let request = self.ready_passkeys()?.begin_proof().map_err(broken)?;
        let browser = secret::sha256(browser);
        self.begin_ceremony(CeremonyKind::PasskeyProof, &browser, request)
            .await
            .map(Ok)
    }

    /// Checks the proof that an authenticator gave, and begins a session. `who`: the session that is signed in, or half-way in, already. One
    /// that is complete must be of the same user.
    pub async fn sign_in_by_passkey(
        &self,
        browser: &str,
        (ceremony, answer): (&str, &str),
        who: Option<&SignedIn>,
        visitor: &SignInClient<'_>,
    ) -> Result<PasskeySignIn, Failure> {
        let Ok(proof) = self.ready_passkeys()?.read_proof(answer) else {
            return Ok(PasskeySignIn::Refused(UNKNOWN));
        };
        let tried = SignInAttempt::Passkey;
        if let Some(wait) = self
            .count_attempt(tried, &proof.credential, visitor)
            .await?
        {
            return Ok(PasskeySignIn::TooMany(wait));
        }
        let browser = secret::sha256(browser);
        let Some(state) = self
            .use_ceremony(ceremony, CeremonyKind::PasskeyProof, &browser)
            .await?
        else {
            return Ok(PasskeySignIn::Refused(LATE));
        };
        let kept = self.storage.passkey(&proof.credential).await?;
        // A credential and a handle that are not of one user prove nothing.
        let Some(kept) = kept.filter(|kept| kept.handle == proof.handle) else {
            return Ok(PasskeySignIn::Refused(UNKNOWN));
        };
        let user = match self.storage.user(kept.user).await? {
            Some(found) if found.user.disabled_at.is_none() => found.user,
            _ => return Ok(PasskeySignIn::Refused(UNKNOWN)),
        };
        let complete = who.filter(|who| who.session.stage == Stage::Full);
        if complete.is_some_and(|who| who.user.id != user.id) {
            return Ok(PasskeySignIn::Refused(OTHER));
        }
        let key = match self
            .ready_passkeys()?
            .check_proof(&proof, &state, &kept.key)
        {
            Ok(key) => key,
            Err(refusal) => {
                tracing::warn!(user = user.email.masked(), %refusal, "a passkey was refused");
                if refusal == PasskeyRefusal::CounterWentBack {
                    let network = Some(network_of(visitor.client));
                    let actor = Actor::user(self.user_name(user.id), network);
                    self.storage
                        .note_refused_passkey(&actor, user.id, self.now())
                        .await?;
                }
                return Ok(PasskeySignIn::Refused(words(refusal)));
            }
        };
        if !self
            .storage
            .use_passkey(&kept.credential, (&kept.key, &key), self.now())
            .await?
        {
            return Ok(PasskeySignIn::Refused(LATE));
        }
        self.forgive_attempts(tried, &kept.credential).await?;
        let instead = who.map(|who| &who.session);
        let begun = self
            .begin_session(&user, Some(Stage::Full), instead, visitor)
            .await?;
        Ok(PasskeySignIn::In(begun))
    }

    /// Gives one's own passkey another name.
    ///
    /// # Errors
    /// A sentence, when the name is refused or there is no such passkey.
    pub async fn rename_passkey(
        &self,
        user: &User,
        passkey: &str,
        name: &str,
    ) -> Result<(), Failure> {
        let name = parse_name(name).map_err(|words| Failure::invalid_field("name", words))?;
        let passkey = self.passkey_named(user, passkey).await?;
        self.storage
            .rename_passkey(user.id, &passkey.credential, &name)
            .await?;
        Ok(())
    }

    /// The passkey of a user that has that short name.
    ///
    /// # Errors
    /// A sentence, when there is none.
    pub async fn passkey_named(&self, user: &User, passkey: &str) -> Result<UserPasskey, Failure> {
        let passkeys = self.storage.passkeys(user.id).await?;
        let found = passkeys
            .into_iter()
            .find(|found| found.short_name() == passkey);
        found.ok_or_else(|| {
            Failure::not_found(format!(
                "There is no such passkey; `verdicts users passkeys {}` lists them.",
                user.email.as_str()
            ))
        })
    }

    /// Removes a passkey, and ends no session. `is_own`: its owner does it, and keeps one where nothing else lets them in.
    ///
    /// # Errors
    /// A sentence, when there is no such passkey or it must stay.
    pub async fn remove_passkey(
        &self,
        actor: &Actor,
        user: &User,
        passkey: &str,
        is_own: bool,
    ) -> Result<(), Failure> {
        let found = self.passkey_named(user, passkey).await?;
        let needs_factor = self.demands_second_factor(user.role) && !user.has_second_factor;
        let keeps_one = is_own && (needs_factor || !(user.has_password || user.identities > 0));
        let removed = self
            .storage
            .remove_passkey(actor, (user.id, &found.credential), keeps_one, self.now())
            .await?;
        match removed {
            PasskeyRemoved::Done => {
                tracing::info!(user = user.email.masked(), "passkey removed");
                Ok(())
            }
            PasskeyRemoved::Unknown => {
                Err(Failure::not_found("There is no such passkey any more."))
            }
            PasskeyRemoved::Last => Err(Failure::conflict(
                "It is the last passkey, and nothing else would let you in. Set up an authenticator app, or add another passkey, first.",
            )),
        }
    }

    /// Keeps a ceremony, and gives the browser what it needs for its part.
    async fn begin_ceremony(
        &self,
        kind: CeremonyKind,
        browser_sha256: &str,
        request: PasskeyRequest,
    ) -> Result<Value, Failure> {
        let id = secret::token();
        let new = NewCeremony {
            id_sha256: &secret::sha256(&id),
            kind,
            browser_sha256,
            state: &request.state,
            expires_at: self.now() + CEREMONY,
        };
        self.storage.begin_ceremony(&new).await?;
        Ok(json!({ "ceremony": id, "publicKey": request.options }))
    }

    pub(super) async fn use_ceremony(
        &self,
        id: &str,
        kind: CeremonyKind,
        browser_sha256: &str,
    ) -> Result<Option<String>, Failure> {
        let id = secret::sha256(id);
        Ok(self
            .storage
            .use_ceremony(&id, kind, browser_sha256, self.now())
            .await?)
    }
}

const LATE: &str = "That took more than five minutes, or was begun in another browser. Try again.";
const UNKNOWN: &str =
    "That passkey is not known here. Sign in another way, then add it under Your account.";
const OTHER: &str = "That passkey is somebody else's.";

fn words(refusal: PasskeyRefusal) -> &'static str {
    match refusal {
        PasskeyRefusal::Wrong => "The answer of your device does not fit. Try again.",
        PasskeyRefusal::NotDiscoverable => {
            "Your device would keep this key only for those who name themselves first, so it cannot sign you in. Use another device, or a password manager."
        }
        PasskeyRefusal::CounterWentBack => {
            "That passkey is refused: its counter went back, so there may be a copy of it. Sign in another way, remove it under Your account, and tell an owner."
        }
        PasskeyRefusal::NotVerified => {
            "Your device did not check who uses it. Set a PIN, a fingerprint or a face on it, and try again."
        }
    }
}

/// No fault of whoever asks.
fn broken(refusal: PasskeyRefusal) -> Failure {
    Failure::internal(format!("A passkey could not be asked for: {refusal}."))
}
