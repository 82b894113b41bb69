//! Logins by SASL, for SMTP and IMAP: PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login), CRAM-MD5 (RFC 2195), SCRAM-SHA-1 and
//! SCRAM-SHA-256 (RFC 5802, RFC 7677).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use md5::Md5;
use sha1::Sha1;
use sha2::Digest;
use sha2::Sha256;

use crate::domain::secret::Secret;

/// Rounds that a server may ask for: its number is the work that it makes us do.
const ROUNDS_MAX: u32 = 1_000_000;

/// User and password. With some providers the user is the secret.
#[derive(Debug, Clone)]
pub(in crate::mail) struct Login {
    pub user: Secret,
    pub password: Secret,
}

/// A way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslMechanism {
    /// User and password, one after the other. For IMAP this is the command LOGIN.
    Login,
    /// User and password at once.
    Plain,
    CramMd5,
    ScramSha1,
    ScramSha256,
}

impl SaslMechanism {
    /// The name in AUTH and AUTHENTICATE.
    pub fn name(self) -> &'static str {
        match self {
            Self::Login => "LOGIN",
            Self::Plain => "PLAIN",
            Self::CramMd5 => "CRAM-MD5",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha256 => "SCRAM-SHA-256",
        }
    }
}

/// A login in progress.
pub struct Exchange {
    mechanism: SaslMechanism,
    login: Login,
    nonce: String,
    step: u8,
    /// Signature that the server must prove at the end (RFC 5802, section 3).
    expected: Option<String>,
}

impl Exchange {
    pub fn new(mechanism: SaslMechanism, login: Login) -> Self {
        Self::with_nonce(
            mechanism,
            login,
            STANDARD.encode(rand::random::<[u8; 18]>()),
        )
    }

    fn with_nonce(mechanism: SaslMechanism, login: Login, nonce: String) -> Self {
        Self {
            mechanism,
            login,
            nonce,
            step: 0,
            expected: None,
        }
    }

    /// Answers a challenge, both in base64; `None` if the server does not follow the rules.
    pub fn answer(&mut self, challenge: &str) -> Option<String> {
        self.step += 1;
        let (user, password) = (self.login.user.expose(), self.login.password.expose());
        // Their prompts differ from server to server, and so does their encoding: the order is what counts.
        match (self.mechanism, self.step) {
            (SaslMechanism::Login, 1) => return Some(STANDARD.encode(user)),
            (SaslMechanism::Login, 2) => return Some(STANDARD.encode(password)),
            _ => {}
        }
        let challenge = STANDARD.decode(challenge).ok()?;
        let answer = match (self.mechanism, self.step) {
            (SaslMechanism::Plain, 1) => format!("\0{user}\0{password}"),
            (SaslMechanism::CramMd5, 1) => format!(
                "{user} {}",
                hex(&mac::<Hmac<Md5>>(password.as_bytes(), &[&challenge])?)
            ),
            (SaslMechanism::ScramSha1 | SaslMechanism::ScramSha256, 1) => {
                format!("n,,{}", self.first_bare())
            }
            (SaslMechanism::ScramSha1, 2) => {
                self.prove::<Hmac<Sha1>, Sha1>(&String::from_utf8(challenge).ok()?)?
            }
            (SaslMechanism::ScramSha256, 2) => {
                self.prove::<Hmac<Sha256>, Sha256>(&String::from_utf8(challenge).ok()?)?
            }
            // Some servers send their proof as a challenge of its own.
            (SaslMechanism::ScramSha1 | SaslMechanism::ScramSha256, 3) => {
                let expected = self.expected.take()?;
                (challenge == expected.as_bytes()).then(String::new)?
            }
            _ => return None,
        };
        Some(STANDARD.encode(answer))
    }

    fn first_bare(&self) -> String {
        format!(
            "n={},r={}",
            self.login
                .user
                .expose()
                .replace('=', "=3D")
                .replace(',', "=2C"),
            self.nonce
        )
    }

    /// RFC 5802, section 3.
    fn prove<M: Mac + KeyInit + Clone, H: Digest>(&mut self, first: &str) -> Option<String> {
        let field = |name: &str| first.split(',').find_map(|part| part.strip_prefix(name));
        let (nonce, salt, rounds) = (
            field("r=")?,
            STANDARD.decode(field("s=")?).ok()?,
            field("i=")?.parse::<u32>().ok()?,
        );
        if !nonce.starts_with(&self.nonce)
            || nonce.len() <= self.nonce.len()
            || !(1..=ROUNDS_MAX).contains(&rounds)
        {
            return None;
        }
        let salted = salted::<M>(self.login.password.expose().as_bytes(), &salt, rounds)?;
        let last = format!("c=biws,r={nonce}");
        let message = format!("{},{first},{last}", self.first_bare());
        let client_key = mac::<M>(&salted, &[b"Client Key"])?;
        let signature = mac::<M>(&H::digest(&client_key), &[message.as_bytes()])?;
        let proof: Vec<u8> = client_key
            .iter()
            .zip(&signature)
            .map(|(key, signature)| key ^ signature)
            .collect();
        let server_key = mac::<M>(&salted, &[b"Server Key"])?;
        self.expected = Some(format!(
            "v={}",
            STANDARD.encode(mac::<M>(&server_key, &[message.as_bytes()])?)
        ));
        Some(format!("{last},p={}", STANDARD.encode(proof)))
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac.finalize().into_bytes().to_vec())
}

/// `Hi` of RFC 5802, which is PBKDF2 with one block.
fn salted<M: Mac + KeyInit + Clone>(password: &[u8], salt: &[u8], rounds: u32) -> Option<Vec<u8>> {
    let keyed = <M as KeyInit>::new_from_slice(password).ok()?;
    let next = |text: &[u8]| {
        let mut mac = keyed.clone();
        mac.update(text);
        mac.finalize().into_bytes().to_vec()
    };
    let mut last = next(&[salt, &[0, 0, 0, 1]].concat());
    let mut sum = last.clone();
    for _ in 1..rounds {
        last = next(&last);
        sum.iter_mut()
            .zip(&last)
            .for_each(|(sum, byte)| *sum ^= byte);
    }
    Some(sum)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: &str, password: &str) -> Login {
        Login {
            user: user.into(),
            password: password.into(),
        }
    }

    fn plain(answer: Option<String>) -> String {
        String::from_utf8(STANDARD.decode(answer.expect("an answer")).expect("base64"))
            .expect("text")
    }

    #[test]
    fn the_examples_of_the_rfcs_come_out() {
        let mut cram = Exchange::new(SaslMechanism::CramMd5, login("tim", "tanstaaftanstaaf"));
        let challenge = STANDARD.encode("<1896.697170952@postoffice.reston.mci.net>");
        assert_eq!(
            plain(cram.answer(&challenge)),
            "tim b913a602c7eda7a495b4e6e7334d3890"
        );

        let mut by_turns = Exchange::new(SaslMechanism::Login, login("tim", "secret"));
        assert_eq!(plain(by_turns.answer("VXNlcm5hbWU6")), "tim");
        assert_eq!(
            (plain(by_turns.answer("no base64")), by_turns.answer("")),
            ("secret".into(), None)
        );

        let mut scram = Exchange::with_nonce(
            SaslMechanism::ScramSha1,
            login("user", "pencil"),
            "fyko+d2lbbFgONRv9qkxdawL".into(),
        );
        assert_eq!(
            plain(scram.answer("")),
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"
        );
        let first = STANDARD
            .encode("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096");
        assert_eq!(
            plain(scram.answer(&first)),
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
        );
        assert_eq!(
            plain(scram.answer(&STANDARD.encode("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="))),
            ""
        );

        let mut scram = Exchange::with_nonce(
            SaslMechanism::ScramSha256,
            login("user", "pencil"),
            "rOprNGfwEbeRWgbNEkqO".into(),
        );
        scram.answer("");
        let first = STANDARD.encode("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        assert!(
            plain(scram.answer(&first))
                .ends_with(",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
        );
        assert_eq!(scram.answer(&STANDARD.encode("v=forged")), None);
    }

    #[test]
    fn a_server_that_does_not_follow_the_rules_gets_no_answer() {
        for first in [
            "r=other,s=QSXCR+Q6sek8bf92,i=4096",
            "r=nonceX,s=QSXCR+Q6sek8bf92,i=2000000000",
            "r=nonce,s=QSXCR+Q6sek8bf92,i=1",
            "x",
        ] {
            let mut scram = Exchange::with_nonce(
                SaslMechanism::ScramSha256,
                login("user", "pencil"),
                "nonce".into(),
            );
            scram.answer("");
            assert_eq!(scram.answer(&STANDARD.encode(first)), None, "{first}");
        }
    }
}
