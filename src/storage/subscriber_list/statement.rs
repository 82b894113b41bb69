//! Statements that are put together from literal parts: values are bound, never written into the text.

use sqlx::AssertSqlSafe;
use sqlx::FromRow;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use super::super::Queryable;
use super::super::StorageError;

#[derive(Debug, Clone)]
pub(super) enum Value {
    Number(i64),
    Text(String),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

/// A text with its values.
#[derive(Debug, Clone, Default)]
pub(super) struct ComposedQuery {
    text: String,
    values: Vec<Value>,
}

impl ComposedQuery {
    /// Adds SQL in which each `{}` stands for the next of `values`.
    pub(super) fn add(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        let mut values = values.into_iter();
        for (at, part) in sql.split("{}").enumerate() {
            if at > 0 {
                self.values.extend(values.next());
                self.text.push('$');
                self.text.push_str(&self.values.len().to_string());
            }
            self.text.push_str(part);
        }
    }

    /// Adds SQL without values.
    pub(super) fn push(&mut self, sql: &str) {
        self.text.push_str(sql);
    }

    /// Reads all rows: the text bounds their number.
    pub(super) async fn all<T>(self, conn: &mut impl Queryable) -> Result<Vec<T>, StorageError>
    where
        T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let rows: sqlx::Result<Vec<T>> = on!(conn, c, keeps => {
            let mut query = sqlx::query_as(AssertSqlSafe(self.text)).persistent(keeps);
            for value in self.values {
                query = match value {
                    Value::Number(number) => query.bind(number),
                    Value::Text(text) => query.bind(text),
                };
            }
            query.fetch_all(&mut *c).await
        });
        Ok(rows?)
    }
}
