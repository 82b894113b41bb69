//! How panels stood over time: a row for each change of a tool's reviews.

use super::Queryable;
use super::Storage;
use super::StorageError;
use super::Tx;
use crate::domain::Timestamp;
use crate::domain::catalogue::Panel;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Tool;
use crate::domain::from_millis;
use crate::domain::reader::PanelPoint;

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
    /// How a tool's panel stood over time, oldest first.
    pub async fn panel_history(&self, tool: &Slug) -> Result<Vec<PanelPoint>, StorageError> {
        let mut reader = self.read().await?;
        points_since(&mut reader, tool, i64::MIN).await
    }
}

/// How a tool's panel stood from each change after `since` (milliseconds) on, oldest first.
pub(super) async fn points_since(conn: &mut impl Queryable, tool: &Slug, since: i64) -> Result<Vec<PanelPoint>, StorageError> {
    let rows: Vec<PointRow> = all!(
        conn,
        "select at, ships, skips, points from panel_history where tool = $1 and at > $2 order by at limit $3",
        tool.as_str(),
        since,
        MOST
    )?;
    Ok(rows.into_iter().map(point_from).collect())
}

/// Writes down how a tool's panel stands, if that is something new. The first time counts from the verdict's own date.
pub(super) async fn note_panel(tx: &mut Tx, tool: &Tool, now: Timestamp) -> Result<(), StorageError> {
    let panel = tool.panel();
    let points: i64 = tool.reviews.iter().map(|review| i64::from(review.score)).sum();
    let last: Option<PointRow> =
        optional!(tx, "select at, ships, skips, points from panel_history where tool = $1 order by at desc limit 1", tool.slug.as_str())?;
    let at = match &last {
        Some(row) if (row.ships, row.skips, row.points) == (panel.ships.into(), panel.skips.into(), points) => return Ok(()),
        Some(row) => now.timestamp_millis().max(row.at + 1),
        None => tool.published_at.timestamp_millis(),
    };
    execute!(
        tx,
        "insert into panel_history (tool, at, ships, skips, points) values ($1, $2, $3, $4, $5)",
        tool.slug.as_str(),
        at,
        i64::from(panel.ships),
        i64::from(panel.skips),
        points
    )?;
    Ok(())
}

fn point_from(row: PointRow) -> PanelPoint {
    let panel = Panel { ships: row.ships as u32, skips: row.skips as u32 };
    PanelPoint { at: from_millis(row.at), panel, points: row.points as u32 }
}
