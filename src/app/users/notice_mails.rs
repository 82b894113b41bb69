//! Mails to users: written down as begun before a relay gets them, under a lease, and never sent twice.
//!
//! They go over the relays, with the signatures and the return path of all other mail, on connections of their own: the ledger's deliveries
//! belong to subscribers, and these are a handful a week (docs/adr/0011).

use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::app::Failure;
use crate::app::delta;
use crate::domain::delivery::DeliveryKey;
use crate::domain::delivery::Outcome;
use crate::domain::delivery::RetryPolicy;
use crate::domain::user::User;
use crate::domain::user_notice::UserMailState;
use crate::domain::user_notice::UserNotice;
use crate::mail::Envelope;
use crate::mail::Recipient;
use crate::mail::WriteDeadline;
use crate::render::email;
use crate::storage::user_notices::DueUserMail;

/// Time that one attempt may take; a connection's own limits are shorter together.
const ATTEMPT_MAX: Duration = Duration::from_secs(30 * 60);
/// After this nobody works at a mail that was begun.
const LEASE: TimeDelta = TimeDelta::minutes(35);
/// Pause between two looks: nobody waits for such a mail by the second.
const LOOK_EVERY: Duration = Duration::from_secs(10);

impl App {
    /// Sends mails to users until told to stop.
    pub async fn mail_users_until(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(failure) = self.mail_users().await {
                tracing::warn!(cause = failure.cause(), "mails to users wait: {failure}");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Sends the mails to users that are due.
    pub async fn mail_users(&self) -> Result<(), Failure> {
        let now = self.now();
        let words =
            "the process ended while a relay had it; it may have arrived, and is not sent again";
        let expired = self.storage.expire_user_mails(words, now).await?;
        if expired > 0 {
            tracing::warn!(
                mails = expired,
                "mails to users are uncertain: the process that sent them ended; `verdicts users mails` names them"
            );
        }
        for mail in self.storage.due_user_mails(now).await? {
            let user = self.storage.user(mail.user).await?.map(|found| found.user);
            let muted = self.storage.muted_kinds(mail.user).await?;
            let Some(notices) = self
                .storage
                .begin_user_mail(&mail, LEASE, self.now())
                .await?
            else {
                continue;
            };
            let wanted = user.filter(|user| {
                user.disabled_at.is_none()
                    && mail.kind.is_for(user.role)
                    && !muted.contains(&mail.kind)
            });
            match wanted.filter(|_| !notices.is_empty()) {
                Some(user) => self.mail_user(&mail, &user, &notices).await?,
                None => {
                    let why = "not wanted any more, or nobody to get it";
                    self.storage
                        .end_user_mail(mail.id, UserMailState::Skipped, why, self.now())
                        .await?;
                }
            }
        }
        Ok(())
    }

    async fn mail_user(
        &self,
        mail: &DueUserMail,
        user: &User,
        notices: &[UserNotice],
    ) -> Result<(), Failure> {
        let attempt = tokio::time::timeout(ATTEMPT_MAX, self.hand_over(mail, user, notices));
        let outcome = match attempt.await {
            Ok(outcome) => outcome?,
            Err(_) => Outcome::InDoubt {
                reply: "no answer in time".into(),
            },
        };
        let (now, reply) = (self.now(), outcome.reply());
        let state = match &outcome {
            Outcome::Accepted { .. } => UserMailState::Sent,
            Outcome::InDoubt { .. } => UserMailState::Uncertain,
            Outcome::Refused {
                about_us: false, ..
            }
            | Outcome::BadAddress { .. } => UserMailState::Failed,
            Outcome::Later { .. } | Outcome::Throttled { .. } | Outcome::Refused { .. } => {
                let retry = &self.settings.mail.retry;
                let policy = RetryPolicy {
                    first: delta(retry.first),
                    max_age: delta(retry.max_age),
                };
                if let Some(due_at) = policy.next(now - mail.queued_at, now, mail.attempts + 1, 0.5)
                {
                    return Ok(self.storage.retry_user_mail(mail.id, due_at, reply).await?);
                }
                UserMailState::Failed
            }
        };
        if state != UserMailState::Sent {
            tracing::warn!(user = user.email.masked(), kind = %mail.kind, %state, "a mail to a user did not arrive for sure; `verdicts users mails` says what the relay answered");
        }
        Ok(self
            .storage
            .end_user_mail(mail.id, state, reply, now)
            .await?)
    }

    /// Hands a mail to the first relay that takes a connection.
    async fn hand_over(
        &self,
        mail: &DueUserMail,
        user: &User,
        notices: &[UserNotice],
    ) -> Result<Outcome, Failure> {
        let rendered =
            email::user_notices(&self.site, mail.kind, notices, &self.settings.desk_url())?;
        let key = DeliveryKey {
            mailing: mail.id,
            subscriber: 0,
        };
        let message_id = self.message_id(key);
        let recipient = Recipient {
            to: &user.email,
            token: "",
            reader: "",
            since: "",
            verp: "",
            message_id: &message_id,
            date: mail.queued_at,
        };
        let mut message = Vec::new();
        self.by_hand(&rendered, Vec::new())
            .fill(&recipient, &mut message);
        let message = self.signing.seal(message, self.now()).await;
        let bounces = self.return_path.verp(&self.secrets, key);
        let envelope = Envelope {
            from: &self.return_path.with(&bounces),
            to: &user.email,
            file: &format!("{}.{message_id}", mail.queued_at.timestamp_millis()),
        };
        let mut fault = String::new();
        for relay in &self.relays {
            match relay.transport.connect(WriteDeadline::open()).await {
                Ok(mut connection) => {
                    let outcome = connection.send(&envelope, &message).await;
                    connection.close().await;
                    return Ok(outcome);
                }
                Err(error) => fault = error.to_string(),
            }
        }
        Ok(Outcome::later_for_us(fault))
    }
}
