//! Deliveries: the states of a ledger row, what a server's answer means for it, and when to try again.

use chrono::TimeDelta;

use super::Timestamp;
use super::inbound::SoftClass;
use super::named;

named! {
    /// `queued -> sending -> sent`; also `queued` again with a later due time, `failed`, `uncertain`.
    DeliveryState {
        /// Waits for its time, or for a sender.
        Queued => "queued",
        /// Handed to a connection; its result is not known yet.
        Sending => "sending",
        /// Accepted by the next server.
        Sent => "sent",
        /// Final, tried, and not delivered; the row says what the server answered.
        Failed => "failed",
        /// Final, and never sent, on purpose: a [`SkipReason`] says why.
        Skipped => "skipped",
        /// The connection or the process died at the one moment in which nobody can know.
        Uncertain => "uncertain",
    }
}

named! {
    /// Kind of a mail in the ledger.
    DeliveryKind {
        /// The weekly digest.
        Digest => "digest",
        /// The mail with the button that confirms a sign-up.
        Confirmation => "confirmation",
        /// The one mail that reminds somebody of a sign-up that they did not confirm.
        ConfirmationReminder => "confirmation_reminder",
        /// The mail to somebody who just confirmed.
        Welcome => "welcome",
        /// The mail to a subscriber who signs up again.
        AlreadySubscribed => "already_subscribed",
        /// A new link to the page about a subscriber's data.
        AccountLink => "account_link",
        /// Asks at a new address to confirm a change of address.
        EmailChange => "email_change",
        /// Tells the old address that there is a new one.
        EmailChanged => "email_changed",
        /// Tells a subscriber that their preferences were changed by a link of a digest, which somebody else may hold.
        PreferencesChanged => "preferences_changed",
        /// Answers a subscriber's mail that speaks of leaving and was not understood, with the link to leave.
        LeaveLink => "leave_link",
        /// Tells a subscriber that somebody else asked to leave by answering a digest of theirs, with the link to leave.
        LeaveLinkByOther => "leave_link_by_other",
    }
}

named! {
    /// Reason why a mail is not sent, on purpose. Codes in the database and in JSON.
    SkipReason {
        /// The subscriber paused.
        Paused => "paused",
        /// The subscriber gets a digest a month, and had this month's.
        Monthly => "monthly",
        /// The categories that the subscriber follows have nothing new.
        NothingNew => "nothing_new",
        /// The subscriber unsubscribed after it was queued.
        Left => "left",
        /// The address is on the suppression list.
        Suppressed => "suppressed",
        /// The subscriber was erased, or the sign-up forgotten.
        Erased => "erased",
        /// Its purpose is over: the sign-up was confirmed or undone.
        NotRequested => "not_requested",
        /// The digest was cancelled.
        Cancelled => "cancelled",
        /// A newer mail of the kind takes its place.
        Superseded => "superseded",
        /// It waited for longer than its link is of use.
        Expired => "expired",
        /// Another reason, of before 0.2.0; the row's reply has its words.
        Note => "note",
    }
}

impl SkipReason {
    /// The reason in words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Paused => "the reader paused",
            Self::Monthly => "the reader wants one a month, and this month's is out",
            Self::NothingNew => "nothing new in what the reader follows",
            Self::Left => "unsubscribed before it was sent",
            Self::Suppressed => "on the suppression list",
            Self::Erased => "the subscriber was erased or forgotten",
            Self::NotRequested => "no longer asked for",
            Self::Cancelled => "the digest was cancelled",
            Self::Superseded => "a newer mail takes its place",
            Self::Expired => "it waited for longer than its link is of use",
            Self::Note => "for another reason",
        }
    }
}

named! {
    /// Kinds of mail that statistics tell apart.
    MailClass {
        /// The weekly digest.
        Digest => "digest",
        /// A mail that one person asked for: a confirmation, a welcome, a link to one's data.
        Transactional => "transactional",
    }
}

named! {
    /// Results of one delivery attempt, as statistics count them.
    AttemptOutcome {
        /// Taken by the next server.
        Sent => "sent",
        /// Refused for now, or not tried for want of a connection; tried again.
        Later => "later",
        /// Refused for good; the reader stays on the list.
        Failed => "failed",
        /// Refused for good because there is no such mailbox.
        Bounced => "bounced",
        /// Taken or not: nobody knows.
        Uncertain => "uncertain",
    }
}

impl DeliveryKind {
    /// The kind as statistics and the queue tell it apart.
    pub fn class(self) -> MailClass {
        match self {
            Self::Digest => MailClass::Digest,
            _ => MailClass::Transactional,
        }
    }

    /// Upper bound on the time from the request for such a mail to its sending, where somebody waits for a link in it: later it would
    /// surprise them more than it helps. Its life counts from the sending.
    pub fn wait_max(self) -> Option<TimeDelta> {
        match self {
            Self::Confirmation => Some(TimeDelta::days(14)),
            Self::AccountLink => Some(TimeDelta::days(1)),
            Self::ConfirmationReminder => Some(TimeDelta::days(3)),
            Self::EmailChange | Self::LeaveLink | Self::LeaveLinkByOther => {
                Some(TimeDelta::days(7))
            }
            Self::Digest
            | Self::Welcome
            | Self::AlreadySubscribed
            | Self::EmailChanged
            | Self::PreferencesChanged => None,
        }
    }

    /// Returns whether a refusal of it tells something about the mailbox of its subscriber: not where it goes to another address, or was
    /// caused by whoever writes in their name.
    pub fn counts_for_subscriber(self) -> bool {
        matches!(
            self,
            Self::Digest
                | Self::Confirmation
                | Self::ConfirmationReminder
                | Self::Welcome
                | Self::AlreadySubscribed
        )
    }
}

/// A ledger row's name: one mailing (a digest, or one confirmation mail) to one subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryKey {
    /// The digest's id, or the own number of any other mail.
    pub mailing: i64,
    /// To whom.
    pub subscriber: i64,
}

/// A batch's name: a range of a mailing's deliveries, in the order of their readers' numbers, that is claimed as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchKey {
    /// As in [`DeliveryKey`].
    pub mailing: i64,
    /// The last reader in it.
    pub last: i64,
}

/// Outcome of one attempt, and whose fault it was: decided by the reply, acted on by the ledger and the breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server took it (2xx after the final dot).
    Accepted {
        /// Its words.
        reply: String,
    },
    /// Not now: 4xx, or no connection. The mail was certainly not taken.
    Later {
        /// The server's words, or ours about the connection.
        reply: String,
        /// True if it tells something about us or the relay rather than about this recipient: the breaker counts it.
        about_us: bool,
        /// Tells whether giving up on it counts toward `bounces.soft`.
        class: SoftClass,
    },
    /// Not now, for it is too much at once: 421, 454, 4.7.x, "too many". The mail was certainly not taken, and is not at fault;
    /// the relay is slowed down for.
    Throttled {
        /// The server's words.
        reply: String,
    },
    /// This mail is refused for good: policy, content, a rate, a full or locked mailbox, a bare 550.
    Refused {
        /// The server's words.
        reply: String,
        /// True if it tells something about us (policy, login, TLS): the breaker counts it.
        about_us: bool,
        /// Tells whether it counts toward `bounces.soft`.
        class: SoftClass,
    },
    /// There is no such mailbox or domain: mail to it would never arrive.
    BadAddress {
        /// The server's words.
        reply: String,
    },
    /// The connection died between our final dot and the answer: taken or not, nobody can know.
    InDoubt {
        /// Description of what happened.
        reply: String,
    },
}

impl Outcome {
    /// A failure that is about us or the relay: the mail waits.
    pub fn later_for_us(reply: impl Into<String>) -> Self {
        Self::Later {
            reply: reply.into(),
            about_us: true,
            class: SoftClass::Passing,
        }
    }

    /// The server's words, or ours about the connection.
    pub fn reply(&self) -> &str {
        match self {
            Self::Accepted { reply }
            | Self::Later { reply, .. }
            | Self::Throttled { reply }
            | Self::Refused { reply, .. }
            | Self::BadAddress { reply }
            | Self::InDoubt { reply } => reply,
        }
    }

    /// Returns whether the server itself says that it is for now: its code is a 4xx.
    pub fn is_for_now(&self) -> bool {
        let reply = self.reply().as_bytes();
        matches!(self, Self::Later { .. } | Self::Throttled { .. })
            && matches!(reply, [b'4', b'0'..=b'9', b'0'..=b'9', ..])
    }

    /// Returns whether it speaks of us or the relay: a run of these opens the breaker.
    pub fn is_about_us(&self) -> bool {
        matches!(
            self,
            Self::Later { about_us: true, .. }
                | Self::Refused { about_us: true, .. }
                | Self::InDoubt { .. }
        )
    }
}

/// Times of retries: after `first`, then twice as long each time, until `max_age` is over.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Wait after the first attempt.
    pub first: TimeDelta,
    /// Upper bound on the sum of the waits between attempts. Time in which a due attempt could not be made (a paused digest, a spent
    /// day, an open breaker, a process that was down) is no such wait, so it uses none of this up.
    pub max_age: TimeDelta,
}

impl RetryPolicy {
    /// Returns when the next attempt is due, or `None` when it would be too late: the waits so far are `waited`. `attempts` made so far, at
    /// least 1; `jitter` from 0 to 1 spreads the wait over 75 to 125 per cent of it, so that refusals of one moment do not come back
    /// as one.
    pub fn next(
        &self,
        waited: TimeDelta,
        now: Timestamp,
        attempts: u32,
        jitter: f64,
    ) -> Option<Timestamp> {
        let doubled = self
            .first
            .num_milliseconds()
            .max(1)
            .saturating_mul(1 << attempts.saturating_sub(1).min(20));
        let longest = self.max_age.num_milliseconds().max(1) / 4;
        let wait = doubled.min(longest.max(self.first.num_milliseconds())) as f64
            * (0.75 + 0.5 * jitter.clamp(0.0, 1.0));
        let wait = TimeDelta::milliseconds(wait as i64);
        let due = now.checked_add_signed(wait)?;
        (waited.checked_add(&wait)? <= self.max_age).then_some(due)
    }
}

/// Policy for a delivery in doubt: `mail.in_doubt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UncertainPolicy {
    /// Send it again, with the same `Message-ID`: better twice than never.
    Resend,
    /// Leave it for a person: better never than twice.
    Hold,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end_with_the_mails_age() {
        let retry = RetryPolicy {
            first: TimeDelta::minutes(5),
            max_age: TimeDelta::days(4),
        };
        let start: Timestamp = "2026-11-24T09:00:00Z".parse().expect("a moment");
        let wait = |attempts, jitter| {
            retry
                .next(TimeDelta::zero(), start, attempts, jitter)
                .map(|due| (due - start).num_seconds())
        };
        assert_eq!(
            (wait(1, 0.5), wait(2, 0.5), wait(3, 0.5)),
            (Some(300), Some(600), Some(1200))
        );
        assert_eq!((wait(1, 0.0), wait(1, 1.0)), (Some(225), Some(375)));
        assert_eq!(
            wait(40, 0.5),
            Some(86_400),
            "never longer than a quarter of the age"
        );
        assert_eq!(retry.next(TimeDelta::days(4), start, 9, 0.5), None);
        assert!(
            retry
                .next(TimeDelta::days(3), start + TimeDelta::days(60), 9, 0.5)
                .is_some(),
            "the waits count, not the calendar"
        );
    }
}
