//! Every row of a database as text, to compare before and after.

use super::super::TestDb;

impl TestDb {
    /// The same database for one more process, which has a folder of its own.
    pub fn again(&self) -> Self {
        Self {
            dir: tempfile::tempdir().expect("a folder"),
            database_url: self.database_url.clone(),
        }
    }

    /// Every row of every table as a line of text, sorted: two dumps are equal when nothing was changed in between.
    pub async fn dump(&self) -> Vec<String> {
        let mut rows = if self.is_postgres() {
            dump_postgres(&self.database_url).await
        } else {
            dump_sqlite(&self.database_url).await
        };
        rows.sort();
        rows
    }

    /// The same without the counts of quotas, which hold nothing but keyed hashes and times.
    pub async fn dump_without_quotas(&self) -> Vec<String> {
        let mut rows = self.dump().await;
        rows.retain(|row| !row.starts_with("mail_quotas: "));
        rows
    }
}

async fn dump_postgres(url: &str) -> Vec<String> {
    let pool = sqlx::PgPool::connect(url).await.expect("a connection");
    let tables: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.tables where table_schema = 'public' and table_name not like '\\_sqlx%'",
    )
    .fetch_all(&pool)
    .await
    .expect("tables");
    let mut rows = Vec::new();
    for table in tables {
        let sql = sqlx::AssertSqlSafe(format!("select '{table}: ' || t::text from {table} t"));
        rows.extend(
            sqlx::query_scalar::<_, String>(sql)
                .fetch_all(&pool)
                .await
                .expect("rows"),
        );
    }
    rows
}

async fn dump_sqlite(url: &str) -> Vec<String> {
    let pool = sqlx::SqlitePool::connect(url).await.expect("a connection");
    let tables: Vec<(String, String)> = sqlx::query_as(
        "select t.name, group_concat('quote(\"' || c.name || '\")', ' || '', '' || ') from sqlite_master t, pragma_table_info(t.name) c
         where t.type = 'table' and t.name not like '\\_sqlx%' escape '\\' and t.name not like 'sqlite%' group by t.name",
    )
    .fetch_all(&pool)
    .await
    .expect("tables");
    let mut rows = Vec::new();
    for (table, columns) in tables {
        let sql = sqlx::AssertSqlSafe(format!("select '{table}: ' || {columns} from {table}"));
        rows.extend(
            sqlx::query_scalar::<_, String>(sql)
                .fetch_all(&pool)
                .await
                .expect("rows"),
        );
    }
    rows
}
