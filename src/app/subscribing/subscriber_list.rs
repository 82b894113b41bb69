//! The list of subscribers, filtered, page by page.

use chrono::NaiveDate;
use chrono::NaiveTime;

use crate::app::App;
use crate::app::Failure;
use crate::domain::Timestamp;
use crate::domain::subscriber_filter::SubscriberFilter;
use crate::storage::subscriber_list::Counted;
use crate::storage::subscriber_list::FoundSubscriber;
use crate::storage::subscriber_list::ListQuery;
use crate::storage::subscriber_list::Position;
use crate::storage::subscriber_list::Walk;

/// Subscribers that one page looks at when a condition is rare.
const LOOKED_MAX: usize = 10_000;
/// Subscribers that a count goes up to, and that it looks at.
const COUNTED_MAX: usize = 10_000;
const COUNT_LOOKED_MAX: usize = 8_000;
/// In the name of a place, before those who are found by name.
const SECOND: &str = "n.";

/// A page of the list.
#[derive(Debug, Clone)]
pub struct SubscriberPage {
    /// Subscribers.
    pub rows: Vec<FoundSubscriber>,
    /// Name of the place where the next page begins.
    pub next: Option<String>,
}

impl App {
    /// A page of at most `rows` subscribers behind the place named `after`; the first page where that place is gone. A page may hold
    /// fewer and still have a next one, where what it looks for is rare.
    pub async fn subscriber_page(
        &self,
        filter: &SubscriberFilter,
        after: Option<&str>,
        rows: usize,
    ) -> Result<SubscriberPage, Failure> {
        let query = self.list_query(filter);
        self.subscriber_page_of(&query, after, rows).await
    }

    /// The same for conditions that are times already.
    pub async fn subscriber_page_of(
        &self,
        query: &ListQuery,
        after: Option<&str>,
        rows: usize,
    ) -> Result<SubscriberPage, Failure> {
        let after = match after.and_then(|name| self.place_named(name)) {
            Some((id, is_second)) => self.storage.position_in_list(query, id, is_second).await?,
            None => None,
        };
        let walk = self
            .storage
            .walk_subscribers(query, after, rows, LOOKED_MAX)
            .await?;
        let name = |at: Position| {
            let prefix = if at.is_second() { SECOND } else { "" };
            format!("{prefix}{}", self.subscriber_name(at.id))
        };
        Ok(SubscriberPage {
            rows: walk.rows,
            next: walk.next.map(name),
        })
    }

    /// Counts whom a filter means, up to 10,000.
    pub async fn count_page(&self, filter: &SubscriberFilter) -> Result<Counted, Failure> {
        self.count_page_of(&self.list_query(filter)).await
    }

    /// The same for conditions that are times already.
    pub async fn count_page_of(&self, query: &ListQuery) -> Result<Counted, Failure> {
        let counted = self
            .storage
            .count_listed(query, COUNTED_MAX, COUNT_LOOKED_MAX);
        Ok(counted.await?)
    }

    /// Counts all whom a filter means.
    pub async fn count_all(&self, filter: &SubscriberFilter) -> Result<u64, Failure> {
        let query = self.list_query(filter);
        let counted = self
            .storage
            .count_listed(&query, usize::MAX >> 2, usize::MAX);
        Ok(counted.await?.count)
    }

    /// The next subscribers whom a filter means, for whoever goes through all of them.
    pub async fn next_subscribers(
        &self,
        query: &ListQuery,
        after: Option<Position>,
        count: usize,
    ) -> Result<Walk, Failure> {
        let walk = self
            .storage
            .walk_subscribers(query, after, count, usize::MAX);
        Ok(walk.await?)
    }

    /// The filter with its days as times of the site's zone.
    pub fn list_query(&self, filter: &SubscriberFilter) -> ListQuery {
        let start = |day: NaiveDate| self.start_of(day).timestamp_millis();
        ListQuery {
            joined_from: filter.joined_from.map(start),
            joined_before: filter
                .joined_until
                .and_then(|day| day.succ_opt())
                .map(start),
            consent_before: filter.consent_before.map(start),
            updated_since: None,
            now: self.now().timestamp_millis(),
            filter: filter.clone(),
        }
    }

    fn start_of(&self, day: NaiveDate) -> Timestamp {
        self.site.timezone.moment_of(day.and_time(NaiveTime::MIN))
    }

    fn place_named(&self, name: &str) -> Option<(i64, bool)> {
        let (is_second, name) = match name.strip_prefix(SECOND) {
            Some(name) => (true, name),
            None => (false, name),
        };
        Some((self.subscriber_named(name)?, is_second))
    }
}
