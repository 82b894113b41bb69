//! Views: how a thing is shown to programs, one type for each thing. The commands' `--json` prints them, and so will the desk and the
//! API, so that a thing looks the same at every door. Names here are promised to scripts.
//!
//! A subscriber is named by an opaque id and a digest by its slot: no row id is in a view.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::App;
use crate::app::issue::digests::DigestStatus;
use crate::app::issue::edition::LeftOut;
use crate::app::issue::edition::Outlook;
use crate::app::issue::missed::MissedDigest;
use crate::app::returns::bounces::HeldRefusals;
use crate::app::users::Authors;
use crate::domain::Timestamp;
use crate::domain::catalogue::Slug;
use crate::domain::digest::Digest;
use crate::domain::digest::DigestState;
use crate::domain::digest_note::DigestNote;
use crate::domain::digest_note::NoteKind;
use crate::domain::issue_text::Sponsor;
use crate::domain::pick::Pick;
use crate::domain::progress::MinuteStats;
use crate::domain::slot::Slot;
use crate::domain::subscriber::Consent;
use crate::domain::subscriber::Subscriber;
use crate::domain::subscriber::SubscriberState;
use crate::domain::waiting::Stall;
use crate::domain::waiting::Wait;
use crate::domain::waiting::WaitReason;
use crate::domain::zone::ZoneName;
use crate::storage::audit::LedgerAudit;
use crate::storage::audit::UncertainDelivery;
use crate::storage::ledger::Tally;
use crate::storage::people::Listed;
use crate::storage::people::Person;

/// A tool with its reviews: as in the catalogue document, so that what is shown can be imported again.
pub use crate::app::catalogue::document::ToolEntry as ToolView;

/// A digest.
#[derive(Debug, Clone, Serialize)]
pub struct DigestView {
    id: Slot,
    slot: Slot,
    state: DigestState,
    recipients: i64,
    send_at: Timestamp,
    published_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

impl From<&Digest> for DigestView {
    fn from(digest: &Digest) -> Self {
        Self {
            id: digest.slot,
            slot: digest.slot,
            state: digest.state,
            recipients: digest.recipients,
            send_at: digest.send_at,
            published_at: digest.published_at,
            finished_at: digest.finished_at,
        }
    }
}

/// A digest with its deliveries, and how sending it goes.
#[derive(Debug, Clone, Serialize)]
pub struct DigestStatusView<'a> {
    #[serde(flatten)]
    digest: DigestView,
    #[serde(flatten)]
    outlook: Option<OutlookView<'a>>,
    deliveries: Tally,
    skipped: BTreeMap<&'static str, u64>,
    next_due: Option<Timestamp>,
    failures: Vec<FailuresView<'a>>,
    troubles: &'a [String],
    held: &'a [HeldRefusals],
    waiting: Option<StallView<'a>>,
    missed: Option<&'a MissedDigest>,
    minutes: &'a [MinuteStats],
    rate_per_minute: Option<f64>,
    seconds_left: Option<i64>,
}

impl<'a> DigestStatusView<'a> {
    /// The digest, with what it carries where `outlook` is given.
    pub fn new(status: &'a DigestStatus, outlook: Option<&'a Outlook>) -> Self {
        let failures = status.failures.iter();
        let tenths = |rate: f64| (rate * 10.0).round() / 10.0;
        Self {
            digest: DigestView::from(&status.digest),
            outlook: outlook.map(OutlookView::from),
            deliveries: status.tally,
            skipped: status
                .skips
                .iter()
                .map(|(reason, count)| (reason.as_str(), *count))
                .collect(),
            next_due: status.next_due,
            failures: failures
                .map(|(reply, count)| FailuresView {
                    reply,
                    count: *count,
                })
                .collect(),
            troubles: &status.troubles,
            held: &status.held,
            waiting: status.stall.as_ref().map(StallView::from),
            missed: status.missed.as_ref(),
            minutes: &status.minutes,
            rate_per_minute: status.rate_per_minute.map(tenths),
            seconds_left: status.time_left.map(|left| left.num_seconds()),
        }
    }
}

/// Text that people wrote for a digest, to change it elsewhere and save it with its revision.
#[derive(Debug, Clone, Serialize)]
pub struct DraftView<'a> {
    slot: Slot,
    state: Option<DigestState>,
    revision: i64,
    edited_at: Option<Timestamp>,
    /// Pattern of the subject; null: `mail.subject`.
    subject: Option<&'a str>,
    /// The subject as readers see it.
    subject_line: Option<&'a str>,
    preheader: &'a str,
    introduction: &'a str,
    sponsor: Option<&'a Sponsor>,
    question: &'a str,
    sign_off: &'a str,
    picks: Vec<Slug>,
}

impl<'a> DraftView<'a> {
    /// The text of a digest.
    pub fn new(slot: Slot, outlook: &'a Outlook) -> Self {
        let edition = &outlook.edition;
        let text = &edition.content.text;
        Self {
            slot,
            state: edition.digest.as_ref().map(|digest| digest.state),
            revision: edition.revision(),
            edited_at: edition.draft.edited_at,
            subject: edition.draft.subject.as_deref(),
            subject_line: outlook.subject.as_deref(),
            preheader: &text.preheader,
            introduction: &text.introduction,
            sponsor: text.sponsor.as_ref(),
            question: &text.question,
            sign_off: &text.sign_off,
            picks: edition
                .picks()
                .into_iter()
                .map(|pick| pick.comparison)
                .collect(),
        }
    }
}

impl fmt::Display for DraftView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.map_or("not made", DigestState::as_str);
        writeln!(f, "{}: {state}, revision {}", self.slot, self.revision)?;
        let mut part = |name: &str, text: &str| match text {
            "" => Ok(()),
            text if text.contains('\n') => writeln!(f, "{name}:\n\n{text}\n"),
            text => writeln!(f, "{name}: {text}"),
        };
        part("subject", self.subject.unwrap_or_default())?;
        part("as readers see it", self.subject_line.unwrap_or_default())?;
        part("preheader", self.preheader)?;
        part("introduction", self.introduction)?;
        if let Some(sponsor) = self.sponsor {
            part("sponsor", &format!("{} ({})", sponsor.text, sponsor.url))?;
        }
        part("question", self.question)?;
        part("sign-off", self.sign_off)?;
        self.picks
            .iter()
            .enumerate()
            .try_for_each(|(at, slug)| writeln!(f, "{}. {slug}", at + 1))
    }
}

/// A note on a digest.
#[derive(Debug, Clone, Serialize)]
pub struct DigestNoteView<'a> {
    at: Timestamp,
    kind: NoteKind,
    revision: i64,
    author: &'a str,
    said: &'a str,
}

impl<'a> DigestNoteView<'a> {
    /// The note, with its author by name.
    pub fn new(note: &'a DigestNote, authors: &'a Authors) -> Self {
        Self {
            at: note.at,
            kind: note.kind,
            revision: note.revision,
            author: match &note.name {
                Some(name) => name,
                None => authors.name(&note.author),
            },
            said: &note.said,
        }
    }

    /// Time when it was written.
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

impl fmt::Display for DigestNoteView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.kind.words();
        write!(f, "{} {what} (revision {})", self.author, self.revision)?;
        match self.said {
            "" => Ok(()),
            said => write!(f, ": {said}"),
        }
    }
}

/// Comparisons of a digest.
#[derive(Debug, Clone, Serialize)]
struct OutlookView<'a> {
    subject: Option<&'a str>,
    readers: Option<u64>,
    picks: Vec<Pick>,
    left_out: &'a [LeftOut],
}

impl<'a> From<&'a Outlook> for OutlookView<'a> {
    fn from(outlook: &'a Outlook) -> Self {
        Self {
            subject: outlook.subject.as_deref(),
            readers: outlook.readers,
            picks: outlook.edition.picks(),
            left_out: &outlook.edition.left_out,
        }
    }
}

/// Deliveries that failed with one reply.
#[derive(Debug, Clone, Serialize)]
struct FailuresView<'a> {
    reply: &'a str,
    count: u64,
}

/// Mail that is due and does not go out.
#[derive(Debug, Clone, Serialize)]
struct StallView<'a> {
    since: Timestamp,
    #[serde(rename = "for")]
    waits: Vec<WaitView<'a>>,
}

impl<'a> From<&'a Stall> for StallView<'a> {
    fn from(stall: &'a Stall) -> Self {
        Self {
            since: stall.since,
            waits: stall.waits.iter().map(WaitView::from).collect(),
        }
    }
}

/// One thing that mail waits for.
#[derive(Debug, Clone, Serialize)]
struct WaitView<'a> {
    reason: WaitReason,
    relay: Option<&'a str>,
    slot: Option<Slot>,
    words: &'static str,
    detail: Option<&'a str>,
    until: Option<Timestamp>,
}

impl<'a> From<&'a Wait> for WaitView<'a> {
    fn from(wait: &'a Wait) -> Self {
        Self {
            reason: wait.reason,
            relay: wait.relay.as_deref(),
            slot: wait.slot,
            words: wait.summary(),
            detail: wait.detail.as_deref(),
            until: wait.until,
        }
    }
}

/// A delivery of a digest to one subscriber.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryView<'a> {
    subscriber: String,
    state: &'a str,
    uncertain_at: Timestamp,
    attempts: i64,
}

impl<'a> DeliveryView<'a> {
    fn new(app: &App, doubt: &'a UncertainDelivery) -> Self {
        Self {
            subscriber: app.subscriber_name(doubt.subscriber),
            state: &doubt.state,
            uncertain_at: doubt.uncertain_at,
            attempts: doubt.attempts,
        }
    }
}

/// Result of the ledger's audit of a digest.
#[derive(Debug, Clone, Serialize)]
pub struct AuditView<'a> {
    slot: Slot,
    recipients: u64,
    is_publishing: bool,
    deliveries: Tally,
    faults: &'a [String],
    doubts: Vec<DeliveryView<'a>>,
}

impl<'a> AuditView<'a> {
    /// The audit, with subscribers by their opaque ids.
    pub fn new(app: &App, audit: &'a LedgerAudit) -> Self {
        let doubts = audit.doubts.iter();
        Self {
            slot: audit.slot,
            recipients: audit.recipients,
            is_publishing: audit.is_publishing,
            deliveries: audit.deliveries,
            faults: &audit.faults,
            doubts: doubts.map(|doubt| DeliveryView::new(app, doubt)).collect(),
        }
    }
}

/// A subscriber.
#[derive(Debug, Clone, Serialize)]
pub struct SubscriberView<'a> {
    id: String,
    email: &'a str,
    name: Option<&'a str>,
    state: SubscriberState,
    timezone: Option<&'static str>,
}

impl<'a> SubscriberView<'a> {
    /// The subscriber, by an opaque id.
    pub fn new(app: &App, subscriber: &'a Subscriber) -> Self {
        Self {
            id: app.subscriber_name(subscriber.id),
            email: &subscriber.email,
            name: subscriber.name.as_deref(),
            state: subscriber.state,
            timezone: subscriber.timezone.map(ZoneName::name),
        }
    }
}

/// A subscriber in a list.
#[derive(Debug, Clone, Serialize)]
pub struct ListedView<'a> {
    #[serde(flatten)]
    subscriber: SubscriberView<'a>,
    created_at: Timestamp,
    confirmed_at: Option<Timestamp>,
    source: Option<&'a str>,
}

impl<'a> ListedView<'a> {
    /// The line of a list.
    pub fn new(app: &App, listed: &'a Listed) -> Self {
        Self {
            subscriber: SubscriberView::new(app, &listed.subscriber),
            created_at: listed.created_at,
            confirmed_at: listed.confirmed_at,
            source: listed.source.as_deref(),
        }
    }
}

/// A subscriber with what they agreed to and what happened.
#[derive(Debug, Clone, Serialize)]
pub struct PersonView<'a> {
    #[serde(flatten)]
    subscriber: SubscriberView<'a>,
    consent: Option<&'a Consent>,
    earlier_consents: &'a [Consent],
    history: Vec<EventView>,
}

/// One thing that happened to a subscriber.
#[derive(Debug, Clone, Serialize)]
struct EventView {
    at: Timestamp,
    what: String,
}

impl<'a> PersonView<'a> {
    /// Everything that is kept of somebody.
    pub fn new(app: &App, person: &'a Person) -> Self {
        let (consent, earlier_consents) = match person.consents.split_last() {
            Some((last, earlier)) => (Some(last), earlier),
            None => (None, &[][..]),
        };
        let history = person.history.iter();
        Self {
            subscriber: SubscriberView::new(app, &person.subscriber),
            consent,
            earlier_consents,
            history: history
                .map(|entry| EventView {
                    at: entry.at,
                    what: entry.event.to_string(),
                })
                .collect(),
        }
    }
}
