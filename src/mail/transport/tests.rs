//! Against servers that answer as told, over real sockets.

mod connecting;
mod sink;

use std::time::Duration;

use super::*;
use crate::domain::address::EmailAddress;
use crate::domain::inbound::SoftClass;
use sink::Act;
use sink::Manners;
use sink::Sink;
use sink::polite;

/// For what never comes.
const SHORT: Duration = Duration::from_millis(500);
/// For what comes, on however busy a machine.
const LONG: Duration = Duration::from_secs(20);
const MAIL: &[u8] = b"Subject: hello\r\n\r\n.\r\n..dots\r\nend\r\n";

use Act::*;

fn transport(url: &str, limit: Duration) -> Transport {
    let timeouts = SmtpTimeouts {
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
        ConnectionLimits {
            mails: 1000,
            idle: LONG,
            takes_ahead: true,
        },
    )
    .expect("a transport")
}

async fn connected(url: &str) -> OpenTransport {
    transport(url, LONG)
        .connect(WriteDeadline::open())
        .await
        .unwrap_or_else(|fault| panic!("{fault}"))
}

async fn fault(url: &str, limit: Duration) -> ConnectFault {
    transport(url, limit)
        .connect(WriteDeadline::open())
        .await
        .err()
        .expect("no connection")
}

async fn send(connection: &mut OpenTransport, to: &str) -> Outcome {
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
    let fence = WriteDeadline::open();
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
        .send_envelope(&envelope, MAIL.len())
        .await
        .expect("leave");
    assert!(!connection.was_cut_by_lease());
    fence.move_to(tokio::time::Instant::now() - LONG);
    let outcome = connection.finish_mail(&envelope, MAIL, None).await;
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
    let outcome = connection.send_envelope(&envelope, MAIL.len()).await;
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
            .connect(WriteDeadline::open())
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
                .send_envelope(&envelope, text.len())
                .await
                .expect("leave to send");
            connection.send_body(text).await.expect("sent ahead");
            assert!(matches!(
                connection.finish_mail(&envelope, text, None).await,
                Outcome::Accepted { .. }
            ));
            assert_eq!(taken(), times);
        }
        connection
            .send_envelope(&envelope, text.len())
            .await
            .expect("leave to send");
        connection.send_body(text).await.expect("sent ahead");
        connection.give_up(false);
        assert!(!connection.is_usable());
        assert!(matches!(
            connection.finish_mail(&envelope, text, None).await,
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
