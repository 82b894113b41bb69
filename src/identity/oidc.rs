//! OpenID Connect: code flow with PKCE, state and nonce, by crate openidconnect. The network is the caller's.
//!
//! Beside what the crate checks (signature, issuer, audience, nonce, expiry) this looks at `azp`, `at_hash`, `iat` and `nbf`, and takes no
//! algorithm with a shared secret, whatever the provider's document names.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use openidconnect::AccessTokenHash;
use openidconnect::AsyncHttpClient;
use openidconnect::AuthType;
use openidconnect::AuthenticationFlow;
use openidconnect::AuthorizationCode;
use openidconnect::ClientId;
use openidconnect::ClientSecret;
use openidconnect::CsrfToken;
use openidconnect::EndpointMaybeSet;
use openidconnect::EndpointNotSet;
use openidconnect::EndpointSet;
use openidconnect::HttpRequest;
use openidconnect::HttpResponse;
use openidconnect::IssuerUrl;
use openidconnect::Nonce;
use openidconnect::OAuth2TokenResponse;
use openidconnect::PkceCodeChallenge;
use openidconnect::PkceCodeVerifier;
use openidconnect::RedirectUrl;
use openidconnect::RequestTokenError;
use openidconnect::Scope;
use openidconnect::SubjectIdentifier;
use openidconnect::TokenResponse;
use openidconnect::UserInfoClaims;
use openidconnect::core::CoreAuthPrompt;
use openidconnect::core::CoreClient;
use openidconnect::core::CoreGenderClaim;
use openidconnect::core::CoreJwsSigningAlgorithm;
use openidconnect::core::CoreProviderMetadata;
use openidconnect::core::CoreResponseType;
use openidconnect::core::CoreTokenResponse;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use url::Url;

use super::oidc_fault::NetworkFault;
use super::oidc_fault::OidcFault;
use super::oidc_fault::code_of;
use super::oidc_fault::unusable;
use crate::domain::Timestamp;

/// Difference between two clocks that is let pass.
const SKEW: TimeDelta = TimeDelta::minutes(1);
/// Longest subject (OpenID Connect Core, 2).
const SUBJECT_MAX: usize = 255;
/// Age of a sign-in that is asked for where it must be fresh, in seconds: zero sends some providers round in circles.
const FRESH: u64 = 60;

/// Algorithms with a key pair: nobody who knows the client's secret can sign.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

type OidcClient = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// An answer of the network.
pub type Answering = Pin<Box<dyn Future<Output = Result<HttpResponse, NetworkFault>> + Send>>;

/// The caller's network.
#[derive(Clone)]
pub struct Network(Arc<dyn Fn(HttpRequest) -> Answering + Send + Sync>);

impl Network {
    /// One that asks by `send`.
    pub fn new(send: impl Fn(HttpRequest) -> Answering + Send + Sync + 'static) -> Self {
        Self(Arc::new(send))
    }
}

impl AsyncHttpClient<'_> for Network {
    type Error = NetworkFault;
    type Future = Answering;

    fn call(&self, request: HttpRequest) -> Answering {
        (self.0)(request)
    }
}

/// This service as a provider knows it.
#[derive(Clone)]
pub struct ClientIdentity {
    /// Client id.
    pub id: String,
    /// Secret, unless the client is public.
    pub secret: Option<String>,
    /// True if the secret is sent in the form, and not in the header.
    pub is_secret_in_form: bool,
    /// Address to which the browser comes back.
    pub redirect: Url,
}

/// A provider as its discovery document describes it, with its keys.
pub struct OidcProvider(CoreProviderMetadata);

/// Request that a browser takes to a provider.
pub struct OidcRequest {
    /// Address that the browser goes to.
    pub url: Url,
    /// Values that the answer is checked against; they stay here.
    pub secrets: OidcSecrets,
}

/// Values that the answer of a provider is checked against.
#[derive(Clone, Serialize, Deserialize)]
pub struct OidcSecrets {
    nonce: String,
    verifier: String,
}

/// Tokens of a provider, not checked yet.
pub struct OidcTokens(CoreTokenResponse);

/// Person for whom a provider vouches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcPerson {
    /// Issuer.
    pub issuer: String,
    /// Name of the person there, which never changes.
    pub subject: String,
    /// Address.
    pub email: Option<String>,
    /// True if the provider says that the address is theirs.
    pub is_email_verified: bool,
    /// Name.
    pub name: Option<String>,
    /// Values of the claim that was asked for.
    pub groups: Vec<String>,
    /// Time at which they last proved to the provider who they are.
    pub signed_in_at: Option<Timestamp>,
}

/// Every claim there is beside the standard ones.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct OtherClaims {
    #[serde(flatten)]
    all: Map<String, Value>,
}

impl openidconnect::AdditionalClaims for OtherClaims {}

impl OidcProvider {
    /// Reads the discovery document of an issuer, and its keys.
    pub async fn discover(issuer: &str, network: &Network) -> Result<Self, OidcFault> {
        let issuer = IssuerUrl::new(issuer.to_owned()).map_err(unusable)?;
        Ok(Self(
            CoreProviderMetadata::discover_async(issuer, network).await?,
        ))
    }

    fn client(&self, us: &ClientIdentity) -> OidcClient {
        let secret = us.secret.clone().map(ClientSecret::new);
        let client = CoreClient::from_provider_metadata(
            self.0.clone(),
            ClientId::new(us.id.clone()),
            secret,
        );
        let auth = match us.is_secret_in_form {
            true => AuthType::RequestBody,
            false => AuthType::BasicAuth,
        };
        client
            .set_auth_type(auth)
            .set_redirect_uri(RedirectUrl::from_url(us.redirect.clone()))
    }

    /// Begins a sign-in. `state`: the token by which its answer is known again; `is_fresh`: the person has to prove anew who they are.
    pub fn begin(
        &self,
        us: &ClientIdentity,
        scopes: &[String],
        state: &str,
        is_fresh: bool,
    ) -> OidcRequest {
        let client = self.client(us);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let state = state.to_owned();
        let mut request = client
            .authorize_url(
                AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
                move || CsrfToken::new(state.clone()),
                Nonce::new_random,
            )
            .add_scopes(scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(challenge);
        if is_fresh {
            request = request
                .add_prompt(CoreAuthPrompt::Login)
                .set_max_age(std::time::Duration::from_secs(FRESH));
        }
        let (url, _, nonce) = request.url();
        OidcRequest {
            url,
            secrets: OidcSecrets {
                nonce: nonce.secret().clone(),
                verifier: verifier.into_secret(),
            },
        }
    }

    /// Exchanges a code for tokens.
    pub async fn exchange(
        &self,
        us: &ClientIdentity,
        code: &str,
        secrets: &OidcSecrets,
        network: &Network,
    ) -> Result<OidcTokens, OidcFault> {
        let client = self.client(us);
        let request = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(unusable)?
            .set_pkce_verifier(PkceCodeVerifier::new(secrets.verifier.clone()));
        let answer = request.request_async(network).await;
        answer.map(OidcTokens).map_err(|error| match error {
            RequestTokenError::Request(fault) => OidcFault::Unreachable(fault.to_string()),
            RequestTokenError::ServerResponse(error) => {
                OidcFault::Refused(code_of(error.error().as_ref()))
            }
            // The answer has the tokens in it: not a word of it.
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                OidcFault::Unusable("the answer of its token endpoint cannot be read".into())
            }
        })
    }

    /// Checks tokens, and asks the provider for what it says of their person. `claim`: the one whose values are wanted.
    pub async fn check(
        &self,
        us: &ClientIdentity,
        tokens: &OidcTokens,
        secrets: &OidcSecrets,
        (claim, now): (Option<&str>, Timestamp),
        network: &Network,
    ) -> Result<OidcPerson, OidcFault> {
        let client = self.client(us);
        let untrusted = |words: &str| OidcFault::Untrusted(words.into());
        let token = tokens
            .0
            .id_token()
            .ok_or_else(|| untrusted("there is no ID token"))?;
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || now - SKEW)
            .set_issue_time_verifier_fn(move |issued| match issued <= now + SKEW {
                true => Ok(()),
                false => Err("it is of the future".into()),
            });
        let nonce = Nonce::new(secrets.nonce.clone());
        let claims = token.claims(&verifier, &nonce)?;
        let party = claims.authorized_party();
        if party.is_some_and(|party| party.as_str() != us.id) {
            return Err(untrusted("it was made for another client"));
        }
        if let Some(hash) = claims.access_token_hash()
            && let (Ok(algorithm), Ok(key)) = (token.signing_alg(), token.signing_key(&verifier))
            && let Ok(own) = AccessTokenHash::from_token(tokens.0.access_token(), algorithm, key)
            && own != *hash
        {
            return Err(untrusted("the access token is not its own"));
        }
        // Checked above, so that its text may be read.
        let told = payload(&token.to_string());
        let not_before = told.get("nbf").and_then(Value::as_i64).unwrap_or_default();
        if not_before > (now + SKEW).timestamp() {
            return Err(untrusted("it is of the future"));
        }
        let subject = claims.subject().clone();
        if subject.is_empty() || subject.len() > SUBJECT_MAX {
            return Err(untrusted("its subject is empty or too long"));
        }
        let info = userinfo(&client, tokens, &subject, network).await?;
        // An address and whether it is verified are of one document, never of two.
        let about = match told.get("email") {
            Some(_) => &told,
            None => &info,
        };
        let text = |from: &Value, key: &str| from[key].as_str().map(String::from);
        let groups = claim.map(|claim| {
            let groups = values(&told, claim);
            if groups.is_empty() {
                values(&info, claim)
            } else {
                groups
            }
        });
        Ok(OidcPerson {
            issuer: self.0.issuer().to_string(),
            subject: subject.to_string(),
            email: text(about, "email"),
            is_email_verified: matches!(&about["email_verified"], Value::Bool(true))
                || about["email_verified"] == "true",
            name: text(&info, "name").or_else(|| text(&told, "name")),
            groups: groups.unwrap_or_default(),
            signed_in_at: claims.auth_time(),
        })
    }

    /// Address of the page on which people sign in.
    pub fn authorization_url(&self) -> &Url {
        self.0.authorization_endpoint().url()
    }
}

/// Further claims of the provider about a person, that one and no other; null if it has no endpoint for them.
async fn userinfo(
    client: &OidcClient,
    tokens: &OidcTokens,
    subject: &SubjectIdentifier,
    network: &Network,
) -> Result<Value, OidcFault> {
    let access = tokens.0.access_token().clone();
    let Ok(request) = client.user_info(access, Some(subject.clone())) else {
        return Ok(Value::Null);
    };
    let answer: Result<UserInfoClaims<OtherClaims, CoreGenderClaim>, _> =
        request.request_async(network).await;
    let info = answer.map_err(|_| {
        OidcFault::Unusable("its userinfo endpoint gave no answer about that person".into())
    })?;
    serde_json::to_value(&info).map_err(unusable)
}

/// The claims of a token whose signature was checked.
fn payload(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(part.trim_end_matches('='));
    let read = bytes
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    read.unwrap_or_default()
}

/// The texts of a claim: one, or a list of them. A name with dots is looked for as it is, and then as a path.
fn values(from: &Value, claim: &str) -> Vec<String> {
    let path = claim
        .split('.')
        .try_fold(from, |value, part| value.get(part));
    match from.get(claim).or(path) {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => {
            let texts = list.iter().filter_map(Value::as_str);
            texts.map(String::from).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_is_found_by_name_and_by_path() {
        let claims = json!({
            "groups": ["a", "b", 3], "role": "a", "realm_access": { "roles": ["c"] }, "https://x.example/roles": ["d"], "n": 1,
        });
        for (claim, expected) in [
            ("groups", vec!["a", "b"]),
            ("role", vec!["a"]),
            ("realm_access.roles", vec!["c"]),
            ("https://x.example/roles", vec!["d"]),
            ("n", vec![]),
            ("nothing", vec![]),
            ("groups.x", vec![]),
        ] {
            assert_eq!(values(&claims, claim), expected, "{claim}");
        }
    }
}
