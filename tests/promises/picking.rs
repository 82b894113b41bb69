//! Picking from a real database: the votes count, the row order does not.

use crate::support::House;
use crate::support::catalogue;
use crate::support::on_both;
use chrono::TimeDelta;
use verdicts::domain::catalogue::Verdict;

async fn picked(house: &House) -> Vec<String> {
    let picks = house.app.picks_at(house.app.now()).await.expect("picks");
    picks
        .into_iter()
        .map(|pick| pick.comparison.to_string())
        .collect()
}

on_both! {
    async fn readers_votes_turn_a_ranking_and_the_reason_says_so(place) {
        let house = House::open(place).await;
        let now = house.app.now();
        house.stock(&catalogue::comparison("new", "Design", now - TimeDelta::hours(1))).await;
        house.stock(&catalogue::comparison("old", "Data", now - TimeDelta::hours(20))).await;
        assert_eq!(picked(&house).await, ["new-l-vs-new-r", "old-l-vs-old-r"]);

        house.enlist("r", 20).await;
        let tool = "old-l".parse().expect("a slug");
        for n in 0..20 {
            let reader = house.app.person(&format!("r{n}@example.org").parse().expect("an address")).await.expect("known").subscriber.id;
            let verdict = if n % 2 == 0 { Verdict::Ship } else { Verdict::Skip };
            house.app.storage.vote(&tool, reader, Verdict::Ship, now).await.expect("counted");
            house.app.storage.vote(&tool, reader, verdict, now).await.expect("counted anew, once");
        }
        assert_eq!(picked(&house).await, ["old-l-vs-old-r", "new-l-vs-new-r"]);
        let picks = house.app.picks_at(now).await.expect("picks");
        assert!(picks[0].reasons.iter().any(|reason| reason.to_string() == "readers split 50 to 50 on Tool old l"), "{:?}", picks[0].reasons);
        assert!(house.page("/tools/old-l").await.contains("50 %"), "the page shows the same votes");
    }
}
