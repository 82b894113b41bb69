//! Mail that came back: read, told whose it is, kept, and acted on.
//!
//! Acted on is only what carries proof that it answers a mail of ours: the return path of that very delivery, the token of
//! its unsubscribe link, or its Message-ID, each with a tag that only our secret makes. Anybody can write a report; it is then kept
//! and changes nothing. What matches nothing may have come to a process with another secret or return path than the sender's, so it
//! is looked at again once either changes. So it is with the Message-ID of release 0.1.0, which had no tag.
//! Words of leaving count only for who wrote them: a digest may have been forwarded, and whoever answers it has the Message-ID and the return path of
//! its reader (see `answers`).

use crate::app::App;
use crate::app::Failure;
use crate::domain::address::EmailAddress;
use crate::domain::delivery::DeliveryKey;
use crate::domain::inbound::BounceAction;
use crate::domain::inbound::Classification;
use crate::domain::inbound::CorrelationIds;
use crate::domain::inbound::ParsedReport;
use crate::domain::inbound::RecipientReport;
use crate::domain::inbound_channel::InboundChannel;
use crate::domain::token::Purpose;
use crate::mail::inbound::read;
use crate::storage::inbound::About;
use crate::storage::inbound::InboundAction;
use crate::storage::inbound::InboundMail;
use crate::storage::inbound::InboundResult;
use crate::storage::unmatched::Unmatched;

/// The subscriber whom a mail is about, by proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedSubscriber {
    /// Their number.
    pub subscriber: i64,
    /// Their address.
    pub email: String,
    /// The mailing that came back, if the mail tells.
    pub mailing: Option<i64>,
    /// Its proof.
    pub proof: MatchProof,
}

/// Proof of whom a mail is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchProof {
    /// It was sent to the address that List-Unsubscribe names: that is the wish to leave, whatever stands in it.
    LeavingAddress,
    /// Its author wrote the token of the link to leave in their own lines, or to the address that release 0.1.0 named for it.
    OwnHand,
    /// A return path, a Message-ID, a quoted link, or the word of a provider: whoever gets a forwarded digest has them too.
    Mail,
}

/// A mail, read.
#[derive(Debug, Clone)]
pub struct Returned {
    /// Its content.
    pub reading: ParsedReport,
    /// Subscriber whom it is about; `None` where nothing in it proves that.
    pub whose: Option<MatchedSubscriber>,
}

/// The mail that a finding came with.
pub(in crate::app) struct ReportSource<'a> {
    /// By what it is known again.
    pub fingerprint: &'a str,
    /// The way that it came.
    pub channel: InboundChannel,
    /// Copy that is kept for another look.
    pub unmatched: Option<&'a AnotherLook>,
    /// True if it was here before, and matched nothing then.
    pub is_again: bool,
    /// The mail or event itself.
    pub raw: Option<&'a [u8]>,
}

/// A mail that matches nothing, as it is kept until it does.
pub(in crate::app) struct AnotherLook {
    text: String,
    email_key: Option<String>,
    matching: String,
}

impl App {
    /// Reads a mail that came back, and tells whose it is; changes nothing.
    pub async fn read_inbound(&self, raw: &[u8]) -> Result<Returned, Failure> {
        self.returned(read(raw)).await
    }

    async fn returned(&self, mut reading: ParsedReport) -> Result<Returned, Failure> {
        let whose = self.match_subscriber(&reading.clues).await?;
        // An address that was blanked out is known by the proof; one of ours at which nobody lives is not the reader's.
        if let (Some(whose), [only]) = (&whose, reading.findings.as_mut_slice())
            && only.address.is_none()
        {
            only.address = Some(whose.email.clone());
        }
        if let Some(whose) = whose
            .as_ref()
            .filter(|whose| whose.proof == MatchProof::LeavingAddress)
        {
            hear_leaving(&mut reading, whose);
        }
        Ok(Returned { reading, whose })
    }

    /// Reads a mail, keeps it, and does what the policy says: all of it or nothing. The same mail again does nothing. `channel`
    /// is the way that it came.
    pub async fn take_inbound(
        &self,
        raw: &[u8],
        channel: InboundChannel,
    ) -> Result<(Returned, InboundResult), Failure> {
        let returned = self.read_inbound(raw).await?;
        let taken = self.act_on(&returned, channel, Some(raw)).await?;
        Ok((returned, taken))
    }

    async fn act_on(
        &self,
        returned: &Returned,
        channel: InboundChannel,
        raw: Option<&[u8]>,
    ) -> Result<InboundResult, Failure> {
        let (reading, whose) = (&returned.reading, returned.whose.as_ref());
        let email = whose.map(|whose| whose.email.as_str()).unwrap_or_default();
        let Some(finding) = reading.about(email) else {
            return Ok(InboundResult::Kept);
        };
        let is_known = self.storage.knows_inbound(&reading.fingerprint).await?;
        let is_again = is_known && self.storage.is_unmatched(&reading.fingerprint).await?;
        // Done before it is kept: a mail that is handed over again because we broke off is answered then, and only once.
        let answered = if !is_known || is_again && reading.agrees {
            self.answer(returned).await?
        } else {
            None
        };
        let is_matched = whose.is_some() || answered.is_some();
        if is_again && !is_matched {
            self.storage
                .note_trial(&reading.fingerprint, &self.matching())
                .await?;
            return Ok(InboundResult::Before);
        }
        // Of a mail to the address of List-Unsubscribe only the match tells that it is a wish.
        let may_act = reading.would_act()
            || reading
                .clues
                .addressed
                .iter()
                .any(|address| self.may_be_leaving(address));
        let kept = if is_matched || !may_act {
            None
        } else {
            self.for_another_look(returned)
        };
        let arrival = ReportSource {
            fingerprint: &reading.fingerprint,
            channel,
            unmatched: kept.as_ref(),
            is_again,
            raw,
        };
        // Somebody else's words are kept as nobody's, and end nobody.
        let whose = whose.filter(|whose| self.is_heard(reading, finding, whose));
        let taken = self.keep_finding(finding, &arrival, whose).await?;
        Ok(if taken == InboundResult::Kept {
            answered.unwrap_or(taken)
        } else {
            taken
        })
    }

    /// Looks again at mails that matched nothing, with the secrets and the return path of now; returns how many match. At most
    /// `max` of them: the rest is for the next call.
    pub async fn match_again(&self, max: i64) -> Result<usize, Failure> {
        let matching = self.matching();
        let mut matched = 0;
        for untried in self.storage.unmatched_untried(&matching, max).await? {
            let reading = serde_json::from_str::<ParsedReport>(&untried.reading).ok();
            let taken = match reading {
                Some(reading) => {
                    self.act_on(&self.returned(reading).await?, untried.channel, None)
                        .await?
                }
                // Written by another version: it stays as it is until it is forgotten.
                None => {
                    self.storage
                        .note_trial(&untried.fingerprint, &matching)
                        .await?;
                    InboundResult::Before
                }
            };
            matched += usize::from(taken != InboundResult::Before);
        }
        if matched > 0 {
            tracing::info!(
                mails = matched,
                "matched inbound mails that were kept earlier, with the current secret and return path"
            );
        }
        Ok(matched)
    }

    fn may_be_leaving(&self, address: &str) -> bool {
        self.return_path.is_per_delivery() && self.return_path.is_one(address)
    }

    /// Names what a mail is matched by: names of the secrets, and the return path.
    fn matching(&self) -> String {
        format!(
            "{} {}",
            self.secrets.key_names().join(","),
            self.return_path.with("{verp}")
        )
    }

    fn for_another_look(&self, returned: &Returned) -> Option<AnotherLook> {
        let reading = &returned.reading;
        let email_key = match reading.findings.as_slice() {
            [only] => only
                .address
                .as_deref()
                .and_then(|address| EmailAddress::parse(address).ok())
                .map(|address| address.key()),
            _ => None,
        };
        let text = serde_json::to_string(reading).ok()?;
        Some(AnotherLook {
            text,
            email_key,
            matching: self.matching(),
        })
    }

    /// Keeps what is known of one recipient, under a name by which it is known again, and does what the policy says: all of it or
    /// nothing.
    pub(in crate::app) async fn keep_finding(
        &self,
        finding: &RecipientReport,
        arrival: &ReportSource<'_>,
        whose: Option<&MatchedSubscriber>,
    ) -> Result<InboundResult, Failure> {
        let channel = arrival.channel;
        let consequence = finding.consequence();
        let refusal = match (whose, consequence) {
            (Some(whose), BounceAction::Refused(class)) => {
                self.refusal_of(&whose.email, class, &finding.line)
            }
            _ => None,
        };
        let (hash, key_name) = whose
            .and_then(|whose| self.suppression_of(&whose.email))
            .unwrap_or_default();
        let action = match (consequence, &refusal) {
            (BounceAction::Refused(_), Some(refusal)) => InboundAction::Count(refusal),
            (BounceAction::Complained, _) => InboundAction::Complain,
            (BounceAction::Unsubscribed, _) => InboundAction::Unsubscribe,
            (BounceAction::Refused(_) | BounceAction::Recorded, _) => InboundAction::Nothing,
        };
        let about = whose.map(|whose| About {
            subscriber: whose.subscriber,
            mailing: whose.mailing,
            hash: &hash,
            key_name: &key_name,
        });
        let unmatched = arrival.unmatched.map(|kept| Unmatched {
            reading: &kept.text,
            email_key: kept.email_key.as_deref(),
            tried_with: &kept.matching,
        });
        let about = about.map(|about| (about, action));
        let mail = InboundMail {
            fingerprint: arrival.fingerprint,
            channel,
            finding,
            about,
            unmatched,
            is_again: arrival.is_again,
            raw: arrival.raw,
        };
        let taken = self.storage.take_inbound(&mail, self.now()).await?;
        if taken != InboundResult::Before {
            metrics::counter!("verdicts_inbound_total", "meaning" => finding.meaning.as_str())
                .increment(1);
            let subscriber = whose.map(|whose| self.subscriber_name(whose.subscriber));
            let meaning = finding.meaning;
            tracing::info!(
                subscriber,
                meaning = meaning.as_str(),
                channel = channel.as_str(),
                ended = (taken == InboundResult::Ended),
                "a mail came back"
            );
            if let (BounceAction::Refused(class), true) = (consequence, whose.is_some()) {
                metrics::counter!("verdicts_refusals_total", "class" => class.as_str())
                    .increment(1);
                // For whoever runs no `serve`: a report that comes later has those judged that came before.
                if let Err(failure) = self.judge_refusals(1).await {
                    tracing::warn!(
                        cause = failure.cause(),
                        "refusals wait to be judged: {failure}"
                    );
                }
            }
        }
        Ok(taken)
    }

    /// Returns whose mail it is, by the first proof that holds.
    pub(in crate::app) async fn match_subscriber(
        &self,
        clues: &CorrelationIds,
    ) -> Result<Option<MatchedSubscriber>, Failure> {
        let leaving = clues
            .addressed
            .iter()
            .find_map(|address| self.return_path.leaving(&self.secrets, address));
        if let Some(key) = leaving {
            return self
                .known(
                    key.subscriber,
                    Some(key.mailing),
                    MatchProof::LeavingAddress,
                )
                .await;
        }
        let written = clues
            .own_tokens
            .iter()
            .find_map(|text| self.secrets.read(Purpose::Unsubscribe, text));
        if let Some(token) = written {
            return self
                .known(token.subscriber, None, MatchProof::OwnHand)
                .await;
        }
        let returned = |address: &String| {
            self.return_path
                .delivery(&self.secrets, address)
                .map(|key| (key, address.clone()))
        };
        if let Some((key, address)) = clues.addressed.iter().find_map(returned) {
            let is_written = self
                .return_path
                .is_also_for_leaving(&self.secrets, &address);
            let proof = if is_written {
                MatchProof::OwnHand
            } else {
                MatchProof::Mail
            };
            return self.known(key.subscriber, Some(key.mailing), proof).await;
        }
        for id in &clues.message_ids {
            let Some(key) = self.delivery_of(id) else {
                continue;
            };
            // One that was forgotten since proves nothing any more.
            if self.storage.has_delivery(key).await? {
                return self
                    .known(key.subscriber, Some(key.mailing), MatchProof::Mail)
                    .await;
            }
        }
        let token = clues
            .tokens
            .iter()
            .find_map(|text| self.secrets.read(Purpose::Unsubscribe, text));
        match token {
            Some(token) => self.known(token.subscriber, None, MatchProof::Mail).await,
            None => Ok(None),
        }
    }

    async fn known(
        &self,
        subscriber: i64,
        mailing: Option<i64>,
        proof: MatchProof,
    ) -> Result<Option<MatchedSubscriber>, Failure> {
        // A mail to a new address that is asked, or to an old one that is told, says nothing of the one they have.
        if let Some(mailing) = mailing
            && self.storage.went_elsewhere(mailing).await?
        {
            return Ok(None);
        }
        let email = self.storage.address_of(subscriber).await?;
        Ok(email.map(|email| MatchedSubscriber {
            subscriber,
            email: email.as_str().into(),
            mailing,
            proof,
        }))
    }

    /// The delivery that a Message-ID of ours names (see [`App::message_id`]). Its host is not looked at: `mail.from` may have
    /// changed, and the tag is what counts.
    fn delivery_of(&self, id: &str) -> Option<DeliveryKey> {
        let (local, _) = id.rsplit_once('@')?;
        self.secrets.named_delivery(local)
    }
}

/// Makes a mail to the address that List-Unsubscribe names the wish that it is: whatever it says, or marks itself as. A report stays a report.
fn hear_leaving(reading: &mut ParsedReport, whose: &MatchedSubscriber) {
    if reading.findings.iter().any(|finding| {
        matches!(
            finding.meaning,
            Classification::Hard | Classification::Soft | Classification::Complaint
        )
    }) {
        return;
    }
    let line = reading.clues.subject.clone();
    let finding = RecipientReport {
        address: Some(whose.email.clone()),
        meaning: Classification::Unsubscribe,
        class: None,
        reason: None,
        status: None,
        line,
    };
    reading.findings = vec![finding];
    reading.in_words = false;
}

impl Returned {
    /// Returns what is printed of it: each address with its meaning, `-` where none is known.
    pub fn lines(&self) -> impl Iterator<Item = (&str, Classification)> {
        self.reading
            .findings
            .iter()
            .map(|finding| (finding.address.as_deref().unwrap_or("-"), finding.meaning))
    }
}
