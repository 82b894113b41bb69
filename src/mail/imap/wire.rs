//! The IMAP wire (RFC 9051, RFC 3501, section 7): one write for a command, and answers held to bounds.
//!
//! Own code: crate async-imap 0.12 writes a command in four packets, knows no NAMESPACE or SASL beyond one challenge, and grows its
//! buffer to 512 MB for one line or literal. What is needed of the protocol is small: lines, literals, and a dozen commands.

use std::io;
use std::time::Duration;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::time::timeout;

use super::ImapFault;
use super::response::CommandResponse;
use super::response::OWN_WORDS;
use super::response::Response;
use super::response::Tagged;
use super::response::UNREADABLE;
use super::response::code_in;
use super::response::literal_length;
use super::response::split_status;
use super::response::unreadable;

/// Bytes that one command may be answered with, unless more are allowed for it.
pub const BYTES: usize = 256 << 10;
/// Lines that one command may be answered with. A folder of which another client deletes more at once is opened anew.
const LINES: usize = 5_000;

/// A connection, with or without TLS.
pub trait ImapStream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> ImapStream for T {}

/// One connection to an IMAP server.
pub struct Wire {
    stream: BufReader<Box<dyn ImapStream>>,
    tag: u32,
    /// Of a line that is not whole yet: a read may be given up half-way.
    partial: Vec<u8>,
    /// Bytes and lines that the command at hand may still be answered with.
    bytes_left: usize,
    lines_left: usize,
    /// True once the server has told of new mail since this was last taken.
    pub has_news: bool,
}

impl Wire {
    pub fn new(line: Box<dyn ImapStream>) -> Self {
        Self {
            stream: BufReader::new(line),
            tag: 0,
            partial: Vec::new(),
            bytes_left: BYTES,
            lines_left: LINES,
            has_news: false,
        }
    }

    /// The connection itself. What the server had said on it beyond the last answer is dropped.
    pub fn into_inner(self) -> Box<dyn ImapStream> {
        self.stream.into_inner()
    }

    /// Reads the greeting; true if it says that the login is done already (PREAUTH).
    pub async fn greeting(&mut self, limit: Duration) -> Result<bool, ImapFault> {
        let step = "its greeting";
        let response = within(limit, step, self.response()).await?;
        let text = String::from_utf8_lossy(&response.text).to_ascii_uppercase();
        if text.starts_with("* OK") {
            Ok(false)
        } else if text.starts_with("* PREAUTH") {
            Ok(true)
        } else {
            Err(ImapFault::broken(
                step,
                if text.starts_with("* BYE") {
                    "it closed the connection"
                } else {
                    UNREADABLE
                },
            ))
        }
    }

    /// Sends a command and reads up to its answer.
    ///
    /// # Errors
    /// A refusal, after which the connection goes on; or a fault after which it cannot be used.
    pub async fn command(
        &mut self,
        limit: Duration,
        step: &'static str,
        command: &str,
    ) -> Result<CommandResponse, ImapFault> {
        self.command_within(limit, step, command, BYTES).await
    }

    /// The same, with that many bytes allowed in the answer.
    pub async fn command_within(
        &mut self,
        limit: Duration,
        step: &'static str,
        command: &str,
        bytes: usize,
    ) -> Result<CommandResponse, ImapFault> {
        let work = async {
            let tag = self.send(command, bytes).await?;
            self.answer(&tag).await
        };
        within(limit, step, work).await?.into_result(step)
    }

    /// Sends a command; the tag that its answer will carry. In one write: a server's delayed acknowledgement (40 ms) waits for no second.
    pub async fn send(&mut self, command: &str, bytes: usize) -> io::Result<String> {
        self.tag += 1;
        let tag = format!("a{}", self.tag);
        (self.bytes_left, self.lines_left) = (bytes.max(BYTES), LINES);
        self.say(&format!("{tag} {command}")).await?;
        Ok(tag)
    }

    /// Sends a line that is no command: DONE, or an answer to a challenge.
    pub async fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream
            .write_all(format!("{line}\r\n").as_bytes())
            .await?;
        self.stream.flush().await
    }

    /// Reads up to the answer with that tag.
    pub async fn answer(&mut self, tag: &str) -> io::Result<Tagged> {
        let mut responses = Vec::new();
        loop {
            let response = self.response().await?;
            if response.text.starts_with(b"* ") {
                responses.push(response);
                continue;
            }
            let text = String::from_utf8_lossy(&response.text).into_owned();
            let Some((status, words)) = text
                .strip_prefix(tag)
                .and_then(|rest| rest.strip_prefix(' '))
                .map(split_status)
            else {
                return Err(unreadable());
            };
            return match status.as_str() {
                "OK" => Ok(Tagged::Done(CommandResponse { responses, words })),
                "NO" | "BAD" => Ok(Tagged::Refused(format!(
                    "the server answered {status}{}",
                    code_in(&words)
                ))),
                _ => Err(unreadable()),
            };
        }
    }

    /// Reads up to a line that asks to go on (`+`), and returns its text; or to the answer with that tag.
    pub async fn challenge(&mut self, tag: &str) -> io::Result<Result<String, Tagged>> {
        loop {
            let response = self.response().await?;
            let text = String::from_utf8_lossy(&response.text).into_owned();
            if let Some(rest) = text.strip_prefix('+') {
                return Ok(Ok(rest.trim().to_owned()));
            }
            if let Some((status, words)) = text
                .strip_prefix(tag)
                .and_then(|rest| rest.strip_prefix(' '))
                .map(split_status)
            {
                let answer = CommandResponse {
                    responses: Vec::new(),
                    words,
                };
                let said = format!("the server answered {status}{}", code_in(&answer.words));
                return Ok(Err(if status == "OK" {
                    Tagged::Done(answer)
                } else {
                    Tagged::Refused(said)
                }));
            }
            if !text.starts_with("* ") {
                return Err(unreadable());
            }
        }
    }

    /// Waits until the server tells of new mail.
    pub async fn news(&mut self) -> io::Result<()> {
        while !self.has_news {
            // A server may say "still here" for hours: none of that counts against the bounds of an answer.
            (self.bytes_left, self.lines_left) = (BYTES, LINES);
            self.response().await?;
        }
        Ok(())
    }

    /// Reads one response with its literals. Where it is given up half-way within a literal, the connection cannot be used again.
    async fn response(&mut self) -> io::Result<Response> {
        let mut response = Response::default();
        loop {
            self.line().await?;
            let mut line = std::mem::take(&mut self.partial);
            while line
                .last()
                .is_some_and(|byte| matches!(byte, b'\r' | b'\n'))
            {
                line.pop();
            }
            response.text.extend_from_slice(&line);
            let Some(length) = literal_length(&response.text) else {
                break;
            };
            if length > self.bytes_left {
                return Err(io::Error::other("it announced more than was asked for"));
            }
            self.bytes_left -= length;
            let mut literal = vec![0; length];
            tokio::io::AsyncReadExt::read_exact(&mut self.stream, &mut literal).await?;
            response.literals.push(literal);
        }
        self.has_news |= response.is_news();
        Ok(response)
    }

    /// Reads a line into `partial`, up to its end.
    async fn line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.stream.fill_buf().await?;
            if buffer.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let end = memchr::memchr(b'\n', buffer).map(|at| at + 1);
            let length = end.unwrap_or(buffer.len());
            if length > self.bytes_left {
                return Err(io::Error::other("it sent more than was asked for"));
            }
            self.bytes_left -= length;
            self.partial.extend_from_slice(&buffer[..length]);
            self.stream.consume(length);
            if end.is_some() {
                let left = self.lines_left.checked_sub(1);
                self.lines_left = left
                    .ok_or_else(|| io::Error::other("it sent more responses than was asked for"))?;
                return Ok(());
            }
        }
    }
}

/// Bounds what is asked of a server, and says why it failed in words of ours: a server's own may repeat what it was sent.
pub async fn within<T>(
    limit: Duration,
    step: &'static str,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, ImapFault> {
    match timeout(limit, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(ImapFault::broken(step, "the connection was lost"))
        }
        // Of this module's own making, or a kind: neither quotes the server.
        Ok(Err(error)) if error.kind() == io::ErrorKind::Other => {
            let own = error
                .get_ref()
                .map(ToString::to_string)
                .filter(|words| OWN_WORDS.contains(&words.as_str()));
            Err(ImapFault::broken(
                step,
                own.unwrap_or_else(|| UNREADABLE.into()),
            ))
        }
        Ok(Err(error)) => Err(ImapFault::broken(step, error.kind().to_string())),
        Err(_) => Err(ImapFault::broken(
            step,
            format!("no answer within {limit:?}"),
        )),
    }
}

/// A text as a quoted string (RFC 3501, 4.3); `None` if it holds what such a string cannot.
pub fn quoted(text: &str) -> Option<String> {
    let fits = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    fits.then(|| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// Runs a command against a server that says that.
    async fn answered(said: &[u8]) -> Result<CommandResponse, ImapFault> {
        let (ours, mut theirs) = tokio::io::duplex(64 << 10);
        let said = said.to_vec();
        tokio::spawn(async move {
            let mut command = [0; 64];
            let _ = tokio::io::AsyncReadExt::read(&mut theirs, &mut command).await;
            for piece in said.chunks(7) {
                if theirs.write_all(piece).await.is_err() {
                    break;
                }
            }
            // Kept open for a while, so that an end is not what is seen.
            tokio::time::sleep(LIMIT).await;
        });
        Wire::new(Box::new(ours))
            .command(LIMIT, "NOOP", "NOOP")
            .await
    }

    #[tokio::test]
    async fn ordinary_answers_are_read_whole() {
        let mail = format!(
            "* 1 FETCH (UID 7 BODY[] {{30}}\r\n{} FLAGS ())\r\n* 2 EXISTS\r\na1 OK done\r\n",
            "(\n".repeat(15)
        );
        let answer = answered(mail.as_bytes()).await.expect("an answer");
        assert_eq!(
            (
                answer.responses.len(),
                answer.responses[0].literals[0].len()
            ),
            (2, 30)
        );
        assert_eq!(
            answer.responses[0].numbered("FETCH").as_deref(),
            Some("(UID 7 BODY[] {30} FLAGS ())")
        );
        let words =
            "* OK [CAPABILITY IMAP4rev1] here {99999999999}\r\n* OK ((((((((((\r\na1 OK {3}\r\n";
        assert_eq!(
            answered(words.as_bytes())
                .await
                .expect("an answer")
                .responses
                .len(),
            2
        );
    }

    #[tokio::test]
    async fn what_is_too_much_is_refused_before_it_is_held() {
        for (text, why) in [
            (
                "* 1 FETCH (BODY[] {4294967295}\r\n".to_owned(),
                "announced more",
            ),
            (
                "* 1 FETCH (BODY[] {99999999999999999999999999}\r\n".into(),
                "announced more",
            ),
            ("* 1 EXISTS\r\n".repeat(LINES + 1), "more responses"),
            ("* SEARCH ".to_owned() + &"1 ".repeat(BYTES), "sent more"),
            (
                format!("* 1 FETCH (BODYSTRUCTURE {}", "(".repeat(BYTES)),
                "sent more",
            ),
            ("a1 MAYBE secret\r\n".into(), "cannot be read"),
            ("nonsense secret\r\n".into(), "cannot be read"),
        ] {
            let fault = answered(text.as_bytes())
                .await
                .err()
                .expect("a fault")
                .to_string();
            assert!(fault.contains(why) && !fault.contains("secret"), "{fault}");
        }
        let refused = answered(b"a1 NO [OVERQUOTA] secret NOPERM\r\n")
            .await
            .err()
            .expect("a refusal");
        assert!(
            refused.is_refusal()
                && refused.to_string() == "NOOP failed: the server answered NO [OVERQUOTA]",
            "{refused}"
        );
    }
}
