//! Floor 6: the commands. Reads settings, builds the `App`, starts what was asked.
//!
//! Data goes to stdout, logs to stderr; `--json` prints one JSON document. Exit 0: done; 1: failed, with a sentence on
//! stderr; 2: wrong usage. One file per group of commands: [`serve`], [`catalog`], [`digest`], [`subscribers`],
//! [`users`], [`tokens`], [`keys`], [`operations`]; [`output`] has what they share.

mod audit;
mod backup;
mod bounces;
mod catalog;
mod digest;
mod examples;
mod health;
mod inbound;
mod keys;
mod manual;
mod operations;
mod output;
mod progress;
mod proposals;
mod relays;
mod serve;
mod service_manager;
mod settings;
mod sources;
mod stopping;
mod subscribers;
mod tokens;
mod turns;
mod users;
mod version;
mod webhooks;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::CommandFactory as _;
use clap::FromArgMatches as _;
use clap::Parser;
use clap::Subcommand;
use tokio::sync::Notify;

use crate::app::App;
use crate::app::Clock;
use crate::app::Failure;
use crate::app::FailureKind;
use crate::config;
use crate::config::Settings;
use crate::telemetry;
use output::Hangup;
use output::Output;
use output::say;
use output::stop_signal;

/// A weekly newsletter service: sign-up, digest, delivery ledger.
#[derive(Debug, Parser)]
#[command(name = "verdicts", version, about, max_term_width = 100)]
struct Arguments {
    /// The settings file [default: config/verdicts.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long, global = true)]
    json: bool,
    /// Print times in UTC instead of site.timezone; JSON always has UTC
    #[arg(long, global = true)]
    utc: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service: pages, schedule and delivery
    ///
    /// It runs until SIGTERM or ctrl-C. Then it takes no new work, finishes what is in flight, and ends.
    Serve(serve::ServeArguments),
    /// Bring the database up to date
    Migrate,
    /// Tools, reviews and comparisons
    #[command(subcommand)]
    Catalog(catalog::CatalogCommand),
    /// Feeds, pages, documents and folders from which tools and comparisons come in
    #[command(subcommand)]
    Sources(sources::SourcesCommand),
    /// What sources brought, to accept or reject
    #[command(subcommand)]
    Proposals(proposals::ProposalsCommand),
    /// The weekly digest
    #[command(subcommand)]
    Digest(digest::DigestCommand),
    /// Import, export and manage subscribers
    #[command(subcommand)]
    Subscribers(subscribers::SubscribersCommand),
    /// The people who may use the desk
    #[command(subcommand)]
    Users(users::UsersCommand),
    /// Tokens with which programs use the API
    #[command(subcommand)]
    Tokens(tokens::TokensCommand),
    /// Read mails that came back: bounces, complaints, automatic replies, requests to join or leave
    ///
    /// Prints a line for each recipient found: the address (- if none is known), a tab, and hard, soft, complaint, auto, unsubscribe,
    /// subscribe or none.
    Inbound(inbound::InboundArguments),
    /// Review hard refusals that the brake holds
    #[command(subcommand)]
    Bounces(bounces::BouncesCommand),
    /// Ways out: state, use and last reply of each relay
    #[command(subcommand)]
    Relays(relays::RelaysCommand),
    /// Show what DNS says of the sender, since when, and the records to publish
    Dns {
        /// Ask DNS now
        #[arg(long)]
        now: bool,
    },
    /// Show what was changed, and by whom
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Endpoints of other programs that are told of events
    #[command(subcommand)]
    Webhooks(webhooks::WebhooksCommand),
    /// The feed of events, for programs that cannot take webhooks
    #[command(subcommand)]
    Events(webhooks::EventsCommand),
    /// Keys that sign mails
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Check everything that must be right before a real send
    Doctor {
        /// Print a text for whoever helps: versions, database, findings, settings that are not the default; secrets are masked
        #[arg(long)]
        support: bool,
    },
    /// Show the settings in force, and where each came from; set those that may be set at the desk
    Config {
        #[command(subcommand)]
        change: Option<settings::ConfigChange>,
    },
    /// Write the database, its secret and its settings into one file while the service runs; or check such a file
    ///
    /// The file is a tar archive, compressed with zstd, and encrypted with age where --encrypt names recipients. On PostgreSQL it runs
    /// pg_dump, of the server's version or newer.
    Backup(backup::BackupArguments),
    /// Make a database of a backup again; it holds all that was on its way
    Restore(backup::RestoreArguments),
    /// Ask a running service for its state; fails unless it is ready
    ///
    /// For health checks of containers and for scripts: it needs no other program, and opens no database.
    Health(health::HealthArguments),
    /// Print the script that completes commands and options in a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the pages of the manual, one for each command
    Man {
        /// The folder for the pages; it is made if it is not there
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// The whole command line, with examples.
fn command() -> clap::Command {
    examples::add(Arguments::command())
}

/// Reads the command line of this process; on wrong usage, or where help is asked for, it says so and ends.
fn parse() -> Arguments {
    let matches = command().get_matches();
    Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let asks_version = version::asked();
    let arguments = match asks_version {
        Some(_) => None,
        None => Some(parse()),
    };
    let command = arguments.as_ref().map(|arguments| &arguments.command);
    let serves = matches!(command, Some(Command::Serve(_)));
    telemetry::log_to_stderr(if serves { "info" } else { "warn" });
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if !serves {
        // A command does one thing; a second thread would be woken for nothing.
        runtime.worker_threads(1);
    }
    let caller = if matches!(command, Some(Command::Inbound(_))) {
        Caller::MailServer
    } else {
        Caller::Person
    };
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(format_args!("The program cannot start: {error}."));
            return exit_code(&FailureKind::Internal, caller);
        }
    };
    let done = runtime.block_on(async {
        match (arguments, asks_version) {
            (Some(arguments), _) => dispatch(arguments).await,
            (None, output) => version::print(output.unwrap_or(Output { json: false })).await,
        }
    });
    // A look-up of the system's that nobody waits for any more goes on for as long as it likes.
    runtime.shutdown_timeout(LAST_WORK);
    match done {
        Ok(code) => code,
        Err(failure) => {
            tracing::debug!(cause = failure.cause(), "the command failed");
            let code = exit_code(failure.kind(), caller);
            say(failure);
            code
        }
    }
}

/// Time that threads may still block at the end.
const LAST_WORK: std::time::Duration = std::time::Duration::from_millis(500);
/// Exit code of `inbound` when nothing was kept (sysexits.h): a mail server that pipes a mail into it then tries again later, where
/// any other code would return the mail or drop it.
const EX_TEMPFAIL: u8 = 75;

/// Caller of a command.
#[derive(Debug, Clone, Copy)]
enum Caller {
    /// A person or a script.
    Person,
    /// A mail server that pipes mails into `inbound`.
    MailServer,
}

/// The one place where a failure's kind becomes an exit code. clap answers wrong usage with 2 by itself. Scripts are promised one code
/// for whatever else failed; the match is complete so that a new kind is decided on here.
fn exit_code(kind: &FailureKind, caller: Caller) -> ExitCode {
    match (caller, kind) {
        (Caller::MailServer, _) => ExitCode::from(EX_TEMPFAIL),
        (
            Caller::Person,
            FailureKind::NotFound
            | FailureKind::Conflict
            | FailureKind::Invalid(_)
            | FailureKind::Unauthorized
            | FailureKind::Forbidden
            | FailureKind::TooMany(_)
            | FailureKind::Unavailable(_)
            | FailureKind::Internal,
        ) => ExitCode::FAILURE,
    }
}

impl Command {
    /// Takes fewer connections to the database where many processes run at once.
    fn limit_connections(&self, settings: &mut Settings) {
        if matches!(self, Self::Inbound(_)) {
            let connections = &mut settings.database.connections;
            *connections = inbound::CONNECTIONS.min(*connections);
        }
    }

    /// Returns whether a SQLite database that is not there is made: by what sets an installation up, and by nothing else.
    fn makes_database(&self) -> bool {
        match self {
            Self::Serve(_) | Self::Migrate => true,
            Self::Catalog(command) => command.is_import(),
            Self::Subscribers(command) => command.is_import(),
            // A desk may be set up before the service starts.
            Self::Users(_) => true,
            _ => false,
        }
    }
}

/// Runs what needs no settings: packages are made where there are none.
fn without_settings(command: &Command, output: Output) -> Option<Result<ExitCode, Failure>> {
    match command {
        Command::Completions { shell } => Some(manual::complete(*shell)),
        Command::Man { out } => Some(manual::write_pages(out, output)),
        _ => None,
    }
}

async fn dispatch(arguments: Arguments) -> Result<ExitCode, Failure> {
    let output = Output {
        json: arguments.json,
    };
    if let Some(done) = without_settings(&arguments.command, output) {
        return done;
    }
    let mut loaded = config::load(arguments.config.as_deref(), environment())
        .map_err(|error| Failure::invalid(error.to_string()))?;
    for sentence in &loaded.old_names {
        tracing::warn!("{sentence}");
    }
    arguments.command.limit_connections(&mut loaded.settings);
    let makes_database = arguments.command.makes_database();
    let open = async || open_app(&loaded, makes_database, arguments.utc).await;
    match arguments.command {
        Command::Serve(command) => {
            telemetry::set_level(&loaded.settings.log.level);
            // Before the database is opened: who is asked to stop meanwhile ends in order too.
            let hangup = Arc::new(Notify::new());
            let stop = stop_signal(Hangup::Tells(hangup.clone()));
            match serve::wait_for_database(open, loaded.settings.database.wait_at_start, &stop)
                .await?
            {
                Some(app) => {
                    let reload = serve::Reload {
                        file: arguments.config,
                        loaded: loaded.clone(),
                        hangup,
                    };
                    command.run(app, reload, stop).await
                }
                None => Ok(ExitCode::SUCCESS),
            }
        }
        Command::Migrate => operations::migrate(open().await?, output).await,
        Command::Catalog(command) => command.run(open().await?, output).await,
        Command::Sources(command) => command.run(open().await?, output).await,
        Command::Proposals(command) => command.run(open().await?, output).await,
        Command::Digest(command) => command.run(open().await?, output).await,
        Command::Subscribers(command) => command.run(open().await?, output).await,
        Command::Users(command) => command.run(&*open().await?, output).await,
        Command::Tokens(command) => command.run(&*open().await?, output).await,
        Command::Inbound(command) => command.run(open, &loaded.settings, output).await,
        Command::Bounces(command) => command.run(open().await?, output).await,
        Command::Relays(command) => command.run(open().await?, output).await,
        Command::Dns { now } => relays::dns(&*open().await?, now, output).await,
        Command::Audit(command) => command.run(open().await?, output).await,
        Command::Webhooks(command) => command.run(open().await?, output).await,
        Command::Events(command) => command.run(open().await?, output).await,
        Command::Keys(command) => {
            command
                .run(&loaded.settings, &Clock::system(), output)
                .await
        }
        Command::Doctor { support: true } => operations::support(&*open().await?, output).await,
        Command::Doctor { support: false } => {
            let open = App::open_existing(loaded.settings.clone(), Clock::system());
            operations::doctor(open, &loaded.settings.database.url.shown(), output).await
        }
        Command::Backup(command) if command.verify => command.check(output).await,
        Command::Backup(command) => command.run(&*open().await?, output).await,
        Command::Restore(command) => command.run(&loaded.settings, output).await,
        Command::Health(command) => command.run(loaded.settings.site.listen, output).await,
        Command::Completions { .. } | Command::Man { .. } => Ok(ExitCode::SUCCESS),
        Command::Config { change: None } => settings::show(&loaded, output).await,
        Command::Config {
            change: Some(change),
        } => change.run(&*open().await?, output).await,
    }
}

/// Opens the database, and makes a process of it and the settings.
async fn open_app(
    loaded: &config::Loaded,
    makes_database: bool,
    is_utc: bool,
) -> Result<Arc<App>, Failure> {
    let (settings, clock) = (loaded.settings.clone(), Clock::system());
    let app = if makes_database {
        App::open(settings, clock).await?
    } else {
        App::open_existing(settings, clock).await?
    };
    app.note_origins(loaded.shown());
    // On SQLite there is nobody else to do it, and nothing to coordinate.
    if !app.storage.is_postgres() {
        app.migrate().await?;
    }
    app.refresh_settings().await?;
    if is_utc {
        app.show_times_in_utc();
    }
    Ok(app)
}

/// The process's variables; one that is no Unicode is none of ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Outage;

    #[test]
    fn every_kind_ends_a_command_with_one_and_a_piped_mail_with_try_again() {
        let kinds = [
            FailureKind::NotFound,
            FailureKind::Conflict,
            FailureKind::Invalid(Vec::new()),
            FailureKind::Unauthorized,
            FailureKind::Forbidden,
            FailureKind::TooMany(std::time::Duration::from_secs(60)),
            FailureKind::Unavailable(Outage::DatabaseUnreachable),
            FailureKind::Internal,
        ];
        for kind in kinds {
            assert_eq!(
                exit_code(&kind, Caller::Person),
                ExitCode::from(1),
                "{kind:?}"
            );
            assert_eq!(
                exit_code(&kind, Caller::MailServer),
                ExitCode::from(75),
                "{kind:?}"
            );
        }
    }
}
