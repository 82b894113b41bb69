//! Sources: where verdicts come from without typing, what was read there, and when it is read again.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::Deserialize;
use serde::Serialize;

use super::Timestamp;
use super::catalogue::Comparison;
use super::catalogue::Reviewer;
use super::catalogue::Tool;
use super::catalogue::Verdict;

super::named! {
    /// Kind of a source.
    SourceKind {
        /// RSS, Atom or JSON Feed.
        Feed => "feed",
        /// A page about a tool or a comparison.
        Page => "page",
        /// A catalogue document at an address.
        Catalogue => "catalogue",
        /// A folder of catalogue documents.
        Folder => "folder",
    }
}

super::named! {
    /// Treatment of what a source brings.
    SourceMode {
        /// A person accepts or rejects it.
        Review => "review",
        /// It is published at once, if nothing is wrong with it.
        Publish => "publish",
    }
}

super::named! {
    /// State of a proposal.
    ProposalState {
        /// Not seen before.
        New => "new",
        /// Seen before, and different now.
        Changed => "changed",
        /// In the catalogue.
        Accepted => "accepted",
        /// Refused by a person.
        Rejected => "rejected",
        /// The catalogue had it already.
        Skipped => "skipped",
    }
}

impl ProposalState {
    /// Returns true if it waits for a decision.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::New | Self::Changed)
    }
}

super::named! {
    /// Kind of a remark about a proposal.
    RemarkKind {
        /// A question: it can be accepted once a person answers it.
        Question => "question",
        /// A fault: it cannot be accepted.
        Fault => "fault",
        /// Something to know.
        Note => "note",
    }
}

/// A remark about a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRemark {
    /// Kind.
    pub kind: RemarkKind,
    /// Field that it is about, like `example-tool Builder verdict`; empty: the whole.
    pub field: String,
    /// A sentence.
    pub detail: String,
}

/// Interpretation of what a source holds, as it is configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceMapping {
    /// Category of tools for which the source names none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub category: String,
    /// Lowest score that means *ship* where the source says no verdict. Without it, a person is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ship_from: Option<u8>,
    /// Reviewers of the panel by the names that the source has for them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reviewers: BTreeMap<String, Reviewer>,
    /// CSS selectors of a page's parts: `tool`, `name`, `category`, `tagline`, `description`, `url`, `pricing`, `entry_price`, `review`,
    /// `reviewer`, `score`, `verdict`, `take`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub select: BTreeMap<String, String>,
    /// Reads the page that each new entry of a feed leads to.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
}

/// Names that [`SourceMapping::select`] may have.
pub const SELECTABLE: [&str; 13] = [
    "tool",
    "name",
    "category",
    "tagline",
    "description",
    "url",
    "pricing",
    "entry_price",
    "review",
    "reviewer",
    "score",
    "verdict",
    "take",
];

/// A review as a source has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundReview {
    /// Reviewer.
    pub reviewer: Reviewer,
    /// Score, a number from 0 to 100 as text.
    pub score: String,
    /// Verdict, where the source says one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verdict: Option<Verdict>,
    /// Take.
    pub take: String,
    /// Sentence that mails quote.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub quote: Option<String>,
}

/// A tool as a source has it; what it does not say is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FoundTool {
    /// Slug; empty: made from the name.
    pub slug: String,
    /// Name.
    pub name: String,
    /// Category.
    pub category: String,
    /// Tagline.
    pub tagline: String,
    /// Description.
    pub description: String,
    /// Address of its maker's page.
    pub url: String,
    /// Pricing.
    pub pricing: String,
    /// Entry price.
    pub entry_price: String,
    /// Time of publication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    /// True if it is invented.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sample: bool,
    /// Reviews.
    pub reviews: Vec<FoundReview>,
}

/// A comparison as a source has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FoundComparison {
    /// Slug; empty: made of the tools'.
    pub slug: String,
    /// Slug of the tool on the left, or its name where the source has no slug.
    pub left: String,
    /// The same of the tool on the right.
    pub right: String,
    /// Time of publication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    /// True if it compares invented tools.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sample: bool,
}

/// Something that a source holds and that is decided on as one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FoundEntry {
    /// Its identity at the source; empty where the source gives none.
    pub guid: String,
    /// Address of its page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Title.
    pub title: String,
    /// Tools.
    pub tools: Vec<FoundTool>,
    /// Comparisons.
    pub comparisons: Vec<FoundComparison>,
    /// Remarks of whoever read it.
    pub remarks: Vec<EntryRemark>,
}

impl FoundEntry {
    /// Adds a remark.
    pub fn remark(&mut self, kind: RemarkKind, field: &str, detail: impl Into<String>) {
        self.remarks.push(EntryRemark {
            kind,
            field: field.to_owned(),
            detail: detail.into(),
        });
    }
}

impl From<&Tool> for FoundTool {
    fn from(tool: &Tool) -> Self {
        let review = |review: &super::catalogue::Review| FoundReview {
            reviewer: review.reviewer,
            score: review.score.points().to_string(),
            verdict: Some(review.verdict),
            take: review.take.clone(),
            quote: review.quote.clone(),
        };
        Self {
            slug: tool.slug.to_string(),
            name: tool.name.clone(),
            category: tool.category.clone(),
            tagline: tool.tagline.clone(),
            description: tool.description.clone(),
            url: tool.url.clone().unwrap_or_default(),
            pricing: tool.pricing.clone(),
            entry_price: tool.entry_price.clone(),
            published_at: Some(tool.published_at),
            sample: tool.sample,
            reviews: tool.reviews.iter().map(review).collect(),
        }
    }
}

impl From<&Comparison> for FoundComparison {
    fn from(comparison: &Comparison) -> Self {
        Self {
            slug: comparison.slug.to_string(),
            left: comparison.left.to_string(),
            right: comparison.right.to_string(),
            published_at: Some(comparison.published_at),
            sample: comparison.sample,
        }
    }
}

/// Shortest interval between two looks at a host that is not ours.
pub const EVERY_MIN: TimeDelta = TimeDelta::minutes(30);
/// Longest interval between two looks, also after failures.
pub const EVERY_MAX: TimeDelta = TimeDelta::days(1);
/// Interval at which a folder is looked at.
pub const FOLDER_EVERY: TimeDelta = TimeDelta::minutes(1);
/// Failures in a row from which users are told.
pub const FAILURES_TOLD: u32 = 3;

/// Time of the next look: after `every`, doubled with each failure up to [`EVERY_MAX`], a tenth earlier or later by `chance` (0 to 1), and
/// not before the server wants to be asked again.
pub fn next_look(
    every: TimeDelta,
    failures: u32,
    retry_after: Option<TimeDelta>,
    chance: f64,
    now: Timestamp,
) -> Timestamp {
    let doubled = every.num_milliseconds() << failures.min(12);
    let wait = doubled.clamp(
        0,
        EVERY_MAX.num_milliseconds().max(every.num_milliseconds()),
    );
    let spread = (chance.clamp(0.0, 1.0) * 0.2 + 0.9) * wait as f64;
    let wait = TimeDelta::milliseconds(spread as i64);
    let asked = retry_after.map_or(TimeDelta::zero(), |asked| asked.min(EVERY_MAX));
    now + wait.max(asked)
}

/// An address by which two entries are the same: without its fragment, its default port, what counts clicks, and a slash at the end.
pub fn canonical_url(url: &url::Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| {
            !name.starts_with("utm_") && !matches!(name.as_ref(), "fbclid" | "gclid")
        })
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    match kept.is_empty() {
        true => url.set_query(None),
        false => {
            url.query_pairs_mut().clear().extend_pairs(kept);
        }
    }
    let text: String = url.into();
    text.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_put_a_look_off_up_to_a_day_and_a_server_may_ask_for_more() {
        let now: Timestamp = "2026-11-24T09:00:00Z".parse().expect("a time");
        let hour = TimeDelta::hours(1);
        let wait = |failures, asked, chance| {
            (next_look(hour, failures, asked, chance, now) - now).num_minutes()
        };
        assert_eq!(
            [wait(0, None, 0.0), wait(0, None, 0.5), wait(0, None, 1.0)],
            [54, 60, 66]
        );
        assert_eq!(
            [wait(1, None, 0.5), wait(3, None, 0.5), wait(30, None, 0.5)],
            [120, 480, 1_440]
        );
        assert_eq!(wait(0, Some(TimeDelta::hours(5)), 0.5), 300);
        assert_eq!(wait(0, Some(TimeDelta::days(90)), 0.5), 1_440);
        assert_eq!(wait(0, Some(TimeDelta::seconds(1)), 0.5), 60);
    }

    #[test]
    fn an_address_is_the_same_whatever_counts_its_clicks() {
        let same = |text: &str| canonical_url(&text.parse().expect("an address"));
        for text in [
            "https://a.example/x",
            "https://a.example:443/x/",
            "https://A.example/x?utm_source=rss&utm_medium=feed#top",
            "https://a.example/x?fbclid=1",
        ] {
            assert_eq!(same(text), "https://a.example/x", "{text}");
        }
        assert_eq!(
            same("https://a.example/x?id=1&utm_source=y"),
            "https://a.example/x?id=1"
        );
    }
}
