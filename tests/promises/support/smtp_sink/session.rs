//! One connection: SMTP as RFC 5321 has it, with the extensions the script offers.

mod envelope;
mod login;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use std::time::Instant;

use tokio::net::TcpStream;
use tokio::time::sleep;

use super::Received;
use super::Shared;
use super::body::Body;
use super::script::Action;
use super::script::Stage;
use super::wire::Wire;
use envelope::local_part;

const NAME: &str = "sink.test";

pub struct Session {
    wire: Wire,
    shared: Arc<Shared>,
    connection: usize,
    said_hello: bool,
    logged_in: bool,
    seat: Option<Seat>,
    envelope: Option<Envelope>,
    mails: usize,
}

/// A connection that is logged in, as long as it lasts.
struct Seat(Arc<Shared>);

impl Seat {
    fn take(shared: &Arc<Shared>) -> Self {
        shared.logins.fetch_add(1, SeqCst);
        Self(shared.clone())
    }
}

/// A transaction between MAIL and the final dot.
struct Envelope {
    from: String,
    utf8: bool,
    to: Vec<String>,
}

/// What comes after a reply.
enum Next {
    Listen,
    Encrypt,
    /// Says this once it is released.
    Held(&'static str),
    /// Says this after so long.
    Late(Duration, &'static str),
    Hang,
    /// As `Hang`, but reads nothing either.
    Freeze,
    /// Sends what was said, then closes.
    Close,
    /// Closes at once, unread input or not: the client sees a reset.
    Drop,
}

impl Session {
    pub async fn open(
        stream: TcpStream,
        connection: usize,
        shared: Arc<Shared>,
    ) -> io::Result<Session> {
        let mut wire = Wire::new(stream, shared.script.one_by_one)?;
        if let (true, Some(tls)) = (shared.script.implicit_tls, &shared.tls) {
            wire = wire.encrypt(tls).await?;
        }
        Ok(Session {
            wire,
            shared,
            connection,
            said_hello: false,
            logged_in: false,
            seat: None,
            envelope: None,
            mails: 0,
        })
    }

    pub async fn run(mut self) -> io::Result<()> {
        self.shared.not_stalled().await;
        self.shared.before_hello().await;
        let mut next = self.greet();
        loop {
            next = match next {
                Next::Listen => {
                    let line = self.wire.read_line().await?;
                    self.shared.not_stalled().await;
                    self.obey(&line).await?
                }
                Next::Encrypt => {
                    let Some(tls) = &self.shared.tls else {
                        return Ok(());
                    };
                    self.wire = self.wire.encrypt(tls).await?;
                    // Nothing said in the clear counts (RFC 3207).
                    (self.said_hello, self.logged_in, self.envelope) = (false, false, None);
                    Next::Listen
                }
                Next::Held(reply) => {
                    self.wire.flush().await?;
                    self.shared.released().await;
                    self.say(reply)
                }
                Next::Late(by, reply) => {
                    self.wire.flush().await?;
                    sleep(by).await;
                    self.say(reply)
                }
                Next::Hang => return self.wire.hang().await,
                Next::Freeze => return self.wire.freeze().await,
                Next::Close => return self.wire.close().await,
                Next::Drop => return self.wire.flush().await,
            }
        }
    }

    fn greet(&mut self) -> Next {
        match self.shared.script.turn(Stage::Greeting, "*") {
            Some(Action::Reply(reply)) if !reply.starts_with('2') => self.say_and_close(reply),
            Some(Action::Hold) => Next::Held("220 sink.test ESMTP"),
            Some(action) => self.act(action),
            None => self.say(&format!("220 {NAME} ESMTP")),
        }
    }

    async fn obey(&mut self, line: &str) -> io::Result<Next> {
        self.shared.note_command(line);
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let verb = verb.to_ascii_uppercase();
        if self.goes_on_too_soon(&verb) {
            return Ok(self.say_and_close("503 5.5.0 improper use of SMTP command pipelining"));
        }
        Ok(match verb.as_str() {
            "EHLO" | "HELO" if rest.is_empty() => self.say("501 5.5.4 who are you?"),
            "EHLO" if self.said_hello && self.shared.script.one_hello => {
                self.say("503 5.5.1 EHLO was said")
            }
            "EHLO" => {
                self.shared.before_hello().await;
                self.hello_with_extensions()
            }
            "HELO" => self.hello(&format!("250 {NAME}")),
            "AUTH" => self.log_in(rest).await?,
            "STARTTLS" => self.start_tls(),
            "MAIL" => self.mail(rest),
            "RCPT" => self.rcpt(rest),
            "DATA" => self.data().await?,
            "RSET" => {
                self.envelope = None;
                self.say("250 2.0.0 OK")
            }
            "NOOP" => self.say("250 2.0.0 OK"),
            "VRFY" => self.say("252 2.1.5 send it and see"),
            "QUIT" => self.say_and_close("221 2.0.0 bye"),
            _ => self.say("500 5.5.2 unknown command"),
        })
    }

    /// Whether the client sent more although it was not offered to, or after a command whose reply it must wait for
    /// (RFC 2920, 3.1).
    fn goes_on_too_soon(&self, verb: &str) -> bool {
        let must_wait = matches!(verb, "EHLO" | "HELO" | "AUTH" | "STARTTLS" | "DATA");
        (must_wait || !self.shared.script.offers("PIPELINING")) && !self.wire.unread().is_empty()
    }

    fn hello_with_extensions(&mut self) -> Next {
        let script = &self.shared.script;
        let mut lines = vec![NAME.to_owned()];
        let size_max = script.size_max.load(SeqCst);
        lines.extend(script.extensions.iter().map(|offer| {
            if offer.starts_with("SIZE") {
                format!("SIZE {size_max}")
            } else {
                offer.clone()
            }
        }));
        if self.may_encrypt() {
            lines.push("STARTTLS".to_owned());
        }
        if script.login.is_some() && !self.may_encrypt() {
            lines.push(format!("AUTH {}", script.mechanisms));
        }
        let last = lines.len() - 1;
        let lines = lines
            .iter()
            .enumerate()
            .map(|(i, line)| format!("250{}{line}", if i < last { '-' } else { ' ' }));
        self.hello(&lines.collect::<Vec<_>>().join("\r\n"))
    }

    fn hello(&mut self, reply: &str) -> Next {
        self.said_hello = true;
        self.envelope = None;
        self.say(reply)
    }

    fn may_encrypt(&self) -> bool {
        self.shared.script.starttls && !self.wire.is_encrypted()
    }

    fn start_tls(&mut self) -> Next {
        if !self.may_encrypt() {
            return self.say("503 5.5.1 STARTTLS is not offered");
        }
        self.say("220 2.0.0 go ahead");
        Next::Encrypt
    }

    async fn data(&mut self) -> io::Result<Next> {
        let Some(envelope) = &self.envelope else {
            return Ok(self.say("503 5.5.1 MAIL first"));
        };
        if envelope.to.is_empty() && !self.shared.script.says_354_to_nobody {
            return Ok(self.say("554 5.5.1 no valid recipients"));
        }
        let action = self
            .turn_of(envelope, Stage::Data)
            .unwrap_or(Action::Reply("354 end with a dot"));
        // A refused DATA leaves the transaction open, as with Postfix: the client owes an RSET.
        let Some(envelope) = self.envelope.take_if(|_| action.accepts('3')) else {
            return Ok(self.act(action));
        };
        self.act(action);
        self.wire.read_more().await?;
        match self.turn_of(&envelope, Stage::InBody) {
            Some(Action::Reply(reply)) => return Ok(self.say_and_close(reply)),
            Some(Action::Hang) => return Ok(Next::Freeze),
            Some(Action::Close) => return Ok(Next::Drop),
            Some(Action::Hold | Action::Late(_)) | None => {}
        }
        let body = self.read_body().await?;
        let delay = self.shared.script.delay;
        if !delay.is_zero() {
            sleep(delay).await;
        }
        Ok(self.take(envelope, body))
    }

    /// The first of the recipients for whom something unusual is to be done decides for all.
    fn turn_of(&self, envelope: &Envelope, stage: Stage) -> Option<Action> {
        envelope
            .to
            .iter()
            .find_map(|to| self.shared.script.turn(stage, local_part(to)))
    }

    async fn read_body(&mut self) -> io::Result<Result<Vec<u8>, &'static str>> {
        let mut body = Body::new();
        loop {
            let (used, is_whole) = body.read(self.wire.unread());
            self.wire.skip(used);
            self.shared.not_stalled().await;
            if is_whole {
                return Ok(body.finish());
            }
            self.wire.read_more().await?;
        }
    }

    /// Answers the final dot. A mail is noted before its reply is sent: whoever has the reply finds the mail.
    fn take(&mut self, envelope: Envelope, body: Result<Vec<u8>, &'static str>) -> Next {
        let data = match body {
            Err(fault) => return self.say(fault),
            Ok(_) if envelope.to.is_empty() => return self.say("554 5.5.1 no valid recipients"),
            Ok(data) => data,
        };
        let action = self
            .turn_of(&envelope, Stage::AfterBody)
            .unwrap_or(Action::Reply("250 2.0.0 taken"));
        if action.accepts('2') || !matches!(action, Action::Reply(_)) {
            self.note(envelope, data);
        }
        self.act(action)
    }

    fn note(&self, envelope: Envelope, data: Vec<u8>) {
        let (connection, tls, at) = (self.connection, self.wire.is_encrypted(), Instant::now());
        let data = if self.shared.script.only_recipients {
            Vec::new()
        } else {
            data
        };
        for to in envelope.to {
            self.shared.note_mail(Received {
                from: envelope.from.clone(),
                to,
                data: data.clone(),
                connection,
                tls,
                at,
            });
        }
    }

    fn act(&mut self, action: Action) -> Next {
        match action {
            Action::Reply(reply) => self.say(reply),
            Action::Hang => Next::Hang,
            Action::Hold => Next::Held("250 2.0.0 taken at last"),
            Action::Late(by) => Next::Late(by, "250 2.0.0 taken at last"),
            Action::Close => Next::Drop,
        }
    }

    /// A 421 is said by a server that closes.
    fn say(&mut self, reply: &str) -> Next {
        self.wire.write(reply);
        if reply.starts_with("421") {
            Next::Close
        } else {
            Next::Listen
        }
    }

    fn say_and_close(&mut self, reply: &str) -> Next {
        self.wire.write(reply);
        Next::Close
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.logins.fetch_sub(1, SeqCst);
    }
}

impl Action {
    fn accepts(self, first_digit: char) -> bool {
        matches!(self, Action::Reply(reply) if reply.starts_with(first_digit))
    }
}
