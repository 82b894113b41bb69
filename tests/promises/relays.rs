//! Relays: how they are set, and what each may be given in a day.

use crate::support::House;
use crate::support::Program;
use crate::support::on_both;
use verdicts::storage::relays::RelayUse;

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
            tokio::spawn(async move { storage.take_from_day("first", 5, 30, 1_000).await.expect("an answer") })
        });
        let mut taken = 0;
        for take in takes.collect::<Vec<_>>() {
            taken += take.await.expect("ended in order");
        }
        assert_eq!((taken, house.app.storage.take_from_day("first", 5, 1, 1_000).await.expect("an answer")), (1_000, 0));
        house.app.storage.give_back_to_day("first", 5, 12).await.expect("given back");
        assert_eq!(other.app.storage.take_from_day("first", 5, 30, 1_000).await.expect("an answer"), 12);
        assert_eq!(house.app.storage.relay_use("first", 5).await.expect("read").begun, 1_000);
    }

    async fn a_relay_that_was_given_everything_back_was_not_used_yet(place) {
        let house = House::open(place).await;
        let storage = &house.app.storage;
        assert_eq!(storage.take_from_day("first", 9, 5, 10).await.expect("an answer"), 5);
        storage.give_back_to_day("first", 9, 99).await.expect("given back");
        assert_eq!(storage.relay_use("first", 9).await.expect("read"), RelayUse { first_day: None, begun: 0 });
    }

    async fn a_relay_whose_transport_cannot_be_used_is_named(place) {
        let relays = "[{ name = \"good\", transport = \"smtp://one.example\" }, { name = \"bad\", transport = \"ftp://user:hunter2@two.example\" }]";
        let program = Program::in_place(&place).with("VERDICTS_MAIL__RELAYS", relays);
        let words = program.run(&["config"]).refused(&["mail.relays (bad): transport"]);
        assert!(!words.contains("hunter2"), "{words}");
    }
}
