//! Reasons why mail waits: facts about a send in, reasons in plain words out.
//!
//! Something is due and nothing goes out: then a page, a command, the log and a gauge all say the same, for all ask
//! [`stall_of`]. The facts come from the database, since whoever asks is mostly another process than the one that sends.

use chrono::TimeDelta;

use super::Timestamp;
use super::delivery::MailClass;
use super::named;
use super::slot::Slot;

/// Something is due and nothing went out for this long: what is waited for is named.
pub const STALLED_AFTER: TimeDelta = TimeDelta::seconds(60);

named! {
    /// Reasons why mail that is due does not go out.
    WaitReason {
        /// No connection to the relay has got through its greeting yet.
        Connecting => "connecting",
        /// The relay has mails and answers none of them.
        RelaySilent => "relay_silent",
        /// Sending over the relay is paused after failures (its breaker is open, or probes).
        RelayPaused => "relay_paused",
        /// The relay takes no mail as large as these: it announced a smaller `SIZE`.
        MailTooLarge => "mail_too_large",
        /// The relay's day is spent: `per_day`, `warm_up`.
        DaySpent => "day_spent",
        /// The relay's pace: `rate_per_second`.
        Pace => "pace",
        /// Limits of recipient domains: `mail.per_domain`.
        DomainPace => "domain_pace",
        /// The deliveries of a digest are being made.
        Publishing => "publishing",
        /// Somebody paused the digest.
        DigestPaused => "digest_paused",
        /// The database takes no writes.
        Database => "database",
        /// No process sends, or none that sends this class of mail.
        NoSender => "no_sender",
        /// A process sends, and it is not known what holds it up.
        Unknown => "unknown",
    }
}

/// One thing that mail waits for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Wait {
    /// Kind of reason.
    pub reason: WaitReason,
    /// Over which relay, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<String>,
    /// The digest, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// Class of mail that waits; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<MailClass>,
    /// The server's words, or what stands behind it: for operators only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Time until which it lasts at least, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Wait {
    /// One of which no more is known.
    pub fn new(reason: WaitReason) -> Self {
        Self {
            reason,
            relay: None,
            slot: None,
            class: None,
            detail: None,
            until: None,
        }
    }

    /// Says what is waited for, without names and words of others: for pages that anybody may ask for.
    pub fn summary(&self) -> &'static str {
        match self.reason {
            WaitReason::Connecting => "a connection to the relay",
            WaitReason::RelaySilent => "an answer from the relay",
            WaitReason::RelayPaused => "the relay, which is tried again after a pause",
            WaitReason::MailTooLarge => {
                "a relay that takes mails as large as these: it announced a smaller limit (SIZE)"
            }
            WaitReason::DaySpent => "the next day (UTC), for the day's allowance is spent",
            WaitReason::Pace => "the relay's pace (rate_per_second)",
            WaitReason::DomainPace => "the limits of recipient domains (mail.per_domain)",
            WaitReason::Publishing => "the digest's deliveries, which are being made",
            WaitReason::DigestPaused => {
                "somebody to resume it, for it is paused: `verdicts digest resume`"
            }
            WaitReason::Database => "the database, which takes no writes",
            WaitReason::NoSender if self.class == Some(MailClass::Transactional) => {
                "a process that sends it, for `verdicts digest send` sends its digest alone: start `verdicts serve` with the role deliver"
            }
            WaitReason::NoSender => {
                "a process that sends: start `verdicts serve` with the role deliver, or run `verdicts digest send`"
            }
            WaitReason::Unknown => "a process that sends and does not say what holds it up",
        }
    }

    /// The same for operators: with the relay's or the digest's name and the words behind it.
    pub fn describe(&self) -> String {
        let name = self
            .relay
            .clone()
            .or_else(|| self.slot.map(|slot| slot.to_string()));
        let name = name.map(|name| format!("{name}: ")).unwrap_or_default();
        let detail = self
            .detail
            .as_ref()
            .map(|words| format!(" ({words})"))
            .unwrap_or_default();
        format!("{name}{}{detail}", self.summary())
    }
}

/// Mail of one class that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueMail {
    /// Its class.
    pub class: MailClass,
    /// Time since which the oldest of it is due.
    pub since: Timestamp,
    /// Last time when mail of that class came to an end, by any process.
    pub progress_at: Option<Timestamp>,
    /// The digest that it is of, if that one is paused: then no process would send it.
    pub paused: Option<Slot>,
}

/// Facts about sending, from all processes.
#[derive(Debug, Clone, Default)]
pub struct SendFacts {
    /// Mail that is due now.
    pub due: Vec<DueMail>,
    /// True if deliveries of a digest are still to be made, with nothing of it due yet.
    pub is_publishing: bool,
    /// Reasons that each live sending process gives.
    pub senders: Vec<Vec<Wait>>,
    /// True if the database takes writes.
    pub is_writable: bool,
}

/// Mail that is due and does not go out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Stall {
    /// Its beginning.
    pub since: Timestamp,
    /// Classes of mail that it holds up.
    pub classes: Vec<MailClass>,
    /// Reasons; never empty.
    pub waits: Vec<Wait>,
}

impl Stall {
    /// Returns whether mail of that class is held up.
    pub fn holds(&self, class: MailClass) -> bool {
        self.classes.contains(&class)
    }

    /// Returns when the first of its reasons may be over.
    pub fn until(&self) -> Option<Timestamp> {
        self.waits.iter().filter_map(|wait| wait.until).min()
    }
}

/// Returns what mail waits for, if it is due and none of it went out for `after`.
pub fn stall_of(facts: &SendFacts, after: TimeDelta, now: Timestamp) -> Option<Stall> {
    let quiet_since = |due: &DueMail| due.since.max(due.progress_at.unwrap_or(due.since));
    let stalled: Vec<&DueMail> = facts
        .due
        .iter()
        .filter(|due| now - quiet_since(due) >= after)
        .collect();
    let since = stalled.iter().map(|due| quiet_since(due)).min()?;
    let classes_of = |is_paused: bool| -> Vec<MailClass> {
        let is_stalled = |class: &MailClass| {
            stalled
                .iter()
                .any(|due| due.class == *class && due.paused.is_some() == is_paused)
        };
        MailClass::ALL.iter().copied().filter(is_stalled).collect()
    };
    let to_send = classes_of(false);
    let mut waits = match () {
        () if to_send.is_empty() => Vec::new(),
        () if !facts.is_writable => vec![Wait::new(WaitReason::Database)],
        () if facts.senders.is_empty() => vec![Wait::new(WaitReason::NoSender)],
        () => reasons(facts, &to_send),
    };
    let paused = stalled.iter().filter(|due| due.paused.is_some());
    waits.extend(paused.map(|due| Wait {
        slot: due.paused,
        class: Some(due.class),
        ..Wait::new(WaitReason::DigestPaused)
    }));
    let mut classes = to_send.clone();
    classes.extend(
        classes_of(true)
            .into_iter()
            .filter(|class| !to_send.contains(class)),
    );
    Some(Stall {
        since,
        classes,
        waits,
    })
}

/// Reasons that the processes give, each once.
fn reasons(facts: &SendFacts, classes: &[MailClass]) -> Vec<Wait> {
    let mut waits: Vec<Wait> = Vec::new();
    let concerns = |wait: &&Wait| wait.class.is_none_or(|class| classes.contains(&class));
    // A process that leaves a class to others counts only where there is none of them.
    let leaves = |waits: &[Wait], class| {
        waits
            .iter()
            .any(|wait| wait.reason == WaitReason::NoSender && wait.class == class)
    };
    let is_true = |wait: &&Wait| {
        wait.reason != WaitReason::NoSender
            || facts.senders.iter().all(|waits| leaves(waits, wait.class))
    };
    for wait in facts
        .senders
        .iter()
        .flatten()
        .filter(concerns)
        .filter(is_true)
    {
        match waits
            .iter_mut()
            .find(|known| (known.reason, &known.relay) == (wait.reason, &wait.relay))
        {
            // The one that ends first: from then on mail may go.
            Some(known) => known.until = known.until.min(wait.until),
            None => waits.push(wait.clone()),
        }
    }
    if waits.is_empty() {
        waits.push(Wait::new(if facts.is_publishing {
            WaitReason::Publishing
        } else {
            WaitReason::Unknown
        }));
    }
    waits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        super::super::from_millis(seconds * 1_000)
    }

    fn facts(since: i64, progress_at: Option<i64>) -> SendFacts {
        let due = DueMail {
            class: MailClass::Digest,
            since: at(since),
            progress_at: progress_at.map(at),
            paused: None,
        };
        SendFacts {
            due: vec![due],
            is_writable: true,
            senders: vec![Vec::new()],
            ..SendFacts::default()
        }
    }

    fn reasons(facts: &SendFacts, now: i64) -> Vec<WaitReason> {
        stall_of(facts, STALLED_AFTER, at(now))
            .map(|stall| stall.waits.iter().map(|wait| wait.reason).collect())
            .unwrap_or_default()
    }

    #[test]
    fn nothing_is_said_before_a_minute_without_mail_is_over() {
        assert_eq!(reasons(&facts(100, None), 159), []);
        assert_eq!(reasons(&facts(100, None), 160), [WaitReason::Unknown]);
        assert_eq!(
            reasons(&facts(100, Some(150)), 209),
            [],
            "something went out meanwhile"
        );
        assert_eq!(reasons(&facts(100, Some(150)), 210), [WaitReason::Unknown]);
        assert_eq!(
            reasons(&facts(100, Some(20)), 160),
            [WaitReason::Unknown],
            "what went out before it was due tells nothing"
        );
        assert_eq!(
            stall_of(&SendFacts::default(), STALLED_AFTER, at(1_000)),
            None,
            "nothing is due"
        );
    }

    #[test]
    fn what_is_certain_goes_before_what_processes_say() {
        let mut facts = facts(100, None);
        facts.senders = Vec::new();
        assert_eq!(reasons(&facts, 200), [WaitReason::NoSender]);
        facts.is_writable = false;
        assert_eq!(reasons(&facts, 200), [WaitReason::Database]);
    }

    #[test]
    fn a_paused_digest_is_named_beside_what_else_waits_and_whoever_sends() {
        let slot: Slot = "2026-W48".parse().expect("a slot");
        let mut facts = facts(100, None);
        facts.due[0].paused = Some(slot);
        facts.senders = Vec::new();
        let stall = stall_of(&facts, STALLED_AFTER, at(200)).expect("a stall");
        assert_eq!(
            (
                stall.waits.len(),
                stall.waits[0].reason,
                stall.waits[0].slot
            ),
            (1, WaitReason::DigestPaused, Some(slot))
        );
        assert!(
            stall.holds(MailClass::Digest)
                && stall.waits[0]
                    .describe()
                    .starts_with("2026-W48: somebody to resume it")
        );
        facts.due.push(DueMail {
            class: MailClass::Transactional,
            paused: None,
            ..facts.due[0]
        });
        assert_eq!(
            reasons(&facts, 200),
            [WaitReason::NoSender, WaitReason::DigestPaused]
        );
    }

    #[test]
    fn a_process_that_sends_one_digest_alone_sends_no_other_mail() {
        let mut facts = facts(100, None);
        facts.due[0].class = MailClass::Transactional;
        let alone = vec![Wait {
            class: Some(MailClass::Transactional),
            ..Wait::new(WaitReason::NoSender)
        }];
        facts.senders = vec![alone.clone()];
        assert_eq!(reasons(&facts, 200), [WaitReason::NoSender]);
        facts.senders = vec![alone, Vec::new()];
        assert_eq!(
            reasons(&facts, 200),
            [WaitReason::Unknown],
            "another process would send it"
        );
    }

    #[test]
    fn each_thing_is_named_once_and_only_what_concerns_the_mail_that_waits() {
        let wait = |relay: &str, until| Wait {
            relay: Some(relay.into()),
            until: Some(at(until)),
            ..Wait::new(WaitReason::RelayPaused)
        };
        let spent = Wait {
            class: Some(MailClass::Transactional),
            ..Wait::new(WaitReason::DaySpent)
        };
        let mut facts = facts(100, None);
        facts.senders = vec![
            vec![wait("a", 300), spent],
            vec![wait("a", 250), wait("b", 280)],
        ];
        let stall = stall_of(&facts, STALLED_AFTER, at(200)).expect("a stall");
        assert_eq!(stall.waits, [wait("a", 250), wait("b", 280)]);
        assert_eq!((stall.since, stall.until()), (at(100), Some(at(250))));
    }

    #[test]
    fn a_wait_is_read_back_as_it_was_written() {
        let wait = Wait {
            detail: Some("451 \"later\"".into()),
            until: Some(at(7)),
            ..Wait::new(WaitReason::RelaySilent)
        };
        let text = serde_json::to_string(&wait).expect("JSON");
        assert_eq!(serde_json::from_str::<Wait>(&text).expect("a wait"), wait);
        for reason in WaitReason::ALL {
            assert!(
                !Wait::new(*reason).summary().is_empty() && reason.as_str().parse() == Ok(*reason)
            );
        }
    }
}
