//! A reader's whole way in a browser, once with scripts and once without.

use std::time::Duration;

use fantoccini::Locator;

use crate::browser::Browser;
use crate::browser::Scripts;
use crate::support::TestDb;
use crate::test_app::TestApp;

const ADA: &str = "ada@example.org";
const TOOL: &str = "gantrymoth";
const NAME: &str = "Gantrymoth";
const DUEL: &str = "/comparisons/thimblewren-4b-vs-gantrymoth";
/// An address whose domain is another one by the rules of 2003, and as our mail goes there.
const SHARP: &str = "ada@faß.example.org";
const SHARP_MAILED: &str = "ada@xn--fa-hia.example.org";
/// How the digest's subject begins.
const DIGEST: &str = "Ship Thimblewren, skip Gantrymoth";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_goes_the_whole_way_with_scripts() {
    whole_way(Scripts::On).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_goes_the_whole_way_without_scripts() {
    whole_way(Scripts::Off).await;
}

async fn whole_way(scripts: Scripts) {
    let test_db = TestDb::sqlite();
    let downloads = test_db.dir.path().join("downloads");
    let test_app = TestApp::open(test_db).await;
    let Some(browser) = Browser::open(&test_app.url, scripts, &downloads).await else {
        return;
    };
    sign_up(&test_app, &browser).await;
    test_app.send_digest();
    vote_from_the_mail(&browser).await;
    vote_and_save_on_the_page(&browser, scripts).await;
    remove_what_was_saved(&browser).await;
    choose_what_to_get(&browser).await;
    take_the_data_and_go(&test_app, &browser, &downloads).await;
    unsubscribe(&test_app, &browser).await;
}

async fn sign_up(test_app: &TestApp, browser: &Browser) {
    browser.go("/").await;
    browser.fill("email", ADA).await;
    browser.press("Sign up").await;
    browser.sees("Look in your inbox").await;
    browser.open_mail(ADA, "Please confirm").await;
    browser.follow_in_mail("/confirm/").await;
    browser.sees("Almost there").await;
    assert_eq!(
        test_app.state_of(ADA).as_deref(),
        Some("pending"),
        "to look is not to confirm"
    );
    browser.press("Confirm my subscription").await;
    browser.sees("You are in").await;
    assert_eq!(test_app.state_of(ADA).as_deref(), Some("active"));
}

async fn vote_from_the_mail(browser: &Browser) {
    browser.open_mail(ADA, DIGEST).await;
    browser.follow_in_mail(&format!("/vote/{TOOL}/ship/")).await;
    browser.sees("No community votes yet").await;
    browser.press("Count my vote: ship").await;
    browser.sees("1 reader voted").await;
    browser.go(DUEL).await;
    browser.sees("1 reader voted").await;
    assert_eq!(pressed(browser, "Ship").await, "true");
}

/// With scripts the page stays as it is, and says what happened where a screen reader listens; without, the form does it.
async fn vote_and_save_on_the_page(browser: &Browser, scripts: Scripts) {
    for (button, said, state) in [
        ("Skip", "Your vote counts: skip.", "true"),
        ("Save for later", "Saved for later.", "true"),
    ] {
        browser.go(DUEL).await;
        browser.ask("window.mark = 'here'").await;
        let words = format!("{button}{} {NAME}", if button == "Skip" { "" } else { ":" });
        browser.press(&words).await;
        match scripts {
            Scripts::On => {
                browser.sees(said).await;
                let status = browser
                    .find(&format!("#choices-{TOOL} [role=status]"))
                    .await;
                assert_eq!(status.text().await.expect("text"), said);
                assert_eq!(
                    browser.ask("window.mark").await,
                    "here",
                    "the page was not loaded again"
                );
                assert_eq!(browser.test_db().await, DUEL);
            }
            Scripts::Off => {
                browser.lands_at(&format!("{DUEL}#choices-{TOOL}")).await;
                assert!(
                    browser.ask("window.mark").await.is_null(),
                    "the page is a new one"
                );
            }
        }
        assert_eq!(pressed(browser, button).await, state);
    }
    browser.go(DUEL).await;
    assert_eq!(
        (
            pressed(browser, "Ship").await,
            pressed(browser, "Skip").await
        ),
        ("false".into(), "true".into())
    );
    browser.sees("1 reader voted").await;
}

async fn remove_what_was_saved(browser: &Browser) {
    browser.follow("All your saved tools").await;
    browser.sees("Saved for later").await;
    assert!(browser.text().await.contains(NAME));
    browser.press(&format!("Remove {NAME}")).await;
    browser.sees("No bookmarks yet").await;
    // From the mail it comes back.
    browser.open_mail(ADA, DIGEST).await;
    browser
        .follow_in_mail("/choose/thimblewren-4b-vs-gantrymoth/")
        .await;
    browser.press(&format!("Save for later: {NAME}")).await;
    browser.follow("To your saved tools").await;
    browser.named("button", &format!("Remove {NAME}")).await;
}

async fn choose_what_to_get(browser: &Browser) {
    browser.open_mail(ADA, DIGEST).await;
    browser.follow_in_mail("/preferences/").await;
    let test_db = browser.test_db().await;
    browser
        .find("input[value='Design']")
        .await
        .click()
        .await
        .expect("ticked");
    browser
        .find("input[value='monthly']")
        .await
        .click()
        .await
        .expect("chosen");
    browser
        .find("#pause")
        .await
        .select_by_value("4")
        .await
        .expect("chosen");
    browser.press("Save").await;
    browser.sees("Saved. Your next digest follows it.").await;
    browser.go(&test_db).await;
    for (field, chosen) in [("Design", true), ("monthly", true), ("weekly", false)] {
        let field = browser.find(&format!("input[value='{field}']")).await;
        assert_eq!(field.is_selected().await.expect("an answer"), chosen);
    }
    browser.sees("Nothing comes before").await;
    browser.press("Send me the link").await;
    browser.sees("Look in your inbox").await;
}

async fn take_the_data_and_go(test_app: &TestApp, browser: &Browser, downloads: &std::path::Path) {
    browser.open_mail(ADA, "The link to your data").await;
    browser.follow_in_mail("/account/").await;
    let test_db = browser.test_db().await;
    browser.press("Download my data").await;
    let file = downloads.join("my-data.json");
    for _ in 0..600 {
        if file.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let data = std::fs::read_to_string(&file).expect("the file that was downloaded");
    let data: serde_json::Value = serde_json::from_str(&data).expect("JSON");
    assert!(
        data.to_string().contains(ADA) && data.to_string().contains(TOOL),
        "{data}"
    );

    // Chromium sends "fass.example.org" for "faß.example.org" from a field of the type email (IDNA 2003): another domain.
    browser.fill("email", SHARP).await;
    browser.press("Ask there").await;
    browser.sees("Look in the new inbox").await;
    browser.open_mail(SHARP_MAILED, "Please confirm").await;
    browser.go(&test_db).await;

    // What a browser takes for an address and we do not stays in its field.
    browser.fill("email", "ada@nowhere").await;
    browser.press("Ask there").await;
    browser.sees("is not a mail domain").await;
    assert_eq!(browser.filled("email").await, "ada@nowhere");

    browser.go(&test_db).await;
    browser.press("Erase me").await;
    browser.sees("Erase everything?").await;
    assert!(test_app.state_of(ADA).is_some(), "one press is not enough");
    browser.press("Erase everything for good").await;
    browser.sees("You are forgotten").await;
    assert_eq!(test_app.state_of(ADA), None);
}

async fn unsubscribe(test_app: &TestApp, browser: &Browser) {
    let (bea, subject) = ("bea@example.org", "Please confirm");
    browser.go(DUEL).await;
    browser.fill("email", bea).await;
    browser.press("Sign up").await;
    browser.open_mail(bea, subject).await;
    browser.follow_in_mail("/confirm/").await;
    browser.press("Confirm my subscription").await;
    browser.sees("You are in").await;
    browser.open_mail(bea, "You are in").await;
    browser.follow_in_mail("/unsubscribe/").await;
    assert_eq!(
        test_app.state_of(bea).as_deref(),
        Some("active"),
        "to look is not to leave"
    );
    browser.press("Unsubscribe").await;
    browser.sees("You are unsubscribed").await;
    assert_eq!(test_app.state_of(bea).as_deref(), Some("unsubscribed"));
}

/// What a screen reader says of a button of the tool: whether it is pressed.
async fn pressed(browser: &Browser, button: &str) -> String {
    let path =
        format!("//*[@id='choices-{TOOL}']//button[starts-with(normalize-space(.), '{button}')]");
    browser
        .at(Locator::XPath(&path))
        .await
        .attr("aria-pressed")
        .await
        .expect("an answer")
        .expect("a state")
}
