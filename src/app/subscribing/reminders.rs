//! The one reminder to a sign-up that nobody confirmed, before it is forgotten.

use crate::app::App;
use crate::app::Failure;
use crate::app::delta;
use crate::app::subscribing::quotas::RequestedMail;
use crate::domain::Timestamp;
use crate::domain::address::EmailAddress;
use crate::storage::reminders::Reminded;

/// Sign-ups in one step, and steps of one tick: the rest goes with the next.
const STEP: i64 = 100;
const STEPS_MAX: usize = 10;

impl App {
    /// Reminds sign-ups whose confirmation mail went out `signup.remind_after` ago. Nobody is reminded after their link is over, or twice.
    pub(in crate::app) async fn remind_sign_ups(&self, now: Timestamp) -> Result<(), Failure> {
        let signup = &self.settings.signup;
        if signup.remind_after.is_zero() || signup.remind_after >= signup.confirm_within {
            return Ok(());
        }
        let before = now - delta(signup.remind_after);
        // Of the time that is left then, half must be: a reminder in the last hour, after a service was down, helps nobody.
        let earliest = now - delta((signup.remind_after + signup.confirm_within) / 2);
        let mut reminded = 0;
        for _ in 0..STEPS_MAX {
            let found = self.storage.sign_ups_to_remind(before, STEP).await?;
            let is_last = found.len() < usize::try_from(STEP).unwrap_or_default();
            for (id, email) in found {
                let email = EmailAddress::parse(&email).ok();
                let hashes = email
                    .as_ref()
                    .map(|email| self.secrets.address_hashes(email))
                    .unwrap_or_default();
                let quotas = self.mail_quotas(RequestedMail::Typed, None, None, email.as_ref());
                let result = self
                    .storage
                    .remind(id, &hashes, &quotas, (earliest, before), now)
                    .await?;
                reminded += u64::from(result == Reminded::Queued);
            }
            if is_last {
                break;
            }
        }
        if reminded > 0 {
            tracing::info!(reminded, "sign-ups that nobody confirmed are reminded once");
            self.wake_senders();
        }
        Ok(())
    }
}
