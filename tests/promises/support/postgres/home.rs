//! The cluster's folder, the server's programs, and the user that they run as.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use super::SETTINGS;
use super::USER;

/// The programs that one folder must hold together: a server and a client of two versions do not always agree.
const PROGRAMS: [&str; 4] = ["initdb", "pg_ctl", "postgres", "psql"];

/// Kibibytes: 7,500 for each database, 1 GiB of write-ahead log, and as much again for the tests themselves.
const ENOUGH_MEMORY: u64 = 4 * 1024 * 1024;

pub(super) const NOT_FOUND: &[u8] =
    b"PostgreSQL's server programs were not found: the tests ran on SQLite only. \
    On Debian: apt-get install postgresql\n";

/// Waits for the end of its input: the end of the test process, and of an initdb or pg_ctl that it left behind.
const WATCHDOG: &str = r#"
trap '' HUP INT QUIT TERM
cat >/dev/null
"$1" stop -s -m immediate -D "$2/data"
rm -rf "$2"
"#;

/// Where the programs are, where the cluster lives and who runs it.
pub(super) struct Home {
    bin: PathBuf,
    pub(super) folder: PathBuf,
    owner: Option<Owner>,
}

impl Home {
    pub(super) fn make(bin: PathBuf, test_db: Option<&Path>) -> Result<Home, String> {
        let owner = Owner::instead_of_root()?;
        let folder = make_folder(owner, test_db)?;
        Ok(Home { bin, folder, owner })
    }

    /// The programs for a cluster that others started: nothing of it lies here.
    pub(super) fn of_others(bin: PathBuf) -> Result<Home, String> {
        let owner = Owner::instead_of_root()?;
        Ok(Home {
            bin,
            folder: env::temp_dir(),
            owner,
        })
    }

    /// Starts the watchdog. Its process group is its own, so that a ctrl-C at the terminal does not end it before the tests,
    /// and none of the run's outputs is held open by it.
    pub(super) fn watch(&self) -> Result<Child, String> {
        let mut sh = as_owner("sh", self.owner);
        sh.args(["-c", WATCHDOG, "sh"])
            .arg(self.bin.join("pg_ctl"))
            .arg(&self.folder);
        sh.current_dir("/").process_group(0);
        sh.stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        sh.spawn()
            .map_err(|why| format!("the watchdog did not start: {why}"))
    }

    pub(super) fn init(&self, watchdog: &Child, settings: &str) -> Result<(), String> {
        let mut initdb = self.watched_program("initdb", watchdog)?;
        initdb.args([
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "-U",
            USER,
        ]);
        initdb.arg("-D").arg(self.data()).stdout(Stdio::null());
        output_of(initdb)?;
        let socket = self.folder.display().to_string().replace('\'', "''");
        fs::OpenOptions::new()
            .append(true)
            .open(self.data().join("postgresql.conf"))
            .and_then(|mut file| {
                writeln!(
                    file,
                    "{SETTINGS}{settings}\nunix_socket_directories = '{socket}'"
                )
            })
            .map_err(|why| format!("postgresql.conf could not be written: {why}"))
    }

    /// Starts the server and returns its port. Another process may take a free port between the look and the start, so
    /// that one reason to fail is worth another try.
    pub(super) fn start(&self, watchdog: &Child) -> Result<u16, String> {
        let mut tries_left = 5;
        loop {
            let port = free_port().map_err(|why| format!("no free port: {why}"))?;
            let log = self.folder.join(format!("server-{port}.log"));
            let mut pg_ctl = self.watched_program("pg_ctl", watchdog)?;
            pg_ctl
                .args([
                    "start",
                    "-s",
                    "-w",
                    "-t",
                    "60",
                    "-o",
                    &format!("-p {port}"),
                    "-D",
                ])
                .arg(self.data());
            pg_ctl.arg("-l").arg(&log);
            let Err(why) = output_of(pg_ctl) else {
                return Ok(port);
            };
            let said = fs::read_to_string(&log).unwrap_or_default();
            tries_left -= 1;
            if tries_left == 0 || !said.contains("Address already in use") {
                return Err(format!("{why}\n{said}"));
            }
        }
    }

    pub(super) fn major_version(&self) -> Result<u32, String> {
        let said = fs::read_to_string(self.data().join("PG_VERSION"))
            .map_err(|why| format!("no PG_VERSION: {why}"))?;
        let major = said.trim().split('.').next().unwrap_or_default();
        major
            .parse()
            .map_err(|_| format!("PG_VERSION says {said:?}"))
    }

    /// A program that is let finish if the test process ends first, for killed half way it leaves things behind: it holds
    /// the watchdog's pipe open, as its own input, which it does not read, and a ctrl-C at the terminal is not for it. Nor may
    /// it print anything while all goes well, with nobody left to read.
    fn watched_program(&self, name: &str, watchdog: &Child) -> Result<Command, String> {
        let pipe = watchdog.stdin.as_ref().ok_or("the watchdog has no pipe")?;
        let pipe = pipe
            .as_fd()
            .try_clone_to_owned()
            .map_err(|why| format!("the watchdog's pipe: {why}"))?;
        let mut command = self.program(name);
        command
            .stdin(pipe)
            .process_group(watchdog.id().cast_signed());
        Ok(command)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// One of PostgreSQL's programs, deaf to whatever PG... variables the developer has set for another server. `TZ` spares
    /// initdb the search for the machine's time zone.
    pub(super) fn program(&self, name: &str) -> Command {
        self.program_at(&self.bin.join(name))
    }

    pub(super) fn program_at(&self, path: &Path) -> Command {
        let mut command = as_owner(path, self.owner);
        for (variable, _) in env::vars_os() {
            if variable.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(variable);
            }
        }
        command
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("HOME", &self.folder);
        command.current_dir(&self.folder).stdin(Stdio::null());
        command
    }
}

/// The account that runs everything, where the tests run as root: PostgreSQL's server refuses to.
#[derive(Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    fn instead_of_root() -> Result<Option<Owner>, String> {
        if id(&["-u"])? != 0 {
            return Ok(None);
        }
        let owner = ["postgres", "nobody"]
            .iter()
            .find_map(|name| Owner::named(name).ok());
        owner.map(Some).ok_or(
            "the tests run as root, and there is no user postgres or nobody to run it as"
                .to_owned(),
        )
    }

    fn named(name: &str) -> Result<Owner, String> {
        Ok(Owner {
            uid: id(&["-u", name])?,
            gid: id(&["-g", name])?,
        })
    }
}

fn id(arguments: &[&str]) -> Result<u32, String> {
    let mut id = Command::new("id");
    id.args(arguments);
    let said = output_of(id)?;
    said.trim().parse().map_err(|_| format!("id said {said:?}"))
}

fn as_owner(program: impl Into<OsString>, owner: Option<Owner>) -> Command {
    let mut command = Command::new(program.into());
    if let Some(owner) = owner {
        command.uid(owner.uid).gid(owner.gid);
    }
    command
}

/// Makes the cluster's folder. The owner makes it, rather than root for it: so it is sure to reach it, and the watchdog
/// to be allowed to remove it. A place private to root is passed over.
fn make_folder(owner: Option<Owner>, test_db: Option<&Path>) -> Result<PathBuf, String> {
    let wish = env::var_os("TMPDIR").map(PathBuf::from);
    let places = match test_db {
        Some(test_db) => vec![Some(test_db.to_owned())],
        None => vec![
            wish,
            memory_folder(),
            Some(env::temp_dir()),
            Some("/var/tmp".into()),
        ],
    };
    let mut faults = String::new();
    for test_db in places.into_iter().flatten() {
        let mut mktemp = as_owner("mktemp", owner);
        mktemp
            .current_dir("/")
            .arg("-d")
            .arg(test_db.join("verdicts-postgres-XXXXXX"));
        match output_of(mktemp) {
            Ok(said) => return Ok(PathBuf::from(said.trim_end())),
            Err(why) => faults += &why,
        }
    }
    Err(faults)
}

/// A file system in memory with room to spare. The 300 files of each new database cost a disk's file system two to five times
/// as long. Room is counted twice, for it may be given more than there is; a container often has 64 MB of it.
fn memory_folder() -> Option<PathBuf> {
    let mut df = Command::new("df");
    df.args(["-Pk", "/dev/shm"]);
    let room = output_of(df)
        .ok()?
        .lines()
        .nth(1)?
        .split_whitespace()
        .nth(3)?
        .parse::<u64>()
        .ok()?;
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let free = meminfo.lines().find_map(|line| {
        line.strip_prefix("MemAvailable:")?
            .strip_suffix("kB")?
            .trim()
            .parse::<u64>()
            .ok()
    })?;
    (room.min(free) >= ENOUGH_MEMORY).then(|| "/dev/shm".into())
}

/// The folder of the programs. `$PG_BIN` is somebody's express wish, so a wrong one is an error and not "none found".
pub(super) fn find_programs() -> Result<Option<PathBuf>, String> {
    if let Some(wish) = env::var_os("PG_BIN").filter(|wish| !wish.is_empty()) {
        let wish = PathBuf::from(wish);
        return match PROGRAMS
            .iter()
            .find(|program| !wish.join(program).is_file())
        {
            Some(program) => Err(format!(
                "PG_BIN is {}, and there is no {program} there",
                wish.display()
            )),
            None => Ok(Some(wish)),
        };
    }
    let folders = pg_config_folder()
        .into_iter()
        .chain(debian_folders())
        .chain(path_folders());
    Ok(folders.into_iter().find(|folder| {
        PROGRAMS
            .iter()
            .all(|program| folder.join(program).is_file())
    }))
}

fn pg_config_folder() -> Option<PathBuf> {
    let mut pg_config = Command::new("pg_config");
    pg_config.arg("--bindir");
    output_of(pg_config)
        .ok()
        .map(|said| PathBuf::from(said.trim_end()))
}

/// Debian keeps the server's programs out of the PATH, a folder for each version; newest first.
fn debian_folders() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir("/usr/lib/postgresql") else {
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort_by_key(|folder| {
        folder
            .file_name()
            .and_then(|name| name.to_str()?.parse::<u32>().ok())
    });
    folders
        .iter()
        .rev()
        .map(|folder| folder.join("bin"))
        .collect()
}

/// Where the PATH's `initdb` really is: often it is a link, and `psql` next to the link a wrapper.
fn path_folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let links = env::split_paths(&path).map(|folder| folder.join("initdb"));
    links
        .filter_map(|link| Some(link.canonicalize().ok()?.parent()?.to_owned()))
        .collect()
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// What the program printed, or a sentence with all that it printed.
pub(super) fn output_of(mut command: Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|why| format!("{command:?} did not run: {why}\n"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{command:?} ended with {}:\n{said}{complaint}\n",
        output.status
    ))
}
