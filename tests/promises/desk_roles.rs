//! Roles: every route of the desk is asked by every role and without one, as the router itself lists them.

use chrono::TimeDelta;
use reqwest::StatusCode;
use verdicts::config::SecondFactor;
use verdicts::domain::user::Role;
use verdicts::web::desk::Demand;
use verdicts::web::desk::demands;

use crate::support::Program;
use crate::support::TestApp;
use crate::support::desk::Browser;
use crate::support::desk::PASSWORD;
use crate::support::desk::add;
use crate::support::desk::goal;
use crate::support::on_both;

async fn without_codes(test_db: crate::support::TestDb) -> TestApp {
    TestApp::open_with(test_db, |settings| {
        settings.desk.second_factor = SecondFactor::Off
    })
    .await
}

/// A path with something in its open parts.
fn filled(test_app: &TestApp, path: &str) -> String {
    let slot = test_app.slot().to_string();
    let parts = [
        ("{token}", "x"),
        ("{name}", "nobody"),
        ("{report}", "0"),
        ("{upload}", "none"),
        ("{job}", "none"),
        ("{change}", "disable"),
        ("{slot}", &slot),
        ("{action}", "cancel"),
        ("{scheme}", "light"),
        ("{decision}", "dismiss"),
    ];
    parts.iter().fold(path.to_owned(), |path, (open, text)| {
        path.replace(open, text)
    })
}

on_both! {
    async fn each_route_answers_each_role_as_the_table_says(test_db) {
        let test_app = without_codes(test_db).await;
        let everybody = Role::ALL;
        for role in everybody {
            add(&test_app, &format!("{role}@desk.example"), *role).await;
        }
        for (method, path, demand) in demands() {
            let (path, is_sign_out) = (filled(&test_app, path), path == "/desk/sign-out");
            for role in everybody.iter().copied().map(Some).chain([None]) {
                let browser = Browser::at(&test_app);
                if let Some(role) = role {
                    // A sign-in counts against its network: the test is about what follows it.
                    test_app.wait(TimeDelta::minutes(1));
                    assert_eq!(browser.sign_in(&format!("{role}@desk.example"), PASSWORD).await.status(), StatusCode::SEE_OTHER);
                }
                let answer = browser.ask(method.clone(), &path, &[], "/desk").await;
                let status = answer.status();
                let to_sign_in = status == StatusCode::SEE_OTHER && goal(&answer).starts_with("/desk/sign-in") && !is_sign_out;
                let who = format!("{method} {path} as {role:?}: {status}");
                match (demand, role) {
                    (Demand::Nothing | Demand::Link, _) => assert!(!to_sign_in && status != StatusCode::FORBIDDEN, "{who}"),
                    (_, None) => assert!(to_sign_in, "{who}"),
                    (Demand::Code, Some(_)) => assert_eq!(goal(&answer), "/desk", "{who}"),
                    (Demand::Enrol, Some(_)) => assert!(!to_sign_in && status != StatusCode::FORBIDDEN, "{who}"),
                    (Demand::Level { area, level, .. }, Some(role)) if role.may(area, level) => {
                        assert!(!to_sign_in && status != StatusCode::FORBIDDEN && !status.is_server_error(), "{who}")
                    }
                    (Demand::Level { .. }, Some(_)) => assert_eq!(status, StatusCode::FORBIDDEN, "{who}"),
                }
            }
        }
    }

    async fn what_changes_users_needs_a_recent_sign_in(test_db) {
        let test_app = without_codes(test_db).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        let fields = [("email", "wil@desk.example"), ("name", "Wil"), ("role", "writer")];
        test_app.wait(TimeDelta::minutes(11));
        assert_eq!(owner.get("/desk/users").await.status(), StatusCode::OK, "looking needs none");
        let answer = owner.ask(reqwest::Method::POST, "/desk/users", &fields, "/desk/users").await;
        let confirm = goal(&answer);
        assert_eq!(confirm, "/desk/confirm?next=%2Fdesk%2Fusers");
        assert!(owner.page(&confirm).await.contains("Is it still you?"));
        let wrong = owner.post("/desk/confirm", &[("password", "wrong"), ("next", "/desk/users")]).await;
        assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let before = owner.token();
        let right = owner.post("/desk/confirm", &[("password", PASSWORD), ("next", "/desk/users")]).await;
        assert_eq!(goal(&right), "/desk/users");
        assert!(owner.token() != before, "rights rose: a new token");
        let page = owner.post("/desk/users", &fields).await.text().await.expect("a page");
        let link = page.split("value=\"http").nth(1).and_then(|rest| rest.split('"').next()).map(|rest| format!("http{rest}")).expect("a link");

        let wil = Browser::at(&test_app);
        assert!(wil.page(&link).await.contains("wil@desk.example"));
        assert_eq!(wil.post(&link, &[("password", "wil@desk.example")]).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(goal(&wil.post(&link, &[("password", PASSWORD)]).await), "/desk");
        assert_eq!(wil.get(&link).await.status(), StatusCode::NOT_FOUND, "once");
        assert_eq!(wil.get("/desk/users").await.status(), StatusCode::FORBIDDEN);
    }

    async fn an_owner_changes_users_and_the_last_owner_stays(test_db) {
        let test_app = without_codes(test_db).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        let wil = Browser::of(&test_app, Role::Writer).await;
        let named = |page: &str, role: &str| {
            let row = page.split("<tr").find(|row| row.contains(&format!("{role}@desk.example"))).expect("a row").to_owned();
            row.split("/desk/users/").nth(1).and_then(|rest| rest.split('/').next()).expect("a name").to_owned()
        };
        let page = owner.page("/desk/users").await;
        let (me, other) = (named(&page, "owner"), named(&page, "writer"));
        for change in ["disable", "sign-out", "reset-second-factor", "reset-password"] {
            let question = owner.page(&format!("/desk/users/{other}/{change}")).await;
            assert!(question.contains("writer@desk.example") && question.contains("method=\"post\""), "{change}");
        }
        assert_eq!(wil.get("/desk/account").await.status(), StatusCode::OK, "asking does nothing");
        for path in [format!("/desk/users/{me}/role"), format!("/desk/users/{me}/disable")] {
            let said = owner.press(&path, &[("role", "writer")]).await;
            assert!(said.contains("last owner"), "{path}");
        }
        assert!(owner.press(&format!("/desk/users/{other}/sign-out"), &[]).await.contains("signed out everywhere"));
        assert_eq!(wil.get("/desk/account").await.status(), StatusCode::SEE_OTHER);
        assert!(owner.press(&format!("/desk/users/{other}/disable"), &[]).await.contains("is disabled"));
        assert_eq!(wil.sign_in("writer@desk.example", PASSWORD).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
        owner.press(&format!("/desk/users/{other}/enable"), &[]).await;
        owner.press(&format!("/desk/users/{other}/role"), &[("role", "owner")]).await;
        assert_eq!(goal(&wil.sign_in("writer@desk.example", PASSWORD).await), "/desk");
        assert_eq!(wil.get("/desk/users").await.status(), StatusCode::OK, "an owner now");
        assert!(wil.press(&format!("/desk/users/{me}/role"), &[("role", "analyst")]).await.contains("has another role"));
        assert_eq!(owner.get("/desk/users").await.status(), StatusCode::FORBIDDEN, "at once");
    }

    async fn the_command_line_is_the_way_back(test_db) {
        let program = Program::set_up(&test_db);
        let input = format!("{PASSWORD}\n");
        let add = ["--json", "users", "add", "ada@lovelace.example", "--role", "owner", "--password-stdin"];
        let said = program.run_with_input(&add, input.as_bytes());
        assert_eq!(said.json()["role"], "owner");
        assert!(!said.out.contains(PASSWORD) && said.json().get("link").is_none());
        let again = program.run_with_input(&add, input.as_bytes());
        assert!(again.code != 0 && again.err.contains("is a user already"), "{again:?}");
        let weak = program.run_with_input(&["users", "reset-password", "ada@lovelace.example", "--password-stdin"], b"password1234\n");
        assert!(weak.code != 0 && weak.err.contains("Choose one"), "{weak:?}");
        assert!(program.run(&["users", "add", "nobody", "--role", "owner"]).code == 2);
        assert!(program.run(&["users", "add", "wil@desk.example", "--role", "king"]).code == 2);
        let invited = program.run(&["--json", "users", "add", "wil@desk.example", "--role", "writer", "--name", "Wil"]).json();
        assert!(invited["link"].as_str().is_some_and(|link| link.contains("/desk/password/")), "{invited}");
        for refused in [["users", "role", "ada@lovelace.example", "editor"].as_slice(), &["users", "disable", "ada@lovelace.example"]] {
            let said = program.run(refused);
            assert!(said.code != 0 && said.err.contains("last owner"), "{said:?}");
        }
        let nobody = program.run(&["users", "sign-out", "nobody@desk.example"]);
        assert!(nobody.code != 0 && nobody.err.contains("There is no user"), "{nobody:?}");
        for good in [
            ["users", "role", "wil@desk.example", "owner"].as_slice(),
            &["users", "disable", "ada@lovelace.example"],
            &["users", "enable", "ada@lovelace.example"],
            &["users", "reset-second-factor", "ada@lovelace.example"],
            &["users", "sign-out", "ada@lovelace.example"],
            &["users", "reset-password", "ada@lovelace.example"],
        ] {
            program.run(good).good();
        }
        let list = program.run(&["users", "list"]).good().out;
        assert!(list.contains("ada@lovelace.example") && list.contains("no password yet"), "{list}");
    }
}
