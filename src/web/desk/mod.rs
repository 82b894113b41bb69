//! The desk: the publisher's web interface, under `/desk`.
//!
//! Reading order: this file (all routes, each with what it demands, with [`operation_table`]), [`access`] (who may pass), [`answers`] (what a page and a write
//! answer with), then a file per resource: [`sign_in`], [`passkeys`], [`oidc`], [`first_run`], [`account`], [`users`], [`tokens`], [`settings`], [`audit`], [`diagnostics`], [`webhooks`], [`subscribers`] with [`subscriber`], [`subscriber_view`], [`subscriber_change`] and [`subscriber_new`], [`import`] with [`uploads`], [`bulk`] and [`jobs`], [`catalogue_list`], [`tool_edit`] with [`tool_view`], [`comparison_edit`] with [`entry_form`], [`catalogue_import`], [`sources`] with [`source_form`], [`proposals`], [`week`] with [`week_view`], [`week_sum`], [`prepare_view`], [`edit`], [`write`], [`review`] and [`correct`], [`results`], [`growth`], [`deliverability`] with [`deliverability_view`] and [`suppressions`].

mod access;
mod account;
mod answers;
mod audit;
mod bulk;
mod catalogue_import;
mod catalogue_list;
mod comparison_edit;
mod correct;
mod deliverability;
mod deliverability_view;
mod diagnostics;
mod edit;
mod entry_form;
mod first_run;
mod growth;
mod import;
mod jobs;
mod notices;
mod oidc;
mod operation_table;
mod passkeys;
mod prepare_view;
mod proposals;
mod results;
mod review;
mod settings;
mod sign_in;
mod source_form;
mod sources;
mod subscriber;
mod subscriber_change;
mod subscriber_new;
mod subscriber_view;
mod subscribers;
mod suppressions;
mod tokens;
mod tool_edit;
mod tool_view;
mod uploads;
mod users;
mod webhooks;
mod week;
mod week_sum;
mod week_view;
mod write;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::middleware::map_response;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use tower_http::csrf::CsrfLayer;

use super::Web;
use super::pages::immutable;
use crate::domain::user::AccessLevel;
use crate::domain::user::Area;
use crate::render::desk;
use access::Route;

pub use access::Demand;

/// Addresses that a file is sent to.
pub(super) const UPLOADS: [&str; 2] = ["/desk/subscribers/import", catalogue_import::IMPORT];

/// The largest form, in bytes: an introduction in the most verbose encoding.
const LARGEST_TEXT: usize = 256 << 10;

/// Every route of the desk, with what it demands: the one table, from which the router and the test of all roles are made.
fn table() -> Vec<Route> {
    use AccessLevel::Read;
    use AccessLevel::Write;
    let own = Demand::level(Area::Own, Write);
    let recent_own = Demand::recent(Area::Own, Write);
    let results = Demand::level(Area::Results, Read);
    let send = Demand::level(Area::Send, Write);
    let draft = Demand::level(Area::Draft, Write);
    let listed = Demand::level(Area::Subscribers, AccessLevel::Masked);
    let person = Demand::level(Area::Subscribers, Read);
    let people = Demand::level(Area::Subscribers, Write);
    let erase = Demand::level(Area::Erase, Write);
    let recent_erase = Demand::recent(Area::Erase, Write);
    let lift = Demand::level(Area::Suppressions, Write);
    let recent_lift = Demand::recent(Area::Suppressions, Write);
    let mut routes = vec![
        Route::get("/desk/setup/{token}", Demand::Link, first_run::look),
        Route::post("/desk/setup/{token}", Demand::Link, first_run::set_up),
        Route::get(
            "/desk/password/{token}",
            Demand::Link,
            first_run::look_at_password,
        ),
        Route::post(
            "/desk/password/{token}",
            Demand::Link,
            first_run::set_password,
        ),
        Route::get("/desk/sign-in", Demand::Nothing, sign_in::look),
        Route::post("/desk/sign-in", Demand::Nothing, sign_in::sign_in),
        Route::get("/desk/sign-in/code", Demand::Code, sign_in::look_at_code),
        Route::post("/desk/sign-in/code", Demand::Code, sign_in::enter_code),
        Route::post("/desk/sign-out", Demand::Nothing, sign_in::sign_out),
        Route::post("/desk/passkey/options", Demand::Nothing, passkeys::ask),
        Route::post("/desk/passkey", Demand::Nothing, passkeys::sign_in),
        Route::post("/desk/oidc/{provider}", Demand::Nothing, oidc::begin),
        Route::get(
            "/desk/oidc/{provider}/callback",
            Demand::Link,
            oidc::come_back,
        ),
        Route::get("/desk/confirm", own, sign_in::look_at_confirm),
        Route::post("/desk/confirm", own, sign_in::confirm),
        Route::get("/desk", results, week::home),
        Route::get("/desk/digests", results, week::list),
        Route::get("/desk/digests/{slot}", results, week::show),
        Route::get("/desk/digests/{slot}/preview", results, week::preview),
        Route::get("/desk/digests/{slot}/mail/{scheme}", results, week::mail),
        Route::post("/desk/draft", draft, week::draft),
        Route::post("/desk/digests/{slot}/edit", draft, edit::edit),
        Route::get("/desk/digests/{slot}/write", draft, write::show),
        Route::post("/desk/digests/{slot}/write", draft, write::save),
        Route::post("/desk/digests/{slot}/write/preview", draft, write::preview),
        Route::post("/desk/digests/{slot}/write/line", draft, write::line),
        Route::get("/desk/digests/{slot}/archive", results, week::archive_page),
        Route::get("/desk/digests/{slot}/progress", results, week::progress),
        Route::post("/desk/digests/{slot}/as", person, review::as_reader),
        Route::post("/desk/digests/{slot}/test", draft, review::test),
        Route::post("/desk/digests/{slot}/test-group", send, review::save_group),
        Route::post(
            "/desk/digests/{slot}/review-link",
            draft,
            review::review_link,
        ),
        Route::post("/desk/digests/{slot}/note", draft, review::note),
        Route::post("/desk/digests/{slot}/send-back", send, review::send_back),
        Route::post("/desk/digests/{slot}/time", send, review::set_time),
        Route::get("/desk/digests/{slot}/left", listed, results::left),
        Route::post("/desk/digests/{slot}/ledger", recent_erase, results::ledger),
        Route::get("/desk/digests/{slot}/correct", send, correct::show),
        Route::post("/desk/digests/{slot}/correct", send, correct::correct),
        Route::get("/desk/digests/{slot}/skip", send, review::look_at_skip),
        Route::post("/desk/digests/{slot}/skip", send, review::skip),
        Route::get("/desk/digests/{slot}/{action}", send, week::ask),
        Route::post("/desk/digests/{slot}/{action}", send, week::act),
        Route::get("/desk/subscribers", listed, subscribers::list),
        Route::get("/desk/subscribers/import", people, import::look),
        Route::post("/desk/subscribers/import", people, import::upload).with_file(),
        Route::get(
            "/desk/subscribers/import/{upload}",
            people,
            import::look_at_columns,
        ),
        Route::post("/desk/subscribers/import/{upload}", people, import::start),
        Route::get("/desk/subscribers/bulk", people, bulk::ask),
        Route::post("/desk/subscribers/bulk/erase", recent_erase, bulk::erase),
        Route::post("/desk/subscribers/bulk/export", recent_erase, bulk::export),
        Route::post("/desk/subscribers/bulk/{change}", people, bulk::change),
        Route::post("/desk/subscribers/segments", people, bulk::segments),
        Route::get("/desk/jobs", people, jobs::list),
        Route::get("/desk/jobs/{job}", people, jobs::show),
        Route::post("/desk/jobs/{job}/cancel", people, jobs::cancel),
        Route::get("/desk/jobs/{job}/file", erase, jobs::file),
        Route::get("/desk/subscribers/new", people, subscriber_new::look),
        Route::post("/desk/subscribers/new", people, subscriber_new::add),
        Route::get("/desk/subscribers/{name}", person, subscriber::show),
        Route::get(
            "/desk/subscribers/{name}/reports/{report}",
            person,
            subscriber::report,
        ),
        Route::get(
            "/desk/subscribers/{name}/erase",
            erase,
            subscriber_change::look_at_erasure,
        ),
        Route::post(
            "/desk/subscribers/{name}/erase",
            recent_erase,
            subscriber_change::erase,
        ),
        Route::post(
            "/desk/subscribers/{name}/data",
            recent_erase,
            subscriber::download,
        ),
        Route::get(
            "/desk/subscribers/{name}/lift",
            lift,
            subscriber_change::look_at_lifting,
        ),
        Route::post(
            "/desk/subscribers/{name}/lift",
            recent_lift,
            subscriber_change::lift,
        ),
        Route::get(
            "/desk/subscribers/{name}/{change}",
            people,
            subscriber_change::look_at_change,
        ),
        Route::post(
            "/desk/subscribers/{name}/{change}",
            people,
            subscriber_change::change,
        ),
        Route::get("/desk/growth", results, growth::show),
        Route::get("/desk/deliverability", results, deliverability::show),
        Route::get(
            "/desk/deliverability/refused",
            person,
            deliverability::refused,
        ),
        Route::get(
            "/desk/deliverability/held/{decision}",
            people,
            deliverability::ask,
        ),
        Route::post(
            "/desk/deliverability/held/{decision}",
            people,
            deliverability::decide,
        ),
        Route::post(
            "/desk/deliverability/relays/try",
            send,
            deliverability::try_relay,
        ),
        Route::get(
            "/desk/deliverability/suppressions",
            person,
            suppressions::list,
        ),
        Route::post(
            "/desk/deliverability/suppressions/lift",
            recent_lift,
            suppressions::lift,
        ),
        Route::get("/desk/notices", own, notices::list),
        Route::get("/desk/account", own, account::show),
        Route::post("/desk/account/password", own, account::change_password),
        Route::get(
            "/desk/account/second-factor",
            Demand::Enrol,
            account::look_at_second_factor,
        ),
        Route::post(
            "/desk/account/second-factor",
            Demand::Enrol,
            account::set_up_second_factor,
        ),
        Route::post(
            "/desk/account/second-factor/remove",
            recent_own,
            account::remove_second_factor,
        ),
        Route::post(
            "/desk/account/recovery-codes",
            recent_own,
            account::renew_recovery_codes,
        ),
        Route::get(
            "/desk/account/passkeys/new",
            Demand::Enrol,
            passkeys::look_at_new,
        ),
        Route::post(
            "/desk/account/passkeys/options",
            Demand::Enrol,
            passkeys::begin,
        ),
        Route::post("/desk/account/passkeys", Demand::Enrol, passkeys::add),
        Route::post(
            "/desk/account/passkeys/{name}/rename",
            own,
            passkeys::rename,
        ),
        Route::get(
            "/desk/account/passkeys/{name}/remove",
            own,
            passkeys::look_at_removal,
        ),
        Route::post(
            "/desk/account/passkeys/{name}/remove",
            recent_own,
            passkeys::remove,
        ),
        Route::post("/desk/account/oidc/{provider}/link", recent_own, oidc::link),
        Route::get(
            "/desk/account/identities/{name}/remove",
            own,
            oidc::look_at_removal,
        ),
        Route::post(
            "/desk/account/identities/{name}/remove",
            recent_own,
            oidc::remove,
        ),
        Route::post("/desk/account/mails", own, notices::choose),
        Route::post("/desk/account/sessions/end", own, account::end_sessions),
    ];
    routes.extend(catalogue_table());
    routes.extend(sources::table());
    routes.extend(operation_table::operation_table());
    routes.extend(webhooks::table());
    routes
}

/// The routes of the catalogue.
fn catalogue_table() -> Vec<Route> {
    let catalogue = Demand::level(Area::Catalogue, AccessLevel::Read);
    let entry = Demand::level(Area::Catalogue, AccessLevel::Write);
    vec![
        Route::get("/desk/tools", catalogue, catalogue_list::tools),
        Route::get("/desk/tools/new", entry, tool_edit::look_at_new),
        Route::post("/desk/tools/new", entry, tool_edit::add),
        Route::get("/desk/tools/{slug}/edit", entry, tool_edit::look),
        Route::post("/desk/tools/{slug}/edit", entry, tool_edit::save),
        Route::get(
            "/desk/tools/{slug}/preview",
            entry,
            tool_edit::preview_saved,
        ),
        Route::post("/desk/tools/{slug}/preview", entry, tool_edit::preview),
        Route::post("/desk/tools/{slug}/preview/card", entry, tool_edit::card),
        Route::get(
            "/desk/tools/{slug}/remove",
            entry,
            tool_edit::look_at_removal,
        ),
        Route::post("/desk/tools/{slug}/remove", entry, tool_edit::remove),
        Route::get("/desk/comparisons", catalogue, catalogue_list::comparisons),
        Route::get("/desk/comparisons/new", entry, comparison_edit::look_at_new),
        Route::post("/desk/comparisons/new", entry, comparison_edit::add),
        Route::get(
            "/desk/comparisons/{slug}/edit",
            entry,
            comparison_edit::look,
        ),
        Route::post(
            "/desk/comparisons/{slug}/edit",
            entry,
            comparison_edit::save,
        ),
        Route::get(
            "/desk/comparisons/{slug}/remove",
            entry,
            comparison_edit::look_at_removal,
        ),
        Route::post(
            "/desk/comparisons/{slug}/remove",
            entry,
            comparison_edit::remove,
        ),
        Route::get("/desk/catalogue/export", catalogue, catalogue_list::export),
        Route::get(catalogue_import::IMPORT, entry, catalogue_import::look),
        Route::post(catalogue_import::IMPORT, entry, catalogue_import::upload).with_file(),
        Route::get(
            "/desk/catalogue/import/{upload}",
            entry,
            catalogue_import::compare,
        ),
        Route::post(
            "/desk/catalogue/import/{upload}",
            entry,
            catalogue_import::apply,
        ),
    ]
}

/// Every route of the desk with what it demands, for whoever wants to ask them all.
pub fn demands() -> Vec<(Method, &'static str, Demand)> {
    table()
        .into_iter()
        .map(|route| (route.method, route.path, route.demand))
        .collect()
}

/// Its routes, behind what holds for all of them.
pub(super) fn routes(web: &Web) -> Router<Web> {
    let desk = table()
        .into_iter()
        .fold(Router::new(), |router, route| route.add_to(router, web));
    let origin = web.app.settings.desk_url();
    // The address is that of the settings, so it is an origin as browsers write it.
    let csrf = match CsrfLayer::new().add_trusted_origin(origin) {
        Ok(layer) => layer,
        Err(_) => CsrfLayer::new(),
    };
    let desk = desk
        .layer(DefaultBodyLimit::max(LARGEST_TEXT))
        .layer(from_fn_with_state(web.clone(), access::recognise))
        .layer(csrf.with_rejection_response(answers::refuse_foreign))
        .layer(from_fn_with_state(web.clone(), access::open))
        .layer(map_response(keep_private));
    Router::new()
        .merge(desk)
        .route(&desk::stylesheet().path, get(stylesheet))
        .route(&desk::script().path, get(script))
}

async fn stylesheet() -> impl IntoResponse {
    immutable("text/css; charset=utf-8", desk::stylesheet().text)
}

async fn script() -> impl IntoResponse {
    immutable("text/javascript; charset=utf-8", desk::script().text)
}

/// No cache keeps a page of the desk, and nobody learns its addresses. `same-origin` and not `no-referrer`: with that, browsers send forms
/// with the origin `null`, which would be refused.
async fn keep_private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("same-origin"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
