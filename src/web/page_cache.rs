//! Public pages as they were rendered last, compressed, until what they show changes.
//!
//! A page is kept with the number that the database gave before it was rendered ([`page_version`]). Each request asks for the number anew, so
//! that a change shows at once in all processes; requests that come while the database is asked share the next answer. Refused: telling
//! processes of changes (`notify`), for one that did not hear would show an old page.
//!
//! [`page_version`]: crate::storage::Storage::page_version

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;

use axum::body::Body;
use axum::body::Bytes;
use axum::body::HttpBody as _;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use chrono::TimeDelta;
use data_encoding::HEXLOWER;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::Digest as _;
use sha2::Sha256;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use super::Web;
use crate::app::App;
use crate::domain::Timestamp;

/// Bytes of all pages that are kept, compressed and not; beyond, all are forgotten.
const KEPT_MAX: usize = 32 << 20;
/// Largest page that is kept.
const PAGE_MAX: usize = 1 << 20;
/// Longest path that is kept.
const PATH_MAX: usize = 300;
/// Age at which a page is rendered anew though nothing changed.
const AGE_MAX: TimeDelta = TimeDelta::minutes(1);
/// Bytes below which compression costs more than it saves.
const COMPRESSED_MIN: usize = 256;

/// State of what pages show: the database's number, and how often this process took other settings.
type PageState = (i64, usize, usize);

/// Page as it was rendered.
struct KeptPage {
    state: PageState,
    until: Timestamp,
    kind: HeaderValue,
    etag: HeaderValue,
    plain: Bytes,
    gzip: Bytes,
}

/// Kept pages, by path.
pub(super) struct PageCache {
    pages: RwLock<HashMap<String, Arc<KeptPage>>>,
    asking: mpsc::UnboundedSender<oneshot::Sender<Option<i64>>>,
    /// Taken by whoever asks first: a router may be made outside a runtime.
    asked: std::sync::Mutex<Option<mpsc::UnboundedReceiver<oneshot::Sender<Option<i64>>>>>,
}

impl Default for PageCache {
    fn default() -> Self {
        let (asking, asked) = mpsc::unbounded_channel();
        Self {
            pages: RwLock::default(),
            asking,
            asked: std::sync::Mutex::new(Some(asked)),
        }
    }
}

impl PageCache {
    /// The state of now; `None` where the database does not answer.
    async fn state(&self, app: &Arc<App>) -> Option<PageState> {
        let first = self
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(asked) = first {
            tokio::spawn(answer_together(app.clone(), asked));
        }
        let settings = (app.site.replaced(), app.settings.replaced());
        let (tell, told) = oneshot::channel();
        self.asking.send(tell).ok()?;
        let version = told.await.ok()??;
        Some((version, settings.0, settings.1))
    }

    fn found(&self, path: &str, state: PageState, now: Timestamp) -> Option<Arc<KeptPage>> {
        let pages = self.pages.read().unwrap_or_else(PoisonError::into_inner);
        let kept = pages.get(path)?;
        (kept.state == state && now < kept.until).then(|| kept.clone())
    }

    fn keep(&self, path: String, page: Arc<KeptPage>) {
        let mut pages = self.pages.write().unwrap_or_else(PoisonError::into_inner);
        pages.insert(path, page);
        if pages.values().map(|page| page.size()).sum::<usize>() > KEPT_MAX {
            pages.clear();
        }
    }
}

/// Asks the database for the number on behalf of all who wait. Whoever comes while it is asked gets the next answer, not this one: it may be
/// older than their request.
async fn answer_together(
    app: Arc<App>,
    mut asked: mpsc::UnboundedReceiver<oneshot::Sender<Option<i64>>>,
) {
    let mut waiting = Vec::new();
    while asked.recv_many(&mut waiting, usize::MAX).await > 0 {
        let version = app.storage.page_version().await;
        if let Err(error) = &version {
            tracing::debug!(%error, "the version of the pages cannot be read");
        }
        let version = version.ok();
        for tell in waiting.drain(..) {
            // Whoever does not wait any more has gone.
            let _ = tell.send(version);
        }
    }
}

impl KeptPage {
    fn new(state: PageState, until: Timestamp, kind: HeaderValue, plain: Bytes) -> Option<Self> {
        let hash = HEXLOWER.encode(&Sha256::digest(&plain)[..16]);
        // Weak: both encodings have it (RFC 9110, 8.8.1).
        let etag = HeaderValue::from_str(&format!("W/\"{hash}\"")).ok()?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(&plain).ok()?;
        let gzip = encoder.finish().ok()?.into();
        Some(Self {
            state,
            until,
            kind,
            etag,
            plain,
            gzip,
        })
    }

    fn size(&self) -> usize {
        self.plain.len() + self.gzip.len()
    }

    fn answer(&self, asked: &HeaderMap) -> Response {
        let shared = [
            (header::ETAG, self.etag.clone()),
            (
                header::VARY,
                HeaderValue::from_static("accept-encoding, cookie"),
            ),
        ];
        if is_known(asked, &self.etag) {
            return (StatusCode::NOT_MODIFIED, shared).into_response();
        }
        let kind = (header::CONTENT_TYPE, self.kind.clone());
        if self.plain.len() >= COMPRESSED_MIN && takes_gzip(asked) {
            let encoding = (header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            return (shared, [kind, encoding], self.gzip.clone()).into_response();
        }
        (shared, [kind], self.plain.clone()).into_response()
    }
}

/// Returns whether a client has the page already (RFC 9110, 13.1.2: by weak comparison).
fn is_known(asked: &HeaderMap, etag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let own = opaque(etag.to_str().unwrap_or_default());
    asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == "*" || opaque(tag) == own)
}

/// Returns whether a client takes gzip (RFC 9110, 12.5.3), which it refuses by a quality of 0.
fn takes_gzip(asked: &HeaderMap) -> bool {
    asked
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let (name, quality) = coding.split_once(';').unwrap_or((coding, "q=1"));
            let quality = quality.trim().trim_start_matches("q=");
            name.trim().eq_ignore_ascii_case("gzip")
                && quality.parse().is_ok_and(|quality: f32| quality > 0.0)
        })
}

/// Answers with the kept page, or renders and keeps it. Who has a cookie may see a page of their own, and no query is kept: there is no end of
/// them.
pub(super) async fn answer(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    let is_head = request.method() == Method::HEAD;
    let is_shared = (is_head || request.method() == Method::GET)
        && !request.headers().contains_key(header::COOKIE)
        && request.uri().query().is_none()
        && request.uri().path().len() <= PATH_MAX;
    if !is_shared {
        return next.run(request).await;
    }
    let Some(state) = web.page_cache.state(&web.app).await else {
        return next.run(request).await;
    };
    let path = request.uri().path().to_owned();
    let now = web.app.now();
    if let Some(kept) = web.page_cache.found(&path, state, now) {
        return kept.answer(request.headers());
    }
    let asked = request.headers().clone();
    // A page without its body could not be kept. The server leaves it out.
    *request.method_mut() = Method::GET;
    let response = next.run(request).await;
    match kept_page(&web, state, now, response).await {
        Ok(kept) => {
            let kept = Arc::new(kept);
            web.page_cache.keep(path, kept.clone());
            kept.answer(&asked)
        }
        Err(response) => response,
    }
}

/// The page to keep; `Err`: an answer that is no page for everybody, as it came.
async fn kept_page(
    web: &Web,
    state: PageState,
    now: Timestamp,
    response: Response,
) -> Result<KeptPage, Response> {
    let headers = response.headers();
    let is_own = [
        header::SET_COOKIE,
        header::CACHE_CONTROL,
        header::CONTENT_ENCODING,
    ];
    let is_page = response.status() == StatusCode::OK
        && !is_own.iter().any(|name| headers.contains_key(name));
    let (true, Some(kind)) = (is_page, headers.get(header::CONTENT_TYPE).cloned()) else {
        return Err(response);
    };
    let Ok(next) = web.app.storage.next_publication(now).await else {
        return Err(response);
    };
    let until = next.map_or(now + AGE_MAX, |next| next.min(now + AGE_MAX));
    let (parts, body) = response.into_parts();
    // Rendered pages are whole in memory already: reading them fails only where they are longer than what is kept.
    let exact = body.size_hint().exact();
    if exact.is_none_or(|size| size > PAGE_MAX as u64) {
        return Err(Response::from_parts(parts, body));
    }
    let plain = match axum::body::to_bytes(body, PAGE_MAX).await {
        Ok(plain) => plain,
        Err(_) => return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
    };
    KeptPage::new(state, until, kind, plain.clone())
        .ok_or_else(|| Response::from_parts(parts, Body::from(plain)))
}
