//! A database without its secret: never a new one in silence.

use crate::support::Program;
use crate::support::TestDb;
use crate::support::on_both;

const OLD: &str = "a secret that signed the links so far";
const NEW: &str = "a secret that somebody made up since";

/// A database with somebody on its list, used without `site.secret`, so that the program keeps one itself.
fn used(test_db: &TestDb) -> Program {
    let program = Program::in_place(test_db);
    program.run(&["migrate"]).good();
    program.write("list.csv", "email\nada@example.org\n");
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
    program
}

async fn lose(test_db: &TestDb) {
    if test_db.is_postgres() {
        crate::support::run_raw_sql(test_db, "delete from instance_secrets").await;
    } else {
        std::fs::remove_file(test_db.dir.path().join("verdicts.db.secret")).expect("there was one");
    }
}

on_both! {
    async fn a_database_that_was_restored_without_its_secret_is_not_opened_until_somebody_says_so(test_db) {
        let program = used(&test_db);
        lose(&test_db).await;
        for command in [&["subscribers", "list"][..], &["digest", "list"], &["migrate"], &["serve"], &["subscribers", "show", "ada@example.org"]] {
            program.run(command).refused(&["secret is gone", "site.secret", "keys secret --accept-loss"]);
        }
        assert!(program.run(&["doctor"]).out.contains("secret is gone"));
        assert!(!test_db.dir.path().join("verdicts.db.secret").exists(), "none was made");
        assert_eq!(program.run(&["keys", "secret"]).code, 2, "not by a slip of the pen");
        program.run(&["keys", "secret", "--accept-loss"]).good();
        program.run(&["subscribers", "list"]).good();
        program.run(&["keys", "secret", "--accept-loss"]).refused(&["was not changed"]);
    }

    async fn a_secret_that_the_database_never_knew_is_refused_and_one_is_rotated_as_ever(test_db) {
        let program = used(&test_db);
        lose(&test_db).await;
        program.clone().with("VERDICTS_SITE__SECRET", NEW).run(&["subscribers", "list"]).refused(&["never used with any secret", "put the new one first"]);
        program.run(&["keys", "secret", "--accept-loss"]).good();

        let with = |secrets: &str| program.clone().with("VERDICTS_SITE__SECRET", secrets);
        with(OLD).run(&["subscribers", "list"]).good();
        lose(&test_db).await;
        with(OLD).run(&["subscribers", "list"]).good();
        with(NEW).run(&["subscribers", "list"]).refused(&["never used with any secret"]);
        program.run(&["subscribers", "list"]).refused(&["secret is gone"]);
        with(&format!("{NEW},{OLD}")).run(&["subscribers", "list"]).good();
        with(NEW).run(&["subscribers", "list"]).good();
    }

    async fn a_new_database_gets_its_secret_on_the_first_start(test_db) {
        let program = Program::in_place(&test_db);
        program.run(&["migrate"]).good();
        program.run(&["migrate"]).good();
        program.run(&["subscribers", "list"]).good();
        lose(&test_db).await;
        // Nobody is on the list, but links may have been sent: it was used.
        program.run(&["subscribers", "list"]).refused(&["secret is gone"]);
    }
}
