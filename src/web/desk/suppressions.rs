//! The suppression list: an address is looked for by its hash, and an owner takes it off with a reason.

use axum::extract::RawQuery;
use axum::extract::State;
use axum::response::Html;
use axum::response::Response;
use serde::Deserialize;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::access::Me;
use super::answers;
use super::answers::refusal;
use super::deliverability::HERE;
use super::deliverability::value;
use super::subscriber_change::NOTE_MAX;
use crate::app::users::signing_in::SignedIn;
use crate::domain::address::EmailAddress;

use crate::domain::subscriber::Suppression;
use crate::domain::user::AccessLevel;
use crate::domain::user::Area;
use crate::render::desk;
use crate::render::desk::SuppressionRow;
use crate::render::desk::SuppressionsView;
use crate::storage::suppressions::SuppressionEntry;

/// Entries on a page.
const LISTED: usize = 50;
/// Characters of a hash that are shown.
const HASH: usize = 12;

fn words(reason: Suppression) -> &'static str {
    match reason {
        Suppression::Erased => "erased on request",
        Suppression::Bounced => "mail was refused",
        Suppression::Complained => "complained",
        Suppression::Manual => "put there by hand",
    }
}

/// Place behind an entry, as it stands in an address.
fn place(text: &str) -> Option<(i64, &str)> {
    let (at, hash) = text.split_once('.')?;
    Some((at.parse().ok()?, hash))
}

pub(super) async fn list(State(web): State<Web>, Me(who): Me, RawQuery(query): RawQuery) -> Page {
    let searched = value(query.as_deref(), "search").unwrap_or_default();
    let after = value(query.as_deref(), "after");
    Ok(Html(
        page(&web, &who, searched.trim(), after.as_deref(), None).await?,
    ))
}

async fn page(
    web: &Web,
    who: &SignedIn,
    searched: &str,
    after: Option<&str>,
    refused: Option<String>,
) -> Result<String, Problem> {
    let place = match after {
        Some(text) => Some(place(text).ok_or_else(Problem::not_found)?),
        None => None,
    };
    let (mut problem, mut found, mut may_lift) = (None, None, false);
    if !searched.is_empty() {
        match EmailAddress::parse(searched) {
            Err(error) => problem = Some(error.to_string()),
            Ok(email) => {
                let entry = web.app.suppression_of_address(&email).await?;
                may_lift = who.user.role.may(Area::Suppressions, AccessLevel::Write)
                    && entry
                        .as_ref()
                        .is_some_and(|entry| entry.reason != Suppression::Erased);
                found = Some(sentence(web, entry.as_ref()));
            }
        }
    }
    // One more than are shown says whether there is another page.
    let entries = web
        .app
        .storage
        .suppressions(place, LISTED as i64 + 1)
        .await?;
    let next = entries
        .get(LISTED - 1)
        .filter(|_| entries.len() > LISTED)
        .map(|last| {
            format!(
                "{HERE}/suppressions?after={}.{}",
                last.since.timestamp_millis(),
                last.hash
            )
        });
    let rows = entries.iter().take(LISTED).map(|entry| SuppressionRow {
        hash: format!("{}…", entry.hash.chars().take(HASH).collect::<String>()),
        reason: words(entry.reason),
        since: answers::format_time(web, entry.since),
        note: entry.note.clone().unwrap_or_default(),
    });
    let view = SuppressionsView {
        searched: searched.to_owned(),
        problem,
        found,
        may_lift,
        refused,
        rows: rows.collect(),
        is_first: place.is_none(),
        next,
    };
    let frame = answers::frame(web, who, "Suppression list", HERE);
    Ok(desk::suppressions(frame, view)?)
}

/// Entry of the list for an address, in words.
fn sentence(web: &Web, entry: Option<&SuppressionEntry>) -> (String, &'static str) {
    let Some(entry) = entry else {
        return (
            "That address is not on the suppression list.".into(),
            "soft",
        );
    };
    let since = answers::format_time(web, entry.since);
    let note = entry
        .note
        .as_ref()
        .map(|note| format!(" Note: {note}"))
        .unwrap_or_default();
    let stays = match entry.reason {
        Suppression::Erased => " It stays there: who was erased asked for it.",
        _ => "",
    };
    (
        format!(
            "That address is on the suppression list since {since}: {}.{stays}{note}",
            words(entry.reason)
        ),
        "warning",
    )
}

/// Fields of the form.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LiftForm {
    email: String,
    note: String,
}

pub(super) async fn lift(
    State(web): State<Web>,
    Me(who): Me,
    FormFields(form): FormFields<LiftForm>,
) -> Result<Response, Problem> {
    let (email, note) = (form.email.trim(), form.note.trim());
    if note.is_empty() || note.chars().count() > NOTE_MAX {
        let problem = format!("Give a reason of 1 to {NOTE_MAX} characters: it is kept.");
        return Ok(answers::refused(
            page(&web, &who, email, None, Some(problem)).await?,
        ));
    }
    let Ok(address) = EmailAddress::parse(email) else {
        return Ok(answers::refused(page(&web, &who, email, None, None).await?));
    };
    let actor = web.app.actor_of(&who);
    let said = match web.app.lift_suppression(&actor, &address, note).await {
        Ok(reason) => format!(
            "Taken off the suppression list, where it was as {reason}. A sign-up brings them back."
        ),
        Err(failure) => refusal(failure)?,
    };
    answers::done(&web, &who, &said, &format!("{HERE}/suppressions")).await
}
