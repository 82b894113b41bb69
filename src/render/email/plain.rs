//! The digest's text, written to be read in letters of any width: lines of 75 columns, a block for each tool, links on lines of their own.

use super::MailFrame;
use crate::domain::answer::Answer;
use crate::render::markdown::Block;
use crate::render::quotes::Quote;
use crate::render::text::wrap;
use crate::render::view::ComparisonView;

/// Text mails are read in windows of 80 columns; and quoted-printable breaks lines of more than 75 (RFC 2045 6.7).
const WIDTH: usize = 75;

/// A comparison in lines that fit.
pub(super) struct TextItem {
    pub heading: String,
    pub kicker: String,
    /// A block for each tool; empty in brief.
    pub tools: Vec<String>,
    pub quotes: Vec<String>,
    pub why: String,
    pub url: String,
    /// Words and address of each link; in brief none.
    pub votes: Vec<(String, String)>,
    pub choose: String,
}

impl TextItem {
    /// The first comparison in full, another in brief.
    pub(super) fn new(
        frame: &MailFrame<'_>,
        index: usize,
        total: usize,
        duel: &ComparisonView<'_>,
    ) -> Self {
        let is_lead = index == 0;
        let quotes: Vec<&Quote> = if is_lead {
            duel.quotes.iter().collect()
        } else {
            duel.quote.iter().collect()
        };
        let why = if is_lead && !duel.reasons.is_empty() {
            paragraph(&format!("Why we picked it: {}", duel.why()))
        } else {
            paragraph(&duel.followed)
        };
        let names = duel.spoken_names();
        let vote = |i: usize| {
            (
                paragraph(&format!("Ship {}:", names[i])),
                frame.vote(duel.sides[i].slug, "ship"),
            )
        };
        Self {
            kicker: paragraph(&format!(
                "{} of {total}, {}: {}",
                index + 1,
                duel.category(),
                duel.title()
            )),
            heading: paragraph(&format!("{}. {}", index + 1, duel.answer.sentence())),
            tools: if is_lead { tools(duel) } else { Vec::new() },
            quotes: quotes.into_iter().map(quotation).collect(),
            why,
            url: frame.comparison(duel.slug),
            votes: if is_lead {
                [0, 1].map(vote).into()
            } else {
                Vec::new()
            },
            choose: frame.choose(duel.slug),
        }
    }
}

fn quotation(quote: &Quote) -> String {
    let said = paragraph(&format!("\"{}\"", quote.text));
    let by = format!(
        "{} on {}, {} of 100: {}",
        quote.reviewer, quote.tool, quote.score, quote.verdict
    );
    format!("{said}\n{}", paragraph(&by))
}

/// A block for each tool: a table needs letters of one width, and rules of dashes are taken for the end of a mail.
fn tools(duel: &ComparisonView<'_>) -> Vec<String> {
    let facts = duel.facts();
    let block = |i: usize| {
        let side = &duel.sides[i];
        let mut lines = vec![paragraph(&format!("{}: {}", side.name, side.panel.text()))];
        let opinions: Vec<String> = duel
            .reviewed()
            .filter_map(|row| {
                let opinion = row.opinions[i].as_ref()?;
                Some(format!(
                    "{} {} {}",
                    row.reviewer, opinion.score, opinion.verdict
                ))
            })
            .collect();
        if !opinions.is_empty() {
            lines.push(paragraph(&opinions.join(", ")));
        }
        let missing: Vec<&str> = duel
            .reviewed()
            .filter(|row| row.opinions[i].is_none())
            .map(|row| row.reviewer.as_str())
            .collect();
        if !missing.is_empty() {
            lines.push(paragraph(&format!("No panel take: {}", missing.join(", "))));
        }
        lines.extend(
            facts
                .iter()
                .map(|(head, cells)| paragraph(&format!("{head}: {}", cells[i]))),
        );
        lines.join("\n")
    };
    vec![block(0), block(1)]
}

/// Answers, numbered as the comparisons are.
pub(super) fn numbered<'a>(answers: impl Iterator<Item = &'a Answer>) -> Vec<String> {
    let line = |(i, answer): (usize, &Answer)| {
        let mark = format!("{}. ", i + 1);
        let lines = wrap(&answer.sentence(), WIDTH - mark.len());
        format!(
            "{mark}{}",
            lines.join(&format!("\n{}", " ".repeat(mark.len())))
        )
    };
    answers.enumerate().map(line).collect()
}

/// Votes of readers and panel on each tool, a line each.
pub(super) fn decided(tools: &[[String; 3]]) -> Vec<String> {
    tools
        .iter()
        .map(|[name, readers, panel]| {
            paragraph(&format!("{name}: readers {readers}; panel {panel}"))
        })
        .collect()
}

/// Text that people wrote, in lines that fit.
pub(super) fn blocks(blocks: &[Block]) -> String {
    crate::render::issue_text::plain(blocks, WIDTH)
}

pub(super) fn paragraph(text: &str) -> String {
    wrap(text, WIDTH).join("\n")
}

/// At most one empty line in a row, none at the ends, no spaces at the end of a line.
pub(super) fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    for line in text.trim().lines().map(str::trim_end) {
        if !line.is_empty() || !tidied.ends_with("\n\n") {
            tidied.push_str(line);
            tidied.push('\n');
        }
    }
    tidied
}
