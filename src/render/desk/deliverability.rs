//! Deliverability: complaints, what is held, what came back, relays, DNS, and the suppression list.

use askama::Template;

use super::DeskFrame;
use super::chart::BarChart;
use super::chart::Chart;
use crate::render::RenderError;

/// Refusals that wait for a decision.
pub struct HeldView {
    /// Sentence that sums them up.
    pub summary: String,
    /// Since when.
    pub since: String,
    /// Addresses of the questions before accepting and dismissing, for users who may.
    pub decide: Option<(String, String)>,
}

/// A relay.
pub struct DeskRelay {
    /// Its name.
    pub name: String,
    /// State in one word,
    pub state: &'static str,
    /// and as a class.
    pub mood: &'static str,
    /// Connections.
    pub connections: String,
    /// Used today, and of how many.
    pub used: String,
    /// Day of the warm-up.
    pub warm_up: String,
    /// Last reply, and when it came.
    pub last_reply: String,
    /// Fault that opened its breaker.
    pub trouble: Option<String>,
    /// Address of the button that tries it now, for users who may and while its breaker is open.
    pub try_now: Option<String>,
}

/// A finding of DNS.
pub struct DnsView {
    /// Subject.
    pub what: String,
    /// Word for its severity,
    pub word: &'static str,
    /// and as a class.
    pub mood: &'static str,
    /// Sentence.
    pub words: String,
    /// Since when.
    pub since: String,
}

/// A record to publish.
pub struct RecordView {
    /// Name in the page.
    pub id: String,
    /// Name of the record.
    pub name: String,
    /// Its type.
    pub kind: &'static str,
    /// Its value.
    pub value: String,
}

/// A line of a table of refusals.
pub struct ReturnedLine {
    /// Domain.
    pub domain: String,
    /// Address of its people, for users who may see them.
    pub href: Option<String>,
    /// Reason, with the code.
    pub reason: String,
    /// Number of them.
    pub count: String,
    /// A reply.
    pub example: String,
}

/// Content of the page.
pub struct DeliverabilityView {
    /// Complaints by issue, against the lines that mailbox providers draw.
    pub complaints: Chart,
    /// Sentence about the newest issue's complaints, and its class.
    pub verdict: Option<(String, &'static str)>,
    /// Refusals that are held.
    pub held: Vec<HeldView>,
    /// Sentence about refusals that wait to be judged.
    pub unjudged: Option<String>,
    /// Issues to choose from: name, address, and whether it is shown.
    pub sends: Vec<(String, String, bool)>,
    /// Reasons of the refusals of that issue.
    pub reasons: BarChart,
    /// Its refusals by domain and reason.
    pub returned: Vec<ReturnedLine>,
    /// Relays.
    pub relays: Vec<DeskRelay>,
    /// Findings of DNS.
    pub dns: Vec<DnsView>,
    /// Time when DNS was last asked.
    pub asked: Option<String>,
    /// Records to publish.
    pub records: Vec<RecordView>,
    /// True if this user may see the suppression list.
    pub may_search: bool,
}

#[derive(Template)]
#[template(path = "desk/deliverability.html", whitespace = "minimize")]
struct DeliverabilityPage<'a> {
    frame: DeskFrame<'a>,
    view: DeliverabilityView,
}

/// The page of deliverability.
pub fn deliverability(
    frame: DeskFrame<'_>,
    view: DeliverabilityView,
) -> Result<String, RenderError> {
    Ok(DeliverabilityPage { frame, view }.render()?)
}

/// A refused mail.
pub struct ReturnedPerson {
    /// Address.
    pub email: String,
    /// Their page.
    pub href: String,
    /// Domain.
    pub domain: String,
    /// Time.
    pub when: String,
    /// Weight and outcome in words.
    pub outcome: String,
    /// The reply.
    pub reply: String,
    /// Address of the raw report.
    pub report: Option<String>,
    /// Address of the page that takes them off the suppression list, for users who may.
    pub lift: Option<String>,
}

#[derive(Template)]
#[template(path = "desk/returned.html", whitespace = "minimize")]
struct ReturnedPage<'a> {
    frame: DeskFrame<'a>,
    heading: String,
    rows: Vec<ReturnedPerson>,
    first: Option<String>,
    next: Option<String>,
}

/// Refused mails one by one. `first`, `next`: addresses of these pages.
pub fn returned(
    frame: DeskFrame<'_>,
    heading: String,
    rows: Vec<ReturnedPerson>,
    first: Option<String>,
    next: Option<String>,
) -> Result<String, RenderError> {
    Ok(ReturnedPage {
        frame,
        heading,
        rows,
        first,
        next,
    }
    .render()?)
}

/// An entry of the suppression list.
pub struct SuppressionRow {
    /// The begin of its keyed hash.
    pub hash: String,
    /// Reason.
    pub reason: &'static str,
    /// Since when.
    pub since: String,
    /// Note.
    pub note: String,
}

/// The suppression list.
pub struct SuppressionsView {
    /// The address that was searched.
    pub searched: String,
    /// Fault of what was searched.
    pub problem: Option<String>,
    /// Sentence about the address that was searched, and its class.
    pub found: Option<(String, &'static str)>,
    /// True if the address that was searched can be taken off by this user.
    pub may_lift: bool,
    /// Fault of the reason for taking it off.
    pub refused: Option<String>,
    /// Entries, the newest first.
    pub rows: Vec<SuppressionRow>,
    /// True on the first page.
    pub is_first: bool,
    /// Address of the next page.
    pub next: Option<String>,
}

#[derive(Template)]
#[template(path = "desk/suppressions.html", whitespace = "minimize")]
struct SuppressionsPage<'a> {
    frame: DeskFrame<'a>,
    view: SuppressionsView,
}

/// The page of the suppression list.
pub fn suppressions(frame: DeskFrame<'_>, view: SuppressionsView) -> Result<String, RenderError> {
    Ok(SuppressionsPage { frame, view }.render()?)
}
