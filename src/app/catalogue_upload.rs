//! A catalogue that came by the desk: read, compared with the one that is there, and applied as it was shown.

use std::sync::Arc;

use sha2::Digest as _;
use sha2::Sha256;

use crate::app::App;
use crate::app::Failure;
use crate::app::catalogue;
use crate::app::catalogue::document::Catalogue;
use crate::app::jobs::Upload;
use crate::domain::actor::Actor;
use crate::storage::catalogue_import::ImportMode;
use crate::storage::catalogue_import::Imported;

/// Difference between a file and the catalogue that is there.
#[derive(Debug, Clone)]
pub struct CatalogueDifference {
    /// Numbers, and what differs.
    pub imported: Imported,
    /// Hash of all that differs: what was looked at.
    pub seen: String,
}

impl CatalogueDifference {
    fn of(imported: Imported) -> Self {
        let text = serde_json::to_string(&imported).unwrap_or_default();
        let seen = data_encoding::HEXLOWER.encode(&Sha256::digest(text));
        Self { imported, seen }
    }
}

/// Result of applying a file.
#[derive(Debug)]
pub enum Applied {
    /// It is in the catalogue.
    Done(Imported),
    /// The catalogue changed since the difference was looked at; nothing was written.
    Changed(CatalogueDifference),
}

impl App {
    /// Reads a file that came: TOML, JSON, or a zip file of these.
    async fn read_catalogue(&self, upload: Arc<Upload>) -> Result<Catalogue, Failure> {
        let read = move || catalogue::read_named(&upload.name, upload.open()?, upload.bytes);
        let done = tokio::task::spawn_blocking(read).await;
        done.unwrap_or_else(|error| {
            Err(Failure::internal("The file could not be read.").with_cause(error))
        })
    }

    /// Returns what a file would add and change, without writing.
    pub async fn compare_catalogue(
        &self,
        upload: Arc<Upload>,
        mode: ImportMode,
    ) -> Result<CatalogueDifference, Failure> {
        let catalogue = self.read_catalogue(upload).await?;
        let dry_run = ImportMode {
            dry_run: true,
            ..mode
        };
        let imported = self
            .import_catalogue_as(&Actor::system(), &catalogue, dry_run)
            .await?;
        Ok(CatalogueDifference::of(imported))
    }

    /// Applies a file, all or nothing, if it still makes the difference that was looked at.
    pub async fn apply_catalogue(
        &self,
        actor: &Actor,
        upload: Arc<Upload>,
        mode: ImportMode,
        seen: &str,
    ) -> Result<Applied, Failure> {
        let difference = self.compare_catalogue(upload.clone(), mode).await?;
        if difference.seen != seen {
            return Ok(Applied::Changed(difference));
        }
        let catalogue = self.read_catalogue(upload).await?;
        let done = self.import_catalogue_as(actor, &catalogue, mode).await?;
        Ok(Applied::Done(done))
    }
}
