//! Passkeys: the list in one's account, the page that adds one, and the button that signs in with one.

use askama::Template;

use super::DeskFrame;
use crate::render::RenderError;

/// A passkey, in words.
pub struct PasskeyView {
    /// Name in addresses.
    pub short_name: String,
    /// Name that its owner gave it.
    pub name: String,
    /// Time when it was added.
    pub added: String,
    /// Time when it last signed in.
    pub used: String,
}

/// The button that asks for a passkey. The script shows it, for nothing but a script can ask.
pub struct PasskeyForm {
    /// Page to go on to.
    pub next: String,
    /// Label.
    pub button: &'static str,
    /// True if the browser offers passkeys in the field of the address, too.
    pub is_conditional: bool,
    /// True if it is the one way on.
    pub is_only_way: bool,
    /// Address at which browsers offer passkeys, if not here.
    pub elsewhere: Option<String>,
}

#[derive(Template)]
#[template(path = "desk/passkey_new.html", whitespace = "minimize")]
struct PasskeyNewPage<'a> {
    frame: DeskFrame<'a>,
    name: &'a str,
    elsewhere: Option<&'a str>,
    problem: Option<&'a str>,
    is_enrolment: bool,
}

/// The page that adds a passkey. `elsewhere`: why it cannot be done here; `is_enrolment`: the sign-in waits for it.
pub fn passkey_new(
    frame: DeskFrame<'_>,
    name: &str,
    elsewhere: Option<&str>,
    problem: Option<&str>,
    is_enrolment: bool,
) -> Result<String, RenderError> {
    Ok(PasskeyNewPage {
        frame,
        name,
        elsewhere,
        problem,
        is_enrolment,
    }
    .render()?)
}
