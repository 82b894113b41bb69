//! Reading the audit log: its rows, newest first, and whether its chain is whole.

use super::App;
use super::Failure;
use crate::domain::address::EmailAddress;
use crate::domain::audit::AuditAction;
use crate::domain::audit::SubjectKind;
use crate::storage::audit_log::AuditCheck;
use crate::storage::audit_log::AuditEntry;
use crate::storage::audit_log::AuditFilter;

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

impl App {
    /// The newest `count` rows of the audit log, newest first.
    ///
    /// # Errors
    /// Not found, where the subject is an address that nobody here has.
    pub async fn audit_log(
        &self,
        what: Option<AuditAction>,
        subject: Option<&AuditSubject>,
        count: i64,
    ) -> Result<Vec<AuditEntry>, Failure> {
        let name;
        let subject = match subject {
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
        Ok(self
            .storage
            .audit_log(AuditFilter { what, subject }, count)
            .await?)
    }

    /// Checks that no row of the audit log was changed or taken out since it was chained.
    pub async fn check_audit(&self) -> Result<AuditCheck, Failure> {
        Ok(self.storage.check_audit().await?)
    }
}
