//! Events in a subscriber's history: kept as codes with parameters, shown as sentences.

use super::Timestamp;
use super::inbound::RefusalClass;
use super::named;
use super::slot::Slot;
use super::subscriber::SubscriberState;

named! {
    /// Way in which somebody unsubscribed.
    UnsubscribedBy {
        /// By the link in a mail, or the button of their mail program.
        Link => "link",
        /// By a mail.
        Mail => "mail",
        /// By an operator.
        Operator => "operator",
    }
}

named! {
    /// Reason why a refusal that was held no longer counts.
    ReleaseReason {
        /// A later digest arrived.
        Arrived => "arrived",
        /// The subscription has ended meanwhile.
        Left => "left",
        /// An operator dismissed it.
        Dismissed => "dismissed",
    }
}

named! {
    /// The link with which a mail of theirs was answered.
    SentLink {
        /// To leave; their mail speaks of leaving and was not acted on.
        Leave => "leave",
        /// To leave; somebody else answered their digest.
        LeaveByOther => "leave_by_other",
        /// To confirm once more; their answer was no plain yes.
        Confirm => "confirm",
    }
}

/// Change of the pause by a change of preferences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseChange {
    /// It lasts until then.
    Until(Timestamp),
    /// It is over.
    Ended,
}

/// Event in a subscriber's history. The serialized form is what the database keeps: `code`, and the rest as parameters.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum HistoryEvent {
    /// Signed up, and was asked to confirm.
    SignedUp {
        /// Where.
        source: String,
    },
    /// Confirmed the address.
    Confirmed,
    /// Ended the subscription.
    Unsubscribed {
        /// Way.
        by: UnsubscribedBy,
    },
    /// Came by an import.
    Imported {
        /// In that state.
        state: SubscriberState,
        /// From there.
        source: String,
    },
    /// Changed what they get, by a link of a digest.
    PreferencesChanged {
        /// The categories, none for all of them, and whether monthly; `None`: as before.
        choice: Option<(Vec<String>, bool)>,
        /// Change of the pause; `None`: as before.
        pause: Option<PauseChange>,
    },
    /// Chose the time zone in which digests come, by a link of a digest.
    TimezoneChosen {
        /// Its name.
        zone: String,
    },
    /// Changed the address.
    EmailChanged,
    /// A mail to them was refused.
    Refused {
        /// Of that weight.
        class: RefusalClass,
        /// Refusals in a row, this one included.
        count: u32,
        /// Number of them that ends a subscription; 0: it is not counted.
        limit: u32,
        /// Reply of the server.
        reply: String,
    },
    /// A mail was refused for good, and the refusal waits to be judged with others like it.
    RefusalHeld {
        /// Reply of the server.
        reply: String,
    },
    /// A refusal that was held no longer counts.
    RefusalReleased {
        /// Why.
        why: ReleaseReason,
    },
    /// The subscription ended by refusals.
    Bounced {
        /// Reply of the server.
        reply: String,
    },
    /// The subscription ended by a complaint.
    Complained {
        /// Line of the report.
        reply: String,
    },
    /// An operator took the address off the suppression list.
    SuppressionRemoved {
        /// Why.
        note: String,
    },
    /// An operator paused the mail, or ended the pause.
    PausedByOperator {
        /// Time until which it lasts; `None`: it is over.
        until: Option<Timestamp>,
    },
    /// An operator had the confirmation mail sent once more.
    ConfirmationResent,
    /// A mail of theirs was answered with a link.
    LinkSent {
        /// Which.
        link: SentLink,
    },
    /// Something that a version before 0.2.0 wrote down in words.
    Note {
        /// The words.
        text: String,
    },
}

/// An entry of a subscriber's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Time of the event.
    pub at: Timestamp,
    /// Event.
    pub event: HistoryEvent,
    /// The week of the digest that it is about.
    pub slot: Option<Slot>,
}

impl HistoryEvent {
    /// The code, and the parameters as a JSON object.
    pub fn to_stored(&self) -> (String, String) {
        let mut parameters = serde_json::to_value(self).unwrap_or_default();
        let code = parameters
            .as_object_mut()
            .and_then(|parameters| parameters.remove("code"));
        let code = code.and_then(|code| code.as_str().map(str::to_owned));
        (code.unwrap_or_default(), parameters.to_string())
    }

    /// Reads what [`HistoryEvent::to_stored`] wrote.
    ///
    /// # Errors
    /// When there is no such code, or its parameters are others.
    pub fn from_stored(code: &str, parameters: &str) -> Result<Self, serde_json::Error> {
        let mut value: serde_json::Value = serde_json::from_str(parameters)?;
        if let Some(parameters) = value.as_object_mut() {
            parameters.insert("code".into(), code.into());
        }
        serde_json::from_value(value)
    }

    /// Reads the words of a version before 0.2.0; what it does not know becomes [`HistoryEvent::Note`].
    pub fn from_words(words: &str) -> Self {
        parsed(words)
            .filter(|event| event.to_string() == words)
            .unwrap_or_else(|| Self::Note {
                text: words.to_owned(),
            })
    }
}

impl std::fmt::Display for HistoryEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SignedUp { source } => write!(f, "asked to join ({source})"),
            Self::Confirmed => f.write_str("confirmed the address"),
            Self::Unsubscribed { by } => write!(f, "unsubscribed ({by})"),
            Self::Imported { state, source } => write!(f, "imported as {state} ({source})"),
            Self::PreferencesChanged { choice, pause } => {
                let mut parts = Vec::new();
                if let Some((categories, monthly)) = choice {
                    let categories = match categories.as_slice() {
                        [] => "all categories".to_owned(),
                        categories => categories.join(", "),
                    };
                    let often = if *monthly { "monthly" } else { "weekly" };
                    parts.push(format!("chose {categories}, {often}"));
                }
                match pause {
                    Some(PauseChange::Until(until)) => {
                        parts.push(format!("paused until {}", until.format("%Y-%m-%d")));
                    }
                    Some(PauseChange::Ended) => parts.push("ended the pause".into()),
                    None => {}
                }
                write!(f, "{} (link of a digest)", parts.join("; "))
            }
            Self::TimezoneChosen { zone } => write!(f, "chose the time zone {zone}"),
            Self::EmailChanged => f.write_str("changed the address"),
            Self::Refused {
                class,
                count,
                limit,
                reply,
            } => {
                let refused = match class {
                    RefusalClass::Hard => "refused for good",
                    RefusalClass::Recipient | RefusalClass::Passing => "refused",
                };
                match limit {
                    0 => write!(f, "{refused}, not counted: {reply}"),
                    _ => write!(f, "{refused}, {count} of {limit} in a row: {reply}"),
                }
            }
            Self::RefusalHeld { reply } => write!(
                f,
                "refused for good, judged together with others like it: {reply}"
            ),
            Self::RefusalReleased { why } => f.write_str(match why {
                ReleaseReason::Arrived => {
                    "a later digest arrived: the refusal before it no longer counts"
                }
                ReleaseReason::Left => {
                    "the refusal no longer matters: the subscription has ended"
                }
                ReleaseReason::Dismissed => {
                    "the refusal was dismissed by hand: the subscription goes on"
                }
            }),
            Self::Bounced { reply } => write!(f, "bounced: {reply}"),
            Self::Complained { reply } => write!(f, "complained: {reply}"),
            Self::SuppressionRemoved { note } => {
                write!(f, "taken off the suppression list: {note}")
            }
            Self::PausedByOperator { until: Some(until) } => {
                write!(f, "paused until {} (operator)", until.format("%Y-%m-%d"))
            }
            Self::PausedByOperator { until: None } => f.write_str("ended the pause (operator)"),
            Self::ConfirmationResent => {
                f.write_str("the confirmation mail was sent once more (operator)")
            }
            Self::LinkSent { link } => f.write_str(match link {
                SentLink::Leave => {
                    "their mail speaks of leaving and was not acted on: the link to leave was sent"
                }
                SentLink::LeaveByOther => {
                    "another address answered a mail of theirs and asked to leave: the link to leave was sent"
                }
                SentLink::Confirm => {
                    "their answer to the confirmation mail was not a plain yes: the link was sent again"
                }
            }),
            Self::Note { text } => f.write_str(text),
        }
    }
}

/// Words that only one event has, and no parameters.
const PLAIN: [HistoryEvent; 8] = [
    HistoryEvent::Confirmed,
    HistoryEvent::EmailChanged,
    released(ReleaseReason::Arrived),
    released(ReleaseReason::Left),
    released(ReleaseReason::Dismissed),
    link_sent(SentLink::Leave),
    link_sent(SentLink::LeaveByOther),
    link_sent(SentLink::Confirm),
];

const fn released(why: ReleaseReason) -> HistoryEvent {
    HistoryEvent::RefusalReleased { why }
}

const fn link_sent(link: SentLink) -> HistoryEvent {
    HistoryEvent::LinkSent { link }
}

fn parsed(words: &str) -> Option<HistoryEvent> {
    if let Some(plain) = PLAIN.iter().find(|event| event.to_string() == words) {
        return Some(plain.clone());
    }
    let (head, tail) = words.split_once(": ").unwrap_or((words, ""));
    let reply = tail.to_owned();
    let in_brackets = |start: &str| words.strip_prefix(start)?.strip_suffix(')');
    Some(match head {
        "bounced" => HistoryEvent::Bounced { reply },
        "complained" => HistoryEvent::Complained { reply },
        "taken off the suppression list" => HistoryEvent::SuppressionRemoved { note: reply },
        "refused for good, judged together with others like it" => {
            HistoryEvent::RefusalHeld { reply }
        }
        _ if head.starts_with("refused") => refused(head, reply)?,
        _ if words.ends_with(" (link of a digest)") => preferences(words)?,
        _ => {
            if let Some(source) = in_brackets("asked to join (") {
                let source = source.to_owned();
                return Some(HistoryEvent::SignedUp { source });
            }
            if let Some(by) = in_brackets("unsubscribed (") {
                let by = by.parse().ok()?;
                return Some(HistoryEvent::Unsubscribed { by });
            }
            let (state, source) = in_brackets("imported as ")?.split_once(" (")?;
            HistoryEvent::Imported {
                state: state.parse().ok()?,
                source: source.to_owned(),
            }
        }
    })
}

fn refused(head: &str, reply: String) -> Option<HistoryEvent> {
    let (refused, counted) = head.split_once(", ")?;
    let (count, limit) = match counted.strip_suffix(" in a row") {
        Some(counted) => {
            let (count, limit) = counted.split_once(" of ")?;
            (count.parse().ok()?, limit.parse().ok()?)
        }
        None => (0, 0),
    };
    let class = match (refused, limit) {
        ("refused for good", _) => RefusalClass::Hard,
        (_, 0) => RefusalClass::Passing,
        _ => RefusalClass::Recipient,
    };
    Some(HistoryEvent::Refused {
        class,
        count,
        limit,
        reply,
    })
}

fn preferences(words: &str) -> Option<HistoryEvent> {
    let (mut choice, mut pause) = (None, None);
    for part in words.strip_suffix(" (link of a digest)")?.split("; ") {
        if let Some(chosen) = part.strip_prefix("chose ") {
            let (categories, often) = chosen.rsplit_once(", ")?;
            let categories = match categories {
                "all categories" => Vec::new(),
                categories => categories.split(", ").map(str::to_owned).collect(),
            };
            choice = Some((categories, often == "monthly"));
        } else if let Some(day) = part.strip_prefix("paused until ") {
            let day: chrono::NaiveDate = day.parse().ok()?;
            pause = Some(PauseChange::Until(
                day.and_time(chrono::NaiveTime::MIN).and_utc(),
            ));
        } else {
            pause = (part == "ended the pause").then_some(PauseChange::Ended);
        }
    }
    Some(HistoryEvent::PreferencesChanged { choice, pause })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An event of each kind.
    fn events() -> Vec<HistoryEvent> {
        let reply = || "550 5.1.1 no such user: gone".to_owned();
        let refused = |class, count, limit| HistoryEvent::Refused {
            class,
            count,
            limit,
            reply: reply(),
        };
        let preferences = |choice, pause| HistoryEvent::PreferencesChanged { choice, pause };
        let until = PauseChange::Until("2026-10-01T00:00:00Z".parse().expect("a timestamp"));
        let mut events = PLAIN.to_vec();
        events.extend([
            HistoryEvent::SignedUp {
                source: "web form".into(),
            },
            HistoryEvent::Unsubscribed {
                by: UnsubscribedBy::Mail,
            },
            HistoryEvent::Imported {
                state: SubscriberState::Active,
                source: "old (list).csv".into(),
            },
            preferences(
                Some((vec!["Coding".into(), "Data".into()], true)),
                Some(until),
            ),
            preferences(Some((Vec::new(), false)), None),
            preferences(None, Some(PauseChange::Ended)),
            refused(RefusalClass::Hard, 1, 2),
            refused(RefusalClass::Hard, 0, 0),
            refused(RefusalClass::Recipient, 2, 5),
            refused(RefusalClass::Passing, 0, 0),
            HistoryEvent::RefusalHeld { reply: reply() },
            HistoryEvent::Bounced { reply: reply() },
            HistoryEvent::Complained { reply: reply() },
            HistoryEvent::SuppressionRemoved {
                note: "their server was broken".into(),
            },
        ]);
        events
    }

    #[test]
    fn what_is_stored_is_read_back() {
        for event in events() {
            let (code, parameters) = event.to_stored();
            assert_eq!(
                HistoryEvent::from_stored(&code, &parameters).expect("readable"),
                event
            );
        }
        let (code, parameters) = HistoryEvent::Confirmed.to_stored();
        assert_eq!((code.as_str(), parameters.as_str()), ("confirmed", "{}"));
        assert!(HistoryEvent::from_stored("unheard_of", "{}").is_err());
    }

    #[test]
    fn the_words_of_versions_before_are_understood() {
        for event in events() {
            assert_eq!(HistoryEvent::from_words(&event.to_string()), event);
        }
        for words in ["unsubscribed (in a dream)", "imported as a fish (list)", ""] {
            let note = HistoryEvent::Note { text: words.into() };
            assert_eq!(HistoryEvent::from_words(words), note);
        }
    }
}
