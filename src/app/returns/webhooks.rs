//! Webhooks of providers about our mails: proven, kept, answered, and then acted on by the same policy as a mail that came
//! back.
//!
//! A request is answered once it is kept, so that nothing is lost and the provider is not kept waiting. It is acted on at
//! once by [`App::act_on_webhooks_until`], or after the next start. Each event acts once, however often it is told.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::app::App;
use crate::app::Failure;
use crate::app::returns::inbound::MatchProof;
use crate::app::returns::inbound::MatchedSubscriber;
use crate::app::returns::inbound::ReportSource;
use crate::domain::Timestamp;
use crate::domain::address::EmailAddress;
use crate::domain::inbound_channel::InboundChannel;
use crate::domain::secret::Secret;
use crate::domain::webhook::Provider;
use crate::domain::webhook::WebhookEvent;
use crate::mail::providers;
use crate::mail::providers::Posted;
use crate::mail::providers::Untrusted;
use crate::mail::providers::sns;
use crate::storage::webhooks::InsertResult;
use crate::storage::webhooks::StoredRequest;
use crate::storage::webhooks::Waiting;

/// Requests acted on between two looks at the database.
const CHUNK: i64 = 50;
/// Interval at which the database is looked at when nothing rings: for what another process kept, or could not act on.
const LOOK: Duration = Duration::from_secs(30);
/// That a request was here is remembered for longer than any provider's signature is good.
const REMEMBERED: TimeDelta = TimeDelta::days(30);
/// An invitation that could not be answered is given up after its token is worth nothing (two days).
const INVITED: TimeDelta = TimeDelta::days(2);
/// A certificate is asked for again after a day, and one that could not be fetched after a minute.
const CERTIFICATE: TimeDelta = TimeDelta::days(1);
const NO_CERTIFICATE: TimeDelta = TimeDelta::minutes(1);
/// Certificates kept at once: a topic has one, and another when Amazon changes it.
const CERTIFICATES: usize = 32;

/// Refusals are said in the log at most so often; all of them are counted.
const COMPLAINTS: TimeDelta = TimeDelta::seconds(10);

/// Result of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// The provider is not in the settings: there is no such door.
    Closed,
    /// Nothing proves that the provider sent it.
    Refused(Untrusted),
    /// Another request was here under its name.
    Used,
    /// It says nothing that is acted on.
    Nothing,
    /// The provider wants to see this code before it sends events.
    Validation(String),
    /// It is kept, or was here before.
    Kept,
}

/// Function that fetches from an https address: the caller brings it, so that a test can.
#[derive(Clone)]
pub struct Fetch(Arc<dyn Fn(Url) -> Fetching + Send + Sync>);

type Fetching = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send>>;

impl Fetch {
    /// One that asks `fetch`.
    pub fn new<F: Future<Output = Result<Vec<u8>, String>> + Send + 'static>(
        fetch: impl Fn(Url) -> F + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move |url| Box::pin(fetch(url))))
    }

    /// Over the network.
    pub fn network() -> Self {
        Self::new(crate::outside::fetch)
    }
}

/// In PEM; `None` if it could not be had.
type Certificate = Option<Arc<[u8]>>;

/// Memory of a process for its webhooks.
pub(crate) struct WebhookStates {
    fetch: Fetch,
    /// Certificate at an address, or that none could be had there, and until when that is believed.
    certificates: Mutex<BTreeMap<Url, (Timestamp, Certificate)>>,
    /// One is fetched at a time: strangers can make us ask, and shall not make us ask much.
    fetching: tokio::sync::Mutex<()>,
    /// Time at which a refusal was last said: anybody can be refused as often as they like.
    complained: Mutex<Option<Timestamp>>,
    /// Rung when something is kept.
    bell: Notify,
}

impl WebhookStates {
    pub(crate) fn new(fetch: Fetch) -> Self {
        Self {
            fetch,
            certificates: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
            complained: Mutex::default(),
            bell: Notify::new(),
        }
    }

    fn may_complain(&self, now: Timestamp) -> bool {
        let mut last = self
            .complained
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let may = last.is_none_or(|last| now - last > COMPLAINTS);
        if may {
            *last = Some(now);
        }
        may
    }
}

impl App {
    /// Takes a request in: proves it and keeps it. An answer other than an error may be given at once.
    pub async fn take_webhook(
        &self,
        provider: Provider,
        posted: Posted<'_>,
    ) -> Result<Received, Failure> {
        let keys = self.settings.webhooks_in.keys(provider);
        if keys.is_empty() {
            return Ok(Received::Closed);
        }
        let proven = match provider {
            Provider::Ses => {
                let topics: Vec<&str> = keys.iter().map(Secret::expose).collect();
                self.open_envelope(&topics, posted.body).await?
            }
            _ => providers::identify(provider, keys, posted, self.now()).and_then(|id| {
                let body = std::str::from_utf8(posted.body).map_err(|_| Untrusted::Unsigned)?;
                Ok((id, sns::SnsMessage::Message(body.to_owned())))
            }),
        };
        let received = match proven {
            Err(refused) => Received::Refused(refused),
            Ok((id, content)) => self.keep_webhook(provider, &id, content).await?,
        };
        let what = match &received {
            Received::Closed | Received::Nothing | Received::Validation(_) => "nothing",
            Received::Refused(_) | Received::Used => "refused",
            Received::Kept => "kept",
        };
        metrics::counter!("verdicts_webhooks_total", "provider" => provider.as_str(), "what" => what).increment(1);
        if let Received::Refused(refused) = &received
            && self.webhooks.may_complain(self.now())
        {
            tracing::warn!(%provider, "a webhook was refused: {refused}");
        }
        Ok(received)
    }

    async fn keep_webhook(
        &self,
        provider: Provider,
        id: &str,
        content: sns::SnsMessage,
    ) -> Result<Received, Failure> {
        let (is_invitation, body) = match content {
            sns::SnsMessage::Farewell => {
                tracing::warn!(%provider, "SNS subscription removed: a configured topic sends no more events");
                return Ok(Received::Nothing);
            }
            sns::SnsMessage::Message(body) if providers::read(provider, &body).is_empty() => {
                let code = providers::validation_code(provider, &body);
                return Ok(code.map_or(Received::Nothing, Received::Validation));
            }
            sns::SnsMessage::Message(body) => (false, body),
            sns::SnsMessage::Invitation(url) => (true, url.into()),
        };
        let digest = providers::hex_digest(&[body.as_bytes()]);
        let request = StoredRequest {
            provider,
            id,
            digest: &digest,
            is_invitation,
            body: &body,
        };
        Ok(
            match self.storage.keep_webhook(request, self.now()).await? {
                InsertResult::Taken => {
                    tracing::warn!(%provider, "webhook refused: its id was used before with a different body");
                    Received::Used
                }
                InsertResult::Now => {
                    self.webhooks.bell.notify_one();
                    Received::Kept
                }
                InsertResult::Before => Received::Kept,
            },
        )
    }

    /// Opens an envelope of SNS by the certificate that it names.
    async fn open_envelope(
        &self,
        topics: &[&str],
        body: &[u8],
    ) -> Result<Result<(String, sns::SnsMessage), Untrusted>, Failure> {
        let Some(envelope) = sns::SnsEnvelope::parse(body) else {
            return Ok(Err(Untrusted::Unsigned));
        };
        let url = match envelope.certificate(topics) {
            Ok(url) => url,
            Err(refused) => return Ok(Err(refused)),
        };
        let Some(certificate) = self.certificate(url).await else {
            return Err(Failure::unavailable(
                "Amazon's certificate could not be fetched; it is tried again when the message comes again.",
            ));
        };
        let id = envelope.id().to_owned();
        Ok(envelope
            .open(&certificate, self.now())
            .map(|content| (id, content)))
    }

    async fn certificate(&self, url: Url) -> Certificate {
        let known = |url: &Url| {
            let kept = self
                .webhooks
                .certificates
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            kept.get(url)
                .filter(|(until, _)| *until > self.now())
                .map(|(_, certificate)| certificate.clone())
        };
        if let Some(found) = known(&url) {
            return found;
        }
        let _turn = self.webhooks.fetching.lock().await;
        if let Some(found) = known(&url) {
            return found;
        }
        let fetched = (self.webhooks.fetch.0)(url.clone()).await;
        let (certificate, good_for) = match fetched {
            Ok(bytes) => (Some(Arc::from(bytes)), CERTIFICATE),
            Err(error) => {
                tracing::warn!(%url, error, "Amazon's certificate could not be fetched");
                (None, NO_CERTIFICATE)
            }
        };
        let now = self.now();
        let mut kept = self
            .webhooks
            .certificates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (until, _)| *until > now);
        // Strangers can make up names of certificates, but not what Amazon serves.
        if kept.len() >= CERTIFICATES {
            kept.retain(|_, (_, certificate)| certificate.is_some());
        }
        if kept.len() < CERTIFICATES {
            kept.insert(url, (now + good_for, certificate.clone()));
        }
        certificate
    }

    /// Acts on what is kept, now and whenever more is, until told to stop.
    pub async fn act_on_webhooks_until(&self, stop: &CancellationToken) {
        let providers = Provider::ALL
            .iter()
            .filter(|provider| !self.settings.webhooks_in.keys(**provider).is_empty());
        if providers.count() == 0 {
            return stop.cancelled().await;
        }
        while !stop.is_cancelled() {
            if let Err(failure) = self.act_on_webhooks().await {
                tracing::warn!(
                    cause = failure.cause(),
                    "what providers told waits: {failure}"
                );
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.webhooks.bell.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Acts on what is kept, oldest first. What ends half way is done again, and is then done once all the same.
    pub async fn act_on_webhooks(&self) -> Result<(), Failure> {
        loop {
            let waiting = self.storage.waiting_webhooks(CHUNK).await?;
            let mut left = 0;
            for request in &waiting {
                if self.act_on_webhook(request).await? {
                    self.storage
                        .done_webhook(request.provider, &request.id, self.now())
                        .await?;
                } else {
                    left += 1;
                }
            }
            // Those that must wait would be found again and again.
            if (waiting.len() as i64) < CHUNK || left > 0 {
                break;
            }
        }
        self.storage
            .forget_webhooks(self.now() - REMEMBERED)
            .await?;
        Ok(())
    }

    /// `false`: it must be tried again.
    async fn act_on_webhook(&self, request: &Waiting) -> Result<bool, Failure> {
        if request.is_invitation {
            return Ok(self.accept(request).await);
        }
        let events = providers::read(request.provider, &request.body);
        // A request about several people is no report of one of them.
        let raw = (events.len() == 1).then_some(request.body.as_bytes());
        for event in events {
            let whose = self.whose_event(request.provider, &event).await?;
            let fingerprint = &providers::hex_digest(&[
                request.provider.as_str().as_bytes(),
                b"\0",
                event.id.as_bytes(),
            ])[..32];
            let arrival = ReportSource {
                fingerprint,
                channel: InboundChannel::Webhook(request.provider),
                unmatched: None,
                is_again: false,
                raw,
            };
            self.keep_finding(&event.finding, &arrival, whose.as_ref())
                .await?;
        }
        Ok(true)
    }

    /// Says yes to the messages of a topic.
    async fn accept(&self, request: &Waiting) -> bool {
        let Ok(url) = Url::parse(&request.body) else {
            return true;
        };
        match (self.webhooks.fetch.0)(url).await {
            Ok(_) => {
                tracing::info!(
                    "a topic that is in the settings will tell us of bounces and complaints from now on"
                );
                true
            }
            Err(error) if self.now() - request.received_at > INVITED => {
                tracing::warn!(
                    error,
                    "SNS subscription could not be confirmed within two days; request a new confirmation at Amazon"
                );
                true
            }
            Err(error) => {
                tracing::warn!(error, "the invitation to a topic could not be accepted yet");
                false
            }
        }
    }

    /// Returns whose mail an event is about: by what only a mail of ours carries, or else by its address, for the provider has
    /// signed that it sent a mail there for us. An id that is not ours says nothing. A sender that is not ours does: an account
    /// may be shared with other senders. An event about a subscriber that is dropped for that is counted and logged.
    async fn whose_event(
        &self,
        provider: Provider,
        event: &WebhookEvent,
    ) -> Result<Option<MatchedSubscriber>, Failure> {
        if let Some(whose) = self.match_subscriber(&event.clues).await? {
            return Ok(Some(whose));
        }
        let Some(email) = event
            .finding
            .address
            .as_deref()
            .and_then(|address| EmailAddress::parse(address).ok())
        else {
            return Ok(None);
        };
        let Some((subscriber, known)) = self.storage.subscriber_at(&email).await? else {
            return Ok(None);
        };
        let return_path = self.return_path.with("x");
        let ours = [
            self.message_id_host(),
            return_path
                .rsplit_once('@')
                .map_or("", |(_, domain)| domain),
        ];
        let from_us = |domain: &String| ours.iter().any(|our| our.eq_ignore_ascii_case(domain));
        if !event.domains.is_empty() && !event.domains.iter().any(from_us) {
            let meaning = event.finding.meaning.as_str();
            metrics::counter!("verdicts_webhook_events_dropped_total", "provider" => provider.as_str(), "reason" => "other_sender")
                .increment(1);
            tracing::warn!(
                %provider, email = email.masked(), meaning, sender = event.domains.join(", "),
                "an event about a subscriber was dropped: its mail was sent from a domain that is neither that of mail.from nor of mail.return_path"
            );
            return Ok(None);
        }
        Ok(Some(MatchedSubscriber {
            subscriber,
            email: known,
            mailing: None,
            proof: MatchProof::Mail,
        }))
    }
}
