//! A small catalogue for the tests of this module: one as it should be, one bare, one hostile.

use super::Site;
use crate::domain::Timestamp;
use crate::domain::catalogue::Comparison;
use crate::domain::catalogue::RatedComparison;
use crate::domain::catalogue::RatedTool;
use crate::domain::catalogue::Review;
use crate::domain::catalogue::Reviewer;
use crate::domain::catalogue::Score;
use crate::domain::catalogue::Tool;
use crate::domain::catalogue::Verdict;
use crate::domain::catalogue::Votes;
use crate::domain::digest::DigestContent;
use crate::domain::digest::DigestItem;
use crate::domain::pick_reason::PickReason;
use crate::domain::slot::Slot;

/// HTML, a template, a control character, a turned direction, a hole of a mail and an emoji, at some length.
pub fn hostile_text() -> String {
    "\"><img src=x onerror=alert(1)>'<script>{{ 7*7 }}{% raw %}]]>\u{1b}\u{202E}\u{FDD0}\u{FFFE}🦀 שלום &amp;\r\nBcc: x ".repeat(100)
}

pub fn now() -> Timestamp {
    "2026-11-17T08:00:00Z".parse().expect("a moment")
}

pub fn site() -> Site {
    Site {
        base_url: "https://verdicts.example".into(),
        name: "Ship or Skip".into(),
        newsletter: "Weekly AI Tool Verdicts".into(),
        subject: Default::default(),
        timezone: crate::domain::zone::Zone::utc(),
        postal_address: Some("1 Example Street, Example Town".into()),
        has_mailbox: true,
        face: Default::default(),
    }
}

fn review(reviewer: Reviewer, points: i64, verdict: Verdict, take: &str) -> Review {
    Review {
        reviewer,
        score: Score::try_from(points).expect("a score"),
        verdict,
        take: take.into(),
        quote: None,
    }
}

fn tool(slug: &str, name: &str, reviews: Vec<Review>) -> RatedTool {
    let tool = Tool {
        slug: slug.parse().expect("a slug"),
        name: name.into(),
        category: "Developer Tools".into(),
        tagline: "Small models on small machines".into(),
        description: "A model that fits.".into(),
        url: Some("https://maker.example/tool".into()),
        pricing: "Free / Open weights".into(),
        entry_price: "Free".into(),
        published_at: now(),
        sample: false,
        reviews,
    };
    RatedTool {
        tool,
        votes: Votes {
            ships: 31,
            skips: 12,
        },
        visitors: Votes::default(),
    }
}

fn versus(slug: &str, left: RatedTool, right: RatedTool) -> RatedComparison {
    let comparison = Comparison {
        slug: slug.parse().expect("a slug"),
        left: left.tool.slug.clone(),
        right: right.tool.slug.clone(),
        published_at: now(),
        sample: false,
    };
    RatedComparison {
        comparison,
        left,
        right,
    }
}

/// Every part filled in; the Founder wrote nothing about the right tool.
pub fn matchup(number: usize) -> RatedComparison {
    let ship = "It runs in an hour. No keys, no limits, e.g. none at all: worth a week. A third sentence that no mail shows.";
    let skip = "The numbers are the vendor's own. Wait for others.";
    let left = vec![
        review(Reviewer::Builder, 82, Verdict::Ship, ship),
        review(Reviewer::Skeptic, 45, Verdict::Skip, skip),
        review(Reviewer::Founder, 72, Verdict::Ship, ship),
    ];
    let right = vec![
        review(Reviewer::Builder, 80, Verdict::Ship, ship),
        review(Reviewer::Skeptic, 30, Verdict::Skip, skip),
    ];
    versus(
        &format!("llama-{number}-vs-mistral"),
        tool(&format!("llama-{number}"), &format!("Llama {number}"), left),
        tool("mistral", "Mistral Small 3.1", right),
    )
}

/// Nothing but names.
pub fn bare() -> RatedComparison {
    let empty = |slug: &str, name: &str| {
        let RatedTool { tool, .. } = tool(slug, name, Vec::new());
        let words = || String::new();
        let tool = Tool {
            category: words(),
            tagline: words(),
            description: words(),
            pricing: words(),
            entry_price: words(),
            url: None,
            ..tool
        };
        RatedTool {
            tool,
            votes: Votes::default(),
            visitors: Votes::default(),
        }
    };
    versus(
        "bare-vs-empty",
        empty("bare", "Bare"),
        empty("empty", "Empty"),
    )
}

/// Hostile text in every field, ten thousand characters long, and a link that is a script.
pub fn hostile(number: usize) -> RatedComparison {
    let evil = |slug: String| {
        let text = hostile_text();
        let all = Reviewer::ALL.iter().enumerate().map(|(i, reviewer)| {
            let verdict = if i % 2 == 0 {
                Verdict::Ship
            } else {
                Verdict::Skip
            };
            review(*reviewer, 20 * i as i64, verdict, &text)
        });
        let RatedTool {
            tool,
            votes,
            visitors,
        } = tool(&slug, &text, all.collect());
        let (category, tagline, description) = (text.clone(), text.clone(), text.clone());
        let url = Some("javascript:alert(1)".into());
        let tool = Tool {
            category,
            tagline,
            description,
            pricing: text.clone(),
            entry_price: text,
            url,
            sample: true,
            ..tool
        };
        RatedTool {
            tool,
            votes,
            visitors,
        }
    };
    versus(
        &format!("evil-{number}"),
        evil(format!("evil-left-{number}")),
        evil(format!("evil-right-{number}")),
    )
}

pub fn content(matchups: impl IntoIterator<Item = RatedComparison>) -> DigestContent {
    let reasons = vec![
        PickReason::NewThisWeek,
        PickReason::from_words("the panel is split 2 to 1 on it"),
    ];
    let item = |matchup: RatedComparison| {
        let reasons = if matchup.is_sample() {
            vec![PickReason::from_words(&hostile_text()); 9]
        } else {
            reasons.clone()
        };
        DigestItem {
            matchup,
            score: 150.0,
            reasons,
        }
    };
    DigestContent {
        slot: Slot::of(now(), &crate::domain::zone::Zone::utc()),
        items: matchups.into_iter().map(item).collect(),
        opening: Default::default(),
        text: Default::default(),
        corrections: Vec::new(),
    }
}
