//! Requests that are repeated under one key: done once, answered twice.

use chrono::TimeDelta;

use super::App;
use super::Failure;
use crate::domain::Timestamp;
use crate::domain::sealed_text::NONCE;
use crate::domain::sealed_text::open_text;
use crate::domain::sealed_text::seal_text;
use crate::storage::idempotency::KeptAnswer;
use crate::storage::idempotency::KeyClaim;

/// Time for which an answer is kept.
const KEPT: TimeDelta = TimeDelta::hours(24);
/// Time after which a request that never ended is taken for lost: longer than any may last.
const STALE: TimeDelta = TimeDelta::minutes(20);

/// A request with an idempotency key.
#[derive(Debug, Clone)]
pub struct KeyedRequest {
    /// The token that it came with.
    pub token: i64,
    /// The key.
    pub key: String,
    /// SHA-256 of method, path and body.
    pub request_sha256: String,
}

impl App {
    fn answer_key(&self, request: &KeyedRequest) -> Vec<[u8; 20]> {
        self.secrets.keys_of(
            "kept answer",
            &format!("{}\0{}", request.token, request.key),
        )
    }

    /// Claims the key of a request; an answer that was kept has its body decrypted.
    pub async fn claim_key(&self, request: &KeyedRequest) -> Result<KeyClaim, Failure> {
        let now = self.now();
        let claim = self
            .storage
            .claim_idempotency_key(
                request.token,
                &request.key,
                &request.request_sha256,
                now - STALE,
                now,
            )
            .await?;
        let KeyClaim::Answered(answer) = claim else {
            return Ok(claim);
        };
        let keys = self.answer_key(request);
        let body = keys.iter().find_map(|key| open_text(key, &answer.body));
        // site.secret was replaced meanwhile: the answer is lost, and doing it again would be doing it twice.
        let body = body.ok_or_else(|| {
            Failure::conflict("That request was done, and its answer can no longer be read.")
        })?;
        Ok(KeyClaim::Answered(KeptAnswer { body, ..answer }))
    }

    /// Keeps an answer. `about`: the subscriber whom it is about.
    pub async fn keep_answer(
        &self,
        request: &KeyedRequest,
        answer: KeptAnswer,
        about: Option<i64>,
    ) -> Result<(), Failure> {
        let nonce: [u8; NONCE] = rand::random();
        let keys = self.answer_key(request);
        let sealed = keys
            .first()
            .and_then(|key| seal_text(key, nonce, &answer.body))
            .ok_or_else(|| Failure::internal("An answer could not be encrypted."))?;
        let answer = KeptAnswer {
            body: sealed,
            ..answer
        };
        Ok(self
            .storage
            .keep_answer(request.token, &request.key, &answer, about)
            .await?)
    }

    /// Gives the key of a request back that failed on our side.
    pub async fn release_key(&self, request: &KeyedRequest) -> Result<(), Failure> {
        Ok(self
            .storage
            .release_idempotency_key(request.token, &request.key)
            .await?)
    }

    /// Forgets answers that are older than a day.
    pub(super) async fn forget_answers(&self, now: Timestamp) -> Result<(), Failure> {
        self.storage.forget_answers(now - KEPT).await?;
        Ok(())
    }
}
