//! The simulation's ledger: what storage would do with what the dispatcher asks for.

use super::*;

/// Digest mails reserved at once of a day, and transactional ones.
const RESERVED: [u64; 2] = [5, 50];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SimMail {
    /// Due at that time; in no sender's hands.
    Queued(Duration),
    Claimed,
    Sending,
    Final,
}

#[derive(Debug)]
pub(super) struct SimRow {
    pub state: SimMail,
    pub batch: Option<BatchKey>,
    pub domain: usize,
    pub attempts: u32,
    /// Mails that the reader may have.
    pub copies: u32,
    pub doubts: u32,
    /// Refused, or the reader left.
    pub is_off: bool,
    pub due: Duration,
}

impl SimRow {
    pub fn new(due: Duration, domain: usize, attempts: u32) -> Self {
        Self {
            state: SimMail::Queued(due),
            batch: None,
            domain,
            attempts,
            copies: 0,
            doubts: 0,
            is_off: false,
            due,
        }
    }

    pub fn is_free(&self, at: Duration) -> bool {
        self.batch.is_none() && matches!(self.state, SimMail::Queued(due) if due <= at)
    }
}

impl World {
    pub(super) fn row(&mut self, key: DeliveryKey) -> &mut SimRow {
        self.rows
            .get_mut(&(key.mailing, key.subscriber))
            .expect("a row")
    }

    /// The first doubt is sent again, the second one held.
    pub(super) fn doubted(&mut self, key: DeliveryKey, again: Timestamp) -> DeliveryUpdate {
        DeliveryUpdate::Doubted((self.row(key).doubts == 0).then_some(again))
    }

    pub(super) fn settle(&mut self, job: &Job, batch: BatchKey, is_in_doubt: bool) {
        let now = self.now().wall;
        let step = if is_in_doubt {
            self.doubted(job.key, now + TimeDelta::seconds(1))
        } else {
            DeliveryUpdate::Again(now)
        };
        let done = vec![Finished {
            key: job.key,
            step,
            reply: "settled".into(),
        }];
        self.commit(CommitGroup {
            done,
            batches: vec![batch],
            ..CommitGroup::default()
        });
    }

    pub(super) fn write(&mut self, group: &CommitGroup) -> Vec<bool> {
        for done in &group.done {
            let (at, wall) = (self.at, self.now().wall);
            let row = self.row(done.key);
            // A worker that broke down may have had a mail that was never marked.
            let is_known = row.state == SimMail::Sending
                || row.state == SimMail::Claimed && done.reply == "settled";
            row.doubts += u32::from(matches!(done.step, DeliveryUpdate::Doubted(_)));
            row.is_off |= matches!(done.step, DeliveryUpdate::Failed);
            let was_final = row.state == SimMail::Final;
            row.state = match done.step {
                _ if was_final => SimMail::Final,
                DeliveryUpdate::Again(due) | DeliveryUpdate::Doubted(Some(due)) => {
                    SimMail::Queued(at + (due - wall).to_std().unwrap_or_default())
                }
                _ => SimMail::Final,
            };
            if let SimMail::Queued(due) = row.state {
                row.due = due;
            }
            let is_final = row.state == SimMail::Final && !was_final;
            self.left -= usize::from(is_final);
            self.must(is_known || was_final && done.reply == "settled", || {
                format!("{:?} was not being sent", done.key)
            });
        }
        let mut may_go = Vec::new();
        for begin in &group.begins {
            let leaves = self.random.random_bool(0.003);
            let row = self.row(begin.key);
            let is_claimed = row.state == SimMail::Claimed;
            row.state = if leaves {
                SimMail::Final
            } else {
                SimMail::Sending
            };
            row.is_off |= leaves;
            row.attempts += u32::from(!leaves);
            self.left -= usize::from(leaves);
            self.must(is_claimed, || {
                format!("{:?} is begun and not claimed", begin.key)
            });
            may_go.push(!leaves);
        }
        may_go
    }

    /// The ledger: splits, takes back, and hands out what is due, a batch for each mailing; of a digest retries first, in half of the room.
    pub(super) fn claim(&mut self, request: ClaimRequest) {
        let failure = self.random.random_range(0..200);
        if failure == 0 {
            return self.handle(DispatcherEvent::Claimed {
                jobs: None,
                may_be_more: false,
            });
        }
        for (batch, kept) in &request.split {
            self.release(*batch, kept);
        }
        let unknown = request.known.as_ref().map(|known| {
            self.rows
                .values()
                .filter_map(|row| row.batch)
                .filter(|batch| !known.contains(batch))
                .collect::<Vec<_>>()
        });
        unknown
            .into_iter()
            .flatten()
            .chain(request.ended.iter().copied())
            .for_each(|batch| self.release(batch, &[]));
        let (at, mut batches, mut room) = (self.at, BTreeMap::<i64, Vec<i64>>::new(), request.room);
        let mut take = |wants_retries: bool, limit: usize| {
            for ((mailing, reader), row) in self.rows.iter().filter(|(_, row)| row.is_free(at)) {
                let is_digest = *mailing == DIGEST;
                let taken = batches.entry(*mailing).or_default();
                if taken.contains(reader)
                    || is_digest && (taken.len() >= limit || wants_retries && row.attempts == 0)
                {
                    continue;
                }
                room -= usize::from(is_digest);
                taken.push(*reader);
            }
        };
        take(true, request.room.div_ceil(2));
        take(false, request.room);
        let mut jobs = Vec::new();
        for (mailing, readers) in batches
            .into_iter()
            .filter(|(_, readers)| !readers.is_empty())
        {
            let batch = BatchKey {
                mailing,
                last: readers.iter().max().copied().unwrap_or_default(),
            };
            let kind = if mailing == DIGEST {
                DeliveryKind::Digest
            } else {
                DeliveryKind::Confirmation
            };
            for subscriber in readers {
                let row = self.rows.get_mut(&(mailing, subscriber)).expect("a row");
                (row.state, row.batch) = (SimMail::Claimed, Some(batch));
                let key = DeliveryKey {
                    mailing,
                    subscriber,
                };
                jobs.push(job_of(
                    key,
                    batch,
                    kind,
                    row.attempts,
                    &format!("r@d{}.example", row.domain),
                ));
            }
        }
        if failure == 1 {
            // What it took is taken.
            return self.handle(DispatcherEvent::Claimed {
                jobs: None,
                may_be_more: false,
            });
        }
        let may_be_more = request.room > 0 && room == 0;
        self.handle(DispatcherEvent::Claimed {
            jobs: Some(jobs),
            may_be_more,
        });
    }

    /// A batch goes back but for those mails, which are batches of their own from then on.
    fn release(&mut self, batch: BatchKey, kept: &[i64]) {
        let (mut wrong, at) = (None, self.at);
        for ((mailing, reader), row) in self
            .rows
            .iter_mut()
            .filter(|(_, row)| row.batch == Some(batch))
        {
            if kept.contains(reader) {
                row.batch = Some(BatchKey {
                    mailing: *mailing,
                    last: *reader,
                });
                continue;
            }
            row.batch = None;
            match row.state {
                SimMail::Claimed => (row.state, row.due) = (SimMail::Queued(at), at),
                SimMail::Sending => wrong = Some(*reader),
                SimMail::Queued(due) => row.due = due.max(at),
                SimMail::Final => {}
            }
        }
        self.must(wrong.is_none(), || {
            format!("{wrong:?} of {batch:?} is with a worker and goes back")
        });
    }

    /// The lease is given up, and all that was claimed with it.
    pub(super) fn give_back_all(&mut self) {
        let at = self.at;
        for row in self.rows.values_mut() {
            row.batch = None;
            if let SimMail::Claimed | SimMail::Queued(_) = row.state {
                let due = if let SimMail::Queued(due) = row.state {
                    due
                } else {
                    at
                };
                (row.state, row.due) = (SimMail::Queued(due), due.max(at));
            }
        }
    }

    /// All processes together get no more of a relay's day than there is; now and then it is not known.
    pub(super) fn reserve(&mut self, relay: usize, class: MailClass, day: i64) {
        let is_first = day == day_of(self.start.wall);
        let wanted = RESERVED[usize::from(class == MailClass::Digest)];
        let state = &mut self.relays[relay];
        let reserved = state.reserved.entry(day).or_default();
        let allowed = if is_first { state.first_day } else { u64::MAX };
        let taken = if self.random.random_bool(0.05) {
            Err(())
        } else {
            Ok(Some(wanted.min(allowed.saturating_sub(*reserved))))
        };
        *reserved += taken.ok().flatten().unwrap_or(0);
        self.handle(DispatcherEvent::Reserved {
            relay,
            class,
            day,
            taken,
        });
    }
}
