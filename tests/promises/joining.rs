//! Joining: what is answered, what is kept, what a confirmation link is good for.

use crate::support::House;
use crate::support::Place;
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

async fn house_for_crowds(place: Place) -> House {
    House::open_with(place, |settings| settings.signup.per_client = 1_000).await
}

async fn person(house: &House, email: &str) -> Person {
    house
        .app
        .person(&email.parse().expect("an address"))
        .await
        .expect("somebody known")
}

async fn sign_up_with_name(house: &House, email: &str, name: &str) {
    let answer = house
        .post_form("/subscribe", &[("email", email), ("name", name)])
        .await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{email}");
}

on_both! {
    async fn the_answer_is_the_same_whether_an_address_is_new_known_or_suppressed(place) {
        let house = house_for_crowds(place).await;
        let states = ["active", "unsubscribed", "bounced", "complained", "pending"];
        let rows: String = states.iter().map(|state| format!("{state}@example.org,{state}\n")).collect();
        house.enlist_all(&format!("email,state\nerased@example.org,active\n{rows}")).await;
        house.app.erase_subscriber(&Actor::cli(), &"erased@example.org".parse().expect("an address")).await.expect("erased");
        let people =
            ["new1", "active", "unsubscribed", "bounced", "complained", "pending", "erased"].map(|name| format!("{name}@example.org"));

        let page = whole(house.sign_up("new0@example.org").await).await;
        assert_eq!(page.0, StatusCode::SEE_OTHER);
        assert!(page.1.contains(&("location".into(), "\"/check-inbox\"".into())), "{:?}", page.1);
        for email in &people {
            assert_eq!(whole(house.sign_up(email).await).await, page, "{email}");
        }
        assert!(house.page("/check-inbox").await.contains("inbox"));
        let json = whole(house.post_json("/subscribe", &json!({ "email": "new2@example.org" })).await).await;
        assert_eq!((json.0, json.2.as_str()), (StatusCode::ACCEPTED, r#"{"status":"check_inbox"}"#));
        for email in &people {
            assert_eq!(whole(house.post_json("/subscribe", &json!({ "email": email })).await).await, json, "{email}");
        }

        assert_eq!(house.waiting_confirmations().await, 6, "the new, the pending one, the one who left and the one on the list get mail");
        for state in states {
            assert_eq!(person(&house, &format!("{state}@example.org")).await.subscriber.state.as_str(), state);
        }
        assert_eq!(house.state_of("erased@example.org").await, None, "somebody erased is not written down again");
    }

    async fn a_bad_address_gets_a_sentence_and_what_was_typed_stays_in_the_form(place) {
        let house = house_for_crowds(place).await;
        let typed = r#""><b onload=x>'&amp;@nowhere"#;
        let refused = house.sign_up(typed).await;
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
            assert_eq!(house.sign_up(bad).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
            let refused = house.post_json("/subscribe", &json!({ "email": bad })).await;
            assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
            let body: serde_json::Value = refused.json().await.expect("JSON");
            assert!(body["error"].as_str().is_some_and(|sentence| sentence.ends_with('.')), "{body}");
        }
        assert_eq!((house.known_people().await, house.waiting_confirmations().await), (0, 0));
    }

    async fn the_consent_record_keeps_what_was_shown_when_from_which_network_and_when_it_was_confirmed(place) {
        let house = House::open_with(place, |settings| {
            settings.site.trusted_proxies = vec!["127.0.0.1".parse::<std::net::IpAddr>().expect("an address").into()]
        })
        .await;
        let shown = unescaped(between(&house.page("/").await, "class=\"consent\">", "</p>"));
        let ask = |client| house.request(Method::POST, "/subscribe").header("x-forwarded-for", client);
        let before = house.app.now();
        ask("203.0.113.77").form(&[("email", "ada@example.org")]).send().await.expect("an answer");
        ask("2001:db8:1:2::3").json(&json!({ "email": "bob@example.org" })).send().await.expect("an answer");
        let after = house.app.now();
        let [Consent { requested_at, .. }] = person(&house, "ada@example.org").await.consents[..] else { panic!("one consent") };
        assert!((before..=after).contains(&requested_at));
        house.deliver_confirmations().await;
        house.wait(TimeDelta::minutes(5));
        house.post(&crate::journey::link(&house.mails_to("ada@example.org")[0], "/confirm/")).await;

        let [ada] = &person(&house, "ada@example.org").await.consents[..] else { panic!("one consent") };
        assert_eq!((ada.shown.as_str(), ada.source.as_str(), ada.network.as_deref()), (shown.as_str(), "web form", Some("203.0.113.0/24")));
        assert_eq!(ada.requested_at, requested_at);
        let confirmed = ada.confirmed_at.expect("confirmed");
        assert!((after + TimeDelta::minutes(5)..=house.app.now()).contains(&confirmed));
        let [bob] = &person(&house, "bob@example.org").await.consents[..] else { panic!("one consent") };
        assert_eq!((bob.source.as_str(), bob.network.as_deref(), bob.confirmed_at), ("api", Some("2001:db8:1::/48"), None));
    }

    async fn one_address_gets_one_confirmation_mail_an_hour_at_most(place) {
        let house = house_for_crowds(place).await;
        let mut crowd = JoinSet::new();
        for email in ["ada@example.org", "ADA@example.org", "Ada@Example.Org"].repeat(4) {
            crowd.spawn(house.request(Method::POST, "/subscribe").form(&[("email", email)]).send());
        }
        for answer in crowd.join_all().await {
            assert_eq!(answer.expect("an answer").status(), StatusCode::SEE_OTHER);
        }
        assert_eq!((house.known_people().await, house.waiting_confirmations().await), (1, 1), "case does not make two of one");
        house.deliver_confirmations().await;
        house.wait(TimeDelta::minutes(55));
        house.sign_up("ada@example.org").await;
        assert_eq!(house.waiting_confirmations().await, 0);
        house.wait(TimeDelta::minutes(6));
        house.sign_up("ada@example.org").await;
        assert_eq!(house.waiting_confirmations().await, 1);
    }

    async fn who_confirmed_is_told_so_and_who_is_on_the_list_is_told_that_once_an_hour(place) {
        let house = house_for_crowds(place).await;
        let subjects = |house: &House| -> Vec<String> {
            let subject = |mail: &Vec<u8>| {
                mail_parser::MessageParser::default().parse(mail).and_then(|mail| mail.subject().map(String::from)).expect("a subject")
            };
            house.mails_to("ada@example.org").iter().map(subject).collect()
        };
        let [confirm, welcome, already] = ["Please confirm", "You are in", "You get it already"].map(|s| format!("{s}: Weekly AI Tool Verdicts"));
        let link = house.join("ada@example.org").await;
        house.post(&link).await;
        house.deliver_confirmations().await;
        assert_eq!(subjects(&house), [confirm.as_str(), &welcome], "pressed twice, told once");

        house.sign_up("ada@example.org").await;
        assert_eq!(house.waiting_confirmations().await, 0, "there was a mail within the hour");
        house.wait(TimeDelta::minutes(61));
        for email in ["ada@example.org", "ADA@example.org", "ada@example.org"] {
            house.sign_up(email).await;
        }
        house.deliver_confirmations().await;
        assert_eq!(subjects(&house), [confirm.as_str(), &welcome, &already]);
        let reminder = &house.mails_to("ada@example.org")[2];
        assert!(mail_parser::MessageParser::default().parse(reminder).expect("a mail").header_raw("Auto-Submitted").is_some());

        house.wait(TimeDelta::minutes(61));
        house.sign_up("ada@example.org").await;
        assert_eq!(house.waiting_confirmations().await, 1);
        let leave = crate::journey::link(reminder, "/unsubscribe/");
        assert_eq!(house.post(&leave).await.status(), StatusCode::OK);
        house.deliver_confirmations().await;
        assert_eq!(subjects(&house).len(), 3, "who left meanwhile is not told that they are on the list");
    }

    async fn a_sign_up_that_nobody_confirms_is_forgotten_and_its_link_offers_the_form(place) {
        let house = House::open(place).await;
        let link = house.ask_to_join("ada@example.org").await;
        house.wait(TimeDelta::hours(71));
        house.app.tick().await.expect("a tick");
        assert_eq!(house.state_of("ada@example.org").await, Some(SubscriberState::Pending), "there is time left");
        assert_eq!(house.get(&link).await.status(), StatusCode::OK);
        house.wait(TimeDelta::minutes(65));
        for forgotten in [false, true] {
            for method in [Method::GET, Method::POST] {
                let answer = house.request(method.clone(), &link).send().await.expect("an answer");
                assert_eq!(answer.status(), StatusCode::GONE, "{method}, forgotten: {forgotten}");
                assert!(answer.text().await.expect("a page").contains("action=\"/subscribe\""));
            }
            let known = house.state_of("ada@example.org").await;
            assert_eq!(known, (!forgotten).then_some(SubscriberState::Pending));
            house.app.tick().await.expect("a tick");
        }
        let fresh = house.ask_to_join("ada@example.org").await;
        assert_eq!(house.post(&fresh).await.status(), StatusCode::OK, "they may come again");
        assert_eq!(house.post(&link).await.status(), StatusCode::GONE, "the old link stays over");
    }

    async fn the_link_of_somebody_erased_is_over(place) {
        let house = House::open(place).await;
        let link = house.ask_to_join("ada@example.org").await;
        house.app.erase_subscriber(&Actor::cli(), &"ada@example.org".parse().expect("an address")).await.expect("erased");
        assert_eq!(house.post(&link).await.status(), StatusCode::GONE);
        assert_eq!(house.known_people().await, 0);
    }

    async fn what_fills_in_the_hidden_field_is_answered_like_anybody_and_not_kept(place) {
        let house = House::open(place).await;
        let person = whole(house.sign_up("ada@example.org").await).await;
        let trapped = house.post_form("/subscribe", &[("email", "bot@example.org"), ("website", "http://spam.example")]).await;
        assert_eq!(whole(trapped).await, person);
        let trapped = house.post_json("/subscribe", &json!({ "email": "bot@example.org", "website": "x" })).await;
        assert_eq!(trapped.status(), StatusCode::ACCEPTED);
        assert_eq!((house.known_people().await, house.waiting_confirmations().await), (1, 1));
    }

    async fn who_only_looks_at_a_link_changes_nothing(place) {
        let house = House::open(place).await;
        house.stock_small().await;
        house.join("reader@example.org").await;
        house.send_digest().await;
        let confirm = house.ask_to_join("ada@example.org").await;
        let leave = house.goodbye_link("reader@example.org");
        let records = async || (house.record_of("ada@example.org").await, house.record_of("reader@example.org").await);
        let before = records().await;
        for method in [Method::GET, Method::HEAD, Method::OPTIONS].iter().cycle().take(30) {
            for link in [&confirm, &leave] {
                let answer = house.request(method.clone(), link).send().await.expect("an answer");
                assert!(*method == Method::OPTIONS || answer.status() == StatusCode::OK, "{method} {}", answer.status());
            }
        }
        assert_eq!(records().await, before);
        assert!(before.0.contains("state: Pending") && before.1.contains("state: Active"), "{before:?}");
    }

    async fn a_confirmation_link_does_not_bring_back_somebody_who_left(place) {
        let house = House::open(place).await;
        house.stock_small().await;
        let confirm = house.join("ada@example.org").await;
        house.send_digest().await;
        let leave = house.goodbye_link("ada@example.org");
        assert_eq!(house.post(&leave).await.status(), StatusCode::OK);
        assert_eq!(house.post(&confirm).await.status(), StatusCode::GONE);
        assert_eq!(house.state_of("ada@example.org").await, Some(SubscriberState::Unsubscribed));

        house.wait(TimeDelta::hours(2));
        let again = house.ask_to_join("ada@example.org").await;
        assert_ne!(again, confirm);
        assert_eq!(house.state_of("ada@example.org").await, Some(SubscriberState::Unsubscribed), "a new sign-up waits for its own button");
        assert_eq!(house.post(&again).await.status(), StatusCode::OK);
        let ada = person(&house, "ada@example.org").await;
        assert_eq!((ada.subscriber.state, ada.consents.len()), (SubscriberState::Active, 2));
        assert!(ada.consents.iter().all(|consent| consent.confirmed_at.is_some()));
    }

    async fn a_foreign_domain_becomes_a_labels_and_stays_one_person(place) {
        let house = House::open(place).await;
        for spelled in ["Ada@BÜCHER.example", "ada@bücher.example", "ADA@xn--bcher-kva.example"] {
            house.sign_up(spelled).await;
        }
        assert_eq!(house.known_people().await, 1);
        assert_eq!(person(&house, "ada@bücher.example").await.subscriber.email, "Ada@xn--bcher-kva.example");
        house.deliver_confirmations().await;
        assert_eq!(house.mails_to("Ada@xn--bcher-kva.example").len(), 1);
    }

    async fn no_name_and_no_address_adds_a_header_to_a_mail(place) {
        let house = house_for_crowds(place).await;
        sign_up_with_name(&house, "plain@example.org", "Ada").await;
        let hostile = [
            "Ada\r\nBcc: eve@example.org",
            "Ada\nBcc: eve@example.org",
            "Ada\0",
            "\"Ada\" <eve@example.org>, Bcc: x",
            "Käthe =?utf-8?Q?=0ABcc:?=",
        ];
        for (n, name) in hostile.iter().enumerate() {
            sign_up_with_name(&house, &format!("ada{n}@example.org"), name).await;
        }
        sign_up_with_name(&house, "\"a,b: c\"@example.org", "").await;
        for bad in [
            "ada@example.org\r\nBcc: eve@example.org",
            "ada\r\nBcc: eve@example.org",
            "ada@example.org\nX",
            "\"a\r\nBcc: b\"@example.org",
            "a\0@example.org",
        ] {
            assert_eq!(house.sign_up(bad).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "{bad:?}");
        }
        house.deliver_confirmations().await;
        let expected = header_names(&house.mails_to("plain@example.org")[0]);
        let others = (0..hostile.len()).map(|n| format!("ada{n}@example.org")).chain(["\"a,b: c\"@example.org".into()]);
        for email in others {
            let mails = house.mails_to(&email);
            assert_eq!(mails.iter().map(|mail| header_names(mail)).collect::<Vec<_>>(), [expected.as_slice()], "{email}");
        }
    }

    async fn a_name_is_kept_as_typed_if_it_can_be_one(place) {
        let house = house_for_crowds(place).await;
        sign_up_with_name(&house, "ada@example.org", " Ada \"Käthe\" <b>O'Neil</b> ").await;
        sign_up_with_name(&house, "bob@example.org", &"B".repeat(101)).await;
        sign_up_with_name(&house, "eve@example.org", "Eve\r\nBcc: x").await;
        let name = async |email| person(&house, email).await.subscriber.name;
        assert_eq!(name("ada@example.org").await.as_deref(), Some("Ada \"Käthe\" <b>O'Neil</b>"));
        assert_eq!((name("bob@example.org").await, name("eve@example.org").await), (None, None));
    }
}
