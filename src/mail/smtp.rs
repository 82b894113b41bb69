//! One SMTP connection: what is said over the line, and what is known when it goes silent.
//!
//! A mail takes steps, so that its envelope may travel with the end of the mail before it (PIPELINING, RFC 2920: one round trip
//! a mail instead of four) and its text while the ledger is still writing: [`SmtpConnection::open_mail`] names sender and
//! recipient and gets leave to send, [`SmtpConnection::begin_text`] sends the text but its end, [`SmtpConnection::hand_over`] what
//! is left of it. A server takes nothing before the final dot (RFC 5321 4.1.1.4).

mod answers;

use std::io::IoSlice;
use std::io::Write as _;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use lettre::transport::smtp::client::AsyncSmtpConnection;
use tokio::time::Instant;
use tokio::time::timeout;

use super::ahead::Leave;
use super::envelope::Envelope;
use super::failure::Failure;
use super::failure::good;
use super::failure::later;
use super::fault::ConnectFault;
use super::greeting;
use super::greeting::Greeted;
use super::greeting::Offers;
use super::greeting::reply;
use super::outlet::Fence;
use super::outlet::Outlet;
use super::reply::Stage;
use super::reply::outcome_of;
use super::server::Server;
use super::stuffing::end_of;
use super::stuffing::stuffed;
use crate::domain::delivery::Outcome;
use crate::domain::inbound::SoftClass;

/// Servers hang up on who stays long, and the mail that finds out would wait for its next attempt: a connection is given up
/// before (RFC 5321 lets a server do so after 5 minutes, and not all are that patient).
const LONGEST_LIFE: Duration = Duration::from_secs(300);
/// A text of fewer bytes goes with its end: to write it by itself, and for the server to be woken for it, costs more than is gained.
/// Measured at 4 KB, a tenth of both processes' time; at 16 KB it is the other way round, by a sixth of the mails.
const SHORT: usize = 8 * 1024;
/// Refused recipients in a row, with no mail taken: Postfix counts two errors each (RCPT, and DATA that went with it), and answers slowly
/// from the tenth on.
const REFUSALS: u32 = 4;
/// A recipient that is refused later than this, and than a hundredth of `timeouts.command` (3 s of 5 minutes), was held up: courier-mta
/// waits 8 s, and twice as long after each further error of the session, of which the `DATA` that went along is one.
const HELD_UP: Duration = Duration::from_millis(500);
/// `QUIT` is a courtesy.
const LONGEST_FAREWELL: Duration = Duration::from_secs(2);

pub(crate) use answers::UNHEARD;

/// A connection to a server that has greeted us and knows us.
pub(super) struct SmtpConnection {
    smtp: AsyncSmtpConnection,
    outlet: Outlet,
    server: Server,
    offers: Offers,
    opened: Instant,
    used: Instant,
    mails: u32,
    /// Envelopes whose sender was taken: a connection with none is fresh.
    uses: u32,
    /// Refused recipients since the last mail that was taken.
    refusals: u32,
    /// Whether the server and we are at the same place. False while something is under way, so that a step that was cut
    /// short, by an error, a time-out or a dropped future, can never leave a connection behind that is used again.
    in_step: bool,
    /// Set while the envelope of the next mail is out, and its answers are not read yet.
    ahead: Option<Leave>,
    /// True if the last mail was refused after its final dot: some servers keep its envelope (mox 0.0.15), until RSET.
    was_refused: bool,
    /// Whether the text of the mail that was opened is out, but for its end.
    text_is_out: bool,
    turned_away: bool,
    commands: Vec<u8>,
    stuffing: Vec<u8>,
}

impl SmtpConnection {
    pub(super) async fn open(server: &Server, fence: Fence) -> Result<Self, ConnectFault> {
        let Greeted {
            smtp,
            outlet,
            offers,
        } = greeting::greet(server, fence).await?;
        let now = Instant::now();
        Ok(Self {
            smtp,
            outlet,
            server: server.clone(),
            offers,
            opened: now,
            used: now,
            mails: 0,
            uses: 0,
            refusals: 0,
            in_step: true,
            ahead: None,
            was_refused: false,
            text_is_out: false,
            turned_away: false,
            commands: Vec::new(),
            stuffing: Vec::new(),
        })
    }

    /// Whether another mail can be opened on it.
    pub(super) fn is_usable(&self) -> bool {
        self.in_step
            && (self.ahead.is_some()
                || !self.is_worn() && self.used.elapsed() < self.server.limits.idle)
    }

    /// Returns true once it has served its time or its number of mails, or had so many refused that the server slows down.
    fn is_worn(&self) -> bool {
        self.refusals >= REFUSALS
            || self.mails >= self.server.limits.mails
            || self.opened.elapsed() >= LONGEST_LIFE
    }

    /// Whether the envelope of the next mail may go with the text of this one.
    pub(super) fn goes_ahead(&self) -> bool {
        self.asks_at_once()
            && self.server.limits.takes_ahead
            && self.server.ahead.may_go()
            && self.bears_another()
    }

    /// Returns whether MAIL, RCPT and DATA go in one write.
    fn asks_at_once(&self) -> bool {
        self.offers.pipelining && !self.server.holds_up.load(Relaxed)
    }

    /// Returns whether it bears another mail after the one that is being sent.
    pub(super) fn bears_another(&self) -> bool {
        self.refusals + 1 < REFUSALS
            && self.mails + 1 < self.server.limits.mails
            && self.opened.elapsed() < LONGEST_LIFE
    }

    /// Says why a mail of so many bytes cannot go over this server, if it announced that it takes none as large.
    pub(super) fn refuses_size(&self, size: usize) -> Option<String> {
        let most = self.offers.size_max.filter(|most| size > *most)?;
        Some(format!(
            "the SMTP server at {} takes mails of at most {most} bytes (SIZE), and one of ours has {size}; have its operator allow more, or \
             send fewer items (picker.max_items)",
            self.server.place()
        ))
    }

    /// Returns whether our lease was over when something was to be written: that says nothing of the server.
    pub(super) fn was_cut_by_lease(&self) -> bool {
        self.outlet.was_cut()
    }

    /// Whether the last mail was not even looked at, for the server had enough of this connection.
    pub(super) fn was_turned_away(&self) -> bool {
        self.turned_away
    }

    /// Makes it unusable. An envelope that went ahead and was silently dropped is a sign that the server does not bear it.
    pub(super) fn give_up(&mut self, was_silent: bool) {
        self.in_step = false;
        if let Some(leave) = self.ahead.take().filter(|_| was_silent) {
            leave.not_borne();
        }
    }

    /// Takes leave and makes it unusable, while another one is about to be opened.
    pub(super) async fn retire(&mut self) {
        if std::mem::take(&mut self.in_step) && self.ahead.is_none() {
            let _ = timeout(
                LONGEST_FAREWELL.min(self.server.timeouts.command),
                self.smtp.quit(),
            )
            .await;
        }
    }

    pub(super) async fn close(mut self) {
        if self.in_step && self.ahead.is_none() {
            let _ = timeout(
                LONGEST_FAREWELL.min(self.server.timeouts.command),
                self.smtp.quit(),
            )
            .await;
        }
    }

    /// Says whom a mail of so many bytes is from and to, unless that went ahead, and gets leave to send its text. The outcome
    /// says why there is none.
    pub(super) async fn open_mail(
        &mut self,
        envelope: &Envelope<'_>,
        size: usize,
    ) -> Result<(), Outcome> {
        self.text_is_out = false;
        self.turned_away = false;
        if let Some(refused) = self.refuse(envelope) {
            return Err(refused);
        }
        if !std::mem::take(&mut self.in_step) {
            return Err(later("the connection is closed"));
        }
        let asked = Instant::now();
        let keeps_envelope = self.ahead.is_none() && std::mem::take(&mut self.was_refused);
        let reset = if keeps_envelope {
            self.ask(Stage::Sender, b"RSET\r\n").await
        } else {
            Ok(())
        };
        let opened = match (reset, self.ahead.is_some(), self.asks_at_once()) {
            (Err(failure), ..) => Err(failure),
            (_, true, _) => self.hear_ahead(envelope, size).await,
            (_, _, true) => self.ask_at_once(envelope, size).await,
            (_, _, false) => self.ask_in_turn(envelope, size).await,
        };
        let Err(failure) = opened else {
            self.uses += 1;
            self.settle(true);
            return Ok(());
        };
        self.turned_away |= self.uses > 0 && failure.is_farewell()
            || self.mails == 0 && failure.asks_to_come_back();
        self.uses += u32::from(!failure.is_of_sender());
        let (outcome, in_step) = match failure {
            Failure::Answer {
                code,
                text,
                stage,
                in_step,
            } => {
                self.refusals += u32::from(stage == Stage::Recipient);
                // 421 (RFC 5321 3.8): the server is about to hang up.
                if stage == Stage::Recipient
                    && asked.elapsed() >= HELD_UP.max(self.server.timeouts.command / 100)
                {
                    self.server.holds_up.store(true, Relaxed);
                    self.refusals = REFUSALS;
                }
                let in_step =
                    in_step && code != 421 && self.ask(Stage::Session, b"RSET\r\n").await.is_ok();
                (outcome_of(code, &text, stage), in_step)
            }
            Failure::Broken { outcome, .. } => (outcome, false),
        };
        self.settle(in_step);
        Err(tidied(outcome, envelope))
    }

    /// Sends the text of the mail that was opened, but for what ends it, unless it is short: the server has most of the work behind
    /// it when the mail may go. From here on it can be taken back only by giving the connection up.
    pub(super) async fn begin_text(&mut self, message: &[u8]) -> Result<(), Outcome> {
        if message.len() < SHORT {
            return Ok(());
        }
        if !std::mem::take(&mut self.in_step) {
            return Err(later("the connection is closed"));
        }
        let text = stuffed(message, &mut self.stuffing);
        if let Some(why) = written(
            &mut self.outlet,
            &mut [IoSlice::new(text)],
            self.server.timeouts.data,
        )
        .await
        {
            return Err(later(format!("before the final dot: {why}")));
        }
        self.text_is_out = true;
        self.settle(true);
        Ok(())
    }

    /// Sends the text of the mail that was opened, as far as it is not out, its final dot, and the envelope `ahead` of the next
    /// mail, in one write. Until the dot is on its way nothing was taken, afterwards only an answer tells.
    pub(super) async fn hand_over(
        &mut self,
        envelope: &Envelope<'_>,
        message: &[u8],
        ahead: Option<(&Envelope<'_>, usize)>,
    ) -> Outcome {
        if !std::mem::take(&mut self.in_step) {
            return later("the connection is closed");
        }
        let ahead = ahead.filter(|(next, _)| self.refuse(next).is_none());
        let ahead = ahead.and_then(|next| Some((next, self.server.ahead.leave()?)));
        self.commands.clear();
        if let Some(((next, size), _)) = &ahead {
            self.push_envelope(next, *size);
        }
        let (answer, dot_is_out) = self.end_text(message).await;
        self.mails += 1;
        self.was_refused = matches!(answer, Ok((400.., _)));
        let (outcome, in_step) = match answer {
            Ok((code @ 200..=299, text)) => {
                self.refusals = 0;
                (outcome_of(code, &text, Stage::Text), true)
            }
            Ok((code @ 400.., text)) => (outcome_of(code, &text, Stage::Text), code != 421),
            Ok((code, text)) => (outcome_of(code, &text, Stage::Text), false),
            Err(why) if dot_is_out => (
                Outcome::InDoubt {
                    reply: format!("after the final dot: {why}"),
                },
                false,
            ),
            Err(why) => (later(format!("before the final dot: {why}")), false),
        };
        match (ahead, &outcome) {
            // It hung up or fell silent with both in hand.
            (Some((_, leave)), Outcome::InDoubt { .. }) => leave.not_borne(),
            (Some((_, leave)), _) if in_step => self.ahead = Some(leave),
            _ => {}
        }
        self.settle(in_step);
        tidied(outcome, envelope)
    }

    /// Whether the answer, or why there is none, came after the final dot was on its way.
    async fn end_text(&mut self, message: &[u8]) -> (Result<(u16, String), String>, bool) {
        let text = if std::mem::take(&mut self.text_is_out) {
            b""
        } else {
            stuffed(message, &mut self.stuffing)
        };
        let end = end_of(message);
        let dot = self.outlet.written() + (text.len() + end.len()) as u64;
        let limits = self.server.timeouts;
        let mut parts = [
            IoSlice::new(text),
            IoSlice::new(end),
            IoSlice::new(&self.commands),
        ];
        let failed = written(&mut self.outlet, &mut parts, limits.data).await;
        let dot_is_out = self.outlet.written() >= dot;
        match failed {
            Some(why) if !dot_is_out => (Err(why), false),
            // Its answer may be on its way even where the line took no more of what follows the dot.
            _ => (
                reply(
                    limits.finish,
                    timeout(limits.finish, self.smtp.read_response()).await,
                ),
                true,
            ),
        }
    }

    fn settle(&mut self, in_step: bool) {
        self.in_step = in_step;
        self.used = Instant::now();
    }

    /// What need not be tried.
    fn refuse(&self, envelope: &Envelope<'_>) -> Option<Outcome> {
        let refused = |about_us, reply: &str| {
            Some(Outcome::Refused {
                reply: reply.into(),
                about_us,
                class: SoftClass::Passing,
            })
        };
        if envelope.from.contains(|c: char| c.is_control()) {
            return refused(
                true,
                "not sent: the return path holds a control character; check mail.return_path",
            );
        }
        if needs_smtputf8(envelope) && !self.offers.smtputf8 {
            return refused(
                false,
                "not sent: an address is not ASCII before its @, and our mail server cannot do that (no SMTPUTF8)",
            );
        }
        None
    }

    /// MAIL, RCPT and DATA. Commands by hand: lettre's own address type refuses some that are valid.
    fn push_envelope(&mut self, envelope: &Envelope<'_>, size: usize) {
        self.push_mail(envelope, size);
        self.push_rcpt(envelope);
        self.commands.extend_from_slice(b"DATA\r\n");
    }

    fn push_mail(&mut self, envelope: &Envelope<'_>, size: usize) {
        // Writing into a Vec cannot fail.
        let _ = write!(self.commands, "MAIL FROM:<{}>", envelope.from);
        if self.offers.size {
            let _ = write!(self.commands, " SIZE={size}");
        }
        // No BODY=8BITMIME: our bodies are 7bit, and a header in UTF-8 is what SMTPUTF8 is for (RFC 6531 3.6).
        self.commands
            .extend_from_slice(if needs_smtputf8(envelope) {
                b" SMTPUTF8\r\n"
            } else {
                b"\r\n"
            });
    }

    fn push_rcpt(&mut self, envelope: &Envelope<'_>) {
        let _ = write!(self.commands, "RCPT TO:<{}>\r\n", envelope.to);
    }

    async fn ask_in_turn(&mut self, envelope: &Envelope<'_>, size: usize) -> Result<(), Failure> {
        self.commands.clear();
        self.push_mail(envelope, size);
        self.ask_prepared(Stage::Sender).await?;
        self.commands.clear();
        self.push_rcpt(envelope);
        self.ask_prepared(Stage::Recipient).await?;
        self.ask(Stage::Data, b"DATA\r\n").await
    }

    async fn ask_at_once(&mut self, envelope: &Envelope<'_>, size: usize) -> Result<(), Failure> {
        self.commands.clear();
        self.push_envelope(envelope, size);
        let commands = std::mem::take(&mut self.commands);
        let said = self.say(Stage::Sender, &commands).await;
        self.commands = commands;
        said?;
        self.answers(self.server.timeouts.command).await
    }

    async fn ask_prepared(&mut self, stage: Stage) -> Result<(), Failure> {
        let commands = std::mem::take(&mut self.commands);
        let answer = self.ask(stage, &commands).await;
        self.commands = commands;
        answer
    }

    /// One command, and the answer that lets us go on.
    async fn ask(&mut self, stage: Stage, command: &[u8]) -> Result<(), Failure> {
        self.say(stage, command).await?;
        self.hear(stage).await
    }

    async fn say(&mut self, stage: Stage, command: &[u8]) -> Result<(), Failure> {
        let limit = self.server.timeouts.command;
        let why = match timeout(limit, self.outlet.write(&mut [IoSlice::new(command)])).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => format!("the connection broke: {error}"),
            Err(_) => format!("it took nothing within {limit:?}"),
        };
        Err(Failure::broken(
            later(format!("at {stage:?}: {why}")),
            stage,
        ))
    }

    async fn hear(&mut self, stage: Stage) -> Result<(), Failure> {
        self.hear_within(stage, self.server.timeouts.command).await
    }

    async fn hear_within(&mut self, stage: Stage, limit: Duration) -> Result<(), Failure> {
        good(
            stage,
            reply(limit, timeout(limit, self.smtp.read_response()).await),
        )
    }
}

/// Writes within that time; why it could not.
async fn written(
    outlet: &mut Outlet,
    parts: &mut [IoSlice<'_>],
    limit: Duration,
) -> Option<String> {
    match timeout(limit, outlet.write(parts)).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("the connection broke: {error}")),
        Err(_) => Some(format!("it took nothing more within {limit:?}")),
    }
}

fn needs_smtputf8(envelope: &Envelope<'_>) -> bool {
    envelope.to.needs_smtputf8() || !envelope.from.is_ascii()
}

fn tidied(outcome: Outcome, envelope: &Envelope<'_>) -> Outcome {
    let reply = envelope.tidied(outcome.reply());
    match outcome {
        Outcome::Accepted { .. } => Outcome::Accepted { reply },
        Outcome::Later {
            about_us, class, ..
        } => Outcome::Later {
            reply,
            about_us,
            class,
        },
        Outcome::Throttled { .. } => Outcome::Throttled { reply },
        Outcome::Refused {
            about_us, class, ..
        } => Outcome::Refused {
            reply,
            about_us,
            class,
        },
        Outcome::BadAddress { .. } => Outcome::BadAddress { reply },
        Outcome::InDoubt { .. } => Outcome::InDoubt { reply },
    }
}
