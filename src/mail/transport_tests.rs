//! Against servers that answer as told, over real sockets.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::io::BufStream;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::domain::address::EmailAddress;
use crate::domain::inbound::SoftClass;

/// For what never comes.
const SHORT: Duration = Duration::from_millis(500);
/// For what comes, on however busy a machine.
const LONG: Duration = Duration::from_secs(20);
const MAIL: &[u8] = b"Subject: hello\r\n\r\n.\r\n..dots\r\nend\r\n";

/// The file with a certificate for this machine's own names, and its key, made for this run.
fn pem() -> &'static str {
    static FILE: std::sync::LazyLock<tempfile::NamedTempFile> = std::sync::LazyLock::new(|| {
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
                .expect("a certificate");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(
            file.path(),
            format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem()),
        )
        .expect("written");
        file
    });
    FILE.path().to_str().expect("a path")
}

/// What a server does when it has heard something.
#[derive(Clone, Copy)]
enum Act {
    Say(&'static str),
    Hang,
    HangUp,
}
use Act::*;

/// A server's manners: what it does at `GREETING`, at a command, or at `.`, the end of a mail.
type Manners = fn(&str) -> Act;

fn polite(heard: &str) -> Act {
    Say(match heard.split([' ', ':']).next() {
        Some("GREETING") => "220 sink",
        Some("EHLO") => {
            "250-sink\r\n250-SIZE\r\n250-SMTPUTF8\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN"
        }
        Some("STARTTLS") => "220 go",
        Some("AUTH") => "235 2.7.0 welcome",
        Some("DATA") => "354 go on",
        Some("QUIT") => "221 bye",
        _ => "250 2.0.0 ok",
    })
}

struct Sink {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Sink {
    async fn open(manners: Manners, is_tls: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let heard = Arc::new(Mutex::new(vec![]));
        let sink = Self {
            address: listener.local_addr().expect("an address"),
            heard: heard.clone(),
        };
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let heard = heard.clone();
                tokio::spawn(async move {
                    if is_tls {
                        let Ok(tls) = acceptor().accept(tcp).await else {
                            return;
                        };
                        let _ = talk(BufStream::new(tls), manners, &heard, true).await;
                        return;
                    }
                    let Ok(Some(plain)) = talk(BufStream::new(tcp), manners, &heard, true).await
                    else {
                        return;
                    };
                    let Ok(tls) = acceptor().accept(plain.into_inner()).await else {
                        return;
                    };
                    heard.lock().expect("unpoisoned").push("TLS".into());
                    let _ = talk(BufStream::new(tls), manners, &heard, false).await;
                });
            }
        });
        sink
    }

    async fn connect(&self, query: &str) -> Connection {
        connected(&format!("smtp://{}{query}", self.address)).await
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("unpoisoned").clone()
    }
}

fn transport(url: &str, limit: Duration) -> Transport {
    let timeouts = Timeouts {
        connect: limit,
        greeting: LONG,
        command: limit,
        data: limit,
        finish: limit,
    };
    Transport::parse(
        url,
        "news.example.org",
        timeouts,
        Limits {
            mails: 1000,
            idle: LONG,
            takes_ahead: true,
        },
    )
    .expect("a transport")
}

async fn connected(url: &str) -> Connection {
    transport(url, LONG)
        .connect(Fence::open())
        .await
        .unwrap_or_else(|fault| panic!("{fault}"))
}

async fn fault(url: &str, limit: Duration) -> ConnectFault {
    transport(url, limit)
        .connect(Fence::open())
        .await
        .err()
        .expect("no connection")
}

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(pem()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(pem()).expect("a key");
    let builder = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ));
    let builder = builder
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth();
    TlsAcceptor::from(Arc::new(
        builder
            .with_single_cert(vec![certificate], key)
            .expect("a configuration"),
    ))
}

/// Until the other side goes, or says STARTTLS and may.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: BufStream<S>,
    manners: Manners,
    heard: &Mutex<Vec<String>>,
    greets: bool,
) -> std::io::Result<Option<BufStream<S>>> {
    let mut command = String::from(if greets { "GREETING" } else { "" });
    let mut mail = None;
    loop {
        if !command.is_empty() {
            heard.lock().expect("unpoisoned").push(command.clone());
            let reply = match manners(command.lines().last().unwrap_or_default()) {
                Say(reply) => reply,
                Hang => pending().await,
                HangUp => return Ok(None),
            };
            stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
            stream.flush().await?;
            if command == "STARTTLS" && reply.starts_with("220") {
                return Ok(Some(stream));
            }
            mail = (command == "DATA").then(String::new);
        }
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        command = match &mut mail {
            Some(text) if line == ".\r\n" => std::mem::take(text) + ".",
            Some(text) => {
                *text += line.strip_prefix('.').unwrap_or(&line);
                String::new()
            }
            None => line.trim_end().into(),
        };
    }
}

async fn send(connection: &mut Connection, to: &str) -> Outcome {
    let to = EmailAddress::parse(to).expect("an address");
    connection
        .send(
            &Envelope {
                from: "back@localhost",
                to: &to,
                file: "1",
            },
            MAIL,
        )
        .await
}

#[tokio::test]
async fn a_mail_that_the_end_of_our_lease_cut_off_is_told_from_one_that_the_server_failed() {
    let sink = Sink::open(polite, false).await;
    let url = format!("smtp://{}?tls=none", sink.address);
    let fence = Fence::open();
    let mut connection = transport(&url, LONG)
        .connect(fence.clone())
        .await
        .unwrap_or_else(|fault| panic!("{fault}"));
    let ada: EmailAddress = "ada@example.org".parse().expect("an address");
    let envelope = Envelope {
        from: "back@localhost",
        to: &ada,
        file: "f",
    };
    connection
        .open_mail(&envelope, MAIL.len())
        .await
        .expect("leave");
    assert!(!connection.was_cut_by_lease());
    fence.move_to(tokio::time::Instant::now() - LONG);
    let outcome = connection.hand_over(&envelope, MAIL, None).await;
    assert!(
        connection.was_cut_by_lease() && matches!(outcome, Outcome::Later { about_us: true, .. }),
        "{outcome:?}"
    );
    let broken = Sink::open(
        |heard| {
            if heard == "DATA" {
                HangUp
            } else {
                polite(heard)
            }
        },
        false,
    )
    .await;
    let mut connection = broken.connect("?tls=none").await;
    let outcome = connection.open_mail(&envelope, MAIL.len()).await;
    assert!(
        outcome.is_err() && !connection.was_cut_by_lease(),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_mail_arrives_byte_by_byte_and_the_connection_serves_the_next() {
    let sink = Sink::open(polite, false).await;
    let mut connection = sink.connect("?tls=none").await;
    for to in [
        "ada@example.org",
        "\"odd one\"@example.org",
        "grüße@example.org",
    ] {
        assert_eq!(
            send(&mut connection, to).await,
            Outcome::Accepted {
                reply: "250 2.0.0 ok".into()
            }
        );
    }
    connection.close().await;
    let kept = format!("{}.", std::str::from_utf8(MAIL).expect("UTF-8"));
    let heard = sink.heard();
    assert_eq!(
        heard[..6],
        [
            "GREETING",
            "EHLO news.example.org",
            "MAIL FROM:<back@localhost> SIZE=34",
            "RCPT TO:<ada@example.org>",
            "DATA",
            &kept
        ]
    );
    assert!(heard.contains(&"RCPT TO:<\"odd one\"@example.org>".into()));
    assert_eq!(
        heard[10..],
        [
            "MAIL FROM:<back@localhost> SIZE=34 SMTPUTF8",
            "RCPT TO:<grüße@example.org>",
            "DATA",
            &kept,
            "QUIT"
        ]
    );
}

#[tokio::test]
async fn a_refusal_leaves_the_connection_for_the_next_mail_and_a_421_does_not() {
    let sink = Sink::open(
        |heard| match heard {
            "RCPT TO:<later@example.org>" => Say("451 4.2.1 not now"),
            "RCPT TO:<gone@example.org>" => {
                Say("550-5.1.1 <GONE@example.org>\r\n550 5.1.1 no such user")
            }
            "RCPT TO:<policy@example.org>" => Say("550 5.7.1 not you"),
            "RCPT TO:<bye@example.org>" => Say("421 4.3.2 closing"),
            _ => polite(heard),
        },
        false,
    )
    .await;
    let mut connection = sink.connect("?tls=none").await;
    assert_eq!(
        send(&mut connection, "later@example.org").await,
        Outcome::Later {
            reply: "451 4.2.1 not now".into(),
            about_us: false,
            class: SoftClass::Passing
        }
    );
    assert_eq!(
        send(&mut connection, "gone@example.org").await,
        Outcome::BadAddress {
            reply: "550 5.1.1 <g***@e***.org> no such user".into()
        }
    );
    assert_eq!(
        send(&mut connection, "policy@example.org").await,
        Outcome::Refused {
            reply: "550 5.7.1 not you".into(),
            about_us: true,
            class: SoftClass::Passing
        }
    );
    assert!(matches!(
        send(&mut connection, "ada@example.org").await,
        Outcome::Accepted { .. }
    ));
    assert_eq!(
        sink.heard().iter().filter(|heard| *heard == "RSET").count(),
        3
    );
    assert!(connection.is_usable());
    assert_eq!(
        send(&mut connection, "bye@example.org").await,
        Outcome::Throttled {
            reply: "421 4.3.2 closing".into()
        }
    );
    assert!(!connection.is_usable());
    assert_eq!(
        sink.heard()
            .iter()
            .filter(|heard| *heard == "GREETING")
            .count(),
        1
    );
}

#[tokio::test]
async fn silence_is_later_before_the_final_dot_and_in_doubt_after_it() {
    let before: [Manners; 6] = [
        |heard| {
            if heard.starts_with("MAIL") {
                Hang
            } else {
                polite(heard)
            }
        },
        |heard| {
            if heard.starts_with("MAIL") {
                HangUp
            } else {
                polite(heard)
            }
        },
        |heard| {
            if heard.starts_with("RCPT") {
                Hang
            } else {
                polite(heard)
            }
        },
        |heard| {
            if heard.starts_with("RCPT") {
                HangUp
            } else {
                polite(heard)
            }
        },
        |heard| if heard == "DATA" { Hang } else { polite(heard) },
        |heard| {
            if heard == "DATA" {
                Say("250 what")
            } else {
                polite(heard)
            }
        },
    ];
    let after: [Manners; 3] = [
        |heard| if heard == "." { Hang } else { polite(heard) },
        |heard| if heard == "." { HangUp } else { polite(heard) },
        |heard| {
            if heard == "." {
                Say("nonsense")
            } else {
                polite(heard)
            }
        },
    ];
    for (number, manners) in before.into_iter().chain(after).enumerate() {
        let sink = Sink::open(manners, false).await;
        let transport = transport(&format!("smtp://{}?tls=none", sink.address), SHORT);
        let mut connection = transport
            .connect(Fence::open())
            .await
            .unwrap_or_else(|fault| panic!("{fault}"));
        let outcome = send(&mut connection, "ada@example.org").await;
        match number < before.len() {
            true => assert!(
                matches!(outcome, Outcome::Later { about_us: true, .. }),
                "{number}: {outcome:?}"
            ),
            false => assert!(
                matches!(outcome, Outcome::InDoubt { .. }),
                "{number}: {outcome:?}"
            ),
        }
        assert!(
            !connection.is_usable(),
            "{number}: nobody knows what it is at"
        );
    }
}

#[tokio::test]
async fn a_text_that_goes_before_its_end_is_taken_with_it_and_not_without() {
    let long = [MAIL, &b"One line of many.\r\n".repeat(1_000)].concat();
    // One that goes ahead, and one that is too short to.
    for text in [&long[..], MAIL] {
        let sink = Sink::open(polite, false).await;
        let mut connection = sink.connect("?tls=none").await;
        let kept = format!("{}.", std::str::from_utf8(text).expect("UTF-8"));
        let to = EmailAddress::parse("ada@example.org").expect("an address");
        let envelope = Envelope {
            from: "back@localhost",
            to: &to,
            file: "1",
        };
        let taken = || sink.heard().iter().filter(|heard| **heard == kept).count();
        for times in 1..=2 {
            connection
                .open_mail(&envelope, text.len())
                .await
                .expect("leave to send");
            connection.begin_text(text).await.expect("sent ahead");
            assert!(matches!(
                connection.hand_over(&envelope, text, None).await,
                Outcome::Accepted { .. }
            ));
            assert_eq!(taken(), times);
        }
        connection
            .open_mail(&envelope, text.len())
            .await
            .expect("leave to send");
        connection.begin_text(text).await.expect("sent ahead");
        connection.give_up(false);
        assert!(!connection.is_usable());
        assert!(matches!(
            connection.hand_over(&envelope, text, None).await,
            Outcome::Later { .. }
        ));
        connection.close().await;
        send(&mut sink.connect("?tls=none").await, "eve@example.org").await;
        assert_eq!(
            sink.heard()
                .iter()
                .filter(|heard| heard.ends_with('.'))
                .count(),
            3,
            "two whole ones and the last"
        );
    }
}

#[tokio::test]
async fn a_send_that_was_given_up_closes_its_connection() {
    let sink = Sink::open(
        |heard| if heard == "." { Hang } else { polite(heard) },
        false,
    )
    .await;
    let mut connection = sink.connect("?tls=none").await;
    let _ = tokio::time::timeout(SHORT, send(&mut connection, "ada@example.org")).await;
    assert!(!connection.is_usable());
}

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
            .connect(Fence::open())
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
