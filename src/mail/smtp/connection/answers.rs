//! Answers to an envelope, and what they say of the mail that it was for.

use std::time::Duration;

use super::SmtpConnection;
use crate::mail::smtp::envelope::Envelope;
use crate::mail::smtp::failure::SendFailure;
use crate::mail::smtp::failure::later;
use crate::mail::smtp::pipelining::Leave;
use crate::mail::smtp::reply::RefusalStage;

/// A server that answers the dot and then nothing of what went with it has thrown that away: courier-mta and chasquid 1.11 do. The first
/// time little is waited for, afterwards longer: a server holds its answer to MAIL back while it looks at RCPT.
const TRIAL: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(30);
/// Reply of a mail of which the server did not hear in order; it goes out at once over another connection.
pub(crate) const UNHEARD: &str = "not sent: its envelope went ahead of an answer, and the server did not bear that; it goes out at once";

impl SmtpConnection {
    /// Reads the answers to the envelope that went ahead. Where they show that the server did not hear it in its turn, they say nothing
    /// of this mail: after a refused dot it is asked for once more, after a dot that was taken it goes over a connection of its own.
    pub(super) async fn hear_ahead(
        &mut self,
        envelope: &Envelope<'_>,
        size: usize,
    ) -> Result<(), SendFailure> {
        let limit = if self.ahead.as_ref().is_some_and(Leave::is_trial) {
            TRIAL
        } else {
            SILENCE
        };
        let heard = self.answers(limit).await;
        let Some(leave) = self.ahead.take() else {
            return heard;
        };
        let Err(failure) = heard else {
            if !self.was_refused {
                leave.proven();
            }
            return Ok(());
        };
        let is_unheard = failure.is_out_of_order() || failure.is_broken() && failure.is_of_sender();
        match (is_unheard, self.was_refused) {
            (true, true)
                if failure.is_in_step()
                    && self.ask(RefusalStage::Session, b"RSET\r\n").await.is_ok() =>
            {
                self.ask_at_once(envelope, size).await
            }
            (true, was_refused) => {
                if !was_refused {
                    leave.not_borne();
                }
                self.turned_away = true;
                Err(SendFailure::broken(later(UNHEARD), RefusalStage::Data))
            }
            (false, was_refused) => {
                if !was_refused && !failure.is_of_sender() && !failure.is_broken() {
                    leave.proven();
                }
                Err(failure)
            }
        }
    }

    /// The three answers to MAIL, RCPT and DATA in one write, the first within that time. All three are read, whatever the first says, or
    /// the connection would be out of step. The first refusal tells most, also where something broke after it.
    ///
    /// Where DATA was granted to a sender whose only recipient was refused, an empty text takes it back (RFC 2920 3.1). Never where MAIL
    /// was refused: then it is another mail's envelope that the server still has, and the empty text would go to its reader.
    pub(super) async fn answers(&mut self, first_within: Duration) -> Result<(), SendFailure> {
        let limit = self.server.timeouts.command;
        let mut first: Option<SendFailure> = None;
        let (mut granted, mut is_taken) = (false, false);
        for (stage, limit) in [
            (RefusalStage::Sender, first_within.min(limit)),
            (RefusalStage::Recipient, limit),
            (RefusalStage::Data, limit),
        ] {
            match self.hear_within(stage, limit).await {
                Ok(()) => {
                    granted |= stage == RefusalStage::Data;
                    is_taken |= stage == RefusalStage::Recipient;
                }
                Err(broken @ SendFailure::Broken { .. }) => {
                    return Err(first.map_or(broken, SendFailure::out_of_step));
                }
                Err(refusal) => first = first.or(Some(refusal)),
            }
        }
        let Some(refusal) = first else { return Ok(()) };
        let must_hang_up = granted && (is_taken || refusal.is_of_sender());
        if must_hang_up
            || granted
                && self
                    .ask(RefusalStage::Session, b".\r\n")
                    .await
                    .is_err_and(|failure| failure.is_broken())
        {
            return Err(refusal.out_of_step());
        }
        Err(refusal)
    }
}
