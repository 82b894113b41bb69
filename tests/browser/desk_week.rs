//! The whole weekly way of a publisher in a browser: first-run link, authenticator app, draft, words, preview, test copy, approval by a second
//! person, undo, sending, sum, correction. Once with scripts and the mouse, once without scripts and with the keyboard alone.

use std::process::Command;

use fantoccini::key::Key;

use crate::browser::Browser;
use crate::browser::Scripts;
use crate::support::TestDb;
use crate::test_app::TestApp;

const PASSWORD: &str = "violet tram eats ledger";
const REQUIRED: [(&str, &str); 2] = [
    ("VERDICTS_SCHEDULE__APPROVAL", "required"),
    ("VERDICTS_DESK__TWO_PEOPLE", "true"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_week_with_scripts() {
    whole_week(Scripts::On).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_week_without_scripts_by_keyboard() {
    whole_week(Scripts::Off).await;
}

/// Hands of a person: they press what they see, or tab to it and press Enter.
struct Hands<'a> {
    browser: &'a Browser,
    has_mouse: bool,
}

impl Hands<'_> {
    async fn press(&self, words: &str) {
        match self.has_mouse {
            true => self.browser.press(words).await,
            false => self.enter(&["BUTTON"], words).await,
        }
    }

    async fn follow(&self, words: &str) {
        match self.has_mouse {
            true => self.browser.follow(words).await,
            false => self.enter(&["A"], words).await,
        }
    }

    async fn fill(&self, id: &str, text: &str) {
        if self.has_mouse {
            return self.browser.fill(id, text).await;
        }
        self.tab_until(&format!("document.activeElement.id === '{id}'"))
            .await;
        self.browser.keys(text).await;
    }

    async fn enter(&self, kinds: &[&str], words: &str) {
        self.browser.sees(words).await;
        let is_it = format!(
            "({kinds:?}.includes(document.activeElement.tagName) && document.activeElement.textContent.trim().startsWith({words:?}))"
        );
        self.tab_until(&is_it).await;
        let before = self.browser.ask("performance.timeOrigin").await;
        self.browser.keys(&char::from(Key::Enter).to_string()).await;
        // The next page's fields must not be looked for on this one.
        for _ in 0..600 {
            if self.browser.ask("performance.timeOrigin").await != before {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Follows the line of an inbox.
    async fn look_at_the_mail(&self) {
        if self.has_mouse {
            let line = self.browser.find("a.inbox").await;
            return line.click().await.expect("followed");
        }
        self.tab_until("document.activeElement.classList.contains('inbox')")
            .await;
        self.browser.keys(&char::from(Key::Enter).to_string()).await;
    }

    /// Tabs until the page says so.
    async fn tab_until(&self, is_it: &str) {
        for _ in 0..200 {
            if self.browser.ask(is_it).await == true {
                return;
            }
            self.browser.keys(&char::from(Key::Tab).to_string()).await;
        }
        panic!("not within reach of the keyboard: {is_it}");
    }
}

async fn whole_week(scripts: Scripts) {
    if Command::new("oathtool").arg("--version").output().is_err() {
        eprintln!(
            "oathtool was not found: the week was not tried in a browser. On Debian: apt-get install oathtool"
        );
        return;
    }
    let test_db = TestDb::sqlite();
    let downloads = test_db.dir.path().join("downloads");
    let test_app = TestApp::open_with(test_db, &REQUIRED).await;
    let Some(browser) = Browser::open(&test_app.url, scripts, &downloads).await else {
        return;
    };
    let people = b"email\nreader0@example.org\nreader1@example.org\n";
    test_app.program.write("people.csv", people);
    let import = [
        "subscribers",
        "import",
        "people.csv",
        "--consent",
        "at the fair",
        "--confirmed",
    ];
    test_app.program.run(&import).good();
    let hands = Hands {
        browser: &browser,
        has_mouse: scripts == Scripts::On,
    };
    become_owner(&test_app, &hands).await;
    write_the_issue(&hands).await;
    let slot = browser.test_db().await;
    let slot = slot
        .rsplit('/')
        .next()
        .expect("a slot")
        .split('?')
        .next()
        .expect("a slot")
        .to_owned();

    hands.press("Send the test copy").await;
    browser.sees("1 test copy sent").await;
    hands.follow("Approve").await;
    hands.press("Approve it").await;
    browser.sees("somebody else must approve it").await;

    // A second person approves, sends, undoes, and approves again.
    let add = [
        "users",
        "add",
        "bea@desk.example",
        "--role",
        "editor",
        "--password-stdin",
    ];
    test_app
        .program
        .run_with_input(&add, PASSWORD.as_bytes())
        .good();
    hands.press("Sign out").await;
    browser.lands_at("/desk/sign-in").await;
    hands.fill("email", "bea@desk.example").await;
    hands.fill("password", PASSWORD).await;
    browser.keys(&char::from(Key::Enter).to_string()).await;
    browser.lands_at("/desk").await;
    hands.follow("Approve").await;
    hands.press("Approve it").await;
    browser.sees("Approved:").await;
    hands.follow("Send now").await;
    hands.press("Send it to 2 readers").await;
    browser.sees("Until then you can stop it").await;
    hands.follow("Stop").await;
    hands.press("Stop it").await;
    browser.sees("is a draft again").await;
    hands.follow("Approve").await;
    hands.press("Approve it").await;
    browser.sees("Approved:").await;
    let sent = test_app
        .program
        .run(&["--json", "digest", "send", &slot])
        .good()
        .json();
    assert_eq!(sent["deliveries"]["sent"], 2, "{sent}");

    browser.go(&format!("/desk/digests/{slot}")).await;
    browser.sees("What became of it").await;
    let parts = browser
        .ask(
            "[...document.querySelectorAll('dl.parts dd')].map(part => parseInt(part.textContent))",
        )
        .await;
    let parts: Vec<i64> = serde_json::from_value(parts).expect("numbers");
    assert_eq!(
        (parts[0], parts[1..].iter().sum::<i64>()),
        (2, 2),
        "{parts:?}"
    );
    hands.follow("Correct it").await;
    hands.fill("sign_off", " One price is right now.").await;
    hands.fill("note", "A price was wrong.").await;
    hands.press("Correct").await;
    browser.sees("A price was wrong.").await;
    browser.go(&format!("/digests/{slot}")).await;
    browser.sees("A price was wrong.").await;
    browser.sees("A word before the verdicts.").await;
}

async fn become_owner(test_app: &TestApp, hands: &Hands<'_>) {
    let browser = hands.browser;
    let said = test_app.program.run(&["users", "setup"]).good();
    browser.go(said.out.lines().next().expect("a link")).await;
    browser.sees("Set up the desk").await;
    for (id, text) in [
        ("email", "ada@desk.example"),
        ("name", "Ada"),
        ("password", PASSWORD),
    ] {
        hands.fill(id, text).await;
    }
    hands.press("Become the owner").await;
    browser.sees("Set up your second factor").await;
    let key = browser
        .ask("document.querySelector('code.key').textContent")
        .await;
    let key = key.as_str().expect("a key").replace(' ', "");
    let done = Command::new("oathtool")
        .args(["--totp", "-b", &key])
        .output()
        .expect("oathtool ran");
    let code = String::from_utf8(done.stdout).expect("digits");
    hands.fill("code", code.trim()).await;
    hands.press("Turn it on").await;
    browser.sees("Keep your recovery codes").await;
    hands.follow("I have kept them").await;
    browser.lands_at("/desk").await;
}

async fn write_the_issue(hands: &Hands<'_>) {
    let browser = hands.browser;
    hands.press("Make the draft now").await;
    browser.sees("Waits for an approval").await;
    let titles = "[...document.querySelectorAll('ol.picks:not(.next) h3 a')].map(title => title.textContent)";
    let before: Vec<String> = serde_json::from_value(browser.ask(titles).await).expect("titles");
    hands.press("Down").await;
    browser.sees("The order is changed.").await;
    let after: Vec<String> = serde_json::from_value(browser.ask(titles).await).expect("titles");
    assert_eq!((&after[0], &after[1]), (&before[1], &before[0]));
    hands.press("Leave out").await;
    browser.sees("It is left out.").await;
    hands.follow("Write the issue").await;
    hands
        .fill("introduction", "A word before the verdicts.")
        .await;
    hands.press("Save").await;
    browser.sees("Saved.").await;
    hands.follow("2").await;
    browser.sees("Look at the mail").await;
    hands.look_at_the_mail().await;
    browser.sees("The mail").await;
    hands.follow("Text").await;
    browser.sees("A word before the verdicts.").await;
    hands.follow("2").await;
    browser.sees("Look at the mail").await;
}
