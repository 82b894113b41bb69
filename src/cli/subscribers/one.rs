//! Commands about one subscriber: unsubscribe, edit, resend, data, reports.

use std::path::PathBuf;

use chrono::NaiveDate;
use chrono::NaiveTime;
use serde_json::json;

use super::super::output::Output;
use super::super::output::write_out;
use crate::app::App;
use crate::app::Failure;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::storage::email_changes::EmailChangeRequested;
use crate::storage::operator::Resent;
use crate::storage::suppressions::SuppressionEntry;

/// Changes, of which one is given.
#[derive(Debug, clap::Args)]
#[group(id = "subscriber_change", required = true, multiple = false)]
pub struct Edit {
    /// New address: a mail asks there, and it counts once confirmed
    #[arg(long, value_name = "EMAIL", value_parser = EmailAddress::parse_new)]
    address: Option<EmailAddress>,
    /// First day on which digests go to them again
    #[arg(long, value_name = "DAY")]
    pause_until: Option<NaiveDate>,
    /// End their pause
    #[arg(long)]
    end_pause: bool,
}

fn over(email: &EmailAddress) -> Failure {
    Failure::conflict(format!(
        "The subscription of {email} is over or not confirmed: nothing was changed."
    ))
}

pub(super) async fn unsubscribe(
    app: &App,
    email: &EmailAddress,
    output: Output,
) -> Result<(), Failure> {
    let id = app.subscriber_id(email).await?;
    let left = app.unsubscribe_by_operator(&Actor::cli(), id).await?;
    let (status, words) = match left {
        true => ("unsubscribed", "Unsubscribed: they get no more digests."),
        false => (
            "already_over",
            "Their subscription was over: nothing was changed.",
        ),
    };
    output.print(&json!({ "status": status }), || format!("{words}\n"))
}

pub(super) async fn edit(
    app: &App,
    email: &EmailAddress,
    change: Edit,
    output: Output,
) -> Result<(), Failure> {
    let (id, actor) = (app.subscriber_id(email).await?, Actor::cli());
    if let Some(address) = change.address {
        match app.change_address(&actor, id, &address).await? {
            EmailChangeRequested::Queued => {}
            EmailChangeRequested::Over => return Err(over(email)),
            EmailChangeRequested::Taken => {
                return Err(Failure::conflict(format!(
                    "{address} is on the list, or on the suppression list: nothing was changed."
                )));
            }
            EmailChangeRequested::MailboxLimit | EmailChangeRequested::TooMany(_) => {
                return Err(Failure::conflict(format!(
                    "{address} gets no mail now: it had as many as one mailbox gets in a day, or answered none of the last ones."
                )));
            }
        }
        let words = "A mail asks at the new address; a running `serve` sends it. Once confirmed there, the address is theirs.";
        return output.print(&json!({ "status": "address_asked" }), || {
            format!("{words}\n")
        });
    }
    let until = change
        .pause_until
        .map(|day| app.site.timezone.moment_of(day.and_time(NaiveTime::MIN)));
    if !app.pause_by_operator(&actor, id, until).await? {
        return Err(over(email));
    }
    let json = json!({ "status": "pause", "until": until });
    output.print(&json, || match until {
        Some(until) => format!("No digest goes to them until {}.\n", app.local_time(until)),
        None => "Their pause is over.\n".into(),
    })
}

pub(super) async fn resend(app: &App, email: &EmailAddress, output: Output) -> Result<(), Failure> {
    let id = app.subscriber_id(email).await?;
    match app.resend_confirmation(&Actor::cli(), id).await? {
        Resent::Queued => output.print(&json!({ "status": "check_inbox" }), || {
            "The confirmation mail is queued; a running `serve` sends it.\n".into()
        }),
        Resent::NotWaiting => Err(Failure::conflict(format!(
            "No sign-up of {email} waits for a confirmation: nothing was sent."
        ))),
        Resent::Limited => Err(Failure::conflict(format!(
            "Nothing was sent to {email}: one such mail goes there in {}, and so many a day.",
            app.quiet_in_words()
        ))),
    }
}

pub(super) async fn data(app: &App, email: &EmailAddress) -> Result<(), Failure> {
    let id = app.subscriber_id(email).await?;
    let data = app.export_subscriber(&Actor::cli(), id).await?;
    write_out(format!("{:#}\n", data.unwrap_or_default()).as_bytes())
}

pub(super) async fn reports(
    app: &App,
    email: &EmailAddress,
    output: Output,
) -> Result<(), Failure> {
    let id = app.subscriber_id(email).await?;
    let reports = app.storage.raw_reports(id).await?;
    output.print(&json!({ "reports": reports }), || {
        let text = reports.iter().map(|report| {
            let cut = if report.is_cut { " (cut)" } else { "" };
            format!("--- {}{cut}\n{}\n", app.local_time(report.at), report.text)
        });
        text.collect()
    })
}

/// Entries of the suppression list that are read at once.
const PAGE: i64 = 1_000;

/// `subscribers suppressed`: the entry of an address, or all, page by page.
pub(super) async fn suppressed(
    app: &App,
    email: Option<&EmailAddress>,
    output: Output,
) -> Result<(), Failure> {
    let row = |entry: &SuppressionEntry| json!({ "hash": entry.hash, "reason": entry.reason, "since": entry.since, "note": entry.note });
    let line = |entry: &SuppressionEntry| {
        let since = app.local_time(entry.since);
        let note = entry.note.as_deref().unwrap_or_default();
        format!("{}  {} since {since}  {note}\n", entry.hash, entry.reason)
    };
    if let Some(email) = email {
        let entry = app.suppression_of_address(email).await?;
        return output.print(&json!({ "suppression": entry.as_ref().map(row) }), || {
            entry
                .as_ref()
                .map_or_else(|| "It is not on the suppression list.\n".into(), line)
        });
    }
    let (mut after, mut first): (Option<(i64, String)>, bool) = (None, true);
    if output.json {
        write_out(b"{\"suppressions\":[")?;
    }
    loop {
        let place = after.as_ref().map(|(at, hash)| (*at, hash.as_str()));
        let page = app.storage.suppressions(place, PAGE).await?;
        let Some(last) = page.last() else { break };
        let mut text = String::new();
        for entry in &page {
            if output.json {
                text.push_str(if first { "\n" } else { ",\n" });
                text.push_str(&row(entry).to_string());
            } else {
                text.push_str(&line(entry));
            }
            first = false;
        }
        after = Some((last.since.timestamp_millis(), last.hash.clone()));
        write_out(text.as_bytes())?;
    }
    match output.json {
        true => write_out(b"]}\n"),
        false => Ok(()),
    }
}

/// Ends the subscriptions of all whose unsubscribe link stands in a file; `-` or none: standard input.
pub(super) async fn unsubscribe_by_links(
    app: &App,
    file: Option<PathBuf>,
    output: Output,
) -> Result<(), Failure> {
    let counts = match file.filter(|file| file.as_os_str() != "-") {
        Some(file) => {
            let opened = std::fs::File::open(&file).map_err(|error| {
                Failure::not_found(format!("{} cannot be opened: {error}.", file.display()))
            })?;
            app.unsubscribe_by_links(std::io::BufReader::new(opened))
                .await?
        }
        None => {
            app.unsubscribe_by_links(std::io::BufReader::new(std::io::stdin()))
                .await?
        }
    };
    output.print(&json!(counts), || {
        format!(
            "{} links of readers who left; {} links that were only opened, {} of before the backup, {} that are not ours, {} lines without a link.\n",
            counts.unsubscribed, counts.only_opened, counts.before_backup, counts.invalid, counts.other
        )
    })
}
