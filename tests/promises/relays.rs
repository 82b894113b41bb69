//! Relays: how they are set, which one a mail goes to, and what each may be given in a day.

use std::collections::HashMap;
use std::time::Duration;

use crate::support::Behaviour;
use crate::support::House;
use crate::support::Place;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::on_both;
use serde_json::json;
use verdicts::app::issue::digests::Sent;
use verdicts::storage::relays::RelayUse;

/// A service with `count` readers and two relays, `first` with three times the weight of `second`.
async fn house_with(first: &SmtpSink, second: &SmtpSink, count: usize, place: Place) -> House {
    let relays = json!([{ "name": "first", "transport": first.url(), "weight": 3 }, { "name": "second", "transport": second.url() }]);
    let house = House::open_with(place, |settings| {
        settings.mail.relays = serde_json::from_value(relays).expect("relays");
        settings.mail.connections = 4;
    })
    .await;
    house.stock_small().await;
    house.enlist("r", count).await;
    house
}

/// By which relay each reader got the digest, as the ledger has it, and after how many attempts.
async fn ways_in_the_ledger(house: &House) -> HashMap<String, (String, i64)> {
    let sql = "select s.email, d.relay, d.attempts from deliveries d join subscribers s on s.id = d.subscriber_id
               where d.kind = 'digest' and d.state = 'sent'";
    let url = &house.place.database_url;
    let rows: Vec<(String, String, i64)> = if house.place.is_postgres() {
        sqlx::query_as(sql)
            .fetch_all(&sqlx::PgPool::connect(url).await.expect("a connection"))
            .await
            .expect("rows")
    } else {
        sqlx::query_as(sql)
            .fetch_all(&sqlx::SqlitePool::connect(url).await.expect("a connection"))
            .await
            .expect("rows")
    };
    rows.into_iter()
        .map(|(email, relay, attempts)| (email, (relay, attempts)))
        .collect()
}

/// The ledger names for each mail the relay that has it.
async fn assert_named(house: &House, first: &SmtpSink, second: &SmtpSink) {
    let ways = ways_in_the_ledger(house).await;
    for (sink, name) in [(first, "first"), (second, "second")] {
        assert!(
            sink.received().iter().all(|mail| ways[&mail.to].0 == name),
            "{name}: {ways:?}"
        );
    }
}

on_both! {
    async fn what_a_relay_was_given_is_counted_by_day_and_remembered_from_its_first(place) {
        let other = House::open(place.again()).await;
        let house = House::open(place).await;
        let (ours, theirs) = (&house.app.storage, &other.app.storage);
        assert_eq!(ours.relay_use("first", 100).await.expect("read"), RelayUse { first_day: None, begun: 0 });
        ours.note_begun("first", 100, 40).await.expect("noted");
        theirs.note_begun("first", 100, 2).await.expect("noted");
        ours.note_begun("first", 103, 7).await.expect("noted");
        ours.note_begun("second", 103, 1).await.expect("noted");
        assert_eq!(theirs.relay_use("first", 100).await.expect("read"), RelayUse { first_day: Some(100), begun: 42 });
        assert_eq!(ours.relay_use("first", 103).await.expect("read"), RelayUse { first_day: Some(100), begun: 7 });
        assert_eq!(ours.relay_use("first", 104).await.expect("read"), RelayUse { first_day: Some(100), begun: 0 });
        assert_eq!(ours.relay_use("second", 103).await.expect("read"), RelayUse { first_day: Some(103), begun: 1 });
    }

    async fn processes_that_take_at_once_get_no_more_than_the_day_allows(place) {
        let other = House::open(place.again()).await;
        let house = House::open(place).await;
        let takes = (0..40).map(|n| {
            let storage = if n % 2 == 0 { house.app.storage.clone() } else { other.app.storage.clone() };
            tokio::spawn(async move { storage.reserve_quota("first", 5, 30, 1_000).await.expect("an answer") })
        });
        let mut taken = 0;
        for take in takes.collect::<Vec<_>>() {
            taken += take.await.expect("ended in order");
        }
        assert_eq!((taken, house.app.storage.reserve_quota("first", 5, 1, 1_000).await.expect("an answer")), (1_000, 0));
        house.app.storage.release_quota("first", 5, 12).await.expect("given back");
        assert_eq!(other.app.storage.reserve_quota("first", 5, 30, 1_000).await.expect("an answer"), 12);
        assert_eq!(house.app.storage.relay_use("first", 5).await.expect("read").begun, 1_000);
    }

    async fn a_relay_that_was_given_everything_back_was_not_used_yet(place) {
        let house = House::open(place).await;
        let storage = &house.app.storage;
        assert_eq!(storage.reserve_quota("first", 9, 5, 10).await.expect("an answer"), 5);
        storage.release_quota("first", 9, 99).await.expect("given back");
        assert_eq!(storage.relay_use("first", 9).await.expect("read"), RelayUse { first_day: None, begun: 0 });
    }

    async fn two_relays_share_a_digest_by_their_weights_and_each_mail_says_its_way(place) {
        let slowly = || Script::accept_all().delay(Duration::from_millis(5));
        let (first, second) = (SmtpSink::start(slowly()).await, SmtpSink::start(slowly()).await);
        let house = house_with(&first, &second, 200, place).await;
        house.send_digest().await;
        assert_eq!(first.mails() + second.mails(), 200);
        assert!((125..=175).contains(&first.mails()), "{} by the one of three times the weight", first.mails());
        assert_named(&house, &first, &second).await;
    }

    async fn when_a_relay_is_down_the_other_takes_all_and_no_mail_loses_an_attempt(place) {
        let (mut first, second) = (SmtpSink::start(Script::accept_all()).await, SmtpSink::start(Script::accept_all()).await);
        first.stop().await;
        let house = house_with(&first, &second, 60, place).await;
        assert!(matches!(house.send_digest().await, Sent::Delivered(status, _) if status.tally.sent == 60));
        let ways = ways_in_the_ledger(&house).await;
        assert!(ways.values().all(|(relay, attempts)| relay == "second" && *attempts == 1), "{ways:?}");
    }

    async fn when_a_relay_throttles_the_other_goes_on_and_nothing_fails(place) {
        let too_much = Behaviour::reply("421 4.7.0 Too many messages, slow down");
        let first = SmtpSink::start(Script::accept_all().at_mail_from(too_much)).await;
        let second = SmtpSink::start(Script::accept_all()).await;
        let house = house_with(&first, &second, 60, place).await;
        house.send_digest().await;
        house.wait(chrono::TimeDelta::minutes(10));
        house.send_digest().await;
        house.wait(chrono::TimeDelta::minutes(10));
        house.send_digest().await;
        let tally = house.app.storage.tally(house.slot().id()).await.expect("a tally");
        assert_eq!((tally.failed, tally.uncertain, first.mails()), (0, 0, 0), "{tally:?}");
        assert!(tally.sent >= 45 && tally.sent as usize == second.mails(), "{tally:?}");
        assert_named(&house, &first, &second).await;
    }

    async fn a_relay_whose_transport_cannot_be_used_is_named(place) {
        let relays = "[{ name = \"good\", transport = \"smtp://one.example\" }, { name = \"bad\", transport = \"ftp://user:hunter2@two.example\" }]";
        let program = Program::in_place(&place).with("VERDICTS_MAIL__RELAYS", relays);
        let words = program.run(&["config"]).refused(&["mail.relays (bad): transport"]);
        assert!(!words.contains("hunter2"), "{words}");
    }
}
