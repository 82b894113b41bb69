//! Where a run takes place: a database with a published digest, made once and copied for each run, on a small disk.

use std::collections::HashMap;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use crate::support::Program;
use crate::support::TestDb;
use crate::support::catalogue;
use crate::support::postgres;
use crate::support::postgres::Cluster;
use crate::support::say;

/// For PostgreSQL: what was committed outlives the server, as in real use (the disk's cache is not tried here).
const SETTINGS: &str = "synchronous_commit = on\nmax_wal_size = '96MB'\nmin_wal_size = '32MB'\n";

/// A disk of so many megabytes for a cluster, and for a SQLite file.
const CLUSTER_DISK: u32 = 420;
const FILE_DISK: u32 = 96;

/// A place for runs.
pub struct Field {
    pub readers: usize,
    /// A reader's id by address.
    pub ids: HashMap<String, String>,
    /// The digest's.
    pub digest: String,
    template: TestDb,
    /// None: SQLite.
    pub cluster: Option<Cluster>,
    /// Last, for the cluster lies on it.
    pub disk: Disk,
}

impl Field {
    pub fn on_sqlite(readers: usize) -> Self {
        let disk = Disk::small(FILE_DISK);
        let template = TestDb::sqlite();
        Self::prepare(readers, disk, None, template)
    }

    /// None where PostgreSQL is not installed.
    pub fn on_postgres(readers: usize) -> Option<Self> {
        let disk = Disk::small(CLUSTER_DISK);
        let cluster = postgres::another(SETTINGS, Some(disk.path()))?;
        let template = TestDb {
            dir: tempfile::tempdir().expect("a folder"),
            database_url: cluster.fresh_database(),
        };
        Some(Self::prepare(readers, disk, Some(cluster), template))
    }

    /// A digest that is frozen, of whose deliveries only the first are made: the process that published it was killed. A run begins
    /// in the middle of its ranges.
    fn prepare(readers: usize, disk: Disk, cluster: Option<Cluster>, template: TestDb) -> Self {
        let program =
            program_in(&template).with("VERDICTS_MAIL__TRANSPORT", "smtp://127.0.0.1:1?tls=none");
        let (ids, digest) = freeze(&program, readers);
        Self {
            readers,
            ids,
            digest,
            template,
            cluster,
            disk,
        }
    }

    /// A copy of the database.
    pub fn fresh(&self) -> TestDb {
        match &self.cluster {
            Some(cluster) => TestDb {
                dir: tempfile::tempdir().expect("a folder"),
                database_url: cluster.copy_of(&self.template.database_url),
            },
            None => {
                let dir = tempfile::tempdir_in(self.disk.path()).expect("a folder");
                let database_url = format!("sqlite:{}/verdicts.db", dir.path().display());
                for file in ["verdicts.db", "verdicts.db-wal"] {
                    let (from, to) = (self.template.dir.path().join(file), dir.path().join(file));
                    assert!(
                        !from.exists() || std::fs::copy(from, to).is_ok(),
                        "{file} is copied"
                    );
                }
                TestDb { dir, database_url }
            }
        }
    }

    /// Takes a run's database away.
    pub fn clear(&self, test_db: &TestDb) {
        if let Some(cluster) = &self.cluster {
            cluster.drop_database(&test_db.database_url);
        }
    }

    pub fn name(&self) -> &'static str {
        if self.cluster.is_some() {
            "PostgreSQL"
        } else {
            "SQLite"
        }
    }
}

/// The program there, impatient.
pub fn program_in(test_db: &TestDb) -> Program {
    Program::in_place(test_db)
        .with("VERDICTS_SITE__SECRET", "a secret for tests only")
        .with("VERDICTS_SITE__LISTEN", "127.0.0.1:0")
        .with("VERDICTS_SCHEDULE__PUBLISH_RANGE", "40")
        .with("VERDICTS_MAIL__RETRY__FIRST", "500ms")
        .with("VERDICTS_MAIL__LEASE", "3s")
        // Eight probes that fail one after the other double the default to ten minutes: longer than anybody waits for a run.
        .with("VERDICTS_MAIL__PAUSE__FIRST", "500ms")
        .with("VERDICTS_MAIL__PAUSE__MAX", "4s")
        .with("VERDICTS_MAIL__TIMEOUTS__CONNECT", "1s")
        .with("VERDICTS_MAIL__TIMEOUTS__COMMAND", "1s")
        .with("VERDICTS_MAIL__TIMEOUTS__DATA", "1s")
        .with("VERDICTS_MAIL__TIMEOUTS__FINISH", "1s")
}

/// Publishes a digest for so many readers over a relay that refuses connections; the readers' ids by address, and the digest's.
pub fn publish(program: &Program, readers: usize) -> (HashMap<String, String>, String) {
    seed_subscribers(program, readers);
    let sent = program.run(&["digest", "send", "--json"]);
    assert_eq!(
        (
            sent.json()["state"].as_str(),
            sent.json()["recipients"].as_u64()
        ),
        (Some("sending"), Some(readers as u64)),
        "{sent:?}"
    );
    named(program)
}

/// Freezes a digest for so many readers, and kills the program in the middle of its ranges.
fn freeze(program: &Program, readers: usize) -> (HashMap<String, String>, String) {
    seed_subscribers(program, readers);
    let program = program
        .clone()
        .with("VERDICTS_SCHEDULE__PUBLISH_RANGE", "5")
        .with("VERDICTS_LOG", "verdicts=info");
    let mut sending = program.start("frozen", &["digest", "send"]);
    let log = program.dir.join("frozen.err");
    let began = std::time::Instant::now();
    while !std::fs::read_to_string(&log).is_ok_and(|words| words.contains("digest frozen")) {
        assert!(began.elapsed().as_secs() < 60, "it is frozen");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    sending.kill();
    let audit = program.run(&["digest", "audit", "--json"]).good().json();
    assert_eq!(
        audit["digests"][0]["is_publishing"], true,
        "killed between two ranges: {audit}"
    );
    named(&program)
}

fn seed_subscribers(program: &Program, readers: usize) {
    program.run(&["migrate"]).good();
    program.write(
        "catalogue.toml",
        catalogue::small(1, "2026-11-24T09:00:00Z".parse().expect("a moment")),
    );
    program
        .run(&["catalog", "import", "catalogue.toml", "--dates-to-now"])
        .good();
    let rows: String = (0..readers)
        .map(|n| format!("r{n}@example.org\n"))
        .collect();
    program
        .run_with_input(
            &[
                "subscribers",
                "import",
                "-",
                "--consent",
                "test",
                "--confirmed",
            ],
            format!("email\n{rows}").as_bytes(),
        )
        .good();
}

/// The readers' ids by address, and the digest's.
fn named(program: &Program) -> (HashMap<String, String>, String) {
    let digests = program.run(&["digest", "list", "--json"]).good().json();
    let listed = program
        .run(&["subscribers", "list", "--json"])
        .good()
        .json();
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let ids = listed["subscribers"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|s| (text(&s["email"]), text(&s["id"])))
        .collect();
    (ids, text(&digests["digests"][0]["id"]))
}

/// A file system of its own in memory, small enough to be filled. Where nothing may be mounted it is a folder, and is
/// never full.
pub struct Disk {
    dir: tempfile::TempDir,
    pub is_small: bool,
}

impl Disk {
    fn small(megabytes: u32) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let size = format!("size={megabytes}m,mode=1777");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(dir.path())
            .output();
        let is_small = mounted.is_ok_and(|output| output.status.success());
        if !is_small {
            say(
                "No file system can be mounted here: full disks are left out of the trials. As root they are in.",
            );
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
            std::fs::set_permissions(dir.path(), open).expect("opened");
        }
        Self { dir, is_small }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Writes until there is no room.
    pub fn fill(&self) {
        use std::io::Write as _;
        let mut file = std::fs::File::create(self.filler()).expect("a file");
        let mut block = vec![1; 1 << 20];
        while !block.is_empty() {
            if file.write_all(&block).is_err() {
                block.truncate(block.len() / 2);
            }
        }
    }

    /// Makes room again.
    pub fn free(&self) {
        std::fs::remove_file(self.filler()).expect("removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_small {
            let _ = Command::new("umount")
                .arg("-l")
                .arg(self.dir.path())
                .output();
        }
    }
}
