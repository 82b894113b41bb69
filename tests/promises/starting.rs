//! Starting: a database that is not up yet, a folder that is the wrong one, an address that cannot be used.

use crate::support::Program;
use crate::support::TestDb;
use crate::support::postgres;
use crate::support::until;

fn in_empty_folder() -> (TestDb, Program) {
    let test_db = TestDb::sqlite();
    let program = Program::in_place(&test_db).without("VERDICTS_DATABASE__URL");
    (test_db, program)
}

#[test]
fn a_command_in_the_wrong_folder_makes_nothing_and_says_where_it_looked() {
    let (test_db, program) = in_empty_folder();
    let expected = test_db
        .dir
        .path()
        .canonicalize()
        .expect("a folder")
        .join("data/verdicts.db");
    let expected = expected.to_str().expect("a path");
    for command in [
        &["digest", "list"][..],
        &["digest", "pick"],
        &["digest", "send"],
        &["digest", "audit"],
        &["catalog", "export", "-"],
        &["subscribers", "list"],
        &["subscribers", "show", "ada@reader.example"],
        &["subscribers", "add", "ada@reader.example", "--consent", "x"],
        &["subscribers", "erase", "ada@reader.example"],
        &["subscribers", "export", "out.csv"],
    ] {
        program
            .run(command)
            .refused(&["There is no database at", expected, "database.url"]);
    }
    let doctor = program.run(&["doctor"]);
    assert!(
        doctor.code == 1 && doctor.out.contains("There is no database at"),
        "{doctor:?}"
    );
    assert_eq!(
        std::fs::read_dir(test_db.dir.path())
            .expect("a folder")
            .count(),
        0,
        "nothing was made"
    );
}

#[test]
fn a_mail_that_is_piped_into_the_wrong_folder_is_refused_for_now_and_nothing_is_made() {
    let (test_db, program) = in_empty_folder();
    for arguments in [
        &["inbound", "-", "--apply"][..],
        &["inbound", "-"],
        &["--json", "inbound", "-", "--apply"],
    ] {
        let said = program.run_with_input(arguments, b"From: a@b.example\r\n\r\nhello\r\n");
        assert_eq!((said.code, said.out.as_str()), (75, ""), "{said:?}");
        assert!(said.err.contains("There is no database at"), "{said:?}");
    }
    let unreachable = program
        .clone()
        .with("VERDICTS_DATABASE__URL", "postgres://me@127.0.0.1:1/x");
    assert_eq!(
        unreachable
            .run_with_input(&["inbound", "-", "--apply"], b"a: b\r\n\r\n")
            .code,
        75
    );
    let bad_setting = program.clone().with("VERDICTS_SITE__TIMEZONE", "Mars/Base");
    assert_eq!(
        bad_setting
            .run_with_input(&["inbound", "-", "--apply"], b"a: b\r\n\r\n")
            .code,
        75
    );
    assert_eq!(
        std::fs::read_dir(test_db.dir.path())
            .expect("a folder")
            .count(),
        0,
        "nothing was made"
    );
}

#[test]
fn imports_and_migrate_make_the_database_that_other_commands_then_find() {
    let (_place, program) = in_empty_folder();
    program.write("list.csv", "email\nada@reader.example\n");
    program
        .run(&[
            "subscribers",
            "import",
            "list.csv",
            "--consent",
            "at the fair",
            "--confirmed",
        ])
        .good();
    let listed = program.run(&["subscribers", "list"]).good();
    assert!(listed.out.contains("ada@reader.example"), "{listed:?}");
}

#[test]
fn an_address_of_another_database_is_refused_by_every_command_with_what_is_known() {
    let (_place, program) = in_empty_folder();
    let program = program.with("VERDICTS_DATABASE__URL", "mysql://me:hunter2@db.example/x");
    for command in [
        &["config"][..],
        &["serve"],
        &["migrate"],
        &["doctor"],
        &["digest", "list"],
    ] {
        let said = program.run(command);
        assert_eq!(said.code, 1, "{said:?}");
        let text = format!("{}{}", said.out, said.err);
        assert!(
            text.contains("database.url: expected sqlite:PATH or postgres://")
                && !text.contains("hunter2"),
            "{said:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_waits_for_a_postgresql_server_that_is_not_up_yet() {
    let Some(cluster) = postgres::another("", None) else {
        return;
    };
    let test_db = TestDb {
        dir: tempfile::tempdir().expect("a folder"),
        database_url: cluster.fresh_database(),
    };
    let program = Program::set_up(&test_db).with("VERDICTS_SITE__LISTEN", "127.0.0.1:0");
    cluster.stop(false);
    let mut serve = program.start("serve", &["serve"]);
    let said = || std::fs::read_to_string(test_db.dir.path().join("serve.err")).unwrap_or_default();
    until("it says that it waits", async || {
        said().contains("Trying again for 30 seconds")
    })
    .await;
    assert!(!serve.has_ended(), "{}", said());
    cluster.go_on();
    until("it runs", async || {
        said().contains("verdicts is running at")
    })
    .await;
    assert_eq!(said().matches("Trying again").count(), 1, "{}", said());
    assert_eq!(serve.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_that_waits_for_its_database_ends_at_once_when_it_is_told_to() {
    let (test_db, program) = in_empty_folder();
    let program = program
        .with("VERDICTS_DATABASE__URL", "postgres://me@127.0.0.1:1/x")
        .with("VERDICTS_DATABASE__WAIT_AT_START", "10m");
    let mut serve = program.start("serve", &["serve"]);
    let said = || std::fs::read_to_string(test_db.dir.path().join("serve.err")).unwrap_or_default();
    until("it says that it waits", async || {
        said().contains("Trying again for 600 seconds")
    })
    .await;
    assert_eq!(serve.terminate(), Some(0));
}
