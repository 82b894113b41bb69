//! The secrets that sign: those of the settings, and the one that is kept beside the database.
//!
//! A database knows the names of the secrets that it was used with. With none of them it is not opened: no link that was sent would
//! work, no report of a mail that came back would be understood, and who was erased could be imported again, all without a word.

use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use super::App;
use super::Clock;
use super::Failure;
use super::private_file;
use crate::config::Settings;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::secret::Secret;
use crate::domain::token::Secrets;
use crate::storage::Storage;
use crate::storage::sqlite_file;

/// Under which name a database keeps it that several machines share.
const KEPT: &str = "site.secret";
const GO_ON: &str = "If it is lost for good, `verdicts keys secret --accept-loss` makes a new one.";

/// The secrets of the settings, and behind them the one that is kept beside the database: made on the first start if the
/// settings have none, and good for checking ever after, so that setting one later breaks no link.
pub(super) async fn open(
    settings: &Settings,
    storage: &Storage,
    now: Timestamp,
) -> Result<Secrets, Failure> {
    let mut texts = settings.site.secret.clone();
    texts.extend(kept(settings, storage).await?);
    let known = storage.secret_names().await?;
    if texts.is_empty() {
        if !known.is_empty() || storage.has_people().await? {
            return Err(Failure::invalid_field("site.secret", missing(settings)));
        }
        texts.push(make(settings, storage).await?);
    }
    let secrets = from_texts(&texts)?;
    let names = secrets.key_names();
    if !known.is_empty() && !names.iter().any(|name| known.contains(name)) {
        return Err(Failure::invalid_field(
            "site.secret",
            format!(
                "The database at {} was never used with any secret that is set: no link that was sent would work, and erased addresses could \
             come back. Set site.secret to the secret of before; to change it, put the new one first and the old one behind it. {GO_ON}",
                place(settings)
            ),
        ));
    }
    if names.iter().any(|name| !known.contains(name)) {
        match storage.note_secret_names(&names, now).await {
            // Before the first migration there is no table for it.
            Err(error) if !error.is_not_migrated() => {
                tracing::warn!(%error, "the name of the secret could not be noted")
            }
            _ => {}
        }
    }
    Ok(secrets)
}

impl App {
    /// Brings the database up to date, and notes with which secrets it is used.
    pub async fn migrate(&self) -> Result<(), Failure> {
        self.storage.migrate(self.now()).await?;
        // One that was made before there was a table to keep it in is gone when this process ends.
        if !self.settings.site.secret.is_empty() || !self.storage.is_postgres() {
            self.storage
                .note_secret_names(&self.secrets.key_names(), self.now())
                .await?;
        }
        self.refresh_settings().await?;
        let keeps_all = self.settings.events.keep_all;
        self.storage.keep_all_events(keeps_all).await?;
        Ok(())
    }

    /// Goes on without the secret of before, which is lost: makes a new one, unless the settings have one, and notes it as the only
    /// one. Refused where the right one is in force.
    pub async fn replace_lost_secret(
        actor: &Actor,
        settings: &Settings,
        clock: &Clock,
    ) -> Result<(), Failure> {
        let storage = super::database::open_storage(settings).await?;
        storage.migrate(clock.now()).await?;
        if open(settings, &storage, clock.now()).await.is_ok() {
            return Err(Failure::conflict(
                "The secret is in force and was not changed. To change it, put a new one first in site.secret and keep the old one behind it.",
            ));
        }
        let mut texts = settings.site.secret.clone();
        texts.extend(kept(settings, &storage).await?);
        if texts.is_empty() {
            texts.push(make(settings, &storage).await?);
        }
        storage
            .replace_secret_names(actor, &from_texts(&texts)?.key_names(), clock.now())
            .await?;
        storage.close().await;
        Ok(())
    }
}

fn from_texts(texts: &[Secret]) -> Result<Secrets, Failure> {
    Secrets::new(texts).ok_or_else(|| {
        Failure::invalid_field("site.secret", "site.secret: expected at least one secret.")
    })
}

/// The one in the file beside a SQLite database, for a backup; on PostgreSQL it is in the database.
pub(super) fn beside(settings: &Settings) -> Result<Option<Secret>, Failure> {
    match sqlite_file(settings.database.url.expose()) {
        Some(database) => read_file(&file_of(&database)),
        None => Ok(None),
    }
}

/// The one beside the database, if there is one.
async fn kept(settings: &Settings, storage: &Storage) -> Result<Option<Secret>, Failure> {
    match sqlite_file(settings.database.url.expose()) {
        Some(database) => read_file(&file_of(&database)),
        // Machines that share a database must share the secret too, so it is kept in there; `doctor` advises
        // against it, for whoever reads a backup could then sign links.
        None => match storage.keep_secret(KEPT, None).await {
            Err(error) if error.is_not_migrated() => Ok(None),
            kept => Ok(kept?),
        },
    }
}

/// Makes one and keeps it there; where another process was faster, the answer is what that one made.
async fn make(settings: &Settings, storage: &Storage) -> Result<Secret, Failure> {
    let fresh = fresh_secret();
    match sqlite_file(settings.database.url.expose()) {
        Some(database) => make_file(&file_of(&database), &fresh),
        None => match storage.keep_secret(KEPT, Some(&fresh)).await {
            // Before the first `migrate` nothing can be signed or checked that matters.
            Err(error) if error.is_not_migrated() => Ok(fresh),
            kept => Ok(kept?.unwrap_or(fresh)),
        },
    }
}

fn missing(settings: &Settings) -> String {
    let place = place(settings);
    match sqlite_file(settings.database.url.expose()) {
        Some(database) => {
            let file =
                std::path::absolute(file_of(&database)).unwrap_or_else(|_| file_of(&database));
            format!(
                "The database at {place} is in use, but its secret is gone: there is no file {}, and site.secret is not set. Put the file back \
                 from the backup beside that of the database, or set site.secret (VERDICTS_SITE__SECRET). {GO_ON}",
                file.display()
            )
        }
        None => format!(
            "The database at {place} is in use, but its secret is gone: none is kept in it, and site.secret (VERDICTS_SITE__SECRET) is not \
             set. Set it to the secret of before. {GO_ON}"
        ),
    }
}

/// Returns where the database is, without user and password.
fn place(settings: &Settings) -> String {
    match sqlite_file(settings.database.url.expose()) {
        Some(file) => std::path::absolute(&file)
            .unwrap_or(file)
            .display()
            .to_string(),
        None => match url::Url::parse(settings.database.url.expose()) {
            Ok(url) => format!("{}{}", url.host_str().unwrap_or("this machine"), url.path()),
            Err(_) => "database.url".into(),
        },
    }
}

/// 256 bits of the system's randomness, in hex.
fn fresh_secret() -> Secret {
    let bytes: [u8; 32] = rand::random();
    data_encoding::HEXLOWER.encode(&bytes).into()
}

/// The file beside a SQLite database: `verdicts.db` has `verdicts.db.secret`, readable by its owner only.
fn file_of(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".secret");
    PathBuf::from(path)
}

fn fault(path: &Path, error: &std::io::Error) -> Failure {
    let path = path.display();
    Failure::internal(format!(
        "The file {path} that keeps the secret cannot be used ({error}); mend its rights, or set site.secret."
    ))
}

fn read_file(path: &Path) -> Result<Option<Secret>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().len() >= 16 => Ok(Some(text.trim().into())),
        Ok(_) => Err(Failure::invalid_field(
            "site.secret",
            format!(
                "The file {} that keeps the secret is too short; put the right one there, or take it away and set site.secret.",
                path.display()
            ),
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault(path, &error)),
    }
}

/// Written aside and linked into place, so that two processes that start at once agree on one whole secret.
fn make_file(path: &Path, fresh: &Secret) -> Result<Secret, Failure> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let draft = PathBuf::from(draft);
    private_file(&draft)
        .and_then(|mut file| file.write_all(fresh.expose().as_bytes()))
        .map_err(|error| fault(path, &error))?;
    let linked = std::fs::hard_link(&draft, path);
    let _ = std::fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(fault(path, &error)),
        _ => Ok(read_file(path)?.unwrap_or_else(|| fresh.clone())),
    }
}
