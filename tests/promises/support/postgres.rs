//! A PostgreSQL cluster of the test run's own, so that the suite runs on both databases and nobody has to set one up.
//!
//! It is made on first use, belongs to this process, and ends with it however it ends: a watchdog holds the other end
//! of a pipe, and a pipe closes at kill -9 too, where no destructor and no exit handler runs.
//!
//! `$PG_BIN` names the server's programs where they are not found by themselves, `$TMPDIR` the place for its files.
//!
//! It listens on 127.0.0.1 and trusts everybody there: it holds made-up readers only, for as long as the tests run.

#![allow(dead_code, reason = "not every test binary uses all of it")]

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
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// The cluster's only role, a superuser without a password.
const USER: &str = "postgres";

/// The programs that one folder must hold together: a server and a client of two versions do not always agree.
const PROGRAMS: [&str; 4] = ["initdb", "pg_ctl", "postgres", "psql"];

/// Kibibytes: 7,500 for each database, 1 GiB of write-ahead log, and as much again for the tests themselves.
const ENOUGH_MEMORY: u64 = 4 * 1024 * 1024;

const NOT_FOUND: &[u8] =
    b"PostgreSQL's server programs were not found: the tests ran on SQLite only. \
    On Debian: apt-get install postgresql\n";

/// What makes it quick: nothing has to outlive a power cut. 300 connections, for many tests with a pool each run at once.
/// No autovacuum, for with a hundred databases its launcher would keep one of few cores busy. Shared memory in files of
/// the cluster's folder: elsewhere some would stay when the server is killed.
const SETTINGS: &str = "\
listen_addresses = '127.0.0.1'
max_connections = 300
shared_buffers = '32MB'
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
dynamic_shared_memory_type = mmap
checkpoint_timeout = '1h'
autovacuum = off
jit = off
log_checkpoints = off
timezone = 'UTC'
";

/// Waits for the end of its input: the end of the test process, and of an initdb or pg_ctl that it left behind.
const WATCHDOG: &str = r#"
trap '' HUP INT QUIT TERM
cat >/dev/null
"$1" stop -s -m immediate -D "$2/data"
rm -rf "$2"
"#;

/// The run's cluster, started by whoever asks first (about a second). None, and one line on stderr, where PostgreSQL is not
/// installed.
///
/// # Panics
/// Where it is installed and does not start: a test that was never run must not look like one that passed.
pub fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Result<Option<Cluster>, String>> = OnceLock::new();
    match CLUSTER.get_or_init(|| start_if_installed("", None)) {
        Ok(cluster) => cluster.as_ref(),
        Err(why) => panic!(
            "PostgreSQL is installed, but a cluster for the tests could not be started: {why}"
        ),
    }
}

/// One more cluster, for whoever stops it, fills its disk, or wants it set up otherwise: `settings` are lines of
/// postgresql.conf that overrule those of the tests, `folder` is where its files lie. It ends when it is dropped. None
/// where PostgreSQL is not installed.
pub fn another(settings: &str, folder: Option<&Path>) -> Option<Cluster> {
    start_if_installed(settings, folder)
        .unwrap_or_else(|why| panic!("one more cluster could not be started: {why}"))
}

/// A running server of this process alone.
pub struct Cluster {
    home: Home,
    port: u16,
    /// Since 15 there is a choice of how to copy the template, and the default is the slower one for a small template
    /// without fsync: 50 ms against 30.
    copies_files: bool,
    made: AtomicUsize,
    /// Its standard input is the pipe.
    watchdog: Child,
}

impl Drop for Cluster {
    /// Waits until the watchdog has done its work, so that whoever owns the disk can take that away.
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

impl Cluster {
    /// Makes an empty database that no other test knows, and returns its URL. Blocks for about 30 ms; any number of
    /// threads may call it at once, for nobody can be connected to `template0` and so be in the way.
    pub fn fresh_database(&self) -> String {
        let name = format!("test_{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.copy("template0", &name);
        self.url_of(&name)
    }

    /// Makes a copy of a database to which nobody is connected, and returns its URL.
    pub fn copy_of(&self, database_url: &str) -> String {
        let name = format!("test_{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.copy(name_in(database_url), &name);
        self.url_of(&name)
    }

    /// Takes a database away, whoever is connected to it.
    pub fn drop_database(&self, database_url: &str) {
        self.query(&format!(
            "drop database {} with (force)",
            name_in(database_url)
        ));
    }

    fn copy(&self, template: &str, name: &str) {
        let strategy = if self.copies_files {
            " strategy file_copy"
        } else {
            ""
        };
        self.query(&format!(
            "create database {name} template {template}{strategy}"
        ));
    }

    fn url_of(&self, name: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{name}", self.port)
    }

    /// Ends all connections to a database from the server's side; answers how many.
    pub fn cut_connections(&self, database_url: &str) -> usize {
        let sql = format!(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '{}'",
            name_in(database_url)
        );
        self.query(&sql).trim().parse().expect("a count")
    }

    /// Stops the server; `immediate` is as if it were killed, and it recovers at the next start.
    pub fn stop(&self, immediate: bool) {
        let mut pg_ctl = self.home.program("pg_ctl");
        pg_ctl
            .args([
                "stop",
                "-s",
                "-w",
                "-m",
                if immediate { "immediate" } else { "fast" },
                "-D",
            ])
            .arg(self.home.data());
        // An error is a server that has ended by itself meanwhile.
        let _ = output_of(pg_ctl);
    }

    /// Starts it again on its port, if it does not run.
    pub fn go_on(&self) {
        let mut status = self.home.program("pg_ctl");
        status.arg("status").arg("-D").arg(self.home.data());
        if output_of(status).is_ok() {
            return;
        }
        let mut pg_ctl = self.home.program("pg_ctl");
        pg_ctl
            .args([
                "start",
                "-s",
                "-w",
                "-t",
                "60",
                "-o",
                &format!("-p {}", self.port),
                "-D",
            ])
            .arg(self.home.data());
        pg_ctl.arg("-l").arg(self.home.folder.join("server.log"));
        output_of(pg_ctl).unwrap_or_else(|why| panic!("{why}"));
    }

    /// A standby of this server (`wal_level = replica`): it follows, answers what reads, and takes no writes. This one is stopped and
    /// started for it.
    pub fn standby(&self) -> Standby<'_> {
        let data = self.home.folder.join("standby");
        self.stop(false);
        let mut copy = self.home.program_at(Path::new("cp"));
        copy.arg("-a").arg(self.home.data()).arg(&data);
        output_of(copy).unwrap_or_else(|why| panic!("{why}"));
        self.go_on();
        let mut signal = self.home.program_at(Path::new("touch"));
        signal.arg(data.join("standby.signal"));
        output_of(signal).unwrap_or_else(|why| panic!("{why}"));
        fs::OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .and_then(|mut file| {
                writeln!(
                    file,
                    "primary_conninfo = 'host=127.0.0.1 port={} user={USER}'",
                    self.port
                )
            })
            .expect("written");
        let port = TcpListener::bind("127.0.0.1:0")
            .expect("a port")
            .local_addr()
            .expect("an address")
            .port();
        let mut pg_ctl = self.home.program("pg_ctl");
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
            .arg(&data);
        pg_ctl.arg("-l").arg(self.home.folder.join("standby.log"));
        output_of(pg_ctl).unwrap_or_else(|why| panic!("{why}"));
        Standby {
            of: self,
            data,
            port,
        }
    }

    /// Starts another program as the account that runs the server, with the server's folder as its own.
    pub fn companion(&self, program: &str) -> Command {
        self.home.program_at(Path::new(program))
    }

    /// The folder of its files.
    pub fn folder(&self) -> &Path {
        &self.home.folder
    }

    /// Port of 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs one statement as the superuser, outside any test's database, and returns what it printed.
    pub fn query(&self, sql: &str) -> String {
        let mut psql = self.home.program("psql");
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            USER,
            "-d",
            "postgres",
        ]);
        psql.arg("-h")
            .arg(&self.home.folder)
            .args(["-p", &self.port.to_string(), "-c", sql]);
        output_of(psql).unwrap_or_else(|why| panic!("{why}"))
    }
}

/// See [`Cluster::standby`]; it ends when it is dropped.
pub struct Standby<'a> {
    of: &'a Cluster,
    data: PathBuf,
    /// Port of 127.0.0.1.
    pub port: u16,
}

impl Standby<'_> {
    /// Makes it a primary, as it does by itself nowhere: returns when it takes writes.
    pub fn promote(&self) {
        let mut pg_ctl = self.of.home.program("pg_ctl");
        pg_ctl
            .args(["promote", "-s", "-w", "-t", "60", "-D"])
            .arg(&self.data);
        output_of(pg_ctl).unwrap_or_else(|why| panic!("{why}"));
    }
}

impl Drop for Standby<'_> {
    fn drop(&mut self) {
        let mut pg_ctl = self.of.home.program("pg_ctl");
        pg_ctl
            .args(["stop", "-s", "-m", "immediate", "-D"])
            .arg(&self.data);
        let _ = output_of(pg_ctl);
    }
}

/// The database's name in its URL.
fn name_in(database_url: &str) -> &str {
    let path = database_url.rsplit('/').next().unwrap_or_default();
    path.split('?').next().unwrap_or_default()
}

fn start_if_installed(settings: &str, folder: Option<&Path>) -> Result<Option<Cluster>, String> {
    let Some(bin) = find_programs()? else {
        // Not eprintln: libtest swallows that in a test that passes.
        io::stderr()
            .write_all(NOT_FOUND)
            .map_err(|why| why.to_string())?;
        return Ok(None);
    };
    let home = Home::make(bin, folder)?;
    let watchdog = home.watch()?;
    home.init(&watchdog, settings)?;
    let port = home.start(&watchdog)?;
    let copies_files = home.major_version()? >= 15;
    Ok(Some(Cluster {
        home,
        port,
        copies_files,
        made: AtomicUsize::new(0),
        watchdog,
    }))
}

/// Where the programs are, where the cluster lives and who runs it.
struct Home {
    bin: PathBuf,
    folder: PathBuf,
    owner: Option<Owner>,
}

impl Home {
    fn make(bin: PathBuf, place: Option<&Path>) -> Result<Home, String> {
        let owner = Owner::instead_of_root()?;
        let folder = make_folder(owner, place)?;
        Ok(Home { bin, folder, owner })
    }

    /// Starts the watchdog. Its process group is its own, so that a ctrl-C at the terminal does not end it before the tests,
    /// and none of the run's outputs is held open by it.
    fn watch(&self) -> Result<Child, String> {
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

    fn init(&self, watchdog: &Child, settings: &str) -> Result<(), String> {
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
    fn start(&self, watchdog: &Child) -> Result<u16, String> {
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

    fn major_version(&self) -> Result<u32, String> {
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

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// One of PostgreSQL's programs, deaf to whatever PG... variables the developer has set for another server. `TZ` spares
    /// initdb the search for the machine's time zone.
    fn program(&self, name: &str) -> Command {
        self.program_at(&self.bin.join(name))
    }

    fn program_at(&self, path: &Path) -> Command {
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
fn make_folder(owner: Option<Owner>, place: Option<&Path>) -> Result<PathBuf, String> {
    let wish = env::var_os("TMPDIR").map(PathBuf::from);
    let places = match place {
        Some(place) => vec![Some(place.to_owned())],
        None => vec![
            wish,
            memory_folder(),
            Some(env::temp_dir()),
            Some("/var/tmp".into()),
        ],
    };
    let mut faults = String::new();
    for place in places.into_iter().flatten() {
        let mut mktemp = as_owner("mktemp", owner);
        mktemp
            .current_dir("/")
            .arg("-d")
            .arg(place.join("verdicts-postgres-XXXXXX"));
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
fn find_programs() -> Result<Option<PathBuf>, String> {
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
fn output_of(mut command: Command) -> Result<String, String> {
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
