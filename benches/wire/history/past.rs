//! A past of years: digests, votes and returned mail, written by SQL.

use chrono::Datelike as _;
use sqlx::AssertSqlSafe;
use sqlx::Connection as _;

use super::INBOUND;
use super::OLD_READERS;
use super::VOTES;
use super::now;
use super::one_in;
use crate::stock::test_db::TestDb;

/// Makes past digests of the one that was just published, `whole` of them of everybody, the others of [`OLD_READERS`]; with votes,
/// monthly readers, and mail that came back. And takes the published one back.
pub(super) async fn fill(test_db: &TestDb, digests: usize, whole: usize, readers: usize) {
    let (now, mut statements) = (now(), vec!["delete from delivery_batches".to_owned()]);
    // Those whose past is whole lie all over the list, and so do their rows; the oldest digest first, as they were sent.
    let old = format!("id % {} = 0", one_in(readers));
    for week in (1..=digests).rev() {
        let day = (now - chrono::TimeDelta::weeks(week as i64)).iso_week();
        let (id, at) = (
            i64::from(day.year()) * 100 + i64::from(day.week()),
            (now - chrono::TimeDelta::weeks(week as i64)).timestamp_millis(),
        );
        let (most, chosen) = if week <= whole {
            (readers, "true")
        } else {
            (OLD_READERS.min(readers), old.as_str())
        };
        statements.push(format!(
            "insert into digests (id, state, created_at, send_at, published_at, finished_at, recipients, content, subject, html, plain)
             select {id}, 'sent', {at}, {at}, {at}, {at}, {most}, content, subject, html, plain from digests where state = 'sending'"
        ));
        statements.push(format!(
            "insert into deliveries (mailing_id, subscriber_id, kind, state, queued_at, due_at, attempts, started_at, first_at, finished_at, relay, reply)
             select {id}, id, 'digest', 'sent', {at}, {at}, 1, {at}, {at}, {at}, 'default', '250 2.0.0 Ok: queued as 4bX'
             from (select id from subscribers where state = 'active' and {chosen} order by id) readers"
        ));
    }
    let some = |most: usize| {
        format!("(select id from subscribers where state = 'active' order by id limit {most}) s")
    };
    statements.push(format!(
        "insert into preferences (subscriber_id, categories, monthly) select id, '[]', 1 from subscribers where state = 'active' and {old}"
    ));
    statements.push(format!(
        "insert into votes (tool, subscriber_id, verdict, voted_at) select (select min(slug) from tools), id, 'ship', 0 from {}",
        some(VOTES)
    ));
    statements.push(format!(
        "insert into inbound_mails (fingerprint, received_at, channel, class, subscriber_id) select 'f' || id, 0, 'imap', 'soft', id from {}",
        some(INBOUND)
    ));
    run_all(test_db, &statements).await;
    unpublish(test_db).await;
}

/// Takes the digest that was published last back, so that it can be published again.
pub(super) async fn unpublish(test_db: &TestDb) {
    const NEWEST: &str = "(select id from digests where state in ('sending', 'paused'))";
    run_all(
        test_db,
        &[
            format!("delete from deliveries where mailing_id in {NEWEST}"),
            format!("delete from delivery_batches where mailing_id in {NEWEST}"),
            format!("delete from digests where id in {NEWEST}"),
        ],
    )
    .await;
}

/// Runs statements as quickly as the database can: what is filled in is not what is measured.
async fn run_all(test_db: &TestDb, statements: &[String]) {
    if test_db.url.starts_with("postgres") {
        let mut connection = sqlx::PgConnection::connect(&test_db.url)
            .await
            .expect("a connection");
        for sql in ["set synchronous_commit = off"]
            .into_iter()
            .map(str::to_owned)
            .chain(statements.to_vec())
            .chain(["analyze".to_owned()])
        {
            sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(&mut connection)
                .await
                .expect("done");
        }
    } else {
        let mut connection = sqlx::SqliteConnection::connect(&test_db.url)
            .await
            .expect("a connection");
        for sql in [
            "pragma synchronous = off".to_owned(),
            "pragma cache_size = -200000".to_owned(),
        ]
        .iter()
        .chain(statements)
        {
            sqlx::raw_sql(AssertSqlSafe(sql.clone()))
                .execute(&mut connection)
                .await
                .expect("done");
        }
        sqlx::raw_sql("pragma wal_checkpoint(truncate)")
            .execute(&mut connection)
            .await
            .expect("done");
    }
}
