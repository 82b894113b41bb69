//! `/comparisons/{slug}/picture.png`: what other sites show beside a link to a comparison.
//!
//! A picture is drawn when it is first asked for, and kept. Drawing takes a core, so this process draws one at a time, only so
//! many may wait for theirs, and a client has so many an hour; one that is kept costs nobody anything.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use tokio::sync::Semaphore;

use super::Web;
use super::answer::Problem;
use super::guard::Allowance;
use super::guard::Client;
use super::guard::PathSegment;
use crate::app::Failure;
use crate::render::RenderError;
use crate::render::picture;
use crate::render::picture::Picture;

/// Pictures in memory, of some 40 KB each.
const KEPT: usize = 200;
/// Requests that may wait for a picture to be drawn.
const WAITING: usize = 32;
/// Pictures an hour that are drawn for one client (IPv4 address, IPv6 /64).
const PER_CLIENT: u32 = 300;

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/comparisons/{slug}/picture.png", get(picture))
}

async fn picture(
    State(web): State<Web>,
    Client(client): Client,
    PathSegment(slug): PathSegment,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Ok(slug) = slug.parse() else {
        return Err(Problem::not_found());
    };
    let Some(matchup) = web.app.storage.matchup(&slug, web.app.now()).await? else {
        return Err(Problem::not_found());
    };
    let picture = picture::comparison(&web.app.site, &matchup)?;
    let tag = format!("\"{}\"", picture.tag);
    let about = [
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, "public, max-age=3600".into()),
    ];
    if is_known(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, about).into_response());
    }
    let png = match web.pictures.kept(&picture.tag) {
        Some(png) => png,
        None => {
            web.pictures
                .per_client
                .take(client)
                .map_err(|wait| Problem::too_many("pictures", wait))?;
            web.pictures.draw(picture).await?
        }
    };
    Ok((about, [(header::CONTENT_TYPE, "image/png")], png).into_response())
}

/// Returns whether the client has it already (RFC 9110, 13.1.2).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    known
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == tag || known == "*")
}

/// The pictures that were drawn last, by their tags; the newest at the end.
pub struct Pictures {
    kept: Mutex<VecDeque<(String, Bytes)>>,
    drawing: Arc<Semaphore>,
    waiting: Semaphore,
    per_client: Allowance,
}

impl Default for Pictures {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            drawing: Arc::new(Semaphore::new(1)),
            waiting: Semaphore::new(WAITING),
            per_client: Allowance::new(PER_CLIENT),
        }
    }
}

impl Pictures {
    fn kept(&self, tag: &str) -> Option<Bytes> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .find(|(known, _)| known == tag)
            .map(|(_, png)| png.clone())
    }

    fn keep(&self, tag: String, png: Bytes) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((tag, png));
    }

    async fn draw(self: &Arc<Self>, picture: Picture) -> Result<Bytes, Problem> {
        let Ok(_waiting) = self.waiting.try_acquire() else {
            return Err(Problem::busy(
                "More pictures are asked for than can be drawn.",
                Duration::from_secs(10),
            ));
        };
        let turn = self.drawing.clone().acquire_owned().await;
        // Whoever waited here for the same picture need not draw it again.
        if let Some(png) = self.kept(&picture.tag) {
            return Ok(png);
        }
        let pictures = self.clone();
        // The turn ends with the drawing, not with a client that hangs up before it.
        let drawn = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let png = Bytes::from(picture.draw()?);
            pictures.keep(picture.tag, png.clone());
            Ok::<_, RenderError>(png)
        });
        Ok(drawn.await.map_err(|error| {
            Failure::internal(format!("a picture could not be drawn: {error}"))
        })??)
    }
}
