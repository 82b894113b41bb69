//! A browser with a verb for each thing that a person does with it.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Once;
use std::time::Duration;

use fantoccini::Client;
use fantoccini::ClientBuilder;
use fantoccini::Locator;
use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

const NOT_FOUND: &[u8] =
    b"chromedriver was not found: nothing was tried in a browser. On Debian: apt-get install chromium chromium-driver\n";

/// How long a page may take to show what is waited for: a machine may have more to do.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a driver is started that finds no port.
const STARTS: u32 = 20;

/// Whether pages may run their scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scripts {
    On,
    Off,
}

/// A Chromium of the test's own, with an empty profile. Dropped, it is closed.
pub struct Browser {
    client: Client,
    home: String,
    /// Chromium is at the other end of its pipe and ends with it.
    driver: Child,
}

impl Browser {
    /// Opens one for the site at `home`; what it downloads lands in `downloads`. `None` where there is no chromedriver.
    ///
    /// # Panics
    /// Where there is one and it opens no browser: a test that was never run must not look like one that passed.
    pub async fn open(home: &str, scripts: Scripts, downloads: &Path) -> Option<Self> {
        let (driver, address) = start_driver()?;
        let mut prefs = json!({ "download.default_directory": downloads, "download.prompt_for_download": false });
        if scripts == Scripts::Off {
            prefs["profile.managed_default_content_settings.javascript"] = 2.into();
        }
        // No sandbox: it does not start for root, and the pages are our own.
        let switches = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--remote-debugging-pipe",
        ];
        let wanted = json!({
            "goog:chromeOptions": { "args": switches, "prefs": prefs },
            "timeouts": { "pageLoad": PATIENCE.as_millis() as u64 },
        });
        let wanted = wanted.as_object().expect("an object").clone();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&address)
            .await
            .expect("a browser opens");
        client.set_window_size(1280, 900).await.expect("a window");
        Some(Self {
            client,
            home: home.to_owned(),
            driver,
        })
    }

    /// Opens an address; a path is one of the site's.
    pub async fn go(&self, address: &str) {
        let address = if address.starts_with("http") {
            address.to_owned()
        } else {
            format!("{}{address}", self.home)
        };
        self.client.goto(&address).await.expect("a page");
    }

    /// The path of the page that is shown, with what follows it.
    pub async fn test_db(&self) -> String {
        let address = self.client.current_url().await.expect("an address");
        address
            .as_str()
            .strip_prefix(&self.home)
            .unwrap_or(address.as_str())
            .to_owned()
    }

    /// Waits for the first element that fits.
    pub async fn find(&self, css: &str) -> Element {
        self.at(Locator::Css(css)).await
    }

    /// Waits for a button or link by what a screen reader says of it, or the start of that.
    pub async fn named(&self, kind: &str, name: &str) -> Element {
        self.at(Locator::XPath(&format!(
            "//{kind}[starts-with(normalize-space(.), \"{name}\")]"
        )))
        .await
    }

    /// Waits for the first element there.
    pub async fn at(&self, locator: Locator<'_>) -> Element {
        match self
            .client
            .wait()
            .at_most(PATIENCE)
            .for_element(locator)
            .await
        {
            Ok(element) => element,
            Err(error) => panic!(
                "{locator:?} is not on {}: {error}\n{}",
                self.test_db().await,
                self.text().await
            ),
        }
    }

    /// Presses a button by its words.
    pub async fn press(&self, words: &str) {
        self.named("button", words)
            .await
            .click()
            .await
            .expect("pressed");
    }

    /// Follows a link by its words.
    pub async fn follow(&self, words: &str) {
        self.named("a", words)
            .await
            .click()
            .await
            .expect("followed");
    }

    /// Types into the field with that id, over what was there.
    pub async fn fill(&self, id: &str, text: &str) {
        let field = self.find(&format!("#{id}")).await;
        field.clear().await.expect("emptied");
        field.send_keys(text).await.expect("typed");
    }

    /// What stands in the field with that id.
    pub async fn filled(&self, id: &str) -> String {
        self.find(&format!("#{id}"))
            .await
            .prop("value")
            .await
            .expect("a value")
            .unwrap_or_default()
    }

    /// Waits until the page at that path is shown.
    pub async fn lands_at(&self, path: &str) {
        for _ in 0..PATIENCE.as_millis() / 50 {
            if self.test_db().await == path {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "waited in vain for {path}, and was on {}",
            self.test_db().await
        );
    }

    /// Everything that can be read on the page.
    pub async fn text(&self) -> String {
        let body = self
            .client
            .find(Locator::Css("body"))
            .await
            .expect("a page");
        body.text().await.expect("text")
    }

    /// Waits until `words` can be read.
    pub async fn sees(&self, words: &str) {
        let mut text = String::new();
        for _ in 0..PATIENCE.as_millis() / 50 {
            // A page that is just left has no body for a moment.
            if let Ok(body) = self.client.find(Locator::Css("body")).await {
                text = body.text().await.unwrap_or_default();
            }
            if text.contains(words) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "waited in vain for {words:?} on {}:\n{text}",
            self.test_db().await
        );
    }

    /// Presses keys wherever the focus is.
    pub async fn keys(&self, keys: &str) {
        self.focused().await.send_keys(keys).await.expect("pressed");
    }

    pub async fn focused(&self) -> Element {
        self.client.active_element().await.expect("an element")
    }

    /// Asks the page itself; also where the page may run no script of its own.
    pub async fn ask(&self, expression: &str) -> serde_json::Value {
        self.client
            .execute(&format!("return {expression}"), Vec::new())
            .await
            .expect("an answer")
    }

    /// Gives the browser an authenticator that keeps keys and verifies its user (WebAuthn, 11.2); the browser's own answers its name.
    pub async fn add_authenticator(&self) -> String {
        let authenticator = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
            "isUserConsenting": true, "isUserVerified": true,
        });
        let made = self
            .client
            .issue_cmd(WebauthnCommand("authenticator".into(), authenticator))
            .await;
        made.expect("an authenticator")
            .as_str()
            .expect("a name")
            .to_owned()
    }

    /// Has the authenticator's user be there or not.
    pub async fn verifies(&self, authenticator: &str, is_verified: bool) {
        let path = format!("authenticator/{authenticator}/uv");
        let body = json!({ "isUserVerified": is_verified });
        let done = self.client.issue_cmd(WebauthnCommand(path, body)).await;
        done.expect("changed");
    }

    /// Opens the newest mail to `address` whose subject begins so, and looks into its HTML part as the mailbox shows it: the
    /// next links that are followed are the mail's.
    pub async fn open_mail(&self, address: &str, subject: &str) {
        let row = format!(
            "//tr[td[2][normalize-space(.)='{address}']]//a[starts-with(normalize-space(.), \"{subject}\")]"
        );
        for _ in 0..PATIENCE.as_millis() / 200 {
            self.go("/mailbox").await;
            if let Ok(link) = self.client.find(Locator::XPath(&row)).await {
                link.click().await.expect("followed");
                self.find("iframe")
                    .await
                    .enter_frame()
                    .await
                    .expect("a frame");
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("no mail {subject:?} came to {address}");
    }

    /// Follows a link of the mail that is open by a part of its address; it leads out of the frame.
    ///
    /// It takes the frame away in which it was clicked, and the driver may call that a failure ("target frame detached"):
    /// what counts is where it led.
    pub async fn follow_in_mail(&self, address: &str) {
        let clicked = self
            .find(&format!("a[href*='{address}']"))
            .await
            .click()
            .await;
        let mut test_db = String::new();
        for _ in 0..PATIENCE.as_millis() / 50 {
            if self.client.enter_parent_frame().await.is_ok() {
                test_db = self.test_db().await;
            }
            if test_db.contains(address) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the link to {address} led to {test_db:?}: {clicked:?}");
    }
}

/// A command of WebDriver's extension for WebAuthn: its path and its body.
#[derive(Debug)]
struct WebauthnCommand(String, serde_json::Value);

impl WebDriverCompatibleCommand for WebauthnCommand {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/webauthn/{}", self.0))
    }

    fn method_and_body(&self, _: &url::Url) -> (reqwest::Method, Option<String>) {
        (reqwest::Method::POST, Some(self.1.to_string()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A driver on a port of its choice, and its address.
///
/// It takes a free port of `::1` and then wants the same one of 127.0.0.1, which a server of another test may have: it
/// ends at once, and is started again.
fn start_driver() -> Option<(Child, String)> {
    static SAID: Once = Once::new();
    let mut said = String::new();
    for _ in 0..STARTS {
        let started = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut driver) = started else {
            // Not `eprintln`, which is swallowed when a test passes.
            SAID.call_once(|| drop(std::io::stderr().write_all(NOT_FOUND)));
            return None;
        };
        said.clear();
        for line in BufReader::new(driver.stdout.take().expect("a pipe"))
            .lines()
            .map_while(Result::ok)
        {
            if let Some((_, port)) = line.split_once("successfully on port ") {
                return Some((
                    driver,
                    format!("http://127.0.0.1:{}", port.trim_end_matches('.')),
                ));
            }
            said.push_str(&line);
            said.push('\n');
        }
        driver.wait().expect("it ended");
    }
    panic!("chromedriver found no port in {STARTS} starts:\n{said}");
}
