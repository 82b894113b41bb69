//! The commands as an operator's scripts know them: exit codes, JSON, sentences, and `serve` as a newcomer starts it.

use crate::support::House;
use crate::support::Place;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::catalogue::small;
use crate::support::house::START;
use crate::support::on_both;
use crate::support::program::Running;
use crate::support::program::Said;
use crate::support::this_week;
use serde_json::Value;
use std::time::Duration;
use std::time::Instant;

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

fn plain() -> (Place, Program) {
    let place = Place::sqlite();
    let program = Program::in_place(&place);
    (place, program)
}

on_both! {
    async fn every_answer_is_one_json_document_in_the_promised_shape(place) {
        let program = Program::set_up(&place);
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

    async fn an_export_to_a_file_is_answered_in_json_too(place) {
        let program = Program::set_up(&place);
        document(&program, &["subscribers", "export", "out.csv"]);
        document(&program, &["catalog", "export", "out.json"]);
    }

    async fn migrating_twice_is_migrating_once(place) {
        let program = Program::set_up(&place);
        let before = place.dump().await;
        program.run(&["migrate"]).good();
        assert_eq!(place.dump().await, before);
    }

    async fn a_mail_server_that_cannot_be_reached_stops_a_send_and_loses_nothing(place) {
        let house = House::open(place.again()).await;
        house.stock(&small(3, verdicts::app::Clock::system().now())).await;
        house.enlist("reader", 2).await;
        let program = Program::set_up(&place).with("VERDICTS_MAIL__TRANSPORT", "smtp://news:hunter2@127.0.0.1:1?tls=none");
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
    let Some(place) = Place::postgres() else {
        return;
    };
    let program = Program::in_place(&place).with("VERDICTS_SITE__LISTEN", "127.0.0.1:0");
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
    assert!(place.dump().await.is_empty());
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
fn a_setting_that_cannot_be_used_is_named_with_its_place() {
    let (_place, program) = plain();
    for (name, value, words) in [
        (
            "VERDICTS_MAIL__TRANSPRT",
            "x",
            vec!["VERDICTS_MAIL__TRANSPRT", "no setting"],
        ),
        (
            "VERDICTS_MAIL__CONNECTIONS",
            "many",
            vec!["mail.connections", "VERDICTS_MAIL__CONNECTIONS"],
        ),
        (
            "VERDICTS_MAIL__CONNECTIONS",
            "0",
            vec!["mail.connections", "1 to 200"],
        ),
        (
            "VERDICTS_SITE__TIMEZONE",
            "Mars/Olympus",
            vec!["site.timezone"],
        ),
        ("VERDICTS_SITE__LISTEN", "here", vec!["site.listen"]),
        (
            "VERDICTS_SITE__BASE_URL",
            "ftp://x",
            vec!["site.base_url", "https"],
        ),
        (
            "VERDICTS_SITE__SECRET",
            "hunter2",
            vec!["site.secret", "16 characters"],
        ),
        (
            "VERDICTS_SCHEDULE__PICK",
            "whenever",
            vec!["schedule.pick", "whenever"],
        ),
        (
            "VERDICTS_SCHEDULE__SEND",
            "0 9 31 2 *",
            vec!["schedule.send", "never comes"],
        ),
        (
            "VERDICTS_SCHEDULE__APPROVAL",
            "maybe",
            vec!["schedule.approval", "auto", "required"],
        ),
        (
            "VERDICTS_SCHEDULE__CATCH_UP",
            "soon",
            vec!["schedule.catch_up"],
        ),
        ("VERDICTS_PICKER__MIN_ITEMS", "9", vec!["picker.min_items"]),
        ("VERDICTS_MAIL__FROM", "nobody", vec!["mail.from"]),
        (
            "VERDICTS_MAIL__TRANSPORT",
            "pigeon://me:hunter2@x",
            vec!["mail.transport", "smtp://"],
        ),
        (
            "VERDICTS_MAIL__TRANSPORT",
            "smtp://me:hunter2@mail.example.org?tls=perhaps",
            vec!["mail.transport", "tls"],
        ),
        (
            "VERDICTS_DATABASE__URL",
            "mysql://me:hunter2@127.0.0.1/x",
            vec!["database.url", "sqlite:PATH", "postgres://"],
        ),
        (
            "VERDICTS_DATABASE__URL",
            "postgres://me:hunter2@127.0.0.1:port/x",
            vec!["database.url"],
        ),
        (
            "VERDICTS_DATABASE__URL",
            "sqlite:/proc/nowhere/verdicts.db",
            vec!["database.url", "/proc/nowhere"],
        ),
    ] {
        keeps_the_secret(program.clone().with(name, value).run(&["digest", "list"]))
            .refused(&words);
    }
    program
        .run(&["--config", "nowhere.toml", "config"])
        .refused(&["nowhere.toml", "--config"]);
}

#[test]
fn a_setting_in_a_file_is_named_with_its_section_and_the_file() {
    let (_place, program) = plain();
    for (text, words) in [
        (
            "[mail]\ntransprt = \"x\"\n",
            vec!["transprt", "own.toml", "[mail]"],
        ),
        (
            "[mail.retry]\nlast = \"1d\"\n",
            vec!["last", "own.toml", "[mail.retry]"],
        ),
        ("[mial]\n", vec!["mial", "own.toml"]),
        (
            "[mail]\nconnections = \"ten\"\n",
            vec!["mail.connections", "own.toml"],
        ),
        ("[mail\n", vec!["own.toml"]),
    ] {
        program.write("own.toml", text);
        program
            .run(&["--config", "own.toml", "config"])
            .refused(&words);
    }
}

#[test]
fn a_slip_in_a_settings_file_gives_no_secret_away() {
    let (_place, program) = plain();
    for text in [
        "[site]\nsecret = [\"hunter2 hunter2 hunter2]\n",
        "[mail]\ntransport = \"smtp://me:hunter2@x\n",
        "[site]\nsecret = hunter2\n",
    ] {
        program.write("own.toml", text);
        keeps_the_secret(program.run(&["--config", "own.toml", "config"]))
            .refused(&["own.toml", "line 2"]);
    }
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
fn config_says_what_is_in_force_and_where_it_came_from_and_keeps_secrets() {
    let (_place, program) = plain();
    program.write(
        "own.toml",
        "[site]\nname = \"Ours\"\nsecret = [\"hunter2 hunter2 hunter2\", \"old hunter2 hunter2\"]\n[mail]\nconnections = 3\n",
    );
    let program = program
        .with(
            "VERDICTS_MAIL__TRANSPORT",
            "smtp://me:hunter2@mail.example.org?tls=required",
        )
        .with(
            "VERDICTS_DATABASE__URL",
            "postgres://me:hunter2@db.example.org/x",
        )
        .with("VERDICTS_MAIL__CONNECTIONS", "7");
    let text = keeps_the_secret(program.run(&["--config", "own.toml", "config"]))
        .good()
        .out;
    assert!(
        text.contains("site.name = \"Ours\"  # ")
            && text.contains("picker.max_items = 5  # default"),
        "{text}"
    );
    let shown = keeps_the_secret(program.run(&["--config", "own.toml", "--json", "config"]))
        .good()
        .json();
    let find = |key: &str| {
        let setting = shown["settings"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|setting| setting["key"] == key)
            .expect(key);
        (
            setting["value"].to_string(),
            setting["origin"].as_str().expect("a text").to_owned(),
        )
    };
    assert!(
        find("site.name").1.ends_with("own.toml")
            && find("schedule.pick") == ("\"0 8 * * TUE\"".into(), "default".into())
    );
    assert_eq!(find("site.secret").0, "[\"***\",\"***\"]");
    assert_eq!(
        find("mail.connections"),
        (
            "7".into(),
            "environment variable VERDICTS_MAIL__CONNECTIONS".into()
        )
    );
    assert!(
        find("mail.transport")
            .0
            .contains("***:***@mail.example.org")
            && find("database.url").0.contains("me:***@db.example.org")
    );
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
            "postal_address"
        ]
    );
    assert!(findings.iter().all(|finding| {
        finding["words"]
            .as_str()
            .is_some_and(|words| !words.is_empty())
    }));
}

/// `serve` as a newcomer starts it: in an empty folder, on the default database; only the port is a free one.
struct Newcomer {
    _place: Place,
    program: Program,
    url: String,
    running: Running,
}

impl Newcomer {
    async fn start() -> Self {
        let (place, program) = plain();
        let address = std::net::TcpListener::bind("127.0.0.1:0")
            .expect("a port")
            .local_addr()
            .expect("an address");
        let url = format!("http://{address}");
        let program = program
            .without("VERDICTS_DATABASE__URL")
            .with("VERDICTS_SITE__LISTEN", &address.to_string())
            .with("VERDICTS_SITE__BASE_URL", &url);
        let running = program.start("serve", &["serve"]);
        let mut newcomer = Self {
            _place: place,
            program,
            url,
            running,
        };
        for _ in 0..1_200 {
            if reqwest::get(&newcomer.url).await.is_ok() || newcomer.running.has_ended() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        newcomer
    }

    fn said(&self) -> String {
        ["err", "out"]
            .map(|ending| {
                std::fs::read_to_string(self.program.dir.join(format!("serve.{ending}")))
                    .expect("a file")
            })
            .concat()
    }

    async fn page(&self, path: &str) -> String {
        let answer = reqwest::get(format!("{}{path}", self.url))
            .await
            .unwrap_or_else(|error| panic!("{error}: {}", self.said()));
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.expect("a page")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_types_serve_in_an_empty_folder_and_has_a_service() {
    let mut newcomer = Newcomer::start().await;
    let front = newcomer.page("/").await;
    let said = newcomer.said();
    assert!(
        said.contains("a sample of") && said.contains("dates moved to now"),
        "{said}"
    );
    assert!(
        said.contains(&newcomer.url) && said.contains(&format!("{}/mailbox", newcomer.url)),
        "{said}"
    );
    assert!(
        front.contains("/comparisons/")
            && front.to_lowercase().contains("sample")
            && front.contains("action=\"/subscribe\""),
        "{front}"
    );
    newcomer.page("/mailbox").await;

    let program = &newcomer.program;
    program.write("c.toml", small(2, verdicts::app::Clock::system().now()));
    program.write("l.csv", "email\nada@example.org\n");
    program.run(&["catalog", "import", "c.toml"]).good();
    program
        .run(&[
            "subscribers",
            "import",
            "l.csv",
            "--consent",
            "x",
            "--confirmed",
        ])
        .good();
    program
        .run(&["subscribers", "add", "bob@example.org", "--consent", "x"])
        .good();
    let sent = program.run(&["--json", "digest", "send"]).good().json();
    assert_eq!(
        (&sent["state"], &sent["recipients"]),
        (&"sent".into(), &1.into()),
        "to ada, and bob has not confirmed"
    );
    assert!(newcomer.page("/tools/t0-l").await.contains("Tool t0 l"));
    let mut mailbox = String::new();
    for _ in 0..1_200 {
        mailbox = newcomer.page("/mailbox").await;
        if mailbox.contains("bob@example.org") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        mailbox.contains("ada@example.org") && mailbox.contains("bob@example.org"),
        "{mailbox}"
    );
    assert_eq!(
        program.run(&["--json", "digest", "audit"]).good().json()["holds"],
        true
    );

    let asked = Instant::now();
    assert_eq!(newcomer.running.terminate(), Some(0), "{}", newcomer.said());
    assert!(
        asked.elapsed() < Duration::from_secs(20),
        "{:?}",
        asked.elapsed()
    );
    assert!(
        !newcomer.said().contains("panicked") && !newcomer.said().contains("ERROR"),
        "{}",
        newcomer.said()
    );
}

#[test]
fn serve_on_a_port_in_use_is_a_sentence_and_brings_no_sample_in_silence() {
    let (_place, program) = plain();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let program = program
        .without("VERDICTS_DATABASE__URL")
        .with("VERDICTS_SITE__LISTEN", &address);
    let said = program
        .run(&["serve"])
        .refused(&[&address, "VERDICTS_SITE__LISTEN"]);
    let tools = program.run(&["catalog", "export", "-"]).good().json()["tools"]
        .as_array()
        .map_or(0, Vec::len);
    assert!(
        tools == 0 || said.contains("sample"),
        "{tools} invented tools were brought, and all that was said is {said:?}"
    );
}

#[test]
fn serve_brings_no_sample_beside_a_catalogue_of_ones_own() {
    let (_place, program) = plain();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let program = program
        .without("VERDICTS_DATABASE__URL")
        .with("VERDICTS_SITE__LISTEN", &address);
    program.write("c.toml", small(1, START.parse().expect("a moment")));
    program.run(&["catalog", "import", "c.toml"]).good();
    program.run(&["serve"]).refused(&[&address]);
    assert_eq!(
        program.run(&["catalog", "export", "-"]).good().json()["tools"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
}
