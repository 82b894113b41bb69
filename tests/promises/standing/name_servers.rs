//! Name servers that answer late, differently or not at all.

use std::time::Duration;
use std::time::Instant;

use super::DOMAIN;
use super::Sender;
use super::doctor_says;
use crate::support::TestDb;
use crate::support::dns::NameServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_txt_records_decides_nothing() {
    let sender = Sender::ready(TestDb::sqlite()).await;
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
    let sender = Sender::ready(TestDb::sqlite()).await;
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
    let sender = Sender::ready(TestDb::sqlite()).await;
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
    let sender = Sender::ready(TestDb::sqlite()).await;
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
async fn dns_that_is_not_there_or_cut_off_is_a_warning_and_quick() {
    let test_db = TestDb::sqlite();
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let silent = silent.local_addr().expect("an address").to_string();
    let sender = Sender::ready(test_db)
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

    let sender = Sender::ready(TestDb::sqlite()).await;
    sender
        .dns
        .forget("example")
        .forget(DOMAIN)
        .forget(&sender.record.0)
        .forget(&format!("_dmarc.{DOMAIN}"));
    sender.doctor_says("spf", "advice", &["do not even know of .example"]);
    sender.is_sent();
}
