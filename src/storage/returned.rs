//! Refusals of a send as a publisher looks at them: by domain and words, and one by one.

use super::Storage;
use super::StorageError;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::brake::RefusalOutcome;
use crate::domain::from_millis;
use crate::domain::inbound::RefusalClass;

/// Refusals of one send that are counted at most.
const COUNTED: i64 = 100_000;

/// Refusals of one domain whose replies have their words in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnedGroup {
    /// Recipient domain.
    pub domain: String,
    /// One of the replies.
    pub example: String,
    /// Number of them.
    pub count: u64,
}

/// A refused mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnedMail {
    /// The send that it belongs to.
    pub send: i64,
    /// The subscriber.
    pub subscriber: i64,
    /// Their address.
    pub email: String,
    /// Recipient domain of that time.
    pub domain: String,
    /// Time.
    pub at: Timestamp,
    /// Weight.
    pub class: RefusalClass,
    /// The reply.
    pub reply: String,
    /// Its outcome, once it was judged.
    pub outcome: Option<RefusalOutcome>,
    /// Name of the report that came back as it came, where it is kept.
    pub report: Option<String>,
    /// True if they are on the suppression list by it.
    pub is_suppressed: bool,
}

/// Place in a list of refused mails.
pub type ReturnedPlace = (i64, String, i64);

#[derive(sqlx::FromRow)]
struct ReturnedRow {
    mailing_id: i64,
    subscriber_id: i64,
    email: String,
    state: String,
    domain: String,
    at: i64,
    class: String,
    reply: String,
    outcome: Option<String>,
    report: Option<String>,
}

/// Refused mails of the send $1, each with the report that came back.
macro_rules! mails {
    ($narrowed:literal) => {
        concat!(
            "select f.mailing_id, f.subscriber_id, s.email, s.state, f.domain, f.at, f.class, f.reply, f.outcome,
               (select r.fingerprint from inbound_mails i join inbound_reports r on r.fingerprint = i.fingerprint
                where i.subscriber_id = f.subscriber_id and i.mailing_id = f.mailing_id limit 1) as report
             from (select mailing_id, subscriber_id, domain, at, class, reply, outcome from refusals where mailing_id = $1",
            $narrowed,
            " order by domain, subscriber_id limit $4) f cross join subscribers s where s.id = f.subscriber_id order by f.domain, f.subscriber_id"
        )
    };
}

impl Storage {
    /// The refusals of a send by domain and words, the most frequent first.
    pub async fn returned_groups(
        &self,
        send: i64,
        most: i64,
    ) -> Result<Vec<ReturnedGroup>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String, i64, Option<String>)> = all!(
            reader,
            "select g.domain, g.times, (select r.reply from refusals r where r.mailing_id = $1 and r.subscriber_id = g.example_id) as example
             from (select f.domain, f.pattern, count(*) as times, min(f.subscriber_id) as example_id
                   from (select domain, pattern, subscriber_id from refusals where mailing_id = $1 order by domain, subscriber_id limit $2) f
                   group by f.domain, f.pattern order by count(*) desc, f.domain, f.pattern limit $3) g
             order by g.times desc, g.domain",
            send,
            COUNTED,
            most
        )?;
        let group = |(domain, count, example): (String, i64, Option<String>)| ReturnedGroup {
            domain,
            count: count as u64,
            example: example.unwrap_or_default(),
        };
        Ok(rows.into_iter().map(group).collect())
    }

    /// Refused mails of a send, of one domain or of all, behind a domain and subscriber.
    pub async fn returned_mails(
        &self,
        send: i64,
        domain: Option<&str>,
        after: Option<(&str, i64)>,
        most: i64,
    ) -> Result<Vec<ReturnedMail>, StorageError> {
        let mut reader = self.read().await?;
        let (from, subscriber) = after.unwrap_or(("", i64::MIN));
        let rows: Vec<ReturnedRow> = match domain {
            Some(domain) => all!(
                reader,
                mails!(" and domain = $2 and subscriber_id > $3"),
                send,
                domain,
                subscriber,
                most
            )?,
            None => all!(
                reader,
                mails!(" and (domain, subscriber_id) > ($2, $3)"),
                send,
                from,
                subscriber,
                most
            )?,
        };
        let mail = |row: ReturnedRow| {
            Ok(ReturnedMail {
                send: row.mailing_id,
                subscriber: row.subscriber_id,
                email: row.email,
                domain: row.domain,
                at: from_millis(row.at),
                class: row.class.parse()?,
                reply: row.reply,
                outcome: stored(row.outcome.map(|outcome| outcome.parse()).transpose())?,
                report: row.report,
                is_suppressed: row.state == "bounced",
            })
        };
        rows.into_iter().map(mail).collect()
    }
}
