//! One weekly issue and its life.

use serde::Deserialize;
use serde::Serialize;

use super::Timestamp;
use super::catalogue::Contender;
use super::catalogue::Matchup;
use super::named;
use super::reader::Turn;
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

/// A digest without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// `slot.id()`.
    pub slot: Slot,
    /// Where it is in its life.
    pub state: DigestState,
    /// When it is due to be sent.
    pub send_at: Timestamp,
    /// When it was published, which froze it.
    pub published_at: Option<Timestamp>,
    /// When its last delivery became final.
    pub finished_at: Option<Timestamp>,
    /// For how many people deliveries were made.
    pub recipients: i64,
}

/// A picked comparison with all that is shown of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// What is compared.
    pub matchup: Matchup,
    /// Points of the pick.
    pub score: f64,
    /// Why it was picked, in words for a reader.
    pub reasons: Vec<String>,
}

/// What a digest says: frozen when it is published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// Its week.
    pub slot: Slot,
    /// The comparisons, best first.
    pub items: Vec<Item>,
    /// What comes before them.
    #[serde(default)]
    pub opening: Opening,
}

impl Content {
    /// Whether any of it is invented.
    pub fn is_sample(&self) -> bool {
        self.items.iter().any(|item| item.matchup.is_sample())
    }
}

/// What a digest opens with, before its comparisons.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// The verdicts that turned, on tools that its reader voted on or saved: read first.
    #[serde(default)]
    pub turns: Vec<Turn>,
    /// "What you decided last week", once somebody voted.
    #[serde(default)]
    pub decided: Option<Decided>,
    /// Whether its reader has tools saved.
    #[serde(default)]
    pub has_saved: bool,
}

/// How readers voted on the tools of the digest before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// "Llama: 62 % of 40 readers say ship, the panel Ship 3 to 1", for each tool that was voted on.
    pub lines: Vec<String>,
    /// Where readers and panel are furthest apart, when both have said enough.
    pub disagreement: Option<String>,
}

/// Panel against readers on the tools of `matchups`; `None` when no reader voted.
pub fn decided(matchups: &[Matchup]) -> Option<Decided> {
    let voted: Vec<&Contender> = matchups.iter().flat_map(Matchup::contenders).filter(|side| side.votes.total() > 0).collect();
    let line = |side: &&Contender| {
        let panel = side.tool.panel();
        let readers = match side.votes.ship_percent() {
            Some(percent) => format!("{percent} % of {} readers say ship", side.votes.total()),
            None => format!("{} ship, {} skip", side.votes.ships, side.votes.skips),
        };
        format!("{}: {readers}; the panel says {}", side.tool.name, panel.label())
    };
    let apart = |side: &&Contender| {
        let percent = side.votes.ship_percent()?;
        (side.tool.panel().total() > 0).then(|| percent.abs_diff(u64::from(side.tool.panel().ship_percent())))
    };
    let furthest =
        voted.iter().filter_map(|side| Some((apart(side)?, *side))).reduce(|best, next| if next.0 > best.0 { next } else { best });
    let disagreement = furthest.filter(|(points, _)| *points >= 20).and_then(|(_, side)| {
        let (panel, readers) = (side.tool.panel().ship_percent(), side.votes.ship_percent()?);
        Some(format!("The biggest disagreement: {}. {panel} % of the panel ship it, {readers} % of you do.", side.tool.name))
    });
    (!voted.is_empty()).then(|| Decided { lines: voted.iter().map(line).collect(), disagreement })
}
