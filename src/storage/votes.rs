//! Votes on tools: a reader's by their subscription, a visitor's by their cookie. They are counted apart.

use super::Storage;
use super::StorageError;
use super::Tx;
use super::events;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Verdict;
use crate::domain::event::EventKind;
use crate::domain::from_millis;
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

/// Place of a vote among all, by time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VotePlace {
    /// When it was cast.
    pub at: Timestamp,
    /// By whom.
    pub subscriber: i64,
    /// On which tool.
    pub tool: String,
}

/// A reader's vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CastVote {
    /// Place among all.
    pub place: VotePlace,
    /// Vote.
    pub verdict: Verdict,
}

impl Storage {
    /// Up to `count` readers' votes of `since` or later, behind the place `after`, the oldest first.
    pub async fn votes_since(
        &self,
        since: Option<Timestamp>,
        after: Option<&VotePlace>,
        count: i64,
    ) -> Result<Vec<CastVote>, StorageError> {
        let mut reader = self.read().await?;
        let start = since.map_or(i64::MIN, |since| since.timestamp_millis());
        let (at, subscriber, tool) = match after {
            Some(place) if place.at.timestamp_millis() >= start => (
                place.at.timestamp_millis(),
                place.subscriber,
                place.tool.as_str(),
            ),
            _ => (start, i64::MIN, ""),
        };
        let rows: Vec<(i64, i64, String, String)> = all!(
            reader,
            "select voted_at, subscriber_id, tool, verdict from votes where (voted_at, subscriber_id, tool) > ($1, $2, $3)
             order by voted_at, subscriber_id, tool limit $4",
            at,
            subscriber,
            tool,
            count
        )?;
        let vote = |(at, subscriber, tool, verdict): (i64, i64, String, String)| {
            Ok(CastVote {
                place: VotePlace {
                    at: from_millis(at),
                    subscriber,
                    tool,
                },
                verdict: stored(verdict.parse())?,
            })
        };
        rows.into_iter().map(vote).collect()
    }

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
        let issue = hold_issue(&mut tx, tool, now).await?;
        let earlier: Option<(String, i64)> = optional!(
            tx,
            "select verdict, voted_at from votes where tool = $1 and subscriber_id = $2",
            tool.as_str(),
            subscriber
        )?;
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
        if counted == 0 {
            return Ok(Voted::Nothing);
        }
        if let Some(issue) = issue {
            count_for_issue(&mut tx, tool, issue, earlier, verdict).await?;
        }
        let data = serde_json::json!({ "tool": tool, "verdict": verdict });
        events::record(&mut tx, EventKind::VoteCast, Some(subscriber), &data, now).await?;
        tx.commit().await?;
        Ok(Voted::Counted)
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
        if counted > 0 {
            let data = serde_json::json!({ "tool": tool, "verdict": verdict });
            events::record(&mut tx, EventKind::VoteCast, None, &data, now).await?;
        }
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

/// The newest digest that carries a tool: its id, and when it was published.
type CarryingIssue = (i64, i64);

/// Finds the newest digest that carries a tool, and holds its count of votes on it until the transaction ends: votes on one tool by one
/// digest are counted one by one.
async fn hold_issue(
    tx: &mut Tx,
    tool: &Slug,
    now: Timestamp,
) -> Result<Option<CarryingIssue>, StorageError> {
    let issue: Option<CarryingIssue> = optional!(
        tx,
        "select g.id, g.published_at from comparisons c join picks p on p.comparison = c.slug join digests g on g.id = p.digest_id
         where (c.left_tool = $1 or c.right_tool = $1) and g.published_at is not null and g.published_at <= $2
         order by g.published_at desc limit 1",
        tool.as_str(),
        now.timestamp_millis()
    )?;
    if let Some((id, _)) = issue {
        execute!(
            tx,
            "insert into digest_votes (mailing_id, tool, ships, skips, changed) values ($1, $2, 0, 0, 0)
             on conflict (mailing_id, tool) do update set ships = digest_votes.ships",
            id,
            tool.as_str()
        )?;
    }
    Ok(issue)
}

/// Counts a reader's vote for the digest that it came by. One that they gave since it was published is theirs already, and moves if it is
/// another now.
async fn count_for_issue(
    tx: &mut Tx,
    tool: &Slug,
    (id, published_at): CarryingIssue,
    earlier: Option<(String, i64)>,
    verdict: Verdict,
) -> Result<(), StorageError> {
    let of = |text: &str, verdict: Verdict| i64::from(text == verdict.as_str());
    let (mut ships, mut skips, mut changed) = (
        of(verdict.as_str(), Verdict::Ship),
        of(verdict.as_str(), Verdict::Skip),
        0,
    );
    if let Some((before, voted_at)) = earlier {
        changed = i64::from(before != verdict.as_str());
        if voted_at >= published_at {
            ships -= of(&before, Verdict::Ship);
            skips -= of(&before, Verdict::Skip);
        }
    }
    execute!(
        tx,
        "update digest_votes set ships = ships + $3, skips = skips + $4, changed = changed + $5 where mailing_id = $1 and tool = $2",
        id,
        tool.as_str(),
        ships,
        skips,
        changed
    )?;
    Ok(())
}
