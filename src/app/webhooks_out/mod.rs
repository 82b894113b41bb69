//! Webhook endpoints: other programs that are told of events by signed requests (Standard Webhooks 1.0.0), and the feed of events for those
//! who cannot listen. This file: making and changing endpoints; `checking`: what is typed; `feed`: the events; `sending`: the requests; [`views`]: endpoints and their log for people.

mod checking;
mod feed;
mod sending;
pub mod views;

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::OnceLock;

use super::App;
use super::Failure;
use crate::config::Settings;
use crate::dial::Resolver;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::secret::Secret;
use crate::domain::webhook_endpoint::DisabledReason;
use crate::domain::webhook_endpoint::EndpointDraft;
use crate::domain::webhook_endpoint::EndpointSeeds;
use crate::domain::webhook_endpoint::ROTATION;
use crate::domain::webhook_endpoint::WebhookEndpoint;
use crate::identity::secret;
use crate::outside::ClientLimits;
use crate::outside::HttpClient;
use crate::outside::guard::Guard;
use crate::outside::guard::PrivateHosts;
use crate::outside::standard_webhooks;
use crate::storage::webhooks_out::deliveries::REPLAYED_MAX;
use crate::storage::webhooks_out::endpoints::ENDPOINTS_MAX;

/// Bytes that are kept of an answer.
const ANSWER_MAX: usize = 1 << 10;

/// Client of a process for webhook endpoints.
pub(crate) struct WebhookSender {
    guard: Guard,
    client: HttpClient,
    /// The same with another way to look names up, once a test has brought one.
    resolving: OnceLock<HttpClient>,
    /// Endpoints that this process sends to just now.
    running: Mutex<HashSet<i64>>,
}

impl WebhookSender {
    /// # Errors
    /// When the settings cannot be used.
    pub(super) fn new(settings: &Settings) -> Result<Self, Failure> {
        let out = &settings.webhooks_out;
        let listed = PrivateHosts::parse(&out.allow_private).map_err(|text| {
            let key = "webhooks_out.allow_private";
            Failure::invalid_field(
                key,
                format!("{key}: expected host names, addresses or networks like \"10.0.0.0/8\", not {text:?}."),
            )
        })?;
        let guard = Guard::Listed(listed);
        let limits = ClientLimits {
            timeout: out.timeout,
            answer_max: ANSWER_MAX,
            is_cut: true,
        };
        let agent = concat!("verdicts/", env!("CARGO_PKG_VERSION"));
        let client =
            HttpClient::with(guard.clone(), None, limits, agent).map_err(Failure::internal)?;
        Ok(Self {
            guard,
            client,
            resolving: OnceLock::new(),
            running: Mutex::default(),
        })
    }

    fn client(&self) -> &HttpClient {
        self.resolving.get().unwrap_or(&self.client)
    }
}

/// What is typed of an endpoint, not checked yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct TypedEndpoint {
    /// Name, for people.
    pub name: String,
    /// Address.
    pub url: String,
    /// Kinds of events.
    pub kinds: Vec<String>,
    /// True if events are to come strictly in their order.
    pub ordered: bool,
    /// True if events are to carry addresses.
    pub personal: bool,
    /// True if requests are to be signed by ed25519 too.
    pub ed25519: bool,
}

impl From<&EndpointDraft> for TypedEndpoint {
    fn from(draft: &EndpointDraft) -> Self {
        Self {
            name: draft.name.clone(),
            url: draft.url.clone(),
            kinds: draft
                .kinds
                .iter()
                .map(|kind| kind.as_str().to_owned())
                .collect(),
            ordered: draft.ordered,
            personal: draft.personal,
            ed25519: draft.ed25519,
        }
    }
}

/// Events to be sent once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayRange {
    /// One, by its id.
    One(String),
    /// All that the endpoint takes from one time to another, both included.
    Between(Timestamp, Timestamp),
}

impl App {
    /// Looks names of endpoints up in another way; for tests, which have no name servers.
    pub fn resolve_webhooks_by(&self, resolver: Resolver) {
        let client = self.hooks.client.clone().resolving_by(resolver);
        let _ = self.hooks.resolving.set(client);
    }

    /// The opaque id of an endpoint.
    pub fn webhook_name(&self, endpoint: i64) -> String {
        self.secrets.webhook_endpoint_name(endpoint)
    }

    /// The endpoint that a name names: its opaque id, or what it is called where only one is called so.
    ///
    /// # Errors
    /// Not found, where there is none.
    pub async fn webhook_endpoint(&self, name: &str) -> Result<WebhookEndpoint, Failure> {
        let found = match self.secrets.webhook_endpoint_named(name) {
            Some(id) => self.storage.webhook_endpoint(id).await?,
            None => {
                let mut all = self.storage.webhook_endpoints().await?;
                all.retain(|endpoint| endpoint.draft.name == name);
                all.pop().filter(|_| all.is_empty())
            }
        };
        found.ok_or_else(|| {
            Failure::not_found(format!(
                "There is no webhook endpoint {name:?}. `verdicts webhooks list` names them."
            ))
        })
    }

    /// The endpoint with that opaque id.
    pub async fn webhook_endpoint_by_id(
        &self,
        id: &str,
    ) -> Result<Option<WebhookEndpoint>, Failure> {
        match self.secrets.webhook_endpoint_named(id) {
            Some(id) => Ok(self.storage.webhook_endpoint(id).await?),
            None => Ok(None),
        }
    }

    /// Adds an endpoint; returns it with its secret, which is shown this once.
    ///
    /// # Errors
    /// Invalid, by the field at fault; a conflict, if there are as many as there may be.
    pub async fn add_webhook_endpoint(
        &self,
        actor: &Actor,
        typed: &TypedEndpoint,
    ) -> Result<(WebhookEndpoint, Secret), Failure> {
        let draft = self.checked_endpoint(typed)?;
        let seeds = EndpointSeeds {
            secret: secret::token(),
            previous_secret: None,
            key: draft.ed25519.then(secret::token),
            previous_key: None,
        };
        let added = self
            .storage
            .add_webhook_endpoint(actor, &draft, &seeds, self.now())
            .await?;
        let id = added.ok_or_else(|| {
            Failure::conflict(format!(
                "There are {ENDPOINTS_MAX} webhook endpoints already. Remove one that is not needed."
            ))
        })?;
        tracing::info!(endpoint = self.webhook_name(id), "webhook endpoint added");
        self.with_secret(id).await
    }

    /// Changes an endpoint.
    ///
    /// # Errors
    /// Invalid, by the field at fault; not found.
    pub async fn change_webhook_endpoint(
        &self,
        actor: &Actor,
        endpoint: &WebhookEndpoint,
        typed: &TypedEndpoint,
    ) -> Result<WebhookEndpoint, Failure> {
        let draft = self.checked_endpoint(typed)?;
        let kept = endpoint.seeds.key.clone();
        let key = draft.ed25519.then(|| kept.unwrap_or_else(secret::token));
        let changed = self
            .storage
            .change_webhook_endpoint(actor, endpoint.id, &draft, key.as_deref(), self.now())
            .await?;
        match changed {
            true => self.known_endpoint(endpoint.id).await,
            false => Err(gone()),
        }
    }

    /// Gives an endpoint another secret, and another key if it has one; those of before sign too for 24 hours.
    ///
    /// # Errors
    /// Not found.
    pub async fn rotate_webhook_secret(
        &self,
        actor: &Actor,
        endpoint: &WebhookEndpoint,
    ) -> Result<(WebhookEndpoint, Secret), Failure> {
        let (seed, now) = (secret::token(), self.now());
        let key = endpoint.draft.ed25519.then(secret::token);
        let rotated = self
            .storage
            .rotate_webhook_secret(
                actor,
                endpoint.id,
                (&seed, key.as_deref()),
                now + ROTATION,
                now,
            )
            .await?;
        match rotated {
            true => self.with_secret(endpoint.id).await,
            false => Err(gone()),
        }
    }

    /// Disables an endpoint: it gets nothing until it is enabled. `false` if it is disabled already.
    pub async fn disable_webhook_endpoint(
        &self,
        actor: &Actor,
        endpoint: &WebhookEndpoint,
    ) -> Result<bool, Failure> {
        let why = DisabledReason::Operator;
        let (id, now) = (endpoint.id, self.now());
        Ok(self
            .storage
            .disable_webhook_endpoint(actor, id, why, now)
            .await?)
    }

    /// Enables an endpoint again; `false` if it is enabled already.
    pub async fn enable_webhook_endpoint(
        &self,
        actor: &Actor,
        endpoint: &WebhookEndpoint,
    ) -> Result<bool, Failure> {
        let now = self.now();
        Ok(self
            .storage
            .enable_webhook_endpoint(actor, endpoint.id, now)
            .await?)
    }

    /// Removes an endpoint with its log.
    pub async fn remove_webhook_endpoint(
        &self,
        actor: &Actor,
        endpoint: &WebhookEndpoint,
    ) -> Result<(), Failure> {
        let now = self.now();
        match self
            .storage
            .remove_webhook_endpoint(actor, endpoint.id, now)
            .await?
        {
            true => Ok(()),
            false => Err(gone()),
        }
    }

    /// Queues events to be sent to an endpoint once more, with the same ids, also while it is disabled; answers how many.
    ///
    /// # Errors
    /// Not found, for an event that is not kept; invalid, for times in the wrong order.
    pub async fn replay_webhooks(
        &self,
        actor: &Actor,
        endpoint: &WebhookEndpoint,
        range: &ReplayRange,
    ) -> Result<u64, Failure> {
        let now = self.now();
        let asked = match range {
            ReplayRange::One(event) => (Some(event.as_str()), now, now),
            ReplayRange::Between(from, to) if from > to => {
                return Err(Failure::invalid_field(
                    "to",
                    "The end of the range is before its start.",
                ));
            }
            ReplayRange::Between(from, to) => (None, *from, *to),
        };
        let queued = self
            .storage
            .replay_webhooks(actor, endpoint, asked, now)
            .await?;
        match (queued, range) {
            (0, ReplayRange::One(event)) if self.storage.event(event).await?.is_none() => {
                Err(Failure::not_found(format!(
                    "There is no event {event:?}; events are kept for webhooks_out.keep."
                )))
            }
            (queued, _) if queued >= REPLAYED_MAX.unsigned_abs() => {
                tracing::info!(queued, "a replay was cut at its upper bound");
                Ok(queued)
            }
            (queued, _) => Ok(queued),
        }
    }

    async fn known_endpoint(&self, id: i64) -> Result<WebhookEndpoint, Failure> {
        self.storage.webhook_endpoint(id).await?.ok_or_else(gone)
    }

    async fn with_secret(&self, id: i64) -> Result<(WebhookEndpoint, Secret), Failure> {
        let endpoint = self.known_endpoint(id).await?;
        let drawn = self.secrets.long_keys_of(SECRET, &endpoint.seeds.secret);
        let secret = drawn.first().map(standard_webhooks::secret_text);
        let secret = secret.ok_or_else(|| Failure::internal("There is no site.secret."))?;
        Ok((endpoint, secret))
    }
}

/// Uses for which secrets are drawn from the seeds.
const SECRET: &str = "webhook";
const KEY: &str = "webhook ed25519";

fn gone() -> Failure {
    Failure::not_found("The webhook endpoint is gone.")
}
