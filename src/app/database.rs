//! Opening the database as the settings say.

use crate::config::Durability;
use crate::config::SecretUrl;
use crate::config::Settings;
use crate::storage::Storage;
use crate::storage::StorageError;

/// Opens the database as the settings say.
pub(super) async fn open_storage(settings: &Settings) -> Result<Storage, StorageError> {
    let database = &settings.database;
    let durable = database.durability == Durability::Full;
    Storage::open(
        database.url.expose(),
        database.direct_url.as_ref().map(SecretUrl::expose),
        database.connections,
        durable,
        settings.database_call_max(),
    )
    .await
}
