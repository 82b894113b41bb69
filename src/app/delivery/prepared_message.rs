//! A mail on its way to one reader: whom it is for, and what it says.

use std::sync::Arc;

use crate::app::App;
use crate::app::delivery::template_cache::CachedTemplate;
use crate::domain::address::EmailAddress;
use crate::domain::delivery::Outcome;
use crate::domain::inbound::SoftClass;
use crate::mail::Envelope;
use crate::mail::Recipient;
use crate::storage::ledger::Job;

/// A claimed delivery, addressed: all that its envelope needs is known.
pub struct PreparedMessage {
    pub job: Arc<Job>,
    /// Or why no mail can be made of it.
    address: Result<Address, Outcome>,
}

struct Address {
    to: EmailAddress,
    return_path: String,
    /// Text that fills the address that the letter names.
    verp: String,
    message_id: String,
    /// The mail's name in a folder.
    file: String,
    ready: Arc<CachedTemplate>,
    /// As long as its text may be, in bytes.
    longest: usize,
}

impl PreparedMessage {
    pub async fn address(app: &App, job: Arc<Job>) -> Self {
        Self {
            address: address(app, &job).await,
            job,
        }
    }

    /// Its envelope, and how long its text may be.
    pub fn envelope(&self) -> Result<(Envelope<'_>, usize), Outcome> {
        let Address {
            to,
            return_path,
            file,
            longest,
            ..
        } = self.address.as_ref().map_err(Outcome::clone)?;
        Ok((
            Envelope {
                from: return_path,
                to,
                file,
            },
            *longest,
        ))
    }

    /// Its text: the letter with this reader's own parts, signed. It is written into `room`, which an earlier one needs no more.
    pub async fn text(&self, app: &App, mut room: Vec<u8>) -> Vec<u8> {
        let Ok(Address {
            to,
            verp,
            message_id,
            ready,
            ..
        }) = &self.address
        else {
            return room;
        };
        let job = &self.job;
        let (token, reader) = app.tokens_for(job);
        let since = app.site.day(job.since);
        let date = ready.date.unwrap_or(job.queued_at);
        let recipient = Recipient {
            to,
            token: &token,
            reader: &reader,
            since: &since,
            verp,
            message_id,
            date,
        };
        ready.letter.fill(&recipient, &mut room);
        app.signing.seal(room, app.now()).await
    }
}

async fn address(app: &App, job: &Job) -> Result<Address, Outcome> {
    let ready = app.letter_for(job).await.map_err(|failure| {
        tracing::error!(
            cause = failure.cause(),
            mailing = app.mailing_name(job.key.mailing),
            "a mail cannot be made: {failure}"
        );
        Outcome::later_for_us(format!("not sent: {failure}"))
    })?;
    let to = EmailAddress::parse(&job.email).map_err(|_| Outcome::Refused {
        reply: "not sent: what is stored is not an address".into(),
        about_us: false,
        class: SoftClass::Passing,
    })?;
    let return_path = app
        .return_path
        .with(&app.return_path.verp(&app.secrets, job.key))
        .into_owned();
    let verp = app.verp_for(job);
    let longest = ready.letter.longest() + app.signing.signers().longest();
    let message_id = app.message_id(job.key);
    // As Maildir has it, time first: a folder's files then stand in the order in which the mails were due.
    let file = format!("{}.{message_id}", job.queued_at.timestamp_millis());
    Ok(Address {
        to,
        return_path,
        verp,
        message_id,
        file,
        ready,
        longest,
    })
}
