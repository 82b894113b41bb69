//! A tool's score over time: a line for the eye, a table for everybody.

use crate::domain::Timestamp;
use crate::domain::reader::PanelPoint;
use crate::domain::reader::turns;
use crate::render::Site;
use crate::render::date::Date;
use crate::render::view::Badge;

/// Columns of the drawing, which has 100 rows of scores; it is stretched to fit.
const WIDTH: i64 = 600;

/// Votes of a tool's panel over time.
pub(super) struct HistoryView {
    /// Oldest first.
    pub rows: Vec<HistoryRow>,
    /// The corners of the line, as SVG writes them: time to the right, the mean score upwards.
    pub line: String,
    /// "Skip became Ship on 3 December 2026", newest first.
    pub turns: Vec<String>,
}

pub(super) struct HistoryRow {
    pub date: Date,
    pub panel: Badge,
    pub mean: String,
}

impl HistoryView {
    /// Until `now`. `None` where nobody has reviewed the tool.
    pub fn new(site: &Site, points: &[PanelPoint], now: Timestamp) -> Option<Self> {
        let points: Vec<&PanelPoint> = points
            .iter()
            .filter(|point| point.panel.total() > 0)
            .collect();
        let (first, last) = (points.first()?, points.last()?);
        let span = (now.max(last.at) - first.at).num_seconds().max(1);
        let height = |point: &PanelPoint| 100 - point.mean().unwrap_or(0).min(100);
        let column = |point: &PanelPoint| WIDTH * (point.at - first.at).num_seconds() / span;
        // A score holds until the next one: steps, not slopes.
        let mut corners: Vec<String> = Vec::new();
        for (point, before) in points
            .iter()
            .zip([None].into_iter().chain(points.iter().map(Some)))
        {
            corners.extend(before.map(|before| format!("{},{}", column(point), height(before))));
            corners.push(format!("{},{}", column(point), height(point)));
        }
        corners.push(format!("{WIDTH},{}", height(last)));
        let row = |point: &&PanelPoint| HistoryRow {
            date: Date::new(site, point.at),
            panel: Badge(point.panel),
            mean: point
                .mean()
                .map(|mean| mean.to_string())
                .unwrap_or_default(),
        };
        let owned: Vec<PanelPoint> = points.iter().map(|point| **point).collect();
        let mut turned: Vec<String> = turns(&owned)
            .map(|(at, before, after)| {
                format!(
                    "{} became {} on {}",
                    before.label(),
                    after.label(),
                    Date::new(site, at).words
                )
            })
            .collect();
        turned.reverse();
        Some(Self {
            rows: points.iter().map(row).collect(),
            line: corners.join(" "),
            turns: turned,
        })
    }
}
