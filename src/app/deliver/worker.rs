//! A worker: one connection, one mail after the other.
//!
//! While a mail is with the server, the next one is written and signed; while the ledger notes what became of the one and that
//! the other begins, the server answers to the other's envelope, which went along with the one's end, and reads its text. So the
//! line, the ledger and the processor work at the same time, and yet no mail ends, which is when a server takes it, before the
//! ledger says that it may.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::sync::oneshot;

use super::desk::Answer;
use super::desk::Turn;
use super::outgoing::Outgoing;
use crate::app::App;
use crate::app::delta;
use crate::app::relay::Relay;
use crate::domain::brake::RefusalClass;
use crate::domain::delivery::ChunkKey;
use crate::domain::delivery::InDoubt;
use crate::domain::delivery::Outcome;
use crate::domain::delivery::Retry;
use crate::domain::inbound::SoftClass;
use crate::mail::Connection;
use crate::mail::Fence;
use crate::storage::ledger::Job;
use crate::storage::steps::Done;
use crate::storage::steps::Step;

/// What a worker works with.
pub struct Worker {
    pub app: Arc<App>,
    /// Over which relay it sends.
    pub relay: Arc<Relay>,
    /// That relay's place among the others, and this worker's in its crew.
    pub place: (usize, usize),
    pub desk: mpsc::Sender<Turn>,
    /// Of the round's lease.
    pub fence: Fence,
}

impl Worker {
    /// Connects, then sends what the desk hands out until it hands out nothing. The error says why it never had a connection.
    ///
    /// It connects before it asks for a mail, so that a relay that is down costs no delivery an attempt.
    pub async fn work(self) -> Result<(), String> {
        let mut connection = self.connect().await?;
        let mut done = None;
        let mut at_hand = None;
        let (mut text, mut room) = (Vec::new(), Vec::new());
        loop {
            let mail = match at_hand.take() {
                Some(mail) => mail,
                None => {
                    let wants = self.is_wanted();
                    let Some(mail) = self.addressed(self.turn(done.take(), None, wants).await).await else { break };
                    text = mail.text(&self.app, text).await;
                    mail
                }
            };
            if self.relay.pace.is_limited() || !connection.is_usable() {
                // The result first: neither a slow pace nor a slow relay must keep it from being written down.
                self.turn(done.take(), None, false).await;
                self.relay.pace.wait().await;
                // What is at hand has not begun: without a connection it goes back with the lease.
                if !self.is_connected(&mut connection).await {
                    return Ok(());
                }
            }
            let turn = self.turn(done.take(), Some(&mail), self.is_wanted());
            let (answer, opened) = tokio::join!(turn, self.open(&mut connection, &mail, &text));
            let may_go = answer.as_ref().is_some_and(|answer| answer.may_go);
            let next = self.addressed(answer).await;
            let sending = async {
                match opened {
                    Ok(()) if may_go => Some(self.hand_over(&mut connection, &mail, &text, next.as_ref()).await),
                    // Leave to send a text is given back only with the connection.
                    Ok(()) => {
                        connection.give_up();
                        None
                    }
                    Err(outcome) => may_go.then_some(outcome),
                }
            };
            let writing = async {
                match &next {
                    Some(next) => next.text(&self.app, std::mem::take(&mut room)).await,
                    None => Vec::new(),
                }
            };
            let (outcome, written) = tokio::join!(sending, writing);
            room = std::mem::replace(&mut text, written);
            if let Some(outcome) = outcome {
                self.relay.note(&outcome, self.app.now());
                let result = conclude(&self.app, &mail.job, outcome);
                if result.step.is_final() {
                    self.app.sends.note(&mail.job, &self.relay.name, self.app.now());
                }
                done = Some((result, mail.job.chunk));
            }
            at_hand = next;
        }
        connection.close().await;
        Ok(())
    }

    /// Tells the desk what became of a mail, and of the one that is about to begin. `None`: the desk is closed.
    async fn turn(&self, done: Option<(Done, ChunkKey)>, begin: Option<&Outgoing>, wants: bool) -> Option<Answer> {
        let (answer, answered) = oneshot::channel();
        self.desk
            .send(Turn { done, relay: self.place.0, begin: begin.map(|mail| (mail.job.key, mail.job.chunk)), wants, answer })
            .await
            .ok()?;
        answered.await.ok()
    }

    /// Whether the relay bears this connection, too.
    fn is_wanted(&self) -> bool {
        self.place.1 < self.relay.window()
    }

    async fn addressed(&self, answer: Option<Answer>) -> Option<Outgoing> {
        Some(Outgoing::address(&self.app, answer?.next?).await)
    }

    async fn connect(&self) -> Result<Connection, String> {
        self.relay.transport.connect(self.fence.clone()).await.map_err(|fault| {
            let words = fault.to_string();
            if fault.is_throttle() {
                self.relay.slow_down(&words, self.app.now());
            } else {
                self.relay.breaker.note_no_connection(&words, fault.is_login() || fault.is_tls());
            }
            words
        })
    }

    /// Makes a new connection of one that is of no more use. `false`: there is none to be had.
    async fn is_connected(&self, connection: &mut Connection) -> bool {
        if !connection.is_usable() {
            match self.connect().await {
                Ok(fresh) => *connection = fresh,
                Err(_) => return false,
            }
        }
        true
    }

    /// Gets leave to hand the mail over, on a new connection if the server had enough of the old one, and sends its text but for
    /// the end.
    async fn open(&self, connection: &mut Connection, mail: &Outgoing, text: &[u8]) -> Result<(), Outcome> {
        let (envelope, size) = mail.envelope()?;
        let mut opened = connection.open_mail(&envelope, size).await;
        if connection.was_turned_away() && self.is_connected(connection).await {
            opened = connection.open_mail(&envelope, size).await;
        }
        opened?;
        connection.begin_text(text).await
    }

    async fn hand_over(&self, connection: &mut Connection, mail: &Outgoing, text: &[u8], next: Option<&Outgoing>) -> Outcome {
        let (envelope, _) = match mail.envelope() {
            Ok(envelope) => envelope,
            Err(outcome) => return outcome,
        };
        let may_go_ahead = connection.goes_ahead() && !self.relay.pace.is_limited();
        let ahead = next.filter(|_| may_go_ahead).and_then(|next| next.envelope().ok());
        connection.hand_over(&envelope, text, ahead.as_ref().map(|(envelope, size)| (envelope, *size))).await
    }
}

/// What an outcome means for the ledger.
fn conclude(app: &App, job: &Job, outcome: Outcome) -> Done {
    let now = app.now();
    let settings = &app.settings;
    let retry = Retry { first: delta(settings.mail.retry.first), max_age: delta(settings.mail.retry.max_age) };
    let next = || retry.next(job.waited, now, job.attempts + 1, rand::random());
    let refused = |class: SoftClass| app.refused(job, class.into(), outcome.reply());
    let step = match &outcome {
        Outcome::Accepted { .. } => Step::Sent,
        Outcome::Later { class, .. } => next().map_or_else(|| refused(*class), Step::Again),
        // Not this mail's fault: it waits no longer each time, and its turn comes once the relay has slowed down.
        Outcome::Throttled { .. } => {
            retry.next(job.waited, now, 1, rand::random()).map_or_else(|| refused(SoftClass::Passing), Step::Again)
        }
        Outcome::Refused { class, .. } => refused(*class),
        Outcome::BadAddress { .. } => app.refused(job, RefusalClass::Hard, outcome.reply()),
        Outcome::InDoubt { .. } => match app.settings.mail.in_doubt {
            InDoubt::Hold => Step::Doubted(None),
            // Once it goes out again however old it is, for that is what the setting promises.
            InDoubt::Resend if job.attempts == 0 => Step::Doubted(Some(next().unwrap_or(now + retry.first))),
            InDoubt::Resend => Step::Doubted(next()),
        },
    };
    let reply = match (&step, &outcome) {
        (Step::Failed | Step::Refused(_), Outcome::Later { reply, .. } | Outcome::Throttled { reply }) => {
            format!("given up after {} attempts: {reply}", job.attempts + 1)
        }
        (Step::Doubted(None), Outcome::InDoubt { reply }) if settings.mail.in_doubt == InDoubt::Resend => {
            format!("not sent again, for it is older than mail.retry.max_age: {reply}")
        }
        _ => outcome.reply().to_owned(),
    };
    if step != Step::Sent {
        let (mailing, subscriber) = (app.mailing_name(job.key.mailing), app.subscriber_name(job.key.subscriber));
        tracing::info!(mailing, subscriber, reply, step = step.name(), "not delivered");
    }
    Done { key: job.key, step, reply }
}

impl App {
    /// A refused mail, as it counts for its reader.
    fn refused(&self, job: &Job, class: RefusalClass, reply: &str) -> Step {
        // The address is not the subscriber's, or no longer.
        if job.notice.is_some() {
            return Step::Failed;
        }
        match self.refusal_of(&job.email, class, reply) {
            Some(refusal) => Step::Refused(Box::new(refusal)),
            None => Step::Failed,
        }
    }
}
