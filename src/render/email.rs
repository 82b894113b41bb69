//! The mails: the weekly digest and the confirmation, each as HTML and as text with the same links in the same order.

mod notices;

use askama::Template;

use super::RenderError;
use super::Site;
use super::text::clean;
use super::text::columns;
use super::text::shorten;
use super::text::wrap;
use super::view::Date;
use super::view::Duel;
use super::view::Lead;
use super::view::Limits;
use super::view::Quote;
use super::view::Side;
use crate::domain::catalogue::Slug;
use crate::domain::digest::Content;
use crate::domain::digest::Opening;
use crate::domain::letter::READER_HOLE;
use crate::domain::letter::Rendered;
use crate::domain::letter::SINCE_HOLE;
use crate::domain::letter::TOKEN_HOLE;
use crate::domain::reader::Turn;

pub use notices::notice;

/// Text mails are read in windows of 80 columns.
const WIDTH: usize = 78;
/// Gmail shows 102 KB of a mail and no more; what a server adds on the way counts too.
const MOST: usize = 80_000;
/// At most so many comparisons are shown in full; the rest are links.
const FULL: usize = 8;
/// And so many links: the digest's page has them all.
const BRIEF: usize = 30;
/// What a list of mails shows of a subject.
const SUBJECT: usize = 90;
const SAMPLE: &str = "Sample: the tools in this digest are invented.";

/// What stands around every mail.
struct Frame<'a> {
    site: &'a Site,
    title: String,
    heading: String,
    preheader: String,
    postal_address: Option<String>,
    week: Option<Date>,
}

impl<'a> Frame<'a> {
    fn new(site: &'a Site, title: &str, heading: &str, preheader: &str) -> Self {
        let postal_address = site.postal_address.as_deref().map(|address| shorten(address, 200)).filter(|address| !address.is_empty());
        Self { site, title: clean(title), heading: clean(heading), preheader: shorten(preheader, 90), postal_address, week: None }
    }

    fn comparison(&self, slug: &Slug) -> String {
        self.site.link(&format!("/comparisons/{slug}"))
    }

    /// Where a vote on that tool is shown before it counts.
    fn vote(&self, tool: &Slug, verdict: &str) -> String {
        self.site.link(&format!("/vote/{tool}/{verdict}/{READER_HOLE}"))
    }

    fn save(&self, tool: &Slug) -> String {
        self.site.link(&format!("/save/{tool}/{READER_HOLE}"))
    }

    fn heading_in_capitals(&self) -> String {
        paragraph(&self.heading.to_uppercase())
    }

    /// Empty when there is none.
    fn postal_address_in_lines(&self) -> String {
        self.postal_address.as_deref().map(paragraph).unwrap_or_default()
    }
}

#[derive(Template)]
#[template(path = "email/digest.html", whitespace = "minimize")]
struct DigestHtml<'a> {
    frame: &'a Frame<'a>,
    lead: &'a Lead,
    duels: &'a [Duel<'a>],
    brief: &'a [Duel<'a>],
    sample: bool,
    sample_words: &'static str,
    why: &'a str,
    unsubscribe: &'a str,
    saved: &'a str,
    preferences: &'a str,
    opening: &'a OpeningView,
    online: &'a str,
}

#[derive(Template)]
#[template(path = "email/digest.txt", whitespace = "preserve")]
struct DigestText<'a> {
    frame: &'a Frame<'a>,
    subtitle: String,
    lead: String,
    items: Vec<TextItem>,
    brief: Vec<(String, String)>,
    sample: bool,
    sample_words: &'static str,
    why: String,
    unsubscribe: &'a str,
    saved: &'a str,
    preferences: &'a str,
    turns: Vec<String>,
    decided: Vec<String>,
    has_saved: bool,
    online: &'a str,
    postal_address: String,
}

/// A comparison in lines that fit.
struct TextItem {
    heading: String,
    category: String,
    table: String,
    quotes: Vec<String>,
    why: String,
    /// For each tool: what the links are for, then to ship, to skip, to save.
    choices: Vec<(String, String, String, String)>,
    url: String,
}

/// The weekly digest, with holes where each reader's own unsubscribe link ends.
///
/// Where it would be clipped, texts are cut shorter first, then comparisons become links.
pub fn digest(site: &Site, content: &Content) -> Result<Rendered, RenderError> {
    let mut mail = digest_within(site, content, Limits::MAIL, FULL)?;
    for full in (0..=FULL.min(content.items.len())).rev() {
        if mail.html.len() <= MOST {
            break;
        }
        mail = digest_within(site, content, Limits::TIGHT, full)?;
    }
    Ok(mail)
}

fn digest_within(site: &Site, content: &Content, limits: Limits, full: usize) -> Result<Rendered, RenderError> {
    let all: Vec<Duel<'_>> = content.items.iter().take(FULL + BRIEF).map(|item| Duel::picked(site, item, limits)).collect();
    let (duels, brief) = all.split_at(all.len().min(full));
    let lead = Lead::new(content, &all);
    let subject = subject(site, content, &all);
    let monday = Date::monday(site, content.slot);
    let mut frame = Frame::new(site, &subject, &site.newsletter, &preheader(&lead));
    frame.week = Some(monday.clone());
    let (name, newsletter) = (clean(&site.name), clean(&site.newsletter));
    let why = format!("You get this mail because you signed up for {newsletter} from {name} and confirmed your address on {SINCE_HOLE}.");
    let unsubscribe = site.link(&format!("/unsubscribe/{TOKEN_HOLE}"));
    let saved = site.link(&format!("/saved/{READER_HOLE}"));
    let preferences = site.link(&format!("/preferences/{READER_HOLE}"));
    let opening = OpeningView::new(&content.opening, limits);
    let online = site.link(&format!("/digests/{}", content.slot));
    let sample = content.is_sample();
    let text = DigestText {
        frame: &frame,
        subtitle: paragraph(&format!("{name}, week of {}", monday.words)),
        lead: paragraph(&format!("{} {}", lead.count, lead.contest)),
        items: duels.iter().enumerate().map(|(i, duel)| text_item(&frame, i, duels.len(), duel)).collect(),
        brief: brief.iter().map(|duel| (paragraph(&duel.title()), frame.comparison(duel.slug))).collect(),
        sample,
        sample_words: SAMPLE,
        why: paragraph(&why),
        unsubscribe: &unsubscribe,
        saved: &saved,
        preferences: &preferences,
        turns: opening.turns.iter().map(|line| paragraph(line)).collect(),
        decided: opening.decided.iter().map(|line| paragraph(line)).collect(),
        has_saved: opening.has_saved,
        online: &online,
        postal_address: frame.postal_address_in_lines(),
    };
    let text = tidy(&text.render()?);
    let html = DigestHtml {
        frame: &frame,
        lead: &lead,
        duels,
        brief,
        sample,
        sample_words: SAMPLE,
        why: &why,
        unsubscribe: &unsubscribe,
        saved: &saved,
        preferences: &preferences,
        opening: &opening,
        online: &online,
    };
    Ok(Rendered { html: html.render()?, text, subject })
}

/// Names what is inside: the first form that fits of the whole names, then of names cut shorter.
fn subject(site: &Site, content: &Content, duels: &[Duel<'_>]) -> String {
    let Some(first) = duels.first() else { return shorten(&format!("{}, {}", site.newsletter, content.slot), SUBJECT) };
    let rest = match content.items.len() - 1 {
        0 => String::new(),
        1 => " And 1 more verdict".into(),
        more => format!(" And {more} more verdicts"),
    };
    let pair = |max: usize| format!("{} or {}?", shorten(&first.sides[0].name, max), shorten(&first.sides[1].name, max));
    let forms = [pair(60) + &rest, pair(60), pair(30) + &rest];
    let fitting = forms.into_iter().find(|form| form.chars().count() <= SUBJECT);
    fitting.unwrap_or_else(|| shorten(&pair(30), SUBJECT))
}

/// What a list of mails shows after the subject, which already names the first pair.
fn preheader(lead: &Lead) -> String {
    let long = format!("{} Scores, prices and the sharpest lines.", lead.count);
    if long.chars().count() <= 90 { long } else { lead.count.clone() }
}

fn text_item(frame: &Frame<'_>, index: usize, total: usize, duel: &Duel<'_>) -> TextItem {
    let title = duel.title().to_uppercase();
    TextItem {
        heading: paragraph(&format!("{}. {title}", index + 1)),
        category: paragraph(&format!("{} of {total}, {}", index + 1, duel.category())),
        table: table(duel),
        quotes: duel.quotes.iter().map(quotation).collect(),
        why: if duel.reasons.is_empty() { String::new() } else { paragraph(&format!("Why we picked it: {}", duel.why())) },
        choices: duel.sides.iter().map(|side| choices(frame, side)).collect(),
        url: frame.comparison(duel.slug),
    }
}

/// What a digest opens with, in lines.
struct OpeningView {
    turns: Vec<String>,
    decided: Vec<String>,
    has_saved: bool,
}

impl OpeningView {
    fn new(opening: &Opening, limits: Limits) -> Self {
        let turn = |turn: &Turn| format!("{}: {}.", shorten(&turn.name, 60), turn.words());
        let line = |text: &String| limits.shorten_line(text);
        let decided = opening.decided.iter().flat_map(|decided| decided.lines.iter().chain(&decided.disagreement).map(line));
        Self { turns: opening.turns.iter().map(turn).collect(), decided: decided.collect(), has_saved: opening.has_saved }
    }
}

fn choices(frame: &Frame<'_>, side: &Side<'_>) -> (String, String, String, String) {
    let words = paragraph(&format!("{}: ship, skip, or save it for later", side.name));
    (words, frame.vote(side.slug, "ship"), frame.vote(side.slug, "skip"), frame.save(side.slug))
}

fn quotation(quote: &Quote) -> String {
    let said = wrap(&format!("\"{}\"", quote.text), WIDTH - 2);
    let by = wrap(&format!("{} on {}, {} of 100: {}", quote.reviewer, quote.tool, quote.score, quote.verdict), WIDTH - 4);
    let lines = said.into_iter().map(|line| format!("  {line}")).chain(by.into_iter().map(|line| format!("    {line}")));
    lines.collect::<Vec<_>>().join("\n")
}

/// The table of a comparison in plain characters: 14 columns for the row's head and 30 for each tool, two between.
fn table(duel: &Duel<'_>) -> String {
    let sides = |cell: &dyn Fn(usize) -> String| [cell(0), cell(1)];
    let mut rows = vec![
        ("".to_owned(), sides(&|i| duel.sides[i].name.clone())),
        ("-".repeat(14), sides(&|_| "-".repeat(30))),
        ("Verdict".into(), sides(&|i| duel.sides[i].panel.text())),
    ];
    for row in duel.scorecard.iter().filter(|row| row.is_reviewed()) {
        let opinion = |i: usize| row.opinions[i].as_ref().map_or_else(|| "No panel take".into(), |o| format!("{} {}", o.score, o.verdict));
        rows.push((row.reviewer.to_string(), sides(&opinion)));
    }
    rows.push(("Pricing".into(), sides(&|i| duel.sides[i].pricing.clone())));
    rows.push(("Best for".into(), sides(&|i| duel.sides[i].best_for.clone())));
    rows.push(("Readers".into(), sides(&|i| duel.sides[i].community.clone())));
    rows.iter().map(|(head, cells)| table_row(head, cells)).collect::<Vec<_>>().join("\n")
}

fn table_row(head: &str, cells: &[String; 2]) -> String {
    let pad = |text: &str, width: usize| format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))));
    let [left, right] = [wrap(&cells[0], 30), wrap(&cells[1], 30)];
    let line = |i: usize| {
        let at = |lines: &[String]| lines.get(i).cloned().unwrap_or_default();
        format!("{}  {}  {}", pad(if i == 0 { head } else { "" }, 14), pad(&at(&left), 30), at(&right)).trim_end().to_owned()
    };
    (0..left.len().max(right.len())).map(line).collect::<Vec<_>>().join("\n")
}

fn paragraph(text: &str) -> String {
    wrap(text, WIDTH).join("\n")
}

/// At most one empty line in a row, none at the ends, no spaces at the end of a line.
fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    for line in text.trim().lines().map(str::trim_end) {
        if !line.is_empty() || !tidied.ends_with("\n\n") {
            tidied.push_str(line);
            tidied.push('\n');
        }
    }
    tidied
}

#[derive(Template)]
#[template(path = "email/confirmation.html", whitespace = "minimize")]
struct ConfirmationHtml<'a> {
    frame: &'a Frame<'a>,
    request: &'a str,
    link: &'a str,
    otherwise: &'a str,
}

#[derive(Template)]
#[template(path = "email/confirmation.txt", whitespace = "preserve")]
struct ConfirmationText<'a> {
    frame: &'a Frame<'a>,
    request: String,
    link: &'a str,
    otherwise: String,
    postal_address: String,
}

/// The mail that asks whether an address wants the newsletter. `confirm_within` is a length of time in words.
pub fn confirmation(site: &Site, confirm_within: &str) -> Result<Rendered, RenderError> {
    let (name, newsletter) = (clean(&site.name), clean(&site.newsletter));
    let subject = shorten(&format!("Please confirm: {newsletter}"), SUBJECT);
    let frame =
        Frame::new(site, &subject, "Confirm your subscription", &format!("One press, and {newsletter} comes to you about once a week."));
    let link = site.link(&format!("/confirm/{TOKEN_HOLE}"));
    let request = format!("Somebody, hopefully you, entered this address to get {newsletter} from {name}. Please confirm that it was you:");
    let otherwise =
        format!("If it wasn't you, do nothing: your address is forgotten after {}, and you hear no more from us.", clean(confirm_within));
    let text = ConfirmationText {
        frame: &frame,
        request: paragraph(&request),
        link: &link,
        otherwise: paragraph(&otherwise),
        postal_address: frame.postal_address_in_lines(),
    };
    let html = ConfirmationHtml { frame: &frame, request: &request, link: &link, otherwise: &otherwise };
    Ok(Rendered { html: html.render()?, text: tidy(&text.render()?), subject })
}
