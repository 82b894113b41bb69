//! The mailbox of `inbound.imap`: what could not be handled in it is set aside, so that the other mails go on.

use crate::app::App;
use crate::app::Failure;
use crate::app::check_result::CheckResult;
use crate::app::check_result::advice;
use crate::app::check_result::fault;
use crate::app::check_result::good;
use crate::domain::inbound::MailboxStep;
use crate::mail::imap::Account;
use crate::storage::set_aside::SET_ASIDE_MAX;
use crate::storage::set_aside::SetAside;

/// Upper bound on the look that `doctor` takes at the mailbox.
pub(in crate::app) const LOOK: std::time::Duration = std::time::Duration::from_secs(8);

impl App {
    /// Sets a mail of a mailbox aside, with the reason; it is tried again later.
    ///
    /// # Errors
    /// When the database does not answer, or so many are set aside that the fault is not with single mails.
    pub async fn set_aside(
        &self,
        account: &Account,
        key: (u32, u32),
        step: MailboxStep,
        reason: &str,
    ) -> Result<(), Failure> {
        if self.storage.mails_set_aside(&account.id()).await?.len() as i64 >= SET_ASIDE_MAX {
            return Err(Failure::conflict(format!(
                "{SET_ASIDE_MAX} mails are set aside already: the fault is not with single mails."
            )));
        }
        let tries = self
            .storage
            .set_aside(&account.id(), key, step, reason, self.now())
            .await?;
        tracing::warn!(
            uid = key.1,
            step = step.as_str(),
            tries,
            "a mail in the mailbox is set aside, and the others go on: {reason}"
        );
        Ok(())
    }

    /// Returns what is set aside of a mailbox, and of the folder as it is now: after it was made anew the numbers of before name nothing.
    pub async fn mails_set_aside(
        &self,
        account: &Account,
        validity: u32,
    ) -> Result<Vec<SetAside>, Failure> {
        let all = self.storage.mails_set_aside(&account.id()).await?;
        let (here, gone): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|mail| mail.key.0 == validity);
        for mail in gone {
            self.take_back(account, mail.key).await?;
        }
        Ok(here)
    }

    /// Notes that a mail that was set aside is handled, or gone.
    pub async fn take_back(&self, account: &Account, key: (u32, u32)) -> Result<(), Failure> {
        Ok(self.storage.take_back(&account.id(), key).await?)
    }

    /// The mailbox that mail comes back to: whether it can be opened, what its server does not allow, and what is set aside.
    pub(in crate::app) async fn examine_returns(&self) -> Option<CheckResult> {
        let account = self.returns()?;
        let looked = tokio::time::timeout(LOOK, async {
            let mut session = account.open().await?;
            let unread = session.unread().await.map(|mails| mails.len());
            let facts = (
                unread,
                session.can_idle(),
                std::mem::take(&mut session.limits),
            );
            session.close().await;
            Ok(facts)
        });
        let name = account.describe();
        let (unread, can_idle, limits) = match looked.await {
            Ok(Ok(facts)) => facts,
            Ok(Err::<_, crate::mail::imap::ImapFault>(error)) => {
                return Some(fault(
                    "inbox",
                    format!(
                        "{name} cannot be opened, and nothing that comes back is read: {error}"
                    ),
                ));
            }
            Err(_) => {
                return Some(fault(
                    "inbox",
                    format!(
                        "{name} did not answer within {} seconds, and nothing that comes back is read",
                        LOOK.as_secs()
                    ),
                ));
            }
        };
        let unread = match unread {
            Ok(unread) => unread,
            Err(error) => return Some(fault("inbox", format!("{name} cannot be read: {error}"))),
        };
        let told = if can_idle {
            "new mail is told at once"
        } else {
            "it is looked at as often as inbound.imap_every says"
        };
        let words = format!("{name} can be read, {unread} unread; {told}");
        let aside = self
            .storage
            .mails_set_aside(&account.id())
            .await
            .unwrap_or_default();
        let mut wrong = limits;
        if let Some(newest) = aside.iter().max_by_key(|mail| mail.tries) {
            wrong.push(format!(
                "{} mails are set aside and tried again later, for the others to go on (UID {}, {} tries: {}); look at them with a mail program",
                aside.len(),
                newest.key.1,
                newest.tries,
                newest.reason
            ));
        }
        Some(if wrong.is_empty() {
            good("inbox", words)
        } else {
            advice("inbox", format!("{words}; but {}", wrong.join("; ")))
        })
    }

    /// Reports mail that came back and matches none of ours, with what may be the cause.
    pub(in crate::app) async fn examine_unmatched(&self) -> Option<CheckResult> {
        let count = self
            .storage
            .count_unmatched()
            .await
            .ok()
            .filter(|count| *count > 0)?;
        Some(advice(
            "inbound",
            format!(
                "{count} mails of the last 30 days that came back match no mail that was sent: forged, or read with another site.secret or \
                 mail.return_path than they were sent with; they are looked at again once either changes"
            ),
        ))
    }
}
