//! Correcting what went out: the page, and the mails that were never begun.

use chrono::TimeDelta;
use reqwest::StatusCode;
use verdicts::config::Approval;
use verdicts::config::SecondFactor;
use verdicts::config::Settings;
use verdicts::domain::actor::Actor;
use verdicts::domain::digest::DigestState;
use verdicts::domain::user::Role;
use verdicts::storage::ledger::updates::DeliveryUpdate;
use verdicts::storage::ledger::updates::Finished;
use verdicts::storage::ledger::updates::Start;

use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::desk::Browser;
use crate::support::on_both;

fn desk(settings: &mut Settings) {
    settings.desk.second_factor = SecondFactor::Off;
    settings.schedule.approval = Approval::Auto;
}

on_both! {
    async fn readers_who_have_not_got_the_mail_get_the_corrected_one(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::stocked(test_db, &sink, desk).await;
        test_app.seed_subscribers("reader", 4).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        let slot = test_app.slot();
        test_app.app.draft_digest(&Actor::cli()).await.expect("a draft");
        let at = |action: &str| format!("/desk/digests/{slot}/{action}");
        editor.press(&at("write"), &[("introduction", "It costs 10 a month."), ("revision", "0")]).await;
        test_app.app.send_soon(&Actor::cli(), slot).await.expect("soon");
        test_app.wait(TimeDelta::minutes(6));
        test_app.app.tick().await.expect("a tick");
        // One mail is begun, and the relay says "later".
        let storage = &test_app.app.storage;
        let now = test_app.app.now();
        let sender = storage.register_sender("elsewhere", TimeDelta::seconds(60), now).await.expect("entered");
        let jobs = storage.claim(sender, &[], None, 10, now).await.expect("claimed").jobs;
        let begun = Start { key: jobs[0].key, version: jobs[0].version, relay: "default" };
        assert_eq!(storage.step(sender, &[], &[begun], now).await.expect("begun"), Some(vec![true]));
        let done = Finished { key: jobs[0].key, step: DeliveryUpdate::Again(now), reply: "451".into() };
        storage.step(sender, &[done], &[], now).await.expect("written");
        let empty = editor.post(&at("correct"), &[("note", ""), ("introduction", "It costs 12 a month.")]).await;
        assert_eq!(empty.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(empty.text().await.expect("a page").contains("It costs 12 a month."), "what was typed is not lost");
        let page = editor.page(&at("correct")).await;
        assert!(page.contains("It costs 10 a month.") && page.contains("4 readers have not got the mail yet"), "{page}");
        let said = editor.press(&at("correct"), &[("note", "The price was old."), ("introduction", "It costs 12 a month.")]).await;
        assert!(said.contains("is corrected: 4 readers get the corrected mail") && said.contains("corrected it"), "{said}");
        // Whoever holds a mail that was made before cannot begin it any more.
        let old = Start { key: jobs[1].key, version: jobs[1].version, relay: "default" };
        assert_eq!(storage.step(sender, &[], &[old], test_app.app.now()).await.expect("answered"), Some(vec![false]));
        storage.leave_sender(sender, test_app.app.now()).await.expect("left");
        test_app.wait(TimeDelta::minutes(10));
        let is_sent = async || test_app.app.status(slot).await.expect("a status").digest.state == DigestState::Sent;
        test_app.deliver_while("the digest is sent", is_sent).await;
        let bodies: Vec<String> = sink.received().iter().map(|mail| String::from_utf8_lossy(&mail.data).into_owned()).collect();
        let with = |words: &str| bodies.iter().filter(|body| body.contains(words)).count();
        assert_eq!((bodies.len(), with("It costs 10 a month."), with("It costs 12 a month.")), (4, 1, 3), "a mail that was begun keeps its version");
        let page = test_app.page(&format!("/digests/{slot}")).await;
        assert!(page.contains("Corrected on") && page.contains("The price was old.") && page.contains("It costs 12 a month.") && !page.contains("It costs 10 a month."), "{page}");
        assert_eq!(storage.corrections(slot).await.expect("a number"), 1);
        let audit = storage.audit(slot, 10).await.expect("an audit").expect("a digest");
        assert!(audit.faults.is_empty(), "{:?}", audit.faults);
    }

    async fn an_issue_that_is_out_is_corrected_by_the_command(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::stocked(test_db, &sink, desk).await;
        test_app.seed_subscribers("reader", 1).await;
        let slot = test_app.slot().to_string();
        let program = Program::set_up(&test_app.test_db);
        program.run(&["digest", "correct", &slot, "--note", "x", "--question", "y"]).refused(&["There is no digest"]);
        test_app.app.draft_digest(&Actor::cli()).await.expect("a draft");
        program.run(&["digest", "correct", &slot, "--note", "x", "--question", "y"]).refused(&["only what went out is corrected"]);
        test_app.send_digest().await;
        program.run(&["digest", "correct", &slot, "--note", "x"]).refused(&["Nothing is changed"]);
        program.run(&["digest", "correct", &slot, "--note", "x", "--question", "TK"]).refused(&["TK is left in it"]);
        let said = program.run(&["--json", "digest", "correct", &slot, "--note", "We forgot to ask", "--question", "Which one?"]).good().json();
        assert_eq!(said["remaining"], 0);
        program.run(&["digest", "correct", &slot, "--note", "A tagline was wrong", "--with-catalogue"]).good();
        let page = test_app.page(&format!("/digests/{slot}")).await;
        assert!(page.contains("Which one?") && page.contains("We forgot to ask") && page.contains("A tagline was wrong"), "{page}");
        assert_eq!(sink.mails(), 1, "nobody gets it twice");
        let analyst = Browser::of(&test_app, Role::Writer).await;
        assert_eq!(analyst.get(&format!("/desk/digests/{slot}/correct")).await.status(), StatusCode::FORBIDDEN);
    }
}
