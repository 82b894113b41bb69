//! Tools, their reviews, and the comparisons of two of them.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

use super::Timestamp;
use super::named;

/// The part of a web address that names a tool or a comparison: lower-case letters, digits and single hyphens, at most
/// 200 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

impl Slug {
    /// The longest slug; two of half that length make a comparison's.
    pub const MAX: usize = 200;

    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no slug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a slug: expected lower-case letters, digits and single hyphens, at most {max}", max = Slug::MAX)]
pub struct SlugError(String);

impl FromStr for Slug {
    type Err = SlugError;
    fn from_str(text: &str) -> Result<Self, SlugError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let hyphens = text.starts_with('-') || text.ends_with('-') || text.contains("--");
        if text.is_empty() || text.len() > Self::MAX || hyphens || !text.bytes().all(allowed) {
            return Err(SlugError(text.to_owned()));
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for Slug {
    type Error = SlugError;
    fn try_from(text: String) -> Result<Self, SlugError> {
        text.parse()
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A reviewer's score of a tool, 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Score(u8);

impl Score {
    /// The points.
    pub fn points(self) -> u8 {
        self.0
    }
}

/// A number that is no score.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a score: expected 0 to 100")]
pub struct ScoreError(i64);

impl TryFrom<i64> for Score {
    type Error = ScoreError;
    fn try_from(points: i64) -> Result<Self, ScoreError> {
        match u8::try_from(points) {
            Ok(points @ 0..=100) => Ok(Self(points)),
            _ => Err(ScoreError(points)),
        }
    }
}

impl From<Score> for i64 {
    fn from(score: Score) -> Self {
        score.0.into()
    }
}

named! {
    /// One reviewer's answer, or one reader's.
    Verdict {
        /// Use it.
        Ship => "ship",
        /// Leave it.
        Skip => "skip",
    }
}

named! {
    /// The five of the panel, in the order in which a page shows them.
    Reviewer {
        /// Looks at how it is built and how soon it works.
        Builder => "Builder",
        /// Looks for what is not true, or not for long.
        Skeptic => "Skeptic",
        /// Looks at where it leads.
        Futurist => "Futurist",
        /// Looks at who pays and why they stay.
        Founder => "Founder",
        /// Looks at the work that comes out of it.
        Creator => "Creator",
    }
}

/// One reviewer's score, verdict and take on a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Who.
    pub reviewer: Reviewer,
    /// Their score.
    pub score: Score,
    /// Their answer.
    pub verdict: Verdict,
    /// Their reasons: a paragraph.
    pub take: String,
    /// Sentence that mails quote; without one [`crate::domain::quote::sentence`] chooses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
}

/// A tool with the panel's reviews.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name in addresses, unique.
    pub slug: Slug,
    /// Its name for people.
    pub name: String,
    /// The shelf it stands on, like "Developer Tools".
    pub category: String,
    /// Description in a line; shown as "Best for".
    pub tagline: String,
    /// Description in a paragraph.
    pub description: String,
    /// Its maker's page.
    pub url: Option<String>,
    /// Price, in the maker's terms; empty when unknown.
    pub pricing: String,
    /// The smallest amount one can start with; empty when unknown.
    pub entry_price: String,
    /// Time at which its verdict was first published.
    pub published_at: Timestamp,
    /// True if it is invented, and must be shown as such.
    pub sample: bool,
    /// At most one of each reviewer, in the panel's order.
    pub reviews: Vec<Review>,
}

/// The form in which categories are compared: "Developer Tools" and "developer  tools" are one.
pub fn category_key(category: &str) -> String {
    category
        .split_whitespace()
        .map(str::to_lowercase)
        .collect::<Vec<_>>()
        .join(" ")
}

impl Tool {
    /// This tool with the quotes of `known` for takes that are the same and name none.
    pub fn with_quotes_of(&self, known: &Self) -> Self {
        let mut whole = self.clone();
        for review in &mut whole.reviews {
            let same = known
                .review_by(review.reviewer)
                .filter(|known| known.take == review.take);
            review.quote = review
                .quote
                .take()
                .or_else(|| same.and_then(|known| known.quote.clone()));
        }
        whole
    }

    /// This tool as a document has it, with what the document does not mention taken from `known`: other reviewers' reviews, the
    /// quote of a take that is the same, and an address or prices that it leaves out.
    pub fn completed_by(&self, known: &Self) -> Self {
        let mut whole = self.with_quotes_of(known);
        let missing = known
            .reviews
            .iter()
            .filter(|review| self.review_by(review.reviewer).is_none());
        whole.reviews.extend(missing.cloned());
        whole.reviews.sort_by_key(|review| review.reviewer);
        whole.url = whole.url.or_else(|| known.url.clone());
        for (own, known) in [
            (&mut whole.pricing, &known.pricing),
            (&mut whole.entry_price, &known.entry_price),
        ] {
            if own.is_empty() {
                own.clone_from(known);
            }
        }
        whole
    }

    /// Returns how the panel voted.
    pub fn panel(&self) -> Panel {
        let ships = self
            .reviews
            .iter()
            .filter(|review| review.verdict == Verdict::Ship)
            .count();
        Panel {
            ships: ships as u32,
            skips: (self.reviews.len() - ships) as u32,
        }
    }

    /// That reviewer's review, if they wrote one.
    pub fn review_by(&self, reviewer: Reviewer) -> Option<&Review> {
        self.reviews
            .iter()
            .find(|review| review.reviewer == reviewer)
    }
}

/// Two tools side by side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Its name in addresses, unique; `left-vs-right` unless said otherwise.
    pub slug: Slug,
    /// The tool on the left.
    pub left: Slug,
    /// The tool on the right, another one.
    pub right: Slug,
    /// Time at which it was published.
    pub published_at: Timestamp,
    /// True if it compares invented tools, and must be shown as such.
    pub sample: bool,
}

/// Votes of a panel: its verdict is the ship share of its reviews.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Panel {
    /// Reviewers who said *ship*.
    pub ships: u32,
    /// Reviewers who said *skip*.
    pub skips: u32,
}

impl Panel {
    /// Reviewers who said anything.
    pub fn total(self) -> u32 {
        self.ships + self.skips
    }

    /// Returns what the majority says; `None` when it is split in halves, or nobody spoke.
    pub fn verdict(self) -> Option<Verdict> {
        match self.ships.cmp(&self.skips) {
            std::cmp::Ordering::Greater => Some(Verdict::Ship),
            std::cmp::Ordering::Less => Some(Verdict::Skip),
            std::cmp::Ordering::Equal => None,
        }
    }

    /// The share that said *ship*, in per cent, rounded; 0 when nobody spoke.
    pub fn ship_percent(self) -> u32 {
        (self.ships * 200 + self.total())
            .checked_div(2 * self.total())
            .unwrap_or(0)
    }

    /// The verdict for people: "Ship", "Skip", "Split", or "No verdict yet".
    pub fn label(self) -> &'static str {
        match (self.verdict(), self.total()) {
            (_, 0) => "No verdict yet",
            (Some(Verdict::Ship), _) => "Ship",
            (Some(Verdict::Skip), _) => "Skip",
            (None, _) => "Split",
        }
    }
}

/// Said where neither readers nor visitors voted.
pub const NO_VOTES: &str = "No community votes yet";

/// Readers' votes on a tool: its community verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Votes {
    /// Readers who said *ship*.
    pub ships: u64,
    /// Readers who said *skip*.
    pub skips: u64,
}

impl Votes {
    /// Fewer votes than this say too little to be shown as a share, or to move a ranking.
    pub const ENOUGH: u64 = 5;

    /// All votes.
    pub fn total(self) -> u64 {
        self.ships.saturating_add(self.skips)
    }

    /// The share of *ship* in per cent, rounded, once there are [`Votes::ENOUGH`].
    pub fn ship_percent(self) -> Option<u64> {
        let total = self.total();
        (total >= Self::ENOUGH)
            .then(|| (self.ships.saturating_mul(200).saturating_add(total)) / (2 * total))
    }

    /// Returns what `who` ("reader", "visitor") voted, for people; `None` when nobody did.
    fn describe(self, who: &str) -> Option<String> {
        match (self.ship_percent(), self.total()) {
            (_, 0) => None,
            (None, 1) => Some(format!("1 {who} voted")),
            (None, total) => Some(format!("{total} {who}s voted")),
            (Some(percent), total) => Some(format!("{percent}% of {total} {who}s say ship")),
        }
    }
}

/// A tool as a comparison shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RatedTool {
    /// The tool with its reviews.
    pub tool: Tool,
    /// Readers' votes.
    pub votes: Votes,
    /// Votes of the site's visitors, who are no subscribers: counted apart.
    #[serde(default)]
    pub visitors: Votes,
}

impl RatedTool {
    /// The community verdict for people: readers and visitors, each as a share from [`Votes::ENOUGH`] votes on.
    pub fn community(&self) -> String {
        let parts: Vec<String> = [
            self.votes.describe("reader"),
            self.visitors.describe("visitor"),
        ]
        .into_iter()
        .flatten()
        .collect();
        if parts.is_empty() {
            NO_VOTES.into()
        } else {
            parts.join(", ")
        }
    }
}

/// A comparison with all that is shown of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RatedComparison {
    /// Comparison.
    pub comparison: Comparison,
    /// The tool on the left.
    pub left: RatedTool,
    /// The tool on the right.
    pub right: RatedTool,
}

impl RatedComparison {
    /// "Left vs Right".
    pub fn title(&self) -> String {
        format!("{} vs {}", self.left.tool.name, self.right.tool.name)
    }

    /// Both tools, left first.
    pub fn contenders(&self) -> [&RatedTool; 2] {
        [&self.left, &self.right]
    }

    /// Returns whether any of it is invented.
    pub fn is_sample(&self) -> bool {
        self.comparison.sample || self.left.tool.sample || self.right.tool.sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_speaks_by_its_majority_and_says_when_it_is_split() {
        let panel = |ships, skips| Panel { ships, skips };
        assert_eq!(
            (panel(3, 1).label(), panel(3, 1).ship_percent()),
            ("Ship", 75)
        );
        assert_eq!(
            (panel(2, 2).label(), panel(2, 2).ship_percent()),
            ("Split", 50)
        );
        assert_eq!(
            (panel(1, 4).label(), panel(1, 4).ship_percent()),
            ("Skip", 20)
        );
        assert_eq!(
            (panel(0, 0).label(), panel(0, 0).ship_percent()),
            ("No verdict yet", 0)
        );
        assert_eq!(panel(2, 1).ship_percent(), 67);
    }

    #[test]
    fn a_handful_of_votes_is_no_percentage() {
        let votes = |ships, skips| {
            Votes { ships, skips }
                .describe("reader")
                .unwrap_or_default()
        };
        assert_eq!(votes(0, 0), "");
        assert_eq!(votes(1, 0), "1 reader voted");
        assert_eq!(votes(3, 1), "4 readers voted");
        assert_eq!(votes(52, 48), "52% of 100 readers say ship");
    }

    #[test]
    fn a_slug_is_what_an_address_can_carry() {
        for good in ["a", "llama-4-compact-12b", "0-1"] {
            assert!(good.parse::<Slug>().is_ok());
        }
        for bad in [
            "",
            "-a",
            "a-",
            "a--b",
            "A",
            "a b",
            "a/b",
            "ä",
            &"a".repeat(201),
        ] {
            assert!(bad.parse::<Slug>().is_err(), "{bad:?}");
        }
    }
}
