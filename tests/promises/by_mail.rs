//! Joining by mail alone: in by LMTP, out by SMTP.

use std::net::SocketAddr;

use chrono::TimeDelta;
use verdicts::config::Settings;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::storage::inbound::InboundResult;

use crate::inbound::header;
use crate::inbound::lmtp::hand_over_from;
use crate::inbound::report;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;

const ADA: &str = "ada@reader.example";
/// Where people write to who want to join.
const PLACE: &str = "hello@verdicts.example";

fn by_mail(settings: &mut Settings) {
    settings.mail.return_path = Some("bounces+{verp}@verdicts.example".into());
    settings.mail.from = "News <news@verdicts.example>".into();
    settings.inbound.subscribe_address = Some(PLACE.into());
}

async fn test_app(test_db: TestDb) -> TestApp {
    TestApp::open_with(test_db, by_mail).await
}

/// Opens the door for the mail server.
pub async fn open_door(test_app: &TestApp) -> SocketAddr {
    let door = verdicts::inbox::OpenListener::open("127.0.0.1:0", 0o660)
        .await
        .expect("a door");
    let address = door.address().expect("a port");
    tokio::spawn(verdicts::inbox::serve(
        test_app.app.clone(),
        door,
        test_app.stop.clone(),
    ));
    address
}

fn mail(from: &str, to: &str, more: &str, text: &str) -> String {
    format!(
        "Return-Path: <{from}>\nFrom: {from}\nTo: {to}\nDate: Tue, 24 Nov 2026 09:00:00 +0000\n{more}\n\n{text}\n"
    )
}

async fn take(test_app: &TestApp, mail: &str) -> InboundResult {
    test_app
        .app
        .take_inbound(
            mail.as_bytes(),
            verdicts::domain::inbound_channel::InboundChannel::Command,
        )
        .await
        .expect("taken")
        .1
}

/// Where an answer to the newest mail to somebody goes.
fn reply_to(test_app: &TestApp, email: &str) -> String {
    let mail = test_app.mails_to(email).pop().expect("a mail");
    header(&mail, "Reply-To")
        .trim_matches(['<', '>'])
        .to_owned()
}

/// The text of the newest mail to somebody, quoted as answers quote it.
fn quoted(test_app: &TestApp, email: &str) -> String {
    let mail = test_app.mails_to(email).pop().expect("a mail");
    let mail = mail_parser::MessageParser::default()
        .parse(&mail)
        .expect("a mail");
    let text = mail.body_text(0).expect("a text").into_owned();
    text.lines().map(|line| format!("> {line}\n")).collect()
}

on_both! {
    async fn a_mail_to_the_subscribe_address_is_answered_as_the_form_is_and_an_answer_with_yes_confirms(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let url = sink.url();
        let test_app = TestApp::open_with(test_db, |settings| { by_mail(settings); settings.mail.transport = url.into(); }).await;
        let door = open_door(&test_app).await;
        assert_eq!(hand_over_from(door, ADA, PLACE, &mail(ADA, PLACE, "Subject: Hi", "I read about you.")).await, "250");
        test_app.sign_up("bob@reader.example").await;
        test_app.deliver_while("both confirmation mails", async || sink.mails() == 2).await;
        let [by_mail, by_form] = [ADA, "bob@reader.example"].map(|email| sink.received_by(email).pop().expect("a mail").data);
        assert_eq!(header(&by_mail, "Subject"), header(&by_form, "Subject"));
        let record = test_app.record_of(ADA).await;
        assert!(record.contains(r#"source: "mail""#) && record.contains("with the subject: Hi"), "{record}");
        let to = header(&by_mail, "Reply-To").trim_matches(['<', '>']).to_owned();
        let yes = mail(ADA, &to, "Subject: Re: Please confirm\nIn-Reply-To: <x@y.example>", "Yes!\n\nAda\n\n> Please confirm that it was you:\n");
        assert_eq!(test_app.state_of(ADA).await, Some(SubscriberState::Pending));
        for _ in 0..2 {
            assert_eq!(hand_over_from(door, ADA, &to, &yes).await, "250");
            assert_eq!(test_app.state_of(ADA).await, Some(SubscriberState::Active));
        }
        assert_eq!(test_app.state_of("bob@reader.example").await, Some(SubscriberState::Pending));
        test_app.stop.cancel();
    }

    async fn the_subject_subscribe_does_the_same_at_any_of_our_addresses(test_db) {
        let test_app = test_app(test_db).await;
        assert_eq!(take(&test_app, &mail(ADA, "news@verdicts.example", "Subject: Subscribe", "")).await, InboundResult::Asked);
        test_app.deliver_confirmations().await;
        // The link in the mail, quoted by who says yes, is as good as the address that it was answered to.
        let yes = mail("ada@work.example", "news@verdicts.example", "Subject: Re: confirm", &format!("yes, please\n\nOn Tuesday you wrote:\n{}", quoted(&test_app, ADA)));
        assert_eq!(take(&test_app, &yes).await, InboundResult::Confirmed);
        assert_eq!(test_app.state_of(ADA).await, Some(SubscriberState::Active));
        assert_eq!(test_app.state_of("ada@work.example").await, None);
    }

    async fn who_asks_twice_or_is_known_or_suppressed_gets_no_more_mail_than_by_the_form(test_db) {
        let test_app = test_app(test_db).await;
        test_app.enlist_all("email,state\nin@reader.example,active\ngone@reader.example,complained\n").await;
        let asks = |who: &str, id: u32| mail(who, PLACE, &format!("Subject: subscribe\nMessage-ID: <{id}@reader.example>"), "");
        for round in 0..3 {
            for who in [ADA, "in@reader.example", "gone@reader.example"] {
                assert_eq!(take(&test_app, &asks(who, round)).await, InboundResult::Asked, "{who}");
            }
        }
        // The same mail once more, a day later.
        test_app.wait(TimeDelta::days(1));
        assert_eq!(take(&test_app, &asks(ADA, 0)).await, InboundResult::Before);
        test_app.deliver_confirmations().await;
        let mails = [ADA, "in@reader.example", "gone@reader.example"].map(|who| test_app.mails_to(who).len());
        assert_eq!(mails, [1, 1, 0]);
    }

    async fn nothing_is_answered_to_a_machine_a_list_nobody_or_ourselves(test_db) {
        let test_app = test_app(test_db).await;
        test_app.seed_subscribers("reader", 1).await;
        test_app.stock_small().await;
        test_app.send_digest().await;
        let before = test_app.known_people().await;
        let own = test_app.mails_to("reader0@example.org").pop().map(|mail| header(&mail, "List-Unsubscribe")).expect("a digest");
        let (_, own) = own.split_once("<mailto:").expect("an address");
        let own = own.split('?').next().expect("an address");
        for from in ["mailer-daemon@reader.example", "no-reply@reader.example", "news@verdicts.example", PLACE, own, "not an address", ""] {
            assert_eq!(take(&test_app, &mail(from, PLACE, "Subject: subscribe", "")).await, InboundResult::Kept, "{from}");
        }
        for field in [
            "Auto-Submitted: auto-replied", "Auto-Submitted: auto-generated", "Precedence: bulk", "Precedence: list", "Precedence: junk", "List-Id: <a.b.example>",
            "List-Unsubscribe: <https://a.example>", "X-Auto-Response-Suppress: All", "X-Autoreply: yes", "Return-Path: <>",
        ] {
            assert_eq!(take(&test_app, &mail(ADA, PLACE, &format!("{field}\nSubject: subscribe"), field)).await, InboundResult::Kept, "{field}");
        }
        assert_eq!((test_app.known_people().await, test_app.waiting_confirmations().await), (before, 0));
    }

    async fn a_machine_that_answers_and_a_person_who_does_not_say_yes_confirm_nothing(test_db) {
        let test_app = test_app(test_db).await;
        take(&test_app, &mail(ADA, PLACE, "Subject: subscribe", "")).await;
        test_app.deliver_confirmations().await;
        let (to, quoted) = (reply_to(&test_app, ADA), quoted(&test_app, ADA));
        let newest = test_app.mails_to(ADA).pop().expect("a mail");
        let message_id = header(&newest, "Message-ID");
        let answer = |more: &str, text: &str| mail(ADA, &to, more, &format!("{text}\n\n{quoted}"));
        let refused = [
            report(&to, ADA, &format!("550 5.7.1 rejected\n\nyes\n\n{quoted}")),
            answer("Subject: Re: Please confirm\nAuto-Submitted: auto-replied", "yes"),
            answer("Subject: Automatic reply: Please confirm", "Yes"),
            answer("Subject: Re: Please confirm\nPrecedence: bulk", "Yes"),
            answer("Subject: Re: Please confirm", "Who are you? I never asked for this.\nyes"),
            answer("Subject: Re: Please confirm", "No."),
            answer("Subject: Re: Please confirm", ""),
            answer("Subject: Re: Please confirm", "Yes I am annoyed, and this is the third mail of this kind that I get this week."),
            // Another address than the mail's own proves nothing.
            mail(ADA, &to.replace('+', "+a"), "Subject: Re: Please confirm", "yes"),
        ];
        for mail in refused {
            assert_eq!(take(&test_app, &mail).await, InboundResult::Kept, "{mail}");
            assert_eq!(test_app.state_of(ADA).await, Some(SubscriberState::Pending), "{mail}");
        }
        // The Message-ID is not enough to confirm; whoever gets the mail gets the link again.
        let beside = mail(ADA, "news@verdicts.example", &format!("Subject: Re: Please confirm\nIn-Reply-To: {message_id}"), "yes");
        assert_eq!(take(&test_app, &beside).await, InboundResult::LinkSent);
        assert_eq!(test_app.state_of(ADA).await, Some(SubscriberState::Pending));
        // Too late, it confirms nothing either; in time it would.
        test_app.wait(TimeDelta::hours(73));
        assert_eq!(take(&test_app, &answer("Subject: Re: Please confirm", "Yes, please")).await, InboundResult::Kept);
        assert_eq!(test_app.state_of(ADA).await, Some(SubscriberState::Pending));
    }

    async fn no_robot_confirms_a_sign_up(test_db) {
        let test_app = test_app(test_db).await;
        take(&test_app, &mail(ADA, PLACE, "Subject: subscribe", "")).await;
        test_app.deliver_confirmations().await;
        let (to, quoted) = (reply_to(&test_app, ADA), quoted(&test_app, ADA));
        let asked = header(&test_app.mails_to(ADA).pop().expect("a mail"), "Subject");
        let answers = "In-Reply-To: <x@y.example>";
        let robots = [
            // Autoresponders that do not say what they are.
            (format!("Subject: Re: {asked}\n{answers}"), format!("OK\n\n{quoted}")),
            (format!("Subject: Re: {asked}\n{answers}"), format!("Confirmed.\n\nThank you for your mail.\n\n{quoted}")),
            (format!("Subject: Re: {asked}"), "Yes".into()),
            (format!("Subject: Your mail\n{answers}"), format!("Yes\n\n{quoted}")),
            (format!("Subject: Thank you for your mail\n{answers}"), format!("Yes!\n\nWe got it.\n\n{quoted}")),
            (format!("Subject: {asked}\n{answers}"), format!("Yes\n\n{quoted}")),
            (format!("Subject: Fwd: {asked}\n{answers}"), format!("yes\n\n{quoted}")),
            // Ticket systems.
            (format!("Subject: [#4711] Re: {asked}\n{answers}"), format!("Yes\n\n{quoted}")),
            (format!("Subject: Re: [ACME-4711] {asked}\n{answers}"), format!("Yes\n\n{quoted}")),
            (format!("Subject: Re: {asked}\n{answers}"), format!("Yes\nYour ticket #4711 was opened.\n\n{quoted}")),
            (format!("Subject: Re: {asked}\n{answers}"), format!("Sure\n\nOur team answers within a day.\n\n{quoted}")),
            // Challenges.
            (format!("Subject: Re: {asked}\n{answers}"), format!("Please confirm\nhttps://guests.example/ask?code=12\n\n{quoted}")),
            (format!("Subject: Re: {asked}\n{answers}"), format!("Confirm\n\n{quoted}")),
            (format!("Subject: Re: {asked}\n{answers}"), format!("Yes\nPress https://guests.example/ask to be let in\n\n{quoted}")),
            (format!("Subject: Re: {asked}\n{answers}"), format!("Subscribe\n\n{quoted}")),
            (format!("Subject: Re: {asked}\n{answers}"), format!("Bitte bestätigen\n\n{quoted}")),
        ];
        let buttons = [
            "Confirmer", "Merci de confirmer", "Confirmar", "Por favor confirme", "Conferma", "Bevestigen", "Gelieve te bevestigen",
            "Potwierdź", "Proszę potwierdzić", "確認", "確認してください", "تأكيد", "يرجى التأكيد",
        ];
        let challenges = buttons.map(|button| (format!("Subject: Re: {asked}\n{answers}"), format!("{button}\n\n{quoted}")));
        for (more, text) in robots.into_iter().chain(challenges) {
            let robot = mail(ADA, &to, &more, &text);
            take(&test_app, &robot).await;
            assert_eq!(test_app.state_of(ADA).await, Some(SubscriberState::Pending), "{robot}");
        }
        let person = mail(ADA, &to, &format!("Subject: AW: {asked}\n{answers}"), &format!("Ja, gerne!\n\nViele Grüße\nAda\n\nAm Dienstag schrieb Ship or Skip:\n{quoted}"));
        assert_eq!(take(&test_app, &person).await, InboundResult::Confirmed);
    }

    async fn who_answers_that_they_want_to_leave_is_not_asked_again(test_db) {
        let test_app = test_app(test_db).await;
        take(&test_app, &mail(ADA, PLACE, "Subject: subscribe", "")).await;
        test_app.deliver_confirmations().await;
        let to = reply_to(&test_app, ADA);
        assert_eq!(take(&test_app, &mail(ADA, &to, "Subject: Re: Please confirm", "unsubscribe")).await, InboundResult::Ended);
        assert_eq!(take(&test_app, &mail(ADA, &to, "Subject: Re: Please confirm", "yes")).await, InboundResult::Kept);
        assert_eq!(test_app.state_of(ADA).await, Some(SubscriberState::Unsubscribed));
    }

    async fn a_flood_of_forged_mails_asks_no_more_people_than_an_hour_allows(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| {
            by_mail(settings);
            (settings.inbound.sign_ups_per_hour, settings.inbound.sign_ups_per_domain) = (5, 3);
        }).await;
        for round in 1..=2 {
            for domain in ["a.example", "b.example"] {
                for n in 0..6 {
                    take(&test_app, &mail(&format!("victim{round}{n}@{domain}"), PLACE, "Subject: subscribe", "")).await;
                }
            }
            assert_eq!(test_app.known_people().await, 5 * round);
            test_app.wait(TimeDelta::hours(1));
        }
    }
}
