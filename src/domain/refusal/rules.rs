//! The tables of phrases, read once, and the causes that a text names.

use std::collections::HashMap;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use crate::domain::named;

/// Tables that a person reads and extends; the form of a row stands at the top of the first.
const TABLES: [&str; 2] = [include_str!("about_us.txt"), include_str!("recipient.txt")];
/// Bytes between two parts of a phrase.
const GAP: usize = 60;

named! {
    /// Cause that a phrase names; the names are the sections of the tables.
    Cause {
        /// More at once than the receiver takes.
        Rate => "rate",
        /// Our address, login, right to relay, name, or a loop.
        Sender => "sender",
        /// The text of our mail.
        Content => "content",
        /// A rule of the receiver.
        Policy => "policy",
        /// Our host or domain is on a list.
        Blocked => "blocked",
        /// A state that is over by itself.
        Passing => "passing",
        /// Name of a filter.
        Filter => "filter",
        /// A word that sounds like a rule, and stands in other refusals too.
        PolicyHint => "policy_hint",
        /// The way to the server.
        Network => "network",
        /// Tried for too long.
        Expired => "expired",
        /// A name server that failed, beside "host not found".
        TryAgain => "try_again",
        /// Part of a link to a page about blocked hosts.
        Link => "link",
        /// Fixed sentences, taken out before anything is compared.
        Noise => "noise",
        /// A list of possible causes.
        Hedge => "hedge",
        /// The reader refuses us.
        Unwanted => "unwanted",
        /// The mailbox is full.
        Full => "full",
        /// The mail is too big.
        TooBig => "too_big",
        /// The mailbox is closed for now.
        Locked => "locked",
        /// The mailbox is no longer used.
        Inactive => "inactive",
        /// There is no such mailbox.
        Nobody => "nobody",
        /// There is no such domain.
        NoHost => "no_host",
        /// The sentence of RFC 5321 for every 550.
        Stock => "stock",
    }
}

/// A set of causes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Causes(u32);

impl Causes {
    /// Causes that count behind words like "mostly" and "may be": only what speaks of us.
    const IN_DOUBT: Self = Self(
        1 << Cause::Rate as u32
            | 1 << Cause::Sender as u32
            | 1 << Cause::Content as u32
            | 1 << Cause::Policy as u32
            | 1 << Cause::Blocked as u32,
    );

    /// Returns whether the cause is in the set.
    pub fn has(self, cause: Cause) -> bool {
        self.0 & (1 << cause as u32) != 0
    }

    /// Adds the causes that one sentence in [`super::text::plain`] form names.
    pub fn add(&mut self, sentence: &str) {
        self.0 |= RULES.causes(sentence).0;
    }

    /// Adds what a link tells by its host and path.
    pub fn add_link(&mut self, link: &str) {
        if RULES.links.iter().any(|part| link.contains(part.as_str())) {
            self.0 |= 1 << Cause::Link as u32;
        }
    }
}

/// A text without fixed sentences that stand beside any refusal.
pub fn without_noise(text: String) -> String {
    RULES.noise.iter().fold(text, |text, phrase| {
        if text.contains(phrase.as_str()) {
            text.replace(phrase.as_str(), " ")
        } else {
            text
        }
    })
}

/// A phrase behind its first part.
#[derive(Debug)]
struct Rest {
    cause: Cause,
    anywhere: bool,
    parts: Vec<String>,
}

/// All phrases.
struct RefusalRules {
    finder: AhoCorasick,
    /// For each pattern of the finder, the phrases that begin with it.
    phrases: Vec<Vec<Rest>>,
    links: Vec<String>,
    noise: Vec<String>,
}

static RULES: LazyLock<RefusalRules> = LazyLock::new(|| RefusalRules::read(&TABLES));

impl RefusalRules {
    fn read(tables: &[&str]) -> Self {
        let mut heads: HashMap<String, Vec<Rest>> = HashMap::new();
        let (mut links, mut noise) = (Vec::new(), Vec::new());
        for (cause, phrase) in tables.iter().flat_map(|table| rows(table)) {
            match cause {
                Cause::Link => links.push(phrase),
                Cause::Noise => noise.push(phrase),
                cause => {
                    let anywhere = phrase.starts_with('~');
                    let mut parts = phrase
                        .trim_start_matches('~')
                        .split(" * ")
                        .map(String::from);
                    let head = parts.next().unwrap_or_default();
                    heads.entry(head).or_default().push(Rest {
                        cause,
                        anywhere,
                        parts: parts.collect(),
                    });
                }
            }
        }
        heads.remove("");
        let (heads, phrases): (Vec<_>, Vec<_>) = heads.into_iter().unzip();
        Self {
            finder: AhoCorasick::new(heads).expect("a table of literals"),
            phrases,
            links,
            noise,
        }
    }

    fn causes(&self, sentence: &str) -> Causes {
        let (mut certain, mut in_doubt, mut hedge) = (Vec::new(), Causes::default(), usize::MAX);
        for found in self.finder.find_overlapping_iter(sentence) {
            let begins = begins_word(sentence, found.start());
            for rest in &self.phrases[found.pattern().as_usize()] {
                let bit = 1 << rest.cause as u32;
                if !(rest.anywhere || begins) || !follow(&sentence[found.end()..], &rest.parts) {
                    continue;
                }
                if rest.cause == Cause::Hedge {
                    hedge = hedge.min(found.start());
                } else if Causes::IN_DOUBT.0 & bit != 0 {
                    in_doubt.0 |= bit;
                } else {
                    certain.push((found.start(), bit));
                }
            }
        }
        let before = certain
            .into_iter()
            .filter(|(start, _)| *start < hedge)
            .fold(0, |bits, (_, bit)| bits | bit);
        Causes(in_doubt.0 | before)
    }
}

/// The phrases of a table, each with its section; alternatives in braces are written out.
fn rows(table: &str) -> Vec<(Cause, String)> {
    let mut cause = None;
    let mut rows = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        match (
            line.strip_prefix('[')
                .and_then(|line| line.strip_suffix(']')),
            cause,
        ) {
            (Some(name), _) => cause = name.parse().ok(),
            (None, Some(cause)) => {
                let phrases = line
                    .split(" | ")
                    .map(str::trim)
                    .filter(|phrase| !phrase.is_empty());
                rows.extend(phrases.flat_map(written_out).map(|phrase| (cause, phrase)));
            }
            (None, None) => {}
        }
    }
    rows
}

fn written_out(phrase: &str) -> Vec<String> {
    let braces = phrase.split_once('{').and_then(|(before, rest)| {
        rest.split_once('}')
            .map(|(choices, after)| (before, choices, after))
    });
    let Some((before, choices, after)) = braces else {
        return vec![phrase.to_owned()];
    };
    choices
        .split(',')
        .flat_map(|choice| written_out(&format!("{before}{choice}{after}")))
        .collect()
}

/// Returns whether the parts stand in the text, in their order and near each other.
fn follow(text: &str, parts: &[String]) -> bool {
    let Some((part, parts)) = parts.split_first() else {
        return true;
    };
    let near = &text[..floor(text, GAP + part.len())];
    near.match_indices(part.as_str())
        .any(|(at, _)| begins_word(text, at) && follow(&text[at + part.len()..], parts))
}

/// Returns whether a word begins there. Scripts that set no spaces begin one anywhere.
fn begins_word(text: &str, at: usize) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() && (c as u32) < 0x0E00;
    let first = text[at..].chars().next().is_some_and(is_letter);
    !(first && text[..at].chars().next_back().is_some_and(is_letter))
}

/// The end of the last whole character within so many bytes.
pub fn floor(text: &str, most: usize) -> usize {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_of_the_tables_is_known_and_every_cause_has_rows() {
        let sections = TABLES
            .iter()
            .flat_map(|table| table.lines())
            .filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'));
        for section in sections {
            assert!(section.parse::<Cause>().is_ok(), "{section}");
        }
        let rows: Vec<_> = TABLES.iter().flat_map(|table| rows(table)).collect();
        for cause in Cause::ALL {
            assert!(rows.iter().any(|(known, _)| known == cause), "{cause}");
        }
        for (cause, phrase) in rows {
            assert!(
                phrase == phrase.to_lowercase() && !phrase.contains(['{', '}', ',', '(', '[']),
                "{cause}: {phrase:?}"
            );
        }
    }

    #[test]
    fn a_phrase_begins_a_word_and_bridges_a_gap() {
        let causes = |text: &str| RULES.causes(text);
        assert!(causes("the user ada is unknown here").has(Cause::Nobody));
        assert!(!causes("a superuser was here").has(Cause::Nobody));
        assert!(causes("宛先のメールアドレスは存在しません").has(Cause::Nobody));
        assert!(!causes("separate").has(Cause::Rate));
    }

    #[test]
    fn a_list_of_possible_causes_names_no_recipient() {
        let mut causes = Causes::default();
        causes.add("mostly this means an invalid recipient address");
        assert_eq!(causes, Causes::default());
        causes.add("the group may be closed or you may not post");
        assert!(causes.has(Cause::Policy));
    }
}
