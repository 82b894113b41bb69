//! Results of an issue at the desk: counted once it is over, and who left, voted or was not reached is known.

use std::sync::Arc;

use chrono::TimeDelta;
use reqwest::StatusCode;
use tokio_util::sync::CancellationToken;
use verdicts::app::delivery::SendProgress;
use verdicts::app::issue::preflight::Preflight;
use verdicts::app::issue::sending::SendOrder;
use verdicts::config::Settings;
use verdicts::domain::actor::Actor;
use verdicts::domain::catalogue::Verdict;
use verdicts::domain::digest::DigestState;
use verdicts::domain::digest::OutcomeDimension;
use verdicts::domain::slot::Slot;
use verdicts::domain::user::Role;

use crate::desk_subscribers::without_codes;
use crate::support::Behaviour;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::desk::Browser;
use crate::support::on_both;

const LATER: &str = "450 4.2.0 Greylisted, try again later";

fn settings(settings: &mut Settings) {
    without_codes(settings);
    settings.mail.retry.max_age = std::time::Duration::from_secs(60);
    settings.mail.retry.first = std::time::Duration::from_secs(600);
}

/// Six readers at two domains, of whom one is put off until it is too late and one refused for good.
async fn sent(test_db: TestDb, sink: &SmtpSink) -> TestApp {
    let test_app = TestApp::stocked(test_db, sink, settings).await;
    test_app
        .enlist_all("email\nada@one.example\nbea@one.example\ncyd@one.example\ndan@two.example\nput-off@two.example\nrefused@two.example\n")
        .await;
    send(&test_app, test_app.slot()).await;
    test_app
}

async fn send(test_app: &TestApp, slot: Slot) {
    let order = SendOrder {
        slot: Some(slot),
        other_week: true,
        preflight: Preflight::Forced,
    };
    let (stop, progress) = (CancellationToken::new(), Arc::new(SendProgress::default()));
    let app = &test_app.app;
    app.send_digest(&Actor::cli(), order, &stop, &progress, |_| {})
        .await
        .expect("sent");
}

async fn sink() -> SmtpSink {
    let script = Script::accept_all()
        .reply_to("put-off", Behaviour::reply(LATER).times(1))
        .reply_to("refused", "552 5.7.0 Content is not wanted");
    SmtpSink::start(script).await
}

async fn reader(test_app: &TestApp, email: &str) -> i64 {
    let email = email.parse().expect("an address");
    test_app
        .app
        .person(&email)
        .await
        .expect("known")
        .subscriber
        .id
}

/// The part of a page from one heading to the next.
fn part<'p>(page: &'p str, heading: &str) -> &'p str {
    let rest = page
        .split(&format!(">{heading}<"))
        .nth(1)
        .unwrap_or_else(|| panic!("no {heading} in {page}"));
    rest.split("<h2").next().unwrap_or_default()
}

on_both! {
    async fn an_issue_that_is_over_is_counted_by_domain_and_relay_and_its_ledger_checked(test_db) {
        let sink = sink().await;
        let test_app = sent(test_db, &sink).await;
        let analyst = Browser::of(&test_app, Role::Analyst).await;
        let path = format!("/desk/digests/{}", test_app.slot());
        let page = analyst.page(&path).await;
        assert!(page.contains("are being counted") && page.contains("Mails per minute"), "{page}");
        test_app.app.tick().await.expect("a tick");
        let page = analyst.page(&path).await;
        assert!(page.contains("adds up") && page.contains("each recipient is in it once"), "{page}");
        let numbers = part(&page, "How it went").to_owned();
        for row in ["<bdi>one.example</bdi></th><td class=\"number\">3</td><td class=\"number\">0</td>", "<bdi>two.example</bdi></th><td class=\"number\">1</td><td class=\"number\">2</td>"] {
            assert!(numbers.contains(row), "{row}: {numbers}");
        }
        assert!(page.contains("role=\"img\"") && page.contains("<title") && !page.contains("style=\""), "{page}");
        assert!(!page.contains("Download the ledger"), "an analyst may not");
        let before = test_app.test_db.dump().await;
        test_app.app.tick().await.expect("a tick");
        assert_eq!(test_app.test_db.dump().await, before, "it is counted once");
    }

    async fn whoever_leaves_counts_for_the_newest_issue_that_they_got(test_db) {
        let sink = sink().await;
        let test_app = sent(test_db, &sink).await;
        let link = sink.received_by("bea@one.example").last().map(|mail| crate::journey::link(&mail.data, "/unsubscribe/")).expect("a mail");
        test_app.wait(TimeDelta::minutes(3));
        assert_eq!(test_app.post(&link).await.status(), StatusCode::OK);
        test_app.post_form(&format!("{link}/reason"), &[("reason", "too_often")]).await;
        let (editor, analyst) = (Browser::of(&test_app, Role::Editor).await, Browser::of(&test_app, Role::Analyst).await);
        let path = format!("/desk/digests/{}", test_app.slot());
        let page = editor.page(&path).await;
        assert!(part(&page, "What followed").contains(&format!("<a href=\"{path}/left\">1<")), "{page}");
        let left = editor.page(&format!("{path}/left")).await;
        assert!(left.contains("<bdi>bea@one.example</bdi>") && !left.contains("ada@"), "{left}");
        let masked = analyst.page(&format!("{path}/left")).await;
        assert!(!masked.contains("bea@one.example") && masked.contains("***@"), "{masked}");
        assert_eq!(editor.get(&format!("{path}/left?after=1.x")).await.status(), StatusCode::NOT_FOUND);
        let results = test_app.app.issue_results(test_app.slot()).await.expect("results");
        assert_eq!(results.reactions.left, 1);
        let given: u64 = results.reasons_for_leaving.iter().map(|(_, count)| count).sum();
        assert!(given <= 1);
    }

    async fn votes_count_for_the_issue_with_those_who_changed_their_mind(test_db) {
        let sink = sink().await;
        let test_app = sent(test_db, &sink).await;
        let edition = test_app.app.edition(test_app.slot(), test_app.app.now()).await.expect("an edition");
        let tool = edition.content.items[0].matchup.left.tool.slug.clone();
        let (ada, dan) = (reader(&test_app, "ada@one.example").await, reader(&test_app, "dan@two.example").await);
        test_app.wait(TimeDelta::minutes(1));
        for (who, verdict) in [(ada, Verdict::Ship), (ada, Verdict::Ship), (dan, Verdict::Ship), (dan, Verdict::Skip)] {
            test_app.app.vote(who, &tool, verdict).await.expect("counted");
        }
        let votes = test_app.app.storage.issue_votes(test_app.slot()).await.expect("votes");
        assert_eq!((votes.len(), votes[0].ships, votes[0].skips, votes[0].changed), (1, 1, 1, 1), "{votes:?}");
        let page = Browser::of(&test_app, Role::Writer).await.page("/desk").await;
        assert!(page.contains("1 ship, 1 skip") && page.contains("1 vote was by a reader who had voted otherwise before."), "{page}");
    }

    async fn those_who_were_given_up_get_it_once_more_and_nobody_else(test_db) {
        let sink = sink().await;
        let test_app = sent(test_db, &sink).await;
        let slot = test_app.slot();
        let state = async || test_app.app.status(slot).await.expect("a status");
        assert_eq!((state().await.digest.state, state().await.tally.failed), (DigestState::Sent, 2));
        let editor = Browser::of(&test_app, Role::Editor).await;
        let path = format!("/desk/digests/{slot}");
        assert!(editor.page(&path).await.contains("Send to those who failed"));
        assert!(editor.page(&format!("{path}/retry")).await.contains("Send it to 1 reader"));
        test_app.app.tick().await.expect("a tick");
        let said = editor.press(&format!("{path}/retry"), &[]).await;
        assert!(said.contains("goes once more to 1"), "{said}");
        assert_eq!((state().await.digest.state, state().await.tally.open()), (DigestState::Sending, 1));
        let before = sink.mails();
        send(&test_app, slot).await;
        let status = state().await;
        assert_eq!((status.digest.state, status.tally.sent, status.tally.failed), (DigestState::Sent, 5, 1));
        assert_eq!((sink.mails() - before, sink.received().last().map(|mail| mail.to.clone())), (1, Some("put-off@two.example".into())));
        assert!(status.failures.iter().all(|(reply, _)| !reply.contains("given up")), "{:?}", status.failures);
        let said = editor.press(&format!("{path}/retry"), &[]).await;
        assert!(said.contains("was refused for good"), "{said}");
        let audit = test_app.app.storage.audit(slot, 10).await.expect("an audit").expect("a digest");
        assert_eq!(audit.faults, [""; 0]);
        test_app.app.tick().await.expect("a tick");
        let domains = test_app.app.storage.outcomes(slot, OutcomeDimension::Domain, 10).await.expect("outcomes");
        let two = domains.iter().find(|row| row.name == "two.example").expect("a domain");
        assert_eq!((two.sent, two.failed), (2, 1), "it is counted anew");
    }

    async fn the_ledger_is_a_file_of_all_for_those_who_may_export(test_db) {
        let sink = sink().await;
        let test_app = sent(test_db, &sink).await;
        let path = format!("/desk/digests/{}/ledger", test_app.slot());
        let editor = Browser::of(&test_app, Role::Editor).await;
        let answer = editor.post(&path, &[]).await;
        assert!(answer.headers()["content-disposition"].to_str().is_ok_and(|text| text.contains("ledger-2026")), "{answer:?}");
        let text = answer.text().await.expect("a file");
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("subscriber,email,state,skip_reason,attempts,queued_at,started_at,finished_at,relay,reply"));
        assert_eq!((lines.clone().count(), lines.clone().filter(|line| line.contains(",sent,")).count()), (6, 4), "{text}");
        assert!(lines.any(|line| line.contains("refused@two.example,failed,,1,") && line.contains("552 5.7.0")), "{text}");
        let log = test_app.app.audit_log(&Default::default(), None, 50).await.expect("rows");
        assert!(log.iter().any(|row| row.row.what.as_str() == "digest.ledger_exported"), "{log:?}");
        test_app.wait(TimeDelta::minutes(11));
        assert_eq!(editor.post(&path, &[]).await.status(), StatusCode::SEE_OTHER, "only after a recent sign-in");
    }

    async fn commands_say_the_same(test_db) {
        let program = Program::set_up(&test_db);
        let test_app = TestApp::open_with(test_db, settings).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 3).await;
        test_app.send_digest().await;
        test_app.app.tick().await.expect("a tick");
        let slot = test_app.slot().to_string();
        let results = program.run(&["--json", "digest", "results", &slot]).good().json();
        assert_eq!((results["deliveries"]["sent"].as_u64(), results["domains"][0]["name"].as_str(), results["domains"][0]["sent"].as_u64()), (Some(3), Some("example.org"), Some(3)), "{results}");
        assert!(program.run(&["digest", "results", &slot]).good().out.contains("the ledger adds up"));
        assert_eq!(program.run(&["digest", "ledger", &slot]).good().out.lines().count(), 4);
        assert_eq!(program.run(&["--json", "digest", "show", &slot, "--left"]).good().json()["left"].as_array().map(Vec::len), Some(0));
        let refused = program.run(&["digest", "resume", &slot, "--failed"]);
        assert!(refused.code != 0 && refused.err.contains("Nothing of"), "{refused:?}");
        let unknown = program.run(&["digest", "results", "2020-W01"]);
        assert!(unknown.code != 0 && unknown.err.contains("There is no digest"), "{unknown:?}");
    }
}
