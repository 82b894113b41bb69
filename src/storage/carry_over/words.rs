//! Sentences in a database of before the baseline, written as codes: history, and reasons of picks.

use sqlx::QueryBuilder;

use super::MigrationConnection;
use crate::domain::history::HistoryEvent;
use crate::domain::pick_reason::PickReason;
use crate::storage::StorageError;
use crate::storage::stored;

/// Rows that are read and written at once.
const PAGE: i64 = 1_000;

/// Runs `$body` with `$c` bound to the connection of whichever database it is.
macro_rules! on_either {
    ($connection:expr, $c:ident => $body:expr) => {
        match $connection {
            MigrationConnection::Sqlite($c) => {
                let $c = &mut **$c;
                $body
            }
            MigrationConnection::Postgres($c) => {
                let $c = &mut **$c;
                $body
            }
        }
    };
}

/// Copies the history, a page of its key at a time.
pub(super) async fn copy_history(
    connection: &mut MigrationConnection<'_>,
) -> Result<(), StorageError> {
    let mut last = (i64::MIN, i64::MIN, String::new());
    loop {
        let page: Vec<(i64, i64, String)> = on_either!(connection, c => {
            sqlx::query_as::<_, (i64, i64, String)>(
                "select subscriber_id, at, what from old_history where (subscriber_id, at, what) > ($1, $2, $3)
                 order by subscriber_id, at, what limit $4",
            )
            .bind(last.0)
            .bind(last.1)
            .bind(last.2.as_str())
            .bind(PAGE)
            .fetch_all(c)
            .await
        })?;
        let Some(end) = page.last() else {
            return Ok(());
        };
        last = end.clone();
        on_either!(connection, c => {
            let mut query = QueryBuilder::new("insert into history (subscriber_id, at, code, parameters) ");
            query.push_values(&page, |mut row, (subscriber, at, words)| {
                let (code, parameters) = HistoryEvent::from_words(words).to_stored();
                row.push_bind(*subscriber).push_bind(*at).push_bind(code).push_bind(parameters);
            });
            query.build().execute(c).await.map(drop)
        })?;
    }
}

/// Copies the picks: some for each week.
pub(super) async fn copy_picks(
    connection: &mut MigrationConnection<'_>,
) -> Result<(), StorageError> {
    let picks: Vec<(i64, i64, String, i64, String)> = on_either!(connection, c => {
        sqlx::query_as::<_, (i64, i64, String, i64, String)>(
            "select digest_id, position, comparison, score_thousandths, reasons from old_picks",
        )
        .fetch_all(c)
        .await
    })?;
    for (digest, position, comparison, score, words) in picks {
        let words: Vec<String> = stored(serde_json::from_str(&words))?;
        let reasons: Vec<PickReason> = words
            .iter()
            .map(|words| PickReason::from_words(words))
            .collect();
        let reasons = stored(serde_json::to_string(&reasons))?;
        on_either!(connection, c => {
            sqlx::query(
                "insert into picks (digest_id, position, comparison, score_thousandths, reasons) values ($1, $2, $3, $4, $5)",
            )
            .bind(digest)
            .bind(position)
            .bind(comparison.as_str())
            .bind(score)
            .bind(reasons)
            .execute(c)
            .await
            .map(drop)
        })?;
    }
    Ok(())
}
