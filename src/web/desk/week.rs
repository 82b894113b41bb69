//! This week and every other: what its digest carries, when it goes out, what can be done with it.

use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::super::guard::PathSegment;
use super::super::pages::EMPTY;
use super::access::Me;
use super::answers;
use super::answers::refusal;
use super::prepare_view;
use super::results;
use super::week_view;
use super::write::checks;
use super::write::framed_mail;
use crate::app::issue::approving::ApprovalOrder;
use crate::app::issue::preflight::Preflight;
use crate::app::users::signing_in::SignedIn;
use crate::domain::digest::DigestState;
use crate::domain::slot::Slot;
use crate::domain::user::AccessLevel;
use crate::domain::user::Area;
use crate::render::desk;
use crate::render::desk::DigestRowView;
use crate::render::desk::GateForm;
use crate::render::desk::PreviewView;
use crate::render::desk::Show;
use crate::render::page as site_pages;

/// Digests on a page of the list.
const LISTED: usize = 20;

pub(super) const DIGESTS: &str = "/desk/digests";

/// The present week.
pub(super) async fn home(State(web): State<Web>, Me(who): Me) -> Page {
    let slot = web.app.slot_at(web.app.now());
    page(&web, &who, slot, "/desk").await
}

pub(super) async fn show(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slot): PathSegment,
) -> Page {
    let slot = known(&web, &slot).await?;
    page(&web, &who, slot, place_of(&web, slot)).await
}

async fn page(web: &Web, who: &SignedIn, slot: Slot, here: &str) -> Page {
    let week = web.app.look_at_week(slot).await?;
    let checks = checks(slot, &week.findings);
    let mut view = week_view::week(web, &who.user, &week, checks);
    prepare_view::add_notes(web, &who.user, &week, &mut view).await?;
    results::add(web, &who.user, &week, &mut view).await?;
    let title = if here == "/desk" {
        "This week".to_owned()
    } else {
        slot.to_string()
    };
    Ok(Html(desk::week(
        answers::frame(web, who, &title, here),
        view,
    )?))
}

/// The part of the desk that a week belongs to.
pub(super) fn place_of(web: &Web, slot: Slot) -> &'static str {
    if slot == web.app.slot_at(web.app.now()) {
        "/desk"
    } else {
        DIGESTS
    }
}

/// A week that has a digest, or the present one.
pub(super) async fn known(web: &Web, text: &str) -> Result<Slot, Problem> {
    let slot: Slot = text.parse().map_err(|_| Problem::not_found())?;
    let is_known =
        slot == web.app.slot_at(web.app.now()) || web.app.storage.digest(slot).await?.is_some();
    is_known.then_some(slot).ok_or_else(Problem::not_found)
}

pub(super) async fn list(State(web): State<Web>, Me(who): Me, RawQuery(query): RawQuery) -> Page {
    let before = match query
        .as_deref()
        .and_then(|query| query.strip_prefix("before="))
    {
        Some(text) => Some(text.parse::<Slot>().map_err(|_| Problem::not_found())?),
        None => None,
    };
    // One more than are shown says whether there is another page.
    let digests = web
        .app
        .storage
        .digests_before(before, LISTED as i64 + 1)
        .await?;
    let mut rows = Vec::new();
    for digest in digests.iter().take(LISTED) {
        let tally = web.app.storage.tally(digest.slot.id()).await?;
        let count = |count: u64| match digest.published_at {
            Some(_) => desk::grouped(count),
            None => String::new(),
        };
        rows.push(DigestRowView {
            slot: digest.slot.to_string(),
            state: digest.state.as_str(),
            mood: week_view::mood(digest.state),
            when: answers::format_time(&web, digest.published_at.unwrap_or(digest.send_at)),
            recipients: count(digest.recipients.unsigned_abs()),
            sent: count(tally.sent),
            failed: count(tally.failed + tally.uncertain),
        });
    }
    let older = (digests.len() > LISTED)
        .then(|| rows.last().map(|row| row.slot.clone()))
        .flatten();
    let missed = match before {
        Some(_) => Vec::new(),
        None => web
            .app
            .missed_digests()
            .await?
            .iter()
            .map(|missed| format!("{}.", web.app.missed_in_words(missed)))
            .collect(),
    };
    let frame = answers::frame(&web, &who, "Digests", DIGESTS);
    Ok(Html(desk::digests(
        frame,
        rows,
        missed,
        older,
        before.is_none(),
    )?))
}

/// Makes this week's draft.
pub(super) async fn draft(State(web): State<Web>, Me(who): Me) -> Result<Response, Problem> {
    let said = match web.app.draft_digest(&web.app.actor_of(&who)).await {
        Ok(slot) => format!("The draft of {slot} is made."),
        Err(failure) => refusal(failure)?,
    };
    answers::done(&web, &who, &said, "/desk").await
}

pub(super) async fn preview(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slot): PathSegment,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let slot = known(&web, &slot).await?;
    let asked = query
        .as_deref()
        .and_then(|query| query.strip_prefix("show="));
    let show = match asked {
        None => Show::Light,
        Some(text) => Show::ALL
            .into_iter()
            .find(|show| show.as_str() == text)
            .ok_or_else(Problem::not_found)?,
    };
    let preview = match web.app.preview(slot, web.app.now()).await {
        Ok(preview) => preview,
        Err(failure) => {
            let said = refusal(failure)?;
            return answers::done(&web, &who, &said, &format!("{DIGESTS}/{slot}")).await;
        }
    };
    let view = PreviewView {
        slot: slot.to_string(),
        subject: &preview.rendered.subject,
        preheader: &preview.preheader,
        sender: web.app.sender_name(),
        show,
        text: &preview.rendered.text,
        size: format!("{} KB", preview.rendered.html.len().div_ceil(1024)),
        may_be_reader: who.user.role.may(Area::Subscribers, AccessLevel::Read),
    };
    let title = format!("The mail of {slot}");
    Ok(Html(desk::preview(
        answers::frame(&web, &who, &title, place_of(&web, slot)),
        view,
    )?)
    .into_response())
}

/// The two open parts of the path.
pub(super) struct SlotPath(String, String);

impl FromRequestParts<Web> for SlotPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, web).await;
        path.map(|Path((slot, rest))| Self(slot, rest))
            .map_err(|_| Problem::not_found())
    }
}

/// The mail's own HTML, for the frame of its preview: as in a mail program nothing in it runs.
pub(super) async fn mail(
    State(web): State<Web>,
    SlotPath(slot, scheme): SlotPath,
) -> Result<Response, Problem> {
    let slot = known(&web, &slot).await?;
    let is_dark = match scheme.as_str() {
        "dark" => true,
        "light" => false,
        _ => return Err(Problem::not_found()),
    };
    let preview = web.app.preview(slot, web.app.now()).await?;
    Ok(framed_mail(&web, &preview.rendered.html, is_dark))
}

/// Nothing of the page runs or leads anywhere in its frame.
pub(super) const ARCHIVE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'; \
                              sandbox allow-popups";

/// The digest's page as it will stand in the archive, for a frame of the preview.
pub(super) async fn archive_page(
    State(web): State<Web>,
    PathSegment(slot): PathSegment,
) -> Result<Response, Problem> {
    let slot = known(&web, &slot).await?;
    let edition = web.app.edition(slot, web.app.now()).await?;
    let at = edition.digest.as_ref().map_or_else(
        || web.app.now(),
        |digest| digest.published_at.unwrap_or(digest.send_at),
    );
    let neighbours = web.app.storage.neighbours(slot).await?;
    let page = site_pages::digest(&web.app.site, &edition.content, at, neighbours, &EMPTY)?;
    let page = page.replacen("<head>", "<head><base target=\"_blank\">", 1);
    let headers = [
        (header::CONTENT_SECURITY_POLICY, ARCHIVE_POLICY),
        (HeaderName::from_static("x-frame-options"), "SAMEORIGIN"),
    ];
    Ok((headers, Html(page)).into_response())
}

/// The sum of a digest that is being sent, alone: a part of its page that is fetched again as long as it changes.
pub(super) async fn progress(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slot): PathSegment,
) -> Page {
    let slot = known(&web, &slot).await?;
    let week = web.app.look_at_week(slot).await?;
    let view = week_view::week(&web, &who.user, &week, Vec::new());
    Ok(Html(desk::progress(&view)?))
}

/// Revision that an approval was made from.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct ActForm {
    revision: Option<i64>,
}

/// Action on a digest: its address, and the state that it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DigestAction {
    Approve,
    Send,
    Withdraw,
    Pause,
    Resume,
    Cancel,
    Retry,
}

impl DigestAction {
    const ALL: [(&'static str, Self); 7] = [
        ("approve", Self::Approve),
        ("send", Self::Send),
        ("withdraw", Self::Withdraw),
        ("pause", Self::Pause),
        ("resume", Self::Resume),
        ("cancel", Self::Cancel),
        ("retry", Self::Retry),
    ];

    fn of(text: &str) -> Result<Self, Problem> {
        let found = Self::ALL.into_iter().find(|(name, _)| *name == text);
        found
            .map(|(_, action)| action)
            .ok_or_else(Problem::not_found)
    }

    /// In which states it can be done.
    pub(super) fn fits(self, state: DigestState) -> bool {
        use DigestState::Approved;
        use DigestState::Draft;
        use DigestState::Paused;
        use DigestState::Sending;
        use DigestState::Sent;
        match self {
            Self::Approve => state == Draft,
            Self::Send => matches!(state, Draft | Approved),
            Self::Withdraw => state == Approved,
            Self::Pause => state == Sending,
            Self::Resume => state == Paused,
            Self::Cancel => matches!(state, Draft | Approved | Sending | Paused),
            Self::Retry => state == Sent,
        }
    }
}

/// Asks before something is done, and says how many people it is about.
pub(super) async fn ask(
    State(web): State<Web>,
    Me(who): Me,
    SlotPath(slot, action): SlotPath,
) -> Result<Response, Problem> {
    let (slot, action_of) = (known(&web, &slot).await?, DigestAction::of(&action)?);
    let week = web.app.look_at_week(slot).await?;
    let back = format!("{DIGESTS}/{slot}");
    let state = week.status.as_ref().map(|status| status.digest.state);
    if !state.is_some_and(|state| action_of.fits(state)) {
        let said = match state {
            Some(state) => format!("{slot} is {state} now: that can no longer be done."),
            None => format!("There is no digest {slot} yet."),
        };
        return answers::done(&web, &who, &said, &back).await;
    }
    let question = week_view::question(&web, action_of, &week);
    let form = GateForm {
        heading: question.heading.clone(),
        sentences: question.sentences,
        action: format!("{back}/{action}"),
        hidden: vec![("revision", week.edition.revision().to_string())],
        button: question.button,
        is_grave: action_of == DigestAction::Cancel,
        link: Some((back, "No, go back")),
        ..GateForm::default()
    };
    let frame = answers::frame(&web, &who, &question.heading, place_of(&web, slot));
    Ok(Html(desk::form(frame, form)?).into_response())
}

pub(super) async fn act(
    State(web): State<Web>,
    Me(who): Me,
    SlotPath(slot, action): SlotPath,
    FormFields(form): FormFields<ActForm>,
) -> Result<Response, Problem> {
    let (slot, action) = (known(&web, &slot).await?, DigestAction::of(&action)?);
    let app = &web.app;
    let actor = &app.actor_of(&who);
    let done = match action {
        DigestAction::Approve => {
            let order = ApprovalOrder {
                revision: form.revision,
                overrides: None,
            };
            app.approve_revision(actor, slot, &order)
                .await
                .map(|status| {
                    format!(
                        "Approved: {slot} goes out {}.",
                        answers::format_time(&web, status.digest.send_at)
                    )
                })
        }
        DigestAction::Send => app.send_soon(actor, slot).await.map(|at| {
            format!(
                "{slot} goes out {}. Until then you can stop it.",
                answers::format_time(&web, at)
            )
        }),
        DigestAction::Withdraw => app
            .withdraw_digest(actor, slot)
            .await
            .map(|_| format!("{slot} is a draft again: nothing of it goes out.")),
        DigestAction::Pause => app
            .pause_digest(actor, slot)
            .await
            .map(|_| format!("{slot} is paused.")),
        DigestAction::Resume => app
            .resume_digest(actor, slot, Preflight::Heeded)
            .await
            .map(|_| format!("{slot} goes on.")),
        DigestAction::Cancel => app
            .cancel_digest(actor, slot)
            .await
            .map(|_| format!("{slot} is cancelled.")),
        DigestAction::Retry => app.retry_given_up(actor, slot).await.map(|queued| {
            format!(
                "{slot} goes once more to {} whom it did not reach.",
                desk::grouped(queued)
            )
        }),
    };
    let said = match done {
        Ok(said) => said,
        Err(failure) => refusal(failure)?,
    };
    answers::done(&web, &who, &said, &format!("{DIGESTS}/{slot}")).await
}
