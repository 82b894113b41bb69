//! Limits on mails that a stranger can cause: the one owner for all doors that mail somebody (sign-up by form, JSON, embedded form
//! or mail; change of address; link to one's data; reminders).
//!
//! Counted in the database, so that they hold for all processes together, and by keyed hashes, so that the counters name nobody.
//! Limits on the asker answer 429. Limits on the recipient are silent: the answer, and its time, must not tell who is known here.

use std::net::IpAddr;
use std::time::Duration;

use chrono::TimeDelta;

use crate::app::App;
use crate::app::Failure;
use crate::app::delta;
use crate::domain::address::EmailAddress;
use crate::domain::network::household;
use crate::domain::network::site;
use crate::domain::quota::Quota;
use crate::domain::quota::mailbox_key;
use crate::storage::quotas::MailQuotas;

/// At most one mail that somebody else may have asked for goes to one address in this time, however often it is entered; see
/// [`App::quiet`].
const QUIET: TimeDelta = TimeDelta::hours(1);
/// The time in which mails that nobody answered are forgotten: then one more is tried after each `UNANSWERED / signup.unanswered`.
const UNANSWERED: TimeDelta = TimeDelta::days(120);
/// The time of an answer whose time must not tell anything is a multiple of this: more than the database's work differs.
const BEAT: Duration = Duration::from_millis(20);

/// The mail that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::app) enum RequestedMail {
    /// To an address that anybody may have typed: confirmation, reminder, change of address.
    Typed,
    /// To the address that a reader has here already.
    Own,
}

impl App {
    /// The quotas of one request. `account`: the reader who asks, where one does; their own limit keeps one account from mailing
    /// many strangers.
    pub(in crate::app) fn mail_quotas(
        &self,
        asked: RequestedMail,
        client: Option<IpAddr>,
        account: Option<i64>,
        recipient: Option<&EmailAddress>,
    ) -> MailQuotas {
        let signup = &self.settings.signup;
        let quota = |what: &str, text: &str, max, window| Quota {
            key: self.secrets.count_hash(what, text),
            max,
            window,
        };
        let (hour, day) = (TimeDelta::hours(1), TimeDelta::days(1));
        let mut quotas = MailQuotas::default();
        if let Some(client) = client {
            quotas.asker.push(quota(
                "client",
                &household(client).to_string(),
                signup.per_client,
                hour,
            ));
            quotas.asker.extend(
                site(client).map(|site| quota("site", &site.to_string(), signup.per_site, hour)),
            );
        }
        quotas.asker.extend(
            account
                .map(|account| quota("account", &account.to_string(), signup.mails_per_day, day)),
        );
        if let Some(recipient) = recipient {
            let mailbox = mailbox_key(recipient);
            // Counted apart, so that nobody keeps a reader from their own data by typing their address into the form.
            let what = if asked == RequestedMail::Own {
                "own mails"
            } else {
                "mails"
            };
            quotas
                .recipient
                .push(quota(what, &mailbox, signup.mails_per_day, day));
            if asked == RequestedMail::Typed {
                quotas
                    .recipient
                    .push(quota("quiet", &recipient.key(), 1, self.quiet()));
                quotas.unanswered.push(self.unanswered(&mailbox));
            }
        }
        quotas
    }

    /// The time in which one address gets at most one mail that asks it something. Not longer than the link in such a mail is good, or
    /// there would be a time with neither a link nor a way to get one.
    pub fn quiet(&self) -> TimeDelta {
        QUIET.min(delta(self.settings.signup.confirm_within))
    }

    /// The same for people.
    pub fn quiet_in_words(&self) -> String {
        crate::domain::duration_words(self.quiet().to_std().unwrap_or_default())
    }

    fn unanswered(&self, mailbox: &str) -> Quota {
        Quota {
            key: self.secrets.count_hash("unanswered", mailbox),
            max: self.settings.signup.unanswered,
            window: UNANSWERED,
        }
    }

    /// Forgets the unanswered mails to an address: its owner answered one.
    pub(in crate::app) async fn answered(&self, subscriber: i64) -> Result<(), Failure> {
        if let Some(email) = self.storage.address_of(subscriber).await? {
            self.storage
                .give_back_quotas(&[self.unanswered(&mailbox_key(&email))])
                .await?;
        }
        Ok(())
    }
}

/// Does work whose time must not tell what it did: the answer comes at a whole number of beats.
pub(in crate::app) async fn evenly<T>(work: impl Future<Output = T>) -> T {
    let began = tokio::time::Instant::now();
    let result = work.await;
    let beats = began.elapsed().as_millis() / BEAT.as_millis() + 1;
    tokio::time::sleep_until(began + BEAT * u32::try_from(beats).unwrap_or(u32::MAX)).await;
    result
}
