//! Orders in which the list is walked: each is that of an index, so that a page begins where the one before it ended.

use super::ListQuery;
use super::Position;
use super::indexes::IndexDialect;
use super::statement::ComposedQuery;
use super::statement::Value;
use crate::domain::subscriber_filter::IssueResult;
use crate::domain::subscriber_filter::Search;
use crate::domain::subscriber_filter::SubscriberFilter;

/// Behind every text that begins with some prefix: a noncharacter, which no address or name has.
pub(super) const LAST: char = '\u{10FFFF}';

/// Order of a walk, with the index that serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// The newest first, of one state or of all.
    Joined,
    /// Subscribers at one domain, the newest first.
    Domain(String),
    /// By address, those whose address begins so.
    Address(String),
    /// By name, those whose name begins so, but for those whose address begins so too.
    Name(String, Option<String>),
    /// Subscribers with a delivery of that mailing.
    Deliveries(i64),
    /// Subscribers of whom a mail was refused.
    Refusals,
    /// Subscribers with a consent from there.
    Source(String),
    /// Subscribers who chose categories, a rhythm or a pause.
    Preferences,
}

impl Order {
    /// The orders of a filter, one after another.
    pub(super) fn of(filter: &SubscriberFilter) -> Vec<Self> {
        let one = match (&filter.search, &filter.issue, &filter.source) {
            (Some(Search::Either(start)), ..) => {
                let address = start.to_lowercase();
                return vec![
                    Self::Address(address.clone()),
                    Self::Name(start.clone(), Some(address)),
                ];
            }
            (Some(Search::Domain(domain)), ..) => Self::Domain(domain.clone()),
            (Some(Search::Address(start)), ..) => Self::Address(start.clone()),
            (Some(Search::Name(start)), ..) => Self::Name(start.clone(), None),
            (None, Some((slot, result)), _) if *result != IssueResult::NotGot => {
                Self::Deliveries(slot.id())
            }
            _ if filter.bounced.is_some() => Self::Refusals,
            _ if filter.paused || filter.category.is_some() => Self::Preferences,
            (.., Some(source)) => Self::Source(source.clone()),
            _ => Self::Joined,
        };
        vec![one]
    }

    /// True if the index of this order alone finds whom the filter means, so that no row is read in vain.
    fn covers(&self, filter: &SubscriberFilter) -> bool {
        let mut rest = filter.clone();
        match self {
            Self::Joined => {
                rest.state = None;
                (rest.joined_from, rest.joined_until) = (None, None);
            }
            Self::Source(_) => rest.source = None,
            Self::Deliveries(_) if matches!(rest.issue, Some((_, IssueResult::Any))) => {
                rest.issue = None;
            }
            _ => {}
        }
        (rest.search, rest.searched) = (None, String::new());
        rest.is_everybody()
    }

    /// Subscribers in a slice: `covered` where the index alone finds whom the filter means, and `other` where each is looked at.
    pub(super) fn slice(&self, filter: &SubscriberFilter, covered: usize, other: usize) -> usize {
        if self.covers(filter) { covered } else { other }
    }

    /// Adds the tables and the condition of this order, from behind `after` up to `until`.
    pub(super) fn add_from(
        &self,
        sql: &mut ComposedQuery,
        query: &ListQuery,
        dialect: IndexDialect,
        (after, until): (&Position, &Position),
    ) {
        let Some((table, column, condition, value)) = self.by_id(query) else {
            sql.push(" from subscribers s");
            sql.push(self.index(query, dialect));
            sql.push(" where 1 = 1");
            self.add_range(sql, query, dialect, (after, until));
            return;
        };
        sql.push(" from (select distinct ");
        sql.push(column);
        sql.push(" as id from ");
        sql.push(table);
        sql.push(" x where 1 = 1");
        sql.add(condition, value);
        add_ids(sql, column, (after, until));
        sql.push(") o join subscribers s on s.id = o.id where 1 = 1");
        // Of both tables the same stretch, in whatever way they are joined.
        add_ids(sql, "s.id", (after, until));
    }

    /// Adds the keys of the subscriber that is `count` places behind `after`, with nothing else looked at.
    pub(super) fn slice_end(
        &self,
        query: &ListQuery,
        dialect: IndexDialect,
        after: &Position,
        count: usize,
    ) -> ComposedQuery {
        let mut sql = ComposedQuery::default();
        match self.by_id(query) {
            Some((table, column, condition, value)) => {
                sql.push("select distinct ");
                sql.push(column);
                sql.push(" as id, cast(0 as bigint) as created_at, '' as key from ");
                sql.push(table);
                sql.push(" x where 1 = 1");
                sql.add(condition, value);
                add_ids(&mut sql, column, (after, &Position::end()));
                sql.push(" order by ");
                sql.push(column);
                sql.push(" desc");
            }
            None => {
                sql.push("select s.id, s.created_at, ");
                sql.push(self.key(dialect));
                sql.push(" as key from subscribers s");
                sql.push(self.index(query, dialect));
                sql.push(" where 1 = 1");
                self.add_range(&mut sql, query, dialect, (after, &Position::end()));
                sql.push(" order by ");
                sql.push(&self.by(dialect));
            }
        }
        sql.add(" limit 1 offset {}", [Value::Number(count as i64 - 1)]);
        sql
    }

    /// The index that must serve this order, where a database would take another one.
    fn index(&self, query: &ListQuery, dialect: IndexDialect) -> &'static str {
        match self {
            Self::Joined => dialect.by_date[usize::from(query.filter.state.is_some())],
            _ => "",
        }
    }

    /// The text that rows stand by.
    pub(super) fn key(&self, dialect: IndexDialect) -> &'static str {
        match self {
            Self::Address(_) => "s.email_key",
            Self::Name(..) => dialect.name,
            _ => "''",
        }
    }

    pub(super) fn by(&self, dialect: IndexDialect) -> String {
        match self {
            Self::Joined => "s.created_at desc, s.id desc".into(),
            Self::Domain(_) => "s.created_at desc, s.id desc".into(),
            Self::Address(_) => dialect.address.into(),
            Self::Name(..) => format!("{}, s.id", dialect.name),
            _ => "o.id desc".into(),
        }
    }

    /// Of an order by the subscriber's id alone: table, column, condition and its value.
    fn by_id(
        &self,
        query: &ListQuery,
    ) -> Option<(&'static str, &'static str, &'static str, Vec<Value>)> {
        Some(match self {
            Self::Deliveries(mailing) => (
                "deliveries",
                "x.subscriber_id",
                " and x.mailing_id = {}",
                vec![Value::Number(*mailing)],
            ),
            Self::Refusals => ("refusals", "x.subscriber_id", "", Vec::new()),
            Self::Source(source) => (
                "consents",
                "x.subscriber_id",
                " and x.source = {}",
                vec![source.as_str().into()],
            ),
            Self::Preferences => match query.filter.paused {
                true => (
                    "preferences",
                    "x.subscriber_id",
                    " and x.paused_until > {}",
                    vec![query.now.into()],
                ),
                false => ("preferences", "x.subscriber_id", "", Vec::new()),
            },
            Self::Joined | Self::Domain(_) | Self::Address(_) | Self::Name(..) => return None,
        })
    }

    fn add_range(
        &self,
        sql: &mut ComposedQuery,
        query: &ListQuery,
        dialect: IndexDialect,
        (after, until): (&Position, &Position),
    ) {
        let mut add = |words: &[&str], values: Vec<Value>| {
            sql.add(&words.concat(), values);
        };
        match self {
            Self::Joined | Self::Domain(_) => {
                match self {
                    Self::Domain(domain) => {
                        add(
                            &[" and ", dialect.domain, " = {}"],
                            vec![domain.as_str().into()],
                        );
                    }
                    _ => query.add_state_and_dates(sql),
                }
                for (at, than) in [(after, "<"), (until, ">=")] {
                    let values = [at.created_at.into(), at.id.into()];
                    sql.add(
                        &format!(" and (s.created_at, s.id) {than} ({{}}, {{}})"),
                        values,
                    );
                }
            }
            Self::Address(start) => {
                let last = format!("{start}{LAST}");
                add(
                    &[
                        " and ",
                        dialect.address,
                        " >= {} and ",
                        dialect.address,
                        " < {}",
                    ],
                    vec![start.as_str().into(), last.as_str().into()],
                );
                for (at, than) in [(after, " > {}"), (until, " <= {}")] {
                    add(
                        &[" and ", dialect.address, than],
                        vec![at.key.as_str().into()],
                    );
                }
            }
            Self::Name(start, but) => {
                let name = dialect.name;
                add(
                    &[
                        " and s.name is not null and ",
                        name,
                        " >= lower({}) and ",
                        name,
                        " < lower({})",
                    ],
                    vec![
                        start.as_str().into(),
                        format!("{start}{LAST}").as_str().into(),
                    ],
                );
                if let Some(but) = but {
                    let last = format!("{but}{LAST}");
                    add(
                        &[
                            " and not (",
                            dialect.address,
                            " >= {} and ",
                            dialect.address,
                            " < {})",
                        ],
                        vec![but.as_str().into(), last.as_str().into()],
                    );
                }
                for (at, than) in [(after, ">"), (until, "<=")] {
                    let values = vec![at.key.as_str().into(), at.id.into()];
                    add(&[" and (", name, ", s.id) ", than, " ({}, {})"], values);
                }
            }
            _ => {}
        }
    }
}

fn add_ids(sql: &mut ComposedQuery, column: &str, (after, until): (&Position, &Position)) {
    for (at, than) in [(after, "<"), (until, ">=")] {
        sql.add(&format!(" and {column} {than} {{}}"), [at.id.into()]);
    }
}
