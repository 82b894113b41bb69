//! Growth: each change of the list is counted once, by its day, source and week of joining, and the sum is the list.

use chrono::TimeDelta;
use reqwest::StatusCode;
use verdicts::app::growth::GrowthReport;
use verdicts::app::growth::GrowthSpan;
use verdicts::domain::actor::Actor;
use verdicts::domain::history::UnsubscribedBy;
use verdicts::domain::user::Role;

use crate::desk_subscribers::without_codes;
use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::desk::Browser;
use crate::support::on_both;
use crate::support::run_raw_sql;

async fn growth(test_app: &TestApp) -> GrowthReport {
    test_app.app.tick().await.expect("a tick");
    test_app
        .app
        .growth(GrowthSpan::default())
        .await
        .expect("a report")
}

async fn id(test_app: &TestApp, email: &str) -> i64 {
    let email = email.parse().expect("an address");
    test_app
        .app
        .person(&email)
        .await
        .expect("known")
        .subscriber
        .id
}

/// Three who joined by the form, of whom one has not confirmed, and five who were imported; over three weeks one unsubscribes, one is erased.
async fn three_weeks(test_db: TestDb) -> TestApp {
    let test_app = TestApp::open_with(test_db, without_codes).await;
    test_app.join("ada@one.example").await;
    test_app.join("bea@one.example").await;
    test_app.sign_up("cyd@one.example").await;
    test_app.seed_subscribers("reader", 5).await;
    test_app.app.tick().await.expect("a tick");
    test_app.wait(TimeDelta::days(8));
    let ada = id(&test_app, "ada@one.example").await;
    let (now, storage) = (test_app.app.now(), &test_app.app.storage);
    let by = UnsubscribedBy::Link;
    assert!(
        storage
            .unsubscribe(&Actor::reader(), ada, by, now)
            .await
            .expect("done")
    );
    assert!(
        !storage
            .unsubscribe(&Actor::reader(), ada, by, now)
            .await
            .expect("done")
    );
    test_app.wait(TimeDelta::days(7));
    let erased = "reader0@example.org".parse().expect("an address");
    test_app
        .app
        .erase_subscriber(&Actor::cli(), &erased)
        .await
        .expect("erased");
    test_app
}

async fn active(test_app: &TestApp) -> i64 {
    i64::try_from(test_app.app.readers_lately().await).expect("few")
}

on_both! {
    async fn each_change_is_counted_once_and_the_sum_is_the_list(test_db) {
        let test_app = three_weeks(test_db).await;
        let report = growth(&test_app).await;
        assert!(report.is_complete);
        let total = report.total;
        assert_eq!((total.joined, total.confirmed, total.imported, total.left_by_link, total.erased, total.lost()), (3, 2, 5, 1, 1, 2));
        assert_eq!((report.active, active(&test_app).await), (5, 5));
        assert_eq!(report.steps.len(), 90);
        let changed: Vec<(i64, i64, i64)> = report.steps.iter().filter(|step| step.change != Default::default()).map(|step| (step.active, step.change.gained(), step.change.lost())).collect();
        assert_eq!(changed, [(7, 7, 0), (6, 0, 1), (5, 0, 1)]);
        let form = report.sources.iter().find(|source| source.source == "web form").expect("a source");
        assert_eq!((form.change.joined, form.change.confirmed, form.change.left()), (3, 2, 1));
        let cohort = report.cohorts.iter().find(|cohort| cohort.gained > 0).expect("a cohort");
        assert_eq!((cohort.gained, cohort.left_over.clone()), (7, vec![7, 6, 5]));
        assert!(report.confirmation_rate.is_some_and(|rate| (0.66..0.67).contains(&rate)), "{:?}", report.confirmation_rate);
        assert!(report.median_seconds_to_confirm.is_some());
        let again = growth(&test_app).await;
        assert_eq!((again.total, again.active), (total, 5), "a second look counts nothing twice");
        let weeks = test_app.app.growth(GrowthSpan { days: 364, by_week: true }).await.expect("a report");
        assert_eq!((weeks.total, weeks.active, weeks.steps.len()), (total, 5, 53));
    }

    async fn histories_of_before_are_read_once_and_give_the_same(test_db) {
        let test_app = three_weeks(test_db).await;
        let before = growth(&test_app).await;
        // As it is on a database that this version is opened on for the first time: nothing is counted.
        run_raw_sql(&test_app.test_db, "delete from growth_events; delete from growth_days; delete from growth_cohorts; delete from growth_delays; delete from growth_state").await;
        test_app.app.storage.migrate(test_app.app.now()).await.expect("migrated");
        assert!(!test_app.app.growth(GrowthSpan::default()).await.expect("a report").is_complete);
        // Not counted yet, and noted as it happens.
        let bea = id(&test_app, "bea@one.example").await;
        test_app.wait(TimeDelta::minutes(5));
        test_app.app.storage.unsubscribe(&Actor::reader(), bea, UnsubscribedBy::Mail, test_app.app.now()).await.expect("done");
        let after = growth(&test_app).await;
        assert!(after.is_complete);
        // What was kept of somebody who was erased is gone, and so is that they came.
        assert_eq!((after.total.joined, after.total.confirmed, after.total.imported, after.total.left_by_link, after.total.left_by_mail, after.total.erased), (3, 2, 4, 1, 1, 0));
        assert_eq!((after.active, before.active), (4, 5));
        assert_eq!(growth(&test_app).await.total, after.total);
    }

    async fn the_page_shows_it_to_every_role_and_an_unknown_span_is_none(test_db) {
        let test_app = three_weeks(test_db).await;
        growth(&test_app).await;
        for role in [Role::Owner, Role::Analyst] {
            let page = Browser::of(&test_app, role).await.page("/desk/growth").await;
            for words in ["<dd>5</dd><dt>readers now", "Readers on the list", "web form", "Who came and who left", "percent after so many weeks"] {
                assert!(page.contains(words) || page.contains(&words.replace("<dd>5</dd><dt>readers now", "readers now</dt><dd>5</dd>")), "{words}: {page}");
            }
            assert!(!page.contains("style=\"") && page.matches("<svg").count() >= 3, "{page}");
        }
        let writer = Browser::of(&test_app, Role::Writer).await;
        for (span, status) in [("30-days", StatusCode::OK), ("52-weeks", StatusCode::OK), ("5-years", StatusCode::OK), ("1-day", StatusCode::NOT_FOUND)] {
            assert_eq!(writer.get(&format!("/desk/growth?span={span}")).await.status(), status, "{span}");
        }
    }

    async fn the_command_prints_the_same(test_db) {
        let program = Program::set_up(&test_db);
        let test_app = TestApp::open_with(test_db, without_codes).await;
        test_app.seed_subscribers("reader", 3).await;
        test_app.app.tick().await.expect("a tick");
        let report = program.run(&["--json", "subscribers", "growth"]).good().json();
        assert_eq!((report["active"].as_i64(), report["total"]["imported"].as_i64(), report["steps"].as_array().map(Vec::len)), (Some(3), Some(3), Some(90)), "{report}");
        let text = program.run(&["subscribers", "growth", "--days", "28", "--weeks"]).good().out;
        assert!(text.starts_with("3 readers now"), "{text}");
        assert_eq!(program.run(&["subscribers", "growth", "--days", "0"]).code, 2);
    }
}
