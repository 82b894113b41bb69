//! Backups: a copy of the database with its secret and its settings, in one file, made while the service runs; and the way back.
//!
//! `archive` is the form of the file, `dump` has PostgreSQL's own programs, `restore` the way back.

mod archive;
mod dump;
mod restore;

use std::path::Path;
use std::str::FromStr as _;

pub use archive::BackupFile;
pub use archive::Manifest;
pub use restore::RestoreTarget;
pub use restore::Restored;
pub use restore::restore;

use chrono::TimeDelta;

use super::App;
use super::Failure;
use super::check_result::CheckResult;
use super::check_result::advice;
use super::check_result::fault;
use super::check_result::good;
use crate::domain::Timestamp;
use crate::storage::Storage;

/// The database's copy.
const DATABASE: &str = "database";
/// The secret that is kept beside a SQLite database.
const SECRET: &str = "secret";
/// Secrets of the settings, one a line, the one that signs first.
const SECRETS: &str = "secrets";
/// Settings in force, secrets masked.
const SETTINGS: &str = "settings.json";
/// Code of the observation that a backup was made.
const MADE: &str = "backup";
/// Age from which a backup is old, where one was ever made.
pub const OLD: TimeDelta = TimeDelta::hours(36);

/// Keys that read encrypted backups.
#[derive(Default)]
pub struct Identities(Vec<age::x25519::Identity>);

impl Identities {
    /// Reads a file as `age-keygen` writes it.
    ///
    /// # Errors
    /// A sentence, when it cannot be read or has no key.
    pub fn from_file(path: &Path) -> Result<Self, Failure> {
        let unusable = |why: &dyn std::fmt::Display| {
            Failure::invalid(format!(
                "The key file {} cannot be used: {why}.",
                path.display()
            ))
        };
        let text = std::fs::read_to_string(path).map_err(|error| unusable(&error))?;
        let keys = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys: Result<Vec<_>, _> = keys.map(age::x25519::Identity::from_str).collect();
        let keys = keys.map_err(|error| unusable(&error))?;
        match keys.is_empty() {
            true => Err(unusable(&"it holds no key like AGE-SECRET-KEY-1…")),
            false => Ok(Self(keys)),
        }
    }
}

/// Reads recipients as `age-keygen -y` prints them.
fn recipients(texts: &[String]) -> Result<Vec<age::x25519::Recipient>, Failure> {
    let recipient = |text: &String| {
        age::x25519::Recipient::from_str(text.trim()).map_err(|error| {
            Failure::invalid_field(
                "encrypt",
                format!("--encrypt: {text:?} is no recipient of age, like age1…: {error}."),
            )
        })
    };
    texts.iter().map(recipient).collect()
}

/// Reads a whole backup and checks it against its own checksums; writes nothing.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub async fn verify(file: &Path, identities: Identities) -> Result<Manifest, Failure> {
    let file = file.to_path_buf();
    off_the_runtime(move || archive::read(&file, &identities.0, None, check_age)).await
}

/// Refuses what a newer version made.
fn check_age(manifest: &Manifest) -> Result<(), Failure> {
    let newest = Storage::newest_migration();
    if manifest.format > archive::FORMAT || manifest.schema > newest {
        return Err(Failure::conflict(format!(
            "The backup was made by verdicts {} with schema {}, which is newer than this program (schema {newest}). Restore it with that version or a later one.",
            manifest.version, manifest.schema
        )));
    }
    Ok(())
}

/// Runs work that waits for disks on a thread of its own.
async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Failure::internal(format!("It broke down: {error}."))))
}

/// A folder beside a file, for what becomes of it; removed when it is dropped.
fn folder_beside(file: &Path) -> Result<tempfile::TempDir, Failure> {
    let parent = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    tempfile::Builder::new()
        .prefix(".verdicts-backup-")
        .tempdir_in(parent)
        .map_err(|error| {
            Failure::invalid(format!(
                "Nothing can be written to {}: {error}.",
                parent.display()
            ))
        })
}

impl App {
    /// Writes a backup into a new file, while others read and write. `encrypt`: recipients of age who can read it; nobody else can then.
    ///
    /// # Errors
    /// A sentence: the file is there already or cannot be written; on PostgreSQL, there is no `pg_dump` that fits the server.
    pub async fn backup(&self, file: &Path, encrypt: &[String]) -> Result<Manifest, Failure> {
        let recipients = recipients(encrypt)?;
        if file.exists() {
            return Err(Failure::conflict(format!(
                "{} is there already: a backup overwrites no other. Name a file that is not there.",
                file.display()
            )));
        }
        let folder = folder_beside(file)?;
        let created_at = self.now();
        let copy = folder.path().join(DATABASE);
        if self.storage.is_postgres() {
            dump::dump(
                &self.settings.database,
                self.storage.server_version().await?,
                &copy,
            )
            .await?;
        } else {
            self.storage.copy_sqlite(&copy).await?;
        }
        self.write_beside(folder.path()).await?;
        let counts = self.storage.count_subscribers().await?;
        let oldest = self.storage.oldest_rows().await?;
        let url = self.settings.database.url.expose();
        let mut manifest = Manifest {
            format: archive::FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            schema: self
                .storage
                .database_facts(url)
                .await?
                .migration
                .unwrap_or(0),
            database: database_kind(&self.storage).into(),
            created_at,
            subscribers: counts.iter().map(|(_, count)| count).sum(),
            deliveries: oldest.deliveries_count,
            files: Vec::new(),
        };
        let target = file.to_path_buf();
        let manifest = off_the_runtime(move || {
            for name in [SETTINGS, SECRET, SECRETS, DATABASE] {
                let path = folder.path().join(name);
                if path.exists() {
                    let measured = BackupFile::of(name, &path);
                    manifest.files.push(measured.map_err(|error| {
                        Failure::internal(format!("The copy cannot be read: {error}."))
                    })?);
                }
            }
            // Under its name only once it is whole.
            let draft = folder.path().join("whole");
            archive::write(&draft, &manifest, folder.path(), &recipients)?;
            std::fs::hard_link(&draft, &target).map_err(|error| {
                Failure::conflict(format!(
                    "The backup cannot be named {}: {error}.",
                    target.display()
                ))
            })?;
            Ok(manifest)
        })
        .await?;
        self.storage.observe(MADE, "", created_at).await?;
        tracing::info!(subscribers = manifest.subscribers, "a backup was made");
        Ok(manifest)
    }

    /// Writes settings and secrets beside the copy.
    async fn write_beside(&self, folder: &Path) -> Result<(), Failure> {
        let write = |name: &str, text: &[u8]| {
            super::private_file(&folder.join(name))
                .and_then(|mut file| std::io::Write::write_all(&mut file, text))
                .map_err(|error| {
                    Failure::internal(format!("The backup cannot be written: {error}."))
                })
        };
        let settings =
            serde_json::to_vec_pretty(&self.setting_views().await?).map_err(|error| {
                Failure::internal(format!("The settings cannot be written: {error}."))
            })?;
        write(SETTINGS, &settings)?;
        let texts: Vec<&str> = self
            .settings
            .site
            .secret
            .iter()
            .map(|secret| secret.expose())
            .collect();
        if !texts.is_empty() {
            write(SECRETS, texts.join("\n").as_bytes())?;
        }
        if let Some(secret) = super::secrets::beside(&self.settings)? {
            write(SECRET, secret.expose().as_bytes())?;
        }
        Ok(())
    }

    /// Time of the last backup that `verdicts backup` made.
    pub async fn last_backup(&self) -> Result<Option<Timestamp>, Failure> {
        Ok(self.storage.observation(MADE).await?.map(|(_, at)| at))
    }

    /// Age of the last backup; and after a restoration, that its gap is not accepted.
    pub(super) async fn examine_backup(&self) -> Vec<CheckResult> {
        let mut found = Vec::new();
        match self.storage.gap().await {
            Ok(Some(gap)) => found.push(fault("restored", self.gap_in_words(&gap))),
            Ok(None) => {}
            Err(error) => found.push(fault("restored", error.advice())),
        }
        let now = self.now();
        found.push(match self.last_backup().await {
            Ok(Some(at)) => {
                let age = now - at;
                let words = format!("the last one was made {} ago", in_hours(age));
                match age > OLD {
                    true => advice("backup", format!("{words}; see why `verdicts backup` does not run")),
                    false => good("backup", words),
                }
            }
            Ok(None) => good(
                "backup",
                "none was made by `verdicts backup` yet; it copies database, secret and settings while the service runs",
            ),
            Err(failure) => fault("backup", failure.to_string()),
        });
        found
    }

    /// Refuses to publish or resume while nobody has accepted what is not known after a restoration.
    pub(super) async fn check_gap(&self) -> Result<(), Failure> {
        match self.storage.gap().await? {
            Some(gap) => Err(Failure::conflict(self.gap_in_words(&gap))),
            None => Ok(()),
        }
    }

    /// Says what is not known after a restoration, and what to do.
    pub fn gap_in_words(&self, gap: &crate::storage::backups::Gap) -> String {
        format!(
            "The database was restored from a backup of {}: nothing is known of what happened from then until {}, and no digest goes out. \
             Take in who left meanwhile (`verdicts subscribers unsubscribe --tokens ACCESS-LOG`), skip the weeks whose digest went out, then say \
             `verdicts digest resume --accept-gap`.",
            self.local_time(gap.since),
            self.local_time(gap.until)
        )
    }

    /// Weeks whose digest was due in the span of which nothing is known, and that this database would publish.
    pub async fn doubtful_weeks(
        &self,
        gap: &crate::storage::backups::Gap,
    ) -> Result<Vec<crate::domain::slot::Slot>, Failure> {
        let mut weeks = Vec::new();
        let mut after = gap.since;
        while let Some(due) = self.send_times.next(after).filter(|due| *due <= gap.until) {
            let slot = self.slot_at(due);
            let state = self.storage.digest(slot).await?.map(|digest| digest.state);
            let is_open = state.is_none_or(|state| {
                use crate::domain::digest::DigestState;
                matches!(state, DigestState::Draft | DigestState::Approved)
            });
            if is_open && !weeks.contains(&slot) {
                weeks.push(slot);
            }
            after = due;
            if weeks.len() >= 60 {
                break;
            }
        }
        Ok(weeks)
    }
}

fn in_hours(age: TimeDelta) -> String {
    match age.num_hours() {
        hours @ ..48 => format!("{} hours", hours.max(0)),
        hours => format!("{} days", hours / 24),
    }
}

fn database_kind(storage: &Storage) -> &'static str {
    match storage.is_postgres() {
        true => "postgres",
        false => "sqlite",
    }
}
