//! A zip file of catalogue documents. Nothing of it is unpacked onto a disk; names that would lead out of a folder, links and what is
//! encrypted are refused all the same, for whoever made such a file means something else by it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use zip::ZipArchive;

use super::document::Format;

/// The largest zip file, in bytes: its list of files is read into memory.
const FILE_MAX: u64 = 16 << 20;
/// Files in it.
const FILES_MAX: usize = 2_000;
/// Bytes of all its documents, unpacked.
const UNPACKED_MAX: u64 = 64 << 20;

/// Returns true if a file's name is that of a zip file.
pub(super) fn is_archive(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ending.eq_ignore_ascii_case("zip"))
}

/// The documents in a zip file, each with its name, in the order of names. Files of other kinds are passed over, as in a folder.
///
/// # Errors
/// The fault of the file, for a sentence.
pub(super) fn documents(file: File) -> Result<Vec<(String, String)>, String> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    if length > FILE_MAX {
        return Err(format!(
            "a zip file of at most {} MiB is read, and it has {} MiB",
            FILE_MAX >> 20,
            length.div_ceil(1 << 20)
        ));
    }
    let mut archive = ZipArchive::new(file).map_err(|_| "it is no whole zip file".to_owned())?;
    if archive.len() > FILES_MAX {
        return Err(format!(
            "it holds {} files, and at most {FILES_MAX} are read",
            archive.len()
        ));
    }
    let (mut found, mut room) = (Vec::new(), UNPACKED_MAX);
    for at in 0..archive.len() {
        let entry = archive
            .by_index_raw(at)
            .map_err(|_| "its list of files is damaged".to_owned())?;
        let name = entry.name().to_owned();
        if entry.enclosed_name().is_none() || name.starts_with(['/', '\\']) {
            return Err(format!("{name:?} would lead out of its folder"));
        }
        if entry.is_symlink() {
            return Err(format!("{name:?} is a link, and no file"));
        }
        let (is_dir, is_encrypted) = (entry.is_dir(), entry.encrypted());
        drop(entry);
        if is_dir || is_others(&name) || Format::of(Path::new(&name)).is_none() {
            continue;
        }
        if is_encrypted {
            return Err(format!("{name:?} is encrypted"));
        }
        let entry = archive
            .by_index(at)
            .map_err(|error| format!("{name:?} cannot be unpacked ({error})"))?;
        let mut bytes = Vec::new();
        // What its header says of its size is not believed.
        entry
            .take(room + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("{name:?} cannot be unpacked ({error})"))?;
        room = room.checked_sub(bytes.len() as u64).ok_or_else(|| {
            format!(
                "its documents have more than {} MiB unpacked",
                UNPACKED_MAX >> 20
            )
        })?;
        let text = String::from_utf8(bytes).map_err(|_| format!("{name:?} is no UTF-8 text"))?;
        found.push((name, text));
    }
    found.sort();
    Ok(found)
}

/// Files that a system puts beside a folder's own, with names that look like documents: macOS's `__MACOSX/._tools.toml`.
fn is_others(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    name.starts_with("__MACOSX/") || file.starts_with("._")
}
