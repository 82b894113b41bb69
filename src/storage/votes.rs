//! Votes on tools: a reader's by their subscription, a visitor's by their cookie. They are counted apart.

use super::Storage;
use super::StorageError;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Verdict;
use crate::domain::reader::ReaderToolState;

/// A visitor who votes; both texts are keyed hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// Of their cookie.
    pub cookie: String,
    /// Of the network that they come from.
    pub network: String,
}

/// Result of a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voted {
    /// It counts; an earlier one of the same person on the same tool no longer does.
    Counted,
    /// There is no such tool, or the subscription is over.
    Nothing,
    /// That network's votes on this tool are used up.
    TooMany,
}

impl Storage {
    /// Counts a reader's vote on a tool; a later one takes the place of the earlier.
    pub async fn vote(
        &self,
        tool: &Slug,
        subscriber: i64,
        verdict: Verdict,
        now: Timestamp,
    ) -> Result<Voted, StorageError> {
        repeated!(self.vote_once(tool, subscriber, verdict, now))
    }

    async fn vote_once(
        &self,
        tool: &Slug,
        subscriber: i64,
        verdict: Verdict,
        now: Timestamp,
    ) -> Result<Voted, StorageError> {
        let mut tx = self.begin().await?;
        let counted = execute!(
            tx,
            "insert into votes (tool, subscriber_id, verdict, voted_at)
             select t.slug, s.id, $3, $4 from tools t, subscribers s
             where t.slug = $1 and t.published_at <= $4 and s.id = $2 and s.state = 'active'
             on conflict (tool, subscriber_id) do update set verdict = excluded.verdict, voted_at = excluded.voted_at",
            tool.as_str(),
            subscriber,
            verdict.as_str(),
            now.timestamp_millis()
        )?;
        tx.commit().await?;
        Ok(if counted > 0 {
            Voted::Counted
        } else {
            Voted::Nothing
        })
    }

    /// Counts a visitor's vote, as long as fewer than `most` others of their network voted on that tool.
    pub async fn vote_as_visitor(
        &self,
        tool: &Slug,
        visitor: &Voter,
        verdict: Verdict,
        most: u32,
        now: Timestamp,
    ) -> Result<Voted, StorageError> {
        let mut tx = self.begin().await?;
        // Holds the tool's row, so that on PostgreSQL votes on it are counted one by one.
        let found = execute!(
            tx,
            "update tools set slug = slug where slug = $1 and published_at <= $2",
            tool.as_str(),
            now.timestamp_millis()
        )?;
        if found == 0 {
            return Ok(Voted::Nothing);
        }
        let counted = execute!(
            tx,
            "insert into visitor_votes (tool, visitor, network, verdict, voted_at)
             select slug, $2, $3, $4, $5 from tools where slug = $1
             and (exists (select 1 from visitor_votes where tool = $1 and visitor = $2)
                  or (select count(*) from visitor_votes where tool = $1 and network = $3) < $6)
             on conflict (tool, visitor) do update set verdict = excluded.verdict, voted_at = excluded.voted_at",
            tool.as_str(),
            &visitor.cookie,
            &visitor.network,
            verdict.as_str(),
            now.timestamp_millis(),
            i64::from(most)
        )?;
        tx.commit().await?;
        Ok(if counted > 0 {
            Voted::Counted
        } else {
            Voted::TooMany
        })
    }

    /// Returns what the reader numbered `subscriber`, or else the visitor with that cookie's hash, did with each of the tools.
    pub async fn standings(
        &self,
        tools: &[&Slug],
        subscriber: Option<i64>,
        visitor: Option<&str>,
    ) -> Result<Vec<ReaderToolState>, StorageError> {
        if subscriber.is_none() && visitor.is_none() {
            return Ok(vec![ReaderToolState::default(); tools.len()]);
        }
        let mut reader = self.read().await?;
        let mut standings = Vec::with_capacity(tools.len());
        for tool in tools {
            let row: (Option<String>, Option<i64>) = match subscriber {
                Some(id) => one!(
                    reader,
                    "select (select verdict from votes where tool = $1 and subscriber_id = $2),
                            (select saved_at from bookmarks where tool = $1 and subscriber_id = $2)",
                    tool.as_str(),
                    id
                )?,
                None => one!(
                    reader,
                    "select (select verdict from visitor_votes where tool = $1 and visitor = $2), cast(null as bigint)",
                    tool.as_str(),
                    visitor.unwrap_or_default()
                )?,
            };
            standings.push(ReaderToolState {
                vote: stored(row.0.map(|verdict| verdict.parse()).transpose())?,
                saved: row.1.is_some(),
            });
        }
        Ok(standings)
    }

    /// Returns whether somebody is on the list: what their links can do ends with their subscription.
    pub async fn is_active(&self, subscriber: i64) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let found: Option<(i64,)> = optional!(
            reader,
            "select id from subscribers where id = $1 and state = 'active'",
            subscriber
        )?;
        Ok(found.is_some())
    }
}
