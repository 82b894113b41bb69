//! The digest's text, written to be read: lines of 78 columns, a table in plain characters, links on lines of their own.

use super::MailFrame;
use crate::render::markdown::Block;
use crate::render::text::columns;
use crate::render::text::wrap;
use crate::render::view::ComparisonView;
use crate::render::view::Quote;
use crate::render::view::ToolView;

/// Text mails are read in windows of 80 columns.
const WIDTH: usize = 78;

/// A comparison in lines that fit.
pub(super) struct TextItem {
    pub kicker: String,
    pub heading: String,
    pub table: String,
    pub quotes: Vec<String>,
    pub why: String,
    /// For each tool: what the links are for, then to ship, to skip, to save.
    pub choices: Vec<(String, String, String, String)>,
    pub url: String,
}

impl TextItem {
    pub(super) fn new(
        frame: &MailFrame<'_>,
        index: usize,
        total: usize,
        duel: &ComparisonView<'_>,
    ) -> Self {
        Self {
            kicker: paragraph(&format!(
                "{} of {total}, {}: {}",
                index + 1,
                duel.category(),
                duel.title()
            )),
            heading: paragraph(&format!("{}. {}", index + 1, duel.answer.sentence())),
            table: table(duel),
            quotes: duel.quotes.iter().map(quotation).collect(),
            why: if duel.reasons.is_empty() {
                String::new()
            } else {
                paragraph(&format!("Why we picked it: {}", duel.why()))
            },
            choices: duel.sides.iter().map(|side| choices(frame, side)).collect(),
            url: frame.comparison(duel.slug),
        }
    }
}

fn choices(frame: &MailFrame<'_>, side: &ToolView<'_>) -> (String, String, String, String) {
    let words = paragraph(&format!("{}: ship, skip, or save it for later", side.name));
    (
        words,
        frame.vote(side.slug, "ship"),
        frame.vote(side.slug, "skip"),
        frame.save(side.slug),
    )
}

fn quotation(quote: &Quote) -> String {
    let said = wrap(&format!("\"{}\"", quote.text), WIDTH - 2);
    let by = wrap(
        &format!(
            "{} on {}, {} of 100: {}",
            quote.reviewer, quote.tool, quote.score, quote.verdict
        ),
        WIDTH - 4,
    );
    let lines = said
        .into_iter()
        .map(|line| format!("  {line}"))
        .chain(by.into_iter().map(|line| format!("    {line}")));
    lines.collect::<Vec<_>>().join("\n")
}

/// The table of a comparison in plain characters: 14 columns for the row's head and 30 for each tool, two between.
fn table(duel: &ComparisonView<'_>) -> String {
    let sides = |cell: &dyn Fn(usize) -> String| [cell(0), cell(1)];
    let mut rows = vec![
        ("".to_owned(), sides(&|i| duel.sides[i].name.clone())),
        ("-".repeat(14), sides(&|_| "-".repeat(30))),
        ("Verdict".into(), sides(&|i| duel.sides[i].panel.text())),
    ];
    for row in duel.scorecard.iter().filter(|row| row.is_reviewed()) {
        let opinion = |i: usize| {
            row.opinions[i].as_ref().map_or_else(
                || "No panel take".into(),
                |o| format!("{} {}", o.score, o.verdict),
            )
        };
        rows.push((row.reviewer.to_string(), sides(&opinion)));
    }
    rows.extend(
        duel.facts()
            .map(|(head, cells)| (head.into(), cells.map(String::from))),
    );
    rows.iter()
        .map(|(head, cells)| table_row(head, cells))
        .collect::<Vec<_>>()
        .join("\n")
}

fn table_row(head: &str, [left, right]: &[String; 2]) -> String {
    row(&[(head, 14), (left, 30), (right, 30)])
}

/// The answers of all comparisons, numbered as the comparisons are.
pub(super) fn answers(duels: &[ComparisonView<'_>]) -> Vec<String> {
    let line = |(i, duel): (usize, &ComparisonView<'_>)| {
        let mark = format!("{}. ", i + 1);
        let lines = wrap(&duel.answer.sentence(), WIDTH - mark.len());
        format!(
            "{mark}{}",
            lines.join(&format!("\n{}", " ".repeat(mark.len())))
        )
    };
    duels.iter().enumerate().map(line).collect()
}

/// Returns how readers and panel voted, in plain characters; nothing where nobody did.
pub(super) fn decided(tools: &[[String; 3]]) -> String {
    let line = |[name, readers, panel]: [&str; 3]| row(&[(name, 38), (readers, 20), (panel, 16)]);
    let rows = tools
        .iter()
        .map(|tool| line(tool.each_ref().map(String::as_str)));
    let heads = [
        line(["", "Readers", "Panel"]),
        line(["-".repeat(38).as_str(), &"-".repeat(20), &"-".repeat(16)]),
    ];
    if tools.is_empty() {
        String::new()
    } else {
        heads.into_iter().chain(rows).collect::<Vec<_>>().join("\n")
    }
}

/// Cells beside one another, each wrapped in its columns, two between them.
fn row(cells: &[(&str, usize)]) -> String {
    let pad = |text: &str, width: usize| {
        format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
    };
    let wrapped: Vec<(Vec<String>, usize)> = cells
        .iter()
        .map(|(text, width)| (wrap(text, *width), *width))
        .collect();
    let height = wrapped
        .iter()
        .map(|(lines, _)| lines.len())
        .max()
        .unwrap_or_default();
    let line = |i: usize| {
        let cells = wrapped
            .iter()
            .map(|(lines, width)| pad(lines.get(i).map_or("", String::as_str), *width));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    (0..height).map(line).collect::<Vec<_>>().join("\n")
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
