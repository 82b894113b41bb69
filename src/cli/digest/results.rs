//! `digest results`, `digest show --left`, `digest ledger`, `digest resume --failed`: a digest after it went out.

use std::fmt::Write as _;

use serde_json::json;

use crate::app::App;
use crate::app::Failure;
use crate::app::issue::results::IssueResults;
use crate::cli::output::Output;
use crate::cli::output::write_out;
use crate::domain::actor::Actor;
use crate::domain::slot::Slot;
use crate::storage::digest_results::OutcomeCounts;

/// Rows that are read at once.
const PAGE: i64 = 1_000;

pub(super) async fn print(app: &App, slot: Slot, output: Output) -> Result<(), Failure> {
    let results = app.issue_results(slot).await?;
    output.print(&json!(results), || in_words(app, &results))
}

fn in_words(app: &App, results: &IssueResults) -> String {
    let tally = results.deliveries;
    let mut text = format!(
        "{}: queued {}, sending {}, sent {}, failed {}, uncertain {}, skipped {}\n",
        results.slot,
        tally.queued,
        tally.sending,
        tally.sent,
        tally.failed,
        tally.uncertain,
        tally.skipped
    );
    match &results.counted {
        Some(state) if let Some(at) = state.done_at => {
            let verdict = match state.faults.is_empty() {
                true => "the ledger adds up",
                false => "THE LEDGER CONTRADICTS ITSELF",
            };
            let _ = writeln!(text, "{verdict} (checked {})", app.local_time(at));
            for fault in &state.faults {
                let _ = writeln!(text, "  fault: {fault}");
            }
        }
        _ => text.push_str("not counted by domain and relay yet\n"),
    }
    outcomes(&mut text, "domain", &results.domains, "all others");
    outcomes(&mut text, "relay", &results.relays, "never begun");
    let reactions = results.reactions;
    let _ = writeln!(
        text,
        "unsubscribed {}, complained {}, ended by refused mail {}",
        reactions.left, reactions.complained, reactions.bounced
    );
    for (reason, count) in &results.reasons_for_leaving {
        let _ = writeln!(text, "  {reason}: {count}");
    }
    for votes in &results.votes {
        let _ = writeln!(
            text,
            "votes on {}: {} ship, {} skip, {} changed their mind",
            votes.tool, votes.ships, votes.skips, votes.changed
        );
    }
    if results.given_up > 0 {
        let _ = writeln!(
            text,
            "{} were given up after retries (`verdicts digest resume {} --failed` tries them again)",
            results.given_up, results.slot
        );
    }
    text.push_str(
        "week       recipients       sent   not sent    bounced complained       left      votes\n",
    );
    for figures in &results.beside {
        let (tally, reactions) = (figures.deliveries, figures.reactions);
        let _ = writeln!(
            text,
            "{}  {:>11}{:>11}{:>11}{:>11}{:>11}{:>11}{:>11}",
            figures.slot,
            figures.recipients,
            tally.sent,
            tally.failed + tally.uncertain,
            reactions.bounced,
            reactions.complained,
            reactions.left,
            figures.votes
        );
    }
    text
}

fn outcomes(text: &mut String, of: &str, rows: &[OutcomeCounts], others: &str) {
    for row in rows {
        let name = if row.name.is_empty() {
            others
        } else {
            &row.name
        };
        let _ = writeln!(
            text,
            "{of} {name}: {} sent, {} failed, {} uncertain, {} skipped",
            row.sent, row.failed, row.uncertain, row.skipped
        );
    }
}

/// Prints page by page: a list of any length in little memory.
pub(super) async fn left(app: &App, slot: Slot, output: Output) -> Result<(), Failure> {
    if app.storage.digest(slot).await?.is_none() {
        return Err(Failure::not_found(format!("There is no digest {slot}.")));
    }
    let (mut after, mut first) = (None, true);
    if output.json {
        write_out(format!("{{\"id\":\"{slot}\",\"left\":[").as_bytes())?;
    }
    loop {
        let page = app.storage.leavers(slot, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.at.timestamp_millis(), last.subscriber));
        let mut text = String::new();
        for leaver in &page {
            let reason = leaver.reason.map(|reason| reason.code());
            if output.json {
                text.push_str(if first { "\n" } else { ",\n" });
                let row = json!({
                    "subscriber": app.subscriber_name(leaver.subscriber),
                    "email": leaver.email,
                    "at": leaver.at,
                    "reason": reason,
                });
                text.push_str(&row.to_string());
            } else {
                let (at, reason) = (
                    app.local_time(leaver.at),
                    reason.unwrap_or("no reason given"),
                );
                let _ = writeln!(text, "{}  {at}  {reason}", leaver.email);
            }
            first = false;
        }
        write_out(text.as_bytes())?;
    }
    match output.json {
        true => write_out(b"]}\n"),
        false => Ok(()),
    }
}

/// Prints the ledger page by page.
pub(super) async fn ledger(app: &App, slot: Slot) -> Result<(), Failure> {
    let head = app.begin_ledger_export(&Actor::cli(), slot).await?;
    write_out(head.as_bytes())?;
    let mut after = Some(i64::MIN);
    while let Some(place) = after {
        let page = app.ledger_page(slot, place).await?;
        write_out(page.text.as_bytes())?;
        after = page.next;
    }
    Ok(())
}

pub(super) async fn retry(app: &App, slot: Slot, output: Output) -> Result<(), Failure> {
    let queued = app.retry_given_up(&Actor::cli(), slot).await?;
    output.print(&json!({ "id": slot, "queued": queued }), || {
        format!("{slot}: {queued} deliveries that were given up are tried again; any `serve` or `digest send` sends them.\n")
    })
}
