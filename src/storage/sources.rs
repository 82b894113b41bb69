//! Sources, and the leases under which they are read.

use super::Storage;
use super::StorageError;
use super::Tx;
use super::audit_log::ChangeSubject;
use super::events;
use super::ids;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::event::EventKind;
use crate::domain::from_millis;
use crate::domain::source::SourceKind;
use crate::domain::source::SourceMapping;
use crate::domain::source::SourceMode;

/// Settings of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceDraft {
    /// Name, one for each source.
    pub name: String,
    /// Kind.
    pub kind: SourceKind,
    /// Address, or the path of a folder.
    pub url: String,
    /// Host that is asked; of a folder its path.
    pub host: String,
    /// Interpretation.
    pub mapping: SourceMapping,
    /// Treatment of what it brings.
    pub mode: SourceMode,
    /// Seconds between two looks.
    pub every_seconds: i64,
}

/// A source.
#[derive(Debug, Clone)]
pub struct ContentSource {
    /// Number of its row.
    pub id: i64,
    /// Settings.
    pub draft: SourceDraft,
    /// Time of the next look.
    pub next_at: Timestamp,
    /// Version that was read last.
    pub seen: Option<String>,
    /// Last-Modified of what was read last.
    pub modified: Option<String>,
    /// Looks in a row that failed.
    pub failures: u32,
    /// Time of the first of them.
    pub failing_since: Option<Timestamp>,
    /// Reason of the last.
    pub last_error: Option<String>,
    /// Something to know of the last look.
    pub last_note: Option<String>,
    /// Time of the last look that did not fail.
    pub last_ok_at: Option<Timestamp>,
    /// Time since which it publishes nothing by itself.
    pub paused_at: Option<Timestamp>,
}

/// Result of a look.
#[derive(Debug, Clone, Default)]
pub struct LookResult {
    /// Time of the next one.
    pub next_at: Timestamp,
    /// Reason why it failed.
    pub error: Option<String>,
    /// Something to know.
    pub note: Option<String>,
    /// Version that was read.
    pub seen: Option<String>,
    /// Its Last-Modified.
    pub modified: Option<String>,
    /// The source's opaque id, where other programs are told of the failure.
    pub told_as: Option<String>,
    /// Address that the source has for good now, and its host.
    pub moved: Option<(String, String)>,
}

#[derive(sqlx::FromRow)]
struct ContentSourceRow {
    id: i64,
    name: String,
    kind: String,
    url: String,
    host: String,
    mapping: String,
    mode: String,
    every_seconds: i64,
    next_at: i64,
    seen: Option<String>,
    modified: Option<String>,
    failures: i64,
    failing_since: Option<i64>,
    last_error: Option<String>,
    last_note: Option<String>,
    last_ok_at: Option<i64>,
    paused_at: Option<i64>,
}

impl ContentSourceRow {
    fn source(self) -> Result<ContentSource, StorageError> {
        Ok(ContentSource {
            id: self.id,
            draft: SourceDraft {
                name: self.name,
                kind: stored(self.kind.parse())?,
                url: self.url,
                host: self.host,
                mapping: stored(serde_json::from_str(&self.mapping))?,
                mode: stored(self.mode.parse())?,
                every_seconds: self.every_seconds,
            },
            next_at: from_millis(self.next_at),
            seen: self.seen,
            modified: self.modified,
            failures: u32::try_from(self.failures).unwrap_or(u32::MAX),
            failing_since: self.failing_since.map(from_millis),
            last_error: self.last_error,
            last_note: self.last_note,
            last_ok_at: self.last_ok_at.map(from_millis),
            paused_at: self.paused_at.map(from_millis),
        })
    }
}

/// Text of a mapping in its column.
fn mapping_text(mapping: &SourceMapping) -> Result<String, StorageError> {
    stored(serde_json::to_string(mapping))
}

impl Storage {
    /// Adds a source; `None` where its name is taken.
    pub async fn add_source(
        &self,
        actor: &Actor,
        draft: &SourceDraft,
        now: Timestamp,
    ) -> Result<Option<i64>, StorageError> {
        let mapping = mapping_text(&draft.mapping)?;
        let (mut tx, id) = (self.begin().await?, ids::fresh(now));
        let added = execute!(
            tx,
            "insert into sources (id, name, kind, url, host, mapping, mode, every_seconds, created_at, next_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) on conflict (name) do nothing",
            id,
            &draft.name,
            draft.kind.as_str(),
            &draft.url,
            &draft.host,
            &mapping,
            draft.mode.as_str(),
            draft.every_seconds,
            now.timestamp_millis()
        )?;
        if added == 0 {
            return Ok(None);
        }
        let detail = serde_json::json!({ "kind": draft.kind, "mode": draft.mode });
        self.note_source(&mut tx, actor, id, (AuditAction::SourceAdded, &detail), now)
            .await?;
        tx.commit().await?;
        Ok(Some(id))
    }

    /// Changes a source; false where there is none, or another has that name. What was read before is read anew.
    pub async fn change_source(
        &self,
        actor: &Actor,
        id: i64,
        draft: &SourceDraft,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mapping = mapping_text(&draft.mapping)?;
        let mut tx = self.begin().await?;
        let changed = execute!(
            tx,
            "update sources set name = $2, kind = $3, url = $4, host = $5, mapping = $6, mode = $7, every_seconds = $8, next_at = $9,
               seen = null, modified = null, failures = 0, failing_since = null, last_error = null, lease_until = null
             where id = $1 and not exists (select 1 from sources other where other.name = $2 and other.id <> $1)",
            id,
            &draft.name,
            draft.kind.as_str(),
            &draft.url,
            &draft.host,
            &mapping,
            draft.mode.as_str(),
            draft.every_seconds,
            now.timestamp_millis()
        )?;
        if changed > 0 {
            let detail = serde_json::json!({ "kind": draft.kind, "mode": draft.mode });
            self.note_source(
                &mut tx,
                actor,
                id,
                (AuditAction::SourceChanged, &detail),
                now,
            )
            .await?;
        }
        tx.commit().await?;
        Ok(changed > 0)
    }

    async fn note_source(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        id: i64,
        (what, detail): (AuditAction, &serde_json::Value),
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let subject = Some(ChangeSubject::Source(id));
        self.author(actor)
            .note(tx, what, subject, detail, now)
            .await
    }

    /// Removes a source with its proposals; what was accepted stays in the catalogue.
    pub async fn remove_source(
        &self,
        actor: &Actor,
        id: i64,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let removed = execute!(tx, "delete from sources where id = $1", id)?;
        if removed > 0 {
            let detail = serde_json::json!({});
            self.note_source(
                &mut tx,
                actor,
                id,
                (AuditAction::SourceRemoved, &detail),
                now,
            )
            .await?;
        }
        tx.commit().await?;
        Ok(removed > 0)
    }

    /// Pauses a source, or ends its pause; false where it is so already.
    pub async fn pause_source(
        &self,
        actor: &Actor,
        id: i64,
        pauses: bool,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let changed = match pauses {
            true => execute!(
                tx,
                "update sources set paused_at = $2 where id = $1 and paused_at is null",
                id,
                now.timestamp_millis()
            )?,
            // What it held may be published now.
            false => execute!(
                tx,
                "update sources set paused_at = null, next_at = $2, seen = null, modified = null where id = $1 and paused_at is not null",
                id,
                now.timestamp_millis()
            )?,
        };
        if changed > 0 {
            let what = match pauses {
                true => AuditAction::SourcePaused,
                false => AuditAction::SourceResumed,
            };
            let detail = serde_json::json!({});
            self.note_source(&mut tx, actor, id, (what, &detail), now)
                .await?;
        }
        tx.commit().await?;
        Ok(changed > 0)
    }

    /// Every source, by name. Each was added by a person, so that there are few.
    pub async fn sources(&self) -> Result<Vec<ContentSource>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<ContentSourceRow> = all!(
            reader,
            "select id, name, kind, url, host, mapping, mode, every_seconds, next_at, seen, modified, failures, failing_since,
               last_error, last_note, last_ok_at, paused_at
             from sources order by name"
        )?;
        rows.into_iter().map(ContentSourceRow::source).collect()
    }

    /// A source.
    pub async fn source(&self, id: i64) -> Result<Option<ContentSource>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<ContentSourceRow> = optional!(
            reader,
            "select id, name, kind, url, host, mapping, mode, every_seconds, next_at, seen, modified, failures, failing_since,
               last_error, last_note, last_ok_at, paused_at
             from sources where id = $1",
            id
        )?;
        row.map(ContentSourceRow::source).transpose()
    }

    /// Sources whose time has come, at most `most`, oldest first.
    pub async fn due_sources(
        &self,
        most: i64,
        now: Timestamp,
    ) -> Result<Vec<(i64, String)>, StorageError> {
        let mut reader = self.read().await?;
        Ok(all!(
            reader,
            "select id, host from sources where next_at <= $1 order by next_at limit $2",
            now.timestamp_millis(),
            most
        )?)
    }

    /// Takes the lease of a source; false where another process has it, or asks its host just now.
    pub async fn lease_source(
        &self,
        id: i64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update sources set lease_until = null where lease_until < $1",
            now.timestamp_millis()
        )?;
        let leased = execute!(
            tx,
            "update sources set lease_until = $2 where id = $1 and lease_until is null",
            id,
            until.timestamp_millis()
        );
        match leased {
            Ok(leased) => {
                tx.commit().await?;
                Ok(leased > 0)
            }
            // Another source of this host is read at this moment.
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes down how a look ended, and gives the lease back.
    pub async fn end_look(
        &self,
        id: i64,
        look: &LookResult,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        let at = now.timestamp_millis();
        match &look.error {
            Some(error) => {
                execute!(
                    tx,
                    "update sources set lease_until = null, next_at = $2, failures = failures + 1, failing_since = coalesce(failing_since, $3),
                       last_error = $4 where id = $1",
                    id,
                    look.next_at.timestamp_millis(),
                    at,
                    error
                )?;
                if let Some(source) = &look.told_as {
                    let data = serde_json::json!({ "source": source });
                    events::record(&mut tx, EventKind::SourceFailed, None, &data, now).await?;
                }
            }
            None => {
                execute!(
                    tx,
                    "update sources set lease_until = null, next_at = $2, failures = 0, failing_since = null, last_error = null,
                       last_ok_at = $3, last_note = $4, seen = $5, modified = $6 where id = $1",
                    id,
                    look.next_at.timestamp_millis(),
                    at,
                    look.note.as_deref(),
                    look.seen.as_deref(),
                    look.modified.as_deref()
                )?;
            }
        }
        if let Some((url, host)) = &look.moved {
            execute!(
                tx,
                "update sources set url = $2, host = $3 where id = $1",
                id,
                url,
                host
            )?;
        }
        Ok(tx.commit().await?)
    }

    /// Lets a source be looked at now.
    pub async fn hurry_source(&self, id: i64, now: Timestamp) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let found = execute!(
            tx,
            "update sources set next_at = $2 where id = $1",
            id,
            now.timestamp_millis()
        )?;
        tx.commit().await?;
        Ok(found > 0)
    }
}
