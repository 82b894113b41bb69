//! Endpoints are made, watched and changed by command and at the desk.

use reqwest::StatusCode;
use serde_json::Value;
use verdicts::config::SecondFactor;
use verdicts::domain::user::Role;

use super::*;
use crate::support::Program;
use crate::support::desk::Browser;
use crate::support::hook_sink::HookAnswer;
use crate::support::hook_sink::status;

/// The text between two marks.
fn between<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    let rest = page
        .split_once(from)
        .unwrap_or_else(|| panic!("no {from} in {page}"))
        .1;
    rest.split_once(to).expect("an end").0
}

on_both! {
    async fn an_endpoint_is_kept_by_command(test_db) {
        let sink = HookSink::start().await;
        let test_app = app_at(test_db).await;
        // The commands go by the machine's clock.
        let now = verdicts::app::Clock::system().now();
        test_app.set_clock(&now.to_rfc3339());
        let program = Program::set_up(&test_app.test_db).with("VERDICTS_WEBHOOKS_OUT__ALLOW_PRIVATE", "127.0.0.1");
        let hour = |hours| (now + chrono::TimeDelta::hours(hours)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let made = program.run(&["--json", "webhooks", "add", "CRM", &sink.url, "--kinds", "breaker.*,digest.sent", "--ed25519"]).good().json();
        let secret: Secret = made["secret"].as_str().expect("a secret").into();
        let id = made["endpoint"]["id"].as_str().expect("an id").to_owned();
        assert!(made["endpoint"]["public_key"].as_str().is_some_and(|key| key.starts_with("whpk_")));
        let list = program.run(&["webhooks", "list"]).good().out;
        assert!(list.contains(&id) && list.contains("CRM") && list.contains("breaker.*, digest.sent") && !list.contains(secret.expose()), "{list}");
        sink.answer(|number, _| match number {
            0 => HookAnswer::Status(500, "", "a \u{1b}[31mred\u{1b}[0m answer".into()),
            _ => status(200),
        });
        let test = program.run(&["webhooks", "test", "CRM"]);
        assert!(test.code == 1 && test.out.contains("500"), "{test:?}");
        let test = program.run(&["webhooks", "test", &id]).good();
        assert!(test.out.contains(": 200 after"), "{test:?}");
        assert_eq!(signed_by(&sink.take()[1], &key(&secret)), 1);
        sink.answer(|_, _| status(200));
        happen(&test_app, "main").await;
        send(&test_app).await;
        let event = sink.take()[0].id().to_owned();
        let log = program.run(&["--json", "webhooks", "deliveries", "CRM", "--state", "sent"]).good().json();
        assert_eq!(log["deliveries"][0]["event"], event.as_str(), "{log}");
        let log = program.run(&["--json", "webhooks", "deliveries", "CRM"]).good().json();
        let tests: Vec<&Value> = log["deliveries"].as_array().expect("a log").iter().filter(|row| row["type"] == "webhook.test").collect();
        assert_eq!(tests.len(), 2);
        let shown = tests.iter().map(|row| program.run(&["webhooks", "deliveries", "CRM", "--event", row["event"].as_str().expect("an id")]).good().out);
        let shown: Vec<String> = shown.collect();
        assert!(shown.iter().any(|text| text.contains("red")) && shown.iter().all(|text| !text.contains('\u{1b}')), "{shown:?}");
        let feed = program.run(&["--json", "events", "list", "--kind", "breaker.opened"]).good().json();
        assert_eq!((&feed["events"][0]["id"], feed["events"].as_array().map(Vec::len)), (&event.as_str().into(), Some(1)));
        let next = feed["next"].as_str().expect("a place").to_owned();
        let feed = program.run(&["--json", "events", "list", "--after", &next]).good().json();
        assert_eq!(feed["next"], next.as_str(), "the place stays");
        program.run(&["webhooks", "replay", "CRM", "--event", &event]).good();
        program.run(&["webhooks", "replay", "CRM", "--from", &hour(-1), "--to", &hour(1)]).good();
        send(&test_app).await;
        assert!(sink.take().iter().any(|hooked| hooked.id() == event));
        let rotated = program.run(&["--json", "webhooks", "rotate", "CRM"]).good().json();
        assert_ne!(rotated["secret"].as_str(), Some(secret.expose()));
        program.run(&["webhooks", "edit", "CRM", "--rename", "Shop", "--kinds", "*", "--ordered", "true", "--ed25519", "false"]).good();
        let list = program.run(&["--json", "webhooks", "list"]).good().json();
        let endpoint = &list["endpoints"][0];
        assert_eq!((&endpoint["name"], &endpoint["ordered"], &endpoint["public_key"]), (&"Shop".into(), &true.into(), &Value::Null));
        program.run(&["webhooks", "disable", "Shop"]).good();
        program.run(&["webhooks", "enable", "Shop"]).good();
        program.run(&["webhooks", "add", "x", "http://192.0.2.1/", "--kinds", "*"]).refused(&["private address"]);
        program.run(&["webhooks", "add", "x", &sink.url, "--kinds", "digest.lost"]).refused(&["digest.lost", "digest.sent"]);
        program.run(&["webhooks", "remove", "Nobody"]).refused(&["Nobody", "webhooks list"]);
        program.run(&["webhooks", "remove", "Shop"]).good();
        let audit = program.run(&["audit", "list"]).good().out;
        for what in ["added", "changed", "rotated", "tested", "replayed", "disabled", "enabled", "removed"] {
            assert!(audit.contains(&format!("webhook.{what}")), "{what}: {audit}");
        }
        assert!(!audit.contains("127.0.0.1"), "an address may hold a secret");
    }

    async fn an_owner_keeps_endpoints_at_the_desk(test_db) {
        let sink = HookSink::start().await;
        let test_app = TestApp::open_with(test_db, |settings| {
            private(settings);
            settings.desk.second_factor = SecondFactor::Off;
        }).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        assert_eq!(editor.get("/desk/webhooks").await.status(), StatusCode::FORBIDDEN);
        assert!(owner.page("/desk/webhooks").await.contains("No program is told of anything yet"));
        let refused = owner.post("/desk/webhooks", &[("name", "CRM"), ("url", "https://10.0.0.1/"), ("kinds", "*")]).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let page = refused.text().await.expect("a page");
        assert!(page.contains("private address") && page.contains("value=CRM") | page.contains("value=\"CRM\""), "{page}");
        let made = owner.post("/desk/webhooks", &[("name", "CRM"), ("url", &sink.url), ("kinds", "breaker.* digest.sent"), ("personal", "yes")]).await;
        assert_eq!(made.status(), StatusCode::OK);
        let page = made.text().await.expect("a page");
        let secret: Secret = format!("whsec_{}", between(&page, "whsec_", "<")).as_str().into();
        let here = format!("/desk/webhooks/{}", between(&page, "/desk/webhooks/", "\""));
        assert!(!owner.page(&here).await.contains("whsec_"), "shown once");
        assert!(owner.page("/desk/webhooks").await.contains("breaker.*, digest.sent"));
        sink.answer(|_, _| HookAnswer::Status(500, "", "<script>alert(1)</script>".into()));
        let page = owner.press(&format!("{here}/test"), &[]).await;
        assert!(page.contains("did not take the test: 500") && page.contains("&#60;script&#62;") && !page.contains("<script>alert"), "escaped: {page}");
        assert_eq!(signed_by(&sink.take()[0], &key(&secret)), 1);
        happen(&test_app, "main").await;
        send(&test_app).await;
        let event = sink.take()[0].id().to_owned();
        let page = owner.page(&here).await;
        assert!(page.contains("failing") && page.contains(&event) && page.contains("queued"), "{page}");
        assert!(!owner.page(&format!("{here}?state=sent")).await.contains(&event));
        let page = owner.page(&format!("{here}/events/{event}")).await;
        assert!(page.contains("&#34;type&#34;:&#34;breaker.opened&#34;"), "the body: {page}");
        sink.answer(|_, _| status(200));
        assert!(owner.press(&format!("{here}/events/{event}/replay"), &[]).await.contains("queued to be sent again"));
        send(&test_app).await;
        assert_eq!(sink.take()[0].id(), event);
        assert!(owner.page(&format!("{here}/events/{event}")).await.contains("replayed by user:"));
        let refused = owner.post(&format!("{here}/replay"), &[("from", "yesterday"), ("to", "")]).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(owner.press(&format!("{here}/replay"), &[("from", "2026-11-24T00:00:00Z"), ("to", "")]).await.contains("1 events are queued"));
        assert!(owner.page(&format!("{here}/rotate")).await.contains("24 hours"));
        let rotated = owner.post(&format!("{here}/rotate"), &[]).await.text().await.expect("a page");
        assert_ne!(format!("whsec_{}", between(&rotated, "whsec_", "<")), secret.expose());
        assert!(owner.press(&here, &[("name", "Shop"), ("url", &sink.url), ("kinds", "*"), ("ordered", "yes"), ("ed25519", "yes")]).await.contains("whpk_"));
        assert!(owner.press(&format!("{here}/disable"), &[]).await.contains("Disabled"));
        assert!(owner.press(&format!("{here}/enable"), &[]).await.contains("enabled"));
        assert!(owner.page(&format!("{here}/remove")).await.contains("Shop"));
        assert!(owner.press(&format!("{here}/remove"), &[]).await.contains("The endpoint is removed."));
        assert_eq!(owner.get(&here).await.status(), StatusCode::NOT_FOUND);
    }
}

/// The section of providers' webhooks had another name.
#[test]
fn the_old_name_of_a_section_is_read_with_a_warning() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db);
    program.write(
        "old.toml",
        "[webhooks]\npostmark = \"me:a password of many letters\"\n",
    );
    let said = program
        .run(&["--config", "old.toml", "--json", "config"])
        .good();
    assert!(said.err.contains("[webhooks_in]"), "{}", said.err);
    assert!(
        said.out.contains("webhooks_in.postmark") && said.out.contains("***"),
        "{}",
        said.out
    );
    program.write(
        "both.toml",
        "[webhooks]\npostmark = \"me:a password of many letters\"\n[webhooks_in]\nses = []\n",
    );
    program
        .run(&["--config", "both.toml", "config"])
        .refused(&["webhooks_in"]);
    let program = program.with(
        "VERDICTS_WEBHOOKS__POSTMARK",
        "me:a password of many letters",
    );
    let said = program.run(&["config"]).good();
    assert!(
        said.err.contains("VERDICTS_WEBHOOKS_IN__POSTMARK"),
        "{}",
        said.err
    );
    assert!(
        said.out.contains("VERDICTS_WEBHOOKS__POSTMARK"),
        "{}",
        said.out
    );
    let slip = Program::set_up(&test_db).with("VERDICTS_WEBHOOKS_OUT_KEEP", "30d");
    slip.run(&["config"]).refused(&["two underscores"]);
    for (key, value) in [
        ("KEEP", "1d"),
        ("TIMEOUT", "2m"),
        ("ALLOW_PRIVATE", "http://x"),
    ] {
        let program =
            Program::set_up(&test_db).with(&format!("VERDICTS_WEBHOOKS_OUT__{key}"), value);
        program
            .run(&["webhooks", "list"])
            .refused(&[&format!("webhooks_out.{}", key.to_lowercase())]);
    }
}
