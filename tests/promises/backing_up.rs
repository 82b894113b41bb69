//! Backups: one file in the middle of whatever goes on, and a way back on which nobody is mailed twice and nothing is half done.

use std::collections::HashMap;
use std::time::Duration;

use verdicts::app::Clock;

use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue::small;
use crate::support::on_both;
use crate::support::this_week;

const READERS: usize = 240;

/// A list and a catalogue, ready to send to the sink.
fn ready(test_db: &TestDb, sink: &SmtpSink, readers: usize) -> Program {
    let program = Program::set_up(test_db)
        .with("VERDICTS_MAIL__FROM", "news@verdicts.example")
        .with("VERDICTS_MAIL__TRANSPORT", &sink.url())
        .with("VERDICTS_MAIL__CONNECTIONS", "4");
    program.write("catalog.toml", small(5, Clock::system().now()));
    program.run(&["catalog", "import", "catalog.toml"]).good();
    let rows: String = (0..readers)
        .map(|n| format!("reader{n}@example.org\n"))
        .collect();
    program.write("list.csv", format!("email\n{rows}"));
    program
        .run(&[
            "subscribers",
            "import",
            "list.csv",
            "--consent",
            "x",
            "--confirmed",
        ])
        .good();
    program
}

/// The program on a database that was restored from `file`, elsewhere.
fn restored(program: &Program, test_db: &TestDb, file: &str) -> (Program, serde_json::Value) {
    if test_db.is_postgres() {
        let elsewhere = test_db.another();
        let there = program
            .clone()
            .without("VERDICTS_DATABASE__URL")
            .with("VERDICTS_DATABASE__URL", &elsewhere.database_url);
        let said = there.run(&["--json", "restore", file]).good().json();
        return (there, said);
    }
    let said = program
        .run(&["--json", "restore", file, "--into", "elsewhere"])
        .good()
        .json();
    let url = format!("sqlite:{}/elsewhere/verdicts.db", program.dir.display());
    let there = program
        .clone()
        .without("VERDICTS_DATABASE__URL")
        .with("VERDICTS_DATABASE__URL", &url);
    (there, said)
}

fn copies(sink: &SmtpSink) -> HashMap<String, usize> {
    let mut copies = HashMap::new();
    for mail in sink.received() {
        *copies.entry(mail.to).or_default() += 1;
    }
    copies
}

on_both! {
    async fn a_backup_in_the_middle_of_a_send_is_restored_and_nobody_is_mailed_twice(test_db) {
        // BACKUP_RUNS=10: with other moments.
        let runs = std::env::var("BACKUP_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
        for run in 0..runs {
            let test_db = test_db.another();
            let sink = SmtpSink::start(Script::accept_all().delay(Duration::from_millis(12))).await;
            let program = ready(&test_db, &sink, READERS);
            let mut sending = program.start("send", &["digest", "send", "--yes", "--force"]);
            let moment = 1 + run * (READERS - 60) / runs.max(1);
            sink.wait_for(moment, Duration::from_secs(60)).await;
            let made = program.run(&["--json", "backup", "backup.tar.zst"]).good().json();
            assert_eq!(made["subscribers"], READERS);
            assert!(sink.mails() < READERS, "in mid-send: {}", sink.mails());
            assert_eq!(sending.end(), Some(0));
            let whole = copies(&sink);
            assert_eq!((whole.len(), whole.values().sum::<usize>()), (READERS, READERS));

            let (there, said) = restored(&program, &test_db, "backup.tar.zst");
            let doubtful = said["uncertain"].as_u64().expect("a number") as usize;
            assert!(doubtful > 0 && doubtful < READERS, "{said}");
            let week = this_week();
            there.run(&["digest", "resume", &week]).refused(&["restored from a backup", "--accept-gap"]);
            assert_eq!(there.run(&["digest", "send", "--yes", "--force"]).code, 1);
            assert_eq!(copies(&sink), whole, "held until a person resumes it");
            let doctor = there.run(&["doctor"]);
            assert!(doctor.out.contains("FAULT   restored"), "{}", doctor.out);
            there.run(&["digest", "resume", &week, "--accept-gap", "--force"]).good();
            let sent = there.run(&["--json", "digest", "send", "--yes", "--force"]).good().json();
            assert_eq!(sent["deliveries"]["uncertain"], doubtful, "{sent}");
            assert_eq!(sent["deliveries"]["sent"], READERS - doubtful, "{sent}");
            assert_eq!(copies(&sink), whole, "nobody is mailed twice");
            let audit = there.run(&["--json", "digest", "audit"]).good().json();
            assert_eq!(audit["holds"], true, "{audit}");
            let named = audit.to_string().matches("uncertain_at").count();
            assert_eq!(named, doubtful, "the ledger names who is in doubt: {audit}");
        }
    }

    async fn a_backup_is_checked_and_holds_secret_settings_and_counts(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&test_db, &sink, 3);
        program.run(&["backup", "one.tar.zst"]).good();
        let manifest = program.run(&["--json", "backup", "--verify", "one.tar.zst"]).good().json();
        assert_eq!((&manifest["subscribers"], &manifest["format"]), (&3.into(), &1.into()));
        let names: Vec<&str> = manifest["files"].as_array().expect("files").iter().filter_map(|file| file["name"].as_str()).collect();
        assert!(names.contains(&"settings.json") && names.contains(&"secrets") && names.contains(&"database"), "{names:?}");
        program.run(&["backup", "one.tar.zst"]).refused(&["is there already"]);
        let doctor = program.run(&["doctor"]).out;
        assert!(doctor.contains("good    backup          the last one was made 0 hours ago"), "{doctor}");
        // Nothing of the work is left.
        let left: Vec<String> = std::fs::read_dir(&program.dir).expect("a folder").map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).filter(|name| name.starts_with(".verdicts-backup")).collect();
        assert_eq!(left, [""; 0]);
    }

    async fn what_cannot_be_restored_is_refused_and_nothing_is_half_done(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&test_db, &sink, 3);
        let (key, other) = (age::x25519::Identity::generate(), age::x25519::Identity::generate());
        let write_key = |name: &str, key: &age::x25519::Identity| program.write(name, format!("# a key\n{}\n", age::secrecy::ExposeSecret::expose_secret(&key.to_string())));
        write_key("key.txt", &key);
        write_key("other.txt", &other);
        program.run(&["backup", "plain.tar.zst"]).good();
        program.run(&["backup", "sealed.age", "--encrypt", &key.to_public().to_string()]).good();
        program.run(&["backup", "no.age", "--encrypt", "age1nonsense"]).refused(&["age1nonsense", "no recipient"]);
        let whole = std::fs::read(program.dir.join("plain.tar.zst")).expect("a file");
        let sealed = std::fs::read(program.dir.join("sealed.age")).expect("a file");
        assert!(!sealed.windows(7).any(|bytes| bytes == b"reader0"));
        program.write("cut.tar.zst", &whole[..whole.len() * 2 / 3]);
        program.write("cut.age", &sealed[..sealed.len() - 20]);
        let mut changed = whole.clone();
        let at = changed.len() / 2;
        changed[at] ^= 0x10;
        program.write("changed.tar.zst", &changed);
        program.write("none.tar.zst", "this is no backup");
        program.write("newer.tar.zst", newer(&whole));
        let empty = test_db.another();
        let there = program.clone().without("VERDICTS_DATABASE__URL").with("VERDICTS_DATABASE__URL", &empty.database_url);
        let folder = empty.dir.path().to_owned();
        for (file, options, words) in [
            ("cut.tar.zst", &[][..], "no whole backup"),
            ("cut.age", &["--identity", "key.txt"], "no whole backup"),
            ("changed.tar.zst", &[], "no whole backup"),
            ("none.tar.zst", &[], "no whole backup"),
            ("nowhere.tar.zst", &[], "cannot be opened"),
            ("newer.tar.zst", &[], "newer than this program"),
            ("sealed.age", &[], "--identity"),
            ("sealed.age", &["--identity", "other.txt"], "for another key"),
            ("sealed.age", &["--identity", "list.csv"], "key file"),
        ] {
            let command = [&["restore", file][..], options].concat();
            there.run(&command).refused(&[words]);
            if file != "nowhere.tar.zst" {
                let check = [&["backup", "--verify", file][..], options].concat();
                program.run(&check).refused(&[words]);
            }
            let left: Vec<_> = std::fs::read_dir(&folder).expect("a folder").collect();
            assert!(left.is_empty(), "{file}: {left:?}");
        }
        // Over what is there, nothing is written.
        let before = test_db.dump().await;
        program.run(&["restore", "plain.tar.zst"]).refused(&["overwrites nothing"]);
        assert_eq!(test_db.dump().await, before);
        // And the right key does it.
        there.run(&["restore", "sealed.age", "--identity", "key.txt"]).good();
        assert!(there.run(&["subscribers", "list"]).good().out.contains("reader0@example.org"));
        // The other kind of database is refused with a sentence.
        if test_db.is_postgres() {
            program.run(&["restore", "plain.tar.zst", "--into", "folder"]).refused(&["of a postgres database"]);
            assert!(!program.dir.join("folder").exists());
        }
    }

    async fn who_left_after_the_backup_is_taken_in_from_an_access_log(test_db) {
        let test_app = TestApp::open(test_db).await;
        for name in ["ada", "grace", "carol", "dan"] {
            test_app.join(&format!("{name}@reader.example")).await;
        }
        test_app.deliver_confirmations().await;
        let path = |name: &str| {
            let link = test_app.goodbye_link(&format!("{name}@reader.example"));
            link[link.find("/unsubscribe/").expect("a link")..].to_owned()
        };
        test_app.app.storage.hold_restored(test_app.app.now(), test_app.app.now()).await.expect("held");
        let log = format!(
            "203.0.113.7 - - [24/Nov/2036:09:00:00 +0000] \"POST {} HTTP/1.1\" 200 1 \"-\" \"x\"\n\
             203.0.113.7 - - [24/Nov/2036:09:00:00 +0000] \"GET {} HTTP/1.1\" 200 1 \"-\" \"scanner\"\n\
             203.0.113.7 - - [24/Nov/2016:09:00:00 +0000] \"POST {} HTTP/1.1\" 200 1 \"-\" \"x\"\n\
             203.0.113.7 - - [24/Nov/2036:09:00:00 +0000] \"POST /unsubscribe/AAAA HTTP/1.1\" 404 1 \"-\" \"x\"\n\
             203.0.113.7 - - [24/Nov/2036:09:00:00 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"x\"\n\
             https://news.example{}",
            path("ada"), path("grace"), path("carol"), path("dan")
        );
        let counts = test_app.app.unsubscribe_by_links(log.as_bytes()).await.expect("read");
        assert_eq!((counts.unsubscribed, counts.only_opened, counts.before_backup, counts.invalid, counts.other), (2, 1, 1, 1, 1));
        let mut active = Vec::new();
        for name in ["ada", "grace", "carol", "dan"] {
            active.push(test_app.state_of(&format!("{name}@reader.example")).await.expect("somebody").as_str());
        }
        assert_eq!(active, ["unsubscribed", "active", "active", "unsubscribed"]);
    }
}

/// The same backup with a schema that no program has yet.
fn newer(whole: &[u8]) -> Vec<u8> {
    let mut archive = tar::Archive::new(zstd::Decoder::new(whole).expect("a backup"));
    let mut newer = tar::Builder::new(zstd::Encoder::new(Vec::new(), 1).expect("an encoder"));
    for entry in archive.entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a name").into_owned();
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut text).expect("read");
        if name.ends_with("manifest.json") {
            let mut manifest: serde_json::Value = serde_json::from_slice(&text).expect("json");
            manifest["schema"] = 99_999.into();
            text = serde_json::to_vec(&manifest).expect("json");
        }
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        newer
            .append_data(&mut header, name, &text[..])
            .expect("appended");
    }
    newer.into_inner().expect("whole").finish().expect("whole")
}
