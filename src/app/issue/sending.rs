//! Sending by hand: what `digest send` may do, settled before anything is changed.

use crate::app::App;
use crate::app::Failure;
use crate::app::issue::edition::LeftOut;
use crate::app::issue::preflight::Preflight;
use crate::config::Approval;
use crate::domain::digest::DigestState;
use crate::domain::slot::Slot;

/// Request of `digest send`.
#[derive(Debug, Clone, Copy)]
pub struct SendOrder {
    /// Week; by default the present one.
    pub slot: Option<Slot>,
    /// True if another week than the present one is meant.
    pub other_week: bool,
    /// Tells whether what preflight finds stops it.
    pub preflight: Preflight,
}

/// Readers who would get mail by a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Nobody: the digest is over, or waits for somebody.
    Nobody,
    /// Those of a digest that is being sent who have no mail yet.
    Remaining,
    /// Everybody on the list.
    Everybody,
}

/// Plan of a send, made now.
#[derive(Debug, Clone)]
pub struct SendPlan {
    /// Week.
    pub slot: Slot,
    /// Readers who would get mail.
    pub audience: Audience,
}

/// News of a send under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendNews {
    /// Picks that do not go out.
    LeftOut(Vec<LeftOut>),
    /// It begins, with so many deliveries.
    Begins(u64),
}

impl App {
    /// Settles what a send would do; changes nothing.
    ///
    /// # Errors
    /// A sentence, when the order must not be followed: see [`App::check_send`].
    pub async fn plan_send(&self, order: &SendOrder) -> Result<SendPlan, Failure> {
        let (slot, audience) = self.check_send(order).await?;
        Ok(SendPlan { slot, audience })
    }

    /// Lists what was picked and would not go out by a plan. Opens each comparison, which the send itself does again: for a question.
    pub async fn left_out_of(&self, plan: &SendPlan) -> Result<Vec<LeftOut>, Failure> {
        Ok(match plan.audience {
            Audience::Everybody => self.edition_now(plan.slot).await?.left_out,
            Audience::Remaining | Audience::Nobody => Vec::new(),
        })
    }

    /// Returns which week an order means, and who would get mail.
    ///
    /// # Errors
    /// A sentence, when the order must not be followed: another week, one that came before a week that was sent, or a digest that
    /// nobody approved where approval is required.
    pub(in crate::app) async fn check_send(
        &self,
        order: &SendOrder,
    ) -> Result<(Slot, Audience), Failure> {
        let present = self.slot_at(self.now());
        let slot = order.slot.unwrap_or(present);
        let state = self.storage.digest(slot).await?.map(|digest| digest.state);
        if !matches!(
            state,
            None | Some(DigestState::Draft | DigestState::Approved | DigestState::Sending)
        ) {
            return Ok((slot, Audience::Nobody));
        }
        if slot != present && !order.other_week {
            return Err(Failure::conflict(format!(
                "{slot} is not this week, which is {present}: nothing was sent. `verdicts digest send {slot} --other-week` sends it all the same."
            )));
        }
        if state == Some(DigestState::Sending) {
            return Ok((slot, Audience::Remaining));
        }
        if order.preflight == Preflight::Heeded {
            self.check_order(slot).await?;
        }
        if self.settings.schedule.approval == Approval::Required
            && state != Some(DigestState::Approved)
        {
            let first = if state.is_none() {
                "make it with `verdicts digest draft`, "
            } else {
                ""
            };
            return Err(Failure::conflict(format!(
                "{slot} is not approved, and schedule.approval is \"required\": nothing was sent. To send it, {first}look at it with \
                 `verdicts digest show {slot}` and approve it with `verdicts digest approve {slot}`."
            )));
        }
        Ok((slot, Audience::Everybody))
    }

    /// Says why a send sent nothing and left its digest in that state. `nobody`: it found no reader.
    pub(super) fn why_not_sent(&self, slot: Slot, state: DigestState, nobody: bool) -> String {
        match state {
            DigestState::Approved if nobody => {
                format!(
                    "Nobody is on the list yet: {slot} was not sent. Sign up at {}, confirm, and send again.",
                    self.settings.base_url()
                )
            }
            DigestState::Sent => format!("{slot} was sent already; nobody gets it twice."),
            DigestState::Skipped => {
                format!("{slot} is skipped: there was nothing new to pick. Nobody gets mail.")
            }
            DigestState::Paused => {
                format!("{slot} is paused; `verdicts digest resume {slot}` lets it go on.")
            }
            DigestState::Cancelled => format!("{slot} is cancelled; nothing more of it is sent."),
            DigestState::Draft | DigestState::Approved | DigestState::Sending => {
                format!(
                    "{slot} was changed by somebody else meanwhile; look at `verdicts digest show {slot}`."
                )
            }
        }
    }

    /// Counts the readers of a plan, for a question that names them. Reads the whole list, which a send that asks nothing is spared.
    pub async fn count_audience(&self, plan: &SendPlan) -> Result<u64, Failure> {
        Ok(match plan.audience {
            Audience::Nobody => 0,
            Audience::Remaining => self.status(plan.slot).await?.tally.open(),
            Audience::Everybody => self.readers().await,
        })
    }

    /// Refuses a slot from before one that was sent: the clock was set back, or somebody took the wrong week.
    pub(in crate::app) async fn check_order(&self, slot: Slot) -> Result<(), Failure> {
        match self.storage.last_sent().await? {
            Some(last) if last > slot => Err(Failure::conflict(format!(
                "{slot} comes before {last}, which was sent already: nothing of {slot} is sent. Look at this machine's clock: it says {}. \
                 If that is right, `verdicts digest send {slot} --force` sends it all the same, and the schedule goes on from there.",
                self.local_time(self.now())
            ))),
            _ => Ok(()),
        }
    }
}
