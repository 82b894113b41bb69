//! A worker: one connection, one message at a time.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::sync::oneshot;

use super::desk::Request;
use crate::app::App;
use crate::app::delta;
use crate::domain::address::EmailAddress;
use crate::domain::delivery::DeliveryKind;
use crate::domain::delivery::InDoubt;
use crate::domain::delivery::Outcome;
use crate::domain::delivery::Retry;
use crate::mail::Connection;
use crate::mail::Envelope;
use crate::mail::Recipient;
use crate::storage::ledger::Job;
use crate::storage::steps::Done;
use crate::storage::steps::Step;

/// Connects, then sends what the desk hands out until it hands out nothing. The error says why it never had a connection.
///
/// It connects before it asks for a message, so that a relay that is down costs no delivery an attempt.
pub async fn work(app: Arc<App>, desk: mpsc::Sender<Request>) -> Result<(), String> {
    let mut connection = connect(&app).await?;
    let mut done = None;
    let mut buffer = Vec::new();
    loop {
        if !connection.is_usable() {
            // The result first: a slow relay must not keep it from being written down.
            let _ = desk.send(Request { done: done.take(), wants: None }).await;
            match connect(&app).await {
                Ok(fresh) => connection = fresh,
                Err(_) => return Ok(()),
            }
        }
        if app.pace.is_limited() {
            // The result first, here too; and no message is begun while its turn is waited for.
            let _ = desk.send(Request { done: done.take(), wants: None }).await;
            app.pace.wait().await;
        }
        let (wants, answer) = oneshot::channel();
        if desk.send(Request { done: done.take(), wants: Some(wants) }).await.is_err() {
            break;
        }
        let Ok(Some(job)) = answer.await else { break };
        let outcome = send(&app, &mut connection, &job, &mut buffer).await;
        app.breaker.note(&outcome);
        done = Some(conclude(&app, &job, outcome));
    }
    connection.close().await;
    Ok(())
}

async fn connect(app: &App) -> Result<Connection, String> {
    app.transport.connect().await.map_err(|fault| {
        let words = fault.to_string();
        app.breaker.note_no_connection(&words, fault.is_login() || fault.is_tls());
        words
    })
}

async fn send(app: &App, connection: &mut Connection, job: &Job, buffer: &mut Vec<u8>) -> Outcome {
    let ready = match app.letter_for(job.key, job.kind).await {
        Ok(ready) => ready,
        Err(failure) => {
            tracing::error!(cause = failure.cause(), mailing = job.key.mailing, "a mail cannot be made: {failure}");
            return Outcome::Later { reply: format!("not sent: {failure}"), about_us: true };
        }
    };
    let Ok(to) = EmailAddress::parse(&job.email) else {
        return Outcome::Refused { reply: "not sent: what is stored is not an address".into(), about_us: false };
    };
    let (token, reader) = match job.kind {
        DeliveryKind::Confirmation => (app.confirm_token(job.key.subscriber, job.queued_at), String::new()),
        DeliveryKind::Digest => (app.unsubscribe_token(job.key.subscriber), app.reader_token(job.key.subscriber)),
    };
    let message_id = app.message_id(job.key);
    let date = ready.date.unwrap_or(job.queued_at);
    let (since, verp) = (app.site.day(job.since), app.return_path.verp(&app.secrets, job.key));
    let recipient = Recipient { to: &to, token: &token, reader: &reader, since: &since, verp: &verp, message_id: &message_id, date };
    ready.letter.fill(&recipient, buffer);
    app.signers.seal(buffer, app.now());
    if !connection.is_usable() {
        // It grew stale while it waited for work. Nothing was said yet, so there is nothing to doubt.
        match connect(app).await {
            Ok(fresh) => *connection = fresh,
            Err(words) => return Outcome::Later { reply: words, about_us: true },
        }
    }
    let return_path = app.return_path.with(&verp);
    let envelope = Envelope { from: &return_path, to: &to, file: &message_id };
    let outcome = connection.send(&envelope, buffer).await;
    if !connection.was_turned_away() {
        return outcome;
    }
    match connect(app).await {
        Ok(fresh) => *connection = fresh,
        Err(_) => return outcome,
    }
    connection.send(&envelope, buffer).await
}

/// What an outcome means for the ledger.
fn conclude(app: &App, job: &Job, outcome: Outcome) -> Done {
    let now = app.now();
    let settings = &app.settings;
    let max_age = match job.kind {
        DeliveryKind::Digest => settings.mail.retry.max_age,
        // Later its link would be over.
        DeliveryKind::Confirmation => settings.mail.retry.max_age.min(settings.signup.confirm_within),
    };
    let retry = Retry { first: delta(settings.mail.retry.first), max_age: delta(max_age) };
    let next = || retry.next(job.first_at.unwrap_or(now), now, job.attempts + 1, rand::random());
    let step = match &outcome {
        Outcome::Accepted { .. } => Step::Sent,
        Outcome::Later { .. } => next().map_or(Step::Failed, Step::Again),
        Outcome::Refused { .. } => Step::Failed,
        Outcome::BadAddress { .. } => bounced(app, &job.email),
        Outcome::InDoubt { .. } => match app.settings.mail.in_doubt {
            InDoubt::Hold => Step::Doubted(None),
            InDoubt::Resend => Step::Doubted(next()),
        },
    };
    let reply = match (&step, &outcome) {
        (Step::Failed, Outcome::Later { reply, .. }) => format!("given up after {} attempts: {reply}", job.attempts + 1),
        _ => outcome.reply().to_owned(),
    };
    if step != Step::Sent {
        tracing::info!(mailing = job.key.mailing, subscriber = job.key.subscriber, reply, step = step.name(), "not delivered");
    }
    Done { key: job.key, step, reply }
}

fn bounced(app: &App, email: &str) -> Step {
    let hash = EmailAddress::parse(email).ok().and_then(|email| app.secrets.address_hashes(&email).into_iter().next());
    let key_name = app.secrets.key_names().into_iter().next();
    match (hash, key_name) {
        (Some(hash), Some(key_name)) => Step::Bounced { hash, key_name },
        _ => Step::Failed,
    }
}
