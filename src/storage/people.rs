//! The list as its operator sees it: look up, list, erase.

use super::Storage;
use super::StorageError;
use super::Tx;
use super::audit_log::ChangeSubject;
use super::growth;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::audit::AuditAction;
use crate::domain::from_millis;
use crate::domain::growth::GrowthKind;
use crate::domain::history::HistoryEntry;
use crate::domain::history::HistoryEvent;
use crate::domain::slot::Slot;
use crate::domain::subscriber::Consent;
use crate::domain::subscriber::Subscriber;
use crate::domain::subscriber::SubscriberState;
use crate::domain::subscriber::timezone;
use crate::domain::zone::ZoneName;

/// Everything that is kept of somebody.
#[derive(Debug, Clone)]
pub struct Person {
    /// Who.
    pub subscriber: Subscriber,
    /// Their consents, oldest first.
    pub consents: Vec<Consent>,
    /// Their history, oldest first.
    pub history: Vec<HistoryEntry>,
}

/// A line of a list or an export.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Who.
    pub subscriber: Subscriber,
    /// Time at which they were first written down.
    pub created_at: Timestamp,
    /// Time at which their last consent was confirmed.
    pub confirmed_at: Option<Timestamp>,
    /// Source of that consent.
    pub source: Option<String>,
}

#[derive(sqlx::FromRow)]
struct PersonRow {
    id: i64,
    email: String,
    name: Option<String>,
    state: String,
    timezone: Option<String>,
}

#[derive(sqlx::FromRow)]
struct ListedRow {
    id: i64,
    email: String,
    name: Option<String>,
    state: String,
    timezone: Option<String>,
    created_at: i64,
    confirmed_at: Option<i64>,
    source: Option<String>,
}

#[derive(sqlx::FromRow)]
struct ConsentRow {
    requested_at: i64,
    shown: String,
    source: String,
    network: Option<String>,
    confirmed_at: Option<i64>,
}

impl Storage {
    /// Everything that is kept of the holder of that address.
    pub async fn person(&self, email: &EmailAddress) -> Result<Option<Person>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<PersonRow> = optional!(
            reader,
            "select id, email, name, state, timezone from subscribers where email_key = $1",
            email.key()
        )?;
        let Some(row) = row else { return Ok(None) };
        let consents: Vec<ConsentRow> = all!(
            reader,
            "select requested_at, shown, source, network, confirmed_at from consents where subscriber_id = $1 order by requested_at",
            row.id
        )?;
        let history: Vec<(i64, String, String, Option<i64>)> = all!(
            reader,
            "select at, code, parameters, digest_id from history where subscriber_id = $1 order by at, code, parameters",
            row.id
        )?;
        let subscriber = Subscriber {
            id: row.id,
            email: row.email,
            name: row.name,
            state: stored(row.state.parse())?,
            timezone: zone(row.timezone),
        };
        let consent = |row: ConsentRow| Consent {
            requested_at: from_millis(row.requested_at),
            shown: row.shown,
            source: row.source,
            network: row.network,
            confirmed_at: row.confirmed_at.map(from_millis),
        };
        let entry = |(at, code, parameters, digest): (i64, String, String, Option<i64>)| {
            Ok(HistoryEntry {
                at: from_millis(at),
                event: HistoryEvent::from_stored(&code, &parameters)
                    .map_err(|error| StorageError::Stored(format!("history {code:?}: {error}")))?,
                slot: digest.and_then(Slot::from_id),
            })
        };
        Ok(Some(Person {
            subscriber,
            consents: consents.into_iter().map(consent).collect(),
            history: history
                .into_iter()
                .map(entry)
                .collect::<Result<_, StorageError>>()?,
        }))
    }

    /// The number and the address, as it is kept, of the subscriber at that address.
    pub async fn subscriber_at(
        &self,
        email: &EmailAddress,
    ) -> Result<Option<(i64, String)>, StorageError> {
        let mut reader = self.read().await?;
        Ok(optional!(
            reader,
            "select id, email from subscribers where email_key = $1",
            email.key()
        )?)
    }

    /// Returns how many there are in each state.
    pub async fn count_subscribers(&self) -> Result<Vec<(SubscriberState, u64)>, StorageError> {
        let mut reader = self.read().await?.for_report().await?;
        let rows: Vec<(String, i64)> = all!(
            reader,
            "select state, count(*) from subscribers group by state"
        )?;
        let counted = |state: SubscriberState| {
            rows.iter()
                .find(|(name, _)| name == state.as_str())
                .map_or(0, |(_, n)| *n as u64)
        };
        Ok(SubscriberState::ALL
            .iter()
            .map(|state| (*state, counted(*state)))
            .collect())
    }

    /// The next `count` subscribers after the one numbered `after` (0: from the start): a page of a list of any length.
    pub async fn subscribers_after(
        &self,
        after: i64,
        count: i64,
    ) -> Result<Vec<Listed>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<ListedRow> = all!(
            reader,
            "select s.id, s.email, s.name, s.state, s.timezone, s.created_at,
               (select c.confirmed_at from consents c where c.subscriber_id = s.id order by c.requested_at desc limit 1) as confirmed_at,
               (select c.source from consents c where c.subscriber_id = s.id order by c.requested_at desc limit 1) as source
             from subscribers s where s.id > $1 order by s.id limit $2",
            after,
            count
        )?;
        let listed = |row: ListedRow| {
            Ok(Listed {
                subscriber: Subscriber {
                    id: row.id,
                    email: row.email,
                    name: row.name,
                    state: row.state.parse()?,
                    timezone: zone(row.timezone),
                },
                created_at: from_millis(row.created_at),
                confirmed_at: row.confirmed_at.map(from_millis),
                source: row.source,
            })
        };
        rows.into_iter().map(listed).collect()
    }

    /// Forgets the holder of that address; what stays is the keyed hash on the suppression list, and those of the addresses that they
    /// left, as far as nobody has signed up with them since. `hash_of` makes the hash of an address in its compared form. `false` if
    /// the address is unknown here, and then nothing is kept either.
    pub async fn erase(
        &self,
        actor: &Actor,
        email: &EmailAddress,
        hash_of: &(dyn Fn(&str) -> Option<String> + Sync),
        key_name: &str,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        repeated!(self.erase_once(actor, email, hash_of, key_name, now))
    }

    async fn erase_once(
        &self,
        actor: &Actor,
        email: &EmailAddress,
        hash_of: &(dyn Fn(&str) -> Option<String> + Sync),
        key_name: &str,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let former: Vec<(String,)> = all!(
            tx,
            "select f.email_key from former_addresses f join subscribers s on s.id = f.subscriber_id
             where s.email_key = $1 and not exists (select 1 from subscribers o where o.email_key = f.email_key)",
            email.key()
        )?;
        let known: Option<(i64,)> = optional!(
            tx,
            "select id from subscribers where email_key = $1",
            email.key()
        )?;
        let standing = match known {
            Some((id,)) => growth::standing(&mut tx, id).await?,
            None => None,
        };
        let erased: Option<(i64,)> = optional!(
            tx,
            "delete from subscribers where email_key = $1 returning id",
            email.key()
        )?;
        let Some((id,)) = erased else {
            return Ok(false);
        };
        growth::left(&mut tx, standing.as_ref(), GrowthKind::Erased, now).await?;
        for key in std::iter::once(email.key()).chain(former.into_iter().map(|(key,)| key)) {
            super::unmatched::erase(&mut tx, &key).await?;
            if let Some(hash) = hash_of(&key) {
                suppress(&mut tx, &hash, key_name, "erased", now).await?;
            }
        }
        let subject = Some(ChangeSubject::Subscriber(id));
        self.author(actor)
            .note(
                &mut tx,
                AuditAction::SubscriberErased,
                subject,
                &serde_json::json!({}),
                now,
            )
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Returns whether one of the keyed hashes is on the suppression list.
    pub async fn is_suppressed(&self, hashes: &[String]) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        super::subscribers::is_suppressed(&mut tx, hashes).await
    }

    /// The names of the secrets that suppressions were hashed with: each must stay among `site.secret`.
    pub async fn suppression_keys(&self) -> Result<Vec<(String, u64)>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String, i64)> = all!(
            reader,
            "select key_name, count(*) from suppressions group by key_name order by key_name"
        )?;
        Ok(rows
            .into_iter()
            .map(|(name, count)| (name, count as u64))
            .collect())
    }
}

fn zone(name: Option<String>) -> Option<ZoneName> {
    name.and_then(|name| timezone(&name))
}

/// Puts a keyed hash on the suppression list; a reason that is there already stays.
pub(super) async fn suppress(
    tx: &mut Tx,
    hash: &str,
    key_name: &str,
    reason: &str,
    now: Timestamp,
) -> Result<(), StorageError> {
    execute!(
        tx,
        "insert into suppressions (address_hash, key_name, reason, created_at) values ($1, $2, $3, $4)
         on conflict (address_hash) do nothing",
        hash,
        key_name,
        reason,
        now.timestamp_millis()
    )?;
    Ok(())
}
