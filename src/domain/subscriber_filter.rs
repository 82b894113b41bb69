//! Filters of the list of subscribers: conditions that all hold, in one text form for the desk's addresses, the command's options and
//! saved segments.

use std::fmt;

use chrono::NaiveDate;

use super::delivery::DeliveryState;
use super::delivery::SkipReason;
use super::slot::Slot;
use super::subscriber::SubscriberState;
use super::zone::ZoneName;

/// Longest text of a condition, in bytes.
const TEXT_MAX: usize = 320;

/// Text that somebody is looked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// Start of the address, in the spelling by which addresses are compared.
    Address(String),
    /// The whole part behind the @.
    Domain(String),
    /// Start of the name, as typed: the database compares names without case, by its own rule for letters.
    Name(String),
    /// Start of the address or of the name, as typed.
    Either(String),
}

impl Search {
    /// Reads what was typed: `@example.org` is a domain, a text with a space a name, one with an @ an address; any other may be either.
    /// `None` where nothing was typed.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.split_once('@') {
            _ if text.is_empty() => None,
            Some(("", domain)) if domain.trim().is_empty() => None,
            Some(("", domain)) => Some(Self::Domain(
                super::address::mail_domain(domain).unwrap_or_else(|| domain.to_lowercase()),
            )),
            Some((local, domain)) => {
                let domain = super::address::mail_domain(domain);
                let domain = domain.unwrap_or_else(|| text[local.len() + 1..].to_lowercase());
                Some(Self::Address(format!("{}@{domain}", local.to_lowercase())))
            }
            None if text.contains(char::is_whitespace) => Some(Self::Name(text.to_owned())),
            None => Some(Self::Either(text.to_owned())),
        }
    }

    /// True if it finds no single person: all that may be asked where addresses are masked.
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Domain(_))
    }
}

/// Result of an issue for a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueResult {
    /// There was a delivery, in whatever state.
    Any,
    /// No mail of it was sent to them.
    NotGot,
    /// The delivery is in that state.
    State(DeliveryState),
    /// It was skipped for that reason.
    Skipped(SkipReason),
}

impl IssueResult {
    /// All of them, in the order of a menu.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Any, Self::NotGot]
            .into_iter()
            .chain(DeliveryState::ALL.iter().copied().map(Self::State))
            .chain(SkipReason::ALL.iter().copied().map(Self::Skipped))
    }

    /// Words that say it of a reader.
    pub fn describe(self) -> String {
        match self {
            Self::Any => "in any state".into(),
            Self::NotGot => "did not get it".into(),
            Self::State(DeliveryState::Sent) => "got it".into(),
            Self::State(state) => state.to_string(),
            Self::Skipped(reason) => format!("skipped: {}", reason.describe()),
        }
    }
}

impl fmt::Display for IssueResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::NotGot => f.write_str("not-got"),
            Self::State(state) => f.write_str(state.as_str()),
            Self::Skipped(reason) => write!(f, "skipped:{}", reason.as_str()),
        }
    }
}

impl std::str::FromStr for IssueResult {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::all()
            .find(|result| result.to_string() == text)
            .ok_or_else(|| {
                let known: Vec<String> = Self::all().map(|result| result.to_string()).collect();
                format!("{text:?} is not one of: {}", known.join(", "))
            })
    }
}

/// Conditions on subscribers; an empty one is none, and all that are set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubscriberFilter {
    /// Address, domain or name.
    pub search: Option<Search>,
    /// The text that `search` was read from.
    pub searched: String,
    /// State.
    pub state: Option<SubscriberState>,
    /// First day on which they joined.
    pub joined_from: Option<NaiveDate>,
    /// Last day on which they joined.
    pub joined_until: Option<NaiveDate>,
    /// Source of one of their consents.
    pub source: Option<String>,
    /// Category that they follow.
    pub category: Option<String>,
    /// Their time zone.
    pub zone: Option<ZoneName>,
    /// True if they have a pause.
    pub paused: bool,
    /// Lower bound on refused mails.
    pub bounced: Option<u32>,
    /// Lower bound on votes.
    pub votes: Option<u32>,
    /// Day before which they gave a consent.
    pub consent_before: Option<NaiveDate>,
    /// An issue, and what became of it for them.
    pub issue: Option<(Slot, IssueResult)>,
}

/// Names of the conditions, as they stand in addresses, options and segments.
pub const KEYS: [&str; 13] = [
    "search",
    "state",
    "joined_from",
    "joined_until",
    "source",
    "category",
    "zone",
    "paused",
    "bounced",
    "votes",
    "consent_before",
    "issue",
    "result",
];

/// A condition that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterFault {
    /// Its name, one of [`KEYS`].
    pub key: &'static str,
    /// Sentence: what is expected.
    pub sentence: String,
}

impl SubscriberFilter {
    /// Reads conditions; an empty value is none, and a name that is none of [`KEYS`] is passed over.
    ///
    /// # Errors
    /// Each condition that cannot be read.
    pub fn of<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Vec<FilterFault>> {
        let (mut filter, mut faults) = (Self::default(), Vec::new());
        let (mut issue, mut result) = (None, None);
        for (key, value) in pairs {
            let value = value.trim();
            let Some(key) = KEYS.into_iter().find(|known| *known == key) else {
                continue;
            };
            if value.is_empty() {
                continue;
            }
            let mut read = || -> Result<(), String> {
                if value.len() > TEXT_MAX || value.chars().any(char::is_control) {
                    return Err(format!(
                        "expected at most {TEXT_MAX} characters in one line."
                    ));
                }
                match key {
                    "search" => {
                        filter.searched = value.to_owned();
                        filter.search = Search::parse(value);
                    }
                    "state" => filter.state = Some(named(value)?),
                    "joined_from" => filter.joined_from = Some(day(value)?),
                    "joined_until" => filter.joined_until = Some(day(value)?),
                    "source" => filter.source = Some(value.to_owned()),
                    "category" => filter.category = Some(value.to_owned()),
                    "zone" => {
                        let zone = ZoneName::parse(value);
                        filter.zone = Some(zone.ok_or("expected a name like Europe/Berlin.")?);
                    }
                    "paused" => match value {
                        "yes" | "on" | "true" => filter.paused = true,
                        _ => return Err("expected yes.".into()),
                    },
                    "bounced" => filter.bounced = at_least(value)?,
                    "votes" => filter.votes = at_least(value)?,
                    "consent_before" => filter.consent_before = Some(day(value)?),
                    "issue" => {
                        issue = Some(
                            value
                                .parse()
                                .map_err(|_| "expected a week like 2026-W48.")?,
                        )
                    }
                    _ => result = Some(value.parse()?),
                }
                Ok(())
            };
            if let Err(sentence) = read() {
                faults.push(FilterFault { key, sentence });
            }
        }
        filter.issue = issue.map(|slot| (slot, result.unwrap_or(IssueResult::Any)));
        match faults.is_empty() {
            true => Ok(filter),
            false => Err(faults),
        }
    }

    /// The conditions as names and values, which [`SubscriberFilter::of`] reads.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let text = |key, value: Option<String>| value.map(|value| (key, value));
        let searched = (!self.searched.is_empty()).then(|| self.searched.clone());
        let (issue, result) = self.issue.unzip();
        [
            text("search", searched),
            text("state", self.state.map(|state| state.to_string())),
            text("joined_from", self.joined_from.map(|day| day.to_string())),
            text("joined_until", self.joined_until.map(|day| day.to_string())),
            text("source", self.source.clone()),
            text("category", self.category.clone()),
            text("zone", self.zone.map(|zone| zone.name().to_owned())),
            text("paused", self.paused.then(|| "yes".to_owned())),
            text("bounced", self.bounced.map(|count| count.to_string())),
            text("votes", self.votes.map(|count| count.to_string())),
            text(
                "consent_before",
                self.consent_before.map(|day| day.to_string()),
            ),
            text("issue", issue.map(|slot| slot.to_string())),
            text("result", result.map(|result| result.to_string())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// True if it has no condition: everybody.
    pub fn is_everybody(&self) -> bool {
        *self == Self::default()
    }

    /// The conditions in words, one each.
    pub fn describe(&self) -> Vec<(&'static str, String)> {
        let words = |(key, value): (&'static str, String)| {
            let sentence = match key {
                "search" => match &self.search {
                    Some(Search::Domain(domain)) => format!("address at {domain}"),
                    Some(Search::Address(start)) => format!("address begins with {start}"),
                    Some(Search::Name(_)) => format!("name begins with {value}"),
                    _ => format!("address or name begins with {value}"),
                },
                "state" => format!("is {value}"),
                "joined_from" => format!("joined on {value} or later"),
                "joined_until" => format!("joined on {value} or before"),
                "source" => format!("came by {value}"),
                "category" => format!("follows {value}"),
                "zone" => format!("lives by {value}"),
                "paused" => "has a pause".into(),
                "bounced" => format!("{value} or more mails were refused"),
                "votes" => format!("voted {value} times or more"),
                "consent_before" => format!("gave consent before {value}"),
                "issue" => {
                    let result = self.issue.map_or(IssueResult::Any, |(_, result)| result);
                    format!("issue {value}: {}", result.describe())
                }
                _ => return None,
            };
            Some((key, sentence))
        };
        self.pairs().into_iter().filter_map(words).collect()
    }
}

fn named<T: std::str::FromStr>(value: &str) -> Result<T, String>
where
    T::Err: fmt::Display,
{
    value.parse().map_err(|error: T::Err| format!("{error}."))
}

fn day(value: &str) -> Result<NaiveDate, String> {
    // chrono reads 2026-1-2 too; one form is enough for everybody.
    let is_plain = value.len() == 10;
    let day = value.parse().ok().filter(|_| is_plain);
    day.ok_or_else(|| "expected a day like 2026-11-30.".into())
}

fn at_least(value: &str) -> Result<Option<u32>, String> {
    let count: u32 = value
        .parse()
        .map_err(|_| "expected a whole number.".to_owned())?;
    Ok(Some(count).filter(|count| *count > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_says_what_is_looked_for() {
        let cases = [
            ("", None),
            (" @ ", None),
            ("@Example.ORG", Some(Search::Domain("example.org".into()))),
            (
                "@bücher.example",
                Some(Search::Domain("xn--bcher-kva.example".into())),
            ),
            ("Ada@exa", Some(Search::Address("ada@exa".into()))),
            ("ada@", Some(Search::Address("ada@".into()))),
            ("Ada Lovelace", Some(Search::Name("Ada Lovelace".into()))),
            ("Ada", Some(Search::Either("Ada".into()))),
        ];
        for (typed, expected) in cases {
            assert_eq!(Search::parse(typed), expected, "{typed:?}");
        }
    }

    #[test]
    fn a_filter_is_read_back_from_its_own_text() {
        let typed = [
            ("search", "@example.org"),
            ("state", "active"),
            ("joined_from", "2026-01-02"),
            ("joined_until", "2026-02-03"),
            ("source", "web form"),
            ("category", "Design"),
            ("zone", "Europe/Berlin"),
            ("paused", "yes"),
            ("bounced", "2"),
            ("votes", "3"),
            ("consent_before", "2026-03-04"),
            ("issue", "2026-W48"),
            ("result", "skipped:paused"),
        ];
        assert_eq!(typed.map(|(key, _)| key), KEYS);
        let filter = SubscriberFilter::of(typed).expect("a filter");
        let pairs = filter.pairs();
        assert_eq!(
            pairs
                .iter()
                .map(|(k, v)| (*k, v.as_str()))
                .collect::<Vec<_>>(),
            typed
        );
        assert_eq!(
            filter.describe().len(),
            12,
            "an issue and its result are one condition"
        );
        let none = SubscriberFilter::of([("search", " "), ("bounced", "0"), ("after", "x")]);
        assert!(none.expect("nobody is left out").is_everybody());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (key, value) in [
            ("state", "gone"),
            ("joined_from", "2026-1-2"),
            ("joined_until", "yesterday"),
            ("zone", "Mars/Base"),
            ("paused", "no"),
            ("bounced", "-1"),
            ("votes", "many"),
            ("consent_before", "2026-13-01"),
            ("issue", "48"),
            ("result", "skipped:none"),
            ("search", "a\tb"),
        ] {
            let faults = SubscriberFilter::of([(key, value)]).expect_err("a fault");
            assert_eq!((faults.len(), faults[0].key), (1, key), "{value}");
            assert!(faults[0].sentence.ends_with('.') || faults[0].sentence.contains("one of"));
        }
    }
}
