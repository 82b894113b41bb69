//! One conversation in LMTP (RFC 2033): a mail is acknowledged once what it means is committed, and not before.

use std::io;
use std::time::Duration;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::app::connections::ConnectionPermit;
use crate::domain::inbound_channel::InboundChannel;
use crate::domain::places::Phase;

/// The longest command (RFC 5321 4.5.3.1.4 asks for 512 bytes, its extensions for more), and recipients of one mail.
const COMMAND: usize = 4_096;
const RECIPIENTS: usize = 100;
/// Time that the other side may be silent (RFC 5321, 4.5.3.2.7).
const PATIENCE: Duration = Duration::from_secs(300);
/// The longest that the other side may take nothing of what is said to it.
const STALL: Duration = Duration::from_secs(30);
/// Time that a client that has not said LHLO yet may be silent: no mail server takes long over that.
const GREETING: Duration = Duration::from_secs(30);

/// State of a conversation.
#[derive(Default)]
struct LmtpState {
    from: Option<String>,
    to: Vec<String>,
}

const MAKE_ROOM: &str = "421 4.3.2 Idle while others wait: come again";

/// Talks until the other side leaves, falls silent, or the service stops.
pub async fn converse(
    app: &App,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    seat: &ConnectionPermit<()>,
    stop: &CancellationToken,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let name = app.settings.host().to_owned();
    say(&mut stream, &format!("220 {name} LMTP verdicts")).await?;
    let mut envelope = LmtpState::default();
    let mut line = Vec::new();
    let mut patience = GREETING;
    loop {
        seat.enter(Phase::OnClient);
        let heard = tokio::select! {
            () = stop.cancelled() => return say(&mut stream, "421 4.3.2 The service stops").await,
            () = seat.lost() => return say(&mut stream, MAKE_ROOM).await,
            heard = tokio::time::timeout(patience, hear(&mut stream, &mut line, COMMAND)) => heard,
        };
        let Ok(heard) = heard else {
            return say(&mut stream, "421 4.4.2 Nothing was said for too long").await;
        };
        let whole = match heard? {
            LmtpInput::Nothing => return Ok(()),
            LmtpInput::Line => true,
            LmtpInput::TooLong { .. } => false,
        };
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let (verb, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let answer = match verb.to_ascii_uppercase().as_str() {
            _ if !whole => "500 5.5.2 That line is too long".into(),
            "LHLO" => {
                patience = PATIENCE;
                envelope = LmtpState::default();
                format!(
                    "250-{name}\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250 SMTPUTF8"
                )
            }
            "MAIL" => match path(rest, "FROM:") {
                Some(from) if envelope.from.is_none() => {
                    envelope.from = Some(from);
                    "250 2.1.0 Go on".into()
                }
                Some(_) => "503 5.5.1 There is a sender already".into(),
                None => "501 5.5.4 Expected MAIL FROM:<address>".into(),
            },
            "RCPT" => match path(rest, "TO:") {
                _ if envelope.from.is_none() => "503 5.5.1 Say MAIL first".into(),
                Some(_) if envelope.to.len() >= RECIPIENTS => {
                    "452 4.5.3 Too many recipients".into()
                }
                Some(to) => {
                    envelope.to.push(to);
                    "250 2.1.5 Go on".into()
                }
                None => "501 5.5.4 Expected RCPT TO:<address>".into(),
            },
            "DATA" if envelope.to.is_empty() => "503 5.5.1 Say RCPT first".into(),
            "DATA" => {
                say(&mut stream, "354 Go on, and end with a dot").await?;
                let mail = tokio::select! {
                    () = seat.lost() => return say(&mut stream, MAKE_ROOM).await,
                    mail = tokio::time::timeout(PATIENCE, mail(&mut stream, &envelope, app.settings.inbound.size_max())) => mail,
                };
                seat.enter(Phase::Working);
                let Ok(mail) = mail else {
                    return say(&mut stream, "421 4.4.2 The mail took too long").await;
                };
                let answer = take(app, &mail?).await;
                // One answer for each recipient (RFC 2033, 4.2): all or none, for it is one mail.
                let answers = vec![answer; envelope.to.len()].join("\r\n");
                envelope = LmtpState::default();
                answers
            }
            "RSET" => {
                envelope = LmtpState::default();
                "250 2.0.0 Forgotten".into()
            }
            "NOOP" => "250 2.0.0 Here".into(),
            "VRFY" => "252 2.5.0 Send it and see".into(),
            "QUIT" => return say(&mut stream, "221 2.0.0 Goodbye").await,
            "HELO" | "EHLO" => "500 5.5.1 This is LMTP: say LHLO".into(),
            _ => "500 5.5.1 That command is not known".into(),
        };
        say(&mut stream, &answer).await?;
    }
}

/// The address in `FROM:<ada@example.org> SIZE=1`; empty for the null sender.
fn path(rest: &str, word: &str) -> Option<String> {
    let head = rest
        .get(..word.len())
        .filter(|head| head.eq_ignore_ascii_case(word))?;
    let (path, _) = rest[head.len()..]
        .trim_start()
        .strip_prefix('<')?
        .split_once('>')?;
    (!path.chars().any(char::is_control)).then(|| path.to_owned())
}

/// Keeps the mail and acts on it; what is answered for it.
async fn take(app: &App, mail: &[u8]) -> String {
    match app.take_inbound(mail, InboundChannel::Lmtp).await {
        Ok(_) => "250 2.0.0 Taken".into(),
        Err(failure) => {
            tracing::error!(
                cause = failure.cause(),
                "a mail could not be taken, and stays with the mail server: {failure}"
            );
            "451 4.3.0 Not now: try again later".into()
        }
    }
}

/// The mail up to its dot, with the envelope written above it as a delivering server does, and of a mail that is larger the first
/// `size_max` bytes: a mail server that is refused would drop a report, and what lies behind is attachments. A line ends with
/// CRLF and nothing else (RFC 5321, 2.3.8 and 4.1.1.4): a server before this one that passes a bare LF on takes what follows for the
/// mail's text, and so must this one, or the rest of that mail would be commands.
async fn mail(
    stream: &mut (impl AsyncBufReadExt + Unpin),
    envelope: &LmtpState,
    size_max: usize,
) -> io::Result<Vec<u8>> {
    let mut mail = format!(
        "Return-Path: <{}>\r\n",
        envelope.from.as_deref().unwrap_or_default()
    )
    .into_bytes();
    for to in &envelope.to {
        mail.extend_from_slice(format!("Delivered-To: <{to}>\r\n").as_bytes());
    }
    let (mut line, mut total, mut is_cut, mut begins) = (Vec::new(), mail.len(), false, true);
    loop {
        let heard = hear(stream, &mut line, size_max).await?;
        match heard {
            LmtpInput::Nothing => return Err(io::ErrorKind::UnexpectedEof.into()),
            LmtpInput::Line if begins && line == b".\r\n" => {
                if is_cut {
                    tracing::warn!(
                        bytes = total,
                        "a mail is larger than inbound.size_max_mb: its beginning is read"
                    );
                }
                return Ok(mail);
            }
            LmtpInput::Line | LmtpInput::TooLong { .. } => {
                let text = line.strip_prefix(b".").filter(|_| begins).unwrap_or(&line);
                let room = size_max.saturating_sub(mail.len());
                mail.extend_from_slice(&text[..text.len().min(room)]);
                total += text.len();
                is_cut |= text.len() > room || matches!(heard, LmtpInput::TooLong { .. });
                begins = match heard {
                    LmtpInput::TooLong { is_ended } => is_ended,
                    _ => line.ends_with(b"\r\n"),
                };
            }
        }
    }
}

enum LmtpInput {
    /// The other side has gone.
    Nothing,
    Line,
    /// True if CRLF ended it.
    TooLong {
        is_ended: bool,
    },
}

/// Reads a line with its end, and keeps at most `most` bytes of it.
async fn hear(
    stream: &mut (impl AsyncBufReadExt + Unpin),
    line: &mut Vec<u8>,
    most: usize,
) -> io::Result<LmtpInput> {
    line.clear();
    let (mut too_long, mut last) = (false, 0);
    loop {
        let buffer = stream.fill_buf().await?;
        if buffer.is_empty() {
            return Ok(LmtpInput::Nothing);
        }
        let end = memchr::memchr(b'\n', buffer).map(|at| at + 1);
        let length = end.unwrap_or(buffer.len());
        too_long |= line.len() + length > most;
        if !too_long {
            line.extend_from_slice(&buffer[..length]);
        }
        let before_end = if length > 1 { buffer[length - 2] } else { last };
        last = buffer[length - 1];
        stream.consume(length);
        if end.is_some() {
            return Ok(if too_long {
                LmtpInput::TooLong {
                    is_ended: before_end == b'\r',
                }
            } else {
                LmtpInput::Line
            });
        }
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), text: &str) -> io::Result<()> {
    let said = async {
        stream.write_all(format!("{text}\r\n").as_bytes()).await?;
        stream.flush().await
    };
    tokio::time::timeout(STALL, said)
        .await
        .map_err(|_| io::ErrorKind::TimedOut)?
}
