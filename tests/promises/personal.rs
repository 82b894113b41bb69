//! Digests that follow what their readers chose, voted and saved.

use crate::journey::link;
use crate::support::TestApp;
use crate::support::catalogue;
use crate::support::on_both;
use chrono::TimeDelta;
use verdicts::app::issue::digests::SendResult;
use verdicts::domain::delivery::SkipReason;

/// What somebody's newest digest says, as text.
fn digest_of(test_app: &TestApp, reader: &str) -> String {
    let mail = test_app
        .mails_to(&format!("{reader}@example.org"))
        .pop()
        .expect("a digest");
    mail_parser::MessageParser::default()
        .parse(&mail)
        .expect("a mail")
        .body_text(0)
        .expect("text")
        .into_owned()
}

fn digests_of(test_app: &TestApp, reader: &str) -> usize {
    test_app.mails_to(&format!("{reader}@example.org")).len()
}

/// Presses the button behind a link of the newest digest.
async fn press(test_app: &TestApp, reader: &str, path: &str) {
    let mail = test_app
        .mails_to(&format!("{reader}@example.org"))
        .pop()
        .expect("a digest");
    assert!(
        test_app
            .post(&link(&mail, path))
            .await
            .status()
            .is_success(),
        "{path}"
    );
}

async fn choose(test_app: &TestApp, reader: &str, fields: &[(&str, &str)]) {
    let mail = test_app
        .mails_to(&format!("{reader}@example.org"))
        .pop()
        .expect("a digest");
    assert!(
        test_app
            .post_form(&link(&mail, "/preferences/"), fields)
            .await
            .status()
            .is_success()
    );
}

/// A week later: one new comparison in each of the categories, the first the freshest.
async fn next_week(test_app: &TestApp, name: &str, categories: &[&str]) {
    test_app.wait(TimeDelta::days(7));
    for (n, category) in categories.iter().enumerate() {
        let at = test_app.app.now() - TimeDelta::hours(n as i64 + 1);
        test_app
            .seed_catalogue(&catalogue::comparison(&format!("{name}{n}"), category, at))
            .await;
    }
}

/// Why the ledger says that mails of this week's digest were not sent.
async fn reasons(test_app: &TestApp) -> Vec<(SkipReason, u64)> {
    test_app
        .app
        .storage
        .skips(test_app.slot().id())
        .await
        .expect("reasons")
}

on_both! {
    async fn who_follows_a_category_gets_the_top_pick_and_then_theirs(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.stock_small().await;
        test_app.enlist_all("email\nall@example.org\ndesign@example.org\nmusic@example.org\npaused@example.org\n").await;
        test_app.send_digest().await;
        choose(&test_app, "design", &[("category", "Design"), ("rhythm", "weekly")]).await;
        choose(&test_app, "paused", &[("pause", "4"), ("rhythm", "weekly")]).await;
        test_app.seed_catalogue(&catalogue::comparison("tune", "Music", test_app.app.now() - TimeDelta::days(60))).await;
        choose(&test_app, "music", &[("category", "Music"), ("rhythm", "weekly")]).await;

        next_week(&test_app, "n", &["Data", "Writing", "Design", "Design"]).await;
        assert!(matches!(test_app.send_digest().await, SendResult::Delivered(..)));
        let (all, own) = (digest_of(&test_app, "all"), digest_of(&test_app, "design"));
        assert!(["N0 L", "N1 L", "N2 L", "N3 L"].iter().all(|tool| all.contains(&format!("Tool {}", tool.to_lowercase()))), "{all}");
        assert!(!all.contains("you follow"), "{all}");
        assert!(own.contains("Tool n0 l") && own.contains("Tool n2 l") && own.contains("Tool n3 l") && !own.contains("Tool n1 l"), "{own}");
        let why = own.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(why.matches("Because you follow Design.").count(), 2, "{own}");
        assert_eq!((digests_of(&test_app, "music"), digests_of(&test_app, "paused")), (1, 1), "nothing new, and a pause");
        let mut said = reasons(&test_app).await;
        said.sort();
        assert_eq!(said, [(SkipReason::Paused, 1), (SkipReason::NothingNew, 1)]);
        let audit = test_app.app.storage.audit(test_app.slot(), 10).await.expect("an audit").expect("of a digest");
        assert_eq!((audit.faults, audit.recipients, audit.deliveries.sent), (vec![], 4, 2));
        let status = test_app.app.status(test_app.slot()).await.expect("a digest");
        assert_eq!((status.tally.failed, status.tally.skipped), (0, 2), "nothing went wrong: they wished it so");

        next_week(&test_app, "m", &["Data"]).await;
        test_app.send_digest().await;
        assert_eq!(digests_of(&test_app, "design"), 2, "what they had is not new again");
    }

    async fn a_monthly_reader_gets_the_months_best_once(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.set_clock("2026-11-10T08:00:00Z");
        test_app.stock_small().await;
        test_app.enlist_all("email\nweekly@example.org\nmonthly@example.org\n").await;
        test_app.send_digest().await;
        choose(&test_app, "monthly", &[("rhythm", "monthly")]).await;
        for (week, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
            next_week(&test_app, name, &["Data", "Design"]).await;
            test_app.send_digest().await;
            // 17 and 24 November, 1 and 8 December.
            let expected = if week < 2 { 1 } else { 2 };
            assert_eq!((digests_of(&test_app, "weekly"), digests_of(&test_app, "monthly")), (week + 2, expected), "week {week}");
        }
        let best = digest_of(&test_app, "monthly");
        assert!(!best.contains("/monthly/") && digest_of(&test_app, "weekly").contains("/monthly/"), "only weekly readers are offered a month");
        assert!(best.contains("Tool c0 l") && (best.contains("Tool a0 l") || best.contains("Tool b0 l")), "of several weeks: {best}");
        assert_eq!(reasons(&test_app).await, [(SkipReason::Monthly, 1)]);
    }

    async fn a_changed_verdict_reaches_those_who_care_and_nobody_else_once(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.stock_small().await;
        test_app.enlist_all("email\nvoter@example.org\nsaver@example.org\nother@example.org\nlate@example.org\n").await;
        test_app.send_digest().await;
        press(&test_app, "voter", "/vote/t0-l/skip/").await;
        press(&test_app, "saver", "/save/t0-l/").await;
        press(&test_app, "other", "/vote/t1-l/ship/").await;

        test_app.wait(TimeDelta::days(1));
        let turned = catalogue::comparison("t0", "Design", test_app.app.now() - TimeDelta::days(1)).replace("verdict = \"skip\"", "verdict = \"ship\"");
        test_app.seed_catalogue(&turned).await;
        test_app.wait(TimeDelta::hours(1));
        press(&test_app, "late", "/vote/t0-l/ship/").await;
        next_week(&test_app, "n", &["Data"]).await;
        test_app.send_digest().await;
        let told = |reader| digest_of(&test_app, reader).contains("Tool t0 l: Split became Ship.");
        assert_eq!(["voter", "saver", "other", "late"].map(told), [true, true, false, false], "{}", digest_of(&test_app, "voter"));
        let mail = digest_of(&test_app, "saver");
        assert!(mail.find("Split became Ship") < mail.find("1 of "), "read before the comparisons");
        assert!(mail.contains("You saved tools for later") && !digest_of(&test_app, "voter").contains("You saved tools"));
        let decided = mail.split_once("WHAT YOU DECIDED LAST WEEK").expect("an opening").1;
        let row = decided.lines().find(|line| line.starts_with("Tool t0 l: ")).expect("a row");
        assert_eq!(row.split_whitespace().collect::<Vec<_>>().join(" "), "Tool t0 l: readers 1 ship, 1 skip; panel SHIP 2 to 0");

        next_week(&test_app, "m", &["Data"]).await;
        test_app.send_digest().await;
        assert_eq!(["voter", "saver", "other", "late"].map(|reader| digest_of(&test_app, reader).contains("became Ship")), [false; 4], "once");
        assert_eq!(["voter", "saver", "other", "late"].map(|reader| digests_of(&test_app, reader)), [3; 4]);
    }
}
