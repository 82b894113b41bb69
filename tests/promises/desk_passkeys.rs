//! Passkeys at the desk: adding one, signing in with it, and every answer of an authenticator that must be refused.

use chrono::TimeDelta;
use reqwest::Method;
use reqwest::Response;
use reqwest::StatusCode;
use serde_json::Value;
use verdicts::app::users::accounts::AccountChange;
use verdicts::config::SecondFactor;
use verdicts::domain::actor::Actor;
use verdicts::domain::user::Role;

use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::authenticator::Authenticator;
use crate::support::authenticator::BACKUP_ELIGIBLE;
use crate::support::authenticator::PRESENT;
use crate::support::authenticator::VERIFIED;
use crate::support::desk::Browser;
use crate::support::desk::PASSWORD;
use crate::support::desk::add;
use crate::support::desk::goal;
use crate::support::on_both;

const ORIGIN: &str = "http://localhost:8080";
const NEW: &str = "/desk/account/passkeys/options";
const PROOF: &str = "/desk/passkey/options";

async fn with(test_db: TestDb, second_factor: SecondFactor) -> TestApp {
    TestApp::open_with(test_db, |settings| {
        settings.desk.second_factor = second_factor;
        settings.desk.base_url = Some(ORIGIN.parse().expect("an address"));
    })
    .await
}

async fn without_codes(test_db: TestDb) -> TestApp {
    with(test_db, SecondFactor::Off).await
}

fn device() -> Authenticator {
    Authenticator::at(ORIGIN, "localhost")
}

/// Begins a ceremony.
async fn begin(browser: &Browser<'_>, path: &str) -> Value {
    let answer = browser.post(path, &[]).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.json().await.expect("options")
}

/// Sends an answer to a ceremony.
async fn finish(browser: &Browser<'_>, path: &str, begun: &Value, answer: &str) -> Response {
    let ceremony = begun["ceremony"].as_str().expect("an id");
    let fields = [
        ("ceremony", ceremony),
        ("credential", answer),
        ("name", "Phone"),
    ];
    browser.post(path, &fields).await
}

async fn add_passkey(browser: &Browser<'_>, device: &mut Authenticator) -> Response {
    let begun = begin(browser, NEW).await;
    let answer = device.create(&begun["publicKey"]);
    finish(browser, "/desk/account/passkeys", &begun, &answer).await
}

async fn prove(browser: &Browser<'_>, device: &mut Authenticator) -> Response {
    let begun = begin(browser, PROOF).await;
    let answer = device.get(&begun["publicKey"]);
    finish(browser, "/desk/passkey", &begun, &answer).await
}

/// The actions of the audit log about users, the latest first.
async fn actions(test_app: &TestApp) -> Vec<String> {
    let log = test_app.app.audit_log(&Default::default(), None, 100).await;
    let log = log.expect("the audit log");
    log.into_iter()
        .map(|entry| entry.row.what)
        .filter(|what| what.starts_with("user.passkey"))
        .collect()
}

/// The short name of the first passkey on the page of an account.
fn first(page: &str) -> &str {
    let rest = page
        .split("/desk/account/passkeys/")
        .find(|rest| rest.contains("/rename"));
    let name = rest.and_then(|rest| rest.split('/').next());
    name.expect("a passkey")
}

on_both! {
    async fn a_passkey_is_added_named_used_and_removed(test_db) {
        let test_app = without_codes(test_db).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        let mut phone = device();
        let begun = begin(&owner, NEW).await;
        let options = &begun["publicKey"];
        assert_eq!(options["authenticatorSelection"]["residentKey"], "required");
        assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
        assert_eq!(options["user"]["name"], "owner@desk.example");
        let created = phone.create(options);
        assert_eq!(goal(&finish(&owner, "/desk/account/passkeys", &begun, &created).await), "/desk/account");
        let page = owner.page("/desk/account").await;
        assert!(page.contains("value=\"Phone\"") && page.contains("<td>never</td>"), "{page}");

        let again = begin(&owner, NEW).await;
        assert_eq!(again["publicKey"]["user"]["id"], options["user"]["id"], "one handle for all passkeys of a user");
        assert_eq!(again["publicKey"]["excludeCredentials"].as_array().expect("a list").len(), 1);

        let other = Browser::at(&test_app);
        let begun = begin(&other, PROOF).await;
        assert!(begun.get("mediation").is_none() && begun["publicKey"]["allowCredentials"] == serde_json::json!([]), "{begun}");
        let signed = phone.get(&begun["publicKey"]);
        let answer = finish(&other, "/desk/passkey", &begun, &signed).await;
        assert_eq!(goal(&answer), "/desk");
        assert!(other.page("/desk/users").await.contains("password, passkey"), "an owner");
        let page = owner.page("/desk/account").await;
        assert!(!page.contains("<td>never</td>"));

        let name = first(&page);
        let said = owner.press(&format!("/desk/account/passkeys/{name}/rename"), &[("name", "Blue <key>")]).await;
        assert!(said.contains("has another name") && said.contains("Blue &#60;key&#62;"), "{said}");
        assert!(owner.press(&format!("/desk/account/passkeys/{name}/rename"), &[("name", " ")]).await.contains("Give a name"));
        let question = owner.page(&format!("/desk/account/passkeys/{name}/remove")).await;
        assert!(question.contains("method=\"post\"") && question.contains("Blue"));
        assert!(owner.press(&format!("/desk/account/passkeys/{name}/remove"), &[]).await.contains("was removed"));
        assert_eq!(prove(&Browser::at(&test_app), &mut phone).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(actions(&test_app).await, ["user.passkey_removed", "user.passkey_added"]);
        let dump = test_app.test_db.dump().await;
        assert!(!dump.iter().any(|row| row.starts_with("passkeys:")), "{dump:?}");
    }

    async fn a_passkey_counts_as_two_factors(test_db) {
        let test_app = with(test_db, SecondFactor::Owner).await;
        add(&test_app, "owner@desk.example", Role::Owner).await;
        let owner = Browser::at(&test_app);
        assert_eq!(goal(&owner.sign_in("owner@desk.example", PASSWORD).await), "/desk/account/second-factor");
        assert!(owner.page("/desk/account/second-factor").await.contains("/desk/account/passkeys/new"));
        assert!(owner.page("/desk/account/passkeys/new").await.contains("data-passkey=\"create\""));
        let (mut phone, before) = (device(), owner.token());
        assert_eq!(goal(&add_passkey(&owner, &mut phone).await), "/desk");
        assert!(owner.token() != before, "rights rose: a new token");
        assert_eq!(owner.get("/desk/users").await.status(), StatusCode::OK);

        // The password alone leads to the passkey, and never to another second factor.
        let thief = Browser::at(&test_app);
        assert_eq!(goal(&thief.sign_in("owner@desk.example", PASSWORD).await), "/desk/sign-in/code");
        let page = thief.page("/desk/sign-in/code").await;
        assert!(page.contains("data-passkey=\"get\"") && !page.contains("name=\"code\""), "{page}");
        for path in ["/desk", "/desk/account/second-factor", "/desk/account/passkeys/new"] {
            assert_eq!(goal(&thief.get(path).await), "/desk/sign-in/code", "{path}");
        }
        assert_eq!(goal(&thief.post(NEW, &[]).await), "/desk/sign-in/code");
        assert_eq!(thief.post("/desk/sign-in/code", &[("code", "123456")]).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(goal(&prove(&thief, &mut phone).await), "/desk", "with the passkey it is no thief");

        let name = first(&owner.page("/desk/account").await).to_owned();
        let said = owner.press(&format!("/desk/account/passkeys/{name}/remove"), &[]).await;
        assert!(said.contains("It is the last passkey"), "{said}");
        assert_eq!(goal(&prove(&Browser::at(&test_app), &mut phone).await), "/desk");

        let user = test_app.app.user_named(&"owner@desk.example".parse().expect("an address")).await.expect("a user");
        test_app.app.change_account(&Actor::cli(), &user, AccountChange::ResetSecondFactor).await.expect("reset");
        assert_eq!(owner.get("/desk/account").await.status(), StatusCode::SEE_OTHER, "sessions end");
        assert_eq!(prove(&Browser::at(&test_app), &mut phone).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(goal(&owner.sign_in("owner@desk.example", PASSWORD).await), "/desk/account/second-factor");
    }

    async fn an_answer_that_does_not_fit_signs_nobody_in(test_db) {
        let test_app = without_codes(test_db).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        let writer = Browser::of(&test_app, Role::Writer).await;
        let (mut phone, mut other) = (device(), device());
        assert_eq!(goal(&add_passkey(&owner, &mut phone).await), "/desk/account");
        assert_eq!(goal(&add_passkey(&writer, &mut other).await), "/desk/account");
        let right = phone.handle.clone();

        type Change = fn(&mut Authenticator);
        let wrong: [(&str, Change); 8] = [
            ("another origin", |device| device.origin = "http://localhost:9090".into()),
            ("a site that looks alike", |device| device.origin = "https://localhost.evil.example".into()),
            ("another site's key", |device| device.rp_id = "evil.example".into()),
            ("nobody verified", |device| device.flags = PRESENT),
            ("nobody there", |device| device.flags = 0),
            ("no user named", |device| device.handle = None),
            ("a user who is nobody", |device| device.handle = Some("AAAAAAAAAAAAAAAAAAAAAA".into())),
            ("a key that is nobody's", |device| device.id = vec![7; 32]),
        ];
        for (why, change) in wrong {
            test_app.wait(TimeDelta::minutes(1));
            let (origin, rp_id, id) = (phone.origin.clone(), phone.rp_id.clone(), phone.id.clone());
            change(&mut phone);
            let browser = Browser::at(&test_app);
            let answer = prove(&browser, &mut phone).await;
            assert_eq!((answer.status(), browser.token()), (StatusCode::UNPROCESSABLE_ENTITY, None), "{why}");
            (phone.origin, phone.rp_id, phone.id, phone.flags, phone.handle) = (origin, rp_id, id, VERIFIED, right.clone());
        }
        // Another user's handle, another user's credential.
        for swapped in [(other.handle.clone(), phone.id.clone()), (right.clone(), other.id.clone())] {
            test_app.wait(TimeDelta::minutes(1));
            let id = phone.id.clone();
            (phone.handle, phone.id) = swapped;
            let browser = Browser::at(&test_app);
            assert_eq!(prove(&browser, &mut phone).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
            (phone.handle, phone.id) = (right.clone(), id);
        }
        test_app.wait(TimeDelta::minutes(5));
        let browser = Browser::at(&test_app);
        let begun = begin(&browser, PROOF).await;
        let answer = phone.get(&begun["publicKey"]);
        let stranger = Browser::at(&test_app);
        begin(&stranger, PROOF).await;
        for thief in [stranger, Browser::at(&test_app)] {
            let refused = finish(&thief, "/desk/passkey", &begun, &answer).await;
            assert_eq!((refused.status(), thief.token()), (StatusCode::UNPROCESSABLE_ENTITY, None), "another browser");
        }
        let mut damaged: Value = serde_json::from_str(&answer).expect("JSON");
        let signature = damaged["response"]["signature"].as_str().expect("text").replace(|c: char| c.is_ascii_digit(), "A");
        damaged["response"]["signature"] = signature.into();
        for text in ["", "{}", "null", "no JSON", &"[".repeat(20_000)] {
            let refused = finish(&browser, "/desk/passkey", &begun, text).await;
            assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{text:.9}");
        }
        assert_eq!(finish(&browser, "/desk/passkey", &begun, &damaged.to_string()).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let used = finish(&browser, "/desk/passkey", &begun, &answer).await;
        assert_eq!(used.status(), StatusCode::UNPROCESSABLE_ENTITY, "a challenge is used up by a wrong answer too");
        test_app.wait(TimeDelta::minutes(5));
        let begun = begin(&browser, PROOF).await;
        let answer = phone.get(&begun["publicKey"]);
        assert_eq!(goal(&finish(&browser, "/desk/passkey", &begun, &answer).await), "/desk");
        let replayed = Browser::at(&test_app);
        assert_eq!(finish(&replayed, "/desk/passkey", &begun, &answer).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let late = Browser::at(&test_app);
        let begun = begin(&late, PROOF).await;
        test_app.wait(TimeDelta::minutes(6));
        let answer = phone.get(&begun["publicKey"]);
        let refused = finish(&late, "/desk/passkey", &begun, &answer).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "late");
        assert!(refused.text().await.expect("a page").contains("more than five minutes"));

        let user = test_app.app.user_named(&"writer@desk.example".parse().expect("an address")).await.expect("a user");
        test_app.app.change_account(&Actor::cli(), &user, AccountChange::Disable).await.expect("disabled");
        assert_eq!(prove(&Browser::at(&test_app), &mut other).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "disabled");
        test_app.app.tick().await.expect("a tick");
        let dump = test_app.test_db.dump().await;
        assert!(!dump.iter().any(|row| row.starts_with("ceremonies:")), "what is over is forgotten: {dump:?}");
    }

    async fn a_counter_that_goes_back_is_refused_and_told(test_db) {
        let test_app = without_codes(test_db).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        let mut key = device();
        key.counter = 5;
        add_passkey(&owner, &mut key).await;
        let at = async |key: &mut Authenticator, counter: u32| {
            key.counter = counter;
            prove(&Browser::at(&test_app), key).await
        };
        assert_eq!(at(&mut key, 6).await.status(), StatusCode::SEE_OTHER);
        assert_eq!(at(&mut key, 9).await.status(), StatusCode::SEE_OTHER);
        for counter in [9, 7, 0] {
            let refused = at(&mut key, counter).await;
            assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{counter}");
            assert!(refused.text().await.expect("a page").contains("its counter went back"));
        }
        assert_eq!(at(&mut key, 10).await.status(), StatusCode::SEE_OTHER);
        assert_eq!(actions(&test_app).await, ["user.passkey_refused", "user.passkey_refused", "user.passkey_refused", "user.passkey_added"]);
        // A key that its maker began to keep in a backup stays good.
        let mut phone = device();
        add_passkey(&owner, &mut phone).await;
        phone.flags = VERIFIED | BACKUP_ELIGIBLE;
        for _ in 0..2 {
            assert_eq!(prove(&Browser::at(&test_app), &mut phone).await.status(), StatusCode::SEE_OTHER);
        }
    }

    async fn a_passkey_that_does_not_fit_is_not_added(test_db) {
        let test_app = without_codes(test_db).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        let writer = Browser::of(&test_app, Role::Writer).await;
        type Change = fn(&mut Authenticator);
        let wrong: [(&str, Change); 5] = [
            ("nobody verified", |device| device.flags = PRESENT),
            ("a key that is not found without a name", |device| device.is_discoverable = Some(false)),
            ("another origin", |device| device.origin = "https://evil.example".into()),
            ("another site", |device| device.rp_id = "evil.example".into()),
            ("an id that is too long", |device| device.id = vec![1; 1_024]),
        ];
        for (why, change) in wrong {
            let mut device = device();
            change(&mut device);
            assert_eq!(add_passkey(&owner, &mut device).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "{why}");
        }
        let mut phone = device();
        let begun = begin(&owner, NEW).await;
        let created = phone.create(&begun["publicKey"]);
        assert_eq!(finish(&writer, "/desk/account/passkeys", &begun, &created).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "another session");
        assert_eq!(finish(&owner, "/desk/passkey", &begun, &created).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "another purpose");
        assert_eq!(goal(&finish(&owner, "/desk/account/passkeys", &begun, &created).await), "/desk/account");
        assert_eq!(finish(&owner, "/desk/account/passkeys", &begun, &created).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "once");
        let taken = add_passkey(&writer, &mut phone).await;
        assert_eq!(taken.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(taken.text().await.expect("a page").contains("known here already"));
        let late = begin(&owner, NEW).await;
        test_app.wait(TimeDelta::minutes(6));
        let created = device().create(&late["publicKey"]);
        assert_eq!(finish(&owner, "/desk/account/passkeys", &late, &created).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "late");
        test_app.wait(TimeDelta::minutes(5));
        assert_eq!(goal(&owner.get("/desk/account/passkeys/new").await), "/desk/confirm?next=%2Fdesk%2Faccount%2Fpasskeys%2Fnew");
        assert_eq!(owner.post(NEW, &[]).await.status(), StatusCode::FORBIDDEN, "the sign-in is old");
        assert_eq!(actions(&test_app).await, ["user.passkey_added"]);
    }

    async fn a_passkey_makes_a_sign_in_recent(test_db) {
        let test_app = without_codes(test_db).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        let writer = Browser::of(&test_app, Role::Writer).await;
        let (mut phone, mut other) = (device(), device());
        add_passkey(&owner, &mut phone).await;
        add_passkey(&writer, &mut other).await;
        test_app.wait(TimeDelta::minutes(11));
        let fields = [("email", "wil@desk.example"), ("name", "Wil"), ("role", "writer")];
        let confirm = goal(&owner.ask(Method::POST, "/desk/users", &fields, "/desk/users").await);
        assert!(owner.page(&confirm).await.contains("data-passkey=\"get\""));
        let (before, refused) = (owner.token(), prove(&owner, &mut other).await);
        assert_eq!((refused.status(), owner.token()), (StatusCode::UNPROCESSABLE_ENTITY, before.clone()));
        assert!(refused.text().await.expect("a page").contains("somebody else&#39;s"));
        assert_eq!(prove(&owner, &mut phone).await.status(), StatusCode::SEE_OTHER);
        assert!(owner.token() != before);
        assert_eq!(owner.post("/desk/users", &fields).await.status(), StatusCode::OK);
    }

    async fn attempts_with_passkeys_are_limited(test_db) {
        let test_app = without_codes(test_db).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        let mut phone = device();
        add_passkey(&owner, &mut phone).await;
        test_app.wait(TimeDelta::minutes(5));
        let browser = Browser::at(&test_app);
        phone.flags = PRESENT;
        let mut statuses = Vec::new();
        for _ in 0..12 {
            statuses.push(prove(&browser, &mut phone).await.status().as_u16());
        }
        assert_eq!(statuses[..10], [422; 10]);
        assert_eq!(statuses[10..], [429; 2]);
        assert_eq!(browser.sign_in("owner@desk.example", PASSWORD).await.status(), StatusCode::TOO_MANY_REQUESTS, "of one network");
        let begun = futures_util::future::join_all((0..70).map(|_| browser.post(PROOF, &[]))).await;
        let refused: Vec<_> = begun.iter().filter(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS).collect();
        assert!(refused.len() >= 15 && refused[0].headers().contains_key("retry-after"), "{}", refused.len());
    }

    async fn without_a_name_there_are_no_passkeys_and_all_else_works(test_db) {
        for (url, sentence) in [("http://desk.example", "by https alone"), ("https://192.0.2.1", "is an IP address")] {
            let test_app = TestApp::open_with(test_db.again(), |settings| {
                settings.desk.second_factor = SecondFactor::Off;
                settings.desk.base_url = Some(url.parse().expect("an address"));
            }).await;
            if test_app.app.storage.users().await.expect("users").is_empty() {
                add(&test_app, "owner@desk.example", Role::Owner).await;
            }
            let owner = Browser::at(&test_app);
            assert!(!owner.page("/desk/sign-in").await.contains("data-passkey"));
            assert_eq!(owner.post(PROOF, &[]).await.status(), StatusCode::CONFLICT);
            assert_eq!(finish(&owner, "/desk/passkey", &serde_json::json!({ "ceremony": "x" }), "{}").await.status(), StatusCode::CONFLICT);
            let fields = [("email", "owner@desk.example"), ("password", PASSWORD)];
            let signed_in = test_app.request(Method::POST, "/desk/sign-in").form(&fields).send().await.expect("an answer");
            let cookie = signed_in.headers()["set-cookie"].to_str().expect("text").split(';').next().expect("a cookie").to_owned();
            let page = test_app.request(Method::GET, "/desk/account").header("cookie", cookie).send().await.expect("an answer");
            let page = page.text().await.expect("a page");
            assert!(page.contains(sentence) && page.contains("desk.base_url"), "{page}");
        }
    }

    async fn at_an_address_of_this_machine_passkeys_are_those_of_localhost(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| settings.desk.second_factor = SecondFactor::Off).await;
        let origin = test_app.url.replace("127.0.0.1", "localhost");
        let owner = Browser::of(&test_app, Role::Owner).await;
        let page = owner.page("/desk/account").await;
        assert!(page.contains(&format!("Open {origin}/desk")), "{page}");
        let at_localhost = async |path: &str| {
            let request = test_app.request(Method::GET, path).header("host", origin.strip_prefix("http://").expect("http"));
            request.send().await.expect("an answer").text().await.expect("a page")
        };
        assert!(at_localhost("/desk/sign-in").await.contains("data-passkey=\"get\""));
        let mut phone = Authenticator::at(&origin, "localhost");
        assert_eq!(goal(&add_passkey(&owner, &mut phone).await), "/desk/account");
        assert_eq!(goal(&prove(&Browser::at(&test_app), &mut phone).await), "/desk");
    }

    async fn the_command_line_lists_and_removes_passkeys(test_db) {
        let test_app = without_codes(test_db).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        let mut phone = device();
        add_passkey(&owner, &mut phone).await;
        prove(&Browser::at(&test_app), &mut phone).await;
        let program = Program::in_place(&test_app.test_db).with("VERDICTS_SITE__SECRET", "a secret for tests only");
        let list = program.run(&["--json", "users", "passkeys", "owner@desk.example"]).good().json();
        let passkey = &list["passkeys"][0];
        assert!(passkey["name"] == "Phone" && passkey["used_at"].is_string(), "{list}");
        assert!(program.run(&["users", "list"]).good().out.contains("password, passkey"));
        let wrong = program.run(&["users", "remove-passkey", "owner@desk.example", "nothing"]);
        assert!(wrong.code != 0 && wrong.err.contains("users passkeys owner@desk.example"), "{wrong:?}");
        let name = passkey["passkey"].as_str().expect("a name");
        program.run(&["users", "remove-passkey", "owner@desk.example", name]).good();
        assert!(program.run(&["users", "passkeys", "owner@desk.example"]).good().err.contains("has no passkey"));
        assert_eq!(prove(&Browser::at(&test_app), &mut phone).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(actions(&test_app).await, ["user.passkey_removed", "user.passkey_added"]);
    }
}
