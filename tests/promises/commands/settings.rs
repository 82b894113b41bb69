//! Settings that cannot be used, and what `config` says of those in force.

use super::keeps_the_secret;
use super::plain;

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
