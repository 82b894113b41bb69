//! Name servers that are silent, slow, unable or cut their answers short: `doctor` ends all the same, with them still as they are, and calls
//! nothing a fault that DNS alone could have told.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::standing::DOMAIN;
use crate::standing::Sender;
use crate::support::Program;
use crate::support::TestDb;
use crate::support::dns::NameServer;

/// Far above what it may take: the limits themselves are added up in a test of their own (`app::doctor`).
const END: Duration = Duration::from_secs(90);

/// The findings of `doctor` once it has ended by itself.
async fn doctor(program: Program) -> Vec<(String, String, String)> {
    let run = tokio::task::spawn_blocking(move || program.run(&["--json", "doctor"]).json());
    let said = tokio::time::timeout(END, run)
        .await
        .expect("it ends by itself")
        .expect("it ran");
    let text =
        |finding: &serde_json::Value, key: &str| finding[key].as_str().expect("a text").to_owned();
    let findings = said["findings"].as_array().expect("a list").iter();
    findings
        .map(|finding| {
            (
                text(finding, "what"),
                text(finding, "level"),
                text(finding, "words"),
            )
        })
        .collect()
}

fn said(findings: &[(String, String, String)], about: &str) -> (String, String) {
    let found = findings
        .iter()
        .find(|(what, ..)| what == about)
        .unwrap_or_else(|| panic!("{about} in {findings:?}"));
    (found.1.clone(), found.2.clone())
}

/// Sets how a name server answers.
type Manner = fn(&NameServer);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_name_server_does_doctor_ends_and_calls_nothing_a_fault() {
    let sender = Sender::ready(TestDb::sqlite()).await;
    let manners: [(&str, Manner); 5] = [
        ("silent", |server| {
            server.silent();
        }),
        ("slow", |server| {
            server.slow(20_000);
        }),
        ("unable", |server| {
            server.refusing(2);
        }),
        ("refusing", |server| {
            server.refusing(5);
        }),
        ("cutting short", |server| {
            server.truncating();
        }),
    ];
    let mut looks = Vec::new();
    for (manner, show) in manners {
        let server = NameServer::start().await;
        show(&server);
        let program = sender
            .program
            .clone()
            .with("VERDICTS_MAIL__RESOLVER", &server.address());
        looks.push((manner, tokio::spawn(doctor(program)), server));
    }
    for (manner, look, _server) in looks {
        let findings = look.await.expect("an end");
        for what in ["spf", "dkim", "dmarc", "return_path"] {
            let (level, words) = said(&findings, what);
            assert!(
                level == "advice" && words.contains("could not be looked at"),
                "{manner}: {what} is {level}: {words}"
            );
        }
        assert!(
            findings.iter().all(|(_, level, _)| level != "fault"),
            "{manner}: {findings:?}"
        );
        assert_eq!(
            said(&findings, "transport").0,
            "good",
            "{manner}: the rest is looked at"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_name_servers_one_that_answers_is_enough() {
    let sender = Sender::ready(TestDb::sqlite()).await;
    let manners: [fn(&NameServer); 2] = [
        |server| {
            server.silent();
        },
        |server| {
            server.refusing(2);
        },
    ];
    for show in manners {
        let other = NameServer::start().await;
        show(&other);
        for both in [
            [other.address(), sender.dns.address()],
            [sender.dns.address(), other.address()],
        ] {
            let findings = doctor(
                sender
                    .program
                    .clone()
                    .with("VERDICTS_MAIL__RESOLVER", &both.join(",")),
            )
            .await;
            for what in ["spf", "dkim", "dmarc", "return_path"] {
                assert_eq!(said(&findings, what).0, "good", "{both:?}: {findings:?}");
            }
        }
    }
}

/// The names of relay, mailbox and database are looked up by the system, which waits for a silent name server as long as it likes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_systems_name_server_is_silent_doctor_ends_too() {
    // An address of its own for this process, for others may run the same.
    let [.., high, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, 53, high, low.max(1));
    let Some(server) = NameServer::start_at(&format!("{address}:53")).await else {
        eprintln!(
            "Port 53 is not to be had here (root has it): a silent name server of the system is not tried."
        );
        return;
    };
    server.silent();
    let sender = Sender::ready(TestDb::sqlite()).await;
    let Some(program) = sender.program.asking(address.into()) else {
        return;
    };
    let findings = doctor(
        program
            .clone()
            .with(
                "VERDICTS_MAIL__TRANSPORT",
                &format!("smtp://relay.{DOMAIN}:25?tls=none"),
            )
            .with(
                "VERDICTS_INBOUND__IMAP",
                &format!("imaps://news:secret@imap.{DOMAIN}/INBOX"),
            ),
    )
    .await;
    for what in ["transport", "inbox"] {
        let (level, words) = said(&findings, what);
        assert!(
            level == "fault" && words.contains("within"),
            "{what} is {level}: {words}"
        );
    }
    assert_eq!(
        said(&findings, "spf").0,
        "good",
        "its own name server answers: {findings:?}"
    );
    let lost = doctor(program.with(
        "VERDICTS_DATABASE__URL",
        &format!("postgres://verdicts:secret@db.{DOMAIN}/verdicts"),
    ))
    .await;
    let (level, words) = said(&lost, "start");
    assert!(
        lost.len() == 1
            && level == "fault"
            && words.contains(&format!("db.{DOMAIN}"))
            && !words.contains("secret"),
        "{words}"
    );
    assert!(words.contains("not reached within"), "{words}");
}
