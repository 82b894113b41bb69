//! One's own account: password, second factor, sessions.

use axum::extract::State;
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
use super::access;
use super::access::Me;
use super::access::RequestHost;
use super::access::RequestOrigin;
use super::answers;
use super::oidc;
use super::passkeys;
use crate::app::users::IDLE;
use crate::app::users::second_factor::TotpEnrolled;
use crate::app::users::signing_in::SignIn;
use crate::app::users::signing_in::SignedIn;
use crate::domain::user::Stage;
use crate::render::desk;
use crate::render::desk::AccountView;
use crate::render::desk::SessionView;
use crate::storage::sessions::UserSession;

/// Characters of a session's hash that name it in a form.
const NAME: usize = 16;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NewPassword {
    old: String,
    new: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CurrentPassword {
    seed: String,
    code: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct End {
    session: String,
}

pub(super) async fn show(State(web): State<Web>, Me(who): Me, host: RequestHost) -> Page {
    Ok(Html(page(&web, &who, &host, None).await?))
}

async fn page(
    web: &Web,
    who: &SignedIn,
    host: &RequestHost,
    problem: Option<String>,
) -> Result<String, Problem> {
    let (id, now) = (who.user.id, web.app.now());
    let passkeys = web.app.storage.passkeys(id).await?;
    let identities = web.app.storage.identities(id).await?;
    let sessions = web.app.storage.sessions(id, now - IDLE, now).await?;
    let view = AccountView {
        user: &who.user,
        codes_left: web.app.storage.recovery_codes_left(id).await?,
        must_have_code: web.app.demands_second_factor(who.user.role) && who.user.passkeys == 0,
        is_guarded: web.app.demands_second_factor(who.user.role) && who.user.passkeys > 0,
        problem,
        passkeys: passkeys
            .iter()
            .map(|passkey| passkeys::view(web, passkey))
            .collect(),
        identities: identities
            .iter()
            .map(|identity| oidc::view(web, identity))
            .collect(),
        providers: oidc::buttons(web, "")
            .into_iter()
            .map(|button| (button.slug, button.name))
            .collect(),
        no_passkeys: passkeys::elsewhere(web, host).err(),
        mails: web.app.mail_choices(&who.user).await?,
        sessions: sessions
            .iter()
            .map(|session| session_view(web, who, session))
            .collect(),
    };
    Ok(desk::account(
        answers::frame(web, who, "Your account", "/desk/account"),
        view,
    )?)
}

fn session_view(web: &Web, who: &SignedIn, session: &UserSession) -> SessionView {
    SessionView {
        name: session.token_sha256[..NAME].to_owned(),
        agent: session.agent.clone(),
        network: session.network.clone(),
        since: answers::format_time(web, session.created_at),
        seen: answers::format_time(web, session.seen_at),
        is_this: session.token_sha256 == who.session.token_sha256,
    }
}

pub(super) async fn change_password(
    State(web): State<Web>,
    Me(who): Me,
    caller: RequestOrigin,
    host: RequestHost,
    FormFields(asked): FormFields<NewPassword>,
) -> Result<Response, Problem> {
    let changed = web
        .app
        .change_own_password(&who, (&asked.old, &asked.new), &caller.visitor())
        .await?;
    let words = match changed {
        Ok(SignIn::In(begun)) => return Ok(answers::signed_in(&web, begun, Some("/desk/account"))),
        Ok(SignIn::TooMany(wait)) => return Err(answers::too_many(wait)),
        Ok(SignIn::Wrong) => "Your password was not right: nothing was changed.".to_owned(),
        Err(words) => words,
    };
    let page = page(&web, &who, &host, Some(words)).await?;
    Ok(answers::refused(page))
}

pub(super) async fn look_at_second_factor(
    State(web): State<Web>,
    Me(who): Me,
) -> Result<Response, Problem> {
    // Replacing one takes as much as removing it.
    if who.user.has_second_factor && !web.app.is_recent(&who) {
        let query = answers::next_query("/desk/account/second-factor");
        return Ok(Redirect::to(&format!("/desk/confirm?{query}")).into_response());
    }
    Ok(Html(second_factor_page(&web, &who, None, None)?).into_response())
}

fn second_factor_page(
    web: &Web,
    who: &SignedIn,
    seed: Option<&str>,
    problem: Option<&str>,
) -> Result<String, Problem> {
    let offer = web.app.offer_second_factor(&who.user, seed)?;
    Ok(desk::second_factor(
        answers::frame(web, who, "Second factor", "/desk/account"),
        (offer.qr, &offer.key, &offer.seed),
        (
            who.session.stage == Stage::Enrol,
            web.app.passkeys().is_ok(),
        ),
        problem,
    )?)
}

pub(super) async fn set_up_second_factor(
    State(web): State<Web>,
    Me(who): Me,
    caller: RequestOrigin,
    FormFields(asked): FormFields<CurrentPassword>,
) -> Result<Response, Problem> {
    if who.user.has_second_factor && !web.app.is_recent(&who) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "Sign in again first",
            "Another app needs a sign-in of the last ten minutes. Open your account and begin again.",
        ));
    }
    match web
        .app
        .set_up_second_factor(&who, (&asked.seed, &asked.code), &caller.visitor())
        .await?
    {
        TotpEnrolled::Done(begun, codes) => {
            let page = codes_page(&web, &who, &codes)?;
            Ok((access::cookie(&web, begun.token), Html(page)).into_response())
        }
        TotpEnrolled::TooMany(wait) => Err(answers::too_many(wait)),
        TotpEnrolled::Wrong => {
            let problem = "That is not the code of this picture. Scan it again, and check that your phone's clock is right.";
            Ok(answers::refused(second_factor_page(
                &web,
                &who,
                Some(&asked.seed),
                Some(problem),
            )?))
        }
    }
}

/// The one write that is answered by a page: what is shown once must not be kept anywhere for a page after it.
fn codes_page(web: &Web, who: &SignedIn, codes: &[String]) -> Result<String, Problem> {
    Ok(desk::recovery_codes(
        answers::frame(web, who, "Recovery codes", "/desk/account"),
        codes,
    )?)
}

pub(super) async fn renew_recovery_codes(
    State(web): State<Web>,
    Me(who): Me,
) -> Result<Response, Problem> {
    if !who.user.has_second_factor {
        return Ok(Redirect::to("/desk/account").into_response());
    }
    let codes = web.app.renew_recovery_codes(&who).await?;
    Ok(Html(codes_page(&web, &who, &codes)?).into_response())
}

pub(super) async fn remove_second_factor(
    State(web): State<Web>,
    Me(who): Me,
) -> Result<Response, Problem> {
    match web.app.remove_own_second_factor(&who).await {
        Ok(()) => answers::done(&web, &who, "Your second factor is off.", "/desk/account").await,
        Err(failure) if !failure.kind().is_ours() => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "Your role needs it",
            failure.to_string(),
        )),
        Err(failure) => Err(failure.into()),
    }
}

pub(super) async fn end_sessions(
    State(web): State<Web>,
    Me(who): Me,
    FormFields(asked): FormFields<End>,
) -> Result<Response, Problem> {
    let (id, now) = (who.user.id, web.app.now());
    if asked.session == "others" {
        let ended = web
            .app
            .storage
            .end_sessions(id, Some(&who.session.token_sha256))
            .await?;
        let said = format!("Ended: {ended} other sessions.");
        return answers::done(&web, &who, &said, "/desk/account").await;
    }
    let sessions = web.app.storage.sessions(id, now - IDLE, now).await?;
    let named = sessions
        .iter()
        .find(|session| session.token_sha256[..NAME] == *asked.session);
    if let Some(session) = named {
        web.app.storage.end_session(&session.token_sha256).await?;
    }
    answers::done(&web, &who, "That session is over.", "/desk/account").await
}
