//! The floors of the house: an import may only point down, rooms of one floor never name each other, and each library has
//! its home.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// From the ground up.
const FLOORS: [&[&str]; 6] = [
    &["domain"],
    &["config", "telemetry", "dial"],
    &["storage", "render", "mail", "identity"],
    &["app"],
    &["web", "schedule", "inbox"],
    &["cli"],
];

/// Which libraries may be named in one room only.
const HOMES: [(&str, &str); 20] = [
    ("sqlx", "storage"),
    ("askama", "render"),
    ("pulldown_cmark", "render"),
    ("resvg", "render"),
    ("skrifa", "render"),
    ("lettre", "mail"),
    ("mail_parser", "mail"),
    ("mail_auth", "mail"),
    ("aws_lc_rs", "mail"),
    ("psl", "mail"),
    ("tokio_rustls", "mail"),
    ("webpki", "mail"),
    ("axum", "web"),
    ("axum_extra", "web"),
    ("tower_http", "web"),
    ("tokio_cron_scheduler", "schedule"),
    ("clap", "cli"),
    ("argon2", "identity"),
    ("totp_rs", "identity"),
    ("qrcode", "identity"),
];

/// What the ground floor must do without.
const NOT_IN_DOMAIN: [&str; 5] = ["tokio", "std::fs", "std::net::Tcp", "async fn", "::now("];

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Every file of a room, with its text less comments.
fn rooms() -> Vec<(String, PathBuf, String)> {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    let code = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a source");
        text.lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let room = |path: &PathBuf| {
        path.iter()
            .nth(1)
            .expect("a room")
            .to_string_lossy()
            .trim_end_matches(".rs")
            .to_owned()
    };
    files
        .into_iter()
        .filter(|path| path.components().count() > 2)
        .map(|path| (room(&path), path.clone(), code(&path)))
        .collect()
}

#[test]
fn an_import_points_down_and_never_sideways() {
    let rooms = rooms();
    assert!(rooms.len() > 40, "the sources were found");
    for (room, path, code) in &rooms {
        let here =
            floor_of(room).unwrap_or_else(|| panic!("{} stands on no floor", path.display()));
        for named in code.split("crate::").skip(1) {
            let named: String = named
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let Some(there) = floor_of(&named) else {
                continue;
            };
            assert!(
                &named == room || there < here,
                "{} names {named}, which is not below {room}",
                path.display()
            );
        }
    }
}

#[test]
fn a_library_is_named_in_its_home_only() {
    for (room, path, code) in rooms() {
        for (library, home) in HOMES {
            let names =
                code.contains(&format!("{library}::")) || code.contains(&format!("use {library};"));
            assert!(
                room == home || !names,
                "{} names {library}, whose home is {home}",
                path.display()
            );
        }
    }
}

/// A name with a dead address before a good one is met at every door, so there is one way out of the house.
#[test]
fn connections_to_other_hosts_are_made_in_one_place() {
    for (room, path, code) in rooms() {
        for word in [
            "TcpStream::connect",
            "TcpSocket::",
            "lookup_host",
            "to_socket_addrs",
            "ToSocketAddrs",
        ] {
            let is_test = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().ends_with("tests.rs"));
            assert!(
                room == "dial" || is_test || !code.contains(word),
                "{} has {word}: use dial::Destination",
                path.display()
            );
        }
    }
}

#[test]
fn the_ground_floor_has_no_doors_and_no_clock() {
    for (_, path, code) in rooms().into_iter().filter(|(room, ..)| room == "domain") {
        for word in NOT_IN_DOMAIN {
            assert!(!code.contains(word), "{} has {word}", path.display());
        }
    }
}

/// Upper bound on the lines of a file.
const LINES_MAX: usize = 450;

/// Files that are longer still, with a length beyond which they must not grow. A file that is split leaves this list.
const LONGER: [(&str, usize); 8] = [
    ("src/app/issue/digests.rs", 640),
    ("src/app/mod.rs", 480),
    ("src/storage/delivery_batches.rs", 460),
    ("src/storage/mod.rs", 520),
    ("src/storage/personal_data.rs", 470),
    ("src/storage/refusals.rs", 470),
    ("tests/promises/carrying_over.rs", 630),
    ("tests/promises/personal_data.rs", 460),
];

#[test]
fn a_file_is_short_enough_to_be_read() {
    let mut files = Vec::new();
    for dir in ["src", "tests", "benches"] {
        sources(Path::new(dir), &mut files);
    }
    assert!(files.len() > 400, "the sources were found");
    let too_long: Vec<String> = files
        .iter()
        .filter_map(|path| {
            let most = LONGER
                .iter()
                .find(|(longer, _)| path == Path::new(longer))
                .map_or(LINES_MAX, |(_, most)| *most);
            let lines = fs::read_to_string(path).expect("a source").lines().count();
            (lines > most).then(|| format!("{}: {lines} lines of {most}", path.display()))
        })
        .collect();
    assert!(
        too_long.is_empty(),
        "split by what they hold: {too_long:#?}"
    );
}
