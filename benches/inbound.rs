//! What comes back, and what comes in from elsewhere: `cargo bench --bench inbound [-- ROWS]`.
//!
//! Reads the mails of `tests/inbound` on one core, over and over, and prints how many a second; the reference is mail-parser alone,
//! which takes the same mails apart and draws no conclusion. Then the compiled program imports a file of ROWS (1,000,000) into an empty
//! database, on SQLite and, where it is installed, on PostgreSQL (a cluster of its own, fsync on): seconds, rows a second, and the
//! peak memory of the process. The reference is a plain read of the file by the csv crate.

#![allow(
    unreachable_pub,
    reason = "the modules of a benchmark program have no other readers"
)]

#[path = "../tests/promises/support/postgres/mod.rs"]
mod postgres;

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use mail_parser::MessageParser;
use verdicts::mail::inbound::read;

const PROGRAM: &str = env!("CARGO_BIN_EXE_verdicts");

/// As Debian sets PostgreSQL up; the tests' own cluster waits for no disk.
const SETTINGS: &str = "fsync = on\nsynchronous_commit = on\nfull_page_writes = on\nwal_level = replica\nmax_wal_size = '2GB'\n";

/// How long each side of a comparison runs, in turns.
const TURN: Duration = Duration::from_millis(700);
const TURNS: usize = 3;

fn main() {
    let rows: usize = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(1_000_000);
    reading();
    importing(rows);
}

fn reading() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inbound");
    let files = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|file| file.expect("a file").path());
    let mails: Vec<Vec<u8>> = files
        .filter(|path| path.extension().is_some_and(|end| end == "eml"))
        .map(|path| std::fs::read(path).expect("a mail"))
        .collect();
    let bytes: usize = mails.iter().map(Vec::len).sum();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        ours.push(rate(&mails, |mail| read(mail).findings.len()));
        theirs.push(rate(&mails, |mail| {
            MessageParser::default()
                .parse(mail)
                .map_or(0, |message| message.parts.len())
        }));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "{} mails of {} bytes on the average, one core",
        mails.len(),
        bytes / mails.len().max(1)
    );
    println!("read and understood      {ours:>9.0} mails/s");
    println!(
        "mail-parser alone        {theirs:>9.0} mails/s  (ratio {:.2})",
        ours / theirs
    );
}

/// Mails a second.
fn rate(mails: &[Vec<u8>], work: impl Fn(&[u8]) -> usize) -> f64 {
    let began = Instant::now();
    let mut done = 0;
    while began.elapsed() < TURN {
        for mail in mails {
            black_box(work(black_box(mail)));
        }
        done += mails.len();
    }
    done as f64 / began.elapsed().as_secs_f64()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn importing(rows: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    // PostgreSQL's server is somebody else where we are root.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(), open).expect("opened");
    let file = folder.path().join("readers.csv");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&file).expect("a file"));
    writeln!(out, "email,name,confirmed_at,source").expect("written");
    for n in 0..rows {
        writeln!(
            out,
            "reader{n}@example{}.org,\"Reader {n}\",2026-01-02T03:04:05Z,web",
            n % 97
        )
        .expect("written");
    }
    out.into_inner().expect("written");

    let began = Instant::now();
    let plain = csv::Reader::from_path(&file)
        .expect("a file")
        .into_byte_records()
        .filter(Result::is_ok)
        .count();
    let reference = began.elapsed();
    println!(
        "{plain} rows; csv alone reads them in {:.1} s",
        reference.as_secs_f64()
    );

    let database = folder.path().join("v.db");
    import(
        folder.path(),
        &file,
        "SQLite",
        &format!("sqlite:{}", database.display()),
        rows,
    );
    match postgres::another(SETTINGS, Some(folder.path())) {
        Some(cluster) => import(
            folder.path(),
            &file,
            "PostgreSQL",
            &cluster.fresh_database(),
            rows,
        ),
        None => println!("PostgreSQL is not installed"),
    }
}

fn import(folder: &Path, file: &Path, name: &str, url: &str, rows: usize) {
    let program = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .current_dir(folder)
            .env("VERDICTS_DATABASE__URL", url);
        command
            .env("VERDICTS_SITE__SECRET", "a secret for benchmarks")
            .env("RUST_LOG", "error");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    };
    assert!(
        program(&["migrate"])
            .status()
            .expect("the program")
            .success()
    );
    let began = Instant::now();
    let path = file.display().to_string();
    let mut child = program(&[
        "subscribers",
        "import",
        &path,
        "--consent",
        "benchmark",
        "--confirmed",
    ])
    .spawn()
    .expect("the program");
    let peak = peak_memory(&mut child);
    let took = began.elapsed().as_secs_f64();
    println!(
        "{name:<24} {took:>9.1} s  {:>9.0} rows/s  peak memory {:.0} MB",
        rows as f64 / took,
        peak as f64 / 1024.0
    );
}

/// The largest resident size in KiB, read while it runs.
fn peak_memory(child: &mut Child) -> u64 {
    let mut peak = 0;
    loop {
        if let Some(ended) = child.try_wait().expect("a state") {
            assert!(ended.success());
            return peak;
        }
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = peak.max(
            line.and_then(|line| line.split_whitespace().next()?.parse().ok())
                .unwrap_or(0),
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
