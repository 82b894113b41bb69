//! The way back: a backup becomes a database again, whole or not at all, and holds what was on its way in it.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use super::DATABASE;
use super::Identities;
use super::Manifest;
use super::SECRET;
use super::SECRETS;
use super::archive;
use super::check_age;
use super::database_kind;
use super::dump;
use super::folder_beside;
use super::off_the_runtime;
use crate::app::App;
use crate::app::Clock;
use crate::app::Failure;
use crate::config::SecretUrl;
use crate::config::Settings;
use crate::domain::Timestamp;
use crate::storage::Storage;

/// Limit of a call while tables are made and filled.
const CALL_MAX: Duration = Duration::from_secs(600);

/// Place of a restored database.
#[derive(Debug, Clone)]
pub enum RestoreTarget {
    /// The database of the settings, which must be empty.
    Settings,
    /// `verdicts.db` and its secret in a folder, which must be empty or not there.
    Folder(PathBuf),
}

/// Result of a restoration.
#[derive(Debug, Clone)]
pub struct Restored {
    /// The backup.
    pub manifest: Manifest,
    /// The database's address.
    pub url: SecretUrl,
    /// Deliveries that were on their way, and are in doubt now.
    pub uncertain: u64,
    /// Time of the restoration: of the span from the backup until then nothing is known.
    pub restored_at: Timestamp,
    /// File with the secrets that the settings had, where the present settings have none that fits.
    pub secrets: Option<PathBuf>,
}

/// Restores a backup. Nothing is left behind where that fails.
///
/// # Errors
/// A sentence: the target is not empty; the backup is of another kind of database, newer, cut, changed, or encrypted for another key.
pub async fn restore(
    file: &Path,
    target: RestoreTarget,
    identities: Identities,
    settings: &Settings,
    clock: &Clock,
) -> Result<Restored, Failure> {
    let url = match &target {
        RestoreTarget::Settings => settings.database.url.clone(),
        RestoreTarget::Folder(folder) => {
            let path = folder.join("verdicts.db");
            SecretUrl::from(format!("sqlite:{}", path.display()))
        }
    };
    let mut settings = settings.clone();
    settings.database.url = url;
    match App::database_file(&settings) {
        Some(database) => into_file(file, &database, identities, &settings, clock).await,
        None => into_server(file, identities, &settings, clock).await,
    }
}

/// Refuses a backup of the other kind of database, or of a newer version.
fn admits(kind: &'static str) -> impl FnOnce(&Manifest) -> Result<(), Failure> + Send + 'static {
    move |manifest| {
        check_age(manifest)?;
        if manifest.database == kind {
            return Ok(());
        }
        Err(Failure::conflict(format!(
            "The backup is of a {} database, and the target is {kind}: name one of its kind by database.url, or by --into for SQLite.",
            manifest.database
        )))
    }
}

async fn into_file(
    file: &Path,
    database: &Path,
    identities: Identities,
    settings: &Settings,
    clock: &Clock,
) -> Result<Restored, Failure> {
    for path in ["", "-wal", "-shm", ".secret"].map(|ending| beside(database, ending)) {
        if path.exists() {
            return Err(Failure::conflict(format!(
                "{} is there already: a restoration overwrites nothing. Take it away, or restore into another folder (--into DIR).",
                path.display()
            )));
        }
    }
    let parent = database
        .parent()
        .unwrap_or_else(|| Path::new(""))
        .to_path_buf();
    let was_there = parent.as_os_str().is_empty() || parent.is_dir();
    let done = async {
        if !was_there {
            std::fs::create_dir_all(&parent).map_err(|error| {
                Failure::invalid(format!(
                    "The folder {} cannot be made: {error}.",
                    parent.display()
                ))
            })?;
        }
        let folder = folder_beside(database)?;
        let (source, place) = (file.to_path_buf(), folder.path().to_path_buf());
        let manifest = off_the_runtime(move || {
            archive::read(&source, &identities.0, Some(&place), admits("sqlite"))
        })
        .await?;
        let copy = folder.path().join(DATABASE);
        let mut there = settings.clone();
        there.database.url = SecretUrl::from(format!("sqlite:{}", copy.display()));
        let (uncertain, restored_at) = hold(&there, &manifest, clock).await?;
        let secrets = put_secrets(folder.path(), database, settings)?;
        // The database last: with it the restoration is there.
        rename(&copy, database)?;
        Ok(Restored {
            manifest,
            url: settings.database.url.clone(),
            uncertain,
            restored_at,
            secrets,
        })
    }
    .await;
    if done.is_err() && !was_there {
        // Only if it is empty.
        let _ = std::fs::remove_dir(&parent);
    }
    done
}

/// Puts the secret beside the database: that which was there, or, where it was in the settings, those.
fn put_secrets(
    folder: &Path,
    database: &Path,
    settings: &Settings,
) -> Result<Option<PathBuf>, Failure> {
    let (kept, of_settings) = (folder.join(SECRET), folder.join(SECRETS));
    if kept.exists() {
        rename(&kept, &beside(database, ".secret"))?;
    }
    if !of_settings.exists() || !settings.site.secret.is_empty() {
        return Ok(None);
    }
    let place = beside(database, ".secrets");
    rename(&of_settings, &place)?;
    Ok(Some(place))
}

fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    // A link refuses what is there by now, where a rename would overwrite it.
    std::fs::hard_link(from, to).map_err(|error| {
        Failure::conflict(format!("{} cannot be put there: {error}.", to.display()))
    })
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

async fn into_server(
    file: &Path,
    identities: Identities,
    settings: &Settings,
    clock: &Clock,
) -> Result<Restored, Failure> {
    let storage = App::open_database(settings).await?;
    let (is_empty, version) = (
        storage.is_empty_server().await?,
        storage.server_version().await?,
    );
    let kind = database_kind(&storage);
    storage.close().await;
    if !is_empty {
        return Err(Failure::conflict(format!(
            "The database {} has tables: a restoration overwrites nothing. Make an empty one (createdb) and name it by database.url.",
            settings.database.url.shown()
        )));
    }
    let folder = folder_beside(file)?;
    let (source, place) = (file.to_path_buf(), folder.path().to_path_buf());
    let manifest =
        off_the_runtime(move || archive::read(&source, &identities.0, Some(&place), admits(kind)))
            .await?;
    let copy = folder.path().join(DATABASE);
    // In the transaction that makes it: whoever opens the database before the rest is held sends no digest from it.
    // A dump works without a search path.
    let paused = "reset search_path; update digests set state = 'paused' where state = 'sending'";
    dump::put_back(&settings.database, version, &copy, paused).await?;
    let (uncertain, restored_at) = hold(settings, &manifest, clock).await?;
    let of_settings = folder.path().join(SECRETS);
    let secrets = match of_settings.exists() && settings.site.secret.is_empty() {
        true => {
            let place = beside(file, ".secrets");
            rename(&of_settings, &place)?;
            Some(place)
        }
        false => None,
    };
    Ok(Restored {
        manifest,
        url: settings.database.url.clone(),
        uncertain,
        restored_at,
        secrets,
    })
}

/// Brings the database up to date and holds what was on its way; returns how many deliveries are in doubt, and the time.
async fn hold(
    settings: &Settings,
    manifest: &Manifest,
    clock: &Clock,
) -> Result<(u64, Timestamp), Failure> {
    let database = &settings.database;
    let direct = database.direct_url.as_ref().map(SecretUrl::expose);
    let storage = Storage::open(database.url.expose(), direct, 2, true, CALL_MAX).await?;
    let now = clock.now();
    storage.migrate(now).await?;
    // Readers whose delivery was not made yet may have got theirs after the backup, too.
    while storage.publish_range(5_000, now).await?.is_some() {}
    let uncertain = storage.hold_restored(manifest.created_at, now).await?;
    storage.close().await;
    if let Some(file) = App::database_file(settings) {
        Storage::fold_log(&file).await?;
    }
    Ok((uncertain, now))
}
