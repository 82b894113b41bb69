//! `users`: who may use the desk. It acts on the database, with no session and no code: the way back in when everything else is lost.

mod notices;

use std::fmt::Write as _;
use std::io::Read as _;
use std::process::ExitCode;

use serde_json::json;

use super::output::Output;
use super::output::say;
use crate::app::App;
use crate::app::Failure;
use crate::app::users::accounts::AccountChange;
use crate::app::users::links::UserLink;
use crate::domain::UnknownName;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::address::InvalidAddress;
use crate::domain::user::Role;
use crate::domain::user::User;
use crate::domain::user_notice::UserNoticeKind;
use crate::storage::identities::UserIdentity;
use crate::storage::passkeys::UserPasskey;

/// Longest password that is read from stdin, in bytes.
const INPUT_MAX: u64 = 8 << 10;

#[derive(Debug, clap::Subcommand)]
pub enum UsersCommand {
    /// Print a link that makes the first owner, as long as there is no user; it works once, for 24 hours
    Setup,
    /// List all users
    List,
    /// Add a user; without a password a link is printed by which they choose one
    Add {
        /// Their email address, with which they sign in
        #[arg(value_parser = parse_email)]
        email: EmailAddress,
        /// owner, editor, writer or analyst
        #[arg(long, value_parser = parse_role)]
        role: Role,
        /// Their name [default: the part of the address before the @]
        #[arg(long)]
        name: Option<String>,
        /// Read the password from standard input: one line
        #[arg(long)]
        password_stdin: bool,
    },
    /// Give a user another role
    Role {
        #[arg(value_parser = parse_email)]
        email: EmailAddress,
        /// owner, editor, writer or analyst
        #[arg(value_parser = parse_role)]
        role: Role,
    },
    /// Shut a user out; their sessions end
    Disable {
        #[arg(value_parser = parse_email)]
        email: EmailAddress,
    },
    /// Let a disabled user in again
    Enable {
        #[arg(value_parser = parse_email)]
        email: EmailAddress,
    },
    /// Take a user's password away and print a link by which they choose another; their sessions end
    ResetPassword {
        #[arg(value_parser = parse_email)]
        email: EmailAddress,
        /// Set the password from standard input (one line) in place of the link
        #[arg(long)]
        password_stdin: bool,
    },
    /// Take a user's authenticator app, recovery codes and passkeys away; their sessions end
    ResetSecondFactor {
        #[arg(value_parser = parse_email)]
        email: EmailAddress,
    },
    /// List a user's passkeys
    Passkeys {
        #[arg(value_parser = parse_email)]
        email: EmailAddress,
    },
    /// Remove a passkey of a user, so that it signs in no longer
    RemovePasskey {
        #[arg(value_parser = parse_email)]
        email: EmailAddress,
        /// The passkey, as `users passkeys` shows it
        passkey: String,
    },
    /// List a user's accounts at providers of OpenID Connect
    Identities {
        #[arg(value_parser = parse_email)]
        email: EmailAddress,
    },
    /// Let an account at a provider of OpenID Connect sign a user in
    Link {
        #[arg(value_parser = parse_email)]
        email: EmailAddress,
        /// Issuer of the provider, as desk.oidc names it
        issuer: String,
        /// Name of the account there that never changes (the claim "sub")
        subject: String,
    },
    /// Let an account at a provider sign a user in no longer
    Unlink {
        #[arg(value_parser = parse_email)]
        email: EmailAddress,
        /// The account, as `users identities` shows it
        account: String,
    },
    /// List what users are told, newest first, and the mails that told it
    Notices,
    /// Show which mails a user gets, and change it: draft_ready, unapproved, sent, skipped, breaker_open, bounces_held, webhook_disabled, source_failing, backup_old
    Mails {
        #[arg(value_parser = parse_email)]
        email: EmailAddress,
        /// Send no mails of this kind; may be repeated
        #[arg(long, value_name = "KIND", value_parser = notices::parse_kind)]
        off: Vec<UserNoticeKind>,
        /// Send mails of this kind again; may be repeated
        #[arg(long, value_name = "KIND", value_parser = notices::parse_kind)]
        on: Vec<UserNoticeKind>,
    },
    /// End all sessions of a user
    SignOut {
        #[arg(value_parser = parse_email)]
        email: EmailAddress,
    },
}

fn parse_email(text: &str) -> Result<EmailAddress, InvalidAddress> {
    EmailAddress::parse(text)
}

fn parse_role(text: &str) -> Result<Role, UnknownName> {
    text.parse()
}

impl UsersCommand {
    pub(super) async fn run(self, app: &App, output: Output) -> Result<ExitCode, Failure> {
        match self {
            Self::Setup => setup(app, output).await?,
            Self::List => list(app, output).await?,
            Self::Add {
                email,
                role,
                name,
                password_stdin,
            } => {
                let password = password_stdin.then(read_password).transpose()?;
                let link = app
                    .add_user(
                        &Actor::cli(),
                        &email,
                        name.as_deref(),
                        role,
                        password.as_deref(),
                    )
                    .await?;
                print(app, &email, link.as_ref(), output).await?;
            }
            Self::Role { email, role } => {
                change(app, &email, AccountChange::Role(role), output).await?
            }
            Self::Disable { email } => change(app, &email, AccountChange::Disable, output).await?,
            Self::Enable { email } => change(app, &email, AccountChange::Enable, output).await?,
            Self::ResetPassword {
                email,
                password_stdin,
            } => {
                let user = app.user_named(&email).await?;
                let link = if password_stdin {
                    app.set_password(&Actor::cli(), &user, &read_password()?)
                        .await?;
                    None
                } else {
                    Some(app.reset_password(&Actor::cli(), &user).await?)
                };
                print(app, &email, link.as_ref(), output).await?;
            }
            Self::ResetSecondFactor { email } => {
                change(app, &email, AccountChange::ResetSecondFactor, output).await?
            }
            Self::Passkeys { email } => passkeys(app, &email, output).await?,
            Self::RemovePasskey { email, passkey } => {
                let user = app.user_named(&email).await?;
                app.remove_passkey(&Actor::cli(), &user, &passkey, false)
                    .await?;
                passkeys(app, &email, output).await?;
            }
            Self::Identities { email } => identities(app, &email, output).await?,
            Self::Link {
                email,
                issuer,
                subject,
            } => {
                let user = app.user_named(&email).await?;
                app.link_account(&Actor::cli(), &user, &issuer, &subject)
                    .await?;
                identities(app, &email, output).await?;
            }
            Self::Unlink { email, account } => {
                let user = app.user_named(&email).await?;
                app.unlink_account(&Actor::cli(), &user, &account, false)
                    .await?;
                identities(app, &email, output).await?;
            }
            Self::Notices => notices::list(app, output).await?,
            Self::Mails { email, off, on } => {
                notices::choose(app, &email, &off, &on, output).await?
            }
            Self::SignOut { email } => change(app, &email, AccountChange::SignOut, output).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn setup(app: &App, output: Output) -> Result<(), Failure> {
    if !app.settings.desk.enabled {
        return Err(Failure::conflict(
            "The desk is off: desk.enabled is false. Nothing was done.",
        ));
    }
    let Some(link) = app.setup_link().await? else {
        return Err(Failure::conflict(
            "The desk has users already. `verdicts users list` shows them, and `verdicts users add EMAIL --role owner` adds another.",
        ));
    };
    output.print(&link_json(&link), || {
        format!(
            "{}\nIt makes the first owner, once, until {}.\n",
            link.url,
            app.local_time(link.expires_at)
        )
    })
}

fn link_json(link: &UserLink) -> serde_json::Value {
    json!({ "link": link.url, "expires_at": link.expires_at })
}

fn user_json(user: &User) -> serde_json::Value {
    json!({
        "email": user.email.as_str(),
        "name": user.name,
        "role": user.role,
        "has_password": user.has_password,
        "has_second_factor": user.has_second_factor,
        "passkeys": user.passkeys,
        "identities": user.identities,
        "created_at": user.created_at,
        "seen_at": user.seen_at,
        "disabled_at": user.disabled_at,
    })
}

fn line(app: &App, user: &User) -> String {
    let methods = match user.disabled_at {
        Some(_) => "disabled".into(),
        None => user.ways_in().unwrap_or_else(|| "no password yet".into()),
    };
    let seen = user.seen_at.map_or_else(
        || "never seen".into(),
        |at| format!("seen {}", app.local_time(at)),
    );
    format!(
        "{}  {:<8}  {}, {methods}, {seen}\n",
        user.email.as_str(),
        user.role,
        user.name
    )
}

async fn list(app: &App, output: Output) -> Result<(), Failure> {
    let users = app.storage.users().await?;
    if users.is_empty() && !output.json {
        say("There is no user yet; `verdicts users setup` prints the link that makes the first.");
    }
    let rows: Vec<_> = users.iter().map(user_json).collect();
    output.print(&json!({ "users": rows }), || {
        users.iter().map(|user| line(app, user)).collect()
    })
}

fn passkey_json(passkey: &UserPasskey) -> serde_json::Value {
    json!({
        "passkey": passkey.short_name(),
        "name": passkey.name,
        "created_at": passkey.created_at,
        "used_at": passkey.used_at,
    })
}

async fn passkeys(app: &App, email: &EmailAddress, output: Output) -> Result<(), Failure> {
    let user = app.user_named(email).await?;
    let passkeys = app.storage.passkeys(user.id).await?;
    if passkeys.is_empty() && !output.json {
        say(format_args!("{} has no passkey.", email.as_str()));
    }
    let rows: Vec<_> = passkeys.iter().map(passkey_json).collect();
    output.print(&json!({ "passkeys": rows }), || {
        let line = |passkey: &UserPasskey| {
            let used = passkey.used_at.map_or_else(
                || "never used".into(),
                |at| format!("used {}", app.local_time(at)),
            );
            format!(
                "{}  {}, added {}, {used}\n",
                passkey.short_name(),
                passkey.name,
                app.local_time(passkey.created_at)
            )
        };
        passkeys.iter().map(line).collect()
    })
}

fn identity_json(identity: &UserIdentity) -> serde_json::Value {
    json!({
        "account": identity.short_name(),
        "issuer": identity.issuer,
        "subject": identity.subject,
        "linked_at": identity.linked_at,
        "used_at": identity.used_at,
    })
}

async fn identities(app: &App, email: &EmailAddress, output: Output) -> Result<(), Failure> {
    let user = app.user_named(email).await?;
    let identities = app.storage.identities(user.id).await?;
    if identities.is_empty() && !output.json {
        say(format_args!("{} has no linked account.", email.as_str()));
    }
    let rows: Vec<_> = identities.iter().map(identity_json).collect();
    output.print(&json!({ "identities": rows }), || {
        let line = |identity: &UserIdentity| {
            format!(
                "{}  {} at {}, linked {}\n",
                identity.short_name(),
                identity.subject,
                identity.issuer,
                app.local_time(identity.linked_at)
            )
        };
        identities.iter().map(line).collect()
    })
}

async fn change(
    app: &App,
    email: &EmailAddress,
    change: AccountChange,
    output: Output,
) -> Result<(), Failure> {
    let user = app.user_named(email).await?;
    app.change_account(&Actor::cli(), &user, change).await?;
    print(app, email, None, output).await
}

/// Prints a user as they are now, and the link that was made for them.
async fn print(
    app: &App,
    email: &EmailAddress,
    link: Option<&UserLink>,
    output: Output,
) -> Result<(), Failure> {
    let user = app.user_named(email).await?;
    let mut document = user_json(&user);
    if let Some(link) = link {
        document["link"] = json!(link.url);
        document["link_expires_at"] = json!(link.expires_at);
    }
    output.print(&document, || {
        let mut text = line(app, &user);
        if let Some(link) = link {
            let _ = writeln!(
                text,
                "{}\nBy this link they choose a password, once, until {}.",
                link.url,
                app.local_time(link.expires_at)
            );
        }
        text
    })
}

/// The first line of standard input.
fn read_password() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .take(INPUT_MAX)
        .read_to_string(&mut text)
        .map_err(|error| Failure::internal(format!("The password cannot be read: {error}.")))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(Failure::invalid(
            "There was no password on standard input; nothing was done.",
        ));
    }
    Ok(line.to_owned())
}
