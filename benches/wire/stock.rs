//! Databases full of readers, made once and copied for each run, and the program on one of them.

pub mod test_db;

use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::postgres;
use crate::postgres::Cluster;
use crate::wanted::Wanted;
use test_db::SETTINGS;
use test_db::TestDb;

/// Comparisons in a digest (`picker.max_items`).
const MOST: usize = 5;

/// The ledger's database, and what a power cut may cost there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Database {
    SqliteFull,
    SqliteRelaxed,
    PostgresFull,
    PostgresRelaxed,
}

impl Database {
    pub const ALL: [Self; 4] = [
        Self::SqliteFull,
        Self::SqliteRelaxed,
        Self::PostgresFull,
        Self::PostgresRelaxed,
    ];

    pub fn named(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|database| database.name() == name)
            .unwrap_or_else(|| {
                panic!(
                    "{name} is no database; known are {}",
                    Self::ALL.map(Self::name).join(", ")
                )
            })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::SqliteFull => "sqlite-full",
            Self::SqliteRelaxed => "sqlite-relaxed",
            Self::PostgresFull => "postgres-full",
            Self::PostgresRelaxed => "postgres-relaxed",
        }
    }

    pub fn is_postgres(self) -> bool {
        matches!(self, Self::PostgresFull | Self::PostgresRelaxed)
    }

    fn durability(self) -> &'static str {
        if matches!(self, Self::SqliteFull | Self::PostgresFull) {
            "full"
        } else {
            "relaxed"
        }
    }
}

/// The databases of this run, on the disk that `TMPDIR` is on.
pub struct Stock {
    /// Another program than the one that was built with the benchmark.
    pub program: Option<PathBuf>,
    templates: HashMap<(bool, usize), Template>,
    cluster: Option<Cluster>,
    folder: tempfile::TempDir,
}

struct Template {
    file: PathBuf,
    url: String,
}

impl Stock {
    pub fn new(wanted: &Wanted) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(folder.path(), open).expect("opened");
        let needs_cluster = wanted
            .databases
            .iter()
            .any(|database| database.is_postgres());
        let cluster = if needs_cluster {
            postgres::another(SETTINGS, Some(folder.path()))
        } else {
            None
        };
        Self {
            program: wanted.program.clone(),
            templates: HashMap::new(),
            cluster,
            folder,
        }
    }

    /// Whether it can be had here.
    pub fn has(&self, database: Database) -> bool {
        !database.is_postgres() || self.cluster.is_some()
    }

    /// A database with so many readers, and no catalogue.
    pub fn test_db(&mut self, database: Database, readers: usize) -> TestDb {
        let key = (database.is_postgres(), readers);
        if !self.templates.contains_key(&key) {
            let template = self.prepare(database, readers);
            self.templates.insert(key, template);
        }
        let test_db = self.copy(database, &self.templates[&key]);
        // So that the copying does not go on beneath what is measured.
        let _ = Command::new("sync").status();
        test_db
    }

    fn prepare(&self, database: Database, readers: usize) -> Template {
        let test_db = self.empty(database);
        test_db.run(&["migrate"]);
        let csv = test_db.dir.path().join("readers.csv");
        let mut file = std::io::BufWriter::new(std::fs::File::create(&csv).expect("a file"));
        writeln!(file, "email").expect("written");
        (0..readers).for_each(|n| writeln!(file, "reader{n}@example.org").expect("written"));
        file.flush().expect("written");
        let began = Instant::now();
        test_db.run(&[
            "subscribers",
            "import",
            "readers.csv",
            "--consent",
            "benchmark",
            "--confirmed",
        ]);
        let took = began.elapsed().as_secs_f64();
        eprintln!(
            "{readers} readers imported into {} in {took:.1} s",
            if database.is_postgres() {
                "PostgreSQL"
            } else {
                "SQLite"
            }
        );
        std::fs::remove_file(csv).expect("removed");
        if let Some(cluster) = self.cluster.as_ref().filter(|_| database.is_postgres()) {
            cluster.query("checkpoint");
        }
        let url = test_db.url.clone();
        Template {
            file: test_db.dir.keep().join("verdicts.db"),
            url,
        }
    }

    fn empty(&self, database: Database) -> TestDb {
        let dir = tempfile::tempdir_in(self.folder.path()).expect("a folder");
        let url = match &self.cluster {
            Some(cluster) if database.is_postgres() => cluster.fresh_database(),
            _ => format!("sqlite:{}/verdicts.db", dir.path().display()),
        };
        TestDb::new(dir, url, database, self.program.clone())
    }

    fn copy(&self, database: Database, template: &Template) -> TestDb {
        let dir = tempfile::tempdir_in(self.folder.path()).expect("a folder");
        let url = match &self.cluster {
            Some(cluster) if database.is_postgres() => cluster.copy_of(&template.url),
            _ => {
                for ending in ["db", "db-wal"] {
                    let (from, to) = (
                        template.file.with_extension(ending),
                        dir.path().join(format!("verdicts.{ending}")),
                    );
                    assert!(!from.exists() || std::fs::copy(from, to).is_ok(), "copied");
                }
                format!("sqlite:{}/verdicts.db", dir.path().display())
            }
        };
        TestDb::new(dir, url, database, self.program.clone())
    }

    /// Bytes that a database takes on the disk.
    pub fn size(&self, test_db: &TestDb) -> u64 {
        match &self.cluster {
            Some(cluster) if test_db.url.starts_with("postgres") => {
                let name = test_db.url.rsplit('/').next().unwrap_or_default();
                cluster
                    .query(&format!("select pg_database_size('{name}')"))
                    .trim()
                    .parse()
                    .expect("a number")
            }
            _ => std::fs::metadata(test_db.dir.path().join("verdicts.db"))
                .expect("a file")
                .len(),
        }
    }

    /// Takes a database away.
    pub fn clear(&self, test_db: TestDb) {
        if let Some(cluster) = self
            .cluster
            .as_ref()
            .filter(|_| test_db.url.starts_with("postgres"))
        {
            cluster.drop_database(&test_db.url);
        }
    }
}

/// So many comparisons of two tools each, with two reviews each.
fn catalogue(comparisons: usize) -> String {
    let review = |reviewer: &str, score: u32| {
        let verdict = if score > 50 { "ship" } else { "skip" };
        format!(
            "[[tools.reviews]]\nreviewer = \"{reviewer}\"\nscore = {score}\nverdict = \"{verdict}\"\n\
             take = \"It does one thing and leaves the rest to whoever comes next. I would wait.\"\n"
        )
    };
    let tool = |slug: String, score: u32| {
        format!(
            "[[tools]]\nslug = \"{slug}\"\nname = \"Tool {slug}\"\ncategory = \"Data\"\ntagline = \"One thing\"\n\
             description = \"It does one thing.\"\npricing = \"Free\"\nentry_price = \"Free\"\npublished_at = 2026-11-16T09:00:00Z\n{}{}",
            review("Builder", score),
            review("Skeptic", score / 2)
        )
    };
    let comparison = |n: usize| {
        format!(
            "{}{}[[comparisons]]\nleft = \"t{n}-left\"\nright = \"t{n}-right\"\npublished_at = 2026-11-17T09:00:00Z\n",
            tool(format!("t{n}-left"), 82),
            tool(format!("t{n}-right"), 31)
        )
    };
    (0..comparisons).map(comparison).collect()
}
