//! The list as its operator sees it: look up, list, import, erase.

use std::collections::HashSet;

use sqlx::AssertSqlSafe;
use sqlx::QueryBuilder;

use super::Storage;
use super::StorageError;
use super::Tx;
use super::ids;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::address::EmailAddress;
use crate::domain::from_millis;
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
    /// What they agreed to, oldest first.
    pub consents: Vec<Consent>,
    /// What happened, oldest first.
    pub history: Vec<(Timestamp, String)>,
}

/// A line of a list or an export.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Who.
    pub subscriber: Subscriber,
    /// When they were first written down.
    pub created_at: Timestamp,
    /// When their last consent was confirmed.
    pub confirmed_at: Option<Timestamp>,
    /// Where that consent came from.
    pub source: Option<String>,
}

/// Somebody who comes from a file.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Who.
    pub email: EmailAddress,
    /// What they want to be called.
    pub name: Option<String>,
    /// Whose clock they live by.
    pub timezone: Option<ZoneName>,
    /// The keyed hashes of the address, newest secret first.
    pub hashes: Vec<String>,
    /// Where they came from.
    pub source: String,
    /// Where they stand from now on; `Pending` ones get a confirmation mail.
    pub state: SubscriberState,
    /// When they confirmed elsewhere.
    pub confirmed_at: Option<Timestamp>,
}

/// What became of those who came from a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Arrived {
    /// New on the list.
    pub added: u64,
    /// Known already, and left as they are.
    pub known: u64,
    /// On the suppression list, and left out.
    pub suppressed: u64,
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

/// Rows written by one statement of an import; memory and statement stay of this size however long the file.
const CHUNK: usize = 500;

impl Storage {
    /// Everything that is kept of the holder of that address.
    pub async fn person(&self, email: &EmailAddress) -> Result<Option<Person>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<PersonRow> =
            optional!(reader, "select id, email, name, state, timezone from subscribers where email_key = $1", email.key())?;
        let Some(row) = row else { return Ok(None) };
        let consents: Vec<ConsentRow> = all!(
            reader,
            "select requested_at, shown, source, network, confirmed_at from consents where subscriber_id = $1 order by requested_at",
            row.id
        )?;
        let history: Vec<(i64, String)> = all!(reader, "select at, what from history where subscriber_id = $1 order by at, what", row.id)?;
        let subscriber =
            Subscriber { id: row.id, email: row.email, name: row.name, state: stored(row.state.parse())?, timezone: zone(row.timezone) };
        let consent = |row: ConsentRow| Consent {
            requested_at: from_millis(row.requested_at),
            shown: row.shown,
            source: row.source,
            network: row.network,
            confirmed_at: row.confirmed_at.map(from_millis),
        };
        let history = history.into_iter().map(|(at, what)| (from_millis(at), what)).collect();
        Ok(Some(Person { subscriber, consents: consents.into_iter().map(consent).collect(), history }))
    }

    /// The number and the address, as it is kept, of the subscriber at that address.
    pub async fn subscriber_at(&self, email: &EmailAddress) -> Result<Option<(i64, String)>, StorageError> {
        let mut reader = self.read().await?;
        Ok(optional!(reader, "select id, email from subscribers where email_key = $1", email.key())?)
    }

    /// How many there are in each state.
    pub async fn count_subscribers(&self) -> Result<Vec<(SubscriberState, u64)>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String, i64)> = all!(reader, "select state, count(*) from subscribers group by state")?;
        let counted = |state: SubscriberState| rows.iter().find(|(name, _)| name == state.as_str()).map_or(0, |(_, n)| *n as u64);
        Ok(SubscriberState::ALL.iter().map(|state| (*state, counted(*state))).collect())
    }

    /// The next `count` subscribers after the one numbered `after` (0: from the start): a page of a list of any length.
    pub async fn subscribers_after(&self, after: i64, count: i64) -> Result<Vec<Listed>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<ListedRow> = all!(
            reader,
            "select s.id, s.email, s.name, s.state, s.timezone, s.created_at, c.confirmed_at, c.source
             from subscribers s left join consents c on c.subscriber_id = s.id
               and c.requested_at = (select max(l.requested_at) from consents l where l.subscriber_id = s.id)
             where s.id > $1 order by s.id limit $2",
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
        stored(rows.into_iter().map(listed).collect())
    }

    /// Takes in everybody from `arrivals`, in one transaction, in memory that does not grow with the file. All or nothing:
    /// an error among them undoes it all and is given back. `dry_run` counts and changes nothing. Pending ones get a
    /// confirmation mail.
    pub async fn import_subscribers(
        &self,
        arrivals: &mut (dyn Iterator<Item = Result<Arrival, String>> + Send),
        consent: &str,
        key_name: &str,
        dry_run: bool,
        now: Timestamp,
    ) -> Result<Result<Arrived, String>, StorageError> {
        let mut tx = self.begin().await?;
        let mut done = Arrived::default();
        loop {
            let chunk: Vec<Arrival> = match arrivals.take(CHUNK).collect() {
                Ok(chunk) => chunk,
                Err(broken) => return Ok(Err(broken)),
            };
            if chunk.is_empty() {
                break;
            }
            take_in(&mut tx, chunk, consent, key_name, now, &mut done).await?;
        }
        if !dry_run {
            tx.commit().await?;
        }
        Ok(Ok(done))
    }

    /// Forgets the holder of that address; what stays is the keyed hash on the suppression list. `false` if the address
    /// is unknown here, and then nothing is kept either.
    pub async fn erase(&self, email: &EmailAddress, hash: &str, key_name: &str, now: Timestamp) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        if execute!(tx, "delete from subscribers where email_key = $1", email.key())? == 0 {
            return Ok(false);
        }
        suppress(&mut tx, hash, key_name, "erased", now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Whether one of the keyed hashes is on the suppression list.
    pub async fn is_suppressed(&self, hashes: &[String]) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        super::subscribers::is_suppressed(&mut tx, hashes).await
    }

    /// The names of the secrets that suppressions were hashed with: each must stay among `site.secret`.
    pub async fn suppression_keys(&self) -> Result<Vec<(String, u64)>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String, i64)> = all!(reader, "select key_name, count(*) from suppressions group by key_name order by key_name")?;
        Ok(rows.into_iter().map(|(name, count)| (name, count as u64)).collect())
    }
}

fn zone(name: Option<String>) -> Option<ZoneName> {
    name.and_then(|name| timezone(&name))
}

/// Puts a keyed hash on the suppression list; a reason that is there already stays.
pub(super) async fn suppress(tx: &mut Tx, hash: &str, key_name: &str, reason: &str, now: Timestamp) -> Result<(), StorageError> {
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

async fn take_in(
    tx: &mut Tx,
    chunk: Vec<Arrival>,
    consent: &str,
    key_name: &str,
    now: Timestamp,
    done: &mut Arrived,
) -> Result<(), StorageError> {
    let suppressed = suppressed_among(tx, &chunk).await?;
    let total = chunk.len() as u64;
    let welcome: Vec<(i64, Arrival)> =
        chunk.into_iter().filter(|a| !a.hashes.iter().any(|h| suppressed.contains(h))).map(|a| (ids::fresh(now), a)).collect();
    done.suppressed += total - welcome.len() as u64;
    if welcome.is_empty() {
        return Ok(());
    }
    let added = insert_arrivals(tx, &welcome, now).await?;
    done.added += added.len() as u64;
    done.known += welcome.len() as u64 - added.len() as u64;
    let new: Vec<&(i64, Arrival)> = welcome.iter().filter(|(id, _)| added.contains(id)).collect();
    if new.is_empty() {
        return Ok(());
    }
    insert_consents(tx, &new, consent, now).await?;
    insert_history(tx, &new, now).await?;
    if new.iter().any(|(_, arrival)| arrival.state == SubscriberState::Pending) {
        super::nudges::nudge(tx).await?;
    }
    for (id, arrival) in &new {
        match arrival.state {
            SubscriberState::Pending => queue(tx, *id, now).await?,
            SubscriberState::Bounced | SubscriberState::Complained => {
                let hash = arrival.hashes.first().map(String::as_str).unwrap_or_default();
                suppress(tx, hash, key_name, arrival.state.as_str(), now).await?;
            }
            SubscriberState::Active | SubscriberState::Unsubscribed => {}
        }
    }
    Ok(())
}

async fn suppressed_among(tx: &mut Tx, chunk: &[Arrival]) -> Result<HashSet<String>, StorageError> {
    let hashes: Vec<&String> = chunk.iter().flat_map(|a| &a.hashes).collect();
    let mut found = HashSet::new();
    for part in hashes.chunks(CHUNK) {
        let list = (1..=part.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        let sql = format!("select address_hash from suppressions where address_hash in ({list})");
        let rows: Vec<(String,)> = on!(tx, c, keeps => {
            let mut query = sqlx::query_as(AssertSqlSafe(sql)).persistent(keeps);
            for hash in part {
                query = query.bind(hash.as_str());
            }
            query.fetch_all(&mut *c).await
        })?;
        found.extend(rows.into_iter().map(|(hash,)| hash));
    }
    Ok(found)
}

/// Writes the rows; answers the numbers of those that are new.
async fn insert_arrivals(tx: &mut Tx, arrivals: &[(i64, Arrival)], now: Timestamp) -> Result<HashSet<i64>, StorageError> {
    let millis = now.timestamp_millis();
    let rows: Vec<(i64,)> = on!(tx, c, keeps => {
        let mut query = QueryBuilder::new(
            "insert into subscribers (id, email, email_key, name, state, state_at, created_at, requested_at, confirmation_at, timezone) ",
        );
        query.push_values(arrivals, |mut row, (id, arrival)| {
            let waiting = (arrival.state == SubscriberState::Pending).then_some(millis);
            row.push_bind(*id).push_bind(arrival.email.as_str()).push_bind(arrival.email.key()).push_bind(arrival.name.as_deref());
            // Somebody on the list is so since they confirmed, wherever that was.
            let since = arrival.confirmed_at.filter(|at| arrival.state == SubscriberState::Active && *at < now).unwrap_or(now);
            row.push_bind(arrival.state.as_str()).push_bind(since.timestamp_millis()).push_bind(millis).push_bind(waiting).push_bind(waiting);
            row.push_bind(arrival.timezone.map(ZoneName::name));
        });
        query.push(" on conflict (email_key) do nothing returning id");
        query.build_query_as().persistent(keeps).fetch_all(&mut *c).await
    })?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

async fn insert_consents(tx: &mut Tx, new: &[&(i64, Arrival)], consent: &str, now: Timestamp) -> Result<(), StorageError> {
    let millis = now.timestamp_millis();
    on!(tx, c, keeps => {
        let mut query = QueryBuilder::new("insert into consents (subscriber_id, requested_at, shown, source, confirmed_at) ");
        query.push_values(new, |mut row, (id, arrival)| {
            let confirmed = match arrival.state {
                SubscriberState::Pending => None,
                _ => arrival.confirmed_at.map(|at| at.timestamp_millis()),
            };
            row.push_bind(*id).push_bind(millis).push_bind(consent).push_bind(arrival.source.as_str()).push_bind(confirmed);
        });
        query.build().persistent(keeps).execute(&mut *c).await.map(|_| ())
    })?;
    Ok(())
}

async fn insert_history(tx: &mut Tx, new: &[&(i64, Arrival)], now: Timestamp) -> Result<(), StorageError> {
    on!(tx, c, keeps => {
        let mut query = QueryBuilder::new("insert into history (subscriber_id, at, what) ");
        query.push_values(new, |mut row, (id, arrival)| {
            row.push_bind(*id).push_bind(now.timestamp_millis());
            row.push_bind(format!("imported as {} ({})", arrival.state, arrival.source));
        });
        query.build().persistent(keeps).execute(&mut *c).await.map(|_| ())
    })?;
    Ok(())
}

async fn queue(tx: &mut Tx, subscriber: i64, now: Timestamp) -> Result<(), StorageError> {
    let mailing = ids::fresh(now);
    execute!(
        tx,
        "insert into deliveries (mailing_id, subscriber_id, kind, state, queued_at, due_at) values ($1, $2, 'confirmation', 'queued', $3, $3)",
        mailing,
        subscriber,
        now.timestamp_millis()
    )?;
    super::chunks::queue_one(tx, mailing, subscriber, now).await
}
