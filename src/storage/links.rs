//! Answers with a link to mails that were not understood: at most one a day for each reader, whoever writes in their name.

use super::Storage;
use super::StorageError;
use super::history::history;
use super::quotas;
use super::transactional::queue;
use super::transactional::queue_confirmation;
use crate::domain::Timestamp;
use crate::domain::address::EmailAddress;
use crate::domain::delivery::DeliveryKind;
use crate::domain::history::HistoryEvent;
use crate::domain::history::SentLink;
use crate::domain::quota::Quota;

/// Limits on such mails: a quota for all of them, a pause per subscriber, and the oldest sign-up that still gets one.
#[derive(Debug, Clone)]
pub struct LinkLimits {
    /// Counts all of them.
    pub quota: Quota,
    /// Time since which nobody may have got one.
    pub quiet_since: Timestamp,
    /// A sign-up from before then is over.
    pub asked_since: Timestamp,
}

/// The mail with which a mail is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkMail {
    /// The link to leave, to a reader whose words speak of leaving.
    Leave,
    /// The link to leave, to a reader whose digest somebody else answered.
    LeaveByOther,
    /// The confirmation mail once more, to somebody whose sign-up waits.
    Confirm,
}

impl LinkMail {
    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Leave => "leave",
            Self::LeaveByOther => "leave_by_other",
            Self::Confirm => "confirm",
        }
    }

    const fn sent_link(self) -> SentLink {
        match self {
            Self::Leave => SentLink::Leave,
            Self::LeaveByOther => SentLink::LeaveByOther,
            Self::Confirm => SentLink::Confirm,
        }
    }
}

impl Storage {
    /// Queues a mail with a link, within limits, unless the link would do nothing for the subscriber. Returns whether it is queued.
    pub async fn send_link(
        &self,
        subscriber: i64,
        mail: LinkMail,
        limits: &LinkLimits,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        repeated!(self.send_link_once(subscriber, mail, limits, now))
    }

    async fn send_link_once(
        &self,
        subscriber: i64,
        mail: LinkMail,
        limits: &LinkLimits,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let waits = i64::from(mail == LinkMail::Confirm);
        let marked = execute!(
            tx,
            "update subscribers set link_sent_at = $2
             where id = $1 and (link_sent_at is null or link_sent_at <= $3 or link_sent_at > $2)
               and (($4 = 0 and state = 'active') or ($4 = 1 and requested_at > $5 and state in ('pending', 'unsubscribed')))",
            subscriber,
            now.timestamp_millis(),
            limits.quiet_since.timestamp_millis(),
            waits,
            limits.asked_since.timestamp_millis()
        )?;
        // Behind the subscriber's row: a mail that is not sent uses nothing up.
        if marked == 0
            || quotas::take(&mut tx, std::iter::once((&limits.quota, true)), now)
                .await?
                .is_err()
        {
            return Ok(false);
        }
        let kind = match mail {
            LinkMail::Leave => Some(DeliveryKind::LeaveLink),
            LinkMail::LeaveByOther => Some(DeliveryKind::LeaveLinkByOther),
            LinkMail::Confirm => None,
        };
        match kind {
            Some(kind) => queue(&mut tx, subscriber, kind, None, now).await?,
            None => queue_confirmation(&mut tx, subscriber, now).await?,
        }
        let event = HistoryEvent::LinkSent {
            link: mail.sent_link(),
        };
        history(&mut tx, subscriber, now, &event).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The subscriber who has that address; `None` if nobody has.
    pub async fn subscriber_with(&self, email: &EmailAddress) -> Result<Option<i64>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(i64,)> = optional!(
            reader,
            "select id from subscribers where email_key = $1",
            email.key()
        )?;
        Ok(row.map(|(id,)| id))
    }
}
