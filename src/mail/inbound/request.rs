//! Those who join or leave by mail in so many words, or say yes. An address of ours that a mail was sent to is looked at where our
//! secrets are: see `app::inbound`.

use super::answer;
use super::answer::AnswerAuthor;
use super::answer::AnswerMeaning;
use super::answer::AnswerSubject;
use super::answer::OwnText;
use super::mime::MimeParts;
use super::phrases::plain;
use crate::domain::inbound::Classification;
use crate::mail::inbound::sender_kind::SenderClassification;

/// Request of a mail's author.
pub struct AuthorRequest {
    /// The author's own text.
    pub own: OwnText,
    said: AnswerMeaning,
    /// Answers a mail, by its subject and by a field or a quotation.
    is_answer: bool,
    /// A person's, as far as its header says.
    is_personal: bool,
    /// A mail program's that leaves for its reader.
    by_program: bool,
}

impl AuthorRequest {
    /// Hears what a mail's author says.
    pub fn of(mail: &MimeParts, manner: &SenderClassification) -> Self {
        let own = answer::own_text(mail);
        let subject = AnswerSubject::of(mail.headers.get("subject").unwrap_or_default());
        let names = answer::Names::of(mail.headers.get("from").unwrap_or_default());
        let said = answer::judge(
            &own,
            &subject,
            &AnswerAuthor {
                names: &names,
                address: manner.author.as_deref(),
            },
        );
        let is_answer = subject.answers
            && (mail.headers.has("in-reply-to") || mail.headers.has("references") || own.quotes);
        let is_personal = !manner.is_machine() && !manner.bulk;
        // Apple Mail leaves for its reader with a sentence of its own, and says that it is a machine.
        let by_program = manner.automatic
            && !manner.daemon
            && !manner.nobody
            && !subject.answers
            && answer::judge(
                &OwnText::default(),
                &subject,
                &AnswerAuthor {
                    names: &names,
                    address: None,
                },
            )
            .leaves;
        Self {
            own,
            said,
            is_answer,
            is_personal,
            by_program,
        }
    }

    /// Returns the request in its words: of a person's mail, or of a mail program that leaves for its reader.
    pub fn meaning(&self) -> Option<Classification> {
        match () {
            () if self.by_program => Some(Classification::Unsubscribe),
            () if !self.is_personal => None,
            () if self.said.leaves => Some(Classification::Unsubscribe),
            () if self.said.joins => Some(Classification::Subscribe),
            () => None,
        }
    }

    /// Returns whether a mail program leaves for its reader.
    pub fn is_by_program(&self) -> bool {
        self.by_program
    }

    /// Returns whether a person says yes to the mail that they answer, and nothing else.
    pub fn agrees(&self) -> bool {
        self.is_personal && self.is_answer && self.said.agrees
    }

    /// Returns whether a person's answer could be a yes.
    pub fn may_agree(&self) -> bool {
        self.is_personal && self.is_answer && self.said.may_agree
    }

    /// Returns whether a person speaks of leaving.
    pub fn speaks_of_leaving(&self) -> bool {
        self.is_personal && self.said.speaks_of_leaving
    }
}

/// The subject of the mail that is answered by one with this subject; `None` if it is no answer.
pub fn answered_subject(subject: &str) -> Option<String> {
    let subject = AnswerSubject::of(subject);
    (subject.answers && !subject.passes_on && !subject.rest.is_empty())
        .then(|| plain(&subject.rest))
}
