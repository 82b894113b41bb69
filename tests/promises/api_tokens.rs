//! API tokens: what they may do, how long, from where, and who makes them.

use chrono::TimeDelta;
use reqwest::Method;
use reqwest::StatusCode;
use serde_json::Value;
use serde_json::json;
use verdicts::app::FailureKind;
use verdicts::app::tokens::TokenLife;
use verdicts::app::tokens::TokenRequest;
use verdicts::app::users::accounts::AccountChange;
use verdicts::config::SecondFactor;
use verdicts::domain::actor::Actor;
use verdicts::domain::api_token::Scopes;
use verdicts::domain::user::Role;

use crate::support::Program;
use crate::support::TestApp;
use crate::support::api::Answered;
use crate::support::api::ApiClient;
use crate::support::api::user;
use crate::support::desk::Browser;
use crate::support::desk::PASSWORD;
use crate::support::on_both;

fn asked(scopes: &str) -> TokenRequest {
    TokenRequest {
        name: "a program".into(),
        scopes: scopes.parse().expect("scopes"),
        networks: Vec::new(),
        life: TokenLife::Year,
    }
}

on_both! {
    async fn a_token_is_shown_once_and_kept_as_a_hash(test_db) {
        let test_app = TestApp::open(test_db).await;
        let program = ApiClient::with(&test_app, Role::Owner, "catalogue:read votes:read").await;
        let me = program.get("").await;
        assert_eq!(me.status, StatusCode::OK);
        assert_eq!(me.body["token"]["id"], program.id.as_str());
        assert_eq!(me.body["token"]["scopes"], json!(["catalogue:read", "votes:read"]));
        let dump = test_app.test_db.dump().await.join("\n");
        assert!(dump.contains(&program.id) && !dump.contains(&program.token) && !dump.contains(&program.token[20..]), "only its hash is kept");
        for header in [format!("Token {}", program.token), format!("token api:{}", program.token), format!("bearer {}", program.token)] {
            let answer = test_app.request(Method::GET, "/api/v1").header("authorization", header).send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::OK);
        }
        let basic = test_app.request(Method::GET, "/api/v1").basic_auth("api", Some(&program.token)).send().await.expect("an answer");
        assert_eq!(basic.status(), StatusCode::OK, "as clients of listmonk sign");
        let health = program.get("/health").await;
        assert_eq!((health.status, &health.body["status"]), (StatusCode::OK, &json!("ready")));
    }

    async fn a_token_reaches_no_further_than_its_maker(test_db) {
        let test_app = TestApp::open(test_db).await;
        let owner = user(&test_app, Role::Owner).await;
        let program = ApiClient::with(&test_app, Role::Editor, "catalogue:write digests:send").await;
        let scopes = async || program.get("").await.body["token"]["scopes"].clone();
        assert_eq!(scopes().await, json!(["catalogue:write", "digests:send"]));
        let editor = user(&test_app, Role::Editor).await;
        test_app.app.change_account(&Actor::cli(), &editor, AccountChange::Role(Role::Analyst)).await.expect("done");
        assert_eq!(scopes().await, json!([]));
        test_app.app.change_account(&Actor::cli(), &editor, AccountChange::Disable).await.expect("done");
        assert_eq!(program.get("").await.status, StatusCode::UNAUTHORIZED, "it dies with its maker's disabling");
        test_app.app.change_account(&Actor::cli(), &editor, AccountChange::Enable).await.expect("done");
        assert_eq!(program.get("").await.status, StatusCode::OK);

        let wider = test_app.app.add_token(&Actor::cli(), &editor, &asked("settings:write")).await.expect_err("refused");
        assert!(matches!(wider.kind(), FailureKind::Invalid(_)), "{wider}");
        let endless = TokenRequest { life: TokenLife::Unlimited, ..asked("catalogue:read") };
        assert!(test_app.app.add_token(&Actor::cli(), &editor, &endless).await.is_err(), "only an owner's lives without an end");
        assert!(test_app.app.add_token(&Actor::cli(), &owner, &endless).await.is_ok());
        let nothing = TokenRequest { scopes: Scopes::default(), ..asked("") };
        assert!(test_app.app.add_token(&Actor::cli(), &owner, &nothing).await.is_err());
    }

    async fn no_token_makes_tokens_or_users(test_db) {
        let test_app = TestApp::open(test_db).await;
        let owner = user(&test_app, Role::Owner).await;
        let token = Actor::token("abcdefgh234567ab", None);
        let app = &test_app.app;
        let mut refused = vec![
            app.add_token(&token, &owner, &asked("catalogue:read")).await.map(|_| ()),
            app.rotate_token(&token, "abcdefgh234567ab").await.map(|_| ()),
            app.revoke_token(&token, "abcdefgh234567ab").await,
            app.add_user(&token, &"eve@desk.example".parse().expect("an address"), None, Role::Owner, None).await.map(|_| ()),
            app.set_password(&token, &owner, "violet tram eats ledger").await,
            app.reset_password(&token, &owner).await.map(|_| ()),
        ];
        for change in [AccountChange::Role(Role::Owner), AccountChange::Enable, AccountChange::SignOut, AccountChange::ResetSecondFactor] {
            refused.push(app.change_account(&token, &owner, change).await);
        }
        for refused in refused {
            assert_eq!(refused.expect_err("refused").kind(), &FailureKind::Forbidden);
        }
    }

    async fn a_token_ends_by_its_time_a_network_or_a_revocation(test_db) {
        let test_app = TestApp::open(test_db).await;
        let owner = user(&test_app, Role::Owner).await;
        let make = async |request: TokenRequest| {
            let made = test_app.app.add_token(&Actor::cli(), &owner, &request).await.expect("a token");
            ApiClient { test_app: &test_app, token: made.text, id: made.token.public_id }
        };
        let short = make(TokenRequest { life: TokenLife::Until(test_app.app.now() + TimeDelta::days(1)), ..asked("catalogue:read") }).await;
        let elsewhere = make(TokenRequest { networks: vec!["192.0.2.0/24".parse().expect("a network")], ..asked("catalogue:read") }).await;
        let here = make(TokenRequest { networks: vec!["127.0.0.0/8".parse().expect("a network")], ..asked("catalogue:read") }).await;
        let year = make(asked("catalogue:read")).await;
        assert_eq!(elsewhere.get("").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(here.get("").await.status, StatusCode::OK);
        assert_eq!(short.get("").await.status, StatusCode::OK);
        let tokens = test_app.app.tokens().await.expect("tokens");
        let used = tokens.iter().find(|(token, _)| token.public_id == here.id).and_then(|(token, _)| token.used_from.clone());
        assert_eq!(used.as_deref(), Some("127.0.0.0/24"));
        test_app.wait(TimeDelta::days(2));
        assert_eq!(short.get("").await.status, StatusCode::UNAUTHORIZED, "expired");

        let old = &year.token;
        let made = test_app.app.rotate_token(&Actor::cli(), &year.id).await.expect("rotated");
        let fresh = ApiClient { test_app: &test_app, token: made.text, id: year.id.clone() };
        assert_ne!(&fresh.token, old);
        assert_eq!((year.get("").await.status, fresh.get("").await.status), (StatusCode::OK, StatusCode::OK), "both work for a day");
        test_app.wait(TimeDelta::hours(25));
        assert_eq!((year.get("").await.status, fresh.get("").await.status), (StatusCode::UNAUTHORIZED, StatusCode::OK));
        let made = test_app.app.rotate_token(&Actor::cli(), &year.id).await.expect("rotated");
        test_app.app.revoke_token(&Actor::cli(), &year.id).await.expect("revoked");
        for token in [fresh.token.clone(), made.text] {
            let client = ApiClient { test_app: &test_app, token, id: year.id.clone() };
            assert_eq!(client.get("").await.status, StatusCode::UNAUTHORIZED, "revoked, the one before too");
        }
        assert!(test_app.app.rotate_token(&Actor::cli(), &year.id).await.is_err());
        assert!(test_app.app.revoke_token(&Actor::cli(), &year.id).await.is_err());
        let log = test_app.test_db.dump().await.join("\n");
        for what in ["token.created", "token.rotated", "token.revoked"] {
            assert!(log.contains(what), "{what}");
        }
    }

    async fn a_token_may_ask_so_often(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| settings.api.burst = 3).await;
        let (one, other) = (ApiClient::full(&test_app).await, ApiClient::full(&test_app).await);
        let first = one.get("").await;
        assert_eq!(first.header("ratelimit-policy"), "\"default\";q=600;w=60");
        assert!(first.header("ratelimit").starts_with("\"default\";r=599;t="), "{first:?}");
        assert!(first.headers.keys().all(|name| !name.as_str().starts_with("x-ratelimit")));
        let mut refused = None;
        for _ in 0..200 {
            let answer = one.get("").await;
            if answer.status == StatusCode::TOO_MANY_REQUESTS {
                refused = Some(answer);
                break;
            }
        }
        let refused = refused.expect("more at once than a burst");
        assert_eq!((refused.code(), refused.header("retry-after")), ("too_many", "1"));
        assert_eq!(other.get("").await.status, StatusCode::OK, "each token has its own");
    }

    async fn a_post_under_a_key_is_done_once(test_db) {
        let test_app = TestApp::open(test_db).await;
        let (program, other) = (ApiClient::full(&test_app).await, ApiClient::full(&test_app).await);
        let tool = |slug: &str| json!({ "slug": slug, "name": "A", "category": "Data", "tagline": "It counts", "description": "It counts well." });
        let post = async |client: &ApiClient<'_>, name: &'static str, key: &str, body: &Value| {
            client.send(client.request(Method::POST, "/tools").header(name, key).json(body)).await
        };
        let first = post(&program, "idempotency-key", "\"k1\"", &tool("a")).await;
        assert_eq!((first.status, first.header("location")), (StatusCode::CREATED, "/api/v1/tools/a"));
        let again = post(&program, "x-idempotency-key", "k1", &tool("a")).await;
        assert_eq!((again.status, again.header("location"), again.header("idempotency-replayed")), (StatusCode::CREATED, "/api/v1/tools/a", "true"));
        assert_eq!((&again.body, again.header("etag")), (&first.body, first.header("etag")), "the same answer");
        let reused = post(&program, "idempotency-key", "k1", &tool("b")).await;
        assert_eq!((reused.status, reused.code()), (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"));
        let theirs = post(&other, "idempotency-key", "k1", &tool("c")).await;
        assert_eq!(theirs.status, StatusCode::CREATED, "another token has other keys");
        let refused = post(&program, "idempotency-key", "k2", &tool("a")).await;
        assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "conflict"));
        let bad = post(&program, "idempotency-key", "a b", &tool("d")).await;
        assert_eq!((bad.status, bad.faults()), (StatusCode::UNPROCESSABLE_ENTITY, vec![("Idempotency-Key", "pattern")]));
        let dump = test_app.test_db.dump().await;
        let kept: Vec<&String> = dump.iter().filter(|row| row.starts_with("idempotency_keys")).collect();
        assert!(kept.len() == 2 && kept.iter().all(|row| !row.contains("It counts")), "encrypted: {kept:?}");
        test_app.wait(TimeDelta::hours(25));
        test_app.app.tick().await.expect("a tick");
        let late = post(&program, "idempotency-key", "k1", &tool("a")).await;
        assert_eq!(late.status, StatusCode::CONFLICT, "after a day the key is forgotten, and the tool is there");
    }

    async fn at_once_under_one_key_only_one_is_done(test_db) {
        let test_app = TestApp::open(test_db).await;
        let program = ApiClient::full(&test_app).await;
        let tool = json!({ "slug": "a", "name": "A", "category": "Data", "tagline": "It counts", "description": "It counts well." });
        let post = || program.send(program.request(Method::POST, "/tools").header("idempotency-key", "k").json(&tool));
        let answers = futures_util::future::join_all((0..8).map(|_| post())).await;
        for answer in &answers {
            let is_fine = answer.status == StatusCode::CREATED || answer.status == StatusCode::CONFLICT && answer.code() == "idempotency_in_progress";
            assert!(is_fine, "{answer:?}");
        }
        let made = answers.iter().filter(|answer| answer.status == StatusCode::CREATED && answer.header("idempotency-replayed").is_empty());
        assert_eq!(made.count(), 1);
    }

    async fn metrics_are_read_with_a_token_from_elsewhere(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| settings.site.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")]).await;
        let (program, narrow) = (ApiClient::with(&test_app, Role::Analyst, "metrics:read").await, ApiClient::with(&test_app, Role::Analyst, "stats:read").await);
        let ask = async |token: Option<&str>| {
            let mut request = test_app.request(Method::GET, "/metrics").header("x-forwarded-for", "192.0.2.7");
            if let Some(token) = token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            Answered::read(request.send().await.expect("an answer")).await.status
        };
        assert_eq!(ask(None).await, StatusCode::NOT_FOUND);
        assert_eq!(ask(Some(&narrow.token)).await, StatusCode::NOT_FOUND);
        assert_eq!(ask(Some("wrong")).await, StatusCode::UNAUTHORIZED);
        assert_eq!(ask(Some(&program.token)).await, StatusCode::OK);
    }

    async fn owners_make_tokens_at_the_desk(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| settings.desk.second_factor = SecondFactor::Off).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        assert!(owner.page("/desk/tokens").await.contains("There is no token yet"));
        let fields = [("name", "The shop"), ("scope:catalogue:read", "on"), ("scope:votes:read", "on"), ("networks", "127.0.0.1"), ("life", "30")];
        let refused = owner.post("/desk/tokens", &[("name", "The shop"), ("networks", "x"), ("life", "30"), ("scope:votes:read", "on")]).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let page = refused.text().await.expect("a page");
        assert!(page.contains("is no network") && page.contains("value=\"The shop\""), "{page}");
        let token_in = |page: &str| page.split("value=\"vd_").nth(1).and_then(|rest| rest.split('"').next()).map(|rest| format!("vd_{rest}")).expect("a token");
        let made = owner.post("/desk/tokens", &fields).await;
        assert_eq!(made.status(), StatusCode::OK);
        let token = token_in(&made.text().await.expect("a page"));
        let id = token.split('_').nth(1).expect("an id").to_owned();
        let program = ApiClient { test_app: &test_app, token: token.clone(), id: id.clone() };
        assert_eq!(program.get("").await.body["token"]["scopes"], json!(["catalogue:read", "votes:read"]));
        let list = owner.page("/desk/tokens").await;
        assert!(list.contains("The shop") && list.contains(&id) && !list.contains(&token), "shown once");
        assert!(owner.page(&format!("/desk/tokens/{id}/rotate")).await.contains("24 hours"));
        let rotated = owner.post(&format!("/desk/tokens/{id}/rotate"), &[]).await.text().await.expect("a page");
        let fresh = ApiClient { test_app: &test_app, token: token_in(&rotated), id: id.clone() };
        assert_eq!((program.get("").await.status, fresh.get("").await.status), (StatusCode::OK, StatusCode::OK));
        assert!(owner.page(&format!("/desk/tokens/{id}/revoke")).await.contains("refused at once"));
        assert!(owner.press(&format!("/desk/tokens/{id}/revoke"), &[]).await.contains("The token is revoked."));
        assert_eq!(fresh.get("").await.status, StatusCode::UNAUTHORIZED);
        test_app.wait(TimeDelta::minutes(11));
        let late = owner.post("/desk/tokens", &fields).await;
        assert!(late.headers()["location"].to_str().expect("text").starts_with("/desk/confirm"), "needs a recent sign-in");
    }

    async fn the_command_line_makes_tokens(test_db) {
        let program = Program::set_up(&test_db);
        let none = program.run(&["tokens", "add", "shop", "--scopes", "read"]);
        assert!(none.code == 1 && none.err.contains("no owner yet"), "{none:?}");
        let input = format!("{PASSWORD}\n");
        for (email, role) in [("ada@lovelace.example", "owner"), ("wil@desk.example", "writer")] {
            let added = program.run_with_input(&["users", "add", email, "--role", role, "--password-stdin"], input.as_bytes());
            assert_eq!(added.code, 0, "{added:?}");
        }
        let wrong = program.run(&["tokens", "add", "shop", "--scopes", "tokens:write"]);
        assert!(wrong.code == 1 && wrong.err.contains("is not one of"), "{wrong:?}");
        let wider = program.run(&["tokens", "add", "shop", "--scopes", "digests:send", "--user", "wil@desk.example"]);
        assert!(wider.code == 1 && wider.err.contains("does not reach as far"), "{wider:?}");
        let made = program.run(&["--json", "tokens", "add", "shop", "--scopes", "read", "--network", "192.0.2.0/24"]);
        let made: Value = serde_json::from_str(&made.out).expect("JSON");
        let (id, token) = (made["id"].as_str().expect("an id"), made["token"].as_str().expect("a token"));
        assert!(token.starts_with(&format!("vd_{id}_")));
        let list = program.run(&["tokens", "list"]);
        assert!(list.out.contains(id) && list.out.contains("192.0.2.0/24") && !list.out.contains(token), "{list:?}");
        let rotated = program.run(&["tokens", "rotate", id]);
        assert!(rotated.code == 0 && rotated.out.starts_with("vd_") && rotated.out.contains("The token before works until"), "{rotated:?}");
        let revoked = program.run(&["tokens", "revoke", token]);
        assert_eq!((revoked.code, revoked.out.as_str()), (0, format!("{id} is revoked.\n").as_str()));
        let list: Value = serde_json::from_str(&program.run(&["--json", "tokens", "list"]).out).expect("JSON");
        assert!(list["tokens"][0]["revoked_at"].is_string() && list["tokens"][0]["user"] == "ada@lovelace.example", "{list}");
        assert_eq!(program.run(&["tokens", "revoke", id]).code, 1);
    }
}
