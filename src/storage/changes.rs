//! Votes of panels over time: a row for each change of a tool's reviews.

use super::Queryable;
use super::Storage;
use super::StorageError;
use super::Tx;
use super::events;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::catalogue::Panel;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Tool;
use crate::domain::digest::VerdictChange;
use crate::domain::event::EventKind;
use crate::domain::from_millis;
use crate::domain::publication::is_draft;
use crate::domain::reader::PanelPoint;
use crate::domain::reader::turns;

#[derive(sqlx::FromRow)]
struct PointRow {
    at: i64,
    ships: i64,
    skips: i64,
    points: i64,
}

/// Changes of one tool that are read at once: more than ten years of weekly ones.
const MOST: i64 = 600;

impl Storage {
    /// Returns how a tool's panel stood over time, oldest first.
    pub async fn panel_history(&self, tool: &Slug) -> Result<Vec<PanelPoint>, StorageError> {
        let mut reader = self.read().await?;
        points_since(&mut reader, tool, i64::MIN).await
    }
}

/// Returns how a tool's panel stood from each change after `since` (milliseconds) on, oldest first.
pub(super) async fn points_since(
    conn: &mut impl Queryable,
    tool: &Slug,
    since: i64,
) -> Result<Vec<PanelPoint>, StorageError> {
    let rows: Vec<PointRow> = all!(
        conn,
        "select at, ships, skips, points from panel_history where tool = $1 and at > $2 order by at limit $3",
        tool.as_str(),
        since,
        MOST
    )?;
    Ok(rows.into_iter().map(point_from).collect())
}

/// Writes down how a tool's panel stands, if that is something new. The first time counts from the verdict's own date. Before that date
/// nobody has read a verdict: whatever it was is replaced, and of a draft nothing is kept.
pub(super) async fn note_panel(
    tx: &mut Tx,
    tool: &Tool,
    now: Timestamp,
) -> Result<(), StorageError> {
    let stands = Stands::of(tool);
    if tool.published_at > now {
        execute!(
            tx,
            "delete from panel_history where tool = $1 and at > $2",
            tool.slug.as_str(),
            now.timestamp_millis()
        )?;
    }
    let last: Option<PointRow> = optional!(
        tx,
        "select at, ships, skips, points from panel_history where tool = $1 order by at desc limit 1",
        tool.slug.as_str()
    )?;
    let at = match &last {
        Some(row) if stands.is(row) => return Ok(()),
        _ if is_draft(tool.published_at) => return Ok(()),
        Some(row) => now
            .max(tool.published_at)
            .timestamp_millis()
            .max(row.at + 1),
        None => tool.published_at.timestamp_millis(),
    };
    if let Some(last) = last.filter(|_| tool.published_at <= now) {
        let (before, after) = (point_from(last).panel.label(), tool.panel().label());
        if before != after {
            let data = serde_json::json!({ "tool": tool.slug, "before": before, "after": after });
            events::record(tx, EventKind::VerdictChanged, None, &data, now).await?;
        }
    }
    stands.add(tx, tool, at).await
}

/// Corrects how a tool's panel stands: the newest point of its history, and what readers who saved it at that point are compared with. So
/// nobody is told of a verdict that changed. Without a history, begins one.
pub(super) async fn correct_panel(
    tx: &mut Tx,
    before: &Tool,
    tool: &Tool,
    now: Timestamp,
) -> Result<(), StorageError> {
    let (old, stands) = (before.panel(), Stands::of(tool));
    let corrected = execute!(
        tx,
        "update panel_history set ships = $2, skips = $3, points = $4
         where tool = $1 and at = (select max(at) from panel_history where tool = $1)",
        tool.slug.as_str(),
        stands.ships,
        stands.skips,
        stands.points
    )?;
    if corrected == 0 {
        return note_panel(tx, tool, now).await;
    }
    execute!(
        tx,
        "update bookmarks set ships = $2, skips = $3 where tool = $1 and ships = $4 and skips = $5",
        tool.slug.as_str(),
        stands.ships,
        stands.skips,
        i64::from(old.ships),
        i64::from(old.skips)
    )?;
    Ok(())
}

/// Votes and points of a panel.
struct Stands {
    ships: i64,
    skips: i64,
    points: i64,
}

impl Stands {
    fn of(tool: &Tool) -> Self {
        let panel = tool.panel();
        let scores = tool.reviews.iter().map(|review| i64::from(review.score));
        Self {
            ships: panel.ships.into(),
            skips: panel.skips.into(),
            points: scores.sum(),
        }
    }

    fn is(&self, row: &PointRow) -> bool {
        (row.ships, row.skips, row.points) == (self.ships, self.skips, self.points)
    }

    async fn add(&self, tx: &mut Tx, tool: &Tool, at: i64) -> Result<(), StorageError> {
        execute!(
            tx,
            "insert into panel_history (tool, at, ships, skips, points) values ($1, $2, $3, $4, $5)",
            tool.slug.as_str(),
            at,
            self.ships,
            self.skips,
            self.points
        )?;
        Ok(())
    }
}

fn point_from(row: PointRow) -> PanelPoint {
    let panel = Panel {
        ships: row.ships as u32,
        skips: row.skips as u32,
    };
    PanelPoint {
        at: from_millis(row.at),
        panel,
        points: row.points as u32,
    }
}

/// A tool whose panel's verdict turned, with how it stood before the first turn and after each.
pub(super) struct VerdictChanged {
    /// The tool.
    pub tool: Slug,
    name: String,
    /// Times, with the verdict's label from then on; the first is from before.
    labels: Vec<(i64, &'static str)>,
}

impl VerdictChanged {
    /// Returns when the first of its turns was.
    pub fn first(&self) -> i64 {
        self.labels.get(1).map_or(i64::MAX, |(at, _)| *at)
    }

    /// Returns what somebody who last heard at `since` has not heard; `None` when it stands as it stood then.
    pub fn since(&self, since: i64) -> Option<VerdictChange> {
        let before = self
            .labels
            .iter()
            .rev()
            .find(|(at, _)| *at <= since)
            .or(self.labels.first())?
            .1;
        let after = self.labels.last()?.1;
        (before != after).then(|| VerdictChange {
            tool: self.tool.clone(),
            name: self.name.clone(),
            before: before.into(),
            after: after.into(),
        })
    }
}

/// Tools whose verdict turned that are looked at for one digest.
const MOST_TURNED: i64 = 500;

/// The tools whose panel's verdict turned from `since` up to `now`.
pub(super) async fn turned_since(
    conn: &mut impl Queryable,
    since: Timestamp,
    now: Timestamp,
) -> Result<Vec<VerdictChanged>, StorageError> {
    let tools: Vec<(String, String)> = all!(
        conn,
        "select slug, name from tools where slug in (select tool from panel_history where at >= $1 and at <= $2) and published_at < $2
         order by slug limit $3",
        since.timestamp_millis(),
        now.timestamp_millis(),
        MOST_TURNED
    )?;
    let mut turned = Vec::new();
    for (slug, name) in tools {
        let tool: Slug = stored(slug.parse())?;
        let points = points_since(conn, &tool, i64::MIN).await?;
        let mut labels: Vec<(i64, &'static str)> = Vec::new();
        for (at, before, after) in turns(&points).filter(|(at, ..)| *at >= since && *at <= now) {
            if labels.is_empty() {
                labels.push((i64::MIN, before.label()));
            }
            labels.push((at.timestamp_millis(), after.label()));
        }
        if !labels.is_empty() {
            turned.push(VerdictChanged { tool, name, labels });
        }
    }
    Ok(turned)
}
