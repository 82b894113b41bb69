//! API tokens.

use askama::Template;

use super::DeskFrame;
use crate::render::RenderError;

/// A token, in words.
#[derive(Debug)]
pub struct TokenLine {
    /// Public part.
    pub id: String,
    /// Name.
    pub name: String,
    /// The user for whom it acts.
    pub user: String,
    /// Scopes.
    pub scopes: String,
    /// Networks, or that it may be used from any.
    pub networks: String,
    /// When it expires.
    pub expires: String,
    /// When it was last used, and from where.
    pub used: String,
    /// True if it works.
    pub is_alive: bool,
    /// Reason why it does not.
    pub state: &'static str,
}

/// A scope that can be chosen.
#[derive(Debug)]
pub struct ScopeChoice {
    /// Name.
    pub name: &'static str,
    /// True if it is chosen.
    pub is_chosen: bool,
}

/// A new token as it was typed.
#[derive(Debug, Clone, Default)]
pub struct TypedToken {
    /// Name.
    pub name: String,
    /// Networks.
    pub networks: String,
    /// Life.
    pub life: String,
}

/// Page of all tokens.
#[derive(Debug)]
pub struct TokensView<'a> {
    /// Tokens, newest first.
    pub tokens: Vec<TokenLine>,
    /// What was typed.
    pub typed: TypedToken,
    /// Scopes to choose from.
    pub scopes: Vec<ScopeChoice>,
    /// Lives to choose from: value and words.
    pub lives: &'static [(&'static str, &'static str)],
    /// Reason why the token was refused.
    pub problem: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "desk/tokens.html", whitespace = "minimize")]
struct TokensPage<'a> {
    frame: DeskFrame<'a>,
    tokens: Vec<TokenLine>,
    typed: TypedToken,
    scopes: Vec<ScopeChoice>,
    lives: &'static [(&'static str, &'static str)],
    problem: Option<&'a str>,
}

/// All tokens, and the form that makes one.
pub fn tokens(frame: DeskFrame<'_>, view: TokensView<'_>) -> Result<String, RenderError> {
    Ok(TokensPage {
        frame,
        tokens: view.tokens,
        typed: view.typed,
        scopes: view.scopes,
        lives: view.lives,
        problem: view.problem,
    }
    .render()?)
}

#[derive(Template)]
#[template(path = "desk/token.html", whitespace = "minimize")]
struct TokenPage<'a> {
    frame: DeskFrame<'a>,
    name: &'a str,
    text: &'a str,
    previous_until: Option<&'a str>,
}

/// A token that was made, which is shown once. `previous_until`: until when the one before a rotation works.
pub fn token(
    frame: DeskFrame<'_>,
    name: &str,
    text: &str,
    previous_until: Option<&str>,
) -> Result<String, RenderError> {
    Ok(TokenPage {
        frame,
        name,
        text,
        previous_until,
    }
    .render()?)
}
