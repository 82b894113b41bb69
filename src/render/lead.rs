//! First words about a digest: its line behind the subject, and the tally of its verdicts.

use super::text::shorten;
use super::view::Badge;
use super::view::ComparisonView;
use super::view::sentence;
use crate::domain::digest::DigestContent;

/// Characters of the line behind a subject. A shorter one lets a list of mails show what comes next in the mail.
const LINE: std::ops::RangeInclusive<usize> = 40..=90;

/// First words about a digest.
#[derive(Debug, Clone)]
pub struct Lead {
    /// "Five comparisons, ten tools: 6 ship, 3 skip, 1 split."
    pub count: String,
    /// The answer of the first comparison, in one line of 40 to 90 characters: lists of mails show it, and the text part begins with it.
    pub line: String,
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
        let tally = parts.join(", ");
        let count = match pairs {
            0 => "Nothing new this week.".into(),
            _ => sentence(&format!(
                "{} {comparisons}, {} tools: {tally}",
                number(pairs),
                number(tools)
            )),
        };
        let answer = duels.first().map(|duel| duel.answer.sentence());
        Self {
            line: line(&answer.unwrap_or_default(), &count, &tally),
            count,
        }
    }
}

/// The answer, followed by what there is beside it where it is short.
fn line(answer: &str, count: &str, tally: &str) -> String {
    let forms = [
        answer.to_owned(),
        format!("{answer} {count}"),
        format!("{answer} In all {tally}."),
        format!("{answer} {count} Read them all in the mail."),
    ];
    let fits = |form: &&String| LINE.contains(&form.trim().chars().count());
    let line = forms.iter().find(fits).unwrap_or(&forms[0]);
    shorten(line, *LINE.end())
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
