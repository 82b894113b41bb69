//! Signing in at a provider of OpenID Connect: who gets in, every wrong answer that lets nobody in, roles, and a provider that is down.

use chrono::TimeDelta;
use reqwest::Method;
use reqwest::Response;
use reqwest::StatusCode;
use serde_json::Value;
use serde_json::json;
use url::Url;
use verdicts::app::check_result::Severity;
use verdicts::config::SecondFactor;
use verdicts::domain::user::Role;

use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::desk::Browser;
use crate::support::desk::PASSWORD;
use crate::support::desk::add;
use crate::support::desk::goal;
use crate::support::on_both;
use crate::support::provider::CLIENT;
use crate::support::provider::SECRET;
use crate::support::provider::Says;
use crate::support::provider::Signed;
use crate::support::provider::TestProvider;

const BEGIN: &str = "/desk/oidc/test-id";

/// A service with a provider, and settings of it beside the necessary ones.
async fn with(test_db: TestDb, more: Value) -> (TestApp, TestProvider) {
    let provider = TestProvider::start().await;
    let mut settings = json!({ "name": "Test ID", "issuer": provider.issuer, "client_id": CLIENT, "client_secret": SECRET });
    for (name, value) in more.as_object().expect("an object") {
        settings[name] = value.clone();
    }
    let oidc = serde_json::from_value(settings).expect("settings");
    let test_app = TestApp::open_with(test_db, |settings| {
        settings.desk.second_factor = SecondFactor::Owner;
        settings.desk.oidc = vec![oidc];
    })
    .await;
    (test_app, provider)
}

/// Presses the button that leads to a provider; answers the address there.
async fn go(browser: &Browser<'_>, path: &str) -> Url {
    let answer = browser.post(path, &[("next", "/desk/digests")]).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    let page = answer.text().await.expect("a page");
    let href = page
        .split("class=\"button\" href=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let href = href
        .expect("a link")
        .replace("&#38;", "&")
        .replace("&amp;", "&");
    assert!(page.contains("http-equiv=\"refresh\""), "{page}");
    Url::parse(&href).expect("an address")
}

/// Signs in at the provider, and comes back.
async fn by_provider(browser: &Browser<'_>, provider: &TestProvider, path: &str) -> Response {
    let asked = go(browser, path).await;
    let back = provider.sign_in(&asked, browser.test_app.app.now().timestamp());
    browser.get(&back).await
}

async fn refusal(answer: Response) -> String {
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    problem_of(answer).await
}

async fn problem_of(answer: Response) -> String {
    let page = answer.text().await.expect("a page");
    let words = page
        .split("class=\"problem\" role=\"alert\">")
        .nth(1)
        .and_then(|rest| rest.split('<').next());
    words.expect("a problem").to_owned()
}

/// The owner with a linked account.
async fn linked<'a>(test_app: &'a TestApp, provider: &TestProvider) -> Browser<'a> {
    add(test_app, "ada@desk.example", Role::Owner).await;
    let user = test_app
        .app
        .user_named(&"ada@desk.example".parse().expect("an address"))
        .await
        .expect("a user");
    let actor = verdicts::domain::actor::Actor::cli();
    test_app
        .app
        .link_account(&actor, &user, &provider.issuer, "248289761001")
        .await
        .expect("linked");
    let browser = Browser::at(test_app);
    assert_eq!(
        goal(&by_provider(&browser, provider, BEGIN).await),
        "/desk/digests"
    );
    browser
}

async fn role_of(test_app: &TestApp, email: &str) -> Option<Role> {
    let users = test_app.app.storage.users().await.expect("users");
    users
        .into_iter()
        .find(|user| user.email.as_str() == email)
        .map(|user| user.role)
}

on_both! {
    async fn an_account_is_linked_signs_in_and_is_unlinked(test_db) {
        let (test_app, provider) = with(test_db, json!({})).await;
        add(&test_app, "wil@desk.example", Role::Writer).await;
        let writer = Browser::at(&test_app);
        assert!(writer.page("/desk/sign-in").await.contains("Sign in with Test ID"));
        assert!(refusal(by_provider(&writer, &provider, BEGIN).await).await.contains("is not linked to a user here"));
        writer.sign_in("wil@desk.example", PASSWORD).await;
        let said = by_provider(&writer, &provider, "/desk/account/oidc/test-id/link").await;
        assert_eq!(goal(&said), "/desk/account");
        let page = writer.page("/desk/account").await;
        assert!(page.contains("The account is linked") && page.contains("248289761001"), "{page}");
        // Once, to one user.
        by_provider(&writer, &provider, "/desk/account/oidc/test-id/link").await;
        assert!(writer.page("/desk/account").await.contains("is linked already"));

        let other = Browser::at(&test_app);
        assert_eq!(goal(&by_provider(&other, &provider, BEGIN).await), "/desk/digests");
        assert_eq!(other.get("/desk/account").await.status(), StatusCode::OK);
        provider.set(|says| says.subject = "another".into());
        assert!(refusal(by_provider(&Browser::at(&test_app), &provider, BEGIN).await).await.contains("not linked"), "the same address is not the same person");
        provider.set(|says| says.subject = "248289761001".into());
        let user = test_app.app.user_named(&"wil@desk.example".parse().expect("an address")).await.expect("a user");
        assert_eq!(user.ways_in().as_deref(), Some("password, provider"));

        let page = writer.page("/desk/account").await;
        let name = page.split("/desk/account/identities/").nth(1).and_then(|rest| rest.split('/').next()).expect("a link").to_owned();
        assert!(writer.page(&format!("/desk/account/identities/{name}/remove")).await.contains("method=\"post\""));
        assert!(writer.press(&format!("/desk/account/identities/{name}/remove"), &[]).await.contains("no longer linked"));
        assert!(refusal(by_provider(&Browser::at(&test_app), &provider, BEGIN).await).await.contains("not linked"));
        let log = test_app.app.audit_log(&Default::default(), None, 100).await.expect("the audit log");
        let what: Vec<_> = log.into_iter().map(|entry| entry.row.what).filter(|what| what.contains("identity")).collect();
        assert_eq!(what, ["user.identity_unlinked", "user.identity_linked"]);
    }

    async fn no_wrong_answer_signs_anybody_in(test_db) {
        let (test_app, provider) = with(test_db, json!({})).await;
        linked(&test_app, &provider).await;
        let now = test_app.app.now().timestamp();
        let claims: [(&str, Value); 11] = [
            ("another nonce", json!({ "nonce": "guessed" })),
            ("no nonce", json!({ "nonce": null })),
            ("another audience", json!({ "aud": "another-client" })),
            ("audiences of strangers", json!({ "aud": [CLIENT, "another-client"], "azp": "another-client" })),
            ("another party", json!({ "azp": "another-client" })),
            ("another issuer", json!({ "iss": "https://evil.example" })),
            ("over", json!({ "exp": now - 120 })),
            ("of the future", json!({ "iat": now + 7_200, "exp": now + 9_000 })),
            ("not yet", json!({ "nbf": now + 7_200 })),
            ("another access token", json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" })),
            ("a subject that is too long", json!({ "sub": "x".repeat(256) })),
        ];
        let try_it = async |why: &str| {
            test_app.wait(TimeDelta::minutes(1));
            let browser = Browser::at(&test_app);
            let answer = by_provider(&browser, &provider, BEGIN).await;
            assert_eq!((answer.status(), browser.token()), (StatusCode::UNPROCESSABLE_ENTITY, None), "{why}");
            let page = answer.text().await.expect("a page");
            assert!(page.contains("name=\"password\"") && !page.contains("opaque"), "{why}: the other ways in stay");
        };
        for (why, wrong) in claims {
            provider.set(|says| says.claims = wrong);
            try_it(why).await;
        }
        provider.set(|says| says.claims = json!({}));
        for signed in [Signed::ByAnotherKey, Signed::AlgNone, Signed::NotAtAll, Signed::BySecret] {
            provider.set(|says| says.signed = signed);
            try_it(&format!("{signed:?}")).await;
        }
        provider.set(|says| says.signed = Signed::Rightly);
        type Change = fn(&mut Says);
        let changes: [(&str, Change, Change); 2] = [
            ("userinfo of somebody else", |says| says.info_subject = Some("else".into()), |says| says.info_subject = None),
            ("no ID token", |says| says.has_token = false, |says| says.has_token = true),
        ];
        for (why, wrong, right) in changes {
            provider.set(wrong);
            try_it(why).await;
            provider.set(right);
        }
        test_app.wait(TimeDelta::minutes(5));
        let now = || test_app.app.now().timestamp();
        let (browser, stranger) = (Browser::at(&test_app), Browser::at(&test_app));
        let back = provider.sign_in(&go(&browser, BEGIN).await, now());
        go(&stranger, BEGIN).await;
        for thief in [stranger, Browser::at(&test_app)] {
            assert!(refusal(thief.get(&back).await).await.contains("another browser"));
        }
        for (why, wrong) in [
            ("a state that is nobody's", back.replace("state=", "state=x")),
            ("no state", back.split("&state").next().expect("a path").to_owned()),
            ("no parameters", "/desk/oidc/test-id/callback".into()),
        ] {
            assert_eq!(browser.get(&wrong).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "{why}");
        }
        assert_eq!(browser.get(&back.replace("test-id", "nobody")).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(goal(&browser.get(&back).await), "/desk/digests");
        let replayed = Browser::at(&test_app);
        assert_eq!(replayed.get(&back).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "a state is good once");

        test_app.wait(TimeDelta::minutes(5));
        let other = Browser::at(&test_app);
        let back = provider.sign_in(&go(&other, BEGIN).await, now());
        let mixed = format!("{back}&iss=https%3A%2F%2Fevil.example");
        assert!(refusal(other.get(&mixed).await).await.contains("of another provider"));
        assert_eq!(other.get(&back).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "a wrong answer uses it up");
        let asked = go(&other, BEGIN).await;
        let state = asked.query_pairs().find(|(key, _)| key == "state").expect("a state").1.into_owned();
        let said = refusal(other.get(&format!("/desk/oidc/test-id/callback?state={state}&error=access_denied%3Cb%3E")).await).await;
        assert!(said.contains("it says access_deniedb"), "{said}");
        let back = provider.sign_in(&go(&other, BEGIN).await, now());
        test_app.wait(TimeDelta::minutes(11));
        assert!(refusal(other.get(&back).await).await.contains("more than ten minutes"));
        let back = provider.sign_in(&go(&other, BEGIN).await, now());
        let guessed = back.replace("code=", "code=x");
        assert!(refusal(other.get(&guessed).await).await.contains("invalid_grant"));
        assert_eq!(other.token(), None);
    }

    async fn somebody_new_gets_a_user_by_a_verified_and_allowed_address_alone(test_db) {
        let more = json!({ "create": true, "allow": ["@desk.example", "eve@elsewhere.example"] });
        let (test_app, provider) = with(test_db, more).await;
        add(&test_app, "ada@desk.example", Role::Owner).await;
        let try_it = async |subject: &str, info: Value| {
            test_app.wait(TimeDelta::minutes(1));
            provider.set(|says| (says.subject, says.info) = (subject.into(), info));
            by_provider(&Browser::at(&test_app), &provider, BEGIN).await
        };
        let refused = [
            (json!({ "email": "bea@desk.example", "email_verified": false }), "verified address"),
            (json!({ "email": "bea@desk.example" }), "verified address"),
            (json!({ "email": "bea@desk.example", "email_verified": "false" }), "verified address"),
            (json!({}), "verified address"),
            (json!({ "email": "no address", "email_verified": true }), "verified address"),
            (json!({ "email": "bea@elsewhere.example", "email_verified": true }), "not linked"),
            (json!({ "email": "bea@desk.example.evil.example", "email_verified": true }), "not linked"),
            (json!({ "email": "bea@notdesk.example", "email_verified": true }), "not linked"),
            (json!({ "email": "ADA@desk.example", "email_verified": true }), "has a user here already"),
        ];
        for (info, words) in refused {
            let said = refusal(try_it("s1", info.clone()).await).await;
            assert!(said.contains(words), "{info}: {said}");
        }
        assert_eq!(test_app.app.storage.users().await.expect("users").len(), 1);
        for (subject, info) in [
            ("s1", json!({ "email": "bea@desk.example", "email_verified": true, "name": "Bea" })),
            ("s2", json!({ "email": "eve@elsewhere.example", "email_verified": "true" })),
            // Their address may change; who they are does not.
            ("s1", json!({ "email": "bea@new.example", "email_verified": false })),
        ] {
            assert_eq!(goal(&try_it(subject, info).await), "/desk/digests");
        }
        let users = test_app.app.storage.users().await.expect("users");
        let found: Vec<_> = users.iter().map(|user| (user.email.as_str(), user.name.as_str(), user.role)).collect();
        assert_eq!(found[1..], [("bea@desk.example", "Bea", Role::Analyst), ("eve@elsewhere.example", "eve", Role::Analyst)]);
        let bea = Browser::at(&test_app);
        provider.set(|says| says.subject = "s1".into());
        by_provider(&bea, &provider, BEGIN).await;
        let page = bea.page("/desk/account").await;
        assert!(page.contains("You have none") && !page.contains("name=\"old\""), "{page}");
    }

    async fn roles_follow_the_provider_and_the_last_owner_stays(test_db) {
        let more = json!({ "role_claim": "realm.roles", "roles": { "editors": "editor", "writers": "writer", "chiefs": "owner" } });
        let (test_app, provider) = with(test_db, more).await;
        let says = |groups: Value| provider.set(|says| says.info = json!({ "realm": { "roles": groups } }));
        says(json!(["chiefs"]));
        linked(&test_app, &provider).await;
        let try_it = async |groups: Value| {
            test_app.wait(TimeDelta::minutes(1));
            says(groups);
            by_provider(&Browser::at(&test_app), &provider, BEGIN).await
        };
        assert_eq!(goal(&try_it(json!(["writers"])).await), "/desk/digests");
        assert_eq!(role_of(&test_app, "ada@desk.example").await, Some(Role::Owner), "the last owner stays");
        add(&test_app, "bea@desk.example", Role::Owner).await;
        for (groups, role) in [(json!(["writers", "nothing"]), Role::Writer), (json!(["writers", "editors"]), Role::Editor), (json!("chiefs"), Role::Owner), (json!(["editors"]), Role::Editor)] {
            assert_eq!(goal(&try_it(groups.clone()).await), "/desk/digests");
            assert_eq!(role_of(&test_app, "ada@desk.example").await, Some(role), "{groups}");
        }
        for groups in [json!(["nothing"]), json!([]), json!(null), json!(7)] {
            assert!(refusal(try_it(groups).await).await.contains("none of the roles"));
        }
        assert_eq!(role_of(&test_app, "ada@desk.example").await, Some(Role::Editor));
        let log = test_app.app.audit_log(&Default::default(), None, 100).await.expect("the audit log");
        let changes = log.iter().filter(|entry| entry.row.what == "user.role_changed" && entry.row.actor_kind == "system").count();
        assert_eq!(changes, 4);
    }

    async fn a_provider_proves_anew_who_is_signed_in_if_it_says_when(test_db) {
        let (test_app, provider) = with(test_db, json!({})).await;
        let owner = linked(&test_app, &provider).await;
        // It did not say when they proved who they are, so that it may have been long ago.
        let fields = [("email", "wil@desk.example"), ("name", "Wil"), ("role", "writer")];
        let confirm = goal(&owner.ask(Method::POST, "/desk/users", &fields, "/desk/users").await);
        assert_eq!(confirm, "/desk/confirm?next=%2Fdesk%2Fusers");
        assert!(owner.page(&confirm).await.contains("Sign in with Test ID"));
        let asked = go(&owner, BEGIN).await;
        assert!(asked.query().is_some_and(|query| query.contains("prompt=login") && query.contains("max_age=")), "{asked}");
        let now = test_app.app.now().timestamp();
        for told in [json!({}), json!({ "auth_time": now - 3_600 })] {
            provider.set(|says| says.claims = told);
            let said = refusal(by_provider(&owner, &provider, BEGIN).await).await;
            assert!(said.contains("does not say that you proved anew"), "{said}");
        }
        provider.set(|says| (says.claims, says.subject) = (json!({ "auth_time": now }), "another".into()));
        assert!(refusal(by_provider(&owner, &provider, BEGIN).await).await.contains("not linked to you"));
        provider.set(|says| says.subject = "248289761001".into());
        let before = owner.token();
        assert_eq!(by_provider(&owner, &provider, BEGIN).await.status(), StatusCode::SEE_OTHER);
        assert!(owner.token() != before);
        assert_eq!(owner.post("/desk/users", &fields).await.status(), StatusCode::OK);
    }

    async fn a_new_key_is_fetched_and_strangers_do_not_make_us_fetch_often(test_db) {
        let (test_app, provider) = with(test_db, json!({ "client_auth": "post" })).await;
        linked(&test_app, &provider).await;
        assert_eq!(provider.fetched(), 1);
        provider.rotate_key();
        test_app.wait(TimeDelta::minutes(2));
        assert_eq!(goal(&by_provider(&Browser::at(&test_app), &provider, BEGIN).await), "/desk/digests");
        assert_eq!(provider.fetched(), 2);
        provider.rotate_key();
        for _ in 0..3 {
            assert_eq!(by_provider(&Browser::at(&test_app), &provider, BEGIN).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
        }
        assert_eq!(provider.fetched(), 2, "once a minute");
        test_app.wait(TimeDelta::minutes(2));
        assert_eq!(goal(&by_provider(&Browser::at(&test_app), &provider, BEGIN).await), "/desk/digests");
    }

    async fn a_provider_that_is_down_or_strange_leaves_the_other_ways_in(test_db) {
        let (test_app, provider) = with(test_db, json!({})).await;
        add(&test_app, "wil@desk.example", Role::Writer).await;
        let findings = test_app.app.examine().await;
        let finding = findings.into_iter().find(|finding| finding.what == "providers").expect("a finding");
        assert!(finding.level == Severity::Good && finding.words.contains("/desk/oidc/test-id/callback"), "{finding:?}");
        // What `doctor` says of it.
        let fault = async || {
            let looks = test_app.app.look_at_providers().await;
            looks.into_iter().next().expect("a provider").1.expect_err("a fault")
        };
        test_app.wait(TimeDelta::minutes(70));
        provider.set(|says| says.is_down = true);
        let browser = Browser::at(&test_app);
        let answer = browser.post(BEGIN, &[]).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let said = problem_of(answer).await;
        assert!(said.contains("Test ID does not answer now"), "{said}");
        let words = fault().await;
        assert!(words.contains("does not answer"), "{words}");
        assert_eq!(goal(&browser.sign_in("wil@desk.example", PASSWORD).await), "/desk");
        provider.set(|says| says.is_down = false);
        let port = provider.issuer.rsplit(':').next().expect("a port").to_owned();
        // Another private host is not connected to, so that it gives no answer.
        let (unusable, silent) = (StatusCode::UNPROCESSABLE_ENTITY, StatusCode::SERVICE_UNAVAILABLE);
        let strange: [(&str, Value, StatusCode); 4] = [
            ("another issuer", json!({ "issuer": "https://id.example" }), unusable),
            ("keys at another private host", json!({ "jwks_uri": format!("http://localhost:{port}/keys") }), silent),
            ("no address of keys", json!({ "jwks_uri": null }), unusable),
            ("no JSON", json!({ "response_types_supported": 7 }), unusable),
        ];
        for (why, document, status) in strange {
            provider.set(|says| says.document = document);
            fault().await;
            assert_eq!(Browser::at(&test_app).post(BEGIN, &[]).await.status(), status, "{why}");
        }
        provider.set(|says| says.document = json!({ "token_endpoint": format!("http://localhost:{port}/token") }));
        let answer = by_provider(&Browser::at(&test_app), &provider, BEGIN).await;
        assert_eq!(answer.status(), silent, "tokens of another private host");
        assert_eq!(browser.post("/desk/oidc/nobody", &[]).await.status(), StatusCode::NOT_FOUND);
    }

    async fn the_command_line_links_and_unlinks(test_db) {
        let program = Program::set_up(&test_db)
            .with("VERDICTS_DESK__OIDC", r#"[{ name = "Test ID", issuer = "https://id.example", client_id = "desk", client_secret = "SeCrEt" }]"#);
        program.run_with_input(&["users", "add", "ada@desk.example", "--role", "owner", "--password-stdin"], format!("{PASSWORD}\n").as_bytes()).good();
        let wrong = program.run(&["users", "link", "ada@desk.example", "https://id.example/", "s1"]);
        assert!(wrong.code != 0 && wrong.err.contains("letter for letter"), "{wrong:?}");
        program.run(&["users", "link", "ada@desk.example", "https://id.example", "s1"]).good();
        let again = program.run(&["users", "link", "ada@desk.example", "https://id.example", "s1"]);
        assert!(again.code != 0 && again.err.contains("linked already"), "{again:?}");
        assert!(program.run(&["users", "list"]).good().out.contains("password, provider"));
        let list = program.run(&["--json", "users", "identities", "ada@desk.example"]).good().json();
        let account = list["identities"][0]["account"].as_str().expect("a name").to_owned();
        assert_eq!(list["identities"][0]["subject"], "s1");
        assert!(program.run(&["users", "unlink", "ada@desk.example", "nothing"]).code != 0);
        program.run(&["users", "unlink", "ada@desk.example", &account]).good();
        assert!(program.run(&["users", "identities", "ada@desk.example"]).good().err.contains("no linked account"));
        let shown = program.run(&["config"]).good();
        assert!(shown.out.contains("Test ID") && !shown.out.contains("SeCrEt"), "{}", shown.out);
    }
}
