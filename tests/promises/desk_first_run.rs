//! The desk's first run: a link makes the first owner, once, and their second factor follows.

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::Method;
use reqwest::StatusCode;
use verdicts::config::SecondFactor;
use verdicts::web::desk::demands;

use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::desk::Browser;
use crate::support::desk::PASSWORD;
use crate::support::desk::code;
use crate::support::desk::goal;
use crate::support::on_both;
use crate::support::until;

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let from = text
        .find(start)
        .unwrap_or_else(|| panic!("{start} in {text}"))
        + start.len();
    let length = text[from..].find(end).expect("an end");
    &text[from..from + length]
}

/// The command line beside a service.
fn program(test_app: &TestApp) -> Program {
    Program::in_place(&test_app.test_db)
        .with("VERDICTS_SITE__SECRET", "a secret for tests only")
        .with("VERDICTS_SITE__BASE_URL", &test_app.url)
}

/// The path of a link that a command prints.
fn link(test_app: &TestApp, out: &str) -> String {
    let line = out
        .lines()
        .find(|line| line.starts_with("http"))
        .expect("a link");
    line.strip_prefix(&test_app.url)
        .expect("of this house")
        .to_owned()
}

const OWNER: [(&str, &str); 3] = [
    ("email", "ada@lovelace.example"),
    ("name", "Ada"),
    ("password", PASSWORD),
];

on_both! {
    async fn without_a_user_the_desk_answers_nobody(test_db) {
        let test_app = TestApp::open(test_db).await;
        for (method, path, _) in demands() {
            let path = path.replace("{token}", "x").replace("{name}", "x").replace("{change}", "disable");
            let answer = Browser::at(&test_app).ask(method.clone(), &path, &[], "/desk").await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{method} {path}");
        }
        // `users setup` works on the machine's clock, the service on its own.
        let test_app = TestApp::open_at(test_app.test_db.again(), &now(), |_| {}).await;
        let path = link(&test_app, &program(&test_app).run(&["users", "setup"]).good().out);
        assert_eq!(test_app.get(&path).await.status(), StatusCode::OK);
        assert_eq!(test_app.get("/desk/sign-in").await.status(), StatusCode::NOT_FOUND, "still no desk");
    }

    async fn the_first_run_makes_one_owner_with_a_second_factor(test_db) {
        let test_app = TestApp::open_at(test_db, &now(), |_| {}).await;
        let (first, path) = {
            let program = program(&test_app);
            let first = link(&test_app, &program.run(&["users", "setup"]).good().out);
            (first, link(&test_app, &program.run(&["users", "setup"]).good().out))
        };
        assert_eq!(test_app.get(&first).await.status(), StatusCode::NOT_FOUND, "a fresh link ends the one before");
        let browser = Browser::at(&test_app);
        for (field, bad) in [("email", "nobody"), ("name", " "), ("password", "password1234"), ("password", "short")] {
            let fields = OWNER.map(|(name, value)| (name, if name == field { bad } else { value }));
            let answer = browser.post(&path, &fields).await;
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{field}");
            let page = answer.text().await.expect("a page");
            assert!(page.contains("role=\"alert\"") && !page.contains(PASSWORD), "{page}");
        }
        let answer = browser.post(&path, &OWNER).await;
        assert_eq!(goal(&answer), "/desk/account/second-factor");
        assert_eq!(test_app.get(&path).await.status(), StatusCode::NOT_FOUND, "a link works once");
        assert_eq!(goal(&browser.get("/desk").await), "/desk/account/second-factor", "nothing before the second factor");

        let page = browser.page("/desk/account/second-factor").await;
        let (key, seed) = (between(&page, "<code class=\"key\">", "<"), between(&page, "name=\"seed\" value=\"", "\""));
        assert!(page.contains("<svg role=\"img\"") && !page.contains("style="), "a picture of its own colours");
        let wrong = browser.post("/desk/account/second-factor", &[("seed", seed), ("code", "000000")]).await;
        let again = wrong.text().await.expect("a page");
        assert!(again.contains(seed) && again.contains(key), "the picture stays the same after a wrong code");
        let right = code(&test_app, key);
        let answer = browser.post("/desk/account/second-factor", &[("seed", seed), ("code", &right)]).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let codes = answer.text().await.expect("a page");
        assert_eq!(codes.matches("<li><code>").count(), 10);
        let recovery = between(&codes, "<li><code>", "<").to_owned();
        assert_eq!(browser.get("/desk/users").await.status(), StatusCode::OK);

        // The code, and the recovery code, work once each.
        let other = Browser::at(&test_app);
        assert_eq!(goal(&other.sign_in("ADA@lovelace.example", PASSWORD).await), "/desk/sign-in/code");
        assert_eq!(goal(&other.get("/desk/users").await), "/desk/sign-in/code", "half-way is not in");
        let enter = async |code: &str| other.post("/desk/sign-in/code", &[("code", code)]).await.status();
        assert_eq!(enter(&right).await, StatusCode::UNPROCESSABLE_ENTITY, "the code that set it up is used");
        test_app.wait(TimeDelta::seconds(60));
        let next = code(&test_app, key);
        assert_eq!(enter(&next).await, StatusCode::SEE_OTHER);
        for (typed, expected) in [
            (next.as_str(), StatusCode::UNPROCESSABLE_ENTITY),
            (&recovery.to_uppercase(), StatusCode::SEE_OTHER),
            (&recovery, StatusCode::UNPROCESSABLE_ENTITY),
        ] {
            let another = Browser::at(&test_app);
            another.sign_in("ada@lovelace.example", PASSWORD).await;
            let answer = another.post("/desk/sign-in/code", &[("code", typed)]).await;
            assert_eq!(answer.status(), expected, "{typed}");
        }
        assert!(browser.page("/desk/account").await.contains("9 of 10 recovery codes"));

        let dump = test_app.test_db.dump().await.join("\n");
        for secret in [PASSWORD, &recovery, &recovery.replace('-', ""), &key.replace(' ', ""), &other.token().expect("a cookie")] {
            assert!(!dump.contains(secret), "no secret is in the database");
        }
        let said = program(&test_app).run(&["users", "setup"]);
        assert!(said.code != 0 && said.err.contains("has users already"), "{said:?}");
    }

    async fn two_who_press_at_once_make_one_owner(test_db) {
        let test_app = TestApp::open(test_db).await;
        let link = test_app.app.setup_link().await.expect("an answer").expect("a link");
        let (one, other) = (Browser::at(&test_app), Browser::at(&test_app));
        let second = OWNER.map(|(name, value)| (name, if name == "email" { "eve@desk.example" } else { value }));
        let (a, b) = tokio::join!(one.post(&link.url, &OWNER), other.post(&link.url, &second));
        let mut statuses = [a.status(), b.status()];
        statuses.sort();
        assert_eq!(statuses, [StatusCode::SEE_OTHER, StatusCode::NOT_FOUND]);
        assert_eq!(test_app.app.storage.users().await.expect("users").len(), 1);
    }

    async fn a_link_is_over_in_time(test_db) {
        let test_app = TestApp::open(test_db).await;
        let link = test_app.app.setup_link().await.expect("an answer").expect("a link");
        test_app.wait(TimeDelta::hours(24) + TimeDelta::seconds(1));
        assert_eq!(test_app.get(&link.url).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(Browser::at(&test_app).post(&link.url, &OWNER).await.status(), StatusCode::NOT_FOUND);
    }

    async fn the_settings_can_name_the_first_owner(test_db) {
        let program = Program::in_place(&test_db)
            .with("VERDICTS_SITE__LISTEN", "127.0.0.1:0")
            .with("VERDICTS_DESK__OWNER", "ada@lovelace.example")
            .with("VERDICTS_DESK__OWNER_PASSWORD_FILE", "password");
        program.write("password", "too short\n");
        program.run(&["migrate"]).good();
        let said = program.run(&["serve"]);
        assert!(said.code != 0 && said.err.contains("desk.owner_password_file") && said.err.contains("12 characters"), "{said:?}");
        program.write("password", format!("{PASSWORD}\n"));
        let running = program.start("serve", &["serve"]);
        serving_says(&program, "verdicts is running").await;
        drop(running);
        let users = program.run(&["--json", "users", "list"]).json();
        let user = &users["users"][0];
        assert_eq!((user["email"].as_str(), user["role"].as_str(), user["has_password"].as_bool()), (Some("ada@lovelace.example"), Some("owner"), Some(true)));
    }

    async fn serve_names_the_command_in_a_log_and_prints_no_link_there(test_db) {
        let program = Program::in_place(&test_db).with("VERDICTS_SITE__LISTEN", "127.0.0.1:0");
        program.run(&["migrate"]).good();
        let running = program.start("serve", &["serve"]);
        let words = serving_says(&program, "verdicts users setup").await;
        assert!(!words.contains("/desk/setup/"), "{words}");
        drop(running);
    }
}

/// What `serve` said, once it says this.
async fn serving_says(program: &Program, text: &str) -> String {
    let read = || std::fs::read_to_string(program.dir.join("serve.err")).unwrap_or_default();
    until(text, async || read().contains(text)).await;
    read()
}

/// The machine's clock, which commands go by.
fn now() -> String {
    verdicts::app::Clock::system().now().to_rfc3339()
}

#[tokio::test]
async fn a_desk_of_its_own_listener_is_not_on_the_site() {
    let test_db = TestDb::sqlite();
    let test_app = TestApp::open_with(test_db, |settings| {
        settings.desk.second_factor = SecondFactor::Off
    })
    .await;
    let browser = Browser::of(&test_app, verdicts::domain::user::Role::Owner).await;
    assert_eq!(browser.get("/desk/users").await.status(), StatusCode::OK);
    let serve = async |pages| {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(verdicts::web::serve(
            test_app.app.clone(),
            listener,
            pages,
            test_app.stop.clone(),
        ));
        url
    };
    let (site, desk) = (
        serve(verdicts::web::Pages::Site).await,
        serve(verdicts::web::Pages::Desk).await,
    );
    let status = async |url: &str, path: &str| {
        test_app
            .request(Method::GET, &format!("{url}{path}"))
            .timeout(Duration::from_secs(5))
            .send()
            .await
            .expect("an answer")
            .status()
    };
    for (url, path, expected) in [
        (&site, "/desk/sign-in", StatusCode::NOT_FOUND),
        (&site, "/", StatusCode::OK),
        (&desk, "/desk/sign-in", StatusCode::OK),
        (&desk, "/", StatusCode::NOT_FOUND),
        (&desk, "/subscribe", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(status(url, path).await, expected, "{path}");
    }
}
