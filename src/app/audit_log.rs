//! Reading the audit log: its rows, newest first, and whether its chain is whole.

use serde::Serialize;

use super::App;
use super::Failure;
use crate::domain::Timestamp;
use crate::domain::UnknownName;
use crate::domain::actor::ActorKind;
use crate::domain::address::EmailAddress;
use crate::domain::audit::AuditAction;
use crate::domain::audit::SubjectKind;
use crate::storage::audit_log::AuditCheck;
use crate::storage::audit_log::AuditEntry;
use crate::storage::audit_log::AuditFilter;
use crate::storage::audit_log::ChainFault;

/// Subject of an action as somebody names it: `digest:2026-W47`, or the address of a subscriber who is still known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditSubject {
    /// By the log's own name.
    Named(SubjectKind, String),
    /// By their address, which the log does not have.
    Subscriber(EmailAddress),
}

/// A text that names no subject.
#[derive(Debug, Clone, thiserror::Error)]
#[error("expected KIND:NAME, with one of {kinds} as KIND, or the address of a subscriber")]
pub struct AuditSubjectError {
    kinds: String,
}

impl std::str::FromStr for AuditSubject {
    type Err = AuditSubjectError;

    fn from_str(text: &str) -> Result<Self, AuditSubjectError> {
        let named = text.split_once(':').and_then(|(kind, name)| {
            let kind: SubjectKind = kind.parse().ok()?;
            Some(Self::Named(kind, name.to_owned()))
        });
        let address = || text.parse().ok().map(Self::Subscriber);
        named.or_else(address).ok_or_else(|| {
            let kinds = SubjectKind::ALL.iter().map(|kind| kind.as_str());
            AuditSubjectError {
                kinds: kinds.collect::<Vec<_>>().join(", "),
            }
        })
    }
}

/// Rows that somebody asks for.
#[derive(Debug, Clone, Default)]
pub struct AuditRequest {
    /// Only this action.
    pub what: Option<AuditAction>,
    /// Only what was done to this.
    pub subject: Option<AuditSubject>,
    /// Only what this one did.
    pub actor: Option<AuditActor>,
}

/// Actor as somebody names it: `user:u3f...`, or a kind of which there is one, like `cli`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditActor {
    kind: ActorKind,
    id: String,
}

impl std::str::FromStr for AuditActor {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let (kind, id) = text.split_once(':').unwrap_or((text, text));
        Ok(Self {
            kind: kind.parse()?,
            id: id.to_owned(),
        })
    }
}

impl std::fmt::Display for AuditActor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.kind, self.id)
    }
}

/// A row as programs get it, without its number, which is for the database alone.
#[derive(Debug, Serialize)]
pub struct AuditRowView<'a> {
    at: Timestamp,
    actor_kind: &'a str,
    actor: &'a str,
    network: Option<&'a str>,
    what: &'a str,
    subject_kind: Option<&'a str>,
    subject: Option<&'a str>,
    detail: serde_json::Value,
    seq: Option<i64>,
    previous_hash: Option<&'a str>,
    hash: Option<&'a str>,
}

impl<'a> From<&'a AuditEntry> for AuditRowView<'a> {
    fn from(entry: &'a AuditEntry) -> Self {
        let AuditEntry { row, link } = entry;
        let link = link.as_ref();
        Self {
            at: row.at,
            actor_kind: &row.actor_kind,
            actor: &row.actor,
            network: row.network.as_deref(),
            what: &row.what,
            subject_kind: row.subject_kind.as_deref(),
            subject: row.subject.as_deref(),
            detail: serde_json::from_str(&row.detail).unwrap_or_default(),
            seq: link.map(|link| link.seq),
            previous_hash: link.map(|link| link.previous_hash.as_str()),
            hash: link.map(|link| link.hash.as_str()),
        }
    }
}

/// Rows as lines of JSON, a document each.
pub fn as_lines(entries: &[AuditEntry]) -> String {
    let line = |entry| serde_json::to_string(&AuditRowView::from(entry)).unwrap_or_default();
    entries.iter().map(|entry| line(entry) + "\n").collect()
}

impl App {
    /// The newest `count` rows of the audit log that are asked for, newest first, from behind the row `before`.
    ///
    /// # Errors
    /// Not found, where the subject is an address that nobody here has.
    pub async fn audit_log(
        &self,
        asked: &AuditRequest,
        before: Option<i64>,
        count: i64,
    ) -> Result<Vec<AuditEntry>, Failure> {
        let name;
        let subject = match &asked.subject {
            None => None,
            Some(AuditSubject::Named(kind, name)) => Some((*kind, name.as_str())),
            Some(AuditSubject::Subscriber(email)) => {
                let known = self.storage.subscriber_with(email).await?;
                let id = known.ok_or_else(|| {
                    Failure::not_found(format!("There is no subscriber {email}."))
                })?;
                name = self.subscriber_name(id);
                Some((SubjectKind::Subscriber, name.as_str()))
            }
        };
        let actor = asked.actor.as_ref();
        let filter = AuditFilter {
            what: asked.what,
            subject,
            actor: actor.map(|actor| (actor.kind.as_str(), actor.id.as_str())),
            before,
        };
        Ok(self.storage.audit_log(filter, count).await?)
    }

    /// The name of a row in addresses.
    pub fn audit_name(&self, row: i64) -> String {
        self.secrets.audit_name(row)
    }

    /// The row with that name.
    pub fn audit_named(&self, name: &str) -> Option<i64> {
        self.secrets.audit_named(name)
    }

    /// Checks that no row of the audit log was changed or taken out since it was chained.
    pub async fn check_audit(&self) -> Result<AuditCheck, Failure> {
        Ok(self.storage.check_audit().await?)
    }
}

/// A fault of the chain, in words.
pub fn fault_in_words(fault: ChainFault) -> String {
    match fault {
        ChainFault::Missing(seq) => format!("row {seq} is missing"),
        ChainFault::Changed(seq) => {
            format!("row {seq} was changed, or one before it was replaced")
        }
    }
}
