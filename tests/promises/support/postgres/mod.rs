//! A PostgreSQL cluster of the test run's own, so that the suite runs on both databases and nobody has to set one up.
//!
//! It is made on first use, belongs to this process, and ends with it however it ends: a watchdog holds the other end
//! of a pipe, and a pipe closes at kill -9 too, where no destructor and no exit handler runs.
//!
//! `$PG_BIN` names the server's programs where they are not found by themselves, `$TMPDIR` the place for its files.
//!
//! It listens on 127.0.0.1 and trusts everybody there: it holds made-up readers only, for as long as the tests run.

#![allow(dead_code, reason = "not every test binary uses all of it")]

mod home;

use std::fs;
use std::io;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use home::Home;
use home::NOT_FOUND;
use home::find_programs;
use home::output_of;

/// The cluster's only role, a superuser without a password.
const USER: &str = "postgres";

/// What makes it quick: nothing has to outlive a power cut. 300 connections, for many tests with a pool each run at once.
/// No autovacuum, for with a hundred databases its launcher would keep one of few cores busy. Shared memory in files of
/// the cluster's folder: elsewhere some would stay when the server is killed.
const SETTINGS: &str = include_str!("settings.conf");

/// Names a cluster that runs already, for all processes of a run: `postgres://postgres@127.0.0.1:PORT`. cargo-nextest has a process for
/// each test, and `cluster.sh` starts one cluster for all of them.
const SHARED: &str = "TEST_POSTGRES_URL";

/// The run's cluster, started by whoever asks first (about a second), or the one that [`SHARED`] names. None, and one line on stderr, where
/// PostgreSQL is not installed.
///
/// # Panics
/// Where it is installed and does not start: a test that was never run must not look like one that passed.
pub fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Result<Option<Cluster>, String>> = OnceLock::new();
    let get = || match std::env::var(SHARED) {
        Ok(url) => shared(&url).map(Some),
        Err(_) => start_if_installed("", None),
    };
    match CLUSTER.get_or_init(get) {
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

/// A running server: of this process alone, or [`SHARED`] by the processes of a run.
pub struct Cluster {
    home: Home,
    port: u16,
    /// Since 15 there is a choice of how to copy the template, and the default is the slower one for a small template
    /// without fsync: 50 ms against 30.
    copies_files: bool,
    made: AtomicUsize,
    /// Its standard input is the pipe. None where others started the server, and end it.
    watchdog: Option<Child>,
}

impl Drop for Cluster {
    /// Waits until the watchdog has done its work, so that whoever owns the disk can take that away.
    fn drop(&mut self) {
        if let Some(watchdog) = &mut self.watchdog {
            drop(watchdog.stdin.take());
            let _ = watchdog.wait();
        }
    }
}

impl Cluster {
    /// Makes an empty database that no other test knows, and returns its URL. Blocks for about 30 ms; any number of
    /// threads may call it at once, for nobody can be connected to `template0` and so be in the way.
    pub fn fresh_database(&self) -> String {
        let name = self.fresh_name();
        self.copy("template0", &name);
        self.url_of(&name)
    }

    /// Makes a copy of a database to which nobody is connected, and returns its URL.
    pub fn copy_of(&self, database_url: &str) -> String {
        let name = self.fresh_name();
        self.copy(name_in(database_url), &name);
        self.url_of(&name)
    }

    fn fresh_name(&self) -> String {
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        format!("test_{}_{made}", std::process::id())
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
        psql.args(["-h", "127.0.0.1"])
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
        watchdog: Some(watchdog),
    }))
}

fn shared(url: &str) -> Result<Cluster, String> {
    let port = url
        .rsplit(':')
        .next()
        .and_then(|port| port.trim_end_matches('/').parse().ok());
    let port =
        port.ok_or_else(|| format!("{SHARED}: expected postgres://{USER}@127.0.0.1:PORT"))?;
    let bin = find_programs()?.ok_or("the server's programs were not found")?;
    let home = Home::of_others(bin)?;
    let mut cluster = Cluster {
        home,
        port,
        copies_files: false,
        made: AtomicUsize::new(0),
        watchdog: None,
    };
    let version = cluster.query("show server_version_num");
    cluster.copies_files = version
        .trim()
        .parse::<u32>()
        .is_ok_and(|version| version >= 150_000);
    Ok(cluster)
}
