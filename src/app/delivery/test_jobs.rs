//! Mails for the tests of this room.

use std::sync::Arc;

use crate::domain::delivery::BatchKey;
use crate::domain::delivery::DeliveryKey;
use crate::domain::delivery::DeliveryKind;
use crate::domain::from_millis;
use crate::storage::ledger::Job;

/// A digest's mail to a reader of that domain, tried so often before.
pub fn digest_to(subscriber: i64, domain: &str, attempts: u32) -> Arc<Job> {
    let key = DeliveryKey {
        mailing: 7,
        subscriber,
    };
    let chunk = BatchKey {
        mailing: 7,
        last: (subscriber / 1_000 + 1) * 1_000,
    };
    Arc::new(job_of(
        key,
        chunk,
        DeliveryKind::Digest,
        attempts,
        &format!("r{subscriber}@{domain}"),
    ))
}

/// A confirmation mail.
pub fn transactional(mailing: i64) -> Arc<Job> {
    let key = DeliveryKey {
        mailing,
        subscriber: mailing,
    };
    Arc::new(job_of(
        key,
        BatchKey {
            mailing,
            last: mailing,
        },
        DeliveryKind::Confirmation,
        0,
        &format!("new{mailing}@a.example"),
    ))
}

/// Any mail.
pub fn job_of(
    key: DeliveryKey,
    chunk: BatchKey,
    kind: DeliveryKind,
    attempts: u32,
    email: &str,
) -> Job {
    let epoch = from_millis(0);
    Job {
        key,
        batch: chunk,
        kind,
        attempts,
        queued_at: epoch,
        first_at: None,
        waited: chrono::TimeDelta::zero(),
        variant: None,
        version: 0,
        token_id: None,
        email: email.into(),
        since: epoch,
    }
}
