//! Answers with words of leaving, or with what may be a yes: for whom they count, and who gets a mail with the link instead.
//!
//! A person is never left without an answer, and nobody is ended by somebody else's words. So words of leaving in an answer act at once only if
//! they come from the reader's own address, or from another one at the reader's own domain where a trusted receiver says that the domain is real. Else
//! the reader gets the link, as does a reader whose words are not plain enough to act on. Each gets at most one such mail a day, and none because of
//! a mail that anybody could have made up: it answers a mail of ours by proof, or a trusted receiver says that its author is real.

use chrono::TimeDelta;

use crate::app::App;
use crate::app::Failure;
use crate::app::returns::inbound::MatchProof;
use crate::app::returns::inbound::MatchedSubscriber;
use crate::app::returns::inbound::Returned;
use crate::domain::address::EmailAddress;
use crate::domain::inbound::Classification;
use crate::domain::inbound::ParsedReport;
use crate::domain::inbound::RecipientReport;
use crate::domain::quota::Quota;
use crate::domain::quota::mailbox_key;
use crate::domain::shared_domains::is_shared;
use crate::domain::token::Purpose;
use crate::storage::inbound::InboundResult;
use crate::storage::links::LinkLimits;
use crate::storage::links::LinkMail;

/// At most one mail with a link goes to a reader in this time.
const QUIET: TimeDelta = TimeDelta::days(1);

impl App {
    /// Returns whether a finding counts for the subscriber whose mail it is about: all but words of leaving do, whoever wrote them.
    pub(in crate::app) fn is_heard(
        &self,
        reading: &ParsedReport,
        finding: &RecipientReport,
        whose: &MatchedSubscriber,
    ) -> bool {
        let by_words = finding.meaning == Classification::Unsubscribe && reading.in_words;
        !by_words || whose.proof != MatchProof::Mail || self.is_from(reading, &whose.email)
    }

    /// Returns whether a mail is from a subscriber, as far as anybody can tell: the address can be made up, the Message-ID beside it cannot.
    fn is_from(&self, reading: &ParsedReport, email: &str) -> bool {
        let of = |text: &str| EmailAddress::parse(text).ok();
        let Some((author, reader)) = reading.clues.author.as_deref().and_then(of).zip(of(email))
        else {
            return false;
        };
        let passed = self.authenticated(reading);
        let of_one_domain =
            author.domain().eq_ignore_ascii_case(reader.domain()) && !is_shared(reader.domain());
        match passed {
            Some(false) => false,
            Some(true) => of_one_domain || mailbox_key(&author) == mailbox_key(&reader),
            None => mailbox_key(&author) == mailbox_key(&reader),
        }
    }

    /// Returns what a trusted receiver says of a mail's author; none if it says nothing.
    fn authenticated(&self, reading: &ParsedReport) -> Option<bool> {
        let trusted = &self.settings.inbound.authentication_results;
        let is_trusted = |receiver: &str| {
            trusted
                .iter()
                .any(|name| name.eq_ignore_ascii_case(receiver))
        };
        // The newest field of that name is the server's own (RFC 8601, 5).
        reading
            .clues
            .authenticated
            .iter()
            .find(|found| is_trusted(&found.receiver))
            .and_then(|found| found.passed)
    }

    /// Answers a person's mail that is not acted on with a link, if it speaks of leaving or may be a yes; `None` if nothing is sent.
    pub(in crate::app) async fn answer_with_link(
        &self,
        returned: &Returned,
    ) -> Result<Option<InboundResult>, Failure> {
        let reading = &returned.reading;
        let [finding] = reading.findings.as_slice() else {
            return Ok(None);
        };
        let wishes = finding.meaning == Classification::Unsubscribe && reading.in_words;
        if !wishes && finding.meaning != Classification::None {
            return Ok(None);
        }
        let heard = returned
            .whose
            .as_ref()
            .is_some_and(|whose| wishes && self.is_heard(reading, finding, whose));
        if heard {
            return Ok(None);
        }
        if wishes || reading.speaks_of_leaving {
            let leaver = self.leaver(returned).await?;
            if let Some((subscriber, mail)) = leaver
                && self.send_link(subscriber, mail).await?
            {
                return Ok(Some(InboundResult::LinkSent));
            }
        }
        if reading.may_agree
            && self.answers_confirmation(reading)
            && let Some(subscriber) = self.signing_up(returned).await?
            && self.send_link(subscriber, LinkMail::Confirm).await?
        {
            return Ok(Some(InboundResult::LinkSent));
        }
        Ok(None)
    }

    /// Finds the reader who gets the link to leave: the author if that is a reader for certain, else the reader whose mail is answered.
    async fn leaver(&self, returned: &Returned) -> Result<Option<(i64, LinkMail)>, Failure> {
        let reading = &returned.reading;
        if let Some(whose) = returned
            .whose
            .as_ref()
            .filter(|whose| self.is_from(reading, &whose.email))
        {
            return Ok(Some((whose.subscriber, LinkMail::Leave)));
        }
        if let Some(author) = self.author_of(reading).await? {
            return Ok(Some((author, LinkMail::Leave)));
        }
        Ok(returned
            .whose
            .as_ref()
            .map(|whose| (whose.subscriber, LinkMail::LeaveByOther)))
    }

    /// Finds the subscriber whose sign-up an answer to a confirmation mail is about.
    async fn signing_up(&self, returned: &Returned) -> Result<Option<i64>, Failure> {
        if let Some(whose) = &returned.whose {
            return Ok(Some(whose.subscriber));
        }
        let reading = &returned.reading;
        let quoted = reading
            .clues
            .tokens
            .iter()
            .find_map(|text| self.secrets.read(Purpose::Confirm, text));
        match quoted {
            Some(token) => Ok(Some(token.subscriber)),
            None => self.author_of(reading).await,
        }
    }

    /// The subscriber who wrote a mail, if a trusted receiver says that the author is real.
    async fn author_of(&self, reading: &ParsedReport) -> Result<Option<i64>, Failure> {
        if self.authenticated(reading) != Some(true) {
            return Ok(None);
        }
        let author = reading
            .clues
            .author
            .as_deref()
            .and_then(|author| EmailAddress::parse(author).ok());
        match author {
            Some(author) => Ok(self.storage.subscriber_with(&author).await?),
            None => Ok(None),
        }
    }

    async fn send_link(&self, subscriber: i64, mail: LinkMail) -> Result<bool, Failure> {
        let now = self.now();
        let max = self.settings.inbound.answers_per_hour;
        let quota = Quota {
            key: self.secrets.count_hash("answers", ""),
            max,
            window: TimeDelta::hours(1),
        };
        let asked_since = now - crate::app::delta(self.settings.signup.confirm_within);
        let is_sent = self
            .storage
            .send_link(
                subscriber,
                mail,
                &LinkLimits {
                    quota,
                    quiet_since: now - QUIET,
                    asked_since,
                },
                now,
            )
            .await?;
        if is_sent {
            metrics::counter!("verdicts_inbound_links_total", "link" => mail.as_str()).increment(1);
            let subscriber = self.subscriber_name(subscriber);
            tracing::info!(
                subscriber,
                link = mail.as_str(),
                "a mail from a subscriber was ambiguous; sent a link instead of acting on it"
            );
            self.wake_senders();
        }
        Ok(is_sent)
    }
}
