//! A table of tab-separated rows: kind, language, pattern.

use std::collections::HashMap;

use super::phrases::Phrases;

/// Parts of patterns within one another.
const PARTS: usize = 3;

/// Rows of a table by their kind, in order.
pub struct Table(HashMap<&'static str, Vec<FormRow>>);

/// A row: its language, and its pattern.
#[derive(Clone, Copy)]
struct FormRow {
    language: &'static str,
    pattern: &'static str,
}

impl Table {
    /// Reads rows whose first column is the kind, whose language stands before the pattern, and whose pattern is the column of that number.
    pub fn read(text: &'static str, column: usize) -> Self {
        let mut rows: HashMap<&'static str, Vec<FormRow>> = HashMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split('\t').collect();
            if let (Some(kind), Some(language), Some(pattern)) =
                (fields.first(), fields.get(column - 1), fields.get(column))
            {
                rows.entry(kind)
                    .or_default()
                    .push(FormRow { language, pattern });
            }
        }
        Self(rows)
    }

    pub fn of(&self, kind: &str) -> impl Iterator<Item = &'static str> + '_ {
        self.0
            .get(kind)
            .into_iter()
            .flatten()
            .map(|row| row.pattern)
    }

    /// The rows of a kind: language, pattern.
    pub fn rows(&self, kind: &str) -> Vec<(&'static str, &'static str)> {
        self.0
            .get(kind)
            .into_iter()
            .flatten()
            .map(|row| (row.language, row.pattern))
            .collect()
    }

    /// The patterns of a kind with their languages and parts: `{ask}` stands for the rows of kind `part-ask` in the language of the pattern.
    pub fn patterns(&self, kind: &str) -> Vec<(&'static str, String)> {
        self.rows(kind)
            .into_iter()
            .map(|(language, pattern)| (language, self.whole(pattern, language, PARTS)))
            .collect()
    }

    fn whole(&self, pattern: &str, language: &str, depth: usize) -> String {
        let mut pieces = pattern.split('{');
        let mut whole = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (name, behind) = piece.split_once('}').unwrap_or((piece, ""));
            match name {
                "thing" => whole.push_str("{thing}"),
                _ if depth == 0 => {}
                _ => {
                    let rows = self
                        .0
                        .get(format!("part-{name}").as_str())
                        .into_iter()
                        .flatten()
                        .filter(|row| row.language == language);
                    let parts: Vec<String> = rows
                        .map(|row| self.whole(row.pattern, language, depth - 1))
                        .collect();
                    whole.push_str(&format!("({})", parts.join("|")));
                }
            }
            whole.push_str(behind);
        }
        whole
    }

    /// The words of some kinds, by language, in the order of the first kind.
    pub fn by_language(&self, kinds: &[&str]) -> Vec<Phrases> {
        let first = self
            .0
            .get(kinds.first().copied().unwrap_or_default())
            .into_iter()
            .flatten();
        let mut languages: Vec<&str> = first.map(|row| row.language).collect();
        languages.sort_unstable();
        languages.dedup();
        let rows = || kinds.iter().flat_map(|kind| self.0.get(kind)).flatten();
        let in_language = |language: &&str| {
            let patterns = rows()
                .filter(|row| row.language == *language)
                .map(|row| row.pattern);
            Phrases::read(phrases_of(patterns))
        };
        languages.iter().map(in_language).collect()
    }
}

/// The phrases of patterns that are lists.
pub fn phrases_of(
    patterns: impl Iterator<Item = &'static str>,
) -> impl Iterator<Item = &'static str> {
    patterns.flat_map(|text| text.trim_matches(['(', ')']).split('|'))
}
