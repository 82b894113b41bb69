//! `digest draft` and `digest edit`: the digest before it goes out.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use crate::app::App;
use crate::app::Failure;
use crate::app::issue::correcting::CorrectionOrder;
use crate::app::issue::drafting::Changes;
use crate::app::issue::text::TextChanges;
use crate::app::views::DraftView;
use crate::cli::digest::show;
use crate::cli::output::Output;
use crate::cli::output::parse_digest;
use crate::cli::output::parse_moment;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::catalogue::Slug;
use crate::domain::slot::Slot;

/// Largest file that can hold an introduction.
const TEXT_BYTES_MAX: u64 = 65_536;

/// Options that set the text of an issue, before it goes out and after.
#[derive(Debug, clap::Args)]
struct TextArguments {
    /// Read the introduction from a Markdown file ("-": standard input); an empty file removes it
    #[arg(long, value_name = "FILE")]
    introduction: Option<PathBuf>,
    /// Set the sign-off, in Markdown; "" takes it away
    #[arg(long, value_name = "TEXT")]
    sign_off: Option<String>,
    /// Set the question to readers; "" takes it away
    #[arg(long, value_name = "TEXT")]
    question: Option<String>,
    /// Set the text of the sponsor's block, which is marked as an advertisement; "" with --sponsor-link "" takes the block away
    #[arg(long, value_name = "TEXT")]
    sponsor: Option<String>,
    /// Set the link of the sponsor's block
    #[arg(long, value_name = "URL")]
    sponsor_link: Option<String>,
}

impl TextArguments {
    /// Reads the file that is named. The preheader has no option here: a mail that went out has its own.
    fn changes(self) -> Result<TextChanges, Failure> {
        Ok(TextChanges {
            introduction: self.introduction.as_deref().map(read_text).transpose()?,
            sponsor_text: self.sponsor,
            sponsor_url: self.sponsor_link,
            question: self.question,
            sign_off: self.sign_off,
            preheader: None,
        })
    }
}

/// Change a digest that is not sent yet: its comparisons, subject, text or time
///
/// Where schedule.approval is "required", a changed digest must be approved again.
#[derive(Debug, clap::Args)]
pub struct EditArguments {
    /// Week, like 2026-W48 [default: this one]
    #[arg(value_parser = parse_digest)]
    slot: Option<Slot>,
    /// Take a comparison out
    #[arg(long, value_name = "SLUG", num_args = 1.., value_delimiter = ',')]
    leave_out: Vec<Slug>,
    /// Put a comparison at the end
    #[arg(long, value_name = "SLUG", num_args = 1.., value_delimiter = ',')]
    add: Vec<Slug>,
    /// Put these comparisons first, in this order; the others follow as they are
    #[arg(long, value_name = "SLUG", num_args = 1.., value_delimiter = ',')]
    order: Vec<Slug>,
    /// Set the subject; {answer}, {pair}, {more}, {count}, {week}, {site} and {newsletter} are filled in; "" goes back to mail.subject
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// Set the line that lists of mails show after the subject; filled in like the subject; "" makes it from the comparisons
    #[arg(long, value_name = "TEXT")]
    preheader: Option<String>,
    #[command(flatten)]
    text: TextArguments,
    /// Change nothing if the digest is at another revision than this, which `digest draft SLOT` prints
    #[arg(long, value_name = "N")]
    revision: Option<i64>,
    /// Set when it is sent (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    send_at: Option<Timestamp>,
}

impl EditArguments {
    pub(in crate::cli) async fn run(self, app: &App, output: Output) -> Result<ExitCode, Failure> {
        let slot = self.slot.unwrap_or_else(|| app.slot_at(app.now()));
        let Self {
            leave_out,
            add,
            order,
            subject,
            send_at,
            preheader,
            text,
            revision,
            ..
        } = self;
        let changes = Changes {
            leave_out,
            add,
            order,
            subject,
            send_at,
            text: TextChanges {
                preheader,
                ..text.changes()?
            },
            revision,
        };
        let named = Changes {
            revision,
            ..Changes::default()
        };
        if changes == named {
            return Err(Failure::invalid(
                "Say what to change: --leave-out, --add, --order, --subject, --preheader, --introduction, --sign-off, --question, --sponsor, \
                 --sponsor-link or --send-at.",
            ));
        }
        app.edit_digest(&Actor::cli(), slot, &changes).await?;
        print(app, slot, output).await
    }
}

/// Correct a digest that is published: its page gets a dated note, and readers who have not got the mail yet get the corrected one
#[derive(Debug, clap::Args)]
pub struct CorrectArguments {
    /// Week, like 2026-W48
    #[arg(value_parser = parse_digest)]
    slot: Slot,
    /// Sentence on what was wrong; readers see it on the page
    #[arg(long, value_name = "TEXT")]
    note: String,
    /// Set the subject for readers who have not got the mail
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    #[command(flatten)]
    text: TextArguments,
    /// Take its comparisons as the catalogue has them now
    #[arg(long)]
    with_catalogue: bool,
}

impl CorrectArguments {
    pub(in crate::cli) async fn run(self, app: &App, output: Output) -> Result<(), Failure> {
        let order = CorrectionOrder {
            note: self.note,
            subject: self.subject,
            text: self.text.changes()?,
            with_catalogue: self.with_catalogue,
        };
        let slot = self.slot;
        let corrected = app.correct_digest(&Actor::cli(), slot, &order).await?;
        let remaining = corrected.remaining;
        output.print(&json!({ "slot": slot, "remaining": remaining }), || {
            format!("{slot} is corrected; {remaining} readers get the corrected mail\n")
        })
    }
}

/// Makes this week's draft, or prints what people wrote of a digest.
pub(in crate::cli) async fn draft(
    app: &App,
    slot: Option<Slot>,
    output: Output,
) -> Result<ExitCode, Failure> {
    let Some(slot) = slot else {
        let slot = app.draft_digest(&Actor::cli()).await?;
        return print(app, slot, output).await;
    };
    let outlook = app.outlook(slot).await?;
    if outlook.edition.digest.is_none() {
        return Err(Failure::not_found(format!(
            "There is no digest {slot}; `verdicts digest draft` makes this week's."
        )));
    }
    let view = DraftView::new(slot, &outlook);
    output.print(&json!(view), || view.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// The text of a file, or of standard input.
fn read_text(path: &Path) -> Result<String, Failure> {
    let (mut bytes, limit) = (Vec::new(), TEXT_BYTES_MAX + 1);
    let fault = |error: std::io::Error| {
        Failure::invalid(format!("{} cannot be read: {error}.", path.display()))
    };
    if path == Path::new("-") {
        std::io::stdin()
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(fault)?;
    } else {
        File::open(path)
            .and_then(|file| file.take(limit).read_to_end(&mut bytes))
            .map_err(fault)?;
    }
    if bytes.len() as u64 == limit {
        return Err(Failure::invalid(format!(
            "{} is no introduction: it has more than 64 KiB.",
            path.display()
        )));
    }
    String::from_utf8(bytes)
        .map(|text| text.trim_start_matches('\u{feff}').to_owned())
        .map_err(|_| Failure::invalid(format!("{} is not UTF-8 text.", path.display())))
}

/// Prints a digest as it will go out.
pub(in crate::cli) async fn print(
    app: &App,
    slot: Slot,
    output: Output,
) -> Result<ExitCode, Failure> {
    let status = app.status(slot).await?;
    show(app, &status, Some(&app.outlook(slot).await?), output)?;
    Ok(ExitCode::SUCCESS)
}
