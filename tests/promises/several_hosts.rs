//! Several hosts in `database.url`: the primary among them is found, also after another was promoted, and each is who its certificate says.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use reqwest::StatusCode;
use tokio_util::sync::CancellationToken;
use verdicts::app::issue::preflight::Preflight;
use verdicts::app::issue::sending::SendOrder;
use verdicts::domain::actor::Actor;

use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::Wire;
use crate::support::postgres;
use crate::support::until;

const READERS: usize = 60;
/// Upper bound on a stand-still once there is a primary again.
const STAND_STILL_MAX: Duration = Duration::from_secs(30);

/// A commit waits for the standby.
const REPLICATED: &str = "wal_level = replica\nmax_wal_senders = 4\nsynchronous_commit = on\n";

fn port_of(database_url: &str) -> u16 {
    url::Url::parse(database_url)
        .expect("an address")
        .port()
        .expect("a port")
}

/// Waits for it, as long as a stand-still may take.
async fn in_time(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(
            began.elapsed() < STAND_STILL_MAX,
            "waited {STAND_STILL_MAX:?} in vain: {what}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_goes_on_at_the_standby_that_is_promoted_when_the_primary_vanishes() {
    let Some(cluster) = postgres::another(REPLICATED, None) else {
        return;
    };
    let database_url = cluster.fresh_database();
    let standby = cluster.standby();
    cluster.query("alter system set synchronous_standby_names = '*'");
    cluster.query("select pg_reload_conf()");
    let wire = Wire::to(port_of(&database_url)).await;
    let both = format!("127.0.0.1:{},127.0.0.1:{}", standby.port, wire.port);
    let database_url =
        database_url.replace(&format!("127.0.0.1:{}", port_of(&database_url)), &both);
    let test_db = TestDb {
        dir: tempfile::tempdir().expect("a folder"),
        database_url,
    };
    let sink = SmtpSink::start(Script::accept_all()).await;
    // The standby comes first in the list, and is passed over.
    let test_app = TestApp::stocked(test_db, &sink, |settings| {
        settings.mail.lease = Duration::from_secs(3);
        settings.mail.connections = 2;
        settings.mail.rate_per_second = 20;
        settings.signup.per_client = 1_000;
    })
    .await;
    test_app.seed_subscribers("ada", READERS).await;
    let (app, stop) = (test_app.app.clone(), CancellationToken::new());
    let (slot, ends) = (test_app.slot(), stop.clone());
    let order = SendOrder {
        slot: Some(slot),
        other_week: true,
        preflight: Preflight::Forced,
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
    });
    sink.wait_for(8, Duration::from_secs(60)).await;
    wire.vanish();
    let words = test_app.get("/readyz").await.text().await.expect("words");
    assert!(words.contains("not_ready"), "{words}");
    standby.promote();
    let before = sink.mails();
    in_time("sign-ups are taken again", async || {
        test_app.sign_up("zoe@reader.example").await.status() == StatusCode::SEE_OTHER
    })
    .await;
    in_time("mail goes out again", async || sink.mails() > before).await;
    in_time("/readyz says so", async || {
        test_app.get("/readyz").await.status() == StatusCode::OK
    })
    .await;
    let ended = tokio::time::timeout(Duration::from_secs(60), sending).await;
    assert!(matches!(ended, Ok(Ok(Ok(_)))), "the send ends: {ended:?}");
    let mut copies: BTreeMap<String, usize> = BTreeMap::new();
    for mail in sink.received() {
        *copies.entry(mail.to).or_default() += 1;
    }
    let status = test_app.app.status(slot).await;
    assert_eq!(
        copies.keys().filter(|to| to.starts_with("ada")).count(),
        READERS,
        "nobody is lost: {ended:?} {status:?}"
    );
    let twice = copies.values().filter(|times| **times > 1).count();
    let audit = test_app
        .app
        .storage
        .audit(slot, 100)
        .await
        .expect("an audit")
        .expect("a digest");
    assert!(
        twice <= audit.doubts.len().min(2) && copies.values().all(|times| *times <= 2),
        "{copies:?}, {:?}",
        audit.doubts
    );
    assert_eq!(audit.faults, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_dead_or_a_standby_is_passed_over_by_every_command() {
    let Some(cluster) = postgres::another(REPLICATED, None) else {
        return;
    };
    let database_url = cluster.fresh_database();
    let standby = cluster.standby();
    let (primary, silent) = (port_of(&database_url), Wire::to(1).await);
    silent.vanish();
    let test_db = TestDb {
        dir: tempfile::tempdir().expect("a folder"),
        database_url,
    };
    let program = Program::set_up(&test_db);
    let at = |hosts: &str, query: &str| {
        let (_, name) = test_db.database_url.rsplit_once('/').expect("a name");
        program.clone().with(
            "VERDICTS_DATABASE__URL",
            &format!("postgres://postgres@{hosts}/{name}{query}"),
        )
    };
    // A port on which nobody listens.
    let dead = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address")
        .port();
    let all = format!(
        "127.0.0.1:{dead},127.0.0.1:{},127.0.0.1:{},127.0.0.1:{primary}",
        silent.port, standby.port
    );
    for (n, query) in [
        "",
        "?target_session_attrs=read-write",
        "?target_session_attrs=primary",
    ]
    .into_iter()
    .enumerate()
    {
        let add = [
            "subscribers",
            "add",
            &format!("r{n}@reader.example"),
            "--consent",
            "test",
        ];
        at(&all, query).run(&add).good();
    }
    let (_, name) = test_db.database_url.rsplit_once('/').expect("a name");
    let listed = format!(
        "postgres:///{name}?user=postgres&host=127.0.0.1,127.0.0.1&port={},{primary}",
        standby.port
    );
    program
        .clone()
        .with("VERDICTS_DATABASE__URL", &listed)
        .run(&["migrate"])
        .good();
    // Only the standby is left: what reads works, what writes says why it cannot.
    let few = format!("127.0.0.1:{dead},127.0.0.1:{}", standby.port);
    at(&few, "").run(&["digest", "list"]).good();
    let add = [
        "subscribers",
        "add",
        "zoe@reader.example",
        "--consent",
        "test",
    ];
    at(&few, "")
        .run(&add)
        .refused(&["takes no writes", "standby"]);
    at(
        &format!("127.0.0.1:{},127.0.0.1:{primary}", standby.port),
        "?target_session_attrs=any",
    )
    .run(&["digest", "list"])
    .good();
    let none = at(&format!("127.0.0.1:{dead},127.0.0.1:{dead}"), "").run(&["digest", "list"]);
    none.refused(&["none of its hosts answers", &format!("127.0.0.1:{dead}")]);
    at(&all, "?target_session_attrs=standby")
        .run(&["digest", "list"])
        .refused(&["database.url", "takes no writes", "read-write"]);
    let shown = at("", "")
        .with(
            "VERDICTS_DATABASE__URL",
            "postgres://me:hush@a:1,b:2/x?password=hush&port=3",
        )
        .run(&["config"])
        .good();
    assert!(
        !shown.out.contains("hush") && shown.out.contains("@a:1,b:2/x"),
        "{}",
        shown.out
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_finds_the_primary_again_after_a_switch_over_to_another_host() {
    let Some(cluster) = postgres::another(REPLICATED, None) else {
        return;
    };
    let database_url = cluster.fresh_database();
    let standby = cluster.standby();
    let port = port_of(&database_url);
    let database_url = database_url.replace(
        &format!("127.0.0.1:{port}"),
        &format!("127.0.0.1:{port},127.0.0.1:{}", standby.port),
    );
    let test_db = TestDb {
        dir: tempfile::tempdir().expect("a folder"),
        database_url,
    };
    let test_app = TestApp::open_with(test_db, |settings| settings.signup.per_client = 1_000).await;
    assert_eq!(
        test_app.sign_up("ada@reader.example").await.status(),
        StatusCode::SEE_OTHER
    );
    // Stopped in order, so that the standby has all of it.
    cluster.stop(false);
    until("what reads goes on at the standby", async || {
        test_app.get("/comparisons/none-there").await.status() == StatusCode::NOT_FOUND
    })
    .await;
    let refused = test_app.sign_up("bea@reader.example").await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    standby.promote();
    in_time("sign-ups are taken", async || {
        test_app.sign_up("bea@reader.example").await.status() == StatusCode::SEE_OTHER
    })
    .await;
    in_time("it is ready", async || {
        test_app.get("/readyz").await.status() == StatusCode::OK
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_standby_has_confirmed_is_not_acknowledged() {
    let Some(cluster) = postgres::another(REPLICATED, None) else {
        return;
    };
    let test_db = TestDb {
        dir: tempfile::tempdir().expect("a folder"),
        database_url: cluster.fresh_database(),
    };
    let test_app = TestApp::open_with(test_db, |settings| {
        settings.mail.lease = Duration::from_secs(3)
    })
    .await;
    let wait_for = |standby: &str| {
        cluster.query(&format!(
            "alter system set synchronous_standby_names = '{standby}'"
        ));
        cluster.query("select pg_reload_conf()");
    };
    wait_for("one_that_is_not_there");
    // A limit of a statement that held for its commit, too, would end the wait and call it done.
    until("it is refused", async || {
        test_app.sign_up("ada@reader.example").await.status() == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    assert_eq!(
        test_app.sign_up("bea@reader.example").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    wait_for("");
    in_time("sign-ups are taken", async || {
        test_app.sign_up("zoe@reader.example").await.status() == StatusCode::SEE_OTHER
    })
    .await;
}
