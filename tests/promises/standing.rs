//! `doctor` and the look before a send: what DNS says of us, asked over the wire of a small name server.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use chrono::TimeDelta;
use serde_json::Value;
use verdicts::app::Clock;
use verdicts::domain::digest::DigestState;

use crate::support::House;
use crate::support::Place;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::catalogue::small;
use crate::support::dns::NameServer;
use crate::support::on_both;
use crate::support::this_week;

pub const DOMAIN: &str = "verdicts.example";

/// A program that would really send, its name server, and its relay.
pub struct Sender {
    _place: Place,
    pub program: Program,
    pub dns: NameServer,
    pub relay: SmtpSink,
    /// Where the record of its key stands, and what it should say.
    pub record: (String, String),
}

impl Sender {
    /// One whose DNS is as it should be, with a digest to send and somebody to send it to.
    pub async fn ready(place: Place) -> Self {
        let (dns, relay) = (
            NameServer::start().await,
            SmtpSink::start(Script::accept_all()).await,
        );
        let program = Program::set_up(&place);
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
            _place: place,
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
    async fn a_sender_in_order_is_told_so_and_sends(place) {
        let sender = Sender::ready(place).await;
        let said = sender.program.run(&["--json", "doctor"]).json();
        let faults: Vec<&Value> = said["findings"].as_array().expect("a list").iter().filter(|found| found["level"] == "fault").collect();
        assert!(faults.is_empty(), "{faults:?}");
        sender.doctor_says("spf", "good", &[DOMAIN]);
        sender.doctor_says("dkim", "good", &["s1._domainkey"]);
        sender.doctor_says("dmarc", "good", &["reject"]);
        sender.doctor_says("return_path", "good", &[DOMAIN]);
        sender.doctor_says("transport", "good", &["127.0.0.1"]);
        let warned = sender.is_sent();
        assert!(!warned.contains("before sending"), "{warned}");
    }

    async fn a_fault_that_servers_punish_stops_a_send_until_it_is_mended_or_forced(place) {
        let sender = Sender::ready(place).await;
        sender.dns.forget(&sender.record.0);
        sender.is_stopped("s1._domainkey");
        sender.is_stopped("s1._domainkey");
        sender.program.run(&["digest", "send", "--to", "editor@example.org"]).good();
        assert_eq!(sender.relay.mails(), 1, "a test copy is how one looks at what is wrong");
        let forced = sender.program.run(&["--json", "digest", "send", "--force"]).good().json();
        assert_eq!((forced["state"].as_str(), sender.relay.mails()), (Some("sent"), 2));
    }

    async fn what_was_mended_is_sent(place) {
        let sender = Sender::ready(place).await;
        sender.dns.forget(DOMAIN).text(DOMAIN, "v=spf1 -all").exchange(DOMAIN, "mx.verdicts.example");
        sender.is_stopped("nobody sends");
        sender.dns.forget(DOMAIN).text(DOMAIN, "v=spf1 ip4:198.51.100.7 ~all").exchange(DOMAIN, "mx.verdicts.example");
        sender.is_sent();
    }

    async fn the_clock_publishes_once_a_fault_is_mended(place) {
        let (dns, relay) = (NameServer::start().await, SmtpSink::start(Script::accept_all()).await);
        dns.text(DOMAIN, "v=spf1 -all");
        let (resolver, url) = (dns.address().parse().into_iter().collect(), relay.url());
        let house = House::open_with(place, |settings| {
            settings.mail.transport = url;
            settings.mail.resolver = resolver;
            settings.site.base_url = "https://verdicts.example".parse().expect("an address");
        })
        .await;
        house.stock_small().await;
        house.enlist("reader", 2).await;
        house.set_clock("2026-11-24T08:00:00Z");
        house.app.tick().await.expect("a tick");
        house.set_clock("2026-11-24T09:00:00Z");
        for _ in 0..3 {
            house.app.tick().await.expect("a tick");
            let digest = house.app.storage.digest(house.slot()).await.expect("an answer").expect("a digest");
            assert_eq!(digest.state, DigestState::Approved);
            house.wait(TimeDelta::minutes(1));
        }
        dns.forget(DOMAIN).text(DOMAIN, "v=spf1 ip4:198.51.100.7 -all").exchange(DOMAIN, "mx.verdicts.example");
        house.app.tick().await.expect("a tick");
        let digest = house.app.storage.digest(house.slot()).await.expect("an answer").expect("a digest");
        assert_eq!((digest.state, digest.recipients), (DigestState::Sending, 2));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_says_of_each_record_what_is_wrong_and_how_to_mend_it() {
    let place = Place::sqlite();
    let sender = Sender::ready(place).await;
    let key = sender.record.clone();
    let with_exchange = || {
        sender
            .dns
            .forget(DOMAIN)
            .exchange(DOMAIN, "mx.verdicts.example")
    };

    for (record, level, word) in [
        ("v=spf1 -all", "fault", "nobody"),
        ("v=spf1 +all", "advice", "everybody"),
        ("v=spf1 include:nowhere.example -all", "fault", "broken"),
        (
            "v=spf1 ipv4:198.51.100.7 -all",
            "fault",
            "ipv4:198.51.100.7",
        ),
        (
            "v=spf1 a:verdicts.example/24 mx ip6:2001:db8::/32 known=unknown -all",
            "good",
            "who may send",
        ),
        ("some other text", "advice", "no SPF record"),
    ] {
        with_exchange().text(DOMAIN, record);
        sender.doctor_says("spf", level, &[DOMAIN, word]);
    }
    with_exchange()
        .text(DOMAIN, "v=spf1 mx -all")
        .text(DOMAIN, "v=spf1 -all");
    sender.doctor_says("spf", "fault", &["2 SPF records"]);
    // RFC 7208 4.6.4: ten look-ups at the most.
    let eleven: String = (0..11).map(|n| format!("include:i{n}.{DOMAIN} ")).collect();
    for n in 0..11 {
        sender
            .dns
            .text(&format!("i{n}.{DOMAIN}"), "v=spf1 ?ip4:198.51.100.8 ?all");
    }
    with_exchange().text(DOMAIN, &format!("v=spf1 {eleven}-all"));
    sender.doctor_says("spf", "fault", &["ten look-ups"]);

    let other = key.1.replacen("p=MII", "p=MIJ", 1);
    for (record, level, word) in [
        (other.as_str(), "fault", "another key"),
        ("v=DKIM1; k=rsa; p=", "fault", "takes the key back"),
        ("v=DKIM1; k=rsa", "fault", "no key"),
        (&format!("{}; t=y", key.1), "advice", "t=y"),
        (&format!("{}; h=sha1", key.1), "fault", "SHA-256"),
        (&format!("{}; s=tlsrpt", key.1), "fault", "not for mail"),
        (&format!("{}; s=tlsrpt:email", key.1), "good", "our key"),
        (
            &key.1.replace("v=DKIM1", "v=dkim1"),
            "fault",
            "v= is not DKIM1",
        ),
        (&key.1.replace("k=rsa", "k=ed25519"), "fault", "k="),
        (&key.1.replace("; ", ";\t"), "good", "our key"),
    ] {
        sender.dns.forget(&key.0).text(&key.0, record);
        sender.doctor_says("dkim", level, &["s1._domainkey", word]);
    }
    sender.dns.forget(&key.0);
    sender.doctor_says("dkim", "fault", &["no TXT record", "keys dkim", "v=DKIM1"]);

    let dmarc = format!("_dmarc.{DOMAIN}");
    sender.dns.forget(&dmarc);
    sender.doctor_says("dmarc", "advice", &["no record", "v=DMARC1"]);
    sender
        .dns
        .text(&dmarc, "v=DMARC1; p=none")
        .text(&dmarc, "v=DMARC1; p=reject");
    sender.doctor_says("dmarc", "advice", &["2 of them"]);

    sender.dns.forget(DOMAIN);
    sender.doctor_says(
        "return_path",
        "fault",
        &[DOMAIN, "neither", "mail.return_path"],
    );
    sender.dns.address_of(DOMAIN);
    sender.doctor_says("return_path", "advice", &["only an address"]);
    sender.dns.exchange(DOMAIN, "");
    sender.doctor_says("return_path", "fault", &["takes no mail"]);
    for (server, word) in [
        ("gone.verdicts.example", "has no address"),
        ("192.0.2.7", "is an address"),
        ("localhost", "is no mail server"),
    ] {
        sender.dns.forget(DOMAIN).exchange_alone(DOMAIN, server);
        sender.doctor_says("return_path", "fault", &[server, word]);
        sender.dns.exchange(DOMAIN, "mx.verdicts.example");
        sender.doctor_says("return_path", "advice", &[server, word]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spf_that_receivers_give_up_on_is_no_good_record_wherever_the_flaw_stands() {
    let sender = Sender::ready(Place::sqlite()).await;
    let dns = &sender.dns;
    let with_exchange = || dns.forget(DOMAIN).exchange(DOMAIN, "mx.verdicts.example");
    dns.text("slip.verdicts.example", "v=spf1 ip4:192.0.2.1/33 -all")
        .text(
            "loop.verdicts.example",
            "v=spf1 include:loop.verdicts.example -all",
        );
    dns.text("two.verdicts.example", "v=spf1 -all")
        .text("two.verdicts.example", "v=spf1 ?all")
        .text("good.verdicts.example", "v=spf1 ?all");
    for (record, level, word) in [
        // Terms behind one that matches everybody are read all the same (RFC 7208 4.6).
        (
            "v=spf1 ip4:198.51.100.7 -all ipv4:192.0.2.1",
            "fault",
            "ipv4:192.0.2.1",
        ),
        ("v=spf1 a:/24 -all", "fault", "a:/24"),
        (
            "v=spf1 ip4:198.51.100.7,ip4:192.0.2.1 -all",
            "fault",
            "ip4:198.51.100.7,ip4",
        ),
        (
            "v=spf1 redirect=good.verdicts.example redirect=good.verdicts.example",
            "fault",
            "stands twice",
        ),
        (
            "v=spf1 include:slip.verdicts.example -all",
            "fault",
            "slip.verdicts.example",
        ),
        (
            "v=spf1 include:two.verdicts.example -all",
            "fault",
            "2 SPF records",
        ),
        (
            "v=spf1 include:loop.verdicts.example -all",
            "fault",
            "ten look-ups",
        ),
        (
            "v=spf1 redirect=nowhere.verdicts.example",
            "fault",
            "has no SPF record",
        ),
        (
            "v=spf1 a:v1.verdicts.example a:v2.verdicts.example mx:v3.verdicts.example -all",
            "fault",
            "find nothing",
        ),
        (
            "v=spf1 a:v1.verdicts.example exists:v2.verdicts.example ip4:198.51.100.7 -all",
            "good",
            "who may send",
        ),
        (
            "v=spf1 exists:%{i}._spf.verdicts.example include:good.verdicts.example -all",
            "good",
            "who may send",
        ),
        ("V=SPF1 IP4:198.51.100.7 -ALL", "good", "who may send"),
        ("v=spf10 -all", "advice", "no SPF record"),
    ] {
        with_exchange().text(DOMAIN, record);
        sender.doctor_says("spf", level, &[DOMAIN, word]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spf_is_judged_with_the_relays_own_addresses_and_a_strangers_trouble_is_advice() {
    let sender = Sender::ready(Place::sqlite()).await;
    let with_exchange = || {
        sender
            .dns
            .forget(DOMAIN)
            .exchange(DOMAIN, "mx.verdicts.example")
    };
    let eleven: String = (0..11).map(|n| format!("include:i{n}.{DOMAIN} ")).collect();
    for n in 0..11 {
        sender
            .dns
            .text(&format!("i{n}.{DOMAIN}"), "v=spf1 ip4:203.0.113.9 ?all");
    }
    sender
        .dns
        .address_at("relay.verdicts.example", [198, 51, 100, 7])
        .text("relays.verdicts.example", "v=spf1 ip4:198.51.100.0/24 -all");
    let far = sender
        .program
        .clone()
        .with("VERDICTS_MAIL__TRANSPORT", "smtp://relay.verdicts.example");
    let sound = [
        (format!("v=spf1 ip4:198.51.100.7 {eleven}-all"), "ten look-ups"),
        ("v=spf1 include:relays.verdicts.example include:gone.verdicts.example -all".into(), "has no SPF record"),
        ("v=spf1 a:relay.verdicts.example/24 redirect=gone.verdicts.example".into(), "has no SPF record"),
        ("v=spf1 exists:%{i}._spf.verdicts.example ip4:198.51.100.7 include:gone.verdicts.example ~all".into(), "has no SPF record"),
    ];
    for (record, word) in &sound {
        with_exchange().text(DOMAIN, record);
        doctor_says(
            &far,
            "spf",
            "advice",
            &[
                "relay.verdicts.example",
                word,
                "for what other clients send",
            ],
        );
        // Of a relay on this machine the address that the world sees is not known: one of the first terms may name it.
        sender.doctor_says("spf", "advice", &[word]);
    }
    sender.is_sent();
    for (record, level, word) in [
        (
            format!("v=spf1 {eleven}ip4:198.51.100.7 -all"),
            "fault",
            "for mail from relay.verdicts.example (198.51.100.7)",
        ),
        (
            "v=spf1 include:gone.verdicts.example ip4:198.51.100.7 -all".into(),
            "fault",
            "for mail from relay.verdicts.example",
        ),
        (
            "v=spf1 -ip4:198.51.100.7 ip4:192.0.2.0/24 -all".into(),
            "advice",
            "does not name relay.verdicts.example (198.51.100.7)",
        ),
        (
            "v=spf1 include:relays.verdicts.example -all".into(),
            "good",
            "relay.verdicts.example among them",
        ),
    ] {
        with_exchange().text(DOMAIN, &record);
        doctor_says(&far, "spf", level, &[word]);
    }
    let asked = sender.dns.asked("relays.verdicts.example");
    doctor_says(&far, "spf", "good", &[]);
    assert_eq!(
        sender.dns.asked("relays.verdicts.example"),
        asked + 1,
        "once in a look, whatever the TTL"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_txt_records_decides_nothing() {
    let sender = Sender::ready(Place::sqlite()).await;
    let with_exchange = || {
        sender
            .dns
            .forget(DOMAIN)
            .exchange(DOMAIN, "mx.verdicts.example")
    };
    let other = "site-verification=4711";
    for (record, level, word) in [
        ("v=spf1 ip4:198.51.100.7 -all", "good", "who may send"),
        (
            "v=spf1 ipv4:198.51.100.7 -all",
            "fault",
            "ipv4:198.51.100.7",
        ),
        ("v=spf1; ip4:198.51.100.7 -all", "advice", "must begin with"),
    ] {
        with_exchange().text(DOMAIN, record).text(DOMAIN, other);
        sender.doctor_says("spf", level, &[word]);
        with_exchange().text(DOMAIN, other).text(DOMAIN, record);
        sender.doctor_says("spf", level, &[word]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_name_servers_are_asked_in_their_order_and_a_fault_is_heard_from_both() {
    let sender = Sender::ready(Place::sqlite()).await;
    let other = NameServer::start().await;
    other
        .text(DOMAIN, "v=spf1 -all")
        .exchange(DOMAIN, "mx.verdicts.example");
    let asking = |servers: &str| {
        sender
            .program
            .clone()
            .with("VERDICTS_MAIL__RESOLVER", servers)
    };
    let (ours, theirs) = (sender.dns.address(), other.address());
    for _ in 0..3 {
        doctor_says(
            &asking(&format!("{ours},{theirs}")),
            "spf",
            "good",
            &["who may send"],
        );
    }
    assert_eq!(
        other.asked(DOMAIN),
        0,
        "the second is for when the first is silent"
    );
    let program = asking(&format!("{theirs},{ours}"));
    doctor_says(
        &program,
        "spf",
        "advice",
        &["not say the same twice", "nobody sends", &theirs],
    );
    doctor_says(&program, "dkim", "advice", &["not say the same twice"]);
    program.run(&["digest", "send"]).good();

    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let silent = silent.local_addr().expect("an address");
    doctor_says(
        &asking(&format!("{silent},{ours}")),
        "spf",
        "good",
        &["who may send"],
    );
    doctor_says(
        &asking(&format!("{silent},{theirs}")),
        "spf",
        "fault",
        &["nobody sends", &theirs],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_a_fault_that_a_second_look_takes_back() {
    let sender = Sender::ready(Place::sqlite()).await;
    sender.dns.forgetful(&sender.record.0, 1);
    sender.doctor_says(
        "dkim",
        "advice",
        &["not say the same twice", "no TXT record", "our key"],
    );
    sender.dns.forgetful(&sender.record.0, 1);
    sender.is_sent();
    sender.dns.forgetful(&sender.record.0, u64::MAX);
    sender.doctor_says(
        "dkim",
        "fault",
        &[
            "no TXT record",
            &sender.dns.address(),
            "remember for 900 seconds",
        ],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dns_that_is_slow_makes_no_fault() {
    let sender = Sender::ready(Place::sqlite()).await;
    let ten: String = (0..10).map(|n| format!("include:i{n}.{DOMAIN} ")).collect();
    for n in 0..10 {
        sender.dns.text(&format!("i{n}.{DOMAIN}"), "v=spf1 ?all");
    }
    sender
        .dns
        .forget(DOMAIN)
        .exchange(DOMAIN, "mx.verdicts.example")
        .text(DOMAIN, &format!("v=spf1 {ten}-all"));
    // The whole look has four seconds.
    sender.dns.slow(700);
    sender.doctor_says("spf", "advice", &["was answered"]);
    sender.dns.slow(2_400);
    for what in ["spf", "dkim", "dmarc", "return_path"] {
        sender.doctor_says(what, "advice", &["could not be looked at"]);
    }
    sender.is_sent();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_whose_selector_has_an_underscore_is_looked_at() {
    let sender = Sender::ready(Place::sqlite()).await;
    let made = sender
        .program
        .run(&[
            "--json",
            "keys",
            "dkim",
            "--out",
            "other.pem",
            "--domain",
            DOMAIN,
            "--selector",
            "s_1",
        ])
        .good()
        .json();
    let text = |key: &str| made[key].as_str().expect("a text").to_owned();
    let sender = sender.with(
        "VERDICTS_MAIL__DKIM",
        &format!("[{{ domain = \"{DOMAIN}\", selector = \"s_1\", key_file = \"other.pem\" }}]"),
    );
    sender.doctor_says("dkim", "fault", &["s_1._domainkey", "no TXT record"]);
    sender.dns.text(&text("name"), &text("value"));
    sender.doctor_says("dkim", "good", &["s_1._domainkey", "our key"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dmarc_record_by_either_rule_counts_and_the_words_say_which() {
    let sender = Sender::ready(Place::sqlite())
        .await
        .with("VERDICTS_MAIL__FROM", "news@a.b.verdicts.example");
    sender.dns.forget("_dmarc.verdicts.example").text(
        "_dmarc.b.verdicts.example",
        "v=DMARC1; p=reject; sp=quarantine",
    );
    sender.doctor_says(
        "dmarc",
        "good",
        &["b.verdicts.example asks for quarantine", "RFC 9989"],
    );
    sender
        .dns
        .forget("_dmarc.b.verdicts.example")
        .text("_dmarc.b.verdicts.example", "v=DMARC1; p=reject; np=none");
    sender.doctor_says("dmarc", "good", &["b.verdicts.example asks for none"]);
    sender.dns.address_of("a.b.verdicts.example");
    sender.doctor_says("dmarc", "good", &["b.verdicts.example asks for reject"]);
    sender
        .dns
        .forget("_dmarc.b.verdicts.example")
        .text("_dmarc.verdicts.example", "v=DMARC1; p=reject");
    let (level, words) = finding(&sender.program, "dmarc");
    assert!(
        level == "good"
            && words.contains("verdicts.example asks for reject")
            && !words.contains("RFC 9989"),
        "{words}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dmarc_is_read_as_receivers_read_it_and_names_have_no_case() {
    let sender = Sender::ready(Place::sqlite()).await;
    let dmarc = format!("_dmarc.{DOMAIN}");
    for (record, level, word) in [
        ("v=DMARC1; p=Reject", "good", "asks for reject"),
        ("v = DMARC1 ; p = quarantine", "good", "asks for quarantine"),
        (
            "v=DMARC1; p=block; rua=mailto:d@verdicts.example",
            "good",
            "asks for none",
        ),
        ("v=DMARC1; p=block", "advice", "does not count"),
        ("v=DMARC1; p=reject; t=y", "advice", "tried out"),
        ("v=dmarc1; p=reject", "advice", "no record"),
    ] {
        sender.dns.forget(&dmarc).text(&dmarc, record);
        sender.doctor_says("dmarc", level, &[word]);
    }
    sender.dns.forget(&dmarc).text(&dmarc, "v=DMARC1; p=reject");
    let sender = sender.with("VERDICTS_MAIL__FROM", "News <news@Weekly.VERDICTS.Example>");
    sender.doctor_says("dmarc", "good", &["verdicts.example asks for reject"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alignment_is_judged_strictly_and_relaxed() {
    let place = Place::sqlite();
    let sender = Sender::ready(place)
        .await
        .with("VERDICTS_MAIL__FROM", "news@weekly.verdicts.example");
    let relaxed = finding(&sender.program, "dmarc");
    assert!(
        relaxed.0 == "good" && relaxed.1.contains("verdicts.example asks for reject"),
        "{relaxed:?}"
    );
    let dmarc = "_dmarc.verdicts.example";
    sender
        .dns
        .forget(dmarc)
        .text(dmarc, "v=DMARC1; p=none; sp=quarantine; adkim=s");
    sender.doctor_says("dmarc", "advice", &["quarantine", "only the return path"]);
    let sender = sender.with("VERDICTS_MAIL__RETURN_PATH", "bounces@verdicts.example");
    sender
        .dns
        .forget(dmarc)
        .text(dmarc, "v=DMARC1; p=none; adkim=s; aspf=s");
    sender.doctor_says("dmarc", "fault", &["neither", "weekly.verdicts.example"]);
    let sender = sender.with("VERDICTS_MAIL__DKIM", "[]");
    sender.doctor_says("dmarc", "advice", &["your relay signs"]);
    sender.doctor_says("dkim", "advice", &["keys dkim"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dns_that_is_not_there_or_cut_off_is_a_warning_and_quick() {
    let place = Place::sqlite();
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let silent = silent.local_addr().expect("an address").to_string();
    let sender = Sender::ready(place)
        .await
        .with("VERDICTS_MAIL__RESOLVER", &silent);
    let began = Instant::now();
    for what in ["spf", "dkim", "dmarc", "return_path"] {
        sender.doctor_says(what, "advice", &["could not be looked at"]);
    }
    assert!(
        began.elapsed() < Duration::from_secs(60),
        "four looks, each within its patience: {:?}",
        began.elapsed()
    );
    let warned = sender.is_sent();
    assert!(
        warned.contains("before sending") && warned.contains("could not be looked at"),
        "{warned}"
    );

    let sender = Sender::ready(Place::sqlite()).await;
    sender
        .dns
        .forget("example")
        .forget(DOMAIN)
        .forget(&sender.record.0)
        .forget(&format!("_dmarc.{DOMAIN}"));
    sender.doctor_says("spf", "advice", &["do not even know of .example"]);
    sender.is_sent();
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
    let house = House::open_with(Place::sqlite(), |settings| {
        settings.mail.transport = "smtp://127.0.0.1:1?tls=none".into();
        settings.mail.resolver = resolver;
        settings.site.base_url = "https://verdicts.example".parse().expect("an address");
    })
    .await;
    house.stock_small().await;
    house.enlist("reader", 2).await;
    house.set_clock("2026-11-24T09:00:00Z");
    let heard = Heard::default();
    let writer = heard.clone();
    let _guard = tracing::subscriber::set_default(
        tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .finish(),
    );
    let said = async |times: usize| {
        for _ in 0..times {
            house.app.tick().await.expect("a tick");
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
    let sender = Sender::ready(Place::sqlite()).await;
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
    let sender = Sender::ready(Place::sqlite())
        .await
        .with("VERDICTS_SITE__BASE_URL", "http://verdicts.example");
    sender.is_stopped("not https");
    let sender = Sender::ready(Place::sqlite())
        .await
        .with("VERDICTS_SITE__BASE_URL", "http://127.0.0.1:8080");
    sender.dns.forget(DOMAIN);
    sender.is_sent();
}
