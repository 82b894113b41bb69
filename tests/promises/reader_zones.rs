//! The time zone in a reader's preferences, where digests go out by each reader's own clock.

use reqwest::StatusCode;
use verdicts::domain::address::EmailAddress;
use verdicts::domain::zone::ZoneName;

use crate::journey::link;
use crate::support::TestApp;
use crate::support::on_both;

const ADA: &str = "reader0@example.org";

async fn zone_of(test_app: &TestApp) -> Option<&'static str> {
    let email = EmailAddress::parse(ADA).expect("an address");
    let person = test_app
        .app
        .storage
        .person(&email)
        .await
        .expect("an answer");
    person
        .expect("a reader")
        .subscriber
        .timezone
        .map(ZoneName::name)
}

on_both! {
    async fn a_reader_chooses_a_time_zone_which_no_page_shows_and_the_export_has(test_db) {
        let plain = TestApp::open(test_db).await;
        plain.stock_small().await;
        plain.enlist_all("email\nreader0@example.org\n").await;
        plain.send_digest().await;
        let preferences = link(&plain.mails_to(ADA).pop().expect("a digest"), "/preferences/").replacen(&plain.url, "", 1);
        assert!(!plain.page(&preferences).await.contains("Time zone"), "nobody is asked for what is of no use");
        plain.post_form(&preferences, &[("rhythm", "weekly"), ("zone", "Europe/Berlin")]).await;
        assert_eq!(zone_of(&plain).await, None);

        let test_app = TestApp::open_with(plain.test_db.again(), |settings| settings.schedule.local_time = true).await;
        let before = test_app.page(&preferences).await;
        let page = &before;
        assert!(page.contains("<datalist id=\"zones\">") && page.contains("<option value=\"Europe/Berlin\">") && page.contains("<option value=\"UTC\">"));
        assert!(!page.contains("\"Etc/") && !page.contains("\"EST\""), "names of places");
        let refused = test_app.post_form(&preferences, &[("rhythm", "monthly"), ("zone", "Atlantis\"<b>")]).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let refused = refused.text().await.expect("a page");
        assert!(refused.contains("not the name of a time zone") && !refused.contains("Atlantis\"<b>") && refused.contains("value=\"weekly\" checked"), "nothing was saved: {refused}");
        let page = test_app.post_form(&preferences, &[("rhythm", "weekly"), ("zone", " europe/berlin ")]).await.text().await.expect("a page");
        assert!(page.contains("Saved."), "{page}");
        assert_eq!(zone_of(&test_app).await, Some("Europe/Berlin"));
        assert_eq!(test_app.page(&preferences).await, before, "whoever holds the digest sees the page");
        let record = test_app.record_of(ADA).await;
        assert!(record.contains("chose the time zone Europe/Berlin"), "{record}");
        test_app.post_form(&preferences, &[("rhythm", "weekly"), ("zone", "")]).await;
        assert_eq!(zone_of(&test_app).await, Some("Europe/Berlin"), "empty leaves it");
        let email = EmailAddress::parse(ADA).expect("an address");
        let person = test_app.app.storage.person(&email).await.expect("an answer").expect("a reader");
        let everything = test_app.app.export_reader(person.subscriber.id).await.expect("an answer").expect("data");
        assert_eq!(everything["timezone"], "Europe/Berlin");
    }
}
