//! The SQL texts of `src/storage`, read from its source: so that a new one is looked at without anybody thinking of it.

use std::collections::BTreeMap;

/// What the source says.
pub struct Source {
    /// Each text, with the file that it is in.
    pub texts: Vec<(String, String)>,
    /// Statements that are put together at run time, `file: expression`.
    pub composed: Vec<String>,
}

/// Reads all of `src/storage`.
pub fn read() -> Source {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/storage");
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut found = vec![std::path::PathBuf::from(folder)];
    while let Some(path) = found.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).expect("the folder");
            found.extend(entries.map(|entry| entry.expect("a file").path()));
            continue;
        }
        if path.extension().is_none_or(|kind| kind != "rs") {
            continue;
        }
        let name = path
            .strip_prefix(folder)
            .expect("inside")
            .to_string_lossy()
            .into_owned();
        files.insert(name, std::fs::read_to_string(path).expect("a text"));
    }
    let macros = files.values().flat_map(|text| macros_in(text)).collect();
    let mut source = Source {
        texts: Vec::new(),
        composed: Vec::new(),
    };
    for (file, text) in &files {
        for call in ["execute!(", "optional!(", "one!(", "all!("] {
            for (at, _) in text
                .match_indices(call)
                .filter(|(at, _)| is_call(text, *at))
            {
                let arguments = split(inside(&text[at + call.len() - 1..]));
                let Some(sql) = arguments.get(1) else {
                    continue;
                };
                match (Reading {
                    text,
                    at,
                    macros: &macros,
                })
                .resolve(sql.trim())
                {
                    Some(texts) => source
                        .texts
                        .extend(texts.into_iter().map(|text| (file.clone(), text))),
                    None => source.composed.push(format!("{file}: {}", sql.trim())),
                }
            }
        }
        for call in ["QueryBuilder::new(", "sqlx::query(", "sqlx::query_as("] {
            for (at, _) in text.match_indices(call) {
                let argument = inside(&text[at + call.len() - 1..]).trim();
                // Those of the macros themselves, and what begins and ends a transaction or a session.
                if argument != "$sql"
                    && !["\"begin", "\"commit", "\"rollback", "\"pragma"]
                        .iter()
                        .any(|start| argument.starts_with(start))
                {
                    source.composed.push(format!(
                        "{file}: {}",
                        argument.lines().next().unwrap_or_default()
                    ));
                }
            }
        }
    }
    source
}

/// Not a definition, and not a word in a comment.
fn is_call(text: &str, at: usize) -> bool {
    let line = &text[text[..at].rfind('\n').map_or(0, |end| end + 1)..at];
    !line.trim_start().starts_with("//")
        && !line.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// A macro that stands for a piece of SQL: the name of its argument, if any, and what it stands for.
type Macros = BTreeMap<String, (Option<String>, String)>;

fn macros_in(text: &str) -> Macros {
    let mut found = Macros::new();
    for (at, opening) in text.match_indices("macro_rules! ") {
        let rest = &text[at + opening.len()..];
        let name: String = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let body = inside(&rest[name.len()..]);
        let Some((pattern, meaning)) = body.split_once("=>") else {
            continue;
        };
        let argument = pattern
            .trim()
            .trim_matches(['(', ')'])
            .split_once(':')
            .map(|(argument, _)| argument.trim().to_owned());
        found.insert(name, (argument, inside(meaning).trim().to_owned()));
    }
    found
}

/// One call in one file.
struct Reading<'a> {
    text: &'a str,
    at: usize,
    macros: &'a Macros,
}

impl Reading<'_> {
    /// The texts that an expression can be; `None`: it is put together at run time.
    fn resolve(&self, expression: &str) -> Option<Vec<String>> {
        let expression = expression.trim();
        if expression.starts_with('"') {
            return Some(vec![literal(expression)]);
        }
        if let Some(choice) = expression.strip_prefix("if ") {
            let (first, rest) = (
                inside(&choice[choice.find('{')?..]),
                choice.rsplit_once("else")?.1,
            );
            return Some([self.resolve(first)?, self.resolve(inside(rest))?].concat());
        }
        if expression.starts_with("concat!") {
            let mut texts = vec![String::new()];
            for part in split(inside(expression))
                .iter()
                .filter(|part| !part.trim().is_empty())
            {
                let ends = self.resolve(part)?;
                texts = texts
                    .iter()
                    .flat_map(|text| ends.iter().map(move |end| format!("{text}{end}")))
                    .collect();
            }
            return Some(texts);
        }
        if let Some((path, _)) = expression.split_once('!') {
            let (argument, meaning) = self.macros.get(path.rsplit("::").next()?)?;
            let meaning = match argument {
                Some(argument) => meaning.replace(argument.as_str(), inside(expression).trim()),
                None => meaning.clone(),
            };
            return self.resolve(&meaning);
        }
        let is_name = expression.chars().all(|c| c.is_alphanumeric() || c == '_');
        let before = &self.text[..self.at];
        let assigned = before
            .rfind(&format!("let {expression} = "))
            .map(|at| at + expression.len() + 7);
        let value = &before[assigned.filter(|_| is_name)?..];
        self.resolve(&split_at(value, ';')[0])
    }
}

/// The text between the brackets that the text begins with (after white space or a name).
fn inside(text: &str) -> &str {
    let start = text.find(['(', '{']).map_or(text.len(), |at| at);
    let (mut depth, mut end) = (0, text.len());
    for (at, c) in outside_of_strings(&text[start..]) {
        match c {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            end = start + at;
            break;
        }
    }
    text.get(start + 1..end).unwrap_or_default()
}

fn split(text: &str) -> Vec<String> {
    split_at(text, ',')
}

/// Parts of a text between separators that stand in no bracket and no string.
fn split_at(text: &str, separator: char) -> Vec<String> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in outside_of_strings(text) {
        match c {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth -= 1,
            _ if c == separator && depth == 0 => {
                parts.push(text[start..at].to_owned());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].to_owned());
    parts
}

/// The characters that are in no string and no comment.
fn outside_of_strings(text: &str) -> Vec<(usize, char)> {
    let (mut outside, mut is_inside, mut is_escaped, mut is_comment) =
        (Vec::new(), false, false, false);
    for (at, c) in text.char_indices() {
        if is_comment {
            is_comment = c != '\n';
        } else if is_inside {
            is_inside = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
        } else if c == '"' {
            is_inside = true;
        } else if text[at..].starts_with("//") {
            is_comment = true;
        } else {
            outside.push((at, c));
        }
    }
    outside
}

fn literal(text: &str) -> String {
    let mut characters = text.chars().skip(1);
    let mut value = String::new();
    while let Some(c) = characters.next() {
        match c {
            '"' => break,
            '\\' => value.extend(characters.next()),
            _ => value.push(c),
        }
    }
    value
}
