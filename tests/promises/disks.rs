//! SQLite's file under a running service: removed, replaced, cut, damaged, or on a disk without room. `/readyz` tells, and nobody is told
//! that a sign-up was kept which was not.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use reqwest::StatusCode;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use crate::support::Program;
use crate::support::TestDb;
use crate::support::program::Running;
use crate::support::until;

/// `serve` with its pages, on a database in `dir`.
struct Served {
    running: Running,
    url: String,
    file: PathBuf,
    http: reqwest::Client,
    _place: TestDb,
}

impl Served {
    async fn start(test_db: TestDb, dir: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port")
            .local_addr()
            .expect("an address")
            .port();
        let file = dir.join("list.db");
        let program = Program::in_place(&test_db)
            .with(
                "VERDICTS_DATABASE__URL",
                &format!("sqlite:{}", file.display()),
            )
            .with("VERDICTS_SITE__SECRET", "a secret for tests only")
            .with("VERDICTS_SITE__LISTEN", &format!("127.0.0.1:{port}"));
        let running = program.start("serve", &["serve"]);
        until("it listens", async || {
            TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await;
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        Self {
            running,
            url: format!("http://127.0.0.1:{port}"),
            file,
            http,
            _place: test_db,
        }
    }

    async fn ready(&self) -> StatusCode {
        self.http
            .get(format!("{}/readyz", self.url))
            .send()
            .await
            .expect("an answer")
            .status()
    }

    async fn sign_up(&self, email: &str) -> (StatusCode, String) {
        let request = self
            .http
            .post(format!("{}/subscribe", self.url))
            .json(&serde_json::json!({ "email": email }));
        let answer = request.send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("a text"))
    }

    /// Checks that the service says that it is not ready, and that a sign-up is refused with a sentence.
    async fn is_out_of_order(&self, why: &str) {
        until(why, async || {
            self.ready().await == StatusCode::SERVICE_UNAVAILABLE
        })
        .await;
        let (status, words) = self.sign_up("lost@example.org").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{why}: {words}");
        assert!(words.contains("Nothing was changed"), "{why}: {words}");
    }

    async fn is_in_order(&self, why: &str) {
        until(why, async || self.ready().await == StatusCode::OK).await;
    }
}

async fn served_in_a_folder() -> Served {
    let test_db = TestDb::sqlite();
    let dir = test_db.dir.path().to_path_buf();
    let served = Served::start(test_db, &dir).await;
    assert_eq!(
        served.sign_up("kept@example.org").await.0,
        StatusCode::ACCEPTED
    );
    served.is_in_order("from the start").await;
    served
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", path.display()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_file_that_is_taken_away_is_missed_and_one_that_is_put_back_is_known() {
    let served = served_in_a_folder().await;
    for name in [served.file.clone(), with_ending(&served.file, "-wal")] {
        let aside = with_ending(&name, ".aside");
        std::fs::rename(&name, &aside).expect("moved");
        served.is_out_of_order("removed").await;
        assert!(!name.exists(), "and no other file is made in its place");
        std::fs::copy(&aside, &name).expect("copied");
        served.is_out_of_order("replaced by a copy").await;
        std::fs::rename(&aside, &name).expect("moved");
        served.is_in_order("put back").await;
        assert_eq!(
            served.sign_up("back@example.org").await.0,
            StatusCode::ACCEPTED
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_file_that_is_cut_or_damaged_is_not_ready() {
    for damage in ["cut", "header", "pages"] {
        let served = served_in_a_folder().await;
        let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", served.file.display()))
            .await
            .expect("a connection");
        sqlx::raw_sql("pragma wal_checkpoint(truncate)")
            .execute(&pool)
            .await
            .expect("written back");
        pool.close().await;
        let length = std::fs::metadata(&served.file).expect("a file").len() as usize;
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(&served.file)
            .expect("a file");
        use std::os::unix::fs::FileExt as _;
        match damage {
            "cut" => file.set_len(0).expect("cut"),
            "header" => file.write_all_at(&[0x5a; 100], 0).expect("written"),
            _ => file
                .write_all_at(&vec![0x5a; length - 4_096], 4_096)
                .expect("written"),
        }
        until(damage, async || {
            served.ready().await == StatusCode::SERVICE_UNAVAILABLE
        })
        .await;
    }
}

/// A small file system of its own; `None` where none can be mounted, which is said.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(dir.path())
            .output();
        if !mounted.is_ok_and(|mounted| mounted.status.success()) {
            eprintln!("No file system can be mounted here (root can): a full disk is not tried.");
            return None;
        }
        Some(Self(dir))
    }

    /// Takes what room is left.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.path().join("filler")).expect("a file");
        let mut piece = vec![0x5a; 64 << 10];
        while !piece.is_empty() {
            if std::io::Write::write_all(&mut file, &piece).is_err() {
                piece.truncate(piece.len() / 2);
            }
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.0.path().join("filler")).expect("removed");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_not_ready_takes_no_sign_up_and_does_not_hold_up_the_end() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let mut served = Served::start(TestDb::sqlite(), disk.0.path()).await;
    served.is_in_order("with room").await;
    disk.fill();
    served.is_out_of_order("no room").await;
    disk.free();
    served.is_in_order("room again").await;
    let left = std::fs::read_dir(disk.0.path())
        .expect("a folder")
        .filter_map(|file| file.ok()?.file_name().into_string().ok());
    assert_eq!(
        left.filter(|name| name.contains("probe")).count(),
        0,
        "a look leaves nothing behind"
    );
    assert_eq!(
        served.sign_up("kept@example.org").await.0,
        StatusCode::ACCEPTED
    );
    disk.fill();
    served.is_out_of_order("no room").await;
    let began = Instant::now();
    served.running.terminate();
    // It was 55 s; the limit is ten, and a busy machine is slow.
    assert!(
        began.elapsed() < Duration::from_secs(25),
        "{:?}",
        began.elapsed()
    );
}
