//! What was asked for on the command line.

use crate::stock::Database;

/// The parts, and how much of each.
pub struct Wanted {
    parts: Vec<String>,
    pub readers: Option<usize>,
    pub rounds: usize,
    /// For `history`: past digests of everybody.
    pub digests: Option<usize>,
    /// Another program than the one that was built with the benchmark.
    pub program: Option<std::path::PathBuf>,
    /// For `lists`: a send is stopped after so long.
    pub longest: Option<std::time::Duration>,
    pub databases: Vec<Database>,
    /// Wished for in a mail; it gets as near as whole comparisons allow, or is cut.
    pub bytes: Vec<usize>,
    pub connections: Vec<usize>,
}

const PARTS: [&str; 8] = [
    "rates", "link", "signed", "lists", "busy", "troubled", "history", "ledger",
];

impl Wanted {
    pub fn from_arguments() -> Self {
        let mut wanted = Self {
            parts: Vec::new(),
            readers: None,
            rounds: 3,
            digests: None,
            program: None,
            longest: None,
            databases: Database::ALL.to_vec(),
            bytes: vec![40_000, 16_000, 4_000],
            connections: vec![10, 20],
        };
        let mut arguments = std::env::args()
            .skip(1)
            .filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .unwrap_or_else(|| panic!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--readers" => wanted.readers = Some(number(&value())),
                "--rounds" => wanted.rounds = number(&value()),
                "--digests" => wanted.digests = Some(number(&value())),
                "--program" => {
                    wanted.program = Some(std::fs::canonicalize(value()).expect("the program"))
                }
                "--seconds" => {
                    wanted.longest = Some(std::time::Duration::from_secs(number(&value()) as u64))
                }
                "--bytes" => wanted.bytes = value().split(',').map(number).collect(),
                "--connections" => wanted.connections = value().split(',').map(number).collect(),
                "--databases" => {
                    wanted.databases = value().split(',').map(Database::named).collect()
                }
                part if PARTS.contains(&part) => wanted.parts.push(part.to_owned()),
                other => panic!("{other} is not known; parts are {}", PARTS.join(", ")),
            }
        }
        wanted
    }

    /// Without a part named, all are wanted.
    pub fn part(&self, name: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|part| part == name)
    }
}

fn number(text: &str) -> usize {
    text.replace('_', "")
        .parse()
        .unwrap_or_else(|_| panic!("{text:?} is not a number"))
}
