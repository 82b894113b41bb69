//! `keys dkim`: a key that signs mails, and the DNS record that lets others check it.

use std::io::Write;
use std::path::Path;

use super::Failure;
use crate::mail::Algorithm;
use crate::mail::KeyRecord;
use crate::mail::make_key;

/// Makes a key in a new file, for its owner's eyes alone. It writes over nothing: a key that is gone takes the mail that it
/// signed with it, until DNS has the new one's record.
pub fn make_dkim_key(algorithm: Algorithm, domain: &str, selector: &str, file: &Path) -> Result<KeyRecord, Failure> {
    let (pem, record) = make_key(algorithm, domain, selector).map_err(|why| Failure::because(format!("No key was made: {why}.")))?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(file).and_then(|mut file| file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::because(format!("{} is there already, and a key is never written over; name another file.", file.display()))
        }
        _ => Failure::because(format!("{} cannot be written: {error}.", file.display())),
    })?;
    Ok(record)
}
