//! One weekly issue and its life.

use serde::Deserialize;
use serde::Serialize;

use super::Timestamp;
use super::catalogue::Panel;
use super::catalogue::RatedComparison;
use super::catalogue::RatedTool;
use super::catalogue::Slug;
use super::catalogue::Votes;
use super::issue_text::IssueText;
use super::named;
use super::pick_reason::PickReason;
use super::slot::Slot;

named! {
    /// `draft -> approved -> sending -> sent`; a digest may be paused while it is sent, and cancelled until it is sent.
    DigestState {
        /// Picked; waits for a person.
        Draft => "draft",
        /// Waits for its time.
        Approved => "approved",
        /// Published: its deliveries exist and go out.
        Sending => "sending",
        /// Published; its deliveries wait until it is resumed.
        Paused => "paused",
        /// Every delivery is final.
        Sent => "sent",
        /// There was nothing new that week; nobody gets mail.
        Skipped => "skipped",
        /// Given up by hand; deliveries not made yet never will be.
        Cancelled => "cancelled",
    }
}

named! {
    /// Dimension by which the outcomes of a digest's deliveries are counted.
    OutcomeDimension {
        /// Recipient domain.
        Domain => "domain",
        /// Relay of the last attempt.
        Relay => "relay",
    }
}

/// A digest without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// `slot.id()`.
    pub slot: Slot,
    /// State of its life.
    pub state: DigestState,
    /// Time at which it is due to be sent.
    pub send_at: Timestamp,
    /// Time at which it was published, which froze it.
    pub published_at: Option<Timestamp>,
    /// Time at which its last delivery became final.
    pub finished_at: Option<Timestamp>,
    /// For how many people deliveries were made.
    pub recipients: i64,
    /// Number of changes of what it shows.
    pub revision: i64,
}

/// A picked comparison with all that is shown of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DigestItem {
    /// The comparison.
    pub matchup: RatedComparison,
    /// Points of the pick.
    pub score: f64,
    /// Reason why it was picked.
    #[serde(deserialize_with = "super::pick_reason::from_any")]
    pub reasons: Vec<PickReason>,
}

/// Content of a digest: frozen when it is published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DigestContent {
    /// Its week.
    pub slot: Slot,
    /// The comparisons, best first.
    pub items: Vec<DigestItem>,
    /// Part before them.
    #[serde(default)]
    pub opening: Opening,
    /// Text that people wrote for it.
    #[serde(default, skip_serializing_if = "IssueText::is_empty")]
    pub text: IssueText,
    /// Corrections after it was published, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corrections: Vec<Correction>,
}

/// A correction of a published digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// Time when it was made.
    pub at: Timestamp,
    /// Sentence for readers on what was wrong.
    pub note: String,
}

impl DigestContent {
    /// Returns whether any of it is invented.
    pub fn is_sample(&self) -> bool {
        self.items.iter().any(|item| item.matchup.is_sample())
    }
}

/// Opening of a digest, before its comparisons.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// The verdicts that turned, on tools that its reader voted on or saved: read first.
    #[serde(default)]
    pub turns: Vec<VerdictChange>,
    /// "What you decided last week", once somebody voted.
    #[serde(default)]
    pub decided: Option<PreviousVotes>,
    /// True if its reader has tools saved.
    #[serde(default)]
    pub has_saved: bool,
    /// True if its reader gets a digest once a month.
    #[serde(default)]
    pub is_monthly: bool,
}

/// Readers' votes on the tools of the digest before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousVotes {
    /// Those that most readers voted on, at most [`PreviousVotes::MOST`], most votes first.
    #[serde(default)]
    pub tools: Vec<PreviousVotesTool>,
    /// Tool on which readers and panel are furthest apart, when both have said enough.
    #[serde(default)]
    pub apart: Option<PreviousVotesTool>,
}

/// Votes of readers and panel on a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousVotesTool {
    /// Its name.
    pub name: String,
    /// The readers,
    pub votes: Votes,
    /// and the panel.
    pub panel: Panel,
}

impl PreviousVotes {
    /// Tools that one digest tells: more are a list that nobody reads before the new comparisons.
    pub const MOST: usize = 6;
    /// Per cent that readers and panel must be apart for it to be said.
    const FAR: u64 = 20;
}

impl PreviousVotesTool {
    /// Returns how many per cent readers and panel are apart; `None` as long as one of them has not said enough.
    fn distance(&self) -> Option<u64> {
        let readers = self.votes.ship_percent()?;
        (self.panel.total() > 0).then(|| readers.abs_diff(u64::from(self.panel.ship_percent())))
    }
}

/// Panel against readers on the tools of `matchups`; `None` when no reader voted.
pub fn decided(matchups: &[RatedComparison]) -> Option<PreviousVotes> {
    let told = |side: &RatedTool| PreviousVotesTool {
        name: side.tool.name.clone(),
        votes: side.votes,
        panel: side.tool.panel(),
    };
    let voted = matchups
        .iter()
        .flat_map(RatedComparison::contenders)
        .filter(|side| side.votes.total() > 0);
    let mut tools: Vec<PreviousVotesTool> = voted.map(told).collect();
    tools.sort_by_key(|tool| std::cmp::Reverse(tool.votes.total()));
    let far = tools
        .iter()
        .filter_map(|tool| Some((tool.distance()?, tool)))
        .filter(|(distance, _)| *distance >= PreviousVotes::FAR);
    let furthest = far.reduce(|best, next| if next.0 > best.0 { next } else { best });
    let apart = furthest.map(|(_, tool)| tool.clone());
    tools.truncate(PreviousVotes::MOST);
    (!tools.is_empty()).then_some(PreviousVotes { tools, apart })
}

/// A panel's verdict that turned.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VerdictChange {
    /// Of which tool.
    pub tool: Slug,
    /// Its name.
    pub name: String,
    /// The verdict's label before,
    pub before: String,
    /// and now.
    pub after: String,
}

impl VerdictChange {
    /// "Skip became Ship".
    pub fn describe(&self) -> String {
        format!("{} became {}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opening_that_was_frozen_in_an_older_form_is_read() {
        let old = r#"{"turns":[],"decided":{"lines":["Llama: 62 % of 40 readers say ship"],"disagreement":null},"has_saved":true}"#;
        let read: Opening = serde_json::from_str(old).expect("an opening");
        assert_eq!(
            read,
            Opening {
                decided: Some(PreviousVotes {
                    tools: Vec::new(),
                    apart: None
                }),
                has_saved: true,
                ..Opening::default()
            }
        );
    }
}
