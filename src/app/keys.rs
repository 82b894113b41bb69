//! `keys dkim`: a key that signs mails, and the DNS record that lets others check it.

use std::io::Write;
use std::path::Path;

use super::Failure;
use crate::mail::Algorithm;
use crate::mail::KeyRecord;
use crate::mail::make_key;

/// A key file that was made.
#[derive(Debug)]
pub struct MadeKey {
    /// The record to publish.
    pub record: KeyRecord,
    /// True if the file belongs to root although the service may run as somebody else.
    pub belongs_to_root: bool,
}

/// Makes a key in a new file that only its owner can read. Made by root, the file is given to the owner of the database's file or,
/// without one, of the folder that it lies in: that is the account which has to read it. It writes over nothing: a key that is gone takes the mail that it
/// signed with it, until DNS has the new one's record.
pub fn make_dkim_key(
    algorithm: Algorithm,
    domain: &str,
    selector: &str,
    file: &Path,
    database: Option<&Path>,
) -> Result<MadeKey, Failure> {
    let (pem, record) = make_key(algorithm, domain, selector)
        .map_err(|why| Failure::invalid(format!("No key was made: {why}.")))?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(file).and_then(|mut file| {
        file.write_all(pem.as_bytes())
            .and_then(|()| file.sync_all())
    });
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::conflict(format!(
            "{} is there already, and a key is never written over; name another file.",
            file.display()
        )),
        _ => Failure::internal(format!("{} cannot be written: {error}.", file.display())),
    })?;
    Ok(MadeKey {
        record,
        belongs_to_root: belongs_to_root_after_giving(file, database),
    })
}

#[cfg(unix)]
fn belongs_to_root_after_giving(file: &Path, database: Option<&Path>) -> bool {
    use std::os::unix::fs::MetadataExt;
    let is_root = |path: &Path| std::fs::metadata(path).is_ok_and(|found| found.uid() == 0);
    if !is_root(file) {
        return false;
    }
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let owner = [database, Some(folder)]
        .into_iter()
        .flatten()
        .filter_map(|path| std::fs::metadata(path).ok())
        .find(|found| found.uid() != 0);
    if let Some(owner) = owner {
        let _ = std::os::unix::fs::chown(file, Some(owner.uid()), Some(owner.gid()));
    }
    is_root(file)
}

#[cfg(not(unix))]
fn belongs_to_root_after_giving(_file: &Path, _database: Option<&Path>) -> bool {
    false
}
