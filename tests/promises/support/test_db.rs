//! Where a test keeps its data: a folder of its own, and a database of its own.

use super::postgres;

/// A folder and an empty database that no other test knows.
pub struct TestDb {
    pub dir: tempfile::TempDir,
    pub database_url: String,
}

impl TestDb {
    /// A new SQLite file.
    pub fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let database_url = format!("sqlite:{}/verdicts.db", dir.path().display());
        Self { dir, database_url }
    }

    /// A new database in the private PostgreSQL cluster; `None` where there are no server programs, which is said once.
    pub fn postgres() -> Option<Self> {
        let database_url = postgres::cluster()?.fresh_database();
        Some(Self {
            dir: tempfile::tempdir().expect("a folder"),
            database_url,
        })
    }

    /// An empty one on the same kind of database.
    pub fn another(&self) -> Self {
        if self.is_postgres() {
            Self::postgres().expect("a cluster, as before")
        } else {
            Self::sqlite()
        }
    }

    pub fn is_postgres(&self) -> bool {
        self.database_url.starts_with("postgres")
    }
}
