//! The users of the desk.

use askama::Template;

use super::DeskFrame;
use crate::domain::user::Role;
use crate::domain::user::User;
use crate::render::RenderError;

/// A user, in words.
pub struct UserView<'a> {
    /// Name in an address.
    pub name: String,
    /// The user.
    pub user: &'a User,
    /// Time when they were last seen.
    pub seen: String,
    /// True if it is the one that looks.
    pub is_me: bool,
}

impl UserView<'_> {
    /// Ways in which they sign in.
    fn methods(&self) -> String {
        self.user
            .ways_in()
            .unwrap_or_else(|| "not yet: invited".into())
    }
}

/// A new user as it was typed.
#[derive(Debug, Clone, Copy, Default)]
pub struct TypedUser<'a> {
    /// Address.
    pub email: &'a str,
    /// Name.
    pub name: &'a str,
}

#[derive(Template)]
#[template(path = "desk/users.html", whitespace = "minimize")]
struct UsersPage<'a> {
    frame: DeskFrame<'a>,
    users: Vec<UserView<'a>>,
    typed: TypedUser<'a>,
    problem: Option<&'a str>,
    roles: &'static [Role],
}

/// All users, and the form that adds one. `typed`: address and name, kept where they were refused.
pub fn users<'a>(
    frame: DeskFrame<'a>,
    users: Vec<UserView<'a>>,
    (email, name): (&'a str, &'a str),
    problem: Option<&'a str>,
) -> Result<String, RenderError> {
    Ok(UsersPage {
        frame,
        users,
        typed: TypedUser { email, name },
        problem,
        roles: Role::ALL,
    }
    .render()?)
}

#[derive(Template)]
#[template(path = "desk/link.html", whitespace = "minimize")]
struct LinkPage<'a> {
    frame: DeskFrame<'a>,
    whose: &'a str,
    url: &'a str,
    until: &'a str,
}

/// A link that is shown once, to be handed to its user.
pub fn link(
    frame: DeskFrame<'_>,
    whose: &str,
    url: &str,
    until: &str,
) -> Result<String, RenderError> {
    Ok(LinkPage {
        frame,
        whose,
        url,
        until,
    }
    .render()?)
}
