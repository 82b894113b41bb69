//! Preferences of readers, and the change of an address.

use chrono::TimeDelta;

use super::Storage;
use super::StorageError;
use super::history::history;
use super::quotas;
use super::quotas::MailQuotas;
use super::stored;
use super::transactional::queue;
use super::transactional::was_queued_since;
use crate::domain::Timestamp;
use crate::domain::address::EmailAddress;
use crate::domain::catalogue::category_key;
use crate::domain::delivery::DeliveryKind;
use crate::domain::from_millis;
use crate::domain::history::HistoryEvent;
use crate::domain::history::PauseChange;
use crate::domain::reader::LONGEST_PAUSE;
use crate::domain::reader::Preferences;
use crate::domain::zone::ZoneName;

/// Result of a request for the link to one's data. Whoever asks is told only of [`LinkRequested::TooMany`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkRequested {
    /// A mail with it is queued.
    Queued,
    /// There is no such reader, or they had enough such mails.
    NotQueued,
    /// Too many requests from where this one came; the next one is taken after that time.
    TooMany(TimeDelta),
}

/// Result of saving preferences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChoicesSet {
    /// Nothing is other than before.
    Same,
    /// Something is, and the reader was told of a change a short time ago.
    Changed,
    /// Something is, and a mail that tells the reader is queued.
    Told,
    /// The subscription is over.
    Over,
}

impl Storage {
    /// Returns what a reader wants to get; the defaults for who never said.
    pub async fn preferences(&self, subscriber: i64) -> Result<Preferences, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(String, i64, Option<i64>)> = optional!(
            reader,
            "select categories, monthly, paused_until from preferences where subscriber_id = $1",
            subscriber
        )?;
        let Some((categories, monthly, paused_until)) = row else {
            return Ok(Preferences::default());
        };
        let categories = stored(serde_json::from_str(&categories))?;
        Ok(Preferences {
            categories,
            monthly: monthly != 0,
            paused_until: paused_until.map(from_millis),
        })
    }

    /// Writes down what a reader wants to get, with a line in their history, and queues the mail that tells them, at most one that
    /// was queued after `quiet_since`. A pause ends at most [`LONGEST_PAUSE`] after it began, however often it is made longer.
    pub async fn set_preferences(
        &self,
        subscriber: i64,
        wanted: &Preferences,
        quiet_since: Timestamp,
        now: Timestamp,
    ) -> Result<ChoicesSet, StorageError> {
        repeated!(self.set_preferences_once(subscriber, wanted, quiet_since, now))
    }

    async fn set_preferences_once(
        &self,
        subscriber: i64,
        wanted: &Preferences,
        quiet_since: Timestamp,
        now: Timestamp,
    ) -> Result<ChoicesSet, StorageError> {
        let mut tx = self.begin().await?;
        // Takes the row's lock: two presses of one button go one by one.
        if execute!(
            tx,
            "update subscribers set name = name where id = $1 and state = 'active'",
            subscriber
        )? == 0
        {
            return Ok(ChoicesSet::Over);
        }
        let before: Option<(String, i64, Option<i64>, Option<i64>)> = optional!(
            tx,
            "select categories, monthly, paused_until, paused_at from preferences where subscriber_id = $1",
            subscriber
        )?;
        let (categories, monthly, until, since) =
            before.unwrap_or_else(|| (Preferences::default().key(), 0, None, None));
        let running = until.filter(|until| *until > now.timestamp_millis());
        let paused_at = wanted
            .paused_until
            .map(|_| running.and(since).map_or(now, from_millis));
        let paused_until = wanted
            .paused_until
            .zip(paused_at)
            .map(|(until, since)| until.min(since + LONGEST_PAUSE));
        execute!(
            tx,
            "insert into preferences (subscriber_id, categories, monthly, paused_until, paused_at) values ($1, $2, $3, $4, $5)
             on conflict (subscriber_id) do update set categories = excluded.categories, monthly = excluded.monthly,
               paused_until = excluded.paused_until, paused_at = excluded.paused_at",
            subscriber,
            wanted.key(),
            i64::from(wanted.monthly),
            paused_until.map(|at| at.timestamp_millis()),
            paused_at.map(|at| at.timestamp_millis())
        )?;
        let pause = (paused_until.map(|at| at.timestamp_millis()) != until).then_some(paused_until);
        let ended = pause == Some(None) && running.is_none();
        let others = (categories, monthly != 0) != (wanted.key(), wanted.monthly);
        if !others && (pause.is_none() || ended) {
            tx.commit().await?;
            return Ok(ChoicesSet::Same);
        }
        history(
            &mut tx,
            subscriber,
            now,
            &changed(wanted, others, pause.filter(|_| !ended)),
        )
        .await?;
        let told = was_queued_since(
            &mut tx,
            subscriber,
            DeliveryKind::PreferencesChanged,
            quiet_since,
        )
        .await?;
        if !told {
            queue(
                &mut tx,
                subscriber,
                DeliveryKind::PreferencesChanged,
                None,
                now,
            )
            .await?;
        }
        tx.commit().await?;
        Ok(if told {
            ChoicesSet::Changed
        } else {
            ChoicesSet::Told
        })
    }

    /// Sets the time zone in which a reader's digests come, with a line in their history and the mail that tells them, as
    /// [`Storage::set_preferences`].
    pub async fn set_timezone(
        &self,
        subscriber: i64,
        zone: ZoneName,
        quiet_since: Timestamp,
        now: Timestamp,
    ) -> Result<ChoicesSet, StorageError> {
        repeated!(self.set_timezone_once(subscriber, zone, quiet_since, now))
    }

    async fn set_timezone_once(
        &self,
        subscriber: i64,
        zone: ZoneName,
        quiet_since: Timestamp,
        now: Timestamp,
    ) -> Result<ChoicesSet, StorageError> {
        let mut tx = self.begin().await?;
        let changed = execute!(
            tx,
            "update subscribers set timezone = $2 where id = $1 and state = 'active' and (timezone is null or timezone <> $2)",
            subscriber,
            zone.name()
        )?;
        if changed == 0 {
            return Ok(ChoicesSet::Same);
        }
        let event = HistoryEvent::TimezoneChosen {
            zone: zone.name().to_owned(),
        };
        history(&mut tx, subscriber, now, &event).await?;
        let kind = DeliveryKind::PreferencesChanged;
        let told = was_queued_since(&mut tx, subscriber, kind, quiet_since).await?;
        if !told {
            queue(&mut tx, subscriber, kind, None, now).await?;
        }
        tx.commit().await?;
        Ok(if told {
            ChoicesSet::Changed
        } else {
            ChoicesSet::Told
        })
    }

    /// Returns whether there is such a subscriber, whatever their state: not after an erasure.
    pub async fn is_known(&self, subscriber: i64) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(i64,)> = optional!(
            reader,
            "select id from subscribers where id = $1",
            subscriber
        )?;
        Ok(row.is_some())
    }

    /// The categories that there is something of, in order.
    pub async fn categories(&self, now: Timestamp) -> Result<Vec<String>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String,)> = all!(
            reader,
            "select distinct category from tools where published_at <= $1 and category <> '' order by category limit 200",
            now.timestamp_millis()
        )?;
        let mut seen = std::collections::HashSet::new();
        Ok(rows
            .into_iter()
            .map(|(category,)| category)
            .filter(|category| seen.insert(category_key(category)))
            .collect())
    }

    /// Sets the name that somebody wants to be called by; `None` takes the name out. `false`: nobody is there any more.
    pub async fn set_name(
        &self,
        subscriber: i64,
        name: Option<&str>,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let set = execute!(
            tx,
            "update subscribers set name = $2 where id = $1",
            subscriber,
            name
        )?;
        tx.commit().await?;
        Ok(set > 0)
    }

    /// Queues the mail with a fresh link to what is known of a reader, at most one that waits or went out after
    /// `quiet_since`.
    pub async fn queue_account_link(
        &self,
        subscriber: i64,
        quiet_since: Timestamp,
        quotas: &MailQuotas,
        now: Timestamp,
    ) -> Result<LinkRequested, StorageError> {
        let mut tx = self.begin().await?;
        if let Err(wait) =
            quotas::take(&mut tx, quotas.asker.iter().map(|quota| (quota, true)), now).await?
        {
            return Ok(LinkRequested::TooMany(wait));
        }
        // Takes the row's lock: two presses of one button go one by one.
        let known = execute!(
            tx,
            "update subscribers set name = name where id = $1 and state in ('active', 'unsubscribed')",
            subscriber
        )?;
        let recent =
            was_queued_since(&mut tx, subscriber, DeliveryKind::AccountLink, quiet_since).await?;
        let sends = known > 0 && !recent;
        let is_within = quotas::take(
            &mut tx,
            quotas.recipient.iter().map(|quota| (quota, sends)),
            now,
        )
        .await?
        .is_ok();
        if sends && is_within {
            queue(&mut tx, subscriber, DeliveryKind::AccountLink, None, now).await?;
        }
        tx.commit().await?;
        Ok(if sends && is_within {
            LinkRequested::Queued
        } else {
            LinkRequested::NotQueued
        })
    }

    /// The address of a reader, to act on what they ask for.
    pub async fn address_of(&self, subscriber: i64) -> Result<Option<EmailAddress>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(String,)> = optional!(
            reader,
            "select email from subscribers where id = $1",
            subscriber
        )?;
        Ok(row.and_then(|(email,)| EmailAddress::parse(&email).ok()))
    }
}

/// Event of a change of preferences, as it is written down.
fn changed(wanted: &Preferences, others: bool, pause: Option<Option<Timestamp>>) -> HistoryEvent {
    HistoryEvent::PreferencesChanged {
        choice: others.then(|| (wanted.categories.clone(), wanted.monthly)),
        pause: pause.map(|until| until.map_or(PauseChange::Ended, PauseChange::Until)),
    }
}
