//! The audit log and the diagnostics at the desk.

use reqwest::StatusCode;
use verdicts::domain::actor::Actor;
use verdicts::domain::user::Role;

use crate::desk_subscribers::link;
use crate::desk_subscribers::without_codes;
use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue::comparison;
use crate::support::desk::Browser;
use crate::support::desk::goal;
use crate::support::on_both;
use crate::support::run_raw_sql;

async fn test_app(test_db: TestDb) -> TestApp {
    TestApp::open_with(test_db, without_codes).await
}

/// The particulars of the rows of a page.
fn rows(page: &str) -> Vec<String> {
    page.split("<th scope=\"row\">")
        .skip(1)
        .map(str::to_owned)
        .collect()
}

on_both! {
    async fn the_log_is_paged_filtered_and_exported_and_says_who(test_db) {
        let test_app = test_app(test_db).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        for n in 0..60 {
            test_app.seed_catalogue(&comparison(&format!("c{n}"), "Data", test_app.app.now())).await;
        }
        owner.press("/desk/settings/site.name", &[("value", "Ours")]).await;
        let writer = Browser::of(&test_app, Role::Writer).await;
        assert_eq!(writer.get("/desk/audit").await.status(), StatusCode::FORBIDDEN);
        let editor = Browser::of(&test_app, Role::Editor).await;
        let first = editor.page("/desk/audit").await;
        assert!(rows(&first).len() == 50 && first.contains("owner</bdi>") && first.contains("Ship or Skip") || first.contains("(empty)") || first.contains("Ours"), "{first}");
        let mut path = "/desk/audit?what=catalogue.imported".to_owned();
        let mut found = 0;
        loop {
            let page = editor.page(&path).await;
            found += rows(&page).len();
            match link(&page, "Next page") {
                Some(next) => path = next,
                None => break,
            }
        }
        assert_eq!(found, 60, "each once");
        let set = editor.page("/desk/audit?subject=setting%3Asite.name").await;
        assert!(rows(&set).len() == 1 && set.contains("setting.changed") && set.contains("Ours"), "{set}");
        let actor = link(&rows(&set)[0].replace("<bdi>owner</bdi></a>", "owner</a>"), "owner").expect("a link");
        let theirs = editor.page(&actor).await;
        assert_eq!(rows(&theirs).len(), 1, "{theirs}");
        assert_eq!(goal(&editor.get("/desk/audit?actor=&what=setting.changed&subject=").await), "/desk/audit?what=setting.changed");
        for refused in ["/desk/audit?subject=nonsense", "/desk/audit?subject=nobody%40example.org"] {
            assert_eq!(editor.get(refused).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
        }
        let lines = editor.get("/desk/audit/export?what=catalogue.imported").await.text().await.expect("lines");
        let parsed: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert!(parsed.len() == 60 && parsed.iter().all(|row| row["what"] == "catalogue.imported" && row.get("id").is_none()), "{lines}");
        let program = Program::set_up(&test_app.test_db);
        let same = program.run(&["audit", "export", "--what", "catalogue.imported"]).good().out;
        assert_eq!(same, lines, "the command exports the same");
        let theirs = program.run(&["--json", "audit", "list", "--actor", "cli"]).good().json();
        assert!(theirs["rows"].as_array().expect("a list").iter().all(|row| row["actor"] == "cli"), "{theirs}");
    }

    async fn the_chain_is_checked_by_a_button(test_db) {
        let test_app = test_app(test_db).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        test_app.seed_catalogue(&comparison("a", "Data", test_app.app.now())).await;
        test_app.seed_catalogue(&comparison("b", "Data", test_app.app.now())).await;
        let actor = Actor::cli();
        test_app.app.set_setting(&actor, "site.name", Some("Ours")).await.expect("set");
        while test_app.app.storage.chain_audit(100).await.expect("chained") > 0 {}
        assert!(owner.press("/desk/audit/verify", &[]).await.contains("The audit log is whole"));
        run_raw_sql(&test_app.test_db, "update audit set what = 'digest.paused' where seq = 2").await;
        let said = owner.press("/desk/audit/verify", &[]).await;
        assert!(said.contains("The chain is broken: row 2 was changed"), "{said}");
    }

    async fn diagnostics_tell_the_facts_and_no_secret(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| {
            without_codes(settings);
            settings.site.name = "Support Site".into();
            settings.mail.transport = "smtp://mailer:hunter2hunter2@127.0.0.1:9?tls=none".into();
        }).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        test_app.app.note_tick().await.expect("noted");
        let page = owner.page("/desk/diagnostics").await;
        let kind = if test_app.test_db.is_postgres() { "PostgreSQL " } else { "SQLite 3" };
        for text in [kind, env!("CARGO_PKG_VERSION"), "Newest migration", "Migrations to run</dt><dd>0", "Last tick of the schedule", "data-clock=\""] {
            assert!(page.contains(text), "{text}: {page}");
        }
        assert!(!page.contains("none yet"), "{page}");
        let checked = owner.post("/desk/diagnostics", &[]).await.text().await.expect("a page");
        assert!(checked.contains("Support text") && checked.contains("site.name = &#34;Support Site&#34;"), "{checked}");
        assert!(!checked.contains("hunter2") && !page.contains("hunter2"), "a secret");
        let program = Program::set_up(&test_app.test_db).with("VERDICTS_MAIL__TRANSPORT", "smtp://mailer:hunter2hunter2@127.0.0.1:9?tls=none");
        let said = program.run(&["doctor", "--support"]).out;
        assert!(said.contains("verdicts: support text") && said.contains("Newest migration") && !said.contains("hunter2"), "{said}");
        let document = program.run(&["--json", "doctor", "--support"]).json();
        assert!(document["facts"]["migrations_missing"] == 0 && document["findings"].is_array() && document["settings"].is_array(), "{document}");
    }
}
