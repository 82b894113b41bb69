//! Passkeys: discoverable WebAuthn credentials with user verification (W3C, Web Authentication level 3), by crate webauthn-rs.
//!
//! The crate checks challenge, origin, signature, user verification and counter. That a credential and a user handle belong to one user, that a
//! challenge is used once and in time, and that a credential id is new, is for the tables.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::json;
use url::Host;
use url::Url;
use webauthn_rs::Webauthn;
use webauthn_rs::WebauthnBuilder;
use webauthn_rs::prelude::DiscoverableAuthentication;
use webauthn_rs::prelude::Passkey;
use webauthn_rs::prelude::PasskeyRegistration;
use webauthn_rs::prelude::PublicKeyCredential;
use webauthn_rs::prelude::RegisterPublicKeyCredential;
use webauthn_rs::prelude::Uuid;
use webauthn_rs::prelude::WebauthnError;

/// Largest answer of an authenticator that is read, in bytes. Without attestation it has about two thousand.
const ANSWER_MAX: usize = 16 << 10;
/// Longest credential id, in bytes (WebAuthn, 4 and 7.1).
const ID_MAX: usize = 1_023;

/// Ceremonies for one site.
#[derive(Debug)]
pub struct Passkeys {
    webauthn: Webauthn,
    origin: String,
    is_loopback_name: bool,
}

/// User as authenticators know them.
#[derive(Debug, Clone, Copy)]
pub struct PasskeyUser<'a> {
    /// Their handle, from [`new_handle`].
    pub handle: &'a str,
    /// Name to tell accounts apart: the address.
    pub account: &'a str,
    /// Name of the person.
    pub name: &'a str,
}

/// A ceremony that begins.
#[derive(Debug)]
pub struct PasskeyRequest {
    /// Options for the browser.
    pub options: Value,
    /// State that the answer is checked against; it stays here.
    pub state: String,
}

/// A passkey that was made.
#[derive(Debug)]
pub struct MadePasskey {
    /// Credential id, in base64url.
    pub credential: String,
    /// The public key with its counter, as JSON.
    pub key: String,
}

/// A proof of an authenticator that is not checked yet.
#[derive(Debug)]
pub struct PasskeyProof {
    answer: PublicKeyCredential,
    /// Credential id, in base64url.
    pub credential: String,
    /// Handle of the user whom it claims to be of.
    pub handle: String,
}

/// Reason why an answer of an authenticator is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyRefusal {
    /// It cannot be read, or does not match what was asked.
    #[error("the answer does not match what was asked")]
    Wrong,
    /// The authenticator keeps the key only for those who name it.
    #[error("the key cannot be found without a name")]
    NotDiscoverable,
    /// Its counter did not go up: there may be a copy of the key.
    #[error("the counter went back")]
    CounterWentBack,
    /// The authenticator did not ask who uses it.
    #[error("nobody was verified")]
    NotVerified,
}

impl From<WebauthnError> for PasskeyRefusal {
    fn from(error: WebauthnError) -> Self {
        match error {
            WebauthnError::CredentialPossibleCompromise => Self::CounterWentBack,
            WebauthnError::UserNotVerified => Self::NotVerified,
            _ => Self::Wrong,
        }
    }
}

/// A random name for a user, which tells nothing about them.
pub fn new_handle() -> String {
    Uuid::new_v4().to_string()
}

/// Reads an answer of an authenticator, of bounded size.
fn read<T: DeserializeOwned>(answer: &str) -> Result<T, PasskeyRefusal> {
    if answer.len() > ANSWER_MAX {
        return Err(PasskeyRefusal::Wrong);
    }
    serde_json::from_str(answer).map_err(|_| PasskeyRefusal::Wrong)
}

fn written(value: &impl Serialize) -> Result<String, PasskeyRefusal> {
    serde_json::to_string(value).map_err(|_| PasskeyRefusal::Wrong)
}

impl Passkeys {
    /// Passkeys of the site that browsers ask at `url`: the name of its host is what they are bound to. An IP address is no name (WebAuthn, 5.1.3), so for
    /// one of this machine they are bound to `localhost`.
    ///
    /// # Errors
    /// A sentence that says why there are none, and what to do.
    pub fn new(url: &Url, site: &str) -> Result<Self, String> {
        let mut origin = url.clone();
        let is_loopback = match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            _ => false,
        };
        if is_loopback && origin.set_host(Some("localhost")).is_err() {
            return Err(format!("Passkeys are off: {url} has no host."));
        }
        let host = match origin.host() {
            Some(Host::Domain(host)) => host.to_owned(),
            _ => {
                return Err(format!(
                    "Passkeys are off: they are bound to a name, and {} is an IP address. Set desk.base_url to an https address with a name.",
                    url.as_str().trim_end_matches('/')
                ));
            }
        };
        let is_local = host == "localhost" || host.ends_with(".localhost");
        if origin.scheme() != "https" && !is_local {
            return Err(format!(
                "Passkeys are off: browsers offer them by https alone, and the desk is at {}. Set desk.base_url to its https address.",
                url.as_str().trim_end_matches('/')
            ));
        }
        let builder = WebauthnBuilder::new(&host, &origin);
        let webauthn = builder.and_then(|builder| builder.rp_name(site).build());
        let webauthn = webauthn.map_err(|error| format!("Passkeys are off: {error}."))?;
        Ok(Self {
            webauthn,
            origin: origin.as_str().trim_end_matches('/').to_owned(),
            is_loopback_name: is_loopback,
        })
    }

    /// Address at which browsers offer them, if it is not the one that the settings name.
    pub fn other_origin(&self) -> Option<&str> {
        self.is_loopback_name.then_some(self.origin.as_str())
    }

    /// Begins to add a passkey. `known`: credential ids that the user has already, in base64url.
    pub fn begin_adding(
        &self,
        user: PasskeyUser<'_>,
        known: &[String],
    ) -> Result<PasskeyRequest, PasskeyRefusal> {
        let handle = Uuid::parse_str(user.handle).map_err(|_| PasskeyRefusal::Wrong)?;
        let known = known
            .iter()
            .filter_map(|id| URL_SAFE_NO_PAD.decode(id).ok());
        let (options, state) = self.webauthn.start_passkey_registration(
            handle,
            user.account,
            user.name,
            Some(known.collect()),
        )?;
        let mut options =
            serde_json::to_value(&options.public_key).map_err(|_| PasskeyRefusal::Wrong)?;
        // The crate asks for "discouraged", and an authenticator that obeys keeps no key that signs in without a name.
        options["authenticatorSelection"]["residentKey"] = json!("required");
        options["authenticatorSelection"]["requireResidentKey"] = json!(true);
        Ok(PasskeyRequest {
            options,
            state: written(&state)?,
        })
    }

    /// Checks the answer to [`Passkeys::begin_adding`].
    pub fn finish_adding(&self, answer: &str, state: &str) -> Result<MadePasskey, PasskeyRefusal> {
        let answer: RegisterPublicKeyCredential = read(answer)?;
        let state: PasskeyRegistration = read(state)?;
        let is_kept = answer
            .extensions
            .cred_props
            .as_ref()
            .and_then(|props| props.rk);
        if is_kept == Some(false) {
            return Err(PasskeyRefusal::NotDiscoverable);
        }
        let passkey = self.webauthn.finish_passkey_registration(&answer, &state)?;
        if passkey.cred_id().len() > ID_MAX {
            return Err(PasskeyRefusal::Wrong);
        }
        Ok(MadePasskey {
            credential: URL_SAFE_NO_PAD.encode(passkey.cred_id()),
            key: written(&passkey)?,
        })
    }

    /// Begins to ask for a proof, of whichever passkey the user picks.
    pub fn begin_proof(&self) -> Result<PasskeyRequest, PasskeyRefusal> {
        // Not `start_discoverable_authentication`: its state refuses a key that became part of a backup since it was added.
        let (options, state) = self.webauthn.start_passkey_authentication(&[])?;
        Ok(PasskeyRequest {
            options: serde_json::to_value(&options.public_key)
                .map_err(|_| PasskeyRefusal::Wrong)?,
            state: written(&state)?,
        })
    }

    /// Reads whose proof an answer is. It is not checked.
    pub fn read_proof(&self, answer: &str) -> Result<PasskeyProof, PasskeyRefusal> {
        let answer: PublicKeyCredential = read(answer)?;
        let (handle, id) = self
            .webauthn
            .identify_discoverable_authentication(&answer)?;
        Ok(PasskeyProof {
            credential: URL_SAFE_NO_PAD.encode(id),
            handle: handle.to_string(),
            answer,
        })
    }

    /// Checks a proof against the passkey that it is of, and gives the key to keep from then on.
    pub fn check_proof(
        &self,
        proof: &PasskeyProof,
        state: &str,
        kept: &str,
    ) -> Result<String, PasskeyRefusal> {
        // The same shape: `PasskeyAuthentication` alone has no way to be given the key afterwards.
        let state: DiscoverableAuthentication = read(state)?;
        let mut passkey: Passkey = read(kept)?;
        let result =
            self.webauthn
                .finish_discoverable_authentication_v2(&proof.answer, state, &passkey)?;
        if !result.user_verified() {
            return Err(PasskeyRefusal::NotVerified);
        }
        match passkey.update_credential(&result) {
            Some(true) => written(&passkey),
            // Byte for byte, so that the row is found by it.
            Some(false) => Ok(kept.to_owned()),
            None => Err(PasskeyRefusal::Wrong),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Result<Passkeys, String> {
        Passkeys::new(&Url::parse(url).expect("an address"), "Verdicts")
    }

    #[test]
    fn passkeys_are_bound_to_a_name_that_browsers_trust() {
        for (url, rp_id, other) in [
            ("https://desk.example.org", "desk.example.org", None),
            ("https://desk.example.org:8443", "desk.example.org", None),
            ("http://localhost:8080", "localhost", None),
            ("http://desk.localhost:8080", "desk.localhost", None),
            (
                "http://127.0.0.1:8080",
                "localhost",
                Some("http://localhost:8080"),
            ),
            (
                "http://[::1]:8080",
                "localhost",
                Some("http://localhost:8080"),
            ),
        ] {
            let passkeys = at(url).expect(url);
            assert_eq!(passkeys.other_origin(), other, "{url}");
            let request = passkeys.begin_proof().expect("a request");
            assert_eq!(request.options["rpId"], rp_id, "{url}");
            assert_eq!(request.options["userVerification"], "required");
        }
        for (url, why) in [
            ("http://desk.example.org", "https"),
            ("https://192.0.2.1", "IP address"),
            ("http://[2001:db8::1]:8080", "IP address"),
        ] {
            let words = at(url).expect_err(url);
            assert!(
                words.contains(why) && words.contains("desk.base_url"),
                "{words}"
            );
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let passkeys = at("https://desk.example.org").expect("passkeys");
        let user = PasskeyUser {
            handle: &new_handle(),
            account: "ada@desk.example",
            name: "Ada",
        };
        let request = passkeys
            .begin_adding(user, &["AAAA".into()])
            .expect("a request");
        assert_eq!(
            request.options["authenticatorSelection"]["residentKey"],
            "required"
        );
        assert_eq!(request.options["excludeCredentials"][0]["id"], "AAAA");
        for answer in ["", "{}", "[]", "null", &"x".repeat(ANSWER_MAX + 1)] {
            assert!(passkeys.finish_adding(answer, &request.state).is_err());
            assert!(passkeys.read_proof(answer).is_err());
        }
    }
}
