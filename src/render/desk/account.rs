//! One's own account: password, second factor, sessions.

use askama::Template;

use super::DeskFrame;
use super::IdentityView;
use super::PasskeyView;
use crate::domain::user::User;
use crate::domain::user_notice::UserNoticeKind;
use crate::render::RenderError;

/// A session, in words.
pub struct SessionView {
    /// Name in a form.
    pub name: String,
    /// The program.
    pub agent: String,
    /// The network.
    pub network: String,
    /// Time when it began.
    pub since: String,
    /// Time when it was last used.
    pub seen: String,
    /// True if it is the one that looks.
    pub is_this: bool,
}

/// Content of the page.
pub struct AccountView<'a> {
    /// The user.
    pub user: &'a User,
    /// Recovery codes that are left.
    pub codes_left: i64,
    /// True if the role must have a second factor.
    pub must_have_code: bool,
    /// True if the password lets nobody in without a passkey.
    pub is_guarded: bool,
    /// Fault of a password that was sent.
    pub problem: Option<String>,
    /// The passkeys.
    pub passkeys: Vec<PasskeyView>,
    /// Reason for which there are no passkeys here.
    pub no_passkeys: Option<String>,
    /// Accounts at providers.
    pub identities: Vec<IdentityView>,
    /// Providers with which an account can be linked: their names in addresses, and their names.
    pub providers: Vec<(String, String)>,
    /// Kinds of mails about the newsletter, each with whether it comes.
    pub mails: Vec<(UserNoticeKind, bool)>,
    /// The sessions.
    pub sessions: Vec<SessionView>,
}

#[derive(Template)]
#[template(path = "desk/account.html", whitespace = "minimize")]
struct DeskAccountPage<'a> {
    frame: DeskFrame<'a>,
    view: AccountView<'a>,
}

/// The page of one's own account.
pub fn account(frame: DeskFrame<'_>, view: AccountView<'_>) -> Result<String, RenderError> {
    Ok(DeskAccountPage { frame, view }.render()?)
}

#[derive(Template)]
#[template(path = "desk/second_factor.html", whitespace = "minimize")]
struct SecondFactorPage<'a> {
    frame: DeskFrame<'a>,
    has_passkeys: bool,
    /// A picture that this service drew.
    qr: Option<String>,
    key: &'a str,
    seed: &'a str,
    is_demanded: bool,
    problem: Option<&'a str>,
}

/// Setting up a second factor. `qr`: the picture as an `svg` element; `is_demanded`: the sign-in waits for it; `has_passkeys`: one would do.
pub fn second_factor(
    frame: DeskFrame<'_>,
    (qr, key, seed): (Option<String>, &str, &str),
    (is_demanded, has_passkeys): (bool, bool),
    problem: Option<&str>,
) -> Result<String, RenderError> {
    Ok(SecondFactorPage {
        frame,
        has_passkeys,
        qr,
        key,
        seed,
        is_demanded,
        problem,
    }
    .render()?)
}

#[derive(Template)]
#[template(path = "desk/recovery_codes.html", whitespace = "minimize")]
struct RecoveryPage<'a> {
    frame: DeskFrame<'a>,
    codes: &'a [String],
}

/// Recovery codes, which are shown once.
pub fn recovery_codes(frame: DeskFrame<'_>, codes: &[String]) -> Result<String, RenderError> {
    Ok(RecoveryPage { frame, codes }.render()?)
}
