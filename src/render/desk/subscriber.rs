//! One subscriber: state and why, consents, mails, what came back, choices, history.

use askama::Template;

use super::ActionView;
use super::DeskFrame;
use crate::render::RenderError;

/// A consent, in words.
pub struct ConsentView {
    /// Time when it was given.
    pub at: String,
    /// Source, with the network.
    pub source: String,
    /// Time when it was confirmed.
    pub confirmed: String,
    /// The sentence that they agreed to.
    pub shown: String,
}

/// A mail that was sent or is to be sent.
pub struct SubscriberMail {
    /// Issue, or kind of mail.
    pub what: String,
    /// Address of the page.
    pub href: Option<String>,
    /// State in one word,
    pub state: String,
    /// and as a class.
    pub mood: &'static str,
    /// Time of its last attempt, or when it is due.
    pub at: String,
    /// Number of attempts.
    pub attempts: String,
    /// Relay.
    pub relay: String,
    /// Reply of the server, or why it was not sent.
    pub reply: String,
}

/// Mail that came back.
pub struct ReturnedView {
    /// Time.
    pub at: String,
    /// Meaning.
    pub meaning: String,
    /// Channel.
    pub channel: String,
    /// Issue.
    pub slot: String,
    /// The line that it was read from.
    pub line: String,
    /// Address of the report as it came, if it is kept.
    pub report: Option<String>,
}

/// Something that happened.
pub struct HistoryLine {
    /// Time.
    pub at: String,
    /// Words.
    pub what: String,
}

/// Content of the page.
pub struct SubscriberDetails {
    /// Address.
    pub email: String,
    /// Name, if they gave one.
    pub name: Option<String>,
    /// State in one word,
    pub state: &'static str,
    /// as a class,
    pub mood: &'static str,
    /// and why.
    pub why: String,
    /// Sentences about what keeps mail from them.
    pub notes: Vec<String>,
    /// Actions that are offered.
    pub actions: Vec<ActionView>,
    /// Address of the form that downloads what is kept, for users who may.
    pub download: Option<String>,
    /// Facts: words and value.
    pub facts: Vec<(&'static str, String)>,
    /// Consents, newest first.
    pub consents: Vec<ConsentView>,
    /// Mails, newest first.
    pub mails: Vec<SubscriberMail>,
    /// Mails that are left out, in words.
    pub mails_more: Option<String>,
    /// Mails that came back, newest first.
    pub returned: Vec<ReturnedView>,
    /// Votes: tool and verdict.
    pub votes: Vec<(String, String)>,
    /// Tools that they saved.
    pub saved: Vec<String>,
    /// History, newest first.
    pub history: Vec<HistoryLine>,
}

#[derive(Template)]
#[template(path = "desk/subscriber.html", whitespace = "minimize")]
struct SubscriberPageView<'a> {
    frame: DeskFrame<'a>,
    view: SubscriberDetails,
}

/// A subscriber's page.
pub fn subscriber(frame: DeskFrame<'_>, view: SubscriberDetails) -> Result<String, RenderError> {
    Ok(SubscriberPageView { frame, view }.render()?)
}

/// A report as it came.
pub struct ReportView {
    /// Address of the subscriber's page.
    pub back: String,
    /// Time when it came.
    pub at: String,
    /// Its text, which is shown as text whatever it says.
    pub text: String,
    /// True if it was longer.
    pub is_cut: bool,
}

#[derive(Template)]
#[template(path = "desk/report.html", whitespace = "minimize")]
struct ReportPage<'a> {
    frame: DeskFrame<'a>,
    view: ReportView,
}

/// The page of a report.
pub fn report(frame: DeskFrame<'_>, view: ReportView) -> Result<String, RenderError> {
    Ok(ReportPage { frame, view }.render()?)
}
