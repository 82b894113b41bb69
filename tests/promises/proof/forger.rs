//! A forger, who has one genuine mail and reckons its neighbours' identifiers from it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::BASE32_NOPAD;
use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use sha2::Sha256;

use crate::inbound::READER;
use crate::inbound::header;
use crate::inbound::report;
use crate::inbound::return_path;
use crate::journey::link;
use crate::support::TestApp;

/// The week's digest, as release 0.1.0 numbered it.
const DIGEST: i64 = 202_648;

const SECRET: &[u8] = b"a secret for tests only";

fn tag(word: &[u8], body: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).expect("any length");
    [word, b"\0", body].iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

/// The texts of release 0.1.0: a return path and a token showed the subscriber's number before a tag; a Message-ID had no tag.
pub(super) struct Old {
    pub(super) subscriber: i64,
}

impl Old {
    pub(super) fn message_id(&self) -> String {
        format!("{DIGEST}.{}@verdicts.example", self.subscriber)
    }

    /// With the tag of `tagged`: only their own is right.
    pub(super) fn return_path(&self, tagged: i64) -> String {
        let body = |subscriber: i64| [DIGEST.to_be_bytes(), subscriber.to_be_bytes()].concat();
        let bytes = [
            body(self.subscriber),
            tag(b"return path", &body(tagged))[..10].to_vec(),
        ]
        .concat();
        format!(
            "bounces+{}@verdicts.example",
            BASE32_NOPAD.encode(&bytes).to_lowercase()
        )
    }

    pub(super) fn token(&self, purpose: u8, tagged: i64) -> String {
        let body = |subscriber: i64| [&[purpose][..], &subscriber.to_be_bytes(), &[0; 4]].concat();
        URL_SAFE_NO_PAD.encode(
            [
                body(self.subscriber),
                tag(b"token", &body(tagged))[..16].to_vec(),
            ]
            .concat(),
        )
    }
}

/// A text of one's own, with one character changed: the `n`th of those that a neighbour's could be.
fn neighbour(own: &str, alphabet: &str, n: usize) -> String {
    // Neither the last character, which may hold bits that are not read, nor always the first ones, where a number would begin.
    let at = n % (own.len() - 1);
    let others: Vec<char> = alphabet
        .chars()
        .filter(|c| !own[at..].starts_with(*c))
        .collect();
    format!(
        "{}{}{}",
        &own[..at],
        others[n / own.len() % others.len()],
        &own[at + 1..]
    )
}

/// What somebody has in their hands who was sent one digest, and from it makes up what another reader's could be.
pub(super) struct Forger {
    /// Their own number, had it been shown.
    subscriber: i64,
    pub(super) return_path: String,
    message_id: String,
    token: String,
}

impl Forger {
    pub(super) async fn new(test_app: &TestApp) -> Self {
        let mails = test_app.mails_to(READER);
        let digest = mails.last().expect("a digest");
        let listed = test_app
            .app
            .storage
            .subscribers_after(0, 1_000)
            .await
            .expect("a list");
        let own = listed
            .iter()
            .find(|listed| listed.subscriber.email == READER)
            .expect("a reader");
        Self {
            subscriber: own.subscriber.id,
            return_path: return_path(test_app, READER),
            message_id: header(digest, "Message-ID")
                .trim_matches(['<', '>'])
                .to_owned(),
            token: link(digest, "/unsubscribe/")
                .rsplit('/')
                .next()
                .expect("a token")
                .to_owned(),
        }
    }

    fn old(&self, n: usize) -> Old {
        Old {
            subscriber: self.subscriber + 1 + n as i64,
        }
    }

    pub(super) fn message_id(&self, n: usize) -> String {
        let (local, _) = self.message_id.split_once('@').expect("an id");
        if n.is_multiple_of(2) {
            self.old(n).message_id()
        } else {
            format!("{}@verdicts.example", neighbour(local, "abcdef234567", n))
        }
    }

    pub(super) fn address(&self, n: usize) -> String {
        let (_, verp) = self.return_path.split_once('+').expect("a part of its own");
        let (verp, _) = verp.split_once('@').expect("an address");
        if n.is_multiple_of(2) {
            self.old(n).return_path(self.subscriber)
        } else {
            format!(
                "bounces+{}@verdicts.example",
                neighbour(verp, "abcdef234567", n)
            )
        }
    }

    pub(super) fn token(&self, purpose: u8, n: usize) -> String {
        if n.is_multiple_of(2) {
            self.old(n).token(purpose, self.subscriber)
        } else {
            neighbour(&self.token, "ABCDEFabcdef0123456789-_", n)
        }
    }

    /// A report, a complaint or a wish to leave about a reader whose address is known, with everything that could be proof.
    pub(super) fn mail(&self, n: usize) -> String {
        let (id, to, token) = (self.message_id(n), self.address(n), self.token(2, n));
        let reader = format!("reader{}@example.org", 1 + n % 40);
        let head = format!("In-Reply-To: <{id}>\nReferences: <{id}>\n");
        match n % 3 {
            0 => head + &report(&to, &reader, &format!("550 5.1.1 no such user {n}")),
            1 => format!(
                "{head}From: fbl@mail.example\nTo: {to}\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\n\n\
                 --b\nContent-Type: text/plain\n\nA complaint {n}.\n\n--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n\
                 Version: 1\nUser-Agent: x/1\nOriginal-Mail-From: <{to}>\nOriginal-Rcpt-To: <{reader}>\n\n--b\nContent-Type: message/rfc822\n\n\
                 Message-ID: <{id}>\nReturn-Path: <{to}>\nTo: {reader}\nSubject: x\n\nhttps://verdicts.example/unsubscribe/{token}\n\n--b--\n"
            ),
            _ => format!(
                "{head}From: {reader}\nTo: {to}\nSubject: unsubscribe {token}\n\nunsubscribe {n}\n"
            ),
        }
    }
}
