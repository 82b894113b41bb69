//! A publisher's first way through the desk, in a browser without scripts: first-run link, password, second factor, this week, approval.
//! The codes are Debian's oathtool's, which knows nothing of ours.

use std::process::Command;

use crate::browser::Browser;
use crate::browser::Scripts;
use crate::support::TestDb;
use crate::test_app::TestApp;

const PASSWORD: &str = "violet tram eats ledger";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_sets_up_the_desk_and_approves_the_week() {
    if Command::new("oathtool").arg("--version").output().is_err() {
        eprintln!(
            "oathtool was not found: the desk was not tried in a browser. On Debian: apt-get install oathtool"
        );
        return;
    }
    let test_db = TestDb::sqlite();
    let downloads = test_db.dir.path().join("downloads");
    let test_app =
        TestApp::open_with(test_db, &[("VERDICTS_SCHEDULE__APPROVAL", "required")]).await;
    let Some(browser) = Browser::open(&test_app.url, Scripts::Off, &downloads).await else {
        return;
    };
    let said = test_app.program.run(&["users", "setup"]).good();
    let link = said.out.lines().next().expect("a link").to_owned();
    browser.go(&link).await;
    browser.sees("Set up the desk").await;
    for (id, text) in [
        ("email", "ada@lovelace.example"),
        ("name", "Ada"),
        ("password", PASSWORD),
    ] {
        browser.fill(id, text).await;
    }
    browser.press("Become the owner").await;
    browser.sees("Set up your second factor").await;
    let key = browser
        .ask("document.querySelector('code.key').textContent")
        .await;
    let key = key.as_str().expect("a key").replace(' ', "");
    browser.fill("code", &code(&key)).await;
    browser.press("Turn it on").await;
    browser.sees("Keep your recovery codes").await;
    browser.follow("I have kept them").await;
    browser.lands_at("/desk").await;
    browser.sees("Next in line").await;
    browser.press("Make the draft now").await;
    browser.sees("Waits for an approval").await;
    browser.follow("Approve").await;
    browser.press("Approve it").await;
    browser.sees("Approved:").await;
    let slot = test_app.program.run(&["--json", "digest", "list"]).json();
    assert_eq!(slot["digests"][0]["state"], "approved", "{slot}");

    browser.press("Sign out").await;
    browser.lands_at("/desk/sign-in").await;
    browser.fill("email", "ada@lovelace.example").await;
    browser.fill("password", PASSWORD).await;
    browser.keys("\u{e007}").await;
    browser.sees("The password is right").await;
    browser.go("/desk").await;
    browser.lands_at("/desk/sign-in/code").await;
}

/// The code that an app with this key shows now.
fn code(key: &str) -> String {
    let done = Command::new("oathtool")
        .args(["--totp", "-b", key])
        .output()
        .expect("oathtool ran");
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout)
        .expect("digits")
        .trim()
        .to_owned()
}
