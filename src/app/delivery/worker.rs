//! A worker: one connection's life, one mail after the other.
//!
//! | state | [`MailStage`] | until |
//! | --- | --- | --- |
//! | connecting | `Connecting` | its greeting is through, as long as the transport's limits allow; it has no mail yet. No connection: it ends, and says why |
//! | asking | `Waiting` | the dispatcher has a mail for it, which it writes and signs; none: it says QUIT and ends |
//! | at the envelope | `Envelope` | the server has answered MAIL, RCPT and DATA and has the text but its end, and the ledger says that the mail may end. Until then it can be taken back, or be refused by the ledger: the connection is then of no more use |
//! | at the final dot | `FinalDot` | the server answers, or `timeouts.finish` is over: then the mail is in doubt. Meanwhile the next mail is written |
//! | reporting | `Waiting` | the dispatcher has the last result; then it says QUIT and ends |
//!
//! An outcome's meaning for the delivery, and for the relay's breaker, is decided by `domain/next_state.rs`.
//!
//! While a mail is with the server, the next one is written and signed; while the ledger notes what became of the one and that
//! the other begins, the server answers to the other's envelope, which went along with the one's end, and reads its text. So the
//! line, the ledger and the processor work at the same time, and yet no mail ends, which is when a server takes it, before the
//! ledger says that it may.
//!
//! A connection that is of no more use ends its worker; the mail at hand goes back to the dispatcher. One exception: a mail of which the
//! answer says nothing is tried at once, and once, on a fresh one. The server had enough of this connection (421 at any command, a refusal
//! for now at MAIL, a hang-up), or did not bear an envelope that went ahead of its answer.

use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::dispatcher::MailResult;
use super::dispatcher::Unconnected;
use super::dispatcher::WorkerEnd;
use super::dispatcher::WorkerId;
use super::dispatcher::WorkerReply;
use super::dispatcher::WorkerRequest;
use super::queue::class_of;
use super::status::MailStage;
use crate::app::App;
use crate::app::delivery::prepared_message::PreparedMessage;
use crate::app::delivery::relay::Relay;
use crate::app::delta;
use crate::domain::delivery::Outcome;
use crate::domain::delivery::RetryPolicy;
use crate::domain::inbound::RefusalClass;
use crate::domain::next_state::Attempt;
use crate::domain::next_state::DeliveryPolicy;
use crate::domain::next_state::EndedBy;
use crate::domain::next_state::NextState;
use crate::domain::next_state::next_state;
use crate::domain::next_state::verdict_of;
use crate::domain::next_state::words_of;
use crate::mail::OpenTransport;
use crate::mail::UNHEARD;
use crate::mail::WriteDeadline;
use crate::storage::ledger::Job;
use crate::storage::ledger::updates::DeliveryUpdate;
use crate::storage::ledger::updates::Finished;

/// A request, and where the reply goes once all of it is committed.
pub struct WorkerMessage {
    pub request: WorkerRequest,
    pub reply: oneshot::Sender<WorkerReply>,
}

/// Parts that a worker works with.
pub struct Worker {
    pub app: Arc<App>,
    pub id: WorkerId,
    /// Over which relay it sends.
    pub relay: Arc<Relay>,
    pub requests: mpsc::Sender<WorkerMessage>,
    /// Of the run's lease.
    pub fence: WriteDeadline,
    /// Cancelled when a mail that has no final dot is to be taken back.
    pub abandon: CancellationToken,
    /// Progress of its mail, for others to look at.
    pub stage: Arc<StageCell>,
}

/// A worker's stage.
#[derive(Debug, Default)]
pub struct StageCell(AtomicU8);

impl StageCell {
    const STAGES: [MailStage; 4] = [
        MailStage::Connecting,
        MailStage::Waiting,
        MailStage::Envelope,
        MailStage::FinalDot,
    ];

    pub fn get(&self) -> MailStage {
        Self::STAGES[usize::from(self.0.load(Relaxed)) % Self::STAGES.len()]
    }

    fn set(&self, stage: MailStage) {
        let place = Self::STAGES
            .iter()
            .position(|known| *known == stage)
            .unwrap_or_default();
        self.0.store(place as u8, Relaxed);
    }
}

/// The reply says that a mail was taken back before its final dot.
const TAKEN_BACK: &str =
    "taken back before its final dot: the server did not answer, and another connection works";

impl Worker {
    /// Connects, then sends what the dispatcher hands out until it hands out nothing or the connection is of no more use.
    ///
    /// It connects before it asks for a mail, so that a relay that is down costs no delivery an attempt.
    pub async fn work(self) -> WorkerEnd {
        // While the database did not answer, the lease may have ended here before anybody else could take the work.
        tokio::select! {
            () = self.fence.stands() => {}
            () = self.abandon.cancelled() => return WorkerEnd::Closed,
        }
        let mut connection = match self.connect().await {
            Ok(connection) => connection,
            Err(end) => return end,
        };
        let mut result = None;
        let mut at_hand: Option<PreparedMessage> = None;
        let mut end = WorkerEnd::Closed;
        let (mut text, mut room) = (Vec::new(), Vec::new());
        loop {
            self.stage.set(MailStage::Waiting);
            let mail = match at_hand.take() {
                Some(mail) => mail,
                None => {
                    let wants = connection.is_usable();
                    let Some(mail) = self
                        .addressed(self.ask(result.take(), false, wants).await)
                        .await
                    else {
                        break;
                    };
                    text = mail.text(&self.app, text).await;
                    mail
                }
            };
            // What is at hand has not begun: it goes back to the dispatcher.
            if !connection.is_usable() || self.fence.is_over() {
                break;
            }
            if let Some(trouble) = too_large(&connection, &mail) {
                end = WorkerEnd::TooLarge {
                    class: class_of(&mail.job),
                    trouble,
                };
                break;
            }
            self.stage.set(MailStage::Envelope);
            let asked = self.ask(result.take(), true, connection.bears_another());
            let (reply, opened) = tokio::join!(asked, self.open(&mut connection, &mail, &text));
            let may_go = reply.as_ref().is_some_and(|reply| reply.may_go);
            let next = self.addressed(reply).await;
            let sending = async {
                match opened {
                    Ok(()) if may_go => Some(
                        self.finish(&mut connection, &mail, &text, next.as_ref())
                            .await,
                    ),
                    // Leave to send a text is given back only with the connection.
                    Ok(()) => {
                        connection.give_up(false);
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
            result = outcome
                .map(|outcome| self.result(&mail.job, outcome, connection.was_cut_by_lease()));
            at_hand = next;
        }
        if result.is_some() {
            self.ask(result, false, false).await;
        }
        connection.close().await;
        end
    }

    /// Tells the dispatcher what became of a mail, and what is to come. `None`: it is not there any more.
    async fn ask(
        &self,
        result: Option<MailResult>,
        begins: bool,
        wants: bool,
    ) -> Option<WorkerReply> {
        let (reply, replied) = oneshot::channel();
        let request = WorkerRequest {
            worker: self.id,
            result,
            begins,
            wants,
        };
        self.requests
            .send(WorkerMessage { request, reply })
            .await
            .ok()?;
        replied.await.ok()
    }

    async fn addressed(&self, reply: Option<WorkerReply>) -> Option<PreparedMessage> {
        Some(PreparedMessage::address(&self.app, reply?.next?).await)
    }

    async fn connect(&self) -> Result<OpenTransport, WorkerEnd> {
        self.relay
            .transport
            .connect(self.fence.clone())
            .await
            .map_err(|fault| {
                WorkerEnd::Unconnected(Unconnected {
                    trouble: fault.to_string(),
                    is_throttle: fault.is_throttle(),
                    is_ours: fault.is_login() || fault.is_tls(),
                    is_for_now: fault.is_for_now(),
                })
            })
    }

    /// Gets leave to hand the mail over, on a new connection if the server had enough of the old one, and sends its text but for
    /// the end. It can be taken back all that time.
    async fn open(
        &self,
        connection: &mut OpenTransport,
        mail: &PreparedMessage,
        text: &[u8],
    ) -> Result<(), Outcome> {
        tokio::select! {
            biased;
            opened = self.open_for_long(connection, mail, text) => opened,
            // The connection is left amid a command: it is of no more use.
            () = self.abandon.cancelled() => {
                connection.give_up(true);
                Err(Outcome::later_for_us(TAKEN_BACK))
            }
        }
    }

    async fn open_for_long(
        &self,
        connection: &mut OpenTransport,
        mail: &PreparedMessage,
        text: &[u8],
    ) -> Result<(), Outcome> {
        let (envelope, size) = mail.envelope()?;
        let mut opened = connection.send_envelope(&envelope, size).await;
        if connection.rejected_before_mail() {
            connection.retire().await;
            if let Ok(fresh) = self.connect().await {
                *connection = fresh;
                opened = connection.send_envelope(&envelope, size).await;
            }
        }
        opened?;
        connection.send_body(text).await
    }

    async fn finish(
        &self,
        connection: &mut OpenTransport,
        mail: &PreparedMessage,
        text: &[u8],
        next: Option<&PreparedMessage>,
    ) -> Outcome {
        let (envelope, _) = match mail.envelope() {
            Ok(envelope) => envelope,
            Err(outcome) => return outcome,
        };
        self.stage.set(MailStage::FinalDot);
        let ahead = next
            .filter(|next| connection.can_pipeline_next() && too_large(connection, next).is_none());
        let ahead = ahead.and_then(|next| next.envelope().ok());
        connection
            .finish_mail(
                &envelope,
                text,
                ahead.as_ref().map(|(envelope, size)| (envelope, *size)),
            )
            .await
    }

    fn result(&self, job: &Job, outcome: Outcome, was_cut_by_lease: bool) -> MailResult {
        let ended_by = if was_cut_by_lease {
            EndedBy::Lease
        } else if [TAKEN_BACK, UNHEARD].contains(&outcome.reply()) {
            EndedBy::Withdrawal
        } else {
            EndedBy::Server
        };
        let is_taken = matches!(outcome, Outcome::Accepted { .. });
        self.relay
            .note_reply(outcome.reply(), is_taken, self.app.now());
        let verdict = verdict_of(&outcome, ended_by);
        let done = classify_outcome(&self.app, job, &outcome, ended_by);
        if done.step.is_final() {
            self.app.sends.note(job, &self.relay.name, self.app.now());
        }
        MailResult { done, verdict }
    }
}

/// Says why a mail cannot go over a connection, if it is larger than the server takes.
fn too_large(connection: &OpenTransport, mail: &PreparedMessage) -> Option<String> {
    let (_, size) = mail.envelope().ok()?;
    connection.refuses_size(size)
}

/// Makes the result of a mail whose worker is gone: it had begun, and either its final dot may be out or surely is not.
pub fn settled(app: &App, job: &Job, is_in_doubt: bool) -> Finished {
    if is_in_doubt {
        let reply = "in doubt: the connection was cut before the server answered".into();
        return classify_outcome(app, job, &Outcome::InDoubt { reply }, EndedBy::Server);
    }
    let outcome = Outcome::later_for_us("not sent: the connection was cut before the mail began");
    classify_outcome(app, job, &outcome, EndedBy::Withdrawal)
}

/// Asks the delivery policy what an outcome does to the delivery.
fn classify_outcome(app: &App, job: &Job, outcome: &Outcome, ended_by: EndedBy) -> Finished {
    let mail = &app.settings.mail;
    let policy = DeliveryPolicy {
        retry: RetryPolicy {
            first: delta(mail.retry.first),
            max_age: delta(mail.retry.max_age),
        },
        in_doubt: mail.in_doubt,
    };
    let attempt = Attempt {
        earlier: job.attempts,
        waited: job.waited,
        ended_at: app.now(),
        jitter: rand::random(),
    };
    let next = next_state(outcome, ended_by, &attempt, &policy);
    let reply = words_of(outcome, next, &attempt, policy.in_doubt);
    let step = match next {
        NextState::Sent => DeliveryUpdate::Sent,
        NextState::Queued(due) => DeliveryUpdate::Again(due),
        NextState::Refused(class) => app.refused(job, class, outcome.reply()),
        NextState::Uncertain(due) => DeliveryUpdate::Doubted(due),
    };
    // A mail that comes again at once was not refused by anybody.
    if step != DeliveryUpdate::Sent && step != DeliveryUpdate::Again(attempt.ended_at) {
        let (mailing, subscriber) = (
            app.mailing_name(job.key.mailing),
            app.subscriber_name(job.key.subscriber),
        );
        tracing::info!(
            mailing,
            subscriber,
            reply,
            step = step.name(),
            "not delivered"
        );
    }
    Finished {
        key: job.key,
        step,
        reply,
    }
}

impl App {
    /// A refused mail, as it counts for its reader.
    fn refused(&self, job: &Job, class: RefusalClass, reply: &str) -> DeliveryUpdate {
        if !job.kind.counts_for_subscriber() {
            return DeliveryUpdate::Failed;
        }
        match self.refusal_of(&job.email, class, reply) {
            Some(refusal) => DeliveryUpdate::Refused(Box::new(refusal)),
            None => DeliveryUpdate::Failed,
        }
    }
}
