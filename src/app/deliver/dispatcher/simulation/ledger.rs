//! The simulation's ledger: what storage would do with what the dispatcher asks for.

use super::*;

impl World {
    pub(super) fn write(&mut self, group: &CommitGroup) -> Vec<bool> {
        for done in &group.done {
            let (at, wall) = (self.at, self.now().wall);
            let row = self.rows.get_mut(&(done.key.mailing, done.key.subscriber)).expect("a row");
            let was_sending = row.state == Mail::Sending;
            row.state = match done.step {
                Step::Again(due) | Step::Doubted(Some(due)) => Mail::Queued(at + (due - wall).to_std().unwrap_or_default()),
                _ => Mail::Sent,
            };
            self.left -= usize::from(row.state == Mail::Sent);
            self.must(was_sending, || format!("{:?} was not being sent", done.key));
        }
        let mut may_go = Vec::new();
        for begin in &group.begins {
            let row = self.rows.get_mut(&(begin.key.mailing, begin.key.subscriber)).expect("a row");
            let is_claimed = row.state == Mail::Claimed;
            row.state = Mail::Sending;
            row.attempts += 1;
            self.must(is_claimed, || format!("{:?} is begun and not claimed", begin.key));
            may_go.push(true);
        }
        may_go
    }

    /// The ledger: splits, takes back, and hands out what is due, a batch for each mailing.
    pub(super) fn claim(&mut self, request: ClaimRequest) {
        for (batch, kept) in &request.split {
            self.release(*batch, kept);
        }
        request.ended.iter().for_each(|batch| self.release(*batch, &[]));
        let (at, mut batches, mut room) = (self.at, BTreeMap::<i64, Vec<i64>>::new(), request.room);
        for ((mailing, reader), row) in &self.rows {
            let is_due = row.batch.is_none() && matches!(row.state, Mail::Queued(due) if due <= at);
            if is_due && (*mailing != DIGEST || room > 0) {
                room -= usize::from(*mailing == DIGEST);
                batches.entry(*mailing).or_default().push(*reader);
            }
        }
        let mut jobs = Vec::new();
        for (mailing, readers) in batches {
            let batch = ChunkKey { mailing, last: readers.last().copied().unwrap_or_default() };
            let kind = if mailing == DIGEST { DeliveryKind::Digest } else { DeliveryKind::Confirmation };
            for subscriber in readers {
                let row = self.rows.get_mut(&(mailing, subscriber)).expect("a row");
                (row.state, row.batch) = (Mail::Claimed, Some(batch));
                let key = DeliveryKey { mailing, subscriber };
                jobs.push(job_of(key, batch, kind, row.attempts, &format!("r@d{}.example", row.domain)));
            }
        }
        let may_be_more = request.room > 0 && room == 0;
        self.handle(Event::Claimed { jobs: Some(jobs), may_be_more });
    }

    /// A batch goes back but for those mails, which are batches of their own from then on.
    fn release(&mut self, batch: ChunkKey, kept: &[i64]) {
        let mut wrong = None;
        for ((mailing, reader), row) in self.rows.iter_mut().filter(|(_, row)| row.batch == Some(batch)) {
            if kept.contains(reader) {
                row.batch = Some(ChunkKey { mailing: *mailing, last: *reader });
                continue;
            }
            row.batch = None;
            match row.state {
                Mail::Claimed => row.state = Mail::Queued(Duration::ZERO),
                Mail::Sending => wrong = Some(*reader),
                Mail::Queued(_) | Mail::Sent => {}
            }
        }
        self.must(wrong.is_none(), || format!("{wrong:?} of {batch:?} is with a worker and goes back"));
    }
}
