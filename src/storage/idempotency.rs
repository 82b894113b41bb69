//! Idempotency keys (draft-ietf-httpapi-idempotency-key-header): a request that is repeated under its key is done once, and its answer
//! is given again.

use super::Storage;
use super::StorageError;
use crate::domain::Timestamp;

/// Result of looking a key up before its request is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyClaim {
    /// It is new, and now held by this request.
    Claimed,
    /// The request was done: this is its answer.
    Answered(KeptAnswer),
    /// The request is at work.
    InProgress,
    /// The key belongs to another request.
    OtherRequest,
}

/// An answer that is given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Status.
    pub status: u16,
    /// Headers, as a JSON object.
    pub headers: String,
    /// Body, encrypted.
    pub body: String,
}

impl Storage {
    /// Claims a key for a request. A claim of before `stale` whose request never ended is taken over: its process is gone.
    pub async fn claim_idempotency_key(
        &self,
        token: i64,
        key: &str,
        request_sha256: &str,
        stale: Timestamp,
        now: Timestamp,
    ) -> Result<KeyClaim, StorageError> {
        let mut tx = self.begin().await?;
        let inserted = execute!(
            tx,
            "insert into idempotency_keys (token_id, key, request_sha256, created_at) values ($1, $2, $3, $4) on conflict (token_id, key) do nothing",
            token,
            key,
            request_sha256,
            now.timestamp_millis()
        )?;
        if inserted > 0 {
            tx.commit().await?;
            return Ok(KeyClaim::Claimed);
        }
        type KnownKeyRow = (String, Option<i64>, Option<String>, Option<String>);
        let known: Option<KnownKeyRow> = optional!(
            tx,
            "select request_sha256, status, headers, body from idempotency_keys where token_id = $1 and key = $2",
            token,
            key
        )?;
        match known {
            Some((known, ..)) if known != request_sha256 => Ok(KeyClaim::OtherRequest),
            Some((_, Some(status), headers, body)) => Ok(KeyClaim::Answered(KeptAnswer {
                status: u16::try_from(status).unwrap_or(500),
                headers: headers.unwrap_or_default(),
                body: body.unwrap_or_default(),
            })),
            _ => {
                let taken = execute!(
                    tx,
                    "update idempotency_keys set created_at = $4 where token_id = $1 and key = $2 and status is null and created_at <= $3",
                    token,
                    key,
                    stale.timestamp_millis(),
                    now.timestamp_millis()
                )?;
                tx.commit().await?;
                Ok(match taken {
                    0 => KeyClaim::InProgress,
                    _ => KeyClaim::Claimed,
                })
            }
        }
    }

    /// Keeps the answer of a request under its key. `about`: the subscriber whom it is about.
    pub async fn keep_answer(
        &self,
        token: i64,
        key: &str,
        answer: &KeptAnswer,
        about: Option<i64>,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update idempotency_keys set status = $3, headers = $4, body = $5, subscriber_id = $6 where token_id = $1 and key = $2",
            token,
            key,
            i64::from(answer.status),
            answer.headers.as_str(),
            answer.body.as_str(),
            about
        )?;
        Ok(tx.commit().await?)
    }

    /// Gives a key back whose request failed on our side, so that it can be tried again.
    pub async fn release_idempotency_key(&self, token: i64, key: &str) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "delete from idempotency_keys where token_id = $1 and key = $2",
            token,
            key
        )?;
        Ok(tx.commit().await?)
    }

    /// Forgets answers of before that time.
    pub async fn forget_answers(&self, before: Timestamp) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        let gone = execute!(
            tx,
            "delete from idempotency_keys where created_at < $1",
            before.timestamp_millis()
        )?;
        tx.commit().await?;
        Ok(gone)
    }
}
