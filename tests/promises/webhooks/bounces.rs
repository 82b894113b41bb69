//! A bounce, told by each provider: it ends a subscription once, and a spoiled signature does nothing.

use chrono::TimeDelta;
use serde_json::Value;
use verdicts::domain::actor::Actor;
use verdicts::domain::subscriber::SubscriberState;

use super::READER;
use super::Signed;
use super::World;
use super::newer;
use crate::support::TestDb;
use crate::support::on_both;

/// Where a request carries its proof: what a test takes from it or changes in it.
fn spoil(provider: &str, signed: &Signed, how: impl Fn(&str) -> String) -> Signed {
    let mut spoilt = signed.clone();
    let header = match provider {
        _ if newer::proof_field(provider).is_some() => {
            newer::proof_field(provider).unwrap_or_default()
        }
        "postmark" => "authorization",
        "sendgrid" => "x-twilio-email-event-webhook-signature",
        "resend" => "svix-signature",
        "signed" => "x-verdicts-signature",
        _ => {
            let mut body: Value = serde_json::from_str(&signed.body).expect("JSON");
            let test_db = if provider == "ses" {
                &mut body["Signature"]
            } else {
                &mut body["signature"]["signature"]
            };
            *test_db = how(test_db.as_str().expect("a signature")).into();
            spoilt.body = body.to_string();
            return spoilt;
        }
    };
    for (_, value) in spoilt
        .headers
        .iter_mut()
        .filter(|(name, _)| *name == header)
    {
        *value = how(value);
    }
    spoilt
}

/// True of a provider that presents a secret and signs nothing.
fn is_presented(provider: &str) -> bool {
    let presented = [
        "postmark",
        "brevo",
        "mailjet",
        "sparkpost",
        "azure",
        "kumomta",
    ];
    presented.contains(&provider)
}

/// True of a provider that signs the body and no time.
fn is_undated(provider: &str) -> bool {
    ["mailersend", "postal", "forwardemail"].contains(&provider)
}

/// Another last letter that counts.
fn altered(text: &str) -> String {
    let at = text.trim_end_matches('=').len() - 3;
    let other = if &text[at..=at] == "a" { "b" } else { "a" };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

async fn a_bounce_by(provider: &str, test_db: TestDb) {
    let world = World::new(test_db).await;
    let bounce = world.bounce(provider, READER, "event-1");
    let untouched = world.test_app.test_db.dump().await;
    let without = Signed {
        headers: vec![("content-type", "application/json".into())],
        body: bounce.body.clone(),
    };
    let spoilt = [
        ("altered", spoil(provider, &bounce, altered)),
        (
            "cut off",
            spoil(provider, &bounce, |text| text[..text.len() / 2].to_owned()),
        ),
        ("empty", spoil(provider, &bounce, |_| String::new())),
        (
            "lengthened",
            spoil(provider, &bounce, |text| format!("{text}00")),
        ),
    ];
    for (what, spoilt) in &spoilt {
        assert_eq!(
            world.post(provider, spoilt).await,
            401,
            "{provider}: {what}"
        );
    }
    if !matches!(provider, "ses" | "mailgun") {
        assert_eq!(
            world.post(provider, &without).await,
            401,
            "{provider}: no signature at all"
        );
    }
    if !is_presented(provider) && provider != "mailgun" {
        let other = Signed {
            body: bounce.body.replace("reader0", "reader1"),
            ..bounce.clone()
        };
        assert_eq!(
            world.post(provider, &other).await,
            401,
            "{provider}: another body"
        );
    }
    let half = Signed {
        body: bounce.body[..bounce.body.len() / 2].to_owned(),
        ..bounce.clone()
    };
    assert_eq!(
        world.post(provider, &half).await,
        if is_presented(provider) { 204 } else { 401 },
        "{provider}: half a body"
    );
    assert_eq!(
        world.test_app.test_db.dump().await,
        untouched,
        "{provider}: nothing is kept of what is not proven"
    );

    assert_eq!(world.post(provider, &bounce).await, 200, "{provider}");
    assert_eq!(
        world.state().await,
        Some(SubscriberState::Active),
        "kept before it is acted on"
    );
    world.act().await;
    let record = world.test_app.record_of(READER).await;
    assert!(
        record.contains("state: Bounced") && record.contains("550 5.1.1 no such user"),
        "{provider}: {record}"
    );
    assert_eq!(
        world.test_app.state_of("reader1@example.org").await,
        Some(SubscriberState::Active)
    );

    let acted = world.test_app.test_db.dump().await;
    assert!(
        !acted
            .iter()
            .any(|row| row.starts_with("webhook_events") && row.contains(READER)),
        "what it said is forgotten"
    );
    assert_eq!(
        world.post(provider, &bounce).await,
        200,
        "{provider}: sent again"
    );
    world.act().await;
    assert_eq!(
        world.test_app.test_db.dump().await,
        acted,
        "{provider}: sent again, it changes nothing"
    );

    // The same event in another request: the reader came back in between, and is not bounced again.
    world
        .test_app
        .app
        .lift_suppression(
            &Actor::cli(),
            &READER.parse().expect("an address"),
            "a new mailbox",
        )
        .await
        .expect("lifted");
    world.test_app.join(READER).await;
    let again = Signed {
        body: bounce.body.replace("\"Tag\"", "\"Other\""),
        ..world.bounce(provider, READER, "event-1")
    };
    let again = if provider == "ses" || provider == "mailgun" {
        world.bounce_again(provider)
    } else {
        again
    };
    world.post(provider, &again).await;
    world.act().await;
    assert_eq!(
        world.state().await,
        Some(SubscriberState::Active),
        "{provider}: an event acts once"
    );

    let stale = world.bounce(provider, READER, "event-number-2");
    world.test_app.wait(TimeDelta::hours(26));
    let is_undated = is_presented(provider) || is_undated(provider);
    let expected = if is_undated { 200 } else { 401 };
    assert_eq!(
        world.post(provider, &stale).await,
        expected,
        "{provider}: signed long ago"
    );
    world.test_app.wait(TimeDelta::hours(-52));
    let early = world.bounce(provider, READER, "event-the-third");
    world.test_app.wait(TimeDelta::hours(-1));
    assert_eq!(
        world.post(provider, &early).await,
        expected,
        "{provider}: signed in the future"
    );
}

impl World {
    /// The first event, in a request of another name.
    fn bounce_again(&self, provider: &str) -> Signed {
        let first = self.bounce(provider, READER, "event-1");
        let body: Value = serde_json::from_str(&first.body).expect("JSON");
        match provider {
            "ses" => self.sign(
                provider,
                &serde_json::from_str(body["Message"].as_str().expect("a message")).expect("JSON"),
                "request-2",
            ),
            _ => self.sign(provider, &body, "request-2"),
        }
    }
}

on_both! {
    async fn a_bounce_told_by_ses_ends_a_subscription_once(test_db) {
        a_bounce_by("ses", test_db).await;
    }

    async fn a_bounce_told_by_postmark_ends_a_subscription_once(test_db) {
        a_bounce_by("postmark", test_db).await;
    }

    async fn a_bounce_told_by_sendgrid_ends_a_subscription_once(test_db) {
        a_bounce_by("sendgrid", test_db).await;
    }

    async fn a_bounce_told_by_mailgun_ends_a_subscription_once(test_db) {
        a_bounce_by("mailgun", test_db).await;
    }

    async fn a_bounce_told_by_resend_ends_a_subscription_once(test_db) {
        a_bounce_by("resend", test_db).await;
    }

    async fn a_bounce_told_by_brevo_ends_a_subscription_once(test_db) {
        a_bounce_by("brevo", test_db).await;
    }

    async fn a_bounce_told_by_mailjet_ends_a_subscription_once(test_db) {
        a_bounce_by("mailjet", test_db).await;
    }

    async fn a_bounce_told_by_sparkpost_ends_a_subscription_once(test_db) {
        a_bounce_by("sparkpost", test_db).await;
    }

    async fn a_bounce_told_by_mailersend_ends_a_subscription_once(test_db) {
        a_bounce_by("mailersend", test_db).await;
    }

    async fn a_bounce_told_by_azure_ends_a_subscription_once(test_db) {
        a_bounce_by("azure", test_db).await;
    }

    async fn a_bounce_told_by_postal_ends_a_subscription_once(test_db) {
        a_bounce_by("postal", test_db).await;
    }

    async fn a_bounce_told_by_kumomta_ends_a_subscription_once(test_db) {
        a_bounce_by("kumomta", test_db).await;
    }

    async fn a_bounce_told_by_forwardemail_ends_a_subscription_once(test_db) {
        a_bounce_by("forwardemail", test_db).await;
    }

    async fn a_bounce_told_by_ones_own_script_ends_a_subscription_once(test_db) {
        a_bounce_by("signed", test_db).await;
    }
}
