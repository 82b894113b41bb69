//! Access: each route says what it demands, and one layer holds it.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::FromRequestParts;
use axum::extract::Request;
use axum::extract::State;
use axum::handler::Handler;
use axum::http::HeaderMap;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use axum::routing::MethodFilter;
use axum::routing::MethodRouter;
use axum::routing::on;
use axum_extra::extract::cookie::CookieJar;

use super::super::Web;
use super::super::answer::Problem;
use super::super::guard::Client;
use super::answers;
use crate::app::users::signing_in::SignInClient;
use crate::app::users::signing_in::SignedIn;
use crate::domain::user::AccessLevel;
use crate::domain::user::Area;
use crate::domain::user::Stage;

/// Demand of a route on its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Nothing: the page that signs in.
    Nothing,
    /// A link that works once; the handler looks at it.
    Link,
    /// A sign-in that waits for its code.
    Code,
    /// A sign-in that waits for a second factor to be set up, or one that is complete.
    Enrol,
    /// A complete sign-in of a role that reaches this level.
    Level {
        /// Part of the desk.
        area: Area,
        /// Level in that area.
        level: AccessLevel,
        /// True if the password must have been given in the last minutes.
        is_recent: bool,
    },
}

impl Demand {
    pub(super) const fn level(area: Area, level: AccessLevel) -> Self {
        Self::Level {
            area,
            level,
            is_recent: false,
        }
    }

    pub(super) const fn recent(area: Area, level: AccessLevel) -> Self {
        Self::Level {
            area,
            level,
            is_recent: true,
        }
    }
}

/// One route.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub demand: Demand,
    handler: MethodRouter<Web>,
    /// True if a file may come: a body of up to `desk.largest_upload`.
    takes_file: bool,
}

impl Route {
    pub(super) fn get<T: 'static>(
        path: &'static str,
        demand: Demand,
        handler: impl Handler<T, Web>,
    ) -> Self {
        Self {
            method: Method::GET,
            path,
            demand,
            handler: on(MethodFilter::GET, handler),
            takes_file: false,
        }
    }

    pub(super) fn post<T: 'static>(
        path: &'static str,
        demand: Demand,
        handler: impl Handler<T, Web>,
    ) -> Self {
        Self {
            method: Method::POST,
            path,
            demand,
            handler: on(MethodFilter::POST, handler),
            takes_file: false,
        }
    }

    /// The same route, which takes a file.
    pub(super) fn with_file(self) -> Self {
        Self {
            takes_file: true,
            ..self
        }
    }

    pub(super) fn add_to(self, router: Router<Web>, web: &Web) -> Router<Web> {
        let guard = from_fn_with_state((web.clone(), self.demand), hold);
        let handler = match self.takes_file {
            true => {
                // Around the file stands the form that it comes in.
                let largest = web.app.settings.desk.largest_upload.0 as usize + (4 << 10);
                self.handler.layer(DefaultBodyLimit::max(largest))
            }
            false => self.handler,
        };
        router.route(self.path, handler.route_layer(guard))
    }
}

/// The name of the session's cookie. `__Host-` has browsers hold that it is of this host alone and came by https.
fn cookie_name(web: &Web) -> &'static str {
    if answers::is_https(web) {
        "__Host-desk"
    } else {
        "desk"
    }
}

/// A cookie with a session's token; an empty one ends it.
pub fn cookie(web: &Web, token: String) -> CookieJar {
    answers::cookie(web, cookie_name(web), token)
}

/// The name of the cookie that ties a ceremony to the browser that began it.
fn browser_cookie_name(web: &Web) -> &'static str {
    if answers::is_https(web) {
        "__Host-desk-browser"
    } else {
        "desk-browser"
    }
}

/// The token of a browser that began a ceremony before.
pub fn browser_token(web: &Web, headers: &HeaderMap) -> Option<String> {
    let jar = CookieJar::from_headers(headers);
    let cookie = jar.get(browser_cookie_name(web))?;
    let token = cookie.value();
    // One of ours: what somebody planted short could be guessed.
    (token.len() == 43).then(|| token.to_owned())
}

/// A cookie with a browser's token.
pub fn browser_cookie(web: &Web, token: String) -> CookieJar {
    answers::cookie(web, browser_cookie_name(web), token)
}

/// Answers 404 to whoever the desk is not for: networks that the settings do not name, and everybody before there is a user, but for the link
/// that makes the first.
pub async fn open(State(web): State<Web>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let desk = &web.app.settings.desk;
    if !desk.enabled {
        return Problem::not_found().into_response();
    }
    if !desk.networks.is_empty() {
        let client = match Client::from_request_parts(&mut parts, &web).await {
            Ok(Client(client)) => client,
            Err(problem) => return problem.into_response(),
        };
        if !desk.networks.iter().any(|net| net.contains(&client)) {
            return Problem::not_found().into_response();
        }
    }
    if !parts.uri.path().starts_with("/desk/setup/") {
        match web.app.is_desk_open().await {
            Ok(true) => {}
            Ok(false) => return Problem::not_found().into_response(),
            Err(failure) => return Problem::from(failure).into_response(),
        }
    }
    next.run(Request::from_parts(parts, body)).await
}

/// Puts who asks beside the request, if their cookie is a session's. A page that shows the session's notice uses it up.
pub async fn recognise(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    let jar = CookieJar::from_headers(request.headers());
    let Some(token) = jar
        .get(cookie_name(&web))
        .map(|cookie| cookie.value().to_owned())
    else {
        return next.run(request).await;
    };
    let who = match web.app.session(&token).await {
        Ok(Some(who)) => who,
        Ok(None) => return next.run(request).await,
        Err(failure) => return Problem::from(failure).into_response(),
    };
    let is_get = request.method() == Method::GET;
    let noted = who
        .session
        .notice
        .is_some()
        .then(|| who.session.token_sha256.clone());
    request.extensions_mut().insert(who);
    let response = next.run(request).await;
    if let Some(session) = noted.filter(|_| is_get && response.status() == StatusCode::OK)
        && let Err(error) = web.app.storage.set_notice(&session, None).await
    {
        tracing::warn!(%error, "a notice of the desk is shown once more");
    }
    response
}

/// Holds one route's demand.
async fn hold(
    State((web, demand)): State<(Web, Demand)>,
    request: Request,
    next: Next,
) -> Response {
    let who = request.extensions().get::<SignedIn>();
    let refused = match (demand, who) {
        (Demand::Nothing | Demand::Link, _) => None,
        (_, None) => Some(to_sign_in(&request)),
        (Demand::Code, Some(who)) => (who.session.stage != Stage::Code).then(|| go_on(who)),
        (Demand::Enrol, Some(who)) => (who.session.stage == Stage::Code).then(|| go_on(who)),
        (Demand::Level { .. }, Some(who)) if who.session.stage != Stage::Full => Some(go_on(who)),
        (
            Demand::Level {
                area,
                level,
                is_recent,
            },
            Some(who),
        ) => {
            if !who.user.role.may(area, level) {
                Some(forbidden(who))
            } else if is_recent && !web.app.is_recent(who) {
                Some(to_confirm(&request))
            } else {
                None
            }
        }
    };
    match refused {
        Some(response) => response,
        None => next.run(request).await,
    }
}

fn forbidden(who: &SignedIn) -> Response {
    let sentence = format!(
        "Your role ({}) does not reach this far. An owner can give you another under Users.",
        who.user.role
    );
    Problem::new(StatusCode::FORBIDDEN, "Not for your role", sentence).into_response()
}

/// Returns where a sign-in goes on that has come so far.
pub fn go_on(who: &SignedIn) -> Response {
    Redirect::to(place_after(who.session.stage)).into_response()
}

/// The page that follows a sign-in that has come so far.
pub fn place_after(stage: Stage) -> &'static str {
    match stage {
        Stage::Code => "/desk/sign-in/code",
        Stage::Enrol => "/desk/account/second-factor",
        Stage::Full => "/desk",
    }
}

fn to_sign_in(request: &Request) -> Response {
    match page_of(request) {
        Some(page) if page != "/desk" => {
            Redirect::to(&format!("/desk/sign-in?{}", answers::next_query(&page))).into_response()
        }
        _ => Redirect::to("/desk/sign-in").into_response(),
    }
}

/// Asks for the password once more, and comes back to the page whose button was pressed: it has to be pressed again.
fn to_confirm(request: &Request) -> Response {
    let page = page_of(request).unwrap_or_else(|| "/desk".into());
    Redirect::to(&format!("/desk/confirm?{}", answers::next_query(&page))).into_response()
}

/// The page that was asked for, or that the form stood on.
fn page_of(request: &Request) -> Option<String> {
    if request.method() == Method::GET {
        return request.uri().path_and_query().map(ToString::to_string);
    }
    let referer = request.headers().get(header::REFERER)?.to_str().ok()?;
    let url = url::Url::parse(referer).ok()?;
    let page = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    answers::is_place(&page).then_some(page)
}

/// Caller of a handler that stands behind a demand.
pub struct Me(pub SignedIn);

impl FromRequestParts<Web> for Me {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Web) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<SignedIn>()
            .cloned()
            .map(Self)
            .ok_or_else(Problem::not_found)
    }
}

/// Caller who may be nobody yet.
pub struct Perhaps(pub Option<SignedIn>);

impl FromRequestParts<Web> for Perhaps {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Web) -> Result<Self, Problem> {
        Ok(Self(parts.extensions.get::<SignedIn>().cloned()))
    }
}

/// Name by which a browser asks, without the port.
pub struct RequestHost(pub String);

impl FromRequestParts<Web> for RequestHost {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Web) -> Result<Self, Problem> {
        let host = parts.headers.get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        Ok(Self(name.to_ascii_lowercase()))
    }
}

/// Address and program that a request comes from.
pub struct RequestOrigin {
    client: std::net::IpAddr,
    agent: String,
}

impl FromRequestParts<Web> for RequestOrigin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let Client(client) = Client::from_request_parts(parts, web).await?;
        Ok(Self {
            client,
            agent: agent(&parts.headers),
        })
    }
}

impl RequestOrigin {
    /// The program, in words.
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// As the use cases take it.
    pub fn visitor(&self) -> SignInClient<'_> {
        SignInClient {
            client: self.client,
            agent: &self.agent,
        }
    }
}

/// The program and the system in a browser's name for itself, like "Firefox on Linux": the rest is the history of the web.
fn agent(headers: &HeaderMap) -> String {
    let text = headers
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let find = |names: &[(&str, &'static str)]| {
        names
            .iter()
            .find(|(mark, _)| text.contains(mark))
            .map(|(_, name)| *name)
    };
    // Each of them names those below it too.
    let browser = find(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("CriOS/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = find(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Mac OS X", "macOS"),
        ("Windows", "Windows"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.into(),
        _ if text.is_empty() => "a program without a name".into(),
        _ => text.chars().take(60).collect(),
    }
}
