//! Findings of DNS about the sender: the latest, and the time since which each is so.

use super::Storage;
use super::StorageError;
use crate::domain::Timestamp;
use crate::domain::from_millis;

/// A finding that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCheck {
    /// Subject.
    pub what: String,
    /// Severity, in one word.
    pub level: String,
    /// Sentence.
    pub words: String,
    /// Since when the subject is of that severity.
    pub since: Timestamp,
    /// Time when it was last asked.
    pub checked_at: Timestamp,
}

impl Storage {
    /// The findings of the last look, in its order.
    pub async fn dns_checks(&self) -> Result<Vec<KeptCheck>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String, String, String, i64, i64)> = all!(
            reader,
            "select what, level, words, since_at, checked_at from dns_checks order by position"
        )?;
        let kept = |(what, level, words, since, checked_at): (String, String, String, i64, i64)| {
            KeptCheck {
                what,
                level,
                words,
                since: from_millis(since),
                checked_at: from_millis(checked_at),
            }
        };
        Ok(rows.into_iter().map(kept).collect())
    }

    /// Keeps the findings of a look in place of the last one's: what is as severe as it was is so since then.
    pub async fn keep_dns_checks(
        &self,
        findings: &[(String, String, String)],
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        for (position, (what, level, words)) in findings.iter().enumerate() {
            execute!(
                tx,
                "insert into dns_checks (position, what, level, words, since_at, checked_at) values ($1, $2, $3, $4, $5, $5)
                 on conflict (position) do update set what = excluded.what, level = excluded.level, words = excluded.words,
                   since_at = case when dns_checks.what = excluded.what and dns_checks.level = excluded.level then dns_checks.since_at
                     else excluded.since_at end,
                   checked_at = excluded.checked_at",
                position as i64,
                what.as_str(),
                level.as_str(),
                words.as_str(),
                now.timestamp_millis()
            )?;
        }
        execute!(
            tx,
            "delete from dns_checks where position >= $1",
            findings.len() as i64
        )?;
        Ok(tx.commit().await?)
    }
}
