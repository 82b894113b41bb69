//! Proof: what acts carries a tag that only our secret makes. From one digest nobody can reckon what belongs to another reader, and
//! an id that is not ours says nothing for or against anybody.

mod forger;

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::BASE32_NOPAD;
use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use serde_json::Value;
use serde_json::json;
use sha2::Sha256;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::storage::inbound::InboundResult;

use crate::by_mail::open_door;
use crate::inbound::READER;
use crate::inbound::app_with_a_reader_and;
use crate::inbound::report;
use crate::mailboxes::server::Server;
use crate::mailboxes::watch;
use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::until;
use crate::webhooks::newer;
use crate::webhooks::world::PROVIDERS;
use crate::webhooks::world::World;
use forger::Forger;
use forger::Old;

/// Everything that is kept, but for mails that were kept and are about nobody.
async fn kept(test_app: &TestApp) -> Vec<String> {
    let rows = test_app.test_db.dump().await.into_iter();
    rows.filter(|row| !row.starts_with("inbound") && !row.starts_with("webhook_events"))
        .collect()
}

/// Hands mails over by LMTP, each to the address that it claims to answer.
async fn by_lmtp(address: SocketAddr, mails: impl Iterator<Item = (String, String)>) {
    let mut stream = BufReader::new(TcpStream::connect(address).await.expect("a door"));
    let mut line = String::new();
    let mut said = String::from("LHLO mx.example.org\r\n");
    stream.read_line(&mut line).await.expect("a greeting");
    for (to, mail) in std::iter::once((String::new(), String::new())).chain(mails) {
        if !to.is_empty() {
            said = format!(
                "MAIL FROM:<>\r\nRCPT TO:<{to}>\r\nDATA\r\n{}\r\n.\r\n",
                mail.replace('\n', "\r\n")
            );
        }
        // A reply to each command that stands on a line of its own, and one for the mail.
        let replies = if to.is_empty() { 1 } else { 4 };
        stream.write_all(said.as_bytes()).await.expect("said");
        for _ in 0..replies {
            loop {
                line.clear();
                stream.read_line(&mut line).await.expect("a reply");
                if line.as_bytes().get(3) != Some(&b'-') {
                    break;
                }
            }
            assert!(line.starts_with(['2', '3']), "{line}");
        }
    }
}

const BY_COMMAND: usize = 500;
const BY_LMTP: usize = 400;
// Few: each is fetched and marked by itself.
const BY_IMAP: usize = 40;
const BY_LINK: usize = 100;
/// Every route with a token, and the purpose of its token.
const ROUTES: [(&str, &str, u8); 13] = [
    ("/confirm/", "", 1),
    ("/unsubscribe/", "", 2),
    ("/preferences/", "", 3),
    ("/preferences/", "/link", 3),
    ("/saved/", "", 3),
    ("/vote/t0-l/ship/", "", 3),
    ("/save/t0-l/", "", 3),
    ("/monthly/", "", 3),
    ("/account/", "/name", 4),
    ("/account/", "/address", 4),
    ("/account/", "/export", 4),
    ("/account/", "/erase", 4),
    ("/move/", "", 5),
];

on_both! {
    async fn two_thousand_forged_neighbours_change_nobody(test_db) {
        let server = Server::start().await;
        let url = server.url();
        let test_app = app_with_a_reader_and(test_db, |settings| {
            settings.inbound.imap = Some(url.into());
            settings.inbound.imap_every = Duration::from_millis(50);
            settings.votes.per_client = 100_000;
        })
        .await;
        for n in 2..42 {
            test_app.enlist_all(&format!("email\nreader{n}@example.org\n")).await;
        }
        let forger = Forger::new(&test_app).await;
        let program = Program::set_up(&test_app.test_db).with("VERDICTS_MAIL__RETURN_PATH", "bounces+{verp}@verdicts.example");
        let program = program.with("VERDICTS_MAIL__FROM", "news@verdicts.example");
        let before = kept(&test_app).await;
        let names: Vec<String> = (0..BY_COMMAND).map(|n| format!("{n}.eml")).collect();
        names.iter().enumerate().for_each(|(n, name)| program.write(name, forger.mail(n)));
        let arguments: Vec<&str> = ["--json", "inbound", "--apply"].into_iter().chain(names.iter().map(String::as_str)).collect();
        let said = program.run(&arguments).good().json();
        assert!(said["mails"].as_array().is_some_and(|mails| mails.len() == BY_COMMAND && mails.iter().all(|mail| mail["applied"] == "kept" && mail["subscriber"].is_null())), "{said}");

        let door = open_door(&test_app).await;
        by_lmtp(door, (BY_COMMAND..BY_COMMAND + BY_LMTP).map(|n| (forger.address(n), forger.mail(n)))).await;

        let first = BY_COMMAND + BY_LMTP;
        (first..first + BY_IMAP).for_each(|n| server.put(n as u32, &forger.mail(n)));
        watch(&test_app);
        until("all are fetched", async || (first..first + BY_IMAP).all(|n| server.flags(n as u32) == "(\\Seen)")).await;

        for (path, end, purpose) in ROUTES {
            for n in 0..BY_LINK {
                let address = format!("{path}{}{end}", forger.token(purpose, n));
                let fields = [("email", "thief@example.net"), ("name", "Thief"), ("sure", "yes"), ("remove", "t0-l"), ("pause", "26")];
                assert_eq!(test_app.post_form(&address, &fields).await.status(), 404, "{address}");
                if end.is_empty() && n < 8 {
                    assert_eq!(test_app.get(&address).await.status(), 404, "{address}");
                    assert_eq!(test_app.get(&format!("/account/{}", forger.token(4, n))).await.status(), 404);
                }
            }
        }
        assert!(BY_COMMAND + BY_LMTP + BY_IMAP + ROUTES.len() * BY_LINK >= 2_000);
        let after = kept(&test_app).await;
        let news: Vec<_> = after.iter().filter(|row| !before.contains(row)).collect();
        assert!(after == before, "{news:?}");
        let own = format!("From: {READER}\nTo: {}\nSubject: unsubscribe\n\n", forger.return_path);
        assert_eq!(test_app.app.take_inbound(own.as_bytes(), verdicts::domain::inbound_channel::InboundChannel::Command).await.expect("taken").1, InboundResult::Ended, "what is one's own still acts");
    }

    async fn forged_ids_in_a_providers_events_change_nobody(test_db) {
        let world = World::new(test_db).await;
        let forger = Forger::new(&world.test_app).await;
        let before = kept(&world.test_app).await;
        for provider in PROVIDERS {
            for n in 0..40 {
                let (id, sender, name) = (format!("<{}>", forger.message_id(n)), forger.address(n), format!("{provider}{n}"));
                // Whose address is none of ours: only the id could say whom it is about.
                let email = "passed.on@elsewhere.example";
                let body = complaint(provider, email, &id, &sender, &name);
                let status = world.post(provider, &world.sign(provider, &body, &name)).await;
                assert_eq!(status, 200, "{provider}");
            }
        }
        world.act().await;
        assert!(kept(&world.test_app).await == before);
    }

    async fn an_id_that_is_not_ours_says_nothing_and_the_providers_word_counts(test_db) {
        let world = World::new_with(test_db, |settings| settings.bounces.brake_count = 0).await;
        let test_app = &world.test_app;
        let mut number = 0;
        for provider in PROVIDERS {
            for id in ["<a1b2@geopod-ismtpd-1-0>", "<a1b2@ismtpd-555>", "<a1b2@ismtpd0039p1iad1.sendgrid.net>", "<01000@email.amazonses.com>", "<1@another.example>", "<202648.4711@verdicts.example>", ""] {
                for meaning in ["bounce", "complaint", "unsubscribe"] {
                    // SES has no such event, nor has Resend; three have bounces alone.
                    let has_all = !matches!(provider, "azure" | "postal" | "forwardemail");
                    if meaning != "bounce" && !has_all || meaning == "unsubscribe" && matches!(provider, "ses" | "resend") {
                        continue;
                    }
                    number += 1;
                    let (email, name) = (format!("known{number}@example.org"), format!("event-{number}"));
                    test_app.enlist_all(&format!("email\n{email}\n")).await;
                    let body = event(provider, meaning, &email, id, "", &name);
                    assert_eq!(world.post(provider, &world.sign(provider, &body, &name)).await, 200, "{provider}");
                    world.act().await;
                    let expected = match meaning {
                        "bounce" => SubscriberState::Bounced,
                        "complaint" => SubscriberState::Complained,
                        _ => SubscriberState::Unsubscribed,
                    };
                    assert_eq!(test_app.state_of(&email).await, Some(expected), "{provider} {meaning} {id}");
                }
            }
        }
    }

    async fn a_message_id_of_before_is_kept_and_acts_on_nobody_while_what_was_signed_then_still_acts(test_db) {
        let test_app = app_with_a_reader_and(test_db, |_| {}).await;
        test_app.seed_subscribers("more", 3).await;
        let listed = test_app.app.storage.subscribers_after(0, 100).await.expect("a list");
        let old = |email: &str| Old { subscriber: listed.iter().find(|one| one.subscriber.email == email).expect("known").subscriber.id };
        let take = async |mail: String| test_app.app.take_inbound(mail.as_bytes(), verdicts::domain::inbound_channel::InboundChannel::Command).await.expect("taken").1;

        let reader = old(READER);
        let id = reader.message_id();
        let returned = report("bounces@verdicts.example", READER, "550 5.1.1 no such user").replace("--b--", &format!("--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: <{id}>\n\n--b--"));
        let before = kept(&test_app).await;
        assert_eq!(take(returned.clone()).await, InboundResult::Kept);
        assert_eq!(take(format!("In-Reply-To: <{id}>\nFrom: {READER}\nTo: news@verdicts.example\nSubject: unsubscribe\n\nunsubscribe\n")).await, InboundResult::Kept);
        assert_eq!(kept(&test_app).await, before);
        assert_eq!(take(returned).await, InboundResult::Before, "it is known when it comes again");

        assert_eq!(take(report(&reader.return_path(reader.subscriber), READER, "550 5.1.1 no such user")).await, InboundResult::Ended);
        let second = old("reader1@example.org");
        let leave = format!("From: x@else.example\nTo: <{}>\nSubject: unsubscribe\n\n", second.return_path(second.subscriber));
        assert_eq!(take(leave).await, InboundResult::Ended);
        let third = old("more0@example.org");
        let leave = format!("From: more0@example.org\nTo: leave@verdicts.example\nSubject: unsubscribe {}\n\nunsubscribe\n", third.token(2, third.subscriber));
        assert_eq!(take(leave).await, InboundResult::Ended, "by the token in its subject");

        let (fourth, fifth) = (old("more1@example.org"), old("more2@example.org"));
        assert_eq!(test_app.post(&format!("/unsubscribe/{}", fourth.token(2, fourth.subscriber))).await.status(), 200);
        assert_eq!(test_app.state_of("more1@example.org").await, Some(SubscriberState::Unsubscribed));
        let token = fifth.token(3, fifth.subscriber);
        for path in ["/preferences/", "/saved/", "/vote/t0-l/ship/", "/save/t0-l/"] {
            assert_eq!(test_app.get(&format!("{path}{token}")).await.status(), 200, "{path}");
        }
        assert_eq!(test_app.post(&format!("/vote/t0-l/ship/{token}")).await.status(), 200);
    }

    async fn no_number_of_a_row_leaves_the_process(test_db) {
        let test_app = app_with_a_reader_and(test_db, |_| {}).await;
        test_app.join("ada@example.org").await;
        test_app.deliver_confirmations().await;
        let numbers: Vec<i64> = test_app.app.storage.subscribers_after(0, 100).await.expect("a list").iter().map(|one| one.subscriber.id).collect();
        let program = Program::set_up(&test_app.test_db);
        let shown = [
            program.run(&["--json", "subscribers", "list"]).good().out,
            program.run(&["--json", "subscribers", "show", READER]).good().out,
            program.run(&["subscribers", "show", READER]).good().out,
            program.run(&["--json", "digest", "show", "2026-W48"]).good().out,
            program.run(&["--json", "digest", "list"]).good().out,
            program.run(&["digest", "list"]).good().out,
            program.run(&["--json", "digest", "audit"]).good().out,
            test_app.page("/mailbox").await,
        ];
        let folder = test_app.test_db.dir.path().join("mailbox/new");
        let files = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
        let mails: Vec<(String, Vec<u8>)> = files.map(|file| (file.display().to_string(), std::fs::read(&file).expect("a mail"))).collect();
        assert!(mails.len() > 3);
        for number in numbers {
            let digits = number.to_string();
            for shown in &shown {
                assert!(!shown.contains(&digits), "{digits} in {shown}");
            }
            let bytes = number.to_be_bytes();
            for (name, mail) in &mails {
                let text = String::from_utf8_lossy(mail).replace("=\r\n", "");
                assert!(!name.contains(&digits) && !text.contains(&digits), "{digits} in {name}");
                let runs = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).filter(|run| matches!(run.len(), 39 | 42));
                let hidden = |bytes_of: Option<Vec<u8>>| bytes_of.is_none_or(|found| !found.windows(8).any(|part| part == bytes));
                for run in runs {
                    assert!(hidden(URL_SAFE_NO_PAD.decode(run).ok()) && hidden(BASE32_NOPAD.decode(run.to_uppercase().as_bytes()).ok()), "{run}");
                }
            }
        }
        assert_eq!(program.run(&["--json", "digest", "show", "2026-W48"]).good().json()["id"], "2026-W48");
    }
}

fn complaint(provider: &str, email: &str, id: &str, sender: &str, name: &str) -> Value {
    event(provider, "complaint", email, id, sender, name)
}

/// An event as each provider writes it. `sender`: the envelope's, where the provider tells it.
fn event(provider: &str, meaning: &str, email: &str, id: &str, sender: &str, name: &str) -> Value {
    let words = "550 5.1.1 no such user";
    let source = if sender.is_empty() {
        "news@verdicts.example"
    } else {
        sender
    };
    let newer = |meaning| newer::body(provider, meaning, email, id, sender, name, words);
    if let Some(body) = newer(meaning).or_else(|| newer("bounce")) {
        return body;
    }
    match (provider, meaning) {
        ("ses", "bounce") => {
            json!({ "notificationType": "Bounce", "bounce": { "bounceType": "Permanent", "bounceSubType": "General", "feedbackId": name,
            "bouncedRecipients": [{ "emailAddress": email, "status": "5.1.1", "diagnosticCode": format!("smtp; {words}") }] },
            "mail": { "source": source, "commonHeaders": { "messageId": id }, "headers": [{ "name": "Message-ID", "value": id }] } })
        }
        ("ses", _) => {
            json!({ "notificationType": "Complaint", "complaint": { "feedbackId": name, "complainedRecipients": [{ "emailAddress": email }] },
            "mail": { "source": source, "commonHeaders": { "messageId": id }, "headers": [{ "name": "Message-ID", "value": id }] } })
        }
        ("postmark", kind) => {
            let content = format!("Message-ID: {id}\nReturn-Path: <{sender}>\nSubject: x\n\nx\n");
            let mut body = match kind {
                "bounce" => {
                    json!({ "RecordType": "Bounce", "TypeCode": 1, "Type": "HardBounce", "Email": email, "Details": words, "Content": content })
                }
                "complaint" => {
                    json!({ "RecordType": "SpamComplaint", "Email": email, "Content": content })
                }
                _ => {
                    json!({ "RecordType": "SubscriptionChange", "Recipient": email, "SuppressSending": true, "Origin": "Recipient",
                    "SuppressionReason": "ManualSuppression", "MessageID": name })
                }
            };
            body["Tag"] = name.into();
            body["MessageID"] = name.into();
            body
        }
        ("sendgrid", "bounce") => {
            json!([{ "event": "bounce", "type": "bounce", "email": email, "smtp-id": id, "reason": words, "status": "5.1.1", "sg_event_id": name }])
        }
        ("sendgrid", "complaint") => {
            json!([{ "event": "spamreport", "email": email, "smtp-id": id, "sg_event_id": name }])
        }
        ("sendgrid", _) => {
            json!([{ "event": "unsubscribe", "email": email, "smtp-id": id, "sg_event_id": name }])
        }
        ("mailgun", kind) => {
            let kind = match kind {
                "bounce" => "failed",
                "complaint" => "complained",
                _ => "unsubscribed",
            };
            json!({ "event-data": { "event": kind, "severity": "permanent", "reason": "bounce", "recipient": email, "id": name, "envelope": { "sender": sender },
                "delivery-status": { "code": 550, "message": words }, "message": { "headers": { "message-id": id.trim_matches(['<', '>']) } } } })
        }
        ("resend", "bounce") => {
            json!({ "type": "email.bounced", "data": { "email_id": name, "to": [email], "message_id": id,
            "bounce": { "type": "Permanent", "subType": "General", "message": words } } })
        }
        ("resend", _) => {
            json!({ "type": "email.complained", "data": { "email_id": name, "to": [email], "message_id": id } })
        }
        (_, kind) => {
            json!({ "id": name, "type": kind, "email": email, "message_id": id, "sender": sender, "diagnostic": words })
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_about_a_reader_that_is_dropped_is_counted_and_named() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db);
    program.write("list.csv", "email\nada@example.org\n");
    program
        .run(&[
            "subscribers",
            "import",
            "list.csv",
            "--consent",
            "at the fair",
            "--confirmed",
        ])
        .good();
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address");
    let url = format!("http://{address}");
    let program = program
        .with("VERDICTS_SITE__LISTEN", &address.to_string())
        .with(
            "VERDICTS_WEBHOOKS_IN__SIGNED",
            "a secret of the plain webhook",
        );
    let program = program.with("VERDICTS_MAIL__FROM", "news@verdicts.example");
    let _serving = program.start("serve", &["serve", "--role", "web"]);
    until("it answers", async || {
        reqwest::get(format!("{url}/healthz")).await.is_ok()
    })
    .await;
    let body = json!({ "id": "1", "type": "complaint", "email": "ada@example.org", "sender": "shop@another.example" }).to_string();
    #[allow(
        clippy::disallowed_methods,
        reason = "the compiled program has no other clock"
    )]
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a time")
        .as_secs()
        .to_string();
    let mut mac =
        Hmac::<Sha256>::new_from_slice(b"a secret of the plain webhook").expect("any length");
    mac.update(format!("{now}.{body}").as_bytes());
    let signature: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let request = reqwest::Client::new()
        .post(format!("{url}/webhooks/signed"))
        .body(body);
    let answer = request
        .header("x-verdicts-timestamp", now)
        .header("x-verdicts-signature", signature)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200);
    let figure =
        "verdicts_webhook_events_dropped_total{provider=\"signed\",reason=\"other_sender\"} 1";
    until("it is counted", async || {
        reqwest::get(format!("{url}/metrics"))
            .await
            .expect("figures")
            .text()
            .await
            .expect("text")
            .contains(figure)
    })
    .await;
    let log = std::fs::read_to_string(program.dir.join("serve.err")).expect("a log");
    let line = log
        .lines()
        .find(|line| line.contains("was dropped"))
        .expect("a line");
    assert!(
        line.contains("another.example")
            && line.contains("a***@e***.org")
            && !line.contains("ada@"),
        "{line}"
    );
}
