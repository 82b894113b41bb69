//! Requests of providers: kept first, acted on afterwards, each once.

use super::Storage;
use super::StorageError;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::from_millis;
use crate::domain::webhook::Provider;
use crate::domain::webhook::WebhookKind;

/// A request to be kept.
#[derive(Debug, Clone, Copy)]
pub struct StoredRequest<'a> {
    /// Provider that sent it.
    pub provider: Provider,
    /// By what it is known when it is sent again.
    pub id: &'a str,
    /// Of its body: another body under the same name is not the same request.
    pub digest: &'a str,
    /// True if it is the invitation to a topic, and the body its address.
    pub is_invitation: bool,
    /// Body that is to be acted on.
    pub body: &'a str,
}

/// Result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InsertResult {
    /// It is kept, and waits to be acted on.
    Now,
    /// It was here before.
    Before,
    /// Another one was here before under its name.
    Taken,
}

/// A request that waits to be acted on.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Provider that sent it.
    pub provider: Provider,
    /// Its name.
    pub id: String,
    /// True if it is the invitation to a topic.
    pub is_invitation: bool,
    /// Time at which it came.
    pub received_at: Timestamp,
    /// Body that is to be acted on.
    pub body: String,
}

impl Storage {
    /// Keeps a request, once.
    pub async fn keep_webhook(
        &self,
        request: StoredRequest<'_>,
        now: Timestamp,
    ) -> Result<InsertResult, StorageError> {
        let mut tx = self.begin().await?;
        let kept = execute!(
            tx,
            "insert into webhook_events (provider, id, kind, body_sha256, received_at, body) values ($1, $2, $3, $4, $5, $6)
             on conflict (provider, id) do nothing",
            request.provider.as_str(),
            request.id,
            kind_of(request.is_invitation).as_str(),
            request.digest,
            now.timestamp_millis(),
            request.body
        )?;
        if kept > 0 {
            tx.commit().await?;
            return Ok(InsertResult::Now);
        }
        let known: Option<(String,)> = optional!(
            tx,
            "select body_sha256 from webhook_events where provider = $1 and id = $2",
            request.provider.as_str(),
            request.id
        )?;
        Ok(if known.is_some_and(|(digest,)| digest == request.digest) {
            InsertResult::Before
        } else {
            InsertResult::Taken
        })
    }

    /// The oldest requests that wait, at most `most`.
    pub async fn waiting_webhooks(&self, most: i64) -> Result<Vec<Waiting>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String, String, String, i64, Option<String>)> = all!(
            reader,
            "select provider, id, kind, received_at, body from webhook_events where acted_at is null
             order by received_at, provider, id limit $1",
            most
        )?;
        let waiting = |(provider, id, kind, received_at, body): (
            String,
            String,
            String,
            i64,
            Option<String>,
        )| {
            Ok(Waiting {
                provider: stored(provider.parse())?,
                id,
                is_invitation: stored(kind.parse::<WebhookKind>())?
                    == WebhookKind::SubscriptionConfirmation,
                received_at: from_millis(received_at),
                body: body.unwrap_or_default(),
            })
        };
        rows.into_iter().map(waiting).collect()
    }

    /// Notes that a request was acted on, and forgets what it said.
    pub async fn done_webhook(
        &self,
        provider: Provider,
        id: &str,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update webhook_events set acted_at = $3, body = null where provider = $1 and id = $2 and acted_at is null",
            provider.as_str(),
            id,
            now.timestamp_millis()
        )?;
        Ok(tx.commit().await?)
    }

    /// Forgets that requests were here which were acted on before that moment.
    pub async fn forget_webhooks(&self, before: Timestamp) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        let gone = execute!(
            tx,
            "delete from webhook_events where acted_at < $1",
            before.timestamp_millis()
        )?;
        tx.commit().await?;
        Ok(gone)
    }
}

fn kind_of(is_invitation: bool) -> WebhookKind {
    match is_invitation {
        true => WebhookKind::SubscriptionConfirmation,
        false => WebhookKind::Events,
    }
}
