//! A folder that stands for a mail server: one file per mail, for trying the service out and for looking at what it sends.
//!
//! The layout is Maildir's (<https://cr.yp.to/proto/maildir.html>), so that a mail program can open it, save that a file is
//! named after its delivery: written twice it is there once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use mail_parser::Address;
use mail_parser::MessageParser;
use mail_parser::PartType;

use crate::domain::Timestamp;

/// More of a header than this is not looked at in a list.
const LONGEST_HEADER: u64 = 16 * 1024;
/// More of a mail than this is not read: ours are far shorter, and the folder is open to others.
const LONGEST_MAIL: u64 = 8 * 1024 * 1024;
const LONGEST_NAME: usize = 200;

/// The folder. Made on the first write, readable by us alone: the mails in it hold working links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maildir {
    dir: PathBuf,
}

/// A mail in the folder.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// The file's name, good for [`Maildir::read`].
    pub name: String,
    /// `Name <address>`; empty when the mail has none.
    pub from: String,
    /// As `from`.
    pub to: String,
    /// Decoded; empty when the mail has none.
    pub subject: String,
    /// The `Date` of its header.
    pub date: Option<Timestamp>,
    /// Of the whole file, in bytes.
    pub size: u64,
    /// The HTML part, decoded. `None` in a list.
    pub html: Option<String>,
    /// The plain text part, decoded. `None` in a list.
    pub text: Option<String>,
    /// The header as it stands in the file; what is not UTF-8 is replaced.
    pub headers: String,
}

impl Maildir {
    /// Names a folder, and does not touch it.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Keeps a mail under `file`, in place of one kept under it before. It is seen whole or not at all; it is not
    /// synced to the disk, for who needs it after a power cut needs a mail server.
    /// Characters other than ASCII letters, digits, `.`, `-` and `_` in the name become `_`. Gives the name back.
    pub async fn write(&self, file: &str, mail: &[u8]) -> io::Result<String> {
        let (dir, name, mail) = (self.dir.clone(), file_name(file), mail.to_vec());
        blocking(move || {
            let (draft, kept) = (dir.join("tmp").join(&name), dir.join("new").join(&name));
            let put = || fs::write(&draft, &mail).and_then(|()| fs::rename(&draft, &kept));
            match put() {
                Err(err) if err.kind() == io::ErrorKind::NotFound => {
                    for part in ["tmp", "new", "cur"] {
                        DirBuilder::new()
                            .recursive(true)
                            .mode(0o700)
                            .create(dir.join(part))?;
                    }
                    put()?;
                }
                result => result?,
            }
            Ok(name)
        })
        .await
    }

    /// The newest `limit` mails, newest first by when they were written, without their bodies. Of the others only the
    /// directory entry is looked at. A folder that is not there is empty.
    pub async fn list(&self, limit: usize) -> io::Result<Vec<Stored>> {
        let dir = self.dir.join("new");
        blocking(move || {
            Ok(newest(&dir, limit)?
                .into_iter()
                .filter_map(|name| list_entry(&dir, name))
                .collect())
        })
        .await
    }

    /// One mail with its bodies; `None` when there is none of that name. A name that [`Maildir::write`] would not have
    /// given is none, whatever path it may be.
    pub async fn read(&self, name: &str) -> io::Result<Option<Stored>> {
        let (dir, name) = (self.dir.join("new"), name.to_string());
        if file_name(&name) != name {
            return Ok(None);
        }
        blocking(move || match head(&dir.join(&name), LONGEST_MAIL) {
            Ok((mail, size)) => Ok(Some(stored(name, &mail, size))),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(err) => Err(err),
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

/// A name that is one in any folder: no path, not hidden, no `:`, which Maildir keeps for its own use.
fn file_name(text: &str) -> String {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = text
        .chars()
        .take(LONGEST_NAME)
        .map(|c| if is_allowed(c) { c } else { '_' })
        .collect();
    if name.is_empty() || name.starts_with('.') {
        format!("_{}", name.get(1..).unwrap_or_default())
    } else {
        name
    }
}

fn newest(dir: &Path, limit: usize) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries?,
    };
    // The heap holds the newest so far, the oldest of them on top: that is the next to go.
    let mut found: BinaryHeap<Reverse<(SystemTime, String)>> = BinaryHeap::new();
    for entry in entries {
        let entry = entry?;
        let Some(name) = entry
            .file_name()
            .into_string()
            .ok()
            .filter(|name| file_name(name) == *name)
        else {
            continue;
        };
        // A file may go while we look.
        let Ok(written) = entry.metadata().and_then(|metadata| metadata.modified()) else {
            continue;
        };
        found.push(Reverse((written, name)));
        if found.len() > limit {
            found.pop();
        }
    }
    Ok(found
        .into_sorted_vec()
        .into_iter()
        .map(|Reverse((_, name))| name)
        .collect())
}

fn list_entry(dir: &Path, name: String) -> Option<Stored> {
    let (mail, size) = head(&dir.join(&name), LONGEST_HEADER).ok()?;
    Some(stored(name, &mail[..header_end(&mail)], size))
}

/// The first `limit` bytes of a file, and how many it has.
fn head(path: &Path, limit: u64) -> io::Result<(Vec<u8>, u64)> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(limit)).unwrap_or_default());
    file.take(limit).read_to_end(&mut bytes)?;
    Ok((bytes, size))
}

fn header_end(mail: &[u8]) -> usize {
    let ends = |end: &[u8]| {
        mail.windows(end.len())
            .position(|window| window == end)
            .map(|at| at + end.len() / 2)
    };
    [ends(b"\r\n\r\n"), ends(b"\n\n")]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(mail.len())
}

fn stored(name: String, mail: &[u8], size: u64) -> Stored {
    let headers = String::from_utf8_lossy(&mail[..header_end(mail)]).into_owned();
    // Not `unwrap_or_default`: mail-parser panics when an empty message is asked for its sender.
    let message = MessageParser::default().parse(mail);
    let message = message.as_ref();
    let html = match message
        .and_then(|message| message.html_part(0))
        .map(|part| &part.body)
    {
        Some(PartType::Html(html)) => Some(html.to_string()),
        _ => None,
    };
    let text = match message
        .and_then(|message| message.text_part(0))
        .map(|part| &part.body)
    {
        Some(PartType::Text(text)) => Some(text.to_string()),
        _ => None,
    };
    Stored {
        from: mailbox(message.and_then(|message| message.from())),
        to: mailbox(message.and_then(|message| message.to())),
        subject: message
            .and_then(|message| message.subject())
            .unwrap_or_default()
            .to_string(),
        date: message
            .and_then(|message| message.date())
            .and_then(|date| Timestamp::from_timestamp_secs(date.to_timestamp())),
        html,
        text,
        name,
        size,
        headers,
    }
}

fn mailbox(addresses: Option<&Address<'_>>) -> String {
    let Some(first) = addresses.and_then(Address::first) else {
        return String::new();
    };
    match (first.name(), first.address().unwrap_or_default()) {
        (Some(name), address) => format!("{name} <{address}>"),
        (None, address) => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mail(subject: &str) -> Vec<u8> {
        let who = "From: Ship or Skip <news@localhost>\r\nTo: ada@example.org";
        format!(
            "{who}\r\nSubject: {subject}\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\n\r\nbody\r\n"
        )
        .into_bytes()
    }

    #[tokio::test]
    async fn a_mail_written_twice_is_there_once_and_the_newest_is_listed_first() {
        let dir = tempfile::tempdir().expect("a folder");
        let maildir = Maildir::new(dir.path().join("a/b"));
        assert!(
            maildir
                .list(10)
                .await
                .expect("no folder is an empty one")
                .is_empty()
        );
        for (second, (file, subject)) in (1..).zip([
            ("1", "one"),
            ("2", "two"),
            ("1", "one again"),
            ("3", "three"),
        ]) {
            assert_eq!(
                maildir.write(file, &mail(subject)).await.expect("written"),
                file
            );
            let written = File::options()
                .write(true)
                .open(maildir.path().join("new").join(file))
                .expect("there");
            written
                .set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second))
                .expect("dated");
        }
        let list = maildir.list(2).await.expect("a list");
        assert_eq!(
            list.iter()
                .map(|mail| mail.subject.as_str())
                .collect::<Vec<_>>(),
            ["three", "one again"]
        );
        assert_eq!(maildir.list(10).await.expect("a list").len(), 3);
        let mode = fs::metadata(maildir.path().join("new"))
            .expect("a folder")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[tokio::test]
    async fn a_mail_is_read_back_by_its_name_and_no_path_is_a_name() {
        let dir = tempfile::tempdir().expect("a folder");
        let maildir = Maildir::new(dir.path());
        let name = maildir
            .write("../a/b:c d", &mail("=?utf-8?B?S8Okc2U=?="))
            .await
            .expect("written");
        assert_eq!(name, "_._a_b_c_d");
        let stored = maildir.read(&name).await.expect("read").expect("found");
        assert_eq!(
            (stored.from.as_str(), stored.to.as_str()),
            ("Ship or Skip <news@localhost>", "ada@example.org")
        );
        assert_eq!(
            (
                stored.subject.as_str(),
                stored.text.as_deref(),
                stored.html.as_deref()
            ),
            ("Käse", Some("body\r\n"), None)
        );
        assert_eq!(stored.date, "2026-11-24T09:00:00Z".parse().ok());
        assert_eq!(stored.size, mail("=?utf-8?B?S8Okc2U=?=").len() as u64);
        assert!(stored.headers.starts_with("From: ") && stored.headers.ends_with("+0000\r\n"));
        fs::write(dir.path().join("secret"), "x").expect("written");
        for bad in ["../secret", "", ".", "..", "/etc/passwd", "a/b", "nowhere"] {
            assert!(maildir.read(bad).await.expect("read").is_none(), "{bad}");
        }
    }
}
