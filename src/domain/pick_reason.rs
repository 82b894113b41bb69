//! Reasons why a comparison was picked: codes with parameters, shown as sentences.

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;

/// Verdict of a panel on a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanelSide {
    /// `ship`, `skip` or `split`.
    pub verdict: String,
    /// The tool's name.
    pub tool: String,
}

/// A reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum PickReason {
    /// Published within seven days, and after the last digest.
    NewThisWeek,
    /// Published after the last digest, and more than seven days ago.
    NewSinceLastDigest,
    /// Published within seven days, and before the last digest.
    NewInSevenDays,
    /// Published so many weeks ago, and in no digest yet.
    Unsent {
        /// Weeks.
        weeks: i64,
    },
    /// The panels of its tools say opposite things.
    PanelDiffers {
        /// Of one tool.
        left: PanelSide,
        /// Of the other.
        right: PanelSide,
    },
    /// A panel is divided.
    PanelSplit {
        /// Reviewers of the larger part.
        more: u32,
        /// Reviewers of the smaller part.
        fewer: u32,
        /// The tool's name.
        tool: String,
    },
    /// Readers are divided.
    ReadersSplit {
        /// Per cent of readers who say *ship*.
        ship_percent: u64,
        /// The tool's name.
        tool: String,
    },
    /// The reader follows its category.
    Followed {
        /// The category.
        category: String,
    },
    /// A reason that a version before 0.2.0 wrote down in words.
    Note {
        /// The words.
        text: String,
    },
}

impl std::fmt::Display for PickReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NewThisWeek => f.write_str("new this week"),
            Self::NewSinceLastDigest => f.write_str("new since the last digest"),
            Self::NewInSevenDays => f.write_str("new in the last seven days"),
            Self::Unsent { weeks: 1 } => f.write_str("published a week ago and not sent yet"),
            Self::Unsent { weeks } => write!(f, "published {weeks} weeks ago and not sent yet"),
            Self::PanelDiffers { left, right } => write!(
                f,
                "the panel says {} for {}, {} for {}",
                left.verdict, left.tool, right.verdict, right.tool
            ),
            Self::PanelSplit { more, fewer, tool } => {
                write!(f, "the panel is split {more} to {fewer} on {tool}")
            }
            Self::ReadersSplit { ship_percent, tool } => write!(
                f,
                "readers split {ship_percent} to {} on {tool}",
                100_u64.saturating_sub(*ship_percent)
            ),
            Self::Followed { category } => write!(f, "because you follow {category}"),
            Self::Note { text } => f.write_str(text),
        }
    }
}

impl PickReason {
    /// Reads the words of a version before 0.2.0; what it does not know becomes [`PickReason::Note`].
    pub fn from_words(words: &str) -> Self {
        parsed(words)
            .filter(|reason| reason.to_string() == words)
            .unwrap_or_else(|| Self::Note {
                text: words.to_owned(),
            })
    }
}

fn parsed(words: &str) -> Option<PickReason> {
    let plain = [
        PickReason::NewThisWeek,
        PickReason::NewSinceLastDigest,
        PickReason::NewInSevenDays,
        PickReason::Unsent { weeks: 1 },
    ];
    if let Some(reason) = plain.iter().find(|reason| reason.to_string() == words) {
        return Some(reason.clone());
    }
    if let Some(weeks) = words.strip_prefix("published ") {
        let weeks = weeks
            .strip_suffix(" weeks ago and not sent yet")?
            .parse()
            .ok()?;
        return Some(PickReason::Unsent { weeks });
    }
    if let Some(rest) = words.strip_prefix("the panel says ") {
        let (left, right) = rest.split_once(", ")?;
        let side = |text: &str| {
            let (verdict, tool) = text.split_once(" for ")?;
            Some(PanelSide {
                verdict: verdict.to_owned(),
                tool: tool.to_owned(),
            })
        };
        let (left, right) = (side(left)?, side(right)?);
        return Some(PickReason::PanelDiffers { left, right });
    }
    if let Some(category) = words.strip_prefix("because you follow ") {
        let category = category.to_owned();
        return Some(PickReason::Followed { category });
    }
    let (counts, tool) = words.split_once(" on ")?;
    let tool = tool.to_owned();
    if let Some(counts) = counts.strip_prefix("the panel is split ") {
        let (more, fewer) = counts.split_once(" to ")?;
        let (more, fewer) = (more.parse().ok()?, fewer.parse().ok()?);
        return Some(PickReason::PanelSplit { more, fewer, tool });
    }
    let (ship_percent, _) = counts.strip_prefix("readers split ")?.split_once(" to ")?;
    let ship_percent = ship_percent.parse().ok()?;
    Some(PickReason::ReadersSplit { ship_percent, tool })
}

/// Writes reasons as sentences.
pub(super) fn in_words<S: Serializer>(
    reasons: &[PickReason],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(reasons.iter().map(PickReason::to_string))
}

/// Reads reasons as codes, or as the words that digests of before 0.2.0 were frozen with.
pub(super) fn from_any<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<PickReason>, D::Error> {
    let values: Vec<serde_json::Value> = Vec::deserialize(deserializer)?;
    let reason = |value: serde_json::Value| match value {
        serde_json::Value::String(words) => Ok(PickReason::from_words(&words)),
        value => serde_json::from_value(value).map_err(serde::de::Error::custom),
    };
    values.into_iter().map(reason).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_versions_before_are_understood() {
        let side = |verdict: &str, tool: &str| PanelSide {
            verdict: verdict.into(),
            tool: tool.into(),
        };
        let tool = || "Tool on wheels".to_owned();
        for reason in [
            PickReason::NewThisWeek,
            PickReason::NewSinceLastDigest,
            PickReason::NewInSevenDays,
            PickReason::Unsent { weeks: 1 },
            PickReason::Unsent { weeks: 3 },
            PickReason::PanelDiffers {
                left: side("ship", "One"),
                right: side("skip", "Other for all"),
            },
            PickReason::PanelSplit {
                more: 3,
                fewer: 2,
                tool: tool(),
            },
            PickReason::Followed {
                category: "Coding on wheels".into(),
            },
            PickReason::ReadersSplit {
                ship_percent: 40,
                tool: tool(),
            },
        ] {
            assert_eq!(PickReason::from_words(&reason.to_string()), reason);
            let json = serde_json::to_string(&reason).expect("JSON");
            assert_eq!(
                serde_json::from_str::<PickReason>(&json).expect("read"),
                reason
            );
        }
        for words in ["readers love it", "readers split 40 to 70 on X", ""] {
            let note = PickReason::Note { text: words.into() };
            assert_eq!(PickReason::from_words(words), note);
        }
    }
}
