//! View of a reader's program, checked with mail-parser; and what a server sees: lengths, line ends, ASCII.

use mail_parser::HeaderValue;
use mail_parser::Message;
use mail_parser::MessageParser;
use mail_parser::PartType;
use proptest::prelude::*;

use super::*;
use crate::domain::rendered_mail::READER_HOLE;
use crate::domain::rendered_mail::SINCE_HOLE;
use crate::domain::rendered_mail::TOKEN_PLACEHOLDER;
use crate::domain::rendered_mail::VERP_HOLE;
use crate::mail::TOKEN_LENGTH;

const TOKEN: &str = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_x";
const READER: &str = "x_-9876543210zYxWvUtSrQpOnMlKjIhGfEdCbA";
const SINCE: &str = "30 September 2026";
const VERP: &str = "abcdefghijklmnopqrstuvwxyz234567abcdefghij";

fn rendered(subject: &str, html: &str, text: &str) -> Rendered {
    Rendered {
        subject: subject.into(),
        html: html.into(),
        text: text.into(),
    }
}

fn headers(extra: Vec<(&'static str, String)>) -> TemplateHeaders {
    let from = Mailbox::parse("Ship or Skip <news@localhost>").expect("a sender");
    TemplateHeaders {
        from,
        reply_to: None,
        extra,
    }
}

fn filled(letter: &MessageTemplate) -> Vec<u8> {
    let to = EmailAddress::parse("grüße@example.org").expect("an address");
    let date: Timestamp = "2026-11-24T09:00:00Z".parse().expect("a moment");
    let mut out = b"old".to_vec();
    letter.fill(
        &Recipient {
            to: &to,
            token: TOKEN,
            reader: READER,
            since: SINCE,
            verp: VERP,
            message_id: "7.3@example.org",
            date,
        },
        &mut out,
    );
    out
}

fn parse(mail: &[u8]) -> Message<'_> {
    MessageParser::default().parse(mail).expect("a mail")
}

/// The decoded bodies, text and HTML, with `\n` as line end.
fn bodies(message: &Message<'_>) -> (String, String) {
    let unix = |text: &str| text.replace("\r\n", "\n");
    let (text, html) = (
        message.text_part(0).expect("text"),
        message.html_part(0).expect("html"),
    );
    match (&text.body, &html.body) {
        (PartType::Text(text), PartType::Html(html)) => (unix(text), unix(html)),
        other => panic!("two bodies, text and HTML, not {other:?}"),
    }
}

/// A text as its reader gets it: line ends as one, holes filled.
fn expected(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .replace(TOKEN_PLACEHOLDER, TOKEN)
        .replace(READER_HOLE, READER)
        .replace(SINCE_HOLE, SINCE)
        .replace(VERP_HOLE, VERP)
}

/// Checks the limits that every mail keeps, whatever is in it.
fn check_lines(mail: &[u8]) {
    let mail = std::str::from_utf8(mail).expect("UTF-8");
    let (head, body) = mail.split_once("\r\n\r\n").expect("a header and a body");
    assert!(mail.ends_with("\r\n"));
    assert!(
        !mail.replace("\r\n", "").contains(['\r', '\n', '\0']),
        "a bare CR, LF or NUL"
    );
    assert!(body.is_ascii());
    assert!(
        body.split("\r\n").all(|line| line.len() <= 76
            && !line.ends_with([' ', '\t'])
            && !line.starts_with("From ")),
        "{body}"
    );
    assert!(
        head.split("\r\n")
            .all(|line| line.len() <= 998 && !line.trim().is_empty())
    );
    assert!(
        head.split("\r\n")
            .all(|line| !line.contains("=?utf-8?B?") || line.len() <= 76),
        "{head}"
    );
    assert!(
        head.split("\r\n")
            .filter(|line| !line.starts_with("To: "))
            .all(str::is_ascii)
    );
}

#[test]
fn a_whole_letter_byte_by_byte() {
    let link = format!("<https://example.org/unsubscribe/{TOKEN_PLACEHOLDER}>");
    let headers = TemplateHeaders {
        reply_to: Some(
            Mailbox::parse("Grüße aus der Redaktion <editors@localhost>").expect("a sender"),
        ),
        ..headers(vec![
            ("List-Unsubscribe", link),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".into()),
        ])
    };
    let html = format!(
        "<p class=\"x\">Grüße</p>\n<a href=\"https://example.org/u/{TOKEN_PLACEHOLDER}\">leave</a>\n"
    );
    let text = format!(
        "Grüße \nFrom here: https://example.org/unsubscribe/{TOKEN_PLACEHOLDER}?\n.\n{READER_HOLE}\n"
    );
    let letter = MessageTemplate::new(
        &rendered("Ship or Skip: Käse für alle", &html, &text),
        &headers,
    );
    let expected = "From: \"Ship or Skip\" <news@localhost>
To: grüße@example.org
Subject: Ship or Skip: =?utf-8?B?S8Okc2UgZsO8cg==?= alle
Date: Tue, 24 Nov 2026 09:00:00 +0000
Message-ID: <7.3@example.org>
Reply-To: =?utf-8?B?R3LDvMOfZSBhdXMgZGVyIFJlZGFrdGlvbg==?=
 <editors@localhost>
List-Unsubscribe: <https://example.org/unsubscribe/AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_x>
List-Unsubscribe-Post: List-Unsubscribe=One-Click
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=\"=_verdicts\"

--=_verdicts
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe=20
=46rom here: https://example.org/unsubscribe/=
AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_x?
=2E
x_-9876543210zYxWvUtSrQpOnMlKjIhGfEdCbA

--=_verdicts
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<p class=3D\"x\">Gr=C3=BC=C3=9Fe</p>
<a href=3D\"https://example.org/u/AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_x\">l=
eave</a>

--=_verdicts--
";
    let mail = String::from_utf8(filled(&letter))
        .expect("UTF-8")
        .replace("\r\n", "\n");
    assert_eq!(mail, expected);
}

#[test]
fn the_room_kept_for_a_token_is_what_a_token_takes() {
    let secrets = crate::domain::token::Secrets::new(&["secret".into()]).expect("one secret");
    let token = crate::domain::token::Token {
        purpose: crate::domain::token::Purpose::Unsubscribe,
        subscriber: i64::MAX,
        expires_at: None,
    };
    assert_eq!(secrets.sign(&token).len(), TOKEN_LENGTH);
    assert_eq!(
        (TOKEN.len(), SINCE.len(), VERP.len()),
        (TOKEN_LENGTH, SINCE_LENGTH, VERP_LENGTH)
    );
}

#[test]
fn what_does_not_fit_its_hole_leaves_it_empty() {
    let to = EmailAddress::parse("ada@example.org").expect("an address");
    let letter = MessageTemplate::new(
        &rendered(
            "s",
            "",
            &format!("<{TOKEN_PLACEHOLDER}><{SINCE_HOLE}><{VERP_HOLE}>"),
        ),
        &headers(vec![]),
    );
    let bad = [
        ["a b", "1 May\r\n", "a@b"],
        ["a=b", "1. Mai", "a+b"],
        ["\u{e9}", "a day as long as a sentence", &"a".repeat(43)],
    ];
    for [token, since, verp] in bad {
        let mut out = Vec::new();
        letter.fill(
            &Recipient {
                to: &to,
                token,
                reader: token,
                since,
                verp,
                message_id: "1@x",
                date: Timestamp::default(),
            },
            &mut out,
        );
        assert_eq!(bodies(&parse(&out)).0, "<><><>", "{token} {since} {verp}");
    }
}

/// Words that have broken encoders before, among ordinary ones.
fn nasty() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => "[a-zA-Z.,=?_<>\"'-]{1,12}",
        2 => "\\PC{0,20}",
        1 => "[üß漢🚢]{1,60}",
        1 => "[a-z]{70,1200}",
        1 => Just("=?utf-8?B?aGk=?=".to_string()),
        1 => Just("x=?utf-8?Q?=41?=y".to_string()),
        1 => Just("From ".to_string()),
        1 => Just(".".to_string()),
        1 => Just("--=_verdicts--".to_string()),
        1 => Just("\t ".to_string()),
        1 => "[\r\n\0\x07\x7f]{1,3}",
        1 => Just("\r\nBcc: eve@example.org\r\n\r\n".to_string()),
    ];
    prop::collection::vec(word, 0..12).prop_map(|words| words.join(" "))
}

/// The same with holes of one kind or another.
fn with_holes() -> impl Strategy<Value = String> {
    let hole = prop_oneof![
        Just(TOKEN_PLACEHOLDER),
        Just(READER_HOLE),
        Just(SINCE_HOLE),
        Just(VERP_HOLE)
    ];
    (prop::collection::vec(nasty(), 0..5), hole)
        .prop_map(|(parts, hole)| parts.join(&hole.to_string()))
}

fn without_holes(text: &str) -> String {
    text.replace([TOKEN_PLACEHOLDER, READER_HOLE, SINCE_HOLE, VERP_HOLE], "")
}

proptest! {
    #[test]
    fn any_bodies_arrive_as_they_were_written(html in with_holes(), text in with_holes()) {
        let mail = filled(&MessageTemplate::new(&rendered("s", &html, &text), &headers(vec![])));
        check_lines(&mail);
        let (read, written) = (bodies(&parse(&mail)), (expected(&text), expected(&html)));
        // Base64 needs a space here and there.
        if String::from_utf8_lossy(&mail).contains("Content-Transfer-Encoding: base64") {
            let folded = |text: &str| text.split_whitespace().collect::<Vec<_>>().concat();
            prop_assert_eq!((folded(&read.0), folded(&read.1)), (folded(&written.0), folded(&written.1)));
        } else {
            prop_assert_eq!(read, written);
        }
    }

    #[test]
    fn any_subject_and_name_arrive_and_never_begin_another_header(subject in nasty(), name in nasty()) {
        let (subject, name) = (without_holes(&subject), without_holes(&name));
        let words = |text: &str| text.split(|c: char| c == ' ' || c.is_control()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
        let clean: String = name.chars().filter(|c| !c.is_control() && !"<>\"".contains(*c)).collect();
        let sender = Mailbox::parse(&format!("{clean} <news@localhost>"));
        let headers = TemplateHeaders { from: sender.unwrap_or(headers(vec![]).from), ..headers(vec![("X-Name", name.clone())]) };
        let mail = filled(&MessageTemplate::new(&rendered(&subject, "h", "t"), &headers));
        check_lines(&mail);
        let message = parse(&mail);
        prop_assert_eq!(message.subject().unwrap_or_default(), words(&subject));
        prop_assert_eq!(message.from().and_then(|from| from.first()).and_then(|from| from.name()).unwrap_or_default(), headers.from.name());
        let names: Vec<&str> = message.headers().iter().map(|header| header.name()).collect();
        prop_assert_eq!(names, ["From", "To", "Subject", "Date", "Message-ID", "X-Name", "MIME-Version", "Content-Type"]);
    }

    #[test]
    fn a_link_in_a_header_stays_in_one_piece(path in "[a-zA-Z0-9/?=&%.-]{0,400}") {
        let value = format!("<mailto:leave@example.org>, <https://example.org/{path}/{TOKEN_PLACEHOLDER}>");
        let mail = filled(&MessageTemplate::new(&rendered("s", "h", "t"), &headers(vec![("List-Unsubscribe", value.clone())])));
        check_lines(&mail);
        let link = format!("<https://example.org/{path}/{TOKEN}>");
        prop_assert!(String::from_utf8_lossy(&mail).contains(&link));
        let message = parse(&mail);
        prop_assert!(matches!(message.header("List-Unsubscribe"), Some(HeaderValue::Address(_))), "read as a list of links");
    }
}
