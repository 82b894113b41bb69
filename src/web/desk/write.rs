//! Writing an issue: subject, preheader, introduction, sponsor, question, sign-off, with a preview by the code that sends.

use axum::extract::State;
use axum::http::HeaderName;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::super::guard::PathSegment;
use super::super::mailbox::MAIL_POLICY;
use super::access::Me;
use super::answers;
use super::answers::refusal;
use super::week::DIGESTS;
use super::week::known;
use super::week::place_of;
use crate::app::FailureKind;
use crate::app::check_result::CheckResult;
use crate::app::check_result::Severity;
use crate::app::issue::picking::Preview;
use crate::app::issue::revising::Conflict;
use crate::app::issue::revising::SaveOutcome;
use crate::app::issue::revising::Written;
use crate::app::users::signing_in::SignedIn;
use crate::domain::Timestamp;
use crate::domain::issue_text::IssueField;
use crate::domain::issue_text::IssueText;
use crate::domain::issue_text::Sponsor;
use crate::domain::slot::Slot;
use crate::render::desk;
use crate::render::desk::CheckView;
use crate::render::desk::ClashView;
use crate::render::desk::ConflictView;
use crate::render::desk::LineView;
use crate::render::desk::TextFieldView;
use crate::render::desk::WriteView;

/// The form of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Form {
    revision: i64,
    subject: String,
    preheader: String,
    introduction: String,
    sponsor_text: String,
    sponsor_url: String,
    question: String,
    sign_off: String,
}

impl From<Form> for Written {
    fn from(form: Form) -> Self {
        Self {
            subject: form.subject.trim().to_owned(),
            text: IssueText {
                introduction: form.introduction,
                sponsor: Some(Sponsor {
                    text: form.sponsor_text,
                    url: form.sponsor_url,
                }),
                question: form.question,
                sign_off: form.sign_off,
                preheader: form.preheader,
            }
            .normalized(),
        }
    }
}

/// The page, with what stands in its form.
struct Sheet {
    slot: Slot,
    revision: i64,
    written: Written,
    conflict: Option<ConflictView>,
    problem: Option<String>,
}

pub(super) async fn show(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slot): PathSegment,
) -> Result<Response, Problem> {
    let slot = known(&web, &slot).await?;
    let edition = web.app.edition(slot, web.app.now()).await?;
    if edition.digest.is_none() || !edition.is_open() {
        let said = match edition.digest {
            Some(digest) => format!(
                "{slot} is {}: its text can no longer be changed.",
                digest.state
            ),
            None => format!("There is no digest {slot} yet: make the draft first."),
        };
        return answers::done(&web, &who, &said, &format!("{DIGESTS}/{slot}")).await;
    }
    let sheet = Sheet {
        slot,
        revision: edition.revision(),
        written: Written::of(&edition.draft),
        conflict: None,
        problem: None,
    };
    Ok(page(&web, &who, sheet).await?.into_response())
}

async fn page(web: &Web, who: &SignedIn, sheet: Sheet) -> Page {
    let slot = sheet.slot;
    let line = line_of(web, slot, sheet.written.clone()).await?;
    let draft = web.app.storage.draft(slot).await?.unwrap_or_default();
    let authors = web.app.authors().await?;
    let saved = match (&draft.edited_by, draft.edited_at) {
        (Some(by), Some(at)) => format!(
            "Revision {}, saved by {}, {}",
            draft.revision,
            authors.name(by),
            answers::format_time(web, at)
        ),
        _ => "Nobody changed it yet".into(),
    };
    let view = WriteView {
        slot: slot.to_string(),
        revision: sheet.revision,
        saved,
        fields: fields(web, &sheet.written),
        line,
        conflict: sheet.conflict,
        problem: sheet.problem,
    };
    let title = format!("Write {slot}");
    Ok(Html(desk::write(
        answers::frame(web, who, &title, place_of(web, slot)),
        view,
    )?))
}

fn fields(web: &Web, written: &Written) -> Vec<TextFieldView> {
    let text = &written.text;
    let subject = TextFieldView {
        name: "subject",
        label: "Subject",
        value: written.subject.clone(),
        hint: "Empty: as always.".into(),
        max: 200,
        rows: 0,
        has_marks: true,
        placeholder: web.app.settings.mail.subject.clone(),
    };
    let preheader = TextFieldView {
        has_marks: true,
        ..TextFieldView::line(
            IssueField::Preheader,
            "Preheader",
            &text.preheader,
            "Lists of mails show it after the subject. Empty: made from the comparisons.",
        )
    };
    [subject, preheader]
        .into_iter()
        .chain(text_fields(text))
        .collect()
}

/// The fields of the text alone.
pub(super) fn text_fields(text: &IssueText) -> Vec<TextFieldView> {
    let sponsor = text.sponsor.clone().unwrap_or_default();
    vec![
        TextFieldView::lines(
            IssueField::Introduction,
            "Introduction",
            &text.introduction,
            (
                10,
                "Markdown: **bold**, *italic*, [words](https://...), lists, quotations.",
            ),
        ),
        TextFieldView::lines(
            IssueField::SponsorText,
            "Sponsor",
            &sponsor.text,
            (
                3,
                "Marked as an advertisement in the mail, its text part and on the page.",
            ),
        ),
        TextFieldView::line(
            IssueField::SponsorUrl,
            "Sponsor\u{2019}s link",
            &sponsor.url,
            "A whole address, like https://sponsor.example/offer.",
        ),
        TextFieldView::line(
            IssueField::Question,
            "Question to readers",
            &text.question,
            "They answer by answering the mail.",
        ),
        TextFieldView::lines(
            IssueField::SignOff,
            "Sign-off",
            &text.sign_off,
            (3, "Markdown, after the last comparison."),
        ),
    ]
}

/// The issue as a list of mails shows it, and what was found in it.
async fn line_of(web: &Web, slot: Slot, written: Written) -> Result<LineView, Problem> {
    let sender = web.app.sender_name();
    let line = match web.app.preview_written(slot, written).await {
        Ok(preview) => line_view(slot, sender, &preview),
        Err(failure) => LineView {
            sender,
            subject: String::new(),
            preheader: String::new(),
            lengths: (0, 0),
            checks: Vec::new(),
            problem: Some(refusal(failure)?),
        },
    };
    Ok(line)
}

fn line_view(slot: Slot, sender: String, preview: &Preview) -> LineView {
    LineView {
        sender,
        subject: preview.rendered.subject.clone(),
        preheader: preview.preheader.clone(),
        lengths: (
            preview.rendered.subject.chars().count(),
            preview.preheader.chars().count(),
        ),
        checks: checks(slot, &preview.findings),
        problem: None,
    }
}

/// Returns what was found, with a way to the place; nothing of what is good.
pub(super) fn checks(slot: Slot, findings: &[CheckResult]) -> Vec<CheckView> {
    let of = |finding: &CheckResult| {
        let (mood, word) = match finding.level {
            Severity::Fault => ("bad", "Stops it"),
            Severity::Advice => ("warn", "Better"),
            Severity::Good => return None,
        };
        let (what, href) = match finding.what {
            "sign_off" => ("sign-off", format!("{DIGESTS}/{slot}/write#sign_off")),
            "sponsor" => ("sponsor", format!("{DIGESTS}/{slot}/write#sponsor_text")),
            what @ ("subject" | "preheader" | "introduction" | "question") => {
                (what, format!("{DIGESTS}/{slot}/write#{what}"))
            }
            what => (what, format!("{DIGESTS}/{slot}#picks")),
        };
        Some(CheckView {
            mood,
            word,
            what,
            words: finding.words.clone(),
            href,
        })
    };
    findings.iter().filter_map(of).collect()
}

pub(super) async fn save(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slot): PathSegment,
    FormFields(form): FormFields<Form>,
) -> Result<Response, Problem> {
    let slot = known(&web, &slot).await?;
    let (revision, written) = (form.revision, Written::from(form));
    let actor = web.app.actor_of(&who);
    let here = format!("{DIGESTS}/{slot}/write");
    let sheet = |written: Written| Sheet {
        slot,
        revision,
        written,
        conflict: None,
        problem: None,
    };
    let saved = web
        .app
        .save_written(&actor, slot, revision, written.clone())
        .await;
    match saved {
        Ok(SaveOutcome::Now { is_withdrawn }) => {
            let withdrawn = " It was approved as it was: approve it again.";
            let said = format!("Saved.{}", if is_withdrawn { withdrawn } else { "" });
            answers::done(&web, &who, &said, &here).await
        }
        Ok(SaveOutcome::Unchanged) => {
            answers::done(&web, &who, "Nothing was changed.", &here).await
        }
        Ok(SaveOutcome::Conflict(conflict)) => {
            let view = conflict_view(&web, &conflict).await?;
            let sheet = Sheet {
                revision: conflict.revision,
                conflict: Some(view),
                ..sheet(conflict.merged)
            };
            let page = page(&web, &who, sheet).await?;
            Ok((StatusCode::CONFLICT, page).into_response())
        }
        // What was written is not lost: it stands in the form, below the sentence.
        Err(failure) if matches!(failure.kind(), FailureKind::Invalid(_)) => {
            let sheet = Sheet {
                problem: Some(failure.to_string()),
                ..sheet(written)
            };
            Ok(answers::refused(page(&web, &who, sheet).await?.0))
        }
        Err(failure) => {
            let sheet = Sheet {
                problem: Some(refusal(failure)?),
                ..sheet(written)
            };
            let page = page(&web, &who, sheet).await?;
            Ok((StatusCode::CONFLICT, page).into_response())
        }
    }
}

async fn conflict_view(web: &Web, conflict: &Conflict) -> Result<ConflictView, Problem> {
    let authors = web.app.authors().await?;
    let who = conflict.edited_by.as_deref().unwrap_or_default();
    let at = conflict
        .edited_at
        .map(|at: Timestamp| answers::format_time(web, at));
    let sentence = format!(
        "{} saved revision {} {} while you wrote. Nothing is lost, and nothing of yours is saved yet.",
        authors.name(who),
        conflict.revision,
        at.map(|at| format!("on {at}")).unwrap_or_default()
    );
    let (mine, theirs) = (fields(web, &conflict.mine), fields(web, &conflict.theirs));
    let fields = mine
        .into_iter()
        .zip(theirs)
        .filter(|(mine, theirs)| mine.value != theirs.value)
        .map(|(mine, theirs)| ClashView {
            label: mine.label.to_owned(),
            mine: mine.value,
            theirs: theirs.value,
        })
        .collect();
    Ok(ConflictView { sentence, fields })
}

/// The mail with what is written and not saved, for the frame beside the form.
pub(super) async fn preview(
    State(web): State<Web>,
    PathSegment(slot): PathSegment,
    FormFields(form): FormFields<Form>,
) -> Result<Response, Problem> {
    let slot = known(&web, &slot).await?;
    let preview = web.app.preview_written(slot, form.into()).await?;
    Ok(framed_mail(&web, &preview.rendered.html, false))
}

/// The line of an inbox and the findings with what is written and not saved.
pub(super) async fn line(
    State(web): State<Web>,
    PathSegment(slot): PathSegment,
    FormFields(form): FormFields<Form>,
) -> Page {
    let slot = known(&web, &slot).await?;
    let line = line_of(&web, slot, form.into()).await?;
    Ok(Html(desk::line(&line)?))
}

/// A sentence in the place of a mail, for a frame of the desk.
pub(super) fn framed_words(words: &str) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, MAIL_POLICY),
        (HeaderName::from_static("x-frame-options"), "SAMEORIGIN"),
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
    ];
    (headers, words.to_owned()).into_response()
}

/// A mail's own HTML, for a frame of the desk: as in a mail program nothing in it runs.
pub(super) fn framed_mail(web: &Web, html: &str, is_dark: bool) -> Response {
    let html = desk::in_scheme(&web.app.site.with_logo_inside(html), is_dark);
    // Links in the frame open beside the desk: its pages refuse to be framed.
    let html = html.replacen("<head>", "<head><base target=\"_blank\">", 1);
    let headers = [
        (header::CONTENT_SECURITY_POLICY, MAIL_POLICY),
        (HeaderName::from_static("x-frame-options"), "SAMEORIGIN"),
    ];
    (headers, Html(html)).into_response()
}
