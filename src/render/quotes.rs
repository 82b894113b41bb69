//! Quotes of a comparison: whole sentences of the takes that speak for it.

use super::text::clean;
use crate::domain::answer::PanelCall;
use crate::domain::catalogue::Panel;
use crate::domain::catalogue::RatedComparison;
use crate::domain::catalogue::Review;
use crate::domain::catalogue::Reviewer;
use crate::domain::catalogue::Verdict;
use crate::domain::quote;
use crate::domain::quote::QUOTE_MAX;

/// Sentence of a take, whole.
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

/// The most decided take of that verdict on the tools that `is_wanted` says, a quote of which fits: one whose quote the catalogue sets, else
/// the highest score that ships, the lowest that skips.
pub fn quote_for(
    matchup: &RatedComparison,
    names: [&str; 2],
    verdict: Verdict,
    is_wanted: impl Fn(Panel) -> bool,
    max: usize,
) -> Option<Quote> {
    let max = max.min(QUOTE_MAX);
    let takes = matchup
        .contenders()
        .into_iter()
        .zip(names)
        .filter(|(side, _)| is_wanted(side.tool.panel()))
        .flat_map(|(side, name)| side.tool.reviews.iter().map(move |review| (review, name)));
    let decided = |review: &Review| match verdict {
        Verdict::Ship => review.score.points(),
        Verdict::Skip => 100 - review.score.points(),
    };
    takes
        .filter(|(review, _)| review.verdict == verdict)
        .filter_map(|(review, name)| Some((review, name, words_of(review, name, max)?)))
        .first_max_by_key(|(review, ..)| (review.quote.is_some(), decided(review)))
        .map(|(review, name, text)| Quote {
            verdict,
            score: review.score.points(),
            reviewer: review.reviewer,
            tool: name.to_owned(),
            text,
        })
}

/// The words of a review that are quoted: whole sentences of at most `max` characters, or none.
fn words_of(review: &Review, tool: &str, max: usize) -> Option<String> {
    let set = review.quote.as_deref().map(clean);
    if let Some(set) = set.filter(|set| !set.is_empty() && set.chars().count() <= max) {
        return Some(set);
    }
    let take = clean(&review.take);
    quote::sentence(&take, review.verdict, tool, max).map(String::from)
}

/// The quote that speaks for the answer: of a tool that it ships, else of one that it skips, else the most decided of all.
pub fn leading_quote(matchup: &RatedComparison, names: [&str; 2], max: usize) -> Option<Quote> {
    let of = |call: PanelCall, verdict| {
        let is_called = |panel: Panel| PanelCall::from(panel) == call;
        quote_for(matchup, names, verdict, is_called, max)
    };
    of(PanelCall::Ship, Verdict::Ship)
        .or_else(|| of(PanelCall::Skip, Verdict::Skip))
        .or_else(|| quote_for(matchup, names, Verdict::Ship, |_| true, max))
        .or_else(|| quote_for(matchup, names, Verdict::Skip, |_| true, max))
}

/// `max_by_key` that keeps the first of equals, so that left and the panel's order decide.
trait FirstMax: Iterator + Sized {
    fn first_max_by_key<K: Ord>(self, key: impl Fn(&Self::Item) -> K) -> Option<Self::Item> {
        self.reduce(|best, next| if key(&next) > key(&best) { next } else { best })
    }
}
impl<I: Iterator> FirstMax for I {}
