//! Delivery policy: the state of a delivery after an attempt, and what the relay's breaker and the brake hear of it.
//!
//! Pure functions of the outcome, the settings and the delivery so far. The worker makes the attempt, storage writes the state.
//!
//! | outcome | next state | the breaker hears | the brake hears |
//! | --- | --- | --- | --- |
//! | accepted | sent | a success | |
//! | later | queued, after the next wait; refused once the waits reach `mail.retry.max_age` | a failure if it is about us, else a success | at the end its class |
//! | throttled | queued, after the first wait, which does not grow; refused at the end | a wish for fewer connections | at the end a passing one |
//! | refused | refused | a failure if it is about us, else a success | its class |
//! | no such mailbox | refused | a success | a hard refusal |
//! | in doubt, `hold` | uncertain, for a person | a mail in doubt | |
//! | in doubt, `resend` | uncertain, sent again once however old it is; afterwards only within `mail.retry.max_age` | a mail in doubt | |
//! | cut by the end of our lease | queued now | nothing | |
//! | withdrawn before its end | queued now | a failure of the relay, which did not answer | |

use chrono::TimeDelta;

use super::Timestamp;
use super::delivery::Outcome;
use super::delivery::RetryPolicy;
use super::delivery::UncertainPolicy;
use super::inbound::RefusalClass;
use super::inbound::SoftClass;

/// Start of the words that the ledger keeps of a delivery that was put off until `mail.retry.max_age` was over: nobody refused it for good.
pub const GIVEN_UP: &str = "given up after ";

/// Settings that decide about the next state.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryPolicy {
    /// `mail.retry`
    pub retry: RetryPolicy,
    /// `mail.in_doubt`
    pub in_doubt: UncertainPolicy,
}

/// A delivery as its attempt found it.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// Attempts before this one.
    pub earlier: u32,
    /// Sum of the waits between them.
    pub waited: TimeDelta,
    /// Time at which this one ended.
    pub ended_at: Timestamp,
    /// From 0 to 1: spreads the next wait (see [`RetryPolicy::next`]).
    pub jitter: f64,
}

/// Party that ended an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// The server, by a reply, by silence or by hanging up.
    Server,
    /// The end of our own lease, before the final dot.
    Lease,
    /// The sender, before the final dot: the mail was taken back, or its envelope was not heard.
    Withdrawal,
}

/// State of a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextState {
    /// The server has it.
    Sent,
    /// Due again at that time.
    Queued(Timestamp),
    /// Final. The class counts against the subscriber and is reported to the brake.
    Refused(RefusalClass),
    /// Taken or not, nobody knows: sent again at that time, or held for a person.
    Uncertain(Option<Timestamp>),
}

/// Effect of a result on the relay's breaker and on its number of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Taken.
    Accepted,
    /// Refused for a reason that is the recipient's.
    AboutRecipient,
    /// A failure that is ours or the relay's.
    AboutUs {
        /// In words.
        reply: String,
        /// True if the server itself says that it is for now.
        is_for_now: bool,
    },
    /// Taken or not: the words.
    InDoubt(String),
    /// Too much at once: the words.
    Throttled(String),
    /// Our own lease ended, which says nothing of the relay.
    LeaseOver,
}

/// Returns the state of a delivery after an attempt.
pub fn next_state(
    outcome: &Outcome,
    ended_by: EndedBy,
    attempt: &Attempt,
    policy: &DeliveryPolicy,
) -> NextState {
    if is_lease_over(outcome, ended_by) || ended_by == EndedBy::Withdrawal {
        // Nothing was refused: its turn is now.
        return NextState::Queued(attempt.ended_at);
    }
    let retry = policy.retry;
    let after = |attempts| retry.next(attempt.waited, attempt.ended_at, attempts, attempt.jitter);
    let due = after(attempt.earlier + 1);
    let queued_or = |due: Option<Timestamp>, class: SoftClass| {
        due.map_or(NextState::Refused(class.into()), NextState::Queued)
    };
    match outcome {
        Outcome::Accepted { .. } => NextState::Sent,
        Outcome::Later { class, .. } => queued_or(due, *class),
        // Not this mail's fault: its wait does not grow, and its turn comes once the relay has slowed down.
        Outcome::Throttled { .. } => queued_or(after(1), SoftClass::Passing),
        Outcome::Refused { class, .. } => NextState::Refused((*class).into()),
        Outcome::BadAddress { .. } => NextState::Refused(RefusalClass::Hard),
        Outcome::InDoubt { .. } => NextState::Uncertain(match policy.in_doubt {
            UncertainPolicy::Hold => None,
            // Once it goes out again however old it is, for that is what the setting promises; a second doubt is held by the ledger.
            UncertainPolicy::Resend if attempt.earlier == 0 => {
                Some(due.unwrap_or(attempt.ended_at + retry.first))
            }
            UncertainPolicy::Resend => due,
        }),
    }
}

/// Returns what the relay's breaker hears.
pub fn verdict_of(outcome: &Outcome, ended_by: EndedBy) -> Verdict {
    if is_lease_over(outcome, ended_by) {
        return Verdict::LeaseOver;
    }
    match outcome {
        Outcome::Accepted { .. } => Verdict::Accepted,
        Outcome::Throttled { reply } => Verdict::Throttled(reply.clone()),
        Outcome::InDoubt { reply } => Verdict::InDoubt(reply.clone()),
        outcome if outcome.is_about_us() => Verdict::AboutUs {
            reply: outcome.reply().to_owned(),
            is_for_now: outcome.is_for_now(),
        },
        _ => Verdict::AboutRecipient,
    }
}

/// Returns the words that the ledger keeps with the state.
pub fn words_of(
    outcome: &Outcome,
    next: NextState,
    attempt: &Attempt,
    in_doubt: UncertainPolicy,
) -> String {
    match (next, outcome) {
        (NextState::Refused(_), Outcome::Later { reply, .. } | Outcome::Throttled { reply }) => {
            format!("{GIVEN_UP}{} attempts: {reply}", attempt.earlier + 1)
        }
        (NextState::Uncertain(None), Outcome::InDoubt { reply })
            if in_doubt == UncertainPolicy::Resend =>
        {
            format!("not sent again, for it is older than mail.retry.max_age: {reply}")
        }
        _ => outcome.reply().to_owned(),
    }
}

/// A lease explains a failure of ours, and nothing else: a mail whose dot was answered, or was out, is as the server left it.
fn is_lease_over(outcome: &Outcome, ended_by: EndedBy) -> bool {
    ended_by == EndedBy::Lease && matches!(outcome, Outcome::Later { about_us: true, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: TimeDelta = TimeDelta::minutes(5);
    const MAX_AGE: TimeDelta = TimeDelta::days(4);

    fn ended_at() -> Timestamp {
        "2026-11-24T09:00:00Z".parse().expect("a time")
    }

    fn after(wait: TimeDelta) -> Timestamp {
        ended_at() + wait
    }

    fn later(about_us: bool) -> Outcome {
        Outcome::Later {
            reply: "451 4.3.0 later".into(),
            about_us,
            class: SoftClass::Recipient,
        }
    }

    fn refused(about_us: bool) -> Outcome {
        Outcome::Refused {
            reply: "554 5.7.1 no".into(),
            about_us,
            class: SoftClass::Passing,
        }
    }

    fn about_us(outcome: &Outcome) -> Verdict {
        Verdict::AboutUs {
            reply: outcome.reply().into(),
            is_for_now: outcome.is_for_now(),
        }
    }

    #[test]
    fn an_outcome_is_one_state_one_verdict_and_the_same_words() {
        use EndedBy::*;
        use NextState::*;
        let reply = || "250 2.0.0 or not".to_owned();
        let accepted = Outcome::Accepted { reply: reply() };
        let throttled = Outcome::Throttled { reply: reply() };
        let bad = Outcome::BadAddress { reply: reply() };
        let doubt = Outcome::InDoubt { reply: reply() };
        let (soft, passing) = (
            RefusalClass::from(SoftClass::Recipient),
            RefusalClass::from(SoftClass::Passing),
        );
        let (slow, in_doubt) = (Verdict::Throttled(reply()), Verdict::InDoubt(reply()));
        let recipient = || Verdict::AboutRecipient;
        let (resend, hold) = (UncertainPolicy::Resend, UncertainPolicy::Hold);
        let (young, old) = (TimeDelta::zero(), MAX_AGE);
        // Outcome, who ended it, earlier attempts, waited, setting; next state, verdict.
        #[rustfmt::skip]
        let table = [
            (&accepted, Server, 0, young, resend, Sent, Verdict::Accepted),
            (&accepted, Server, 9, old, hold, Sent, Verdict::Accepted),
            (&accepted, Lease, 0, young, resend, Sent, Verdict::Accepted),
            (&later(false), Server, 0, young, resend, Queued(after(FIRST)), recipient()),
            (&later(false), Server, 1, FIRST, resend, Queued(after(FIRST * 2)), recipient()),
            (&later(false), Server, 4, FIRST, hold, Queued(after(FIRST * 16)), recipient()),
            (&later(false), Server, 9, old, resend, Refused(soft), recipient()),
            (&later(true), Server, 0, young, resend, Queued(after(FIRST)), about_us(&later(true))),
            (&later(true), Server, 9, old, resend, Refused(soft), about_us(&later(true))),
            (&later(true), Lease, 3, young, resend, Queued(ended_at()), Verdict::LeaseOver),
            (&later(true), Lease, 9, old, resend, Queued(ended_at()), Verdict::LeaseOver),
            (&later(false), Lease, 0, young, resend, Queued(after(FIRST)), recipient()),
            (&later(true), Withdrawal, 3, young, resend, Queued(ended_at()), about_us(&later(true))),
            (&throttled, Server, 0, young, resend, Queued(after(FIRST)), slow.clone()),
            (&throttled, Server, 7, young, resend, Queued(after(FIRST)), slow.clone()),
            (&throttled, Server, 7, old, resend, Refused(passing), slow),
            (&refused(false), Server, 0, young, resend, Refused(passing), recipient()),
            (&refused(true), Server, 0, young, resend, Refused(passing), about_us(&refused(true))),
            (&refused(true), Lease, 0, young, hold, Refused(passing), about_us(&refused(true))),
            (&bad, Server, 0, young, resend, Refused(RefusalClass::Hard), recipient()),
            (&bad, Server, 5, old, hold, Refused(RefusalClass::Hard), recipient()),
            (&doubt, Server, 0, young, hold, Uncertain(None), in_doubt.clone()),
            (&doubt, Server, 0, young, resend, Uncertain(Some(after(FIRST))), in_doubt.clone()),
            (&doubt, Server, 0, old, resend, Uncertain(Some(after(FIRST))), in_doubt.clone()),
            (&doubt, Lease, 0, old, resend, Uncertain(Some(after(FIRST))), in_doubt.clone()),
            (&doubt, Server, 1, young, resend, Uncertain(Some(after(FIRST * 2))), in_doubt.clone()),
            (&doubt, Server, 1, old, resend, Uncertain(None), in_doubt.clone()),
            (&doubt, Server, 1, young, hold, Uncertain(None), in_doubt),
        ];
        for (outcome, ended_by, earlier, waited, in_doubt, next, verdict) in table {
            let case =
                format!("{outcome:?} by {ended_by:?} after {earlier}, {waited}, {in_doubt:?}");
            let attempt = Attempt {
                earlier,
                waited,
                ended_at: ended_at(),
                jitter: 0.5,
            };
            let retry = RetryPolicy {
                first: FIRST,
                max_age: MAX_AGE,
            };
            let policy = DeliveryPolicy { retry, in_doubt };
            assert_eq!(
                next_state(outcome, ended_by, &attempt, &policy),
                next,
                "{case}"
            );
            assert_eq!(verdict_of(outcome, ended_by), verdict, "{case}");
            let words = words_of(outcome, next, &attempt, in_doubt);
            assert!(words.ends_with(outcome.reply()), "{case}: {words}");
        }
    }

    #[test]
    fn the_words_say_how_often_it_was_tried_and_why_it_is_not_sent_again() {
        let attempt = Attempt {
            earlier: 6,
            waited: MAX_AGE,
            ended_at: ended_at(),
            jitter: 0.5,
        };
        let soft = NextState::Refused(SoftClass::Recipient.into());
        assert_eq!(
            words_of(&later(false), soft, &attempt, UncertainPolicy::Resend),
            "given up after 7 attempts: 451 4.3.0 later"
        );
        let doubt = Outcome::InDoubt {
            reply: "cut".into(),
        };
        let words = |setting| words_of(&doubt, NextState::Uncertain(None), &attempt, setting);
        assert_eq!(words(UncertainPolicy::Hold), "cut");
        assert_eq!(
            words(UncertainPolicy::Resend),
            "not sent again, for it is older than mail.retry.max_age: cut"
        );
    }
}
