//! One response of a server (RFC 9051, 7) and the parts of it.

use std::io;

use super::ImapFault;

/// A response with its literals taken out (RFC 3501, 4.3); of each, `{n}` is left in the text.
#[derive(Default, Clone)]
pub struct Response {
    /// The text, without the literals and the end of the line.
    pub text: Vec<u8>,
    /// The literals, in order.
    pub literals: Vec<Vec<u8>>,
}

impl Response {
    /// Returns the rest behind a word that the response begins with, after its `*`.
    pub fn after(&self, word: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.text).into_owned();
        let rest = text.strip_prefix("* ")?;
        let head = rest
            .get(..word.len())
            .filter(|head| head.eq_ignore_ascii_case(word))?;
        rest[head.len()..]
            .strip_prefix(' ')
            .map(str::to_owned)
            .or_else(|| (rest.len() == head.len()).then(String::new))
    }

    /// Returns the number and the rest of `* 12 FETCH ...`.
    pub fn numbered(&self, word: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.text).into_owned();
        let (number, rest) = text.strip_prefix("* ")?.split_once(' ')?;
        let head = rest
            .get(..word.len())
            .filter(|head| head.eq_ignore_ascii_case(word))?;
        number.parse::<u32>().ok()?;
        Some(rest[head.len()..].trim_start().to_owned())
    }

    /// Returns whether it tells of new mail.
    pub fn is_news(&self) -> bool {
        self.numbered("EXISTS").is_some() || self.numbered("RECENT").is_some()
    }
}

/// The last answer to a command.
pub enum Tagged {
    /// It was done.
    Done(CommandResponse),
    /// It was not, in words of ours.
    Refused(String),
}

impl Tagged {
    /// A refusal as a fault.
    pub fn into_result(self, step: &'static str) -> Result<CommandResponse, ImapFault> {
        match self {
            Self::Done(answer) => Ok(answer),
            Self::Refused(why) => Err(ImapFault::refused(step, why)),
        }
    }
}

pub const UNREADABLE: &str = "the server answered what cannot be read";

pub fn unreadable() -> io::Error {
    io::Error::other(UNREADABLE)
}

pub const OWN_WORDS: [&str; 4] = [
    UNREADABLE,
    "it announced more than was asked for",
    "it sent more than was asked for",
    "it sent more responses than was asked for",
];

/// Response codes (RFC 3501, RFC 4315, RFC 5530) that an operator may read; of a refusal's words none.
const CODES: [&str; 17] = [
    "AUTHENTICATIONFAILED",
    "AUTHORIZATIONFAILED",
    "EXPIRED",
    "PRIVACYREQUIRED",
    "CONTACTADMIN",
    "UNAVAILABLE",
    "EXPUNGEISSUED",
    "READ-ONLY",
    "NOPERM",
    "INUSE",
    "SERVERBUG",
    "LIMIT",
    "OVERQUOTA",
    "ALREADYEXISTS",
    "NONEXISTENT",
    "TRYCREATE",
    "CANNOT",
];

pub fn code_in(words: &str) -> String {
    let words = words.to_ascii_uppercase();
    let code = words
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .map(|(code, _)| code);
    let known = code.and_then(|code| {
        CODES
            .iter()
            .find(|known| code.split(' ').next() == Some(known))
    });
    known.map_or_else(String::new, |code| format!(" [{code}]"))
}

pub fn split_status(rest: &str) -> (String, String) {
    let (status, words) = rest.split_once(' ').unwrap_or((rest, ""));
    (status.to_ascii_uppercase(), words.to_owned())
}

/// Returns the length of the literal that follows a line; the words of a status are never followed by one, however they end.
pub fn literal_length(text: &[u8]) -> Option<usize> {
    let inside = text.strip_suffix(b"}")?;
    let open = memchr::memrchr(b'{', inside)?;
    let digits = std::str::from_utf8(&inside[open + 1..])
        .ok()?
        .trim_end_matches('+');
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !is_words(text)).then(|| digits.parse().unwrap_or(usize::MAX))
}

/// Returns whether a line's rest is words for people: a status (RFC 3501, 7.1), or a demand to go on.
fn is_words(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == b' ');
    let (tag, kind) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let statuses: [&[u8]; 5] = [b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"];
    tag.starts_with(b"+")
        || statuses
            .iter()
            .any(|status| kind.eq_ignore_ascii_case(status))
}

/// The answer to a command.
pub struct CommandResponse {
    /// The responses before the last.
    pub responses: Vec<Response>,
    /// The last line's words, of which only response codes are ever shown.
    pub words: String,
}

/// A string at the start of a text, quoted or as an atom, and what follows; `None` for NIL.
pub fn string(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start();
    let Some(rest) = text.strip_prefix('"') else {
        let end = text.find([' ', '(', ')']).unwrap_or(text.len());
        return (!text[..end].eq_ignore_ascii_case("NIL") && end > 0)
            .then(|| (text[..end].to_owned(), &text[end..]));
    };
    let (mut found, mut is_escaped) = (String::new(), false);
    for (at, letter) in rest.char_indices() {
        match letter {
            _ if is_escaped => {
                found.push(letter);
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            '"' => return Some((found, &rest[at + 1..])),
            _ => found.push(letter),
        }
    }
    None
}
