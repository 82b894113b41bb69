//! Pages that are one short form: signing in, a code, choosing a password, a question before something is done.

use askama::Template;

use super::DeskFrame;
use super::PasskeyForm;
use super::ProviderButton;
use crate::render::RenderError;

/// Value with which a browser may fill in a field (HTML, autofill field names).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Autocomplete {
    /// The address that somebody chooses to sign in with.
    Username,
    /// The address that somebody signs in with; the browser may offer a passkey in its place.
    UsernameOrPasskey,
    /// The person's name.
    Name,
    /// The password that they have.
    Password,
    /// A password that they choose.
    NewPassword,
    /// A code of their app.
    Code,
    /// Somebody else's address: filled in by nobody but the user.
    Address,
    /// A sentence.
    Sentence,
    /// A day.
    Day,
}

impl Autocomplete {
    fn as_str(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::UsernameOrPasskey => "username webauthn",
            Self::Name => "name",
            Self::Password => "current-password",
            Self::NewPassword => "new-password",
            Self::Code => "one-time-code",
            Self::Address | Self::Sentence | Self::Day => "off",
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Password | Self::NewPassword => "password",
            Self::Day => "date",
            Self::Username
            | Self::UsernameOrPasskey
            | Self::Name
            | Self::Code
            | Self::Address
            | Self::Sentence => "text",
        }
    }

    fn mode(self) -> &'static str {
        match self {
            Self::Username | Self::UsernameOrPasskey | Self::Address => "email",
            _ => "text",
        }
    }
}

/// A field.
pub struct FormField<'a> {
    /// Its name.
    pub name: &'static str,
    /// Its words.
    pub label: &'static str,
    /// Purpose.
    pub fills: Autocomplete,
    /// Value.
    pub value: &'a str,
    /// Hint.
    pub hint: Option<&'static str>,
}

/// A box to tick.
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// Its words.
    pub label: &'static str,
    /// True if it is ticked.
    pub is_on: bool,
}

/// A form.
#[derive(Default)]
pub struct GateForm<'a> {
    /// Its heading.
    pub heading: String,
    /// Label.
    pub sentences: Vec<String>,
    /// Address that it is sent to.
    pub action: String,
    /// Fields that nobody sees.
    pub hidden: Vec<(&'static str, String)>,
    /// Fields.
    pub fields: Vec<FormField<'a>>,
    /// A box to tick, below them.
    pub check: Option<Check>,
    /// The words of its button.
    pub button: String,
    /// True if the button does what cannot be undone.
    pub is_grave: bool,
    /// Fault of the input.
    pub problem: Option<String>,
    /// Another place to go: a path and its words.
    pub link: Option<(String, &'static str)>,
}

#[derive(Template)]
#[template(path = "desk/form.html", whitespace = "minimize")]
struct FormPage<'a> {
    frame: DeskFrame<'a>,
    form: GateForm<'a>,
    other_ways: OtherWays,
}

/// Ways to prove who one is that stand below a form.
#[derive(Default)]
pub struct OtherWays {
    /// By a passkey.
    pub passkey: Option<PasskeyForm>,
    /// At a provider.
    pub providers: Vec<ProviderButton>,
}

/// A page with one form.
pub fn form(frame: DeskFrame<'_>, form: GateForm<'_>) -> Result<String, RenderError> {
    form_or(frame, form, OtherWays::default())
}

/// A page with one form, and other ways to prove who one is below it.
pub fn form_or(
    frame: DeskFrame<'_>,
    form: GateForm<'_>,
    other_ways: OtherWays,
) -> Result<String, RenderError> {
    Ok(FormPage {
        frame,
        form,
        other_ways,
    }
    .render()?)
}
