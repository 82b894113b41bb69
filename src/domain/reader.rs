//! Readers' actions beyond reading: votes, tools saved for later, and what became of them since.

use chrono::TimeDelta;
use serde::Serialize;

use super::Timestamp;
use super::catalogue::Panel;
use super::catalogue::RatedTool;
use super::catalogue::Slug;
use super::catalogue::Verdict;
use super::catalogue::category_key;
use super::digest::DigestItem;
use super::digest::VerdictChange;
use super::pick_reason::PickReason;

/// Longest pause, counted from when it began: whoever holds a digest can set one, so none lasts for ever.
pub const LONGEST_PAUSE: TimeDelta = TimeDelta::weeks(26);

/// Most tools that one reader saves.
pub const MOST_SAVED: i64 = 500;

/// Reason that somebody gives, of their own will, after they unsubscribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnsubscribeReason {
    /// The newsletter comes more often than they read it.
    TooOften,
    /// The content is of no use to them.
    NotUseful,
    /// They did not sign up, or do not remember it.
    NeverSignedUp,
    /// Any other reason.
    Other,
}

impl UnsubscribeReason {
    /// Every reason, in the order in which they are offered.
    pub const ALL: [Self; 4] = [
        Self::TooOften,
        Self::NotUseful,
        Self::NeverSignedUp,
        Self::Other,
    ];

    /// Word in forms and in the database.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooOften => "too_often",
            Self::NotUseful => "not_useful",
            Self::NeverSignedUp => "never_signed_up",
            Self::Other => "other",
        }
    }

    /// Returns the reason with that code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// Words on its button.
    pub fn label(self) -> &'static str {
        match self {
            Self::TooOften => "Too much mail",
            Self::NotUseful => "Not useful to me",
            Self::NeverSignedUp => "I did not sign up",
            Self::Other => "Another reason",
        }
    }
}

/// A reader's vote on a tool and whether it is saved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReaderToolState {
    /// Their vote on it.
    pub vote: Option<Verdict>,
    /// True if it is among what they saved.
    pub saved: bool,
}

/// Votes of a tool's panel from some time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PanelPoint {
    /// From when on.
    pub at: Timestamp,
    /// Its votes before.
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

/// The turns of a panel's verdict among `points`, oldest first: a verdict that was given for the first time is none.
pub fn turns(points: &[PanelPoint]) -> impl Iterator<Item = (Timestamp, Panel, Panel)> {
    let turned = |pair: &[PanelPoint]| {
        pair[0].panel.total() > 0 && pair[0].panel.label() != pair[1].panel.label()
    };
    points
        .windows(2)
        .filter(move |pair| turned(pair))
        .map(|pair| (pair[1].at, pair[0].panel, pair[1].panel))
}

/// A tool that a reader saved for later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The tool as it is now.
    pub contender: RatedTool,
    /// Time at which it was saved.
    pub at: Timestamp,
    /// Votes of its panel then.
    pub then: Panel,
    /// Votes of its panel at each change since.
    pub since: Vec<PanelPoint>,
}

/// A reader's preferences.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Preferences {
    /// The categories that they follow; none: all.
    pub categories: Vec<String>,
    /// Once a month instead of every week.
    pub monthly: bool,
    /// Until when nothing comes.
    pub paused_until: Option<Timestamp>,
}

impl Preferences {
    /// Sorts the categories and drops what is said twice, so that equal choices are equal texts.
    pub fn tidy(&mut self) {
        self.categories
            .sort_by_cached_key(|category| (category_key(category), category.clone()));
        self.categories
            .dedup_by_key(|category| category_key(category));
        self.categories.sort();
    }

    /// The categories as the text that readers of one choice share.
    pub fn key(&self) -> String {
        key(&self.categories)
    }
}

fn key(categories: &[String]) -> String {
    serde_json::Value::from(categories.to_vec()).to_string()
}

/// Returns whether a text can be somebody's name: one line of at most 100 characters.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= 100 && !text.chars().any(char::is_control)
}

/// Preferences by which one reader's digest differs from another's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PreferenceGroup {
    /// The categories followed, sorted; none: all.
    pub categories: Vec<String>,
    /// Once a month.
    pub monthly: bool,
    /// True if they have tools saved, of which a line reminds.
    pub saved: bool,
    /// The verdicts that turned since their last digest, on tools that they voted on or saved.
    pub turns: Vec<VerdictChange>,
}

impl PreferenceGroup {
    /// Turns that one digest tells.
    pub const MOST_TURNS: usize = 5;

    /// The categories as text.
    pub fn key(&self) -> String {
        key(&self.categories)
    }

    /// Returns whether it is the digest as everybody gets it.
    pub fn is_everybodys(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether that category is among those followed.
    pub fn follows(&self, category: &str) -> bool {
        self.categories
            .iter()
            .any(|followed| category_key(followed) == category_key(category))
    }

    /// Returns whether one of the tools is of a category that is followed.
    pub fn wants(&self, item: &DigestItem) -> bool {
        item.matchup
            .contenders()
            .iter()
            .any(|side| self.follows(&side.tool.category))
    }

    /// The item with "because you follow Design" as its first reason, where that is so.
    pub fn explained(&self, mut item: DigestItem) -> DigestItem {
        let followed = item
            .matchup
            .contenders()
            .into_iter()
            .map(|side| side.tool.category.clone())
            .find(|category| self.follows(category));
        if let Some(category) = followed {
            item.reasons.insert(0, PickReason::Followed { category });
        }
        item
    }
}

/// The best of a month's items: those of the categories followed, by their points, no tool twice. The first of equals stays
/// first, so `month` begins with what is newest.
pub fn best_of(month: &[DigestItem], choice: &PreferenceGroup, most: usize) -> Vec<DigestItem> {
    let mut items: Vec<&DigestItem> = month
        .iter()
        .filter(|item| choice.categories.is_empty() || choice.wants(item))
        .collect();
    items.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut tools: Vec<&Slug> = Vec::new();
    let mut best = Vec::new();
    for item in items {
        let both = item.matchup.contenders().map(|side| &side.tool.slug);
        if best.len() < most && !both.iter().any(|tool| tools.contains(tool)) {
            tools.extend(both);
            best.push(choice.explained(item.clone()));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(day: i64, ships: u32, skips: u32) -> PanelPoint {
        PanelPoint {
            at: super::super::from_millis(day * 86_400_000),
            panel: Panel { ships, skips },
            points: 70 * ships + 30 * skips,
        }
    }

    #[test]
    fn a_verdict_turns_when_its_word_changes_and_a_first_word_is_no_turn() {
        let points = [
            point(1, 0, 0),
            point(2, 1, 3),
            point(3, 0, 4),
            point(4, 3, 1),
            point(5, 2, 2),
        ];
        let words: Vec<String> = turns(&points)
            .map(|(_, before, after)| format!("{} {}", before.label(), after.label()))
            .collect();
        assert_eq!(words, ["Skip Ship", "Ship Split"]);
    }

    #[test]
    fn a_mean_is_rounded_and_nobodys_is_none() {
        assert_eq!(
            (point(1, 3, 1).mean(), point(1, 0, 0).mean()),
            (Some(60), None)
        );
        assert_eq!(
            PanelPoint {
                points: 5,
                ..point(1, 1, 1)
            }
            .mean(),
            Some(3)
        );
    }
}
