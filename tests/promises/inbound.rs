//! What comes back: read as the table beside the corpus says, and acted on only with proof, once.

mod corpus;
pub mod lmtp;

use chrono::TimeDelta;
use verdicts::config::Settings;
use verdicts::domain::actor::Actor;
use verdicts::domain::inbound::Classification;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::domain::token::Secrets;
use verdicts::domain::verp::ReturnPath;
use verdicts::storage::inbound::InboundResult;

use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue;
use crate::support::on_both;

pub const READER: &str = "reader0@example.org";

/// A service with a reader who has got this week's digest by way of a return path of their own.
pub async fn app_with_a_reader(test_db: TestDb) -> TestApp {
    app_with_a_reader_and(test_db, |_| {}).await
}

/// The same, with more settings.
pub async fn app_with_a_reader_and(test_db: TestDb, adapt: impl FnOnce(&mut Settings)) -> TestApp {
    let test_app = TestApp::open_with(test_db, |settings| {
        settings.mail.return_path = Some("bounces+{verp}@verdicts.example".into());
        adapt(settings);
    })
    .await;
    test_app.stock_small().await;
    test_app.seed_subscribers("reader", 2).await;
    test_app.send_digest().await;
    test_app
}

/// Sends the next week's digest.
pub async fn a_week_later(test_app: &TestApp, week: usize) {
    test_app.wait(TimeDelta::days(7));
    test_app
        .seed_catalogue(&catalogue::comparison(
            &format!("week-{week}"),
            "Design",
            test_app.app.now() - TimeDelta::hours(1),
        ))
        .await;
    test_app.send_digest().await;
}

pub fn header(mail: &[u8], name: &str) -> String {
    let mail = mail_parser::MessageParser::default()
        .parse(mail)
        .expect("a mail");
    mail.header_raw(name)
        .unwrap_or_else(|| panic!("no {name}"))
        .replace("\r\n", "")
        .trim()
        .to_owned()
}

fn newest_to(test_app: &TestApp, reader: &str) -> Vec<u8> {
    test_app.mails_to(reader).pop().expect("a digest")
}

/// The return path of the newest digest to somebody, from its Message-ID, which names the same delivery.
pub fn return_path(test_app: &TestApp, reader: &str) -> String {
    let secrets = Secrets::new(&test_app.app.settings.site.secret).expect("a secret");
    let id = header(&newest_digest(test_app, reader), "Message-ID");
    let (id, _) = id.trim_start_matches('<').split_once('@').expect("an id");
    let path = ReturnPath::new(
        test_app
            .app
            .settings
            .mail
            .return_path
            .as_deref()
            .expect("a return path"),
    )
    .expect("a mark");
    path.with(&secrets.sign_delivery(secrets.named_delivery(id).expect("a delivery")))
        .into_owned()
}

/// The address that the List-Unsubscribe of the newest digest to somebody says to write to.
pub fn leaving_address(test_app: &TestApp, reader: &str) -> String {
    let header = header(&newest_digest(test_app, reader), "List-Unsubscribe");
    let (_, rest) = header
        .split_once("<mailto:")
        .expect("an address to write to");
    rest.split(['?', '>'])
        .next()
        .expect("an address")
        .to_owned()
}

fn newest_digest(test_app: &TestApp, reader: &str) -> Vec<u8> {
    // A confirmation's number is higher than any digest's, and it has no such header.
    let is_digest = |mail: &Vec<u8>| {
        mail_parser::MessageParser::default()
            .parse(mail)
            .expect("a mail")
            .header_raw("List-Unsubscribe")
            .is_some()
    };
    test_app
        .mails_to(reader)
        .into_iter()
        .rfind(is_digest)
        .expect("a digest")
}

pub fn report(to: &str, reader: &str, said: &str) -> String {
    format!(
        "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.org\nTo: {to}\nSubject: Undelivered Mail\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: text/plain\n\nIt failed.\n\n\
         --b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.org\n\nFinal-Recipient: rfc822; {reader}\n\
         Action: failed\nDiagnostic-Code: smtp; {said}\n\n--b--\n"
    )
}

pub async fn take(test_app: &TestApp, mail: &str) -> InboundResult {
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

/// Asks for another address, as far as the mail to it.
async fn ask_to_move(test_app: &TestApp, from: &str, to: &str) {
    let preferences = crate::journey::link(&newest_to(test_app, from), "/preferences/");
    test_app.post(&format!("{preferences}/link")).await;
    test_app.deliver_confirmations().await;
    let account = crate::journey::link(&newest_to(test_app, from), "/account/");
    test_app
        .post_form(&format!("{account}/address"), &[("email", to)])
        .await;
    test_app.deliver_confirmations().await;
}

pub async fn move_to(test_app: &TestApp, from: &str, to: &str) {
    ask_to_move(test_app, from, to).await;
    test_app
        .post(&crate::journey::link(&newest_to(test_app, to), "/move/"))
        .await;
    assert_eq!(test_app.state_of(to).await, Some(SubscriberState::Active));
}

on_both! {
    async fn a_hard_bounce_ends_a_subscription_once(test_db) {
        let test_app = app_with_a_reader(test_db).await;
        let mail = report(&return_path(&test_app, READER), READER, "550 5.1.1 no such user");
        assert_eq!(take(&test_app, &mail).await, InboundResult::Ended);
        let record = test_app.record_of(READER).await;
        assert!(record.contains("state: Bounced") && record.contains("550 5.1.1 no such user"), "{record}");
        assert_eq!(test_app.state_of("reader1@example.org").await, Some(SubscriberState::Active));
        test_app.wait(TimeDelta::minutes(1));
        let again = format!("Received: by another.example\nDelivered-To: list@example.org\n{mail}");
        assert_eq!((take(&test_app, &mail).await, take(&test_app, &again).await), (InboundResult::Before, InboundResult::Before));
        assert_eq!(test_app.record_of(READER).await, record);
        let back = test_app.app.storage.is_suppressed(&[]).await.expect("an answer");
        assert!(!back);
        test_app.sign_up(READER).await;
        assert_eq!(test_app.waiting_confirmations().await, 0, "on the suppression list");
    }

    async fn a_new_address_that_does_not_exist_ends_nobodys_subscription(test_db) {
        let test_app = app_with_a_reader(test_db).await;
        ask_to_move(&test_app, READER, "mistyped@example.org").await;
        let returned = |mail: &[u8], reader| {
            let id = header(mail, "Message-ID");
            let end = format!("--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: {id}\n\n--b--\n");
            report("bounces@verdicts.example", reader, "550 5.1.1 no such user").replace("--b--\n", &end)
        };
        let asked = newest_to(&test_app, "mistyped@example.org");
        assert_eq!(take(&test_app, &returned(&asked, "mistyped@example.org")).await, InboundResult::Kept);
        assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Active));
        let digest = test_app.mails_to("reader1@example.org").pop().expect("a digest");
        assert_eq!(take(&test_app, &returned(&digest, "reader1@example.org")).await, InboundResult::Ended, "a report of this form is heard");
    }

    async fn what_comes_back_late_from_an_address_that_somebody_left_ends_nothing(test_db) {
        let test_app = app_with_a_reader(test_db).await;
        let full = |path: &str, to: &str| report(path, to, "552 5.2.2 mailbox full");
        let mut old = vec![return_path(&test_app, READER)];
        let leaving = leaving_address(&test_app, READER);
        for week in 0..4 {
            a_week_later(&test_app, week).await;
            old.push(return_path(&test_app, READER));
        }
        for path in &old[..4] {
            assert_eq!(take(&test_app, &full(path, READER)).await, InboundResult::Kept);
        }
        move_to(&test_app, READER, "ada@new.example").await;
        test_app.wait(TimeDelta::hours(2));
        assert_eq!(take(&test_app, &report(&old[4], READER, "550 5.1.1 no such user")).await, InboundResult::Kept, "the old one is gone");
        assert_eq!(take(&test_app, &full(&old[4], READER)).await, InboundResult::Kept);
        a_week_later(&test_app, 4).await;
        assert_eq!(take(&test_app, &full(&return_path(&test_app, "ada@new.example"), "ada@new.example")).await, InboundResult::Kept, "the first of the new one");
        assert_eq!(test_app.state_of("ada@new.example").await, Some(SubscriberState::Active));
        let leave = format!("From: x@else.example\nTo: <{leaving}>\nSubject: unsubscribe\n\n");
        assert_eq!(take(&test_app, &leave).await, InboundResult::Ended, "whoever wishes to leave may, by any mail that they got");
    }

    async fn a_new_address_that_ceases_to_exist_ends_the_subscription(test_db) {
        let test_app = app_with_a_reader(test_db).await;
        move_to(&test_app, READER, "ada@new.example").await;
        a_week_later(&test_app, 0).await;
        let mail = report(&return_path(&test_app, "ada@new.example"), "ada@new.example", "550 5.1.1 no such user");
        assert_eq!(take(&test_app, &mail).await, InboundResult::Ended);
    }

    async fn a_forged_report_changes_nobody(test_db) {
        let test_app = app_with_a_reader(test_db).await;
        let path = return_path(&test_app, READER);
        let (head, tail) = path.split_at(12);
        let forged = format!("{head}{}{}", if tail.starts_with('a') { 'b' } else { 'a' }, &tail[1..]);
        let before = test_app.record_of(READER).await;
        for to in ["bounces@verdicts.example", &forged, READER] {
            assert_eq!(take(&test_app, &report(to, READER, "550 5.1.1 no such user")).await, InboundResult::Kept, "{to}");
        }
        let id = "In-Reply-To: <202648.4711@verdicts.example>\n";
        assert_eq!(take(&test_app, &format!("{id}{}", report("x@verdicts.example", READER, "550 5.1.1 none"))).await, InboundResult::Kept);
        assert_eq!(test_app.record_of(READER).await, before);
    }

    async fn a_report_that_matched_nothing_is_looked_at_again_with_another_return_path_or_secret(test_db) {
        let test_app = app_with_a_reader(test_db).await;
        // As a pipe does that was not given the settings of the service.
        let pipe = TestApp::open_with(test_app.test_db.again(), |settings| settings.mail.return_path = None).await;
        let mail = report(&return_path(&test_app, READER), READER, "550 5.1.1 no such user");
        assert_eq!((take(&pipe, &mail).await, take(&pipe, &mail).await), (InboundResult::Kept, InboundResult::Before));
        assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Active));
        test_app.app.tick().await.expect("a tick");
        assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Bounced), "the service looks at it with its own settings");
        assert_eq!((take(&test_app, &mail).await, test_app.app.match_again(100).await.expect("a look")), (InboundResult::Before, 0));

        let newer = TestApp::open_with(test_app.test_db.again(), |settings| {
            settings.mail.return_path = Some("bounces+{verp}@verdicts.example".into());
            settings.site.secret.insert(0, "the secret that signs from now on".into());
        })
        .await;
        newer.set_clock("2026-12-01T09:00:00Z");
        newer.seed_catalogue(&catalogue::comparison("later", "Design", newer.app.now() - TimeDelta::hours(1))).await;
        newer.send_digest().await;
        let mail = report(&return_path(&newer, "reader1@example.org"), "reader1@example.org", "550 5.1.1 no such user");
        assert_eq!(take(&test_app, &mail).await, InboundResult::Kept, "signed with a secret that this process does not know");
        assert_eq!(take(&newer, &mail).await, InboundResult::Ended, "handed over again");
        let unmatched = format!("{} a", report("bounces@verdicts.example", READER, "550 5.1.1 no such user"));
        take(&newer, &unmatched).await;
        let doctor = newer.app.examine().await;
        assert!(doctor.iter().any(|finding| finding.what == "inbound" && finding.words.contains("match no mail")), "{doctor:?}");
        newer.wait(TimeDelta::days(31));
        newer.app.tick().await.expect("a tick");
        assert_eq!(newer.app.storage.count_unmatched().await.expect("a count"), 0, "and then forgotten");
    }

    async fn what_matched_nothing_goes_with_the_reader_that_it_names(test_db) {
        let test_app = app_with_a_reader(test_db).await;
        take(&test_app, &report("bounces@verdicts.example", READER, "550 5.1.1 no such user")).await;
        assert_eq!(test_app.app.storage.count_unmatched().await.expect("a count"), 1);
        Program::in_place(&test_app.test_db).with("VERDICTS_SITE__SECRET", "a secret for tests only").run(&["subscribers", "erase", READER]).good();
        assert_eq!(test_app.app.storage.count_unmatched().await.expect("a count"), 0);
    }

    async fn the_message_id_of_the_mail_that_came_back_is_proof_too(test_db) {
        let test_app = app_with_a_reader(test_db).await;
        let id = header(&newest_to(&test_app, READER), "Message-ID");
        let mail = report("bounces@verdicts.example", READER, "550 5.1.1 no such user");
        let mail = mail.replace("\n--b--", &format!("\n--b\nContent-Type: text/rfc822-headers\n\nFrom: news@verdicts.example\nMessage-ID: {id}\n\n--b--"));
        assert_eq!(take(&test_app, &mail).await, InboundResult::Ended);
        assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Bounced));
    }

    async fn nobody_leaves_for_somebody_elses_fault(test_db) {
        let test_app = app_with_a_reader(test_db).await;
        let path = return_path(&test_app, READER);
        for said in ["552 5.2.2 mailbox full", "550 5.7.1 spam", "550 5.2.1 receiving mail at a rate that", "554 5.7.1 relaying denied", "550 no"] {
            assert_eq!(take(&test_app, &report(&path, READER, said)).await, InboundResult::Kept, "{said}");
        }
        assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Active));
    }

    async fn five_digests_in_a_row_that_come_back_end_a_subscription_and_one_that_arrives_begins_anew(test_db) {
        let test_app = app_with_a_reader(test_db).await;
        let full = |path: &str| report(path, READER, "552 5.2.2 mailbox full");
        for week in 0..8 {
            assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Active), "week {week}");
            let path = return_path(&test_app, READER);
            // In the third week the mail arrived.
            if week != 2 {
                let taken = take(&test_app, &full(&path)).await;
                let again = take(&test_app, &full(&path).replace("Subject: ", "Subject: again: ")).await;
                assert_eq!((taken, again), if week == 7 { (InboundResult::Ended, InboundResult::Kept) } else { (InboundResult::Kept, InboundResult::Kept) }, "week {week}");
            }
            if week < 7 {
                a_week_later(&test_app, week).await;
            }
        }
        assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Bounced));
    }

    async fn a_complaint_ends_it_at_once_though_the_address_is_blanked_out(test_db) {
        let test_app = app_with_a_reader(test_db).await;
        let link = test_app.goodbye_link(READER);
        let mail = format!(
            "From: fbl@provider.example\nTo: fbl@verdicts.example\nSubject: FW\nMIME-Version: 1.0\n\
             Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\nContent-Type: message/feedback-report\n\n\
             Feedback-Type: abuse\nUser-Agent: X/1\nVersion: 1\n\n--b\nContent-Type: message/rfc822\n\nTo: redacted@redacted.example\n\
             From: news@verdicts.example\nList-Unsubscribe: <{link}>\n\nhello\n--b--\n"
        );
        let (returned, taken) = test_app.app.take_inbound(mail.as_bytes(), verdicts::domain::inbound_channel::InboundChannel::Command).await.expect("taken");
        assert_eq!(returned.lines().collect::<Vec<_>>(), [(READER, Classification::Complaint)]);
        assert_eq!((taken, test_app.state_of(READER).await), (InboundResult::Ended, Some(SubscriberState::Complained)));
    }

    async fn a_mail_to_the_address_of_list_unsubscribe_unsubscribes(test_db) {
        let test_app = app_with_a_reader(test_db).await;
        let path = leaving_address(&test_app, READER);
        let mail = format!("From: somebody@else.example\nTo: <{path}>\nSubject: unsubscribe\n\n");
        assert_eq!(take(&test_app, &mail).await, InboundResult::Ended);
        assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Unsubscribed));
        let away = format!("From: {READER}\nTo: <{}>\nSubject: Automatic reply\nAuto-Submitted: auto-replied\n\nAway.\n", return_path(&test_app, "reader1@example.org"));
        assert_eq!(take(&test_app, &away).await, InboundResult::Kept);
        assert_eq!(test_app.state_of("reader1@example.org").await, Some(SubscriberState::Active));
    }

    async fn a_suppression_is_lifted_with_a_note_and_a_sign_up_brings_them_back(test_db) {
        let test_app = app_with_a_reader(test_db).await;
        take(&test_app, &report(&return_path(&test_app, READER), READER, "550 5.1.1 no such user")).await;
        let reader = READER.parse().expect("an address");
        assert_eq!(test_app.app.lift_suppression(&Actor::cli(), &reader, "their server was broken").await.expect("lifted"), "bounced");
        assert!(test_app.record_of(READER).await.contains("their server was broken"));
        assert!(test_app.app.lift_suppression(&Actor::cli(), &reader, "again").await.is_err());
        test_app.join(READER).await;
        assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Active));
    }
}

#[test]
fn the_command_acts_with_apply_only() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db).with(
        "VERDICTS_MAIL__RETURN_PATH",
        "bounces+{verp}@verdicts.example",
    );
    program.write("list.csv", "email\nada@example.org\n");
    program
        .run(&[
            "subscribers",
            "import",
            "list.csv",
            "--consent",
            "x",
            "--confirmed",
        ])
        .good();
    let taken = |arguments: &[&str]| {
        let mail = report(
            "bounces@verdicts.example",
            "ada@example.org",
            "550 5.1.1 none",
        );
        program
            .run_with_input(
                &[&["--json", "inbound"], arguments].concat(),
                mail.as_bytes(),
            )
            .good()
            .json()["mails"][0]["applied"]
            .clone()
    };
    assert_eq!(taken(&[]), serde_json::Value::Null);
    assert_eq!(
        [taken(&["--apply"]), taken(&["--apply"])],
        ["kept", "known"]
    );
    program
        .run(&["subscribers", "lift", "ada@example.org", "--note", "x"])
        .refused(&["ada@example.org", "nothing was changed"]);
}
