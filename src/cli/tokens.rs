//! `tokens`: programs that use the API. It acts on the database; a token is printed once, when it is made.

use std::fmt::Write as _;
use std::process::ExitCode;

use ipnet::IpNet;
use serde_json::json;

use super::output::Output;
use super::output::parse_moment;
use super::output::say;
use crate::app::App;
use crate::app::Failure;
use crate::app::tokens::MadeToken;
use crate::app::tokens::TokenLife;
use crate::app::tokens::TokenRequest;
use crate::app::tokens::TokenView;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::address::InvalidAddress;
use crate::domain::api_token::ApiToken;
use crate::domain::api_token::Scopes;
use crate::domain::user::Role;
use crate::domain::user::User;

#[derive(Debug, clap::Subcommand)]
pub enum TokensCommand {
    /// List all tokens, newest first
    List,
    /// Make a token; it is printed once
    Add {
        /// Name of the program
        name: String,
        /// Scopes, with commas between them; "read" means all that only read, "all" all that the user's role has
        #[arg(long, value_name = "SCOPES")]
        scopes: String,
        /// The user for whom it acts [default: the owner, if there is one only]
        #[arg(long, value_parser = parse_email)]
        user: Option<EmailAddress>,
        /// Network that it may be used from, like 192.0.2.0/24; may be repeated [default: any]
        #[arg(long = "network", value_name = "CIDR")]
        networks: Vec<IpNet>,
        /// Time from which it no longer works (RFC 3339), or "never" for an owner's [default: in a year]
        #[arg(long, value_name = "TIME", value_parser = parse_life)]
        expires: Option<TokenLife>,
    },
    /// Give a token another secret, which is printed once; the one before works for 24 hours more
    Rotate {
        /// The token, as `tokens list` shows it
        token: String,
    },
    /// Revoke a token at once
    Revoke {
        /// The token, as `tokens list` shows it
        token: String,
    },
}

fn parse_email(text: &str) -> Result<EmailAddress, InvalidAddress> {
    EmailAddress::parse(text)
}

fn parse_life(text: &str) -> Result<TokenLife, String> {
    match text {
        "never" => Ok(TokenLife::Unlimited),
        text => parse_moment(text).map(TokenLife::Until),
    }
}

impl TokensCommand {
    pub(super) async fn run(self, app: &App, output: Output) -> Result<ExitCode, Failure> {
        match self {
            Self::List => list(app, output).await?,
            Self::Add {
                name,
                scopes,
                user,
                networks,
                expires,
            } => {
                let user = match user {
                    Some(email) => app.user_named(&email).await?,
                    None => only_owner(app).await?,
                };
                let scopes = Scopes::choose(&scopes, user.role).map_err(|error| {
                    Failure::invalid_field("scopes", format!("--scopes: {error}."))
                })?;
                let asked = TokenRequest {
                    name,
                    scopes,
                    networks,
                    life: expires.unwrap_or(TokenLife::Year),
                };
                let made = app.add_token(&Actor::cli(), &user, &asked).await?;
                print(app, &made, output)?;
            }
            Self::Rotate { token } => {
                let made = app.rotate_token(&Actor::cli(), public_id(&token)).await?;
                print(app, &made, output)?;
            }
            Self::Revoke { token } => {
                let id = public_id(&token);
                app.revoke_token(&Actor::cli(), id).await?;
                output.print(&json!({ "revoked": id }), || format!("{id} is revoked.\n"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Public part, also where somebody gives the beginning of the token itself.
fn public_id(text: &str) -> &str {
    let text = text.strip_prefix("vd_").unwrap_or(text);
    text.split('_').next().unwrap_or(text)
}

async fn only_owner(app: &App) -> Result<User, Failure> {
    let users = app.storage.users().await?;
    let mut owners = users
        .into_iter()
        .filter(|user| user.role == Role::Owner && user.disabled_at.is_none());
    match (owners.next(), owners.next()) {
        (Some(owner), None) => Ok(owner),
        (Some(_), Some(_)) => Err(Failure::invalid_field(
            "user",
            "There are several owners: say by --user EMAIL for whom the token acts.",
        )),
        (None, _) => Err(Failure::conflict(
            "A token acts for a user, and there is no owner yet. `verdicts users add EMAIL --role owner` adds one.",
        )),
    }
}

fn print(app: &App, made: &MadeToken, output: Output) -> Result<(), Failure> {
    let token = &made.token;
    let json = json!({
        "id": token.public_id,
        "token": made.text,
        "expires_at": token.expires_at,
        "previous_until": token.previous_until,
    });
    output.print(&json, || {
        let mut text = format!("{}\n", made.text);
        if let Some(until) = token.previous_until {
            let _ = writeln!(
                text,
                "The token before works until {}.",
                app.local_time(until)
            );
        }
        if let Some(at) = token.expires_at {
            let _ = writeln!(text, "It expires {}.", app.local_time(at));
        }
        text
    })
}

fn line(app: &App, token: &ApiToken, user: &str) -> String {
    let time = |at| app.local_time(at);
    let until = match (token.revoked_at, token.expires_at) {
        (Some(at), _) => format!("revoked {}", time(at)),
        (None, Some(at)) if at <= app.now() => format!("expired {}", time(at)),
        (None, Some(at)) => format!("until {}", time(at)),
        (None, None) => "without an end".into(),
    };
    let used = match (token.used_at, &token.used_from) {
        (Some(at), Some(from)) => format!("used {} from {from}", time(at)),
        _ => "never used".into(),
    };
    let networks: Vec<String> = token.networks.iter().map(ToString::to_string).collect();
    let from = match networks.is_empty() {
        true => String::new(),
        false => format!(", from {}", networks.join(" ")),
    };
    format!(
        "{}  {} for {user}, {until}, {used}{from}\n  {}\n",
        token.public_id, token.name, token.scopes
    )
}

async fn list(app: &App, output: Output) -> Result<(), Failure> {
    let tokens = app.tokens().await?;
    if tokens.is_empty() && !output.json {
        say("There is no token yet; `verdicts tokens add NAME --scopes SCOPES` makes one.");
    }
    let named = |user: &Option<User>| {
        let user = user.as_ref();
        user.map_or_else(String::new, |user| user.email.as_str().to_owned())
    };
    let rows: Vec<_> = tokens
        .iter()
        .map(|(token, user)| json!(TokenView::new(token, &named(user), app.now())))
        .collect();
    output.print(&json!({ "tokens": rows }), || {
        let line = |(token, user): &(ApiToken, Option<User>)| line(app, token, &named(user));
        tokens.iter().map(line).collect()
    })
}
