//! Meaning of what the providers that were added later tell: a table of kinds for each, and their documentation's own examples.

use serde_json::json;

use super::super::*;
use super::said;

const ADA: &str = "ada@example.org";

#[test]
fn what_brevo_says_is_hard_only_where_it_is_certain() {
    let of = |event: &str, reason: &str| {
        let body = json!({ "event": event, "email": ADA, "id": 26_224, "message-id": "<201798300811.5787683@relay.example>", "reason": reason });
        said(Provider::Brevo, &body)
    };
    #[rustfmt::skip]
    let table = [
        ("hard_bounce", "550 5.1.1 user unknown", "hard no_mailbox 5.1.1"), ("hard_bounce", "", "hard no_mailbox"),
        ("hard_bounce", "554 5.7.1 spam", "soft policy 5.7.1"), ("invalid_email", "", "hard no_mailbox"),
        ("soft_bounce", "server is down", "soft network"), ("soft_bounce", "550 5.1.1 user unknown", "soft other 5.1.1"),
        ("blocked", "blocked : due to blacklist user", "soft blocked"),
        ("spam", "", "complaint"), ("complaint", "", "complaint"), ("unsubscribed", "", "unsubscribe"), ("unsubscribe", "", "unsubscribe"),
        ("delivered", "", "0 events"), ("deferred", "", "0 events"), ("request", "", "0 events"), ("error", "", "0 events"),
    ];
    for (event, reason, expected) in table {
        assert_eq!(of(event, reason), expected, "{event} {reason}");
    }
}

#[test]
fn what_mailjet_says_is_hard_only_where_it_is_certain() {
    let of = |event: &str, is_hard: bool, error: &str, comment: &str| {
        let body = json!([{ "event": event, "email": ADA, "Message_GUID": "1ab23cd4", "hard_bounce": is_hard, "error": error, "comment": comment }]);
        said(Provider::Mailjet, &body)
    };
    #[rustfmt::skip]
    let table = [
        ("bounce", true, "user unknown", "", "hard no_mailbox"), ("bounce", true, "user unknown", "552 5.2.2 mailbox full", "soft full 5.2.2"),
        ("bounce", true, "invalid domain", "550 5.1.1 no such user", "hard no_mailbox 5.1.1"),
        ("bounce", false, "user unknown", "", "soft other"), ("bounce", true, "mailbox inactive", "", "soft other"),
        ("bounce", true, "quota exceeded", "", "soft full"), ("bounce", true, "relay/access denied", "", "soft blocked"),
        ("bounce", true, "policy issue", "", "soft policy"), ("bounce", true, "connection issue", "", "soft network"),
        ("blocked", false, "preblocked", "", "soft other"), ("blocked", false, "user unknown", "", "soft other"),
        ("blocked", false, "spam reporter", "", "complaint"),
        ("spam", false, "", "", "complaint"), ("unsub", false, "", "", "unsubscribe"), ("sent", false, "", "", "0 events"),
    ];
    for (event, is_hard, error, comment, expected) in table {
        assert_eq!(
            of(event, is_hard, error, comment),
            expected,
            "{event} {is_hard} {error}"
        );
    }
}

#[test]
fn what_sparkpost_says_is_hard_only_where_it_is_certain() {
    let of = |kind: &str, class: &str, words: &str| {
        let body = json!([{ "msys": { "message_event": { "type": kind, "bounce_class": class, "event_id": "84345317653491230",
            "error_code": "550", "raw_reason": words, "rcpt_to": ADA } } }]);
        said(Provider::SparkPost, &body)
    };
    #[rustfmt::skip]
    let table = [
        ("bounce", "10", "550 5.1.1 <ada@example.org>: Recipient address rejected: User unknown", "hard no_mailbox 5.1.1"),
        ("bounce", "10", "", "hard no_mailbox"), ("bounce", "30", "", "hard no_mailbox"), ("bounce", "30", "550 rejected", "soft policy"),
        ("out_of_band", "10", "", "hard no_mailbox"), ("bounce", "22", "", "soft full"), ("bounce", "21", "454 4.4.4 [internal] no MX or A for domain", "soft network 4.4.4"),
        ("bounce", "23", "", "soft too_big"), ("bounce", "50", "550 5.1.1 user unknown", "soft blocked 5.1.1"), ("bounce", "51", "", "soft blocked"), ("bounce", "52", "", "soft policy"),
        ("bounce", "20", "", "soft other"), ("bounce", "70", "", "soft other"), ("bounce", "60", "", "0 events"), ("bounce", "100", "", "0 events"),
        ("bounce", "90", "", "unsubscribe"), ("policy_rejection", "25", "554 5.7.1 recipient address suppressed due to customer policy", "soft policy 5.7.1"),
        ("spam_complaint", "", "", "complaint"), ("list_unsubscribe", "", "", "unsubscribe"), ("link_unsubscribe", "", "", "unsubscribe"),
        ("delay", "21", "454 4.4.4 no MX", "0 events"), ("delivery", "", "", "0 events"), ("generation_failure", "", "", "0 events"),
    ];
    for (kind, class, words, expected) in table {
        assert_eq!(of(kind, class, words), expected, "{kind} {class} {words}");
    }
}

#[test]
fn what_mailersend_says_is_hard_only_where_it_is_certain() {
    let of = |kind: &str, reason: &str| {
        let body = json!({ "type": format!("activity.{kind}"), "data": { "object": "activity", "id": "63fd251d5c00f8e52001fce6", "type": kind,
            "email": { "status": "rejected", "recipient": { "email": ADA } }, "morph": { "object": "recipient_bounce", "reason": reason } } });
        said(Provider::MailerSend, &body)
    };
    #[rustfmt::skip]
    let table = [
        ("hard_bounced", "550 5.1.1 no such user", "hard no_mailbox 5.1.1"), ("hard_bounced", "", "hard no_mailbox"),
        ("hard_bounced", "552 5.2.2 over quota", "soft full 5.2.2"), ("hard_bounced", "Unknown reason", "hard no_mailbox"),
        ("soft_bounced", "Unknown reason", "soft other"), ("soft_bounced", "550 5.1.1 no such user", "soft other 5.1.1"),
        ("spam_complaint", "", "complaint"), ("unsubscribed", "", "unsubscribe"), ("delivered", "", "0 events"), ("deferred", "", "0 events"),
    ];
    for (kind, reason, expected) in table {
        assert_eq!(of(kind, reason), expected, "{kind} {reason}");
    }
}

#[test]
fn what_azure_says_is_hard_only_where_it_is_certain() {
    let of = |status: &str, words: &str| {
        let data = json!({ "sender": "news@verdicts.example", "recipient": ADA, "messageId": "1", "internetMessageId": "<a@b.example>",
            "status": status, "deliveryStatusDetails": { "statusMessage": words } });
        let kind = "Microsoft.Communication.EmailDeliveryReportReceived";
        let own = said(
            Provider::Azure,
            &json!([{ "id": "1", "eventType": kind, "data": data }]),
        );
        let cloud = json!({ "id": "1", "specversion": "1.0", "type": kind, "data": data });
        assert_eq!(said(Provider::Azure, &cloud), own, "as a CloudEvent");
        own
    };
    #[rustfmt::skip]
    let table = [
        ("Bounced", "550 5.1.1 user unknown", "hard no_mailbox 5.1.1"), ("Bounced", "", "hard no_mailbox"), ("Bounced", "550 5.7.1 spam", "soft policy 5.7.1"),
        ("Failed", "", "soft other"), ("Failed", "550 5.1.1 user unknown", "soft other 5.1.1"), ("Suppressed", "", "soft other"),
        ("FilteredSpam", "", "soft policy"), ("Quarantined", "", "soft policy"), ("Delivered", "", "0 events"), ("Expanded", "", "0 events"),
    ];
    for (status, words, expected) in table {
        assert_eq!(of(status, words), expected, "{status} {words}");
    }
    let engaged = json!([{ "eventType": "Microsoft.Communication.EmailEngagementTrackingReportReceived", "data": { "recipient": ADA, "status": "Bounced" } }]);
    assert_eq!(said(Provider::Azure, &engaged), "0 events");
}

#[test]
fn what_postal_says_is_hard_only_where_it_is_certain() {
    let failed = |output: &str| {
        let payload = json!({ "status": "HardFail", "details": "Permanent SMTP delivery error", "output": output,
            "message": { "id": 12_345, "to": ADA, "from": "news@verdicts.example", "message_id": "5817a64332f44_4ec93ff59e79d154565eb@app34.mail" } });
        said(
            Provider::Postal,
            &json!({ "event": "MessageDeliveryFailed", "uuid": "1", "payload": payload }),
        )
    };
    assert_eq!(failed("550 5.1.1 no such user"), "hard no_mailbox 5.1.1");
    assert_eq!(failed("554 5.7.1 blocked"), "soft policy 5.7.1");
    assert_eq!(failed(""), "soft other", "too many attempts");
    let returned = json!({ "event": "MessageBounced", "uuid": "2", "payload": { "original_message": { "to": ADA },
        "bounce": { "to": "abcde@psrp.postal.example", "from": "postmaster@someserver.example" } } });
    assert_eq!(said(Provider::Postal, &returned), "soft other");
    for other in [
        "MessageSent",
        "MessageDelayed",
        "MessageHeld",
        "MessageLoaded",
        "DomainDNSError",
    ] {
        let body = json!({ "event": other, "payload": { "message": { "to": ADA } } });
        assert_eq!(said(Provider::Postal, &body), "0 events", "{other}");
    }
}

#[test]
fn what_kumomta_says_is_hard_only_where_it_is_certain() {
    let of = |kind: &str, class: &str, code: u64, detail: u64, content: &str| {
        let response = json!({ "code": code, "enhanced_code": { "class": 5, "subject": 1, "detail": detail }, "content": content });
        let body = json!({ "type": kind, "id": "1d98076abbbc11ed940250ebf67f93bd", "sender": "news@verdicts.example", "recipient": ADA,
            "response": response, "bounce_classification": class });
        let listed = json!([{ "type": kind, "id": "1", "recipient": [ADA], "response": response, "bounce_classification": class }]);
        assert_eq!(
            said(Provider::KumoMta, &listed),
            said(Provider::KumoMta, &body)
        );
        said(Provider::KumoMta, &body)
    };
    #[rustfmt::skip]
    let table = [
        ("Bounce", "InvalidRecipient", 550, 1, "user unknown", "hard no_mailbox 5.1.1"), ("Bounce", "Uncategorized", 550, 1, "user unknown", "hard no_mailbox 5.1.1"),
        ("OOB", "Uncategorized", 550, 1, "user unknown", "hard no_mailbox 5.1.1"), ("Bounce", "QuotaIssues", 552, 1, "user unknown", "soft full 5.1.1"),
        ("Bounce", "SpamBlock", 554, 0, "blocked", "soft blocked 5.1.0"), ("Expiration", "", 451, 0, "", "soft expired 5.1.0"),
        ("TransientFailure", "", 451, 0, "later", "0 events"), ("AdminBounce", "", 550, 1, "by hand", "0 events"),
        ("Delivery", "", 250, 0, "OK", "0 events"), ("Reception", "", 250, 0, "", "0 events"),
    ];
    for (kind, class, code, detail, content, expected) in table {
        assert_eq!(
            of(kind, class, code, detail, content),
            expected,
            "{kind} {class} {content}"
        );
    }
    let feedback = |kind: &str| {
        let report = json!({ "feedback_type": kind, "user_agent": "x", "original_rcpt_to": [ADA], "original_mail_from": "news@verdicts.example" });
        said(
            Provider::KumoMta,
            &json!({ "type": "Feedback", "id": "1", "recipient": "fbl@verdicts.example", "feedback_report": report }),
        )
    };
    assert_eq!(
        [
            feedback("abuse"),
            feedback("fraud"),
            feedback("opt-out"),
            feedback("not-spam"),
            feedback("auth-failure")
        ],
        [
            "complaint",
            "complaint",
            "unsubscribe",
            "0 events",
            "0 events"
        ]
    );
}

#[test]
fn what_forward_email_says_is_hard_only_where_it_is_certain() {
    let of = |action: &str, category: &str, words: &str| {
        let body = json!({ "email_id": "1", "recipient": ADA, "response": words, "response_code": 550, "headers": { "Message-ID": "<a@b.example>" },
            "bounce": { "action": action, "message": words, "category": category, "code": 550, "status": false } });
        said(Provider::ForwardEmail, &body)
    };
    #[rustfmt::skip]
    let table = [
        ("reject", "recipient", "550 5.1.1 no such user", "hard no_mailbox 5.1.1"), ("reject", "recipient", "", "hard no_mailbox"),
        ("reject", "other", "554 5.7.1 no", "soft policy 5.7.1"), ("reject", "spam", "", "soft policy"), ("reject", "blocklist", "", "soft blocked"),
        ("reject", "network", "", "soft network"), ("reject", "capacity", "", "soft full"), ("defer", "recipient", "450 later", "0 events"), ("", "", "", "0 events"),
    ];
    for (action, category, words, expected) in table {
        assert_eq!(
            of(action, category, words),
            expected,
            "{action} {category} {words}"
        );
    }
}

#[test]
fn a_batch_is_read_whole_and_its_events_have_names_of_their_own() {
    let bounce = |email: &str| json!({ "event": "hard_bounce", "email": email, "reason": "550 5.1.1 no such user" });
    let batch = json!([
        bounce("a@example.org"),
        { "event": "delivered", "email": "b@example.org" },
        bounce("c@example.org"),
        7,
        null,
        [bounce("d@example.org")]
    ]);
    let events = read(Provider::Brevo, &batch.to_string());
    assert_eq!(events.len(), 2);
    assert_ne!(events[0].id, events[1].id);
    let records = json!([
        { "type": "Bounce", "id": "1", "recipient": "a@example.org", "response": { "code": 550 } },
        { "type": "Bounce", "id": "1", "recipient": "b@example.org", "response": { "code": 550 } }
    ]);
    let events = read(Provider::KumoMta, &records.to_string());
    assert_ne!(events[0].id, events[1].id, "one message, two recipients");
}
