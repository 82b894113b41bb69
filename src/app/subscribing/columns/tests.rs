//! Exports of services, as rows.

use super::Mapping;
use crate::app::subscribing::spreadsheet::Spreadsheet;

/// Address, name, state, source and moment of each row.
fn read(text: &str) -> Vec<String> {
    let mut sheet = Spreadsheet::open(std::io::Cursor::new(text.to_owned()), &Mapping::default())
        .expect("a header");
    let rows =
        std::iter::from_fn(|| sheet.next_row()).map(|row| row.expect("readable").expect("good"));
    let text = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    rows.map(|row| {
        let at = row
            .confirmed_at
            .map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true));
        let state = row.state.map(|state| state.to_string());
        format!(
            "{} {} {} {} {}",
            row.email,
            text(row.name),
            text(state),
            text(row.source.map(Into::into)),
            text(at)
        )
    })
    .collect()
}

#[test]
fn the_exports_of_each_service_are_known_by_their_headers() {
    let mailchimp = "\"Email Address\",\"First Name\",\"Last Name\",MEMBER_RATING,OPTIN_TIME,CONFIRM_TIME,LEID,EUID,TAGS";
    assert_eq!(
        read(&format!(
            "{mailchimp}\r\na@x.org,Ada,Lovelace,2,\"2026-01-01 00:00:00\",\"2026-01-02 03:04:05\",1,e,\"\"\"fair\"\"\"\r\n"
        )),
        ["a@x.org Ada Lovelace - mailchimp 2026-01-02T03:04:05Z"]
    );
    assert_eq!(
        read(&format!(
            "{mailchimp},UNSUB_TIME,UNSUB_REASON\na@x.org,,,2,,,1,e,,2026-02-02 00:00:00,NORMAL\nb@x.org,,,2,,,1,e,,,Spammy content\n"
        )),
        [
            "a@x.org - unsubscribed mailchimp -",
            "b@x.org - complained mailchimp -"
        ]
    );
    assert_eq!(
        read(&format!(
            "{mailchimp},CLEAN_TIME\na@x.org,,,2,,,1,e,,2026-02-02\n"
        )),
        ["a@x.org - bounced mailchimp -"]
    );
    assert_eq!(
        read(
            "email,active_subscription,expiry,email_disabled,created_at\na@x.org,false,,false,2026-01-02T03:04:05.678Z\nb@x.org,true,,true,\n"
        ),
        [
            "a@x.org - - substack 2026-01-02T03:04:05.678Z",
            "b@x.org - unsubscribed substack -"
        ]
    );
    assert_eq!(
        read(
            "id,email,name,note,subscribed_to_emails,complimentary_plan,created_at,deleted_at\n1,a@x.org,A,,true,,2026-01-02T03:04:05.000Z,\n2,b@x.org,,,false,,,\n3,c@x.org,,,true,,,2026-02-02T00:00:00Z\n"
        ),
        [
            "a@x.org A active ghost 2026-01-02T03:04:05Z",
            "b@x.org - unsubscribed ghost -",
            "c@x.org - unsubscribed ghost -"
        ]
    );
    assert_eq!(
        read(
            "uuid,email,name,attributes,status,created_at,updated_at\nu,a@x.org,A,\"{\"\"city\"\": \"\"Bonn, \\\"\"x\\\"\"\"\"}\",enabled,2026-01-02 03:04:05.6 +0000 UTC,x\nu,b@x.org,,{},blocklisted,2026-01-02 03:04:05.123456 +0100 CET,x\n"
        ),
        [
            "a@x.org A active listmonk 2026-01-02T03:04:05.600Z",
            "b@x.org - unsubscribed listmonk 2026-01-02T02:04:05.123Z"
        ]
    );
    assert_eq!(
        read(
            "email;status;subscription_tier;created_at;utm_source\na@x.org;active;free;2026-01-02 03:04:05;\nb@x.org;inactive;free;;\nc@x.org;pending;free;;\nd@x.org;invalid;free;;\n"
        ),
        [
            "a@x.org - active beehiiv 2026-01-02T03:04:05Z",
            "b@x.org - unsubscribed beehiiv -",
            "c@x.org - pending beehiiv -",
            "d@x.org - bounced beehiiv -"
        ]
    );
    assert_eq!(
        read(
            "First Name,Email,Status,Created At\nAda,a@x.org,active,2026-01-02\n,b@x.org,cancelled,\n,c@x.org,bounced,\n,d@x.org,complained,\n,e@x.org,inactive,\n"
        ),
        [
            "a@x.org Ada active kit 2026-01-02T00:00:00Z",
            "b@x.org - unsubscribed kit -",
            "c@x.org - bounced kit -",
            "d@x.org - complained kit -",
            "e@x.org - pending kit -"
        ]
    );
    assert_eq!(
        read(
            "id,email_address,notes,metadata,tags,type,source,creation_date,unsubscription_date\n1,a@x.org,,{},,regular,api,2026-01-02T03:04:05Z,\n2,b@x.org,,{},,unactivated,,,\n3,c@x.org,,{},,undeliverable,,,\n4,d@x.org,,{},,regular,,,2026-02-02\n5,e@x.org,,{},,complained,,,\n"
        ),
        [
            "a@x.org - active api 2026-01-02T03:04:05Z",
            "b@x.org - pending buttondown -",
            "c@x.org - bounced buttondown -",
            "d@x.org - unsubscribed buttondown -",
            "e@x.org - complained buttondown -"
        ]
    );
}

#[test]
fn a_word_that_nobody_knows_is_refused_and_not_taken_for_yes() {
    let mut sheet = Spreadsheet::open(
        "email,status,first_name\na@x.org,perhaps,A\n".as_bytes(),
        &Mapping::default(),
    )
    .expect("a header");
    assert!(
        sheet
            .next_row()
            .expect("a row")
            .expect("readable")
            .expect_err("refused")
            .reason
            .contains("perhaps")
    );
}
