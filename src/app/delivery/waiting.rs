//! Reasons why mail waits, said everywhere alike: each process that sends writes it down, and whoever asks reads it.
//!
//! Something is due and nothing went out for a minute: `digest show`, `doctor`, `/readyz`, the log and the gauges name what is waited
//! for and until when. The process that sends and the one that is asked are mostly two, so all of it goes through the database.

mod said;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::task::AbortOnDropHandle;

use crate::app::App;
use crate::app::Failure;
use crate::app::delivery::OpenMail;
use crate::app::delivery::RelaySnapshot;
use crate::app::delivery::RelayState;
use crate::app::delivery::SendSnapshot;
use crate::app::delivery::process_name;
use crate::app::delivery::relay::LastDay;
use crate::domain::Timestamp;
use crate::domain::delivery::MailClass;
use crate::domain::digest::Digest;
use crate::domain::digest::DigestState;
use crate::domain::limits::day_of;
use crate::domain::limits::start_of;
use crate::domain::progress;
use crate::domain::slot::Slot;
use crate::domain::waiting::DueMail;
use crate::domain::waiting::STALLED_AFTER;
use crate::domain::waiting::SendFacts;
use crate::domain::waiting::Stall;
use crate::domain::waiting::Wait;
use crate::domain::waiting::WaitReason;
use crate::domain::waiting::stall_of;
use crate::storage::ledger::Tally;
use crate::storage::waits::Deliverer;
use said::StallNews;
pub use said::StallNotices;

/// Interval at which a process says that it sends.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// Interval at which the clock is held against the database's, in signs of life.
const MEASURE_EVERY: u64 = 12;
/// At the end of a process the database is waited for no longer than this.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The ledger that cannot be written for so long takes no writes.
const WRITABLE: Duration = Duration::from_secs(5);
/// Nothing went out for this long: a rate of before tells nothing. What processes do is written down every two seconds.
const QUIET_AFTER: TimeDelta = TimeDelta::seconds(15);
/// A clock that is off by no more than this does no harm: schedules and links count in minutes.
pub(in crate::app) const SKEW_MAX: TimeDelta = TimeDelta::seconds(5);

impl App {
    /// Says that this process sends, all mail or (`only`) a digest's, until it is dropped; then others count it as gone after a while.
    pub(in crate::app) fn say_that_it_sends(
        self: &Arc<Self>,
        only: Option<Slot>,
    ) -> AbortOnDropHandle<()> {
        let app = self.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut ahead = None;
            for beat in 0_u64.. {
                if beat % MEASURE_EVERY == 0 {
                    ahead = app.measure_skew().await;
                }
                let mut waits = app.waits();
                waits.extend(only.map(|_| Wait {
                    class: Some(MailClass::Transactional),
                    ..Wait::new(WaitReason::NoSender)
                }));
                let deliverer = Deliverer {
                    process: process_name(),
                    waits,
                    relays: app.relays_in_process(),
                    ahead,
                };
                if let Err(failure) = app.heed_trials().await {
                    tracing::debug!(%failure, "requests to try a relay are not known");
                }
                if let Err(error) = app.storage.note_deliverer(&deliverer, app.now()).await {
                    tracing::debug!(%error, "what this process waits for is not written down");
                }
                app.watch_sending().await;
                tokio::time::sleep(SAY_EVERY).await;
            }
        }))
    }

    /// Takes back that this process sends. A database that does not answer is not waited for.
    pub(in crate::app) async fn say_no_more(&self) {
        match tokio::time::timeout(LAST_WORDS, self.storage.forget_deliverer(&process_name())).await
        {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(%error, "this process counts as sending for a little longer")
            }
            Err(_) => tracing::debug!("this process counts as sending for a little longer"),
        }
    }

    /// Returns what mail waits for, if some is due and none went out for a minute.
    pub async fn stall(&self) -> Result<Option<Stall>, Failure> {
        self.stall_among(|_| true).await
    }

    /// Returns what a digest's mail waits for: with what else is being sent, or alone where it is paused.
    pub(in crate::app) async fn stall_of_digest(
        &self,
        digest: &Digest,
    ) -> Result<Option<Stall>, Failure> {
        match digest.state {
            DigestState::Sending => {
                self.stall_among(|due| due.class == MailClass::Digest && due.paused.is_none())
                    .await
            }
            DigestState::Paused => {
                self.stall_among(|due| due.paused == Some(digest.slot))
                    .await
            }
            _ => Ok(None),
        }
    }

    async fn stall_among(
        &self,
        concerns: impl Fn(&DueMail) -> bool,
    ) -> Result<Option<Stall>, Failure> {
        let now = self.now();
        let mut facts = self.send_facts(now).await?;
        facts.due.retain(concerns);
        if stall_of(&facts, STALLED_AFTER, now).is_none() {
            return Ok(None);
        }
        // Only now is it worth a write.
        let is_writable = matches!(
            tokio::time::timeout(WRITABLE, self.storage.can_write()).await,
            Ok(Ok(()))
        );
        Ok(stall_of(
            &SendFacts {
                is_writable,
                ..facts
            },
            STALLED_AFTER,
            now,
        ))
    }

    /// Returns whether something is due and nothing went out for some seconds: then nobody knows how long the rest takes.
    async fn is_quiet(&self) -> Result<bool, Failure> {
        let now = self.now();
        let mut facts = self.send_facts(now).await?;
        facts.due.retain(|due| due.paused.is_none());
        let quiet = stall_of(&facts, QUIET_AFTER, now);
        Ok(quiet.is_some_and(|stall| stall.holds(MailClass::Digest)))
    }

    /// Returns how long the rest of a send takes: to its last day where its relays' allowances need more than one, else as long as it takes at
    /// that rate. Nobody knows while something is due and nothing goes out.
    pub(in crate::app) async fn time_left(
        &self,
        tally: &Tally,
        rate: f64,
        (next_due, last_due): (Option<Timestamp>, Option<Timestamp>),
        now: Timestamp,
    ) -> Result<Option<TimeDelta>, Failure> {
        if let Some(LastDay { from, mails }) = self.last_day_of(tally.open()).await? {
            let on_that_day = progress::time_left(mails, rate, None, None, now).unwrap_or_default();
            return Ok(Some(from - now + on_that_day));
        }
        if self.is_quiet().await? {
            return Ok(None);
        }
        Ok(progress::time_left(
            tally.open(),
            rate,
            next_due,
            last_due,
            now,
        ))
    }

    async fn send_facts(&self, now: Timestamp) -> Result<SendFacts, Failure> {
        let mut due = self.storage.due_mail(now).await?;
        let publishing_since = self.storage.publishing_since().await?;
        let is_publishing = publishing_since.is_some()
            && !due
                .iter()
                .any(|due| due.class == MailClass::Digest && due.paused.is_none());
        if let Some(since) = publishing_since.filter(|_| is_publishing) {
            let progress_at = self.storage.progress_at(MailClass::Digest).await?;
            due.push(DueMail {
                class: MailClass::Digest,
                since,
                progress_at,
                paused: None,
            });
        }
        let mut senders: Vec<_> = self.storage.deliverers(now).await?;
        let own = process_name();
        // Of this process more is known than it wrote down last.
        for deliverer in senders
            .iter_mut()
            .filter(|deliverer| deliverer.process == own)
        {
            deliverer
                .waits
                .retain(|wait| wait.reason == WaitReason::NoSender);
            deliverer.waits.extend(self.waits());
        }
        Ok(SendFacts {
            due,
            is_publishing,
            senders: senders
                .into_iter()
                .map(|deliverer| deliverer.waits)
                .collect(),
            is_writable: true,
        })
    }

    /// Logs once that mail waits and what for, and once that it goes on; and sets the gauges.
    pub(crate) async fn watch_sending(&self) {
        let stall = match self.stall().await {
            Ok(stall) => stall,
            Err(failure) => {
                if failure.is_unavailable() {
                    self.show_no_database();
                }
                return tracing::debug!(
                    cause = failure.cause(),
                    "it is not known whether mail waits: {failure}"
                );
            }
        };
        self.show_stall(stall.as_ref());
        let has = |is_paused: bool| {
            stall.as_ref().is_some_and(|stall| {
                stall
                    .waits
                    .iter()
                    .any(|wait| (wait.reason == WaitReason::DigestPaused) == is_paused)
            })
        };
        let news = [
            self.said.note_stall(0, has(false)),
            self.said.note_stall(1, has(true)),
        ];
        if let Some(stall) = stall.as_ref().filter(|_| news.contains(&StallNews::Begins)) {
            tracing::warn!("{}", self.stall_in_words(stall));
        }
        if news[0] == StallNews::Ends {
            tracing::info!("mail that was due goes out again");
        }
        if news[1] == StallNews::Ends {
            tracing::info!("no digest that is due is paused any more");
        }
    }

    /// Sets the gauges that tell of a stall, once the database has answered.
    pub(in crate::app) fn show_stall(&self, stall: Option<&Stall>) {
        self.said.open().no_database_since = None;
        show_stall(stall, self.now());
    }

    /// Sets the gauges that tell of a stall while the database cannot be asked: then no mail goes out, whatever is due.
    pub fn show_no_database(&self) {
        let now = self.now();
        let since = *self.said.open().no_database_since.get_or_insert(now);
        metrics::gauge!("verdicts_sending_stalled_seconds")
            .set((now - since).num_seconds().max(0) as f64);
        metrics::gauge!("verdicts_sending_waits", "reason" => WaitReason::Database.as_str())
            .set(1.0);
    }

    /// `Nothing goes out since ...: mail waits for ..., until ....`, for operators.
    pub fn stall_in_words(&self, stall: &Stall) -> String {
        let until = |until: Option<Timestamp>| {
            until
                .map(|until| format!(", until {}", self.local_time(until)))
                .unwrap_or_default()
        };
        let waits: Vec<String> = stall
            .waits
            .iter()
            .map(|wait| format!("{}{}", wait.describe(), until(wait.until)))
            .collect();
        let what = match stall.classes.as_slice() {
            [MailClass::Digest] => "no digest mail",
            [MailClass::Transactional] => "no transactional mail",
            _ => "no mail",
        };
        format!(
            "{what} went out since {}; it waits for {}",
            self.local_time(stall.since),
            waits.join("; and for ")
        )
    }

    /// Returns what the mail of this process waits for: by what is known of its relays, and by its send run, where one is under way.
    fn waits(&self) -> Vec<Wait> {
        let now = self.now();
        let mut waits: Vec<Wait> = Vec::new();
        for relay in &self.relays {
            for wait in MailClass::ALL
                .iter()
                .filter_map(|class| relay.wait(*class, now))
            {
                let is_same = |known: &Wait| {
                    (known.reason, &known.relay, known.class)
                        == (wait.reason, &wait.relay, wait.class)
                };
                if !waits.iter().any(is_same) {
                    waits.push(wait);
                }
            }
        }
        if let Some(snapshot) = self.sending.get() {
            waits.extend(waits_of(&snapshot));
        }
        waits
    }

    /// Returns when transactional mail goes out that is asked for now, in words that go after "will be sent"; `None`: at once.
    pub async fn mail_is_held(&self) -> Result<Option<String>, Failure> {
        let midnight = start_of(day_of(self.now()) + 1);
        if self.is_day_spent().await? {
            return Ok(Some(format!("after {}", self.local_time(midnight))));
        }
        let stall = self
            .stall()
            .await?
            .filter(|stall| stall.holds(MailClass::Transactional));
        Ok(stall.map(|_| "as soon as our mail is no longer held up".to_owned()))
    }

    /// Measures how far this machine's clock is ahead of the database's, and says so once where it is too far off.
    pub(in crate::app) async fn measure_skew(&self) -> Option<TimeDelta> {
        let skew = match self.storage.clock_skew(|| self.now()).await {
            Ok(skew) => skew?,
            Err(error) => {
                tracing::debug!(%error, "the database's clock cannot be read");
                return None;
            }
        };
        metrics::gauge!("verdicts_clock_skew_seconds")
            .set(skew.ahead.num_milliseconds() as f64 / 1_000.0);
        let is_off = skew.ahead.abs() - skew.error > SKEW_MAX;
        let was_said = std::mem::replace(&mut self.said.open().skew, is_off);
        match (is_off, was_said) {
            (true, false) => tracing::warn!("{}", off_by("this machine's clock", skew.ahead)),
            (false, true) => {
                tracing::info!("this machine's clock agrees with the database's again")
            }
            _ => {}
        }
        Some(skew.ahead)
    }
}

/// Returns what a send run waits for, beyond what is known of its relays.
fn waits_of(snapshot: &SendSnapshot) -> Vec<Wait> {
    let mut waits: Vec<Wait> = snapshot
        .relays
        .iter()
        .filter_map(|relay| wait_at(relay, snapshot.oldest.as_ref()))
        .collect();
    if snapshot.ready == 0 && snapshot.held_by_domain > 0 {
        waits.push(Wait {
            class: Some(MailClass::Digest),
            ..Wait::new(WaitReason::DomainPace)
        });
    }
    waits
}

fn wait_at(relay: &RelaySnapshot, oldest: Option<&OpenMail>) -> Option<Wait> {
    let reason = match relay.state {
        RelayState::Connecting => WaitReason::Connecting,
        RelayState::Paced => WaitReason::Pace,
        // Mail is with it, and this is asked only where none went out for a minute.
        RelayState::Sending | RelayState::Silent if relay.sending > 0 => WaitReason::RelaySilent,
        RelayState::Idle | RelayState::Sending | RelayState::Silent => return None,
        // The relay itself says these.
        RelayState::DaySpent
        | RelayState::MailTooLarge
        | RelayState::Paused
        | RelayState::Probing => return None,
    };
    let open = oldest.filter(|open| reason == WaitReason::RelaySilent && open.relay == relay.name);
    let detail = open.map(|open| {
        format!(
            "{} is waited for since {}",
            open.stage.describe(),
            open.since.format("%H:%M:%S UTC")
        )
    });
    Some(Wait {
        relay: Some(relay.name.clone()),
        detail,
        until: relay.until,
        ..Wait::new(reason)
    })
}

/// A clock that is off, in words.
pub(in crate::app) fn off_by(whose: &str, ahead: TimeDelta) -> String {
    let span = humantime::format_duration(Duration::from_secs(ahead.num_seconds().unsigned_abs()));
    let side = if ahead > TimeDelta::zero() {
        "ahead of"
    } else {
        "behind"
    };
    format!(
        "{whose} is {span} {side} the database's: due times and the life of links are off by as much; set it right (NTP)"
    )
}

fn show_stall(stall: Option<&Stall>, now: Timestamp) {
    use crate::domain::waiting::WaitReason;
    let seconds = stall.map_or(0, |stall| (now - stall.since).num_seconds().max(0));
    metrics::gauge!("verdicts_sending_stalled_seconds").set(seconds as f64);
    let until = stall
        .and_then(Stall::until)
        .map_or(0, |until| until.timestamp());
    metrics::gauge!("verdicts_sending_stalled_until_seconds").set(until as f64);
    for reason in WaitReason::ALL {
        let is_so =
            stall.is_some_and(|stall| stall.waits.iter().any(|wait| wait.reason == *reason));
        metrics::gauge!("verdicts_sending_waits", "reason" => reason.as_str()).set(if is_so {
            1.0
        } else {
            0.0
        });
    }
}
