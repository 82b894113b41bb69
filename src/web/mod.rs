//! Floor 5: the HTTP door. A request becomes one use case of `app`; a page may read straight from `storage`.
//!
//! Reading order: this file (the routes and what holds for all of them), [`guard`] (who asks, and how often) with [`forwarded`] and [`connections`],
//! [`answer`] (how things go wrong), then a file per resource: [`pages`], [`pictures`], [`joining`] with
//! [`embedding`], [`leaving`], [`choices`] with [`cookies`], [`preferences`], [`links`], [`mailbox`], [`operations`] with [`readiness`], [`webhooks`], the [`api`] with [`compatible`], and the [`desk`].

mod answer;
pub mod api;
mod browsing;
mod choices;
mod compatible;
mod connections;
mod cookies;
pub mod desk;
mod embedding;
mod forwarded;
mod guard;
mod joining;
mod leaving;
mod links;
mod mailbox;
mod operations;
mod page_cache;
mod pages;
mod pictures;
mod preferences;
mod problem_fault;
mod problem_types;
mod readiness;
mod review;
mod webhooks;

use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::Request;
use axum::extract::State;
use axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use axum::http::HeaderValue;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::server::graceful::Watcher;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::Layer;
use tower::Service;
use tower::ServiceExt;
use tower::util::MapRequestLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::app::App;
use crate::app::Failure;
use crate::app::connections::ConnectionPermit;
use crate::app::connections::Connections;
use crate::config::relations;
use crate::domain::places::Phase;
use connections::Timed;
use guard::Allowance;

/// The largest body that is read, in bytes: a sign-up is a hundred.
const LARGEST_BODY: usize = 16 << 10;
/// The longest that a request may take.
const LONGEST: Duration = relations::REQUEST_MAX;
/// The longest that a file may take to come.
const LONGEST_UPLOAD: Duration = Duration::from_secs(15 * 60);
/// The longest until its header is whole, and that a connection may wait for its next request.
const LONGEST_HEADER: Duration = Duration::from_secs(15);
/// Attempts, refused ones included, for each request for mail that a client may have accepted.
const ATTEMPTS: u32 = 10;

/// Scripts, styles and pictures only of our own and none inline, forms and requests only to us, and nobody may frame a page.
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; frame-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// State that every handler may ask for.
#[derive(Clone)]
struct Web {
    app: Arc<App>,
    attempts: Arc<Allowance>,
    choices: Arc<Allowance>,
    pictures: Arc<pictures::Pictures>,
    page_cache: Arc<page_cache::PageCache>,
    strangers: Arc<guard::UntrustedProxies>,
    readiness: Arc<readiness::Readiness>,
    in_flight: Arc<connections::InFlight>,
    api_rates: Arc<api::Rates>,
}

impl Web {
    /// Returns whether an address is a proxy whose word counts.
    fn trusts(&self, address: IpAddr) -> bool {
        is_trusted(&self.app, address)
    }
}

fn is_trusted(app: &App, address: IpAddr) -> bool {
    app.settings
        .site
        .trusted_proxies
        .iter()
        .any(|net| net.contains(&address))
}

/// Pages that a listener answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// The site's, and the desk's beside them.
    All,
    /// The site's alone: the desk has a listener of its own.
    Site,
    /// The desk's alone.
    Desk,
}

/// Answers requests on `listener` until told to stop, then finishes those that are under way, up to [`LONGEST`].
///
/// An accept loop of our own, for `axum::serve` waits for ever for a request that never becomes whole and takes any number
/// of connections.
///
/// # Errors
/// None so far: a listener that fails for a moment (out of file handles) is asked again.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    pages: Pages,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let (seats, waiting) = (
        Connections::new(connections::LIMITS),
        Arc::new(Semaphore::new(connections::WAITING)),
    );
    let open = GracefulShutdown::new();
    let mut http = auto::Builder::new(TokioExecutor::new()).http1_only();
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(LONGEST_HEADER)
        .keep_alive(true);
    let door = ServerContext {
        service: router(app.clone(), pages).into_make_service_with_connect_info(),
        http,
    };
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let _ = stream.set_nodelay(true);
        let holder = connections::holder(peer, |address| is_trusted(&app, address));
        let visit = HttpConnection {
            stream,
            peer,
            watcher: open.watcher(),
            door: door.clone(),
        };
        match (seats.try_admit(holder), waiting.clone().try_acquire_owned()) {
            (Some(seat), _) => drop(tokio::spawn(visit.converse(seat))),
            // All of its client's are at work, or all of everybody's: it waits beside the door, so that the next can come in.
            (None, Ok(permit)) => {
                let (seats, stop) = (seats.clone(), stop.clone());
                tokio::spawn(async move {
                    let seat = tokio::select! {
                        () = stop.cancelled() => return,
                        seat = tokio::time::timeout(LONGEST_HEADER, seats.admit(holder)) => seat,
                    };
                    drop(permit);
                    if let Ok(seat) = seat {
                        visit.converse(seat).await;
                    }
                });
            }
            (None, Err(_)) => {
                tracing::debug!("a connection was turned away: its client has too many")
            }
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(LONGEST, open.shutdown()).await;
    Ok(())
}

/// State that all connections share.
#[derive(Clone)]
struct ServerContext {
    service: IntoMakeServiceWithConnectInfo<Router, SocketAddr>,
    http: auto::Builder<TokioExecutor>,
}

/// One connection.
struct HttpConnection {
    stream: TcpStream,
    peer: SocketAddr,
    watcher: Watcher,
    door: ServerContext,
}

impl HttpConnection {
    /// Answers its requests until either side ends it, or somebody else is given its place.
    async fn converse(mut self, seat: ConnectionPermit<IpAddr>) {
        let seat = Arc::new(seat);
        let Ok(handler) = self.door.service.call(self.peer).await;
        let at_work = seat.clone();
        let handler = handler.map_request(move |request: hyper::Request<hyper::body::Incoming>| {
            at_work.enter(Phase::Working);
            request
        });
        let stream = TokioIo::new(Timed::new(self.stream, seat.clone()));
        let connection = self
            .door
            .http
            .serve_connection(stream, TowerToHyperService::new(handler))
            .into_owned();
        tokio::select! {
            // A client that breaks off is no event.
            _ = self.watcher.watch(connection) => {}
            () = seat.lost() => {}
        }
    }
}

/// All routes.
pub fn router(app: Arc<App>, pages: Pages) -> Router {
    let allowance = |per_hour| Arc::new(Allowance::new(per_hour));
    let attempts = allowance(app.settings.signup.per_client.saturating_mul(ATTEMPTS));
    let choices = allowance(app.settings.votes.per_client);
    let web = Web {
        attempts,
        choices,
        pictures: Arc::default(),
        page_cache: Arc::default(),
        strangers: Arc::default(),
        readiness: Arc::default(),
        in_flight: Arc::default(),
        api_rates: Arc::default(),
        app,
    };
    let site = || {
        Router::new()
            .merge(kept_routes(&web))
            .merge(pictures::routes())
            .merge(joining::routes(&web.app.settings.signup.origins))
            .merge(embedding::routes())
            .merge(choices::routes())
            .merge(private_routes().layer(axum::middleware::map_response(keep_private)))
            .merge(mailbox::routes())
            .merge(operations::routes())
            .merge(webhooks::routes())
            .merge(compatible::routes())
            .merge(api::routes(&web))
    };
    let routes = match pages {
        Pages::All => site().merge(desk::routes(&web)),
        Pages::Site => site(),
        Pages::Desk => desk::routes(&web)
            .merge(pages::look_routes(&web.app.site))
            .merge(api::routes(&web)),
    };
    let routes = routes
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::method_not_allowed)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(axum::middleware::from_fn(in_time))
        .layer(CatchPanicLayer::custom(answer::panicked))
        .layer(CompressionLayer::new())
        .layer(axum::middleware::from_fn_with_state(
            web.clone(),
            connections::share,
        ))
        .layer(axum::middleware::from_fn_with_state(
            web.clone(),
            api::finish,
        ))
        .layer(axum::middleware::from_fn_with_state(web.clone(), protect))
        .with_state(web);
    Router::new().fallback_service(MapRequestLayer::new(links::clean).layer(routes))
}

/// Gives a request up that takes longer than [`LONGEST`], with words: it waits for a database that is locked, or for a body.
async fn in_time(request: Request, next: Next) -> Response {
    // A file takes as long as its way.
    let path = request.uri().path();
    let longest = match desk::UPLOADS.contains(&path) || api::UPLOADS.contains(&path) {
        true => LONGEST_UPLOAD,
        false => LONGEST,
    };
    match tokio::time::timeout(longest, next.run(request)).await {
        Ok(response) => response,
        Err(_) => answer::Problem::out_of_time(LONGEST).into_response(),
    }
}

/// Public pages, which are kept as they were rendered last.
fn kept_routes(web: &Web) -> Router<Web> {
    let layer = axum::middleware::from_fn_with_state(web.clone(), page_cache::answer);
    pages::routes(&web.app.site)
        .merge(browsing::routes())
        .route_layer(layer)
}

/// Those behind a token.
fn private_routes() -> Router<Web> {
    joining::private_routes()
        .merge(leaving::routes())
        .merge(choices::private_routes())
        .merge(preferences::routes())
        .merge(review::routes())
}

/// For the pages behind a token: nobody learns the address from a link on them, and no cache keeps them.
async fn keep_private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Headers that every answer carries, unless the handler knew better. Paths are not logged: some hold tokens.
async fn protect(State(web): State<Web>, request: Request, next: Next) -> Response {
    let json = answer::wants_json(request.headers());
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<answer::Problem>() {
        let given = std::mem::take(response.headers_mut());
        response = problem.render(&web.app.site, json, given);
    }
    let class = match response.status().as_u16() / 100 {
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    };
    metrics::counter!("verdicts_requests_total", "status" => class).increment(1);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    if web.app.settings.site.base_url.scheme() == "https" {
        headers
            .entry(header::STRICT_TRANSPORT_SECURITY)
            .or_insert(HeaderValue::from_static("max-age=31536000"));
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_too_long_ends_with_words() {
        let routes = Router::<()>::new()
            .route("/", axum::routing::get(std::future::pending::<()>))
            .layer(axum::middleware::from_fn(in_time));
        let answer = routes
            .oneshot(Request::new(axum::body::Body::empty()))
            .await
            .expect("an answer");
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let problem = answer
            .extensions()
            .get::<answer::Problem>()
            .expect("words travel with it");
        assert!(
            format!("{problem:?}").contains("Our database is busy"),
            "{problem:?}"
        );
    }
}
