//! What is done with an issue before it goes out, beside writing it: test copies, a link for reviewers, notes, its time, skipping the week.

use axum::extract::State;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use chrono::NaiveDateTime;
use serde::Deserialize;

use super::super::Web;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::super::guard::PathSegment;
use super::access::Me;
use super::answers;
use super::answers::refusal;
use super::week::DIGESTS;
use super::week::known;
use super::week::place_of;
use super::write::framed_mail;
use super::write::framed_words;
use crate::app::Failure;
use crate::app::issue::drafting::Changes;
use crate::app::issue::reviewing::REVIEW_LINK;
use crate::app::users::signing_in::SignedIn;
use crate::domain::address::EmailAddress;
use crate::domain::slot::Slot;
use crate::domain::user::AccessLevel;
use crate::domain::user::Area;
use crate::render::desk;
use crate::render::desk::Autocomplete;
use crate::render::desk::FormField;
use crate::render::desk::GateForm;

/// A test copy, as the form asks for it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TestForm {
    to: String,
    address: String,
    mark: Option<String>,
}

/// A note, as the form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NoteForm {
    said: String,
}

/// The test group, as the form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct GroupForm {
    group: String,
}

/// A time in the zone of the site, as browsers send it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TimeForm {
    at: String,
}

/// A reader's address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ReaderForm {
    reader: String,
}

fn page_of(slot: Slot) -> String {
    format!("{DIGESTS}/{slot}")
}

pub(super) async fn test(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slot): PathSegment,
    FormFields(form): FormFields<TestForm>,
) -> Result<Response, Problem> {
    let slot = known(&web, &slot).await?;
    let may_send = who.user.role.may(Area::Send, AccessLevel::Write);
    let to = match form.to.as_str() {
        "group" if may_send => web.app.test_group().await?,
        "address" if may_send => match EmailAddress::parse_new(form.address.trim()) {
            Ok(email) => vec![email],
            Err(error) => {
                let said = format!("No test copy was sent: {error}");
                return answers::done(&web, &who, &said, &page_of(slot)).await;
            }
        },
        // A writer sees no address, so mails go to none but their own.
        _ => vec![who.user.email.clone()],
    };
    let mut said = match to.is_empty() {
        true => "The test group is empty: save some addresses first.".to_owned(),
        false => String::new(),
    };
    let mut taken = 0;
    for email in &to {
        match web
            .app
            .send_test_copy(Some(slot), email, form.mark.is_some())
            .await
        {
            Ok(_) => taken += 1,
            Err(failure) => {
                said = unsent(failure)?;
                break;
            }
        }
    }
    if taken > 0 {
        let copies = if taken == 1 { "copy" } else { "copies" };
        said = format!("{taken} test {copies} sent. {said}")
            .trim_end()
            .to_owned();
    }
    answers::done(&web, &who, &said, &page_of(slot)).await
}

/// A relay that does not take a copy is no fault of the desk.
fn unsent(failure: Failure) -> Result<String, Problem> {
    if failure.is_unavailable() {
        return Ok(failure.to_string());
    }
    refusal(failure)
}

pub(super) async fn save_group(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slot): PathSegment,
    FormFields(form): FormFields<GroupForm>,
) -> Result<Response, Problem> {
    let slot = known(&web, &slot).await?;
    let group = web.app.set_test_group(&form.group).await;
    let done = group.map(|group| match group.len() {
        1 => "The test group has one address.".to_owned(),
        count => format!("The test group has {count} addresses."),
    });
    pressed(&web, &who, slot, done).await
}

/// Shows a link for people without an account.
pub(super) async fn review_link(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slot): PathSegment,
) -> Result<Response, Problem> {
    let slot = known(&web, &slot).await?;
    let url = match web.app.review_link(slot).await {
        Ok(url) => url,
        Err(failure) => {
            let said = refusal(failure)?;
            return answers::done(&web, &who, &said, &page_of(slot)).await;
        }
    };
    let until = answers::format_time(&web, web.app.now() + REVIEW_LINK);
    let frame = answers::frame(&web, &who, "Review link", place_of(&web, slot));
    let page = desk::review_link(frame, &slot.to_string(), &url, &until)?;
    Ok(Html(page).into_response())
}

/// Answers a button: back on the page of the digest, with what was done or why it was not.
async fn pressed(
    web: &Web,
    who: &SignedIn,
    slot: Slot,
    done: Result<String, Failure>,
) -> Result<Response, Problem> {
    let said = done.or_else(refusal)?;
    answers::done(web, who, &said, &page_of(slot)).await
}

pub(super) async fn note(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slot): PathSegment,
    FormFields(form): FormFields<NoteForm>,
) -> Result<Response, Problem> {
    let slot = known(&web, &slot).await?;
    let done = web
        .app
        .comment(&web.app.actor_of(&who), slot, &form.said)
        .await;
    let done = done.map(|()| "The note is added.".to_owned());
    pressed(&web, &who, slot, done).await
}

pub(super) async fn send_back(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slot): PathSegment,
    FormFields(form): FormFields<NoteForm>,
) -> Result<Response, Problem> {
    let slot = known(&web, &slot).await?;
    let done = web
        .app
        .send_back(&web.app.actor_of(&who), slot, &form.said)
        .await;
    let done = done.map(|_| format!("{slot} is a draft, with your note."));
    pressed(&web, &who, slot, done).await
}

/// Changes the send time of this week alone.
pub(super) async fn set_time(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slot): PathSegment,
    FormFields(form): FormFields<TimeForm>,
) -> Result<Response, Problem> {
    let slot = known(&web, &slot).await?;
    let local = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(form.at.trim(), format).ok());
    let Some(local) = local else {
        let said = "The time was not understood: write it like 2026-12-01 09:00.";
        return answers::done(&web, &who, said, &page_of(slot)).await;
    };
    let changes = Changes {
        send_at: Some(web.app.site.timezone.moment_of(local)),
        ..Changes::default()
    };
    let done = web
        .app
        .edit_digest(&web.app.actor_of(&who), slot, &changes)
        .await;
    let said = match done {
        Ok(()) => format!("{slot} goes out at another time; its approval stays as it is."),
        // The use case speaks of the command line's option.
        Err(failure) => refusal(failure)?.replace("--send-at: ", ""),
    };
    answers::done(&web, &who, &said, &page_of(slot)).await
}

/// Asks for the reason before a week is skipped.
pub(super) async fn look_at_skip(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slot): PathSegment,
) -> Result<Response, Problem> {
    let slot = known(&web, &slot).await?;
    let readers = desk::grouped(web.app.readers_lately().await);
    let heading = format!("Skip {slot}?");
    let form = GateForm {
        heading: heading.clone(),
        sentences: vec![format!(
            "{readers} readers get no digest this week. What was picked can be picked again next week."
        )],
        action: format!("{}/skip", page_of(slot)),
        fields: vec![FormField {
            name: "said",
            label: "Why",
            fills: Autocomplete::Sentence,
            value: "",
            hint: Some("The desk shows it; readers do not see it."),
        }],
        button: "Skip this week".into(),
        is_grave: true,
        link: Some((page_of(slot), "No, go back")),
        ..GateForm::default()
    };
    let frame = answers::frame(&web, &who, &heading, place_of(&web, slot));
    Ok(Html(desk::form(frame, form)?).into_response())
}

pub(super) async fn skip(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slot): PathSegment,
    FormFields(form): FormFields<NoteForm>,
) -> Result<Response, Problem> {
    let slot = known(&web, &slot).await?;
    let done = web
        .app
        .skip_week(&web.app.actor_of(&who), slot, &form.said)
        .await;
    let done = done.map(|_| format!("{slot} is skipped: nobody gets mail this week."));
    pressed(&web, &who, slot, done).await
}

/// The mail as one reader gets it, for the frame of the preview. Their address comes in the body, so that it is in no log and no history.
pub(super) async fn as_reader(
    State(web): State<Web>,
    PathSegment(slot): PathSegment,
    FormFields(form): FormFields<ReaderForm>,
) -> Result<Response, Problem> {
    let slot = known(&web, &slot).await?;
    let preview = match EmailAddress::parse(form.reader.trim()) {
        Ok(email) => web.app.preview_as(slot, &email).await,
        Err(error) => Err(Failure::invalid(error.to_string())),
    };
    match preview {
        Ok(preview) => Ok(framed_mail(&web, &preview.rendered.html, false)),
        Err(failure) => Ok(framed_words(&refusal(failure)?)),
    }
}
