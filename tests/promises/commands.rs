//! The commands as an operator's scripts know them: exit codes, JSON, sentences, and `serve` as a newcomer starts it.

mod newcomer;
mod settings;

use std::time::Duration;

use serde_json::Value;

use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue::small;
use crate::support::on_both;
use crate::support::program::Said;
use crate::support::this_week;

/// Names are `snake_case`, ids texts, moments RFC 3339 in UTC: everywhere in an answer.
fn is_in_style(value: &Value) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            assert!(
                name.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{name} in {value}"
            );
            assert!(name != "id" || value.is_string(), "{value}");
            if name == "at" || name.ends_with("_at") || name == "next_due" {
                let moment = value.as_str().map(|text| {
                    text.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(text).is_ok()
                });
                assert!(moment.unwrap_or(value.is_null()), "{name}: {value}");
            }
            is_in_style(value);
        }),
        Value::Array(items) => items.iter().for_each(is_in_style),
        _ => {}
    }
}

/// The JSON document that a command prints while it logs all it can.
fn document(program: &Program, arguments: &[&str]) -> Value {
    let program = program.clone().with("VERDICTS_LOG", "trace");
    let said = program.run(&[&["--json"], arguments].concat());
    assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
    is_in_style(&said.json());
    said.json()
}

fn has(value: &Value, names: &[&str]) {
    for name in names {
        assert!(value.get(name).is_some(), "{name} in {value}");
    }
}

/// Neither stream gives the password away.
fn keeps_the_secret(said: Said) -> Said {
    assert!(
        !said.out.contains("hunter2") && !said.err.contains("hunter2"),
        "{said:?}"
    );
    said
}

fn plain() -> (TestDb, Program) {
    let test_db = TestDb::sqlite();
    let program = Program::in_place(&test_db);
    (test_db, program)
}

on_both! {
    async fn every_answer_is_one_json_document_in_the_promised_shape(test_db) {
        let program = Program::set_up(&test_db);
        program.write("c.toml", small(6, verdicts::app::Clock::system().now()));
        program.write("l.csv", "email,state\nada@example.org,\nbob@example.org,\nbroken,\nleft@example.org,unsubscribed\n");
        has(&document(&program, &["migrate"]), &["status"]);
        has(&document(&program, &["catalog", "check", "c.toml"]), &["tools", "reviews", "comparisons"]);
        has(&document(&program, &["catalog", "import", "c.toml"])["reviews"], &["added", "changed", "unchanged"]);
        has(&document(&program, &["catalog", "export", "-"]), &["tools", "comparisons"]);
        let picks = document(&program, &["digest", "pick"]);
        assert_eq!((&picks["slot"], picks["picks"].as_array().map(Vec::len)), (&Value::from(this_week()), Some(5)));
        assert!(picks["picks"][0]["score"].is_number() && picks["picks"][0]["comparison"].is_string());
        assert!(picks["picks"][0]["reasons"].as_array().is_some_and(|reasons| reasons.iter().all(Value::is_string)));
        has(&document(&program, &["digest", "preview", "--out", "out"]), &["slot"]);
        let imported = document(&program, &["subscribers", "import", "l.csv", "--consent", "x", "--confirmed"]);
        has(&imported, &["read", "added", "known", "suppressed", "refused"]);
        has(&imported["refusals"][0], &["line", "reason"]);
        has(&document(&program, &["digest", "send", "--to", "editor@example.org"]), &["to"]);

        let id = this_week().replace("-W", "");
        for command in [&["digest", "send"][..], &["digest", "show", &this_week()]] {
            let digest = document(&program, command);
            assert_eq!((&digest["id"], &digest["slot"], &digest["state"]), (&Value::from(this_week()), &Value::from(this_week()), &"sent".into()));
            let counted = ["queued", "sending", "sent", "failed", "uncertain"].map(|state| digest["deliveries"][state].as_u64());
            assert_eq!((&digest["recipients"], counted), (&2.into(), [Some(0), Some(0), Some(2), Some(0), Some(0)]));
        }
        has(&document(&program, &["digest", "list"])["digests"][0], &["id", "slot", "state", "recipients"]);
        assert_eq!(document(&program, &["digest", "audit"])["holds"], true);
        assert_eq!(document(&program, &["digest", "audit", &id])["holds"], true);
        let ada = document(&program, &["subscribers", "show", "ada@example.org"]);
        assert!(ada["consent"].is_object() && ada["email"] == "ada@example.org" && ada["state"] == "active");
        has(&ada["history"][0], &["at", "what"]);
        has(&document(&program, &["subscribers", "list"])["subscribers"][0], &["id", "email", "state"]);
        document(&program, &["subscribers", "add", "new@example.org", "--consent", "x"]);
        document(&program, &["subscribers", "export", "out.csv"]);
        document(&program, &["subscribers", "erase", "bob@example.org"]);
        document(&program, &["doctor"]);
        has(&document(&program, &["config"])["settings"][0], &["key", "value", "origin"]);
        document(&program, &["catalog", "drop-sample"]);
    }

    async fn an_export_to_a_file_is_answered_in_json_too(test_db) {
        let program = Program::set_up(&test_db);
        document(&program, &["subscribers", "export", "out.csv"]);
        document(&program, &["catalog", "export", "out.json"]);
    }

    async fn migrating_twice_is_migrating_once(test_db) {
        let program = Program::set_up(&test_db);
        let before = test_db.dump().await;
        program.run(&["migrate"]).good();
        assert_eq!(test_db.dump().await, before);
    }

    async fn a_mail_server_that_cannot_be_reached_stops_a_send_and_loses_nothing(test_db) {
        let test_app = TestApp::open(test_db.again()).await;
        test_app.seed_catalogue(&small(3, verdicts::app::Clock::system().now())).await;
        test_app.seed_subscribers("reader", 2).await;
        let program = Program::set_up(&test_db).with("VERDICTS_MAIL__TRANSPORT", "smtp://news:hunter2@127.0.0.1:1?tls=none");
        let said = keeps_the_secret(program.run(&["--json", "digest", "send"]));
        assert!(said.code == 1 && said.err.contains("127.0.0.1:1") && said.err.contains("mail.transport"), "{said:?}");
        assert_eq!(said.json()["deliveries"]["queued"], 2);
        let copy = keeps_the_secret(program.run(&["digest", "send", "--to", "editor@example.org"]));
        copy.refused(&["127.0.0.1:1", "mail.transport"]);
        let doctor = keeps_the_secret(program.run(&["doctor"]));
        assert!(doctor.code == 1 && doctor.out.contains("FAULT   transport") && doctor.out.contains("127.0.0.1:1"), "{doctor:?}");

        let sink = SmtpSink::start(Script::accept_all()).await;
        let mended = program.with("VERDICTS_MAIL__TRANSPORT", &sink.url());
        let mut sender = mended.start("sender", &["serve", "--role", "deliver"]);
        sink.wait_for(2, Duration::from_secs(60)).await;
        assert_eq!(sender.terminate(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_nothing_starts_before_migrate_and_says_so() {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    let program = Program::in_place(&test_db).with("VERDICTS_SITE__LISTEN", "127.0.0.1:0");
    for arguments in [
        &["serve"][..],
        &["digest", "list"],
        &["subscribers", "list"],
        &["digest", "send"],
        &["catalog", "export", "-"],
    ] {
        program.run(arguments).refused(&["run `verdicts migrate`"]);
    }
    let doctor = program.run(&["doctor"]);
    assert!(
        doctor.code == 1 && doctor.out.contains("run `verdicts migrate`"),
        "{doctor:?}"
    );
    assert!(test_db.dump().await.is_empty());
}

#[test]
fn wrong_usage_exits_with_2_and_prints_no_data() {
    let (_place, program) = plain();
    for arguments in [
        &[][..],
        &["dance"],
        &["digest"],
        &["digest", "show"],
        &["digest", "show", "2026-W99"],
        &["digest", "pick", "--as-of", "tomorrow"],
        &["digest", "preview"],
        &["subscribers", "import", "list.csv"],
        &["subscribers", "add", "nonsense", "--consent", "x"],
        &["subscribers", "list", "--state", "happy"],
        &["serve", "--role", "dance"],
        &["catalog", "import"],
        &["--verbosity", "config"],
    ] {
        let said = program.run(arguments);
        assert_eq!(
            (said.code, said.out.as_str()),
            (2, ""),
            "{arguments:?}: {said:?}"
        );
        assert!(
            !said.err.is_empty() && !said.err.contains("panicked"),
            "{said:?}"
        );
    }
    assert!(
        !program.dir.join("verdicts.db").exists(),
        "and nothing was begun"
    );
}

#[test]
fn a_database_that_cannot_be_reached_is_a_sentence() {
    let (_place, program) = plain();
    let program = program
        .with(
            "VERDICTS_DATABASE__URL",
            "postgres://me:hunter2@127.0.0.1:1/x",
        )
        .with("VERDICTS_DATABASE__WAIT_AT_START", "1s");
    std::thread::scope(|scope| {
        for arguments in [&["digest", "list"][..], &["migrate"], &["serve"]] {
            let program = &program;
            scope.spawn(move || {
                keeps_the_secret(program.run(arguments))
                    .refused(&["cannot be reached", "database.url"])
            });
        }
        let doctor = keeps_the_secret(program.run(&["doctor"]));
        assert!(
            doctor.code == 1
                && doctor.out.contains("FAULT")
                && doctor.out.contains("cannot be reached"),
            "{doctor:?}"
        );
    });
}

#[test]
fn doctor_on_the_defaults_is_well_and_has_advice() {
    let (_place, program) = plain();
    let program = program.without("VERDICTS_DATABASE__URL");
    program.run(&["migrate"]).good();
    let said = program.run(&["--json", "doctor"]).good().json();
    let findings = said["findings"].as_array().expect("a list");
    let advice: Vec<_> = findings
        .iter()
        .filter(|finding| finding["level"] == "advice")
        .filter_map(|finding| finding["what"].as_str())
        // These get old by the calendar.
        .filter(|what| !["time_zones", "compiled_data"].contains(what))
        .collect();
    assert_eq!(
        advice,
        [
            "catalogue",
            "subscribers",
            "transport",
            "base_url",
            "sender",
            "postal_address",
            "reply_to"
        ]
    );
    assert!(findings.iter().all(|finding| {
        finding["words"]
            .as_str()
            .is_some_and(|words| !words.is_empty())
    }));
}
