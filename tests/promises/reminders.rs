//! One reminder to a sign-up that nobody confirmed: once ever, and never to who does not want mail.

use chrono::TimeDelta;
use verdicts::domain::actor::Actor;
use verdicts::domain::address::EmailAddress;
use verdicts::domain::history::UnsubscribedBy;
use verdicts::domain::subscriber::SubscriberState;

use crate::journey::link;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::on_both;

/// Lets time pass and the clock's door and the sender do what is due.
async fn pass(test_app: &TestApp, hours: i64) {
    test_app.wait(TimeDelta::hours(hours));
    test_app.app.tick().await.expect("a tick");
}

/// Sends all that is due.
async fn deliver_all(test_app: &TestApp) {
    let storage = &test_app.app.storage;
    let is_done = async || {
        storage
            .due_mail(test_app.app.now())
            .await
            .expect("due")
            .is_empty()
    };
    test_app.deliver_while("all mail", is_done).await;
}

/// Number of mails that ask to confirm.
fn asked(mails: &[Vec<u8>]) -> usize {
    let asks = |mail: &&Vec<u8>| {
        let parsed = mail_parser::MessageParser::default()
            .parse(*mail)
            .expect("a mail");
        parsed
            .body_text(0)
            .is_some_and(|text| text.contains("/confirm/"))
    };
    mails.iter().filter(asks).count()
}

async fn id_of(test_app: &TestApp, email: &str) -> i64 {
    let email = EmailAddress::parse(email).expect("an address");
    let person = test_app
        .app
        .storage
        .person(&email)
        .await
        .expect("an answer");
    person.expect("somebody").subscriber.id
}

on_both! {
    async fn a_sign_up_is_reminded_once_with_a_link_that_works(test_db) {
        let test_app = TestApp::open(test_db).await;
        let mails = || test_app.mails_to("ada@example.org");
        test_app.ask_to_join("ada@example.org").await;
        pass(&test_app, 23).await;
        pass(&test_app, 2).await;
        test_app.deliver_while("the reminder", async || mails().len() == 2).await;
        let reminder = mails().pop().expect("a mail");
        let parsed = mail_parser::MessageParser::default().parse(&reminder).expect("a mail");
        let text = parsed.body_text(0).expect("text").replace("\r\n", " ").replace('\n', " ");
        assert!(parsed.subject() == Some("Please confirm: Weekly AI Tool Verdicts") && text.contains("ignore this"), "{text}");
        let confirm = link(&reminder, "/confirm/");
        // Longer ago than the first mail's link was good, but not the reminder's.
        pass(&test_app, 60).await;
        assert_eq!(test_app.state_of("ada@example.org").await, Some(SubscriberState::Pending));
        test_app.post(&confirm).await;
        assert_eq!(test_app.state_of("ada@example.org").await, Some(SubscriberState::Active));
        // Who left and asks again was reminded once, ever.
        let id = id_of(&test_app, "ada@example.org").await;
        test_app.app.storage.unsubscribe(&Actor::reader(), id, UnsubscribedBy::Link, test_app.app.now()).await.expect("left");
        test_app.ask_to_join("ada@example.org").await;
        pass(&test_app, 30).await;
        deliver_all(&test_app).await;
        assert_eq!(asked(&mails()), 3, "the first mail, its reminder, the second mail");
    }

    async fn a_reminded_sign_up_is_forgotten_once_the_reminders_link_is_over(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.ask_to_join("ada@example.org").await;
        pass(&test_app, 25).await;
        test_app.deliver_while("the reminder", async || test_app.mails_to("ada@example.org").len() == 2).await;
        pass(&test_app, 71).await;
        assert_eq!(test_app.known_people().await, 1);
        pass(&test_app, 2).await;
        assert_eq!((test_app.known_people().await, test_app.mails_to("ada@example.org").len()), (0, 2));
    }

    async fn nobody_is_reminded_who_confirmed_left_bounced_or_is_suppressed(test_db) {
        let script = Script::accept_all().reply_to("bounced", crate::support::Behaviour::reply("550 5.1.1 no such user"));
        let sink = SmtpSink::start(script).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        for name in ["confirmed", "left", "suppressed", "bounced", "waits"] {
            test_app.sign_up(&format!("{name}@example.org")).await;
        }
        test_app.deliver_while("the confirmations", async || sink.mails() == 4 && test_app.waiting_confirmations().await == 0).await;
        let confirmed = sink.received_by("confirmed@example.org").pop().expect("a mail");
        test_app.post(&link(&confirmed.data, "/confirm/")).await;
        let (left, now) = (id_of(&test_app, "left@example.org").await, test_app.app.now());
        test_app.app.storage.unsubscribe(&Actor::reader(), left, UnsubscribedBy::Link, now).await.expect("left");
        let suppressed = EmailAddress::parse("suppressed@example.org").expect("an address");
        test_app.app.erase_subscriber(&Actor::cli(), &suppressed).await.expect("erased");
        pass(&test_app, 25).await;
        test_app.deliver_while("the reminder", async || ["waits@example.org", "confirmed@example.org"].iter().all(|email| sink.received_by(email).len() == 2)).await;
        for name in ["left", "suppressed"] {
            assert_eq!(sink.received_by(&format!("{name}@example.org")).len(), 1, "{name}");
        }
        assert_eq!(sink.received_by("confirmed@example.org").len(), 2, "the welcome");
        let tried = sink.commands().iter().filter(|command| command.contains("bounced@example.org")).count();
        assert_eq!(tried, 1, "who bounced is not written to again");
    }

    async fn a_setting_turns_reminders_off(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| settings.signup.remind_after = std::time::Duration::ZERO).await;
        test_app.ask_to_join("ada@example.org").await;
        pass(&test_app, 70).await;
        deliver_all(&test_app).await;
        assert_eq!(asked(&test_app.mails_to("ada@example.org")), 1);
    }
}
