//! A digest that is shorter than any that there is.

use sqlx::Connection as _;

use crate::stock::test_db::TestDb;

/// Around the two bodies of a mail: three boundaries, and what each part says of itself.
const AROUND: usize = 260;

/// Publishes the digest over a relay that refuses connections, and cuts what is stored of it, behind the program's back, so that a mail
/// has about so many bytes, its whole header included; answers how many that are.
pub fn publish_cut_to(test_db: &TestDb, bytes: usize) -> usize {
    let whole = std::fs::read_to_string(test_db.dir.path().join("digest.eml"))
        .expect("the mail that was looked at");
    let header = whole.find("\r\n\r\n").expect("a header") + 4;
    test_db.publish();
    let body = bytes.saturating_sub(header + AROUND) / 2;
    let line = "It does one thing and leaves the rest to whoever comes next. Wait.\r\n";
    let text: String = line.chars().cycle().take(body).collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let sql = "update digests set html = $1, plain = $1 where state = 'sending'";
        let changed = if test_db.url.starts_with("postgres") {
            let mut connection = sqlx::PgConnection::connect(&test_db.url)
                .await
                .expect("a connection");
            sqlx::query(sql)
                .bind(&text)
                .execute(&mut connection)
                .await
                .expect("cut")
                .rows_affected()
        } else {
            let mut connection = sqlx::SqliteConnection::connect(&test_db.url)
                .await
                .expect("a connection");
            sqlx::query(sql)
                .bind(&text)
                .execute(&mut connection)
                .await
                .expect("cut")
                .rows_affected()
        };
        assert_eq!(changed, 1, "the digest that is published");
    });
    header + AROUND + 2 * body
}
