//! The life of a digest, by the clock and by hand.

use std::sync::Arc;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::app::Failure;
use crate::app::delivery::SendEnding;
use crate::app::delivery::SendProgress;
use crate::app::delta;
use crate::app::issue::edition::LeftOut;
use crate::app::issue::missed::MissedDigest;
use crate::app::issue::preflight::Preflight;
use crate::app::issue::sending::SendNews;
use crate::app::issue::sending::SendOrder;
use crate::app::returns::bounces::HeldRefusals;
use crate::app::returns::bounces::STEPS_OF_TICK;
use crate::config::Approval;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::delivery::SkipReason;
use crate::domain::digest::Digest;
use crate::domain::digest::DigestState;
use crate::domain::due::DueTimes;
use crate::domain::due::LONGEST_LEAD;
use crate::domain::due::Pacing;
use crate::domain::progress;
use crate::domain::progress::MinuteStats;
use crate::domain::slot::Slot;
use crate::domain::waiting::Stall;
use crate::domain::waiting::WaitReason;
use crate::storage::ledger::Tally;
use crate::storage::publishing::Frozen;
use crate::storage::publishing::Issue;

/// A digest and how its deliveries stand.
#[derive(Debug, Clone)]
pub struct DigestStatus {
    /// The digest.
    pub digest: Digest,
    /// Its deliveries by state.
    pub tally: Tally,
    /// Reason why deliveries were skipped, and how many for each reason, most frequent first.
    pub skips: Vec<(SkipReason, u64)>,
    /// Time at which the next one that waits is due.
    pub next_due: Option<Timestamp>,
    /// Reason why deliveries failed, most frequent first, up to ten reasons.
    pub failures: Vec<(String, u64)>,
    /// Reasons that keep senders from sending, in plain words.
    pub troubles: Vec<String>,
    /// Hard refusals of it that the brake holds.
    pub held: Vec<HeldRefusals>,
    /// Outcomes of its mails minute by minute, oldest first; the last seconds may be missing.
    pub minutes: Vec<MinuteStats>,
    /// Number of deliveries that end in a minute: lately while it is being sent, on the average once it is sent.
    pub rate_per_minute: Option<f64>,
    /// Time that the rest takes, while it is being sent and anybody can know: not while something is due and nothing goes out.
    pub time_left: Option<TimeDelta>,
    /// Reasons why its mail waits, if some is due and none went out for a minute.
    pub stall: Option<Stall>,
    /// The step that it missed, if any.
    pub missed: Option<MissedDigest>,
}

/// Result of `digest send`.
#[derive(Debug, Clone)]
pub enum SendResult {
    /// The digest, and how delivering it ended for now.
    Delivered(DigestStatus, SendEnding),
    /// Nothing was sent, for the reason in words.
    Not(DigestStatus, String),
}

impl App {
    /// Does what is due at this moment: forgets old sign-ups, picks, publishes. Doing it twice, or in two
    /// processes, is doing it once: the slot decides.
    pub async fn tick(&self) -> Result<(), Failure> {
        // Before publishing: whose subscription ends now gets no further digest.
        self.judge_refusals(STEPS_OF_TICK).await?;
        self.release_refusals(STEPS_OF_TICK).await?;
        self.forget_old_sends(self.now()).await?;
        let now = self.now();
        self.remind_sign_ups(now).await?;
        let cutoff = now - delta(self.settings.signup.confirm_within);
        let mut forgotten = 0;
        loop {
            let more = self.storage.forget_unconfirmed(cutoff, now).await?;
            forgotten += more;
            if more == 0 {
                break;
            }
        }
        if forgotten > 0 {
            tracing::info!(forgotten, "sign-ups that nobody confirmed are forgotten");
        }
        self.storage.forget_quotas(now).await?;
        self.forget_sign_ins(now).await?;
        self.bring_forward(now).await?;
        self.keep_up(now).await?;
        self.pick_if_due(now).await?;
        self.watch_approvals().await?;
        // The moment anew: what was just approved is due too.
        self.publish_if_due(self.now()).await?;
        self.roll_up(now).await?;
        self.keep_growth().await?;
        self.keep_tables(now).await?;
        self.notify_users(self.now()).await?;
        // Last, so that what this tick did is chained too.
        self.chain_audit().await?;
        self.watch_missed().await?;
        self.watch_sending().await;
        self.keep_dns_checks(self.now()).await?;
        Ok(())
    }

    /// Makes due what a clock that ran ahead put off to a time that no retry and no send time reaches.
    async fn bring_forward(&self, now: Timestamp) -> Result<(), Failure> {
        let (mail, schedule) = (&self.settings.mail, &self.settings.schedule);
        let longest = delta(mail.retry.max_age)
            + delta(schedule.spread)
            + LONGEST_LEAD * 2
            + TimeDelta::days(1);
        let brought = self.storage.bring_forward(now + longest, now).await?;
        if brought > 0 {
            tracing::warn!(
                deliveries = brought,
                "a clock ran ahead and put deliveries off too far; they are due now"
            );
            self.wake_senders();
        }
        Ok(())
    }

    async fn pick_if_due(&self, now: Timestamp) -> Result<(), Failure> {
        // A time before the service was first set up was not missed: nobody was there to wait for it.
        let since =
            (now - delta(self.settings.schedule.catch_up)).max(self.storage.created_at().await?);
        let Some(due) = self.pick_times.last_due(since, now) else {
            return Ok(());
        };
        let slot = self.slot_at(due);
        if self.storage.digest(slot).await?.is_some() {
            return Ok(());
        }
        if let Err(failure) = self.check_order(slot).await {
            if !self.is_said(slot, &failure) {
                tracing::error!(cause = failure.cause(), "nothing is picked: {failure}");
            }
            return Ok(());
        }
        let send_at = self.send_times.next_from(due).unwrap_or(due);
        self.make(
            &Actor::schedule(),
            slot,
            due,
            send_at,
            self.settings.schedule.approval,
        )
        .await?;
        Ok(())
    }

    async fn publish_if_due(&self, now: Timestamp) -> Result<(), Failure> {
        let pacing = self.pacing();
        for digest in self.storage.due_digests(now + LONGEST_LEAD).await? {
            if pacing.publish_at(digest.send_at) > now {
                continue;
            }
            let late = now - digest.send_at;
            if late > delta(self.settings.schedule.catch_up) {
                // `watch_missed` says so.
                continue;
            }
            // Its own time, where it was approved after it: the clocks elsewhere may not show that one yet.
            let send_at = self
                .storage
                .digest(digest.slot)
                .await?
                .map_or(digest.send_at, |digest| digest.send_at);
            match self
                .publish(
                    &Actor::schedule(),
                    digest.slot,
                    Preflight::Heeded,
                    |now| pacing.due_times(send_at, now),
                    &mut |_| {},
                )
                .await
            {
                Ok(Frozen::Nobody)
                    if (TimeDelta::zero()..TimeDelta::minutes(5)).contains(&late) =>
                {
                    tracing::info!(slot = %digest.slot, "digest is due, but there are no active subscribers; not published");
                }
                Ok(_) => {}
                // One that cannot be published must not keep back the others.
                // It is tried again each minute, and said once.
                Err(failure) if self.is_said(digest.slot, &failure) => {}
                Err(failure) => {
                    tracing::error!(slot = %digest.slot, cause = failure.cause(), "not published: {failure}")
                }
            }
        }
        Ok(())
    }

    /// Picks for the slot and writes the digest down: approved, draft, or skipped when there is too little. `false` if
    /// the slot has one already.
    async fn make(
        &self,
        actor: &Actor,
        slot: Slot,
        at: Timestamp,
        send_at: Timestamp,
        approval: Approval,
    ) -> Result<bool, Failure> {
        let picks = self.picks_at(at).await?;
        let state = match (picks.is_empty(), approval) {
            (true, _) => DigestState::Skipped,
            (false, Approval::Auto) => DigestState::Approved,
            (false, Approval::Required) => DigestState::Draft,
        };
        let made = self
            .storage
            .make_digest(actor, slot, state, &picks, send_at, self.now())
            .await?;
        if made {
            tracing::info!(%slot, %state, picks = picks.len(), %send_at, "digest made");
        }
        Ok(made)
    }

    /// `schedule.spread` and `schedule.local_time`.
    pub(in crate::app) fn pacing(&self) -> Pacing {
        let schedule = &self.settings.schedule;
        let zones = if schedule.local_time {
            self.zones.all()
        } else {
            Vec::new()
        };
        Pacing {
            spread: delta(schedule.spread),
            zones,
            home: self.site.timezone.clone(),
        }
    }

    /// Freezes an approved digest and makes its first deliveries, due as `due` says for that moment; the others follow in ranges.
    async fn publish(
        &self,
        actor: &Actor,
        slot: Slot,
        preflight: Preflight,
        due: impl FnOnce(Timestamp) -> DueTimes,
        news: &mut impl FnMut(SendNews),
    ) -> Result<Frozen, Failure> {
        self.check_gap().await?;
        if preflight == Preflight::Heeded {
            self.check_order(slot).await?;
        }
        let edition = self.edition_now(slot).await?;
        if !edition.is_open() {
            return Ok(Frozen::NotApproved);
        }
        for LeftOut { comparison, why } in &edition.left_out {
            tracing::warn!(%slot, %comparison, "left out of the digest: {why}");
        }
        if !edition.left_out.is_empty() {
            news(SendNews::LeftOut(edition.left_out.clone()));
        }
        let content = &edition.content;
        if content.items.len() < self.settings.picker.min_items.max(1) {
            tracing::warn!(%slot, items = content.items.len(), "fewer comparisons are left than picker.min_items; digest skipped");
            self.storage
                .move_digest(
                    actor,
                    slot,
                    &[DigestState::Approved],
                    DigestState::Skipped,
                    self.now(),
                )
                .await?;
            return Ok(Frozen::NotApproved);
        }
        if !self.is_as_approved(&edition).await? {
            return Ok(Frozen::NotApproved);
        }
        let rendered = self.mail_of(&edition).await?;
        if preflight == Preflight::Heeded {
            self.preflight(DigestState::Approved, &rendered, content, None)
                .await?;
        }
        let now = self.now();
        let variants = self
            .variants(content, edition.subject.as_ref(), now)
            .await?;
        // Everybody's, and each choice's that gets a mail.
        let renderings = 1 + variants
            .iter()
            .filter(|variant| variant.mail.is_some())
            .count();
        let frozen = self
            .storage
            .freeze(
                actor,
                Issue {
                    content,
                    rendered: &rendered,
                    variants: &variants,
                    revision: edition.revision(),
                },
                self.month_of(now),
                &due(now),
                now,
            )
            .await?;
        if frozen == Frozen::Now {
            tracing::info!(%slot, renderings, subject = rendered.subject, "digest frozen");
            self.publish_first_range().await?;
        }
        Ok(frozen)
    }

    /// Returns whether the last failure to publish was this one.
    fn is_said(&self, slot: Slot, failure: &Failure) -> bool {
        let words = format!("{slot}: {failure}");
        let mut said = self
            .unpublished
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *said == words || {
            *said = words;
            false
        }
    }

    /// `digest send`: picks if the slot has no digest, publishes, and delivers until every delivery is final or waits.
    /// `news` is told what is left out, and how many deliveries there are before the first goes out.
    pub async fn send_digest(
        self: &Arc<Self>,
        actor: &Actor,
        order: SendOrder,
        stop: &CancellationToken,
        progress: &Arc<SendProgress>,
        mut news: impl FnMut(SendNews),
    ) -> Result<SendResult, Failure> {
        self.judge_all_refusals().await?;
        let (slot, _) = self.check_send(&order).await?;
        let preflight = order.preflight;
        self.bring_forward(self.now()).await?;
        if self.settings.schedule.approval == Approval::Auto {
            if self.storage.digest(slot).await?.is_none() {
                self.make(actor, slot, self.now(), self.now(), Approval::Auto)
                    .await?;
            }
            // Whoever sends by hand approves by hand, where nobody else has to.
            self.storage
                .move_digest(
                    actor,
                    slot,
                    &[DigestState::Draft],
                    DigestState::Approved,
                    self.now(),
                )
                .await?;
        }
        let mut nobody = false;
        if self
            .storage
            .digest(slot)
            .await?
            .is_some_and(|digest| digest.state == DigestState::Approved)
        {
            nobody = self
                .publish(actor, slot, preflight, DueTimes::at_once, &mut news)
                .await?
                == Frozen::Nobody;
        }
        if self
            .storage
            .digest(slot)
            .await?
            .is_some_and(|digest| digest.state == DigestState::Sending)
        {
            let tally = self.storage.tally(slot.id()).await?;
            news(SendNews::Begins(tally.queued + tally.sending));
            let ending = self.deliver_digest(slot, stop, progress).await?;
            return Ok(SendResult::Delivered(self.status(slot).await?, ending));
        }
        let status = self.status(slot).await?;
        let words = self.why_not_sent(slot, status.digest.state, nobody);
        Ok(SendResult::Not(status, words))
    }

    /// A digest with its deliveries; a sentence if the slot has none.
    pub async fn status(&self, slot: Slot) -> Result<DigestStatus, Failure> {
        let digest = self.storage.digest(slot).await?;
        let Some(digest) = digest else {
            let missed = self
                .missed_digests()
                .await?
                .into_iter()
                .find(|missed| missed.slot == slot);
            let why = missed
                .map(|missed| format!(" {}.", self.missed_in_words(&missed)))
                .unwrap_or_default();
            return Err(Failure::not_found(format!(
                "There is no digest {slot}; `verdicts digest list` shows all.{why}"
            )));
        };
        let (now, id) = (self.now(), slot.id());
        let mut troubles = self.storage.troubles(now).await?;
        troubles.extend(self.trouble().filter(|trouble| !troubles.contains(trouble)));
        let (tally, minutes) = (
            self.storage.tally(id).await?,
            self.storage.minutes(id).await?,
        );
        let (next_due, last_due) = (
            self.storage.next_due(id).await?,
            self.storage.last_due(id).await?,
        );
        let rate_per_minute = match (digest.state, digest.published_at, digest.finished_at) {
            (DigestState::Sending, Some(since), _) => {
                Some(progress::rate_per_minute(&minutes, since, now))
            }
            (DigestState::Sent, Some(since), Some(until)) => {
                Some(progress::average_per_minute(&minutes, since, until))
            }
            _ => None,
        };
        let stall = self.stall_of_digest(&digest).await?;
        // A spent day is over at midnight; who knows when anything else is.
        let has_end = stall.as_ref().is_none_or(|stall| {
            stall
                .waits
                .iter()
                .all(|wait| wait.reason == WaitReason::DaySpent)
        });
        let time_left =
            match rate_per_minute.filter(|_| digest.state == DigestState::Sending && has_end) {
                Some(rate) => {
                    self.time_left(&tally, rate, (next_due, last_due), now)
                        .await?
                }
                None => None,
            };
        Ok(DigestStatus {
            time_left,
            stall,
            missed: self
                .missed_digests()
                .await?
                .into_iter()
                .find(|missed| missed.slot == slot),
            skips: self.storage.skips(id).await?,
            failures: self.storage.failures(id, 10).await?,
            held: self.held_refusals(Some(slot)).await?,
            tally,
            minutes,
            next_due,
            troubles,
            rate_per_minute,
            digest,
        })
    }

    /// Stops sending: within a message, in every process.
    pub async fn pause_digest(&self, actor: &Actor, slot: Slot) -> Result<DigestStatus, Failure> {
        self.move_digest(
            actor,
            slot,
            &[DigestState::Sending],
            DigestState::Paused,
            "only one that is being sent can be paused",
        )
        .await
    }

    /// Goes on sending, after the same look as before the first mail: what made somebody pause it may not be mended yet.
    pub async fn resume_digest(
        &self,
        actor: &Actor,
        slot: Slot,
        preflight: Preflight,
    ) -> Result<DigestStatus, Failure> {
        self.check_gap().await?;
        let is_paused = self
            .storage
            .digest(slot)
            .await?
            .is_some_and(|digest| digest.state == DigestState::Paused);
        if preflight == Preflight::Heeded
            && is_paused
            && let Some((frozen, _)) = self.storage.frozen_mail(slot.id()).await?
            && let Some((content, _)) = self.storage.frozen_content(slot).await?
        {
            let links = self.examine_links(&content, &[]).await;
            self.preflight(DigestState::Paused, &frozen, &content, Some(links))
                .await?;
        }
        self.move_digest(
            actor,
            slot,
            &[DigestState::Paused],
            DigestState::Sending,
            "only a paused one can be resumed",
        )
        .await
    }

    /// Gives a digest up: what has not gone out never will.
    pub async fn cancel_digest(&self, actor: &Actor, slot: Slot) -> Result<DigestStatus, Failure> {
        let from = [
            DigestState::Draft,
            DigestState::Approved,
            DigestState::Sending,
            DigestState::Paused,
        ];
        self.move_digest(
            actor,
            slot,
            &from,
            DigestState::Cancelled,
            "it is over already",
        )
        .await?;
        while self.storage.end_cancelled_range(self.now()).await? {}
        self.status(slot).await
    }

    /// Doing it twice is doing it once: a digest that is where it should go is left there without a complaint.
    pub(in crate::app) async fn move_digest(
        &self,
        actor: &Actor,
        slot: Slot,
        from: &[DigestState],
        to: DigestState,
        otherwise: &str,
    ) -> Result<DigestStatus, Failure> {
        let moved = self
            .storage
            .move_digest(actor, slot, from, to, self.now())
            .await?;
        let status = self.status(slot).await?;
        if !moved && status.digest.state != to {
            return Err(Failure::conflict(format!(
                "{slot} is {}: {otherwise}.",
                status.digest.state
            )));
        }
        if moved {
            tracing::info!(%slot, state = %to, "digest moved by hand");
            self.wake_senders();
        }
        Ok(status)
    }
}
