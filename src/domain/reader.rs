//! What a reader does beyond reading: votes, tools saved for later, and what became of them since.

use serde::Deserialize;
use serde::Serialize;

use super::Timestamp;
use super::catalogue::Contender;
use super::catalogue::Panel;
use super::catalogue::Slug;
use super::catalogue::Verdict;

/// Most tools that one reader saves.
pub const MOST_SAVED: i64 = 500;

/// What somebody did with a tool so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Their vote on it.
    pub vote: Option<Verdict>,
    /// Whether it is among what they saved.
    pub saved: bool,
}

/// How a tool's panel stood from some moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PanelPoint {
    /// From when on.
    pub at: Timestamp,
    /// How it had voted.
    pub panel: Panel,
    /// The sum of its scores.
    pub points: u32,
}

impl PanelPoint {
    /// The mean score, rounded; `None` when nobody had spoken.
    pub fn mean(&self) -> Option<u32> {
        (2 * self.points + self.panel.total()).checked_div(2 * self.panel.total())
    }
}

/// A panel's verdict that turned.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Turn {
    /// Of which tool.
    pub tool: Slug,
    /// Its name.
    pub name: String,
    /// The verdict's label before,
    pub before: String,
    /// and now.
    pub after: String,
}

impl Turn {
    /// "Skip became Ship".
    pub fn words(&self) -> String {
        format!("{} became {}", self.before, self.after)
    }
}

/// The turns of a panel's verdict among `points`, oldest first: a verdict that was given for the first time is none.
pub fn turns(points: &[PanelPoint]) -> impl Iterator<Item = (Timestamp, Panel, Panel)> {
    let turned = |pair: &[PanelPoint]| pair[0].panel.total() > 0 && pair[0].panel.label() != pair[1].panel.label();
    points.windows(2).filter(move |pair| turned(pair)).map(|pair| (pair[1].at, pair[0].panel, pair[1].panel))
}

/// A tool that a reader saved for later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The tool as it is now.
    pub contender: Contender,
    /// When it was saved.
    pub at: Timestamp,
    /// How its panel stood then.
    pub then: Panel,
    /// How its panel stood at each change since.
    pub since: Vec<PanelPoint>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(day: i64, ships: u32, skips: u32) -> PanelPoint {
        PanelPoint { at: super::super::from_millis(day * 86_400_000), panel: Panel { ships, skips }, points: 70 * ships + 30 * skips }
    }

    #[test]
    fn a_verdict_turns_when_its_word_changes_and_a_first_word_is_no_turn() {
        let points = [point(1, 0, 0), point(2, 1, 3), point(3, 0, 4), point(4, 3, 1), point(5, 2, 2)];
        let words: Vec<String> = turns(&points).map(|(_, before, after)| format!("{} {}", before.label(), after.label())).collect();
        assert_eq!(words, ["Skip Ship", "Ship Split"]);
    }

    #[test]
    fn a_mean_is_rounded_and_nobodys_is_none() {
        assert_eq!((point(1, 3, 1).mean(), point(1, 0, 0).mean()), (Some(60), None));
        assert_eq!(PanelPoint { points: 5, ..point(1, 1, 1) }.mean(), Some(3));
    }
}
