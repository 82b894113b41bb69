//! The settings: all of them with where each comes from, and a form for each that may be set here.

use axum::extract::State;
use axum::response::Html;
use axum::response::Response;
use serde::Deserialize;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::super::guard::PathSegment;
use super::access::Me;
use super::answers;
use super::answers::refusal;
use crate::app::FailureKind;
use crate::app::desk_settings::SettingView;
use crate::app::users::signing_in::SignedIn;
use crate::config::DeskKey;
use crate::config::Settings;
use crate::config::ValueKind;
use crate::config::desk_key;
use crate::render::desk;
use crate::render::desk::SettingForm;
use crate::render::desk::SettingLine;
use crate::render::desk::SettingSection;

pub(super) const SETTINGS: &str = "/desk/settings";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SettingFields {
    value: String,
    reset: Option<String>,
}

pub(super) async fn list(State(web): State<Web>, Me(who): Me) -> Page {
    let mut sections: Vec<SettingSection> = Vec::new();
    for view in web.app.setting_views().await? {
        let name = view.key.split('.').next().unwrap_or_default();
        if sections.last().is_none_or(|last| last.name != name) {
            sections.push(SettingSection {
                name: name.to_owned(),
                open: Vec::new(),
                fixed: Vec::new(),
            });
        }
        let known = desk_key(&view.key);
        let line = line(view, known);
        if let Some(section) = sections.last_mut() {
            match known {
                Some(_) => section.open.push(line),
                None => section.fixed.push(line),
            }
        }
    }
    let frame = answers::frame(&web, &who, "Settings", SETTINGS);
    Ok(Html(desk::settings(frame, sections)?))
}

fn line(view: SettingView, known: Option<&DeskKey>) -> SettingLine {
    SettingLine {
        words: known.map_or("", |known| known.words),
        href: view.is_settable.then(|| format!("{SETTINGS}/{}", view.key)),
        default: (view.default != view.value).then(|| words(&view.default)),
        value: words(&view.value),
        origin: match (view.origin.as_str(), view.is_settable) {
            ("desk" | "default", _) => view.origin,
            (_, false) if known.is_some() => format!("set in the settings file ({})", view.origin),
            _ => view.origin,
        },
        needs_restart: view.needs_restart,
        key: view.key,
    }
}

/// A value without the quotes of a text.
fn words(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "none".into(),
        serde_json::Value::String(text) if text.is_empty() => "empty".into(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(list) if list.is_empty() => "none".into(),
        other => other.to_string(),
    }
}

/// A setting that may be set here.
fn known(web: &Web, key: &str) -> Result<&'static DeskKey, Problem> {
    let known = desk_key(key).ok_or_else(Problem::not_found)?;
    match web.app.may_set(known) {
        true => Ok(known),
        false => {
            let sentence = format!(
                "{key} is set in the settings file or the environment, which wins: change it there."
            );
            Err(Problem::new(
                axum::http::StatusCode::CONFLICT,
                "Set in the settings file",
                sentence,
            ))
        }
    }
}

async fn page(
    web: &Web,
    who: &SignedIn,
    known: &'static DeskKey,
    typed: Option<String>,
    problem: Option<String>,
) -> Result<String, Problem> {
    let rows = web.app.storage.desk_settings().await?;
    let (hint, choices): (_, &[&str]) = match known.kind {
        ValueKind::Text => ("A line of text.", &[]),
        ValueKind::Number => ("A whole number.", &[]),
        ValueKind::Duration => ("A time like 5m, 36h or 28d.", &[]),
        ValueKind::YesNo => ("", &["true", "false"]),
        ValueKind::Cron => (
            "Cron on the site\u{2019}s clocks: minute, hour, day, month, weekday, like 0 9 * * TUE.",
            &[],
        ),
        ValueKind::Approval => ("", &["auto", "required"]),
    };
    let form = SettingForm {
        key: known.key,
        words: known.words,
        value: typed.unwrap_or_else(|| known.value(&web.app.settings)),
        hint,
        choices,
        default: known.value(&Settings::default()),
        is_set: rows.iter().any(|row| row.key == known.key),
        needs_restart: known.needs_restart,
        problem,
    };
    let frame = answers::frame(web, who, known.key, SETTINGS);
    Ok(desk::setting(frame, form)?)
}

pub(super) async fn look(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(key): PathSegment,
) -> Page {
    let known = known(&web, &key)?;
    Ok(Html(page(&web, &who, known, None, None).await?))
}

pub(super) async fn change(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(key): PathSegment,
    FormFields(fields): FormFields<SettingFields>,
) -> Result<Response, Problem> {
    let known = known(&web, &key)?;
    let value = fields.reset.is_none().then_some(fields.value.as_str());
    let actor = web.app.actor_of(&who);
    match web.app.set_setting(&actor, known.key, value).await {
        Ok(known) => {
            let when = match known.needs_restart {
                true => "It holds once the service is restarted.",
                false => "Every process that serves takes it within seconds.",
            };
            let said = format!("{} is set. {when}", known.key);
            answers::done(&web, &who, &said, SETTINGS).await
        }
        Err(failure) if matches!(failure.kind(), FailureKind::Invalid(_)) => {
            let problem = Some(failure.to_string());
            let page = page(&web, &who, known, Some(fields.value), problem).await?;
            Ok(answers::refused(page))
        }
        Err(failure) => {
            let said = refusal(failure)?;
            answers::done(&web, &who, &said, SETTINGS).await
        }
    }
}
