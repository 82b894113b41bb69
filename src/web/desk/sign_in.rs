//! Signing in and out.

use axum::extract::RawQuery;
use axum::extract::State;
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
use super::access::Perhaps;
use super::access::RequestHost;
use super::access::RequestOrigin;
use super::answers;
use super::oidc;
use super::passkeys;
use crate::app::users::signing_in::SignIn;
use crate::app::users::signing_in::SignedIn;
use crate::domain::user::Stage;
use crate::render::desk;
use crate::render::desk::Autocomplete;
use crate::render::desk::DeskFrame;
use crate::render::desk::FormField;
use crate::render::desk::GateForm;
use crate::render::desk::OtherWays;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Password {
    email: String,
    password: String,
    next: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Code {
    code: String,
    next: String,
}

pub(super) async fn look(
    State(web): State<Web>,
    Perhaps(who): Perhaps,
    host: RequestHost,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    // Whoever is half-way may start anew.
    if let Some(who) = who.filter(|who| who.session.stage == Stage::Full) {
        return Ok(access::go_on(&who));
    }
    let next = answers::next_of(query.as_deref()).unwrap_or_default();
    Ok(Html(sign_in_page(&web, &host, ("", &next), None)?).into_response())
}

pub(super) async fn sign_in(
    State(web): State<Web>,
    caller: RequestOrigin,
    host: RequestHost,
    FormFields(asked): FormFields<Password>,
) -> Result<Response, Problem> {
    let done = web
        .app
        .sign_in(&asked.email, &asked.password, &caller.visitor())
        .await?;
    match done {
        SignIn::In(begun) => Ok(answers::signed_in(&web, begun, Some(&asked.next))),
        SignIn::TooMany(wait) => Err(answers::too_many(wait)),
        SignIn::Wrong => {
            let problem = "Address or password is wrong.";
            Ok(answers::refused(sign_in_page(
                &web,
                &host,
                (&asked.email, &asked.next),
                Some(problem),
            )?))
        }
    }
}

pub(super) fn sign_in_page(
    web: &Web,
    host: &RequestHost,
    (email, next): (&str, &str),
    problem: Option<&str>,
) -> Result<String, Problem> {
    let form = GateForm {
        heading: "Sign in".into(),
        sentences: Vec::new(),
        action: "/desk/sign-in".into(),
        hidden: vec![("next", next.to_owned())],
        fields: vec![
            FormField {
                name: "email",
                label: "Email address",
                fills: Autocomplete::UsernameOrPasskey,
                value: email,
                hint: None,
            },
            FormField {
                name: "password",
                label: "Password",
                fills: Autocomplete::Password,
                value: "",
                hint: Some(
                    "Forgotten? An owner can make you a link under Users, and so can the command line: verdicts users reset-password.",
                ),
            },
        ],
        button: "Sign in".into(),
        problem: problem.map(String::from),
        ..GateForm::default()
    };
    let other_ways = OtherWays {
        passkey: passkeys::sign_in_form(web, host, next),
        providers: oidc::buttons(web, next),
    };
    Ok(desk::form_or(
        DeskFrame::gate(&web.app.site, "Sign in"),
        form,
        other_ways,
    )?)
}

pub(super) async fn look_at_code(
    State(web): State<Web>,
    Me(who): Me,
    host: RequestHost,
    RawQuery(query): RawQuery,
) -> Page {
    let next = answers::next_of(query.as_deref()).unwrap_or_default();
    Ok(Html(code_page(&web, &who, &host, &next, None)?))
}

pub(super) async fn enter_code(
    State(web): State<Web>,
    Me(who): Me,
    caller: RequestOrigin,
    host: RequestHost,
    FormFields(asked): FormFields<Code>,
) -> Result<Response, Problem> {
    match web
        .app
        .enter_code(&who, &asked.code, &caller.visitor())
        .await?
    {
        SignIn::In(begun) => Ok(answers::signed_in(&web, begun, Some(&asked.next))),
        SignIn::TooMany(wait) => Err(answers::too_many(wait)),
        SignIn::Wrong => {
            let problem = "That code is wrong, over or used already. Wait for the next one.";
            Ok(answers::refused(code_page(
                &web,
                &who,
                &host,
                &asked.next,
                Some(problem),
            )?))
        }
    }
}

pub(super) fn code_page(
    web: &Web,
    who: &SignedIn,
    host: &RequestHost,
    next: &str,
    problem: Option<&str>,
) -> Result<String, Problem> {
    let has_code = who.user.has_second_factor;
    let (sentence, button) = match has_code {
        true => (
            "The password is right. Now the code that your authenticator app shows.",
            "Sign in",
        ),
        false => (
            "The password is right. Your passkey is the second factor. If you lost it, an owner can reset your second factor under Users, and so can the command line: verdicts users reset-second-factor.",
            "",
        ),
    };
    let field = FormField {
        name: "code",
        label: "Code",
        fills: Autocomplete::Code,
        value: "",
        hint: Some("Six digits; or one of your recovery codes, if the app is lost."),
    };
    let form = GateForm {
        heading: if has_code {
            "Your code"
        } else {
            "Your passkey"
        }
        .into(),
        sentences: vec![sentence.into()],
        action: "/desk/sign-in/code".into(),
        hidden: vec![("next", next.to_owned())],
        fields: has_code.then_some(field).into_iter().collect(),
        check: None,
        button: button.into(),
        is_grave: false,
        problem: problem.map(String::from),
        link: Some(("/desk/sign-in".into(), "As somebody else")),
    };
    let other_ways = OtherWays {
        passkey: passkeys::proof_form(web, who, host, next),
        providers: Vec::new(),
    };
    Ok(desk::form_or(
        DeskFrame::gate(&web.app.site, "Your code"),
        form,
        other_ways,
    )?)
}

pub(super) async fn sign_out(
    State(web): State<Web>,
    Perhaps(who): Perhaps,
) -> Result<Response, Problem> {
    if let Some(who) = who {
        web.app
            .storage
            .end_session(&who.session.token_sha256)
            .await?;
    }
    let gone = access::cookie(&web, String::new());
    Ok((gone, Redirect::to("/desk/sign-in")).into_response())
}

pub(super) async fn look_at_confirm(
    State(web): State<Web>,
    Me(who): Me,
    host: RequestHost,
    RawQuery(query): RawQuery,
) -> Page {
    let next = answers::next_of(query.as_deref()).unwrap_or_default();
    Ok(Html(confirm_page(&web, &who, &host, &next, None).await?))
}

pub(super) async fn confirm(
    State(web): State<Web>,
    Me(who): Me,
    caller: RequestOrigin,
    host: RequestHost,
    FormFields(asked): FormFields<Password>,
) -> Result<Response, Problem> {
    let done = web
        .app
        .confirm_sign_in(&who, &asked.password, &caller.visitor())
        .await?;
    match done {
        SignIn::In(begun) => Ok(answers::signed_in(&web, begun, Some(&asked.next))),
        SignIn::TooMany(wait) => Err(answers::too_many(wait)),
        SignIn::Wrong => {
            let problem = Some("That password is wrong.");
            let page = confirm_page(&web, &who, &host, &asked.next, problem).await?;
            Ok(answers::refused(page))
        }
    }
}

pub(super) async fn confirm_page(
    web: &Web,
    who: &SignedIn,
    host: &RequestHost,
    next: &str,
    problem: Option<&str>,
) -> Result<String, Problem> {
    let has_password = who.user.has_password;
    let how = match has_password {
        true => "Give your password again, then press the button once more.",
        false => "Prove again who you are, then press the button once more.",
    };
    let field = FormField {
        name: "password",
        label: "Password",
        fills: Autocomplete::Password,
        value: "",
        hint: None,
    };
    let form = GateForm {
        heading: "Is it still you?".into(),
        sentences: vec![format!(
            "What you asked for needs a sign-in of the last ten minutes. {how}"
        )],
        action: "/desk/confirm".into(),
        hidden: vec![
            ("next", next.to_owned()),
            ("email", who.user.email.as_str().to_owned()),
        ],
        fields: has_password.then_some(field).into_iter().collect(),
        button: if has_password { "Go on" } else { "" }.into(),
        problem: problem.map(String::from),
        link: Some(("/desk".into(), "Back to the desk")),
        ..GateForm::default()
    };
    let other_ways = OtherWays {
        passkey: passkeys::proof_form(web, who, host, next),
        providers: oidc::proof_buttons(web, who, next).await?,
    };
    Ok(desk::form_or(
        answers::frame(web, who, "Is it still you?", ""),
        form,
        other_ways,
    )?)
}
