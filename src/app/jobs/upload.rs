//! Files that came by the desk, kept for an hour for whoever looks at their columns and imports them.

use std::io::Write;
use std::sync::Arc;

use tempfile::NamedTempFile;

use super::KEPT;
use super::locked;
use super::unusable;
use crate::app::App;
use crate::app::Failure;
use crate::domain::Timestamp;

/// Files that are kept at once.
const UPLOADS_MAX: usize = 16;

/// A file that came.
#[derive(Debug)]
pub struct Upload {
    file: NamedTempFile,
    /// Name that it had on the user's machine.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    until: Timestamp,
}

impl Upload {
    /// Opens it from its start.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(&self) -> Result<std::fs::File, Failure> {
        self.file.reopen().map_err(unusable)
    }
}

/// A file that is still coming.
#[derive(Debug)]
pub struct UploadDraft {
    file: NamedTempFile,
    bytes: u64,
}

impl UploadDraft {
    /// Adds what came.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(unusable)
    }
}

impl App {
    /// Begins a file.
    ///
    /// # Errors
    /// When no temporary file can be made.
    pub fn begin_upload(&self) -> Result<UploadDraft, Failure> {
        let file = NamedTempFile::new().map_err(unusable)?;
        Ok(UploadDraft { file, bytes: 0 })
    }

    /// Keeps a file for an hour; returns the name that it has here.
    ///
    /// # Errors
    /// When it is empty, or too many are kept.
    pub fn keep_upload(&self, draft: UploadDraft, name: &str) -> Result<String, Failure> {
        if draft.bytes == 0 {
            return Err(Failure::invalid("Choose a file: what came is empty."));
        }
        let now = self.now();
        let mut uploads = locked(&self.jobs.uploads);
        uploads.retain(|_, upload| upload.until > now);
        if uploads.len() >= UPLOADS_MAX {
            return Err(Failure::conflict(
                "Too many files wait to be imported. Import those, or wait for an hour.",
            ));
        }
        let key = data_encoding::BASE32_NOPAD
            .encode(&rand::random::<[u8; 16]>())
            .to_lowercase();
        let upload = Upload {
            file: draft.file,
            name: name.chars().filter(|c| !c.is_control()).take(100).collect(),
            bytes: draft.bytes,
            until: now + KEPT,
        };
        uploads.insert(key.clone(), Arc::new(upload));
        Ok(key)
    }

    /// The file with that name, if it is still kept by this process.
    pub fn upload(&self, key: &str) -> Option<Arc<Upload>> {
        let now = self.now();
        let mut uploads = locked(&self.jobs.uploads);
        uploads.retain(|_, upload| upload.until > now);
        uploads.get(key).cloned()
    }
}
