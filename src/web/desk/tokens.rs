//! API tokens, for owners: each acts for the owner who makes it.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use chrono::TimeDelta;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::access::Me;
use super::answers;
use crate::app::Failure;
use crate::app::tokens::MadeToken;
use crate::app::tokens::TokenLife;
use crate::app::tokens::TokenRequest;
use crate::app::tokens::parse_networks;
use crate::app::users::signing_in::SignedIn;
use crate::domain::Timestamp;
use crate::domain::api_token::ApiToken;
use crate::domain::api_token::Scope;
use crate::domain::api_token::Scopes;
use crate::domain::user::User;
use crate::render::desk;
use crate::render::desk::GateForm;
use crate::render::desk::ScopeChoice;
use crate::render::desk::TokenLine;
use crate::render::desk::TokensView;
use crate::render::desk::TypedToken;

/// Page of all tokens.
pub(super) const TOKENS: &str = "/desk/tokens";

/// Lives that the form offers, each with its days.
const LIVES: [(&str, &str); 4] = [
    ("30", "30 days"),
    ("90", "90 days"),
    ("365", "1 year"),
    ("none", "until it is revoked"),
];

pub(super) async fn list(State(web): State<Web>, Me(who): Me) -> Page {
    let typed = TypedToken {
        life: "365".into(),
        ..TypedToken::default()
    };
    Ok(Html(
        page(&web, &who, typed, &Scopes::default(), None).await?,
    ))
}

async fn page(
    web: &Web,
    who: &SignedIn,
    typed: TypedToken,
    chosen: &Scopes,
    problem: Option<&str>,
) -> Result<String, Problem> {
    let now = web.app.now();
    let tokens = web.app.tokens().await?;
    let lines = tokens
        .iter()
        .map(|(token, user)| line(web, token, user.as_ref(), now));
    let choice = |scope: &Scope| ScopeChoice {
        name: scope.as_str(),
        is_chosen: chosen.0.contains(scope),
    };
    let view = TokensView {
        tokens: lines.collect(),
        typed,
        scopes: Scope::ALL.iter().map(choice).collect(),
        lives: &LIVES,
        problem,
    };
    Ok(desk::tokens(
        answers::frame(web, who, "API tokens", TOKENS),
        view,
    )?)
}

fn line(web: &Web, token: &ApiToken, user: Option<&User>, now: Timestamp) -> TokenLine {
    let networks: Vec<String> = token.networks.iter().map(ToString::to_string).collect();
    let is_off = user.is_none_or(|user| user.disabled_at.is_some());
    let state = match (token.revoked_at, token.is_alive(now), is_off) {
        (Some(_), ..) => "revoked",
        (None, false, _) => "expired",
        (None, true, true) => "its user is disabled",
        (None, true, false) => "",
    };
    TokenLine {
        id: token.public_id.clone(),
        name: token.name.clone(),
        user: user.map_or_else(|| "nobody".into(), |user| user.name.clone()),
        scopes: token.scopes.to_string(),
        networks: match networks.is_empty() {
            true => "any".into(),
            false => networks.join(" "),
        },
        expires: token
            .expires_at
            .map_or_else(|| "never".into(), |at| answers::format_time(web, at)),
        used: match (token.used_at, &token.used_from) {
            (Some(at), Some(from)) => format!("{} from {from}", answers::format_time(web, at)),
            _ => "never".into(),
        },
        is_alive: state.is_empty(),
        state,
    }
}

fn request(
    fields: &BTreeMap<String, String>,
    now: Timestamp,
) -> (Scopes, Result<TokenRequest, Failure>) {
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let chosen = fields.keys().filter_map(|name| name.strip_prefix("scope:"));
    let scopes: Scopes = chosen.filter_map(|name| name.parse().ok()).collect();
    let life = match field("life") {
        "none" => Some(TokenLife::Unlimited),
        days => LIVES
            .iter()
            .find(|(value, _)| *value == days)
            .and_then(|(value, _)| value.parse().ok())
            .map(|days| TokenLife::Until(now + TimeDelta::days(days))),
    };
    let asked = parse_networks(field("networks")).and_then(|networks| {
        Ok(TokenRequest {
            name: field("name").to_owned(),
            scopes: scopes.clone(),
            networks,
            life: life.ok_or_else(|| Failure::invalid_field("life", "Choose a life."))?,
        })
    });
    (scopes, asked)
}

pub(super) async fn add(
    State(web): State<Web>,
    Me(who): Me,
    FormFields(fields): FormFields<BTreeMap<String, String>>,
) -> Result<Response, Problem> {
    let (scopes, asked) = request(&fields, web.app.now());
    let made = match asked {
        Ok(asked) => {
            let actor = web.app.actor_of(&who);
            web.app.add_token(&actor, &who.user, &asked).await
        }
        Err(failure) => Err(failure),
    };
    match made {
        Ok(made) => shown_once(&web, &who, &made),
        Err(failure) => {
            let words = answers::refusal(failure)?;
            let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
            let typed = TypedToken {
                name: field("name"),
                networks: field("networks"),
                life: field("life"),
            };
            let page = page(&web, &who, typed, &scopes, Some(&words)).await?;
            Ok(answers::refused(page))
        }
    }
}

/// The token is shown once, so that it is kept nowhere for a page after this one.
fn shown_once(web: &Web, who: &SignedIn, made: &MadeToken) -> Result<Response, Problem> {
    let until = made.token.previous_until;
    let until = until.map(|until| answers::format_time(web, until));
    let frame = answers::frame(web, who, "An API token", TOKENS);
    let page = desk::token(frame, &made.token.name, &made.text, until.as_deref())?;
    Ok(Html(page).into_response())
}

/// Public part of a token, and what to do with it.
pub(super) struct TokenPath(String, String);

impl FromRequestParts<Web> for TokenPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, web).await;
        path.map(|Path((token, change))| Self(token, change))
            .map_err(|_| Problem::not_found())
    }
}

pub(super) async fn ask(
    State(web): State<Web>,
    Me(who): Me,
    TokenPath(id, change): TokenPath,
) -> Page {
    let tokens = web.app.tokens().await?;
    let known = tokens.iter().find(|(token, _)| token.public_id == id);
    let (token, _) = known.ok_or_else(Problem::not_found)?;
    let (verb, warning, button) = match change.as_str() {
        "rotate" => (
            "Rotate",
            "You get another token for the same program. The present one works for 24 hours more.",
            "Make another",
        ),
        "revoke" => (
            "Revoke",
            "Programs that use it are refused at once. This cannot be taken back.",
            "Revoke it",
        ),
        _ => return Err(Problem::not_found()),
    };
    let heading = format!("{verb} {}?", token.name);
    let form = GateForm {
        heading: heading.clone(),
        sentences: vec![warning.into()],
        action: format!("{TOKENS}/{id}/{change}"),
        button: button.into(),
        is_grave: change == "revoke",
        link: Some((TOKENS.into(), "No, back to the tokens")),
        ..GateForm::default()
    };
    let frame = answers::frame(&web, &who, &heading, TOKENS);
    Ok(Html(desk::form(frame, form)?))
}

pub(super) async fn change(
    State(web): State<Web>,
    Me(who): Me,
    TokenPath(id, change): TokenPath,
) -> Result<Response, Problem> {
    let actor = web.app.actor_of(&who);
    match change.as_str() {
        "rotate" => {
            let made = web.app.rotate_token(&actor, &id).await?;
            shown_once(&web, &who, &made)
        }
        "revoke" => {
            web.app.revoke_token(&actor, &id).await?;
            answers::done(&web, &who, "The token is revoked.", TOKENS).await
        }
        _ => Err(Problem::not_found()),
    }
}
