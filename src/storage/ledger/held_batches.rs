//! Batches that a sender has, changed while it has them: split around mails that take long, and read once more.

use std::collections::HashSet;

use crate::domain::Timestamp;
use crate::domain::delivery::BatchKey;
use crate::storage::Storage;
use crate::storage::StorageError;
use crate::storage::Tx;
use crate::storage::ledger::Job;
use crate::storage::ledger::batches::DeliveryBatch;
use crate::storage::ledger::returned_batches::release;

impl Storage {
    /// Splits a batch of this sender: the mails to the readers in `kept` become batches of their own, which stay with it, and the rest goes
    /// back as a batch does that has ended. Nothing of the rest may be in the sender's hands. Doing it twice is doing it once.
    pub async fn split_batch(
        &self,
        sender: i64,
        batch: BatchKey,
        kept: &[i64],
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        if !crate::storage::ledger::senders::holds_lease(&mut tx, sender).await? {
            return Ok(());
        }
        let found: Option<(i64,)> = optional!(
            tx,
            "select first_id from delivery_batches where mailing_id = $1 and last_id = $2 and sender_id = $3",
            batch.mailing,
            batch.last,
            sender
        )?;
        let Some((mut first,)) = found else {
            return Ok(());
        };
        let mut kept: Vec<i64> = kept
            .iter()
            .copied()
            .filter(|reader| (first..=batch.last).contains(reader))
            .collect();
        kept.sort_unstable();
        let (mut returned, mut last_is_kept) = (Vec::new(), false);
        for reader in kept {
            if first < reader {
                returned.push(cut_front(&mut tx, sender, batch, reader - 1).await?);
            }
            last_is_kept = reader == batch.last;
            if !last_is_kept {
                cut_front(&mut tx, sender, batch, reader).await?;
                first = reader + 1;
            }
        }
        if !last_is_kept {
            returned.push(batch);
        }
        for batch in returned {
            release(&mut tx, sender, batch, now).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Gives back what this sender has by the ledger and not by its own account (`known`): batches whose claim was committed while its answer was
    /// lost on the way. Answers how many.
    pub async fn give_back_unknown(
        &self,
        sender: i64,
        known: &[BatchKey],
        now: Timestamp,
    ) -> Result<usize, StorageError> {
        let mut tx = self.begin().await?;
        if !crate::storage::ledger::senders::holds_lease(&mut tx, sender).await? {
            return Ok(0);
        }
        let known: HashSet<(i64, i64)> = known.iter().map(|key| (key.mailing, key.last)).collect();
        let held: Vec<(i64, i64)> = all!(
            tx,
            "select mailing_id, last_id from delivery_batches where sender_id = $1 order by mailing_id, last_id",
            sender
        )?;
        let unknown: Vec<_> = held
            .into_iter()
            .filter(|key| !known.contains(key))
            .collect();
        for (mailing, last) in &unknown {
            release(
                &mut tx,
                sender,
                BatchKey {
                    mailing: *mailing,
                    last: *last,
                },
                now,
            )
            .await?;
        }
        tx.commit().await?;
        Ok(unknown.len())
    }

    /// Reads once more what is due in a batch that this sender has.
    pub async fn reopen_batch(
        &self,
        sender: i64,
        batch: BatchKey,
        now: Timestamp,
    ) -> Result<Vec<Job>, StorageError> {
        let found: Option<(i64,)> = optional!(
            self.read().await?,
            "select first_id from delivery_batches where mailing_id = $1 and last_id = $2 and sender_id = $3",
            batch.mailing,
            batch.last,
            sender
        )?;
        let Some((first,)) = found else {
            return Ok(Vec::new());
        };
        self.open_chunk(sender, DeliveryBatch { key: batch, first }, now)
            .await
    }
}

/// Makes the front of a batch, up to the reader `last`, a batch of its own; answers its name.
async fn cut_front(
    tx: &mut Tx,
    sender: i64,
    batch: BatchKey,
    last: i64,
) -> Result<BatchKey, StorageError> {
    execute!(
        tx,
        "insert into delivery_batches (mailing_id, first_id, last_id, class, due_at, sender_id, is_split, last_due_at)
         select mailing_id, first_id, $3, class, due_at, $4, 1, last_due_at from delivery_batches where mailing_id = $1 and last_id = $2",
        batch.mailing,
        batch.last,
        last,
        sender
    )?;
    execute!(
        tx,
        "update delivery_batches set first_id = $3 where mailing_id = $1 and last_id = $2",
        batch.mailing,
        batch.last,
        last + 1
    )?;
    Ok(BatchKey {
        mailing: batch.mailing,
        last,
    })
}
