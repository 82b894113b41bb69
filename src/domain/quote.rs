//! Quotes: the sentence of a take that carries its judgement, whole.
//!
//! A sentence is judged by its words: those that praise count for a *ship*, those that blame for a *skip*, and the other kind against it. A first
//! person, the tool's own name, the first and the last place count for it; a word that leans on the sentence before ("It", "But", "This") against it.
//! In a language whose words are not listed, place and length decide. A sentence that does not fit is left out, never cut.

use super::catalogue::Verdict;

/// Maximum number of characters of a quote that a catalogue sets.
pub const QUOTE_MAX: usize = 200;

/// Words that praise.
const PRAISE: &[&str] = &[
    "always",
    "beautiful",
    "best",
    "better",
    "charming",
    "clever",
    "convincing",
    "defend",
    "delight",
    "delightful",
    "delightfully",
    "earns",
    "easy",
    "elegant",
    "enough",
    "excellent",
    "exactly",
    "fair",
    "finally",
    "gift",
    "good",
    "graceful",
    "great",
    "happily",
    "honest",
    "impressive",
    "love",
    "lovely",
    "own",
    "perfect",
    "praise",
    "real",
    "reliable",
    "right",
    "sensible",
    "solid",
    "strong",
    "thoughtful",
    "trust",
    "underrated",
    "useful",
    "wins",
    "worth",
];

/// Words that blame.
const BLAME: &[&str] = &[
    "avoid",
    "awful",
    "badly",
    "bad",
    "beats",
    "boring",
    "brittle",
    "burglar",
    "cannot",
    "can't",
    "clumsy",
    "dangerous",
    "ends",
    "fail",
    "failed",
    "fails",
    "fell",
    "fragile",
    "hard",
    "impossible",
    "isn't",
    "kills",
    "lacks",
    "lose",
    "loses",
    "missed",
    "missing",
    "nobody",
    "nothing",
    "overpriced",
    "poor",
    "problem",
    "punishes",
    "silly",
    "thin",
    "trouble",
    "ugly",
    "unfair",
    "unreliable",
    "waste",
    "wait",
    "weak",
    "worries",
    "worry",
    "worse",
    "worst",
    "wouldn't",
    "wrong",
];

/// First words that lean on the sentence before.
const LEANING: &[&str] = &[
    "also",
    "and",
    "because",
    "both",
    "but",
    "each",
    "even",
    "he",
    "her",
    "here",
    "his",
    "however",
    "instead",
    "it",
    "its",
    "neither",
    "or",
    "otherwise",
    "she",
    "so",
    "still",
    "such",
    "that",
    "their",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "which",
    "yet",
];

/// The sentence of a take that says best why its reviewer says `verdict` of a tool; `None` where no whole sentence has at most `max` characters.
/// `take` is one line.
pub fn sentence<'a>(take: &'a str, verdict: Verdict, tool: &str, max: usize) -> Option<&'a str> {
    let all: Vec<&str> = sentences(take).collect();
    let fitting = all
        .iter()
        .enumerate()
        .filter(|(_, text)| text.chars().count() <= max && is_balanced(text));
    fitting
        .map(|(at, text)| (score(text, (at, all.len()), verdict, tool), at, *text))
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, _, text)| text)
}

/// Points of the sentence at a place among `count`.
fn score(text: &str, (at, count): (usize, usize), verdict: Verdict, tool: &str) -> i32 {
    let words: Vec<String> = text
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '’')))
        .filter(|word| !word.is_empty())
        .map(|word| word.to_lowercase().replace('’', "'"))
        .collect();
    let is = |list: &[&str], word: &str| list.contains(&word);
    let hits = |list: &[&str]| {
        list.iter()
            .filter(|listed| words.iter().any(|word| word == *listed))
            .count()
            .min(3) as i32
    };
    let (with, against) = match verdict {
        Verdict::Ship => (PRAISE, BLAME),
        Verdict::Skip => (BLAME, PRAISE),
    };
    let length = text.chars().count();
    let points = [
        (
            words.iter().any(|word| is(&["i", "i'd", "my", "we"], word)),
            1,
        ),
        (!tool.is_empty() && text.contains(tool), 2),
        (at == 0, 1),
        (at + 1 == count, 2),
        (words.first().is_some_and(|word| is(LEANING, word)), -4),
        (has_pronoun(&words) || text.contains(" the other "), -3),
        (text.ends_with(['?', '？', '؟', ':', '…']), -3),
        (length < 40, -2),
        (length > 160, -1),
    ];
    let about: i32 = points
        .iter()
        .filter(|(holds, _)| *holds)
        .map(|(_, points)| points)
        .sum();
    3 * hits(with) - 2 * hits(against) + about
}

/// Returns whether a sentence begins by speaking of what another one names: "When they succeed".
fn has_pronoun(words: &[String]) -> bool {
    let mut first = words.iter().skip(1).take(3);
    first.any(|word| matches!(word.as_str(), "it" | "its" | "they" | "them" | "their"))
}

/// Returns whether what is opened in a sentence is closed in it.
fn is_balanced(text: &str) -> bool {
    let count = |c: char| text.matches(c).count();
    count('“') == count('”') && count('(') == count(')') && count('"').is_multiple_of(2)
}

/// The sentences of a line: each ends at a mark and its closing quotes, before the end or a space and no lower-case letter.
pub fn sentences(line: &str) -> impl Iterator<Item = &str> {
    let mut start = 0;
    ends(line).filter_map(move |end| {
        let text = line.get(start..end)?.trim();
        start = end;
        (!text.is_empty()).then_some(text)
    })
}

fn ends(line: &str) -> impl Iterator<Item = usize> {
    line.match_indices(['.', '!', '?', '。', '！', '？', '؟', '।'])
        .filter_map(|(at, mark)| {
            let rest = &line[at + mark.len()..];
            let after = rest.trim_start_matches(['"', '\'', ')', '”', '’', '»', '」', '』']);
            let word = line[..at].rsplit(' ').next().unwrap_or_default();
            let abbreviation = matches!(
                word.trim_start_matches('('),
                "vs" | "e.g" | "i.e" | "approx" | "Dr" | "Mr" | "Ms" | "St" | "No"
            );
            // Chinese and Japanese write no space behind a sentence.
            let is_wide = matches!(mark, "。" | "！" | "？");
            let next = after.strip_prefix(' ').map(|next| next.chars().next());
            let ends = after.is_empty()
                || is_wide
                || (!abbreviation && next.is_some_and(|c| !c.is_some_and(char::is_lowercase)));
            ends.then_some(line.len() - after.len())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes, and the sentence that is quoted of them.
    const CASES: [(Verdict, &str, &str, &str); 11] = [
        (
            Verdict::Ship,
            "Plankwhistle",
            "A hard cap of five comments is the best product decision I have seen in this whole genre. On our service it flagged a retry loop. Setup was a webhook, a token and a nine-line config & nothing else.",
            "A hard cap of five comments is the best product decision I have seen in this whole genre.",
        ),
        (
            Verdict::Skip,
            "Dawnlatch",
            "I ran it for three weeks. Over three weeks, two of my morning briefs reported work that had not happened, in the same cheerful tone as the rest. Wrong numbers that look finished are worse than none at all. It is a young product.",
            "Wrong numbers that look finished are worse than none at all.",
        ),
        // Blame in a take that ships is not its judgement.
        (
            Verdict::Ship,
            "Thimblewren",
            "For a regulated shop Thimblewren is a gift: no data processor to add. My one worry is who funds the second version, and a grant is a thin answer.",
            "For a regulated shop Thimblewren is a gift: no data processor to add.",
        ),
        // What leans on the sentence before is not quoted without it.
        (
            Verdict::Ship,
            "Mistral Small",
            "Apache 2.0 licensing here isn't just a business decision. This is the right direction. Mistral Small keeps delivering where it counts for developers.",
            "Mistral Small keeps delivering where it counts for developers.",
        ),
        (
            Verdict::Skip,
            "Askgranary",
            "Any code host can add a comment cap in an afternoon, and then what is left to sell? The moat is thin.",
            "The moat is thin.",
        ),
        (
            Verdict::Skip,
            "Gantrymoth",
            "Two of ten tickets were closed for nothing. When they succeed the problem is worse. Nobody mentions the reviewer who pays for the other 78%.",
            "Two of ten tickets were closed for nothing.",
        ),
        // Too long: never cut.
        (
            Verdict::Skip,
            "X",
            "Every model release promises “efficient and capable” until you benchmark it against two others on real tasks, in a room without a net, for a week, with people who are paid to be unkind, and then it is usually awful and humbling in equal parts. Nobody measured it.",
            "Nobody measured it.",
        ),
        // A quotation that goes on stays whole.
        (
            Verdict::Skip,
            "X",
            "The page says “Trust us. We measured.” and stops there. Nobody else did.",
            "Nobody else did.",
        ),
        // Other languages: the last sentence that stands alone.
        (
            Verdict::Ship,
            "X",
            "Das Werkzeug liest die Tickets. Es schreibt fünf Kommentare. Für kleine Teams lohnt sich das jeden einzelnen Tag aufs Neue.",
            "Für kleine Teams lohnt sich das jeden einzelnen Tag aufs Neue.",
        ),
        (
            Verdict::Skip,
            "X",
            "最初の文です。これは遅すぎて仕事では使えない。",
            "これは遅すぎて仕事では使えない。",
        ),
        (Verdict::Ship, "X", "No end, e.g. of it", ""),
    ];

    #[test]
    fn the_sentence_that_carries_the_judgement_is_quoted_whole() {
        for (verdict, tool, take, expected) in CASES {
            let found = sentence(take, verdict, tool, 160).unwrap_or_default();
            assert_eq!(found, expected, "of {take}");
            assert!(sentence(take, verdict, tool, 5).is_none());
        }
    }

    #[test]
    fn sentences_end_where_people_end_them() {
        let of = |line| sentences(line).collect::<Vec<_>>();
        assert_eq!(
            of("One (e.g. this). “Two!” Three?"),
            ["One (e.g. this).", "“Two!”", "Three?"]
        );
        assert_eq!(
            of("Version 3.1 is out. no capital. End"),
            ["Version 3.1 is out. no capital."]
        );
        assert_eq!(of(""), [""; 0]);
    }
}
