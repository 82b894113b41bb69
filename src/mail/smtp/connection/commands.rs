//! The commands of one mail, and waiting for their answers.

use std::io::IoSlice;
use std::io::Write as _;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::Instant;
use tokio::time::timeout;

use super::HELD_UP;
use super::REFUSALS;
use super::SHORT;
use super::SmtpConnection;
use super::tidied;
use crate::domain::delivery::Outcome;
use crate::domain::inbound::SoftClass;
use crate::mail::smtp::dot_stuffing::dot_stuffed;
use crate::mail::smtp::dot_stuffing::end_of;
use crate::mail::smtp::envelope::Envelope;
use crate::mail::smtp::failure::SendFailure;
use crate::mail::smtp::failure::later;
use crate::mail::smtp::greeting::reply;
use crate::mail::smtp::reply::RefusalStage;
use crate::mail::smtp::reply::outcome_of;
use crate::mail::smtp::writer::SmtpWriter;

impl SmtpConnection {
    /// Says whom a mail of so many bytes is from and to, unless that went ahead, and gets leave to send its text. The outcome
    /// says why there is none.
    pub async fn send_envelope(
        &mut self,
        envelope: &Envelope<'_>,
        size: usize,
    ) -> Result<(), Outcome> {
        self.text_is_out = false;
        self.turned_away = false;
        if let Some(refused) = self.refuse(envelope) {
            return Err(refused);
        }
        if !std::mem::take(&mut self.in_step) {
            return Err(later("the connection is closed"));
        }
        let asked = Instant::now();
        let keeps_envelope = self.ahead.is_none() && std::mem::take(&mut self.was_refused);
        let reset = if keeps_envelope {
            self.ask(RefusalStage::Sender, b"RSET\r\n").await
        } else {
            Ok(())
        };
        let opened = match (reset, self.ahead.is_some(), self.asks_at_once()) {
            (Err(failure), ..) => Err(failure),
            (_, true, _) => self.hear_ahead(envelope, size).await,
            (_, _, true) => self.ask_at_once(envelope, size).await,
            (_, _, false) => self.ask_in_turn(envelope, size).await,
        };
        let Err(failure) = opened else {
            self.uses += 1;
            self.mark_sync(true);
            return Ok(());
        };
        self.turned_away |= self.uses > 0 && failure.is_farewell()
            || self.mails == 0 && failure.asks_to_come_back();
        self.uses += u32::from(!failure.is_of_sender());
        let (outcome, in_step) = match failure {
            SendFailure::Answer {
                code,
                text,
                stage,
                in_step,
            } => {
                self.refusals += u32::from(stage == RefusalStage::Recipient);
                // 421 (RFC 5321 3.8): the server is about to hang up.
                if stage == RefusalStage::Recipient
                    && asked.elapsed() >= HELD_UP.max(self.server.timeouts.command / 100)
                {
                    self.server.holds_up.store(true, Relaxed);
                    self.refusals = REFUSALS;
                }
                let in_step = in_step
                    && code != 421
                    && self.ask(RefusalStage::Session, b"RSET\r\n").await.is_ok();
                (outcome_of(code, &text, stage), in_step)
            }
            SendFailure::Broken { outcome, .. } => (outcome, false),
        };
        self.mark_sync(in_step);
        Err(tidied(outcome, envelope))
    }

    /// Sends the text of the mail that was opened, but for what ends it, unless it is short: the server has most of the work behind
    /// it when the mail may go. From here on it can be taken back only by giving the connection up.
    pub async fn send_body(&mut self, message: &[u8]) -> Result<(), Outcome> {
        if message.len() < SHORT {
            return Ok(());
        }
        if !std::mem::take(&mut self.in_step) {
            return Err(later("the connection is closed"));
        }
        let text = dot_stuffed(message, &mut self.stuffing);
        if let Some(why) = written(
            &mut self.outlet,
            &mut [IoSlice::new(text)],
            self.server.timeouts.data,
        )
        .await
        {
            return Err(later(format!("before the final dot: {why}")));
        }
        self.text_is_out = true;
        self.mark_sync(true);
        Ok(())
    }

    /// Sends the text of the mail that was opened, as far as it is not out, its final dot, and the envelope `ahead` of the next
    /// mail, in one write. Until the dot is on its way nothing was taken, afterwards only an answer tells.
    pub async fn finish_mail(
        &mut self,
        envelope: &Envelope<'_>,
        message: &[u8],
        ahead: Option<(&Envelope<'_>, usize)>,
    ) -> Outcome {
        if !std::mem::take(&mut self.in_step) {
            return later("the connection is closed");
        }
        let ahead = ahead.filter(|(next, _)| self.refuse(next).is_none());
        let ahead = ahead.and_then(|next| Some((next, self.server.ahead.leave()?)));
        self.commands.clear();
        if let Some(((next, size), _)) = &ahead {
            self.push_envelope(next, *size);
        }
        let (answer, dot_is_out) = self.end_text(message).await;
        self.mails += 1;
        self.was_refused = matches!(answer, Ok((400.., _)));
        let (outcome, in_step) = match answer {
            Ok((code @ 200..=299, text)) => {
                self.refusals = 0;
                (outcome_of(code, &text, RefusalStage::Text), true)
            }
            Ok((code @ 400.., text)) => (outcome_of(code, &text, RefusalStage::Text), code != 421),
            Ok((code, text)) => (outcome_of(code, &text, RefusalStage::Text), false),
            Err(why) if dot_is_out => (
                Outcome::InDoubt {
                    reply: format!("after the final dot: {why}"),
                },
                false,
            ),
            Err(why) => (later(format!("before the final dot: {why}")), false),
        };
        match (ahead, &outcome) {
            // It hung up or fell silent with both in hand.
            (Some((_, leave)), Outcome::InDoubt { .. }) => leave.not_borne(),
            (Some((_, leave)), _) if in_step => self.ahead = Some(leave),
            _ => {}
        }
        self.mark_sync(in_step);
        tidied(outcome, envelope)
    }

    /// True if the answer, or why there is none, came after the final dot was on its way.
    async fn end_text(&mut self, message: &[u8]) -> (Result<(u16, String), String>, bool) {
        let text = if std::mem::take(&mut self.text_is_out) {
            b""
        } else {
            dot_stuffed(message, &mut self.stuffing)
        };
        let end = end_of(message);
        let dot = self.outlet.written() + (text.len() + end.len()) as u64;
        let limits = self.server.timeouts;
        let mut parts = [
            IoSlice::new(text),
            IoSlice::new(end),
            IoSlice::new(&self.commands),
        ];
        let failed = written(&mut self.outlet, &mut parts, limits.data).await;
        let dot_is_out = self.outlet.written() >= dot;
        match failed {
            Some(why) if !dot_is_out => (Err(why), false),
            // Its answer may be on its way even where the line took no more of what follows the dot.
            _ => (
                reply(
                    limits.finish,
                    timeout(limits.finish, self.smtp.read_response()).await,
                ),
                true,
            ),
        }
    }

    fn mark_sync(&mut self, in_step: bool) {
        self.in_step = in_step;
        self.used = Instant::now();
    }

    /// Features that need not be tried.
    fn refuse(&self, envelope: &Envelope<'_>) -> Option<Outcome> {
        let refused = |about_us, reply: &str| {
            Some(Outcome::Refused {
                reply: reply.into(),
                about_us,
                class: SoftClass::Passing,
            })
        };
        if envelope.from.contains(|c: char| c.is_control()) {
            return refused(
                true,
                "not sent: the return path holds a control character; check mail.return_path",
            );
        }
        if needs_smtputf8(envelope) && !self.offers.smtputf8 {
            return refused(
                false,
                "not sent: an address is not ASCII before its @, and our mail server cannot do that (no SMTPUTF8)",
            );
        }
        None
    }

    /// MAIL, RCPT and DATA. Commands by hand: lettre's own address type refuses some that are valid.
    pub(super) fn push_envelope(&mut self, envelope: &Envelope<'_>, size: usize) {
        self.push_mail(envelope, size);
        self.push_rcpt(envelope);
        self.commands.extend_from_slice(b"DATA\r\n");
    }

    pub(super) fn push_mail(&mut self, envelope: &Envelope<'_>, size: usize) {
        // Writing into a Vec cannot fail.
        let _ = write!(self.commands, "MAIL FROM:<{}>", envelope.from);
        if self.offers.size {
            let _ = write!(self.commands, " SIZE={size}");
        }
        // No BODY=8BITMIME: our bodies are 7bit, and a header in UTF-8 is what SMTPUTF8 is for (RFC 6531 3.6).
        self.commands
            .extend_from_slice(if needs_smtputf8(envelope) {
                b" SMTPUTF8\r\n"
            } else {
                b"\r\n"
            });
    }

    pub(super) fn push_rcpt(&mut self, envelope: &Envelope<'_>) {
        let _ = write!(self.commands, "RCPT TO:<{}>\r\n", envelope.to);
    }
}

/// Writes within that time; why it could not.
async fn written(
    outlet: &mut SmtpWriter,
    parts: &mut [IoSlice<'_>],
    limit: Duration,
) -> Option<String> {
    match timeout(limit, outlet.write(parts)).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("the connection broke: {error}")),
        Err(_) => Some(format!("it took nothing more within {limit:?}")),
    }
}

fn needs_smtputf8(envelope: &Envelope<'_>) -> bool {
    envelope.to.needs_smtputf8() || !envelope.from.is_ascii()
}
