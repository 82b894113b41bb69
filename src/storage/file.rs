//! SQLite's file under a running process: whether it is still the one that was opened, whole, and has room.
//!
//! A file that was deleted or replaced keeps taking writes through the open handle, and all of them are lost: a restored backup or a
//! clean-up looks like a working service. So the file's identity is compared before each read and around each write.
//!
//! Only by `stat`: to open and close the file here would drop the locks that SQLite holds on it for the whole process (fcntl(2)).

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;

/// The bytes that must find room beside the database for it to count as writable: some hundred sign-ups.
const ROOM: usize = 256 << 10;

/// Identity of the file that a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

/// A database's file and its write-ahead log, as they were when they were first seen.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    log: PathBuf,
    seen: Mutex<SeenFile>,
}

#[derive(Debug)]
struct SeenFile {
    file: Identity,
    /// Made by the first write; as long as a connection is open SQLite keeps it.
    log: Option<Identity>,
}

/// The header of a SQLite file (its file format, 1.3): a file that was cut below it is no database any more. How much shorter it may
/// become otherwise nobody can say, for an operator may run `vacuum`.
const HEADER: u64 = 100;

impl DatabaseFile {
    /// Takes the identity of a file that was just opened.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let (file, _) = file_facts(path)?;
        let log = beside(path, "-wal");
        let seen = SeenFile {
            file,
            log: file_facts(&log).ok().map(|(identity, _)| identity),
        };
        Ok(Self {
            path: path.to_path_buf(),
            log,
            seen: Mutex::new(seen),
        })
    }

    /// Checks that the names still stand for the files that are open.
    pub(super) fn check(&self) -> io::Result<()> {
        let gone = |what: &str, path: &Path| {
            let path = path.display();
            io::Error::other(format!(
                "{path} {what} while it was in use; stop the service, put the right file back, and start it again"
            ))
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match file_facts(&self.path) {
            Ok((identity, _)) if identity != seen.file => {
                return Err(gone("was replaced", &self.path));
            }
            Ok((_, length)) if length < HEADER => return Err(gone("was cut", &self.path)),
            Ok(_) => {}
            Err(_) => return Err(gone("was removed", &self.path)),
        }
        match (seen.log, file_facts(&self.log)) {
            (None, found) => seen.log = found.ok().map(|(identity, _)| identity),
            (Some(known), Ok((identity, _))) if identity == known => {}
            (Some(_), Ok(_)) => return Err(gone("was replaced", &self.log)),
            (Some(_), Err(_)) => return Err(gone("was removed", &self.log)),
        }
        Ok(())
    }

    /// Checks that the disk has room: a small file beside the database is written whole, synced and removed. A write to the database
    /// itself does not tell: it may fit into what its log had reserved before the disk was full.
    pub(super) fn check_room(&self) -> io::Result<()> {
        let probe = beside(&self.path, &format!(".probe-{}", std::process::id()));
        let written = write_probe(&probe);
        let removed = std::fs::remove_file(&probe);
        written.and(removed)
    }
}

fn write_probe(path: &Path) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    // No zeros, which some file systems store in no room at all.
    io::Write::write_all(&mut file, &vec![0x5a; ROOM])?;
    file.sync_all()
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Asks for no times. Linux 6.13 and later give a file whose times were read since its last write a new time with the next one
/// (multigrain timestamps), and each `fsync` of the log then has a journal to wait for: with the times, one look per commit made group
/// commits a tenth slower (ext4, 10 connections).
#[cfg(target_os = "linux")]
fn file_facts(path: &Path) -> io::Result<(Identity, u64)> {
    use rustix::fs;
    let data = fs::statx(
        fs::CWD,
        path,
        fs::AtFlags::empty(),
        fs::StatxFlags::INO | fs::StatxFlags::SIZE,
    )?;
    let device = u64::from(data.stx_dev_major) << 32 | u64::from(data.stx_dev_minor);
    Ok((
        Identity {
            device,
            inode: data.stx_ino,
        },
        data.stx_size,
    ))
}

#[cfg(all(unix, not(target_os = "linux")))]
fn look(path: &Path) -> io::Result<(Identity, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let data = std::fs::metadata(path)?;
    Ok((
        Identity {
            device: data.dev(),
            inode: data.ino(),
        },
        data.len(),
    ))
}

#[cfg(not(unix))]
fn look(path: &Path) -> io::Result<(Identity, u64)> {
    Ok((
        Identity {
            device: 0,
            inode: 0,
        },
        std::fs::metadata(path)?.len(),
    ))
}
