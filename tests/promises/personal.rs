//! Digests that follow what their readers chose, voted and saved.

use crate::journey::link;
use crate::support::House;
use crate::support::catalogue;
use crate::support::on_both;
use chrono::TimeDelta;
use verdicts::app::issue::digests::Sent;
use verdicts::domain::delivery::SkipReason;

/// What somebody's newest digest says, as text.
fn digest_of(house: &House, reader: &str) -> String {
    let mail = house
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

fn digests_of(house: &House, reader: &str) -> usize {
    house.mails_to(&format!("{reader}@example.org")).len()
}

/// Presses the button behind a link of the newest digest.
async fn press(house: &House, reader: &str, path: &str) {
    let mail = house
        .mails_to(&format!("{reader}@example.org"))
        .pop()
        .expect("a digest");
    assert!(
        house.post(&link(&mail, path)).await.status().is_success(),
        "{path}"
    );
}

async fn choose(house: &House, reader: &str, fields: &[(&str, &str)]) {
    let mail = house
        .mails_to(&format!("{reader}@example.org"))
        .pop()
        .expect("a digest");
    assert!(
        house
            .post_form(&link(&mail, "/preferences/"), fields)
            .await
            .status()
            .is_success()
    );
}

/// A week later: one new comparison in each of the categories, the first the freshest.
async fn next_week(house: &House, name: &str, categories: &[&str]) {
    house.wait(TimeDelta::days(7));
    for (n, category) in categories.iter().enumerate() {
        let at = house.app.now() - TimeDelta::hours(n as i64 + 1);
        house
            .stock(&catalogue::comparison(&format!("{name}{n}"), category, at))
            .await;
    }
}

/// Why the ledger says that mails of this week's digest were not sent.
async fn reasons(house: &House) -> Vec<(SkipReason, u64)> {
    house
        .app
        .storage
        .skips(house.slot().id())
        .await
        .expect("reasons")
}

on_both! {
    async fn who_follows_a_category_gets_the_top_pick_and_then_theirs(place) {
        let house = House::open(place).await;
        house.stock_small().await;
        house.enlist_all("email\nall@example.org\ndesign@example.org\nmusic@example.org\npaused@example.org\n").await;
        house.send_digest().await;
        choose(&house, "design", &[("category", "Design"), ("rhythm", "weekly")]).await;
        choose(&house, "paused", &[("pause", "4"), ("rhythm", "weekly")]).await;
        house.stock(&catalogue::comparison("tune", "Music", house.app.now() - TimeDelta::days(60))).await;
        choose(&house, "music", &[("category", "Music"), ("rhythm", "weekly")]).await;

        next_week(&house, "n", &["Data", "Writing", "Design", "Design"]).await;
        assert!(matches!(house.send_digest().await, Sent::Delivered(..)));
        let (all, own) = (digest_of(&house, "all"), digest_of(&house, "design"));
        assert!(["N0 L", "N1 L", "N2 L", "N3 L"].iter().all(|tool| all.contains(&format!("TOOL {tool}"))), "{all}");
        assert!(!all.contains("you follow"), "{all}");
        assert!(own.contains("TOOL N0 L") && own.contains("TOOL N2 L") && own.contains("TOOL N3 L") && !own.contains("TOOL N1 L"), "{own}");
        let why = own.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(why.matches("Because you follow Design.").count(), 2, "{own}");
        assert_eq!((digests_of(&house, "music"), digests_of(&house, "paused")), (1, 1), "nothing new, and a pause");
        let mut said = reasons(&house).await;
        said.sort();
        assert_eq!(said, [(SkipReason::Paused, 1), (SkipReason::NothingNew, 1)]);
        let audit = house.app.storage.audit(house.slot(), 10).await.expect("an audit").expect("of a digest");
        assert_eq!((audit.faults, audit.recipients, audit.deliveries.sent), (vec![], 4, 2));
        let status = house.app.status(house.slot()).await.expect("a digest");
        assert_eq!((status.tally.failed, status.tally.skipped), (0, 2), "nothing went wrong: they wished it so");

        next_week(&house, "m", &["Data"]).await;
        house.send_digest().await;
        assert_eq!(digests_of(&house, "design"), 2, "what they had is not new again");
    }

    async fn a_monthly_reader_gets_the_months_best_once(place) {
        let house = House::open(place).await;
        house.set_clock("2026-11-10T08:00:00Z");
        house.stock_small().await;
        house.enlist_all("email\nweekly@example.org\nmonthly@example.org\n").await;
        house.send_digest().await;
        choose(&house, "monthly", &[("rhythm", "monthly")]).await;
        for (week, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
            next_week(&house, name, &["Data", "Design"]).await;
            house.send_digest().await;
            // 17 and 24 November, 1 and 8 December.
            let expected = if week < 2 { 1 } else { 2 };
            assert_eq!((digests_of(&house, "weekly"), digests_of(&house, "monthly")), (week + 2, expected), "week {week}");
        }
        let best = digest_of(&house, "monthly");
        assert!(best.contains("TOOL C0 L") && (best.contains("TOOL A0 L") || best.contains("TOOL B0 L")), "of several weeks: {best}");
        assert_eq!(reasons(&house).await, [(SkipReason::Monthly, 1)]);
    }

    async fn a_changed_verdict_reaches_those_who_care_and_nobody_else_once(place) {
        let house = House::open(place).await;
        house.stock_small().await;
        house.enlist_all("email\nvoter@example.org\nsaver@example.org\nother@example.org\nlate@example.org\n").await;
        house.send_digest().await;
        press(&house, "voter", "/vote/t0-l/skip/").await;
        press(&house, "saver", "/save/t0-l/").await;
        press(&house, "other", "/vote/t1-l/ship/").await;

        house.wait(TimeDelta::days(1));
        let turned = catalogue::comparison("t0", "Design", house.app.now() - TimeDelta::days(1)).replace("verdict = \"skip\"", "verdict = \"ship\"");
        house.stock(&turned).await;
        house.wait(TimeDelta::hours(1));
        press(&house, "late", "/vote/t0-l/ship/").await;
        next_week(&house, "n", &["Data"]).await;
        house.send_digest().await;
        let told = |reader| digest_of(&house, reader).contains("Tool t0 l: Split became Ship.");
        assert_eq!(["voter", "saver", "other", "late"].map(told), [true, true, false, false], "{}", digest_of(&house, "voter"));
        let mail = digest_of(&house, "saver");
        assert!(mail.find("Split became Ship") < mail.find("TOOL N0 L"), "read first");
        assert!(mail.contains("You saved tools for later") && !digest_of(&house, "voter").contains("You saved tools"));
        let decided = mail.split_once("WHAT YOU DECIDED LAST WEEK").expect("an opening").1;
        let row = decided.lines().find(|line| line.starts_with("Tool t0 l ")).expect("a row");
        assert_eq!(row.split_whitespace().collect::<Vec<_>>().join(" "), "Tool t0 l 1 ship, 1 skip SHIP 2 to 0");

        next_week(&house, "m", &["Data"]).await;
        house.send_digest().await;
        assert_eq!(["voter", "saver", "other", "late"].map(|reader| digest_of(&house, reader).contains("became Ship")), [false; 4], "once");
        assert_eq!(["voter", "saver", "other", "late"].map(|reader| digests_of(&house, reader)), [3; 4]);
    }
}
