//! Answers by people: what they say is understood, and nothing else (`tests/answers`).

mod understood;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use verdicts::config::Settings;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::storage::inbound::InboundResult;

use crate::by_mail::open_door;
use crate::inbound::a_week_later;
use crate::inbound::header;
use crate::inbound::house_with_a_reader_and;
use crate::inbound::leaving_address;
use crate::inbound::lmtp::hand_over_from;
use crate::inbound::return_path;
use crate::inbound::take;
use crate::support::House;
use crate::support::Place;
use crate::support::on_both;
use understood::Form;
use understood::forms;

const READER: &str = "reader0@example.org";
const OTHER: &str = "reader1@example.org";

/// A house with two readers who got a digest.
async fn house(place: Place) -> House {
    house_and(place, |_| {}).await
}

async fn house_and(place: Place, adapt: impl FnOnce(&mut Settings)) -> House {
    house_with_a_reader_and(place, |settings| {
        settings.mail.from = "News <news@verdicts.example>".into();
        adapt(settings);
    })
    .await
}

fn newest(house: &House, reader: &str) -> Vec<u8> {
    house.mails_to(reader).pop().expect("a mail")
}

/// An answer to the newest digest of `reader`, by `author`, with its Message-ID as every answer has it.
fn answer(house: &House, reader: &str, author: &str, more: &str, words: &str) -> String {
    let digest = newest(house, reader);
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
async fn links(house: &House, reader: &str) -> usize {
    house.deliver_confirmations().await;
    let is_link = |mail: &Vec<u8>| {
        ["leave", "Somebody asked"]
            .iter()
            .any(|words| header(mail, "Subject").contains(words))
    };
    house
        .mails_to(reader)
        .iter()
        .filter(|mail| is_link(mail))
        .count()
}

on_both! {
    async fn what_is_said_in_an_answer_is_done_by_the_real_door_and_nothing_else(place) {
        let forms = forms();
        // A sample of each class; the pure function is tried with all.
        let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
        let sample: Vec<Form> = forms.into_iter().filter(|form| {
            let count = seen.entry((form.said.clone(), form.class.clone())).or_default();
            *count += 1;
            *count <= 2 && form.said != "yes"
        }).collect();
        assert!(sample.len() > 30, "{}", sample.len());
        let house = house(place).await;
        let list: String = (0..sample.len()).map(|n| format!("form{n}@example.org,active\n")).collect();
        house.enlist_all(&format!("email,state\n{list}")).await;
        a_week_later(&house, 1).await;
        let door = open_door(&house).await;
        for (n, form) in sample.iter().enumerate() {
            let reader = format!("form{n}@example.org");
            let id = header(&newest(&house, &reader), "Message-ID");
            // The same form, by the reader, in answer to their own digest.
            let raw = String::from_utf8(form.raw.clone()).expect("text").replace('\r', "");
            let (head, body) = raw.split_once("\n\n").expect("a header");
            let from = |line: &str| format!("{}<{reader}>", line.split('<').next().unwrap_or("From: "));
            let head: Vec<String> = head.lines().filter(|line| !line.starts_with("References:") && !line.starts_with("In-Reply-To:")).map(|line| if line.starts_with("From:") { from(line) } else { line.to_owned() }).collect();
            let mail = format!("{}\nIn-Reply-To: {id}\n\n{body}", head.join("\n")).replace("ottoline@saltmarsh.example", &reader);
            let sender = if mail.contains("Return-Path: <>") { "" } else { reader.as_str() };
            assert_eq!(hand_over_from(door, sender, "news@verdicts.example", &mail).await, "250", "{}", form.file);
            let expected = if form.said == "leave" { SubscriberState::Unsubscribed } else { SubscriberState::Active };
            assert_eq!(house.state_of(&reader).await, Some(expected), "{}\n{mail}", form.file);
        }
        house.stop.cancel();
    }

    async fn an_answer_by_somebody_else_ends_nobody_and_the_reader_gets_the_link(place) {
        let house = house(place).await;
        let leave = answer(&house, READER, "bob@else.example", "", "Unsubscribe");
        assert_eq!(take(&house, &leave).await, InboundResult::LinkSent);
        assert_eq!(house.state_of(READER).await, Some(SubscriberState::Active));
        assert_eq!((links(&house, READER).await, house.mails_to("bob@else.example").len()), (1, 0));
        let record = house.record_of(READER).await;
        assert!(record.contains("another address answered a mail of theirs") && !record.contains("bob"), "{record}");
        // Once a day, whatever is written; the link does what it says.
        let again = answer(&house, READER, "eve@else.example", "", "Please unsubscribe me");
        assert_eq!((take(&house, &again).await, links(&house, READER).await), (InboundResult::Kept, 1));
        house.wait(TimeDelta::hours(25));
        let later = answer(&house, READER, "eve@else.example", "", "Take me off this list");
        assert_eq!((take(&house, &later).await, links(&house, READER).await), (InboundResult::LinkSent, 2));
        house.post(&crate::journey::link(&newest(&house, READER), "/unsubscribe/")).await;
        assert_eq!(house.state_of(READER).await, Some(SubscriberState::Unsubscribed));
        let after = answer(&house, READER, "eve@else.example", "X: y\n", "Unsubscribe");
        house.wait(TimeDelta::hours(25));
        assert_eq!(take(&house, &after).await, InboundResult::Kept, "who has left gets nothing");
    }

    async fn a_return_path_alone_ends_nobody_either(place) {
        let house = house(place).await;
        let path = return_path(&house, READER);
        let mail = format!("Return-Path: <bob@else.example>\nFrom: bob@else.example\nTo: {path}\nSubject: Re: x\nIn-Reply-To: <x@y.example>\n\nunsubscribe\n");
        assert_eq!(take(&house, &mail).await, InboundResult::LinkSent);
        assert_eq!(house.state_of(READER).await, Some(SubscriberState::Active));
    }

    async fn the_readers_own_address_or_the_token_in_ones_own_hand_acts_at_once(place) {
        let house = house(place).await;
        let own = answer(&house, READER, "Reader0@Example.ORG", "", "Unsubscribe");
        assert_eq!((take(&house, &own).await, house.state_of(READER).await), (InboundResult::Ended, Some(SubscriberState::Unsubscribed)));
        let link = crate::journey::link(&newest(&house, OTHER), "/unsubscribe/");
        let token = link.rsplit('/').next().expect("a token");
        let quoted = answer(&house, OTHER, "bob@else.example", "", &format!("Unsubscribe\n\n> {link}"));
        assert_eq!(take(&house, &quoted).await, InboundResult::LinkSent, "a quoted link is in the hand of whoever got the digest");
        let subject = format!("From: bob@else.example\nTo: news@verdicts.example\nSubject: unsubscribe {token}\n\nunsubscribe\n");
        assert_eq!((take(&house, &subject).await, house.state_of(OTHER).await), (InboundResult::Ended, Some(SubscriberState::Unsubscribed)));
    }

    async fn another_address_at_the_readers_domain_acts_where_a_trusted_server_says_that_the_domain_is_real(place) {
        let house = house_and(place, |settings| settings.inbound.authentication_results = vec!["MX.verdicts.example".into()]).await;
        house.enlist_all("email,state\nann@gmail.com,active\nada@potters.example,active\n").await;
        a_week_later(&house, 1).await;
        let results = |receiver: &str, result: &str| format!("Authentication-Results: {receiver}; dmarc={result}\n");
        let by = async |reader: &str, author: &str, more: &str| take(&house, &answer(&house, reader, author, more, "Unsubscribe")).await;
        assert_eq!(by("ada@potters.example", "shop@potters.example", &results("mx.other.example", "pass")).await, InboundResult::LinkSent, "of a server that is not trusted");
        assert_eq!(by("ada@potters.example", "shop@potters.example", &results("mx.verdicts.example", "fail")).await, InboundResult::Kept);
        let forged = format!("{}{}", results("mx.verdicts.example", "fail"), results("mx.verdicts.example", "pass"));
        assert_eq!(by("ada@potters.example", "ada@potters.example", &forged).await, InboundResult::Kept, "the newest one counts");
        assert_eq!(by("ann@gmail.com", "bob@gmail.com", &results("mx.verdicts.example", "pass")).await, InboundResult::LinkSent, "anybody gets a mailbox there");
        assert_eq!(house.state_of("ada@potters.example").await, Some(SubscriberState::Active));
        assert_eq!(by("ada@potters.example", "shop@potters.example", &results("mx.verdicts.example", "pass")).await, InboundResult::Ended);
        assert_eq!(house.state_of("ann@gmail.com").await, Some(SubscriberState::Active));
    }

    async fn whatever_comes_to_the_address_of_list_unsubscribe_is_the_wish(place) {
        let house = house(place).await;
        let shapes = [
            "From: {r}\nTo: <{a}>\nSubject: unsubscribe\n\n", "From: {r}\nTo: {a}\n\n", "From: {r}\nTo: {a}\nAuto-Submitted: auto-generated\nSubject: x\n\n", "From: {r}\nTo: {a}\nAuto-Submitted: auto-replied\n\n",
            "From: {r}\nTo: {a}\nPrecedence: bulk\n\n", "Return-Path: <>\nFrom: {r}\nTo: {a}\n\n", "From: somebody@else.example\nTo: {a}\nSubject: Out of office\n\nI am away.", "From: no-reply@else.example\nTo: {a}\nList-Id: <x.y>\nSubject: yes\n\nyes",
            "From: MAILER-DAEMON@else.example\nDelivered-To: {A}\nSubject: hello\n\nPlease don't unsubscribe me", "To: {a}\n\n",
        ];
        let list: String = (0..shapes.len()).map(|n| format!("leaver{n}@example.org,active\n")).collect();
        house.enlist_all(&format!("email,state\n{list}")).await;
        a_week_later(&house, 1).await;
        for (n, shape) in shapes.iter().enumerate() {
            let reader = format!("leaver{n}@example.org");
            let address = leaving_address(&house, &reader);
            let mail = shape.replace("{r}", &reader).replace("{a}", &address).replace("{A}", &address.to_uppercase());
            assert_eq!(take(&house, &mail).await, InboundResult::Ended, "{mail}");
            assert_eq!(house.state_of(&reader).await, Some(SubscriberState::Unsubscribed), "{mail}");
        }
        let forged = leaving_address(&house, READER).replacen("bounces+", "bounces+b", 1);
        assert_eq!(take(&house, &format!("From: {READER}\nTo: {forged}\n\n")).await, InboundResult::Kept);
        // Bounces and vacation notices go to another address, the return path, and are what they are there.
        let away = format!("Return-Path: <>\nFrom: {READER}\nTo: {}\nAuto-Submitted: auto-replied\nSubject: unsubscribe\n\nAway", return_path(&house, READER));
        assert_eq!(take(&house, &away).await, InboundResult::Kept);
        assert_eq!(house.state_of(READER).await, Some(SubscriberState::Active));
    }

    async fn words_of_leaving_that_are_not_plain_are_answered_with_the_link_once_a_day(place) {
        let house = house_and(place, |settings| settings.inbound.authentication_results = vec!["mx.verdicts.example".into()]).await;
        house.page("/metrics").await;
        let unclear = ["How do I unsubscribe?", "Please don't unsubscribe me, I was on holiday.", "I keep pressing unsubscribe and nothing happens"];
        for (n, words) in unclear.iter().enumerate() {
            let expected = if n == 0 { InboundResult::LinkSent } else { InboundResult::Kept };
            assert_eq!(take(&house, &answer(&house, READER, READER, "", words)).await, expected, "{words}");
        }
        assert_eq!((links(&house, READER).await, house.state_of(READER).await), (1, Some(SubscriberState::Active)));
        assert!(house.record_of(READER).await.contains("speaks of leaving and was not acted on: the link to leave was sent"));
        // A mail of its own, which answers none of ours: anybody could have made it up, but for what the server says.
        let fresh = |from: &str, result: &str| format!("Authentication-Results: mx.verdicts.example; dmarc={result}\nFrom: {from}\nTo: news@verdicts.example\nSubject: Question\n\nHow can I unsubscribe from this?\n{result}\n");
        assert_eq!(take(&house, &fresh(OTHER, "none")).await, InboundResult::Kept);
        assert_eq!(take(&house, &fresh(OTHER, "pass")).await, InboundResult::LinkSent);
        assert_eq!(take(&house, &fresh("stranger@else.example", "pass")).await, InboundResult::Kept);
        assert_eq!((links(&house, OTHER).await, house.mails_to("stranger@else.example").len()), (1, 0));
        house.wait(TimeDelta::hours(25));
        for more in ["Auto-Submitted: auto-replied\n", "Precedence: bulk\n", "List-Id: <a.b>\n", "X-Auto-Response-Suppress: All\n"] {
            assert_eq!(take(&house, &answer(&house, READER, READER, more, "How do I unsubscribe from this?")).await, InboundResult::Kept, "{more}");
        }
        assert_eq!(take(&house, &answer(&house, READER, READER, "", "Lovely issue, thank you")).await, InboundResult::Kept, "it speaks of nothing like that");
        assert_eq!(links(&house, READER).await, 1);
        let metrics = house.page("/metrics").await;
        let counted = metrics.lines().find_map(|line| line.strip_prefix("verdicts_inbound_links_total{link=\"leave\"} "));
        assert!(counted.is_some_and(|count| count != "0"), "{metrics}");
    }

    async fn a_sign_up_that_may_have_been_confirmed_gets_the_link_again_once_a_day(place) {
        let house = house(place).await;
        house.sign_up("new@reader.example").await;
        house.deliver_confirmations().await;
        let asked = newest(&house, "new@reader.example");
        let (to, subject) = (header(&asked, "Reply-To"), header(&asked, "Subject"));
        let mail = |from: &str, words: &str| format!("Return-Path: <{from}>\nFrom: {from}\nTo: {to}\nSubject: Re: {subject}\nIn-Reply-To: <x@y.example>\nMessage-ID: <{}@r.example>\n\n{words}\n", words.len());
        assert_eq!(take(&house, &mail("new@reader.example", "Ja,\ndas war ich nicht.")).await, InboundResult::Kept, "it says no");
        assert_eq!(take(&house, &mail("new@reader.example", "ok")).await, InboundResult::LinkSent);
        assert_eq!(take(&house, &mail("new@reader.example", "Okay, thank you for the mail")).await, InboundResult::Kept);
        house.deliver_confirmations().await;
        assert_eq!(house.mails_to("new@reader.example").len(), 2);
        assert_eq!(house.state_of("new@reader.example").await, Some(SubscriberState::Pending));
        assert!(house.record_of("new@reader.example").await.contains("was not a plain yes: the link was sent again"));
        let robot = mail("new@reader.example", "OK, ticket #12 was opened").replace("Return-Path", "X-Path");
        house.wait(TimeDelta::hours(25));
        assert_eq!(take(&house, &robot).await, InboundResult::Kept);
        house.post(&crate::journey::link(&newest(&house, "new@reader.example"), "/confirm/")).await;
        assert_eq!(house.state_of("new@reader.example").await, Some(SubscriberState::Active));
    }

    async fn a_plain_yes_to_the_confirmation_mail_confirms_in_every_form(place) {
        let yes: Vec<Form> = forms().into_iter().filter(|form| form.said == "yes").collect();
        let sample: Vec<&Form> = yes.iter().step_by(yes.len().div_ceil(12)).chain(yes.iter().find(|form| form.file.starts_with("case-"))).collect();
        let house = house_and(place, |settings| settings.site.newsletter = "Weekly AI Tool Verdicts".into()).await;
        for (n, form) in sample.iter().enumerate() {
            let reader = format!("asks{n}@asks{n}.example");
            house.sign_up(&reader).await;
            house.deliver_confirmations().await;
            let to = header(&newest(&house, &reader), "Reply-To");
            let raw = String::from_utf8(form.raw.clone()).expect("text");
            let mail: String = raw.lines().map(|line| if line.starts_with("To: ") { format!("To: {to}\n") } else { format!("{line}\n") }).collect();
            let mail = mail.replace("Please confirm: The Weekly Kiln", "Please confirm: Weekly AI Tool Verdicts");
            assert_eq!(take(&house, &mail).await, InboundResult::Confirmed, "{}", form.file);
            assert_eq!(house.state_of(&reader).await, Some(SubscriberState::Active));
        }
    }

    async fn a_token_behind_hundreds_of_others_is_found(place) {
        let house = house(place).await;
        let link = crate::journey::link(&newest(&house, READER), "/unsubscribe/");
        let others: String = (0..900).map(|n| format!("> https://verdicts.example/vote/{n:039}\n")).collect();
        let mail = format!("From: {READER}\nTo: news@verdicts.example\nSubject: Re: digest\n\nPlease unsubscribe me\n\n{others}> {link}\n");
        assert_eq!(take(&house, &mail).await, InboundResult::Ended);
    }
}
