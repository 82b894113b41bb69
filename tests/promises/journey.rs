//! One reader's whole way: sign-up, confirmation, digest, goodbye.

use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::on_both;
use reqwest::StatusCode;
use std::time::Duration;
use verdicts::domain::subscriber::SubscriberState;

/// The link in a mail's plain text part that leads to `path`.
pub fn link(mail: &[u8], path: &str) -> String {
    let mail = mail_parser::MessageParser::default()
        .parse(mail)
        .expect("a mail");
    let text = mail.body_text(0).expect("a text part").into_owned();
    // A digest offers votes on its first comparison alone, and behind one link each on the others; the token is good for all.
    if path.starts_with("/vote/") || path.starts_with("/save/") {
        let start = text.find("/preferences/").expect("a reader's link") + "/preferences/".len();
        let token = text[start..].split(['\r', '\n']).next().unwrap_or_default();
        let line = text[..start].rsplit('\n').next().unwrap_or_default();
        return line.replace("/preferences/", path) + token;
    }
    let found = text.split_whitespace().find(|word| word.contains(path));
    found
        .unwrap_or_else(|| panic!("no link to {path} in {text}"))
        .to_owned()
}

on_both! {
    async fn a_reader_signs_up_confirms_gets_the_digest_and_leaves(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        test_app.stock_small().await;

        let answer = test_app.sign_up("Ada@Example.org").await;
        assert_eq!((answer.status(), &answer.headers()["location"]), (StatusCode::SEE_OTHER, &"/check-inbox".parse().expect("a header")));
        test_app.deliver_while("the confirmation mail", async || sink.mails() == 1).await;
        let confirmation = link(&sink.received()[0].data, "/confirm/");

        assert!(test_app.page(&confirmation).await.contains("<button"), "a scanner that follows the link sees a button");
        assert_eq!(test_app.state_of("ada@example.org").await, Some(SubscriberState::Pending), "and changes nothing");
        assert_eq!(test_app.post(&confirmation).await.status(), StatusCode::OK);
        assert_eq!(test_app.post(&confirmation).await.status(), StatusCode::OK, "twice is once");
        assert_eq!(test_app.state_of("ada@example.org").await, Some(SubscriberState::Active));

        test_app.send_digest().await;
        let digest = sink.wait_for(2, Duration::from_secs(5)).await.remove(1);
        assert_eq!(digest.to, "Ada@Example.org", "case is kept as typed");
        test_app.send_digest().await;
        assert_eq!(sink.mails(), 2, "sending twice sends nobody anything twice");

        let goodbye = link(&digest.data, "/unsubscribe/");
        assert!(test_app.page(&goodbye).await.contains("<button"));
        assert_eq!(test_app.state_of("ada@example.org").await, Some(SubscriberState::Active));
        assert_eq!(test_app.post(&goodbye).await.status(), StatusCode::OK);
        assert_eq!(test_app.state_of("ada@example.org").await, Some(SubscriberState::Unsubscribed));
        assert_eq!(test_app.post(&goodbye).await.status(), StatusCode::OK, "twice is once");
        let audit = test_app.app.storage.audit(test_app.slot(), 10).await.expect("an audit").expect("of a digest");
        assert_eq!((audit.faults, audit.recipients, audit.deliveries.sent), (vec![], 1, 1));
    }
}
