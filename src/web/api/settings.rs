//! Settings that may be set at the desk.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Web;
use super::super::answer::Problem;
use super::access::Caller;
use super::answers::Page;
use super::extract::Body;
use super::extract::NoParameters;
use super::extract::Query;
use super::operation::Need;
use super::operation::Operation;
use crate::app::desk_settings::SettingView;
use crate::config::desk_key;
use crate::domain::api_token::Scope;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/settings", Need::Scope(Scope::SettingsRead), list)
            .named("listSettings", "List the settings that may be set at the desk")
            .explained("Others, among them every secret, are not shown.")
            .asks::<NoParameters>()
            .pages::<Setting>("Settings, in the order of the settings file."),
        Operation::patch("/settings", Scope::SettingsWrite, change)
            .named("patchSettings", "Set settings, or give them back to their defaults")
            .explained("All or none. A setting of the settings file or the environment is a conflict: those win.")
            .asks::<NoParameters>()
            .takes::<SettingChanges>()
            .pages::<Setting>("Settings, as they are now.")
            .problems(&[404, 409]),
    ]
}

/// A setting.
#[derive(Debug, Serialize, ToSchema)]
struct Setting {
    /// section.key.
    key: String,
    /// Value in force, as text.
    value: String,
    /// Value where nobody sets one, as text.
    default: String,
    /// default, desk, a file, or an environment variable.
    origin: String,
    /// False where file or environment set it.
    settable: bool,
    /// True if serving processes take a change only when they start.
    needs_restart: bool,
}

/// Settings that are set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SettingChanges {
    #[schema(min_items = 1, max_items = 50)]
    settings: Vec<SettingChange>,
}

/// A setting that is set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SettingChange {
    /// section.key.
    #[schema(max_length = 60, pattern = "any_line")]
    key: String,
    /// Value as text; null: its default.
    #[schema(required = true, max_length = 2000, pattern = "any_line")]
    value: Option<String>,
}

fn text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

async fn page(web: &Web, uri: &Uri) -> Result<Response, Problem> {
    let views = web.app.setting_views().await?;
    let known = views
        .into_iter()
        .filter(|view| desk_key(&view.key).is_some());
    let setting = |view: SettingView| Setting {
        value: text(&view.value),
        default: text(&view.default),
        key: view.key,
        origin: view.origin,
        settable: view.is_settable,
        needs_restart: view.needs_restart,
    };
    Ok(Page::whole(known.map(setting).collect()).answer(uri))
}

async fn list(
    State(web): State<Web>,
    Query(NoParameters {}): Query<NoParameters>,
    uri: Uri,
) -> Result<Response, Problem> {
    page(&web, &uri).await
}

async fn change(
    State(web): State<Web>,
    Caller(bearer): Caller,
    Query(NoParameters {}): Query<NoParameters>,
    uri: Uri,
    Body(changes): Body<SettingChanges>,
) -> Result<Response, Problem> {
    let changes: Vec<(&str, Option<&str>)> = changes
        .settings
        .iter()
        .map(|change| (change.key.as_str(), change.value.as_deref()))
        .collect();
    web.app.set_settings(&bearer.actor(), &changes).await?;
    page(&web, &uri).await
}
