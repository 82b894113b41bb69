//! The users of the desk, for owners.

use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::super::guard::PathSegment;
use super::access::Me;
use super::answers;
use crate::app::users::accounts::AccountChange;
use crate::app::users::links::UserLink;
use crate::app::users::signing_in::SignedIn;
use crate::domain::address::EmailAddress;
use crate::domain::user::Role;
use crate::domain::user::User;
use crate::render::desk;
use crate::render::desk::GateForm;
use crate::render::desk::UserView;

const HERE: &str = "/desk/users";

#[derive(Debug, Deserialize)]
pub(super) struct NewUserForm {
    email: String,
    name: String,
    role: Role,
}

#[derive(Debug, Deserialize)]
pub(super) struct NewRole {
    role: Role,
}

pub(super) async fn list(State(web): State<Web>, Me(who): Me) -> Page {
    Ok(Html(page(&web, &who, ("", ""), None).await?))
}

async fn page(
    web: &Web,
    who: &SignedIn,
    typed: (&str, &str),
    problem: Option<&str>,
) -> Result<String, Problem> {
    let users = web.app.storage.users().await?;
    let view = |user| view(web, who, user);
    Ok(desk::users(
        answers::frame(web, who, "Users", HERE),
        users.iter().map(view).collect(),
        typed,
        problem,
    )?)
}

fn view<'a>(web: &Web, who: &SignedIn, user: &'a User) -> UserView<'a> {
    UserView {
        name: web.app.user_name(user.id),
        seen: user
            .seen_at
            .map_or_else(|| "never".into(), |at| answers::format_time(web, at)),
        is_me: user.id == who.user.id,
        user,
    }
}

pub(super) async fn add(
    State(web): State<Web>,
    Me(who): Me,
    FormFields(asked): FormFields<NewUserForm>,
) -> Result<Response, Problem> {
    let typed = (asked.email.as_str(), asked.name.as_str());
    let refused = async |words: &str| -> Result<Response, Problem> {
        Ok(answers::refused(
            page(&web, &who, typed, Some(words)).await?,
        ))
    };
    let email = match EmailAddress::parse_new(asked.email.trim()) {
        Ok(email) => email,
        Err(error) => return refused(&error.to_string()).await,
    };
    match web
        .app
        .add_user(
            &web.app.actor_of(&who),
            &email,
            Some(&asked.name),
            asked.role,
            None,
        )
        .await
    {
        Ok(Some(link)) => link_page(&web, &who, email.as_str(), &link),
        Ok(None) => answers::done(&web, &who, "The user was added.", HERE).await,
        Err(failure) if !failure.kind().is_ours() => refused(&failure.to_string()).await,
        Err(failure) => Err(failure.into()),
    }
}

/// The link is shown once, so that it is kept nowhere for a page after this one.
fn link_page(web: &Web, who: &SignedIn, whose: &str, link: &UserLink) -> Result<Response, Problem> {
    let until = answers::format_time(web, link.expires_at);
    let frame = answers::frame(web, who, "A link for a user", HERE);
    Ok(Html(desk::link(frame, whose, &link.url, &until)?).into_response())
}

async fn named(web: &Web, name: &str) -> Result<User, Problem> {
    let users = web.app.storage.users().await?;
    users
        .into_iter()
        .find(|user| web.app.user_name(user.id) == name)
        .ok_or_else(Problem::not_found)
}

pub(super) async fn set_role(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(name): PathSegment,
    FormFields(asked): FormFields<NewRole>,
) -> Result<Response, Problem> {
    let user = named(&web, &name).await?;
    apply(
        &web,
        &who,
        &user,
        AccountChange::Role(asked.role),
        "has another role",
    )
    .await
}

/// A change that is asked about before it is done.
struct UserQuestion {
    change: Option<AccountChange>,
    question: &'static str,
    warning: &'static str,
    button: &'static str,
    done: &'static str,
}

fn asked(change: &str) -> Result<UserQuestion, Problem> {
    let (change, question, warning, button, done) = match change {
        "disable" => (
            Some(AccountChange::Disable),
            "Disable",
            "They are signed out everywhere and cannot sign in until you enable them again. What they did stays.",
            "Disable",
            "is disabled",
        ),
        "enable" => (
            Some(AccountChange::Enable),
            "Enable",
            "They can sign in again with the password that they had.",
            "Enable",
            "can sign in again",
        ),
        "sign-out" => (
            Some(AccountChange::SignOut),
            "Sign out",
            "Their sessions end on all machines. They can sign in again.",
            "Sign out",
            "is signed out everywhere",
        ),
        "reset-second-factor" => (
            Some(AccountChange::ResetSecondFactor),
            "Reset the second factor of",
            "Their authenticator app, recovery codes and passkeys no longer count, and they are signed out. Do this only for somebody whom you know to ask.",
            "Reset it",
            "has no second factor any more",
        ),
        "reset-password" => (
            None,
            "Reset the password of",
            "Their password no longer works, and they are signed out. You get a link to hand to them; with it they choose another.",
            "Reset it",
            "",
        ),
        _ => return Err(Problem::not_found()),
    };
    Ok(UserQuestion {
        change,
        question,
        warning,
        button,
        done,
    })
}

/// The two open parts of the path.
pub(super) struct UserPath(String, String);

impl FromRequestParts<Web> for UserPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, web).await;
        path.map(|Path((name, change))| Self(name, change))
            .map_err(|_| Problem::not_found())
    }
}

pub(super) async fn look_at_change(
    State(web): State<Web>,
    Me(who): Me,
    UserPath(name, change): UserPath,
) -> Page {
    let (asked, user) = (asked(&change)?, named(&web, &name).await?);
    let heading = format!("{} {}?", asked.question, user.name);
    let form = GateForm {
        heading: heading.clone(),
        sentences: vec![
            format!("{} signs in as {}.", user.name, user.email.as_str()),
            asked.warning.into(),
        ],
        action: format!("{HERE}/{name}/{change}"),
        button: asked.button.into(),
        is_grave: change != "enable",
        link: Some((HERE.into(), "No, back to the users")),
        ..GateForm::default()
    };
    Ok(Html(desk::form(
        answers::frame(&web, &who, &heading, HERE),
        form,
    )?))
}

pub(super) async fn change(
    State(web): State<Web>,
    Me(who): Me,
    UserPath(name, change): UserPath,
) -> Result<Response, Problem> {
    let (asked, user) = (asked(&change)?, named(&web, &name).await?);
    match asked.change {
        Some(change) => apply(&web, &who, &user, change, asked.done).await,
        None => {
            let link = web
                .app
                .reset_password(&web.app.actor_of(&who), &user)
                .await?;
            link_page(&web, &who, user.email.as_str(), &link)
        }
    }
}

async fn apply(
    web: &Web,
    who: &SignedIn,
    user: &User,
    change: AccountChange,
    done: &str,
) -> Result<Response, Problem> {
    let said = match web
        .app
        .change_account(&web.app.actor_of(who), user, change)
        .await
    {
        Ok(()) => format!("{} {done}.", user.name),
        Err(failure) => answers::refusal(failure)?,
    };
    answers::done(web, who, &said, HERE).await
}
