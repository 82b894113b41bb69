//! What stands beside a week's comparisons: notes, forms that prepare it, and relays while it is sent.

use super::super::Web;
use super::super::answer::Problem;
use super::answers;
use crate::app::delivery::RelaySnapshot;
use crate::app::delivery::RelayState;
use crate::app::issue::week::Week;
use crate::app::users::Authors;
use crate::domain::digest::DigestState;
use crate::domain::digest_note::DigestNote;
use crate::domain::slot::Slot;
use crate::domain::user::AccessLevel;
use crate::domain::user::Area;
use crate::domain::user::User;
use crate::render::desk::ActionView;
use crate::render::desk::NoteView;
use crate::render::desk::PrepareView;
use crate::render::desk::RelayView;
use crate::render::desk::WeekView;

/// Adds notes and the forms that prepare it, which ask the database for more.
pub async fn add_notes(
    web: &Web,
    user: &User,
    week: &Week,
    view: &mut WeekView,
) -> Result<(), Problem> {
    if !week.notes.is_empty() {
        let authors = web.app.authors().await?;
        view.notes = week
            .notes
            .iter()
            .map(|note| note_view(web, note, &authors))
            .collect();
    }
    if week.status.is_none()
        || !week.edition.is_open()
        || !user.role.may(Area::Draft, AccessLevel::Write)
    {
        return Ok(());
    }
    let may_send = user.role.may(Area::Send, AccessLevel::Write);
    // A writer sees no address but their own.
    let group = match may_send {
        true => web.app.test_group().await?,
        false => Vec::new(),
    };
    let at = week.send_at.unwrap_or_else(|| web.app.now());
    let local = at.with_timezone(&web.app.site.timezone);
    view.prepare = Some(PrepareView {
        me: user.email.as_str().to_owned(),
        group: group
            .iter()
            .map(|email| email.as_str().to_owned())
            .collect(),
        may_send,
        at: local.format("%Y-%m-%dT%H:%M").to_string(),
        zone: web.app.settings.site.timezone.clone(),
    });
    Ok(())
}

fn note_view(web: &Web, note: &DigestNote, authors: &Authors) -> NoteView {
    NoteView {
        who: note
            .name
            .clone()
            .unwrap_or_else(|| authors.name(&note.author).to_owned()),
        what: note.kind.words(),
        revision: note.revision,
        when: answers::format_time(web, note.at),
        said: note.said.clone(),
    }
}

/// Relays of this process while it sends: another process's are known by what mail waits for.
pub fn relays(web: &Web, state: Option<DigestState>) -> Vec<RelayView> {
    if state != Some(DigestState::Sending) {
        return Vec::new();
    }
    let Some(snapshot) = web.app.sending.get() else {
        return Vec::new();
    };
    let words = |relay: &RelaySnapshot| {
        let doing = match relay.state {
            RelayState::Idle => "has nothing to send",
            RelayState::Sending => "sends",
            RelayState::Connecting => "is being connected to",
            RelayState::Silent => "answers none of its mails",
            RelayState::Paced => "waits for its rate",
            RelayState::DaySpent => "has spent its day",
            RelayState::MailTooLarge => "takes no mail as large as this one",
            RelayState::Paused => "is paused by its breaker",
            RelayState::Probing => "is tried again with one mail",
        };
        let reason = relay
            .reason
            .as_ref()
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        format!(
            "{doing}{reason}; {} of {} connections have a mail out",
            relay.sending, relay.connected
        )
    };
    snapshot
        .relays
        .iter()
        .map(|relay| RelayView {
            name: relay.name.clone(),
            words: words(relay),
        })
        .collect()
}

/// "an introduction, a sponsor": what people wrote of it.
pub fn written(week: &Week) -> String {
    let text = &week.edition.content.text;
    let parts = [
        (week.edition.draft.subject.is_some(), "a subject"),
        (!text.preheader.is_empty(), "a preheader"),
        (!text.introduction.is_empty(), "an introduction"),
        (text.sponsor.is_some(), "a sponsor"),
        (!text.question.is_empty(), "a question"),
        (!text.sign_off.is_empty(), "a sign-off"),
    ];
    let named: Vec<&str> = parts
        .iter()
        .filter_map(|(is_there, name)| is_there.then_some(*name))
        .collect();
    match named.is_empty() {
        true => {
            "Nothing is written yet: it has the usual subject, and begins with its comparisons."
                .into()
        }
        false => format!("It has {}.", named.join(", ")),
    }
}

/// The way to correct what went out.
pub fn correction(slot: Slot, state: DigestState) -> Option<ActionView> {
    use DigestState::Paused;
    use DigestState::Sending;
    use DigestState::Sent;
    matches!(state, Sending | Paused | Sent).then(|| ActionView {
        path: format!("/desk/digests/{slot}/correct"),
        words: "Correct it",
        look: "plain",
    })
}
