//! Classifier of refusals: the one judge for all doors, the SMTP dialogue, reports and webhooks. Pure.
//!
//! *Hard* only where it is certain. The order is: the stage of the dialogue (before `RCPT TO` no refusal is about a recipient);
//! the innermost reply, where one server quotes another; the words, of which those that speak of us or of a passing state
//! outrank those about the recipient; then the codes, and these only where hardly a word stands beside them, because servers
//! put 5.1.1 beside anything. `about_us.txt` and `recipient.txt` hold the phrases and their sources; docs/inbound.md explains the classes.

mod rules;
mod text;

pub use rules::floor;
pub use text::enhanced;
pub use text::plain;
pub use text::reply_code;

use self::rules::Cause;
use self::text::NormalizedText;
use self::text::innermost;
use self::text::stage_in;
use crate::domain::inbound::Classification;
use crate::domain::inbound::EnhancedStatus;
use crate::domain::inbound::Reason;

/// The command that a reply answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusalStage {
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

/// A refusal, as a door got it.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'t> {
    /// The stage, if the door knows it; else it is looked for in the text.
    pub stage: Option<RefusalStage>,
    /// The reply with its codes, and with what other servers put around it.
    pub text: &'t str,
    /// The status that stands beside the text, in a field of its own: a relay may have made it up.
    pub field: Option<EnhancedStatus>,
}

/// Basis of a judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Words, or the stage.
    Words,
    /// Only a code.
    Code,
    /// Neither says anything for certain.
    Nothing,
}

/// Meaning of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// Reason; it decides hard or soft, and the class of soft.
    pub reason: Reason,
    /// The enhanced status code, the server's own first.
    pub status: Option<EnhancedStatus>,
    /// Basis of the judgement.
    pub basis: Basis,
}

impl Judgement {
    /// Hard or soft.
    pub fn meaning(&self) -> Classification {
        if self.reason.is_hard() {
            Classification::Hard
        } else {
            Classification::Soft
        }
    }
}

/// Judges a refusal.
pub fn judge(refusal: Refusal<'_>) -> Judgement {
    let stage = refusal.stage.or_else(|| stage_in(refusal.text));
    let inner = innermost(refusal.text);
    let judged = judge_reply(inner, refusal, stage);
    if judged.basis == Basis::Nothing && inner.len() < refusal.text.len() {
        return judge_reply(refusal.text, refusal, stage);
    }
    judged
}

fn judge_reply(text: &str, refusal: Refusal<'_>, stage: Option<RefusalStage>) -> Judgement {
    let said = NormalizedText::read(text);
    let status = said.status.or(refusal.field);
    let (reason, basis) = match by_words(&said, status) {
        Some(reason) => (reason, Basis::Words),
        None if is_temporary(&said, refusal) => (passing(&said), Basis::Words),
        None => match by_recipient_words(&said, status).or_else(|| by_weak_words(&said)) {
            Some(reason) => (reason, Basis::Words),
            None => by_code(&said, status, stage),
        },
    };
    let judged = Judgement {
        reason,
        status,
        basis,
    };
    match stage {
        // Nobody was named yet: whatever it says, it says of us.
        Some(RefusalStage::Session | RefusalStage::Sender) => Judgement {
            reason: before_a_recipient(reason),
            basis: Basis::Words,
            ..judged
        },
        _ => judged,
    }
}

fn before_a_recipient(reason: Reason) -> Reason {
    match reason {
        Reason::NoMailbox
        | Reason::NoHost
        | Reason::Full
        | Reason::Locked
        | Reason::Unwanted
        | Reason::Refused
        | Reason::Other => Reason::Sender,
        about_us => about_us,
    }
}

/// Words that outrank every code and every word about a missing mailbox.
fn by_words(said: &NormalizedText, status: Option<EnhancedStatus>) -> Option<Reason> {
    // Microsoft's directory-based edge blocking: the recipient is not in the directory
    // (learn.microsoft.com/exchange/mail-flow-best-practices/use-directory-based-edge-blocking).
    if is(status, 4, &[1])
        && said
            .words
            .contains("recipient address rejected: access denied")
    {
        return Some(Reason::NoMailbox);
    }
    let order = [
        (Cause::Rate, Reason::Rate),
        (Cause::Unwanted, Reason::Unwanted),
        (Cause::Sender, Reason::Sender),
        (Cause::Full, Reason::Full),
        (Cause::TooBig, Reason::TooBig),
        (Cause::Locked, Reason::Locked),
        (Cause::Content, Reason::Policy),
        (Cause::Policy, Reason::Policy),
        (Cause::Blocked, Reason::Blocked),
    ];
    let found = order
        .into_iter()
        .find(|(cause, _)| said.causes.has(*cause))
        .map(|(_, reason)| reason);
    // RFC 3463 X.1.7 and X.1.8 are about the sender's address, X.2.2 is a full mailbox, X.2.3 and X.3.4 a mail too big.
    found.or(match status.map(|status| (status.subject, status.detail)) {
        Some((1, 7 | 8)) => Some(Reason::Sender),
        Some((2, 2)) => Some(Reason::Full),
        Some((2, 3) | (3, 4)) => Some(Reason::TooBig),
        // RFC 4954 6 and the registry of RFC 5248: an account that its administrator disabled, for want of payment say.
        Some((7, 13)) => Some(Reason::Locked),
        _ => None,
    })
}

/// A reply that is to be tried again, in whatever words. A status field counts only where no reply code stands in the text.
fn is_temporary(said: &NormalizedText, refusal: Refusal<'_>) -> bool {
    let by_field = || refusal.field.is_some_and(|status| status.class == 4);
    [reply_code(refusal.text), said.code]
        .into_iter()
        .flatten()
        .any(|code| code < 500)
        || said.status.map_or_else(
            || said.code.is_none() && by_field(),
            |status| status.class == 4,
        )
        || (said.causes.has(Cause::Passing)
            && (said.causes.has(Cause::TryAgain) || !said.causes.has(Cause::NoHost)))
}

/// Returns why a mail did not arrive for now.
fn passing(said: &NormalizedText) -> Reason {
    let order = [
        (Cause::Expired, Reason::Expired),
        (Cause::Network, Reason::Network),
        (Cause::NoHost, Reason::Network),
        (Cause::Link, Reason::Blocked),
        (Cause::PolicyHint, Reason::Policy),
    ];
    order
        .into_iter()
        .find(|(cause, _)| said.causes.has(*cause))
        .map_or(Reason::Other, |(_, reason)| reason)
}

/// Words that say that the mailbox or its domain is gone.
fn by_recipient_words(said: &NormalizedText, status: Option<EnhancedStatus>) -> Option<Reason> {
    let has = |cause| said.causes.has(cause);
    match () {
        () if has(Cause::NoHost) && has(Cause::TryAgain) => Some(Reason::Network),
        // A refusal for policy that names a missing domain means ours.
        () if has(Cause::NoHost) && status.is_some_and(|status| status.subject == 7) => {
            Some(Reason::Sender)
        }
        () if has(Cause::NoHost) => Some(Reason::NoHost),
        () if has(Cause::Inactive) && !is(status, 1, &[1]) => Some(Reason::Locked),
        () if has(Cause::Nobody) || has(Cause::Inactive) => Some(Reason::NoMailbox),
        () if said.code == Some(556) => Some(Reason::NoHost),
        () => None,
    }
}

/// Words that tell something only where nothing clearer is said.
fn by_weak_words(said: &NormalizedText) -> Option<Reason> {
    let has = |cause| said.causes.has(cause);
    match () {
        () if has(Cause::Link) || has(Cause::Filter) => Some(Reason::Blocked),
        () if has(Cause::Expired) => Some(Reason::Expired),
        () if has(Cause::Network) => Some(Reason::Network),
        () => None,
    }
}

/// Returns what is left to the codes: they end a reader only where hardly a word stands beside them.
fn by_code(
    said: &NormalizedText,
    status: Option<EnhancedStatus>,
    stage: Option<RefusalStage>,
) -> (Reason, Basis) {
    let bare = said.is_bare();
    let hint = said.causes.has(Cause::PolicyHint);
    let stock = said.causes.has(Cause::Stock);
    let before_text = !matches!(stage, Some(RefusalStage::Text));
    match status.map(|status| (status.subject, status.detail)) {
        Some((7 | 6, _)) => (Reason::Policy, Basis::Code),
        Some((1, 1 | 6)) if bare || stock => (Reason::NoMailbox, Basis::Code),
        Some((1, 0)) if stock => (Reason::NoMailbox, Basis::Code),
        Some((1, 2 | 10)) if bare && !hint => (Reason::NoHost, Basis::Code),
        Some((1, 3)) if bare && !hint => (Reason::NoMailbox, Basis::Code),
        Some((2, 1)) if bare && !stock => (Reason::Locked, Basis::Code),
        Some((4, _)) => (Reason::Network, Basis::Code),
        _ if stock
            && said.words.split_whitespace().count() <= 9
            && before_text
            && !said.names_a_place =>
        {
            (Reason::NoMailbox, Basis::Words)
        }
        _ if hint => (Reason::Policy, Basis::Nothing),
        Some((1 | 2, _)) => (Reason::Refused, Basis::Code),
        None if said.code == Some(552) => (Reason::Full, Basis::Code),
        // A refusal of the recipient without a reason is about the recipient, of the text about the text.
        _ if bare && before_text && matches!(said.code, Some(550 | 551 | 553)) => {
            (Reason::Refused, Basis::Nothing)
        }
        _ => (Reason::Other, Basis::Nothing),
    }
}

fn is(status: Option<EnhancedStatus>, subject: u16, details: &[u16]) -> bool {
    status.is_some_and(|status| {
        status.class == 5 && status.subject == subject && details.contains(&status.detail)
    })
}

#[cfg(test)]
mod tests;
