//! Users of the desk are told what happens: in the desk's list, and by mail, at most one an hour of each kind, and never twice.

use chrono::TimeDelta;
use mail_parser::MessageParser;
use verdicts::config::Approval;
use verdicts::config::SecondFactor;
use verdicts::config::Settings;
use verdicts::domain::user::Role;
use verdicts::domain::user_notice::UserMailState;
use verdicts::domain::user_notice::UserNoticeKind;
use verdicts::domain::waiting::Wait;
use verdicts::domain::waiting::WaitReason;
use verdicts::storage::user_notices::NewNotice;
use verdicts::storage::waits::Deliverer;

use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::desk::Browser;
use crate::support::on_both;
use crate::support::program::Program;

fn desk(settings: &mut Settings) {
    settings.desk.second_factor = SecondFactor::Off;
    settings.schedule.approval = Approval::Required;
}

/// Subjects and texts of the mails that a user got, oldest first.
fn mails_to(sink: &SmtpSink, role: Role) -> Vec<(String, String)> {
    let mails = sink.received_by(&format!("{role}@desk.example"));
    let read = |data: &[u8]| {
        let mail = MessageParser::default().parse(data).expect("a mail");
        let text = mail.body_text(0).expect("text").replace("\r\n", "\n");
        (mail.subject().expect("a subject").to_owned(), text)
    };
    mails.iter().map(|mail| read(&mail.data)).collect()
}

async fn notify(test_app: &TestApp, kind: UserNoticeKind, subject: &str) -> bool {
    let notice = NewNotice {
        kind,
        subject,
        said: &format!("News of {subject}."),
        path: "/desk",
    };
    let (storage, now) = (&test_app.app.storage, test_app.app.now());
    storage
        .notify_users(&notice, None, now)
        .await
        .expect("kept")
}

async fn states(test_app: &TestApp) -> Vec<UserMailState> {
    let mails = test_app
        .app
        .storage
        .user_mails(None, 50)
        .await
        .expect("mails");
    mails.iter().map(|mail| mail.state).collect()
}

on_both! {
    async fn users_hear_of_a_week_once_each_by_their_role(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::stocked(test_db, &sink, desk).await;
        test_app.seed_subscribers("reader", 3).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        let analyst = Browser::of(&test_app, Role::Analyst).await;
        test_app.set_clock("2026-11-24T08:01:00Z");
        for _ in 0..3 {
            test_app.app.tick().await.expect("a tick");
            test_app.app.mail_users().await.expect("mailed");
        }
        let told = mails_to(&sink, Role::Owner);
        let subjects: Vec<&str> = told.iter().map(|(subject, _)| subject.as_str()).collect();
        assert_eq!(subjects, ["Weekly AI Tool Verdicts: The draft is ready", "Weekly AI Tool Verdicts: Not approved yet"]);
        assert!(told[0].1.contains("2026-W48 is ready") && told[0].1.contains("/desk/digests/2026-W48"), "{}", told[0].1);
        assert!(mails_to(&sink, Role::Analyst).is_empty(), "who cannot act on it is not told");
        owner.press("/desk/digests/2026-W48/approve", &[]).await;
        test_app.set_clock("2026-11-24T09:01:00Z");
        test_app.app.tick().await.expect("a tick");
        test_app.deliver_while("the digest", async || test_app.app.status(test_app.slot()).await.expect("a status").digest.finished_at.is_some()).await;
        for _ in 0..2 {
            test_app.app.tick().await.expect("a tick");
            test_app.app.mail_users().await.expect("mailed");
        }
        for role in [Role::Owner, Role::Analyst] {
            let (subject, text) = mails_to(&sink, role).pop().expect("a mail");
            assert!(subject.ends_with("The digest went out"), "{subject}");
            assert!(text.contains("2026-W48 went out. 3 readers: 3 sent."), "{text}");
        }
        assert_eq!((mails_to(&sink, Role::Owner).len(), mails_to(&sink, Role::Analyst).len()), (3, 1), "once each");
        let list = owner.page("/desk/notices").await;
        let places = ["The digest went out", "Not approved yet", "The draft is ready"].map(|words| list.find(words).expect("in the list"));
        assert!(places.is_sorted(), "newest first: {list}");
        assert!(list.contains("mail.reply_to is not set"));
        let of_analyst = analyst.page("/desk/notices").await;
        assert!(of_analyst.contains("The digest went out") && !of_analyst.contains("Not approved yet"), "{of_analyst}");
    }

    async fn a_skipped_week_is_told_with_its_reason(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::stocked(test_db, &sink, desk).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        owner.press("/desk/draft", &[]).await;
        owner.press("/desk/digests/2026-W48/skip", &[("said", "We are at the fair."), ("reason", "We are at the fair.")]).await;
        test_app.app.tick().await.expect("a tick");
        test_app.app.mail_users().await.expect("mailed");
        let (subject, text) = mails_to(&sink, Role::Owner).pop().expect("a mail");
        assert!(subject.ends_with("No digest this week") && text.contains("We are at the fair."), "{subject}: {text}");
    }

    async fn of_one_kind_comes_one_mail_an_hour_and_it_tells_all_that_happened(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::stocked(test_db, &sink, desk).await;
        let _owner = Browser::of(&test_app, Role::Owner).await;
        assert!(notify(&test_app, UserNoticeKind::BouncesHeld, "one").await);
        assert!(!notify(&test_app, UserNoticeKind::BouncesHeld, "one").await, "once for ever");
        test_app.app.mail_users().await.expect("mailed");
        for subject in ["two", "three"] {
            notify(&test_app, UserNoticeKind::BouncesHeld, subject).await;
        }
        test_app.app.mail_users().await.expect("mailed");
        assert_eq!(mails_to(&sink, Role::Owner).len(), 1);
        notify(&test_app, UserNoticeKind::Sent, "other").await;
        test_app.app.mail_users().await.expect("mailed");
        assert_eq!(mails_to(&sink, Role::Owner).len(), 2, "another kind does not wait");
        test_app.wait(TimeDelta::minutes(61));
        test_app.app.mail_users().await.expect("mailed");
        let told = mails_to(&sink, Role::Owner);
        let text = &told[2].1;
        assert!(told.len() == 3 && text.contains("News of two.") && text.contains("News of three.") && !text.contains("News of one."), "{told:?}");
    }

    async fn each_user_switches_off_what_they_do_not_want(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::stocked(test_db, &sink, desk).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        let _editor = Browser::of(&test_app, Role::Editor).await;
        let page = owner.press("/desk/account/mails", &[("mail", "sent"), ("mail", "skipped")]).await;
        assert!(page.contains("Your mails are chosen."));
        assert_eq!(page.matches(" checked").count(), 2, "{page}");
        // What was queued before does not come either.
        notify(&test_app, UserNoticeKind::BouncesHeld, "one").await;
        notify(&test_app, UserNoticeKind::Sent, "week").await;
        owner.press("/desk/account/mails", &[]).await;
        test_app.app.mail_users().await.expect("mailed");
        assert!(mails_to(&sink, Role::Owner).is_empty());
        assert_eq!(mails_to(&sink, Role::Editor).len(), 2);
        assert!(owner.page("/desk/notices").await.contains("News of one."), "the list shows all");
        let program = Program::set_up(&test_app.test_db);
        let said = program.run(&["--json", "users", "mails", "owner@desk.example", "--on", "sent"]).good().json();
        assert_eq!((&said["mails"]["sent"], &said["mails"]["skipped"]), (&true.into(), &false.into()), "{said}");
        let said = program.run(&["--json", "users", "notices"]).good().json();
        assert_eq!(said["notices"].as_array().expect("a list").len(), 2);
        assert_eq!(said["mails"].as_array().expect("a list").len(), 3, "{said}");
        assert!(program.run(&["users", "mails", "owner@desk.example", "--off", "rain"]).code == 2);
    }

    async fn a_mail_that_may_have_arrived_is_named_and_not_sent_again(test_db) {
        let script = Script::accept_all().after_body("owner", crate::support::Behaviour::close());
        let sink = SmtpSink::start(script).await;
        let test_app = TestApp::stocked(test_db, &sink, desk).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        notify(&test_app, UserNoticeKind::Sent, "one").await;
        test_app.app.mail_users().await.expect("tried");
        assert_eq!(states(&test_app).await, [UserMailState::Uncertain]);
        // A process that dies while a relay has it.
        test_app.wait(TimeDelta::hours(2));
        notify(&test_app, UserNoticeKind::Sent, "two").await;
        let (storage, now) = (&test_app.app.storage, test_app.app.now());
        let due = storage.due_user_mails(now).await.expect("due");
        let begun = storage.begin_user_mail(&due[0], TimeDelta::minutes(35), now).await.expect("begun");
        assert_eq!(begun.expect("ours").len(), 1);
        assert!(storage.begin_user_mail(&due[0], TimeDelta::minutes(35), now).await.expect("asked").is_none(), "nobody else begins it");
        let before = sink.mails();
        test_app.app.mail_users().await.expect("nothing to do");
        test_app.wait(TimeDelta::minutes(36));
        test_app.app.mail_users().await.expect("named");
        assert_eq!(states(&test_app).await, [UserMailState::Uncertain; 2]);
        assert_eq!(sink.mails(), before);
        let list = owner.page("/desk/notices").await;
        assert_eq!(list.matches(">uncertain<").count(), 2, "{list}");
    }

    async fn a_mail_that_a_relay_puts_off_comes_later(test_db) {
        let script = Script::accept_all().reply_to("owner", crate::support::Behaviour::reply("451 4.3.0 later").times(1));
        let sink = SmtpSink::start(script).await;
        let test_app = TestApp::stocked(test_db, &sink, desk).await;
        let _owner = Browser::of(&test_app, Role::Owner).await;
        notify(&test_app, UserNoticeKind::Sent, "one").await;
        test_app.app.mail_users().await.expect("tried");
        assert_eq!(states(&test_app).await, [UserMailState::Queued]);
        test_app.wait(TimeDelta::minutes(20));
        test_app.app.mail_users().await.expect("mailed");
        assert_eq!((states(&test_app).await, mails_to(&sink, Role::Owner).len()), (vec![UserMailState::Sent], 1));
    }

    async fn a_breaker_is_told_once_as_long_as_it_lasts(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::stocked(test_db, &sink, desk).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        let paused = async || {
            let wait = Wait { relay: Some("first".into()), ..Wait::new(WaitReason::RelayPaused) };
            let deliverer = Deliverer { process: "p".into(), waits: vec![wait], relays: "[]".into(), ahead: None };
            test_app.app.storage.note_deliverer(&deliverer, test_app.app.now()).await.expect("noted");
            test_app.app.tick().await.expect("a tick");
        };
        let told = async || owner.page("/desk/notices").await.matches("Sending over first is paused").count();
        for _ in 0..4 {
            paused().await;
            test_app.wait(TimeDelta::minutes(10));
        }
        assert_eq!(told().await, 1);
        test_app.wait(TimeDelta::minutes(30));
        paused().await;
        assert_eq!(told().await, 2, "it was over, and is open again");
    }
}
