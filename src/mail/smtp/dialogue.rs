//! A dialogue with a server until it knows us, one command and one reply at a time.
//!
//! Own, and not lettre's: EHLO is said once in each TLS state, for OpenSMTPD 6.8 and qpsmtpd 0.94 answer a second one with 503; of its
//! reply SIZE, PIPELINING and all mechanisms are needed, which lettre drops; and each step has a time limit.

use std::io;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::time::timeout;

use crate::mail::smtp::connect_fault::ConnectFault;
use crate::mail::smtp::server::SmtpServer;
use crate::mail::smtp::stream::LONGEST_LINE;
use crate::mail::smtp::stream::no_smtp;

/// A server's reply (RFC 5321 4.2.1).
pub(in crate::mail) struct SmtpReply {
    pub code: u16,
    /// Its lines, without the code.
    pub lines: Vec<String>,
}

/// Extensions that the server announced (RFC 5321 4.1.1.1), as far as they matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::mail) struct Offers {
    pub size: bool,
    /// Size of the largest mail that it takes, in bytes, if it names one (RFC 1870: 0 names none).
    pub size_max: Option<usize>,
    pub smtputf8: bool,
    pub pipelining: bool,
    pub starttls: bool,
    /// Names of the mechanisms of AUTH.
    pub mechanisms: Vec<String>,
}

pub(in crate::mail) struct SmtpDialogue<'s, S> {
    server: &'s SmtpServer,
    line: BufReader<S>,
}

impl<'s, S: AsyncRead + AsyncWrite + Unpin> SmtpDialogue<'s, S> {
    pub fn new(server: &'s SmtpServer, line: S) -> Self {
        Self {
            server,
            line: BufReader::new(line),
        }
    }

    /// Reads the banner.
    pub async fn banner(&mut self) -> Result<(), ConnectFault> {
        self.expect(220).await.map(drop)
    }

    /// Says EHLO and reads what is offered.
    pub async fn ehlo(&mut self) -> Result<Offers, ConnectFault> {
        self.say(&format!("EHLO {}", self.server.hello)).await?;
        Ok(Offers::read(&self.expect(250).await?))
    }

    /// Says a command and reads the reply to it.
    pub async fn ask(&mut self, command: &str) -> Result<SmtpReply, ConnectFault> {
        self.say(command).await?;
        self.read().await
    }

    /// Returns whether the server said more than was read.
    pub fn has_more(&self) -> bool {
        !self.line.buffer().is_empty()
    }

    /// Gives the line back once all that was said is read.
    pub fn into_inner(self) -> Result<S, ConnectFault> {
        // Else each reply would be taken for the next command's.
        if self.has_more() {
            return Err(ConnectFault::broke_off(
                self.server,
                "it says more than it was asked",
            ));
        }
        Ok(self.line.into_inner())
    }

    async fn say(&mut self, command: &str) -> Result<(), ConnectFault> {
        let line = format!("{command}\r\n");
        let written = async {
            self.line.write_all(line.as_bytes()).await?;
            self.line.flush().await
        };
        within(self.server, written).await
    }

    async fn expect(&mut self, code: u16) -> Result<Vec<String>, ConnectFault> {
        match self.read().await? {
            reply if reply.code == code => Ok(reply.lines),
            reply => Err(ConnectFault::refused(
                self.server,
                reply.code,
                &reply.text(),
            )),
        }
    }

    async fn read(&mut self) -> Result<SmtpReply, ConnectFault> {
        within(self.server, read_reply(&mut self.line)).await
    }
}

impl SmtpReply {
    pub fn text(&self) -> String {
        self.lines.join(" ")
    }
}

impl Offers {
    /// Reads the lines of the reply to EHLO; the first is a greeting.
    fn read(lines: &[String]) -> Self {
        let mut offers = Self::default();
        for line in lines.iter().skip(1) {
            // Servers of old, and those that are kind to clients of old, write `AUTH=LOGIN`.
            let mut words = line
                .split([' ', '='])
                .map(str::trim)
                .filter(|word| !word.is_empty());
            match words
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase()
                .as_str()
            {
                "SIZE" => {
                    offers.size = true;
                    offers.size_max = words
                        .next()
                        .and_then(|word| word.parse().ok())
                        .filter(|size| *size > 0);
                }
                "SMTPUTF8" => offers.smtputf8 = true,
                "PIPELINING" => offers.pipelining = true,
                "STARTTLS" => offers.starttls = true,
                "AUTH" => offers.mechanisms.extend(words.map(str::to_ascii_uppercase)),
                _ => {}
            }
        }
        offers
    }
}

/// One step: within its time, or not at all.
async fn within<T>(
    server: &SmtpServer,
    step: impl Future<Output = io::Result<T>>,
) -> Result<T, ConnectFault> {
    let limit = server.timeouts.command;
    match timeout(limit, step).await {
        Ok(done) => done.map_err(|err| ConnectFault::broke_off(server, err)),
        Err(_) => Err(ConnectFault::broke_off(
            server,
            format!("no answer within {limit:?}"),
        )),
    }
}

async fn read_reply<S: AsyncRead + Unpin>(line: &mut BufReader<S>) -> io::Result<SmtpReply> {
    const LINES_MAX: usize = 100;
    let mut lines = Vec::new();
    while lines.len() < LINES_MAX {
        let mut bytes = Vec::new();
        (&mut *line)
            .take(LONGEST_LINE as u64)
            .read_until(b'\n', &mut bytes)
            .await?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (code, rest) = text.split_at(text.floor_char_boundary(3));
        match code.parse() {
            Ok(code) if text.ends_with('\n') => {
                lines.push(rest.get(1..).unwrap_or_default().trim_end().to_string());
                if !rest.starts_with('-') {
                    return Ok(SmtpReply { code, lines });
                }
            }
            _ if text.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => break,
        }
    }
    Err(no_smtp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_read_however_it_is_written() {
        let read = |lines: &[&str]| {
            Offers::read(
                &lines
                    .iter()
                    .map(|line| (*line).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        let offers = read(&[
            "SIZE 1",
            "size 10240000",
            "Pipelining",
            "AUTH PLAIN",
            "AUTH=login plain",
            "SMTPUTF8",
            "X-SIZE 5",
        ]);
        assert_eq!(
            (
                offers.size,
                offers.size_max,
                offers.pipelining,
                offers.smtputf8
            ),
            (true, Some(10_240_000), true, true)
        );
        assert_eq!(
            (offers.mechanisms.join(" ").as_str(), offers.starttls),
            ("PLAIN LOGIN PLAIN", false)
        );
        assert_eq!(
            read(&["mx", "SIZE"]),
            Offers {
                size: true,
                ..Offers::default()
            }
        );
        assert_eq!(
            read(&["mx", "SIZE 0", "STARTTLS"]),
            Offers {
                size: true,
                starttls: true,
                ..Offers::default()
            }
        );
        assert_eq!(read(&["mx", "SIZE many"]).size_max, None);
    }
}
