//! `subscribers`: import, export, list, show, add, erase.

mod conditions;
mod growth;
mod import;
mod one;

use std::io::BufWriter;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::output::Output;
use super::output::write_out;
use crate::app::App;
use crate::app::Failure;
use crate::app::export::ExportFormat;
use crate::app::private_file;
use crate::app::subscribing::columns::Assignment;
use crate::app::subscribing::columns::Mapping;
use crate::app::subscribing::list::ImportTerms;
use crate::app::views::ListedView;
use crate::app::views::PersonView;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::subscriber_filter::SubscriberFilter;
use crate::storage::people::Person;
use crate::storage::segments::Segment;
use crate::storage::subscriber_list::FoundSubscriber;
use crate::storage::subscribers::SignedUp;
use conditions::Conditions;
use import::import;
use one::Edit;

#[derive(Debug, clap::Subcommand)]
pub enum SubscribersCommand {
    /// Import a CSV file with a header: email, and if you like name, confirmed_at, source, state, timezone
    ///
    /// Exports of other services are known by their headers. People who unsubscribed, bounced or complained there are imported in
    /// that state and get no mail, in any file. A file is refused if a column may say who unsubscribed but is not understood: explain the
    /// column with --map or --ignore-column. docs/importing.md names the services and columns.
    Import {
        /// The file, or - for standard input
        file: PathBuf,
        /// Text that the people in the file agreed to, in your words; kept in each consent record
        #[arg(long, value_name = "TEXT", value_parser = parse_consent)]
        consent: String,
        /// Import people as confirmed; without this, each gets a confirmation mail
        #[arg(long)]
        confirmed: bool,
        /// Count, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Meaning of a column: email, name, state, left, subscribed, bounced, confirmed_at, source or timezone = its name or number
        ///
        /// For example --map email=3,name=First,left=unsubscribed_at. Columns are counted from 1. In a column mapped to `left` any date,
        /// 1, true or yes means that somebody left; in one mapped to `subscribed`, no or false does.
        #[arg(long, value_name = "FIELD=COLUMN", value_delimiter = ',')]
        map: Vec<Assignment>,
        /// Columns, by name or number, that are not to be read
        #[arg(long, value_name = "NAME", num_args = 1..)]
        ignore_column: Vec<String>,
        /// Write the refused rows to this CSV file, with line and reason: mend it and import it again
        #[arg(long, value_name = "FILE")]
        refused: Option<PathBuf>,
    },
    /// Export everybody, or those whom all conditions hold for, as CSV that an import can read again
    Export {
        /// The file, or - for standard output
        file: PathBuf,
        /// csv, or json: an object on each line
        #[arg(long, value_parser = ["csv", "json"], default_value = "csv")]
        format: String,
        #[command(flatten)]
        conditions: Conditions,
    },
    /// List saved filters; the option --segment takes one
    Segments,
    /// List subscribers, the newest first: everybody, or those whom all conditions hold for
    List(Conditions),
    /// Count subscribers: everybody, or those whom all conditions hold for
    Count(Conditions),
    /// Growth of the list: readers, who came and left by day, source, week of joining and issue
    Growth(growth::GrowthArguments),
    /// State, consent record and history of somebody
    Show { email: EmailAddress },
    /// Sign somebody up: they get the confirmation mail
    Add {
        #[arg(value_parser = EmailAddress::parse_new)]
        email: EmailAddress,
        /// Text that they agreed to, in your words
        #[arg(long, value_name = "TEXT", value_parser = parse_consent)]
        consent: String,
        /// Send no confirmation mail now; `subscribers resend` does
        #[arg(long)]
        no_confirmation: bool,
    },
    /// End somebody's subscription; they can sign up again
    Unsubscribe {
        #[arg(required_unless_present = "tokens")]
        email: Option<EmailAddress>,
        /// After a restoration: end the subscriptions of all whose unsubscribe link was used, by a proxy's access log since the backup, or by
        /// links, one a line ("-": standard input)
        #[arg(long, value_name = "FILE", conflicts_with = "email")]
        tokens: Option<PathBuf>,
    },
    /// Change somebody's address or pause
    Edit {
        email: EmailAddress,
        #[command(flatten)]
        change: Edit,
    },
    /// Send somebody who has not confirmed yet the confirmation mail once more
    Resend { email: EmailAddress },
    /// Print everything that is kept of somebody, as JSON
    Data { email: EmailAddress },
    /// Print the reports that came back for somebody, as they came
    Reports { email: EmailAddress },
    /// Say whether an address is on the suppression list; without one, print all entries, which are keyed hashes
    Suppressed { email: Option<EmailAddress> },
    /// Take somebody off the suppression list; they may be signed up again
    Lift {
        email: EmailAddress,
        /// Reason, in your words; it is kept
        #[arg(long, value_name = "TEXT", value_parser = parse_note)]
        note: String,
    },
    /// Erase a subscriber; only a keyed hash of the address stays, on the suppression list
    Erase { email: EmailAddress },
}

impl SubscribersCommand {
    /// Returns whether the command fills an installation, which it may make first.
    pub(super) fn is_import(&self) -> bool {
        matches!(self, Self::Import { .. })
    }

    pub(super) async fn run(self, app: Arc<App>, output: Output) -> Result<ExitCode, Failure> {
        match self {
            Self::Import {
                file,
                consent,
                confirmed,
                dry_run,
                map,
                ignore_column,
                refused,
            } => {
                let terms = ImportTerms {
                    consent: &consent,
                    confirmed,
                    dry_run,
                };
                let mapping = Mapping {
                    assigned: map,
                    ignored: ignore_column,
                };
                import(&app, &file, terms, &mapping, refused.as_deref(), output).await?
            }
            Self::Export {
                file,
                format,
                conditions,
            } => {
                let format = format.parse().unwrap_or(ExportFormat::Csv);
                export(&app, &file, format, &conditions.filter(&app).await?, output).await?
            }
            Self::Segments => {
                let segments = app.segments().await?;
                let row = |segment: &Segment| json!({ "slug": segment.slug, "name": segment.name, "conditions": segment.filter.pairs().into_iter().collect::<std::collections::BTreeMap<_, _>>() });
                let rows: Vec<_> = segments.iter().map(row).collect();
                output.print(&json!({ "segments": rows }), || {
                    segments
                        .iter()
                        .map(|segment| format!("{}  {}\n", segment.slug, segment.name))
                        .collect()
                })?;
            }
            Self::List(conditions) => list(&app, &conditions.filter(&app).await?, output).await?,
            Self::Count(conditions) => {
                let count = app.count_all(&conditions.filter(&app).await?).await?;
                output.print(&json!({ "subscribers": count }), || format!("{count}\n"))?;
            }
            Self::Growth(arguments) => arguments.run(&app, output).await?,
            Self::Show { email } => show(&app, &app.person(&email).await?, output)?,
            Self::Add {
                email,
                consent,
                no_confirmation,
            } => add(&app, &email, &consent, no_confirmation, output).await?,
            Self::Unsubscribe { email, tokens } => match (email, tokens) {
                (Some(email), _) => one::unsubscribe(&app, &email, output).await?,
                (None, tokens) => one::unsubscribe_by_links(&app, tokens, output).await?,
            },
            Self::Edit { email, change } => one::edit(&app, &email, change, output).await?,
            Self::Resend { email } => one::resend(&app, &email, output).await?,
            Self::Data { email } => one::data(&app, &email).await?,
            Self::Reports { email } => one::reports(&app, &email, output).await?,
            Self::Suppressed { email } => one::suppressed(&app, email.as_ref(), output).await?,
            Self::Lift { email, note } => {
                let reason = app.lift_suppression(&Actor::cli(), &email, &note).await?;
                output.print(&json!({ "status": "lifted", "reason": reason }), || {
                    format!("Taken off the suppression list, where they were as {reason}. A sign-up brings them back.\n")
                })?;
            }
            Self::Erase { email } => {
                app.erase_subscriber(&Actor::cli(), &email).await?;
                output.print(&json!({ "status": "erased" }), || {
                    "Erased: only a keyed hash of the address is left, on the suppression list.\n".into()
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A consent record that says nothing proves nothing.
fn parse_consent(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        Err("expected what they agreed to, in your words".into())
    } else {
        Ok(text.into())
    }
}

fn parse_note(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        Err("expected why, in your words".into())
    } else {
        Ok(text.into())
    }
}

async fn export(
    app: &App,
    file: &Path,
    format: ExportFormat,
    filter: &SubscriberFilter,
    output: Output,
) -> Result<(), Failure> {
    if file == Path::new("-") && output.json {
        return Err(Failure::invalid(
            "An export is a document of its own: name a file for it, or leave --json out.",
        ));
    }
    if file == Path::new("-") {
        return app
            .export_filtered(
                &Actor::cli(),
                filter,
                format,
                std::io::stdout().lock(),
                |_| true,
            )
            .await
            .map(|_| ());
    }
    // Written aside and moved into place: whoever reads the file never sees half of it.
    let fault = |error: std::io::Error| {
        Failure::internal(format!("{} cannot be written: {error}.", file.display()))
    };
    let mut draft = file.as_os_str().to_owned();
    draft.push(".part");
    let written = app
        .export_filtered(
            &Actor::cli(),
            filter,
            format,
            BufWriter::new(private_file(Path::new(&draft)).map_err(fault)?),
            |_| true,
        )
        .await;
    if written.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    let count = written?;
    std::fs::rename(&draft, file).map_err(fault)?;
    output.print(&json!({ "exported": count }), || {
        format!("{count} subscribers in {}\n", file.display())
    })
}

/// Prints page by page: a list of any length in little memory.
async fn list(app: &App, filter: &SubscriberFilter, output: Output) -> Result<(), Failure> {
    let (query, mut after, mut first) = (app.list_query(filter), None, true);
    if output.json {
        write_out(b"{\"subscribers\":[")?;
    }
    loop {
        let walk = app.next_subscribers(&query, after, 1_000).await?;
        let mut text = String::new();
        for FoundSubscriber { listed, .. } in &walk.rows {
            if output.json {
                text.push_str(if first { "\n" } else { ",\n" });
                text.push_str(&json!(ListedView::new(app, listed)).to_string());
            } else {
                text.push_str(&format!(
                    "{:<12} {}  {}\n",
                    listed.subscriber.state,
                    app.local_time(listed.created_at),
                    listed.subscriber.email
                ));
            }
            first = false;
        }
        write_out(text.as_bytes())?;
        after = walk.next;
        if after.is_none() {
            break;
        }
    }
    if output.json {
        write_out(b"]}\n")
    } else {
        Ok(())
    }
}

fn show(app: &App, person: &Person, output: Output) -> Result<(), Failure> {
    let json = json!(PersonView::new(app, person));
    output.print(&json, || {
        let zone = person
            .subscriber
            .timezone
            .map(|zone| format!("  {zone}"))
            .unwrap_or_default();
        let mut text = format!(
            "{}  {}{zone}\n",
            person.subscriber.email, person.subscriber.state
        );
        for consent in &person.consents {
            let (at, from) = (
                app.local_time(consent.requested_at),
                consent.network.as_deref().unwrap_or("no network kept"),
            );
            let confirmed = consent.confirmed_at.map_or_else(
                || "not confirmed".into(),
                |at| format!("confirmed {}", app.local_time(at)),
            );
            text.push_str(&format!(
                "consent {at} ({}, {from}), {confirmed}: {}\n",
                consent.source, consent.shown
            ));
        }
        for entry in &person.history {
            text.push_str(&format!("{}  {}\n", app.local_time(entry.at), entry.event));
        }
        text
    })
}

async fn add(
    app: &App,
    email: &EmailAddress,
    consent: &str,
    is_quiet: bool,
    output: Output,
) -> Result<(), Failure> {
    let added = app
        .add_subscriber(&Actor::cli(), email, consent, is_quiet)
        .await?;
    let (status, words) = match added {
        SignedUp::Added => (
            "added",
            "They are added and get no mail before `subscribers resend` sends the confirmation.",
        ),
        SignedUp::ConfirmationQueued => (
            "check_inbox",
            "A confirmation mail is queued; a running `serve` sends it.",
        ),
        SignedUp::AskedRecently => (
            "asked_recently",
            "A confirmation mail went there within the last hour; no second one is sent.",
        ),
        SignedUp::ReminderQueued => (
            "already_active",
            "They are on the list already; a running `serve` tells them so.",
        ),
        SignedUp::AlreadyActive => ("already_active", "They are on the list already."),
        SignedUp::MailboxLimit => {
            let sentence = format!(
                "{email} gets no mail now: that mailbox had {} mails today, or did not answer the last {}; try again later.",
                app.settings.signup.mails_per_day, app.settings.signup.unanswered
            );
            return Err(Failure::too_many(sentence, Duration::from_secs(24 * 3600)));
        }
        SignedUp::TooMany(wait) => {
            return Err(Failure::too_many(
                "There were too many sign-ups; try again later.",
                wait.to_std().unwrap_or_default(),
            ));
        }
        SignedUp::Suppressed => {
            return Err(Failure::conflict(format!(
                "{email} is on the suppression list: it never gets mail again."
            )));
        }
    };
    output.print(&json!({ "status": status }), || format!("{words}\n"))
}
