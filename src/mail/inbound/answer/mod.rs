//! Answers by people: their own lines, and what those say.
//!
//! [`own_text`] takes a mail apart into what its author wrote and what programs and others did; [`judge`] says what that means. Both are pure,
//! and bounded for any mail. In reading order: `fold` makes text comparable, `table` and `forms` read the two tables (`forms.tsv`: how programs quote and sign;
//! `words.tsv`: what people say), `line` and `html` make lines, `blocks` finds quotations, `own_text` the author's lines, `phrases` finds words in lists, `spelling` forgives a wrong
//! letter, `grammar` follows a pattern,
//! `agreement` knows a yes, `clauses` weighs the words beside a request, `judge` judges.

mod agreement;
mod blocks;
mod clauses;
pub mod fold;
pub mod forms;
mod glob;
mod grammar;
mod html;
mod judge;
mod line;
mod own_text;
mod phrases;
mod spelling;
mod subject;
mod table;

use super::mime::MimeParts;
pub use judge::AnswerAuthor;
pub use judge::AnswerMeaning;
pub use judge::judge;
pub use own_text::Names;
pub use own_text::OwnText;
pub use subject::AnswerSubject;

/// Returns the part of a mail that its author wrote: from its text, or from its HTML where the text is empty or quoted as a whole.
pub fn own_text(mail: &MimeParts) -> OwnText {
    let names = Names::of(mail.headers.get("from").unwrap_or_default());
    let of_kind = |kind: &'static str| {
        mail.parts
            .iter()
            .filter(move |part| !part.enclosed && part.kind == kind && !part.is_attached())
    };
    let mut found = OwnText::default();
    let texts = of_kind("text/plain").map(|part| line::lines_of(&part.text));
    let pages =
        of_kind("text/html").map(|part| html::lines_of(part.html.as_deref().unwrap_or(&part.text)));
    for lines in texts.chain(pages) {
        let own = OwnText::of(lines, &names);
        if !own.lines.is_empty() {
            return OwnText {
                quotes: own.quotes || found.quotes,
                ..own
            };
        }
        found.quotes |= own.quotes;
        if found.unquoted.trim().is_empty() {
            found.unquoted = own.unquoted;
        }
    }
    found
}
