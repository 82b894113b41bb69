//! The list of subscribers, as its operator handles it.

use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use reqwest::StatusCode;
use serde_json::Value;
use serde_json::json;
use std::time::Duration;
use verdicts::app::Clock;
use verdicts::domain::actor::Actor;
use verdicts::domain::subscriber::SubscriberState;

/// `subscribers import` of that text.
fn import(program: &Program, csv: impl AsRef<[u8]>, options: &[&str]) -> Value {
    program.write("list.csv", csv);
    let arguments = [
        &[
            "--json",
            "subscribers",
            "import",
            "list.csv",
            "--consent",
            "at the fair",
        ],
        options,
    ]
    .concat();
    let report = program.run(&arguments).good().json();
    let count = |name: &str| report[name].as_u64().expect("a count");
    assert_eq!(
        count("read"),
        count("added") + count("known") + count("suppressed") + count("refused"),
        "{report}"
    );
    report
}

fn import_confirmed(program: &Program, csv: impl AsRef<[u8]>) -> Value {
    import(program, csv, &["--confirmed"])
}

/// Added, known, suppressed, refused.
fn counts(report: &Value) -> [u64; 4] {
    ["added", "known", "suppressed", "refused"].map(|name| report[name].as_u64().expect("a count"))
}

fn show(program: &Program, email: &str) -> Value {
    program
        .run(&["--json", "subscribers", "show", email])
        .good()
        .json()
}

fn states(program: &Program) -> Vec<(String, String)> {
    let list = program
        .run(&["--json", "subscribers", "list"])
        .good()
        .json();
    let text = |row: &Value, key: &str| row[key].as_str().expect("a text").to_owned();
    let mut states: Vec<_> = list["subscribers"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| (text(row, "email"), text(row, "state")))
        .collect();
    states.sort();
    states
}

fn pair(email: &str, state: &str) -> (String, String) {
    (email.into(), state.into())
}

on_both! {
    async fn people_who_confirmed_elsewhere_are_on_the_list_with_their_consent(test_db) {
        let program = Program::set_up(&test_db);
        let csv = "email,name,confirmed_at,source\nAda@Example.org,\"Lovelace, Ada\",2026-01-02T03:04:05+01:00,spring fair\nbob@example.org,,,\n";
        assert_eq!(counts(&import_confirmed(&program, csv)), [2, 0, 0, 0]);
        assert_eq!(states(&program), [pair("Ada@Example.org", "active"), pair("bob@example.org", "active")]);
        let ada = show(&program, "ADA@example.ORG");
        assert_eq!((&ada["email"], &ada["state"], &ada["name"]), (&"Ada@Example.org".into(), &"active".into(), &"Lovelace, Ada".into()));
        let consent = &ada["consent"];
        assert_eq!([&consent["shown"], &consent["source"], &consent["confirmed_at"]], ["at the fair", "spring fair", "2026-01-02T02:04:05Z"]);
        assert_eq!(ada["history"].as_array().map(Vec::len), Some(1));
        assert!(show(&program, "bob@example.org")["consent"]["confirmed_at"].is_string());
    }

    async fn people_who_did_not_confirm_get_a_mail_that_lets_them(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = Program::set_up(&test_db)
            .with("VERDICTS_MAIL__TRANSPORT", &sink.url())
            .with("VERDICTS_MAIL__FROM", "News <news@verdicts.example>");
        assert_eq!(counts(&import(&program, "email\nada@example.org\nbob@example.org\n", &[])), [2, 0, 0, 0]);
        assert_eq!(states(&program), [pair("ada@example.org", "pending"), pair("bob@example.org", "pending")]);
        assert_eq!(show(&program, "ada@example.org")["consent"]["confirmed_at"], Value::Null);

        let mut sender = program.start("sender", &["serve", "--role", "deliver"]);
        let mails = sink.wait_for(2, Duration::from_secs(60)).await;
        assert_eq!(sender.terminate(), Some(0));
        assert_eq!((mails.len(), sink.received_by("ada@example.org").len()), (2, 1));
        let link = crate::journey::link(&sink.received_by("ada@example.org")[0].data, "/confirm/");
        let test_app = TestApp::open(test_db.again()).await;
        test_app.set_clock(&Clock::system().now().to_rfc3339());
        assert_eq!(test_app.post(&link[link.find("/confirm/").expect("a path")..]).await.status(), StatusCode::OK);
        assert_eq!(states(&program), [pair("ada@example.org", "active"), pair("bob@example.org", "pending")]);
    }

    async fn a_dry_run_counts_and_changes_nothing(test_db) {
        let program = Program::set_up(&test_db);
        import_confirmed(&program, "email\nknown@example.org\n");
        let before = test_db.dump().await;
        let csv = "email\nknown@example.org\nnew@example.org\nnonsense\n";
        for options in [vec!["--dry-run"], vec!["--dry-run", "--confirmed"]] {
            let report = import(&program, csv, &options);
            assert_eq!((counts(&report), &report["dry_run"]), ([1, 1, 0, 1], &true.into()));
        }
        assert_eq!(test_db.dump().await, before);
        assert_eq!(counts(&import_confirmed(&program, csv)), [1, 1, 0, 1], "and it told what would be");
    }

    async fn the_state_column_is_honoured_whatever_the_options(test_db) {
        let program = Program::set_up(&test_db);
        let csv = "email,state\na@example.org,active\nb@example.org,bounced\nc@example.org,complained\np@example.org,pending\nu@example.org,unsubscribed\nz@example.org,\n";
        import_confirmed(&program, csv);
        let expected = [("a", "active"), ("b", "bounced"), ("c", "complained"), ("p", "pending"), ("u", "unsubscribed"), ("z", "active")];
        assert_eq!(states(&program), expected.map(|(name, state)| pair(&format!("{name}@example.org"), state)));
        let test_app = TestApp::open(test_db.again()).await;
        // Who joined after a digest was frozen waits a week, and the program joined them by the machine's clock.
        test_app.set_clock(&Clock::system().now().to_rfc3339());
        test_app.stock_small().await;
        test_app.send_digest().await;
        assert_eq!(test_app.app.status(test_app.slot()).await.expect("a digest").digest.recipients, 2);
    }

    async fn people_known_here_are_left_as_they_are(test_db) {
        let program = Program::set_up(&test_db);
        import_confirmed(&program, "email,name,state\nleft@example.org,L,unsubscribed\nhere@example.org,H,active\nwaits@example.org,W,pending\n");
        let before = test_db.dump().await;
        let again = "email,name,state\nLEFT@example.org,X,active\nhere@EXAMPLE.org,X,unsubscribed\nwaits@example.org,X,active\n";
        assert_eq!(counts(&import_confirmed(&program, again)), [0, 3, 0, 0]);
        assert_eq!(counts(&import(&program, again, &[])), [0, 3, 0, 0]);
        assert_eq!(test_db.dump().await, before);
        assert_eq!(counts(&import_confirmed(&program, "email\ntwin@example.org\nTwin@example.org\n")), [1, 1, 0, 0], "twice in one file");
    }

    async fn somebody_suppressed_stays_so_whatever_is_imported_or_added(test_db) {
        let program = Program::set_up(&test_db);
        import_confirmed(&program, "email,state\ngone@example.org,active\nbad@example.org,bounced\nspam@example.org,complained\nstays@example.org,\n");
        for email in ["gone@example.org", "bad@example.org", "spam@example.org"] {
            program.run(&["subscribers", "erase", email]).good();
        }
        let back = "email,confirmed_at\nGone@Example.org,2026-01-01T00:00:00Z\nbad@example.org,\nspam@example.org,\n";
        assert_eq!(counts(&import_confirmed(&program, back)), [0, 0, 3, 0]);
        program.run(&["subscribers", "add", "gone@example.org", "--consent", "by phone"]).refused(&["suppression list"]);
        program.run(&["subscribers", "show", "gone@example.org"]).refused(&["gone@example.org", "keyed hash", "suppression list"]);
        assert_eq!(states(&program), [pair("stays@example.org", "active")]);
        program.run(&["subscribers", "erase", "gone@example.org"]).good();
        program.run(&["subscribers", "erase", "stranger@example.org"]).refused(&["stranger@example.org", "nothing was erased"]);
    }

    async fn an_export_comes_back_whole_in_another_database(test_db) {
        let program = Program::set_up(&test_db);
        let csv = "email,name,confirmed_at,source,state\n\
                   ada@example.org,\"Lovelace, \"\"Ada\"\"\",2026-01-02T03:04:05.678Z,fair,active\nbob@bücher.example,Ünï,,shop,pending\n\
                   eve@example.org,,2026-01-03T00:00:00Z,,unsubscribed\nmax@example.org,;,2026-01-04T00:00:00Z,fair,complained\n";
        import_confirmed(&program, csv);
        // Somebody whose confirmation mail came back never confirmed anything.
        import(&program, "email,state\nbad@example.org,bounced\n", &[]);
        let exported = program.run(&["--json", "subscribers", "export", "out.csv"]).good();
        assert_eq!(exported.json(), json!({ "exported": 5 }));
        let out = std::fs::read_to_string(test_db.dir.path().join("out.csv")).expect("a file");
        assert!(out.contains("bob@xn--bcher-kva.example"), "{out}");

        let elsewhere = TestDb::sqlite();
        let other = Program::set_up(&elsewhere);
        assert_eq!(counts(&import_confirmed(&other, &out)), [5, 0, 0, 0]);
        let back = other.run(&["subscribers", "export", "-"]).good().out;
        let sorted = |text: &str| { let mut lines: Vec<_> = text.lines().map(String::from).collect(); lines.sort(); lines };
        assert_eq!(sorted(&back), sorted(&out));
        assert_eq!(states(&other), states(&program));
    }

    async fn an_export_holds_nothing_that_a_spreadsheet_computes_and_comes_back_as_it_was(test_db) {
        let program = Program::set_up(&test_db);
        let csv = "email,name,source\n=cmd|'/C'!A0@example.org,=1+1,@shop\n+1@example.org,''=2,-fair\nad'a@example.org,O'Neil,'t Hooft\n";
        import_confirmed(&program, csv);
        program.run(&["subscribers", "export", "out.csv"]).good();
        let out = std::fs::read_to_string(test_db.dir.path().join("out.csv")).expect("a file");
        for cell in ["'=cmd|'/C'!A0@example.org,'=1+1,", ",'@shop,", "'+1@example.org,''=2,", "ad'a@example.org,O'Neil,", ",'t Hooft,"] {
            assert!(out.contains(cell), "{cell} in {out}");
        }
        let elsewhere = TestDb::sqlite();
        let other = Program::set_up(&elsewhere);
        import_confirmed(&other, &out);
        let name = |email: &str| other.run(&["--json", "subscribers", "show", email]).good().json()["name"].clone();
        assert_eq!((name("=cmd|'/C'!A0@example.org"), name("+1@example.org")), ("=1+1".into(), "'=2".into()));
        assert_eq!(states(&other), states(&program));
    }

    async fn somebody_added_by_hand_gets_one_confirmation_mail(test_db) {
        let program = Program::set_up(&test_db);
        let add = || program.run(&["--json", "subscribers", "add", "ada@example.org", "--consent", "by phone"]).good().json()["status"].clone();
        assert_eq!([add(), add()], ["check_inbox", "asked_recently"]);
        assert_eq!(show(&program, "ada@example.org")["consent"]["shown"], "by phone");
        let queued = test_db.dump().await.iter().filter(|row| row.starts_with("deliveries:")).count();
        assert_eq!((states(&program), queued), (vec![pair("ada@example.org", "pending")], 1));
        import_confirmed(&program, "email\nbob@example.org\n");
        let known = program.run(&["--json", "subscribers", "add", "bob@example.org", "--consent", "by phone"]).good().json();
        assert_eq!(known["status"], "already_active");
    }

    async fn a_list_shows_everybody_or_those_of_one_state(test_db) {
        let program = Program::set_up(&test_db);
        assert_eq!(program.run(&["--json", "subscribers", "list"]).good().json(), json!({ "subscribers": [] }));
        let many: String = (0..2_345).map(|n| format!("p{n}@example.org,{}\n", ["active", "unsubscribed", "bounced"][n % 3])).collect();
        import_confirmed(&program, format!("email,state\n{many}"));
        assert_eq!(states(&program).len(), 2_345);
        let left = program.run(&["--json", "subscribers", "list", "--state", "unsubscribed"]).good().json();
        let left = left["subscribers"].as_array().expect("a list").clone();
        assert!(left.len() == 782 && left.iter().all(|row| row["state"] == "unsubscribed"));
        assert_eq!(program.run(&["subscribers", "list", "--state", "bounced"]).good().out.lines().count(), 781);
    }

    async fn after_an_erasure_no_column_holds_the_address_or_the_name(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("erased", "550 5.7.1 <erased@example.org> is not wanted here")).await;
        let test_app = TestApp::open_to(test_db.again(), &sink).await;
        test_app.stock_small().await;
        test_app.enlist_all("email,name\nerased@example.org,Unusual Name\nstays@example.org,Other\n").await;
        test_app.sign_up("erased@example.org").await;
        test_app.send_digest().await;
        let before = test_db.dump().await.concat().to_lowercase();
        assert!(before.contains("erased@example.org") && before.contains("unusual name") && before.contains("is not wanted here"));

        Program::set_up(&test_db).run(&["subscribers", "erase", "Erased@example.org"]).good();
        let rows = test_db.dump().await;
        let telling: Vec<_> = rows.iter().filter(|row| { let row = row.to_lowercase(); row.contains("erased@example") || row.contains("unusual name") }).collect();
        assert!(telling.is_empty(), "{telling:#?}");
        assert_eq!(rows.iter().filter(|row| row.starts_with("suppressions:")).count(), 1, "a keyed hash");
        assert_eq!(test_app.state_of("stays@example.org").await, Some(SubscriberState::Active));
    }

    async fn a_file_without_a_column_of_addresses_is_refused_and_changes_nothing(test_db) {
        let program = Program::set_up(&test_db);
        let before = test_db.dump().await;
        for (csv, found) in [("name,mail\nA,a@example.org\n", "it has: name, mail"), ("", "it is empty")] {
            program.write("list.csv", csv);
            program
                .run(&["subscribers", "import", "list.csv", "--consent", "x", "--confirmed"])
                .refused(&["a column \"email\"", found, "Nothing was imported"]);
        }
        program.run(&["subscribers", "import", "nowhere.csv", "--consent", "x"]).refused(&["nowhere.csv", "cannot be read"]);
        assert_eq!(test_db.dump().await, before);
    }
}

#[test]
fn refused_rows_are_named_with_their_lines_and_the_rest_is_taken() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db);
    let lines = [
        "email,name,confirmed_at,state",
        "ada@example.org,Ada,,",
        "nonsense,x,,",
        "bob@example.org,too few",
        "\"Eve <eve@example.org>\",x,,",
        "max@example.org,\"two\r\nlines\",,",
        "zoe@example.org,x,yesterday,",
        "pia@example.org,x,,elsewhere",
        ",x,,",
        "leo@example.org,Leo,,",
    ];
    for ending in ["\n", "\r\n"] {
        let report = import(&program, lines.join(ending), &["--confirmed", "--dry-run"]);
        assert_eq!(counts(&report), [2, 0, 0, 7], "{report}");
        let named: Vec<_> = report["refusals"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|refusal| refusal["line"].as_u64())
            .collect();
        assert_eq!(named, [3, 4, 5, 6, 8, 9, 10], "with {ending:?}: {report:#}");
    }
    let said = program
        .run(&[
            "subscribers",
            "import",
            "list.csv",
            "--consent",
            "x",
            "--confirmed",
        ])
        .good()
        .out;
    assert!(
        said.contains("9 rows read: 2 added, 0 known, 0 suppressed, 7 refused")
            && said.contains("line 3: "),
        "{said}"
    );
}

#[test]
fn empty_lines_are_no_rows_and_are_counted_as_lines() {
    let test_db = TestDb::sqlite();
    let report = import(
        &Program::set_up(&test_db),
        "email\n\n\nnonsense\n\nada@example.org\n\n",
        &["--confirmed"],
    );
    assert_eq!(
        (counts(&report), &report["refusals"][0]["line"]),
        ([1, 0, 0, 1], &4.into()),
        "{report:#}"
    );
}

#[test]
fn a_file_from_a_spreadsheet_program_is_read_as_it_is() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db);
    let csv = "\u{feff}Email;Name;confirmed_at\r\nada@example.org;\"Lovelace; Ada\";2026-01-02T03:04:05Z\r\nbob@example.org;Bob, B.;\r\n";
    assert_eq!(counts(&import_confirmed(&program, csv)), [2, 0, 0, 0]);
    assert_eq!(show(&program, "ada@example.org")["name"], "Lovelace; Ada");
    assert_eq!(
        counts(&import_confirmed(
            &program,
            "email\tname\neve@example.org\tEve\n"
        )),
        [1, 0, 0, 0]
    );
    let piped = program.run_with_input(
        &[
            "--json",
            "subscribers",
            "import",
            "-",
            "--consent",
            "x",
            "--confirmed",
        ],
        b"email\nmax@example.org",
    );
    assert_eq!(counts(&piped.good().json()), [1, 0, 0, 0]);
    assert_eq!(states(&program).len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_erasure_the_file_of_the_database_does_not_hold_the_address() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db);
    import_confirmed(
        &program,
        "email\nbefore@example.org\nerased-one@example.org\nafter@example.org\n",
    );
    program
        .run(&["subscribers", "erase", "erased-one@example.org"])
        .good();
    let pool = sqlx::SqlitePool::connect(&test_db.database_url)
        .await
        .expect("a connection");
    sqlx::query("pragma wal_checkpoint(truncate)")
        .execute(&pool)
        .await
        .expect("a checkpoint");
    let database = std::fs::read(test_db.dir.path().join("verdicts.db")).expect("bytes");
    let holds = |text: &str| {
        database
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    assert!(holds("before@example.org") && holds("after@example.org"));
    assert!(
        !holds("erased-one@example"),
        "a deleted row's bytes stay in the file unless SQLite is told to overwrite them"
    );
}

/// A file that breaks off: the disk or the network failed in the middle.
struct Breaking(usize);

impl std::io::Read for Breaking {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0 += 1;
        if self.0 > 2_000 {
            return Err(std::io::Error::other("the disk is gone"));
        }
        let text = if self.0 == 1 {
            "email\n".to_owned()
        } else {
            format!("r{}@example.org\n", self.0)
        };
        let length = text.len().min(buffer.len());
        buffer[..length].copy_from_slice(&text.as_bytes()[..length]);
        Ok(length)
    }
}

on_both! {
    async fn a_file_that_breaks_off_in_the_middle_imports_nobody(test_db) {
        let test_app = crate::support::TestApp::open(test_db).await;
        let terms = verdicts::app::subscribing::list::ImportTerms { consent: "at the fair", confirmed: true, dry_run: false };
        let failure = test_app.app.import_subscribers(&Actor::cli(), Breaking(0), terms, |_| {}).await.expect_err("it broke off");
        assert!(failure.to_string().contains("the disk is gone"), "{failure}");
        assert!(test_app.app.storage.subscribers_after(0, 10).await.expect("a list").is_empty());
    }
}
