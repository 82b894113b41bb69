//! `doctor` and the look before a send: what DNS says of us, asked over the wire of a small name server.

mod name_servers;
mod records;

use std::sync::Arc;
use std::sync::Mutex;

use chrono::TimeDelta;
use serde_json::Value;
use verdicts::app::Clock;
use verdicts::domain::digest::DigestState;

use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue::small;
use crate::support::dns::NameServer;
use crate::support::on_both;
use crate::support::this_week;

pub const DOMAIN: &str = "verdicts.example";

/// A program that would really send, its name server, and its relay.
pub struct Sender {
    _place: TestDb,
    pub program: Program,
    pub dns: NameServer,
    pub relay: SmtpSink,
    /// Where the record of its key stands, and what it should say.
    pub record: (String, String),
}

impl Sender {
    /// One whose DNS is as it should be, with a digest to send and somebody to send it to.
    pub async fn ready(test_db: TestDb) -> Self {
        let (dns, relay) = (
            NameServer::start().await,
            SmtpSink::start(Script::accept_all()).await,
        );
        let program = Program::set_up(&test_db);
        let made = program
            .run(&[
                "--json",
                "keys",
                "dkim",
                "--out",
                "key.pem",
                "--domain",
                DOMAIN,
                "--selector",
                "s1",
            ])
            .good()
            .json();
        let text = |key: &str| made[key].as_str().expect("a text").to_owned();
        let key =
            format!("[{{ domain = \"{DOMAIN}\", selector = \"s1\", key_file = \"key.pem\" }}]");
        let program = program
            .with("VERDICTS_MAIL__TRANSPORT", &relay.url())
            .with("VERDICTS_MAIL__FROM", &format!("News <news@{DOMAIN}>"))
            .with("VERDICTS_MAIL__RESOLVER", &dns.address())
            .with("VERDICTS_MAIL__DKIM", &key)
            .with("VERDICTS_MAIL__POSTAL_ADDRESS", "1 Example Street")
            .with("VERDICTS_MAIL__REPLY_TO", &format!("editor@{DOMAIN}"))
            .with("VERDICTS_SITE__BASE_URL", &format!("https://{DOMAIN}"));
        dns.text(DOMAIN, "v=spf1 ip4:198.51.100.7 -all")
            .text(&text("name"), &text("value"));
        dns.text(&format!("_dmarc.{DOMAIN}"), "v=DMARC1; p=reject")
            .exchange(DOMAIN, "mx.verdicts.example");
        program.write("c.toml", small(5, Clock::system().now()));
        program.write("l.csv", "email\nada@example.org\n");
        program.run(&["catalog", "import", "c.toml"]).good();
        program
            .run(&[
                "subscribers",
                "import",
                "l.csv",
                "--consent",
                "x",
                "--confirmed",
            ])
            .good();
        Self {
            _place: test_db,
            program,
            dns,
            relay,
            record: (text("name"), text("value")),
        }
    }

    pub fn with(self, name: &str, value: &str) -> Self {
        Self {
            program: self.program.with(name, value),
            ..self
        }
    }

    pub fn doctor_says(&self, what: &str, level: &str, words: &[&str]) {
        doctor_says(&self.program, what, level, words);
    }

    /// Whether the digest was stopped with that word, and nothing went out.
    pub fn is_stopped(&self, word: &str) {
        let said = self
            .program
            .run(&["digest", "send"])
            .refused(&["is not sent", "--force", word]);
        assert_eq!(self.relay.mails(), 0, "{said}");
        let shown = self
            .program
            .run(&["--json", "digest", "show", &this_week()])
            .good()
            .json();
        assert_eq!(
            (&shown["state"], &shown["recipients"]),
            (&"approved".into(), &0.into())
        );
    }

    pub fn is_sent(&self) -> String {
        let said = self.program.run(&["--json", "digest", "send"]).good();
        assert_eq!(
            (said.json()["state"].as_str(), self.relay.mails()),
            (Some("sent"), 1),
            "{said:?}"
        );
        said.err
    }
}

/// What `doctor` says of that: level and words.
pub fn finding(program: &Program, what: &str) -> (String, String) {
    let said = program.run(&["--json", "doctor"]).json();
    let findings = said["findings"].as_array().expect("a list");
    let found = findings
        .iter()
        .find(|finding| finding["what"] == what)
        .unwrap_or_else(|| panic!("{what} in {said}"));
    let text = |key: &str| found[key].as_str().expect("a text").to_owned();
    (text("level"), text("words"))
}

pub fn doctor_says(program: &Program, what: &str, level: &str, words: &[&str]) {
    let (found, said) = finding(program, what);
    assert!(
        found == level && words.iter().all(|word| said.contains(word)),
        "{what} is {found}: {said}"
    );
}

on_both! {
    async fn a_sender_in_order_is_told_so_and_sends(test_db) {
        let sender = Sender::ready(test_db).await;
        let said = sender.program.run(&["--json", "doctor"]).json();
        let faults: Vec<&Value> = said["findings"].as_array().expect("a list").iter().filter(|found| found["level"] == "fault").collect();
        assert!(faults.is_empty(), "{faults:?}");
        sender.doctor_says("spf", "good", &[DOMAIN]);
        sender.doctor_says("dkim", "good", &["s1._domainkey"]);
        sender.doctor_says("dmarc", "good", &["reject", "(BIMI)", "default._bimi."]);
        sender.doctor_says("return_path", "good", &[DOMAIN]);
        sender.doctor_says("transport", "good", &["127.0.0.1"]);
        let warned = sender.is_sent();
        assert!(!warned.contains("before sending"), "{warned}");
    }

    async fn a_fault_that_servers_punish_stops_a_send_until_it_is_mended_or_forced(test_db) {
        let sender = Sender::ready(test_db).await;
        sender.dns.forget(&sender.record.0);
        sender.is_stopped("s1._domainkey");
        sender.is_stopped("s1._domainkey");
        sender.program.run(&["digest", "send", "--to", "editor@example.org"]).good();
        assert_eq!(sender.relay.mails(), 1, "a test copy is how one looks at what is wrong");
        let forced = sender.program.run(&["--json", "digest", "send", "--force"]).good().json();
        assert_eq!((forced["state"].as_str(), sender.relay.mails()), (Some("sent"), 2));
    }

    async fn what_was_mended_is_sent(test_db) {
        let sender = Sender::ready(test_db).await;
        sender.dns.forget(DOMAIN).text(DOMAIN, "v=spf1 -all").exchange(DOMAIN, "mx.verdicts.example");
        sender.is_stopped("nobody sends");
        sender.dns.forget(DOMAIN).text(DOMAIN, "v=spf1 ip4:198.51.100.7 ~all").exchange(DOMAIN, "mx.verdicts.example");
        sender.is_sent();
    }

    async fn the_clock_publishes_once_a_fault_is_mended(test_db) {
        let (dns, relay) = (NameServer::start().await, SmtpSink::start(Script::accept_all()).await);
        dns.text(DOMAIN, "v=spf1 -all");
        let (resolver, url) = (dns.address().parse().into_iter().collect(), relay.url());
        let test_app = TestApp::open_with(test_db, |settings| {
            settings.mail.transport = url.into();
            settings.mail.resolver = resolver;
            settings.site.base_url = "https://verdicts.example".parse().expect("an address");
        })
        .await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 2).await;
        test_app.set_clock("2026-11-24T08:00:00Z");
        test_app.app.tick().await.expect("a tick");
        test_app.set_clock("2026-11-24T09:00:00Z");
        for _ in 0..3 {
            test_app.app.tick().await.expect("a tick");
            let digest = test_app.app.storage.digest(test_app.slot()).await.expect("an answer").expect("a digest");
            assert_eq!(digest.state, DigestState::Approved);
            test_app.wait(TimeDelta::minutes(1));
        }
        dns.forget(DOMAIN).text(DOMAIN, "v=spf1 ip4:198.51.100.7 -all").exchange(DOMAIN, "mx.verdicts.example");
        test_app.app.tick().await.expect("a tick");
        let digest = test_app.app.storage.digest(test_app.slot()).await.expect("an answer").expect("a digest");
        assert_eq!((digest.state, digest.recipients), (DigestState::Sending, 2));
    }
}

/// What is logged.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("whole").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// On one thread, which is the one that is listened to.
#[tokio::test]
async fn the_clock_says_each_reason_once() {
    let dns = NameServer::start().await;
    dns.text(DOMAIN, "v=spf1 -all")
        .exchange(DOMAIN, "mx.verdicts.example");
    let resolver = dns.address().parse().into_iter().collect();
    let test_app = TestApp::open_with(TestDb::sqlite(), |settings| {
        settings.mail.transport = "smtp://127.0.0.1:1?tls=none".into();
        settings.mail.resolver = resolver;
        settings.site.base_url = "https://verdicts.example".parse().expect("an address");
    })
    .await;
    test_app.stock_small().await;
    test_app.seed_subscribers("reader", 2).await;
    test_app.set_clock("2026-11-24T09:00:00Z");
    let heard = Heard::default();
    let writer = heard.clone();
    let _guard = tracing::subscriber::set_default(
        tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .finish(),
    );
    let said = async |times: usize| {
        for _ in 0..times {
            test_app.app.tick().await.expect("a tick");
        }
        let text =
            String::from_utf8(std::mem::take(&mut *heard.0.lock().expect("whole"))).expect("text");
        text.lines()
            .filter(|line| line.contains("not published"))
            .map(String::from)
            .collect::<Vec<_>>()
    };
    let first = said(3).await;
    assert!(
        first.len() == 1 && first[0].contains("nobody sends"),
        "{first:?}"
    );
    dns.forget(DOMAIN)
        .text(DOMAIN, "v=spf1 ip4:198.51.100.7 -all");
    let second = said(3).await;
    assert!(
        second.len() == 1 && second[0].contains("return_path"),
        "{second:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_dmarc_a_long_list_is_not_sent_to() {
    let sender = Sender::ready(TestDb::sqlite()).await;
    sender.dns.forget("_dmarc.verdicts.example");
    let rows: String = (0..5_000)
        .map(|n| format!("reader{n}@example.org\n"))
        .collect();
    sender.program.write("more.csv", format!("email\n{rows}"));
    sender
        .program
        .run(&[
            "subscribers",
            "import",
            "more.csv",
            "--consent",
            "x",
            "--confirmed",
        ])
        .good();
    sender.doctor_says("dmarc", "fault", &["5001 readers", "v=DMARC1"]);
    sender.is_stopped("_dmarc.verdicts.example");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_are_not_https_stop_a_send_and_trying_out_is_never_stopped() {
    let sender = Sender::ready(TestDb::sqlite())
        .await
        .with("VERDICTS_SITE__BASE_URL", "http://verdicts.example");
    sender.is_stopped("not https");
    let sender = Sender::ready(TestDb::sqlite())
        .await
        .with("VERDICTS_SITE__BASE_URL", "http://127.0.0.1:8080");
    sender.dns.forget(DOMAIN);
    sender.is_sent();
}
