//! Shapes of digests.

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::app::issue::digests::DigestStatus;
use crate::app::issue::edition::Edition;
use crate::app::issue::edition::LeftOut;
use crate::app::issue::edition::Outlook;
use crate::domain;
use crate::domain::Timestamp;
use crate::storage::audit::LedgerAudit;
use crate::storage::audit::UncertainDelivery;
use crate::storage::ledger::Tally;

/// A digest.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Digest)]
pub struct DigestShape {
    /// Week, like 2026-W49.
    slot: String,
    /// draft, approved, sending, paused, sent, cancelled or skipped.
    state: String,
    /// Readers for whom deliveries were made.
    #[schema(minimum = 0)]
    recipients: i64,
    /// Number of changes of what it shows.
    #[schema(minimum = 0)]
    revision: i64,
    /// Time at which it is due to be sent.
    #[schema(value_type = String, format = DateTime)]
    send_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    published_at: Option<Timestamp>,
    /// Time at which its last delivery became final.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

impl DigestShape {
    /// Its week.
    pub fn slot(&self) -> &str {
        &self.slot
    }
}

impl From<&domain::digest::Digest> for DigestShape {
    fn from(digest: &domain::digest::Digest) -> Self {
        Self {
            slot: digest.slot.to_string(),
            state: digest.state.to_string(),
            recipients: digest.recipients,
            revision: digest.revision,
            send_at: digest.send_at,
            published_at: digest.published_at,
            finished_at: digest.finished_at,
        }
    }
}

/// A comparison that was picked.
#[derive(Debug, Serialize, ToSchema)]
pub struct DigestPick {
    /// Slug.
    comparison: String,
    /// Points.
    score: f64,
    /// Reasons, the weightiest first.
    reasons: Vec<String>,
}

/// A comparison that was picked and does not go out.
#[derive(Debug, Serialize, ToSchema)]
pub struct DigestLeftOut {
    /// Slug.
    comparison: String,
    /// Reason.
    why: String,
}

impl From<&LeftOut> for DigestLeftOut {
    fn from(left: &LeftOut) -> Self {
        Self {
            comparison: left.comparison.to_string(),
            why: left.why.clone(),
        }
    }
}

fn picks_of(edition: &Edition) -> Vec<DigestPick> {
    let pick = |pick: domain::pick::Pick| DigestPick {
        comparison: pick.comparison.to_string(),
        score: pick.score,
        reasons: pick.reasons.iter().map(ToString::to_string).collect(),
    };
    edition.picks().into_iter().map(pick).collect()
}

fn left_out_of(edition: &Edition) -> Vec<DigestLeftOut> {
    edition.left_out.iter().map(DigestLeftOut::from).collect()
}

/// The week that is being prepared.
#[derive(Debug, Serialize, ToSchema)]
pub struct NextDigest {
    /// Week.
    slot: String,
    /// State of its digest; null where none is made yet.
    state: Option<String>,
    picks: Vec<DigestPick>,
    left_out: Vec<DigestLeftOut>,
}

impl NextDigest {
    /// A week with what it carries, or would.
    pub fn new(edition: &Edition) -> Self {
        Self {
            slot: edition.content.slot.to_string(),
            state: edition
                .digest
                .as_ref()
                .map(|digest| digest.state.to_string()),
            picks: picks_of(edition),
            left_out: left_out_of(edition),
        }
    }
}

/// A digest with its text and its picks.
#[derive(Debug, Serialize, ToSchema)]
pub struct DigestDetails {
    /// Week, like 2026-W49.
    slot: String,
    /// draft, approved, sending, paused, sent, cancelled or skipped.
    state: String,
    /// Readers for whom deliveries were made.
    #[schema(minimum = 0)]
    recipients: i64,
    /// Number of changes of what it shows.
    #[schema(minimum = 0)]
    revision: i64,
    #[schema(value_type = String, format = DateTime)]
    send_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    published_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// Pattern of the subject; null: that of the settings.
    subject: Option<String>,
    /// The subject as readers see it; null where it carries nothing.
    subject_line: Option<String>,
    preheader: String,
    /// Markdown.
    introduction: String,
    /// Markdown.
    sign_off: String,
    question: String,
    picks: Vec<DigestPick>,
    left_out: Vec<DigestLeftOut>,
    /// Readers to whom it would go; null once it is published.
    #[schema(value_type = Option<i64>, minimum = 0)]
    readers: Option<u64>,
}

impl DigestDetails {
    /// A digest, as a person looks at it.
    pub fn new(digest: &domain::digest::Digest, outlook: &Outlook) -> Self {
        let edition = &outlook.edition;
        let text = &edition.content.text;
        Self {
            slot: digest.slot.to_string(),
            state: digest.state.to_string(),
            recipients: digest.recipients,
            revision: digest.revision,
            send_at: digest.send_at,
            published_at: digest.published_at,
            finished_at: digest.finished_at,
            subject: edition.draft.subject.clone(),
            subject_line: outlook.subject.clone(),
            preheader: text.preheader.clone(),
            introduction: text.introduction.clone(),
            sign_off: text.sign_off.clone(),
            question: text.question.clone(),
            picks: picks_of(edition),
            left_out: left_out_of(edition),
            readers: outlook.readers,
        }
    }
}

/// Deliveries by state.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryCounts {
    #[schema(value_type = i64, minimum = 0)]
    queued: u64,
    #[schema(value_type = i64, minimum = 0)]
    sending: u64,
    #[schema(value_type = i64, minimum = 0)]
    sent: u64,
    #[schema(value_type = i64, minimum = 0)]
    failed: u64,
    #[schema(value_type = i64, minimum = 0)]
    uncertain: u64,
    #[schema(value_type = i64, minimum = 0)]
    skipped: u64,
}

impl From<Tally> for DeliveryCounts {
    fn from(tally: Tally) -> Self {
        Self {
            queued: tally.queued,
            sending: tally.sending,
            sent: tally.sent,
            failed: tally.failed,
            uncertain: tally.uncertain,
            skipped: tally.skipped,
        }
    }
}

/// Count of something under a name.
#[derive(Debug, Serialize, ToSchema)]
pub struct NamedCount {
    name: String,
    #[schema(value_type = i64, minimum = 0)]
    count: u64,
}

/// Outcomes of a minute.
#[derive(Debug, Serialize, ToSchema)]
pub struct MinuteOutcomes {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    #[schema(value_type = i64, minimum = 0)]
    sent: u64,
    #[schema(value_type = i64, minimum = 0)]
    failed: u64,
    #[schema(value_type = i64, minimum = 0)]
    skipped: u64,
    /// To be tried again.
    #[schema(value_type = i64, minimum = 0)]
    later: u64,
    #[schema(value_type = i64, minimum = 0)]
    uncertain: u64,
}

/// How sending a digest goes.
#[derive(Debug, Serialize, ToSchema)]
pub struct DigestProgress {
    slot: String,
    state: String,
    /// The sum of the deliveries.
    #[schema(minimum = 0)]
    recipients: i64,
    deliveries: DeliveryCounts,
    /// Reasons why deliveries were skipped.
    skipped: Vec<NamedCount>,
    /// Replies of those that failed, most frequent first.
    failures: Vec<NamedCount>,
    /// Time at which the next one that waits is due.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_due: Option<Timestamp>,
    /// Deliveries that end in a minute.
    rate_per_minute: Option<f64>,
    /// Seconds that the rest takes, where anybody can know.
    seconds_left: Option<i64>,
    /// What keeps mail from going out, in words.
    troubles: Vec<String>,
    minutes: Vec<MinuteOutcomes>,
}

impl DigestProgress {
    /// The status of a digest.
    pub fn new(status: &DigestStatus) -> Self {
        let minute = |minute: &domain::progress::MinuteStats| MinuteOutcomes {
            at: minute.at,
            sent: minute.sent,
            failed: minute.failed,
            skipped: minute.skipped,
            later: minute.later,
            uncertain: minute.uncertain,
        };
        let skip = |(reason, count): &(domain::delivery::SkipReason, u64)| NamedCount {
            name: reason.to_string(),
            count: *count,
        };
        let failure = |(reply, count): &(String, u64)| NamedCount {
            name: reply.clone(),
            count: *count,
        };
        Self {
            slot: status.digest.slot.to_string(),
            state: status.digest.state.to_string(),
            recipients: status.digest.recipients,
            deliveries: status.tally.into(),
            skipped: status.skips.iter().map(skip).collect(),
            failures: status.failures.iter().map(failure).collect(),
            next_due: status.next_due,
            rate_per_minute: status.rate_per_minute,
            seconds_left: status.time_left.map(|left| left.num_seconds()),
            troubles: status.troubles.clone(),
            minutes: status.minutes.iter().map(minute).collect(),
        }
    }
}

/// A check of a digest's ledger.
#[derive(Debug, Serialize, ToSchema)]
pub struct LedgerCheck {
    slot: String,
    /// True if every promise holds.
    holds: bool,
    #[schema(value_type = i64, minimum = 0)]
    recipients: u64,
    /// True if more deliveries are still to be made.
    is_publishing: bool,
    deliveries: DeliveryCounts,
    /// Promises that do not hold, in words.
    faults: Vec<String>,
    /// Deliveries that were in doubt at some time, up to 100: an extra copy can only be among them.
    doubts: Vec<Doubt>,
}

/// A delivery that was in doubt.
#[derive(Debug, Serialize, ToSchema)]
pub struct Doubt {
    /// Id of the subscriber.
    subscriber: String,
    /// Its present state.
    state: String,
    #[schema(value_type = String, format = DateTime)]
    uncertain_at: Timestamp,
    #[schema(minimum = 0)]
    attempts: i64,
}

impl LedgerCheck {
    /// The result of an audit, with subscribers by their opaque ids.
    pub fn new(app: &App, audit: &LedgerAudit) -> Self {
        let doubt = |doubt: &UncertainDelivery| Doubt {
            subscriber: app.subscriber_name(doubt.subscriber),
            state: doubt.state.clone(),
            uncertain_at: doubt.uncertain_at,
            attempts: doubt.attempts,
        };
        Self {
            slot: audit.slot.to_string(),
            holds: audit.faults.is_empty(),
            recipients: audit.recipients,
            is_publishing: audit.is_publishing,
            deliveries: audit.deliveries.into(),
            faults: audit.faults.clone(),
            doubts: audit.doubts.iter().map(doubt).collect(),
        }
    }
}
