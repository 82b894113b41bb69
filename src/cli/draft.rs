//! `digest draft` and `digest edit`: the digest before it goes out.

use std::process::ExitCode;

use super::digest::show;
use super::output::Output;
use super::output::parse_digest;
use super::output::parse_moment;
use crate::app::App;
use crate::app::Failure;
use crate::app::issue::drafting::Changes;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::catalogue::Slug;
use crate::domain::slot::Slot;

/// Change a digest that is not sent yet: its comparisons, subject or time
///
/// Where schedule.approval is "required", a changed digest must be approved again.
#[derive(Debug, clap::Args)]
pub struct EditArguments {
    /// Which week, like 2026-W48 [default: this one]
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
    /// Set the subject; {pair}, {more}, {count}, {week}, {site} and {newsletter} are filled in; "" goes back to mail.subject
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// Set when it is sent (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    send_at: Option<Timestamp>,
}

impl EditArguments {
    pub(super) async fn run(self, app: &App, output: Output) -> Result<ExitCode, Failure> {
        let slot = self.slot.unwrap_or_else(|| app.slot_at(app.now()));
        let Self {
            leave_out,
            add,
            order,
            subject,
            send_at,
            ..
        } = self;
        if leave_out.is_empty()
            && add.is_empty()
            && order.is_empty()
            && subject.is_none()
            && send_at.is_none()
        {
            return Err(Failure::invalid(
                "Say what to change: --leave-out, --add, --order, --subject or --send-at.",
            ));
        }
        app.edit_digest(
            &Actor::cli(),
            slot,
            &Changes {
                leave_out,
                add,
                order,
                subject,
                send_at,
            },
        )
        .await?;
        print(app, slot, output).await
    }
}

/// Makes this week's draft.
pub(super) async fn draft(app: &App, output: Output) -> Result<ExitCode, Failure> {
    let slot = app.draft_digest(&Actor::cli()).await?;
    print(app, slot, output).await
}

/// Prints a digest as it will go out.
pub(super) async fn print(app: &App, slot: Slot, output: Output) -> Result<ExitCode, Failure> {
    let status = app.status(slot).await?;
    show(app, &status, Some(&app.outlook(slot).await?), output)?;
    Ok(ExitCode::SUCCESS)
}
