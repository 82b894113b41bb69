//! Growth: changes of the list are noted with the change, added to their day by the schedule, and never counted from history.
//!
//! Histories of before growth was counted are read once, in ranges of subscribers.

use std::collections::BTreeMap;

use super::Storage;
use super::StorageError;
use super::Tx;
use super::ids;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::from_millis;
use crate::domain::growth::GrowthKind;
use crate::domain::growth::Replay;
use crate::domain::growth::day_at;
use crate::domain::growth::delay_step;
use crate::domain::growth::week_of;
use crate::domain::history::HistoryEvent;
use crate::domain::zone::Zone;

/// Changes by kind, in the order of [`GrowthKind::ALL`].
pub type GrowthCounts = [i64; GrowthKind::ALL.len()];

/// A subscriber before a change.
#[derive(Debug)]
pub(super) struct Standing {
    is_active: bool,
    since: Timestamp,
    source: String,
}

/// A subscriber with the source of their newest consent.
macro_rules! standing {
    ($lock:literal) => {
        concat!(
            "select s.state, s.state_at, s.created_at,
               (select c.source from consents c where c.subscriber_id = s.id order by c.requested_at desc limit 1)
             from subscribers s where s.id = $1",
            $lock
        )
    };
}

/// Reads a subscriber and holds their row, so that the change that follows is that of what was read.
pub(super) async fn standing(tx: &mut Tx, id: i64) -> Result<Option<Standing>, StorageError> {
    let sql = if tx.is_postgres() {
        standing!(" for update of s")
    } else {
        standing!("")
    };
    let row: Option<(String, i64, i64, Option<String>)> = optional!(tx, sql, id)?;
    Ok(row.map(|(state, state_at, created_at, source)| Standing {
        is_active: state == "active",
        // Somebody who was imported has confirmed before they came.
        since: from_millis(state_at.max(created_at)),
        source: source.unwrap_or_default(),
    }))
}

/// Notes that somebody left, if they were on the list.
pub(super) async fn left(
    tx: &mut Tx,
    standing: Option<&Standing>,
    kind: GrowthKind,
    now: Timestamp,
) -> Result<(), StorageError> {
    match standing {
        Some(standing) if standing.is_active => {
            note(tx, kind, &standing.source, Some(standing.since), 1, now).await
        }
        _ => Ok(()),
    }
}

/// Notes a change. `since`: of somebody who leaves, since when they were on the list; of somebody who confirms, when they asked.
pub(super) async fn note(
    tx: &mut Tx,
    kind: GrowthKind,
    source: &str,
    since: Option<Timestamp>,
    times: i64,
    now: Timestamp,
) -> Result<(), StorageError> {
    execute!(
        tx,
        "insert into growth_events (id, at, source, kind, times, since) values ($1, $2, $3, $4, $5, $6)",
        ids::fresh(now),
        now.timestamp_millis(),
        source,
        kind.as_str(),
        times,
        since.map(|at| at.timestamp_millis())
    )?;
    Ok(())
}

/// Figures to be added, in one order for all who write.
#[derive(Debug, Default)]
struct GrowthSums {
    days: BTreeMap<(i64, String), GrowthCounts>,
    cohorts: BTreeMap<(i64, i64), i64>,
    delays: BTreeMap<(i64, i64), i64>,
}

impl GrowthSums {
    fn add(
        &mut self,
        zone: &Zone,
        (at, kind): (Timestamp, GrowthKind),
        source: &str,
        since: Option<Timestamp>,
        times: i64,
    ) {
        let day = day_at(at, zone);
        let counts = self.days.entry((day, source.to_owned())).or_default();
        counts[kind as usize] += times;
        match since {
            Some(since) if kind.is_loss() => {
                let weeks = (week_of(day_at(since, zone)), week_of(day));
                *self.cohorts.entry(weeks).or_default() += times;
            }
            Some(asked) if kind == GrowthKind::Confirmed => {
                *self
                    .delays
                    .entry((day, delay_step(at - asked)))
                    .or_default() += times;
            }
            _ => {}
        }
    }

    async fn write(&self, tx: &mut Tx) -> Result<(), StorageError> {
        for (
            (day, source),
            [
                joined,
                confirmed,
                imported,
                link,
                mail,
                operator,
                bounced,
                complained,
                erased,
            ],
        ) in &self.days
        {
            execute!(
                tx,
                "insert into growth_days (day, source, joined, confirmed, imported, left_by_link, left_by_mail, left_by_operator, bounced,
                   complained, erased) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                 on conflict (day, source) do update set joined = growth_days.joined + excluded.joined,
                   confirmed = growth_days.confirmed + excluded.confirmed, imported = growth_days.imported + excluded.imported,
                   left_by_link = growth_days.left_by_link + excluded.left_by_link, left_by_mail = growth_days.left_by_mail + excluded.left_by_mail,
                   left_by_operator = growth_days.left_by_operator + excluded.left_by_operator, bounced = growth_days.bounced + excluded.bounced,
                   complained = growth_days.complained + excluded.complained, erased = growth_days.erased + excluded.erased",
                day,
                source.as_str(),
                joined,
                confirmed,
                imported,
                link,
                mail,
                operator,
                bounced,
                complained,
                erased
            )?;
        }
        for ((joined, left), times) in &self.cohorts {
            execute!(
                tx,
                "insert into growth_cohorts (joined_week, left_week, times) values ($1, $2, $3)
                 on conflict (joined_week, left_week) do update set times = growth_cohorts.times + excluded.times",
                joined,
                left,
                times
            )?;
        }
        for ((day, step), times) in &self.delays {
            execute!(
                tx,
                "insert into growth_delays (day, step, times) values ($1, $2, $3)
                 on conflict (day, step) do update set times = growth_delays.times + excluded.times",
                day,
                step,
                times
            )?;
        }
        Ok(())
    }
}

/// Notes from when on changes are noted as they happen: what was before is read from histories, where there is anybody who has one.
pub(super) async fn begin(tx: &mut Tx, now: Timestamp) -> Result<(), StorageError> {
    execute!(
        tx,
        "insert into growth_state (id, since_at, after_id, done_at)
         values (1, $1, $2, case when (select max(id) from subscribers) is null then cast($1 as bigint) end) on conflict (id) do nothing",
        now.timestamp_millis(),
        i64::MIN
    )?;
    Ok(())
}

impl Storage {
    /// Adds up to `count` noted changes to their days; answers how many there were. Whoever deletes a row adds it, so two processes that do
    /// it at once count each once.
    pub async fn fold_growth(&self, zone: &Zone, count: i64) -> Result<u64, StorageError> {
        repeated!(self.fold_growth_once(zone, count))
    }

    async fn fold_growth_once(&self, zone: &Zone, count: i64) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        let rows: Vec<(i64, String, String, i64, Option<i64>)> = all!(
            tx,
            "delete from growth_events where id in (select id from growth_events order by id limit $1) returning at, source, kind, times, since",
            count
        )?;
        let mut sums = GrowthSums::default();
        for (at, source, kind, times, since) in &rows {
            let kind = stored(kind.parse())?;
            let since = since.map(from_millis);
            sums.add(zone, (from_millis(*at), kind), source, since, *times);
        }
        sums.write(&mut tx).await?;
        tx.commit().await?;
        Ok(rows.len() as u64)
    }

    /// Reads the histories of the next `count` subscribers who were there before growth was counted. `false`: all are read.
    pub async fn backfill_growth(&self, zone: &Zone, count: i64) -> Result<bool, StorageError> {
        repeated!(self.backfill_growth_once(zone, count))
    }

    async fn backfill_growth_once(&self, zone: &Zone, count: i64) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let state: Option<(i64, i64)> = optional!(
            tx,
            "update growth_state set after_id = after_id where id = 1 and done_at is null returning since_at, after_id"
        )?;
        let Some((since, after)) = state else {
            return Ok(false);
        };
        let people: Vec<(i64, String, i64, i64)> = all!(
            tx,
            "select id, state, state_at, created_at from subscribers where id > $1 order by id limit $2",
            after,
            count
        )?;
        let Some((last, ..)) = people.last() else {
            execute!(
                tx,
                "update growth_state set done_at = since_at where id = 1"
            )?;
            tx.commit().await?;
            return Ok(false);
        };
        let events: Vec<(i64, i64, String, String)> = all!(
            tx,
            "select subscriber_id, at, code, parameters from history where subscriber_id > $1 and subscriber_id <= $2 and at < $3
               and code in ('signed_up', 'confirmed', 'imported', 'unsubscribed', 'bounced', 'complained') order by subscriber_id, at, code, parameters",
            after,
            last,
            since
        )?;
        let mut sums = GrowthSums::default();
        let mut events = events.into_iter().peekable();
        for (id, state, state_at, created_at) in &people {
            let mut replay = Replay::default();
            while let Some((_, at, code, parameters)) = events.next_if(|event| event.0 == *id) {
                replay.read(
                    from_millis(at),
                    &HistoryEvent::from_stored(&code, &parameters)?,
                );
            }
            if *created_at >= since {
                continue;
            }
            // Somebody who changed since is as the changes that are noted found them.
            let was_active = match (*state_at < since, state.as_str()) {
                (true, state) => state == "active",
                (false, _) => replay.is_active(),
            };
            let state_at = (*state_at).max(*created_at).min(since - 1);
            for change in replay.finish(was_active, from_millis(state_at)) {
                sums.add(
                    zone,
                    (change.at, change.kind),
                    &change.source,
                    change.since,
                    1,
                );
            }
        }
        sums.write(&mut tx).await?;
        execute!(
            tx,
            "update growth_state set after_id = $1 where id = 1",
            last
        )?;
        tx.commit().await?;
        Ok(true)
    }

    /// Returns whether all histories of before growth was counted are read.
    pub async fn is_growth_complete(&self) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(Option<i64>,)> =
            optional!(reader, "select done_at from growth_state where id = 1")?;
        Ok(row.is_some_and(|(done_at,)| done_at.is_some()))
    }
}
