//! Bounds on what an IMAP server can make this client hold, applied to the byte stream before the library sees it.
//!
//! async-imap 0.12 grows its buffer to 512 MB for one line or literal, allots at least 4 KB for each response that it hands over, and
//! imap-proto reads nested lists by recursion, which a deep one turns into a stack overflow. So lines, literals, nesting, responses and
//! bytes are counted here, from each command of ours to the next.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Context;
use std::task::Poll;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

/// Bytes that one command may be answered with, unless more are allowed for it.
const BYTES: usize = 256 << 10;
/// Lines that one command may be answered with. A folder of which another client deletes more at once is opened anew.
const LINES: usize = 5_000;
/// Nested lists in one response: what is asked for here needs two.
const DEPTH: usize = 16;
/// The first bytes of a line, enough for its tag and its kind.
const HEAD: usize = 64;

/// Upper bound on the bytes that the command at hand may be answered with; shared with whoever sends the command.
#[derive(Debug, Clone)]
pub struct Budget(Arc<AtomicUsize>);

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(BYTES)))
    }
}

impl Budget {
    /// Allows that many bytes from now on.
    pub fn allow(&self, bytes: usize) {
        self.0.store(bytes.max(BYTES), Relaxed);
    }

    /// Allows no more than any command needs.
    pub fn reset(&self) {
        self.0.store(BYTES, Relaxed);
    }
}

/// Describes what a server sent beyond its bounds; the words hold nothing that it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// More bytes than the command's budget.
    #[error("it sent more than was asked for")]
    Bytes,
    /// More lines than any command needs.
    #[error("it sent more responses than was asked for")]
    Lines,
    /// A literal larger than the command's budget.
    #[error("it announced more than was asked for")]
    Literal,
    /// Lists within lists without end.
    #[error("it sent a list that is nested too deeply")]
    Depth,
}

/// A connection whose server is held to its bounds.
#[derive(Debug)]
pub struct Limited<S> {
    inner: S,
    scan: Scan,
    budget: Budget,
}

impl<S> Limited<S> {
    /// Wraps a connection before its first byte.
    pub fn new(inner: S, budget: Budget) -> Self {
        Self { inner, scan: Scan::default(), budget }
    }

    /// Returns the connection itself.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        let allowed = this.budget.0.load(Relaxed);
        Poll::Ready(this.scan.take(&buf.filled()[before..], allowed).map_err(io::Error::other))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        (this.scan.bytes, this.scan.lines) = (0, 0);
        Pin::new(&mut this.inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

/// Where in the server's stream the reader stands (RFC 3501, 4 and 9).
#[derive(Default)]
struct Scan {
    /// Bytes and lines since the last command.
    bytes: usize,
    lines: usize,
    /// Bytes of a literal that are still to come.
    literal: usize,
    /// The beginning of the response's first line.
    head: Vec<u8>,
    is_quoted: bool,
    is_escaped: bool,
    depth: usize,
    /// The number of a literal, as far as it was read: `{123}`.
    number: Number,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Number {
    #[default]
    None,
    Open(usize),
    Closed(usize),
    /// With the CR behind it.
    Returned(usize),
}

impl Scan {
    fn take(&mut self, mut bytes: &[u8], allowed: usize) -> Result<(), Excess> {
        self.bytes += bytes.len();
        if self.bytes > allowed {
            return Err(Excess::Bytes);
        }
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.literal > 0 {
                let skipped = self.literal.min(bytes.len());
                self.literal -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            bytes = rest;
            self.byte(byte, allowed)?;
        }
        Ok(())
    }

    fn byte(&mut self, byte: u8, allowed: usize) -> Result<(), Excess> {
        if byte == b'\n' {
            return self.end_of_line(allowed);
        }
        if self.head.len() < HEAD {
            self.head.push(byte);
        }
        self.number = match (byte, self.number) {
            (b'{', _) => Number::Open(0),
            (b'0'..=b'9', Number::Open(number)) => Number::Open(number.saturating_mul(10).saturating_add(usize::from(byte - b'0'))),
            (b'}', Number::Open(number)) => Number::Closed(number),
            (b'\r', Number::Closed(number)) => Number::Returned(number),
            _ => Number::None,
        };
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' if self.is_quoted => self.is_escaped = true,
            b'"' => self.is_quoted = !self.is_quoted,
            b'(' if !self.is_quoted => self.depth += 1,
            b')' if !self.is_quoted => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        if self.depth > DEPTH && !is_text(&self.head) { Err(Excess::Depth) } else { Ok(()) }
    }

    /// A response ends with its line, unless a literal follows; the words of a status are never one, however they end.
    fn end_of_line(&mut self, allowed: usize) -> Result<(), Excess> {
        self.lines += 1;
        if self.lines > LINES {
            return Err(Excess::Lines);
        }
        (self.is_quoted, self.is_escaped) = (false, false);
        match std::mem::take(&mut self.number) {
            Number::Returned(number) if !is_text(&self.head) => {
                if number > allowed {
                    return Err(Excess::Literal);
                }
                self.literal = number;
            }
            _ => {
                self.depth = 0;
                self.head.clear();
            }
        }
        Ok(())
    }
}

/// Returns whether a line's rest is words for people: a status (RFC 3501, 7.1), or a demand to go on.
fn is_text(head: &[u8]) -> bool {
    let mut words = head.split(|byte| *byte == b' ');
    let (tag, kind) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let statuses: [&[u8]; 5] = [b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"];
    tag == b"+" || statuses.iter().any(|status| kind.eq_ignore_ascii_case(status))
}

/// Shows nothing that the server said, for debug output ends up in logs.
impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").field("bytes", &self.bytes).field("lines", &self.lines).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns whether a server may say that to a command with the usual budget; told in pieces of each size, which must not matter.
    fn said(text: &[u8]) -> Result<(), Excess> {
        let in_pieces = |size: usize| {
            let mut scan = Scan::default();
            text.chunks(size).try_for_each(|piece| scan.take(piece, BYTES))
        };
        let results = [1, 7, 4_096].map(in_pieces);
        assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
        results[0]
    }

    #[test]
    fn ordinary_answers_pass() {
        let mail = format!("* 1 FETCH (UID 7 BODY[] {{{}}}\r\n{})\r\na1 OK done\r\n", 30, "(".repeat(30));
        for text in [
            "* OK [CAPABILITY IMAP4rev1] here {99999999999}\r\n* OK ((((((((((((((((((((((((\r\n+ idling {4294967296}\r\n".to_owned(),
            "* LIST (\\HasNoChildren) \"/\" \"a \\\" ((((((((((((((((((((((((((((((\"\r\n".into(),
            mail,
        ] {
            assert_eq!(said(text.as_bytes()), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_too_much_is_refused_before_it_is_held() {
        let deep = format!("* 1 FETCH (BODYSTRUCTURE {}", "(".repeat(20));
        let behind = format!("* 1 FETCH (BODY[] {{3}}\r\nabc BODYSTRUCTURE {}", "(".repeat(20));
        for (text, excess) in [
            ("* 1 FETCH (BODY[] {4294967295}\r\n".to_owned(), Excess::Literal),
            ("* 1 FETCH (BODY[] {99999999999999999999999999}\r\n".into(), Excess::Literal),
            ("* 1 EXISTS\r\n".repeat(LINES + 1), Excess::Lines),
            ("* SEARCH ".to_owned() + &"1 ".repeat(BYTES), Excess::Bytes),
            (deep, Excess::Depth),
            (behind, Excess::Depth),
        ] {
            assert_eq!(said(text.as_bytes()), Err(excess), "{}", &text[..text.len().min(80)]);
        }
    }
}
