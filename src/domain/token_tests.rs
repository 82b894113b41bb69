use super::*;
use proptest::prelude::*;

fn secrets(texts: &[&str]) -> Secrets {
    Secrets::new(&texts.iter().map(|text| (*text).into()).collect::<Vec<_>>())
        .expect("at least one")
}

#[test]
fn a_token_made_with_an_older_secret_is_still_good_until_that_secret_goes() {
    let token = Token {
        purpose: Purpose::Unsubscribe,
        subscriber: 7,
        expires_at: None,
    };
    let old_link = secrets(&["old"]).sign(&token);
    assert_eq!(
        secrets(&["new", "old"]).read(Purpose::Unsubscribe, &old_link),
        Some(token)
    );
    assert_eq!(
        secrets(&["new"]).read(Purpose::Unsubscribe, &old_link),
        None
    );
}

#[test]
fn a_token_expires_at_the_earliest_when_it_says() {
    let end: Timestamp = "2026-11-22T10:00:30Z".parse().expect("a moment");
    let link = secrets(&["s"]).sign(&Token {
        purpose: Purpose::Confirm,
        subscriber: 7,
        expires_at: Some(end),
    });
    let token = secrets(&["s"])
        .read(Purpose::Confirm, &link)
        .expect("genuine");
    assert!(!token.is_expired(end) && token.is_expired(end + chrono::TimeDelta::minutes(1)));
}

#[test]
fn a_token_from_before_ids_were_hidden_is_still_good() {
    let token = Token {
        purpose: Purpose::Unsubscribe,
        subscriber: 7,
        expires_at: None,
    };
    // As release 0.1.0 made it with the secret "old".
    let link = "AgAAAAAAAAAHAAAAAHsiVvzKG5eZkNcLKOot1fc";
    assert_eq!(
        secrets(&["new", "old"]).read(Purpose::Unsubscribe, link),
        Some(token)
    );
    assert_eq!(secrets(&["new", "old"]).read(Purpose::Read, link), None);
    assert_eq!(secrets(&["new"]).read(Purpose::Unsubscribe, link), None);
}

#[test]
fn what_stands_behind_a_token_is_no_part_of_it() {
    let link = secrets(&["s"]).sign(&Token {
        purpose: Purpose::Read,
        subscriber: 7,
        expires_at: None,
    });
    for behind in [
        "", ".", ",", ")", ">", ";", "\"", "'", "\u{201d}", "_", "-", "**", "&gt;", " ", "?!",
        ".\u{a0}",
    ] {
        assert_eq!(
            leading(&format!("{link}{behind}")),
            Some(link.as_str()),
            "{behind:?}"
        );
    }
    for not in [
        &link[1..],
        "",
        &format!("{link}="),
        &format!("{link}a"),
        &format!("{link}_a"),
        &format!(".{link}"),
        &link.replace('A', "ä"),
    ] {
        assert_eq!(leading(not).filter(|_| not != link), None, "{not:?}");
    }
}

#[test]
fn names_of_neighbours_have_nothing_in_common() {
    let keys = secrets(&["s"]);
    let names: std::collections::HashSet<String> = (0..1_000)
        .flat_map(|id| [keys.subscriber_name(id), keys.mailing_name(id)])
        .map(|name| name[..6].to_owned())
        .collect();
    assert!(names.len() > 1_990, "{}", names.len());
    assert_eq!(keys.subscriber_name(7), keys.subscriber_name(7));
    let rotated = secrets(&["new", "s"]);
    for id in [0, 7, i64::MAX, -1] {
        assert_eq!(
            rotated.subscriber_named(&keys.subscriber_name(id)),
            Some(id)
        );
        assert_eq!(keys.subscriber_named(&keys.user_name(id)), None);
    }
    for bad in [
        "",
        "x",
        &keys.subscriber_name(7)[1..],
        &secrets(&["other"]).subscriber_name(7),
    ] {
        assert_eq!(keys.subscriber_named(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn a_token_says_what_was_signed_and_only_for_its_purpose(subscriber: i64, secret in "\\PC{1,40}") {
        let keys = secrets(&[&secret]);
        let token = Token { purpose: Purpose::Confirm, subscriber, expires_at: None };
        let link = keys.sign(&token);
        prop_assert_eq!(keys.read(Purpose::Confirm, &link), Some(token));
        prop_assert_eq!(keys.read(Purpose::Unsubscribe, &link), None);
    }

    #[test]
    fn one_changed_or_lost_character_makes_a_token_worthless(subscriber: i64, at in 0usize..39, other in "[A-Za-z0-9_-]") {
        let keys = secrets(&["s"]);
        let link = keys.sign(&Token { purpose: Purpose::Confirm, subscriber, expires_at: None });
        prop_assert_eq!(keys.read(Purpose::Confirm, &link[..at]), None);
        let forged = format!("{}{other}{}", &link[..at], &link[at + 1..]);
        prop_assume!(forged != link);
        prop_assert_eq!(keys.read(Purpose::Confirm, &forged), None);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        prop_assert_eq!(secrets(&["s"]).read(Purpose::Confirm, &text), None);
    }
}
