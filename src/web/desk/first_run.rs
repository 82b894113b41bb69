//! Links that work once: the first owner, an invitation, another password.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Html;
use axum::response::Response;
use serde::Deserialize;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::super::guard::PathSegment;
use super::access::RequestOrigin;
use super::answers;
use crate::app::users::links::FirstOwner;
use crate::app::users::links::FollowedLink;
use crate::domain::user::User;
use crate::render::desk;
use crate::render::desk::Autocomplete;
use crate::render::desk::DeskFrame;
use crate::render::desk::FormField;
use crate::render::desk::GateForm;

const PASSWORD_HINT: &str =
    "At least 12 characters. Four or five words that do not belong together are easy to remember.";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Owner {
    email: String,
    name: String,
    password: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChosenPassword {
    password: String,
}

/// A link that does nothing any more. Before there is a user it is as if there were no desk.
fn over() -> Problem {
    let sentence = "It was used already, or its time is over, or it is not complete. `verdicts users setup` prints another one as long as there \
                    is no user; later an owner makes one under Users.";
    Problem::new(StatusCode::NOT_FOUND, "This link does not work", sentence)
}

pub(super) async fn look(State(web): State<Web>, PathSegment(token): PathSegment) -> Page {
    if !web.app.is_setup_link(&token).await? {
        return Err(over());
    }
    Ok(Html(setup_page(&web, &token, &Owner::default(), None)?))
}

pub(super) async fn set_up(
    State(web): State<Web>,
    PathSegment(token): PathSegment,
    caller: RequestOrigin,
    FormFields(asked): FormFields<Owner>,
) -> Result<Response, Problem> {
    let owner = FirstOwner {
        email: &asked.email,
        name: &asked.name,
        password: &asked.password,
    };
    match web.app.set_up(&token, owner, &caller.visitor()).await? {
        FollowedLink::In(begun) => Ok(answers::signed_in(&web, begun, None)),
        FollowedLink::Refused(words) => Ok(answers::refused(setup_page(
            &web,
            &token,
            &asked,
            Some(words),
        )?)),
        FollowedLink::Over => Err(over()),
    }
}

fn setup_page(
    web: &Web,
    token: &str,
    typed: &Owner,
    problem: Option<String>,
) -> Result<String, Problem> {
    let form = GateForm {
        heading: "Set up the desk".into(),
        sentences: vec![format!(
            "You become the first owner of {}. Nobody else can use this link once you have.",
            web.app.site.name
        )],
        action: format!("/desk/setup/{token}"),
        fields: vec![
            FormField {
                name: "email",
                label: "Your email address",
                fills: Autocomplete::Username,
                value: &typed.email,
                hint: Some("You sign in with it. No mail is sent."),
            },
            FormField {
                name: "name",
                label: "Your name",
                fills: Autocomplete::Name,
                value: &typed.name,
                hint: None,
            },
            FormField {
                name: "password",
                label: "Choose a password",
                fills: Autocomplete::NewPassword,
                value: "",
                hint: Some(PASSWORD_HINT),
            },
        ],
        button: "Become the owner".into(),
        problem,
        ..GateForm::default()
    };
    Ok(desk::form(
        DeskFrame::gate(&web.app.site, "Set up the desk"),
        form,
    )?)
}

pub(super) async fn look_at_password(
    State(web): State<Web>,
    PathSegment(token): PathSegment,
) -> Page {
    let user = web.app.user_of_link(&token).await?.ok_or_else(over)?;
    Ok(Html(password_page(&web, &token, &user, None)?))
}

pub(super) async fn set_password(
    State(web): State<Web>,
    PathSegment(token): PathSegment,
    caller: RequestOrigin,
    FormFields(asked): FormFields<ChosenPassword>,
) -> Result<Response, Problem> {
    let user = web.app.user_of_link(&token).await?.ok_or_else(over)?;
    match web
        .app
        .set_password_by_link(&token, &asked.password, &caller.visitor())
        .await?
    {
        FollowedLink::In(begun) => Ok(answers::signed_in(&web, begun, None)),
        FollowedLink::Refused(words) => Ok(answers::refused(password_page(
            &web,
            &token,
            &user,
            Some(words),
        )?)),
        FollowedLink::Over => Err(over()),
    }
}

fn password_page(
    web: &Web,
    token: &str,
    user: &User,
    problem: Option<String>,
) -> Result<String, Problem> {
    let form = GateForm {
        heading: "Choose a password".into(),
        sentences: vec![format!(
            "For {}, who signs in to the desk of {} as {}.",
            user.name,
            web.app.site.name,
            user.email.as_str()
        )],
        action: format!("/desk/password/{token}"),
        hidden: vec![("email", user.email.as_str().to_owned())],
        fields: vec![FormField {
            name: "password",
            label: "Password",
            fills: Autocomplete::NewPassword,
            value: "",
            hint: Some(PASSWORD_HINT),
        }],
        button: "Set it and sign in".into(),
        problem,
        ..GateForm::default()
    };
    Ok(desk::form(
        DeskFrame::gate(&web.app.site, "Choose a password"),
        form,
    )?)
}
