//! The list of subscribers, filtered: a walk along an index, in slices of bounded length.
//!
//! A condition that no index serves could make a page read the whole list before it finds its rows. So the walk looks at so many
//! subscribers and no more, says where it stopped, and the next page goes on there: a page's cost is bounded whatever is asked.

mod indexes;
mod order;
mod statement;

use std::collections::HashMap;

use super::Queryable;
use super::ReadConnection;
use super::Storage;
use super::StorageError;
use super::people::Listed;
use crate::domain::from_millis;
use crate::domain::slot::Slot;
use crate::domain::subscriber::Subscriber;
use crate::domain::subscriber::timezone;
use crate::domain::subscriber_filter::IssueResult;
use crate::domain::subscriber_filter::SubscriberFilter;
use indexes::IndexDialect;
pub(super) use indexes::POSTGRES as POSTGRES_INDEXES;
pub(super) use indexes::make_on_sqlite;
use order::Order;
use statement::ComposedQuery;
use statement::Value;

/// Subscribers in the first slice of a walk, and in the longest: what is rare is looked for in longer strides.
const SLICE: usize = 500;
const SLICE_MAX: usize = 4_000;
/// Subscribers that one statement counts where an index alone finds them.
const COUNTED_AT_ONCE: usize = 20_000;
/// Digests among which the last one of a reader is looked for.
const RECENT: i64 = 12;
/// A filter with its days as times.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// Conditions.
    pub filter: SubscriberFilter,
    /// Start of the first day on which they joined.
    pub joined_from: Option<i64>,
    /// End of the last one.
    pub joined_before: Option<i64>,
    /// Start of the day before which they consented.
    pub consent_before: Option<i64>,
    /// Time since which their state changed.
    pub updated_since: Option<i64>,
    /// Time by which a pause lasts.
    pub now: i64,
}

/// Place in the list, behind a subscriber.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Position {
    /// The subscriber.
    pub id: i64,
    created_at: i64,
    /// Address or name that the order is by.
    key: String,
    /// Order, one of the filter's.
    #[sqlx(default)]
    order: i64,
}

impl Position {
    /// Before all others, whatever they stand by.
    fn start() -> Self {
        Self {
            id: i64::MAX,
            created_at: i64::MAX,
            key: String::new(),
            order: 0,
        }
    }

    /// Behind all others. A stretch has two ends in each statement, so that none is planned as if it read everybody.
    fn end() -> Self {
        Self {
            id: i64::MIN,
            created_at: i64::MIN,
            key: order::LAST.to_string(),
            order: 0,
        }
    }

    /// True if it lies among those who are found by name, behind those who are found by address.
    pub fn is_second(&self) -> bool {
        self.order > 0
    }
}

/// Part of the list.
#[derive(Debug, Clone, Default)]
pub struct Walk {
    /// Subscribers.
    pub rows: Vec<FoundSubscriber>,
    /// Place where it goes on, if it does.
    pub next: Option<Position>,
}

/// A line of the list.
#[derive(Debug, Clone)]
pub struct FoundSubscriber {
    /// The subscriber.
    pub listed: Listed,
    /// Mails that were refused for the recipient's sake.
    pub refusals: i64,
}

/// Number of subscribers, as far as they were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Number.
    pub count: u64,
    /// True if there may be more.
    pub is_cut: bool,
}

#[derive(sqlx::FromRow)]
struct ListRow {
    id: i64,
    email: String,
    name: Option<String>,
    state: String,
    timezone: Option<String>,
    created_at: i64,
    key: String,
    confirmed_at: Option<i64>,
    source: Option<String>,
    refusals: i64,
}

const COLUMNS: &str = "select s.id, s.email, s.name, s.state, s.timezone, s.created_at,
  (select c.confirmed_at from consents c where c.subscriber_id = s.id order by c.requested_at desc limit 1) as confirmed_at,
  (select c.source from consents c where c.subscriber_id = s.id order by c.requested_at desc limit 1) as source,
  (select count(*) from refusals r where r.subscriber_id = s.id and r.class <> 'passing') as refusals, ";

impl Storage {
    /// The next `count` subscribers behind `after` that the filter means. Looks at `look_max` subscribers at most, and may find fewer.
    pub async fn walk_subscribers(
        &self,
        query: &ListQuery,
        after: Option<Position>,
        count: usize,
        look_max: usize,
    ) -> Result<Walk, StorageError> {
        let mut reader = self.read().await?;
        let dialect = IndexDialect::of(reader.is_postgres());
        let orders = Order::of(&query.filter);
        let mut walk = Walk::default();
        let first = after.as_ref().map_or(0, |at| at.order as usize);
        // Behind it nothing was looked at yet.
        let mut resume = after.clone();
        let (mut at, mut looked) = (after.unwrap_or_else(Position::start), 0);
        for (number, order) in orders.iter().enumerate().skip(first) {
            let mut slice = order.slice(&query.filter, count + 1, SLICE);
            loop {
                let end = slice_end(&mut reader, query, order, dialect, &at, slice).await?;
                let wanted = count - walk.rows.len();
                let until = end.clone().unwrap_or_else(Position::end);
                let rows = rows(
                    &mut reader,
                    query,
                    order,
                    dialect,
                    (&at, &until),
                    wanted + 1,
                )
                .await?;
                let is_full = rows.len() > wanted;
                for row in rows.into_iter().take(wanted) {
                    resume = Some(row.position(number));
                    walk.rows.push(row.found()?);
                }
                if is_full {
                    walk.next = resume;
                    return Ok(walk);
                }
                looked += slice;
                let Some(end) = end else { break };
                at = Position {
                    order: number as i64,
                    ..end
                };
                resume = Some(at.clone());
                if looked >= look_max {
                    walk.next = resume;
                    return Ok(walk);
                }
                slice = (slice * 2).clamp(SLICE, SLICE_MAX);
            }
            at = Position::start();
        }
        Ok(walk)
    }

    /// Counts whom a filter means, up to `most`; looks at `look_max` subscribers at most.
    pub async fn count_listed(
        &self,
        query: &ListQuery,
        most: usize,
        look_max: usize,
    ) -> Result<Counted, StorageError> {
        let mut reader = self.read().await?;
        let dialect = IndexDialect::of(reader.is_postgres());
        let (mut count, mut looked) = (0, 0);
        for order in &Order::of(&query.filter) {
            let mut at = Position::start();
            let wanted = most.saturating_add(1).min(COUNTED_AT_ONCE);
            let slice = order.slice(&query.filter, wanted, SLICE_MAX);
            loop {
                let end = slice_end(&mut reader, query, order, dialect, &at, slice).await?;
                let until = end.clone().unwrap_or_else(Position::end);
                let mut sql = ComposedQuery::default();
                sql.push("select count(*) from (select 1 as one");
                order.add_from(&mut sql, query, dialect, (&at, &until));
                query.add_conditions(&mut sql, order);
                sql.add(
                    " limit {}) counted",
                    [Value::Number((most - count) as i64 + 1)],
                );
                let found: Vec<(i64,)> = sql.all(&mut reader).await?;
                count += found.first().map_or(0, |(count,)| *count as usize);
                looked += slice;
                if count > most || (end.is_some() && looked >= look_max) {
                    return Ok(Counted {
                        count: count.min(most) as u64,
                        is_cut: true,
                    });
                }
                match end {
                    Some(end) => at = end,
                    None => break,
                }
            }
        }
        Ok(Counted {
            count: count as u64,
            is_cut: false,
        })
    }

    /// The place behind a subscriber in the order that a filter has; `None` if they are gone. `is_second`: see [`Position::is_second`].
    pub async fn position_in_list(
        &self,
        query: &ListQuery,
        id: i64,
        is_second: bool,
    ) -> Result<Option<Position>, StorageError> {
        let mut reader = self.read().await?;
        let dialect = IndexDialect::of(reader.is_postgres());
        let orders = Order::of(&query.filter);
        let number = usize::from(is_second);
        let Some(order) = orders.get(number) else {
            return Ok(None);
        };
        let mut sql = ComposedQuery::default();
        sql.push("select s.id, s.created_at, coalesce(");
        sql.push(order.key(dialect));
        sql.add(
            ", '') as key from subscribers s where s.id = {}",
            [id.into()],
        );
        let found: Vec<Position> = sql.all(&mut reader).await?;
        Ok(found.into_iter().next().map(|at| Position {
            order: number as i64,
            ..at
        }))
    }

    /// The newest digest that each of these readers got, among the last ones.
    pub async fn last_digests(&self, readers: &[i64]) -> Result<HashMap<i64, Slot>, StorageError> {
        let mut reader = self.read().await?;
        let digests: Vec<(i64,)> = all!(
            reader,
            "select id from digests where publish_order is not null order by publish_order desc limit $1",
            RECENT
        )?;
        if digests.is_empty() || readers.is_empty() {
            return Ok(HashMap::new());
        }
        let list = |ids: &mut dyn Iterator<Item = i64>, sql: &mut ComposedQuery| {
            for (at, id) in ids.enumerate() {
                sql.add(if at == 0 { "{}" } else { ", {}" }, [id.into()]);
            }
        };
        let mut sql = ComposedQuery::default();
        sql.push(
            "select d.subscriber_id, max(d.mailing_id) from deliveries d where d.mailing_id in (",
        );
        list(&mut digests.into_iter().map(|(id,)| id), &mut sql);
        sql.push(") and d.subscriber_id in (");
        list(&mut readers.iter().copied(), &mut sql);
        sql.push(") and d.state = 'sent' group by d.subscriber_id");
        let rows: Vec<(i64, i64)> = sql.all(&mut reader).await?;
        let slot = |(reader, id)| Some((reader, Slot::from_id(id)?));
        Ok(rows.into_iter().filter_map(slot).collect())
    }
}

async fn slice_end(
    reader: &mut ReadConnection,
    query: &ListQuery,
    order: &Order,
    dialect: IndexDialect,
    after: &Position,
    count: usize,
) -> Result<Option<Position>, StorageError> {
    let sql = order.slice_end(query, dialect, after, count);
    Ok(sql.all(reader).await?.into_iter().next())
}

async fn rows(
    reader: &mut ReadConnection,
    query: &ListQuery,
    order: &Order,
    dialect: IndexDialect,
    range: (&Position, &Position),
    count: usize,
) -> Result<Vec<ListRow>, StorageError> {
    let mut sql = ComposedQuery::default();
    sql.push(COLUMNS);
    sql.push(order.key(dialect));
    sql.push(" as key");
    order.add_from(&mut sql, query, dialect, range);
    query.add_conditions(&mut sql, order);
    sql.push(" order by ");
    sql.push(&order.by(dialect));
    sql.add(" limit {}", [Value::Number(count as i64)]);
    sql.all(reader).await
}

impl ListRow {
    fn position(&self, order: usize) -> Position {
        Position {
            id: self.id,
            created_at: self.created_at,
            key: self.key.clone(),
            order: order as i64,
        }
    }

    fn found(self) -> Result<FoundSubscriber, StorageError> {
        Ok(FoundSubscriber {
            listed: Listed {
                subscriber: Subscriber {
                    id: self.id,
                    email: self.email,
                    name: self.name,
                    state: self.state.parse()?,
                    timezone: self.timezone.and_then(|name| timezone(&name)),
                },
                created_at: from_millis(self.created_at),
                confirmed_at: self.confirmed_at.map(from_millis),
                source: self.source,
            },
            refusals: self.refusals,
        })
    }
}

impl ListQuery {
    fn add_state_and_dates(&self, sql: &mut ComposedQuery) {
        if let Some(state) = self.filter.state {
            sql.add(" and s.state = {}", [state.as_str().into()]);
        }
        if let Some(from) = self.joined_from {
            sql.add(" and s.created_at >= {}", [from.into()]);
        }
        if let Some(before) = self.joined_before {
            sql.add(" and s.created_at < {}", [before.into()]);
        }
    }

    /// Adds each condition as it holds of one subscriber `s`. A subquery with a limit is looked up for each; an `exists` could be
    /// planned as a scan of its whole table.
    fn add_conditions(&self, sql: &mut ComposedQuery, order: &Order) {
        let filter = &self.filter;
        if let Some(since) = self.updated_since {
            sql.add(" and s.state_at >= {}", [since.into()]);
        }
        // Said twice, they would be planned as if each left as few.
        if *order != Order::Joined {
            self.add_state_and_dates(sql);
        }
        if let Some(zone) = filter.zone {
            sql.add(" and s.timezone = {}", [zone.name().into()]);
        }
        if let Some(source) = &filter.source {
            sql.add(
                " and (select 1 from consents c where c.subscriber_id = s.id and c.source = {} limit 1) is not null",
                [source.as_str().into()],
            );
        }
        if let Some(category) = &filter.category {
            // The list is JSON: the name in its quotes stands in it or does not.
            let quoted = serde_json::Value::from(category.as_str()).to_string();
            sql.add(
                " and (select 1 from preferences p where p.subscriber_id = s.id and replace(p.categories, {}, '') <> p.categories limit 1) is not null",
                [quoted.as_str().into()],
            );
        }
        if filter.paused {
            sql.add(
                " and (select 1 from preferences p where p.subscriber_id = s.id and p.paused_until > {} limit 1) is not null",
                [self.now.into()],
            );
        }
        if let Some(count) = filter.bounced {
            sql.add(
                " and (select count(*) from refusals r where r.subscriber_id = s.id and r.class <> 'passing') >= {}",
                [i64::from(count).into()],
            );
        }
        if let Some(count) = filter.votes {
            sql.add(
                " and (select count(*) from votes v where v.subscriber_id = s.id) >= {}",
                [i64::from(count).into()],
            );
        }
        if let Some(before) = self.consent_before {
            sql.add(
                " and (select 1 from consents c where c.subscriber_id = s.id and c.requested_at < {} limit 1) is not null",
                [before.into()],
            );
        }
        let Some((slot, result)) = filter.issue else {
            return;
        };
        let (condition, is_had, value) = match result {
            IssueResult::Any => ("", true, None),
            IssueResult::NotGot => (" and d.state = 'sent'", false, None),
            IssueResult::State(state) => (" and d.state = {}", true, Some(state.as_str())),
            IssueResult::Skipped(reason) => {
                (" and d.skip_reason = {}", true, Some(reason.as_str()))
            }
        };
        sql.add(
            " and (select 1 from deliveries d where d.mailing_id = {} and d.subscriber_id = s.id",
            [slot.id().into()],
        );
        sql.add(condition, value.map(Value::from));
        sql.push(" limit 1) is ");
        sql.push(if is_had { "not null" } else { "null" });
    }
}
