//! A mailbox at an IMAP server, watched: each mail that nobody has read is fetched, acted on, and then marked.
//!
//! One bad mail holds nobody up. What the server refuses for one mail (to hand it out, to mark or move it) sets that mail aside, and the
//! visit goes on; a mail at which the line breaks, or that cannot be kept here, is set aside at its second time. What is set aside is
//! tried again later, less and less often; log, metrics and `doctor` name it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::app::Failure;
use crate::domain::inbound::MailboxStep;
use crate::domain::inbound_channel::InboundChannel;
use crate::mail::imap;
use crate::mail::imap::Account;
use crate::mail::imap::Fetched;
use crate::mail::imap::ImapSession;
use crate::mail::inbound::is_substitute;

/// The wait after a first failure; doubled after each further one.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// A mail: the folder's UIDVALIDITY, and its UID.
type MailKey = (u32, u32);

/// Memory from one visit to the next.
#[derive(Default)]
struct Memory {
    /// The mail that is being handled, and the step.
    at: Option<(MailKey, MailboxStep)>,
    /// The mail at which the last visit ended.
    suspect: Option<MailKey>,
    /// Marked as done: one of them that is unread again was not.
    done: BTreeSet<MailKey>,
    /// Named by the server as unread, and not handed out.
    vanished: BTreeSet<MailKey>,
    /// Limits of the server, as they were last logged.
    limits: Vec<String>,
}

/// Mails of which is remembered that they are done.
const DONE_MAX: usize = 10_000;

type SharedMemory = Arc<Mutex<Memory>>;

fn lock(memory: &SharedMemory) -> std::sync::MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reason why a visit ended before its time.
enum Ended {
    /// At the server.
    There(imap::ImapFault),
    /// Here: the mail stays unread, and is fetched again.
    Here(Failure),
}

impl From<imap::ImapFault> for Ended {
    fn from(fault: imap::ImapFault) -> Self {
        Self::There(fault)
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Here(failure)
    }
}

/// Watches the mailbox until told to stop. A server that fails is tried again, later and later.
pub async fn watch(
    app: Arc<App>,
    account: Account,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let (memory, mut wait) = (SharedMemory::default(), FIRST);
    while !stop.is_cancelled() {
        // A task of its own: reading a mail shall not take the role with it, whatever is in it.
        let visit = {
            let (app, account, memory, stop) =
                (app.clone(), account.clone(), memory.clone(), stop.clone());
            tokio::spawn(async move {
                let mut visit = ImapVisit {
                    app: &app,
                    account: &account,
                    memory: &memory,
                    stop: &stop,
                    has_reached: false,
                };
                let ended = visit.run().await;
                (ended, visit.has_reached)
            })
        };
        let reason = match visit.await {
            Ok((ended, has_reached)) => {
                if has_reached {
                    wait = FIRST;
                }
                match ended {
                    Ok(()) => continue,
                    Err(Ended::There(fault)) => {
                        tracing::warn!(again_in = ?wait, "the mailbox {} cannot be read: {fault}", account.describe());
                        fault.to_string()
                    }
                    Err(Ended::Here(failure)) => {
                        tracing::error!(cause = failure.cause(), again_in = ?wait, "a mail could not be taken, and stays unread: {failure}");
                        "it could not be kept".into()
                    }
                }
            }
            Err(_) => {
                tracing::error!(again_in = ?wait, "reading the mailbox {} ended badly", account.describe());
                "it could not be read (a fault of this program)".into()
            }
        };
        if is_set_aside(&app, &account, &memory, &reason).await {
            wait = FIRST;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(LONGEST);
    }
    Ok(())
}

/// Sets the mail aside at which two visits running ended. One alone may have been the line, or the database.
async fn is_set_aside(app: &App, account: &Account, memory: &SharedMemory, reason: &str) -> bool {
    let Some((key, step)) = lock(memory).at.take() else {
        return false;
    };
    if lock(memory).suspect.replace(key) != Some(key) {
        return false;
    }
    match app.set_aside(account, key, step, reason).await {
        Ok(()) => {
            lock(memory).suspect = None;
            true
        }
        // The database fails, and not the mail.
        Err(failure) => {
            tracing::warn!(
                cause = failure.cause(),
                "a mail could not be set aside: {failure}"
            );
            false
        }
    }
}

/// One connection: all that is unread, and then what comes, until told to stop.
struct ImapVisit<'a> {
    app: &'a App,
    account: &'a Account,
    memory: &'a SharedMemory,
    stop: &'a CancellationToken,
    /// True once all that was unread was looked at.
    has_reached: bool,
}

impl ImapVisit<'_> {
    async fn run(&mut self) -> Result<(), Ended> {
        let mut session = tokio::select! {
            () = self.stop.cancelled() => return Ok(()),
            opened = self.account.open() => opened?,
        };
        self.say_limits(&session);
        loop {
            self.read_unseen(&mut session).await?;
            self.has_reached = true;
            if self.stop.is_cancelled() {
                session.close().await;
                return Ok(());
            }
            session = session
                .wait(self.app.settings.inbound.imap_every, self.stop.cancelled())
                .await?;
        }
    }

    /// Says what the server does not allow, once.
    fn say_limits(&self, session: &ImapSession) {
        let mut memory = lock(self.memory);
        if memory.limits != session.limits {
            memory.limits.clone_from(&session.limits);
            for limit in &session.limits {
                tracing::warn!(
                    "the mailbox {}: {limit}; what is done is marked as read",
                    self.account.describe()
                );
            }
        }
    }

    /// Handles all that is unread, and what was set aside and is due again.
    async fn read_unseen(&self, session: &mut ImapSession) -> Result<(), Ended> {
        let aside = self
            .app
            .mails_set_aside(self.account, session.validity)
            .await?;
        let now = self.app.now();
        let aside: BTreeMap<MailKey, _> = aside
            .into_iter()
            .map(|mail| (mail.key, (mail.step, mail.next_at <= now)))
            .collect();
        let unread = session.unread().await?;
        for uid in &unread {
            let key = (session.validity, *uid);
            let is_waiting = aside.get(&key).is_some_and(|(_, is_due)| !is_due);
            if self.stop.is_cancelled() || is_waiting {
                continue;
            }
            let is_handled = self.is_handled(session, key).await?;
            // Of one that could not be marked, the next look tells whether it is now.
            if is_handled
                && aside
                    .get(&key)
                    .is_some_and(|(step, _)| *step != MailboxStep::Finish)
            {
                self.app.take_back(self.account, key).await?;
            }
        }
        let is_unread = |key: &MailKey| unread.binary_search(&key.1).is_ok();
        for (key, (step, is_due)) in &aside {
            // What was read by somebody else, or deleted, is no concern of ours any more.
            let is_over = match step {
                MailboxStep::Finish => {
                    *is_due && !is_unread(key) && self.is_finished(session, *key).await?
                }
                MailboxStep::Fetch | MailboxStep::Keep => !is_unread(key),
            };
            if is_over && !self.stop.is_cancelled() {
                self.app.take_back(self.account, *key).await?;
            }
        }
        match session.sweep().await {
            Err(fault) if fault.is_refusal() => {
                tracing::warn!(
                    "the mailbox {}: {fault}; mails stay there, marked as deleted",
                    self.account.describe()
                )
            }
            swept => swept?,
        }
        Ok(())
    }

    /// Fetches a mail, acts on it, and marks it; false if it was set aside or is gone.
    async fn is_handled(&self, session: &mut ImapSession, key: MailKey) -> Result<bool, Ended> {
        if lock(self.memory).done.remove(&key) {
            self.app
                .set_aside(
                    self.account,
                    key,
                    MailboxStep::Finish,
                    "it was marked as read, and is unread again",
                )
                .await?;
            return Ok(false);
        }
        self.enter(key, MailboxStep::Fetch);
        let max = self.app.settings.inbound.size_max();
        let raw = match session.fetch(key.1, max).await {
            Ok(Fetched::Mail(raw)) if is_substitute(&raw) => {
                return self.leave(key, "the server put a note in its place").await;
            }
            Ok(Fetched::Mail(raw)) => raw,
            Ok(Fetched::Nothing) => {
                return self
                    .leave(key, "the server answered without the mail")
                    .await;
            }
            Ok(Fetched::Gone) if lock(self.memory).vanished.insert(key) => {
                lock(self.memory).at = None;
                return Ok(false);
            }
            Ok(Fetched::Gone) => {
                return self
                    .leave(key, "the server names it and does not hand it out")
                    .await;
            }
            Err(fault) if fault.is_refusal() => return self.leave(key, &fault.to_string()).await,
            Err(fault) => return Err(fault.into()),
        };
        if raw.len() >= max {
            tracing::info!(
                uid = key.1,
                "a mail is larger than inbound.size_max_mb: its beginning is read"
            );
        }
        self.enter(key, MailboxStep::Keep);
        self.app.take_inbound(&raw, InboundChannel::Imap).await?;
        self.is_finished(session, key).await
    }

    /// Marks, deletes or moves a mail that was acted on.
    async fn is_finished(&self, session: &mut ImapSession, key: MailKey) -> Result<bool, Ended> {
        self.enter(key, MailboxStep::Finish);
        match session.finish(key.1).await {
            Ok(()) => {
                let mut memory = lock(self.memory);
                if memory.done.len() >= DONE_MAX {
                    memory.done.pop_first();
                }
                memory.done.insert(key);
                (memory.at, memory.suspect) = (None, None);
                Ok(true)
            }
            Err(fault) if fault.is_refusal() => {
                self.leave(key, &format!("it was acted on, and {fault}"))
                    .await
            }
            Err(fault) => Err(fault.into()),
        }
    }

    fn enter(&self, key: MailKey, step: MailboxStep) {
        lock(self.memory).at = Some((key, step));
    }

    /// Sets the mail at hand aside; never handled.
    async fn leave(&self, key: MailKey, reason: &str) -> Result<bool, Ended> {
        let at = lock(self.memory).at.take();
        let step = at.map_or(MailboxStep::Fetch, |(_, step)| step);
        self.app.set_aside(self.account, key, step, reason).await?;
        Ok(false)
    }
}
