mod genuine;
mod newer;

use serde_json::json;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(seconds, 0).expect("a moment")
}

/// The one event in a body: whom it is about, what it means, why, and the status.
fn said(provider: Provider, body: &Value) -> String {
    let events = read(provider, &body.to_string());
    let [event] = events.as_slice() else {
        return format!("{} events", events.len());
    };
    let finding = &event.finding;
    let reason = finding
        .reason
        .map(|reason| format!(" {reason}"))
        .unwrap_or_default();
    let status = finding
        .status
        .map(|status| format!(" {status}"))
        .unwrap_or_default();
    assert_eq!(
        finding.address.as_deref(),
        Some("ada@example.org"),
        "{body}"
    );
    format!("{}{reason}{status}", finding.meaning)
}

#[test]
fn what_ses_says_is_hard_only_where_it_is_certain() {
    let bounce = |class: &str, sub_class: &str, words: &str| {
        let to = json!([{ "emailAddress": "Ada <ada@example.org>", "diagnosticCode": words }]);
        let bounce = json!({ "bounceType": class, "bounceSubType": sub_class, "bouncedRecipients": to, "feedbackId": "1" });
        said(
            Provider::Ses,
            &json!({ "notificationType": "Bounce", "bounce": bounce, "mail": { "source": "news@verdicts.example" } }),
        )
    };
    #[rustfmt::skip]
    let table = [
        ("Permanent", "General", "smtp; 550 5.1.1 user unknown", "hard no_mailbox 5.1.1"),
        ("Permanent", "General", "", "hard no_mailbox"),
        ("Permanent", "NoEmail", "smtp; 550 rejected", "hard no_mailbox"),
        ("Permanent", "General", "smtp; 550 rejected", "soft policy"),
        ("Permanent", "General", "smtp; 550 5.7.1 refused by policy", "soft policy 5.7.1"),
        ("Permanent", "General", "smtp; 550 5.2.1 receiving mail at a rate that", "soft rate 5.2.1"),
        ("Permanent", "NoEmail", "smtp; 552 5.2.2 mailbox full", "soft full 5.2.2"),
        ("Permanent", "Suppressed", "Amazon SES has suppressed sending to this address", "soft other"),
        ("Permanent", "OnAccountSuppressionList", "", "soft other"),
        ("Permanent", "UnsubscribedRecipient", "", "unsubscribe"),
        ("Transient", "General", "smtp; 550 5.1.1 user unknown", "soft other 5.1.1"),
        ("Transient", "MailboxFull", "", "soft full"),
        ("Transient", "MessageTooLarge", "", "soft too_big"),
        ("Transient", "ContentRejected", "", "soft policy"),
        ("Undetermined", "Undetermined", "", "soft other"),
    ];
    for (class, sub_class, words, expected) in table {
        assert_eq!(
            bounce(class, sub_class, words),
            expected,
            "{class} {sub_class} {words}"
        );
    }
    let complaint = |kind: &str, to: &[&str]| {
        let to: Vec<Value> = to.iter().map(|to| json!({ "emailAddress": to })).collect();
        said(
            Provider::Ses,
            &json!({ "eventType": "Complaint", "complaint": { "complainedRecipients": to, "complaintFeedbackType": kind } }),
        )
    };
    assert_eq!(complaint("abuse", &["ada@example.org"]), "complaint");
    assert_eq!(complaint("", &["ada@example.org"]), "complaint");
    assert_eq!(complaint("not-spam", &["ada@example.org"]), "0 events");
    assert_eq!(
        complaint("abuse", &["ada@example.org", "bob@example.org"]),
        "0 events",
        "nobody knows who it was"
    );
    for other in [
        "Delivery",
        "Send",
        "Open",
        "Click",
        "DeliveryDelay",
        "Reject",
        "Rendering Failure",
    ] {
        assert_eq!(
            said(Provider::Ses, &json!({ "eventType": other })),
            "0 events"
        );
    }
}

#[test]
fn what_postmark_says_is_hard_only_where_it_is_certain() {
    let bounce = |code: u64, words: &str| {
        let body = json!({ "RecordType": "Bounce", "ID": 4711, "TypeCode": code, "Type": "X", "Details": words, "Email": "ada@example.org",
            "From": "news@verdicts.example" });
        said(Provider::Postmark, &body)
    };
    #[rustfmt::skip]
    let table = [
        (1, "smtp;550 5.1.1 no such user", "hard no_mailbox 5.1.1"), (1, "test bounce", "soft other"), (1, "", "hard no_mailbox"), (100_000, "", "hard no_mailbox"),
        (1, "smtp;552 5.2.2 mailbox full", "soft full 5.2.2"), (2, "", "soft other"), (4096, "smtp;550 5.1.1 no such user", "soft other 5.1.1"),
        (256, "", "soft network"), (512, "", "soft policy"), (100_006, "", "soft blocked"), (100_009, "", "soft policy"),
        (16, "", "unsubscribe"), (100_001, "", "complaint"), (64, "", "0 events"), (100_008, "", "0 events"), (0, "", "0 events"),
    ];
    for (code, words, expected) in table {
        assert_eq!(bounce(code, words), expected, "{code} {words}");
    }
    assert_eq!(
        said(
            Provider::Postmark,
            &json!({ "RecordType": "SpamComplaint", "Email": "ada@example.org" })
        ),
        "complaint"
    );
    let change = |origin: &str, reason: &str, suppress: bool| {
        let body = json!({ "RecordType": "SubscriptionChange", "Recipient": "ada@example.org", "Origin": origin,
            "SuppressionReason": reason, "SuppressSending": suppress });
        said(Provider::Postmark, &body)
    };
    assert_eq!(
        change("Recipient", "ManualSuppression", true),
        "unsubscribe"
    );
    assert_eq!(change("Admin", "ManualSuppression", true), "0 events");
    assert_eq!(change("Recipient", "HardBounce", true), "0 events");
    assert_eq!(change("Recipient", "ManualSuppression", false), "0 events");
}

#[test]
fn what_sendgrid_says_is_hard_only_where_it_is_certain() {
    let of = |kind: &str, r#type: &str, class: &str, reason: &str| {
        let body = json!([{ "email": "ada@example.org", "event": kind, "type": r#type, "bounce_classification": class, "reason": reason,
            "sg_event_id": "1" }]);
        said(Provider::SendGrid, &body)
    };
    #[rustfmt::skip]
    let table = [
        ("bounce", "bounce", "Invalid Address", "550 5.1.1 user unknown", "hard no_mailbox 5.1.1"),
        ("bounce", "bounce", "Invalid Address", "", "hard no_mailbox"),
        ("bounce", "bounce", "Unclassified", "500 unknown recipient", "hard no_mailbox"),
        ("bounce", "bounce", "Unclassified", "550 no", "soft refused"),
        ("bounce", "bounce", "Mailbox Unavailable", "552 5.2.2 over quota", "soft full 5.2.2"),
        ("bounce", "blocked", "Reputation", "554 5.7.1 blocked", "soft policy 5.7.1"),
        ("bounce", "blocked", "", "550 5.1.1 user unknown", "soft blocked 5.1.1"),
        ("bounce", "blocked", "Content", "", "soft policy"),
        ("dropped", "", "", "Bounced Address", "soft other"),
        ("dropped", "", "", "Invalid", "hard no_mailbox"),
        ("dropped", "", "", "Spam Reporting Address", "complaint"),
        ("dropped", "", "", "Unsubscribed Address", "unsubscribe"),
        ("dropped", "", "", "Recipient List over Package Quota", "0 events"),
        ("spamreport", "", "", "", "complaint"), ("group_unsubscribe", "", "", "", "unsubscribe"),
        ("deferred", "", "", "", "0 events"), ("delivered", "", "", "", "0 events"), ("open", "", "", "", "0 events"),
    ];
    for (kind, r#type, class, reason, expected) in table {
        assert_eq!(
            of(kind, r#type, class, reason),
            expected,
            "{kind} {type} {class} {reason}"
        );
    }
}

#[test]
fn what_mailgun_says_is_hard_only_where_it_is_certain() {
    let of = |event: &str, severity: &str, reason: &str, code: u64, words: &str| {
        let data = json!({ "event": event, "severity": severity, "reason": reason, "recipient": "ada@example.org", "id": "1",
            "delivery-status": { "code": code, "message": words, "description": "" } });
        said(
            Provider::Mailgun,
            &json!({ "signature": {}, "event-data": data }),
        )
    };
    #[rustfmt::skip]
    let table = [
        ("failed", "permanent", "bounce", 550, "5.1.1 The email account that you tried to reach does not exist.", "hard no_mailbox 5.1.1"),
        ("failed", "permanent", "bounce", 550, "5.7.1 spam", "soft policy 5.7.1"),
        ("failed", "permanent", "generic", 0, "", "hard no_mailbox"),
        ("failed", "permanent", "suppress-bounce", 605, "Not delivering to previously bounced address", "soft other"),
        ("failed", "permanent", "suppress-complaint", 607, "", "complaint"),
        ("failed", "permanent", "suppress-unsubscribe", 606, "", "unsubscribe"),
        ("failed", "permanent", "old", 602, "Too old", "soft expired"),
        ("failed", "temporary", "generic", 450, "greylisted", "0 events"),
        ("complained", "", "", 0, "", "complaint"), ("unsubscribed", "", "", 0, "", "unsubscribe"), ("opened", "", "", 0, "", "0 events"),
    ];
    for (event, severity, reason, code, words, expected) in table {
        assert_eq!(
            of(event, severity, reason, code, words),
            expected,
            "{event} {severity} {reason} {words}"
        );
    }
}

#[test]
fn what_resend_says_is_hard_only_where_it_is_certain() {
    let of = |kind: &str, class: &str, sub_class: &str| {
        let data = json!({ "to": ["ada@example.org"], "from": "News <news@verdicts.example>", "email_id": "1",
            "bounce": { "type": class, "subType": sub_class, "message": "The recipient's server sent a hard bounce message without a reason" } });
        said(Provider::Resend, &json!({ "type": kind, "data": data }))
    };
    assert_eq!(
        of("email.bounced", "Permanent", "General"),
        "hard no_mailbox"
    );
    assert_eq!(of("email.bounced", "Permanent", "Suppressed"), "soft other");
    assert_eq!(of("email.bounced", "Transient", "MailboxFull"), "soft full");
    assert_eq!(
        (
            of("email.complained", "", "").as_str(),
            of("email.opened", "", "").as_str()
        ),
        ("complaint", "0 events")
    );
}
