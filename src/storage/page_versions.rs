//! Number that grows with each change of what the public pages show. Triggers raise it in the change's own transaction, at every door.

use sqlx::AssertSqlSafe;

use super::Storage;
use super::StorageError;
use super::Tx;
use crate::domain::Timestamp;
use crate::domain::from_millis;

/// Raises the number at the end of a transaction, once for each: a lock that is taken last makes nobody wait in a circle. Each server process
/// has a shard, so that two that commit at the same time seldom meet.
pub(super) const POSTGRES: &str = "
create or replace function note_page_change() returns trigger language plpgsql as $body$ begin
  update page_versions set version = version + 1
  where shard = pg_backend_pid() % 16 and cast(xmin as text) <> cast(txid_current() % 4294967296 as text);
  return null;
end $body$;
do $$ declare growing text; columns text; begin
  foreach growing in array array['tools', 'reviews', 'comparisons', 'panel_history', 'votes', 'visitor_votes', 'digests'] loop
    if not exists (select from pg_trigger where tgname = 'page_change' and tgrelid = to_regclass(growing)) then
      columns := case growing when 'digests' then ' of state, published_at, content, publish_order, corrections' else '' end;
      execute format('create constraint trigger page_change after insert or delete or update%s on %I deferrable initially deferred
                      for each row execute function note_page_change()', columns, growing);
    end if;
  end loop;
end $$";

/// The same on SQLite, which has one writer at a time: table, what happens to it.
const SQLITE: [(&str, &str); 21] = [
    ("tools", "insert"),
    ("tools", "update"),
    ("tools", "delete"),
    ("reviews", "insert"),
    ("reviews", "update"),
    ("reviews", "delete"),
    ("comparisons", "insert"),
    ("comparisons", "update"),
    ("comparisons", "delete"),
    ("panel_history", "insert"),
    ("panel_history", "update"),
    ("panel_history", "delete"),
    ("votes", "insert"),
    ("votes", "update"),
    ("votes", "delete"),
    ("visitor_votes", "insert"),
    ("visitor_votes", "update"),
    ("visitor_votes", "delete"),
    ("digests", "insert"),
    (
        "digests",
        "update of state, published_at, content, publish_order, corrections",
    ),
    ("digests", "delete"),
];

/// Makes the triggers on SQLite.
pub(super) async fn make_on_sqlite(tx: &mut Tx) -> Result<(), StorageError> {
    if tx.is_postgres() {
        return Ok(());
    }
    for (table, event) in SQLITE {
        let word = event.split(' ').next().unwrap_or_default();
        let sql = format!(
            "create trigger if not exists page_change_{table}_{word} after {event} on {table} begin
               update page_versions set version = version + 1 where shard = 0; end"
        );
        execute!(tx, AssertSqlSafe(sql))?;
    }
    Ok(())
}

impl Storage {
    /// Number of the state that pages show. It never falls; a page that was rendered after this was read shows this state or a newer one.
    pub async fn page_version(&self) -> Result<i64, StorageError> {
        let mut reader = self.read().await?;
        let (version,): (i64,) = one!(
            reader,
            "select cast(sum(version) as bigint) from page_versions"
        )?;
        Ok(version)
    }

    /// The next moment at which something of the catalogue is published, so that pages change though nothing is written.
    pub async fn next_publication(
        &self,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StorageError> {
        let mut reader = self.read().await?;
        let (tool, comparison): (Option<i64>, Option<i64>) = one!(
            reader,
            "select (select min(published_at) from tools where published_at > $1), (select min(published_at) from comparisons where published_at > $1)",
            now.timestamp_millis()
        )?;
        Ok([tool, comparison]
            .into_iter()
            .flatten()
            .min()
            .map(from_millis))
    }
}
