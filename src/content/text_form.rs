//! The text form of a comparison, as the site's own pages read when they are copied:
//!
//! ```text
//! Decision
//! Left Tool
//! Right Tool
//! Panel verdict
//! Ship · 1 ship / 0 skip
//! Skip · 0 ship / 1 skip
//! ...
//! Reviewer scorecard
//!
//! Builder
//! 82/100 · ship
//!
//! One paragraph: the take on the left tool.
//!
//! 31/100 · skip
//!
//! One paragraph: the take on the right tool.
//!
//! Skeptic
//! No panel take
//! No panel take
//! ```
//!
//! It parses without guessing: each reviewer has one answer for each tool, and the panel's numbers must agree with the answers.

use url::Url;

use crate::domain::catalogue::Reviewer;
use crate::domain::catalogue::Verdict;
use crate::domain::source::FoundComparison;
use crate::domain::source::FoundEntry;
use crate::domain::source::FoundReview;
use crate::domain::source::FoundTool;
use crate::domain::source::RemarkKind;
use crate::domain::source::canonical_url;

const TABLE: &str = "Decision";
const SCORECARD: &str = "Reviewer scorecard";
const NO_TAKE: &str = "No panel take";

/// Lines with a mark where a blank one was.
struct Lines<'t> {
    lines: Vec<&'t str>,
    at: usize,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            lines: text.lines().map(str::trim).collect(),
            at: 0,
        }
    }

    /// The next line that has text.
    fn next(&mut self) -> Option<&'t str> {
        while let Some(line) = self.lines.get(self.at) {
            self.at += 1;
            if !line.is_empty() {
                return Some(line);
            }
        }
        None
    }

    fn peek(&self) -> Option<&'t str> {
        let rest = self.lines.get(self.at..)?;
        rest.iter().copied().find(|line| !line.is_empty())
    }

    /// The next paragraph: lines up to a blank one, or to a line that begins something else.
    fn paragraph(&mut self) -> String {
        let mut words = Vec::new();
        while let Some(line) = self.lines.get(self.at) {
            let is_end = line.is_empty() && !words.is_empty();
            if is_end || (!line.is_empty() && begins_something(line)) {
                break;
            }
            self.at += 1;
            if !line.is_empty() {
                words.push(*line);
            }
        }
        words.join(" ")
    }

    /// Goes behind a line; false if there is none.
    fn skip_past(&mut self, wanted: &str) -> bool {
        let rest = self.lines.get(self.at..).unwrap_or_default();
        let found = rest.iter().position(|line| *line == wanted);
        if let Some(found) = found {
            self.at += found + 1;
        }
        found.is_some()
    }
}

fn reviewer_line(line: &str) -> Option<Reviewer> {
    line.parse().ok()
}

/// `82/100 · ship`: score and verdict.
fn answer_line(line: &str) -> Option<(u8, Verdict)> {
    let (score, rest) = line.split_once("/100")?;
    let score = score
        .trim()
        .parse::<u8>()
        .ok()
        .filter(|score| *score <= 100)?;
    let rest = rest.trim().strip_prefix(['·', '•', '|', '-', '–'])?;
    Some((score, rest.trim().to_ascii_lowercase().parse().ok()?))
}

fn begins_something(line: &str) -> bool {
    line == NO_TAKE || reviewer_line(line).is_some() || answer_line(line).is_some()
}

/// `Ship · 4 ship / 0 skip`: reviewers who said each.
fn panel_line(line: &str) -> Option<(usize, usize)> {
    let counts = line.rsplit('·').next()?.trim();
    let (ships, skips) = counts.split_once('/')?;
    let ships = ships.trim().strip_suffix("ship")?.trim().parse().ok()?;
    let skips = skips.trim().strip_suffix("skip")?.trim().parse().ok()?;
    Some((ships, skips))
}

/// Reads the text of a page.
///
/// # Errors
/// A sentence that says which line is not as expected.
pub fn read(text: &str, url: &Url) -> Result<FoundEntry, String> {
    let mut lines = Lines::new(text);
    if !lines.skip_past(TABLE) {
        return Err(format!("there is no line \"{TABLE}\""));
    }
    let names = [next_of(&mut lines, TABLE)?, next_of(&mut lines, TABLE)?];
    let mut tools = names.map(|name| FoundTool {
        name: name.to_owned(),
        ..FoundTool::default()
    });
    let mut panel: Option<[(usize, usize); 2]> = None;
    loop {
        let label = lines
            .next()
            .ok_or_else(|| format!("there is no line \"{SCORECARD}\""))?;
        if label == SCORECARD {
            break;
        }
        let cells = [next_of(&mut lines, label)?, next_of(&mut lines, label)?];
        for (tool, cell) in tools.iter_mut().zip(cells) {
            let field = match label {
                "Pricing" => &mut tool.pricing,
                "Best for" => &mut tool.tagline,
                "Category" => &mut tool.category,
                _ => continue,
            };
            cell.clone_into(field);
        }
        if label == "Panel verdict" {
            let counted = cells.map(|cell| panel_line(cell).ok_or(cell));
            let [left, right] = counted;
            let fault =
                |cell| format!("\"{cell}\" is no panel verdict like \"Ship · 4 ship / 0 skip\"");
            panel = Some([left.map_err(fault)?, right.map_err(fault)?]);
        }
    }
    read_scorecard(&mut lines, &mut tools)?;
    if let Some(panel) = panel {
        check_panel(&tools, panel)?;
    }
    describe(text, &mut tools);
    Ok(entry(tools, url))
}

fn next_of<'t>(lines: &mut Lines<'t>, label: &str) -> Result<&'t str, String> {
    lines
        .next()
        .ok_or_else(|| format!("two lines were expected after \"{label}\""))
}

fn read_scorecard(lines: &mut Lines<'_>, tools: &mut [FoundTool; 2]) -> Result<(), String> {
    let mut known = Vec::new();
    while let Some(reviewer) = lines.peek().and_then(reviewer_line) {
        lines.next();
        if known.contains(&reviewer) {
            return Err(format!("{reviewer} comes twice"));
        }
        known.push(reviewer);
        for tool in tools.iter_mut() {
            let line = lines.next().unwrap_or_default();
            if line == NO_TAKE {
                continue;
            }
            let (score, verdict) = answer_line(line).ok_or_else(|| {
                format!(
                    "{reviewer}: expected \"82/100 · ship\" or \"{NO_TAKE}\" for {}, found \"{line}\"",
                    tool.name
                )
            })?;
            let take = lines.paragraph();
            if take.is_empty() {
                return Err(format!("{reviewer}: there is no take on {}", tool.name));
            }
            tool.reviews.push(FoundReview {
                reviewer,
                score: score.to_string(),
                verdict: Some(verdict),
                take,
                quote: None,
            });
        }
    }
    match known.is_empty() {
        true => Err(format!("no reviewer follows \"{SCORECARD}\"")),
        false => Ok(()),
    }
}

fn check_panel(tools: &[FoundTool; 2], panel: [(usize, usize); 2]) -> Result<(), String> {
    for (tool, (ships, skips)) in tools.iter().zip(panel) {
        let said = |wanted| {
            let reviews = tool.reviews.iter();
            reviews
                .filter(|review| review.verdict == Some(wanted))
                .count()
        };
        let found = (said(Verdict::Ship), said(Verdict::Skip));
        if found != (ships, skips) {
            return Err(format!(
                "{}: the panel verdict says {ships} ship and {skips} skip, its reviewers {} and {}",
                tool.name, found.0, found.1
            ));
        }
    }
    Ok(())
}

/// Takes entry price and description from the cards above the table: name, tagline, ..., price, "Entry", a paragraph.
fn describe(text: &str, tools: &mut [FoundTool; 2]) {
    let mut lines = Lines::new(text);
    for tool in tools {
        let start = lines.at;
        let is_card = |lines: &mut Lines<'_>| {
            while lines.skip_past(&tool.name) {
                if lines.peek() == Some(tool.tagline.as_str()) {
                    return true;
                }
            }
            false
        };
        if !is_card(&mut lines) {
            lines.at = start;
            continue;
        }
        let mut before = "";
        while let Some(line) = lines.next() {
            if line == TABLE {
                break;
            }
            if line == "Entry" {
                before.clone_into(&mut tool.entry_price);
                tool.description = lines.paragraph();
                break;
            }
            before = line;
        }
    }
}

fn entry(tools: [FoundTool; 2], url: &Url) -> FoundEntry {
    let [left, right] = &tools;
    let comparison = FoundComparison {
        left: left.name.clone(),
        right: right.name.clone(),
        ..FoundComparison::default()
    };
    let title = format!("{} vs {}", left.name, right.name);
    let mut entry = FoundEntry {
        guid: canonical_url(url),
        url: Some(url.to_string()),
        title,
        comparisons: vec![comparison],
        ..FoundEntry::default()
    };
    let unsaid = tools.iter().filter(|tool| tool.reviews.is_empty());
    for tool in unsaid {
        entry.remark(RemarkKind::Note, &tool.name, "No reviewer speaks of it.");
    }
    entry.tools = tools.into();
    entry
}
