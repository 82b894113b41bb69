//! Without a mouse, and with mistakes.

use fantoccini::Locator;
use fantoccini::key::Key;

use crate::browser::Browser;
use crate::browser::Scripts;
use crate::support::TestDb;
use crate::test_app::TestApp;

const DUEL: &str = "/comparisons/thimblewren-4b-vs-gantrymoth";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keyboard_alone_votes_and_the_focus_is_seen_all_the_way() {
    let test_db = TestDb::sqlite();
    let downloads = test_db.dir.path().to_owned();
    let test_app = TestApp::open(test_db).await;
    let Some(browser) = Browser::open(&test_app.url, Scripts::On, &downloads).await else {
        return;
    };
    browser.go(DUEL).await;
    browser.keys(&tab()).await;
    assert_eq!(
        browser.focused().await.text().await.expect("text"),
        "Skip to the content",
        "first of all, a way past the head"
    );
    let mut steps = 0;
    while browser.ask("document.activeElement.value").await != "ship" {
        browser.keys(&tab()).await;
        let outline = browser.ask("(s => [s.outlineStyle, parseFloat(s.outlineWidth)])(getComputedStyle(document.activeElement))").await;
        let name = browser.ask("document.activeElement.outerHTML").await;
        assert!(
            outline[0] != "none" && outline[1].as_f64() >= Some(2.0),
            "no focus is seen on {name}: {outline}"
        );
        steps += 1;
        assert!(steps < 20, "the vote is not within reach of the keyboard");
    }
    browser.keys(&char::from(Key::Space).to_string()).await;
    browser.sees("Your vote counts: ship.").await;
    assert_eq!(
        browser
            .ask("document.activeElement.getAttribute('aria-pressed')")
            .await,
        "true",
        "the focus stays on the button"
    );
    browser.sees("1 visitor voted").await;
    // Enter presses the next one, and the way there is one step.
    browser.keys(&tab()).await;
    browser.keys(&char::from(Key::Enter).to_string()).await;
    browser.sees("Your vote counts: skip.").await;
    let status = browser
        .at(Locator::Css("#choices-thimblewren-4b [role=status]"))
        .await;
    assert_eq!(
        status.text().await.expect("text"),
        "Your vote counts: skip."
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_is_sent_back_keeps_what_was_typed_and_says_so_where_it_is_read() {
    for scripts in [Scripts::On, Scripts::Off] {
        let test_db = TestDb::sqlite();
        let downloads = test_db.dir.path().to_owned();
        let test_app = TestApp::open(test_db).await;
        let Some(browser) = Browser::open(&test_app.url, scripts, &downloads).await else {
            return;
        };
        // A browser takes it for an address, for it may be one on its own network.
        for page in ["/", DUEL] {
            browser.go(page).await;
            browser.fill("email", "ada@nowhere").await;
            browser.press("Sign up").await;
            browser.sees("is not a mail domain").await;
            assert_eq!(browser.filled("email").await, "ada@nowhere");
            let field = browser.find("#email").await;
            assert_eq!(
                field
                    .attr("aria-invalid")
                    .await
                    .expect("an answer")
                    .as_deref(),
                Some("true")
            );
            let described = field
                .attr("aria-describedby")
                .await
                .expect("an answer")
                .expect("a description");
            assert!(
                described.split(' ').any(|id| id == "problem"),
                "{described}"
            );
            assert_eq!(
                browser
                    .find("#problem")
                    .await
                    .attr("role")
                    .await
                    .expect("an answer")
                    .as_deref(),
                Some("alert")
            );
        }
        browser.fill("email", "ada@example.org").await;
        browser.press("Sign up").await;
        browser.sees("Look in your inbox").await;
    }
}

/// To save a tool takes a subscription: who has none is told so, with a script where they are and without one on a page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_who_saves_a_tool_is_told_what_it_takes() {
    for scripts in [Scripts::On, Scripts::Off] {
        let test_db = TestDb::sqlite();
        let downloads = test_db.dir.path().to_owned();
        let test_app = TestApp::open(test_db).await;
        let Some(browser) = Browser::open(&test_app.url, scripts, &downloads).await else {
            return;
        };
        browser.go(DUEL).await;
        browser.press("Save for later").await;
        browser.sees("Saved tools belong to a subscription.").await;
        assert_eq!(browser.test_db().await == DUEL, scripts == Scripts::On);
    }
}

fn tab() -> String {
    char::from(Key::Tab).to_string()
}

/// Chromium sends `fass.example.org` for `faß.example.org` from a field of the type `email` (IDNA 2003), which is another domain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_reaches_its_own_domain_from_the_front_page_and_from_the_form_for_other_sites() {
    let test_db = TestDb::sqlite();
    let downloads = test_db.dir.path().to_owned();
    let test_app = TestApp::open(test_db).await;
    let Some(browser) = Browser::open(&test_app.url, Scripts::On, &downloads).await else {
        return;
    };
    browser.go("/").await;
    browser.fill("email", "front@faß.example.org").await;
    browser.press("Sign up").await;
    browser
        .open_mail("front@xn--fa-hia.example.org", "Please confirm")
        .await;

    browser.go("/embed").await;
    let form = "document.body.innerHTML = [...document.querySelectorAll('pre')].map(e => e.textContent).find(t => t.includes('<form'))";
    assert!(
        browser
            .ask(form)
            .await
            .as_str()
            .is_some_and(|form| form.contains("verdicts-email"))
    );
    browser
        .fill("verdicts-email", "embedded@faß.example.org")
        .await;
    browser.press("Sign up").await;
    browser
        .open_mail("embedded@xn--fa-hia.example.org", "Please confirm")
        .await;
}
