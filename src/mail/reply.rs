//! What a server's answer means: the one table of it; docs/ledger.md has it for people.

use crate::domain::delivery::Outcome;
use crate::domain::inbound::SoftClass;

/// What the answer was an answer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Everything before a mail: greeting, EHLO, login.
    Session,
    /// `MAIL FROM`: our return path, and the size.
    Sender,
    /// `RCPT TO`.
    Recipient,
    /// `DATA`, before the text is sent.
    Data,
    /// The final dot.
    Text,
}

/// Reads an answer. `text` is what follows the code, lines joined by a space; the outcome's words are both.
///
/// Before a recipient was named no refusal can be about one: all of it is about us, and the mail is kept for when we are
/// mended (only one too large for the server, 552, is refused for good). From there on it is about us when
/// the enhanced code (RFC 3463) says so: x.3 the mail system, x.7 policy; or the code is about our login. A temporary refusal
/// that is about how much we send at once is a [`Outcome::Throttled`].
pub fn outcome_of(code: u16, text: &str, stage: Stage) -> Outcome {
    let reply = format!("{code} {text}").trim_end().to_string();
    let enhanced = enhanced_code(text).filter(|(class, ..)| *class == code / 100).map(|(_, subject, detail)| (subject, detail));
    let nobody_was_named = stage < Stage::Recipient;
    let about_us = nobody_was_named || matches!(enhanced, Some((3 | 7, _)));
    let is_full = matches!((code, enhanced), (_, Some((2, 2))) | (552, None));
    let class = if is_full && !about_us { SoftClass::Recipient } else { SoftClass::Passing };
    match code {
        200..=299 if stage == Stage::Text => Outcome::Accepted { reply },
        400..=499 if is_throttle(code, enhanced, text) => Outcome::Throttled { reply },
        400..=499 => Outcome::Later { reply, about_us, class },
        // Not this mail's fault: nobody shall lose it because our password or return path is wrong.
        530 | 534 | 535 | 538 => Outcome::later_for_us(reply),
        500..=599 if nobody_was_named && code != 552 => Outcome::later_for_us(reply),
        500..=599 if !nobody_was_named && is_about_the_mailbox(enhanced, text) => Outcome::BadAddress { reply },
        500..=599 => Outcome::Refused { reply, about_us, class },
        // Not an answer to what was asked. After the final dot it may still have meant yes.
        _ if stage == Stage::Text => Outcome::InDoubt { reply },
        _ => Outcome::later_for_us(reply),
    }
}

/// 421 (the server wants to be left alone), 454, 4.7.x, or words that speak of a rate: what large receivers say to who sends
/// more than they like (postmaster.google.com and sendersupport.olc.protection.outlook.com list theirs).
pub(super) fn is_throttle(code: u16, enhanced: Option<(u16, u16)>, text: &str) -> bool {
    matches!(code, 421 | 454) || matches!(enhanced, Some((7, _))) || speaks_of_rate(text)
}

/// No mailbox (5.1.1), no such host (5.1.2), no valid address (5.1.3), moved away (5.1.6), null MX (5.1.10, RFC 7505), or
/// closed (5.2.1). Some say 5.2.1 of a mailbox that gets too much just now: that one is alive.
fn is_about_the_mailbox(enhanced: Option<(u16, u16)>, text: &str) -> bool {
    match enhanced {
        Some((1, 1 | 2 | 3 | 6 | 10)) => true,
        Some((2, 1)) => !speaks_of_rate(text),
        _ => false,
    }
}

fn speaks_of_rate(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    // "rate" as the beginning of a word: a "corporate" or "separate" mailbox may well be closed.
    let names_a_rate = text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word.starts_with("rate"));
    names_a_rate || ["too many", "too much", "too fast", "too quickly", "too often", "throttl"].iter().any(|words| text.contains(words))
}

/// The enhanced status code that a text begins with (RFC 2034, section 4): `class.subject.detail`, then a space or the end.
fn enhanced_code(text: &str) -> Option<(u16, u16, u16)> {
    let number = |digits: &str| (digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?;
    let mut parts = text.split([' ', '\t']).next()?.split('.');
    let code = (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    (parts.next().is_none() && matches!(code.0, 2 | 4 | 5)).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::Stage::*;
    use super::*;

    /// `A`ccepted, `L`ater, `T`hrottled, `R`efused, `B`ad address, in `D`oubt; small letters: and it is about us.
    fn short(code: u16, text: &str, stage: Stage) -> char {
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
            (450, "4.7.1 greylisted", Recipient, 'T'), (452, "4.3.1 no room", Recipient, 'l'), (451, "4.3.0 queue", Text, 'l'),
            (450, "too many connections", Session, 'T'), (452, "4.4.5 busy", Sender, 'l'), (451, "rate", Text, 'T'),
            (550, "5.1.1 no such user", Recipient, 'B'), (550, "5.1.1 no such user", Text, 'B'), (550, "5.1.1", Data, 'B'),
            (550, "5.1.2 host", Recipient, 'B'), (501, "5.1.3 syntax", Recipient, 'B'), (551, "5.1.6 moved", Recipient, 'B'),
            (556, "5.1.10 null mx", Recipient, 'B'), (550, "5.2.1 disabled by corporate policy", Recipient, 'B'),
            (550, "5.2.1 mail at a rate that prevents", Recipient, 'R'), (550, "5.2.1 Too many messages", Recipient, 'R'),
            (550, "5.1.1 no such user", Sender, 'l'), (550, "5.1.7 bad sender", Sender, 'l'), (553, "5.1.8 bad sender", Sender, 'l'),
            (550, "5.1.8 sender domain", Recipient, 'R'), (550, "5.1.0 rejected", Recipient, 'R'),
            (535, "5.7.8 bad password", Session, 'l'), (530, "5.7.0 log in", Recipient, 'l'), (534, "", Sender, 'l'),
            (538, "5.1.1 odd", Recipient, 'l'), (550, "5.7.1 spam", Recipient, 'r'), (554, "5.7.26 unauthenticated", Text, 'r'),
            (552, "full", Recipient, 'R'), (552, "5.2.2 full", Text, 'R'), (550, "5.2.2 full", Recipient, 'R'),
            (552, "size", Sender, 'r'), (552, "5.3.4 too big for us", Text, 'r'), (552, "5.2.3 too big for them", Text, 'R'),
            (550, "no", Recipient, 'R'), (554, "no", Text, 'R'), (550, "no", Sender, 'l'), (554, "no", Session, 'l'),
            (550, "Mailbox 5.1.1 unknown", Recipient, 'R'), (550, "5.1.1x unknown", Recipient, 'R'), (550, "5.1.1.1 u", Recipient, 'R'),
            (550, "4.1.1 mixed up", Recipient, 'R'), (550, "+5.1.1 u", Recipient, 'R'), (550, "5.1. u", Recipient, 'R'),
            (503, "sequence", Data, 'R'), (599, "what", Text, 'R'), (600, "what", Text, 'D'), (100, "what", Recipient, 'l'),
        ];
        for (code, text, stage, expected) in table {
            assert_eq!(short(code, text, stage), expected, "{code} {text:?} at {stage:?}");
        }
    }

    #[test]
    fn the_outcome_keeps_the_servers_words() {
        assert_eq!(outcome_of(550, "5.1.1 no such user", Recipient).reply(), "550 5.1.1 no such user");
        assert_eq!(outcome_of(250, "", Text).reply(), "250");
    }
}
