//! Changes of many subscribers, chosen one by one or by a filter. Whoever is skipped is listed with the reason.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tempfile::NamedTempFile;

use super::JobOutcome;
use super::JobProgress;
use super::unusable;
use crate::app::App;
use crate::app::Failure;
use crate::app::subscribing::spreadsheet::defused;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::job::JobKind;
use crate::domain::subscriber_filter::SubscriberFilter;

/// Subscribers that are read at once.
const PAGE: usize = 200;

/// Change of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkChange {
    /// Pause mail until then.
    Pause(Timestamp),
    /// Unsubscribe.
    Unsubscribe,
    /// Erase.
    Erase,
}

impl BulkChange {
    fn kind(self) -> JobKind {
        match self {
            Self::Pause(_) => JobKind::Pause,
            Self::Unsubscribe => JobKind::Unsubscribe,
            Self::Erase => JobKind::Erase,
        }
    }
}

/// Subscribers that are meant.
#[derive(Debug, Clone)]
pub enum Chosen {
    /// Listed by id.
    These(Vec<i64>),
    /// Everybody whom the filter finds.
    Filter(SubscriberFilter),
}

/// Subscribers that a change skipped, each with the reason.
struct BulkSkips {
    file: csv::Writer<std::fs::File>,
    reasons: BTreeMap<&'static str, u64>,
    done: u64,
}

impl App {
    /// Starts a change of many; returns the job's id.
    pub async fn start_bulk(
        self: &Arc<Self>,
        actor: &Actor,
        change: BulkChange,
        chosen: Chosen,
    ) -> Result<i64, Failure> {
        let input = match &chosen {
            Chosen::These(ids) => serde_json::json!({ "chosen": ids.len() }),
            Chosen::Filter(filter) => serde_json::json!({ "conditions": filter.pairs().len() }),
        };
        let by = actor.clone();
        self.start_job(actor, change.kind(), input, move |app: Arc<App>, progress: Arc<JobProgress>| async move {
            let file = NamedTempFile::new().map_err(unusable)?;
            let mut skips = BulkSkips {
                file: csv::Writer::from_writer(file.reopen().map_err(unusable)?),
                reasons: BTreeMap::new(),
                done: 0,
            };
            skips.file.write_record(["email", "skipped_because"]).map_err(unusable)?;
            app.change_chosen(&by, change, chosen, &progress, &mut skips).await?;
            skips.file.flush().map_err(unusable)?;
            let skipped: u64 = skips.reasons.values().sum();
            let result = serde_json::json!({ "changed": skips.done, "skipped": skipped, "skipped_because": skips.reasons });
            let file = (skipped > 0).then_some((file, "skipped.csv", "text/csv; charset=utf-8"));
            Ok::<_, Failure>(JobOutcome { result, file })
        })
        .await
    }

    async fn change_chosen(
        &self,
        actor: &Actor,
        change: BulkChange,
        chosen: Chosen,
        progress: &JobProgress,
        skips: &mut BulkSkips,
    ) -> Result<(), Failure> {
        let filter = match chosen {
            Chosen::These(ids) => {
                progress.total.store(ids.len() as u64, Relaxed);
                for id in ids {
                    let email = self.storage.address_of(id).await?;
                    self.change_one(
                        actor,
                        change,
                        id,
                        email.as_ref().map(EmailAddress::as_str),
                        progress,
                        skips,
                    )
                    .await?;
                }
                return Ok(());
            }
            Chosen::Filter(filter) => filter,
        };
        progress
            .total
            .store(self.count_all(&filter).await?, Relaxed);
        let (query, mut after) = (self.list_query(&filter), None);
        loop {
            // The place is kept by what the order is by, so it holds although those before it are changed or gone.
            let walk = self.next_subscribers(&query, after, PAGE).await?;
            for found in walk.rows {
                let subscriber = found.listed.subscriber;
                self.change_one(
                    actor,
                    change,
                    subscriber.id,
                    Some(&subscriber.email),
                    progress,
                    skips,
                )
                .await?;
            }
            after = walk.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn change_one(
        &self,
        actor: &Actor,
        change: BulkChange,
        id: i64,
        email: Option<&str>,
        progress: &JobProgress,
        skips: &mut BulkSkips,
    ) -> Result<(), Failure> {
        if progress.is_cancelled() {
            return Err(Failure::conflict("It was cancelled."));
        }
        progress.done.fetch_add(1, Relaxed);
        let address = email.and_then(|email| EmailAddress::parse(email).ok());
        let skipped = match (change, address) {
            (_, None) => Some("was erased meanwhile"),
            (BulkChange::Pause(until), Some(_)) => {
                let paused = self.pause_by_operator(actor, id, Some(until)).await?;
                (!paused).then_some("the subscription is not active")
            }
            (BulkChange::Unsubscribe, Some(_)) => {
                let left = self.unsubscribe_by_operator(actor, id).await?;
                (!left).then_some("the subscription was over")
            }
            (BulkChange::Erase, Some(email)) => {
                self.erase_subscriber(actor, &email).await?;
                None
            }
        };
        match skipped {
            Some(why) => {
                *skips.reasons.entry(why).or_default() += 1;
                let email = defused(email.unwrap_or_default());
                skips.file.write_record([&*email, why]).map_err(unusable)?;
            }
            None => skips.done += 1,
        }
        Ok(())
    }
}
