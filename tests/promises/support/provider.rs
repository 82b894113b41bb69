//! A provider of OpenID Connect for one person, who is always there. It answers rightly, but for what a test has it do wrong.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair;
use axum::Form;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::KeyInit;
use hmac::Mac;
use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;
use url::Url;

/// A secret that is not the same when it is form-encoded (RFC 6749, 2.3.1).
pub const SECRET: &str = "a secret: 100% + more/ü";
pub const CLIENT: &str = "desk";

/// Signature of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    Rightly,
    /// By a key that goes by the name of the right one.
    ByAnotherKey,
    /// `alg: none`
    AlgNone,
    /// With its signature cut off.
    NotAtAll,
    /// By HMAC, with the client's secret.
    BySecret,
}

/// Answers and behaviour of the provider.
pub struct Says {
    key: EcdsaKeyPair,
    key_name: String,
    issuer: String,
    codes: HashMap<String, (Url, i64)>,
    pub subject: String,
    /// Claims of userinfo beside the subject.
    pub info: Value,
    /// Claims that stand in the place of those of the ID token; null takes one out.
    pub claims: Value,
    /// Fields that stand in the place of those of the discovery document.
    pub document: Value,
    pub info_subject: Option<String>,
    pub signed: Signed,
    pub is_down: bool,
    pub has_token: bool,
    pub fetched: usize,
}

/// A running provider.
pub struct TestProvider {
    pub issuer: String,
    says: Arc<Mutex<Says>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for TestProvider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

type Shared = Arc<Mutex<Says>>;

fn new_key() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key")
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Puts fields in the place of others; null takes one out.
fn overwrite(document: &mut Value, fields: &Value) {
    for (name, value) in fields.as_object().into_iter().flatten() {
        match value.is_null() {
            true => drop(document.as_object_mut().expect("an object").remove(name)),
            false => document[name] = value.clone(),
        }
    }
}

impl TestProvider {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let says = Arc::new(Mutex::new(Says {
            key: new_key(),
            key_name: "one".into(),
            issuer: issuer.clone(),
            codes: HashMap::new(),
            subject: "248289761001".into(),
            info: json!({ "email": "ada@desk.example", "email_verified": true, "name": "Ada L." }),
            claims: json!({}),
            document: json!({}),
            info_subject: None,
            signed: Signed::Rightly,
            is_down: false,
            has_token: true,
            fetched: 0,
        }));
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/me", get(userinfo))
            .with_state(says.clone());
        let serving =
            tokio::spawn(async move { axum::serve(listener, app).await.expect("served") });
        Self {
            issuer,
            says,
            serving,
        }
    }

    /// Has it say or do something else.
    pub fn set(&self, change: impl FnOnce(&mut Says)) {
        change(&mut self.says.lock().expect("no panic"));
    }

    pub fn fetched(&self) -> usize {
        self.says.lock().expect("no panic").fetched
    }

    /// Signs with another key from now on.
    pub fn rotate_key(&self) {
        self.set(|says| (says.key, says.key_name) = (new_key(), format!("{}+", says.key_name)));
    }

    /// Signs the person in at the address to which the desk sent their browser; answers where the browser comes back to.
    pub fn sign_in(&self, asked: &Url, now: i64) -> String {
        let query: HashMap<_, _> = asked.query_pairs().into_owned().collect();
        assert!(asked.as_str().starts_with(&self.issuer), "{asked}");
        assert_eq!(
            (
                query["response_type"].as_str(),
                query["code_challenge_method"].as_str()
            ),
            ("code", "S256"),
            "{asked}"
        );
        assert_eq!(query["client_id"], CLIENT);
        assert!(
            query["scope"].split(' ').any(|scope| scope == "openid"),
            "{asked}"
        );
        let code = encoded(rand::random::<[u8; 16]>());
        self.set(|says| drop(says.codes.insert(code.clone(), (asked.clone(), now))));
        let back = Url::parse(&query["redirect_uri"]).expect("an address");
        format!("{}?code={code}&state={}", back.path(), query["state"])
    }
}

async fn discovery(State(says): State<Shared>) -> Response {
    let mut says = says.lock().expect("no panic");
    says.fetched += 1;
    if says.is_down {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let issuer = &says.issuer;
    let mut document = json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"), "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/me"), "jwks_uri": format!("{issuer}/keys"), "response_types_supported": ["code"],
        "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
    });
    overwrite(&mut document, &says.document);
    Json(document).into_response()
}

async fn keys(State(says): State<Shared>) -> Response {
    let says = says.lock().expect("no panic");
    let point = says.key.public_key().as_ref();
    let key = json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": says.key_name, "x": encoded(&point[1..33]), "y": encoded(&point[33..65]) });
    Json(json!({ "keys": [key] })).into_response()
}

fn refused(status: StatusCode, code: &str) -> Response {
    (status, Json(json!({ "error": code }))).into_response()
}

/// Returns true if a client proved by `client_secret_basic` who it is.
fn is_client(headers: &HeaderMap) -> bool {
    let told = headers
        .get("authorization")
        .and_then(|told| told.to_str().ok());
    let bytes = told.and_then(|told| STANDARD.decode(told.strip_prefix("Basic ")?).ok());
    let text = bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default();
    let Some((id, secret)) = text.split_once(':') else {
        return false;
    };
    let decoded = |text: &str| {
        let pair = format!("x={text}");
        let (_, value) = url::form_urlencoded::parse(pair.as_bytes())
            .next()
            .expect("a pair");
        value.into_owned()
    };
    (decoded(id), decoded(secret)) == (CLIENT.to_owned(), SECRET.to_owned())
}

async fn token(
    State(says): State<Shared>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let mut says = says.lock().expect("no panic");
    let is_in_form = (
        form.get("client_id").map(String::as_str),
        form.get("client_secret").map(String::as_str),
    ) == (Some(CLIENT), Some(SECRET));
    if !is_client(&headers) && !is_in_form {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    // Once.
    let Some((asked, now)) = says.codes.remove(&form["code"]) else {
        return refused(StatusCode::BAD_REQUEST, "invalid_grant");
    };
    let query: HashMap<_, _> = asked.query_pairs().into_owned().collect();
    let challenge = encoded(Sha256::digest(form["code_verifier"].as_bytes()));
    if challenge != query["code_challenge"] || form["redirect_uri"] != query["redirect_uri"] {
        return refused(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    let mut claims = json!({ "iss": says.issuer, "sub": says.subject, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": query["nonce"] });
    overwrite(&mut claims, &says.claims);
    let algorithm = match says.signed {
        Signed::AlgNone => "none",
        Signed::BySecret => "HS256",
        _ => "ES256",
    };
    let header = json!({ "alg": algorithm, "kid": says.key_name, "typ": "JWT" });
    let text = format!(
        "{}.{}",
        encoded(header.to_string()),
        encoded(claims.to_string())
    );
    let by = |key: &EcdsaKeyPair| {
        encoded(
            key.sign(&SystemRandom::new(), text.as_bytes())
                .expect("signed")
                .as_ref(),
        )
    };
    let signature = match says.signed {
        Signed::Rightly => by(&says.key),
        Signed::ByAnotherKey => by(&new_key()),
        Signed::AlgNone | Signed::NotAtAll => String::new(),
        Signed::BySecret => {
            let mut mac = hmac::Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
            mac.update(text.as_bytes());
            encoded(mac.finalize().into_bytes())
        }
    };
    let mut answer = json!({ "access_token": "opaque", "token_type": "Bearer", "expires_in": 300, "id_token": format!("{text}.{signature}") });
    if !says.has_token {
        overwrite(&mut answer, &json!({ "id_token": null }));
    }
    Json(answer).into_response()
}

async fn userinfo(State(says): State<Shared>, headers: HeaderMap) -> Response {
    let says = says.lock().expect("no panic");
    if headers
        .get("authorization")
        .is_none_or(|told| told != "Bearer opaque")
    {
        return refused(StatusCode::UNAUTHORIZED, "invalid_token");
    }
    let mut info = json!({ "sub": says.info_subject.as_ref().unwrap_or(&says.subject) });
    overwrite(&mut info, &says.info);
    Json(info).into_response()
}
