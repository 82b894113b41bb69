//! Subscriber files of other services: nobody who left is brought back, and every column is accounted for.

use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use reqwest::StatusCode;
use serde_json::Value;

const SERVICES: &str = include_str!("../imports/services.txt");

/// A file and what becomes of its rows.
struct Case {
    title: String,
    options: Vec<String>,
    text: String,
    expected: String,
}

fn cases() -> Vec<Case> {
    let (_, blocks) = SERVICES.split_once("\n== ").expect("blocks");
    let case = |block: &str| {
        let (title, rest) = block.split_once('\n').expect("a title");
        let (options, rest) = match rest.strip_prefix("+ ") {
            Some(rest) => rest.split_once('\n').expect("a file"),
            None => ("", rest),
        };
        let (text, expected) = rest.split_once("\n-> ").expect("what is expected");
        // A column's name may hold spaces: options are split before each "--".
        let options = options
            .split(" --")
            .filter(|option| !option.is_empty())
            .flat_map(|option| {
                let (name, value) = option.split_once(' ').expect("a value");
                [
                    format!("--{}", name.trim_start_matches("--")),
                    value.to_owned(),
                ]
            });
        Case {
            title: title.into(),
            options: options.collect(),
            text: text.into(),
            expected: expected.trim().into(),
        }
    };
    blocks.split("\n== ").map(case).collect()
}

fn import(program: &Program, file: &str, options: &[&str]) -> crate::support::program::Said {
    program.run(
        &[
            &[
                "--json",
                "subscribers",
                "import",
                file,
                "--consent",
                "at the fair",
                "--confirmed",
            ],
            options,
        ]
        .concat(),
    )
}

fn counts(report: &Value) -> [u64; 4] {
    let count = |name: &str| report[name].as_u64().expect("a count");
    assert_eq!(
        count("read"),
        count("added") + count("known") + count("suppressed") + count("refused"),
        "{report}"
    );
    [
        count("added"),
        count("known"),
        count("suppressed"),
        count("refused"),
    ]
}

/// Address, state and date of consent of everybody.
fn everybody(program: &Program) -> Vec<(String, String, String)> {
    let list = program
        .run(&["--json", "subscribers", "list"])
        .good()
        .json();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let rows = list["subscribers"].as_array().expect("a list").iter();
    rows.map(|row| {
        (
            text(row, "email").to_lowercase(),
            text(row, "state"),
            text(row, "confirmed_at"),
        )
    })
    .collect()
}

fn state_of(program: &Program, email: &str) -> String {
    everybody(program)
        .into_iter()
        .find(|(known, ..)| known == email)
        .map(|(_, state, _)| state)
        .unwrap_or_default()
}

on_both! {
    async fn each_row_of_the_exports_of_many_services_becomes_what_it_was_there(test_db) {
        let program = Program::set_up(&test_db);
        let cases = cases();
        assert!(cases.len() >= 55, "{}", cases.len());
        for case in &cases {
            program.write("list.csv", &case.text);
            let options: Vec<&str> = case.options.iter().map(String::as_str).collect();
            let said = import(&program, "list.csv", &options);
            match case.expected.strip_prefix("X ") {
                Some(word) => {
                    said.refused(&[word, "--map", "--ignore-column", "Nothing was imported"]);
                }
                None => {
                    let refused = case.expected.split(' ').filter(|row| *row == "R").count() as u64;
                    assert_eq!(counts(&said.good().json())[3], refused, "{}", case.title);
                }
            }
        }
        let everybody = everybody(&program);
        for case in cases.iter().filter(|case| !case.expected.starts_with("X ")) {
            let address = |line: &str| {
                let cell = line.split([',', ';', '\t']).find(|cell| cell.contains('@')).expect("an address");
                cell.replace('"', "").to_lowercase()
            };
            let rows: Vec<String> = case.text.lines().filter(|line| line.contains('@')).map(address).collect();
            let expected: Vec<&str> = case.expected.split(' ').collect();
            assert_eq!(rows.len(), expected.len(), "{}", case.title);
            for (email, expected) in rows.iter().zip(expected) {
                let found = everybody.iter().find(|(known, ..)| known == email);
                let (code, date) = expected.split_once(':').unwrap_or((expected, ""));
                let state = match code {
                    "A" => "active",
                    "P" => "pending",
                    "U" => "unsubscribed",
                    "B" => "bounced",
                    "C" => "complained",
                    _ => "",
                };
                assert_eq!(found.map_or("", |(_, state, _)| state), state, "{}: {email}", case.title);
                assert!(date.is_empty() || found.is_some_and(|(.., confirmed)| confirmed == date), "{}: {found:?}, {date}", case.title);
            }
        }
    }

    async fn without_confirmed_nobody_who_left_is_asked_either(test_db) {
        let program = Program::set_up(&test_db);
        program.write("list.csv", include_str!("../imports/beehiiv-inactive.csv"));
        let report = program.run(&["--json", "subscribers", "import", "list.csv", "--consent", "x"]).good().json();
        assert_eq!((counts(&report), report["service"].as_str()), ([2, 0, 0, 0], Some("beehiiv")));
        let waiting = test_db.dump().await.into_iter().filter(|row| row.starts_with("deliveries:")).count();
        assert_eq!((state_of(&program, "ina@b.example"), waiting), ("unsubscribed".into(), 1));
    }

    async fn refused_rows_are_written_to_a_file_that_is_mended_and_imported(test_db) {
        let program = Program::set_up(&test_db);
        program.write("list.csv", "First;Email;Status;Note\nA;a@m.example;active;1\nB;nonsense;active;\"two\nlines\"\nC;c@m.example;perhaps;=1+1\n");
        let report = import(&program, "list.csv", &["--refused", "refused.csv"]).good().json();
        assert_eq!(counts(&report), [1, 0, 0, 2]);
        let refused = std::fs::read_to_string(test_db.dir.path().join("refused.csv")).expect("a file");
        let lines: Vec<&str> = refused.lines().collect();
        assert_eq!(lines[0], "First,Email,Status,Note,refused_line,refused_reason");
        assert!(lines[1].starts_with("B,nonsense,active,\"two") && lines[2].starts_with("lines\",3,"), "{refused}");
        assert!(lines[3].starts_with("C,c@m.example,perhaps,=1+1,5,") && lines[3].contains("perhaps"), "{refused}");
        assert!(!test_db.dir.path().join("refused.csv.part").exists());

        program.write("again.csv", refused.replace("nonsense", "b@m.example"));
        let report = import(&program, "again.csv", &["--refused", "refused.csv"]).good().json();
        assert_eq!((counts(&report), &report["unused"]), ([1, 0, 0, 1], &serde_json::json!(["Note"])));
        let left = std::fs::read_to_string(test_db.dir.path().join("refused.csv")).expect("a file");
        assert_eq!((left.lines().count(), left.lines().next()), (2, Some(lines[0])), "its own columns come once: {left}");
        program.write("again.csv", left.replace("perhaps", "unsubscribed"));
        assert_eq!(counts(&import(&program, "again.csv", &[]).good().json()), [1, 0, 0, 0]);
        assert_eq!(state_of(&program, "c@m.example"), "unsubscribed");

        let before = test_db.dump().await;
        import(&program, "list.csv", &["--refused", "list.csv"]).refused(&["--refused", "Nothing was imported"]);
        import(&program, "list.csv", &["--refused", "nowhere/refused.csv"]).refused(&["nowhere/refused.csv", "cannot be written"]);
        assert_eq!(test_db.dump().await, before);
    }

    async fn a_mailbox_that_was_erased_stays_so_in_any_spelling_at_every_door(test_db) {
        let test_app = TestApp::open(test_db.again()).await;
        let program = Program::set_up(&test_db);
        test_app.enlist_all("email\ngone@example.org\nreader@bücher.example\nren\u{e9}@example.org\n").await;
        for email in ["gone@example.org", "reader@xn--bcher-kva.example", "rene\u{301}@example.org"] {
            program.run(&["subscribers", "erase", email]).good();
        }
        let spellings = ["\"gone\"@example.org", "GONE@Example.ORG", "\"g\\one\"@example.org", "Reader@BÜCHER.example", "reader@bu\u{308}cher.example", "REN\u{c9}@example.org", "rene\u{301}@example.org"];
        let rows: String = spellings.iter().map(|email| format!("\"{}\"\n", email.replace('"', "\"\""))).collect();
        program.write("list.csv", format!("email\n{rows}"));
        assert_eq!(counts(&import(&program, "list.csv", &[]).good().json()), [0, 0, 7, 0]);
        for email in spellings {
            program.run(&["subscribers", "add", email, "--consent", "x"]).refused(&["suppression list"]);
            assert_eq!(test_app.sign_up(email).await.status(), StatusCode::SEE_OTHER, "the same answer as ever");
        }
        assert_eq!((test_app.known_people().await, test_app.waiting_confirmations().await), (0, 0));
    }

    async fn a_domain_that_no_mail_reaches_is_refused_at_every_door(test_db) {
        let test_app = TestApp::open(test_db.again()).await;
        let program = Program::set_up(&test_db);
        for email in ["a@box.local", "a@x.test", "a@hidden.onion", "a@b.invalid", "a@pc.localhost"] {
            assert_eq!(test_app.post_json("/subscribe", &serde_json::json!({ "email": email })).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "{email}");
            let said = program.run(&["subscribers", "add", email, "--consent", "x"]);
            assert!(said.code == 2 && said.err.contains("reserved"), "{said:?}");
        }
        assert_eq!(test_app.sign_up("संपर्क@example.org").await.status(), StatusCode::SEE_OTHER);
        assert_eq!(test_app.sign_up("ren\u{65}\u{301}@example.org").await.status(), StatusCode::SEE_OTHER);
        assert!(test_app.state_of("ren\u{e9}@example.org").await.is_some());
        assert_eq!(test_app.known_people().await, 2);
    }
}

/// A text as UTF-16.
fn utf16(text: &str, big: bool, mark: bool) -> Vec<u8> {
    let units = mark
        .then_some(0xfeff)
        .into_iter()
        .chain(text.encode_utf16());
    units
        .flat_map(|unit| {
            if big {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        })
        .collect()
}

#[test]
fn a_file_is_read_in_the_encodings_and_with_the_separators_of_spreadsheet_programs() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db);
    let mut n = 0;
    let mut names = |bytes: &[u8], encoding: &str| {
        n += 1;
        program.write("list.csv", bytes);
        let report = import(&program, "list.csv", &[]).good().json();
        assert_eq!(
            (report["encoding"].as_str(), counts(&report)),
            (Some(encoding), [1, 0, 0, 0]),
            "{n}: {report}"
        );
        let list = program
            .run(&["--json", "subscribers", "list"])
            .good()
            .json();
        list["subscribers"]
            .as_array()
            .expect("a list")
            .first()
            .expect("one")["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    for (n, (big, mark)) in [(false, true), (true, true), (false, false), (true, false)]
        .into_iter()
        .enumerate()
    {
        let text = format!("email\tname\r\na{n}@example.org\tJosé 日本\r\n");
        assert_eq!(names(&utf16(&text, big, mark), "UTF-16"), "José 日本");
    }
    assert_eq!(
        names(
            &utf16("sep=;\r\nemail;name\r\nb@example.org;Zoë\r\n", false, true),
            "UTF-16"
        ),
        "Zoë"
    );
    assert_eq!(
        names(b"email;name\nc@example.org;Jos\xe9 \x80\n", "Windows-1252"),
        "José €"
    );
    assert_eq!(
        names(
            b"sep=;\r\nemail;name\r\nd@example.org;\"D, D\"\r\n",
            "UTF-8"
        ),
        "D, D"
    );
    assert_eq!(
        names(b"\"sep=|\"\nemail|name\ne@example.org|E\n", "UTF-8"),
        "E"
    );
    assert_eq!(
        names(
            "\u{feff}\"email\";\"a, b, c, d\";name\nf@example.org;;\"F\n\nF\"\n"
                .replace("F\n\nF", "FF")
                .as_bytes(),
            "UTF-8"
        ),
        "FF"
    );
    assert_eq!(
        names(include_bytes!("../imports/utf16.csv"), "UTF-16"),
        "José"
    );
}

#[test]
fn rows_may_be_short_but_not_where_they_would_say_who_left() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db);
    program.write("list.csv", include_str!("../imports/short-rows.csv"));
    assert_eq!(
        counts(&import(&program, "list.csv", &[]).good().json()),
        [3, 0, 0, 0]
    );
    program
        .write("list.csv", "email,name,unsubscribed_at\na@s.example,A\nb@s.example,B,\nc@s.example,C,2026-01-01,,,\nd@s.example,D,,more\n");
    let report = import(&program, "list.csv", &[]).good().json();
    assert_eq!(
        (
            counts(&report),
            &report["refusals"][0]["line"],
            &report["refusals"][1]["line"]
        ),
        ([2, 0, 0, 2], &2.into(), &5.into()),
        "{report}"
    );
    assert!(
        report["refusals"][0]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("unsubscribed_at")),
        "{report}"
    );
    program.write("list.csv", "sep=,\nemail\n\nnonsense\n");
    assert_eq!(
        import(&program, "list.csv", &[]).good().json()["refusals"][0]["line"],
        4
    );
}

#[test]
fn columns_that_say_who_left_count_in_any_file() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db);
    program.write("list.csv", include_str!("../imports/left-words.csv"));
    assert_eq!(
        counts(&import(&program, "list.csv", &[]).good().json()),
        [6, 0, 0, 0]
    );
    let states: Vec<String> = ["a", "b", "c", "d", "e", "f"]
        .iter()
        .map(|name| state_of(&program, &format!("{name}@w.example")))
        .collect();
    assert_eq!(
        states,
        [
            "active",
            "unsubscribed",
            "unsubscribed",
            "bounced",
            "unsubscribed",
            "unsubscribed"
        ]
    );
}

#[test]
fn a_mapping_that_fits_no_column_is_refused_with_what_there_is() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db);
    program.write("list.csv", "Email,First,First\na@m.example,A,B\n");
    for (options, words) in [
        (
            vec!["--map", "name=Last"],
            vec!["--map name=Last", "Email, First, First"],
        ),
        (vec!["--map", "name=First"], vec!["2 or 3"]),
        (vec!["--map", "name=9"], vec!["no column 9", "has 3"]),
        (vec!["--map", "email=1,email=2"], vec!["there are two"]),
        (
            vec!["--map", "email=1", "--ignore-column", "1"],
            vec!["named already"],
        ),
        (
            vec!["--ignore-column", "Email"],
            vec!["a column \"email\"", "--map email=COLUMN"],
        ),
        (
            vec!["--ignore-column", "Nothing"],
            vec!["--ignore-column Nothing", "no such column"],
        ),
    ] {
        import(&program, "list.csv", &options).refused(&words);
    }
    for bad in ["locale=1", "mail=1", "email", "email="] {
        assert_eq!(
            import(&program, "list.csv", &["--map", bad]).code,
            2,
            "{bad}"
        );
    }
    program.write("list.csv", "a@m.example,A\nb@m.example,B\n");
    import(&program, "list.csv", &[]).refused(&["first line has an address"]);
    program.write("list.csv", "Email,Tags,Notes\na@m.example,x,y\n");
    let report = import(&program, "list.csv", &["--ignore-column", "Notes"])
        .good()
        .json();
    assert_eq!(report["unused"], serde_json::json!(["Tags", "Notes"]));
    assert_eq!(
        report["columns"],
        serde_json::json!([{ "column": "Email", "field": "email" }])
    );
    let said = program
        .run(&[
            "subscribers",
            "import",
            "list.csv",
            "--consent",
            "x",
            "--dry-run",
        ])
        .good()
        .out;
    assert!(
        said.contains("columns not used: \"Tags\", \"Notes\""),
        "{said}"
    );
}
