//! A mailbox at an IMAP server, watched: each mail that nobody has read is fetched, acted on, and then marked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::app::Failure;
use crate::mail::imap;
use crate::mail::imap::Account;

/// The wait after a first failure; doubled after each further one.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// Mails too large to be fetched, by the folder's validity and their number: each is said once.
type Left = BTreeSet<(u32, u32)>;

/// Why a visit ended before its time.
enum Ended {
    /// At the server.
    There(imap::Fault),
    /// Here: the mail stays unread, and is fetched again.
    Here(Failure),
}

impl From<imap::Fault> for Ended {
    fn from(fault: imap::Fault) -> Self {
        Self::There(fault)
    }
}

/// Watches the mailbox until told to stop. A server that fails is tried again, later and later.
pub async fn watch(app: Arc<App>, account: Account, stop: CancellationToken) -> Result<(), Failure> {
    let (mut left, mut wait) = (Left::new(), FIRST);
    while !stop.is_cancelled() {
        // A task of its own: what a broken server says is read by a library, which shall not take the role with it.
        let (of_visit, by_visit) = (app.clone(), account.clone());
        let (mut seen, until) = (std::mem::take(&mut left), stop.clone());
        let visit = tokio::spawn(async move {
            let mut reached = false;
            let ended = visit(&of_visit, &by_visit, &mut seen, &mut reached, &until).await;
            (ended, seen, reached)
        });
        match visit.await {
            Ok((ended, seen, reached)) => {
                left = seen;
                if reached {
                    wait = FIRST;
                }
                match ended {
                    Ok(()) => continue,
                    Err(Ended::There(fault)) => {
                        tracing::warn!(again_in = ?wait, "the mailbox {} cannot be read: {fault}", account.describe());
                    }
                    Err(Ended::Here(failure)) => {
                        tracing::error!(cause = failure.cause(), again_in = ?wait, "a mail could not be taken, and stays unread: {failure}");
                    }
                }
            }
            Err(_) => tracing::error!(again_in = ?wait, "reading the mailbox {} ended badly", account.describe()),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(LONGEST);
    }
    Ok(())
}

/// One connection: all that is unread, and then what comes, until told to stop.
async fn visit(app: &App, account: &Account, left: &mut Left, reached: &mut bool, stop: &CancellationToken) -> Result<(), Ended> {
    let mut session = tokio::select! {
        () = stop.cancelled() => return Ok(()),
        opened = account.open() => opened?,
    };
    loop {
        for mail in session.unread().await? {
            if stop.is_cancelled() {
                break;
            }
            if mail.size > imap::LARGEST {
                if left.insert((session.validity, mail.uid)) {
                    tracing::warn!(uid = mail.uid, bytes = mail.size, "a mail is too large to be read, and left in the mailbox");
                }
                continue;
            }
            let Some(raw) = session.fetch(mail.uid).await? else { continue };
            app.take_inbound(&raw, "imap").await.map_err(Ended::Here)?;
            session.finish(mail.uid).await?;
        }
        *reached = true;
        if stop.is_cancelled() {
            session.close().await;
            return Ok(());
        }
        session = session.wait(app.settings.inbound.imap_every, stop.cancelled()).await?;
    }
}
