//! Additions of the desk's script, in a browser: the preview that follows what is typed, Ctrl+S, the guard of what is not saved, comparisons that are
//! dragged, and a part of the page that changes by itself until it is final.

use fantoccini::key::Key;

use crate::browser::Browser;
use crate::browser::Scripts;
use crate::support::TestDb;
use crate::test_app::TestApp;

const PASSWORD: &str = "violet tram eats ledger";

/// A service with readers, and a browser in which its owner is signed in.
async fn desk(variables: &[(&str, &str)]) -> Option<(TestApp, Browser)> {
    let test_db = TestDb::sqlite();
    let downloads = test_db.dir.path().join("downloads");
    let mut all = vec![("VERDICTS_DESK__SECOND_FACTOR", "off")];
    all.extend(variables);
    let test_app = TestApp::open_with(test_db, &all).await;
    let browser = Browser::open(&test_app.url, Scripts::On, &downloads).await?;
    let rows: String = (0..6).map(|n| format!("reader{n}@example.org\n")).collect();
    test_app
        .program
        .write("people.csv", format!("email\n{rows}"));
    let import = [
        "subscribers",
        "import",
        "people.csv",
        "--consent",
        "at the fair",
        "--confirmed",
    ];
    test_app.program.run(&import).good();
    let add = [
        "users",
        "add",
        "ada@desk.example",
        "--role",
        "owner",
        "--password-stdin",
    ];
    test_app
        .program
        .run_with_input(&add, PASSWORD.as_bytes())
        .good();
    browser.go("/desk/sign-in").await;
    browser.fill("email", "ada@desk.example").await;
    browser.fill("password", PASSWORD).await;
    browser.keys(&char::from(Key::Enter).to_string()).await;
    browser.lands_at("/desk").await;
    Some((test_app, browser))
}

/// Waits until the page says so.
async fn until(browser: &Browser, holds: &str) {
    for _ in 0..600 {
        if browser.ask(holds).await == true {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("waited in vain for {holds} on {}", browser.test_db().await);
}

/// Returns true if the browser would ask before this page is left.
const ASKS: &str = "!dispatchEvent(new Event('beforeunload', { cancelable: true }))";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_typed_is_shown_guarded_and_saved_by_a_key() {
    let Some((_test_app, browser)) = desk(&[("VERDICTS_SCHEDULE__APPROVAL", "required")]).await
    else {
        return;
    };
    browser.press("Make the draft now").await;
    browser.follow("Write the issue").await;
    assert_eq!(browser.ask(ASKS).await, false, "nothing is typed yet");
    // The frame is replaced by a new one for each preview.
    browser
        .ask("document.querySelector('iframe[name=mail]').old = 1")
        .await;
    browser.fill("subject", "Typed just now").await;
    assert_eq!(browser.ask(ASKS).await, true);
    until(
        &browser,
        "document.getElementById('line').textContent.includes('Typed just now')",
    )
    .await;
    until(
        &browser,
        "document.querySelector('iframe[name=mail]').old === undefined",
    )
    .await;
    browser.fill("introduction", "Hello").await;
    until(
        &browser,
        "[...document.querySelectorAll('.count')].some(count => count.textContent === '5 of 4000')",
    )
    .await;
    browser
        .keys(&format!("{}s", char::from(Key::Control)))
        .await;
    browser.sees("Saved.").await;
    assert_eq!(browser.filled("subject").await, "Typed just now");
    assert_eq!(browser.ask(ASKS).await, false, "all is saved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_is_dragged_to_another_place() {
    let Some((_test_app, browser)) = desk(&[("VERDICTS_SCHEDULE__APPROVAL", "required")]).await
    else {
        return;
    };
    browser.press("Make the draft now").await;
    browser.sees("Waits for an approval").await;
    let order =
        "[...document.querySelectorAll('[data-reorder] > li')].map(item => item.dataset.slug)";
    let before: Vec<String> = serde_json::from_value(browser.ask(order).await).expect("slugs");
    // The events of a drag, as a mouse makes them: WebDriver makes none.
    browser
        .ask(
            "(() => {
               const [first, second] = document.querySelectorAll('[data-reorder] > li');
               const data = new DataTransfer();
               const send = (kind, item, y) => item.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: data, clientY: y }));
               send('dragstart', first, 0);
               send('dragover', second, second.getBoundingClientRect().bottom - 1);
               send('drop', second, 0);
               send('dragend', first, 0);
             })()",
        )
        .await;
    browser.sees("The order is changed.").await;
    let after: Vec<String> = serde_json::from_value(browser.ask(order).await).expect("slugs");
    assert_eq!(
        (&after[0], &after[1], after.len()),
        (&before[1], &before[0], before.len())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_follows_a_send_and_ends_with_it() {
    let slow = [("VERDICTS_MAIL__RATE_PER_SECOND", "1")];
    let Some((test_app, browser)) = desk(&slow).await else {
        return;
    };
    let mut send = test_app.program.start("send", &["digest", "send"]);
    for _ in 0..600 {
        browser.go("/desk").await;
        if browser
            .ask("document.querySelector('[data-refresh]') !== null")
            .await
            == true
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    // Neither loaded again by hand nor by the test: the page itself sees the end, and then asks no more.
    until(
        &browser,
        "document.querySelector('[data-refresh]') === null",
    )
    .await;
    let sent = browser
        .ask("document.querySelector('dl.parts .sent dd').textContent")
        .await;
    assert!(
        sent.as_str().is_some_and(|text| text.starts_with('6')),
        "{sent}"
    );
    assert_eq!(send.end(), Some(0));
    let asked = "performance.getEntriesByType('resource').filter(entry => entry.name.endsWith('/progress')).length";
    assert_eq!(browser.ask(asked).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_is_narrowed_and_a_record_is_copied() {
    let Some((_test_app, browser)) = desk(&[]).await else {
        return;
    };
    browser.go("/desk/comparisons/new").await;
    let names = "[...document.querySelectorAll('#left option')].filter(one => one.value).map(one => one.text)";
    let all: Vec<String> = serde_json::from_value(browser.ask(names).await).expect("names");
    let wanted = all.last().expect("a tool of the samples").clone();
    let field = browser.find("label[for=left] ~ input[type=search]").await;
    field
        .send_keys(&wanted.to_uppercase())
        .await
        .expect("typed");
    assert_eq!(browser.ask(names).await, serde_json::json!([wanted]));
    let chosen = "document.querySelector('#left').selectedOptions[0].text";
    assert_eq!(browser.ask(chosen).await, wanted.as_str());
    assert_eq!(
        browser
            .ask("document.querySelectorAll('#right option').length")
            .await,
        all.len() + 1,
        "the other list is as it was"
    );

    browser.go("/desk/deliverability").await;
    let button = browser.find("input[data-copy] + button").await;
    button.click().await.expect("pressed");
    until(
        &browser,
        "document.querySelector('input[data-copy] + button').textContent === 'Copied'",
    )
    .await;
}
