//! Settings at the desk: a layer below file and environment, taken by processes that serve.

use reqwest::StatusCode;
use verdicts::config::Settings;
use verdicts::domain::user::Role;

use crate::desk_subscribers::without_codes;
use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::desk::Browser;
use crate::support::on_both;

fn with_file(settings: &mut Settings) {
    without_codes(settings);
    settings.picker.max_items = 3;
}

async fn test_app(test_db: TestDb) -> TestApp {
    TestApp::open_with(test_db, with_file).await
}

/// The row of a setting in the page.
fn row<'a>(page: &'a str, key: &str) -> &'a str {
    let found = page
        .split("<tr>")
        .find(|row| row.contains(&format!("<code>{key}</code>")));
    found.unwrap_or_else(|| panic!("no row {key}"))
}

on_both! {
    async fn what_is_set_holds_at_once_is_logged_and_can_be_given_back(test_db) {
        let test_app = test_app(test_db).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        assert!(test_app.page("/").await.contains("Ship or Skip"));
        let said = owner.press("/desk/settings/site.name", &[("value", " Tool <Court> ")]).await;
        assert!(said.contains("site.name is set.") && row(&said, "site.name").contains("<td>desk</td>"), "{said}");
        assert!(row(&said, "site.name").contains("<td>Ship or Skip</td>"), "the default beside it");
        assert!(test_app.page("/").await.contains("Tool &#60;Court&#62;"), "without a restart");
        test_app.ask_to_join("ada@example.org").await;
        owner.press("/desk/settings/picker.min_items", &[("value", "2")]).await;
        assert_eq!(test_app.app.settings.picker.min_items, 2);
        owner.press("/desk/settings/schedule.send", &[("value", "0 10 * * WED")]).await;
        let changed = test_app.test_db.dump().await.into_iter().filter(|row| row.starts_with("audit:") && row.contains("setting.changed")).count();
        assert_eq!(changed, 3);
        let reset = owner.press("/desk/settings/site.name", &[("value", "x"), ("reset", "yes")]).await;
        assert!(row(&reset, "site.name").contains("<td>default</td>"), "{reset}");
        assert!(test_app.page("/").await.contains("Ship or Skip"));
    }

    async fn the_file_wins_and_nothing_else_can_be_set(test_db) {
        let test_app = test_app(test_db).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        let page = owner.page("/desk/settings").await;
        assert!(!row(&page, "picker.max_items").contains("href") && row(&page, "picker.max_items").contains("set in the settings file"), "{page}");
        assert_eq!(owner.get("/desk/settings/picker.max_items").await.status(), StatusCode::CONFLICT);
        assert_eq!(owner.post("/desk/settings/picker.max_items", &[("value", "9")]).await.status(), StatusCode::CONFLICT);
        for key in ["database.url", "site.secret", "mail.transport", "mail.dkim", "nonsense", "desk.enabled"] {
            assert_eq!(owner.post(&format!("/desk/settings/{key}"), &[("value", "x")]).await.status(), StatusCode::NOT_FOUND, "{key}");
        }
        for (key, value, words) in [
            ("picker.min_items", "many", "expected a whole number"),
            ("picker.min_items", "99", "picker"),
            ("schedule.send", "soon", "schedule.send"),
            ("signup.confirm_within", "1s", "mail.retry.first"),
            ("desk.two_people", "true", "schedule.approval"),
            ("mail.subject", "{nonsense}", "mail.subject"),
        ] {
            let answer = owner.post(&format!("/desk/settings/{key}"), &[("value", value)]).await;
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{key} = {value}");
            let page = answer.text().await.expect("a page");
            assert!(page.contains(words) && page.contains(&format!("value=\"{value}\"")) || value == "true", "{key}: {page}");
        }
        assert!(test_app.test_db.dump().await.iter().all(|row| !row.starts_with("settings:")), "nothing was kept");
        let editor = Browser::of(&test_app, Role::Editor).await;
        assert_eq!(editor.get("/desk/settings").await.status(), StatusCode::FORBIDDEN);
        let secrets = ["verdicts:", "postgres://", "password"];
        assert!(!secrets.iter().any(|secret| page.contains(&format!("{secret}@"))), "{page}");
    }

    async fn a_serving_process_takes_what_a_command_sets(test_db) {
        let program = Program::set_up(&test_db).with("VERDICTS_PICKER__MAX_ITEMS", "4");
        let first = program.run(&["--json", "config"]).good().json();
        let setting = |document: &serde_json::Value, key: &str| document["settings"].as_array().expect("a list").iter().find(|row| row["key"] == key).expect(key).clone();
        assert_eq!(setting(&first, "site.name")["origin"], "default");
        assert_eq!(setting(&first, "picker.max_items")["origin"], "environment variable VERDICTS_PICKER__MAX_ITEMS");
        let said = program.run(&["--json", "config", "set", "site.name", "By command"]).good().json();
        assert_eq!(said, serde_json::json!({ "key": "site.name", "value": "By command", "needs_restart": false }));
        let shown = program.run(&["--json", "config"]).good().json();
        assert_eq!((&setting(&shown, "site.name")["origin"], &setting(&shown, "site.name")["value"]), (&"desk".into(), &"By command".into()));
        program.run(&["config", "set", "picker.max_items", "5"]).refused(&["picker.max_items is set in the settings file or the environment"]);
        program.run(&["config", "set", "database.url", "sqlite:x"]).refused(&["database.url cannot be set here", "picker.max_items"]);
        program.run(&["config", "set", "picker.min_items", "x"]).refused(&["picker.min_items: expected a whole number"]);
        assert!(program.run(&["config", "unset", "site.name"]).good().out.starts_with("site.name = Ship or Skip"));
    }

    async fn another_process_follows_and_a_value_that_no_longer_fits_stops_nothing(test_db) {
        let test_app = test_app(test_db).await;
        let program = Program::set_up(&test_app.test_db);
        program.run(&["config", "set", "site.newsletter", "Followed"]).good();
        assert!(test_app.app.refresh_settings().await.expect("read"));
        assert_eq!(test_app.app.site.newsletter, "Followed");
        assert!(!test_app.app.refresh_settings().await.expect("read"), "once");
        crate::support::run_raw_sql(&test_app.test_db, "insert into settings (key, value, set_by, set_at) values ('picker.min_items', '99', 'cli:cli', 0)").await;
        assert!(test_app.app.refresh_settings().await.expect("read"));
        assert_eq!(test_app.app.site.newsletter, "Weekly AI Tool Verdicts", "all of the desk's are left out, and the log says so");
        program.run(&["config"]).good();
    }
}
