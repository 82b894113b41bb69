//! The relays are tried before a send, as `doctor` does it: connection, TLS, login, and whether SPF names them.

use chrono::TimeDelta;
use verdicts::domain::digest::DigestState;

use crate::standing::DOMAIN;
use crate::standing::Sender;
use crate::standing::doctor_says;
use crate::standing::finding;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::dns::NameServer;
use crate::support::on_both;
use crate::support::smtp_sink::Stage;
use crate::support::this_week;

/// This machine by an address that does not tell so: what is judged by a relay's place is judged as of one far away.
fn from_afar(url: &str) -> String {
    url.replace("127.0.0.1", "0.0.0.0")
}

on_both! {
    async fn doctor_tries_tls_and_login_of_the_relay(test_db) {
    let sender = Sender::ready(test_db).await;
    let relay = SmtpSink::start(Script::accept_all().offers_starttls().requires_login("news", "hunter2")).await;
    let through = |url: &str| sender.program.clone().with("VERDICTS_MAIL__TRANSPORT", url);
    doctor_says(&through(&relay.url_as("news", "hunter2")), "transport", "fault", &["certificate"]);
    let trusted = format!("{}&tls_ca=ca.pem", relay.url_as("news", "hunter2"));
    let certificate = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, relay.certificate().expect("a certificate"));
    sender.program.write("ca.pem", format!("-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n"));
    doctor_says(&through(&trusted), "transport", "good", &["STARTTLS, verified"]);
    doctor_says(&through(&trusted.replace("hunter2", "wrong")), "transport", "fault", &["535"]);
    doctor_says(&through(&sender.relay.url().replace("tls=none", "tls=required")), "transport", "fault", &["STARTTLS"]);
}

    async fn a_login_that_is_refused_stops_a_send_until_it_is_mended_or_forced(test_db) {
        let relay = SmtpSink::start(Script::accept_all().requires_login("news", "hunter2")).await;
        let sender = Sender::ready(test_db).await.with("VERDICTS_MAIL__TRANSPORT", &relay.url_as("news", "wrong"));
        sender.is_stopped("refused our login: 535");
        let forced = sender.program.run(&["--json", "digest", "send", "--force"]);
        assert_eq!((forced.code, forced.json()["state"].as_str(), relay.mails()), (1, Some("sending"), 0), "{forced:?}");
        let sender = sender.with("VERDICTS_MAIL__TRANSPORT", &relay.url_as("news", "hunter2"));
        let sent = sender.program.run(&["--json", "digest", "send"]).good().json();
        assert_eq!((sent["state"].as_str(), relay.mails()), (Some("sent"), 1));
    }

    async fn tls_that_is_demanded_and_not_to_be_had_stops_a_send(test_db) {
        let untrusted = SmtpSink::start(Script::accept_all().offers_starttls()).await;
        let refusing = SmtpSink::start(Script::accept_all().at_greeting("554 5.7.1 not from there")).await;
        let sender = Sender::ready(test_db).await.with("VERDICTS_MAIL__TRANSPORT", &untrusted.url());
        sender.is_stopped("certificate is not trusted");
        let sender = sender.with("VERDICTS_MAIL__TRANSPORT", &refusing.url());
        sender.is_stopped("refused us: 554");
        let without = sender.relay.url().replace("tls=none", "tls=required");
        let sender = sender.with("VERDICTS_MAIL__TRANSPORT", &without);
        sender.is_stopped("offers no STARTTLS");
    }

    async fn a_relay_that_is_down_or_busy_warns_and_stops_nothing(test_db) {
        let mut sender = Sender::ready(test_db).await;
        let busy = SmtpSink::start(Script::accept_all().at_greeting("421 4.3.2 starting")).await;
        let through = |relay: &SmtpSink| sender.program.clone().with("VERDICTS_MAIL__TRANSPORT", &relay.url());
        doctor_says(&through(&busy), "transport", "fault", &["421 4.3.2 starting"]);
        let port = sender.relay.port();
        sender.relay.stop().await;
        sender.doctor_says("transport", "fault", &["cannot reach"]);
        let said = sender.program.run(&["--json", "digest", "send"]);
        assert!(said.json()["state"] == "sending" && said.err.contains("before sending: transport: cannot reach"), "{said:?}");
        sender.relay = SmtpSink::start_on(port, Script::accept_all()).await;
        sender.is_sent();
    }

    async fn as_long_as_one_relay_is_left_mail_goes_that_way(test_db) {
        let strict = SmtpSink::start(Script::accept_all().requires_login("news", "hunter2")).await;
        let sender = Sender::ready(test_db).await;
        let relays = |first: &str, second: &str| format!("[{{ name = \"a\", transport = \"{first}\" }}, {{ name = \"b\", transport = \"{second}\" }}]");
        let wrong = strict.url_as("news", "wrong");
        let sender = sender.with("VERDICTS_MAIL__RELAYS", &relays(&wrong, &wrong));
        sender.is_stopped("535");
        let good = sender.relay.url();
        let sender = sender.with("VERDICTS_MAIL__RELAYS", &relays(&wrong, &good));
        let warned = sender.is_sent();
        assert!(warned.contains("before sending: transport") && warned.contains("535"), "{warned}");
    }

    async fn a_paused_digest_is_looked_at_again_before_it_goes_on(test_db) {
        let (mut sender, week) = (Sender::ready(test_db).await, this_week());
        let port = sender.relay.port();
        sender.relay.stop().await;
        sender.program.run(&["digest", "send"]);
        sender.program.run(&["digest", "pause", &week]).good();
        sender.relay = SmtpSink::start_on(port, Script::accept_all()).await;
        sender.dns.forget(&sender.record.0);
        sender.program.run(&["digest", "resume", &week]).refused(&["stays paused", "s1._domainkey", &format!("digest resume {week} --force")]);
        let shown = sender.program.run(&["--json", "digest", "show", &week]).good().json();
        assert_eq!(shown["state"], "paused");
        let forced = sender.program.run(&["--json", "digest", "resume", &week, "--force"]).good().json();
        assert_eq!(forced["state"], "sending");
        sender.is_sent();
    }

    async fn the_clock_does_not_try_a_login_that_was_refused_each_minute(test_db) {
        let relay = SmtpSink::start(Script::accept_all().requires_login("news", "hunter2").at_login("535 5.7.8 no")).await;
        let dns = NameServer::start().await;
        dns.text(DOMAIN, "v=spf1 ip4:198.51.100.7 -all").exchange(DOMAIN, "mx.verdicts.example");
        let (resolver, url) = (dns.address().parse().into_iter().collect(), relay.url_as("news", "hunter2"));
        let test_app = TestApp::open_with(test_db, |settings| {
            settings.mail.transport = url.into();
            settings.mail.resolver = resolver;
            settings.site.base_url = "https://verdicts.example".parse().expect("an address");
        })
        .await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 2).await;
        test_app.set_clock("2026-11-24T09:00:00Z");
        let state = async || test_app.app.storage.digest(test_app.slot()).await.expect("an answer").expect("a digest").state;
        for _ in 0..5 {
            test_app.app.tick().await.expect("a tick");
            test_app.wait(TimeDelta::minutes(1));
        }
        assert_eq!((state().await, relay.connections()), (DigestState::Approved, 1));
        relay.order(Stage::Login, "*", "235 2.7.0 welcome");
        test_app.wait(TimeDelta::minutes(10));
        test_app.app.tick().await.expect("a tick");
        assert_eq!((state().await, relay.connections()), (DigestState::Sending, 2));
    }

    async fn doctor_says_whether_spf_names_the_relay(test_db) {
        let sender = Sender::ready(test_db).await;
        // An address of its own network is not what the world sees.
        assert!(!finding(&sender.program, "spf").1.contains("127.0.0.1"));
        let sender = sender.with("VERDICTS_MAIL__TRANSPORT", "smtp://relay.verdicts.example:1");
        sender.dns.address_of("relay.verdicts.example");
        sender.doctor_says("spf", "advice", &["relay.verdicts.example (192.0.2.7)", "ip4:192.0.2.7", "include"]);
        for names_it in ["v=spf1 ip4:192.0.2.0/24 -all", "v=spf1 a:relay.verdicts.example ~all", "v=spf1 include:_spf.verdicts.example -all"] {
            sender.dns.forget(DOMAIN).text(DOMAIN, names_it).exchange(DOMAIN, "mx.verdicts.example");
            sender.dns.forget("_spf.verdicts.example").text("_spf.verdicts.example", "v=spf1 ip4:192.0.2.7 -all");
            sender.doctor_says("spf", "good", &["relay.verdicts.example among them"]);
        }
        sender.dns.forget(DOMAIN).text(DOMAIN, "v=spf1 ip4:198.51.100.7 ~all").exchange(DOMAIN, "mx.verdicts.example");
        sender.doctor_says("spf", "advice", &["does not name relay.verdicts.example"]);
        sender.dns.forget("relay.verdicts.example");
        sender.doctor_says("spf", "good", &["see that your relay is among them"]);
        // Nobody can know through whom a relay hands on, so this stops nothing.
        let far = from_afar(&sender.relay.url());
        let sender = sender.with("VERDICTS_MAIL__TRANSPORT", &far);
        let warned = sender.is_sent();
        assert!(warned.contains("before sending: spf: the record of verdicts.example does not name 0.0.0.0"), "{warned}");
    }

    async fn doctor_says_when_mails_may_be_read_on_their_way_to_the_relay(test_db) {
        let sender = Sender::ready(test_db).await;
        let with_tls = SmtpSink::start(Script::accept_all().offers_starttls()).await;
        let opportunistic = with_tls.url().replace("tls=required", "tls=opportunistic");
        let through = |url: &str| sender.program.clone().with("VERDICTS_MAIL__TRANSPORT", url);
        for url in [&from_afar(&opportunistic), &from_afar(&opportunistic).replace("opportunistic", "none")] {
            doctor_says(&through(url), "transport", "good", &["0.0.0.0"]);
            doctor_says(&through(url), "tls", "advice", &["may be read on their way", "certificate is not trusted"]);
        }
        doctor_says(&through(&from_afar(&sender.relay.url())), "tls", "advice", &["may be read on their way", "offers no STARTTLS"]);
        let says_nothing = |url: &str| {
            let said = through(url).run(&["--json", "doctor"]).json();
            assert!(said["findings"].as_array().expect("a list").iter().all(|finding| finding["what"] != "tls"), "{said}");
        };
        says_nothing(&opportunistic);
        says_nothing(&from_afar(&with_tls.url()));
    }
}
