//! Picking from a real database: the votes count, the row order does not.

use crate::support::TestApp;
use crate::support::catalogue;
use crate::support::on_both;
use chrono::TimeDelta;
use verdicts::domain::catalogue::Verdict;

async fn picked(test_app: &TestApp) -> Vec<String> {
    let picks = test_app
        .app
        .picks_at(test_app.app.now())
        .await
        .expect("picks");
    picks
        .into_iter()
        .map(|pick| pick.comparison.to_string())
        .collect()
}

on_both! {
    async fn readers_votes_turn_a_ranking_and_the_reason_says_so(test_db) {
        let test_app = TestApp::open(test_db).await;
        let now = test_app.app.now();
        test_app.seed_catalogue(&catalogue::comparison("new", "Design", now - TimeDelta::hours(1))).await;
        test_app.seed_catalogue(&catalogue::comparison("old", "Data", now - TimeDelta::hours(20))).await;
        assert_eq!(picked(&test_app).await, ["new-l-vs-new-r", "old-l-vs-old-r"]);

        test_app.seed_subscribers("r", 20).await;
        let tool = "old-l".parse().expect("a slug");
        for n in 0..20 {
            let reader = test_app.app.person(&format!("r{n}@example.org").parse().expect("an address")).await.expect("known").subscriber.id;
            let verdict = if n % 2 == 0 { Verdict::Ship } else { Verdict::Skip };
            test_app.app.storage.vote(&tool, reader, Verdict::Ship, now).await.expect("counted");
            test_app.app.storage.vote(&tool, reader, verdict, now).await.expect("counted anew, once");
        }
        assert_eq!(picked(&test_app).await, ["old-l-vs-old-r", "new-l-vs-new-r"]);
        let picks = test_app.app.picks_at(now).await.expect("picks");
        assert!(picks[0].reasons.iter().any(|reason| reason.to_string() == "readers split 50 to 50 on Tool old l"), "{:?}", picks[0].reasons);
        assert!(test_app.page("/tools/old-l").await.contains("50%"), "the page shows the same votes");
    }
}
