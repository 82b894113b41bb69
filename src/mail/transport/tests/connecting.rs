//! Connections that are not made, or not made safely.

use super::sink::Manners;
use super::sink::Sink;
use super::sink::pem;
use super::sink::polite;
use super::sink::talk;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Mutex;

use Act::*;
use tokio::io::BufStream;
use tokio::net::TcpListener;

use super::super::*;
use super::LONG;
use super::SHORT;
use super::connected;
use super::fault;
use super::send;
use super::sink::Act;
use super::transport;

#[tokio::test]
async fn no_connection_is_a_sentence_that_says_why() {
    let faults: [(Manners, &str); 6] = [
        (|_| Hang, "broke off: no answer within 500ms"),
        (|_| HangUp, "broke off"),
        (
            |_| Say("554 5.7.1 not you"),
            "refused us: 554 5.7.1 not you",
        ),
        (
            |heard| {
                if heard.starts_with("EHLO") {
                    Hang
                } else {
                    polite(heard)
                }
            },
            "broke off: no answer within 500ms",
        ),
        (
            |heard| {
                if heard.starts_with("AUTH") {
                    Say("535 5.7.8 AHVzZXIAU2VDckV0 is wrong")
                } else {
                    polite(heard)
                }
            },
            "refused our login: 535",
        ),
        (
            |heard| {
                if heard.starts_with("AUTH") {
                    Hang
                } else {
                    polite(heard)
                }
            },
            "broke off: no answer within 500ms",
        ),
    ];
    for (manners, expected) in faults {
        let sink = Sink::open(manners, false).await;
        for security in ["none", "opportunistic"] {
            let fault = fault(
                &format!("smtp://user:SeCrEt@{}?tls={security}", sink.address),
                SHORT,
            )
            .await;
            assert!(fault.outcome_words.contains(expected), "{fault}");
            assert!(
                !fault.outcome_words.contains("SeCrEt")
                    && !fault.outcome_words.contains("U2VDckV0"),
                "{fault}"
            );
            assert_eq!(fault.is_login(), expected.contains("login"));
        }
    }
    let fault = fault("smtp://127.0.0.1:1", LONG).await;
    assert!(
        fault.is_network()
            && fault
                .outcome_words
                .starts_with("cannot reach the SMTP server at 127.0.0.1:1: Connection refused"),
        "{fault}"
    );
}

/// Servers that hang at a step, and its name.
const HANGS: [(Manners, &str, &str); 6] = [
    (|_| Hang, "none", "its banner"),
    (
        |heard| {
            if heard.starts_with("EHLO") {
                Hang
            } else {
                polite(heard)
            }
        },
        "none",
        "EHLO",
    ),
    (
        |heard| {
            if heard == "STARTTLS" {
                Hang
            } else {
                polite(heard)
            }
        },
        "opportunistic",
        "STARTTLS",
    ),
    (polite, "opportunistic", "the TLS handshake"),
    (
        |heard| {
            if heard.starts_with("AUTH") {
                Hang
            } else {
                polite(heard)
            }
        },
        "none",
        "AUTH",
    ),
    (
        |heard| {
            if heard.starts_with("AUTH") {
                Hang
            } else {
                polite(heard)
            }
        },
        "opportunistic",
        "AUTH",
    ),
];

#[tokio::test]
async fn when_all_steps_together_take_too_long_the_last_one_is_named() {
    for (manners, security, step) in HANGS {
        let sink = Sink::open(manners, false).await;
        let address = if step == "the TLS handshake" {
            mute_after_starttls().await
        } else {
            sink.address
        };
        let url = format!("smtp://user:SeCrEt@{address}?tls={security}");
        let fault = transport(&url, LONG)
            .within(SHORT)
            .connect(WriteDeadline::open())
            .await
            .err()
            .expect("no connection");
        let expected =
            format!("did not get through its greeting within 500ms, the last step was {step}");
        assert!(
            fault.is_network() && fault.outcome_words.contains(&expected),
            "{step}: {fault}"
        );
    }
}

/// A server that says all there is to say before a handshake, and then nothing.
async fn mute_after_starttls() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.expect("a connection");
        let heard = Mutex::default();
        let stream = talk(BufStream::new(tcp), polite, &heard, true).await;
        pending::<()>().await;
        drop(stream);
    });
    address
}

#[tokio::test]
async fn a_password_goes_only_over_tls_that_is_trusted() {
    let sink = Sink::open(polite, false).await;
    let url = format!("smtp://user:SeCrEt@{}?tls=required", sink.address);
    let refused = fault(&url, LONG).await;
    assert!(
        refused.is_tls()
            && refused
                .outcome_words
                .contains("its certificate is not trusted"),
        "{refused}"
    );
    assert!(!sink.heard().iter().any(|heard| heard.starts_with("AUTH")));

    let mut connection = connected(&format!("{url}&tls_ca={}", pem())).await;
    assert!(matches!(
        send(&mut connection, "ada@example.org").await,
        Outcome::Accepted { .. }
    ));
    let heard = sink.heard();
    let place = |word: &str| {
        heard
            .iter()
            .position(|heard| heard.starts_with(word))
            .expect("heard")
    };
    assert!(
        place("STARTTLS") < place("TLS")
            && place("TLS") < place("AUTH")
            && place("AUTH") < place("MAIL"),
        "{heard:?}"
    );

    let implicit = Sink::open(polite, true).await;
    let url = format!("smtps://user:SeCrEt@{}", implicit.address);
    assert!(fault(&url, LONG).await.is_tls());
    let mut connection = connected(&format!("{url}?tls_ca={}", pem())).await;
    assert!(matches!(
        send(&mut connection, "ada@example.org").await,
        Outcome::Accepted { .. }
    ));
}

#[tokio::test]
async fn without_a_password_any_tls_is_better_than_none_unless_more_is_demanded() {
    let sink = Sink::open(polite, false).await;
    assert!(matches!(
        send(&mut sink.connect("").await, "ada@example.org").await,
        Outcome::Accepted { .. }
    ));
    assert!(sink.heard().contains(&"TLS".into()));

    let busy = Sink::open(
        |heard| {
            if heard == "STARTTLS" {
                Say("454 4.7.0 not now")
            } else {
                polite(heard)
            }
        },
        false,
    )
    .await;
    assert!(matches!(
        send(&mut busy.connect("").await, "ada@example.org").await,
        Outcome::Accepted { .. }
    ));

    let old = Sink::open(
        |heard| {
            if heard.starts_with("EHLO") {
                Say("250 sink")
            } else {
                polite(heard)
            }
        },
        false,
    )
    .await;
    assert!(matches!(
        send(&mut old.connect("").await, "ada@example.org").await,
        Outcome::Accepted { .. }
    ));
    let refused = send(&mut old.connect("").await, "grüße@example.org").await;
    assert!(
        matches!(
            refused,
            Outcome::Refused {
                about_us: false,
                ..
            }
        ),
        "it has no SMTPUTF8: {refused:?}"
    );
    let fault = fault(&format!("smtp://{}?tls=required", old.address), LONG).await;
    assert!(
        fault.is_tls() && fault.outcome_words.contains("offers no STARTTLS"),
        "{fault}"
    );
}

#[tokio::test]
async fn an_answer_from_before_the_handshake_is_not_read_after_it() {
    let sink = Sink::open(
        |heard| {
            if heard == "STARTTLS" {
                Say("220 go\r\n250 evil")
            } else {
                polite(heard)
            }
        },
        false,
    )
    .await;
    let fault = fault(
        &format!("smtp://{}?tls=required&tls_ca={}", sink.address, pem()),
        LONG,
    )
    .await;
    assert!(
        fault.is_tls() && fault.outcome_words.contains("somebody stands in between"),
        "{fault}"
    );
}
