//! A refusal means the same at every door: in the SMTP dialogue, in a report, in each provider's webhook.

use serde_json::Value;
use verdicts::domain::delivery::Outcome;
use verdicts::domain::inbound::Classification;
use verdicts::domain::inbound::RecipientReport;
use verdicts::domain::inbound::SoftClass;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::domain::webhook::Provider;
use verdicts::mail::RefusalStage;
use verdicts::mail::inbound::read;
use verdicts::mail::outcome_of;
use verdicts::mail::providers;

use crate::delivery::tally;
use crate::inbound::report;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::smtp_sink::Stage as At;
use crate::webhooks::world::World;
use crate::webhooks::world::bounce_body;

const PROVIDERS: [(&str, Provider); 14] = [
    ("ses", Provider::Ses),
    ("postmark", Provider::Postmark),
    ("sendgrid", Provider::SendGrid),
    ("mailgun", Provider::Mailgun),
    ("resend", Provider::Resend),
    ("brevo", Provider::Brevo),
    ("mailjet", Provider::Mailjet),
    ("sparkpost", Provider::SparkPost),
    ("mailersend", Provider::MailerSend),
    ("azure", Provider::Azure),
    ("postal", Provider::Postal),
    ("kumomta", Provider::KumoMta),
    ("forwardemail", Provider::ForwardEmail),
    ("signed", Provider::Signed),
];

/// A row of `tests/refusals.tsv`.
struct Case {
    expected: String,
    stage: String,
    text: &'static str,
}

impl Case {
    /// Replies that a server gives after a recipient was named, for good.
    fn is_final_reply(&self) -> bool {
        matches!(self.stage.as_str(), "rcpt" | "dot")
            && self.text.starts_with('5')
            && self.text.as_bytes()[..3].iter().all(u8::is_ascii_digit)
    }

    /// The reply as a server writes it: one that is quoted in a line has its line ends again, and the last line no hyphen.
    fn on_the_wire(&self) -> &'static str {
        let code = &self.text[..3];
        let mut lines = self
            .text
            .replace(&format!(" {code}-"), &format!("\r\n{code}-"))
            .replace(&format!(" {code} "), &format!("\r\n{code} "));
        let last = lines.rfind("\r\n").map_or(0, |end| end + 2);
        if lines[last..].starts_with(&format!("{code}-")) {
            lines.replace_range(last + 3..last + 4, " ");
        }
        lines.leak()
    }

    /// The reply as a relay's report quotes it.
    fn quoted(&self) -> String {
        match self.stage.as_str() {
            "mail" => format!("{} (in reply to MAIL FROM command)", self.text),
            "session" => format!("{} (in reply to EHLO command)", self.text),
            "rcpt" => format!("{} (in reply to RCPT TO command)", self.text),
            _ => self.text.to_owned(),
        }
    }
}

fn cases() -> Vec<Case> {
    let table: &'static str = include_str!("../refusals.tsv");
    let rows = table.lines().filter(|line| !line.starts_with('#')).skip(1);
    let case = |line: &'static str| {
        let mut fields = line.splitn(3, '\t');
        let mut field = || fields.next().expect("three fields");
        Case {
            expected: field().into(),
            stage: field().into(),
            text: field(),
        }
    };
    rows.map(case).collect()
}

fn class(meaning: Classification, class: Option<SoftClass>) -> String {
    if meaning == Classification::Soft {
        class.map_or("none", SoftClass::as_str).into()
    } else {
        meaning.to_string()
    }
}

fn of_finding(finding: &RecipientReport) -> String {
    class(finding.meaning, finding.class)
}

fn of_outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::BadAddress { .. } => "hard".into(),
        Outcome::Refused { class, .. } | Outcome::Later { class, .. } => class.to_string(),
        _ => "passing".into(),
    }
}

/// Fails with all that differ, not with the first.
fn assert_none(differ: &[String]) {
    assert!(
        differ.is_empty(),
        "{} differ:\n{}",
        differ.len(),
        differ.join("\n")
    );
}

#[test]
fn a_text_is_judged_alike_at_three_doors() {
    let mut differ = Vec::new();
    for Case {
        expected,
        stage,
        text,
    } in cases()
    {
        let mut check = |door: &str, found: String| {
            if found != expected {
                differ.push(format!("{door}: {found}, not {expected}: {stage}: {text}"));
            }
        };
        let case = Case {
            expected: expected.clone(),
            stage: stage.clone(),
            text,
        };
        let raw = report(
            "news@verdicts.example",
            "ada@reader.example",
            &case.quoted(),
        );
        check("report", of_finding(&read(raw.as_bytes()).findings[0]));
        let at = match stage.as_str() {
            "session" => RefusalStage::Session,
            "mail" => RefusalStage::Sender,
            "dot" => RefusalStage::Text,
            _ => RefusalStage::Recipient,
        };
        if let Some((code, rest)) = text.split_at_checked(3).filter(|_| stage != "any")
            && let Ok(code @ 400..=599) = code.parse::<u16>()
        {
            check(
                "dialogue",
                of_outcome(&outcome_of(code, rest.trim_start_matches([' ', '-']), at)),
            );
        }
        for (name, provider) in PROVIDERS
            .iter()
            .filter(|_| !matches!(stage.as_str(), "session" | "mail"))
        {
            let body = bounce_body(name, "ada@reader.example", "1", text).to_string();
            check(
                name,
                of_finding(&providers::read(*provider, &body)[0].finding),
            );
        }
    }
    assert_none(&differ);
}

#[test]
fn the_command_names_the_class_of_every_text() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db);
    let folder = tempfile::tempdir().expect("a folder");
    let cases = cases();
    let mut arguments = vec!["--json".to_owned(), "inbound".to_owned()];
    for (number, case) in cases.iter().enumerate() {
        let file = folder.path().join(format!("{number}.eml"));
        std::fs::write(
            &file,
            report(
                "news@verdicts.example",
                "ada@reader.example",
                &case.quoted(),
            ),
        )
        .expect("written");
        arguments.push(file.display().to_string());
    }
    let json = program
        .run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
        .good()
        .json();
    let found = |mail: &Value| {
        let to = &mail["recipients"][0];
        to["class"]
            .as_str()
            .or(to["meaning"].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    let found: Vec<String> = json["mails"]
        .as_array()
        .expect("mails")
        .iter()
        .map(found)
        .collect();
    let differ: Vec<String> = cases
        .iter()
        .zip(&found)
        .filter(|(case, found)| case.expected != **found)
        .map(|(case, found)| format!("{found}: {}", case.text))
        .collect();
    assert_eq!(found.len(), cases.len());
    assert_none(&differ);
}

/// A list of one reader at each of so many hosts, each followed by one whose mail is taken, so that no breaker opens.
fn readers(count: usize) -> String {
    (0..count).fold("email\n".to_owned(), |csv, number| {
        format!("{csv}x{number}@x{number}.example\nok{number}@ok{number}.example\n")
    })
}

async fn app_of(test_db: TestDb, sink: &SmtpSink, count: usize) -> TestApp {
    let url = sink.url();
    let test_app = TestApp::open_with(test_db, |settings| {
        settings.mail.transport = url.into();
        settings.mail.connections = 1;
    })
    .await;
    test_app.stock_small().await;
    test_app.enlist_all(&readers(count)).await;
    test_app
}

on_both! {
    async fn in_the_dialogue_only_a_hard_text_ends_a_reader(test_db) {
        let cases: Vec<Case> = cases().into_iter().filter(Case::is_final_reply).collect();
        let sink = SmtpSink::start(Script::accept_all()).await;
        for (number, case) in cases.iter().enumerate() {
            let at = if case.stage == "dot" { At::AfterBody } else { At::Recipient };
            sink.order(at, &format!("x{number}"), case.on_the_wire());
        }
        let test_app = app_of(test_db, &sink, cases.len()).await;
        test_app.send_digest().await;
        let mut differ = Vec::new();
        for (number, case) in cases.iter().enumerate() {
            let expected = if case.expected == "hard" { SubscriberState::Bounced } else { SubscriberState::Active };
            let state = test_app.state_of(&format!("x{number}@x{number}.example")).await;
            if state != Some(expected) {
                differ.push(format!("{state:?}, not {expected:?}: {}", case.text));
            }
        }
        assert_none(&differ);
    }

    async fn by_webhook_only_a_hard_text_ends_a_reader(test_db) {
        let cases: Vec<Case> = cases().into_iter().filter(|case| case.stage == "rcpt").step_by(9).collect();
        // What each text means is looked at here, not how many there are.
        let world = World::new_with(test_db, |settings| settings.bounces.brake_count = 0).await;
        world.test_app.enlist_all(&readers(cases.len() * PROVIDERS.len())).await;
        let reader = |case: usize, provider: usize| {
            let number = case * PROVIDERS.len() + provider;
            format!("x{number}@x{number}.example")
        };
        for (at, case) in cases.iter().enumerate() {
            for (test_db, (name, _)) in PROVIDERS.iter().enumerate() {
                let answer = world.post_bounce(name, &reader(at, test_db), &format!("{at}x{test_db}"), case.text).await;
                assert_eq!(answer, 200, "{name} {}", case.text);
            }
        }
        world.act().await;
        let mut differ = Vec::new();
        for (at, case) in cases.iter().enumerate() {
            for (test_db, (name, _)) in PROVIDERS.iter().enumerate() {
                let expected = if case.expected == "hard" { SubscriberState::Bounced } else { SubscriberState::Active };
                let state = world.test_app.state_of(&reader(at, test_db)).await;
                if state != Some(expected) {
                    differ.push(format!("{name}: {state:?}, not {expected:?}: {}", case.text));
                }
            }
        }
        assert_none(&differ);
    }

    async fn each_reply_is_tried_again_or_ends_a_reader_as_its_table_says(test_db) {
        let rows: Vec<Vec<&'static str>> = include_str!("../replies.tsv").lines().skip(1).map(|line| line.split('\t').collect()).collect();
        let sink = SmtpSink::start(Script::accept_all()).await;
        for (number, row) in rows.iter().enumerate() {
            assert_eq!(row[0], "RCPT");
            sink.order(At::Recipient, &format!("x{number}"), row[1]);
        }
        let test_app = app_of(test_db, &sink, rows.len()).await;
        let tally = tally(&test_app.send_digest().await);
        assert_eq!(tally.queued as usize, rows.iter().filter(|row| row[2] == "yes").count());
        assert_eq!(tally.failed as usize, rows.iter().filter(|row| row[2] == "no").count());
        for (number, row) in rows.iter().enumerate() {
            let state = test_app.state_of(&format!("x{number}@x{number}.example")).await.expect("a reader");
            let expected = if row[3].starts_with("yes") { SubscriberState::Bounced } else { SubscriberState::Active };
            assert_eq!(state, expected, "{row:?}");
        }
    }

    async fn no_reply_to_mail_from_ends_anybody(test_db) {
        let sink = SmtpSink::start(Script::accept_all().at_mail_from("550 5.1.1 no such user")).await;
        let test_app = app_of(test_db, &sink, 2).await;
        let tally = tally(&test_app.send_digest().await);
        assert_eq!((tally.failed, tally.queued), (0, 4), "kept for when our address is mended");
        assert_eq!(test_app.state_of("x0@x0.example").await, Some(SubscriberState::Active));
    }
}
