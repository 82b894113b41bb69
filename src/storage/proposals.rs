//! What sources brought, and what became of it.

use std::collections::HashSet;

use super::Storage;
use super::StorageError;
use super::Tx;
use super::audit_log::ChangeSubject;
use super::catalogue_import::ImportMode;
use super::catalogue_import::Imported;
use super::events;
use super::ids;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::catalogue::Comparison;
use crate::domain::catalogue::Tool;
use crate::domain::event::EventKind;
use crate::domain::from_millis;
use crate::domain::source::EntryRemark;
use crate::domain::source::FoundEntry;
use crate::domain::source::ProposalState;

/// An entry as a source has it now.
#[derive(Debug, Clone)]
pub struct NewProposal {
    /// Identity at the source.
    pub guid: String,
    /// The entry, with its remarks.
    pub entry: FoundEntry,
    /// Hash of what it says.
    pub content_sha256: String,
    /// True if the catalogue differs from it.
    pub differs: bool,
}

/// A proposal.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Number of its row.
    pub id: i64,
    /// Number of its source's row.
    pub source_id: i64,
    /// Name of its source.
    pub source: String,
    /// The entry, with its remarks.
    pub entry: FoundEntry,
    /// Counts its changes.
    pub version: i64,
    /// State.
    pub state: ProposalState,
    /// Time when it was first seen.
    pub seen_at: Timestamp,
    /// Time when it was new or changed.
    pub changed_at: Timestamp,
    /// Time of the decision.
    pub decided_at: Option<Timestamp>,
    /// Who decided: kind and id of the actor.
    pub decided_by: Option<String>,
}

/// Result of accepting.
#[derive(Debug, Clone)]
pub enum ProposalAccepted {
    /// It is in the catalogue.
    Done(Imported),
    /// It changed meanwhile, or was decided on.
    Stale,
    /// A comparison names a tool that is not there.
    Refused(Vec<String>),
}

/// Proposals to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProposalFilter {
    /// Only those in this state; without it, those that wait for a decision.
    pub state: Option<ProposalState>,
    /// Only those of this source.
    pub source_id: Option<i64>,
    /// Only those before the one with this number.
    pub before: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct ProposalRow {
    id: i64,
    source_id: i64,
    source: String,
    content: String,
    remarks: String,
    version: i64,
    state: String,
    seen_at: i64,
    changed_at: i64,
    decided_at: Option<i64>,
    decided_by: Option<String>,
}

impl ProposalRow {
    fn proposal(self) -> Result<Proposal, StorageError> {
        let mut entry: FoundEntry = stored(serde_json::from_str(&self.content))?;
        let remarks: Vec<EntryRemark> = stored(serde_json::from_str(&self.remarks))?;
        entry.remarks = remarks;
        Ok(Proposal {
            id: self.id,
            source_id: self.source_id,
            source: self.source,
            entry,
            version: self.version,
            state: stored(self.state.parse())?,
            seen_at: from_millis(self.seen_at),
            changed_at: from_millis(self.changed_at),
            decided_at: self.decided_at.map(from_millis),
            decided_by: self.decided_by,
        })
    }
}

/// A row that an entry may be the same as.
type KnownRow = (i64, String, String, String);

impl Storage {
    /// Writes down what a source has now; returns how many proposals are new or changed by it. An entry is known by its guid, or else by its
    /// address and title: a guid that changes each time is no news. `source_name`: its opaque id, for the event that tells of it.
    pub async fn keep_proposals(
        &self,
        (source_id, source_name): (i64, &str),
        found: &[NewProposal],
        now: Timestamp,
    ) -> Result<u64, StorageError> {
        let guids: HashSet<&str> = found.iter().map(|entry| entry.guid.as_str()).collect();
        let mut tx = self.begin().await?;
        let mut news = 0;
        for entry in found {
            match known_row(&mut tx, source_id, entry, &guids).await? {
                Some(known) => news += u64::from(update(&mut tx, entry, known, now).await?),
                None => {
                    insert(&mut tx, source_id, entry, now).await?;
                    news += u64::from(entry.differs);
                }
            }
        }
        if news > 0 {
            let data = serde_json::json!({ "source": source_name, "proposals": news });
            events::record(&mut tx, EventKind::SourceProposed, None, &data, now).await?;
        }
        tx.commit().await?;
        Ok(news)
    }

    /// Proposals, newest first.
    pub async fn proposals(
        &self,
        filter: ProposalFilter,
        limit: i64,
    ) -> Result<Vec<Proposal>, StorageError> {
        let states = match filter.state {
            Some(state) => [state.as_str(), state.as_str()],
            None => [ProposalState::New.as_str(), ProposalState::Changed.as_str()],
        };
        let mut reader = self.read().await?;
        let before = filter.before.unwrap_or(i64::MAX);
        let rows: Vec<ProposalRow> = match filter.source_id {
            Some(source_id) => all!(
                reader,
                "select p.id, p.source_id, s.name as source, p.content, p.remarks, p.version, p.state, p.seen_at, p.changed_at, p.decided_at,
                   p.decided_by
                 from proposals p join sources s on s.id = p.source_id
                 where p.source_id = $5 and p.state in ($1, $2) and p.id < $3 order by p.id desc limit $4",
                states[0],
                states[1],
                before,
                limit,
                source_id
            )?,
            None => all!(
                reader,
                "select p.id, p.source_id, s.name as source, p.content, p.remarks, p.version, p.state, p.seen_at, p.changed_at, p.decided_at,
                   p.decided_by
                 from proposals p join sources s on s.id = p.source_id
                 where p.state in ($1, $2) and p.id < $3 order by p.id desc limit $4",
                states[0],
                states[1],
                before,
                limit
            )?,
        };
        rows.into_iter().map(ProposalRow::proposal).collect()
    }

    /// A proposal.
    pub async fn proposal(&self, id: i64) -> Result<Option<Proposal>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<ProposalRow> = optional!(
            reader,
            "select p.id, p.source_id, s.name as source, p.content, p.remarks, p.version, p.state, p.seen_at, p.changed_at, p.decided_at,
               p.decided_by
             from proposals p join sources s on s.id = p.source_id where p.id = $1",
            id
        )?;
        row.map(ProposalRow::proposal).transpose()
    }

    /// Proposals of each source that wait for a decision: the source's number, and how many.
    pub async fn open_proposals(&self) -> Result<Vec<(i64, i64)>, StorageError> {
        let mut reader = self.read().await?;
        Ok(all!(
            reader,
            "select source_id, count(*) from proposals where state in ('new', 'changed') group by source_id"
        )?)
    }

    /// The last version of a source's entry that was read, whatever became of it: by its guid, or else by its address.
    pub async fn last_proposal(
        &self,
        source_id: i64,
        guid: &str,
        url: Option<&str>,
    ) -> Result<Option<Proposal>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<ProposalRow> = optional!(
            reader,
            "select p.id, p.source_id, s.name as source, p.content, p.remarks, p.version, p.state, p.seen_at, p.changed_at, p.decided_at,
               p.decided_by
             from proposals p join sources s on s.id = p.source_id where p.source_id = $1 and p.guid = $2",
            source_id,
            guid
        )?;
        let row = match (row, url) {
            (None, Some(url)) => optional!(
                reader,
                "select p.id, p.source_id, s.name as source, p.content, p.remarks, p.version, p.state, p.seen_at, p.changed_at, p.decided_at,
                   p.decided_by
                 from proposals p join sources s on s.id = p.source_id where p.source_id = $1 and p.url = $2 order by p.id desc limit 1",
                source_id,
                url
            )?,
            (row, _) => row,
        };
        row.map(ProposalRow::proposal).transpose()
    }

    /// Takes a proposal into the catalogue, all or nothing, if it is still as it was looked at.
    pub async fn accept_proposal(
        &self,
        actor: &Actor,
        (id, version): (i64, i64),
        (tools, comparisons): (&[Tool], &[Comparison]),
        now: Timestamp,
    ) -> Result<ProposalAccepted, StorageError> {
        let mut tx = self.begin().await?;
        let decided = decide(&mut tx, actor, (id, version), ProposalState::Accepted, now).await?;
        if !decided {
            return Ok(ProposalAccepted::Stale);
        }
        let mode = ImportMode::default();
        let imported = self
            .import_within(&mut tx, actor, (tools, comparisons), mode, now)
            .await?;
        let done = match imported {
            Ok(done) => done,
            Err(faults) => return Ok(ProposalAccepted::Refused(faults)),
        };
        let detail = serde_json::json!({ "tools": done.tools, "reviews": done.reviews, "comparisons": done.comparisons });
        let subject = Some(ChangeSubject::Proposal(id));
        self.author(actor)
            .note(
                &mut tx,
                AuditAction::ProposalAccepted,
                subject,
                &detail,
                now,
            )
            .await?;
        tx.commit().await?;
        Ok(ProposalAccepted::Done(done))
    }

    /// Refuses a proposal; false if it changed meanwhile, or was decided on.
    pub async fn reject_proposal(
        &self,
        actor: &Actor,
        (id, version): (i64, i64),
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        if !decide(&mut tx, actor, (id, version), ProposalState::Rejected, now).await? {
            return Ok(false);
        }
        let subject = Some(ChangeSubject::Proposal(id));
        let detail = serde_json::json!({});
        self.author(actor)
            .note(
                &mut tx,
                AuditAction::ProposalRejected,
                subject,
                &detail,
                now,
            )
            .await?;
        tx.commit().await?;
        Ok(true)
    }
}

async fn decide(
    tx: &mut Tx,
    actor: &Actor,
    (id, version): (i64, i64),
    state: ProposalState,
    now: Timestamp,
) -> Result<bool, StorageError> {
    let decided = execute!(
        tx,
        "update proposals set state = $3, decided_at = $4, decided_by = $5 where id = $1 and version = $2 and state in ('new', 'changed')",
        id,
        version,
        state.as_str(),
        now.timestamp_millis(),
        actor.key()
    )?;
    Ok(decided > 0)
}

async fn known_row(
    tx: &mut Tx,
    source_id: i64,
    entry: &NewProposal,
    guids: &HashSet<&str>,
) -> Result<Option<KnownRow>, StorageError> {
    let by_guid: Option<KnownRow> = optional!(
        tx,
        "select id, guid, content_sha256, state from proposals where source_id = $1 and guid = $2",
        source_id,
        &entry.guid
    )?;
    let Some(url) = entry.entry.url.as_deref().filter(|_| by_guid.is_none()) else {
        return Ok(by_guid);
    };
    // Several entries may have one address: those that are told of by their own guid are others.
    let by_url: Vec<KnownRow> = all!(
        tx,
        "select id, guid, content_sha256, state from proposals where source_id = $1 and url = $2 and title = $3 order by id desc limit 20",
        source_id,
        url,
        &entry.entry.title
    )?;
    Ok(by_url
        .into_iter()
        .find(|(_, guid, ..)| !guids.contains(guid.as_str())))
}

fn texts(entry: &NewProposal) -> Result<(String, String), StorageError> {
    let mut content = entry.entry.clone();
    let remarks = std::mem::take(&mut content.remarks);
    Ok((
        stored(serde_json::to_string(&content))?,
        stored(serde_json::to_string(&remarks))?,
    ))
}

async fn insert(
    tx: &mut Tx,
    source_id: i64,
    entry: &NewProposal,
    now: Timestamp,
) -> Result<(), StorageError> {
    let (content, remarks) = texts(entry)?;
    let state = match entry.differs {
        true => ProposalState::New,
        false => ProposalState::Skipped,
    };
    execute!(
        tx,
        "insert into proposals (id, source_id, guid, url, title, content, content_sha256, version, remarks, state, seen_at, changed_at)
         values ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9, $10, $10)",
        ids::fresh(now),
        source_id,
        &entry.guid,
        entry.entry.url.as_deref(),
        &entry.entry.title,
        content,
        &entry.content_sha256,
        remarks,
        state.as_str(),
        now.timestamp_millis()
    )?;
    Ok(())
}

/// Brings a row up to date; true if it is new or changed by that.
async fn update(
    tx: &mut Tx,
    entry: &NewProposal,
    (id, guid, content_sha256, state): KnownRow,
    now: Timestamp,
) -> Result<bool, StorageError> {
    let state: ProposalState = stored(state.parse())?;
    let is_same = content_sha256 == entry.content_sha256;
    let next = match (is_same, entry.differs) {
        // What waits is in the catalogue by another way.
        (_, false) if state.is_open() => ProposalState::Skipped,
        (_, false) | (true, true) => state,
        (false, true) if state == ProposalState::New => state,
        (false, true) => ProposalState::Changed,
    };
    if is_same && next == state && guid == entry.guid {
        return Ok(false);
    }
    let (content, remarks) = texts(entry)?;
    execute!(
        tx,
        "update proposals set guid = $2, url = $3, title = $4, content = $5, content_sha256 = $6, remarks = $7, state = $8,
           version = version + $9, changed_at = case when $9 = 1 then $10 else changed_at end
         where id = $1",
        id,
        &entry.guid,
        entry.entry.url.as_deref(),
        &entry.entry.title,
        content,
        &entry.content_sha256,
        remarks,
        next.as_str(),
        i64::from(!is_same),
        now.timestamp_millis()
    )?;
    Ok(!is_same && next.is_open())
}
