//! `digest preview`, `notes`, `review-link` and `test-group`: a digest before it goes out.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use crate::app::App;
use crate::app::Failure;
use crate::app::views::DigestNoteView;
use crate::cli::output::Output;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::slot::Slot;

pub(super) async fn notes(
    app: &App,
    slot: Slot,
    add: Option<String>,
    output: Output,
) -> Result<(), Failure> {
    // A digest that is named must be there.
    app.status(slot).await?;
    if let Some(said) = add {
        app.comment(&Actor::cli(), slot, &said).await?;
    }
    let (notes, authors) = (app.storage.notes(slot).await?, app.authors().await?);
    let views: Vec<_> = notes
        .iter()
        .map(|note| DigestNoteView::new(note, &authors))
        .collect();
    output.print(&json!({ "slot": slot, "notes": views }), || {
        views.iter().fold(String::new(), |mut text, note| {
            let _ = writeln!(text, "{}  {note}", app.local_time(note.at()));
            text
        })
    })
}

pub(super) async fn review_link(app: &App, slot: Slot, output: Output) -> Result<(), Failure> {
    let link = app.review_link(slot).await?;
    output.print(&json!({ "slot": slot, "link": link }), || {
        format!("{link}\n")
    })
}

pub(super) async fn test_group(
    app: &App,
    addresses: &[String],
    clear: bool,
    output: Output,
) -> Result<(), Failure> {
    let group = match addresses.is_empty() && !clear {
        true => app.test_group().await?,
        false => app.set_test_group(&addresses.join(" ")).await?,
    };
    let group: Vec<&str> = group.iter().map(|email| email.as_str()).collect();
    output.print(&json!({ "addresses": group }), || {
        group.iter().map(|email| format!("{email}\n")).collect()
    })
}

/// Writes a digest's mail into files, as one reader would get it.
pub(super) async fn preview(
    app: &App,
    id: Option<Slot>,
    at: Timestamp,
    out: &Path,
    output: Output,
) -> Result<(), Failure> {
    let slot = id.unwrap_or_else(|| app.slot_at(at));
    if id.is_some() {
        // A digest that is named must be there.
        app.status(slot).await?;
    }
    let preview = app.preview(slot, at).await?;
    let fault = |error: std::io::Error| {
        Failure::internal(format!("{} cannot be written: {error}.", out.display()))
    };
    std::fs::create_dir_all(out).map_err(fault)?;
    let files: [(&str, &[u8]); 3] = [
        ("digest.html", preview.rendered.html.as_bytes()),
        ("digest.txt", preview.rendered.text.as_bytes()),
        ("digest.eml", &preview.message),
    ];
    for (name, bytes) in files {
        std::fs::write(out.join(name), bytes).map_err(fault)?;
    }
    let sizes = json!({ "slot": slot, "subject": preview.rendered.subject, "items": preview.items, "html_bytes": preview.rendered.html.len() });
    output.print(&sizes, || {
        let (html, subject) = (preview.rendered.html.len(), &preview.rendered.subject);
        format!(
            "{slot}: {subject}\n{} comparisons, {html} bytes of HTML, in {}\n",
            preview.items,
            out.display()
        )
    })
}
