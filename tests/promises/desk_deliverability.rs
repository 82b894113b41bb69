//! Deliverability at the desk: what came back is counted with its people and reports, what is held is decided, relays are tried by hand.

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::StatusCode;
use verdicts::app::deliverability::ReturnedSend;
use verdicts::config::PauseSettings;
use verdicts::config::Settings;
use verdicts::domain::actor::Actor;
use verdicts::domain::inbound::Reason;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::domain::user::Role;

use crate::desk_subscribers::link;
use crate::desk_subscribers::without_codes;
use crate::inbound::report;
use crate::inbound::return_path;
use crate::inbound::take;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::desk::Browser;
use crate::support::on_both;
use crate::support::smtp_sink::Stage;

const GONE: &str = "550 5.1.1 no such user";

fn settings(settings: &mut Settings) {
    without_codes(settings);
    settings.mail.return_path = Some("bounces+{verp}@verdicts.example".into());
}

/// Two readers of three at one domain whose mail came back after the issue went out.
async fn came_back(test_db: TestDb) -> TestApp {
    let test_app = TestApp::open_with(test_db, settings).await;
    test_app.stock_small().await;
    test_app
        .enlist_all("email\nada@one.example\nbea@one.example\ncyd@two.example\n")
        .await;
    test_app.send_digest().await;
    for (email, reply) in [
        ("ada@one.example", GONE),
        ("bea@one.example", "552 5.2.2 mailbox full"),
    ] {
        let mail = report(&return_path(&test_app, email), email, reply);
        take(&test_app, &mail).await;
    }
    test_app
}

on_both! {
    async fn what_came_back_is_counted_by_domain_and_reason_with_its_people_and_reports(test_db) {
        let test_app = came_back(test_db).await;
        let slot = test_app.slot();
        let counts = test_app.app.returned_counts(ReturnedSend::Issue(slot)).await.expect("counts");
        let found: Vec<(&str, Reason, u64)> = counts.iter().map(|count| (count.domain.as_str(), count.reason, count.count)).collect();
        assert_eq!(found.len(), 2, "{counts:?}");
        assert!(found.contains(&("one.example", Reason::NoMailbox, 1)) && found.contains(&("one.example", Reason::Full, 1)), "{found:?}");
        let (editor, owner, analyst) = (Browser::of(&test_app, Role::Editor).await, Browser::of(&test_app, Role::Owner).await, Browser::of(&test_app, Role::Analyst).await);
        let page = editor.page("/desk/deliverability").await;
        for words in ["there is no such mailbox (5.1.1)", "the mailbox is full (5.2.2)", "By reason"] {
            assert!(page.contains(words), "{words}: {page}");
        }
        assert!(!page.contains("ada@one.example"), "replies are shown without addresses");
        let people = link(&page, "<bdi>one.example</bdi>").expect("a link");
        let list = editor.page(&people).await;
        assert!(list.contains("ada@one.example") && list.contains("bea@one.example") && list.contains("ended the subscription"), "{list}");
        let raw = list.split("href=\"").map(|rest| rest.split('"').next().unwrap_or_default()).find(|href| href.contains("/reports/")).expect("a report");
        assert!(editor.page(raw).await.contains("Final-Recipient"));
        assert!(!list.contains("It was a mistake"), "owners alone");
        let list = owner.page(&people).await;
        let lift = list.split("href=\"").map(|rest| rest.split('"').next().unwrap_or_default()).find(|href| href.ends_with("/lift")).expect("a link").to_owned();
        owner.press(&lift, &[("note", "their server was broken")]).await;
        assert_eq!(test_app.state_of("ada@one.example").await, Some(SubscriberState::Unsubscribed));
        assert!(owner.page(&people).await.contains("was dismissed"), "its count is reset");
        let page = analyst.page("/desk/deliverability").await;
        assert!(page.contains("one.example") && link(&page, "<bdi>one.example</bdi>").is_none() && !page.contains("Suppression list"), "{page}");
        for (path, status) in [
            (format!("/desk/deliverability?issue={slot}"), StatusCode::OK),
            ("/desk/deliverability?issue=others".into(), StatusCode::OK),
            ("/desk/deliverability?issue=x".into(), StatusCode::NOT_FOUND),
            (format!("/desk/deliverability/refused?issue={slot}&after=1"), StatusCode::NOT_FOUND),
            ("/desk/deliverability/refused".into(), StatusCode::NOT_FOUND),
        ] {
            assert_eq!(editor.get(&path).await.status(), status, "{path}");
        }
    }

    async fn complaints_stand_against_the_lines_of_mailbox_providers(test_db) {
        let test_app = came_back(test_db).await;
        let page = Browser::of(&test_app, Role::Writer).await.page("/desk/deliverability").await;
        assert!(page.contains("0.00 % complained, of few mails") && page.contains("punished from (0.3 %)"), "{page}");
        assert!(!page.contains("style=\""));
    }

    async fn the_suppression_list_is_searched_by_address_and_whoever_was_erased_stays(test_db) {
        let test_app = came_back(test_db).await;
        let erased = "cyd@two.example".parse().expect("an address");
        test_app.app.erase_subscriber(&Actor::cli(), &erased).await.expect("erased");
        let (owner, editor) = (Browser::of(&test_app, Role::Owner).await, Browser::of(&test_app, Role::Editor).await);
        let path = |email: &str| format!("/desk/deliverability/suppressions?search={email}");
        let page = owner.page(&path("ada@one.example")).await;
        assert!(page.contains("mail was refused.") && page.contains("Take it off"), "{page}");
        assert!(!editor.page(&path("ada@one.example")).await.contains("Take it off"), "owners alone");
        let page = owner.page(&path("cyd@two.example")).await;
        assert!(page.contains("It stays there") && !page.contains("Take it off"), "{page}");
        assert!(owner.page(&path("nobody@two.example")).await.contains("is not on the suppression list"));
        assert!(owner.page(&path("nonsense")).await.contains("aria-invalid"));
        let lift = "/desk/deliverability/suppressions/lift";
        let said = owner.press(lift, &[("email", "cyd@two.example"), ("note", "asked for it")]).await;
        assert!(said.contains("stays on the suppression list"), "{said}");
        assert_eq!(owner.post(lift, &[("email", "ada@one.example"), ("note", "")]).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let said = owner.press(lift, &[("email", "ada@one.example"), ("note", "their server was broken")]).await;
        assert!(said.contains("Taken off the suppression list, where it was as bounced"), "{said}");
        assert_eq!(editor.post(lift, &[("email", "ada@one.example"), ("note", "x")]).await.status(), StatusCode::FORBIDDEN);
        test_app.wait(TimeDelta::minutes(11));
        assert_eq!(owner.post(lift, &[("email", "bea@one.example"), ("note", "x")]).await.status(), StatusCode::SEE_OTHER, "only after a recent sign-in");
        let entries = test_app.app.storage.suppressions(None, 10).await.expect("entries");
        assert_eq!(entries.len(), 1, "{entries:?}");
    }

    async fn what_the_brake_holds_is_decided_at_the_desk(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("*", GONE).only_counts()).await;
        let test_app = TestApp::stocked(test_db, &sink, settings).await;
        let rows: String = (0..200).map(|n| format!("r{n}@big.example\n")).collect();
        test_app.enlist_all(&format!("email\n{rows}")).await;
        test_app.send_digest().await;
        let (editor, writer) = (Browser::of(&test_app, Role::Editor).await, Browser::of(&test_app, Role::Writer).await);
        let page = editor.page("/desk/deliverability").await;
        assert!(page.contains("200 readers held"), "{page}");
        assert!(!writer.page("/desk/deliverability").await.contains("Dismiss: keep them"));
        let held = "/desk/deliverability/held";
        let question = editor.page(&format!("{held}/dismiss?name=domain%3Abig.example")).await;
        assert!(question.contains("Keep the subscriptions of 200 readers?"), "{question}");
        assert!(editor.page(&format!("{held}/accept?name=domain%3Abig.example")).await.contains("End the subscriptions of 200 readers?"));
        assert_eq!(editor.get(&format!("{held}/maybe?name=x")).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(writer.post(&format!("{held}/dismiss"), &[("name", "domain:big.example")]).await.status(), StatusCode::FORBIDDEN);
        let said = editor.press(&format!("{held}/dismiss"), &[("name", "domain:big.example")]).await;
        assert!(said.contains("the refusals of 200 readers are dropped") && !said.contains("readers held"), "{said}");
        let said = editor.press(&format!("{held}/dismiss"), &[("name", "domain:big.example")]).await;
        assert!(said.contains("Nothing is held for big.example"), "{said}");
        assert_eq!(test_app.state_of("r0@big.example").await, Some(SubscriberState::Active));
    }

    async fn a_relay_that_is_paused_is_tried_now_by_hand(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::stocked(test_db, &sink, |set| {
            settings(set);
            set.mail.connections = 1;
            let pause = Duration::from_secs(3_600);
            set.mail.pause = PauseSettings { first: pause, max: pause };
        }).await;
        test_app.seed_subscribers("r", 5).await;
        let actor = Actor::cli();
        test_app.app.draft_digest(&actor).await.expect("a draft");
        test_app.app.send_soon(&actor, test_app.slot()).await.expect("soon");
        test_app.wait(TimeDelta::minutes(6));
        test_app.app.tick().await.expect("a tick");
        sink.order(Stage::Greeting, "*", "421 4.3.2 Closed for the night");
        let editor = Browser::of(&test_app, Role::Editor).await;
        let sent = async || test_app.app.storage.tally(test_app.slot().id()).await.expect("a tally").sent;
        // Its pause is an hour: without the button nothing would go out.
        let seen = std::sync::atomic::AtomicBool::new(false);
        test_app.deliver_while("all five are sent", async || {
            let page = editor.page("/desk/deliverability").await;
            if page.contains("Try now") {
                assert!(page.contains("Closed for the night"), "{page}");
                sink.order(Stage::Greeting, "*", "220 relay.example ESMTP");
                seen.store(true, std::sync::atomic::Ordering::Relaxed);
                let said = editor.press("/desk/deliverability/relays/try", &[("relay", "default")]).await;
                assert!(said.contains("is tried within seconds"), "{said}");
            }
            sent().await == 5
        }).await;
        assert!(seen.into_inner());
        let unknown = editor.press("/desk/deliverability/relays/try", &[("relay", "nowhere")]).await;
        assert!(unknown.contains("There is no relay nowhere"), "{unknown}");
        let log = test_app.app.audit_log(&Default::default(), None, 50).await.expect("rows");
        assert!(log.iter().any(|row| row.row.what.as_str() == "relay.tried"), "{log:?}");
    }

    async fn dns_is_kept_with_the_time_since_when_it_is_so(test_db) {
        let test_app = TestApp::open_with(test_db, settings).await;
        let storage = &test_app.app.storage;
        let look = |level: &str| vec![("spf".to_owned(), level.to_owned(), "words".to_owned()), ("dmarc".into(), "good".into(), "words".into())];
        let begin = test_app.app.now();
        storage.keep_dns_checks(&look("good"), begin).await.expect("kept");
        test_app.wait(TimeDelta::hours(1));
        let now = test_app.app.now();
        storage.keep_dns_checks(&look("fault"), now).await.expect("kept");
        let since: Vec<_> = storage.dns_checks().await.expect("checks").into_iter().map(|check| (check.level, check.since, check.checked_at)).collect();
        assert_eq!(since, [("fault".into(), now, now), ("good".into(), begin, now)]);
        let page = Browser::of(&test_app, Role::Analyst).await.page("/desk/deliverability").await;
        assert!(page.contains("SPF: mend it") && page.contains("v=DMARC1; p=none") && page.contains("_dmarc."), "{page}");
        storage.keep_dns_checks(&look("good")[..1], now).await.expect("kept");
        assert_eq!(storage.dns_checks().await.expect("checks").len(), 1);
    }

    async fn commands_say_the_same(test_db) {
        let program = Program::set_up(&test_db);
        let test_app = came_back(test_db).await;
        let slot = test_app.slot().to_string();
        let counts = program.run(&["--json", "bounces", "count", &slot]).good().json();
        assert_eq!(counts["refused"].as_array().map(Vec::len), Some(2), "{counts}");
        let text = program.run(&["bounces", "refused", &slot, "--domain", "one.example"]).good().out;
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(program.run(&["bounces", "count", "others"]).good().err.contains("Nothing of it was refused"));
        assert_eq!(program.run(&["bounces", "count", "soon"]).code, 2);
        let entry = program.run(&["--json", "subscribers", "suppressed"]).good().json();
        assert_eq!(entry["suppressions"][0]["reason"], "bounced", "{entry}");
        assert!(program.run(&["subscribers", "suppressed", "nobody@one.example"]).good().out.contains("not on the suppression list"));
        assert!(program.run(&["relays", "list"]).good().out.contains("default: "));
        program.run(&["relays", "try", "default"]).good();
        let refused = program.run(&["relays", "try", "nowhere"]);
        assert!(refused.code == 1 && refused.err.contains("There is no relay nowhere"), "{refused:?}");
        assert!(program.run(&["dns"]).good().out.contains("_dmarc."));
    }
}
