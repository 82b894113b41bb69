//! `config`: the settings in force; those of the desk's layer can be set.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use super::output::Output;
use super::output::say;
use crate::app::App;
use crate::app::Clock;
use crate::app::Failure;
use crate::app::desk_settings::SettingView;
use crate::app::desk_settings::views;
use crate::config::Loaded;
use crate::config::Settings;
use crate::domain::actor::Actor;
use crate::storage::Storage;
use crate::storage::settings::DeskSetting;

/// Upper bound on the wait for the database, whose part of the settings is a few rows.
const DATABASE_WAIT: Duration = Duration::from_secs(3);

#[derive(Debug, clap::Subcommand)]
pub enum ConfigChange {
    /// Set a setting of the desk's layer: it holds where neither the settings file nor the environment sets it
    ///
    /// Processes that serve take it within seconds, but for the few that `config --json` marks as needs_restart.
    Set {
        /// Its key, like picker.max_items
        key: String,
        /// Its value, as it would stand in the file, without quotes
        value: String,
    },
    /// Give a setting of the desk's layer back to its default
    Unset {
        /// Its key
        key: String,
    },
}

impl ConfigChange {
    pub(super) async fn run(self, app: &App, output: Output) -> Result<ExitCode, Failure> {
        let (key, value) = match &self {
            Self::Set { key, value } => (key, Some(value.as_str())),
            Self::Unset { key } => (key, None),
        };
        let known = app.set_setting(&Actor::cli(), key, value).await?;
        let now = known.value(&app.settings);
        let document = serde_json::json!({
            "key": known.key, "value": now, "needs_restart": known.needs_restart,
        });
        output.print(&document, || {
            let when = match known.needs_restart {
                true => "restart the service to take it",
                false => "processes that serve take it within seconds",
            };
            format!("{} = {now}  # {when}\n", known.key)
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Shows every setting with its origin. Without its database the desk's layer is left out, and that is said.
pub(super) async fn show(loaded: &Loaded, output: Output) -> Result<ExitCode, Failure> {
    for sentence in App::advice(&loaded.settings, Clock::system().now())? {
        say(sentence);
    }
    let rows = match tokio::time::timeout(DATABASE_WAIT, desk_rows(&loaded.settings)).await {
        Ok(Ok(rows)) => rows,
        Ok(Err(_)) | Err(_) => {
            say("The database cannot be read: what the desk sets is left out.");
            Vec::new()
        }
    };
    let texts = || {
        rows.iter()
            .map(|row| (row.key.as_str(), row.value.as_str()))
    };
    let settings = loaded.settings.with_desk(texts()).unwrap_or_else(|error| {
        say(format_args!("What the desk sets is left out: {error}"));
        loaded.settings.clone()
    });
    let set: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    let shown = views(&loaded.settings, &settings, &loaded.shown(), &set);
    output.print(&serde_json::json!({ "settings": shown }), || text(&shown))?;
    Ok(ExitCode::SUCCESS)
}

fn text(shown: &[SettingView]) -> String {
    shown.iter().fold(String::new(), |mut text, setting| {
        let _ = writeln!(
            text,
            "{} = {}  # {}",
            setting.key, setting.value, setting.origin
        );
        text
    })
}

/// The desk's part of the settings; none where there is no database yet.
async fn desk_rows(settings: &Settings) -> Result<Vec<DeskSetting>, Failure> {
    if App::database_file(settings).is_some_and(|file| !file.exists()) {
        return Ok(Vec::new());
    }
    let storage: Storage = App::open_database(settings).await?;
    let rows = storage.desk_settings().await;
    storage.close().await;
    Ok(rows?)
}
