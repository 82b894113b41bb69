//! A week in words: what stands on its page.

use chrono::TimeDelta;

use super::super::Web;
use super::answers;
use super::prepare_view;
use super::week::DigestAction;
use super::week_sum;
use crate::app::issue::digests::DigestStatus;
use crate::app::issue::week::Week;
use crate::config::Approval;
use crate::domain::Timestamp;
use crate::domain::digest::DigestState;
use crate::domain::digest_note::NoteKind;
use crate::domain::next_state::GIVEN_UP;
use crate::domain::pick::Pick;
use crate::domain::slot::Slot;
use crate::domain::user::AccessLevel;
use crate::domain::user::Area;
use crate::domain::user::User;
use crate::render::desk::ActionView;
use crate::render::desk::CheckView;
use crate::render::desk::EditView;
use crate::render::desk::PickView;
use crate::render::desk::WeekView;
use crate::render::desk::grouped;

/// A question before something is done.
pub struct Question {
    pub heading: String,
    pub sentences: Vec<String>,
    pub button: String,
}

/// A week's page for that user.
pub fn week(web: &Web, user: &User, week: &Week, checks: Vec<CheckView>) -> WeekView {
    let state = week.status.as_ref().map(|status| status.digest.state);
    let may_send = user.role.may(Area::Send, AccessLevel::Write);
    let troubles = match &week.status {
        Some(status) => troubles(web, status),
        None => Vec::new(),
    };
    WeekView {
        slot: week.slot.to_string(),
        heading: heading(week),
        state: state.map_or("not made yet", DigestState::as_str),
        mood: state.map_or("none", mood),
        headline: headline(web, week),
        troubles,
        actions: match &week.status {
            Some(status) if may_send => actions(web, week.slot, status),
            _ => Vec::new(),
        },
        edit: edit(user, week),
        may_draft: state.is_none()
            && week.is_present
            && !week.edition.content.items.is_empty()
            && user.role.may(Area::Draft, AccessLevel::Write),
        subject: week.subject.clone(),
        preheader: week.preheader.clone(),
        checks,
        sender: web.app.sender_name(),
        picks: week
            .edition
            .content
            .items
            .iter()
            .zip(week.edition.picks())
            .map(|(item, picked)| pick_view(item.matchup.title(), &picked, None))
            .collect(),
        left_out: week
            .edition
            .left_out
            .iter()
            .map(|left| (left.comparison.to_string(), left.why.clone()))
            .collect(),
        next: week
            .next_in_line
            .iter()
            .map(|next| PickView {
                can_add: !next.shares_tool,
                ..pick_view(next.title.clone(), &next.pick, Some(&next.why))
            })
            .collect(),
        sum: week
            .status
            .as_ref()
            .filter(|status| status.digest.published_at.is_some())
            .map(|status| week_sum::sum(user, status)),
        results: None,
        relays: prepare_view::relays(web, state),
        is_live: matches!(state, Some(DigestState::Sending | DigestState::Paused)),
        notes: Vec::new(),
        prepare: None,
    }
}

/// Form for changes of a draft or an approved digest, for users who may make them.
fn edit(user: &User, week: &Week) -> Option<EditView> {
    let is_open = week.status.is_some() && week.edition.is_open();
    (is_open && user.role.may(Area::Draft, AccessLevel::Write)).then(|| EditView {
        seen: seen(&week.edition.picks()),
        written: prepare_view::written(week),
    })
}

/// The comparisons of a page, so that a change made on an older one is noticed.
pub fn seen(picks: &[Pick]) -> String {
    let slugs: Vec<&str> = picks.iter().map(|pick| pick.comparison.as_str()).collect();
    slugs.join(" ")
}

fn heading(week: &Week) -> String {
    if week.is_present {
        "This week".into()
    } else {
        format!("Week {}", week.slot)
    }
}

/// A state's colour, which never stands alone: its word is in it.
pub fn mood(state: DigestState) -> &'static str {
    match state {
        DigestState::Draft | DigestState::Paused => "wait",
        DigestState::Approved | DigestState::Sending => "under-way",
        DigestState::Sent => "good",
        DigestState::Cancelled => "bad",
        DigestState::Skipped => "none",
    }
}

fn actions(web: &Web, slot: Slot, status: &DigestStatus) -> Vec<ActionView> {
    let state = status.digest.state;
    // It would be refused.
    let must_approve =
        state == DigestState::Draft && web.app.settings.schedule.approval == Approval::Required;
    let all = [
        (DigestAction::Approve, "approve", "Approve", "first"),
        (DigestAction::Resume, "resume", "Go on sending", "first"),
        (DigestAction::Pause, "pause", "Pause", "first"),
        (
            DigestAction::Withdraw,
            "withdraw",
            "Stop: make it a draft again",
            "first",
        ),
        (DigestAction::Send, "send", "Send now", "plain"),
        (DigestAction::Cancel, "cancel", "Cancel it", "grave"),
        (
            DigestAction::Retry,
            "retry",
            "Send to those who failed",
            "plain",
        ),
    ];
    // A second mail to those whose server refused for good would be refused again.
    let is_given_up = status
        .failures
        .iter()
        .any(|(reply, _)| reply.starts_with(GIVEN_UP));
    all.into_iter()
        .filter(|(action, ..)| {
            (*action != DigestAction::Retry || is_given_up)
                && action.fits(state)
                && !(must_approve && *action == DigestAction::Send)
        })
        .map(|(_, path, words, look)| ActionView {
            path: format!("/desk/digests/{slot}/{path}"),
            words,
            look,
        })
        .chain(prepare_view::correction(slot, state))
        .collect()
}

/// Sentence that says what happens when, and to how many.
fn headline(web: &Web, week: &Week) -> String {
    let now = web.app.now();
    let readers = week
        .readers
        .map_or_else(String::new, |count| format!(" to {}", people(count)));
    let goes_out = |at: Timestamp| {
        if at > now {
            format!("{} ({})", answers::format_time(web, at), in_words(at - now))
        } else {
            "as soon as the schedule looks".into()
        }
    };
    let Some(status) = &week.status else {
        return match week.send_at {
            Some(at) if week.edition.content.items.is_empty() => {
                format!("Nothing is new yet. The schedule would send {}{readers}.", goes_out(at))
            }
            Some(at) => format!("This is what would be picked now. The schedule sends it {}{readers}.", goes_out(at)),
            None => "This is what would be picked now. Its time in the schedule is over: make the draft, then send it.".into(),
        };
    };
    let digest = &status.digest;
    match digest.state {
        DigestState::Draft if digest.send_at > now => {
            format!(
                "Waits for an approval. Once approved it goes out {}{readers}.",
                goes_out(digest.send_at)
            )
        }
        DigestState::Draft => format!(
            "Waits for an approval. Its time is over: once approved it goes out at once{readers}."
        ),
        DigestState::Approved => format!("Goes out {}{readers}.", goes_out(digest.send_at)),
        DigestState::Sending => format!(
            "Is being sent to {}.",
            people(digest.recipients.unsigned_abs())
        ),
        DigestState::Paused => format!(
            "Paused: {} have not got it yet.",
            people(status.tally.open())
        ),
        DigestState::Sent => format!(
            "Went out {} to {}.",
            answers::format_time(web, digest.published_at.unwrap_or(digest.send_at)),
            people(digest.recipients.unsigned_abs())
        ),
        DigestState::Skipped => match skipped_by_hand(week) {
            Some(reason) => format!("Skipped by hand: {reason} Nobody gets mail this week."),
            None => "There was too little that is new: nobody gets mail this week.".into(),
        },
        DigestState::Cancelled if digest.published_at.is_some() => {
            format!(
                "Cancelled: {} have it, nobody else gets it.",
                people(status.tally.sent)
            )
        }
        DigestState::Cancelled => "Cancelled: nobody gets it.".into(),
    }
}

/// The reason for which somebody skipped the week, as a sentence.
fn skipped_by_hand(week: &Week) -> Option<String> {
    let note = week
        .notes
        .iter()
        .find(|note| note.kind == NoteKind::Skipped)?;
    let end = if note.said.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    Some(format!("{}{end}", note.said))
}

fn troubles(web: &Web, status: &DigestStatus) -> Vec<String> {
    let mut troubles = status.troubles.clone();
    troubles.extend(
        status
            .stall
            .as_ref()
            .map(|stall| web.app.stall_in_words(stall)),
    );
    troubles.extend(
        status
            .missed
            .as_ref()
            .map(|missed| format!("{}.", web.app.missed_in_words(missed))),
    );
    troubles.extend(
        status
            .held
            .iter()
            .map(|held| format!("Held back: {}.", held.summary())),
    );
    troubles
}

/// "1 reader", "12,431 readers".
fn people(count: u64) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} reader{plural}", grouped(count))
}

/// "in 1 d 16 h", "in 4 min".
pub(super) fn in_words(left: TimeDelta) -> String {
    let (days, hours, minutes) = (
        left.num_days(),
        left.num_hours() % 24,
        left.num_minutes() % 60,
    );
    match (days, hours, minutes) {
        (0, 0, 0) => "in less than a minute".into(),
        (0, 0, _) => format!("in {minutes} min"),
        (0, ..) => format!("in {hours} h {minutes} min"),
        _ => format!("in {days} d {hours} h"),
    }
}

fn pick_view(title: String, pick: &Pick, why: Option<&str>) -> PickView {
    // A new comparison is a hundred points ahead of all older ones: that is said by a word, so that the rest can be compared.
    let is_new = pick.score >= 100.0;
    let points = if is_new {
        pick.score - 100.0
    } else {
        pick.score
    };
    let points = points.clamp(0.0, 100.0);
    PickView {
        href: format!("/comparisons/{}", pick.comparison),
        title,
        points: format!("{points:.1}"),
        bar: points as u64,
        is_new,
        reasons: why
            .map(String::from)
            .into_iter()
            .chain(pick.reasons.iter().map(ToString::to_string))
            .collect(),
        slug: pick.comparison.to_string(),
        can_add: false,
    }
}

/// The question before an action, with how many people it is about.
pub fn question(web: &Web, action: DigestAction, week: &Week) -> Question {
    let slot = week.slot;
    let readers = people(week.readers.unwrap_or_default());
    let (open, sent) = match &week.status {
        Some(status) => (people(status.tally.open()), people(status.tally.sent)),
        None => (people(0), people(0)),
    };
    let is_published = week.readers.is_none();
    let at = week.send_at.filter(|at| *at > web.app.now());
    let when = at.map_or_else(|| "at once".into(), |at| answers::format_time(web, at));
    let undo = web.app.settings.desk.undo;
    let (heading, sentences, button) = match action {
        DigestAction::Approve => (
            format!("Approve {slot}?"),
            vec![format!(
                "It goes out {when} to {readers}. Until then you can make it a draft again."
            )],
            "Approve it".into(),
        ),
        DigestAction::Send => (
            format!("Send {slot} to {readers}?"),
            vec![
                format!("{readers} get it."),
                if undo.is_zero() {
                    "It goes out at once.".into()
                } else {
                    format!(
                        "It goes out in {}; until then you can stop it.",
                        humantime::format_duration(undo)
                    )
                },
            ],
            format!("Send it to {readers}"),
        ),
        DigestAction::Withdraw => (
            format!("Stop {slot}?"),
            vec![format!(
                "It becomes a draft again, and {readers} do not get it before somebody approves it."
            )],
            "Stop it".into(),
        ),
        DigestAction::Pause => (
            format!("Pause {slot}?"),
            vec![format!(
                "{sent} have it. {open} get it only once it goes on. Mails that are in a connection now still arrive."
            )],
            "Pause it".into(),
        ),
        DigestAction::Resume => (
            format!("Go on with {slot}?"),
            vec![format!("{open} get it now.")],
            format!("Send it to {open}"),
        ),
        DigestAction::Retry => retry(week),
        DigestAction::Cancel if is_published => (
            format!("Cancel the rest of {slot}?"),
            vec![format!(
                "{sent} have it. {open} never get it. This cannot be taken back."
            )],
            format!("Cancel it for {open}"),
        ),
        DigestAction::Cancel => (
            format!("Cancel {slot}?"),
            vec![format!(
                "{readers} get no digest this week. This cannot be taken back."
            )],
            "Cancel it".into(),
        ),
    };
    Question {
        heading,
        sentences,
        button,
    }
}

/// The question before a digest is sent once more to those who were given up: heading, sentences, button.
fn retry(week: &Week) -> (String, Vec<String>, String) {
    let failures = week.status.iter().flat_map(|status| &status.failures);
    let given_up = failures
        .filter(|(reply, _)| reply.starts_with(GIVEN_UP))
        .map(|(_, count)| count)
        .sum();
    let readers = people(given_up);
    (
        format!("Send {} to those who failed?", week.slot),
        vec![
            format!("{readers} were given up after retries; they are tried again now."),
            "Those whose server refused the mail for good, and those who have it, get nothing."
                .into(),
        ],
        format!("Send it to {readers}"),
    )
}
