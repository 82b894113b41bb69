//! A subscriber in words: what stands on their page.

use super::super::Web;
use super::answers;
use super::subscribers::HERE;
use super::subscribers::mood;
use crate::app::subscribing::operator::SubscriberRecord;
use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryState;
use crate::domain::delivery::SkipReason;
use crate::domain::history::HistoryEvent;
use crate::domain::subscriber::SubscriberState;
use crate::domain::user::AccessLevel;
use crate::domain::user::Area;
use crate::domain::user::User;
use crate::render::desk::ActionView;
use crate::render::desk::ConsentView;
use crate::render::desk::HistoryLine;
use crate::render::desk::ReturnedView;
use crate::render::desk::SubscriberDetails;
use crate::render::desk::SubscriberMail;
use crate::render::desk::grouped;
use crate::storage::personal_data::CameBack;
use crate::storage::personal_data::SentMail;

/// Mails that the page shows.
const MAILS: usize = 60;

/// The page of a subscriber for that user.
pub fn view(web: &Web, user: &User, name: &str, record: &SubscriberRecord) -> SubscriberDetails {
    let (person, data) = (&record.person, &record.data);
    let subscriber = &person.subscriber;
    let state = subscriber.state;
    let base = format!("{HERE}/{name}");
    let mails = data.mails.iter().rev();
    let left = data.mails.len().saturating_sub(MAILS);
    SubscriberDetails {
        email: subscriber.email.clone(),
        name: subscriber.name.clone(),
        state: state.as_str(),
        mood: mood(state),
        why: why(web, record),
        notes: notes(web, record),
        actions: actions(web, user, &base, record),
        download: user
            .role
            .may(Area::Erase, AccessLevel::Write)
            .then(|| format!("{base}/data")),
        facts: facts(web, record),
        consents: person
            .consents
            .iter()
            .rev()
            .map(|consent| ConsentView {
                at: answers::format_time(web, consent.requested_at),
                source: match &consent.network {
                    Some(network) => format!("{} ({network})", consent.source),
                    None => consent.source.clone(),
                },
                confirmed: consent.confirmed_at.map_or_else(
                    || "not confirmed".into(),
                    |at| format!("confirmed {}", answers::format_time(web, at)),
                ),
                shown: consent.shown.clone(),
            })
            .collect(),
        mails: mails.take(MAILS).map(|sent| mail(web, sent)).collect(),
        mails_more: (left > 0).then(|| {
            format!(
                "{} older ones are in the file that \"Download their data\" makes.",
                grouped(left as u64)
            )
        }),
        returned: data
            .came_back
            .iter()
            .rev()
            .map(|came| returned(web, &base, came))
            .collect(),
        votes: data
            .votes
            .iter()
            .map(|vote| (vote.tool.clone(), vote.verdict.clone()))
            .collect(),
        saved: data.saved.iter().map(|saved| saved.tool.clone()).collect(),
        history: person
            .history
            .iter()
            .rev()
            .map(|entry| HistoryLine {
                at: answers::format_time(web, entry.at),
                what: match entry.slot {
                    Some(slot) => format!("{} (issue {slot})", entry.event),
                    None => entry.event.to_string(),
                },
            })
            .collect(),
    }
}

/// Reason for their state: the last event that led to it.
fn why(web: &Web, record: &SubscriberRecord) -> String {
    let state = record.person.subscriber.state;
    let leads = |event: &HistoryEvent| match (state, event) {
        (SubscriberState::Pending, HistoryEvent::SignedUp { .. })
        | (SubscriberState::Active, HistoryEvent::Confirmed)
        | (
            SubscriberState::Unsubscribed,
            HistoryEvent::Unsubscribed { .. } | HistoryEvent::SuppressionRemoved { .. },
        )
        | (SubscriberState::Bounced, HistoryEvent::Bounced { .. })
        | (SubscriberState::Complained, HistoryEvent::Complained { .. }) => true,
        (
            _,
            HistoryEvent::Imported {
                state: imported, ..
            },
        ) => *imported == state,
        _ => false,
    };
    let since = web.app.site.day(record.data.state_since);
    let last = record.person.history.iter().rev();
    match last.map(|entry| &entry.event).find(|event| leads(event)) {
        Some(event) => format!("{} since {since}: {event}.", capitalised(state.as_str())),
        None => format!("{} since {since}.", capitalised(state.as_str())),
    }
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    format!("{}{rest}", first.to_uppercase())
}

fn notes(web: &Web, record: &SubscriberRecord) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(until) = pause_of(web, record) {
        notes.push(format!(
            "No digest goes to them until {}: they have a pause.",
            answers::format_time(web, until)
        ));
    }
    for suppression in &record.data.suppressions {
        let note = suppression
            .note
            .as_deref()
            .map_or_else(String::new, |note| format!(" ({note})"));
        notes.push(format!(
            "The address is on the suppression list since {} as {}{note}: no mail goes there.",
            web.app.site.day(suppression.at),
            suppression.reason
        ));
    }
    if let Some(change) = &record.data.address_change {
        notes.push(format!(
            "A change of address to {} waits since {} for its confirmation there.",
            change.email,
            answers::format_time(web, change.requested_at)
        ));
    }
    notes
}

fn pause_of(web: &Web, record: &SubscriberRecord) -> Option<Timestamp> {
    record
        .preferences
        .paused_until
        .filter(|until| *until > web.app.now())
}

fn actions(web: &Web, user: &User, base: &str, record: &SubscriberRecord) -> Vec<ActionView> {
    let state = record.person.subscriber.state;
    let may_change = user.role.may(Area::Subscribers, AccessLevel::Write);
    let is_active = state == SubscriberState::Active;
    let is_waiting = record.data.waiting_since.is_some();
    let is_paused = pause_of(web, record).is_some();
    let is_suppressed = !record.data.suppressions.is_empty();
    let all = [
        (
            may_change && is_waiting,
            "confirmation",
            "Send the confirmation again",
            "plain",
        ),
        (
            may_change && is_active && !is_paused,
            "pause",
            "Pause",
            "plain",
        ),
        (
            may_change && is_active && is_paused,
            "resume",
            "End the pause",
            "plain",
        ),
        (
            may_change && is_active,
            "address",
            "Change the address",
            "plain",
        ),
        (
            may_change && (is_active || is_waiting),
            "unsubscribe",
            "Unsubscribe",
            "grave",
        ),
        (
            user.role.may(Area::Suppressions, AccessLevel::Write) && is_suppressed,
            "lift",
            "Take off the suppression list",
            "plain",
        ),
        (
            user.role.may(Area::Erase, AccessLevel::Write),
            "erase",
            "Erase",
            "grave",
        ),
    ];
    all.into_iter()
        .filter(|(is_offered, ..)| *is_offered)
        .map(|(_, path, words, look)| ActionView {
            path: format!("{base}/{path}"),
            words,
            look,
        })
        .collect()
}

fn facts(web: &Web, record: &SubscriberRecord) -> Vec<(&'static str, String)> {
    let preferences = &record.preferences;
    let categories = match preferences.categories.as_slice() {
        [] => "all categories".to_owned(),
        categories => categories.join(", "),
    };
    let zone = record.person.subscriber.timezone;
    let mut facts = vec![
        ("Categories", categories),
        (
            "How often",
            if preferences.monthly {
                "monthly"
            } else {
                "weekly"
            }
            .into(),
        ),
        (
            "Time zone",
            zone.map_or_else(|| "not known".into(), |zone| zone.to_string()),
        ),
        (
            "Joined",
            answers::format_time(web, record.data.signed_up_at),
        ),
    ];
    if let Some(reason) = &record.data.unsubscribe_reason {
        facts.push(("Said on leaving", reason.reason.replace('_', " ")));
    }
    for earlier in &record.data.earlier_addresses {
        facts.push(("Earlier address", earlier.email.clone()));
    }
    let counted = record
        .refusals
        .iter()
        .filter(|refused| refused.class != "passing");
    facts.push(("Bounces", grouped(counted.count() as u64)));
    facts
}

fn mail(web: &Web, sent: &SentMail) -> SubscriberMail {
    let state: Option<DeliveryState> = sent.state.parse().ok();
    let skipped: Option<SkipReason> = sent
        .skip_reason
        .as_deref()
        .and_then(|text| text.parse().ok());
    let reply = match skipped {
        Some(reason) => reason.describe().to_owned(),
        None => sent.reply.clone().unwrap_or_default(),
    };
    SubscriberMail {
        what: match sent.slot {
            Some(slot) => slot.to_string(),
            None => sent.kind.replace('_', " "),
        },
        href: sent.slot.map(|slot| format!("/desk/digests/{slot}")),
        state: sent.state.clone(),
        mood: match state {
            Some(DeliveryState::Sent) => "good",
            Some(DeliveryState::Failed) => "bad",
            Some(DeliveryState::Uncertain) => "wait",
            Some(DeliveryState::Queued | DeliveryState::Sending) => "under-way",
            Some(DeliveryState::Skipped) | None => "none",
        },
        at: answers::format_time(
            web,
            sent.finished_at.or(sent.started_at).unwrap_or(sent.due_at),
        ),
        attempts: grouped(sent.attempts.unsigned_abs()),
        relay: sent.relay.clone().unwrap_or_default(),
        reply,
    }
}

fn returned(web: &Web, base: &str, came: &CameBack) -> ReturnedView {
    let mut meaning = came.meaning.clone();
    for more in [&came.reason, &came.status].into_iter().flatten() {
        meaning = format!("{meaning}, {more}");
    }
    ReturnedView {
        at: answers::format_time(web, came.at),
        meaning: meaning.replace('_', " "),
        channel: came.door.clone(),
        slot: came.slot.map_or_else(String::new, |slot| slot.to_string()),
        line: came.line.clone().unwrap_or_default(),
        report: came
            .report
            .as_ref()
            .map(|fingerprint| format!("{base}/reports/{fingerprint}")),
    }
}
