//! Mail that came back: read, told whose it is, kept, and acted on.
//!
//! Acted on is only what carries proof that it answers a mail of ours: the return path of that very delivery, the token of
//! its unsubscribe link, or its Message-ID, each with a tag that only our secret makes. Anybody can write a report; it is then kept
//! and changes nothing. So it is with the Message-ID of release 0.1.0, which had no tag.

use super::App;
use super::Failure;
use crate::domain::address::EmailAddress;
use crate::domain::delivery::DeliveryKey;
use crate::domain::inbound::Clues;
use crate::domain::inbound::Consequence;
use crate::domain::inbound::Finding;
use crate::domain::inbound::Meaning;
use crate::domain::inbound::Reading;
use crate::domain::token::Purpose;
use crate::mail::inbound::read;
use crate::storage::inbound::About;
use crate::storage::inbound::Action;
use crate::storage::inbound::Arrived;
use crate::storage::inbound::Taken;

/// The subscriber whom a mail is about, by proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// Their number.
    pub subscriber: i64,
    /// Their address.
    pub email: String,
    /// The mailing that came back, if the mail tells.
    pub mailing: Option<i64>,
}

/// A mail, read.
#[derive(Debug, Clone)]
pub struct Returned {
    /// What it says.
    pub reading: Reading,
    /// Whom it is about; `None` where nothing in it proves that.
    pub whose: Option<Whose>,
}

impl App {
    /// Reads a mail that came back, and tells whose it is; changes nothing.
    pub async fn read_inbound(&self, raw: &[u8]) -> Result<Returned, Failure> {
        let mut reading = read(raw);
        let whose = self.whose(&reading.clues).await?;
        // An address that was blanked out is known by the proof; one of ours at which nobody lives is not the reader's.
        if let (Some(whose), [only]) = (&whose, reading.findings.as_mut_slice())
            && only.address.is_none()
        {
            only.address = Some(whose.email.clone());
        }
        Ok(Returned { reading, whose })
    }

    /// Reads a mail, keeps it, and does what the policy says: all of it or nothing. The same mail again does nothing. `door`
    /// is the way that it came.
    pub async fn take_inbound(&self, raw: &[u8], door: &str) -> Result<(Returned, Taken), Failure> {
        let returned = self.read_inbound(raw).await?;
        let email = returned.whose.as_ref().map(|whose| whose.email.as_str()).unwrap_or_default();
        let Some(finding) = returned.reading.about(email) else { return Ok((returned, Taken::Kept)) };
        // Done before it is kept: a mail that is handed over again because we broke off is answered then, and only once.
        let answered = match self.storage.knows_inbound(&returned.reading.fingerprint).await? {
            true => None,
            false => self.answer(&returned).await?,
        };
        let taken = self.keep_finding(finding, &returned.reading.fingerprint, door, returned.whose.as_ref()).await?;
        let taken = if taken == Taken::Kept { answered.unwrap_or(taken) } else { taken };
        Ok((returned, taken))
    }

    /// Keeps what is known of one recipient, under a name by which it is known again, and does what the policy says: all of it or
    /// nothing.
    pub(super) async fn keep_finding(
        &self,
        finding: &Finding,
        fingerprint: &str,
        door: &str,
        whose: Option<&Whose>,
    ) -> Result<Taken, Failure> {
        let consequence = finding.consequence();
        let refusal = match (whose, consequence) {
            (Some(whose), Consequence::Refused(class)) => self.refusal_of(&whose.email, class, &finding.line),
            _ => None,
        };
        let (hash, key_name) = whose.and_then(|whose| self.suppression_of(&whose.email)).unwrap_or_default();
        let action = match (consequence, &refusal) {
            (Consequence::Refused(_), Some(refusal)) => Action::Count(refusal),
            (Consequence::Complained, _) => Action::Complain,
            (Consequence::Unsubscribed, _) => Action::Unsubscribe,
            (Consequence::Refused(_) | Consequence::Recorded, _) => Action::Nothing,
        };
        let about = whose.map(|whose| About { subscriber: whose.subscriber, mailing: whose.mailing, hash: &hash, key_name: &key_name });
        let mail = Arrived { fingerprint, door, finding, about: about.map(|about| (about, action)) };
        let taken = self.storage.take_inbound(&mail, self.now()).await?;
        if taken != Taken::Before {
            metrics::counter!("verdicts_inbound_total", "meaning" => finding.meaning.as_str()).increment(1);
            let subscriber = whose.map(|whose| self.subscriber_name(whose.subscriber));
            let meaning = finding.meaning;
            tracing::info!(subscriber, meaning = meaning.as_str(), door, ended = (taken == Taken::Ended), "a mail came back");
            if let (Consequence::Refused(class), true) = (consequence, whose.is_some()) {
                metrics::counter!("verdicts_refusals_total", "class" => class.as_str()).increment(1);
                // For whoever runs no `serve`: a report that comes later has those judged that came before.
                if let Err(failure) = self.judge_refusals(1).await {
                    tracing::warn!(cause = failure.cause(), "refusals wait to be judged: {failure}");
                }
            }
        }
        Ok(taken)
    }

    /// Takes somebody off the suppression list; answers why they were on it.
    pub async fn lift_suppression(&self, email: &EmailAddress, note: &str) -> Result<String, Failure> {
        let hashes = self.secrets.address_hashes(email);
        let lifted = self.storage.lift(&email.key(), &hashes, note, self.now()).await?;
        let reason = lifted.ok_or_else(|| Failure::because(format!("{email} is not on the suppression list: nothing was changed.")))?;
        tracing::info!(email = email.masked(), reason, "a suppression was lifted");
        Ok(reason)
    }

    /// Whose mail it is, by the first proof that holds.
    pub(super) async fn whose(&self, clues: &Clues) -> Result<Option<Whose>, Failure> {
        let returned = clues.addressed.iter().find_map(|address| self.return_path.delivery(&self.secrets, address));
        if let Some(key) = returned {
            return self.known(key.subscriber, Some(key.mailing)).await;
        }
        for id in &clues.message_ids {
            let Some(key) = self.delivery_of(id) else { continue };
            // One that was forgotten since proves nothing any more.
            if self.storage.has_delivery(key).await? {
                return self.known(key.subscriber, Some(key.mailing)).await;
            }
        }
        let token = clues.tokens.iter().find_map(|text| self.secrets.read(Purpose::Unsubscribe, text));
        match token {
            Some(token) => self.known(token.subscriber, None).await,
            None => Ok(None),
        }
    }

    async fn known(&self, subscriber: i64, mailing: Option<i64>) -> Result<Option<Whose>, Failure> {
        // A mail to a new address that is asked, or to an old one that is told, says nothing of the one they have.
        if let Some(mailing) = mailing
            && self.storage.went_elsewhere(mailing).await?
        {
            return Ok(None);
        }
        let email = self.storage.address_of(subscriber).await?;
        Ok(email.map(|email| Whose { subscriber, email: email.as_str().into(), mailing }))
    }

    /// The delivery that a Message-ID of ours names (see [`App::message_id`]). Its host is not looked at: `mail.from` may have
    /// changed, and the tag is what counts.
    fn delivery_of(&self, id: &str) -> Option<DeliveryKey> {
        let (local, _) = id.rsplit_once('@')?;
        self.secrets.named_delivery(local)
    }
}

impl Returned {
    /// What is printed of it: each address with its meaning, `-` where none is known.
    pub fn lines(&self) -> impl Iterator<Item = (&str, Meaning)> {
        self.reading.findings.iter().map(|finding| (finding.address.as_deref().unwrap_or("-"), finding.meaning))
    }
}
