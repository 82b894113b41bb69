//! Events about a person, as far as the feed still has them.

use serde::Serialize;

use super::ROWS;
use crate::domain::Timestamp;
use crate::domain::from_millis;
use crate::storage::ReadConnection;
use crate::storage::StorageError;

/// An event about a person.
#[derive(Debug, Clone, Serialize)]
pub struct ToldEvent {
    /// Kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// Time.
    pub at: Timestamp,
    /// Their address, where it is told with the event.
    pub email: Option<String>,
}

/// Reads the events about a person, oldest first.
pub(super) async fn events_of(
    reader: &mut ReadConnection,
    subscriber: i64,
) -> Result<Vec<ToldEvent>, StorageError> {
    let rows: Vec<(String, i64, Option<String>)> = all!(
        reader,
        "select kind, at, email from events where subscriber_id = $1 order by at limit $2",
        subscriber,
        ROWS
    )?;
    let told = |(kind, at, email)| ToldEvent {
        kind,
        at: from_millis(at),
        email,
    };
    Ok(rows.into_iter().map(told).collect())
}
