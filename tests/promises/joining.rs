//! Joining: what is answered, what is kept, what a confirmation link is good for.

use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use chrono::TimeDelta;
use reqwest::Method;
use reqwest::Response;
use reqwest::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;
use verdicts::domain::actor::Actor;
use verdicts::domain::subscriber::Consent;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::storage::people::Person;

/// An answer whole, but for the moment it was given at.
async fn whole(answer: Response) -> (StatusCode, Vec<(String, String)>, String) {
    let line = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
        (format!("{name}"), format!("{value:?}"))
    };
    let mut headers: Vec<(String, String)> = answer
        .headers()
        .iter()
        .map(line)
        .filter(|(name, _)| name != "date")
        .collect();
    headers.sort();
    (
        answer.status(),
        headers,
        answer.text().await.expect("a body"),
    )
}

/// What a browser makes of the characters that a page escapes.
pub fn unescaped(html: &str) -> String {
    let marks = [
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#38;", "&"),
    ];
    marks.iter().fold(html.to_owned(), |text, (escaped, mark)| {
        text.replace(escaped, mark)
    })
}

/// What stands between `start` and `end`.
pub fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text
        .split_once(start)
        .unwrap_or_else(|| panic!("no {start:?} in {text}"));
    rest.split_once(end)
        .unwrap_or_else(|| panic!("no {end:?} in {rest}"))
        .0
}

/// The names of a mail's header lines, in order.
fn header_names(mail: &[u8]) -> Vec<String> {
    let mail = mail_parser::MessageParser::default()
        .parse(mail)
        .expect("a mail");
    mail.headers_raw()
        .map(|(name, _)| name.to_owned())
        .collect()
}

async fn app_for_crowds(test_db: TestDb) -> TestApp {
    TestApp::open_with(test_db, |settings| settings.signup.per_client = 1_000).await
}

async fn person(test_app: &TestApp, email: &str) -> Person {
    test_app
        .app
        .person(&email.parse().expect("an address"))
        .await
        .expect("somebody known")
}

async fn sign_up_with_name(test_app: &TestApp, email: &str, name: &str) {
    let answer = test_app
        .post_form("/subscribe", &[("email", email), ("name", name)])
        .await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{email}");
}

on_both! {
    async fn the_answer_is_the_same_whether_an_address_is_new_known_or_suppressed(test_db) {
        let test_app = app_for_crowds(test_db).await;
        let states = ["active", "unsubscribed", "bounced", "complained", "pending"];
        let rows: String = states.iter().map(|state| format!("{state}@example.org,{state}\n")).collect();
        test_app.enlist_all(&format!("email,state\nerased@example.org,active\n{rows}")).await;
        test_app.app.erase_subscriber(&Actor::cli(), &"erased@example.org".parse().expect("an address")).await.expect("erased");
        let people =
            ["new1", "active", "unsubscribed", "bounced", "complained", "pending", "erased"].map(|name| format!("{name}@example.org"));

        let page = whole(test_app.sign_up("new0@example.org").await).await;
        assert_eq!(page.0, StatusCode::SEE_OTHER);
        assert!(page.1.contains(&("location".into(), "\"/check-inbox\"".into())), "{:?}", page.1);
        for email in &people {
            assert_eq!(whole(test_app.sign_up(email).await).await, page, "{email}");
        }
        assert!(test_app.page("/check-inbox").await.contains("inbox"));
        let json = whole(test_app.post_json("/subscribe", &json!({ "email": "new2@example.org" })).await).await;
        assert_eq!((json.0, json.2.as_str()), (StatusCode::ACCEPTED, r#"{"status":"check_inbox"}"#));
        for email in &people {
            assert_eq!(whole(test_app.post_json("/subscribe", &json!({ "email": email })).await).await, json, "{email}");
        }

        assert_eq!(test_app.waiting_confirmations().await, 6, "the new, the pending one, the one who left and the one on the list get mail");
        for state in states {
            assert_eq!(person(&test_app, &format!("{state}@example.org")).await.subscriber.state.as_str(), state);
        }
        assert_eq!(test_app.state_of("erased@example.org").await, None, "somebody erased is not written down again");
    }

    async fn a_bad_address_gets_a_sentence_and_what_was_typed_stays_in_the_form(test_db) {
        let test_app = app_for_crowds(test_db).await;
        let typed = r#""><b onload=x>'&amp;@nowhere"#;
        let refused = test_app.sign_up(typed).await;
        assert_eq!(
            (refused.status(), &refused.headers()["cache-control"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &"no-store".parse().expect("a value"))
        );
        let page = refused.text().await.expect("a page");
        assert!(!page.contains("<b onload"));
        assert_eq!(unescaped(between(&page, "required value=\"", "\"")), typed);
        assert!(between(&page, "role=\"alert\">", "</p>").ends_with('.'), "a sentence");
        for bad in [
            "",
            "ada",
            "@example.org",
            "ada@example",
            "a b@example.org",
            "Ada <ada@example.org>",
            "ada@[127.0.0.1]",
            "ada@example.org,eve@example.org",
        ] {
            assert_eq!(test_app.sign_up(bad).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
            let refused = test_app.post_json("/subscribe", &json!({ "email": bad })).await;
            assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
            let body: serde_json::Value = refused.json().await.expect("JSON");
            assert!(body["error"].as_str().is_some_and(|sentence| sentence.ends_with('.')), "{body}");
        }
        assert_eq!((test_app.known_people().await, test_app.waiting_confirmations().await), (0, 0));
    }

    async fn the_consent_record_keeps_what_was_shown_when_from_which_network_and_when_it_was_confirmed(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| {
            settings.site.trusted_proxies = vec!["127.0.0.1".parse::<std::net::IpAddr>().expect("an address").into()]
        })
        .await;
        let shown = unescaped(between(&test_app.page("/").await, "class=\"consent\">", "</p>"));
        let ask = |client| test_app.request(Method::POST, "/subscribe").header("x-forwarded-for", client);
        let before = test_app.app.now();
        ask("203.0.113.77").form(&[("email", "ada@example.org")]).send().await.expect("an answer");
        ask("2001:db8:1:2::3").json(&json!({ "email": "bob@example.org" })).send().await.expect("an answer");
        let after = test_app.app.now();
        let [Consent { requested_at, .. }] = person(&test_app, "ada@example.org").await.consents[..] else { panic!("one consent") };
        assert!((before..=after).contains(&requested_at));
        test_app.deliver_confirmations().await;
        test_app.wait(TimeDelta::minutes(5));
        test_app.post(&crate::journey::link(&test_app.mails_to("ada@example.org")[0], "/confirm/")).await;

        let [ada] = &person(&test_app, "ada@example.org").await.consents[..] else { panic!("one consent") };
        assert_eq!((ada.shown.as_str(), ada.source.as_str(), ada.network.as_deref()), (shown.as_str(), "web form", Some("203.0.113.0/24")));
        assert_eq!(ada.requested_at, requested_at);
        let confirmed = ada.confirmed_at.expect("confirmed");
        assert!((after + TimeDelta::minutes(5)..=test_app.app.now()).contains(&confirmed));
        let [bob] = &person(&test_app, "bob@example.org").await.consents[..] else { panic!("one consent") };
        assert_eq!((bob.source.as_str(), bob.network.as_deref(), bob.confirmed_at), ("api", Some("2001:db8:1::/48"), None));
    }

    async fn one_address_gets_one_confirmation_mail_an_hour_at_most(test_db) {
        let test_app = app_for_crowds(test_db).await;
        let mut crowd = JoinSet::new();
        for email in ["ada@example.org", "ADA@example.org", "Ada@Example.Org"].repeat(4) {
            crowd.spawn(test_app.request(Method::POST, "/subscribe").form(&[("email", email)]).send());
        }
        for answer in crowd.join_all().await {
            assert_eq!(answer.expect("an answer").status(), StatusCode::SEE_OTHER);
        }
        assert_eq!((test_app.known_people().await, test_app.waiting_confirmations().await), (1, 1), "case does not make two of one");
        test_app.deliver_confirmations().await;
        test_app.wait(TimeDelta::minutes(55));
        test_app.sign_up("ada@example.org").await;
        assert_eq!(test_app.waiting_confirmations().await, 0);
        test_app.wait(TimeDelta::minutes(6));
        test_app.sign_up("ada@example.org").await;
        assert_eq!(test_app.waiting_confirmations().await, 1);
    }

    async fn who_confirmed_is_told_so_and_who_is_on_the_list_is_told_that_once_an_hour(test_db) {
        let test_app = app_for_crowds(test_db).await;
        let subjects = |test_app: &TestApp| -> Vec<String> {
            let subject = |mail: &Vec<u8>| {
                mail_parser::MessageParser::default().parse(mail).and_then(|mail| mail.subject().map(String::from)).expect("a subject")
            };
            test_app.mails_to("ada@example.org").iter().map(subject).collect()
        };
        let [confirm, welcome, already] = ["Please confirm", "You are in", "You get it already"].map(|s| format!("{s}: Weekly AI Tool Verdicts"));
        let link = test_app.join("ada@example.org").await;
        test_app.post(&link).await;
        test_app.deliver_confirmations().await;
        assert_eq!(subjects(&test_app), [confirm.as_str(), &welcome], "pressed twice, told once");

        test_app.sign_up("ada@example.org").await;
        assert_eq!(test_app.waiting_confirmations().await, 0, "there was a mail within the hour");
        test_app.wait(TimeDelta::minutes(61));
        for email in ["ada@example.org", "ADA@example.org", "ada@example.org"] {
            test_app.sign_up(email).await;
        }
        test_app.deliver_confirmations().await;
        assert_eq!(subjects(&test_app), [confirm.as_str(), &welcome, &already]);
        let reminder = &test_app.mails_to("ada@example.org")[2];
        assert!(mail_parser::MessageParser::default().parse(reminder).expect("a mail").header_raw("Auto-Submitted").is_some());

        test_app.wait(TimeDelta::minutes(61));
        test_app.sign_up("ada@example.org").await;
        assert_eq!(test_app.waiting_confirmations().await, 1);
        let leave = crate::journey::link(reminder, "/unsubscribe/");
        assert_eq!(test_app.post(&leave).await.status(), StatusCode::OK);
        test_app.deliver_confirmations().await;
        assert_eq!(subjects(&test_app).len(), 3, "who left meanwhile is not told that they are on the list");
    }

    async fn a_sign_up_that_nobody_confirms_is_forgotten_and_its_link_offers_the_form(test_db) {
        let test_app = TestApp::open(test_db).await;
        let link = test_app.ask_to_join("ada@example.org").await;
        test_app.wait(TimeDelta::hours(71));
        test_app.app.tick().await.expect("a tick");
        assert_eq!(test_app.state_of("ada@example.org").await, Some(SubscriberState::Pending), "there is time left");
        assert_eq!(test_app.get(&link).await.status(), StatusCode::OK);
        test_app.wait(TimeDelta::minutes(65));
        for forgotten in [false, true] {
            for method in [Method::GET, Method::POST] {
                let answer = test_app.request(method.clone(), &link).send().await.expect("an answer");
                assert_eq!(answer.status(), StatusCode::GONE, "{method}, forgotten: {forgotten}");
                assert!(answer.text().await.expect("a page").contains("action=\"/subscribe\""));
            }
            let known = test_app.state_of("ada@example.org").await;
            assert_eq!(known, (!forgotten).then_some(SubscriberState::Pending));
            test_app.app.tick().await.expect("a tick");
        }
        let fresh = test_app.ask_to_join("ada@example.org").await;
        assert_eq!(test_app.post(&fresh).await.status(), StatusCode::OK, "they may come again");
        assert_eq!(test_app.post(&link).await.status(), StatusCode::GONE, "the old link stays over");
    }

    async fn the_link_of_somebody_erased_is_over(test_db) {
        let test_app = TestApp::open(test_db).await;
        let link = test_app.ask_to_join("ada@example.org").await;
        test_app.app.erase_subscriber(&Actor::cli(), &"ada@example.org".parse().expect("an address")).await.expect("erased");
        assert_eq!(test_app.post(&link).await.status(), StatusCode::GONE);
        assert_eq!(test_app.known_people().await, 0);
    }

    async fn what_fills_in_the_hidden_field_is_answered_like_anybody_and_not_kept(test_db) {
        let test_app = TestApp::open(test_db).await;
        let person = whole(test_app.sign_up("ada@example.org").await).await;
        let trapped = test_app.post_form("/subscribe", &[("email", "bot@example.org"), ("website", "http://spam.example")]).await;
        assert_eq!(whole(trapped).await, person);
        let trapped = test_app.post_json("/subscribe", &json!({ "email": "bot@example.org", "website": "x" })).await;
        assert_eq!(trapped.status(), StatusCode::ACCEPTED);
        assert_eq!((test_app.known_people().await, test_app.waiting_confirmations().await), (1, 1));
    }

    async fn who_only_looks_at_a_link_changes_nothing(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.stock_small().await;
        test_app.join("reader@example.org").await;
        test_app.send_digest().await;
        let confirm = test_app.ask_to_join("ada@example.org").await;
        let leave = test_app.goodbye_link("reader@example.org");
        let records = async || (test_app.record_of("ada@example.org").await, test_app.record_of("reader@example.org").await);
        let before = records().await;
        for method in [Method::GET, Method::HEAD, Method::OPTIONS].iter().cycle().take(30) {
            for link in [&confirm, &leave] {
                let answer = test_app.request(method.clone(), link).send().await.expect("an answer");
                assert!(*method == Method::OPTIONS || answer.status() == StatusCode::OK, "{method} {}", answer.status());
            }
        }
        assert_eq!(records().await, before);
        assert!(before.0.contains("state: Pending") && before.1.contains("state: Active"), "{before:?}");
    }

    async fn a_confirmation_link_does_not_bring_back_somebody_who_left(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.stock_small().await;
        let confirm = test_app.join("ada@example.org").await;
        test_app.send_digest().await;
        let leave = test_app.goodbye_link("ada@example.org");
        assert_eq!(test_app.post(&leave).await.status(), StatusCode::OK);
        assert_eq!(test_app.post(&confirm).await.status(), StatusCode::GONE);
        assert_eq!(test_app.state_of("ada@example.org").await, Some(SubscriberState::Unsubscribed));

        test_app.wait(TimeDelta::hours(2));
        let again = test_app.ask_to_join("ada@example.org").await;
        assert_ne!(again, confirm);
        assert_eq!(test_app.state_of("ada@example.org").await, Some(SubscriberState::Unsubscribed), "a new sign-up waits for its own button");
        assert_eq!(test_app.post(&again).await.status(), StatusCode::OK);
        let ada = person(&test_app, "ada@example.org").await;
        assert_eq!((ada.subscriber.state, ada.consents.len()), (SubscriberState::Active, 2));
        assert!(ada.consents.iter().all(|consent| consent.confirmed_at.is_some()));
    }

    async fn a_foreign_domain_becomes_a_labels_and_stays_one_person(test_db) {
        let test_app = TestApp::open(test_db).await;
        for spelled in ["Ada@BÜCHER.example", "ada@bücher.example", "ADA@xn--bcher-kva.example"] {
            test_app.sign_up(spelled).await;
        }
        assert_eq!(test_app.known_people().await, 1);
        assert_eq!(person(&test_app, "ada@bücher.example").await.subscriber.email, "Ada@xn--bcher-kva.example");
        test_app.deliver_confirmations().await;
        assert_eq!(test_app.mails_to("Ada@xn--bcher-kva.example").len(), 1);
    }

    async fn no_name_and_no_address_adds_a_header_to_a_mail(test_db) {
        let test_app = app_for_crowds(test_db).await;
        sign_up_with_name(&test_app, "plain@example.org", "Ada").await;
        let hostile = [
            "Ada\r\nBcc: eve@example.org",
            "Ada\nBcc: eve@example.org",
            "Ada\0",
            "\"Ada\" <eve@example.org>, Bcc: x",
            "Käthe =?utf-8?Q?=0ABcc:?=",
        ];
        for (n, name) in hostile.iter().enumerate() {
            sign_up_with_name(&test_app, &format!("ada{n}@example.org"), name).await;
        }
        sign_up_with_name(&test_app, "\"a,b: c\"@example.org", "").await;
        for bad in [
            "ada@example.org\r\nBcc: eve@example.org",
            "ada\r\nBcc: eve@example.org",
            "ada@example.org\nX",
            "\"a\r\nBcc: b\"@example.org",
            "a\0@example.org",
        ] {
            assert_eq!(test_app.sign_up(bad).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "{bad:?}");
        }
        test_app.deliver_confirmations().await;
        let expected = header_names(&test_app.mails_to("plain@example.org")[0]);
        let others = (0..hostile.len()).map(|n| format!("ada{n}@example.org")).chain(["\"a,b: c\"@example.org".into()]);
        for email in others {
            let mails = test_app.mails_to(&email);
            assert_eq!(mails.iter().map(|mail| header_names(mail)).collect::<Vec<_>>(), [expected.as_slice()], "{email}");
        }
    }

    async fn a_name_is_kept_as_typed_if_it_can_be_one(test_db) {
        let test_app = app_for_crowds(test_db).await;
        sign_up_with_name(&test_app, "ada@example.org", " Ada \"Käthe\" <b>O'Neil</b> ").await;
        sign_up_with_name(&test_app, "bob@example.org", &"B".repeat(101)).await;
        sign_up_with_name(&test_app, "eve@example.org", "Eve\r\nBcc: x").await;
        let name = async |email| person(&test_app, email).await.subscriber.name;
        assert_eq!(name("ada@example.org").await.as_deref(), Some("Ada \"Käthe\" <b>O'Neil</b>"));
        assert_eq!((name("bob@example.org").await, name("eve@example.org").await), (None, None));
    }
}
