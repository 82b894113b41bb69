//! People from a file, all or nothing, in memory that does not grow with it.

use std::collections::BTreeMap;
use std::collections::HashSet;

use sqlx::AssertSqlSafe;
use sqlx::QueryBuilder;

use super::Storage;
use super::StorageError;
use super::Tx;
use super::growth;
use super::ids;
use super::people::suppress;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::audit::AuditAction;
use crate::domain::delivery::DeliveryKind;
use crate::domain::growth::GrowthKind;
use crate::domain::history::HistoryEvent;
use crate::domain::subscriber::SubscriberState;
use crate::domain::zone::ZoneName;

/// Somebody who comes from a file.
#[derive(Debug, Clone)]
pub struct ImportRow {
    /// Who.
    pub email: EmailAddress,
    /// Name of the subscriber, if the file gives one.
    pub name: Option<String>,
    /// Time zone of the subscriber, if the file gives one.
    pub timezone: Option<ZoneName>,
    /// The keyed hashes of the address, newest secret first.
    pub hashes: Vec<String>,
    /// Source of the subscription.
    pub source: String,
    /// State from now on; `Pending` ones get a confirmation mail.
    pub state: SubscriberState,
    /// Time at which they confirmed elsewhere.
    pub confirmed_at: Option<Timestamp>,
}

/// Counts of those who came from a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct ImportCounts {
    /// New on the list.
    pub added: u64,
    /// Known already, and left as they are.
    pub known: u64,
    /// On the suppression list, and left out.
    pub suppressed: u64,
}

/// Rows written by one statement of an import; memory and statement stay of this size however long the file.
const CHUNK: usize = 500;

impl Storage {
    /// Takes in everybody from `arrivals`, in one transaction, in memory that does not grow with the file. All or nothing:
    /// an error among them undoes it all and is given back. `dry_run` counts and changes nothing. Pending ones get a
    /// confirmation mail.
    pub async fn import_subscribers<E: Send>(
        &self,
        actor: &Actor,
        arrivals: &mut (dyn Iterator<Item = Result<ImportRow, E>> + Send),
        consent: &str,
        key_name: &str,
        dry_run: bool,
        now: Timestamp,
    ) -> Result<Result<ImportCounts, E>, StorageError> {
        let mut tx = self.begin().await?;
        let left: Option<(i64,)> = optional!(tx, "select left_at from former_addresses limit 1")?;
        let run = ImportRun {
            consent,
            key_name,
            first_id: ids::fresh(now),
            anybody_moved: left.is_some(),
            now,
        };
        let mut done = ImportCounts::default();
        loop {
            let chunk: Vec<ImportRow> = match arrivals.take(CHUNK).collect() {
                Ok(chunk) => chunk,
                Err(broken) => return Ok(Err(broken)),
            };
            if chunk.is_empty() {
                break;
            }
            take_in(&mut tx, chunk, &run, &mut done).await?;
        }
        // One that met nobody new changed nothing.
        if !dry_run && done.added > 0 {
            let detail = serde_json::json!({ "added": done.added, "known": done.known, "suppressed": done.suppressed });
            self.author(actor)
                .note(
                    &mut tx,
                    AuditAction::SubscribersImported,
                    None,
                    &detail,
                    now,
                )
                .await?;
        }
        if !dry_run {
            tx.commit().await?;
        }
        Ok(Ok(done))
    }
}

/// Facts that all rows of one import share.
struct ImportRun<'a> {
    consent: &'a str,
    key_name: &'a str,
    /// A row with a greater id was made by this import.
    first_id: i64,
    /// True if any reader ever changed their address.
    anybody_moved: bool,
    now: Timestamp,
}

async fn take_in(
    tx: &mut Tx,
    chunk: Vec<ImportRow>,
    run: &ImportRun<'_>,
    done: &mut ImportCounts,
) -> Result<(), StorageError> {
    let now = run.now;
    let suppressed = suppressed_among(tx, &chunk).await?;
    let total = chunk.len() as u64;
    let mut welcome: Vec<(i64, ImportRow)> = chunk
        .into_iter()
        .filter(|a| !a.hashes.iter().any(|h| suppressed.contains(h)))
        .map(|a| (ids::fresh(now), a))
        .collect();
    done.suppressed += total - welcome.len() as u64;
    if run.anybody_moved && !welcome.is_empty() {
        let left = left_among(tx, &welcome).await?;
        let before = welcome.len();
        welcome.retain(|(_, arrival)| !left.contains(&arrival.email.key()));
        done.known += (before - welcome.len()) as u64;
    }
    if welcome.is_empty() {
        return Ok(());
    }
    let added = insert_arrivals(tx, &welcome, now).await?;
    done.added += added.len() as u64;
    done.known += welcome.len() as u64 - added.len() as u64;
    let (new, again): (Vec<&(i64, ImportRow)>, Vec<_>) =
        welcome.iter().partition(|(id, _)| added.contains(id));
    if !new.is_empty() {
        insert_consents(tx, &new, run.consent, now).await?;
        insert_history(tx, &new, now).await?;
        note_growth(tx, &new, now).await?;
        if new
            .iter()
            .any(|(_, arrival)| arrival.state == SubscriberState::Pending)
        {
            crate::storage::notifications::notify(tx).await?;
        }
    }
    for (id, arrival) in &new {
        match arrival.state {
            SubscriberState::Pending => {
                super::transactional::insert(tx, *id, DeliveryKind::Confirmation, None, now).await?
            }
            SubscriberState::Bounced | SubscriberState::Complained => {
                suppress_arrival(tx, arrival, run).await?
            }
            SubscriberState::Active | SubscriberState::Unsubscribed => {}
        }
    }
    for (_, arrival) in again
        .iter()
        .filter(|(_, a)| !matches!(a.state, SubscriberState::Active | SubscriberState::Pending))
    {
        end_again(tx, arrival, run).await?;
    }
    Ok(())
}

async fn suppress_arrival(
    tx: &mut Tx,
    arrival: &ImportRow,
    run: &ImportRun<'_>,
) -> Result<(), StorageError> {
    let hash = arrival
        .hashes
        .first()
        .map(String::as_str)
        .unwrap_or_default();
    suppress(tx, hash, run.key_name, arrival.state.as_str(), run.now).await
}

/// Ends somebody whom an earlier row of the same file took in: where a file names one address twice, the row that says that they
/// left counts, in whatever order the two stand. Their confirmation mail, if one is queued, is dropped when it is claimed.
async fn end_again(
    tx: &mut Tx,
    arrival: &ImportRow,
    run: &ImportRun<'_>,
) -> Result<(), StorageError> {
    let known: Option<(i64,)> = optional!(
        tx,
        "select id from subscribers where email_key = $1",
        arrival.email.key()
    )?;
    let standing = match known {
        Some((id,)) => growth::standing(tx, id).await?,
        None => None,
    };
    let ended: Option<(i64,)> = optional!(
        tx,
        "update subscribers set state = $2, state_at = $3, requested_at = null
         where email_key = $1 and id > $4 and created_at = $3
           and (state in ('pending', 'active') or (state = 'unsubscribed' and $2 <> 'unsubscribed'))
         returning id",
        arrival.email.key(),
        arrival.state.as_str(),
        run.now.timestamp_millis(),
        run.first_id
    )?;
    let Some((id,)) = ended else { return Ok(()) };
    let kind = match arrival.state {
        SubscriberState::Bounced => GrowthKind::Bounced,
        SubscriberState::Complained => GrowthKind::Complained,
        _ => GrowthKind::LeftByOperator,
    };
    growth::left(tx, standing.as_ref(), kind, run.now).await?;
    super::history::history(tx, id, run.now, &imported(arrival)).await?;
    if arrival.state != SubscriberState::Unsubscribed {
        suppress_arrival(tx, arrival, run).await?;
    }
    Ok(())
}

/// Those of the addresses that a reader left by a change of address.
async fn left_among(
    tx: &mut Tx,
    welcome: &[(i64, ImportRow)],
) -> Result<HashSet<String>, StorageError> {
    let list = (1..=welcome.len())
        .map(|n| format!("${n}"))
        .collect::<Vec<_>>()
        .join(", ");
    let sql = format!("select email_key from former_addresses where email_key in ({list})");
    let rows: Vec<(String,)> = on!(tx, c, keeps => {
        let mut query = sqlx::query_as(AssertSqlSafe(sql)).persistent(keeps);
        for (_, arrival) in welcome {
            query = query.bind(arrival.email.key());
        }
        query.fetch_all(&mut *c).await
    })?;
    Ok(rows.into_iter().map(|(key,)| key).collect())
}

async fn suppressed_among(
    tx: &mut Tx,
    chunk: &[ImportRow],
) -> Result<HashSet<String>, StorageError> {
    let hashes: Vec<&String> = chunk.iter().flat_map(|a| &a.hashes).collect();
    let mut found = HashSet::new();
    for part in hashes.chunks(CHUNK) {
        let list = (1..=part.len())
            .map(|n| format!("${n}"))
            .collect::<Vec<_>>()
            .join(", ");
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
async fn insert_arrivals(
    tx: &mut Tx,
    arrivals: &[(i64, ImportRow)],
    now: Timestamp,
) -> Result<HashSet<i64>, StorageError> {
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

async fn insert_consents(
    tx: &mut Tx,
    new: &[&(i64, ImportRow)],
    consent: &str,
    now: Timestamp,
) -> Result<(), StorageError> {
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

/// Notes how many came to the list, by source.
async fn note_growth(
    tx: &mut Tx,
    new: &[&(i64, ImportRow)],
    now: Timestamp,
) -> Result<(), StorageError> {
    let mut sources: BTreeMap<&str, i64> = BTreeMap::new();
    let active = new
        .iter()
        .filter(|(_, arrival)| arrival.state == SubscriberState::Active);
    for (_, arrival) in active {
        *sources.entry(&arrival.source).or_default() += 1;
    }
    for (source, times) in sources {
        growth::note(tx, GrowthKind::Imported, source, None, times, now).await?;
    }
    Ok(())
}

async fn insert_history(
    tx: &mut Tx,
    new: &[&(i64, ImportRow)],
    now: Timestamp,
) -> Result<(), StorageError> {
    on!(tx, c, keeps => {
        let mut query = QueryBuilder::new("insert into history (subscriber_id, at, code, parameters) ");
        query.push_values(new, |mut row, (id, arrival)| {
            row.push_bind(*id).push_bind(now.timestamp_millis());
            let (code, parameters) = imported(arrival).to_stored();
            row.push_bind(code).push_bind(parameters);
        });
        query.build().persistent(keeps).execute(&mut *c).await.map(|_| ())
    })?;
    Ok(())
}

fn imported(arrival: &ImportRow) -> HistoryEvent {
    HistoryEvent::Imported {
        state: arrival.state,
        source: arrival.source.clone(),
    }
}
