//! Notices for users: derived from the database at each tick, so that a crash, a second process or a missed tick changes nothing.

use chrono::TimeDelta;

use crate::app::App;
use crate::app::Failure;
use crate::app::backup::OLD;
use crate::app::delta;
use crate::config::Approval;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::digest::Digest;
use crate::domain::digest::DigestState;
use crate::domain::digest_note::NoteKind;
use crate::domain::source::FAILURES_TOLD;
use crate::domain::user::User;
use crate::domain::user_notice::UNAPPROVED_BEFORE;
use crate::domain::user_notice::UserNotice;
use crate::domain::user_notice::UserNoticeKind;
use crate::domain::waiting::WaitReason;
use crate::domain::webhook_endpoint::DisabledReason;
use crate::storage::user_notices::NewNotice;

/// Age from which an event is no news: after an upgrade, or a week without a user, nobody is told of it.
const NEWS: TimeDelta = TimeDelta::days(2);
/// Time for which a state must have been over before it is told again.
const LASTS: TimeDelta = TimeDelta::minutes(15);
/// Notices and mails are kept for this long.
const KEPT: TimeDelta = TimeDelta::days(90);

impl App {
    /// Writes down what users are to hear of, and queues their mails.
    pub(in crate::app) async fn notify_users(&self, now: Timestamp) -> Result<(), Failure> {
        if !self.storage.has_users().await? {
            return Ok(());
        }
        for slot in [self.slot_at(now - TimeDelta::weeks(1)), self.slot_at(now)] {
            if let Some(digest) = self.storage.digest(slot).await? {
                self.notify_of_digest(&digest, now).await?;
            }
        }
        self.notify_of_breakers(now).await?;
        self.notify_of_webhooks(now).await?;
        self.notify_of_sources(now).await?;
        for held in self.held_refusals(None).await? {
            let said = format!(
                "{} refusals of the {} {} are held, and the subscriptions of {} readers wait for a decision. `verdicts bounces accept` ends them, `verdicts bounces dismiss` keeps them.",
                held.refused, held.kind, held.name, held.readers
            );
            let subject = format!(
                "{} {} {}",
                held.kind,
                held.name,
                held.since.timestamp_millis()
            );
            let path = held.digest.map_or_else(
                || "/desk/deliverability".into(),
                |slot| format!("/desk/digests/{slot}"),
            );
            self.notify(UserNoticeKind::BouncesHeld, &subject, &said, &path, now)
                .await?;
        }
        self.notify_of_backup(now).await?;
        Ok(self.storage.forget_user_notices(now - KEPT).await?)
    }

    /// Once for each last backup that grew old; nobody is told who never made one by `verdicts backup`.
    async fn notify_of_backup(&self, now: Timestamp) -> Result<(), Failure> {
        let Some(at) = self.last_backup().await?.filter(|at| now - *at > OLD) else {
            return Ok(());
        };
        let said = format!(
            "The last backup was made {}. See why `verdicts backup` does not run any more.",
            self.local_time(at)
        );
        let subject = at.timestamp_millis().to_string();
        self.notify(
            UserNoticeKind::BackupOld,
            &subject,
            &said,
            "/desk/diagnostics",
            now,
        )
        .await?;
        Ok(())
    }

    async fn notify_of_digest(&self, digest: &Digest, now: Timestamp) -> Result<(), Failure> {
        let (slot, send_at) = (digest.slot, digest.send_at);
        let path = format!("/desk/digests/{slot}");
        let due = self.local_time(send_at);
        let is_news = now < send_at + delta(self.settings.schedule.catch_up).max(NEWS);
        let (kind, subject, said) = match digest.state {
            DigestState::Draft | DigestState::Approved if is_news => {
                let waits = digest.state == DigestState::Draft
                    && self.settings.schedule.approval == Approval::Required;
                let then = if waits { ", once it is approved" } else { "" };
                let said = format!("The draft of {slot} is ready. It goes out {due}{then}.");
                (UserNoticeKind::DraftReady, slot.to_string(), said)
            }
            DigestState::Sent if digest.finished_at.is_some_and(|at| now - at < NEWS) => (
                UserNoticeKind::Sent,
                slot.to_string(),
                self.sum_in_words(digest).await?,
            ),
            DigestState::Skipped if is_news => {
                let notes = self.storage.notes(slot).await?;
                let why = notes
                    .iter()
                    .rfind(|note| note.kind == NoteKind::Skipped)
                    .map(|note| note.said.trim())
                    .filter(|said| !said.is_empty());
                let said = match why {
                    Some(why) => {
                        format!("{slot} is skipped, and nobody gets mail. The reason: {why}")
                    }
                    None => format!(
                        "{slot} is skipped, and nobody gets mail: there was too little new to pick."
                    ),
                };
                (UserNoticeKind::Skipped, slot.to_string(), said)
            }
            _ => return Ok(()),
        };
        let is_new = self.notify(kind, &subject, &said, &path, now).await?;
        // A draft that was made just now is told as ready first.
        if digest.state == DigestState::Draft && !is_new && now >= send_at - UNAPPROVED_BEFORE {
            let said = format!(
                "{slot} is due {due} and not approved. It does not go out before somebody approves it."
            );
            // Another time is another notice.
            let subject = format!("{slot} {}", send_at.timestamp_millis());
            self.notify(UserNoticeKind::Unapproved, &subject, &said, &path, now)
                .await?;
        }
        Ok(())
    }

    async fn sum_in_words(&self, digest: &Digest) -> Result<String, Failure> {
        let tally = self.storage.tally(digest.slot.id()).await?;
        let parts: Vec<String> = tally
            .by_state()
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        let sum: u64 = tally.by_state().iter().map(|(_, count)| count).sum();
        let readers = if sum == 1 { "reader" } else { "readers" };
        Ok(format!(
            "{} went out. {sum} {readers}: {}.",
            digest.slot,
            parts.join(", ")
        ))
    }

    async fn notify_of_breakers(&self, now: Timestamp) -> Result<(), Failure> {
        for process in self.storage.deliverers(now).await? {
            for wait in process.waits {
                if wait.reason != WaitReason::RelayPaused {
                    continue;
                }
                let relay = wait.relay.as_deref().unwrap_or("relay");
                let said = format!(
                    "Sending over {relay} is paused after failures. It is tried again by itself; `verdicts doctor` and the log say what the relay answered."
                );
                let notice = NewNotice {
                    kind: UserNoticeKind::BreakerOpen,
                    subject: relay,
                    said: &said,
                    path: "/desk/deliverability",
                };
                self.storage.notify_users(&notice, Some(LASTS), now).await?;
            }
        }
        Ok(())
    }

    async fn notify_of_webhooks(&self, now: Timestamp) -> Result<(), Failure> {
        for endpoint in self.storage.webhook_endpoints().await? {
            let Some((at, why)) = endpoint.disabled.filter(|(at, _)| now - *at < NEWS) else {
                continue;
            };
            let because = match why {
                DisabledReason::Gone => "it answered 410, which says that it wants no more",
                DisabledReason::Failing => "nothing reached it for five days",
                DisabledReason::Operator => continue,
            };
            let name = self.webhook_name(endpoint.id);
            let said = format!(
                "The webhook endpoint \"{}\" is disabled: {because}. Enable it once its program works again; events of before can be replayed.",
                endpoint.draft.name
            );
            let subject = format!("{name} {}", at.timestamp_millis());
            let path = format!("/desk/webhooks/{name}");
            self.notify(UserNoticeKind::WebhookDisabled, &subject, &said, &path, now)
                .await?;
        }
        Ok(())
    }

    /// Tells of each source that failed several times in a row, once for each row.
    async fn notify_of_sources(&self, now: Timestamp) -> Result<(), Failure> {
        for source in self.storage.sources().await? {
            let Some(since) = source
                .failing_since
                .filter(|_| source.failures >= FAILURES_TOLD)
            else {
                continue;
            };
            let name = self.source_name(source.id);
            let said = format!(
                "The source \"{}\" could not be read {} times in a row. The last reason: {} Nothing in the catalogue changes by that; it is asked again by itself, less and less often.",
                source.draft.name,
                source.failures,
                source.last_error.as_deref().unwrap_or("none was given.")
            );
            let subject = format!("{name} {}", since.timestamp_millis());
            let path = format!("/desk/sources/{name}");
            self.notify(UserNoticeKind::SourceFailing, &subject, &said, &path, now)
                .await?;
        }
        Ok(())
    }

    async fn notify(
        &self,
        kind: UserNoticeKind,
        subject: &str,
        said: &str,
        path: &str,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let notice = NewNotice {
            kind,
            subject,
            said,
            path,
        };
        let is_new = self.storage.notify_users(&notice, None, now).await?;
        if is_new {
            tracing::info!(%kind, subject, "users are told");
        }
        Ok(is_new)
    }

    /// Notices that a user may see, newest first, and the last of the page where there are older ones.
    pub async fn notices_of(
        &self,
        user: &User,
        before: Option<i64>,
        limit: usize,
    ) -> Result<(Vec<UserNotice>, Option<i64>), Failure> {
        let mut found = self.storage.user_notices(before, limit as i64 + 1).await?;
        let has_older = found.len() > limit;
        found.truncate(limit);
        let older = found.last().map(|last| last.id).filter(|_| has_older);
        found.retain(|notice| notice.kind.is_for(user.role));
        Ok((found, older))
    }

    /// The name of a notice, which shows no number.
    pub fn notice_name(&self, notice: i64) -> String {
        self.secrets.notice_name(notice)
    }

    /// The notice that [`App::notice_name`] names so.
    pub fn notice_named(&self, name: &str) -> Option<i64> {
        self.secrets.notice_named(name)
    }

    /// Kinds of mails that a user can get, each with whether it is on.
    pub async fn mail_choices(&self, user: &User) -> Result<Vec<(UserNoticeKind, bool)>, Failure> {
        let muted = self.storage.muted_kinds(user.id).await?;
        let kinds = UserNoticeKind::ALL.iter().copied();
        Ok(kinds
            .filter(|kind| kind.is_for(user.role))
            .map(|kind| (kind, !muted.contains(&kind)))
            .collect())
    }

    /// Chooses the kinds of mails that a user gets: those that are not named are off.
    pub async fn choose_mails(
        &self,
        actor: &Actor,
        user: &User,
        wanted: &[UserNoticeKind],
    ) -> Result<(), Failure> {
        let muted: Vec<UserNoticeKind> = UserNoticeKind::ALL
            .iter()
            .copied()
            .filter(|kind| kind.is_for(user.role) && !wanted.contains(kind))
            .collect();
        self.storage
            .mute_kinds(actor, user.id, &muted, self.now())
            .await?;
        tracing::info!(
            user = user.email.masked(),
            off = muted.len(),
            "mails to a user chosen"
        );
        Ok(())
    }
}
