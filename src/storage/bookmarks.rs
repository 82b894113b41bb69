//! Tools that readers saved for later.

use super::Storage;
use super::StorageError;
use super::catalogue::contenders;
use super::changes::points_since;
use crate::domain::Timestamp;
use crate::domain::catalogue::Panel;
use crate::domain::catalogue::Slug;
use crate::domain::from_millis;
use crate::domain::reader::MOST_SAVED;
use crate::domain::reader::Saved;

#[derive(sqlx::FromRow)]
struct SavedRow {
    tool: String,
    saved_at: i64,
    ships: i64,
    skips: i64,
}

impl Storage {
    /// Saves a tool for a reader who is on the list; saving it twice is saving it once. `false`: there is no such tool or
    /// reader, or they saved [`MOST_SAVED`] already.
    pub async fn save_tool(
        &self,
        tool: &Slug,
        subscriber: i64,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let saved = execute!(
            tx,
            "insert into bookmarks (subscriber_id, tool, saved_at, ships, skips)
             select s.id, t.slug, $3,
               (select count(*) from reviews where tool = t.slug and verdict = 'ship'),
               (select count(*) from reviews where tool = t.slug and verdict = 'skip')
             from tools t, subscribers s where t.slug = $1 and t.published_at <= $3 and s.id = $2 and s.state = 'active'
               and (select count(*) from bookmarks where subscriber_id = $2) < $4
             on conflict (subscriber_id, tool) do nothing",
            tool.as_str(),
            subscriber,
            now.timestamp_millis(),
            MOST_SAVED
        )?;
        let there: Option<(i64,)> = optional!(
            tx,
            "select saved_at from bookmarks where subscriber_id = $1 and tool = $2",
            subscriber,
            tool.as_str()
        )?;
        tx.commit().await?;
        Ok(saved > 0 || there.is_some())
    }

    /// Takes a tool out of what a reader saved; doing it twice is doing it once.
    pub async fn forget_tool(&self, tool: &Slug, subscriber: i64) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "delete from bookmarks where subscriber_id = $1 and tool = $2",
            subscriber,
            tool.as_str()
        )?;
        Ok(tx.commit().await?)
    }

    /// The tools that a reader saved last, newest first: slug and name.
    pub async fn saved_names(
        &self,
        subscriber: i64,
        count: i64,
    ) -> Result<Vec<(Slug, String)>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String, String)> = all!(
            reader,
            "select t.slug, t.name from bookmarks b join tools t on t.slug = b.tool where b.subscriber_id = $1
             order by b.saved_at desc, t.slug limit $2",
            subscriber,
            count
        )?;
        rows.into_iter()
            .map(|(slug, name)| Ok((slug.parse()?, name)))
            .collect()
    }

    /// Returns what a reader saved, newest first, at most `count`, with how each tool's panel stood since.
    pub async fn saved_tools(
        &self,
        subscriber: i64,
        count: i64,
    ) -> Result<Vec<Saved>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<SavedRow> = all!(
            reader,
            "select tool, saved_at, ships, skips from bookmarks where subscriber_id = $1 order by saved_at desc, tool limit $2",
            subscriber,
            count
        )?;
        let slugs: Vec<Slug> = super::stored(rows.iter().map(|row| row.tool.parse()).collect())?;
        let mut tools = contenders(&mut reader, &slugs.iter().collect::<Vec<_>>()).await?;
        let mut saved = Vec::with_capacity(rows.len());
        for (row, slug) in rows.into_iter().zip(&slugs) {
            let Some(contender) = tools.remove(slug) else {
                continue;
            };
            saved.push(Saved {
                contender,
                at: from_millis(row.saved_at),
                then: Panel {
                    ships: row.ships as u32,
                    skips: row.skips as u32,
                },
                since: points_since(&mut reader, slug, row.saved_at).await?,
            });
        }
        Ok(saved)
    }
}
