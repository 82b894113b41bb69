//! The mails that the local transport kept.

use askama::Template;

use super::PageFrame;
use crate::domain::Timestamp;
use crate::render::RenderError;
use crate::render::Site;
use crate::render::text::shorten;

/// A captured mail in a list.
#[derive(Debug, Clone)]
pub struct CapturedRow {
    /// Its file's name, which is its address below `/mailbox/`.
    pub name: String,
    /// Recipient.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// Its date, if it has one that can be read.
    pub date: Option<Timestamp>,
    /// Its size in bytes.
    pub size: u64,
}

/// A captured mail.
#[derive(Debug, Clone)]
pub struct MailView {
    /// Its row in the list.
    pub row: CapturedRow,
    /// Sender.
    pub from: String,
    /// All its headers, as they stand.
    pub headers: String,
    /// Its text part, decoded.
    pub text: Option<String>,
    /// True if it has an HTML part, shown in a frame from `/mailbox/{name}/html`.
    pub has_html: bool,
}

/// A mail in a list, with its date and size in words.
struct RowView<'a> {
    name: &'a str,
    to: String,
    subject: String,
    date: String,
    size: String,
}

impl<'a> RowView<'a> {
    fn new(site: &Site, row: &'a CapturedRow) -> Self {
        let date = row.date.map(|date| {
            date.with_timezone(&site.timezone)
                .format("%Y-%m-%d %H:%M %Z")
                .to_string()
        });
        Self {
            name: &row.name,
            to: shorten(&row.to, 200),
            subject: Some(shorten(&row.subject, 200))
                .filter(|subject| !subject.is_empty())
                .unwrap_or_else(|| "(no subject)".into()),
            date: date.unwrap_or_else(|| "no date".into()),
            size: format!("{}.{} KB", row.size / 1024, row.size % 1024 * 10 / 1024),
        }
    }
}

#[derive(Template)]
#[template(path = "web/mailbox.html", whitespace = "minimize")]
struct MailboxPage<'a> {
    frame: PageFrame<'a>,
    rows: Vec<RowView<'a>>,
}

/// The captured mails, as a list.
pub fn mailbox(site: &Site, rows: &[CapturedRow]) -> Result<String, RenderError> {
    let frame = PageFrame::private(
        site,
        "Mailbox".into(),
        "Mail that was captured instead of sent.",
    );
    Ok(MailboxPage {
        frame,
        rows: rows.iter().map(|row| RowView::new(site, row)).collect(),
    }
    .render()?)
}

/// A stretch of a mail's text: words, or one of the site's own links.
struct Piece<'a> {
    text: &'a str,
    is_link: bool,
}

#[derive(Template)]
#[template(path = "web/mailbox_mail.html", whitespace = "minimize")]
struct MailboxMail<'a> {
    frame: PageFrame<'a>,
    row: RowView<'a>,
    from: String,
    headers: &'a str,
    text: Option<Vec<Piece<'a>>>,
    has_html: bool,
}

/// One captured mail. Links of its text part that lead to this site can be followed.
pub fn mailbox_mail(site: &Site, mail: &MailView) -> Result<String, RenderError> {
    let row = RowView::new(site, &mail.row);
    let page = MailboxMail {
        frame: PageFrame::private(
            site,
            row.subject.clone(),
            "A mail that was captured instead of sent.",
        ),
        row,
        from: shorten(&mail.from, 200),
        headers: &mail.headers,
        text: mail.text.as_deref().map(|text| pieces(site, text)),
        has_html: mail.has_html,
    };
    Ok(page.render()?)
}

fn pieces<'a>(site: &Site, text: &'a str) -> Vec<Piece<'a>> {
    let start = site.link("/");
    let words = text.split_inclusive(char::is_whitespace).flat_map(|word| {
        let (bare, space) = word.split_at(word.trim_end().len());
        [
            Piece {
                text: bare,
                is_link: bare.starts_with(&start),
            },
            Piece {
                text: space,
                is_link: false,
            },
        ]
    });
    words.filter(|piece| !piece.text.is_empty()).collect()
}
