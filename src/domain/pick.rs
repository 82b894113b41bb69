//! Picking the week's comparisons: a pure function, the product's heart.
//!
//! Comparisons that came since the last digest come before older ones, whatever their points. Within each of the two, points are
//! summed: readers' votes up to [`PickerRules::votes_weight`] (20 by default), freshness and how contested the panel is up to
//! half of the rest each (40 and 40). 100 is the sum, so votes turn a ranking within that bound only. Every earlier pick of
//! the same category takes a quarter of what is left. The next pick is the one with most points whose tools are not in
//! the digest yet. All arithmetic is on integers (thousandths of a point), and ties are broken by date, then slug, so
//! that the same inputs give the same picks on any machine and in any row order.

use std::collections::HashSet;

use chrono::TimeDelta;
use serde::Deserialize;
use serde::Serialize;

use super::Timestamp;
use super::catalogue::Panel;
use super::catalogue::RatedComparison;
use super::catalogue::Slug;
use super::catalogue::Votes;
use super::catalogue::category_key;
use super::pick_reason::PanelSide;
use super::pick_reason::PickReason;

/// Thousandths of a point that all parts add up to at most.
const ALL: u64 = 100_000;
/// Number of votes on the two tools together that counts in full.
const MANY_VOTES: u64 = 50;
/// Points that a new comparison is ahead of older ones: more than all else together.
const NEW: u64 = ALL;

/// One of the two tools, as far as picking looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidateTool {
    /// The tool.
    pub tool: Slug,
    /// Its name, for the reasons.
    pub name: String,
    /// Its category.
    pub category: String,
    /// Votes of its panel.
    pub panel: Panel,
    /// Votes of readers.
    pub votes: Votes,
}

/// A comparison that may be picked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Comparison.
    pub comparison: Slug,
    /// Time at which it was published.
    pub published_at: Timestamp,
    /// The tool on the left.
    pub left: CandidateTool,
    /// The tool on the right.
    pub right: CandidateTool,
}

/// The settings of `[picker]`.
#[derive(Debug, Clone, Copy)]
pub struct PickerRules {
    /// Most comparisons in a digest.
    pub max_items: usize,
    /// With fewer there is no digest.
    pub min_items: usize,
    /// Upper bound on the age of a comparison that was never sent.
    pub look_back: TimeDelta,
    /// Points that readers' votes give at most, 0 to 100.
    pub votes_weight: u32,
}

impl PickerRules {
    /// Maximum thousandths of a point that votes give.
    fn votes(&self) -> u64 {
        (u64::from(self.votes_weight) * 1000).min(ALL)
    }

    /// Maximum thousandths of a point that freshness and the panel give, each.
    fn other(&self) -> u64 {
        (ALL - self.votes()) / 2
    }
}

/// A chosen comparison, why, and how much it was worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pick {
    /// Comparison.
    pub comparison: Slug,
    /// Points: 100 to 200 for a new one, 0 to 100 for an older one. Never rises from one pick to the next.
    pub score: f64,
    /// Reasons, the weightiest first. JSON that others read has the sentences; the database keeps the codes.
    #[serde(
        serialize_with = "super::pick_reason::in_words",
        deserialize_with = "super::pick_reason::from_any"
    )]
    pub reasons: Vec<PickReason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Points {
    is_new: bool,
    freshness: u64,
    contest: u64,
    votes: u64,
}

/// Chooses the comparisons of one digest, best first; empty when there are fewer than `rules.min_items`.
///
/// Picks the week's comparisons. Published after `since`, when the last digest was frozen, means new; `sent` names the
/// comparisons that some digest already carried. A pair of which no reviewer judged either tool has nothing to tell and is never chosen.
pub fn pick(
    candidates: &[Candidate],
    sent: &HashSet<Slug>,
    since: Timestamp,
    now: Timestamp,
    rules: &PickerRules,
) -> Vec<Pick> {
    let mut left = eligible(candidates, sent, since, now, rules);
    let mut picks: Vec<Pick> = Vec::new();
    let mut tools: HashSet<&Slug> = HashSet::new();
    let mut categories: Vec<&str> = Vec::new();
    while picks.len() < rules.max_items {
        left.retain(|(c, _)| !tools.contains(&c.left.tool) && !tools.contains(&c.right.tool));
        let worth = |c: &Candidate, p: &Points| {
            let alike = categories
                .iter()
                .filter(|shelf| is_one(shelf, &c.left.category) || is_one(shelf, &c.right.category))
                .count();
            p.total(alike as u32)
        };
        let best = left.iter().max_by(|(a, pa), (b, pb)| {
            worth(a, pa)
                .cmp(&worth(b, pb))
                .then(a.published_at.cmp(&b.published_at))
                .then(b.comparison.cmp(&a.comparison))
        });
        let Some(&(chosen, points)) = best else { break };
        picks.push(Pick {
            comparison: chosen.comparison.clone(),
            score: worth(chosen, &points) as f64 / 1000.0,
            reasons: reasons(chosen, points, now),
        });
        tools.extend([&chosen.left.tool, &chosen.right.tool]);
        categories.extend(shelves(chosen));
    }
    if picks.len() < rules.min_items {
        Vec::new()
    } else {
        picks
    }
}

/// A comparison that is in a digest.
#[derive(Debug, Clone, Copy)]
pub struct PickedComparison<'a> {
    /// With its tools.
    pub matchup: &'a RatedComparison,
    /// The points it was picked with.
    pub score: f64,
}

/// A comparison that came close to a digest, and why it is not in it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunnerUp {
    /// As it would be picked next.
    pub pick: Pick,
    /// Names of its tools.
    pub title: String,
    /// Reason why it lost, in words.
    pub why: String,
    /// True if one of its tools is in the digest, so that it cannot be added.
    pub shares_tool: bool,
}

/// The comparisons that come closest to a digest which carries `taken`, best first, at most `most`. `(since, now)` as for [`pick`].
pub fn runners_up(
    (candidates, sent): (&[Candidate], &HashSet<Slug>),
    taken: &[PickedComparison<'_>],
    (since, now): (Timestamp, Timestamp),
    rules: &PickerRules,
    most: usize,
) -> Vec<RunnerUp> {
    let sides = || taken.iter().flat_map(|taken| taken.matchup.contenders());
    let alike = |c: &Candidate| {
        sides()
            .filter(|side| shelves(c).any(|shelf| is_one(shelf, &side.tool.category)))
            .count() as u32
    };
    let is_in = |c: &Candidate| {
        taken
            .iter()
            .any(|taken| taken.matchup.comparison.slug == c.comparison)
    };
    let last = taken.last().map_or(0.0, |taken| taken.score);
    let mut found: Vec<(u64, RunnerUp)> = eligible(candidates, sent, since, now, rules)
        .into_iter()
        .filter(|(c, _)| !is_in(c))
        .map(|(c, points)| {
            let total = points.total(alike(c));
            let score = total as f64 / 1000.0;
            let twice =
                sides().find(|side| [&c.left.tool, &c.right.tool].contains(&&side.tool.slug));
            let why = match twice {
                Some(side) => format!("{} is in another comparison of this digest", side.tool.name),
                None if taken.len() < rules.max_items => "it was left out by hand".into(),
                None if !points.is_new && last >= NEW as f64 / 1000.0 => {
                    "what came since the last digest goes before it".into()
                }
                None if score < last => {
                    format!("{:.1} points less than the last one picked", last - score)
                }
                None => "it came after the digest was picked, or was left out by hand".into(),
            };
            let runner_up = RunnerUp {
                pick: Pick {
                    comparison: c.comparison.clone(),
                    score,
                    reasons: reasons(c, points, now),
                },
                title: format!("{} or {}", c.left.name, c.right.name),
                why,
                shares_tool: twice.is_some(),
            };
            (total, runner_up)
        })
        .collect();
    found.sort_by(|(a, x), (b, y)| {
        b.cmp(a)
            .then_with(|| x.pick.comparison.cmp(&y.pick.comparison))
    });
    found.truncate(most);
    found.into_iter().map(|(_, runner_up)| runner_up).collect()
}

/// The candidates that are published, judged, recent enough and never sent, with their points.
fn eligible<'a>(
    candidates: &'a [Candidate],
    sent: &HashSet<Slug>,
    since: Timestamp,
    now: Timestamp,
    rules: &PickerRules,
) -> Vec<(&'a Candidate, Points)> {
    let oldest = now
        .checked_sub_signed(rules.look_back)
        .unwrap_or(Timestamp::MIN_UTC);
    let is_new = |c: &Candidate| c.published_at > since;
    let is_judged = |c: &Candidate| c.left.panel.total() + c.right.panel.total() > 0;
    let is_recent =
        |c: &Candidate| c.published_at <= now && (is_new(c) || c.published_at >= oldest);
    let fits = |c: &&Candidate| is_recent(c) && is_judged(c) && !sent.contains(&c.comparison);
    let points = |c: &Candidate| Points {
        is_new: is_new(c),
        freshness: freshness(now - c.published_at, rules.look_back, rules.other()),
        contest: contest(c, rules.other()),
        votes: votes(c, rules.votes()),
    };
    candidates
        .iter()
        .filter(fits)
        .map(|c| (c, points(c)))
        .collect()
}

impl Points {
    /// The sum, less a quarter for each earlier pick on the same shelf.
    fn total(self, alike: u32) -> u64 {
        let sum = self.freshness + self.contest + self.votes;
        let mixed = (0..alike.min(64)).fold(sum, |points, _| points * 3 / 4);
        mixed + if self.is_new { NEW } else { 0 }
    }
}

/// Full points when new, none at `look_back`, evenly between.
fn freshness(age: TimeDelta, look_back: TimeDelta, most: u64) -> u64 {
    let (age, limit) = (
        age.num_seconds().max(0) as u64,
        look_back.num_seconds().max(1) as u64,
    );
    most * limit.saturating_sub(age) / limit
}

/// Opposite panel verdicts tell most; else the more split of the two panels counts twice, the other once.
fn contest(c: &Candidate, most: u64) -> u64 {
    if opposite(c) {
        return most;
    }
    let (a, b) = (split(c.left.panel), split(c.right.panel));
    most * (2 * a.max(b) + a.min(b)) / 3000
}

/// In thousandths: 0 for a panel of one mind, 500 for 3 to 1, 1000 for 2 to 2.
fn split(panel: Panel) -> u64 {
    u64::from(2000 * panel.ships.min(panel.skips))
        .checked_div(u64::from(panel.total()))
        .unwrap_or(0)
}

fn opposite(c: &Candidate) -> bool {
    matches!((c.left.panel.verdict(), c.right.panel.verdict()), (Some(a), Some(b)) if a != b)
}

/// Half for how many voted, half for how evenly; nothing below [`Votes::ENOUGH`], and never more than its share.
fn votes(c: &Candidate, most: u64) -> u64 {
    let counted: Vec<Votes> = [c.left.votes, c.right.votes]
        .into_iter()
        .filter(|v| v.total() >= Votes::ENOUGH)
        .collect();
    let total: u64 = counted.iter().map(|v| v.total()).sum();
    let many = total.min(MANY_VOTES) * 1000 / MANY_VOTES;
    most * many * (1000 + counted.iter().map(|v| evenness(*v)).max().unwrap_or(0)) / 2_000_000
}

/// In thousandths: 1000 when readers are split in halves, 0 when they are of one mind.
fn evenness(votes: Votes) -> u64 {
    votes
        .ship_percent()
        .map_or(0, |percent| percent.min(100 - percent) * 20)
}

/// Returns whether two names are one category.
fn is_one(left: &str, right: &str) -> bool {
    category_key(left) == category_key(right)
}

fn shelves(c: &Candidate) -> impl Iterator<Item = &str> {
    let second =
        (!is_one(&c.right.category, &c.left.category)).then_some(c.right.category.as_str());
    std::iter::once(c.left.category.as_str()).chain(second)
}

fn reasons(c: &Candidate, points: Points, now: Timestamp) -> Vec<PickReason> {
    let mut reasons = vec![(
        points.freshness,
        age_of(points.is_new, now - c.published_at),
    )];
    if points.contest > 0 {
        reasons.push((points.contest, contest_of(c)));
    }
    for entrant in [&c.left, &c.right] {
        if let Some(ship_percent) = entrant.votes.ship_percent() {
            let tool = entrant.name.clone();
            reasons.push((
                points.votes,
                PickReason::ReadersSplit { ship_percent, tool },
            ));
        }
    }
    // Being new outweighs all else; the rest in the order of their points (a stable sort keeps left before right).
    reasons[1..].sort_by_key(|(points, _)| std::cmp::Reverse(*points));
    if !points.is_new {
        reasons.sort_by_key(|(points, _)| std::cmp::Reverse(*points));
    }
    reasons.into_iter().map(|(_, reason)| reason).collect()
}

fn age_of(is_new: bool, age: TimeDelta) -> PickReason {
    match age.num_days() {
        ..=6 if is_new => PickReason::NewThisWeek,
        _ if is_new => PickReason::NewSinceLastDigest,
        ..=6 => PickReason::NewInSevenDays,
        days => PickReason::Unsent { weeks: days / 7 },
    }
}

fn contest_of(c: &Candidate) -> PickReason {
    if opposite(c) {
        let side = |e: &CandidateTool| PanelSide {
            verdict: e.panel.label().to_lowercase(),
            tool: e.name.clone(),
        };
        return PickReason::PanelDiffers {
            left: side(&c.left),
            right: side(&c.right),
        };
    }
    let more_split = if split(c.right.panel) > split(c.left.panel) {
        &c.right
    } else {
        &c.left
    };
    let Panel { ships, skips } = more_split.panel;
    PickReason::PanelSplit {
        more: ships.max(skips),
        fewer: ships.min(skips),
        tool: more_split.name.clone(),
    }
}

#[cfg(test)]
#[path = "pick_tests.rs"]
mod tests;
