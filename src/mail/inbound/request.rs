//! Those who join or leave by mail in so many words, or say yes. An address of ours that a mail was sent to is looked at where our
//! secrets are: see `app::inbound`.

use super::answer;
use super::answer::Author;
use super::answer::OwnText;
use super::answer::Said;
use super::answer::Subject;
use super::manner::Manner;
use super::mime::Parts;
use super::phrases::plain;
use crate::domain::inbound::Meaning;

/// Request of a mail's author.
pub struct Request {
    /// The author's own text.
    pub own: OwnText,
    said: Said,
    /// Answers a mail, by its subject and by a field or a quotation.
    is_answer: bool,
    /// A person's, as far as its header says.
    is_personal: bool,
    /// A mail program's that leaves for its reader.
    by_program: bool,
}

impl Request {
    /// Hears what a mail's author says.
    pub fn of(mail: &Parts, manner: &Manner) -> Self {
        let own = answer::own_text(mail);
        let subject = Subject::of(mail.headers.get("subject").unwrap_or_default());
        let names = answer::Names::of(mail.headers.get("from").unwrap_or_default());
        let said = answer::judge(
            &own,
            &subject,
            &Author {
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
                &Author {
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
    pub fn meaning(&self) -> Option<Meaning> {
        match () {
            () if self.by_program => Some(Meaning::Unsubscribe),
            () if !self.is_personal => None,
            () if self.said.leaves => Some(Meaning::Unsubscribe),
            () if self.said.joins => Some(Meaning::Subscribe),
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
    let subject = Subject::of(subject);
    (subject.answers && !subject.passes_on && !subject.rest.is_empty())
        .then(|| plain(&subject.rest))
}
