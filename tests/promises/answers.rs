//! Answers by people: what they say is understood, and nothing else (`tests/answers`).

mod understood;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use verdicts::config::Settings;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::storage::inbound::InboundResult;

use crate::by_mail::open_door;
use crate::inbound::a_week_later;
use crate::inbound::app_with_a_reader_and;
use crate::inbound::header;
use crate::inbound::leaving_address;
use crate::inbound::lmtp::hand_over_from;
use crate::inbound::return_path;
use crate::inbound::take;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use understood::Form;
use understood::forms;

const READER: &str = "reader0@example.org";
const OTHER: &str = "reader1@example.org";

/// A service with two readers who got a digest.
async fn test_app(test_db: TestDb) -> TestApp {
    app_and(test_db, |_| {}).await
}

async fn app_and(test_db: TestDb, adapt: impl FnOnce(&mut Settings)) -> TestApp {
    app_with_a_reader_and(test_db, |settings| {
        settings.mail.from = "News <news@verdicts.example>".into();
        adapt(settings);
    })
    .await
}

fn newest(test_app: &TestApp, reader: &str) -> Vec<u8> {
    test_app.mails_to(reader).pop().expect("a mail")
}

/// An answer to the newest digest of `reader`, by `author`, with its Message-ID as every answer has it.
fn answer(test_app: &TestApp, reader: &str, author: &str, more: &str, words: &str) -> String {
    let digest = newest(test_app, reader);
    let (id, subject) = (header(&digest, "Message-ID"), header(&digest, "Subject"));
    format!(
        "Return-Path: <{author}>\nFrom: {author}\nTo: news@verdicts.example\nSubject: Re: {subject}\nDate: Tue, 24 Nov 2026 09:00:00 +0000\n\
         Message-ID: <{}@client.example>\nIn-Reply-To: {id}\n{more}\n{words}\n\nOn Tue, 24 Nov 2026, News wrote:\n> the digest\n",
        format!("{reader}{author}{more}{words}")
            .bytes()
            .fold(7_u64, |hash, byte| hash
                .wrapping_mul(31)
                .wrapping_add(u64::from(byte)))
    )
}

/// The mails with a link to leave that somebody got beside digests.
async fn links(test_app: &TestApp, reader: &str) -> usize {
    test_app.deliver_confirmations().await;
    let is_link = |mail: &Vec<u8>| {
        ["leave", "Somebody asked"]
            .iter()
            .any(|words| header(mail, "Subject").contains(words))
    };
    test_app
        .mails_to(reader)
        .iter()
        .filter(|mail| is_link(mail))
        .count()
}

on_both! {
    async fn what_is_said_in_an_answer_is_done_by_the_real_door_and_nothing_else(test_db) {
        let forms = forms();
        // A sample of each class; the pure function is tried with all.
        let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
        let sample: Vec<Form> = forms.into_iter().filter(|form| {
            let count = seen.entry((form.said.clone(), form.class.clone())).or_default();
            *count += 1;
            *count <= 2 && form.said != "yes"
        }).collect();
        assert!(sample.len() > 30, "{}", sample.len());
        let test_app = test_app(test_db).await;
        let list: String = (0..sample.len()).map(|n| format!("form{n}@example.org,active\n")).collect();
        test_app.enlist_all(&format!("email,state\n{list}")).await;
        a_week_later(&test_app, 1).await;
        let door = open_door(&test_app).await;
        for (n, form) in sample.iter().enumerate() {
            let reader = format!("form{n}@example.org");
            let id = header(&newest(&test_app, &reader), "Message-ID");
            // The same form, by the reader, in answer to their own digest.
            let raw = String::from_utf8(form.raw.clone()).expect("text").replace('\r', "");
            let (head, body) = raw.split_once("\n\n").expect("a header");
            let from = |line: &str| format!("{}<{reader}>", line.split('<').next().unwrap_or("From: "));
            let head: Vec<String> = head.lines().filter(|line| !line.starts_with("References:") && !line.starts_with("In-Reply-To:")).map(|line| if line.starts_with("From:") { from(line) } else { line.to_owned() }).collect();
            let mail = format!("{}\nIn-Reply-To: {id}\n\n{body}", head.join("\n")).replace("ottoline@saltmarsh.example", &reader);
            let sender = if mail.contains("Return-Path: <>") { "" } else { reader.as_str() };
            assert_eq!(hand_over_from(door, sender, "news@verdicts.example", &mail).await, "250", "{}", form.file);
            let expected = if form.said == "leave" { SubscriberState::Unsubscribed } else { SubscriberState::Active };
            assert_eq!(test_app.state_of(&reader).await, Some(expected), "{}\n{mail}", form.file);
        }
        test_app.stop.cancel();
    }

    async fn an_answer_by_somebody_else_ends_nobody_and_the_reader_gets_the_link(test_db) {
        let test_app = test_app(test_db).await;
        let leave = answer(&test_app, READER, "bob@else.example", "", "Unsubscribe");
        assert_eq!(take(&test_app, &leave).await, InboundResult::LinkSent);
        assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Active));
        assert_eq!((links(&test_app, READER).await, test_app.mails_to("bob@else.example").len()), (1, 0));
        let record = test_app.record_of(READER).await;
        assert!(record.contains("another address answered a mail of theirs") && !record.contains("bob"), "{record}");
        // Once a day, whatever is written; the link does what it says.
        let again = answer(&test_app, READER, "eve@else.example", "", "Please unsubscribe me");
        assert_eq!((take(&test_app, &again).await, links(&test_app, READER).await), (InboundResult::Kept, 1));
        test_app.wait(TimeDelta::hours(25));
        let later = answer(&test_app, READER, "eve@else.example", "", "Take me off this list");
        assert_eq!((take(&test_app, &later).await, links(&test_app, READER).await), (InboundResult::LinkSent, 2));
        test_app.post(&crate::journey::link(&newest(&test_app, READER), "/unsubscribe/")).await;
        assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Unsubscribed));
        let after = answer(&test_app, READER, "eve@else.example", "X: y\n", "Unsubscribe");
        test_app.wait(TimeDelta::hours(25));
        assert_eq!(take(&test_app, &after).await, InboundResult::Kept, "who has left gets nothing");
    }

    async fn a_return_path_alone_ends_nobody_either(test_db) {
        let test_app = test_app(test_db).await;
        let path = return_path(&test_app, READER);
        let mail = format!("Return-Path: <bob@else.example>\nFrom: bob@else.example\nTo: {path}\nSubject: Re: x\nIn-Reply-To: <x@y.example>\n\nunsubscribe\n");
        assert_eq!(take(&test_app, &mail).await, InboundResult::LinkSent);
        assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Active));
    }

    async fn the_readers_own_address_or_the_token_in_ones_own_hand_acts_at_once(test_db) {
        let test_app = test_app(test_db).await;
        let own = answer(&test_app, READER, "Reader0@Example.ORG", "", "Unsubscribe");
        assert_eq!((take(&test_app, &own).await, test_app.state_of(READER).await), (InboundResult::Ended, Some(SubscriberState::Unsubscribed)));
        let link = crate::journey::link(&newest(&test_app, OTHER), "/unsubscribe/");
        let token = link.rsplit('/').next().expect("a token");
        let quoted = answer(&test_app, OTHER, "bob@else.example", "", &format!("Unsubscribe\n\n> {link}"));
        assert_eq!(take(&test_app, &quoted).await, InboundResult::LinkSent, "a quoted link is in the hand of whoever got the digest");
        let subject = format!("From: bob@else.example\nTo: news@verdicts.example\nSubject: unsubscribe {token}\n\nunsubscribe\n");
        assert_eq!((take(&test_app, &subject).await, test_app.state_of(OTHER).await), (InboundResult::Ended, Some(SubscriberState::Unsubscribed)));
    }

    async fn another_address_at_the_readers_domain_acts_where_a_trusted_server_says_that_the_domain_is_real(test_db) {
        let test_app = app_and(test_db, |settings| settings.inbound.authentication_results = vec!["MX.verdicts.example".into()]).await;
        test_app.enlist_all("email,state\nann@gmail.com,active\nada@potters.example,active\n").await;
        a_week_later(&test_app, 1).await;
        let results = |receiver: &str, result: &str| format!("Authentication-Results: {receiver}; dmarc={result}\n");
        let by = async |reader: &str, author: &str, more: &str| take(&test_app, &answer(&test_app, reader, author, more, "Unsubscribe")).await;
        assert_eq!(by("ada@potters.example", "shop@potters.example", &results("mx.other.example", "pass")).await, InboundResult::LinkSent, "of a server that is not trusted");
        assert_eq!(by("ada@potters.example", "shop@potters.example", &results("mx.verdicts.example", "fail")).await, InboundResult::Kept);
        let forged = format!("{}{}", results("mx.verdicts.example", "fail"), results("mx.verdicts.example", "pass"));
        assert_eq!(by("ada@potters.example", "ada@potters.example", &forged).await, InboundResult::Kept, "the newest one counts");
        assert_eq!(by("ann@gmail.com", "bob@gmail.com", &results("mx.verdicts.example", "pass")).await, InboundResult::LinkSent, "anybody gets a mailbox there");
        assert_eq!(test_app.state_of("ada@potters.example").await, Some(SubscriberState::Active));
        assert_eq!(by("ada@potters.example", "shop@potters.example", &results("mx.verdicts.example", "pass")).await, InboundResult::Ended);
        assert_eq!(test_app.state_of("ann@gmail.com").await, Some(SubscriberState::Active));
    }

    async fn whatever_comes_to_the_address_of_list_unsubscribe_is_the_wish(test_db) {
        let test_app = test_app(test_db).await;
        let shapes = [
            "From: {r}\nTo: <{a}>\nSubject: unsubscribe\n\n", "From: {r}\nTo: {a}\n\n", "From: {r}\nTo: {a}\nAuto-Submitted: auto-generated\nSubject: x\n\n", "From: {r}\nTo: {a}\nAuto-Submitted: auto-replied\n\n",
            "From: {r}\nTo: {a}\nPrecedence: bulk\n\n", "Return-Path: <>\nFrom: {r}\nTo: {a}\n\n", "From: somebody@else.example\nTo: {a}\nSubject: Out of office\n\nI am away.", "From: no-reply@else.example\nTo: {a}\nList-Id: <x.y>\nSubject: yes\n\nyes",
            "From: MAILER-DAEMON@else.example\nDelivered-To: {A}\nSubject: hello\n\nPlease don't unsubscribe me", "To: {a}\n\n",
        ];
        let list: String = (0..shapes.len()).map(|n| format!("leaver{n}@example.org,active\n")).collect();
        test_app.enlist_all(&format!("email,state\n{list}")).await;
        a_week_later(&test_app, 1).await;
        for (n, shape) in shapes.iter().enumerate() {
            let reader = format!("leaver{n}@example.org");
            let address = leaving_address(&test_app, &reader);
            let mail = shape.replace("{r}", &reader).replace("{a}", &address).replace("{A}", &address.to_uppercase());
            assert_eq!(take(&test_app, &mail).await, InboundResult::Ended, "{mail}");
            assert_eq!(test_app.state_of(&reader).await, Some(SubscriberState::Unsubscribed), "{mail}");
        }
        let forged = leaving_address(&test_app, READER).replacen("bounces+", "bounces+b", 1);
        assert_eq!(take(&test_app, &format!("From: {READER}\nTo: {forged}\n\n")).await, InboundResult::Kept);
        // Bounces and vacation notices go to another address, the return path, and are what they are there.
        let away = format!("Return-Path: <>\nFrom: {READER}\nTo: {}\nAuto-Submitted: auto-replied\nSubject: unsubscribe\n\nAway", return_path(&test_app, READER));
        assert_eq!(take(&test_app, &away).await, InboundResult::Kept);
        assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Active));
    }

    async fn words_of_leaving_that_are_not_plain_are_answered_with_the_link_once_a_day(test_db) {
        let test_app = app_and(test_db, |settings| settings.inbound.authentication_results = vec!["mx.verdicts.example".into()]).await;
        test_app.page("/metrics").await;
        let unclear = ["How do I unsubscribe?", "Please don't unsubscribe me, I was on holiday.", "I keep pressing unsubscribe and nothing happens"];
        for (n, words) in unclear.iter().enumerate() {
            let expected = if n == 0 { InboundResult::LinkSent } else { InboundResult::Kept };
            assert_eq!(take(&test_app, &answer(&test_app, READER, READER, "", words)).await, expected, "{words}");
        }
        assert_eq!((links(&test_app, READER).await, test_app.state_of(READER).await), (1, Some(SubscriberState::Active)));
        assert!(test_app.record_of(READER).await.contains("speaks of leaving and was not acted on: the link to leave was sent"));
        // A mail of its own, which answers none of ours: anybody could have made it up, but for what the server says.
        let fresh = |from: &str, result: &str| format!("Authentication-Results: mx.verdicts.example; dmarc={result}\nFrom: {from}\nTo: news@verdicts.example\nSubject: Question\n\nHow can I unsubscribe from this?\n{result}\n");
        assert_eq!(take(&test_app, &fresh(OTHER, "none")).await, InboundResult::Kept);
        assert_eq!(take(&test_app, &fresh(OTHER, "pass")).await, InboundResult::LinkSent);
        assert_eq!(take(&test_app, &fresh("stranger@else.example", "pass")).await, InboundResult::Kept);
        assert_eq!((links(&test_app, OTHER).await, test_app.mails_to("stranger@else.example").len()), (1, 0));
        test_app.wait(TimeDelta::hours(25));
        for more in ["Auto-Submitted: auto-replied\n", "Precedence: bulk\n", "List-Id: <a.b>\n", "X-Auto-Response-Suppress: All\n"] {
            assert_eq!(take(&test_app, &answer(&test_app, READER, READER, more, "How do I unsubscribe from this?")).await, InboundResult::Kept, "{more}");
        }
        assert_eq!(take(&test_app, &answer(&test_app, READER, READER, "", "Lovely issue, thank you")).await, InboundResult::Kept, "it speaks of nothing like that");
        assert_eq!(links(&test_app, READER).await, 1);
        let metrics = test_app.page("/metrics").await;
        let counted = metrics.lines().find_map(|line| line.strip_prefix("verdicts_inbound_links_total{link=\"leave\"} "));
        assert!(counted.is_some_and(|count| count != "0"), "{metrics}");
    }

    async fn a_sign_up_that_may_have_been_confirmed_gets_the_link_again_once_a_day(test_db) {
        let test_app = test_app(test_db).await;
        test_app.sign_up("new@reader.example").await;
        test_app.deliver_confirmations().await;
        let asked = newest(&test_app, "new@reader.example");
        let (to, subject) = (header(&asked, "Reply-To"), header(&asked, "Subject"));
        let mail = |from: &str, words: &str| format!("Return-Path: <{from}>\nFrom: {from}\nTo: {to}\nSubject: Re: {subject}\nIn-Reply-To: <x@y.example>\nMessage-ID: <{}@r.example>\n\n{words}\n", words.len());
        assert_eq!(take(&test_app, &mail("new@reader.example", "Ja,\ndas war ich nicht.")).await, InboundResult::Kept, "it says no");
        assert_eq!(take(&test_app, &mail("new@reader.example", "ok")).await, InboundResult::LinkSent);
        assert_eq!(take(&test_app, &mail("new@reader.example", "Okay, thank you for the mail")).await, InboundResult::Kept);
        test_app.deliver_confirmations().await;
        assert_eq!(test_app.mails_to("new@reader.example").len(), 2);
        assert_eq!(test_app.state_of("new@reader.example").await, Some(SubscriberState::Pending));
        assert!(test_app.record_of("new@reader.example").await.contains("was not a plain yes: the link was sent again"));
        let robot = mail("new@reader.example", "OK, ticket #12 was opened").replace("Return-Path", "X-Path");
        test_app.wait(TimeDelta::hours(25));
        assert_eq!(take(&test_app, &robot).await, InboundResult::Kept);
        test_app.post(&crate::journey::link(&newest(&test_app, "new@reader.example"), "/confirm/")).await;
        assert_eq!(test_app.state_of("new@reader.example").await, Some(SubscriberState::Active));
    }

    async fn a_plain_yes_to_the_confirmation_mail_confirms_in_every_form(test_db) {
        let yes: Vec<Form> = forms().into_iter().filter(|form| form.said == "yes").collect();
        let sample: Vec<&Form> = yes.iter().step_by(yes.len().div_ceil(12)).chain(yes.iter().find(|form| form.file.starts_with("case-"))).collect();
        let test_app = app_and(test_db, |settings| settings.site.newsletter = "Weekly AI Tool Verdicts".into()).await;
        for (n, form) in sample.iter().enumerate() {
            let reader = format!("asks{n}@asks{n}.example");
            test_app.sign_up(&reader).await;
            test_app.deliver_confirmations().await;
            let to = header(&newest(&test_app, &reader), "Reply-To");
            let raw = String::from_utf8(form.raw.clone()).expect("text");
            let mail: String = raw.lines().map(|line| if line.starts_with("To: ") { format!("To: {to}\n") } else { format!("{line}\n") }).collect();
            let mail = mail.replace("Please confirm: The Weekly Kiln", "Please confirm: Weekly AI Tool Verdicts");
            assert_eq!(take(&test_app, &mail).await, InboundResult::Confirmed, "{}", form.file);
            assert_eq!(test_app.state_of(&reader).await, Some(SubscriberState::Active));
        }
    }

    async fn a_token_behind_hundreds_of_others_is_found(test_db) {
        let test_app = test_app(test_db).await;
        let link = crate::journey::link(&newest(&test_app, READER), "/unsubscribe/");
        let others: String = (0..900).map(|n| format!("> https://verdicts.example/vote/{n:039}\n")).collect();
        let mail = format!("From: {READER}\nTo: news@verdicts.example\nSubject: Re: digest\n\nPlease unsubscribe me\n\n{others}> {link}\n");
        assert_eq!(take(&test_app, &mail).await, InboundResult::Ended);
    }
}
