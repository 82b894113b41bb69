//! The audit log: a row for each change that somebody other than a reader made, written in the change's own transaction.
//!
//! Rows are chained afterwards, by [`Storage::chain_audit`]: a place given in the change's transaction would make every writer wait
//! for the one before it.

use super::ReadConnection;
use super::Storage;
use super::StorageError;
use super::Tx;
use super::events;
use super::ids;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::audit::AuditRow;
use crate::domain::audit::ChainLink;
use crate::domain::audit::SubjectKind;
use crate::domain::from_millis;
use crate::domain::slot::Slot;
use crate::domain::token::Secrets;

/// Author of a transaction's changes, and what names subscribers outside it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChangeAuthor<'a> {
    actor: &'a Actor,
    names: Option<&'a Secrets>,
}

/// Subject of an action.
#[derive(Debug, Clone, Copy)]
pub(super) enum ChangeSubject<'a> {
    Digest(Slot),
    /// By the number of their row; the log gets the opaque id.
    Subscriber(i64),
    /// By the number of their row; the log gets the opaque id.
    User(i64),
    /// By the number of its row; the log gets the opaque id.
    Source(i64),
    /// By the number of its row; the log gets the opaque id.
    Proposal(i64),
    /// A tool or a comparison, by its slug.
    Catalogue(&'a str),
    /// By its slug.
    Segment(&'a str),
    /// By its public part.
    Token(&'a str),
    /// By its key.
    Setting(&'a str),
    Domain(&'a str),
    Relay(&'a str),
    /// By the keyed hash.
    Suppression(&'a str),
    /// By the number of its row; the log gets the opaque id.
    WebhookEndpoint(i64),
}

impl ChangeAuthor<'_> {
    /// Writes the row of a change into the change's transaction, and the event that tells other programs; no row for a reader, whose
    /// history has it. `detail` holds numbers and codes, never a text that a person wrote, but for the catalogue's, which is published.
    pub(super) async fn note(
        self,
        tx: &mut Tx,
        what: AuditAction,
        subject: Option<ChangeSubject<'_>>,
        detail: &serde_json::Value,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let subject = subject.map(|subject| self.named(subject));
        let told = (detail, self.actor.kind().as_str());
        events::record_action(tx, what, subject.as_ref(), told, now).await?;
        if !self.actor.is_audited() {
            return Ok(());
        }
        let (kind, name) = subject.unzip();
        execute!(
            tx,
            "insert into audit (id, at, actor_kind, actor, network, what, subject_kind, subject, detail)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            ids::fresh(now),
            now.timestamp_millis(),
            self.actor.kind().as_str(),
            self.actor.id(),
            self.actor.network(),
            what.as_str(),
            kind.map(SubjectKind::as_str),
            name,
            detail.to_string()
        )?;
        Ok(())
    }

    fn named(self, subject: ChangeSubject<'_>) -> (SubjectKind, String) {
        let of = |kind, name: fn(&Secrets, i64) -> String, id| {
            let name = self.names.map(|names| name(names, id));
            (kind, name.unwrap_or_default())
        };
        match subject {
            ChangeSubject::Digest(slot) => (SubjectKind::Digest, slot.to_string()),
            ChangeSubject::Subscriber(id) => {
                of(SubjectKind::Subscriber, Secrets::subscriber_name, id)
            }
            ChangeSubject::User(id) => of(SubjectKind::User, Secrets::user_name, id),
            ChangeSubject::Source(id) => of(SubjectKind::Source, Secrets::source_name, id),
            ChangeSubject::Proposal(id) => of(SubjectKind::Proposal, Secrets::proposal_name, id),
            ChangeSubject::Catalogue(slug) => (SubjectKind::Catalogue, slug.to_owned()),
            ChangeSubject::Segment(slug) => (SubjectKind::Segment, slug.to_owned()),
            ChangeSubject::Token(public_id) => (SubjectKind::Token, public_id.to_owned()),
            ChangeSubject::Setting(key) => (SubjectKind::Setting, key.to_owned()),
            ChangeSubject::Domain(name) => (SubjectKind::Domain, name.to_owned()),
            ChangeSubject::Relay(name) => (SubjectKind::Relay, name.to_owned()),
            ChangeSubject::Suppression(hash) => (SubjectKind::Suppression, hash.to_owned()),
            ChangeSubject::WebhookEndpoint(id) => of(
                SubjectKind::WebhookEndpoint,
                Secrets::webhook_endpoint_name,
                id,
            ),
        }
    }
}

/// Rows to read of the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditFilter<'a> {
    /// Only what was done so.
    pub what: Option<AuditAction>,
    /// Only what was done to this.
    pub subject: Option<(SubjectKind, &'a str)>,
    /// Only what this one did: kind and id.
    pub actor: Option<(&'a str, &'a str)>,
    /// Only what comes before the row with this number.
    pub before: Option<i64>,
}

/// State of the chain, without a look at its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainState {
    /// Rows that are chained.
    pub chained: u64,
    /// Rows that wait for their place.
    pub waiting: u64,
}

/// A row, and its place in the chain once it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// The row.
    pub row: AuditRow,
    /// Its place.
    pub link: Option<ChainLink>,
}

/// Result of a check of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditCheck {
    /// Rows that are chained and hold.
    pub rows: u64,
    /// Rows that wait for their place.
    pub unchained: u64,
    /// The first fault.
    pub fault: Option<ChainFault>,
}

/// A place where the chain does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainFault {
    /// The row at this place is gone.
    Missing(i64),
    /// The row at this place is not the one that was chained.
    Changed(i64),
}

#[derive(sqlx::FromRow)]
struct AuditLogRow {
    id: i64,
    at: i64,
    actor_kind: String,
    actor: String,
    network: Option<String>,
    what: String,
    subject_kind: Option<String>,
    subject: Option<String>,
    detail: String,
    seq: Option<i64>,
    previous_hash: Option<String>,
    hash: Option<String>,
}

impl From<AuditLogRow> for AuditEntry {
    fn from(row: AuditLogRow) -> Self {
        let link = row.seq.map(|seq| ChainLink {
            seq,
            previous_hash: row.previous_hash.unwrap_or_default(),
            hash: row.hash.unwrap_or_default(),
        });
        let row = AuditRow {
            id: row.id,
            at: from_millis(row.at),
            actor_kind: row.actor_kind,
            actor: row.actor,
            network: row.network,
            what: row.what,
            subject_kind: row.subject_kind,
            subject: row.subject,
            detail: row.detail,
        };
        Self { row, link }
    }
}

/// Rows of the log that meet `$condition`.
macro_rules! entries {
    ($condition:literal) => {
        concat!(
            "select id, at, actor_kind, actor, network, what, subject_kind, subject, detail, seq, previous_hash, hash from audit ",
            $condition
        )
    };
}

/// Rows that are read at a time when the chain is checked.
const PAGE: i64 = 500;

impl Storage {
    /// Author of changes that `actor` makes.
    pub(super) fn author<'a>(&'a self, actor: &'a Actor) -> ChangeAuthor<'a> {
        ChangeAuthor {
            actor,
            names: self.names.as_deref(),
        }
    }

    /// Notes an action that changes nothing in the database: an export.
    pub async fn note_action(
        &self,
        actor: &Actor,
        what: AuditAction,
        detail: &serde_json::Value,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        let author = self.author(actor);
        author.note(&mut tx, what, None, detail, now).await?;
        Ok(tx.commit().await?)
    }

    /// Notes an action on a subscriber that changes nothing in the database.
    pub async fn note_subscriber(
        &self,
        actor: &Actor,
        what: AuditAction,
        subscriber: i64,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        let subject = Some(ChangeSubject::Subscriber(subscriber));
        let detail = serde_json::json!({});
        self.author(actor)
            .note(&mut tx, what, subject, &detail, now)
            .await?;
        Ok(tx.commit().await?)
    }

    /// The newest `count` rows that pass the filter, newest first. The most particular condition finds them, by its index; the others
    /// look at what it finds.
    pub async fn audit_log(
        &self,
        filter: AuditFilter<'_>,
        count: i64,
    ) -> Result<Vec<AuditEntry>, StorageError> {
        let mut reader = self.read().await?;
        let (at, id) = match filter.before {
            None => (i64::MAX, i64::MAX),
            Some(id) => {
                let row: Option<(i64,)> =
                    optional!(reader, "select at from audit where id = $1", id)?;
                (row.map_or(i64::MAX, |(at,)| at), id)
            }
        };
        let what = filter.what.map_or("", AuditAction::as_str);
        let (actor_kind, actor) = filter.actor.unwrap_or_default();
        let rows: Vec<AuditLogRow> = if let Some((kind, subject)) = filter.subject {
            all!(
                reader,
                entries!(
                    "where subject_kind = $1 and subject = $2 and at <= $3 and (at < $3 or id < $4)
                       and ($5 = '' or what = $5) and ($6 = '' or actor_kind = $6 and actor = $7)
                     order by at desc, id desc limit $8"
                ),
                kind.as_str(),
                subject,
                at,
                id,
                what,
                actor_kind,
                actor,
                count
            )?
        } else if filter.actor.is_some() {
            all!(
                reader,
                entries!(
                    "where actor_kind = $1 and actor = $2 and at <= $3 and (at < $3 or id < $4) and ($5 = '' or what = $5)
                     order by at desc, id desc limit $6"
                ),
                actor_kind,
                actor,
                at,
                id,
                what,
                count
            )?
        } else if !what.is_empty() {
            all!(
                reader,
                entries!(
                    "where what = $1 and at <= $2 and (at < $2 or id < $3) order by at desc, id desc limit $4"
                ),
                what,
                at,
                id,
                count
            )?
        } else {
            all!(
                reader,
                entries!(
                    "where at <= $1 and (at < $1 or id < $2) order by at desc, id desc limit $3"
                ),
                at,
                id,
                count
            )?
        };
        Ok(rows.into_iter().map(AuditEntry::from).collect())
    }

    /// Returns how many rows are chained, and how many wait.
    pub async fn chain_state(&self) -> Result<ChainState, StorageError> {
        let mut reader = self.read().await?;
        let (chained,): (i64,) = one!(reader, "select seq from audit_head where id = 1")?;
        let (waiting,): (i64,) = one!(reader, "select count(*) from audit where seq is null")?;
        Ok(ChainState {
            chained: chained.unsigned_abs(),
            waiting: waiting.unsigned_abs(),
        })
    }

    /// Gives the next `count` rows their place in the chain, in the order of their time; answers how many got one.
    pub async fn chain_audit(&self, count: i64) -> Result<u64, StorageError> {
        let mut reader = self.read().await?;
        let waiting: Option<(i64,)> =
            optional!(reader, "select id from audit where seq is null limit 1")?;
        drop(reader);
        if waiting.is_none() {
            return Ok(0);
        }
        repeated!(self.chain_audit_once(count))
    }

    async fn chain_audit_once(&self, count: i64) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        // The lease: PostgreSQL keeps the row locked to the end of the transaction, SQLite lets one transaction write. Whoever waited
        // reads the head, and what is left, anew.
        let (mut seq, mut previous): (i64, String) = one!(
            tx,
            "update audit_head set seq = seq where id = 1 returning seq, hash"
        )?;
        let rows: Vec<AuditLogRow> = all!(
            tx,
            entries!("where seq is null order by at, id limit $1"),
            count
        )?;
        let chained = rows.len() as u64;
        for AuditEntry { row, .. } in rows.into_iter().map(AuditEntry::from) {
            seq += 1;
            let link = row.chained(seq, &previous);
            execute!(
                tx,
                "update audit set seq = $2, previous_hash = $3, hash = $4 where id = $1 and seq is null",
                row.id,
                seq,
                &link.previous_hash,
                &link.hash
            )?;
            previous = link.hash;
        }
        if chained == 0 {
            return Ok(0);
        }
        execute!(
            tx,
            "update audit_head set seq = $1, hash = $2 where id = 1",
            seq,
            &previous
        )?;
        tx.commit().await?;
        Ok(chained)
    }

    /// Checks that the chain is whole from its first row to its head, in memory that does not grow with it.
    pub async fn check_audit(&self) -> Result<AuditCheck, StorageError> {
        let mut reader = self.read().await?;
        // Read first: rows that are chained meanwhile lie beyond it.
        let (head, head_hash, from, from_hash): (i64, String, i64, String) = one!(
            reader,
            "select seq, hash, from_seq, from_hash from audit_head where id = 1"
        )?;
        let (unchained,): (i64,) = one!(reader, "select count(*) from audit where seq is null")?;
        let fault = first_fault(&mut reader, (from, from_hash), head, &head_hash).await?;
        let place = |fault: ChainFault| match fault {
            ChainFault::Missing(seq) | ChainFault::Changed(seq) => seq - 1,
        };
        Ok(AuditCheck {
            rows: (fault.map_or(head, place) - from).max(0).unsigned_abs(),
            unchained: unchained as u64,
            fault,
        })
    }
}

async fn first_fault(
    reader: &mut ReadConnection,
    (mut seq, mut previous): (i64, String),
    head: i64,
    head_hash: &str,
) -> Result<Option<ChainFault>, StorageError> {
    while seq < head {
        let rows: Vec<AuditLogRow> = all!(
            reader,
            entries!("where seq > $1 and seq <= $2 order by seq limit $3"),
            seq,
            head,
            PAGE
        )?;
        if rows.is_empty() {
            return Ok(Some(ChainFault::Missing(seq + 1)));
        }
        for entry in rows.into_iter().map(AuditEntry::from) {
            seq += 1;
            match entry.link {
                Some(link) if link.seq != seq => return Ok(Some(ChainFault::Missing(seq))),
                Some(link) if link == entry.row.chained(seq, &previous) => previous = link.hash,
                _ => return Ok(Some(ChainFault::Changed(seq))),
            }
        }
    }
    Ok((previous != head_hash).then_some(ChainFault::Changed(seq)))
}
