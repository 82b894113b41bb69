//! Correcting an issue that went out.

use axum::extract::State;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::super::guard::PathSegment;
use super::access::Me;
use super::answers;
use super::answers::refusal;
use super::week::DIGESTS;
use super::week::known;
use super::week::place_of;
use super::write::text_fields;
use crate::app::issue::correcting::CorrectionOrder;
use crate::app::issue::revising::Written;
use crate::app::issue::text::TextChanges;
use crate::app::users::signing_in::SignedIn;
use crate::domain::digest_note::NOTE_MAX;
use crate::domain::slot::Slot;
use crate::render::desk;
use crate::render::desk::CorrectView;
use crate::render::desk::TextFieldView;

/// The form of the page.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct CorrectForm {
    note: String,
    subject: String,
    introduction: String,
    sponsor_text: String,
    sponsor_url: String,
    question: String,
    sign_off: String,
    with_catalogue: Option<String>,
}

pub(super) async fn show(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slot): PathSegment,
) -> Result<Response, Problem> {
    let slot = known(&web, &slot).await?;
    let Some((content, _)) = web.app.storage.frozen_content(slot).await? else {
        let said = format!("{slot} is not out: only what went out is corrected.");
        return answers::done(&web, &who, &said, &format!("{DIGESTS}/{slot}")).await;
    };
    let sponsor = content.text.sponsor.unwrap_or_default();
    let form = CorrectForm {
        introduction: content.text.introduction,
        sponsor_text: sponsor.text,
        sponsor_url: sponsor.url,
        question: content.text.question,
        sign_off: content.text.sign_off,
        ..CorrectForm::default()
    };
    Ok(page(&web, &who, slot, form, None).await?.into_response())
}

async fn page(
    web: &Web,
    who: &SignedIn,
    slot: Slot,
    form: CorrectForm,
    problem: Option<String>,
) -> Page {
    let status = web.app.status(slot).await?;
    let remaining = match status.digest.finished_at {
        None => status.tally.queued,
        Some(_) => 0,
    };
    let (sentence, button) = match remaining {
        0 => (
            "Its page gets a dated note with what was wrong. Mails that are out stay as they are."
                .to_owned(),
            "Correct the page".to_owned(),
        ),
        some => {
            let some = desk::grouped(some);
            (
                format!(
                    "Its page gets a dated note with what was wrong. {some} readers have not got the mail yet, and get the corrected one."
                ),
                format!("Correct it for {some} readers"),
            )
        }
    };
    let note = TextFieldView {
        name: "note",
        label: "What was wrong",
        value: form.note.clone(),
        hint: "Readers see it on the page, with the date.".into(),
        max: NOTE_MAX,
        rows: 2,
        has_marks: false,
        placeholder: String::new(),
    };
    let subject = TextFieldView {
        name: "subject",
        label: "Another subject",
        value: form.subject.clone(),
        hint: "For readers who have not got the mail. Empty: as it is.".into(),
        max: 200,
        rows: 0,
        has_marks: false,
        placeholder: String::new(),
    };
    let with_catalogue = form.with_catalogue.is_some();
    let written = Written {
        subject: String::new(),
        text: changes(&form).into_text(),
    };
    let texts = text_fields(&written.text);
    let view = CorrectView {
        slot: slot.to_string(),
        sentence,
        fields: [note, subject].into_iter().chain(texts).collect(),
        with_catalogue,
        problem,
        button,
    };
    let title = format!("Correct {slot}");
    Ok(Html(desk::correct(
        answers::frame(web, who, &title, place_of(web, slot)),
        view,
    )?))
}

fn changes(form: &CorrectForm) -> TextChanges {
    TextChanges {
        introduction: Some(form.introduction.clone()),
        sponsor_text: Some(form.sponsor_text.clone()),
        sponsor_url: Some(form.sponsor_url.clone()),
        question: Some(form.question.clone()),
        sign_off: Some(form.sign_off.clone()),
        preheader: None,
    }
}

pub(super) async fn correct(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slot): PathSegment,
    FormFields(form): FormFields<CorrectForm>,
) -> Result<Response, Problem> {
    let slot = known(&web, &slot).await?;
    let order = CorrectionOrder {
        note: form.note.clone(),
        text: changes(&form),
        subject: (!form.subject.trim().is_empty()).then(|| form.subject.clone()),
        with_catalogue: form.with_catalogue.is_some(),
    };
    let actor = web.app.actor_of(&who);
    match web.app.correct_digest(&actor, slot, &order).await {
        Ok(corrected) => {
            let said = match corrected.remaining {
                0 => format!("{slot} is corrected on its page."),
                some => format!(
                    "{slot} is corrected: {} readers get the corrected mail.",
                    desk::grouped(some)
                ),
            };
            answers::done(&web, &who, &said, &format!("{DIGESTS}/{slot}")).await
        }
        // What was typed is not lost: it stands in the form, below the sentence.
        Err(failure) => {
            let problem = Some(refusal(failure)?);
            Ok(answers::refused(
                page(&web, &who, slot, form, problem).await?.0,
            ))
        }
    }
}
