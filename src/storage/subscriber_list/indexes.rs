//! Indexes whose text differs between the databases: made when a database is migrated, for migrations have one text for both.
//!
//! The compared spellings of addresses are plain text on SQLite, where text is ordered by its bytes. On PostgreSQL the database's
//! collation orders it, by which no prefix can be looked up: these indexes are ordered by bytes there too.

use super::super::StorageError;
use super::super::Tx;

/// Each behind a check: `create index if not exists` takes the table's lock even where the index is there.
pub(in crate::storage) const POSTGRES: &str = "do $$ begin
  if to_regclass('subscribers_by_address') is null then
    create index subscribers_by_address on subscribers (email_key collate \"C\");
  end if;
  if to_regclass('subscribers_by_domain') is null then
    create index subscribers_by_domain on subscribers (substr(email_key, strpos(email_key, '@') + 1), created_at, id);
  end if;
  if to_regclass('subscribers_by_name') is null then
    create index subscribers_by_name on subscribers (lower(name) collate \"C\", id) where name is not null;
  end if;
end $$";

/// Makes them on SQLite, where the unique index on the address serves its prefixes.
pub(in crate::storage) async fn make_on_sqlite(tx: &mut Tx) -> Result<(), StorageError> {
    if tx.is_postgres() {
        return Ok(());
    }
    execute!(
        tx,
        "create index if not exists subscribers_by_domain on subscribers (substr(email_key, instr(email_key, '@') + 1), created_at, id)"
    )?;
    execute!(
        tx,
        "create index if not exists subscribers_by_name on subscribers (lower(name), id) where name is not null"
    )?;
    Ok(())
}

/// SQL of what the indexes hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexDialect {
    /// The address, in byte order.
    pub address: &'static str,
    /// The name without case, in byte order.
    pub name: &'static str,
    /// The part behind the @.
    pub domain: &'static str,
    /// Behind the table in a walk by the date of joining: of everybody, and of one state.
    pub by_date: [&'static str; 2],
}

impl IndexDialect {
    pub(super) fn of(is_postgres: bool) -> Self {
        match is_postgres {
            true => Self {
                address: "s.email_key collate \"C\"",
                name: "lower(s.name) collate \"C\"",
                domain: "substr(s.email_key, strpos(s.email_key, '@') + 1)",
                by_date: ["", ""],
            },
            false => Self {
                address: "s.email_key",
                name: "lower(s.name)",
                domain: "substr(s.email_key, instr(s.email_key, '@') + 1)",
                // With a hundred domains or a few states, SQLite 3.53 takes their index and skips from one to the next, which sorts the
                // whole list: 100 ms for a million subscribers in place of 0.4 ms.
                by_date: [
                    " indexed by subscribers_by_date",
                    " indexed by subscribers_by_state",
                ],
            },
        }
    }
}
