//! Database servers that go away without a word, or come back as standbys: what was begun goes on as soon as the address leads to a primary,
//! nobody is lost or mailed twice, and meanwhile each door says that it cannot work now.

mod locks;

use std::collections::BTreeMap;
use std::time::Duration;
use verdicts::domain::actor::Actor;

use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use tokio_util::sync::CancellationToken;

use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::Wire;
use crate::support::catalogue;
use crate::support::postgres;
use crate::support::program::Running;
use crate::support::until;

/// A call to the database may last a third of it: one second.
const LEASE: Duration = Duration::from_secs(3);
const READERS: usize = 60;

/// Upper bound on a stop, whatever hangs.
const END_MAX: Duration = Duration::from_secs(30);

/// The same database by way of a wire.
async fn wired(mut test_db: TestDb) -> (TestDb, Wire, u16) {
    let (wire, port) = (wire_to(&test_db).await, port_of(&test_db.database_url));
    test_db.database_url = through(&wire, &test_db.database_url);
    (test_db, wire, port)
}

async fn wire_to(test_db: &TestDb) -> Wire {
    Wire::to(port_of(&test_db.database_url)).await
}

fn port_of(database_url: &str) -> u16 {
    url::Url::parse(database_url)
        .expect("an address")
        .port()
        .expect("a port")
}

fn through(wire: &Wire, database_url: &str) -> String {
    database_url.replace(
        &format!(":{}/", port_of(database_url)),
        &format!(":{}/", wire.port),
    )
}

/// Sessions of the program on the database.
fn sessions(test_db: &TestDb, which: &str) -> Vec<String> {
    let name = test_db.database_url.rsplit('/').next().unwrap_or_default();
    let sql = format!(
        "select pid from pg_stat_activity where datname = '{name}' and application_name = 'verdicts' and {which} order by pid"
    );
    postgres::cluster()
        .expect("a cluster")
        .query(&sql)
        .lines()
        .map(ToOwned::to_owned)
        .collect()
}

/// Waits until a program has ended, as long as a stop may take.
async fn ended(what: &str, running: &mut Running) -> Option<i32> {
    let began = std::time::Instant::now();
    loop {
        if let Some(code) = running.ended() {
            return code;
        }
        assert!(
            began.elapsed() < END_MAX,
            "{what} has not ended {END_MAX:?} after SIGTERM"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asserts that a request is answered as one that can be made again later.
fn assert_later(answer: &reqwest::Response) {
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key(RETRY_AFTER), "it says when");
}

async fn is_ready(test_app: &TestApp) -> bool {
    test_app.get("/readyz").await.status() == StatusCode::OK
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_host_that_vanishes_in_the_middle_of_a_send_loses_nobody_and_all_goes_on_when_it_is_back()
 {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    let (test_db, wire, port) = wired(test_db).await;
    let sink = SmtpSink::start(Script::accept_all()).await;
    let test_app = TestApp::stocked(test_db, &sink, |settings| {
        settings.mail.lease = LEASE;
        settings.mail.connections = 2;
        settings.mail.rate_per_second = 30;
    })
    .await;
    test_app.seed_subscribers("ada", READERS).await;
    let (app, stop) = (test_app.app.clone(), CancellationToken::new());
    let (slot, ends) = (test_app.slot(), stop.clone());
    let order = verdicts::app::issue::sending::SendOrder {
        slot: Some(slot),
        other_week: true,
        preflight: verdicts::app::issue::preflight::Preflight::Forced,
    };
    let sending = tokio::spawn(async move {
        app.send_digest(
            &Actor::cli(),
            order,
            &ends,
            &std::sync::Arc::default(),
            |_| {},
        )
        .await
        .map(|_| ())
    });
    sink.wait_for(5, Duration::from_secs(60)).await;
    wire.vanish();
    assert_later(&test_app.sign_up("zoe@reader.example").await);
    assert!(!is_ready(&test_app).await, "/readyz says so");
    let before = sink.mails();
    wire.lead_to(port);
    until("sign-ups are taken again", async || {
        test_app.sign_up("zoe@reader.example").await.status() == StatusCode::SEE_OTHER
    })
    .await;
    until("mail goes out again", async || sink.mails() > before).await;
    until("everybody got it", async || sink.mails() >= READERS).await;
    let ended = tokio::time::timeout(Duration::from_secs(60), sending).await;
    assert!(matches!(ended, Ok(Ok(Ok(())))), "the send ends: {ended:?}");
    stop.cancel();
    let mut copies: BTreeMap<String, usize> = BTreeMap::new();
    for mail in sink.received() {
        *copies.entry(mail.to).or_default() += 1;
    }
    let twice: Vec<_> = copies.iter().filter(|(_, times)| **times > 1).collect();
    // A mail whose result could not be written while the lease ran out is in doubt, and named: at most one a connection.
    let named = test_app
        .app
        .storage
        .audit(slot, 100)
        .await
        .expect("an audit")
        .expect("a digest")
        .doubts
        .len();
    assert!(
        twice.len() <= named.min(2),
        "twice: {twice:?}, named: {named}"
    );
    assert_eq!(
        copies.keys().filter(|to| to.starts_with("ada")).count(),
        READERS,
        "nobody is lost"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_a_standby_are_dropped_as_soon_as_the_address_leads_to_the_primary() {
    let Some(cluster) = postgres::another("wal_level = replica\nmax_wal_senders = 2\n", None)
    else {
        return;
    };
    let database_url = cluster.fresh_database();
    let (test_db, wire, primary) = wired(TestDb {
        dir: tempfile::tempdir().expect("a folder"),
        database_url,
    })
    .await;
    let test_app = TestApp::open_with(test_db, |settings| {
        settings.mail.lease = LEASE;
        settings.signup.per_client = 1_000;
    })
    .await;
    assert_eq!(
        test_app.sign_up("ada@reader.example").await.status(),
        StatusCode::SEE_OTHER
    );
    let standby = cluster.standby();
    wire.vanish();
    wire.lead_to(standby.port);
    until("/readyz names the standby", async || {
        test_app
            .get("/readyz")
            .await
            .text()
            .await
            .expect("words")
            .contains("standby")
    })
    .await;
    assert_later(&test_app.sign_up("bea@reader.example").await);
    assert_eq!(
        test_app.get("/comparisons/none-there").await.status(),
        StatusCode::NOT_FOUND,
        "what reads goes on"
    );
    // The connections to the standby stay open at its side: nothing but its answers tells.
    wire.lead_to(primary);
    until("the primary is found", async || {
        test_app.sign_up("bea@reader.example").await.status() == StatusCode::SEE_OTHER
    })
    .await;
    until("/readyz looks again", async || is_ready(&test_app).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_database_host_is_silent_probes_and_metrics_say_so_and_sigterm_ends_service_and_send()
 {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    let (sink, wire) = (
        SmtpSink::start(Script::accept_all()).await,
        wire_to(&test_db).await,
    );
    let direct = Program::set_up(&test_db)
        .with("VERDICTS_MAIL__TRANSPORT", &sink.url())
        .with("VERDICTS_MAIL__LEASE", "3s");
    #[allow(
        clippy::disallowed_methods,
        reason = "the program looks at the machine's clock"
    )]
    direct.write("catalogue.toml", catalogue::small(5, chrono::Utc::now()));
    direct.run(&["catalog", "import", "catalogue.toml"]).good();
    let rows: String = (0..READERS)
        .map(|n| format!("ada{n}@example.org\n"))
        .collect();
    let import = [
        "subscribers",
        "import",
        "-",
        "--consent",
        "test",
        "--confirmed",
    ];
    direct
        .run_with_input(&import, format!("email\n{rows}").as_bytes())
        .good();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address")
        .port();
    let program = direct
        .clone()
        .with(
            "VERDICTS_DATABASE__URL",
            &through(&wire, &test_db.database_url),
        )
        .with("VERDICTS_SITE__LISTEN", &format!("127.0.0.1:{port}"))
        .with("VERDICTS_MAIL__CONNECTIONS", "2")
        .with("VERDICTS_MAIL__RATE_PER_SECOND", "10");
    let mut serve = program.start("serve", &["serve", "--role", "web,schedule"]);
    // As patient as a probe mostly is.
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .build()
        .expect("a client");
    let get = async |path: &str| match http
        .get(format!("http://127.0.0.1:{port}{path}"))
        .send()
        .await
    {
        Ok(answer) => (
            answer.status().as_u16(),
            answer.text().await.unwrap_or_default(),
        ),
        Err(error) => (0, error.to_string()),
    };
    until("it is ready", async || get("/readyz").await.0 == 200).await;
    let waits = |metrics: &str| metrics.contains("verdicts_sending_waits{reason=\"database\"} 1");
    assert!(!waits(&get("/metrics").await.1));
    let mut send = program.start("send", &["digest", "send"]);
    sink.wait_for(5, Duration::from_secs(60)).await;
    wire.vanish();
    let mut answers = Vec::new();
    until("a probe has its answer in time", async || {
        answers.push(get("/readyz").await);
        answers
            .last()
            .is_some_and(|(status, words)| *status == 503 && words.contains("does not answer"))
    })
    .await;
    assert!(
        answers
            .iter()
            .all(|(status, _)| matches!(status, 200 | 503)),
        "each answer comes in time: {answers:?}"
    );
    until("the gauge says so", async || {
        waits(&patient_metrics(port).await)
    })
    .await;
    send.signal("TERM");
    serve.signal("TERM");
    let codes = (
        ended("digest send", &mut send).await,
        ended("serve", &mut serve).await,
    );
    let said = |name: &str| {
        std::fs::read_to_string(test_db.dir.path().join(format!("{name}.err"))).unwrap_or_default()
    };
    assert_eq!(codes.0, Some(1), "{}", said("send"));
    assert!(
        said("send").contains("The database takes no writes"),
        "{}",
        said("send")
    );
    // What could not be recorded is in doubt and named; nobody is lost.
    let over = direct.run(&["digest", "send"]).good();
    assert_eq!(
        sink.received()
            .iter()
            .map(|mail| &mail.to)
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
        READERS,
        "{over:?}"
    );
}

/// Answer to a scrape, which waits for longer than a probe.
async fn patient_metrics(port: u16) -> String {
    match reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await {
        Ok(answer) => answer.text().await.unwrap_or_default(),
        Err(_) => String::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_behind_which_nobody_is_counts_as_a_database_that_cannot_be_reached() {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    let (test_db, wire, port) = wired(test_db).await;
    let test_app = TestApp::open_with(test_db.again(), |settings| {
        settings.signup.per_client = 1_000
    })
    .await;
    assert_eq!(
        test_app.sign_up("ada@reader.example").await.status(),
        StatusCode::SEE_OTHER
    );
    let dead = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address")
        .port();
    wire.vanish();
    // It takes each connection and closes it.
    wire.lead_to(dead);
    for n in 0..20 {
        assert_later(&test_app.sign_up(&format!("bea{n}@reader.example")).await);
    }
    let program =
        Program::in_place(&test_db).with("VERDICTS_SITE__SECRET", "a secret for tests only");
    for _ in 0..5 {
        program
            .run(&["digest", "list"])
            .refused(&["The database cannot be reached"]);
    }
    wire.lead_to(port);
    until("all goes on", async || {
        test_app.sign_up("zoe@reader.example").await.status() == StatusCode::SEE_OTHER
    })
    .await;
}
