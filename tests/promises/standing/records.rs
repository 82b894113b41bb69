//! SPF, DKIM and DMARC: what `doctor` says of each record.

use super::DOMAIN;
use super::Sender;
use super::doctor_says;
use super::finding;
use crate::support::TestDb;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_says_of_each_record_what_is_wrong_and_how_to_mend_it() {
    let test_db = TestDb::sqlite();
    let sender = Sender::ready(test_db).await;
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
    let sender = Sender::ready(TestDb::sqlite()).await;
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
    let sender = Sender::ready(TestDb::sqlite()).await;
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
async fn a_key_whose_selector_has_an_underscore_is_looked_at() {
    let sender = Sender::ready(TestDb::sqlite()).await;
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
    let sender = Sender::ready(TestDb::sqlite())
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
    let sender = Sender::ready(TestDb::sqlite()).await;
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
    let test_db = TestDb::sqlite();
    let sender = Sender::ready(test_db)
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
