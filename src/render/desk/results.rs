//! Results of an issue: what its page shows once it went out, and who left because of it.

use askama::Template;

use super::DeskFrame;
use super::chart::BarChart;
use super::chart::Chart;
use crate::render::RenderError;

/// Results of an issue.
pub struct ResultsView {
    /// The week.
    pub slot: String,
    /// Mails minute by minute.
    pub minutes: Chart,
    /// Outcomes by recipient domain.
    pub domains: BarChart,
    /// Outcomes by relay.
    pub relays: BarChart,
    /// Sentence about the count by domain and relay, as long as it is not done.
    pub counting: Option<&'static str>,
    /// Sentence about the audit of the ledger, and whether its promises hold.
    pub audit: Option<(String, bool)>,
    /// Promises that do not hold.
    pub faults: Vec<String>,
    /// Counts of what followed: words, number, address of the list.
    pub reactions: Vec<(&'static str, String, Option<String>)>,
    /// Reasons for leaving with how often each was given.
    pub reasons: Vec<(&'static str, String)>,
    /// Votes by tool.
    pub votes: BarChart,
    /// Sentence about how many changed their mind.
    pub changed: Option<String>,
    /// It and those before it.
    pub beside: Vec<BesideRow>,
    /// True if this user may download the ledger.
    pub may_download: bool,
}

/// An issue among others.
pub struct BesideRow {
    /// The week.
    pub slot: String,
    /// True for the one whose page it is.
    pub is_this: bool,
    /// For how many.
    pub recipients: String,
    /// Share that got it.
    pub sent: String,
    /// Mails that did not.
    pub failed: String,
    /// Subscriptions that ended because mail was refused.
    pub bounced: String,
    /// Complaints.
    pub complained: String,
    /// Unsubscribed.
    pub left: String,
    /// Votes.
    pub votes: String,
}

/// A reader who left.
pub struct LeaverRow {
    /// Address, masked where it must be.
    pub email: String,
    /// Their page, for users who may see it.
    pub href: Option<String>,
    /// Time.
    pub when: String,
    /// Reason that they gave.
    pub reason: &'static str,
}

#[derive(Template)]
#[template(path = "desk/left.html", whitespace = "minimize")]
struct LeftPage<'a> {
    frame: DeskFrame<'a>,
    slot: &'a str,
    rows: Vec<LeaverRow>,
    is_first: bool,
    next: Option<String>,
}

/// Readers who unsubscribed because of an issue. `next`: address of the next page.
pub fn left(
    frame: DeskFrame<'_>,
    slot: &str,
    rows: Vec<LeaverRow>,
    is_first: bool,
    next: Option<String>,
) -> Result<String, RenderError> {
    Ok(LeftPage {
        frame,
        slot,
        rows,
        is_first,
        next,
    }
    .render()?)
}
