//! Views of a comparison for pages and mails, cut to fit.

use super::Site;
use super::date::Date;
use super::quotes::Quote;
use super::quotes::leading_quote;
use super::quotes::quote_for;
use super::text::shorten;
use crate::domain::answer::Answer;
use crate::domain::answer::is_close;
use crate::domain::catalogue::NO_VOTES;
use crate::domain::catalogue::Panel;
use crate::domain::catalogue::RatedComparison;
use crate::domain::catalogue::RatedTool;
use crate::domain::catalogue::Review;
use crate::domain::catalogue::Reviewer;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Verdict;
use crate::domain::catalogue::category_key;
use crate::domain::digest::DigestItem;
use crate::domain::pick_reason::PickReason;

/// Said where the catalogue holds nothing.
const UNKNOWN: &str = "Not stated";

/// Upper bounds on the characters that are shown.
#[derive(Debug, Clone, Copy)]
pub struct TextLimits {
    name: usize,
    line: usize,
    take: usize,
    reasons: usize,
}

impl TextLimits {
    /// A page has room for all of a catalogue.
    pub const PAGE: Self = Self {
        name: 300,
        line: 2_000,
        take: 100_000,
        reasons: 10,
    };
    /// A mail has not: receiving servers clip it.
    pub const MAIL: Self = Self {
        name: 60,
        line: 120,
        take: 200,
        reasons: 3,
    };
    /// For a mail that got too long all the same.
    pub const TIGHT: Self = Self {
        name: 60,
        line: 120,
        take: 140,
        reasons: 3,
    };
    /// For one that got too long even then.
    pub const TIGHTEST: Self = Self {
        name: 40,
        line: 80,
        take: 90,
        reasons: 1,
    };

    /// A tool's name where it stands alone.
    pub fn shorten_name(self, name: &str) -> String {
        shorten(name, self.name)
    }
}

/// A panel's verdict, for people.
#[derive(Debug, Clone, Copy)]
pub struct Badge(pub Panel);

impl Badge {
    /// The style's name of it.
    pub fn kind(self) -> &'static str {
        match (self.0.total(), self.0.verdict()) {
            (0, _) => "none",
            (_, Some(verdict)) => verdict.as_str(),
            (_, None) => "split",
        }
    }

    /// "SHIP 3 to 1": the majority first.
    pub fn text(self) -> String {
        let Panel { ships, skips } = self.0;
        match self.0.total() {
            0 => "NO VERDICT YET".into(),
            _ => format!(
                "{} {} to {}",
                self.0.label().to_uppercase(),
                ships.max(skips),
                ships.min(skips)
            ),
        }
    }

    /// "75% panel ship".
    pub fn share(self) -> String {
        match self.0.total() {
            0 => "No panel reviews yet".into(),
            _ => format!("{}% panel ship", self.0.ship_percent()),
        }
    }

    /// "Ship · 3 ship / 1 skip".
    pub fn count(self) -> String {
        match self.0.total() {
            0 => self.0.label().into(),
            _ => format!(
                "{} · {} ship / {} skip",
                self.0.label(),
                self.0.ships,
                self.0.skips
            ),
        }
    }
}

/// One tool.
#[derive(Debug, Clone)]
pub struct ToolView<'a> {
    pub slug: &'a Slug,
    pub name: String,
    pub initial: String,
    pub category: String,
    pub best_for: String,
    pub description: String,
    /// Its maker's page, if that is a page.
    pub url: Option<&'a str>,
    pub pricing: String,
    pub entry_price: String,
    pub panel: Badge,
    pub community: String,
    pub sample: bool,
}

impl<'a> ToolView<'a> {
    pub fn new(contender: &'a RatedTool, limits: TextLimits) -> Self {
        let tool = &contender.tool;
        let line = |text: &str| {
            Some(shorten(text, limits.line))
                .filter(|line| !line.is_empty())
                .unwrap_or_else(|| UNKNOWN.into())
        };
        let name = Some(shorten(&tool.name, limits.name))
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| tool.slug.to_string());
        let first = name
            .chars()
            .find(|c| c.is_alphanumeric())
            .or(name.chars().next());
        Self {
            slug: &tool.slug,
            initial: first
                .map(|c| c.to_uppercase().collect())
                .unwrap_or_default(),
            name,
            category: line(&tool.category),
            best_for: line(&tool.tagline),
            description: shorten(&tool.description, limits.take),
            url: tool.url.as_deref().filter(|url| is_web_address(url)),
            pricing: line(&tool.pricing),
            entry_price: line(&tool.entry_price),
            panel: Badge(tool.panel()),
            community: contender.community(),
            sample: tool.sample,
        }
    }
}

/// A link that runs a script is no link.
fn is_web_address(url: &str) -> bool {
    let scheme = url
        .split_once("://")
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https"))
        && !url.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// One reviewer's opinion of one tool.
#[derive(Debug, Clone)]
pub struct Opinion {
    pub score: u8,
    pub verdict: Verdict,
    pub take: String,
}

impl Opinion {
    pub fn new(review: &Review, limits: TextLimits) -> Self {
        Self {
            score: review.score.points(),
            verdict: review.verdict,
            take: shorten(&review.take, limits.take),
        }
    }
}

/// One reviewer's opinions of both tools.
#[derive(Debug, Clone)]
pub struct ScoreRow {
    pub reviewer: Reviewer,
    pub opinions: [Option<Opinion>; 2],
}

impl ScoreRow {
    /// Returns whether they wrote about either tool.
    pub fn is_reviewed(&self) -> bool {
        self.opinions.iter().any(Option::is_some)
    }
}

/// A comparison.
#[derive(Debug, Clone)]
pub struct ComparisonView<'a> {
    pub slug: &'a Slug,
    pub answer: Answer,
    /// True if it is a close call.
    pub is_close: bool,
    pub sides: [ToolView<'a>; 2],
    pub scorecard: Vec<ScoreRow>,
    /// One *ship* and one *skip*, where there are such.
    pub quotes: Vec<Quote>,
    /// The one of the tool that the answer names first.
    pub quote: Option<Quote>,
    /// Reason why it was picked; empty where it was not.
    pub reasons: Vec<String>,
    /// The one that its reader gave; empty for everybody else.
    pub followed: String,
    pub published: Date,
    pub sample: bool,
}

impl<'a> ComparisonView<'a> {
    pub fn new(site: &Site, matchup: &'a RatedComparison, limits: TextLimits) -> Self {
        let sides = matchup
            .contenders()
            .map(|contender| ToolView::new(contender, limits));
        let names = sides.each_ref().map(|side| side.name.as_str());
        Self {
            slug: &matchup.comparison.slug,
            answer: Answer::new(
                sides
                    .each_ref()
                    .map(|side| (side.name.as_str(), side.panel.0)),
            ),
            is_close: is_close(matchup),
            scorecard: scorecard(matchup, limits),
            quotes: Verdict::ALL
                .iter()
                .filter_map(|verdict| quote_for(matchup, names, *verdict, |_| true, limits.take))
                .collect(),
            quote: leading_quote(matchup, names, limits.take),
            sides,
            reasons: Vec::new(),
            followed: String::new(),
            published: Date::new(site, matchup.comparison.published_at),
            sample: matchup.is_sample(),
        }
    }

    pub fn picked(site: &Site, item: &'a DigestItem, limits: TextLimits) -> Self {
        let reasons = item
            .reasons
            .iter()
            .take(limits.reasons)
            .map(|reason| sentence(&shorten(&reason.to_string(), 2 * limits.line)));
        let followed = item
            .reasons
            .iter()
            .find(|reason| matches!(reason, PickReason::Followed { .. }))
            .map(|reason| sentence(&shorten(&reason.to_string(), 2 * limits.line)));
        Self {
            followed: followed.unwrap_or_default(),
            reasons: reasons.filter(|reason| !reason.is_empty()).collect(),
            ..Self::new(site, &item.matchup, limits)
        }
    }

    pub fn title(&self) -> String {
        format!("{} vs {}", self.sides[0].name, self.sides[1].name)
    }

    /// Rows beside the scores. One that says nothing of either tool is left out.
    pub fn facts(&self) -> Vec<(&'static str, [&str; 2])> {
        let [left, right] = &self.sides;
        let rows = [
            ("Pricing", [&left.pricing, &right.pricing], UNKNOWN),
            ("Best for", [&left.best_for, &right.best_for], UNKNOWN),
            ("Community", [&left.community, &right.community], NO_VOTES),
        ];
        let told = rows
            .into_iter()
            .filter(|(_, cells, nothing)| cells.iter().any(|cell| cell != nothing));
        told.map(|(head, cells, _)| (head, cells.map(String::as_str)))
            .collect()
    }

    /// Reviewers who wrote about either tool.
    pub fn reviewed(&self) -> impl Iterator<Item = &ScoreRow> {
        self.scorecard.iter().filter(|row| row.is_reviewed())
    }

    /// Returns why it was picked, in a row of sentences.
    pub fn why(&self) -> String {
        self.reasons.join(" ")
    }

    /// Names as a button has room for.
    pub fn spoken_names(&self) -> [&str; 2] {
        self.answer.names()
    }

    /// Returns what its link says: read aloud without the rest of the page, it still says where it leads.
    pub fn button(&self) -> String {
        format!("Read {} in full", self.title())
    }

    /// One category, or both.
    pub fn category(&self) -> String {
        match &self.sides {
            [left, right] if category_key(&left.category) == category_key(&right.category) => {
                left.category.clone()
            }
            [left, right] => format!("{} / {}", left.category, right.category),
        }
    }
}

/// The answer of a comparison, with names cut to fit.
pub fn answer_of(matchup: &RatedComparison, limits: TextLimits) -> Answer {
    let sides = matchup.contenders().map(|side| ToolView::new(side, limits));
    Answer::new(
        sides
            .each_ref()
            .map(|side| (side.name.as_str(), side.panel.0)),
    )
}

fn scorecard(matchup: &RatedComparison, limits: TextLimits) -> Vec<ScoreRow> {
    let row = |reviewer: &Reviewer| ScoreRow {
        reviewer: *reviewer,
        opinions: matchup.contenders().map(|c| {
            c.tool
                .review_by(*reviewer)
                .map(|review| Opinion::new(review, limits))
        }),
    };
    Reviewer::ALL.iter().map(row).collect()
}

/// With a capital at its start and a mark at its end.
pub fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    let Some(first) = chars.next() else {
        return String::new();
    };
    let stop = if words.ends_with(['.', '!', '?', '…']) {
        ""
    } else {
        "."
    };
    first
        .to_uppercase()
        .chain(chars)
        .chain(stop.chars())
        .collect()
}
