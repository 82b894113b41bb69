//! One SMTP connection: what is said over the line, and what is known when it goes silent.
//!
//! A mail takes steps, so that its envelope may travel with the end of the mail before it (PIPELINING, RFC 2920: one round trip
//! a mail instead of four) and its text while the ledger is still writing: [`SmtpConnection::send_envelope`] names sender and
//! recipient and gets leave to send, [`SmtpConnection::send_body`] sends the text but its end, [`SmtpConnection::finish_mail`] what
//! is left of it. A server takes nothing before the final dot (RFC 5321 4.1.1.4).

mod answers;
mod commands;

use std::io::IoSlice;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use lettre::transport::smtp::client::AsyncSmtpConnection;
use tokio::time::Instant;
use tokio::time::timeout;

use crate::domain::delivery::Outcome;
use crate::mail::smtp::connect_fault::ConnectFault;
use crate::mail::smtp::envelope::Envelope;
use crate::mail::smtp::failure::SendFailure;
use crate::mail::smtp::failure::good;
use crate::mail::smtp::failure::later;
use crate::mail::smtp::greeting;
use crate::mail::smtp::greeting::Greeted;
use crate::mail::smtp::greeting::Offers;
use crate::mail::smtp::greeting::reply;
use crate::mail::smtp::pipelining::Leave;
use crate::mail::smtp::reply::RefusalStage;
use crate::mail::smtp::server::SmtpServer;
use crate::mail::smtp::writer::SmtpWriter;
use crate::mail::smtp::writer::WriteDeadline;

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
pub(in crate::mail) struct SmtpConnection {
    smtp: AsyncSmtpConnection,
    outlet: SmtpWriter,
    server: SmtpServer,
    offers: Offers,
    opened: Instant,
    used: Instant,
    mails: u32,
    /// Envelopes whose sender was taken: a connection with none is fresh.
    uses: u32,
    /// Refused recipients since the last mail that was taken.
    refusals: u32,
    /// True if the server and we are at the same place. False while something is under way, so that a step that was cut
    /// short, by an error, a time-out or a dropped future, can never leave a connection behind that is used again.
    in_step: bool,
    /// Set while the envelope of the next mail is out, and its answers are not read yet.
    ahead: Option<Leave>,
    /// True if the last mail was refused after its final dot: some servers keep its envelope (mox 0.0.15), until RSET.
    was_refused: bool,
    /// True if the text of the mail that was opened is out, but for its end.
    text_is_out: bool,
    turned_away: bool,
    commands: Vec<u8>,
    stuffing: Vec<u8>,
}

impl SmtpConnection {
    pub(in crate::mail) async fn open(
        server: &SmtpServer,
        fence: WriteDeadline,
    ) -> Result<Self, ConnectFault> {
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

    /// Returns whether another mail can be opened on it.
    pub(in crate::mail) fn is_usable(&self) -> bool {
        self.in_step
            && (self.ahead.is_some()
                || !self.is_expired() && self.used.elapsed() < self.server.limits.idle)
    }

    /// Returns true once it has served its time or its number of mails, or had so many refused that the server slows down.
    fn is_expired(&self) -> bool {
        self.refusals >= REFUSALS
            || self.mails >= self.server.limits.mails
            || self.opened.elapsed() >= LONGEST_LIFE
    }

    /// Returns whether the envelope of the next mail may go with the text of this one.
    pub(in crate::mail) fn can_pipeline_next(&self) -> bool {
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
    pub(in crate::mail) fn bears_another(&self) -> bool {
        self.refusals + 1 < REFUSALS
            && self.mails + 1 < self.server.limits.mails
            && self.opened.elapsed() < LONGEST_LIFE
    }

    /// Says why a mail of so many bytes cannot go over this server, if it announced that it takes none as large.
    pub(in crate::mail) fn refuses_size(&self, size: usize) -> Option<String> {
        let most = self.offers.size_max.filter(|most| size > *most)?;
        Some(format!(
            "the SMTP server at {} takes mails of at most {most} bytes (SIZE), and one of ours has {size}; have its operator allow more, or \
             send fewer items (picker.max_items)",
            self.server.place()
        ))
    }

    /// Returns whether our lease was over when something was to be written: that says nothing of the server.
    pub(in crate::mail) fn was_cut_by_lease(&self) -> bool {
        self.outlet.was_cut()
    }

    /// Returns whether the last mail was not even looked at, for the server had enough of this connection.
    pub(in crate::mail) fn rejected_before_mail(&self) -> bool {
        self.turned_away
    }

    /// Makes it unusable. An envelope that went ahead and was silently dropped is a sign that the server does not bear it.
    pub(in crate::mail) fn give_up(&mut self, was_silent: bool) {
        self.in_step = false;
        if let Some(leave) = self.ahead.take().filter(|_| was_silent) {
            leave.not_borne();
        }
    }

    /// Takes leave and makes it unusable, while another one is about to be opened.
    pub(in crate::mail) async fn retire(&mut self) {
        if std::mem::take(&mut self.in_step) && self.ahead.is_none() {
            let _ = timeout(
                LONGEST_FAREWELL.min(self.server.timeouts.command),
                self.smtp.quit(),
            )
            .await;
        }
    }

    pub(in crate::mail) async fn close(mut self) {
        if self.in_step && self.ahead.is_none() {
            let _ = timeout(
                LONGEST_FAREWELL.min(self.server.timeouts.command),
                self.smtp.quit(),
            )
            .await;
        }
    }

    async fn ask_in_turn(
        &mut self,
        envelope: &Envelope<'_>,
        size: usize,
    ) -> Result<(), SendFailure> {
        self.commands.clear();
        self.push_mail(envelope, size);
        self.ask_prepared(RefusalStage::Sender).await?;
        self.commands.clear();
        self.push_rcpt(envelope);
        self.ask_prepared(RefusalStage::Recipient).await?;
        self.ask(RefusalStage::Data, b"DATA\r\n").await
    }

    async fn ask_at_once(
        &mut self,
        envelope: &Envelope<'_>,
        size: usize,
    ) -> Result<(), SendFailure> {
        self.commands.clear();
        self.push_envelope(envelope, size);
        let commands = std::mem::take(&mut self.commands);
        let said = self.say(RefusalStage::Sender, &commands).await;
        self.commands = commands;
        said?;
        self.answers(self.server.timeouts.command).await
    }

    async fn ask_prepared(&mut self, stage: RefusalStage) -> Result<(), SendFailure> {
        let commands = std::mem::take(&mut self.commands);
        let answer = self.ask(stage, &commands).await;
        self.commands = commands;
        answer
    }

    /// One command, and the answer that lets us go on.
    async fn ask(&mut self, stage: RefusalStage, command: &[u8]) -> Result<(), SendFailure> {
        self.say(stage, command).await?;
        self.hear(stage).await
    }

    async fn say(&mut self, stage: RefusalStage, command: &[u8]) -> Result<(), SendFailure> {
        let limit = self.server.timeouts.command;
        let why = match timeout(limit, self.outlet.write(&mut [IoSlice::new(command)])).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => format!("the connection broke: {error}"),
            Err(_) => format!("it took nothing within {limit:?}"),
        };
        Err(SendFailure::broken(
            later(format!("at {stage:?}: {why}")),
            stage,
        ))
    }

    async fn hear(&mut self, stage: RefusalStage) -> Result<(), SendFailure> {
        self.hear_within(stage, self.server.timeouts.command).await
    }

    async fn hear_within(
        &mut self,
        stage: RefusalStage,
        limit: Duration,
    ) -> Result<(), SendFailure> {
        good(
            stage,
            reply(limit, timeout(limit, self.smtp.read_response()).await),
        )
    }
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
