//! Changing what a digest carries before it goes out: its comparisons and their order.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::super::Web;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::super::guard::PathSegment;
use super::access::Me;
use super::answers;
use super::answers::refusal;
use super::week::DIGESTS;
use super::week::known;
use super::week_view::seen;
use crate::app::issue::drafting::Changes;
use crate::domain::catalogue::Slug;
use crate::domain::digest::DigestState;

/// One change, as a button sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EditForm {
    /// The comparisons that the page showed.
    seen: String,
    up: Option<Slug>,
    down: Option<Slug>,
    leave_out: Option<Slug>,
    add: Option<Slug>,
    /// All of them in another order, with spaces between.
    order: Option<String>,
}

pub(super) async fn edit(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slot): PathSegment,
    FormFields(asked): FormFields<EditForm>,
) -> Result<Response, Problem> {
    let slot = known(&web, &slot).await?;
    let back = format!("{DIGESTS}/{slot}");
    let edition = web.app.edition(slot, web.app.now()).await?;
    let picks = edition.picks();
    if seen(&picks) != asked.seen {
        let sentence = "Somebody else changed the comparisons meanwhile, so nothing was done. Open the week again, and press the button there.";
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "Changed meanwhile",
            sentence,
        ));
    }
    let slugs: Vec<Slug> = picks.into_iter().map(|pick| pick.comparison).collect();
    let was_approved = edition
        .digest
        .is_some_and(|digest| digest.state == DigestState::Approved);
    let (changes, done) = match changes(asked, slugs) {
        Some(changes) => changes,
        None => return answers::done(&web, &who, "Nothing was changed.", &back).await,
    };
    let said = match web
        .app
        .edit_digest(&web.app.actor_of(&who), slot, &changes)
        .await
    {
        Ok(()) => {
            let state = web
                .app
                .storage
                .digest(slot)
                .await?
                .map(|digest| digest.state);
            let is_withdrawn = was_approved && state == Some(DigestState::Draft);
            let withdrawn = " It was approved as it was: approve it again.";
            format!("{done}{}", if is_withdrawn { withdrawn } else { "" })
        }
        Err(failure) => refusal(failure)?,
    };
    answers::done(&web, &who, &said, &back).await
}

/// Returns the order that a button makes of these comparisons; none where it changes nothing.
fn changes(asked: EditForm, mut slugs: Vec<Slug>) -> Option<(Changes, &'static str)> {
    let mut swap = |slug: Slug, is_up: bool| {
        let at = slugs.iter().position(|other| *other == slug)?;
        let with = if is_up { at.checked_sub(1)? } else { at + 1 };
        if with >= slugs.len() {
            return None;
        }
        slugs.swap(at, with);
        let changes = Changes {
            order: slugs.clone(),
            ..Changes::default()
        };
        Some((changes, "The order is changed."))
    };
    match asked {
        EditForm { up: Some(slug), .. } => swap(slug, true),
        EditForm {
            down: Some(slug), ..
        } => swap(slug, false),
        EditForm {
            leave_out: Some(slug),
            ..
        } => {
            let changes = Changes {
                leave_out: vec![slug],
                ..Changes::default()
            };
            Some((changes, "It is left out."))
        }
        EditForm {
            add: Some(slug), ..
        } => {
            let changes = Changes {
                add: vec![slug],
                ..Changes::default()
            };
            Some((changes, "It is added at the end."))
        }
        EditForm {
            order: Some(order), ..
        } => {
            let order: Vec<Slug> = order
                .split(' ')
                .filter_map(|slug| slug.parse().ok())
                .collect();
            let changes = Changes {
                order: order.clone(),
                ..Changes::default()
            };
            (order != slugs).then_some((changes, "The order is changed."))
        }
        _ => None,
    }
}
