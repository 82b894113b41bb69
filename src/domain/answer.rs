//! Answers: a comparison in words, with the votes of its panels: "Ship A (4 to 0). Skip B (4 to 1)."
//!
//! One function makes them for mails, pages and the feed, so that a comparison is called the same everywhere.

use super::catalogue::Panel;
use super::catalogue::RatedComparison;
use super::catalogue::Tool;
use super::catalogue::Verdict;

/// A panel's call on one tool, in the order in which a sentence names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PanelCall {
    /// The majority ships it.
    Ship,
    /// The majority skips it.
    Skip,
    /// Equal numbers ship and skip it.
    Split,
    /// No reviewer wrote about it.
    Unreviewed,
}

impl From<Panel> for PanelCall {
    fn from(panel: Panel) -> Self {
        match (panel.total(), panel.verdict()) {
            (0, _) => Self::Unreviewed,
            (_, Some(Verdict::Ship)) => Self::Ship,
            (_, Some(Verdict::Skip)) => Self::Skip,
            (_, None) => Self::Split,
        }
    }
}

/// Part of a sentence. Names stand apart, because each may run in a direction of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerPart {
    /// The text.
    pub text: String,
    /// True for a tool's name.
    pub is_name: bool,
}

/// One of the two tools.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AnsweredTool {
    name: String,
    panel: Panel,
    call: PanelCall,
}

/// Answer to "A or B?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Left first.
    tools: [AnsweredTool; 2],
}

impl Answer {
    /// The answer from the names and panels of two tools, left first. A qualifier in brackets at the end of a name is left out, as nobody says
    /// it, unless the names are the same without.
    pub fn new([left, right]: [(&str, Panel); 2]) -> Self {
        let (mut names, short) = ([left.0, right.0], [left.0, right.0].map(without_qualifier));
        if short[0] != short[1] {
            names = short;
        }
        let tool = |name: &str, panel: Panel| AnsweredTool {
            name: name.to_owned(),
            panel,
            call: panel.into(),
        };
        Self {
            tools: [tool(names[0], left.1), tool(names[1], right.1)],
        }
    }

    /// The answer of a comparison.
    pub fn of(matchup: &RatedComparison) -> Self {
        Self::new(
            matchup
                .contenders()
                .map(|side| (side.tool.name.as_str(), side.tool.panel())),
        )
    }

    /// Names as the answer says them, left first.
    pub fn names(&self) -> [&str; 2] {
        self.tools.each_ref().map(|tool| tool.name.as_str())
    }

    /// The call that both tools share.
    pub fn shared_call(&self) -> Option<PanelCall> {
        let [left, right] = &self.tools;
        (left.call == right.call).then_some(left.call)
    }

    /// The tools by their calls: what to ship comes first.
    fn by_call(&self) -> [&AnsweredTool; 2] {
        let [left, right] = &self.tools;
        if right.call < left.call {
            [right, left]
        } else {
            [left, right]
        }
    }

    /// The whole answer in parts: "Ship A (4 to 0). Skip B (4 to 1)."
    pub fn parts(&self) -> Vec<AnswerPart> {
        let [left, right] = &self.tools;
        let (a, b) = (name(&left.name), name(&right.name));
        let (in_a, in_b) = (votes(left.panel), votes(right.panel));
        match self.shared_call() {
            Some(PanelCall::Ship) => vec![
                words("Either: ship "),
                a,
                words(&format!("{in_a} or ")),
                b,
                words(&format!("{in_b}.")),
            ],
            Some(PanelCall::Skip) => vec![
                words("Neither: skip "),
                a,
                words(&format!("{in_a} and ")),
                b,
                words(&format!("{in_b}.")),
            ],
            Some(PanelCall::Split) => vec![
                words("Too close to call: "),
                a,
                words(&format!("{in_a} or ")),
                b,
                words(&format!("{in_b}.")),
            ],
            Some(PanelCall::Unreviewed) => {
                vec![words("No panel take on "), a, words(" or "), b, words(".")]
            }
            None => {
                let [first, second] = self.by_call();
                vec![
                    words(&format!("{} ", capitalized(verb(first.call)))),
                    name(&first.name),
                    words(&format!(
                        "{}. {} ",
                        votes(first.panel),
                        capitalized(verb(second.call))
                    )),
                    name(&second.name),
                    words(&format!("{}.", votes(second.panel))),
                ]
            }
        }
    }

    /// The whole answer as text.
    pub fn sentence(&self) -> String {
        self.parts().into_iter().map(|part| part.text).collect()
    }

    /// The answer without votes and without a full stop, for a subject: "Ship A, skip B".
    pub fn short(&self) -> String {
        let [left, right] = &self.tools;
        let (a, b) = (&left.name, &right.name);
        match self.shared_call() {
            Some(PanelCall::Ship) => format!("Ship either {a} or {b}"),
            Some(PanelCall::Skip) => format!("Skip both {a} and {b}"),
            Some(PanelCall::Split) => format!("Too close to call: {a} or {b}"),
            Some(PanelCall::Unreviewed) => format!("No panel take on {a} or {b}"),
            None => {
                let [first, second] = self.by_call();
                format!(
                    "{} {}, {} {}",
                    capitalized(verb(first.call)),
                    first.name,
                    verb(second.call),
                    second.name
                )
            }
        }
    }

    /// Subject of a digest that begins with this comparison and holds `others` more. One of three patterns: the answer where the panel calls the
    /// tools differently; else the names, and the call that both share or that it is too close. None ends in a question mark.
    pub fn subject(&self, others: usize) -> String {
        let [left, right] = &self.tools;
        let verdict = match self.shared_call() {
            Some(PanelCall::Ship) => Some("ship either"),
            Some(PanelCall::Skip) => Some("skip both"),
            Some(PanelCall::Split) => Some("too close to call"),
            Some(PanelCall::Unreviewed) | None => None,
        };
        let answer = match verdict {
            Some(verdict) => format!("{} or {}: {verdict}", left.name, right.name),
            None => self.short(),
        };
        match others {
            0 => answer.trim_end_matches(['?', '？', '؟', ' ']).to_owned(),
            others => format!("{answer}, and {others} more"),
        }
    }
}

/// Points that the average scores of two tools are apart at most for their comparison to be a close call.
const CLOSE_SCORES: u64 = 4;
/// Per cent that readers' shares of *ship* are apart at most for it.
const CLOSE_VOTES: u64 = 15;

/// Returns whether a comparison is a close call: its panels don't say the opposite, their average scores are nearly the same, and so are readers'
/// votes, where enough of them voted on both.
pub fn is_close(matchup: &RatedComparison) -> bool {
    let [left, right] = matchup.contenders();
    let is_opposite = matches!((left.tool.panel().verdict(), right.tool.panel().verdict()), (Some(a), Some(b)) if a != b);
    let scores = average_score(&left.tool).zip(average_score(&right.tool));
    let votes = left.votes.ship_percent().zip(right.votes.ship_percent());
    let is_within = |pair: (u64, u64), most| pair.0.abs_diff(pair.1) <= most;
    !is_opposite
        && scores.is_some_and(|pair| is_within(pair, CLOSE_SCORES))
        && votes.is_none_or(|pair| is_within(pair, CLOSE_VOTES))
}

/// The reviewers' average score, rounded; `None` without a review.
fn average_score(tool: &Tool) -> Option<u64> {
    let scores = tool
        .reviews
        .iter()
        .map(|review| u64::from(review.score.points()));
    let (sum, count) = (scores.sum::<u64>(), tool.reviews.len() as u64);
    (2 * sum + count).checked_div(2 * count)
}

/// "Llama 4 Compact (12B)" is "Llama 4 Compact" when it is spoken of.
fn without_qualifier(name: &str) -> &str {
    name.strip_suffix(')')
        .and_then(|name| name.rsplit_once(" ("))
        .map(|(name, _)| name.trim_end())
        .filter(|name| !name.is_empty())
        .unwrap_or(name)
}

fn words(text: &str) -> AnswerPart {
    AnswerPart {
        text: text.to_owned(),
        is_name: false,
    }
}

fn name(text: &str) -> AnswerPart {
    AnswerPart {
        text: text.to_owned(),
        is_name: true,
    }
}

/// " (4 to 1)", the majority first; nothing where nobody voted.
fn votes(panel: Panel) -> String {
    let Panel { ships, skips } = panel;
    match panel.total() {
        0 => String::new(),
        _ => format!(" ({} to {})", ships.max(skips), ships.min(skips)),
    }
}

/// Words before a tool's name, inside a sentence.
const fn verb(call: PanelCall) -> &'static str {
    match call {
        PanelCall::Ship => "ship",
        PanelCall::Skip => "skip",
        PanelCall::Split => "too close to call on",
        PanelCall::Unreviewed => "no panel take on",
    }
}

fn capitalized(words: &str) -> String {
    let mut chars = words.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(left: (u32, u32), right: (u32, u32)) -> Answer {
        let panel = |(ships, skips)| Panel { ships, skips };
        Answer::new([("A (4B)", panel(left)), ("B", panel(right))])
    }

    #[test]
    fn every_pair_of_panels_has_an_answer_in_words() {
        let cases = [
            (
                (4, 0),
                (1, 4),
                "Ship A (4 to 0). Skip B (4 to 1).",
                "Ship A, skip B",
                "Ship A, skip B, and 4 more",
            ),
            (
                (1, 4),
                (4, 0),
                "Ship B (4 to 0). Skip A (4 to 1).",
                "Ship B, skip A",
                "Ship B, skip A, and 4 more",
            ),
            (
                (4, 1),
                (3, 2),
                "Either: ship A (4 to 1) or B (3 to 2).",
                "Ship either A or B",
                "A or B: ship either, and 4 more",
            ),
            (
                (1, 4),
                (0, 3),
                "Neither: skip A (4 to 1) and B (3 to 0).",
                "Skip both A and B",
                "A or B: skip both, and 4 more",
            ),
            (
                (2, 2),
                (1, 1),
                "Too close to call: A (2 to 2) or B (1 to 1).",
                "Too close to call: A or B",
                "A or B: too close to call, and 4 more",
            ),
            (
                (2, 2),
                (3, 1),
                "Ship B (3 to 1). Too close to call on A (2 to 2).",
                "Ship B, too close to call on A",
                "Ship B, too close to call on A, and 4 more",
            ),
            (
                (2, 2),
                (0, 1),
                "Skip B (1 to 0). Too close to call on A (2 to 2).",
                "Skip B, too close to call on A",
                "Skip B, too close to call on A, and 4 more",
            ),
            (
                (0, 0),
                (3, 1),
                "Ship B (3 to 1). No panel take on A.",
                "Ship B, no panel take on A",
                "Ship B, no panel take on A, and 4 more",
            ),
            (
                (1, 3),
                (0, 0),
                "Skip A (3 to 1). No panel take on B.",
                "Skip A, no panel take on B",
                "Skip A, no panel take on B, and 4 more",
            ),
            (
                (2, 2),
                (0, 0),
                "Too close to call on A (2 to 2). No panel take on B.",
                "Too close to call on A, no panel take on B",
                "Too close to call on A, no panel take on B, and 4 more",
            ),
            (
                (0, 0),
                (0, 0),
                "No panel take on A or B.",
                "No panel take on A or B",
                "No panel take on A or B, and 4 more",
            ),
        ];
        for (left, right, sentence, short, subject) in cases {
            let answer = answer(left, right);
            assert_eq!(
                (
                    answer.sentence().as_str(),
                    answer.short().as_str(),
                    answer.subject(4).as_str()
                ),
                (sentence, short, subject)
            );
        }
    }

    #[test]
    fn a_qualifier_is_left_out_unless_it_tells_the_tools_apart() {
        let (all, none) = (Panel { ships: 3, skips: 0 }, Panel { ships: 0, skips: 3 });
        let short = |left, right| Answer::new([(left, all), (right, none)]).short();
        assert_eq!(short("Llama (12B)", "Phi (4B)"), "Ship Llama, skip Phi");
        assert_eq!(
            short("Llama (12B)", "Llama (4B)"),
            "Ship Llama (12B), skip Llama (4B)"
        );
        assert_eq!(short("(12B)", "f(x)"), "Ship (12B), skip f(x)");
    }

    #[test]
    fn no_subject_ends_in_a_question_mark_whatever_a_tool_is_called() {
        let of = |left: Panel| {
            Answer::new([("A", left), ("Why?", Panel { ships: 0, skips: 3 })]).subject(0)
        };
        assert_eq!(of(Panel { ships: 3, skips: 0 }), "Ship A, skip Why");
        assert_eq!(of(Panel { ships: 0, skips: 3 }), "A or Why?: skip both");
    }
}
