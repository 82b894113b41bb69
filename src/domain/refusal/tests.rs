//! The order of judgement, by example; `tests/refusals.tsv` has the variety.

use super::*;

fn judged(text: &str) -> String {
    let judged = judge(Refusal {
        stage: None,
        text,
        field: None,
    });
    format!("{} {}", judged.meaning(), judged.reason)
}

#[test]
fn the_servers_words_decide() {
    #[rustfmt::skip]
    let table = [
        ("550 5.1.1 <ada@example.org>: Recipient address rejected: User unknown in local recipient table", "hard no_mailbox"),
        ("550-5.1.1 The email account that you tried to reach does not\n550-5.1.1 exist. Please try double-checking", "hard no_mailbox"),
        ("host antispam.example.org[192.0.2.1] said: 550 no such user here", "hard no_mailbox"),
        ("550 5.2.1 The user you are trying to contact is receiving mail at a rate that", "soft rate"),
        ("550 5.2.1 mailbox disabled", "hard no_mailbox"),
        ("450 4.1.1 <ada@example.org>: Recipient address rejected: User unknown", "soft policy"),
        ("550 5.7.1 user unknown or blocked by policy", "soft policy"),
        ("550 5.1.1 <us@example.com>: Sender address rejected: User unknown", "soft sender"),
        ("550 <us@example.com>: Sender address rejected: User unknown", "soft sender"),
        ("552 5.2.2 Mailbox full", "soft full"),
        ("554 delivery error: dd This user doesn't have a yahoo.com account", "hard no_mailbox"),
        ("550 5.4.1 [ada@example.org]: Recipient address rejected: Access denied.", "hard no_mailbox"),
        ("554 5.7.1 <ada@example.org>: Recipient address rejected: Access denied", "soft policy"),
        ("Host or domain name not found. Name service error for name=example.org type=A: Host not found", "hard no_host"),
        ("Name service error for name=example.org type=MX: Host not found, try again", "soft network"),
        ("550 Requested action not taken: mailbox unavailable", "hard no_mailbox"),
        ("550 ada@example.org...User unknown", "hard no_mailbox"), ("550 5.7.1 No such user", "hard no_mailbox"),
        ("550 5.7.1 No such user, see our policy", "soft policy"), ("550 recipient is a deactivated mailbox", "hard no_mailbox"),
        ("553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", "soft sender"),
        ("Name service error for name=example.org type=MX: Malformed name server reply", "soft network"),
        ("550 rejected", "soft policy"), ("554 no", "soft other"), ("", "soft other"), ("452 4.3.1 out of memory", "soft other"),
        ("connect to example.org[192.0.2.1]:25: Connection timed out", "soft network"),
        ("554 5.7.1 Service unavailable; Client host [192.0.2.9] blocked using zen.spamhaus.org", "soft blocked"),
        ("550 no", "soft refused"), ("550 5.2.1 no", "soft locked"), ("551 5.7.1 Domain not found", "soft sender"),
        ("550 5.1.1 <ada@example.org>: inactive email address", "hard no_mailbox"), ("550 account inactive", "soft locked"),
        ("525 5.7.13 Disabled recipient address", "soft locked"),
    ];
    for (text, expected) in table {
        assert_eq!(judged(text), expected, "{text}");
    }
}

#[test]
fn before_a_recipient_is_named_a_refusal_is_about_us() {
    for text in [
        "550 5.1.1 no such user",
        "550 mailbox full",
        "556 5.1.10 null MX",
        "550",
    ] {
        for stage in [RefusalStage::Session, RefusalStage::Sender] {
            let judged = judge(Refusal {
                stage: Some(stage),
                text,
                field: None,
            });
            assert_eq!(
                (judged.meaning(), judged.reason),
                (Classification::Soft, Reason::Sender),
                "{text}"
            );
        }
    }
}

#[test]
fn a_relays_own_status_counts_for_less_than_the_words_beside_it() {
    let judged = |text, field| {
        judge(Refusal {
            stage: None,
            text,
            field: EnhancedStatus::parse(field),
        })
        .meaning()
    };
    for comment in [
        "550 Tried all MXs",
        "too many failures",
        "451 try later",
        "temporary trouble",
        "connection refused",
    ] {
        assert_eq!(judged(comment, "5.1.2"), Classification::Soft, "{comment}");
    }
    assert_eq!(judged("550 No Such Domain", "5.1.2"), Classification::Hard);
    assert_eq!(judged("", "5.1.1"), Classification::Hard);
    assert_eq!(
        judged(
            "Our list of senders: 192.0.2.10 is not on it, write to us",
            "5.1.1"
        ),
        Classification::Soft
    );
}

#[test]
fn hedged_sentences_name_no_cause() {
    assert_eq!(
        judged("554 Failed. Mostly this means an invalid recipient address"),
        "soft other"
    );
    assert_eq!(
        judged("550 No such user, the name may be misspelled"),
        "hard no_mailbox"
    );
}
