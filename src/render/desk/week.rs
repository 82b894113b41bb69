//! A week: what its digest carries, when it goes out, what can be done with it, and what became of it.

use askama::Template;

use super::DeskFrame;
use super::results::ResultsView;
use super::write::CheckView;
use crate::render::RenderError;

/// A comparison of a digest, in words.
pub struct PickView {
    /// Path of its page.
    pub href: String,
    /// Names of its tools.
    pub title: String,
    /// Its points, of 100.
    pub points: String,
    /// The same as a whole number, for the bar.
    pub bar: u64,
    /// True if it came since the last digest.
    pub is_new: bool,
    /// Reason why it is in, or not.
    pub reasons: Vec<String>,
    /// Name in a form.
    pub slug: String,
    /// True if it can be put into the digest.
    pub can_add: bool,
}

/// Something that can be done.
pub struct ActionView {
    /// Where.
    pub path: String,
    /// The button's words.
    pub words: &'static str,
    /// Its look: "first", "plain" or "grave".
    pub look: &'static str,
}

/// A part of the sum of a digest's recipients.
pub struct PartView {
    /// Address of the list of its people, for users who may see it.
    pub href: Option<String>,
    /// Its name.
    pub name: &'static str,
    /// Meaning.
    pub means: &'static str,
    /// Count.
    pub count: String,
    /// Begin of its bar,
    pub from: f64,
    /// and how long it is, of 100.
    pub width: f64,
}

/// Result of a digest.
pub struct SumView {
    /// For how many deliveries were made.
    pub recipients: String,
    /// Address of the list of them, for users who may see it.
    pub href: Option<String>,
    /// The parts, which add up to it.
    pub parts: Vec<PartView>,
    /// Progress in words, while it is sent.
    pub pace: Option<String>,
    /// Reason why deliveries failed, with how often and the address of the list of their people.
    pub failures: Vec<(String, String, Option<String>)>,
}

/// Form that changes a digest.
pub struct EditView {
    /// The comparisons as this page shows them: a change made on an older page is refused.
    pub seen: String,
    /// Names of the parts that are written, for the button that leads to them.
    pub written: String,
}

/// Content of the page.
pub struct WeekView {
    /// The week.
    pub slot: String,
    /// Its heading.
    pub heading: String,
    /// The state, in one word.
    pub state: &'static str,
    /// The state as a class: "wait", "good", "bad", "none".
    pub mood: &'static str,
    /// Sentence that says what happens when.
    pub headline: String,
    /// Sentences about what keeps it from going out, or else needs somebody.
    pub troubles: Vec<String>,
    /// Actions that are offered.
    pub actions: Vec<ActionView>,
    /// True if the draft can be made now.
    pub may_draft: bool,
    /// Form for changes, for users who may make them.
    pub edit: Option<EditView>,
    /// The subject.
    pub subject: Option<String>,
    /// The line that lists of mails show after it.
    pub preheader: String,
    /// Findings about text and links.
    pub checks: Vec<CheckView>,
    /// Sender of the mail.
    pub sender: String,
    /// The comparisons.
    pub picks: Vec<PickView>,
    /// Picked, and not in it: which and why.
    pub left_out: Vec<(String, String)>,
    /// Comparisons that came close.
    pub next: Vec<PickView>,
    /// Result.
    pub sum: Option<SumView>,
    /// Results, once it went out.
    pub results: Option<ResultsView>,
    /// Relays of this process that send now.
    pub relays: Vec<RelayView>,
    /// True as long as the sum changes.
    pub is_live: bool,
    /// Notes, newest first.
    pub notes: Vec<NoteView>,
    /// Forms that prepare it, as long as it is not out and for users who may.
    pub prepare: Option<PrepareView>,
}

/// A relay while a digest is sent.
pub struct RelayView {
    /// Its name.
    pub name: String,
    /// Its decision, in words.
    pub words: String,
}

/// A note on a digest.
pub struct NoteView {
    /// Author by name.
    pub who: String,
    /// Their decision, in words.
    pub what: &'static str,
    /// Revision that it is about.
    pub revision: i64,
    /// Time.
    pub when: String,
    /// Their words.
    pub said: String,
}

/// Forms that prepare a digest.
pub struct PrepareView {
    /// Address of this user.
    pub me: String,
    /// Addresses of the saved test group.
    pub group: Vec<String>,
    /// True if this user may send to others, change the time, skip the week and send it back.
    pub may_send: bool,
    /// Send time, as a browser's field takes it.
    pub at: String,
    /// Zone of that time.
    pub zone: String,
}

#[derive(Template)]
#[template(path = "desk/week.html", whitespace = "minimize")]
struct WeekPage<'a> {
    frame: DeskFrame<'a>,
    view: WeekView,
}

/// A week's page.
pub fn week(frame: DeskFrame<'_>, view: WeekView) -> Result<String, RenderError> {
    Ok(WeekPage { frame, view }.render()?)
}

/// View of a preview.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// As a mail program in light colours shows it.
    Light,
    /// In dark colours.
    Dark,
    /// As wide as a phone.
    Phone,
    /// The text part.
    Text,
    /// The page of the archive.
    Archive,
    /// As one reader gets it.
    Reader,
}

impl Show {
    /// All, in the order of the tabs.
    pub const ALL: [Self; 6] = [
        Self::Light,
        Self::Dark,
        Self::Phone,
        Self::Text,
        Self::Archive,
        Self::Reader,
    ];

    /// Its word in an address.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
            Self::Phone => "phone",
            Self::Text => "text",
            Self::Archive => "archive",
            Self::Reader => "reader",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Light => "Light",
            Self::Dark => "Dark",
            Self::Phone => "Phone",
            Self::Text => "Text only",
            Self::Archive => "Archive page",
            Self::Reader => "As reader…",
        }
    }
}

/// A mail as its readers get it.
pub struct PreviewView<'a> {
    /// The week.
    pub slot: String,
    /// The subject.
    pub subject: &'a str,
    /// The line after it.
    pub preheader: &'a str,
    /// Its sender.
    pub sender: String,
    /// The look.
    pub show: Show,
    /// The text part.
    pub text: &'a str,
    /// Size of the message.
    pub size: String,
    /// True if this user may look at it as one reader gets it.
    pub may_be_reader: bool,
}

#[derive(Template)]
#[template(path = "desk/preview.html", whitespace = "minimize")]
struct PreviewPage<'a> {
    frame: DeskFrame<'a>,
    view: PreviewView<'a>,
}

/// The page around a mail.
pub fn preview(frame: DeskFrame<'_>, view: PreviewView<'_>) -> Result<String, RenderError> {
    Ok(PreviewPage { frame, view }.render()?)
}

#[derive(Template)]
#[template(path = "desk/review_link.html", whitespace = "minimize")]
struct ReviewLinkPage<'a> {
    frame: DeskFrame<'a>,
    slot: &'a str,
    url: &'a str,
    until: &'a str,
}

/// The page that shows a link for reviewers.
pub fn review_link(
    frame: DeskFrame<'_>,
    slot: &str,
    url: &str,
    until: &str,
) -> Result<String, RenderError> {
    Ok(ReviewLinkPage {
        frame,
        slot,
        url,
        until,
    }
    .render()?)
}

#[derive(Template)]
#[template(path = "desk/progress.html", whitespace = "minimize")]
struct ProgressPart<'a> {
    view: &'a WeekView,
}

/// The sum of a digest, alone: a part of its page that is fetched while it changes.
pub fn progress(view: &WeekView) -> Result<String, RenderError> {
    Ok(ProgressPart { view }.render()?)
}

/// A mail's HTML as one scheme of colours shows it, whatever the browser's own is.
pub fn in_scheme(html: &str, is_dark: bool) -> String {
    let (shown, hidden) = if is_dark {
        ("dark", "light")
    } else {
        ("light", "dark")
    };
    html.replace(
        &format!("@media (prefers-color-scheme:{shown})"),
        "@media all",
    )
    .replace(
        &format!("@media (prefers-color-scheme:{hidden})"),
        "@media not all",
    )
    .replace(
        "<meta name=\"color-scheme\" content=\"light dark\">",
        &format!("<meta name=\"color-scheme\" content=\"{shown}\">"),
    )
    .replace(
        ":root{color-scheme:light dark}",
        &format!(":root{{color-scheme:{shown}}}"),
    )
}

/// A digest in the list.
pub struct DigestRowView {
    /// The week.
    pub slot: String,
    /// The state, in one word,
    pub state: &'static str,
    /// and as a class.
    pub mood: &'static str,
    /// Time when it went out, or is due.
    pub when: String,
    /// For how many.
    pub recipients: String,
    /// Number of readers who have it,
    pub sent: String,
    /// and how many do not.
    pub failed: String,
}

#[derive(Template)]
#[template(path = "desk/digests.html", whitespace = "minimize")]
struct DeskDigestsPage<'a> {
    frame: DeskFrame<'a>,
    rows: Vec<DigestRowView>,
    missed: Vec<String>,
    older: Option<String>,
    is_first: bool,
}

/// A page of the digests, newest first. `missed`: those that should be there and are not, in words; `older`: the last week on this page, if
/// there are more before it.
pub fn digests(
    frame: DeskFrame<'_>,
    rows: Vec<DigestRowView>,
    missed: Vec<String>,
    older: Option<String>,
    is_first: bool,
) -> Result<String, RenderError> {
    Ok(DeskDigestsPage {
        frame,
        rows,
        missed,
        older,
        is_first,
    }
    .render()?)
}

#[cfg(test)]
mod tests {
    use super::in_scheme;

    #[test]
    fn a_scheme_is_shown_whatever_the_browser_has() {
        let html = "<meta name=\"color-scheme\" content=\"light dark\"><style>@media (prefers-color-scheme:light){a{}}\
                    :root{color-scheme:light dark}@media (prefers-color-scheme:dark){b{}}</style>";
        let dark = in_scheme(html, true);
        assert!(
            dark.contains("@media all{b{}}") && dark.contains("@media not all{a{}}"),
            "{dark}"
        );
        assert!(!dark.contains("light dark") && !in_scheme(html, false).contains("light dark"));
    }
}
