//! Signing in at a provider (OpenID Connect), and accounts there that are linked to a user.

use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::extract::rejection::QueryRejection;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::super::guard::PathSegment;
use super::access;
use super::access::Me;
use super::access::Perhaps;
use super::access::RequestHost;
use super::access::RequestOrigin;
use super::answers;
use super::sign_in;
use crate::app::users::oidc::OidcAnswer;
use crate::app::users::oidc::OidcBegun;
use crate::app::users::oidc::OidcPurpose;
use crate::app::users::oidc::OidcRefusal;
use crate::app::users::oidc::OidcSignIn;
use crate::app::users::signing_in::SignedIn;
use crate::config::OidcSettings;
use crate::domain::user::Stage;
use crate::identity::secret;
use crate::render::desk;
use crate::render::desk::DeskFrame;
use crate::render::desk::GateForm;
use crate::render::desk::IdentityView;
use crate::render::desk::ProviderButton;
use crate::storage::identities::UserIdentity;

const HERE: &str = "/desk/account";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Onward {
    next: String,
}

/// The buttons of all providers.
pub(super) fn buttons(web: &Web, next: &str) -> Vec<ProviderButton> {
    let known = web.app.settings.desk.oidc.iter();
    known.map(|settings| button(settings, next)).collect()
}

fn button(settings: &OidcSettings, next: &str) -> ProviderButton {
    ProviderButton {
        slug: settings.slug(),
        name: settings.name.clone(),
        next: next.to_owned(),
    }
}

/// The buttons by which a user proves anew who they are: the providers at which they have a linked account.
pub(super) async fn proof_buttons(
    web: &Web,
    who: &SignedIn,
    next: &str,
) -> Result<Vec<ProviderButton>, Problem> {
    if who.user.identities == 0 {
        return Ok(Vec::new());
    }
    let linked = web.app.storage.identities(who.user.id).await?;
    let known = web.app.settings.desk.oidc.iter();
    let of_user = known.filter(|known| linked.iter().any(|own| own.issuer == known.issuer));
    Ok(of_user.map(|settings| button(settings, next)).collect())
}

/// An account at a provider, in words.
pub(super) fn view(web: &Web, identity: &UserIdentity) -> IdentityView {
    let providers = &web.app.settings.desk.oidc;
    let known = providers
        .iter()
        .find(|known| known.issuer == identity.issuer);
    IdentityView {
        short_name: identity.short_name(),
        provider: known.map_or_else(|| identity.issuer.clone(), |known| known.name.clone()),
        subject: identity.subject.clone(),
        linked: answers::format_time(web, identity.linked_at),
        used: identity
            .used_at
            .map_or_else(|| "never".into(), |at| answers::format_time(web, at)),
    }
}

/// Sends a browser to a provider: to sign in, or to prove anew who is signed in.
pub(super) async fn begin(
    State(web): State<Web>,
    Perhaps(who): Perhaps,
    PathSegment(provider): PathSegment,
    caller: RequestOrigin,
    host: RequestHost,
    headers: HeaderMap,
    FormFields(asked): FormFields<Onward>,
) -> Result<Response, Problem> {
    let who = who.filter(|who| who.session.stage == Stage::Full);
    let purpose = match who {
        Some(_) => OidcPurpose::Confirm,
        None => OidcPurpose::SignIn,
    };
    let going = (purpose, who.as_ref(), asked.next.as_str());
    go(&web, &host, &provider, going, &caller, &headers).await
}

/// Sends a browser to a provider, to link an account there.
pub(super) async fn link(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(provider): PathSegment,
    caller: RequestOrigin,
    host: RequestHost,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let going = (OidcPurpose::Link, Some(&who), HERE);
    go(&web, &host, &provider, going, &caller, &headers).await
}

async fn go(
    web: &Web,
    host: &RequestHost,
    provider: &str,
    (purpose, who, next): (OidcPurpose, Option<&SignedIn>, &str),
    caller: &RequestOrigin,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let token = access::browser_token(web, headers).unwrap_or_else(secret::token);
    let going = (purpose, who, next);
    let begun = web
        .app
        .begin_oidc(provider, &token, going, &caller.visitor())
        .await;
    match begun {
        Ok(OidcBegun::To(url)) => {
            let name = buttons(web, "")
                .into_iter()
                .find(|button| button.slug == provider)
                .map(|button| button.name)
                .unwrap_or_default();
            let page = desk::onward(DeskFrame::gate(&web.app.site, "On your way"), &name, &url)?;
            Ok((access::browser_cookie(web, token), Html(page)).into_response())
        }
        Ok(OidcBegun::TooMany(wait)) => Err(answers::too_many(wait)),
        Ok(OidcBegun::Refused(refusal)) => {
            refused(web, host, (Some(purpose), who, next), &refusal).await
        }
        Err(failure) if !failure.kind().is_ours() => Err(Problem::not_found()),
        Err(failure) => Err(failure.into()),
    }
}

/// Takes a browser that comes back from a provider.
pub(super) async fn come_back(
    State(web): State<Web>,
    Perhaps(who): Perhaps,
    Path(provider): Path<String>,
    caller: RequestOrigin,
    host: RequestHost,
    headers: HeaderMap,
    answer: Result<Query<OidcAnswer>, QueryRejection>,
) -> Result<Response, Problem> {
    let token = access::browser_token(&web, &headers).unwrap_or_default();
    let answer = answer.map(|Query(answer)| answer).unwrap_or_default();
    let done = web
        .app
        .finish_oidc(&provider, &token, &answer, who.as_ref(), &caller.visitor())
        .await;
    match done {
        Ok(OidcSignIn::In(begun, next)) => Ok(answers::signed_in(&web, begun, Some(&next))),
        Ok(OidcSignIn::Linked) => match who {
            Some(who) => {
                answers::done(
                    &web,
                    &who,
                    "The account is linked: you can sign in with it.",
                    HERE,
                )
                .await
            }
            None => Err(Problem::not_found()),
        },
        Ok(OidcSignIn::TooMany(wait)) => Err(answers::too_many(wait)),
        Ok(OidcSignIn::Refused(refusal, purpose)) => {
            refused(&web, &host, (purpose, who.as_ref(), ""), &refusal).await
        }
        Err(failure) if !failure.kind().is_ours() => Err(Problem::not_found()),
        Err(failure) => Err(failure.into()),
    }
}

/// Says why a provider signed nobody in, on the page where the other ways in are.
async fn refused(
    web: &Web,
    host: &RequestHost,
    (purpose, who, next): (Option<OidcPurpose>, Option<&SignedIn>, &str),
    refusal: &OidcRefusal,
) -> Result<Response, Problem> {
    let words = refusal.words.as_str();
    let full = who.filter(|who| who.session.stage == Stage::Full);
    let page = match (full, purpose) {
        (Some(who), Some(OidcPurpose::Confirm)) => {
            sign_in::confirm_page(web, who, host, next, Some(words)).await?
        }
        (Some(who), _) => return answers::done(web, who, words, HERE).await,
        (None, _) => sign_in::sign_in_page(web, host, ("", next), Some(words))?,
    };
    Ok(match refusal.is_unreachable {
        true => (StatusCode::SERVICE_UNAVAILABLE, Html(page)).into_response(),
        false => answers::refused(page),
    })
}

pub(super) async fn look_at_removal(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(name): PathSegment,
) -> Page {
    let Ok(found) = web.app.identity_named(&who.user, &name).await else {
        return Err(Problem::not_found());
    };
    let provider = view(&web, &found).provider;
    let heading = format!("Unlink {provider}?");
    let form = GateForm {
        heading: heading.clone(),
        sentences: vec![format!(
            "Your account at {provider} signs you in here no longer. The account itself stays."
        )],
        action: format!("{HERE}/identities/{name}/remove"),
        button: "Unlink it".into(),
        is_grave: true,
        link: Some((HERE.into(), "No, back to your account")),
        ..GateForm::default()
    };
    Ok(Html(desk::form(
        answers::frame(&web, &who, &heading, HERE),
        form,
    )?))
}

pub(super) async fn remove(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(name): PathSegment,
) -> Result<Response, Problem> {
    let actor = web.app.actor_of(&who);
    let said = match web.app.unlink_account(&actor, &who.user, &name, true).await {
        Ok(()) => "The account is no longer linked.".to_owned(),
        Err(failure) => answers::refusal(failure)?,
    };
    answers::done(&web, &who, &said, HERE).await
}
