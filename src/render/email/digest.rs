//! The weekly digest.

use askama::Template;

use super::MailFrame;
use super::SUBJECT;
use super::plain;
use super::plain::TextItem;
use super::plain::paragraph;
use super::plain::tidy;
use crate::domain::answer::Answer;
use crate::domain::catalogue::Votes;
use crate::domain::digest::DigestContent;
use crate::domain::digest::Opening;
use crate::domain::digest::PreviousVotesTool;
use crate::domain::digest::VerdictChange;
use crate::domain::rendered_mail::READER_HOLE;
use crate::domain::rendered_mail::Rendered;
use crate::domain::rendered_mail::TOKEN_PLACEHOLDER;
use crate::domain::subject::Marks;
use crate::domain::subject::SubjectPattern;
use crate::render::RenderError;
use crate::render::Site;
use crate::render::date::Date;
use crate::render::issue_text::TextView;
use crate::render::lead::Lead;
use crate::render::markdown::Block;
use crate::render::text::clean;
use crate::render::text::shorten;
use crate::render::view::Badge;
use crate::render::view::ComparisonView;
use crate::render::view::TextLimits;

/// Most bytes of HTML: what a server adds on the way counts, too.
const HTML_MAX: usize = 80_000;
/// At most so many comparisons are told, the first in full, the others in brief; the rest are links.
const FULL: usize = 8;
/// Number of links beside them: the digest's page has them all.
const BRIEF: usize = 30;
const SAMPLE: &str = "Sample: the tools in this digest are invented.";

/// A digest, and what was done to it so that no server clips it.
#[derive(Debug)]
pub struct FittedDigest {
    /// The mail, with holes where what is a reader's own goes.
    pub mail: Rendered,
    /// True if takes had to be cut shorter than they usually are.
    pub is_shortened: bool,
    /// Number of comparisons that became links.
    pub moved: usize,
}

#[derive(Template)]
#[template(path = "email/digest.html", whitespace = "minimize")]
struct DigestHtml<'a> {
    frame: &'a MailFrame<'a>,
    lead: &'a Lead,
    /// Those in full and those in brief.
    all: &'a [ComparisonView<'a>],
    duels: &'a [ComparisonView<'a>],
    /// None for readers who get a digest once a month already.
    monthly: Option<&'a str>,
    brief: &'a [ComparisonView<'a>],
    sample: bool,
    sample_words: &'static str,
    why: &'a str,
    unsubscribe: &'a str,
    saved: &'a str,
    preferences: &'a str,
    opening: &'a OpeningView,
    text: &'a TextView,
    online: &'a str,
}

#[derive(Template)]
#[template(path = "email/digest.txt", whitespace = "preserve")]
struct DigestText<'a> {
    frame: &'a MailFrame<'a>,
    subtitle: String,
    line: String,
    count: String,
    answers: Vec<String>,
    items: Vec<TextItem>,
    brief: Vec<(String, String)>,
    sample: bool,
    sample_words: &'static str,
    why: String,
    unsubscribe: &'a str,
    saved: &'a str,
    monthly: Option<&'a str>,
    preferences: &'a str,
    turns: Vec<String>,
    decided: Vec<String>,
    apart: String,
    has_saved: bool,
    introduction: String,
    sponsor: Option<(String, &'a str)>,
    question: String,
    sign_off: String,
    online: &'a str,
    postal_address: String,
}

/// The weekly digest. Where it would be clipped, takes are cut shorter first, then comparisons become links.
pub fn digest(site: &Site, content: &DigestContent) -> Result<FittedDigest, RenderError> {
    digest_within(site, content, |_| true)
}

/// The same; `fits` says of a mail whether it is short enough once it is encoded.
pub fn digest_within(
    site: &Site,
    content: &DigestContent,
    fits: impl Fn(&Rendered) -> bool,
) -> Result<FittedDigest, RenderError> {
    let all = FULL.min(content.items.len());
    let usual = (TextLimits::MAIL, all);
    let shorter = [TextLimits::TIGHT, TextLimits::TIGHTEST].map(|limits| (limits, all));
    let fewer = (0..all).rev().map(|full| (TextLimits::TIGHTEST, full));
    let mut fitted = within(site, content, usual)?;
    for attempt in shorter.into_iter().chain(fewer) {
        if fitted.mail.html.len() <= HTML_MAX && fits(&fitted.mail) {
            break;
        }
        fitted = FittedDigest {
            is_shortened: true,
            ..within(site, content, attempt)?
        };
    }
    Ok(fitted)
}

fn within(
    site: &Site,
    content: &DigestContent,
    (limits, full): (TextLimits, usize),
) -> Result<FittedDigest, RenderError> {
    let all: Vec<ComparisonView<'_>> = content
        .items
        .iter()
        .take(FULL + BRIEF)
        .map(|item| ComparisonView::picked(site, item, limits))
        .collect();
    let (duels, brief) = all.split_at(all.len().min(full));
    let lead = Lead::new(content, &all);
    let subject = subject(site, content, &all);
    let monday = Date::monday(site, content.slot);
    let preheader = written_preheader(site, content, &all).unwrap_or_else(|| lead.line.clone());
    let mut frame = MailFrame::new(site, &subject, &site.newsletter, &preheader);
    frame.week = Some(monday.clone());
    let why = super::why(site);
    let unsubscribe = site.link(&format!("/unsubscribe/{TOKEN_PLACEHOLDER}"));
    let saved = site.link(&format!("/saved/{READER_HOLE}"));
    let preferences = site.link(&format!("/preferences/{READER_HOLE}"));
    let is_weekly = !content.opening.is_monthly;
    let monthly = is_weekly.then(|| site.link(&format!("/monthly/{READER_HOLE}")));
    let opening = OpeningView::new(&content.opening, limits);
    let written = TextView::new(&content.text);
    let online = site.link(&format!("/digests/{}", content.slot));
    let sample = content.is_sample();
    let item =
        |(i, duel): (usize, &ComparisonView<'_>)| TextItem::new(&frame, i, duels.len(), duel);
    let text = DigestText {
        frame: &frame,
        subtitle: paragraph(&format!("{}, week of {}", clean(&site.name), monday.words)),
        line: paragraph(&frame.preheader),
        count: paragraph(&lead.count),
        answers: plain::numbered(all.iter().map(|duel| &duel.answer)),
        items: duels.iter().enumerate().map(item).collect(),
        brief: brief
            .iter()
            .map(|duel| (paragraph(&duel.title()), frame.comparison(duel.slug)))
            .collect(),
        sample,
        sample_words: SAMPLE,
        why: paragraph(&why),
        unsubscribe: &unsubscribe,
        saved: &saved,
        monthly: monthly.as_deref(),
        preferences: &preferences,
        turns: opening
            .turns
            .iter()
            .map(|(name, words)| paragraph(&format!("{name}: {words}.")))
            .collect(),
        decided: plain::decided(&opening.decided),
        apart: paragraph(&opening.apart),
        has_saved: opening.has_saved,
        introduction: plain::blocks(&written.introduction),
        sponsor: written
            .sponsor
            .as_ref()
            .map(|sponsor| (paragraph(&sponsor.text), sponsor.url.as_str())),
        question: paragraph(&written.question),
        sign_off: plain::blocks(&written.sign_off),
        online: &online,
        postal_address: frame.postal_address_in_lines(),
    };
    let text = tidy(&text.render()?);
    let html = DigestHtml {
        frame: &frame,
        lead: &lead,
        all: &all,
        duels,
        monthly: monthly.as_deref(),
        brief,
        sample,
        sample_words: SAMPLE,
        why: &why,
        unsubscribe: &unsubscribe,
        saved: &saved,
        preferences: &preferences,
        opening: &opening,
        text: &written,
        online: &online,
    };
    let mail = Rendered {
        html: html.render()?,
        text,
        subject,
    };
    Ok(FittedDigest {
        mail,
        is_shortened: false,
        moved: content.items.len() - duels.len(),
    })
}

/// Names what is inside, by the pattern of `mail.subject`: the first form that fits of the whole names, then of names cut
/// shorter.
fn subject(site: &Site, content: &DigestContent, duels: &[ComparisonView<'_>]) -> String {
    let week = content.slot.to_string();
    let plain = || shorten(&format!("{}, {week}", site.newsletter), SUBJECT);
    let Some(first) = duels.first() else {
        return plain();
    };
    let form = |max: usize, more: bool| filled(&site.subject, site, content, first, (max, more));
    let forms = [form(60, true), form(60, false), form(30, true)];
    let fitting = forms
        .into_iter()
        .find(|form| form.chars().count() <= SUBJECT);
    let subject = fitting.unwrap_or_else(|| shorten(&form(30, false), SUBJECT));
    if subject.is_empty() { plain() } else { subject }
}

/// A pattern with its marks filled: names of at most `max` characters, and `{more}` only if it may be said.
fn filled(
    pattern: &SubjectPattern,
    site: &Site,
    content: &DigestContent,
    first: &ComparisonView<'_>,
    (max, has_more): (usize, bool),
) -> String {
    let more = match content.items.len().saturating_sub(1) {
        0 => String::new(),
        _ if !has_more => String::new(),
        1 => "And 1 more verdict".into(),
        more => format!("And {more} more verdicts"),
    };
    let names = first.sides.each_ref().map(|side| shorten(&side.name, max));
    let pair = format!("{} or {}?", names[0], names[1]);
    let side = |i: usize| (names[i].as_str(), first.sides[i].panel.0);
    let answer = Answer::new([side(0), side(1)]);
    let others = if has_more {
        content.items.len().saturating_sub(1)
    } else {
        0
    };
    clean(&pattern.fill(&Marks {
        auto: &answer.subject(others),
        answer: &answer.short(),
        pair: &pair,
        more: &more,
        count: &content.items.len().to_string(),
        week: &content.slot.to_string(),
        site: &site.name,
        newsletter: &site.newsletter,
    }))
}

/// The preheader that somebody wrote, if they did.
fn written_preheader(
    site: &Site,
    content: &DigestContent,
    duels: &[ComparisonView<'_>],
) -> Option<String> {
    let pattern: SubjectPattern = content.text.preheader.parse().ok()?;
    if pattern.is_auto() {
        return None;
    }
    let line = filled(&pattern, site, content, duels.first()?, (60, true));
    (!line.is_empty()).then_some(line)
}

/// Opening of a digest, in words.
struct OpeningView {
    /// A tool, and what became of its verdict.
    turns: Vec<(String, String)>,
    /// A tool, what its readers say, what the panel says.
    decided: Vec<[String; 3]>,
    /// Tool on which they are furthest apart.
    apart: String,
    has_saved: bool,
}

impl OpeningView {
    fn new(opening: &Opening, limits: TextLimits) -> Self {
        let turn = |turn: &VerdictChange| (limits.shorten_name(&turn.name), turn.describe());
        let readers = |votes: Votes| match votes.ship_percent() {
            Some(percent) => format!("{percent}% of {} ship", votes.total()),
            None => format!("{} ship, {} skip", votes.ships, votes.skips),
        };
        let row = |tool: &PreviousVotesTool| {
            [
                limits.shorten_name(&tool.name),
                readers(tool.votes),
                Badge(tool.panel).text(),
            ]
        };
        let apart = |tool: &PreviousVotesTool| {
            let (name, panel, readers) = (
                limits.shorten_name(&tool.name),
                tool.panel.ship_percent(),
                tool.votes.ship_percent(),
            );
            format!(
                "Furthest apart on {name}: {panel}% of the panel ship it, {}% of you do.",
                readers.unwrap_or_default()
            )
        };
        let decided = opening.decided.as_ref();
        Self {
            turns: opening.turns.iter().map(turn).collect(),
            decided: decided
                .iter()
                .flat_map(|decided| decided.tools.iter().map(row))
                .collect(),
            apart: decided
                .and_then(|decided| decided.apart.as_ref())
                .map(apart)
                .unwrap_or_default(),
            has_saved: opening.has_saved,
        }
    }
}
