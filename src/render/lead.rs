//! The comparison that a digest begins with, and its call to read it.

use super::view::Badge;
use super::view::ComparisonView;
use super::view::FirstMax as _;
use super::view::ToolView;
use super::view::sentence;
use crate::domain::catalogue::Panel;
use crate::domain::digest::DigestContent;

/// First lines of a digest: how much there is, and where the panel is least of one mind.
#[derive(Debug, Clone)]
pub struct Lead {
    /// "Five comparisons, ten tools: 6 ship, 3 skip, 1 split."
    pub count: String,
    /// "6 ship, 3 skip, 1 split."
    pub tally: String,
    /// [`Call`] in one line; empty when there is none.
    pub contest: String,
    pub call: Option<Call>,
}

/// The most contested pick.
#[derive(Debug, Clone)]
pub struct Call {
    /// "The closest call".
    pub label: &'static str,
    /// "A or B? A splits the panel 2 to 2."
    pub words: String,
    /// The end of that, which stands without the rest: "A splits the panel 2 to 2."
    pub point: String,
}

impl Lead {
    pub fn new(content: &DigestContent, duels: &[ComparisonView<'_>]) -> Self {
        let panels: Vec<Badge> = content
            .items
            .iter()
            .flat_map(|item| item.matchup.contenders().map(|c| Badge(c.tool.panel())))
            .collect();
        let of = |kind: &str| panels.iter().filter(|badge| badge.kind() == kind).count();
        let parts = [
            ("ship", of("ship")),
            ("skip", of("skip")),
            ("split", of("split")),
            ("without a verdict", of("none")),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(kind, n)| format!("{n} {kind}"))
            .collect();
        let (pairs, tools) = (content.items.len(), panels.len());
        let comparisons = if pairs == 1 {
            "comparison"
        } else {
            "comparisons"
        };
        let tally = sentence(&parts.join(", "));
        let call = Call::of(duels);
        Self {
            count: match pairs {
                0 => "Nothing new this week.".into(),
                _ => sentence(&format!(
                    "{} {comparisons}, {} tools: {tally}",
                    number(pairs),
                    number(tools)
                )),
            },
            tally,
            contest: call
                .as_ref()
                .map(|call| format!("{}: {}", call.label, call.words))
                .unwrap_or_default(),
            call,
        }
    }
}

impl Call {
    /// The tool on which a panel is nearest to two halves; else the first pair whose panels say the opposite.
    fn of(duels: &[ComparisonView<'_>]) -> Option<Self> {
        let split = |side: &ToolView<'_>| {
            (1000 * side.panel.0.ships.min(side.panel.0.skips))
                .checked_div(side.panel.0.total())
                .unwrap_or(0)
        };
        let sides = duels
            .iter()
            .flat_map(|duel| duel.sides.iter().map(move |side| (duel, side)));
        if let Some((duel, side)) = sides
            .first_max_by_key(|(_, side)| split(side))
            .filter(|(_, side)| split(side) > 0)
        {
            let Panel { ships, skips } = side.panel.0;
            let point = format!(
                "{} splits the panel {} to {}.",
                side.name,
                ships.max(skips),
                ships.min(skips)
            );
            let words = format!("{} or {}? {point}", duel.sides[0].name, duel.sides[1].name);
            return Some(Self {
                label: "The closest call",
                words,
                point,
            });
        }
        let opposite = |d: &&ComparisonView<'_>| matches!((d.sides[0].panel.0.verdict(), d.sides[1].panel.0.verdict()), (Some(a), Some(b)) if a != b);
        let [left, right] = &duels.iter().find(opposite)?.sides;
        let label = |side: &ToolView<'_>| side.panel.0.label().to_lowercase();
        let words = format!(
            "{} for {}, {} for {}.",
            label(left),
            left.name,
            label(right),
            right.name
        );
        Some(Self {
            label: "The sharpest line",
            point: sentence(&words),
            words,
        })
    }
}

/// Small numbers in words, as one reads them.
fn number(n: usize) -> String {
    const WORDS: [&str; 13] = [
        "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve",
    ];
    WORDS
        .get(n)
        .map_or_else(|| n.to_string(), |word| (*word).into())
}
