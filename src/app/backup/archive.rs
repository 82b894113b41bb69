//! The file of a backup: a tar archive, compressed with zstd, encrypted with age where that was asked for. `tar`, `zstd` and `age` open it
//! by themselves.
//!
//! First comes the manifest with sizes and SHA-256 of all that follows, so that a newer backup is refused before anything is written, and a
//! file that was cut or changed is known for one. All is streamed: memory does not grow with the database.

use std::fs::File;
use std::io::BufReader;
use std::io::BufWriter;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;
use sha2::Digest as _;
use sha2::Sha256;

use crate::app::Failure;
use crate::app::private_file;
use crate::domain::Timestamp;

/// Version of this form of file.
pub(super) const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
/// Largest manifest that is read.
const MANIFEST_MAX: u64 = 1 << 20;
/// zstd's own default, twice as fast as disks.
const LEVEL: i32 = 3;
const BUFFER: usize = 256 << 10;

/// Contents of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this form of file.
    pub format: u32,
    /// Version of the program that wrote it.
    pub version: String,
    /// Number of the newest migration in the database.
    pub schema: i64,
    /// `sqlite` or `postgres`.
    pub database: String,
    /// Time of the copy.
    pub created_at: Timestamp,
    /// Subscribers in any state.
    pub subscribers: u64,
    /// Deliveries of digests.
    pub deliveries: u64,
    /// All that follows, in order.
    pub files: Vec<BackupFile>,
}

/// A file in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFile {
    /// Name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 in hex.
    pub sha256: String,
}

impl BackupFile {
    /// Measures a file.
    pub(super) fn of(name: &str, path: &Path) -> std::io::Result<Self> {
        let mut source = File::open(path)?;
        let (mut sum, mut size) = (Sha256::new(), 0);
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = source.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            sum.update(&buffer[..count]);
            size += count as u64;
        }
        Ok(Self {
            name: name.into(),
            size,
            sha256: data_encoding::HEXLOWER.encode(&sum.finalize()),
        })
    }
}

/// Writes a backup of these files, which lie in `folder`.
pub(super) fn write(
    target: &Path,
    manifest: &Manifest,
    folder: &Path,
    recipients: &[age::x25519::Recipient],
) -> Result<(), Failure> {
    let fault = |error: std::io::Error| {
        Failure::internal(format!(
            "The backup cannot be written to {}: {error}.",
            target.display()
        ))
    };
    let file = BufWriter::with_capacity(BUFFER, private_file(target).map_err(fault)?);
    if recipients.is_empty() {
        let mut file = pack(file, manifest, folder).map_err(fault)?;
        file.flush().map_err(fault)?;
        return file.get_ref().sync_all().map_err(fault);
    }
    let recipients = recipients.iter().map(|one| one as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients)
        .map_err(|error| Failure::internal(format!("The backup cannot be encrypted: {error}.")))?;
    let sealed = encryptor.wrap_output(file).map_err(fault)?;
    let sealed = pack(sealed, manifest, folder).map_err(fault)?;
    let mut file = sealed.finish().map_err(fault)?;
    file.flush().map_err(fault)?;
    file.get_ref().sync_all().map_err(fault)
}

fn pack<W: Write>(target: W, manifest: &Manifest, folder: &Path) -> std::io::Result<W> {
    let mut archive = tar::Builder::new(zstd::Encoder::new(target, LEVEL)?);
    let text = serde_json::to_vec_pretty(manifest)?;
    append(
        &mut archive,
        MANIFEST,
        text.len() as u64,
        manifest,
        &text[..],
    )?;
    for file in &manifest.files {
        let source = File::open(folder.join(&file.name))?;
        append(&mut archive, &file.name, file.size, manifest, source)?;
    }
    archive.into_inner()?.finish()
}

fn append(
    archive: &mut tar::Builder<impl Write>,
    name: &str,
    size: u64,
    manifest: &Manifest,
    source: impl Read,
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o600);
    header.set_mtime(manifest.created_at.timestamp().unsigned_abs());
    archive.append_data(&mut header, name, source)
}

/// Reads a backup whole: its manifest goes to `admit`, which may refuse it, and then each file into `folder`, or nowhere (`None`), and is
/// held against its sum.
///
/// # Errors
/// A sentence: no backup, cut, changed, made by a newer version, encrypted for somebody else.
pub(super) fn read(
    source: &Path,
    identities: &[age::x25519::Identity],
    folder: Option<&Path>,
    admit: impl FnOnce(&Manifest) -> Result<(), Failure>,
) -> Result<Manifest, Failure> {
    let mut file = File::open(source).map_err(|error| {
        Failure::not_found(format!("{} cannot be opened: {error}.", source.display()))
    })?;
    let mut start = [0; 21];
    let known = file.read(&mut start).unwrap_or(0);
    let is_sealed = start[..known].starts_with(b"age-encryption.org/v1");
    std::io::Seek::rewind(&mut file).map_err(|error| broken(source, &error))?;
    let file = BufReader::with_capacity(BUFFER, file);
    if !is_sealed {
        return unpack(source, file, folder, admit);
    }
    let opened = age::Decryptor::new_buffered(file)
        .and_then(|it| it.decrypt(identities.iter().map(|one| one as &dyn age::Identity)));
    let opened = opened.map_err(|error| match (error, identities) {
        (age::DecryptError::NoMatchingKeys, []) => Failure::invalid(format!(
            "{} is encrypted: name the file with its key by --identity.",
            source.display()
        )),
        (age::DecryptError::NoMatchingKeys, _) => Failure::invalid(format!(
            "{} is encrypted for another key than the one in the file that --identity names.",
            source.display()
        )),
        (error, _) => broken(source, &error),
    })?;
    unpack(source, opened, folder, admit)
}

fn broken(source: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::invalid(format!(
        "{} is no whole backup: it was cut, changed, or is none ({why}). Nothing was restored.",
        source.display()
    ))
}

fn unpack(
    source: &Path,
    packed: impl Read,
    folder: Option<&Path>,
    admit: impl FnOnce(&Manifest) -> Result<(), Failure>,
) -> Result<Manifest, Failure> {
    let fault = |why: &dyn std::fmt::Display| broken(source, why);
    let plain = zstd::Decoder::new(packed).map_err(|error| fault(&error))?;
    let mut archive = tar::Archive::new(plain);
    let mut entries = archive.entries().map_err(|error| fault(&error))?;
    let mut next = |name: &str| {
        let entry = entries
            .next()
            .ok_or_else(|| fault(&format_args!("{name} is missing")))?
            .map_err(|error| fault(&error))?;
        let is_it = entry.path().is_ok_and(|path| path == Path::new(name));
        match is_it {
            true => Ok(entry),
            false => Err(fault(&format_args!("{name} is missing"))),
        }
    };
    let mut text = Vec::new();
    next(MANIFEST)?
        .take(MANIFEST_MAX)
        .read_to_end(&mut text)
        .map_err(|error| fault(&error))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| fault(&error))?;
    admit(&manifest)?;
    for file in &manifest.files {
        let entry = next(&file.name)?;
        let place = folder.map(|folder| folder.join(safe_name(&file.name)));
        let (size, sum) =
            copy(entry, place.as_deref(), file.size).map_err(|error| fault(&error))?;
        if (size, sum.as_str()) != (file.size, file.sha256.as_str()) {
            return Err(fault(&format_args!(
                "the checksum of {} does not fit",
                file.name
            )));
        }
    }
    // To the very end: what was cut behind the last file is noticed, too.
    if let Some(entry) = entries.next() {
        let what = entry.map_or_else(|error| error.to_string(), |_| "a file too many".into());
        return Err(fault(&what));
    }
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink())
        .map_err(|error| fault(&error))?;
    Ok(manifest)
}

/// Only the last part of a name: nothing is written beside the folder.
fn safe_name(name: &str) -> PathBuf {
    Path::new(name)
        .file_name()
        .map_or_else(|| "file".into(), PathBuf::from)
}

fn copy(
    mut entry: impl Read,
    place: Option<&Path>,
    size_max: u64,
) -> std::io::Result<(u64, String)> {
    let mut target = place.map(private_file).transpose()?;
    let (mut sum, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = entry.read(&mut buffer)?;
        if count == 0 || size > size_max {
            break;
        }
        sum.update(&buffer[..count]);
        size += count as u64;
        if let Some(target) = &mut target {
            target.write_all(&buffer[..count])?;
        }
    }
    if let Some(target) = target {
        target.sync_all()?;
    }
    Ok((size, data_encoding::HEXLOWER.encode(&sum.finalize())))
}
