//! Database servers that go away without a word, or come back as standbys: what was begun goes on as soon as the address leads to a primary,
//! nobody is lost or mailed twice, and meanwhile each door says that it cannot work now.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use tokio_util::sync::CancellationToken;

use crate::support::House;
use crate::support::Place;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::Wire;
use crate::support::postgres;
use crate::support::until;

/// A call to the database may last a third of it: one second.
const LEASE: Duration = Duration::from_secs(3);
const READERS: usize = 60;

/// The same database by way of a wire.
async fn wired(mut place: Place) -> (Place, Wire, u16) {
    let url = url::Url::parse(&place.database_url).expect("an address");
    let port = url.port().expect("a port");
    let wire = Wire::to(port).await;
    place.database_url = place.database_url.replace(&format!(":{port}/"), &format!(":{}/", wire.port));
    (place, wire, port)
}

/// Asserts that a request is answered as one that can be made again later.
fn assert_later(answer: &reqwest::Response) {
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key(RETRY_AFTER), "it says when");
}

async fn is_ready(house: &House) -> bool {
    house.get("/readyz").await.status() == StatusCode::OK
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_host_that_vanishes_in_the_middle_of_a_send_loses_nobody_and_all_goes_on_when_it_is_back() {
    let Some(place) = Place::postgres() else { return };
    let (place, wire, port) = wired(place).await;
    let sink = SmtpSink::start(Script::accept_all()).await;
    let house = House::stocked(place, &sink, |settings| {
        settings.mail.lease = LEASE;
        settings.mail.connections = 2;
        settings.mail.rate_per_second = 30;
    })
    .await;
    house.enlist("ada", READERS).await;
    let (app, stop) = (house.app.clone(), CancellationToken::new());
    let (slot, ends) = (house.slot(), stop.clone());
    let order =
        verdicts::app::sending::SendOrder { slot: Some(slot), other_week: true, preflight: verdicts::app::preflight::Preflight::Forced };
    let sending = tokio::spawn(async move { app.send_digest(order, &ends, &std::sync::Arc::default(), |_| {}).await.map(|_| ()) });
    sink.wait_for(5, Duration::from_secs(60)).await;
    wire.vanish();
    assert_later(&house.sign_up("zoe@reader.example").await);
    assert!(!is_ready(&house).await, "/readyz says so");
    let before = sink.mails();
    wire.lead_to(port);
    until("sign-ups are taken again", async || house.sign_up("zoe@reader.example").await.status() == StatusCode::SEE_OTHER).await;
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
    let named = house.app.storage.audit(slot, 100).await.expect("an audit").expect("a digest").doubts.len();
    assert!(twice.len() <= named.min(2), "twice: {twice:?}, named: {named}");
    assert_eq!(copies.keys().filter(|to| to.starts_with("ada")).count(), READERS, "nobody is lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_a_standby_are_dropped_as_soon_as_the_address_leads_to_the_primary() {
    let Some(cluster) = postgres::another("wal_level = replica\nmax_wal_senders = 2\n", None) else { return };
    let database_url = cluster.fresh_database();
    let (place, wire, primary) = wired(Place { dir: tempfile::tempdir().expect("a folder"), database_url }).await;
    let house = House::open_with(place, |settings| {
        settings.mail.lease = LEASE;
        settings.signup.per_client = 1_000;
    })
    .await;
    assert_eq!(house.sign_up("ada@reader.example").await.status(), StatusCode::SEE_OTHER);
    let standby = cluster.standby();
    wire.vanish();
    wire.lead_to(standby.port);
    until("/readyz names the standby", async || house.get("/readyz").await.text().await.expect("words").contains("standby")).await;
    assert_later(&house.sign_up("bea@reader.example").await);
    assert_eq!(house.get("/comparisons/none-there").await.status(), StatusCode::NOT_FOUND, "what reads goes on");
    // The connections to the standby stay open at its side: nothing but its answers tells.
    wire.lead_to(primary);
    until("the primary is found", async || house.sign_up("bea@reader.example").await.status() == StatusCode::SEE_OTHER).await;
    until("/readyz looks again", async || is_ready(&house).await).await;
}
