//! Relays and limits for domains.

use super::loaded;
use super::refusal;

const TWO_RELAYS: &str = "[mail]
connections = 7
rate_per_second = 50
per_day = 1000
[mail.warm_up]
start = 20
[[mail.relays]]
name = \"first\"
transport = \"smtp://user:hunter2@one.example\"
weight = 3
[[mail.relays]]
name = \"second\"
transport = \"smtps://user:hunter3@two.example?tls_ca=ca.pem&token=hunter4\"
connections = 2
per_day = 0
warm_up = { start = 5, growth = 2 }
";

#[test]
fn without_relays_there_is_one_made_of_the_mail_settings() {
    let environment = [
        ("VERDICTS_MAIL__PER_DAY", "900"),
        ("VERDICTS_MAIL__WARM_UP__START", "50"),
        ("VERDICTS_MAIL__WARM_UP__GROWTH", "2"),
    ];
    let mail = loaded(
        "mail.transport = \"smtp://mx.example\"\nmail.connections = 4\n",
        &environment,
    )
    .expect("good")
    .settings
    .mail;
    let relays = mail.relays_in_force();
    let only = &relays[0];
    assert_eq!(
        (
            relays.len(),
            only.name.as_str(),
            only.transport.expose(),
            only.weight
        ),
        (1, "default", "smtp://mx.example", 1)
    );
    assert_eq!(
        (only.connections, only.rate_per_second, only.per_day),
        (4, 0, 900)
    );
    assert_eq!(
        (only.warm_up.start, only.warm_up.growth, only.warm_up.days),
        (50, 2.0, 30)
    );
}

#[test]
fn what_a_relay_leaves_out_is_as_in_the_mail_settings() {
    let relays = loaded(TWO_RELAYS, &[])
        .expect("good")
        .settings
        .mail
        .relays_in_force();
    let limits = |at: usize| {
        (
            relays[at].weight,
            relays[at].connections,
            relays[at].rate_per_second,
            relays[at].per_day,
        )
    };
    assert_eq!(
        (relays[0].name.as_str(), limits(0)),
        ("first", (3, 7, 50, 1000))
    );
    assert_eq!(
        (relays[1].name.as_str(), limits(1)),
        ("second", (1, 2, 50, 0))
    );
    assert_eq!(
        (
            relays[0].warm_up.start,
            relays[1].warm_up.start,
            relays[1].warm_up.growth
        ),
        (20, 5, 2.0)
    );
    let variable = (
        "VERDICTS_MAIL__RELAYS",
        "[{ name = \"only\", transport = \"smtp://three.example\" }]",
    );
    let relays = loaded(TWO_RELAYS, &[variable])
        .expect("good")
        .settings
        .mail
        .relays_in_force();
    assert_eq!(
        (relays.len(), relays[0].name.as_str(), relays[0].connections),
        (1, "only", 7)
    );
}

#[test]
fn relays_are_shown_without_their_secrets() {
    let shown = loaded(TWO_RELAYS, &[]).expect("good").shown();
    let relays = &shown
        .iter()
        .find(|shown| shown.key == "mail.relays")
        .expect("shown")
        .value;
    assert_eq!(
        relays[0],
        serde_json::json!({ "name": "first", "transport": "smtp://***:***@one.example", "weight": 3 })
    );
    let text = relays.to_string();
    assert!(
        !text.contains("hunter") && text.contains("tls_ca=ca.pem"),
        "{text}"
    );
}

#[test]
fn a_domain_limit_names_one_domain_or_several() {
    let file = "mail.per_domain = [{ domain = [\"Gmail.com\", \"googlemail.com\"], connections = 5 }, { domain = \"*\", rate_per_second = 2 }]";
    let limits = loaded(file, &[])
        .expect("good")
        .settings
        .mail
        .domain_limits();
    let of = |domain: &'static str| {
        limits
            .of(domain)
            .map(|(name, limit)| (name.into_owned(), limit.connections, limit.rate_per_second))
    };
    assert_eq!(of("googlemail.COM"), Some(("gmail.com".into(), 5, 0)));
    assert_eq!(of("example.org"), Some(("example.org".into(), 0, 2)));
}

#[test]
fn a_faulty_relay_or_limit_is_named() {
    let relay = |keys: &str| {
        refusal(
            &format!("[[mail.relays]]\nname = \"a\"\ntransport = \"smtp://x\"\n{keys}\n"),
            &[],
        )
    };
    assert!(relay("weight = 0").contains("mail.relays (a): weight"));
    assert!(relay("connections = 900").contains("mail.relays (a): connections"));
    assert!(relay("warm_up = { growth = 0.5 }").contains("mail.relays (a): warm_up.growth"));
    assert!(
        relay("[[mail.relays]]\nname = \"a\"\ntransport = \"smtp://y\"")
            .contains("a name of its own")
    );
    assert!(relay("wieght = 2").contains("wieght"));
    assert!(refusal("mail.relays = [{ name = \"a\" }]", &[]).contains("transport"));
    assert!(
        refusal(
            "mail.relays = [{ name = \"A b\", transport = \"smtp://x\" }]",
            &[]
        )
        .contains("mail.relays.name")
    );
    assert!(
        refusal("mail.per_domain = [{ domain = \"nonsense\" }]", &[])
            .contains("\"nonsense\" is not a mail domain")
    );
    assert!(refusal("", &[("VERDICTS_MAIL__WARM_UP__DAYS", "900")]).contains("mail.warm_up.days"));
}
