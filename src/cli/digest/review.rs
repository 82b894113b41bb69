//! `digest notes`, `review-link` and `test-group`: showing a digest to others before it goes out.

use std::fmt::Write as _;

use serde_json::json;

use crate::app::App;
use crate::app::Failure;
use crate::app::views::DigestNoteView;
use crate::cli::output::Output;
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
    output.print(&json!({ "slot": slot, "link": link }), || format!("{link}\n"))
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
