//! Outcomes of replies in the SMTP dialogue; docs/ledger.md has the table for people.

use crate::domain::delivery::Outcome;
use crate::domain::inbound::Reason;
use crate::domain::refusal::Basis;
use crate::domain::refusal::Judgement;
use crate::domain::refusal::Refusal;
use crate::domain::refusal::judge;

pub use crate::domain::refusal::RefusalStage;

/// Reads an answer. `text` is what follows the code, lines joined by a space; the outcome's words are both.
///
/// Turns a reply into an outcome. What a refusal means is the judgement of [`crate::domain::refusal`]; here it becomes what the ledger
/// does. Before a recipient was named all of it is about us, and the mail is kept for when we are mended. So is one that is too large for the
/// server itself (RFC 3463 x.3.4), not for its recipient: somebody has to allow more or send less, and no reader fails for it.
pub fn outcome_of(code: u16, text: &str, stage: RefusalStage) -> Outcome {
    let reply = format!("{code} {text}").trim_end().to_string();
    let nobody_was_named = stage < RefusalStage::Recipient;
    match code {
        200..=299 if stage == RefusalStage::Text => return Outcome::Accepted { reply },
        // Not an answer to what was asked. After the final dot it may still have meant yes.
        ..400 | 600.. if stage == RefusalStage::Text => return Outcome::InDoubt { reply },
        ..400 | 600.. => return Outcome::later_for_us(reply),
        _ => {}
    }
    let judged = judge(Refusal {
        stage: Some(stage),
        text: &reply,
        field: None,
    });
    let about_us = nobody_was_named || is_about_us(&judged);
    let class = judged.reason.soft_class();
    match code {
        // It comes with each new recipient (RFC 6647): to slow down would only make them all late.
        ..500 if !nobody_was_named && code != 421 && is_greylisting(text) => Outcome::Later {
            reply,
            about_us: false,
            class,
        },
        ..500 if asks_for_patience(code, &judged) => Outcome::Throttled { reply },
        ..500 => Outcome::Later {
            reply,
            about_us,
            class,
        },
        // Not this mail's fault: nobody shall lose it because our password or return path is wrong.
        530 | 534 | 535 | 538 => Outcome::later_for_us(reply),
        _ if nobody_was_named
            || judged
                .status
                .is_some_and(|status| (status.subject, status.detail) == (3, 4)) =>
        {
            Outcome::later_for_us(reply)
        }
        _ if judged.reason.is_hard() => Outcome::BadAddress { reply },
        _ => Outcome::Refused {
            reply,
            about_us,
            class,
        },
    }
}

/// A greeting or login that is refused for now because we ask for too much. x.7 alone is no such word here: a server that refuses a
/// client by policy goes on to refuse it.
pub(in crate::mail) fn is_throttle(code: u16, text: &str) -> bool {
    let reply = format!("{code} {text}");
    let judged = judge(Refusal {
        stage: Some(RefusalStage::Session),
        text: &reply,
        field: None,
    });
    matches!(code, 421 | 454) || judged.reason == Reason::Rate
}

/// 421 (the server wants to be left alone), 454, 4.7.x, or words that speak of a rate: what large receivers say to senders of
/// more than they like (postmaster.google.com and sendersupport.olc.protection.outlook.com list theirs).
fn asks_for_patience(code: u16, judged: &Judgement) -> bool {
    matches!(code, 421 | 454) || judged.reason == Reason::Rate || subject(judged) == Some(7)
}

fn is_greylisting(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    [
        "greylist",
        "graylist",
        "grey-list",
        "gray-list",
        "grey list",
        "gray list",
    ]
    .iter()
    .any(|word| text.contains(word))
}

/// Returns whether the breaker counts it: RFC 3463 x.3 is the mail system, x.7 policy, and the words may say it without a code.
fn is_about_us(judged: &Judgement) -> bool {
    let about_recipient = matches!(
        judged.reason,
        Reason::Full | Reason::Locked | Reason::Unwanted | Reason::NoMailbox | Reason::NoHost
    );
    let about_us = matches!(
        judged.reason,
        Reason::Sender | Reason::Policy | Reason::Blocked | Reason::Rate
    );
    (about_us && judged.basis != Basis::Nothing)
        || (!about_recipient && matches!(subject(judged), Some(3 | 7)))
}

fn subject(judged: &Judgement) -> Option<u16> {
    judged.status.map(|status| status.subject)
}

#[cfg(test)]
mod tests {
    use super::RefusalStage::*;
    use super::*;

    /// `A`ccepted, `L`ater, `T`hrottled, `R`efused, `B`ad address, in `D`oubt; small letters: and it is about us.
    fn short(code: u16, text: &str, stage: RefusalStage) -> char {
        match outcome_of(code, text, stage) {
            Outcome::Accepted { .. } => 'A',
            Outcome::Later { about_us, .. } => {
                if about_us {
                    'l'
                } else {
                    'L'
                }
            }
            Outcome::Refused { about_us, .. } => {
                if about_us {
                    'r'
                } else {
                    'R'
                }
            }
            Outcome::Throttled { .. } => 'T',
            Outcome::BadAddress { .. } => 'B',
            Outcome::InDoubt { .. } => 'D',
        }
    }

    #[test]
    fn the_table_of_replies() {
        #[rustfmt::skip]
        let table = [
            (250, "2.0.0 queued as 1", Text, 'A'), (250, "", Text, 'A'), (250, "ok", Data, 'l'), (354, "go on", Text, 'D'),
            (421, "4.4.2 closing", Recipient, 'T'), (421, "bye", Text, 'T'), (454, "4.7.0 later", Session, 'T'),
            (450, "4.2.1 too quickly", Recipient, 'T'), (451, "try again", Recipient, 'L'), (452, "4.2.2 full", Text, 'L'),
            (450, "4.7.1 Greylisted", Recipient, 'L'), (451, "4.7.1 gray-listed", Text, 'L'), (450, "4.7.1 greylisted", Sender, 'T'), (452, "4.3.1 no room", Recipient, 'l'), (451, "4.3.0 queue", Text, 'l'),
            (450, "too many connections", Session, 'T'), (452, "4.4.5 busy", Sender, 'l'), (451, "rate limit", Text, 'T'),
            (550, "5.1.1 no such user", Recipient, 'B'), (550, "5.1.1 no such user", Text, 'B'), (550, "5.1.1", Data, 'B'),
            (550, "5.1.2 host", Recipient, 'B'), (501, "5.1.3 syntax", Recipient, 'B'), (551, "5.1.6 moved", Recipient, 'B'),
            (556, "5.1.10 null mx", Recipient, 'B'), (550, "5.2.1 disabled by corporate policy", Recipient, 'r'),
            (550, "5.2.1 mail at a rate that prevents", Recipient, 'r'), (550, "5.2.1 Too many messages", Recipient, 'r'),
            (550, "5.1.1 no such user", Sender, 'l'), (550, "5.1.7 bad sender", Sender, 'l'), (553, "5.1.8 bad sender", Sender, 'l'),
            (550, "5.1.8 sender domain", Recipient, 'r'), (550, "5.1.0 rejected", Recipient, 'R'),
            (535, "5.7.8 bad password", Session, 'l'), (530, "5.7.0 log in", Recipient, 'l'), (534, "", Sender, 'l'),
            (538, "5.1.1 odd", Recipient, 'l'), (550, "5.7.1 spam", Recipient, 'r'), (554, "5.7.26 unauthenticated", Text, 'r'),
            (552, "full", Recipient, 'R'), (552, "5.2.2 full", Text, 'R'), (550, "5.2.2 full", Recipient, 'R'),
            (552, "size", Sender, 'l'), (552, "5.3.4 too big for us", Text, 'l'), (552, "5.2.3 too big for them", Text, 'R'),
            (550, "no", Recipient, 'R'), (554, "no", Text, 'R'), (550, "no", Sender, 'l'), (554, "no", Session, 'l'),
            (550, "Mailbox 5.1.1 unknown", Recipient, 'B'), (550, "5.1.1x unknown", Recipient, 'R'), (550, "5.1.1.1 u", Recipient, 'R'),
            (550, "4.1.1 mixed up", Recipient, 'R'), (550, "+5.1.1 u", Recipient, 'R'), (550, "5.1. u", Recipient, 'R'),
            (503, "sequence", Data, 'R'), (599, "what", Text, 'R'), (600, "what", Text, 'D'), (100, "what", Recipient, 'l'),
        ];
        for (code, text, stage, expected) in table {
            assert_eq!(
                short(code, text, stage),
                expected,
                "{code} {text:?} at {stage:?}"
            );
        }
    }

    #[test]
    fn the_outcome_keeps_the_servers_words() {
        assert_eq!(
            outcome_of(550, "5.1.1 no such user", Recipient).reply(),
            "550 5.1.1 no such user"
        );
        assert_eq!(outcome_of(250, "", Text).reply(), "250");
    }
}
