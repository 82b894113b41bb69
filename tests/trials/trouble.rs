//! How each trouble is made, and what ends it.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection as _;
use tokio::task::JoinSet;

use crate::field::Field;
use crate::plan::Trouble;
use crate::senders::Senders;
use crate::support::Behaviour;
use crate::support::SmtpSink;
use crate::support::Stage;
use crate::support::TestDb;
use crate::support::Wire;
use crate::support::postgres::Cluster;

/// A frozen process wakes so long after its lease (3 seconds, see `program_in`) is over.
const FREEZE: Duration = Duration::from_millis(3_800);

/// Where Debian's package faketime has its library.
const FAKETIME: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// What a run has that troubles act on.
pub struct Scene<'a> {
    pub field: &'a Arc<Field>,
    pub test_db: &'a TestDb,
    pub sink: &'a Arc<SmtpSink>,
    pub clock: &'a Clock,
    /// The senders' way to PostgreSQL.
    pub wire: Option<&'a Arc<Wire>>,
    /// Ends of troubles that last.
    pub mending: JoinSet<()>,
}

impl Scene<'_> {
    /// Makes one trouble. What lasts ends by itself, meanwhile the next may strike.
    pub async fn strike(&mut self, trouble: Trouble, senders: &mut Senders) -> Result<(), String> {
        match trouble {
            Trouble::Kill => {
                senders.kill();
                senders.add();
            }
            Trouble::Terminate => {
                senders.terminate().await?;
                senders.add();
            }
            Trouble::Freeze => {
                senders.oldest().signal("STOP");
                senders.add();
                tokio::time::sleep(FREEZE).await;
                senders.oldest().signal("CONT");
            }
            Trouble::StallRelay { outage } => {
                self.sink.stall();
                let sink = self.sink.clone();
                self.later(outage, move || sink.go_on());
            }
            Trouble::SilentRelay { outage } => {
                self.sink.order(Stage::MailFrom, "*", Behaviour::hang());
                let sink = self.sink.clone();
                self.later(outage, move || {
                    sink.order(Stage::MailFrom, "*", Behaviour::hang().times(0))
                });
            }
            Trouble::LateDot { by } => self.sink.order(
                Stage::AfterBody,
                "*",
                Behaviour::late(Duration::from_millis(by)).times(1),
            ),
            Trouble::SlowGreeting { by, outage } => {
                self.sink.set_hello_delay(Duration::from_millis(by));
                let sink = self.sink.clone();
                self.later(outage, move || sink.set_hello_delay(Duration::ZERO));
            }
            Trouble::CutInBody => self
                .sink
                .order(Stage::InBody, "*", Behaviour::close().times(1)),
            Trouble::CutAfterDot => {
                self.sink
                    .order(Stage::AfterBody, "*", Behaviour::close().times(1))
            }
            Trouble::HangUps { mails } => {
                self.sink
                    .order(Stage::AfterBody, "*", Behaviour::close().times(mails))
            }
            Trouble::JumpClock { minutes } => self.clock.set(minutes * 60),
            Trouble::VanishDatabase { outage } => {
                self.mend().await;
                if let Some(wire) = self.wire {
                    wire.vanish();
                    let (wire, port) = (
                        wire.clone(),
                        self.field.cluster.as_ref().map_or(0, Cluster::port),
                    );
                    self.later(outage, move || wire.lead_to(port));
                }
            }
            Trouble::CutDatabase
            | Trouble::StopDatabase { .. }
            | Trouble::LockDatabase { .. }
            | Trouble::FillDisk { .. } => {
                self.mend().await;
                self.strike_database(trouble).await;
            }
        }
        Ok(())
    }

    async fn strike_database(&mut self, trouble: Trouble) {
        let field = self.field.clone();
        match trouble {
            Trouble::CutDatabase => {
                let url = self.test_db.database_url.clone();
                blocking(move || {
                    field
                        .cluster
                        .as_ref()
                        .map(|cluster| cluster.cut_connections(&url))
                })
                .await;
            }
            Trouble::StopDatabase { outage, immediate } => {
                let stopped = field.clone();
                blocking(move || {
                    stopped
                        .cluster
                        .as_ref()
                        .map(|cluster| cluster.stop(immediate))
                })
                .await;
                self.later(outage, move || field.go_on());
            }
            Trouble::LockDatabase { outage } => {
                // Another process in all but name: a connection of its own to the file.
                let url = self.test_db.database_url.clone();
                let mut other = sqlx::SqliteConnection::connect(&url)
                    .await
                    .expect("the file opens");
                sqlx::query("pragma busy_timeout = 60000")
                    .execute(&mut other)
                    .await
                    .expect("set");
                sqlx::query("begin immediate")
                    .execute(&mut other)
                    .await
                    .expect("locked");
                self.mending.spawn(async move {
                    tokio::time::sleep(Duration::from_millis(outage)).await;
                    sqlx::query("rollback")
                        .execute(&mut other)
                        .await
                        .expect("unlocked");
                    other.close().await.expect("closed");
                });
            }
            Trouble::FillDisk { outage } => {
                let full = field.clone();
                blocking(move || full.disk.fill()).await;
                self.later(outage, move || {
                    field.disk.free();
                    // A server whose log found no room has ended.
                    field.go_on();
                });
            }
            _ => {}
        }
    }

    fn later(&mut self, outage: u64, end: impl FnOnce() + Send + 'static) {
        self.mending.spawn(async move {
            tokio::time::sleep(Duration::from_millis(outage)).await;
            blocking(end).await;
        });
    }

    /// Waits until every trouble that lasts is over.
    pub async fn mend(&mut self) {
        while let Some(ended) = self.mending.join_next().await {
            ended.expect("mended");
        }
    }
}

impl Field {
    fn go_on(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.go_on();
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("done")
}

/// The clock of the program's machine: libfaketime under the program, told by a file how far it is off. Only the wall clock
/// jumps, as a real one does; the monotonic one stays.
pub struct Clock {
    /// Not on the disk that may be full.
    folder: tempfile::TempDir,
}

impl Clock {
    pub fn right() -> Self {
        let clock = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        clock.set(0);
        clock
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("clock")
    }

    /// Seconds off.
    pub fn set(&self, seconds: i64) {
        // Whole at every moment: renamed, not written over.
        let new = self.file().with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n"))
            .and_then(|()| std::fs::rename(&new, self.file()))
            .expect("written");
    }

    /// What the program is started with.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let library = Self::library().unwrap_or_default();
        vec![
            ("LD_PRELOAD", library.to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    /// None where the package is not installed.
    pub fn library() -> Option<&'static str> {
        FAKETIME.into_iter().find(|path| Path::new(path).exists())
    }
}
