//! A program that uses the API with a token.

use reqwest::Method;
use reqwest::RequestBuilder;
use reqwest::Response;
use reqwest::StatusCode;
use serde_json::Value;
use verdicts::app::tokens::TokenLife;
use verdicts::app::tokens::TokenRequest;
use verdicts::domain::actor::Actor;
use verdicts::domain::api_token::Scopes;
use verdicts::domain::user::Role;
use verdicts::domain::user::User;

use super::TestApp;
use super::desk;

/// Where the API begins.
pub const BASE: &str = "/api/v1";

/// A program with its token.
pub struct ApiClient<'a> {
    pub test_app: &'a TestApp,
    /// The token's text.
    pub token: String,
    /// The token's public part.
    pub id: String,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answered {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answered {
    pub async fn read(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self {
            status,
            headers,
            body,
        }
    }

    /// A header as text; empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    /// The code of a problem document, which it must be.
    pub fn code(&self) -> &str {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        assert_eq!(self.body["instance"], self.header("x-request-id"));
        self.body["code"].as_str().expect("a code")
    }

    /// Pointers and codes of the places at fault.
    pub fn faults(&self) -> Vec<(&str, &str)> {
        self.body["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|fault| {
                (
                    fault["pointer"].as_str().expect("a pointer"),
                    fault["code"].as_str().expect("a code"),
                )
            })
            .collect()
    }
}

/// A user of that role, who is added if there is none.
pub async fn user(test_app: &TestApp, role: Role) -> User {
    let email = format!("{role}@desk.example");
    let address = email.parse().expect("an address");
    if test_app.app.user_named(&address).await.is_err() {
        desk::add(test_app, &email, role).await;
    }
    test_app.app.user_named(&address).await.expect("a user")
}

impl<'a> ApiClient<'a> {
    /// A program with a token of an owner that has every scope.
    pub async fn full(test_app: &'a TestApp) -> Self {
        Self::with(test_app, Role::Owner, "all").await
    }

    /// A program with a token for a user of that role.
    pub async fn with(test_app: &'a TestApp, role: Role, scopes: &str) -> Self {
        let user = user(test_app, role).await;
        let asked = TokenRequest {
            name: "a program".into(),
            scopes: Scopes::choose(scopes, role).expect("scopes"),
            networks: Vec::new(),
            life: TokenLife::Year,
        };
        let made = test_app.app.add_token(&Actor::cli(), &user, &asked).await;
        let made = made.expect("a token");
        Self {
            test_app,
            token: made.text,
            id: made.token.public_id,
        }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let path = match path.starts_with(BASE) {
            true => path.to_owned(),
            false => format!("{BASE}{path}"),
        };
        self.test_app
            .request(method, &path)
            .header("authorization", format!("Bearer {}", self.token))
    }

    pub async fn send(&self, request: RequestBuilder) -> Answered {
        Answered::read(request.send().await.expect("an answer")).await
    }

    pub async fn get(&self, path: &str) -> Answered {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answered {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub async fn ask(&self, method: Method, path: &str, body: &Value) -> Answered {
        self.send(self.request(method, path).json(body)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answered {
        self.ask(Method::POST, path, body).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answered {
        self.ask(Method::PUT, path, body).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answered {
        self.ask(Method::PATCH, path, body).await
    }

    /// Waits until a job has ended, and gives it.
    pub async fn ended(&self, location: &str) -> Value {
        let mut job = Value::Null;
        super::until("the job ends", async || {
            job = self.get(location).await.body;
            job["state"] != "running"
        })
        .await;
        job
    }
}
