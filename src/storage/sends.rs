//! Numbers of mails of a send to each domain and by each relay: what a share of refusals is a share of.

use super::Storage;
use super::StorageError;

impl Storage {
    /// Adds to the counts of a send's mails, by domain and relay; several processes add up.
    pub async fn add_send_domains(
        &self,
        counts: &[(i64, String, String, i64)],
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        for (send, domain, relay, mails) in counts {
            execute!(
                tx,
                "insert into send_domains (mailing_id, domain, relay, mails) values ($1, $2, $3, $4)
                 on conflict (mailing_id, domain, relay) do update set mails = send_domains.mails + excluded.mails",
                send,
                domain.as_str(),
                relay.as_str(),
                mails
            )?;
        }
        Ok(tx.commit().await?)
    }

    /// Forgets counts and lots of digests before `digest` and of days before `day`, some at a time. What is held stays.
    pub async fn forget_lots(&self, digest: i64, day: i64) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        for (first, last) in [(1, digest - 1), (-day + 1, -1)] {
            execute!(
                tx,
                "delete from send_domains where mailing_id between $1 and $2 and (mailing_id, domain, relay) in (select mailing_id, domain, relay from send_domains
                   where mailing_id between $1 and $2 order by mailing_id, domain, relay limit 1000)",
                first,
                last
            )?;
            execute!(
                tx,
                "delete from refusal_groups where mailing_id between $1 and $2 and (mailing_id, pattern, domain, relay) in (select mailing_id, pattern, domain, relay
                   from refusal_groups where mailing_id between $1 and $2 and state = 'done'
                   order by mailing_id, pattern, domain, relay limit 1000)",
                first,
                last
            )?;
        }
        Ok(tx.commit().await?)
    }
}
