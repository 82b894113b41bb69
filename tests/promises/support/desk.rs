//! A browser at the desk: it keeps its cookie, says where a form stood, and follows nothing by itself.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::Method;
use reqwest::Response;
use reqwest::StatusCode;
use verdicts::domain::actor::Actor;
use verdicts::domain::user::Role;

use super::TestApp;

pub const PASSWORD: &str = "violet tram eats ledger";

/// Names of the cookie of a session, by http and by https.
const SESSION: [&str; 2] = ["desk", "__Host-desk"];

/// A browser with its cookies.
pub struct Browser<'a> {
    pub test_app: &'a TestApp,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl<'a> Browser<'a> {
    pub fn at(test_app: &'a TestApp) -> Self {
        Self {
            test_app,
            cookies: Mutex::default(),
        }
    }

    /// A browser where a new user of that role is signed in; it takes `desk.second_factor = "off"`.
    pub async fn of(test_app: &'a TestApp, role: Role) -> Self {
        let email = format!("{role}@desk.example");
        add(test_app, &email, role).await;
        let browser = Self::at(test_app);
        let answer = browser.sign_in(&email, PASSWORD).await;
        assert_eq!(goal(&answer), "/desk", "{email}");
        browser
    }

    fn session(&self) -> Option<(String, String)> {
        let cookies = self.cookies.lock().expect("no panic");
        let mut cookies = cookies.iter();
        cookies
            .find(|(name, _)| SESSION.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
    }

    /// The value of the session's cookie.
    pub fn token(&self) -> Option<String> {
        self.session().map(|(_, value)| value)
    }

    /// The name and value of the session's cookie.
    pub fn cookie(&self) -> (String, String) {
        self.session().expect("signed in")
    }

    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
        referer: &str,
    ) -> Response {
        let is_post = method == Method::POST;
        let mut request = self.test_app.request(method, path);
        if is_post {
            request = request
                .header("origin", &self.test_app.url)
                .header("referer", format!("{}{referer}", self.test_app.url))
                .form(fields);
        }
        let cookies = self.cookies.lock().expect("no panic").clone();
        if !cookies.is_empty() {
            let pairs: Vec<_> = cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request = request.header("cookie", pairs.join("; "));
        }
        let answer = request.send().await.expect("an answer");
        for set in answer.headers().get_all("set-cookie") {
            let text = set.to_str().expect("text");
            let (name, rest) = text.split_once('=').expect("a cookie");
            let value = rest.split(';').next().unwrap_or_default();
            let mut cookies = self.cookies.lock().expect("no panic");
            match value.is_empty() {
                true => cookies.remove(name),
                false => cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }

    pub async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path, &[], "").await
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        self.ask(Method::POST, path, fields, "/desk").await
    }

    /// A page that is there.
    pub async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(
            answer.status(),
            StatusCode::OK,
            "GET {path}: {:?}",
            answer.headers().get("location")
        );
        answer.text().await.expect("a page")
    }

    /// Presses a button, and gives the page that it leads to.
    pub async fn press(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.post(path, fields).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "POST {path}");
        self.page(&goal(&answer)).await
    }

    pub async fn sign_in(&self, email: &str, password: &str) -> Response {
        self.post("/desk/sign-in", &[("email", email), ("password", password)])
            .await
    }
}

/// Adds a user with [`PASSWORD`].
pub async fn add(test_app: &TestApp, email: &str, role: Role) {
    let email = email.parse_address();
    test_app
        .app
        .add_user(&Actor::cli(), &email, None, role, Some(PASSWORD))
        .await
        .expect("added");
}

/// Where an answer leads to.
pub fn goal(answer: &Response) -> String {
    assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{answer:?}");
    answer.headers()["location"]
        .to_str()
        .expect("text")
        .to_owned()
}

/// The code of an authenticator app for a key as the page shows it, by the service's clock.
pub fn code(test_app: &TestApp, key: &str) -> String {
    let key: String = key.chars().filter(|c| !c.is_whitespace()).collect();
    let bytes = data_encoding::BASE32_NOPAD
        .decode(key.as_bytes())
        .expect("base32");
    let totp = totp_rs::Builder::new()
        .with_secret(totp_rs::Secret::new_stack(
            bytes.try_into().expect("20 bytes"),
        ))
        .build()
        .expect("a key");
    totp.generate(test_app.app.now().timestamp() as u64)
        .to_string()
}

trait ParseAddress {
    fn parse_address(&self) -> verdicts::domain::address::EmailAddress;
}

impl ParseAddress for str {
    fn parse_address(&self) -> verdicts::domain::address::EmailAddress {
        verdicts::domain::address::EmailAddress::parse(self).expect("an address")
    }
}
