//! The part of the table of routes that is about running the service.

use super::access::Demand;
use super::access::Route;
use super::audit;
use super::diagnostics;
use super::settings;
use super::tokens;
use super::users;
use crate::domain::user::AccessLevel;
use crate::domain::user::Area;

/// The routes of settings, users, audit log and diagnostics.
pub(super) fn operation_table() -> Vec<Route> {
    let log = Demand::level(Area::Audit, AccessLevel::Read);
    let owner = Demand::level(Area::Settings, AccessLevel::Write);
    let recent_settings = Demand::recent(Area::Settings, AccessLevel::Write);
    vec![
        Route::get("/desk/settings", owner, settings::list),
        Route::get("/desk/settings/{key}", owner, settings::look),
        Route::post("/desk/settings/{key}", recent_settings, settings::change),
        Route::get(audit::AUDIT, log, audit::list),
        Route::get("/desk/audit/export", log, audit::export),
        Route::post("/desk/audit/verify", log, audit::verify),
        Route::get(diagnostics::DIAGNOSTICS, owner, diagnostics::look),
        Route::post(diagnostics::DIAGNOSTICS, owner, diagnostics::check),
        Route::get(tokens::TOKENS, owner, tokens::list),
        Route::post(tokens::TOKENS, recent_settings, tokens::add),
        Route::get("/desk/tokens/{token}/{change}", owner, tokens::ask),
        Route::post(
            "/desk/tokens/{token}/{change}",
            recent_settings,
            tokens::change,
        ),
        Route::get("/desk/users", owner, users::list),
        Route::post("/desk/users", recent_settings, users::add),
        Route::post("/desk/users/{name}/role", recent_settings, users::set_role),
        Route::get("/desk/users/{name}/{change}", owner, users::look_at_change),
        Route::post(
            "/desk/users/{name}/{change}",
            recent_settings,
            users::change,
        ),
    ]
}
