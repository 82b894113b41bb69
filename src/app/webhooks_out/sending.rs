//! Requests to webhook endpoints.
//!
//! One process at a time sends to an endpoint, under a lease, at most [`IN_FLIGHT_MAX`] at once and in order one by one. What is due is
//! read, sent, and written down; a process that ends in between leaves the event due, and the next sends it again with the same id.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use hyper::Request;
use hyper::Response;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::KEY;
use super::SECRET;
use crate::app::App;
use crate::app::Failure;
use crate::app::delivery::process;
use crate::app::jobs::locked;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::webhook_endpoint::DisabledReason;
use crate::domain::webhook_endpoint::EndpointAnswer;
use crate::domain::webhook_endpoint::FAILING_MAX;
use crate::domain::webhook_endpoint::IN_FLIGHT_MAX;
use crate::domain::webhook_endpoint::WebhookEndpoint;
use crate::domain::webhook_endpoint::pause_after;
use crate::outside::standard_webhooks;
use crate::storage::webhooks_out::deliveries::AttemptEffect;
use crate::storage::webhooks_out::deliveries::DueWebhook;
use crate::storage::webhooks_out::deliveries::WebhookAttempt;

/// Pause between two looks for new events.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time after which another process may send to an endpoint whose lease nobody renews: longer than a batch may take.
const LEASE: TimeDelta = TimeDelta::minutes(5);
/// Events that are read at once for each request that may be under way: at a minute each, the largest `webhooks_out.timeout`, they are sent
/// within the lease.
const BATCH: usize = 4;

/// An attempt that ended.
struct EndedAttempt {
    attempt: WebhookAttempt,
    effect: AttemptEffect,
    /// Time for which the endpoint asks to be left alone.
    wait: Option<TimeDelta>,
    is_gone: bool,
}

impl App {
    /// Numbers new events and sends them to the endpoints that take them, until told to stop; then ends what is under way. An endpoint that is slow
    /// holds up no other.
    pub async fn send_webhooks_until(self: &Arc<Self>, stop: &CancellationToken) {
        let mut sending = JoinSet::new();
        while !stop.is_cancelled() {
            if let Err(failure) = self.start_sending(&mut sending, stop).await {
                tracing::warn!(cause = failure.cause(), "webhooks wait: {failure}");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            while sending.try_join_next().is_some() {}
        }
        while sending.join_next().await.is_some() {}
    }

    async fn start_sending(
        self: &Arc<Self>,
        sending: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        self.fan_out_events().await?;
        for endpoint in self.storage.webhooks_due(self.now()).await? {
            if !locked(&self.hooks.running).insert(endpoint) {
                continue;
            }
            let (app, stop) = (self.clone(), stop.clone());
            sending.spawn(async move {
                let running = Running(&app, endpoint);
                if let Err(failure) = app.send_due(endpoint, &stop).await {
                    tracing::warn!(
                        cause = failure.cause(),
                        endpoint = app.webhook_name(endpoint),
                        "a webhook endpoint waits: {failure}"
                    );
                }
                drop(running);
            });
        }
        Ok(())
    }

    /// Numbers all new events and queues them for the endpoints that take them.
    pub async fn fan_out_events(&self) -> Result<(), Failure> {
        let keeps_all = self.settings.events.keep_all;
        self.storage.keep_all_events(keeps_all).await?;
        while self.storage.fan_out_events(self.now()).await? > 0 {}
        Ok(())
    }

    /// Sends all that is due now, once; answers how many requests were made.
    pub async fn send_webhooks(self: &Arc<Self>) -> Result<usize, Failure> {
        let stop = CancellationToken::new();
        let mut requests = 0;
        loop {
            self.fan_out_events().await?;
            let due = self.storage.webhooks_due(self.now()).await?;
            let sent = due
                .into_iter()
                .map(|endpoint| self.send_due(endpoint, &stop));
            let mut made = 0;
            for sent in futures_util::future::join_all(sent).await {
                made += sent?;
            }
            if made == 0 {
                return Ok(requests);
            }
            requests += made;
        }
    }

    /// Sends to an endpoint what is due to it, unless another process does; answers how many requests were made.
    async fn send_due(
        self: &Arc<Self>,
        id: i64,
        stop: &CancellationToken,
    ) -> Result<usize, Failure> {
        let process = process::name();
        let holder = self.storage.webhook_holder(id).await?;
        let gone = holder.filter(|holder| *holder != process && process::is_gone(holder));
        let mut requests = 0;
        while !stop.is_cancelled() {
            let now = self.now();
            let lease = (process.as_str(), gone.as_deref());
            if !self
                .storage
                .hold_webhook_endpoint(id, lease, now + LEASE, now)
                .await?
            {
                return Ok(requests);
            }
            let Some(endpoint) = self.storage.webhook_endpoint(id).await? else {
                return Ok(requests);
            };
            let count = (BATCH * width_of(&endpoint)) as i64;
            let due = self.storage.due_webhooks(&endpoint, count, now).await?;
            if due.is_empty() {
                break;
            }
            let (made, goes_on) = self.send_batch(&Arc::new(endpoint), due, stop).await?;
            requests += made;
            if !goes_on {
                break;
            }
        }
        self.storage.release_webhook_endpoint(id, &process).await?;
        Ok(requests)
    }

    /// Sends a batch; answers how many requests were made, and whether to go on at once: not after an endpoint was disabled, asked to wait, or failed
    /// where nothing may be overtaken.
    async fn send_batch(
        self: &Arc<Self>,
        endpoint: &Arc<WebhookEndpoint>,
        due: Vec<DueWebhook>,
        stop: &CancellationToken,
    ) -> Result<(usize, bool), Failure> {
        let width = width_of(endpoint);
        let (mut waiting, mut flying) = (due.into_iter(), JoinSet::new());
        let (mut requests, mut goes_on) = (0, true);
        loop {
            while goes_on && !stop.is_cancelled() && flying.len() < width {
                let Some(due) = waiting.next() else { break };
                let (app, endpoint) = (self.clone(), endpoint.clone());
                flying.spawn(async move { app.attempt(&endpoint, due).await });
            }
            let Some(first) = flying.join_next().await else {
                return Ok((requests, goes_on));
            };
            let mut ended: Vec<EndedAttempt> = first.into_iter().collect();
            // What ended meanwhile is written down in the same transaction.
            while let Some(next) = flying.try_join_next() {
                ended.extend(next);
            }
            requests += ended.len();
            goes_on &= self.note_attempts(endpoint, ended).await?;
        }
    }

    /// Writes ended attempts down; answers whether the endpoint may be asked on.
    async fn note_attempts(
        &self,
        endpoint: &WebhookEndpoint,
        ended: Vec<EndedAttempt>,
    ) -> Result<bool, Failure> {
        let now = self.now();
        let is_gone = ended.iter().any(|ended| ended.is_gone);
        let wait = ended.iter().filter_map(|ended| ended.wait).max();
        let has_failed = ended.iter().any(|ended| {
            matches!(
                ended.effect,
                AttemptEffect::Again(_) | AttemptEffect::GivenUp
            )
        });
        let attempts: Vec<_> = ended
            .into_iter()
            .map(|ended| (ended.attempt, ended.effect))
            .collect();
        let failing_since = self
            .storage
            .record_webhook_attempts(endpoint.id, &attempts, wait.map(|wait| now + wait), now)
            .await?;
        let why = match failing_since {
            _ if is_gone => Some(DisabledReason::Gone),
            Some(since) if now - since >= FAILING_MAX => Some(DisabledReason::Failing),
            _ => None,
        };
        if let Some(why) = why {
            self.storage
                .disable_webhook_endpoint(&Actor::system(), endpoint.id, why, now)
                .await?;
            tracing::warn!(
                endpoint = self.webhook_name(endpoint.id),
                %why,
                "webhook endpoint disabled; `verdicts webhooks enable` starts it again"
            );
        }
        Ok(why.is_none() && wait.is_none() && !(has_failed && endpoint.draft.ordered))
    }

    /// Sends one event, and says what its answer means.
    async fn attempt(&self, endpoint: &WebhookEndpoint, due: DueWebhook) -> EndedAttempt {
        let (attempts, replayed_by) = (due.attempts + 1, due.replayed_by.clone());
        let (mut attempt, answer) = self.ask_endpoint(endpoint, due).await;
        let now = self.now();
        let is_success = answer.as_ref().is_some_and(EndpointAnswer::is_success);
        let wait = answer.as_ref().and_then(|answer| answer.asks_to_wait(now));
        let result = if is_success { "taken" } else { "failed" };
        metrics::counter!("verdicts_webhook_requests_total", "result" => result).increment(1);
        if replayed_by.is_some() {
            attempt.replayed_by = replayed_by;
            return EndedAttempt {
                attempt,
                effect: AttemptEffect::None,
                wait: None,
                is_gone: false,
            };
        }
        let effect = match pause_after(attempts, rand::random_range(-1.0..=1.0)) {
            _ if is_success => AttemptEffect::Sent,
            Some(pause) => AttemptEffect::Again(now + pause.max(wait.unwrap_or_default())),
            None => AttemptEffect::GivenUp,
        };
        EndedAttempt {
            attempt,
            effect,
            wait,
            is_gone: answer.is_some_and(|answer| answer.is_gone()),
        }
    }

    /// Makes one request. The answer is `None` where there was none.
    async fn ask_endpoint(
        &self,
        endpoint: &WebhookEndpoint,
        due: DueWebhook,
    ) -> (WebhookAttempt, Option<EndpointAnswer>) {
        let (at, began) = (self.now(), Instant::now());
        let id = due.event.id.clone();
        let view = self.event_view(due.event, endpoint.draft.personal);
        let body = super::views::body(&view).into_bytes();
        let answered = match self.signed_request(endpoint, &id, body, at) {
            Ok(request) => {
                let answer = self.hooks.client().send(request).await;
                answer.map(read_answer).map_err(|error| error.0)
            }
            Err(words) => Err(words),
        };
        let (answer, error) = match answered {
            Ok(answer) => (Some(answer), None),
            Err(words) => (None, Some(printable(&words))),
        };
        let redirected = answer
            .as_ref()
            .filter(|answer| (300..400).contains(&answer.status))
            .map(|_| "a redirect, which is not followed".to_owned());
        let attempt = WebhookAttempt {
            event: id,
            at,
            millis: i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX),
            status: answer.as_ref().map(|answer| answer.status),
            error: error.or(redirected),
            answer: answer.as_ref().map(|answer| answer.body.clone()),
            replayed_by: None,
        };
        (attempt, answer)
    }

    fn signed_request(
        &self,
        endpoint: &WebhookEndpoint,
        id: &str,
        body: Vec<u8>,
        at: Timestamp,
    ) -> Result<Request<Vec<u8>>, String> {
        let (secrets, keys) = self.webhook_keys(endpoint, at);
        let seconds = at.timestamp();
        let signatures = standard_webhooks::signatures(&secrets, &keys, (id, seconds), &body);
        Request::post(endpoint.draft.url.as_str())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signatures)
            .body(body)
            .map_err(|error| error.to_string())
    }

    /// Secrets and keys that sign now: after a rotation those of before too, and each under every `site.secret`, so that changing that breaks
    /// no receiver either.
    fn webhook_keys(
        &self,
        endpoint: &WebhookEndpoint,
        now: Timestamp,
    ) -> (Vec<[u8; 32]>, Vec<[u8; 32]>) {
        let seeds = &endpoint.seeds;
        let rotating = endpoint.rotating_until.is_some_and(|until| until > now);
        let drawn = |what: &str, new: Option<&String>, old: Option<&String>| {
            let old = old.filter(|_| rotating);
            let seeds = new.into_iter().chain(old);
            seeds
                .flat_map(|seed| self.secrets.long_keys_of(what, seed))
                .collect::<Vec<_>>()
        };
        (
            drawn(SECRET, Some(&seeds.secret), seeds.previous_secret.as_ref()),
            drawn(KEY, seeds.key.as_ref(), seeds.previous_key.as_ref()),
        )
    }

    /// Sends a test to an endpoint, also to one that is disabled: one request, now, with no effect on its health.
    ///
    /// # Errors
    /// Not found, where the endpoint is gone.
    pub async fn test_webhook(
        &self,
        actor: &Actor,
        endpoint: &WebhookEndpoint,
    ) -> Result<WebhookAttempt, Failure> {
        let data = serde_json::json!({ "endpoint": self.webhook_name(endpoint.id) });
        let now = self.now();
        let begun = self
            .storage
            .begin_webhook_test(actor, endpoint.id, &data, now)
            .await?;
        let event = begun.ok_or_else(super::gone)?;
        let due = DueWebhook {
            event,
            attempts: 0,
            replayed_by: None,
        };
        let (attempt, _) = self.ask_endpoint(endpoint, due).await;
        let ended = [(attempt, AttemptEffect::None)];
        self.storage
            .record_webhook_attempts(endpoint.id, &ended, None, self.now())
            .await?;
        let [(attempt, _)] = ended;
        Ok(attempt)
    }

    /// The public keys of an endpoint that signs by ed25519, the present one first.
    pub fn webhook_public_key(&self, endpoint: &WebhookEndpoint) -> Option<String> {
        let (_, keys) = self.webhook_keys(endpoint, self.now());
        keys.first().and_then(standard_webhooks::public_key_text)
    }
}

/// Requests that may be under way to an endpoint at once.
fn width_of(endpoint: &WebhookEndpoint) -> usize {
    match endpoint.draft.ordered {
        true => 1,
        false => IN_FLIGHT_MAX,
    }
}

/// Takes an endpoint out of those that this process sends to, however its task ends.
struct Running<'a>(&'a App, i64);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        locked(&self.0.hooks.running).remove(&self.1);
    }
}

fn read_answer(answer: Response<Vec<u8>>) -> EndpointAnswer {
    let retry_after = answer.headers().get("retry-after");
    EndpointAnswer {
        status: answer.status().as_u16(),
        retry_after: retry_after.and_then(|value| Some(value.to_str().ok()?.to_owned())),
        body: printable(&String::from_utf8_lossy(answer.body())),
    }
}

/// PostgreSQL keeps no NUL in a text.
fn printable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
