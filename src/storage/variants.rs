//! Digests that differ from reader to reader: which choices there are, who made which, and the mail of each, frozen.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::HashSet;

use super::Queryable;
use super::Storage;
use super::StorageError;
use super::Tx;
use super::changes::VerdictChanged;
use super::changes::turned_since;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::catalogue::Slug;
use crate::domain::digest::DigestContent;
use crate::domain::digest::VerdictChange;
use crate::domain::from_millis;
use crate::domain::reader::PreferenceGroup;
use crate::domain::rendered_mail::Rendered;
use crate::domain::slot::Slot;

/// The readers of one range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Readers {
    /// Those with larger numbers,
    pub after: i64,
    /// up to this one.
    pub until: i64,
}

/// A digest as readers of one choice get it.
#[derive(Debug, Clone)]
pub struct Variant {
    /// Its owner.
    pub choice: PreferenceGroup,
    /// Its content; `None`: there is nothing new in it, and they get no mail.
    pub mail: Option<(DigestContent, Rendered)>,
}

/// Rows read at once where everybody who cares about a change is looked at.
const PAGE: i64 = 5_000;
/// Age of a change up to which somebody may not have been told: whoever paused for half a year still is.
const TOLD_WITHIN: chrono::TimeDelta = chrono::TimeDelta::days(200);

impl Storage {
    /// The distinct choices of the readers that a digest of `slot` would go to, without the one that is everybody's.
    pub async fn choices(
        &self,
        slot: Slot,
        now: Timestamp,
    ) -> Result<Vec<PreferenceGroup>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String, i64, i64)> = all!(
            reader,
            "select distinct coalesce(p.categories, '[]'), coalesce(p.monthly, 0),
                    cast(case when exists (select 1 from bookmarks b where b.subscriber_id = c.id) then 1 else 0 end as bigint)
             from (select subscriber_id as id from preferences union select subscriber_id from bookmarks) c
               join subscribers s on s.id = c.id left join preferences p on p.subscriber_id = c.id
             where s.state = 'active' and (p.paused_until is null or p.paused_until <= $1)",
            now.timestamp_millis()
        )?;
        let plain = rows
            .into_iter()
            .map(|(categories, monthly, saved)| choice(&categories, monthly, saved, Vec::new()));
        let mut choices: BTreeSet<PreferenceGroup> = stored(plain.collect())?;
        let turned = turned_since(&mut reader, now - TOLD_WITHIN, now).await?;
        let mut range = Readers {
            after: 0,
            until: i64::MAX,
        };
        while let Some((page, last)) =
            subscribers_to_alert(&mut reader, &turned, slot.id(), range, now).await?
        {
            choices.extend(page.into_iter().map(|(_, choice)| choice));
            range.after = last;
        }
        choices.remove(&PreferenceGroup::default());
        Ok(choices.into_iter().collect())
    }

    /// The choice of one reader, as a digest of `slot` would follow it.
    pub async fn choice_of(
        &self,
        slot: Slot,
        subscriber: i64,
        now: Timestamp,
    ) -> Result<PreferenceGroup, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(String, i64, i64)> = optional!(
            reader,
            "select coalesce(p.categories, '[]'), coalesce(p.monthly, 0),
                    cast(case when exists (select 1 from bookmarks b where b.subscriber_id = s.id) then 1 else 0 end as bigint)
             from subscribers s left join preferences p on p.subscriber_id = s.id where s.id = $1",
            subscriber
        )?;
        let Some((categories, monthly, saved)) = row else {
            return Ok(PreferenceGroup::default());
        };
        let turned = turned_since(&mut reader, now - TOLD_WITHIN, now).await?;
        let range = Readers {
            after: subscriber - 1,
            until: subscriber,
        };
        let told = subscribers_to_alert(&mut reader, &turned, slot.id(), range, now).await?;
        let own = told.and_then(|(page, _)| page.into_iter().next());
        match own {
            Some((_, choice)) => Ok(choice),
            None => stored(choice(&categories, monthly, saved, Vec::new())),
        }
    }

    /// The variant of a published digest that a reader has; the outer none: they are no recipient of it.
    pub async fn variant_of(
        &self,
        slot: Slot,
        subscriber: i64,
    ) -> Result<Option<Option<i64>>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(Option<i64>,)> = optional!(
            reader,
            "select variant from deliveries where mailing_id = $1 and subscriber_id = $2",
            slot.id(),
            subscriber
        )?;
        Ok(row.map(|(variant,)| variant))
    }

    /// Returns what the digests since `since` carried to readers of each choice of categories.
    pub async fn carried(
        &self,
        slot: Slot,
        since: Timestamp,
    ) -> Result<HashMap<String, HashSet<Slug>>, StorageError> {
        let mut reader = self.read().await?;
        let mut carried: HashMap<String, HashSet<Slug>> = HashMap::new();
        let digests: Vec<(i64,)> = all!(
            reader,
            "select id from digests where published_at >= $1 and id <> $2 order by id",
            since.timestamp_millis(),
            slot.id()
        )?;
        for (id,) in digests {
            // One choice of each kind is enough: `saved` and `changes` do not alter what is carried.
            let rows: Vec<(String, String)> = all!(
                reader,
                "select categories, min(content) from digest_variants
                 where digest_id = $1 and monthly = 0 and categories <> '[]' and content is not null group by categories",
                id
            )?;
            for (categories, content) in rows {
                let content: DigestContent = stored(serde_json::from_str(&content))?;
                carried.entry(categories).or_default().extend(
                    content
                        .items
                        .into_iter()
                        .map(|item| item.matchup.comparison.slug),
                );
            }
        }
        Ok(carried)
    }

    /// The mail of a published digest as readers of one choice get it, and when it was published.
    pub async fn frozen_variant(
        &self,
        id: i64,
        number: i64,
    ) -> Result<Option<(Rendered, Timestamp)>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(String, String, String, i64)> = optional!(
            reader,
            "select v.subject, v.html, v.plain, g.published_at from digest_variants v join digests g on g.id = v.digest_id
             where v.digest_id = $1 and v.number = $2 and v.content is not null and g.published_at is not null",
            id,
            number
        )?;
        Ok(row.map(|(subject, html, text, at)| {
            (
                Rendered {
                    subject,
                    html,
                    text,
                },
                from_millis(at),
            )
        }))
    }
}

/// Freezes the variants of a digest.
pub(super) async fn write_variants(
    tx: &mut Tx,
    digest: i64,
    variants: &[Variant],
) -> Result<(), StorageError> {
    for (number, variant) in variants.iter().enumerate() {
        let content = variant
            .mail
            .as_ref()
            .map(|(content, _)| serde_json::to_string(content))
            .transpose();
        let content = stored(content)?;
        let rendered = variant.mail.as_ref().map(|(_, rendered)| rendered);
        execute!(
            tx,
            "insert into digest_variants (digest_id, number, categories, monthly, saved, changes, content, subject, html, plain)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            digest,
            number as i64,
            variant.choice.key(),
            i64::from(variant.choice.monthly),
            i64::from(variant.choice.saved),
            changes(&variant.choice),
            content,
            rendered.map(|mail| mail.subject.as_str()),
            rendered.map(|mail| mail.html.as_str()),
            rendered.map(|mail| mail.text.as_str())
        )?;
    }
    Ok(())
}

/// Gives each delivery of a range of a digest the variant of its reader's choice; answers how many readers chose anything. Whoever
/// gets no mail keeps the row, final from now on, and it says why. `month` is when the month began: a monthly reader who got a
/// digest since then waits for the next.
pub(super) async fn assign_variants(
    tx: &mut Tx,
    digest: i64,
    range: Readers,
    month: Timestamp,
    now: Timestamp,
) -> Result<u64, StorageError> {
    // `cross join`: SQLite then looks each delivery up by its key, whatever it knows of the tables' sizes.
    Ok(execute!(
        tx,
        "update deliveries set variant = r.number, state = case when r.why is null then 'queued' else 'skipped' end,
           finished_at = case when r.why is null then null else $2 end, skip_reason = r.why
         from (
           select c.id as id, v.number as number,
             case when p.paused_until > $2 then 'paused'
                  when p.monthly = 1 and exists
                    (select 1 from digests g cross join deliveries d where g.published_at >= $3 and g.id <> $1
                       and d.mailing_id = g.id and d.subscriber_id = c.id and d.state not in ('failed', 'skipped'))
                    then 'monthly'
                  when v.number is not null and v.content is null then 'nothing_new'
             end as why
           from (select subscriber_id as id from preferences where subscriber_id > $4 and subscriber_id <= $5
                 union select subscriber_id from bookmarks where subscriber_id > $4 and subscriber_id <= $5) c
             left join preferences p on p.subscriber_id = c.id
             left join digest_variants v on v.digest_id = $1 and v.changes = '[]' and v.categories = coalesce(p.categories, '[]')
               and v.monthly = coalesce(p.monthly, 0)
               and v.saved = case when exists (select 1 from bookmarks b where b.subscriber_id = c.id) then 1 else 0 end
         ) as r
         where deliveries.mailing_id = $1 and deliveries.subscriber_id = r.id
           and deliveries.subscriber_id > $4 and deliveries.subscriber_id <= $5",
        digest,
        now.timestamp_millis(),
        month.timestamp_millis(),
        range.after,
        range.until
    )?)
}

/// Gives those of a range who care about a verdict that turned the variant that tells them.
pub(super) async fn apply_verdict_alerts(
    tx: &mut Tx,
    digest: i64,
    range: Readers,
    now: Timestamp,
) -> Result<(), StorageError> {
    let rows: Vec<(i64, String, i64, i64, String)> = all!(
        tx,
        "select number, categories, monthly, saved, changes from digest_variants where digest_id = $1 and changes <> '[]'",
        digest
    )?;
    if rows.is_empty() {
        return Ok(());
    }
    let numbers: HashMap<(String, bool, bool, String), i64> = rows
        .into_iter()
        .map(|(number, categories, monthly, saved, changes)| {
            ((categories, monthly != 0, saved != 0, changes), number)
        })
        .collect();
    let turned = turned_since(tx, now - TOLD_WITHIN, now).await?;
    let mut left = range;
    while let Some((page, last)) = subscribers_to_alert(tx, &turned, digest, left, now).await? {
        for (subscriber, choice) in page {
            let Some(number) =
                numbers.get(&(choice.key(), choice.monthly, choice.saved, changes(&choice)))
            else {
                continue;
            };
            execute!(
                tx,
                "update deliveries set variant = $3 where mailing_id = $1 and subscriber_id = $2 and state = 'queued'",
                digest,
                subscriber,
                number
            )?;
        }
        left.after = last;
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
struct CareRow {
    subscriber_id: i64,
    tool: String,
    acted_at: i64,
    last_at: Option<i64>,
    categories: String,
    monthly: i64,
    saved: i64,
}

/// The next readers of a range who voted on or saved a tool whose verdict turned since, with their choice; and the last one looked
/// at. A turn from before they acted, or before their last digest, is no news to them.
async fn subscribers_to_alert(
    conn: &mut impl Queryable,
    turned: &[VerdictChanged],
    digest: i64,
    range: Readers,
    now: Timestamp,
) -> Result<Option<(Vec<(i64, PreferenceGroup)>, i64)>, StorageError> {
    if turned.is_empty() || range.after >= range.until {
        return Ok(None);
    }
    let oldest = turned
        .iter()
        .map(VerdictChanged::first)
        .min()
        .unwrap_or_default();
    // Their last digest: newest first, each looked up by its key, and the first one found is it.
    let mut rows: Vec<CareRow> = all!(
        conn,
        "select c.subscriber_id, c.tool, max(c.at) as acted_at,
           (select g.published_at from digests g cross join deliveries d
            where g.published_at >= $4 and g.id <> $3 and d.mailing_id = g.id and d.subscriber_id = c.subscriber_id
              and d.state not in ('failed', 'skipped') order by g.id desc limit 1) as last_at,
           coalesce((select p.categories from preferences p where p.subscriber_id = c.subscriber_id), '[]') as categories,
           coalesce((select p.monthly from preferences p where p.subscriber_id = c.subscriber_id), 0) as monthly,
           cast(case when exists (select 1 from bookmarks b where b.subscriber_id = c.subscriber_id) then 1 else 0 end as bigint) as saved
         from (
           select subscriber_id, tool, voted_at as at from votes
           where subscriber_id > $1 and subscriber_id <= $6 and tool in (select tool from panel_history where at >= $4)
           union all
           select subscriber_id, tool, saved_at from bookmarks
           where subscriber_id > $1 and subscriber_id <= $6 and tool in (select tool from panel_history where at >= $4)
         ) c
         where exists (select 1 from subscribers s where s.id = c.subscriber_id and s.id > $1 and s.id <= $6 and s.state = 'active')
           and not exists (select 1 from preferences p where p.subscriber_id = c.subscriber_id and p.paused_until > $5)
         group by c.subscriber_id, c.tool order by c.subscriber_id, c.tool limit $2",
        range.after,
        PAGE,
        digest,
        oldest,
        now.timestamp_millis(),
        range.until
    )?;
    let Some(last) = rows.last().map(|row| row.subscriber_id) else {
        return Ok(None);
    };
    let mut last = last;
    // A reader cut in two by the page's end comes whole with the next one.
    if rows.len() as i64 == PAGE && rows[0].subscriber_id != last {
        rows.retain(|row| row.subscriber_id != last);
        last = rows.last().map_or(last, |row| row.subscriber_id);
    }
    let mut page: Vec<(i64, PreferenceGroup)> = Vec::new();
    for readers in rows.chunk_by(|one, next| one.subscriber_id == next.subscriber_id) {
        let news = |row: &CareRow| {
            let since = row.acted_at.max(row.last_at.unwrap_or(i64::MIN));
            turned
                .iter()
                .find(|turned| turned.tool.as_str() == row.tool)
                .and_then(|turned| turned.since(since))
        };
        let turns: Vec<VerdictChange> = readers
            .iter()
            .filter_map(news)
            .take(PreferenceGroup::MOST_TURNS)
            .collect();
        if !turns.is_empty() {
            let row = &readers[0];
            page.push((
                row.subscriber_id,
                stored(choice(&row.categories, row.monthly, row.saved, turns))?,
            ));
        }
    }
    Ok(Some((page, last)))
}

fn choice(
    categories: &str,
    monthly: i64,
    saved: i64,
    turns: Vec<VerdictChange>,
) -> Result<PreferenceGroup, StorageError> {
    let categories = serde_json::from_str(categories)?;
    Ok(PreferenceGroup {
        categories,
        monthly: monthly != 0,
        saved: saved != 0,
        turns,
    })
}

fn changes(choice: &PreferenceGroup) -> String {
    serde_json::to_string(&choice.turns).unwrap_or_default()
}
