//! A database that grows stays as quick as it was: old rows go, statistics are fresh, and long lists come by the page.

use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::run_raw_sql;

async fn rows_of(test_db: &TestDb, table: &str) -> usize {
    test_db
        .dump()
        .await
        .iter()
        .filter(|row| row.starts_with(table))
        .count()
}

on_both! {
    async fn mail_that_came_back_is_forgotten_after_its_time_and_no_sooner(test_db) {
        let test_app = TestApp::open(test_db).await;
        // START is 1,795,505,400,000; one of these came 401 days before it, 1,200 times; the others 399 days.
        run_raw_sql(
            &test_app.test_db,
            "insert into inbound_mails (fingerprint, received_at, channel, class)
               with recursive n (i) as (select 1 union all select i + 1 from n where i < 1200)
               select 'old' || i, 1795505400000 - 86400000 * cast(401 as bigint), 'imap', 'none' from n;
             insert into inbound_mails (fingerprint, received_at, channel, class)
               with recursive n (i) as (select 1 union all select i + 1 from n where i < 7)
               select 'new' || i, 1795505400000 - 86400000 * cast(399 as bigint), 'imap', 'none' from n;",
        )
        .await;
        assert_eq!(rows_of(&test_app.test_db, "inbound_mails: ").await, 1_207);
        test_app.app.tick().await.expect("a tick");
        assert_eq!(rows_of(&test_app.test_db, "inbound_mails: ").await, 7);
    }

    async fn the_archive_comes_by_the_page_of_twenty(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 1).await;
        test_app.send_digest().await;
        run_raw_sql(
            &test_app.test_db,
            "insert into digests (id, state, created_at, send_at, published_at, finished_at, recipients, content, subject, html, plain)
               with recursive n (i) as (select 1 union all select i + 1 from n where i < 44)
               select 202600 + n.i, 'sent', 0, 0, 1, 1, 1, replace(g.content, '2026-W48', '2026-W' || substr('0' || n.i, -2 + length('0' || n.i) + 1)),
                 g.subject, g.html, g.plain from n cross join digests g where g.id = 202648",
        )
        .await;
        let mut path = "/digests".to_owned();
        let mut counts = Vec::new();
        loop {
            let page = test_app.page(&path).await;
            counts.push(page.matches("<h2><a href=\"/digests/2026-W").count());
            let Some((_, next)) = page.split_once("href=\"/digests?before=") else { break };
            path = format!("/digests?before={}", next.split('"').next().expect("an address"));
        }
        assert_eq!(counts, [20, 20, 5]);
        assert_eq!(test_app.get("/digests?before=nothing").await.status(), 404);
    }

    async fn unconfirmed_sign_ups_are_forgotten_however_many(test_db) {
        let test_app = TestApp::open(test_db).await;
        run_raw_sql(
            &test_app.test_db,
            "insert into subscribers (id, email, email_key, state, state_at, created_at, requested_at)
               with recursive n (i) as (select 1 union all select i + 1 from n where i < 2500)
               select i, i || '@example.org', i || '@example.org', case when i <= 1100 then 'unsubscribed' else 'pending' end, 0, 0, 1 from n",
        )
        .await;
        test_app.app.tick().await.expect("a tick");
        assert_eq!(test_app.known_people().await, 1_100, "who was on the list once stays known");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_has_statistics_after_an_import_and_within_the_hour() {
    let test_app = TestApp::open(TestDb::sqlite()).await;
    let counted = async || {
        let pool = sqlx::SqlitePool::connect(&test_app.test_db.database_url)
            .await
            .expect("a connection");
        let rows: Vec<(String, String)> = sqlx::query_as(
            "select idx, stat from sqlite_stat1 where tbl = 'subscribers' and idx is not null",
        )
        .fetch_all(&pool)
        .await
        .expect("statistics");
        rows.iter()
            .map(|(_, stat)| {
                stat.split(' ')
                    .next()
                    .and_then(|count| count.parse().ok())
                    .unwrap_or(0)
            })
            .max()
            .unwrap_or(0)
    };
    test_app.seed_subscribers("r", 300).await;
    let after_import: i64 = counted().await;
    assert!((250..=350).contains(&after_import), "{after_import}");
    test_app.app.tick().await.expect("a tick");
    run_raw_sql(
        &test_app.test_db,
        "insert into subscribers (id, email, email_key, state, state_at, created_at)
           with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000)
           select i, i || '@example.org', i || '@example.org', 'active', 0, 0 from n",
    )
    .await;
    test_app.app.tick().await.expect("a tick");
    assert_eq!(counted().await, after_import, "once an hour");
    test_app.wait(chrono::TimeDelta::minutes(61));
    test_app.app.tick().await.expect("a tick");
    assert!(counted().await > 10_000);
}
