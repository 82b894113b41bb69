//! First byte of every screen of the desk over a long list with a long history.

use std::time::Duration;
use std::time::Instant;

use sqlx::Connection as _;

use crate::place::Place;

const LISTEN: &str = "127.0.0.1:18473";
const PASSWORD: &str = "violet tram eats ledger";
/// A screen answers its first byte within that.
const TARGET: Duration = Duration::from_millis(100);
/// Requests for each screen, of which the median counts; one more before them warms the caches.
const REQUESTS: usize = 9;
/// Digests that the deliveries belong to.
const DIGESTS: usize = 10;
/// Readers of one statement.
const AT_ONCE: usize = 100_000;

/// Screens that need no search, with what stands in their place for a slot.
const SCREENS: [&str; 22] = [
    "/desk",
    "/desk/digests",
    "/desk/digests/{slot}",
    "/desk/digests/{slot}/left",
    "/desk/digests/{slot}/progress",
    "/desk/subscribers",
    "/desk/subscribers?state=bounced",
    "/desk/subscribers?state=active&joined_from=2026-01-01",
    "/desk/subscribers?search=reader77",
    "/desk/subscribers?search=%40d7.example",
    "/desk/subscribers?search=Name+77",
    "/desk/subscribers?source=import",
    "/desk/subscribers?bounced=1",
    "/desk/subscribers?votes=1",
    "/desk/subscribers?issue={slot}&result=failed",
    "/desk/subscribers?issue={slot}&result=not-got",
    "/desk/jobs",
    "/desk/growth",
    "/desk/growth?span=5-years",
    "/desk/deliverability",
    "/desk/deliverability/refused?issue={slot}",
    "/desk/deliverability/suppressions",
];

/// Fills the database, and asks for each screen; returns how many were slower than the target.
pub async fn run(place: Place, readers: usize, deliveries: usize) -> usize {
    let place = place
        .with("VERDICTS_SITE__LISTEN", LISTEN)
        .with("VERDICTS_SITE__BASE_URL", &format!("http://{LISTEN}"))
        .with("VERDICTS_DESK__SECOND_FACTOR", "off");
    place.write("catalogue.toml", crate::personal::catalogue());
    place.run(&["catalog", "import", "catalogue.toml", "--dates-to-now"]);
    // A digest that is really published lends its content to all others.
    place.enlist(3);
    place.run(&["digest", "send", "--force"]);
    fill(&place, readers, deliveries).await;
    place.run(&["migrate"]);
    let name = ["users", "add", "ada@desk.example", "--role", "owner"];
    place.run_with_input(&[&name[..], &["--password-stdin"]].concat(), PASSWORD);
    let (serving, _) = place.start_until(&["serve", "--role", "web"], LISTEN);
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let cookie = sign_in(&client).await;
    let mut slow = 0;
    for screen in SCREENS {
        let path = screen.replace("{slot}", "2026-W40");
        let mut times = Vec::new();
        for at in 0..=REQUESTS {
            let began = Instant::now();
            let answer = client
                .get(format!("http://{LISTEN}{path}"))
                .header("cookie", &cookie)
                .send()
                .await
                .expect("an answer");
            let took = began.elapsed();
            assert_eq!(answer.status(), 200, "{path}");
            answer.bytes().await.expect("a page");
            if at > 0 {
                times.push(took);
            }
        }
        times.sort();
        let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        let mark = if median > TARGET { " (slow)" } else { "" };
        slow += usize::from(median > TARGET);
        println!(
            "| {} | `{screen}` | {:.1}{mark} | {:.1} |",
            place.name(),
            ms(median),
            ms(longest)
        );
    }
    drop(serving);
    slow
}

async fn sign_in(client: &reqwest::Client) -> String {
    let answer = client
        .post(format!("http://{LISTEN}/desk/sign-in"))
        .header("origin", format!("http://{LISTEN}"))
        .form(&[("email", "ada@desk.example"), ("password", PASSWORD)])
        .send()
        .await
        .expect("an answer");
    let cookie = answer.headers().get("set-cookie").expect("a cookie");
    let text = cookie.to_str().expect("text");
    text.split(';').next().unwrap_or_default().to_owned()
}

/// Readers at a hundred domains, of whom some have left, and the deliveries of the digests of ten weeks with what followed them.
async fn fill(place: &Place, readers: usize, deliveries: usize) {
    let each = deliveries / DIGESTS;
    for from in (0..readers).step_by(AT_ONCE) {
        let until = (from + AT_ONCE).min(readers);
        execute(
            place,
            format!(
                "insert into subscribers (id, email, email_key, name, state, state_at, created_at)
                 with recursive n (i) as (select {from} union all select i + 1 from n where i < {until} - 1)
                 select i + 1, 'reader' || i || '@d' || (i % 100) || '.example', 'reader' || i || '@d' || (i % 100) || '.example', 'Name ' || i,
                   case when i % 50 = 1 then 'unsubscribed' when i % 200 = 2 then 'bounced' else 'active' end,
                   1780000000000 + i, 1760000000000 + i * 20 from n"
            ),
        )
        .await;
        execute(
            place,
            format!(
                "insert into consents (subscriber_id, requested_at, shown, source) select id, created_at, 's', case when id % 3 = 0 then 'import' else 'web form' end
                 from subscribers where id > {from} and id <= {until}"
            ),
        )
        .await;
    }
    for week in 0..DIGESTS {
        let id = 202_631 + week as i64;
        let at = 1_785_000_000_000_i64 + week as i64 * 604_800_000;
        execute(
            place,
            format!(
                "insert into digests (id, state, created_at, send_at, published_at, finished_at, recipients, publish_order, content, subject, html, plain)
                 select {id}, 'sent', {at}, {at}, {at}, {at} + 3600000, {each}, {week} - 100, replace(content, g.slot, '{}'), subject, html, plain
                 from (select *, cast(id / 100 as text) || '-W' || case when id % 100 < 10 then '0' else '' end || cast(id % 100 as text) as slot from digests order by id desc limit 1) g",
                slot(id)
            ),
        )
        .await;
        for from in (0..each).step_by(AT_ONCE) {
            let until = (from + AT_ONCE).min(each);
            execute(
                place,
                format!(
                    "insert into deliveries (mailing_id, subscriber_id, kind, state, queued_at, due_at, attempts, started_at, first_at, finished_at, relay, reply, skip_reason)
                     select {id}, id, 'digest', case when id % 100 = 7 then 'failed' when id % 50 = 9 then 'skipped' else 'sent' end, {at}, {at}, 1, {at}, {at}, {at} + id,
                       'default', '250 ok', case when id % 50 = 9 and id % 100 <> 7 then 'paused' end from subscribers where id > {from} and id <= {until}"
                ),
            )
            .await;
        }
        let follow = [
            format!(
                "insert into digest_counts (mailing_id, sent, failed, skipped, uncertain) select {id}, count(case when state = 'sent' then 1 end), count(case when state = 'failed' then 1 end), count(case when state = 'skipped' then 1 end), 0 from deliveries where mailing_id = {id}"
            ),
            format!(
                "insert into history (subscriber_id, at, code, parameters, digest_id) select id, {at} + id, case when id % 400 = 2 then 'bounced' else 'unsubscribed' end, case when id % 400 = 2 then '{{\"reply\":\"550 5.1.1 gone\"}}' else '{{\"by\":\"link\"}}' end, {id} from subscribers where id % 200 = 2 and id <= {each}"
            ),
            format!(
                "insert into refusals (subscriber_id, mailing_id, at, class, reply, pattern, domain, relay, address_hash, key_name) select id, {id}, {at}, 'hard', '550 5.1.1 no such user', 'no such user ' || (id % 7), 'd' || (id % 100) || '.example', 'default', 'h' || id, 'k' from subscribers where id % 100 = 7 and id <= {each}"
            ),
            format!(
                "insert into digest_send_stats (mailing_id, minute, sent, deferred, failed, skipped, uncertain) with recursive n (i) as (select 0 union all select i + 1 from n where i < 179) select {id}, {at} / 60000 + i, {each} / 180, 3, 5, 2, 0 from n"
            ),
        ];
        for sql in follow {
            execute(place, sql).await;
        }
    }
    for sql in [
        "insert into suppressions (address_hash, key_name, reason, created_at) select 'h' || id, 'k', 'bounced', state_at from subscribers where state = 'bounced'",
        "insert into votes (tool, subscriber_id, verdict, voted_at) select (select min(slug) from tools), id, 'ship', 0 from subscribers where id % 20 = 0",
        "insert into growth_days (day, source, joined, confirmed, left_by_link) with recursive n (i) as (select 0 union all select i + 1 from n where i < 1800) select 19000 + i, 'source ' || s.k, 9, 7, 1 from n cross join (select 1 as k union all select 2 union all select 3 union all select 4 union all select 5) s",
        "update growth_state set done_at = 0",
    ] {
        execute(place, sql.into()).await;
    }
    // As a server's own upkeep leaves a database some minutes after it was filled.
    let upkeep = match place.is_postgres() {
        true => "vacuum analyze",
        false => "analyze",
    };
    execute(place, upkeep.into()).await;
}

fn slot(id: i64) -> String {
    format!("{}-W{:02}", id / 100, id % 100)
}

async fn execute(place: &Place, sql: String) {
    let sql = sqlx::AssertSqlSafe(sql);
    if place.is_postgres() {
        let mut connection = sqlx::PgConnection::connect(&place.url)
            .await
            .expect("a connection");
        sqlx::raw_sql(sql)
            .execute(&mut connection)
            .await
            .expect("done");
    } else {
        let mut connection = sqlx::SqliteConnection::connect(&place.url)
            .await
            .expect("a connection");
        sqlx::raw_sql(sql)
            .execute(&mut connection)
            .await
            .expect("done");
    }
}
