//! Joining, confirming and leaving.

use chrono::TimeDelta;

use super::Storage;
use super::StorageError;
use super::Tx;
use super::audit_log::ChangeSubject;
use super::growth;
use super::history::history;
use super::history::history_of_digest;
use super::history::newest_digest;
use super::ids;
use super::quotas;
use super::quotas::MailQuotas;
use super::stored;
use super::transactional::queue;
use super::transactional::queue_confirmation;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::audit::AuditAction;
use crate::domain::delivery::DeliveryKind;
use crate::domain::from_millis;
use crate::domain::growth::GrowthKind;
use crate::domain::history::HistoryEvent;
use crate::domain::history::UnsubscribedBy;
use crate::domain::slot::Slot;
use crate::domain::subscriber::SubscriberState;
use crate::domain::zone::ZoneName;

/// A request to join.
#[derive(Debug)]
pub struct SignUp<'a> {
    /// Address, as typed.
    pub email: &'a EmailAddress,
    /// Their name.
    pub name: Option<&'a str>,
    /// Their time zone.
    pub timezone: Option<ZoneName>,
    /// The words of consent that they were shown.
    pub shown: &'a str,
    /// Source of the request.
    pub source: &'a str,
    /// From which network.
    pub network: Option<&'a str>,
    /// The keyed hashes of the address, under every secret.
    pub hashes: &'a [String],
    /// No second mail about it if there was one after this moment.
    pub quiet_since: Timestamp,
    /// The limits that it is held against.
    pub quotas: &'a MailQuotas,
    /// True if no confirmation mail goes out now: an operator has it sent later.
    pub is_quiet: bool,
}

/// Result of a request to join. Whoever asked is told none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedUp {
    /// A confirmation mail is queued.
    ConfirmationQueued,
    /// They wait for the confirmation mail, which nobody asked for yet.
    Added,
    /// There was one a short time ago.
    AskedRecently,
    /// They are on the list; a mail that says so is queued.
    ReminderQueued,
    /// They are on the list, and had a mail a short time ago.
    AlreadyActive,
    /// They never get mail again.
    Suppressed,
    /// Their mailbox had as many mails as it gets, or answered none of them.
    MailboxLimit,
    /// Too many requests from where this one came; the next one is taken after that time.
    TooMany(TimeDelta),
}

/// Result of pressing the confirmation button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// They are on the list from now on.
    Now,
    /// They are on the list already.
    Already,
    /// That sign-up was forgotten, or undone by leaving.
    Gone,
}

#[derive(sqlx::FromRow)]
struct SignUpRow {
    id: i64,
    state: String,
    requested_at: Option<i64>,
    confirmation_at: Option<i64>,
    reminded_at: Option<i64>,
}

impl Storage {
    /// Writes down a request to join and queues its confirmation mail, unless the address must not or need not get one; somebody on
    /// the list gets a mail that says so.
    pub async fn sign_up(
        &self,
        actor: &Actor,
        request: &SignUp<'_>,
        now: Timestamp,
    ) -> Result<SignedUp, StorageError> {
        repeated!(self.sign_up_once(actor, request, now))
    }

    async fn sign_up_once(
        &self,
        actor: &Actor,
        request: &SignUp<'_>,
        now: Timestamp,
    ) -> Result<SignedUp, StorageError> {
        let mut tx = self.begin().await?;
        if let Err(wait) = quotas::take(
            &mut tx,
            request.quotas.asker.iter().map(|quota| (quota, true)),
            now,
        )
        .await?
        {
            return Ok(SignedUp::TooMany(wait));
        }
        // The row's lock first: an erasure is either over, and seen, or waits.
        let row = find_or_make(&mut tx, request.email, request.name, now).await?;
        let suppressed = is_suppressed(&mut tx, request.hashes).await?;
        let nothing_to_do = match stored(row.state.parse())? {
            _ if suppressed => Some(SignedUp::Suppressed),
            SubscriberState::Active => Some(SignedUp::AlreadyActive),
            SubscriberState::Bounced | SubscriberState::Complained => Some(SignedUp::Suppressed),
            SubscriberState::Pending | SubscriberState::Unsubscribed => None,
        };
        let is_recent = |at: i64| at > request.quiet_since.timestamp_millis();
        let asked_recently = row.confirmation_at.is_some_and(is_recent);
        let answer = nothing_to_do
            .or((asked_recently && row.requested_at.is_some()).then_some(SignedUp::AskedRecently));
        let reminds = answer == Some(SignedUp::AlreadyActive)
            && !asked_recently
            && !row.reminded_at.is_some_and(is_recent);
        let confirms = answer.is_none() && !asked_recently && !request.is_quiet;
        let limits = request
            .quotas
            .recipient
            .iter()
            .map(|quota| (quota, reminds || confirms));
        let limits = limits.chain(
            request
                .quotas
                .unanswered
                .iter()
                .map(|quota| (quota, confirms)),
        );
        let is_within = quotas::take(&mut tx, limits, now).await?.is_ok();
        let answer = answer.or((!is_within).then_some(SignedUp::MailboxLimit));
        if let Some(answer) = answer {
            let reminds = reminds && is_within;
            change_nothing(tx, row.id, reminds, now).await?;
            return Ok(if reminds {
                SignedUp::ReminderQueued
            } else {
                answer
            });
        }
        // Somebody who left within the hour and comes back gets no second mail, but the one they have works again.
        execute!(
            tx,
            "update subscribers set requested_at = $2, timezone = coalesce($3, timezone) where id = $1",
            row.id,
            now.timestamp_millis(),
            request.timezone.map(ZoneName::name)
        )?;
        if confirms {
            queue_confirmation(&mut tx, row.id, now).await?;
        }
        consent(&mut tx, row.id, request, now).await?;
        history(
            &mut tx,
            row.id,
            now,
            &HistoryEvent::SignedUp {
                source: request.source.to_owned(),
            },
        )
        .await?;
        let subject = Some(ChangeSubject::Subscriber(row.id));
        let detail = serde_json::json!({ "mail": confirms });
        self.author(actor)
            .note(&mut tx, AuditAction::SubscriberAdded, subject, &detail, now)
            .await?;
        tx.commit().await?;
        Ok(if asked_recently {
            SignedUp::AskedRecently
        } else if request.is_quiet {
            SignedUp::Added
        } else {
            SignedUp::ConfirmationQueued
        })
    }

    /// Turns the open sign-up of `id` into a subscription, and queues the mail that says so; doing it twice is doing it once.
    pub async fn confirm(&self, id: i64, now: Timestamp) -> Result<Confirmed, StorageError> {
        repeated!(self.confirm_once(id, now))
    }

    async fn confirm_once(&self, id: i64, now: Timestamp) -> Result<Confirmed, StorageError> {
        let mut tx = self.begin().await?;
        let millis = now.timestamp_millis();
        let confirmed = execute!(
            tx,
            "update subscribers set state = 'active', state_at = $2, requested_at = null
             where id = $1 and requested_at is not null and state in ('pending', 'unsubscribed')",
            id,
            millis
        )?;
        if confirmed == 0 {
            let state: Option<(String,)> =
                optional!(tx, "select state from subscribers where id = $1", id)?;
            return Ok(if state.is_some_and(|(state,)| state == "active") {
                Confirmed::Already
            } else {
                Confirmed::Gone
            });
        }
        execute!(
            tx,
            "update consents set confirmed_at = $2 where subscriber_id = $1 and confirmed_at is null
             and requested_at = (select max(requested_at) from consents where subscriber_id = $1)",
            id,
            millis
        )?;
        let consent: Option<(String, i64)> = optional!(
            tx,
            "select source, requested_at from consents where subscriber_id = $1 order by requested_at desc limit 1",
            id
        )?;
        let (source, asked) = consent.unzip();
        let source = source.unwrap_or_default();
        let asked = asked.map(from_millis);
        growth::note(&mut tx, GrowthKind::Confirmed, &source, asked, 1, now).await?;
        history(&mut tx, id, now, &HistoryEvent::Confirmed).await?;
        queue(&mut tx, id, DeliveryKind::Welcome, None, now).await?;
        tx.commit().await?;
        Ok(Confirmed::Now)
    }

    /// Ends the subscription of `id`, and any open sign-up; doing it twice is doing it once. `true` if it did something.
    pub async fn unsubscribe(
        &self,
        actor: &Actor,
        id: i64,
        by: UnsubscribedBy,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        repeated!(self.unsubscribe_once(actor, id, by, now))
    }

    async fn unsubscribe_once(
        &self,
        actor: &Actor,
        id: i64,
        by: UnsubscribedBy,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let standing = growth::standing(&mut tx, id).await?;
        let left = execute!(
            tx,
            "update subscribers set state = 'unsubscribed', state_at = $2, requested_at = null
             where id = $1 and (state in ('pending', 'active') or (state = 'unsubscribed' and requested_at is not null))",
            id,
            now.timestamp_millis()
        )?;
        if left > 0 {
            growth::left(&mut tx, standing.as_ref(), by.into(), now).await?;
            // A link to leave names no digest, so that it is good for ever: it counts for the newest one that they got.
            let digest = match by {
                UnsubscribedBy::Operator => None,
                UnsubscribedBy::Link | UnsubscribedBy::Mail => newest_digest(&mut tx, id).await?,
            };
            let event = HistoryEvent::Unsubscribed { by };
            history_of_digest(&mut tx, id, digest.and_then(Slot::from_id), now, &event).await?;
            self.author(actor)
                .note(
                    &mut tx,
                    AuditAction::SubscriberUnsubscribed,
                    Some(ChangeSubject::Subscriber(id)),
                    &serde_json::json!({}),
                    now,
                )
                .await?;
        }
        tx.commit().await?;
        Ok(left > 0)
    }

    /// Forgets the sign-ups from before `cutoff` that nobody confirmed, at most 500 in one transaction; answers how many. One whose mail
    /// still waits, or went out after `cutoff`, stays: the link in it is good from when it is sent. Somebody who once was on the list and
    /// left stays known as such, or an import could bring them back.
    pub async fn forget_unconfirmed(
        &self,
        cutoff: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        let cutoff = cutoff.timestamp_millis();
        let old: Vec<(i64,)> = all!(
            tx,
            "select id from subscribers where requested_at is not null and requested_at < $1
             and not exists (select 1 from deliveries d where d.subscriber_id = subscribers.id and d.kind <> 'digest'
               and d.kind in ('confirmation', 'confirmation_reminder') and (d.finished_at is null or (d.state not in ('failed', 'skipped') and d.finished_at > $1)))
             order by requested_at limit 500",
            cutoff
        )?;
        let mut done = 0;
        // One by one: given the list, PostgreSQL reads the whole table. And only who is still as they were read.
        for (id,) in old {
            let forgotten = execute!(
                tx,
                "delete from subscribers where id = $1 and state = 'pending' and requested_at < $2",
                id,
                cutoff
            )?;
            let reverted = match forgotten {
                0 => execute!(
                    tx,
                    "update subscribers set requested_at = null where id = $1 and requested_at < $2",
                    id,
                    cutoff
                )?,
                _ => 0,
            };
            done += forgotten + reverted;
        }
        if done > 0 {
            let detail = serde_json::json!({ "sign_ups": done });
            self.author(&Actor::schedule())
                .note(&mut tx, AuditAction::SignUpsForgotten, None, &detail, now)
                .await?;
        }
        tx.commit().await?;
        Ok(done)
    }
}

/// The subscriber with that address, made as pending if there is none, and held until the transaction ends.
async fn find_or_make(
    tx: &mut Tx,
    email: &EmailAddress,
    name: Option<&str>,
    now: Timestamp,
) -> Result<SignUpRow, StorageError> {
    execute!(
        tx,
        "insert into subscribers (id, email, email_key, name, state, state_at, created_at) values ($1, $2, $3, $4, 'pending', $5, $5)
         on conflict (email_key) do nothing",
        ids::fresh(now),
        email.as_str(),
        email.key(),
        name,
        now.timestamp_millis()
    )?;
    // An update rather than a select takes the row's lock on PostgreSQL: two requests for one address go one by one.
    Ok(one!(
        tx,
        "update subscribers set email_key = email_key where email_key = $1
         returning id, state, requested_at, confirmation_at, reminded_at",
        email.key()
    )?)
}

async fn consent(
    tx: &mut Tx,
    subscriber: i64,
    request: &SignUp<'_>,
    now: Timestamp,
) -> Result<(), StorageError> {
    execute!(
        tx,
        "insert into consents (subscriber_id, requested_at, shown, source, network) values ($1, $2, $3, $4, $5)
         on conflict (subscriber_id, requested_at) do nothing",
        subscriber,
        now.timestamp_millis(),
        request.shown,
        request.source,
        request.network
    )?;
    growth::note(tx, GrowthKind::Joined, request.source, None, 1, now).await
}

/// Returns whether one of the keyed hashes is on the suppression list.
pub(super) async fn is_suppressed(tx: &mut Tx, hashes: &[String]) -> Result<bool, StorageError> {
    for hash in hashes {
        let found: Option<(String,)> = optional!(
            tx,
            "select reason from suppressions where address_hash = $1",
            hash
        )?;
        if found.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Ends a sign-up that changes nothing, with the mail that reminds a subscriber of it. The row that was made just now for somebody
/// suppressed goes again. Commits all the same: the time that a commit takes must not tell who is known here.
async fn change_nothing(
    mut tx: Tx,
    subscriber: i64,
    reminds: bool,
    now: Timestamp,
) -> Result<(), StorageError> {
    execute!(
        tx,
        "delete from subscribers where id = $1 and state = 'pending' and requested_at is null",
        subscriber
    )?;
    if reminds {
        execute!(
            tx,
            "update subscribers set reminded_at = $2 where id = $1",
            subscriber,
            now.timestamp_millis()
        )?;
        queue(
            &mut tx,
            subscriber,
            DeliveryKind::AlreadySubscribed,
            None,
            now,
        )
        .await?;
    }
    Ok(tx.commit().await?)
}
