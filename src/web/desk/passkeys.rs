//! Passkeys: signing in with one, adding, naming and removing them.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
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
use crate::app::users::passkeys::PasskeyAdded;
use crate::app::users::passkeys::PasskeySignIn;
use crate::app::users::signing_in::SignedIn;
use crate::domain::user::Stage;
use crate::identity::secret;
use crate::render::desk;
use crate::render::desk::GateForm;
use crate::render::desk::PasskeyForm;
use crate::render::desk::PasskeyView;
use crate::storage::passkeys::UserPasskey;

const HERE: &str = "/desk/account";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProofForm {
    ceremony: String,
    credential: String,
    next: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NewPasskeyForm {
    ceremony: String,
    credential: String,
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PasskeyName {
    name: String,
}

/// Passkeys of the address by which this browser asks.
///
/// # Errors
/// A sentence that says why there are none, or where.
pub(super) fn elsewhere(web: &Web, host: &RequestHost) -> Result<(), String> {
    match web.app.passkeys()?.other_origin() {
        Some(origin) if host.0 != "localhost" => Err(format!(
            "Passkeys do not work at an IP address. Open {origin}/desk to use them."
        )),
        _ => Ok(()),
    }
}

/// The button that signs in with a passkey; none where passkeys are off.
pub(super) fn sign_in_form(web: &Web, host: &RequestHost, next: &str) -> Option<PasskeyForm> {
    elsewhere(web, host).is_ok().then(|| PasskeyForm {
        next: next.to_owned(),
        button: "Sign in with a passkey",
        is_conditional: true,
        is_only_way: false,
        elsewhere: None,
    })
}

/// The button by which a user with passkeys proves who they are.
pub(super) fn proof_form(
    web: &Web,
    who: &SignedIn,
    host: &RequestHost,
    next: &str,
) -> Option<PasskeyForm> {
    (who.user.passkeys > 0).then(|| PasskeyForm {
        next: next.to_owned(),
        button: "Use a passkey",
        is_conditional: false,
        is_only_way: match who.session.stage {
            Stage::Full => !who.user.has_password,
            _ => !who.user.has_second_factor,
        },
        elsewhere: elsewhere(web, host).err(),
    })
}

/// A passkey, in words.
pub(super) fn view(web: &Web, passkey: &UserPasskey) -> PasskeyView {
    PasskeyView {
        short_name: passkey.short_name(),
        name: passkey.name.clone(),
        added: answers::format_time(web, passkey.created_at),
        used: passkey
            .used_at
            .map_or_else(|| "never".into(), |at| answers::format_time(web, at)),
    }
}

/// Begins a ceremony that proves who somebody is.
pub(super) async fn ask(
    State(web): State<Web>,
    caller: RequestOrigin,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let token = access::browser_token(&web, &headers).unwrap_or_else(secret::token);
    match web
        .app
        .begin_passkey_proof(&token, &caller.visitor())
        .await?
    {
        Ok(options) => Ok((access::browser_cookie(&web, token), Json(options)).into_response()),
        Err(wait) => Err(answers::too_many(wait)),
    }
}

/// Takes the proof: signs in, or makes a sign-in recent.
pub(super) async fn sign_in(
    State(web): State<Web>,
    Perhaps(who): Perhaps,
    caller: RequestOrigin,
    host: RequestHost,
    headers: HeaderMap,
    FormFields(asked): FormFields<ProofForm>,
) -> Result<Response, Problem> {
    let token = access::browser_token(&web, &headers).unwrap_or_default();
    let answer = (asked.ceremony.as_str(), asked.credential.as_str());
    let words = match web
        .app
        .sign_in_by_passkey(&token, answer, who.as_ref(), &caller.visitor())
        .await?
    {
        PasskeySignIn::In(begun) => return Ok(answers::signed_in(&web, begun, Some(&asked.next))),
        PasskeySignIn::TooMany(wait) => return Err(answers::too_many(wait)),
        PasskeySignIn::Refused(words) => words,
    };
    let (next, problem) = (asked.next.as_str(), Some(words));
    let page = match who.as_ref().map(|who| (who, who.session.stage)) {
        Some((who, Stage::Full)) => sign_in::confirm_page(&web, who, &host, next, problem).await?,
        Some((who, Stage::Code)) => sign_in::code_page(&web, who, &host, next, problem)?,
        _ => sign_in::sign_in_page(&web, &host, ("", next), problem)?,
    };
    Ok(answers::refused(page))
}

/// Returns whether a passkey may be added now. Another way in takes as much as changing one; a sign-in that waits for its second
/// factor is new.
fn may_add(web: &Web, who: &SignedIn) -> bool {
    who.session.stage == Stage::Enrol || web.app.is_recent(who)
}

pub(super) async fn look_at_new(
    State(web): State<Web>,
    Me(who): Me,
    caller: RequestOrigin,
    host: RequestHost,
) -> Result<Response, Problem> {
    if !may_add(&web, &who) {
        let query = answers::next_query("/desk/account/passkeys/new");
        return Ok(Redirect::to(&format!("/desk/confirm?{query}")).into_response());
    }
    let page = new_page(&web, &who, &host, caller.agent(), None)?;
    Ok(Html(page).into_response())
}

fn new_page(
    web: &Web,
    who: &SignedIn,
    host: &RequestHost,
    name: &str,
    problem: Option<&str>,
) -> Result<String, Problem> {
    Ok(desk::passkey_new(
        answers::frame(web, who, "Add a passkey", HERE),
        name,
        elsewhere(web, host).err().as_deref(),
        problem,
        who.session.stage == Stage::Enrol,
    )?)
}

fn too_old() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "Sign in again first",
        "A passkey needs a sign-in of the last ten minutes. Open your account and begin again.",
    )
}

/// Begins the ceremony that adds one.
pub(super) async fn begin(State(web): State<Web>, Me(who): Me) -> Result<Response, Problem> {
    if !may_add(&web, &who) {
        return Err(too_old());
    }
    Ok(Json(web.app.begin_passkey(&who).await?).into_response())
}

pub(super) async fn add(
    State(web): State<Web>,
    Me(who): Me,
    caller: RequestOrigin,
    host: RequestHost,
    FormFields(asked): FormFields<NewPasskeyForm>,
) -> Result<Response, Problem> {
    if !may_add(&web, &who) {
        return Err(too_old());
    }
    let answer = (asked.ceremony.as_str(), asked.credential.as_str());
    match web
        .app
        .add_passkey(&who, answer, &asked.name, &caller.visitor())
        .await?
    {
        PasskeyAdded::Done => {
            answers::done(
                &web,
                &who,
                "The passkey was added: you can sign in with it.",
                HERE,
            )
            .await
        }
        PasskeyAdded::In(begun) => Ok(answers::signed_in(&web, begun, None)),
        PasskeyAdded::Refused(words) => {
            let page = new_page(&web, &who, &host, &asked.name, Some(&words))?;
            Ok(answers::refused(page))
        }
    }
}

pub(super) async fn rename(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(passkey): PathSegment,
    FormFields(asked): FormFields<PasskeyName>,
) -> Result<Response, Problem> {
    let said = match web
        .app
        .rename_passkey(&who.user, &passkey, &asked.name)
        .await
    {
        Ok(()) => "The passkey has another name.".to_owned(),
        Err(failure) => answers::refusal(failure)?,
    };
    answers::done(&web, &who, &said, HERE).await
}

pub(super) async fn look_at_removal(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(passkey): PathSegment,
) -> Page {
    let Ok(found) = web.app.passkey_named(&who.user, &passkey).await else {
        return Err(Problem::not_found());
    };
    let heading = format!("Remove {}?", found.name);
    let form = GateForm {
        heading: heading.clone(),
        sentences: vec![
            "It signs you in no longer. Remove it from your device or password manager as well: the desk cannot.".into(),
        ],
        action: format!("{HERE}/passkeys/{passkey}/remove"),
        button: "Remove it".into(),
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
    PathSegment(passkey): PathSegment,
) -> Result<Response, Problem> {
    let actor = web.app.actor_of(&who);
    let said = match web
        .app
        .remove_passkey(&actor, &who.user, &passkey, true)
        .await
    {
        Ok(()) => "The passkey was removed.".to_owned(),
        Err(failure) => answers::refusal(failure)?,
    };
    answers::done(&web, &who, &said, HERE).await
}
