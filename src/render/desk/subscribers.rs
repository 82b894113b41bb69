//! The list of subscribers with its filter.

use askama::Template;

use super::DeskFrame;
use crate::render::RenderError;

/// Way in which a condition is given.
pub enum Control {
    /// A line of text, with an example.
    Text(&'static str),
    /// A day.
    Day,
    /// A whole number.
    Count,
    /// One of these values, each with its words.
    Choice(Vec<(String, String)>),
    /// Yes or nothing.
    Check,
}

/// A condition of the filter.
pub struct ConditionField {
    /// Its name in the address.
    pub key: &'static str,
    /// Its words.
    pub label: &'static str,
    /// Control that it is given by.
    pub control: Control,
    /// Value as it was given.
    pub value: String,
    /// Fault of that value.
    pub problem: Option<String>,
}

impl ConditionField {
    fn kind(&self) -> &'static str {
        match self.control {
            // A browser shows nothing of a value that its own field would not take.
            _ if self.problem.is_some() => "text",
            Control::Day => "date",
            Control::Count => "number",
            _ => "text",
        }
    }

    fn example(&self) -> Option<&'static str> {
        match self.control {
            Control::Text(example) => Some(example),
            _ => None,
        }
    }

    fn choices(&self) -> Option<&[(String, String)]> {
        match &self.control {
            Control::Choice(choices) => Some(choices),
            _ => None,
        }
    }

    fn is_check(&self) -> bool {
        matches!(self.control, Control::Check)
    }
}

/// A condition that holds, and the address of the list without it.
pub struct ChipView {
    /// Words.
    pub words: String,
    /// Address without it.
    pub without: String,
}

/// A subscriber in the list.
pub struct SubscriberRow {
    /// Name in a form, for users who may change them.
    pub key: Option<String>,
    /// Address of their page, for users who may see it.
    pub href: Option<String>,
    /// Address, masked or not.
    pub email: String,
    /// Name, if they gave one.
    pub name: Option<String>,
    /// State in one word,
    pub state: &'static str,
    /// and as a class.
    pub mood: &'static str,
    /// Day on which they joined.
    pub since: String,
    /// Source of their last consent.
    pub source: String,
    /// Last issue that they got.
    pub last: Option<String>,
    /// Mails that were refused for their sake.
    pub refusals: String,
}

/// Content of the page.
pub struct SubscribersView {
    /// True if the user may add and change subscribers.
    pub may_change: bool,
    /// Conditions that stand open.
    pub first: Vec<ConditionField>,
    /// Conditions that are folded away,
    pub more: Vec<ConditionField>,
    /// unless one of them is set.
    pub is_open: bool,
    /// Conditions that hold.
    pub chips: Vec<ChipView>,
    /// The conditions as names and values.
    pub pairs: Vec<(&'static str, String)>,
    /// Saved filters: slug, name, address.
    pub segments: Vec<(String, String, String)>,
    /// True if the user may erase and export.
    pub may_erase: bool,
    /// True if a condition could not be read: nothing is listed.
    pub is_refused: bool,
    /// Sentence with the number found.
    pub count: String,
    /// Subscribers.
    pub rows: Vec<SubscriberRow>,
    /// Address of the first page, from any other.
    pub first_page: Option<String>,
    /// Address of the next page, and the words of the link.
    pub next_page: Option<(String, &'static str)>,
}

#[derive(Template)]
#[template(path = "desk/subscribers.html", whitespace = "minimize")]
struct SubscribersPage<'a> {
    frame: DeskFrame<'a>,
    view: SubscribersView,
}

/// A page of the list.
pub fn subscribers(frame: DeskFrame<'_>, view: SubscribersView) -> Result<String, RenderError> {
    Ok(SubscribersPage { frame, view }.render()?)
}
