//! A report that is nothing but sentences: whether a mail is one, and its findings.

use super::diagnosis::diagnose;
use super::diagnosis::reply_code;
use super::head_of;
use super::mime::MimeParts;
use super::phrases;
use super::short;
use crate::domain::inbound::Classification;
use crate::domain::inbound::RecipientReport;
use crate::mail::inbound::failed_recipients::FailedRecipients;
use crate::mail::inbound::free_text;
use crate::mail::inbound::free_text::FreeText;
use crate::mail::inbound::sender_kind::SenderClassification;

/// A mail that may be a report in sentences.
pub struct TextReport<'a> {
    pub mail: &'a MimeParts,
    pub manner: &'a SenderClassification,
    pub prose: &'a FreeText,
    /// Addresses of ours and of the reporting system.
    pub own: &'a [String],
    /// Recipients that a field of the header names as failed.
    pub failed: &'a [String],
    /// The text, as phrases are looked for.
    pub said: &'a str,
}

impl TextReport<'_> {
    /// The findings; `None` if the mail is no report, or one of a system that does not name itself and nobody else.
    pub fn findings(&self) -> Option<Vec<RecipientReport>> {
        if !self.is_report() || self.is_for_a_person() || self.is_away() {
            return None;
        }
        let late = phrases::is_delay_notice(self.said) && !phrases::is_certain_failure(self.said)
            || phrases::is_delay_subject(&self.manner.subject);
        let found = match late {
            true => free_text::late(self.prose, self.own, self.failed),
            false => self.prose.failures(self.own, self.failed),
        };
        match found.is_empty() {
            false => Some(found),
            true => self.is_of_a_system().then(|| vec![self.of_nobody(late)]),
        }
    }

    /// Returns whether the subject is that of a person who is away.
    pub fn is_away(&self) -> bool {
        phrases::is_auto_subject(&self.manner.own_subject) && !self.by_subject()
    }

    fn by_subject(&self) -> bool {
        phrases::is_failure_subject(&self.manner.subject)
            || phrases::is_delay_subject(&self.manner.subject)
    }

    fn by_text(&self) -> bool {
        // Some say nothing but that there is no such user, and leave it open who says so.
        let says_who = || self.manner.daemon && self.manner.author.is_none();
        phrases::is_failure_notice(self.said)
            || reply_code(&self.prose.text).is_some()
            || (says_who() && diagnose(self.said, None).meaning == Classification::Hard)
    }

    fn is_of_a_system(&self) -> bool {
        self.manner.daemon
            || self.mail.kind.starts_with("multipart/report")
            || !self.failed.is_empty()
    }

    fn answers(&self) -> bool {
        self.mail.headers.has("in-reply-to") || self.mail.headers.has("references")
    }

    fn names_for_certain(&self) -> bool {
        FailedRecipients::in_text(&self.prose.text, self.own).is_certain()
    }

    /// Returns whether a machine answers for a person: it says so (RFC 3834, section 5). A vacation's return path is always empty, so that it
    /// tells nothing here (RFC 5230, section 4.7).
    fn is_for_a_person(&self) -> bool {
        self.manner.automatic
            && !self.is_of_a_system()
            && (self.answers() || !self.manner.unattended)
    }

    fn is_report(&self) -> bool {
        let manner = self.manner;
        if self.is_of_a_system() {
            return self.by_subject() || self.by_text();
        }
        // An unmarked vacation may begin with words of failure, too.
        if manner.nobody {
            return self.by_subject()
                && (manner.author.is_none() || manner.unattended || self.names_for_certain());
        }
        // Without a mail system's name on it, a report begins a line with the address it failed on, and answers nothing; its subject
        // says so, or it gives back the mail and nobody reads its author's mail.
        let gives_back = || manner.unattended && !self.prose.originals.is_empty();
        // What came over a list is one only if it says so before anything else.
        let opens_with_failure = || {
            phrases::is_failure_subject(head_of(&manner.subject, 24))
                && phrases::is_failure_notice(head_of(self.said, 160))
        };
        (self.by_subject() || gives_back())
            && self.by_text()
            && (!manner.bulk || opens_with_failure())
            && !self.answers()
            && self.names_for_certain()
    }

    /// Returns the meaning of a report that names nobody: the clues may tell for whom.
    fn of_nobody(&self, late: bool) -> RecipientReport {
        let line = short(&self.prose.text);
        let said = diagnose(&self.prose.about(None, &[]), None);
        match late {
            true => RecipientReport {
                address: None,
                meaning: Classification::None,
                class: None,
                reason: None,
                status: said.status,
                line,
            },
            false => RecipientReport {
                address: None,
                meaning: said.meaning,
                class: said.class(),
                reason: Some(said.reason),
                status: said.status,
                line,
            },
        }
    }
}
