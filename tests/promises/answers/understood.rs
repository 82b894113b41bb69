//! What a mail by a person means, read without a service (`tests/answers`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;
use rustix::time::ClockId;
use rustix::time::clock_gettime;
use verdicts::domain::inbound::Classification;
use verdicts::mail::inbound::answered_subject;
use verdicts::mail::inbound::read;

/// A mail of the folder: its file, what was said, the class, the mail.
pub(super) struct Form {
    pub(super) file: String,
    pub(super) said: String,
    pub(super) class: String,
    pub(super) raw: Vec<u8>,
}

/// The mails of `tests/answers`, or of a folder of one's own with an `expected.tsv` (file, what was said).
pub(super) fn forms() -> Vec<Form> {
    let dir =
        PathBuf::from(std::env::var("VERDICTS_ANSWERS").unwrap_or_else(|_| "tests/answers".into()));
    let table = std::fs::read_to_string(dir.join("expected.tsv")).expect("a table");
    let form = |line: &str| {
        let mut fields = line.split('\t').map(String::from);
        let mut next = || fields.next().unwrap_or_default();
        let (name, said, class) = (next(), next(), next());
        let file = if name.ends_with(".eml") {
            name
        } else {
            format!("{name}.eml")
        };
        Form {
            raw: std::fs::read(dir.join(&file)).expect("a mail"),
            file,
            said,
            class,
        }
    };
    table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(form)
        .collect()
}

/// Meaning of a mail alone: an answer agrees only if it is to a confirmation mail.
pub(super) fn understood(raw: &[u8]) -> &'static str {
    let reading = read(raw);
    let asked = answered_subject(&reading.clues.subject)
        .is_some_and(|subject| subject.starts_with("please confirm"));
    match reading.findings.first().map(|finding| finding.meaning) {
        Some(Classification::Unsubscribe) => "leave",
        _ if reading.agrees && reading.answerable && asked => "yes",
        _ => "no",
    }
}

#[test]
fn what_people_answer_is_understood_and_nothing_else() {
    let forms = forms();
    let mut classes: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for form in &forms {
        let found = understood(&form.raw);
        let (right, all) = classes.entry((&form.said, &form.class)).or_default();
        *all += 1;
        *right += usize::from(found == form.said);
        if found != form.said {
            wrong.push(format!(
                "{}: {} was said, {found} understood",
                form.file, form.said
            ));
        }
    }
    for ((said, class), (right, all)) in &classes {
        println!("{said}\t{class}\t{right} of {all}");
    }
    assert!(
        wrong.is_empty(),
        "{} of {} are wrong:\n{}",
        wrong.len(),
        forms.len(),
        wrong.join("\n")
    );
    assert!(forms.len() >= 200 || std::env::var_os("VERDICTS_ANSWERS").is_some());
}

/// A mail with those lines, as one of some programs writes it, in answer to a mail of that subject.
fn in_shape(shape: usize, lines: &[&str], subject: &str, from: &str) -> String {
    let text = lines.join("\n\n");
    let quoted = "> You get this mail because you signed up.\n> Unsubscribe: https://verdicts.example/unsubscribe/abc\n";
    let fields = format!(
        "From: News <news@verdicts.example>\nSent: 24 November 2026 08:00\nTo: ilse@vonk.example\nSubject: {subject}\n\nUnsubscribe: https://verdicts.example/unsubscribe/abc\n"
    );
    let escaped: Vec<String> = lines
        .iter()
        .map(|line| line.replace('&', "&amp;").replace('<', "&lt;"))
        .collect();
    let (kind, body) = match shape {
        0 => (
            "plain",
            format!(
                "{text}\n\nOn Tue, 24 Nov 2026 at 08:00, News <news@verdicts.example> wrote:\n\n{quoted}"
            ),
        ),
        1 => ("plain", format!("{text}\n\n{fields}")),
        2 => (
            "plain",
            format!(
                "On Tue, 24 Nov 2026 at 08:00, News wrote:\n{quoted}\n{text}\n\n-- \nIlse Vonk\nTel. 0632 960 012\n"
            ),
        ),
        3 => (
            "plain",
            format!(
                "Hello,\n\n{text}\n\nKind regards,\nIlse Vonk\n\nSent from my iPhone\n\n> On 24 Nov 2026, at 08:00, News wrote:\n{quoted}"
            ),
        ),
        4 => (
            "html",
            format!(
                "<div dir=\"ltr\"><div>{}</div></div><br><div class=\"gmail_quote\"><blockquote>Unsubscribe</blockquote></div>",
                escaped.join("</div><div><br></div><div>")
            ),
        ),
        5 => (
            "html",
            format!(
                "<p class=MsoNormal>{}<o:p></o:p></p><div style='border:none;border-top:solid #E1E1E1 1.0pt'><p class=MsoNormal><b>From:</b> News<br><b>Sent:</b> 24 November 2026 08:00<br><b>To:</b> ilse@vonk.example<br><b>Subject:</b> {subject}</p></div><p>Unsubscribe</p>",
                escaped.join("<o:p></o:p></p><p class=MsoNormal>")
            ),
        ),
        _ => (
            "plain",
            format!("{text}\n\n________________________________\n{fields}"),
        ),
    };
    format!(
        "From: {from}\nTo: News <news@verdicts.example>\nSubject: Re: {subject}\nIn-Reply-To: <k3.q7@verdicts.example>\nMIME-Version: 1.0\nContent-Type: text/{kind}; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{body}"
    )
}

#[test]
fn every_wording_means_the_same_in_every_shape_and_what_was_not_said_is_never_acted_on() {
    const SHAPES: usize = 7;
    let table = std::fs::read_to_string("tests/answers/wordings.tsv").expect("a table");
    let (mut wrong, mut not_said) = (Vec::new(), 0);
    for (number, row) in table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .enumerate()
    {
        let [_, said, answered, _, words] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        let subject = if answered == "asked" {
            "Please confirm: Weekly AI Tool Verdicts"
        } else {
            "Quillwork or Marrow? And 4 more verdicts"
        };
        let from = if words.contains("ottoline@") {
            "Ottoline Farr <ottoline@saltmarsh.example>"
        } else {
            "Ilse Vonk <ilse@vonk.example>"
        };
        let lines: Vec<&str> = words.split('|').collect();
        // What was not said in three shapes, the others in one, by turns.
        let count = if said == "no" { 3 } else { 1 };
        for shape in (0..count).map(|turn| (number + 2 * turn) % SHAPES) {
            not_said += usize::from(said == "no");
            let found = understood(in_shape(shape, &lines, subject, from).as_bytes());
            // What is unclear is passed over.
            if found != said && !(said == "unclear" && found == "no") {
                wrong.push(format!(
                    "shape {shape}: {said} was said, {found} understood: {words}"
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(not_said >= 800, "{not_said}");
}

#[test]
fn text_and_page_say_the_same_whichever_a_mail_has() {
    let mut both = 0;
    for form in forms() {
        let Some(text) = String::from_utf8(form.raw.clone())
            .ok()
            .filter(|text| text.contains("=_alt"))
        else {
            continue;
        };
        both += 1;
        let (head, parts) = text
            .split_once("Content-Type: multipart/alternative; boundary=\"=_alt\"\n\n")
            .expect("two parts");
        let parts: Vec<&str> = parts
            .split("--=_alt")
            .map(|part| part.trim_start_matches('\n'))
            .filter(|part| part.len() > 3)
            .collect();
        let [plain, page] = parts[..] else {
            panic!("{}: {parts:?}", form.file)
        };
        let empty = format!(
            "{head}Content-Type: multipart/alternative; boundary=\"=_alt\"\n\n--=_alt\nContent-Type: text/plain\n\n \n--=_alt\n{page}\n--=_alt--\n"
        );
        let mut ways = vec![
            ("the page", format!("{head}{page}")),
            ("the page beside an empty text", empty),
        ];
        if !form.file.contains("empty-text") {
            ways.push(("the text", format!("{head}{plain}")));
        }
        for (way, mail) in ways {
            assert_eq!(
                understood(mail.as_bytes()),
                form.said,
                "{}: {way} alone",
                form.file
            );
        }
    }
    assert!(both >= 30 || std::env::var_os("VERDICTS_ANSWERS").is_some());
}

/// Processor time of this thread: what others do on the machine is not in it.
fn processor_time() -> std::time::Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    std::time::Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

type Times = (std::time::Duration, std::time::Duration);

/// Least processor time of some runs of two mails, by turns: a busy neighbour takes caches away, for longer than one run, and never gives any.
fn times_of(small: &str, large: &str) -> Times {
    let time_of = |mail: &str| {
        let start = processor_time();
        std::hint::black_box(read(mail.as_bytes()));
        processor_time() - start
    };
    let runs = (0..6).map(|_| (time_of(small), time_of(large)));
    let least = |a: Times, b: Times| (a.0.min(b.0), a.1.min(b.1));
    runs.reduce(least).unwrap_or_default()
}

#[test]
fn a_mail_made_to_be_slow_costs_no_more_than_its_length() {
    let head = |kind: &str| {
        format!(
            "From: a@b.example\nTo: c@d.example\nSubject: Re: x\nIn-Reply-To: <x@y>\nContent-Type: {kind}; charset=utf-8\n\n"
        )
    };
    let make = |kind: &str, piece: &str, bytes: usize| {
        format!(
            "{}Unsubscribe\n{}",
            head(kind),
            piece.repeat(bytes / piece.len())
        )
    };
    let tags = [
        "<div>",
        "<b>",
        "<blockquote>",
        "<table><tr><td>",
        "<p style='display:none'>",
        "<a href='http://x.example'>",
        "</div>",
        "&amp;",
        "<",
        "<!--",
        "<div class='gmail_quote'>",
        "<div a b c d e f g h i j>x",
    ];
    let lines = [
        "> > > > > > >\n",
        ">",
        "On 1.1. Ada wrote:\n",
        "From: a\n",
        "a\n",
        "-",
        "\n",
        "Kind regards\n",
        "> \nx\n",
        "é ",
        "unsubscribe me ",
        "This e-mail is confidential\n",
    ];
    let all = tags
        .iter()
        .map(|piece| ("text/html", *piece))
        .chain(lines.iter().map(|piece| ("text/plain", *piece)));
    for (kind, piece) in all {
        // Four times the length costs about four times the time, and not sixteen times: measured against itself, for machines differ.
        let (small, large) = times_of(&make(kind, piece, 60_000), &make(kind, piece, 240_000));
        assert!(
            large < small * 12 + std::time::Duration::from_millis(100),
            "{kind} {piece:?}: {small:?}, {large:?}"
        );
    }
    let attributes = format!(
        "{}<div {}>Unsubscribe</div>",
        head("text/html"),
        (0..40_000).map(|n| format!("a{n} ")).collect::<String>()
    );
    assert!(!read(attributes.as_bytes()).findings.is_empty());
}

/// Number of cases that proptest tries: a few hundred, or as many as `VERDICTS_PROPTEST_CASES` says to run for an hour.
fn cases() -> ProptestConfig {
    let many = std::env::var("VERDICTS_PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: many.unwrap_or(128),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Pieces of which mails that hurt are made.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "<div",
        "<p>",
        "</p>",
        "<blockquote>",
        "<br/>",
        "style='display:none'",
        "class=gmail_quote",
        "id=divRplyFwdMsg",
        "<!--",
        "-->",
        "<![CDATA[",
        "&#x",
        "&nbsp;",
        "<a href='https://x'>",
        ">",
        "> ",
        "\n",
        "\n\n",
        "From: ",
        "Von: ",
        "Sent: ",
        "Subject: x\n",
        "-----Original Message-----\n",
        "On 1 May, Ada wrote:\n",
        "Yes",
        "unsubscribe me",
        "bitte abmelden",
        "配信停止",
        "نعم",
        "-- \n",
        "Kind regards,\n",
        "\u{feff}",
        "\u{202e}",
        "\u{300}",
        "-----BEGIN PGP SIGNED MESSAGE-----\n",
        "\n-----BEGIN PGP SIGNATURE-----\n",
        "[EXTERNAL] ",
        "CAUTION: ",
        "?",
        ".",
        "@b.example",
        "İ",
        "ß",
        "\u{0}",
        "\r",
    ]);
    prop_oneof![4 => known.prop_map(String::from), 1 => "\\PC{0,12}", 1 => any::<char>().prop_map(String::from)]
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_answer_is_read(pieces in prop::collection::vec(piece(), 0..60), is_page: bool, subject in "\\PC{0,40}") {
        let kind = if is_page { "html" } else { "plain" };
        let text = pieces.concat();
        let mail = format!("From: Ada <ada@reader.example>\nSubject: {}\nContent-Type: text/{kind}; charset=utf-8\n\n{text}", subject.replace('\n', " "));
        let reading = read(mail.as_bytes());
        prop_assert!(!reading.findings.is_empty());
        // What is asked here is never granted to a question.
        let asks = format!("{}?", mail.trim_end());
        if !text.contains(['\n', '<', '>']) && !text.is_empty() && !is_page {
            prop_assert!(understood(asks.as_bytes()) != "yes");
        }
    }

    #[test]
    fn an_answer_of_the_corpus_is_read_with_anything_cut_out_or_put_in(
        index in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), length in 0usize..400, put in prop::collection::vec(piece(), 0..6),
    ) {
        static FORMS: std::sync::LazyLock<Vec<Form>> = std::sync::LazyLock::new(forms);
        let mut raw = index.get(&FORMS).raw.clone();
        let at = at.index(raw.len());
        let end = (at + length).min(raw.len());
        raw.splice(at..end, put.concat().into_bytes());
        prop_assert!(!read(&raw).findings.is_empty());
    }
}
