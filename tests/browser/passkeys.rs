//! Passkeys as a browser makes and uses them: Chromium with its own authenticator judges what we ask of it.

use crate::browser::Browser;
use crate::browser::Scripts;
use crate::support::TestDb;
use crate::test_app::TestApp;

const PASSWORD: &str = "violet tram eats ledger";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_adds_a_passkey_and_signs_in_with_it() {
    let test_db = TestDb::sqlite();
    let downloads = test_db.dir.path().join("downloads");
    let test_app = TestApp::open(test_db).await;
    // An address is no name that a passkey could be bound to.
    let home = test_app.url.replace("127.0.0.1", "localhost");
    let Some(browser) = Browser::open(&home, Scripts::On, &downloads).await else {
        return;
    };
    let said = test_app.program.run(&["users", "setup"]).good();
    let link = said.out.lines().next().expect("a link");
    browser.go(&link.replace("127.0.0.1", "localhost")).await;
    for (id, text) in [
        ("email", "ada@lovelace.example"),
        ("name", "Ada"),
        ("password", PASSWORD),
    ] {
        browser.fill(id, text).await;
    }
    browser.press("Become the owner").await;
    browser.follow("Use a passkey instead").await;
    let authenticator = browser.add_authenticator().await;
    browser.fill("name", "Blue key").await;
    // By keyboard: Enter in the field.
    browser.keys("\u{e007}").await;
    browser.lands_at("/desk").await;
    browser.go("/desk/account").await;
    browser.sees("Last used").await;

    // The same device once more: the browser knows that it has a key for this user.
    browser.follow("Add a passkey").await;
    browser.press("Add a passkey").await;
    browser.sees("has a passkey for you already").await;

    browser.verifies(&authenticator, false).await;
    browser.press("Sign out").await;
    browser.lands_at("/desk/sign-in").await;
    browser.press("Sign in with a passkey").await;
    browser.sees("No passkey was used").await;
    browser.verifies(&authenticator, true).await;
    browser.press("Sign in with a passkey").await;
    browser.lands_at("/desk").await;
    let passkeys = test_app
        .program
        .run(&["--json", "users", "passkeys", "ada@lovelace.example"])
        .json();
    let passkey = &passkeys["passkeys"][0];
    assert_eq!(passkey["name"], "Blue key", "{passkeys}");
    assert!(passkey["used_at"].is_string(), "{passkeys}");

    // The password alone is half the way, and the passkey the other half.
    browser.verifies(&authenticator, false).await;
    browser.press("Sign out").await;
    browser.fill("email", "ada@lovelace.example").await;
    browser.fill("password", PASSWORD).await;
    browser.keys("\u{e007}").await;
    browser.sees("Your passkey is the second factor").await;
    browser.verifies(&authenticator, true).await;
    browser.press("Use a passkey").await;
    browser.lands_at("/desk").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passkey_is_offered_beside_the_address_that_the_browser_fills_in() {
    let test_db = TestDb::sqlite();
    let downloads = test_db.dir.path().join("downloads");
    let test_app = TestApp::open_with(test_db, &[("VERDICTS_DESK__SECOND_FACTOR", "off")]).await;
    let home = test_app.url.replace("127.0.0.1", "localhost");
    let Some(browser) = Browser::open(&home, Scripts::On, &downloads).await else {
        return;
    };
    let said = test_app.program.run(&["users", "setup"]).good();
    let link = said.out.lines().next().expect("a link");
    browser.go(&link.replace("127.0.0.1", "localhost")).await;
    for (id, text) in [
        ("email", "ada@lovelace.example"),
        ("name", "Ada"),
        ("password", PASSWORD),
    ] {
        browser.fill(id, text).await;
    }
    browser.press("Become the owner").await;
    browser.lands_at("/desk").await;
    browser.add_authenticator().await;
    browser.go("/desk/account/passkeys/new").await;
    browser.press("Add a passkey").await;
    browser.lands_at("/desk/account").await;
    browser.press("Sign out").await;
    // Chromium's own authenticator picks for its user, without a button.
    browser.lands_at("/desk").await;
}
