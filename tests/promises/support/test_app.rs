//! The service in this process, with a clock that can be moved.

mod dump;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use chrono::TimeDelta;
use reqwest::Response;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use verdicts::app::App;
use verdicts::app::Clock;
use verdicts::app::Fetch;
use verdicts::app::catalogue::document::Catalogue;
use verdicts::app::catalogue::document::Format;
use verdicts::app::delivery::SendProgress;
use verdicts::app::issue::digests::SendResult;
use verdicts::app::issue::preflight::Preflight;
use verdicts::app::issue::sending::SendOrder;
use verdicts::app::subscribing::list::ImportTerms;
use verdicts::config::Settings;
use verdicts::domain::Timestamp;
use verdicts::domain::actor::Actor;
use verdicts::domain::slot::Slot;
use verdicts::domain::subscriber::SubscriberState;

use super::SmtpSink;
use super::TestDb;
use super::catalogue;

/// A Tuesday in November.
pub const START: &str = "2026-11-24T07:30:00Z";

/// A running service. Dropped, it stops.
pub struct TestApp {
    pub app: Arc<App>,
    pub url: String,
    pub test_db: TestDb,
    pub stop: CancellationToken,
    http: reqwest::Client,
    shift: Arc<AtomicI64>,
}

impl TestApp {
    /// Opens the service with the local mailbox.
    pub async fn open(test_db: TestDb) -> Self {
        Self::open_with(test_db, |_| {}).await
    }

    /// Opens the service with `sink` as its relay.
    pub async fn open_to(test_db: TestDb, sink: &SmtpSink) -> Self {
        let url = sink.url();
        Self::open_with(test_db, |settings| settings.mail.transport = url.into()).await
    }

    /// Opens the service with settings of its own, on an up-to-date database. Only the pages run: a test calls for the
    /// rest (`deliver`, `app.tick()`).
    pub async fn open_with(test_db: TestDb, adapt: impl FnOnce(&mut Settings)) -> Self {
        Self::open_fetching(
            test_db,
            Fetch::new(async |_| Err("there is no network in a test".into())),
            adapt,
        )
        .await
    }

    /// The same over that relay, with something to send.
    pub async fn stocked(
        test_db: TestDb,
        sink: &SmtpSink,
        adapt: impl FnOnce(&mut Settings),
    ) -> Self {
        let url = sink.url();
        let test_app = Self::open_with(test_db, |settings| {
            settings.mail.transport = url.into();
            adapt(settings);
        })
        .await;
        test_app.stock_small().await;
        test_app
    }

    /// The same, and `fetch` stands for what lies at https addresses.
    pub async fn open_fetching(
        test_db: TestDb,
        fetch: Fetch,
        adapt: impl FnOnce(&mut Settings),
    ) -> Self {
        Self::open_from(test_db, START, fetch, adapt).await
    }

    /// The same, set up at a moment of its own.
    pub async fn open_at(test_db: TestDb, start: &str, adapt: impl FnOnce(&mut Settings)) -> Self {
        Self::open_from(
            test_db,
            start,
            Fetch::new(async |_| Err("there is no network in a test".into())),
            adapt,
        )
        .await
    }

    async fn open_from(
        test_db: TestDb,
        start: &str,
        fetch: Fetch,
        adapt: impl FnOnce(&mut Settings),
    ) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let mut settings = settings_in(&test_db);
        settings.site.listen = listener.local_addr().expect("an address");
        settings.site.base_url = url.parse().expect("an address");
        adapt(&mut settings);
        let start: Timestamp = start.parse().expect("a moment");
        let (began, shift) = (std::time::Instant::now(), Arc::new(AtomicI64::new(0)));
        let moved = shift.clone();
        let clock = Clock::new(move || {
            start + TimeDelta::milliseconds(began.elapsed().as_millis() as i64 + moved.load(SeqCst))
        });
        let app = App::open_with(settings, clock, fetch)
            .await
            .expect("the service opens");
        app.storage
            .migrate(app.now())
            .await
            .expect("the tables are made");
        let stop = CancellationToken::new();
        tokio::spawn(verdicts::web::serve(
            app.clone(),
            listener,
            verdicts::web::Pages::All,
            stop.clone(),
        ));
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        Self {
            app,
            url,
            test_db,
            stop,
            http,
            shift,
        }
    }

    /// Moves the clock on.
    pub fn wait(&self, time: TimeDelta) {
        self.shift.fetch_add(time.num_milliseconds(), SeqCst);
    }

    /// Sets the clock.
    pub fn set_clock(&self, moment: &str) {
        let moment: Timestamp = moment.parse().expect("a moment");
        self.wait(moment - self.app.now());
    }

    pub async fn get(&self, path: &str) -> Response {
        self.http
            .get(self.address(path))
            .send()
            .await
            .expect("an answer")
    }

    pub async fn page(&self, path: &str) -> String {
        let response = self.get(path).await;
        assert!(
            response.status().is_success(),
            "GET {path}: {}",
            response.status()
        );
        response.text().await.expect("a page")
    }

    pub async fn post(&self, path: &str) -> Response {
        self.http
            .post(self.address(path))
            .send()
            .await
            .expect("an answer")
    }

    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        self.http
            .post(self.address(path))
            .form(fields)
            .send()
            .await
            .expect("an answer")
    }

    pub async fn post_json(&self, path: &str, body: &serde_json::Value) -> Response {
        self.http
            .post(self.address(path))
            .json(body)
            .send()
            .await
            .expect("an answer")
    }

    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, self.address(path))
    }

    fn address(&self, path: &str) -> String {
        if path.starts_with("http") {
            path.into()
        } else {
            format!("{}{path}", self.url)
        }
    }

    /// Fills in the form on the front page.
    pub async fn sign_up(&self, email: &str) -> Response {
        self.post_form("/subscribe", &[("email", email), ("website", "")])
            .await
    }

    /// Puts people on the list as confirmed elsewhere: `name0@example.org`, ...
    pub async fn seed_subscribers(&self, name: &str, count: usize) {
        let rows: String = (0..count)
            .map(|n| format!("{name}{n}@example.org\n"))
            .collect();
        self.enlist_all(&format!("email\n{rows}")).await;
    }

    /// Puts the people of a CSV file on the list as confirmed elsewhere.
    pub async fn enlist_all(&self, csv: &str) {
        let terms = ImportTerms {
            consent: "at the fair",
            confirmed: true,
            dry_run: false,
        };
        let report = self
            .app
            .import_subscribers(&Actor::cli(), csv.as_bytes(), terms, |_| {})
            .await
            .expect("imported");
        assert_eq!(report.added, report.read, "{report:?}");
    }

    /// Imports a catalogue in TOML.
    pub async fn seed_catalogue(&self, toml: &str) {
        let catalogue = Catalogue::parse(toml, Format::Toml).expect("a catalogue");
        self.app
            .import_catalogue(&Actor::cli(), &catalogue)
            .await
            .expect("imported");
    }

    /// Imports five comparisons, an hour to five hours old.
    pub async fn stock_small(&self) {
        self.seed_catalogue(&catalogue::small(5, self.app.now()))
            .await;
    }

    /// `digest send` now.
    pub async fn send_digest(&self) -> SendResult {
        let (stop, progress) = (CancellationToken::new(), Arc::new(SendProgress::default()));
        let order = SendOrder {
            slot: None,
            other_week: false,
            preflight: Preflight::Heeded,
        };
        self.app
            .send_digest(&Actor::cli(), order, &stop, &progress, |_| {})
            .await
            .expect("sent")
    }

    /// Runs the deliver role until `done` says so.
    pub async fn deliver_while(&self, what: &str, done: impl AsyncFnMut() -> bool) {
        let (app, stop) = (self.app.clone(), self.stop.child_token());
        let token = stop.clone();
        let sender = tokio::spawn(async move { app.deliver_until(&token).await });
        super::until(what, done).await;
        stop.cancel();
        sender.await.expect("ended in order");
    }

    /// Delivers the confirmation mails that wait.
    pub async fn deliver_confirmations(&self) {
        self.deliver_while("the confirmation mails", async || {
            self.waiting_confirmations().await == 0
        })
        .await;
    }

    /// How many confirmation mails are queued and not yet out.
    pub async fn waiting_confirmations(&self) -> u64 {
        self.app
            .storage
            .waiting_confirmations()
            .await
            .expect("a count")
    }

    /// The mails to that address in the local mailbox: digests, then confirmations, each oldest first.
    pub fn mails_to(&self, address: &str) -> Vec<Vec<u8>> {
        let Ok(folder) = std::fs::read_dir(self.test_db.dir.path().join("mailbox/new")) else {
            return Vec::new();
        };
        let mut files: Vec<_> = folder.map(|file| file.expect("a file").path()).collect();
        // A file is named after its mailing: a digest's number is its slot's, a confirmation's is far higher and rises.
        files.sort_by_key(|file| file.file_name().map(ToOwned::to_owned));
        let mails = files
            .iter()
            .map(|file| std::fs::read(file).expect("a mail"));
        mails
            .filter(|mail| addressee(mail).as_deref() == Some(address))
            .collect()
    }

    /// Signs up, and gives the link in the confirmation mail.
    pub async fn ask_to_join(&self, email: &str) -> String {
        assert_eq!(
            self.sign_up(email).await.status(),
            reqwest::StatusCode::SEE_OTHER
        );
        self.deliver_confirmations().await;
        self.newest_link(email, "/confirm/")
    }

    /// Signs up and confirms; gives the link that did it.
    pub async fn join(&self, email: &str) -> String {
        let link = self.ask_to_join(email).await;
        assert_eq!(self.post(&link).await.status(), reqwest::StatusCode::OK);
        link
    }

    /// The unsubscribe link in the newest digest that somebody got.
    pub fn goodbye_link(&self, email: &str) -> String {
        self.newest_link(email, "/unsubscribe/")
    }

    fn newest_link(&self, email: &str, path: &str) -> String {
        let mails = self.mails_to(email);
        let with_link = mails
            .iter()
            .rev()
            .find(|mail| contains(mail, path.as_bytes()));
        crate::journey::link(
            with_link.unwrap_or_else(|| panic!("no mail to {email} has a link to {path}")),
            path,
        )
    }

    /// Everything that is kept of somebody, as text to compare.
    pub async fn record_of(&self, email: &str) -> String {
        let person = self
            .app
            .storage
            .person(&email.parse().expect("an address"))
            .await
            .expect("an answer");
        let history = person.iter().flat_map(|person| &person.history);
        let history: Vec<String> = history.map(|entry| entry.event.to_string()).collect();
        format!("{person:?} {history:?}")
    }

    /// How many people are known, whatever their state.
    pub async fn known_people(&self) -> u64 {
        self.app
            .storage
            .count_subscribers()
            .await
            .expect("counts")
            .iter()
            .map(|(_, count)| count)
            .sum()
    }

    /// This week's slot.
    pub fn slot(&self) -> Slot {
        self.app.slot_at(self.app.now())
    }

    /// Where somebody stands; `None` if nobody knows them.
    pub async fn state_of(&self, email: &str) -> Option<SubscriberState> {
        let email = email.parse().expect("an address");
        self.app
            .storage
            .person(&email)
            .await
            .expect("an answer")
            .map(|person| person.subscriber.state)
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn contains(mail: &[u8], text: &[u8]) -> bool {
    mail.windows(text.len()).any(|window| window == text)
}

/// Reads the headers alone: a mailbox of hundreds of mails is asked for each of its readers, and decoding bodies took nine tenths of it.
fn addressee(mail: &[u8]) -> Option<String> {
    let mail = mail_parser::MessageParser::default().parse_headers(mail)?;
    Some(mail.header_raw("To")?.trim().to_owned())
}

/// The defaults, but in the test's own place and impatient.
pub fn settings_in(test_db: &TestDb) -> Settings {
    let mut settings = Settings::default();
    settings.database.url = test_db.database_url.clone().into();
    settings.site.secret = vec!["a secret for tests only".into()];
    settings.mail.transport = format!("mailbox:{}/mailbox", test_db.dir.path().display()).into();
    settings.mail.from = "Ship or Skip <news@verdicts.example>".into();
    settings.mail.timeouts.connect = Duration::from_secs(2);
    settings.mail.timeouts.command = Duration::from_secs(2);
    settings.mail.timeouts.data = Duration::from_secs(2);
    settings.mail.timeouts.finish = Duration::from_secs(2);
    settings
}
