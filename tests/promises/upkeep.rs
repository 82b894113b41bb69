//! A database that grows stays as quick as it was: old rows go, statistics are fresh, and long lists come by the page.

use crate::support::House;
use crate::support::Place;
use crate::support::behind_its_back;
use crate::support::on_both;

async fn rows_of(place: &Place, table: &str) -> usize {
    place
        .dump()
        .await
        .iter()
        .filter(|row| row.starts_with(table))
        .count()
}

on_both! {
    async fn mail_that_came_back_is_forgotten_after_its_time_and_no_sooner(place) {
        let house = House::open(place).await;
        // START is 1,795,505,400,000; one of these came 401 days before it, 1,200 times; the others 399 days.
        behind_its_back(
            &house.place,
            "insert into inbound_mails (fingerprint, received_at, channel, class)
               with recursive n (i) as (select 1 union all select i + 1 from n where i < 1200)
               select 'old' || i, 1795505400000 - 86400000 * cast(401 as bigint), 'imap', 'none' from n;
             insert into inbound_mails (fingerprint, received_at, channel, class)
               with recursive n (i) as (select 1 union all select i + 1 from n where i < 7)
               select 'new' || i, 1795505400000 - 86400000 * cast(399 as bigint), 'imap', 'none' from n;",
        )
        .await;
        assert_eq!(rows_of(&house.place, "inbound_mails: ").await, 1_207);
        house.app.tick().await.expect("a tick");
        assert_eq!(rows_of(&house.place, "inbound_mails: ").await, 7);
    }

    async fn the_archive_comes_by_the_page_of_twenty(place) {
        let house = House::open(place).await;
        house.stock_small().await;
        house.enlist("r", 1).await;
        house.send_digest().await;
        behind_its_back(
            &house.place,
            "insert into digests (id, state, created_at, send_at, published_at, finished_at, recipients, content, subject, html, plain)
               with recursive n (i) as (select 1 union all select i + 1 from n where i < 44)
               select 202600 + n.i, 'sent', 0, 0, 1, 1, 1, replace(g.content, '2026-W48', '2026-W' || substr('0' || n.i, -2 + length('0' || n.i) + 1)),
                 g.subject, g.html, g.plain from n cross join digests g where g.id = 202648",
        )
        .await;
        let mut path = "/digests".to_owned();
        let mut counts = Vec::new();
        loop {
            let page = house.page(&path).await;
            counts.push(page.matches("<h2><a href=\"/digests/2026-W").count());
            let Some((_, next)) = page.split_once("href=\"/digests?before=") else { break };
            path = format!("/digests?before={}", next.split('"').next().expect("an address"));
        }
        assert_eq!(counts, [20, 20, 5]);
        assert_eq!(house.get("/digests?before=nothing").await.status(), 404);
    }

    async fn unconfirmed_sign_ups_are_forgotten_however_many(place) {
        let house = House::open(place).await;
        behind_its_back(
            &house.place,
            "insert into subscribers (id, email, email_key, state, state_at, created_at, requested_at)
               with recursive n (i) as (select 1 union all select i + 1 from n where i < 2500)
               select i, i || '@example.org', i || '@example.org', case when i <= 1100 then 'unsubscribed' else 'pending' end, 0, 0, 1 from n",
        )
        .await;
        house.app.tick().await.expect("a tick");
        assert_eq!(house.known_people().await, 1_100, "who was on the list once stays known");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_has_statistics_after_an_import_and_within_the_hour() {
    let house = House::open(Place::sqlite()).await;
    let counted = async || {
        let pool = sqlx::SqlitePool::connect(&house.place.database_url)
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
    house.enlist("r", 300).await;
    let after_import: i64 = counted().await;
    assert!((250..=350).contains(&after_import), "{after_import}");
    house.app.tick().await.expect("a tick");
    behind_its_back(
        &house.place,
        "insert into subscribers (id, email, email_key, state, state_at, created_at)
           with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000)
           select i, i || '@example.org', i || '@example.org', 'active', 0, 0 from n",
    )
    .await;
    house.app.tick().await.expect("a tick");
    assert_eq!(counted().await, after_import, "once an hour");
    house.wait(chrono::TimeDelta::minutes(61));
    house.app.tick().await.expect("a tick");
    assert!(counted().await > 10_000);
}
