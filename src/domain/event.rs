//! Events: what happened, for other programs; in the feed, and sent to webhook endpoints.

use super::Timestamp;
use super::audit::AuditAction;
use super::history::HistoryEvent;
use super::history::PauseChange;
use super::inbound::RefusalClass;

super::named! {
    /// Kind of an event.
    EventKind {
        /// Somebody signed up and was asked to confirm.
        SubscriberPending => "subscriber.pending",
        /// A subscriber confirmed the address.
        SubscriberConfirmed => "subscriber.confirmed",
        /// A subscription ended by a link, a mail or an operator.
        SubscriberUnsubscribed => "subscriber.unsubscribed",
        /// Mail to a subscriber is paused.
        SubscriberPaused => "subscriber.paused",
        /// A pause ended.
        SubscriberResumed => "subscriber.resumed",
        /// A subscriber's preferences, time zone or address changed.
        SubscriberChanged => "subscriber.changed",
        /// A subscriber was erased.
        SubscriberErased => "subscriber.erased",
        /// A subscription ended because mail to its address was refused.
        SubscriberBounced => "subscriber.bounced",
        /// A subscription ended by a complaint.
        SubscriberComplained => "subscriber.complained",
        /// A digest's comparisons were picked.
        DigestPicked => "digest.picked",
        /// A digest's picks, text or time were changed.
        DigestEdited => "digest.edited",
        /// A digest was approved.
        DigestApproved => "digest.approved",
        /// A digest was sent back with a note.
        DigestSentBack => "digest.sent_back",
        /// An approval was taken back.
        DigestWithdrawn => "digest.withdrawn",
        /// A week gets no digest.
        DigestSkipped => "digest.skipped",
        /// A digest was frozen and began to go out.
        DigestPublished => "digest.published",
        /// Another tenth of a digest's deliveries is final.
        DigestProgress => "digest.progress",
        /// Sending a digest was paused.
        DigestPaused => "digest.paused",
        /// Sending a digest went on.
        DigestResumed => "digest.resumed",
        /// A digest was cancelled.
        DigestCancelled => "digest.cancelled",
        /// Every delivery of a digest is final.
        DigestSent => "digest.sent",
        /// A published digest was corrected.
        DigestCorrected => "digest.corrected",
        /// A mail to a subscriber was refused for good.
        DeliveryBounced => "delivery.bounced",
        /// A mail to a subscriber was given up.
        DeliveryFailed => "delivery.failed",
        /// A reader called a mail spam.
        DeliveryComplained => "delivery.complained",
        /// A subscriber voted on a tool.
        VoteCast => "vote.cast",
        /// The verdict of a tool's panel that readers know changed.
        VerdictChanged => "verdict.changed",
        /// A tool was added.
        ToolCreated => "tool.created",
        /// A tool or its reviews were changed.
        ToolUpdated => "tool.updated",
        /// A comparison was added.
        ComparisonCreated => "comparison.created",
        /// A source could not be read.
        SourceFailed => "source.failed",
        /// A source brought a proposal.
        SourceProposed => "source.proposed",
        /// Sending over a relay was paused after failures.
        BreakerOpened => "breaker.opened",
        /// Sending over a relay went on.
        BreakerClosed => "breaker.closed",
        /// A file of subscribers was imported.
        ImportFinished => "import.finished",
        /// Subscribers or a ledger were exported.
        ExportFinished => "export.finished",
        /// A user signed in to the desk.
        UserSignedIn => "user.signed_in",
        /// Attempts to sign in to an account were used up; the account waits.
        UserLocked => "user.locked",
        /// A token of the API was made.
        TokenCreated => "token.created",
        /// A test of a webhook endpoint.
        WebhookTest => "webhook.test",
        /// A webhook endpoint was disabled.
        WebhookDisabled => "webhook.disabled",
    }
}

impl EventKind {
    /// The part before the dot.
    pub fn area(self) -> &'static str {
        self.as_str().split('.').next().unwrap_or_default()
    }

    /// Returns whether an event of this kind is written only while an endpoint takes it or `events.keep_all` is set: those about one
    /// reader, whose number grows with the list.
    pub fn is_on_demand(self) -> bool {
        matches!(self.area(), "subscriber" | "delivery" | "vote")
    }

    /// The kind that an action of the audit log is told as, if it is.
    pub fn of_action(action: AuditAction) -> Option<Self> {
        Some(match action {
            AuditAction::DigestDrafted => Self::DigestPicked,
            AuditAction::DigestEdited => Self::DigestEdited,
            AuditAction::DigestApproved => Self::DigestApproved,
            AuditAction::DigestWithdrawn => Self::DigestWithdrawn,
            AuditAction::DigestSentBack => Self::DigestSentBack,
            AuditAction::DigestCorrected => Self::DigestCorrected,
            AuditAction::DigestPublished => Self::DigestPublished,
            AuditAction::DigestPaused => Self::DigestPaused,
            AuditAction::DigestResumed => Self::DigestResumed,
            AuditAction::DigestCancelled => Self::DigestCancelled,
            AuditAction::DigestSkipped => Self::DigestSkipped,
            AuditAction::DigestFinished => Self::DigestSent,
            AuditAction::TokenCreated => Self::TokenCreated,
            AuditAction::SubscribersImported => Self::ImportFinished,
            AuditAction::SubscribersExported | AuditAction::LedgerExported => Self::ExportFinished,
            _ => return None,
        })
    }

    /// The kinds that an entry of a subscriber's history is told as. None for an import, which is told once as a whole.
    pub fn of_history(event: &HistoryEvent) -> Vec<Self> {
        match event {
            HistoryEvent::SignedUp { .. } => vec![Self::SubscriberPending],
            HistoryEvent::Confirmed => vec![Self::SubscriberConfirmed],
            HistoryEvent::Unsubscribed { .. } => vec![Self::SubscriberUnsubscribed],
            HistoryEvent::PreferencesChanged { choice, pause } => {
                let changed = choice.as_ref().map(|_| Self::SubscriberChanged);
                let paused = pause.map(|pause| match pause {
                    PauseChange::Until(_) => Self::SubscriberPaused,
                    PauseChange::Ended => Self::SubscriberResumed,
                });
                changed.into_iter().chain(paused).collect()
            }
            HistoryEvent::PausedByOperator { until: Some(_) } => vec![Self::SubscriberPaused],
            HistoryEvent::PausedByOperator { until: None } => vec![Self::SubscriberResumed],
            HistoryEvent::TimezoneChosen { .. } | HistoryEvent::EmailChanged => {
                vec![Self::SubscriberChanged]
            }
            HistoryEvent::Refused {
                class: RefusalClass::Hard,
                ..
            }
            | HistoryEvent::RefusalHeld { .. } => vec![Self::DeliveryBounced],
            HistoryEvent::Bounced { .. } => vec![Self::SubscriberBounced],
            HistoryEvent::Complained { .. } => {
                vec![Self::DeliveryComplained, Self::SubscriberComplained]
            }
            _ => Vec::new(),
        }
    }
}

/// Kinds of events that an endpoint takes: a kind, an area like `digest.*`, or `*` for all.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventPattern(String);

impl EventPattern {
    /// Every kind.
    pub fn all() -> Self {
        Self("*".into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether it takes that kind.
    pub fn takes(&self, kind: EventKind) -> bool {
        self.0 == "*" || self.0 == kind.as_str() || self.0.strip_suffix(".*") == Some(kind.area())
    }
}

impl std::str::FromStr for EventPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pattern = Self(text.trim().to_owned());
        if EventKind::ALL.iter().any(|kind| pattern.takes(*kind)) {
            return Ok(pattern);
        }
        let kinds: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
        Err(format!(
            "There are no events of the kind {text}. Expected *, an area like digest.*, or one of {}.",
            kinds.join(", ")
        ))
    }
}

impl TryFrom<String> for EventPattern {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<EventPattern> for String {
    fn from(pattern: EventPattern) -> Self {
        pattern.0
    }
}

/// An event as it was written down.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// `evt_` and 29 characters.
    pub id: String,
    /// Place in the feed; `None` until it has one.
    pub seq: Option<i64>,
    /// Kind.
    pub kind: EventKind,
    /// Time of the change.
    pub at: Timestamp,
    /// Ids, codes and counts.
    pub data: serde_json::Map<String, serde_json::Value>,
    /// The subscriber whom it is about.
    pub subscriber: Option<i64>,
    /// Their address at that time, where an endpoint asked for it.
    pub email: Option<String>,
}

/// An event as other programs see it, in the feed and as the body of a request. The order of the fields is that of Standard Webhooks.
#[derive(Debug, Clone, serde::Serialize)]
pub struct EventDocument {
    /// Kind.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// Time of the change.
    pub timestamp: Timestamp,
    /// Id: the same in the feed, in each attempt and in each replay.
    pub id: String,
    /// What happened, in ids, codes and counts.
    pub data: serde_json::Map<String, serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_a_kind_an_area_or_all() {
        let takes = |text: &str, kind| text.parse::<EventPattern>().expect("a pattern").takes(kind);
        assert!(takes("*", EventKind::VoteCast));
        assert!(takes("digest.*", EventKind::DigestSent));
        assert!(takes("digest.sent", EventKind::DigestSent));
        assert!(!takes("digest.sent", EventKind::DigestPaused));
        assert!(!takes("digest.*", EventKind::VoteCast));
        for wrong in ["", "dig.*", "digest", "digest.sent.*", "**", "digest.lost"] {
            assert!(wrong.parse::<EventPattern>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_what_is_about_one_reader_waits_for_somebody_who_asks() {
        assert!(EventKind::SubscriberPending.is_on_demand());
        assert!(EventKind::DeliveryBounced.is_on_demand());
        assert!(!EventKind::DigestSent.is_on_demand());
        assert!(
            EventKind::ALL
                .iter()
                .all(|kind| kind.as_str().matches('.').count() == 1)
        );
    }
}
