//! What docs/scale.md says may be done to a ledger that has grown large.

use crate::support::House;
use crate::support::Place;
use crate::support::behind_its_back;
use crate::support::on_both;

/// Sends this week's digest, of what is new, and looks at its promises.
async fn send_and_audit(house: &House) -> u64 {
    house.send_digest().await;
    let audit = house
        .app
        .storage
        .audit(house.slot(), 10)
        .await
        .expect("an audit")
        .expect("a digest");
    assert!(audit.faults.is_empty(), "{audit:?}");
    audit.deliveries.sent
}

/// A week later there is something new, by that name.
async fn next_week(house: &House, name: &str) {
    house.wait(chrono::TimeDelta::days(7));
    house
        .stock(&crate::support::catalogue::comparison(
            name,
            "Data",
            house.app.now() - chrono::TimeDelta::hours(1),
        ))
        .await;
}

on_both! {
    async fn old_deliveries_may_be_deleted_and_the_weeks_go_on(place) {
        let house = House::open(place).await;
        house.stock_small().await;
        house.enlist("r", 20).await;
        assert_eq!(send_and_audit(&house).await, 20);
        next_week(&house, "next").await;
        behind_its_back(&house.place, "delete from deliveries where mailing_id < 202649 and finished_at is not null").await;
        house.join("ada@example.org").await;
        assert_eq!(send_and_audit(&house).await, 21);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_in_partitions_is_the_same_ledger_and_an_old_one_may_be_dropped() {
    let Some(place) = Place::postgres() else {
        return;
    };
    let house = House::open(place).await;
    house.stock_small().await;
    house.enlist("r", 20).await;
    assert_eq!(send_and_audit(&house).await, 20);
    behind_its_back(&house.place, include_str!("../../docs/partitions.sql")).await;
    assert_eq!(
        house
            .app
            .storage
            .audit(house.slot(), 10)
            .await
            .expect("an audit")
            .expect("a digest")
            .deliveries
            .sent,
        20
    );
    house.join("ada@example.org").await;
    house.wait(chrono::TimeDelta::days(42));
    next_week(&house, "next").await;
    assert_eq!(
        (
            house.slot().to_string().as_str(),
            send_and_audit(&house).await
        ),
        ("2027-W02", 21)
    );
    behind_its_back(&house.place, "drop table deliveries_2026").await;
    next_week(&house, "after").await;
    assert_eq!(send_and_audit(&house).await, 21);
}

/// PostgreSQL plans by what it counted last; its own round comes by once a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_digest_is_counted_when_it_is_published_in_one_piece_and_in_partitions() {
    const IN_ONE_PIECE: &str = "do $$ begin
        if (select reltuples from pg_class where oid = 'deliveries'::regclass) < 1000 then raise 'not counted'; end if;
    end $$";
    const IN_PARTITIONS: &str = "do $$ begin
        if (select reltuples from pg_class where oid = 'deliveries_2026'::regclass) < 1000 then raise 'not counted'; end if;
    end $$";
    for (before, counted) in [
        ("select 1", IN_ONE_PIECE),
        (include_str!("../../docs/partitions.sql"), IN_PARTITIONS),
    ] {
        let Some(place) = Place::postgres() else {
            return;
        };
        let house = House::open_with(place, |settings| {
            settings.mail.transport = "smtp://127.0.0.1:1?tls=none".into()
        })
        .await;
        house.stock_small().await;
        house.enlist("r", 1_000).await;
        behind_its_back(&house.place, before).await;
        house.send_digest().await;
        behind_its_back(&house.place, counted).await;
    }
}
