//! The corpus of returned mail (`tests/inbound`), read as the table beside it says.

use std::path::Path;

use proptest::prelude::*;
use verdicts::mail::inbound::read;

use crate::support::Program;
use crate::support::TestDb;

/// A row of `tests/inbound/expected.tsv`: address, meaning, reason, status.
type Row = [String; 4];

/// Every mail of the corpus with what it means.
pub(super) fn corpus() -> Vec<(String, Vec<u8>, Vec<Row>)> {
    let dir = Path::new("tests/inbound");
    let table = std::fs::read_to_string(dir.join("expected.tsv")).expect("a table");
    let mut mails: Vec<(String, Vec<u8>, Vec<Row>)> = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split('\t').map(String::from);
        let name = fields.next().expect("a name");
        let row: Row = std::array::from_fn(|_| fields.next().unwrap_or_default());
        match mails.last_mut().filter(|(known, ..)| *known == name) {
            Some((_, _, rows)) => rows.push(row),
            None => mails.push((
                name.clone(),
                std::fs::read(dir.join(format!("{name}.eml"))).expect("a mail"),
                vec![row],
            )),
        }
    }
    mails
}

pub(super) fn rows(raw: &[u8]) -> Vec<Row> {
    let text = |text: Option<String>| text.unwrap_or_default();
    let row = |finding: verdicts::domain::inbound::RecipientReport| {
        let address = finding.address.unwrap_or_else(|| "-".into());
        let status = finding.status.map(|status| status.to_string());
        [
            address,
            finding.meaning.to_string(),
            text(finding.reason.map(|reason| reason.to_string())),
            text(status),
        ]
    };
    read(raw).findings.into_iter().map(row).collect()
}

#[test]
fn every_mail_of_the_corpus_means_what_the_table_says() {
    let corpus = corpus();
    assert!(
        corpus.len() > 90
            && std::fs::read_dir("tests/inbound")
                .expect("a folder")
                .count()
                == corpus.len() + 1
    );
    for (name, raw, expected) in corpus {
        assert_eq!(rows(&raw), expected, "{name}");
    }
}

#[test]
fn the_ends_of_lines_change_nothing() {
    for (name, raw, expected) in corpus()
        .into_iter()
        .filter(|(_, raw, _)| raw.is_ascii() && !raw.contains(&b'\r'))
    {
        for end in ["\r\n", "\r"] {
            let text = String::from_utf8(raw.clone())
                .expect("ASCII")
                .replace('\n', end);
            assert_eq!(rows(text.as_bytes()), expected, "{name} with {end:?}");
        }
    }
}

#[test]
fn the_command_prints_a_line_for_each_recipient() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db);
    let corpus = corpus();
    let here = std::env::current_dir().expect("a folder");
    let files: Vec<String> = corpus
        .iter()
        .map(|(name, ..)| {
            here.join(format!("tests/inbound/{name}.eml"))
                .display()
                .to_string()
        })
        .collect();
    let arguments: Vec<&str> = std::iter::once("inbound")
        .chain(files.iter().map(String::as_str))
        .collect();
    let expected: String = corpus
        .iter()
        .flat_map(|(_, _, rows)| rows)
        .map(|[address, meaning, ..]| format!("{address}\t{meaning}\n"))
        .collect();
    assert_eq!(program.run(&arguments).good().out, expected);
    let (_, raw, rows) = &corpus[0];
    assert_eq!(
        program.run_with_input(&["inbound", "-"], raw).good().out,
        format!("{}\t{}\n", rows[0][0], rows[0][1])
    );
    let json = program
        .run_with_input(&["--json", "inbound"], raw)
        .good()
        .json();
    assert_eq!(
        json["mails"][0]["recipients"][0]["reason"],
        rows[0][2].as_str()
    );
    let classes = |file: &str| {
        let json = program
            .run(&["--json", "inbound", &here.join(file).display().to_string()])
            .good()
            .json();
        json["mails"][0]["recipients"][0]["class"].clone()
    };
    assert_eq!(classes("tests/inbound/zimbra-full.eml"), "recipient");
    assert_eq!(classes("tests/inbound/dsn-rate.eml"), "passing");
    assert!(
        classes("tests/inbound/gmail.eml").is_null(),
        "a hard failure has no class"
    );
    // A mail server keeps a mail that its pipe gives back with EX_TEMPFAIL.
    let missing = program.run(&["inbound", "missing.eml"]);
    assert!(
        missing.code == 75 && missing.out.is_empty() && missing.err.contains("missing.eml"),
        "{missing:?}"
    );
}

/// How many cases proptest tries: a few hundred, or as many as `VERDICTS_PROPTEST_CASES` says to run for minutes.
fn cases() -> ProptestConfig {
    let many = std::env::var("VERDICTS_PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: many.unwrap_or(256),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(!read(&bytes).findings.is_empty());
    }

    #[test]
    fn a_mail_of_the_corpus_is_read_with_anything_cut_out_or_put_in(
        index in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        length in 0usize..400,
        put in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let corpus = corpus();
        let mut raw = index.get(&corpus).1.clone();
        let at = at.index(raw.len());
        let end = (at + length).min(raw.len());
        raw.splice(at..end, put);
        let reading = read(&raw);
        for finding in &reading.findings {
            let clean = finding.address.as_ref().is_none_or(|address| !address.chars().any(|c| c.is_whitespace() || c.is_control()));
            prop_assert!(clean && !finding.line.chars().any(char::is_control), "{:?}", finding);
        }
    }
}
