//! Floor 1: the product's words and their rules. No I/O, no async, no clock.
//! Refusals and the brake: [`brake`].
//!
//! A value is parsed at the door into a type that cannot be wrong; whatever needs the moment is given it as `now`.
//! Reading order: [`actor`] with [`audit`], [`address`], [`catalogue`] with [`publication`], [`catalogue_change`], [`answer`] and [`quote`], [`zone`], [`slot`], [`timetable`], [`pick`] (the heart), [`digest`] with [`digest_note`], [`subscriber`] with [`subscriber_filter`], [`reader`], [`secret`], [`token`] with `seal` and [`sealed_text`], [`rendered_mail`](rendered_mail),
//! [`delivery`], [`due`], [`inbound`], [`webhook`], [`event`] with [`webhook_endpoint`], [`limits`], [`quota`], [`network`], [`places`], [`progress`], [`waiting`], [`verp`], [`subject`] with [`issue_text`], [`user`], [`api_token`], [`job`].

pub mod actor;
pub mod address;
pub mod answer;
pub mod api_token;
pub mod audit;
pub mod brake;
pub mod catalogue;
pub mod catalogue_change;
pub mod colour;
pub mod delivery;
pub mod digest;
pub mod digest_note;
pub mod due;
pub mod event;
pub mod growth;
pub mod history;
pub mod inbound;
pub mod inbound_channel;
pub mod issue_text;
pub mod job;
pub mod limits;
pub mod network;
pub mod next_state;
pub mod pick;
pub mod pick_reason;
pub mod places;
pub mod progress;
pub mod publication;
pub mod quota;
pub mod quote;
pub mod reader;
pub mod refusal;
pub mod rendered_mail;
mod seal;
pub mod sealed_text;
pub mod secret;
pub mod shared_domains;
pub mod slot;
pub mod source;
pub mod subject;
pub mod subscriber;
pub mod subscriber_filter;
pub mod timetable;
pub mod token;
pub mod user;
pub mod user_notice;
pub mod verp;
pub mod waiting;
pub mod webhook;
pub mod webhook_endpoint;
pub mod zone;

/// A moment in UTC. The databases keep milliseconds, so every door cuts what is finer with [`to_millis`].
pub type Timestamp = chrono::DateTime<chrono::Utc>;

/// Cuts a moment to the milliseconds that are stored, so that what was written equals what is read back.
pub fn to_millis(moment: Timestamp) -> Timestamp {
    from_millis(moment.timestamp_millis())
}

/// The moment that lies `millis` milliseconds after 1970-01-01T00:00:00Z; one that chrono cannot hold becomes the epoch.
pub fn from_millis(millis: i64) -> Timestamp {
    chrono::DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

/// A text that is none of the names of a state or kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not one of: {}", known.join(", "))]
pub struct UnknownName {
    text: String,
    known: Vec<&'static str>,
}

impl UnknownName {
    /// `text`, where one of `known` was expected.
    pub fn new(text: &str, known: &[&'static str]) -> Self {
        Self {
            text: text.to_owned(),
            known: known.to_vec(),
        }
    }
}

/// Words for a duration: "3 days", "90 minutes", in the largest unit that says it without a rest.
pub fn duration_words(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs().max(1);
    let units = [
        (86_400, "day"),
        (3_600, "hour"),
        (60, "minute"),
        (1, "second"),
    ];
    let (size, name) = units
        .into_iter()
        .find(|(size, _)| seconds.is_multiple_of(*size))
        .unwrap_or((1, "second"));
    let count = seconds / size;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// A state or kind with a fixed name in the database and in every answer: the enum and its names stand in one table.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident => $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name used in the database, in JSON and in text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::UnknownName;
            fn from_str(text: &str) -> Result<Self, $crate::domain::UnknownName> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::domain::UnknownName::new(text, &[$($text),+])),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::domain::UnknownName;
            fn try_from(text: String) -> Result<Self, $crate::domain::UnknownName> { text.parse() }
        }

        impl From<$name> for &'static str {
            fn from(value: $name) -> Self { value.as_str() }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.pad(self.as_str()) }
        }
    };
}
pub(crate) use named;
