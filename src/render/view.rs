//! Views of a comparison for pages and mails, cut to fit.

use super::Site;
use super::date::Date;
use super::text::clean;
use super::text::sentences;
use super::text::shorten;
use crate::domain::answer::Answer;
use crate::domain::catalogue::Panel;
use crate::domain::catalogue::RatedComparison;
use crate::domain::catalogue::RatedTool;
use crate::domain::catalogue::Review;
use crate::domain::catalogue::Reviewer;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Verdict;
use crate::domain::catalogue::category_key;
use crate::domain::digest::DigestItem;

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

    /// "75 % panel ship".
    pub fn share(self) -> String {
        match self.0.total() {
            0 => "No panel reviews yet".into(),
            _ => format!("{} % panel ship", self.0.ship_percent()),
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

/// The sharpest lines of a take.
#[derive(Debug, Clone)]
pub struct Quote {
    pub verdict: Verdict,
    pub score: u8,
    pub reviewer: Reviewer,
    pub tool: String,
    pub text: String,
}

impl Quote {
    /// "Ship" or "Skip".
    pub fn word(&self) -> &'static str {
        match self.verdict {
            Verdict::Ship => "Ship",
            Verdict::Skip => "Skip",
        }
    }
}

/// A comparison.
#[derive(Debug, Clone)]
pub struct ComparisonView<'a> {
    pub slug: &'a Slug,
    pub answer: Answer,
    pub sides: [ToolView<'a>; 2],
    pub scorecard: Vec<ScoreRow>,
    /// One *ship* and one *skip*, where there are such.
    pub quotes: Vec<Quote>,
    /// Reason why it was picked; empty where it was not.
    pub reasons: Vec<String>,
    pub published: Date,
    pub sample: bool,
}

impl<'a> ComparisonView<'a> {
    pub fn new(site: &Site, matchup: &'a RatedComparison, limits: TextLimits) -> Self {
        let sides = matchup
            .contenders()
            .map(|contender| ToolView::new(contender, limits));
        Self {
            slug: &matchup.comparison.slug,
            answer: Answer::new(
                sides
                    .each_ref()
                    .map(|side| (side.name.as_str(), side.panel.0)),
            ),
            scorecard: scorecard(matchup, limits),
            quotes: Verdict::ALL
                .iter()
                .filter_map(|verdict| quote(matchup, &sides, *verdict, limits))
                .collect(),
            sides,
            reasons: Vec::new(),
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
        Self {
            reasons: reasons.filter(|reason| !reason.is_empty()).collect(),
            ..Self::new(site, &item.matchup, limits)
        }
    }

    pub fn title(&self) -> String {
        format!("{} vs {}", self.sides[0].name, self.sides[1].name)
    }

    /// Returns what is said of both beside the scores, row by row.
    pub fn facts(&self) -> [(&'static str, [&str; 2]); 3] {
        let [left, right] = &self.sides;
        [
            ("Pricing", [&left.pricing, &right.pricing]),
            ("Best for", [&left.best_for, &right.best_for]),
            ("Community", [&left.community, &right.community]),
        ]
    }

    /// Returns why it was picked, in a row of sentences.
    pub fn why(&self) -> String {
        self.reasons.join(" ")
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

/// The most decided take of that verdict: the highest score that ships, the lowest that skips.
fn quote(
    matchup: &RatedComparison,
    sides: &[ToolView<'_>; 2],
    verdict: Verdict,
    limits: TextLimits,
) -> Option<Quote> {
    let takes = matchup
        .contenders()
        .into_iter()
        .zip(sides)
        .flat_map(|(c, side)| c.tool.reviews.iter().map(move |review| (review, side)));
    let decided = |review: &Review| match verdict {
        Verdict::Ship => review.score.points(),
        Verdict::Skip => 100 - review.score.points(),
    };
    takes
        .filter(|(review, _)| review.verdict == verdict && !clean(&review.take).is_empty())
        .first_max_by_key(|(review, _)| decided(review))
        .map(|(review, side)| Quote {
            verdict,
            score: review.score.points(),
            reviewer: review.reviewer,
            tool: side.name.clone(),
            text: sentences(&review.take, limits.take.min(TextLimits::MAIL.take)),
        })
}

/// `max_by_key` that keeps the first of equals, so that left and the panel's order decide.
pub trait FirstMax: Iterator + Sized {
    fn first_max_by_key<K: Ord>(self, key: impl Fn(&Self::Item) -> K) -> Option<Self::Item> {
        self.reduce(|best, next| if key(&next) > key(&best) { next } else { best })
    }
}
impl<I: Iterator> FirstMax for I {}

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
