//! `backup`, `restore`, and `digest resume --accept-gap`.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::output::Output;
use super::output::say;
use crate::app::App;
use crate::app::Clock;
use crate::app::Failure;
use crate::app::backup;
use crate::app::backup::Identities;
use crate::app::backup::Manifest;
use crate::app::backup::RestoreTarget;
use crate::config::Settings;
use crate::domain::actor::Actor;

/// Arguments of `backup`.
#[derive(Debug, clap::Args)]
pub struct BackupArguments {
    /// The file: to be written, or to be checked with --verify
    file: PathBuf,
    /// Encrypt it for a recipient of age, like age1…; only the key that belongs to it reads it then
    #[arg(long, value_name = "RECIPIENT", conflicts_with = "verify")]
    encrypt: Vec<String>,
    /// Check a backup against its checksums instead of making one
    #[arg(long)]
    pub(super) verify: bool,
    /// With --verify: the file with the key of an encrypted backup, as age-keygen writes it
    #[arg(long, value_name = "FILE", requires = "verify")]
    identity: Option<PathBuf>,
}

/// Arguments of `restore`.
#[derive(Debug, clap::Args)]
pub struct RestoreArguments {
    /// The backup
    file: PathBuf,
    /// Folder for verdicts.db and its secret, which is empty or not there [default: the database of the settings, which is empty or not there]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// The file with the key of an encrypted backup, as age-keygen writes it
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

fn identities(file: Option<&PathBuf>) -> Result<Identities, Failure> {
    file.map_or_else(
        || Ok(Identities::default()),
        |file| Identities::from_file(file),
    )
}

fn document(manifest: &Manifest) -> serde_json::Value {
    serde_json::to_value(manifest).unwrap_or_default()
}

impl BackupArguments {
    /// Checks a backup; needs no database.
    pub(super) async fn check(self, output: Output) -> Result<ExitCode, Failure> {
        let manifest = backup::verify(&self.file, identities(self.identity.as_ref())?).await?;
        output.print(&document(&manifest), || {
            format!(
                "The backup is whole: {} database of {}, {} subscribers, schema {}, made by verdicts {}.\n",
                manifest.database,
                manifest.created_at.to_rfc3339(),
                manifest.subscribers,
                manifest.schema,
                manifest.version
            )
        })?;
        Ok(ExitCode::SUCCESS)
    }

    /// Makes one.
    pub(super) async fn run(self, app: &App, output: Output) -> Result<ExitCode, Failure> {
        let manifest = app.backup(&self.file, &self.encrypt).await?;
        output.print(&document(&manifest), || {
            let size = std::fs::metadata(&self.file).map_or(0, |data| data.len());
            let sealed = match self.encrypt.is_empty() {
                true => "It holds the secret that signs links and every address: keep it as you keep the database.",
                false => "It is encrypted: keep the key elsewhere, and try it with --verify --identity FILE.",
            };
            format!(
                "{} subscribers and {} deliveries of digests are in {} ({size} bytes). {sealed}\n",
                manifest.subscribers,
                manifest.deliveries,
                self.file.display()
            )
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl RestoreArguments {
    pub(super) async fn run(
        self,
        settings: &Settings,
        output: Output,
    ) -> Result<ExitCode, Failure> {
        let identities = identities(self.identity.as_ref())?;
        let target = self
            .into
            .map_or(RestoreTarget::Settings, RestoreTarget::Folder);
        let clock = Clock::system();
        let restored = backup::restore(&self.file, target, identities, settings, &clock).await?;
        if let Some(file) = &restored.secrets {
            say(format_args!(
                "The secrets that the settings had are in {}: set site.secret to its lines (VERDICTS_SITE__SECRET_FILE={}), or no link that was \
                 sent works.",
                file.display(),
                file.display()
            ));
        }
        let (since, until) = (restored.manifest.created_at, restored.restored_at);
        let json = json!({
            "database": restored.url,
            "backup": document(&restored.manifest),
            "unknown_since": since,
            "unknown_until": until,
            "uncertain": restored.uncertain,
        });
        output.print(&json, || {
            format!(
                "{} is restored: {} subscribers.\n\
                 Nothing is known of what happened from {} until {}.\n\
                 {} deliveries were on their way: each is in doubt, and none is sent again by itself (`verdicts digest audit` names them).\n\
                 No digest goes out until you accept that:\n\
                 1. Take in who left meanwhile: verdicts subscribers unsubscribe --tokens ACCESS-LOG\n\
                 2. Skip each week whose digest went out meanwhile: verdicts digest skip WEEK --reason TEXT\n\
                 3. verdicts digest resume --accept-gap\n",
                restored.url.shown(),
                restored.manifest.subscribers,
                since.to_rfc3339(),
                until.to_rfc3339(),
                restored.uncertain
            )
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Accepts the span of which nothing is known after a restoration.
pub(super) async fn accept_gap(app: &App) -> Result<(), Failure> {
    let Some(gap) = app.storage.gap().await? else {
        say("There is no gap: the database was not restored, or it is accepted already.");
        return Ok(());
    };
    for week in app.doubtful_weeks(&gap).await? {
        say(format_args!(
            "The digest of {week} was due in that time. If its time is not over, it is sent now, also to those who got it: \
             `verdicts digest skip {week} --reason TEXT` prevents that."
        ));
    }
    app.storage.accept_gap(&Actor::cli(), app.now()).await?;
    say("Accepted. Digests go out again.");
    Ok(())
}
