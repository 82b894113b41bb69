//! Meaning of a cell for its subscriber, by the kind of its column and its word.

use super::names::StateEncoding;
use super::words::Word;
use super::words::word;
use crate::domain::subscriber::SubscriberState;

/// Meaning of a cell for its subscriber.
pub(super) enum CellMeaning {
    State(SubscriberState),
    /// That they did not leave, bounce or complain.
    Stays,
    Nothing,
}

/// The worse of two: somebody with a consent that is not confirmed is asked, somebody who left stays away.
pub(super) fn worse(known: Option<SubscriberState>, said: SubscriberState) -> SubscriberState {
    let rank = |state: SubscriberState| match state {
        SubscriberState::Active => 0,
        SubscriberState::Pending => 1,
        SubscriberState::Unsubscribed => 2,
        SubscriberState::Bounced => 3,
        SubscriberState::Complained => 4,
    };
    known
        .filter(|known| rank(*known) > rank(said))
        .unwrap_or(said)
}

fn is_complaint(text: &str) -> bool {
    let text = text.to_lowercase();
    ["spam", "abuse", "complain"]
        .iter()
        .any(|word| text.contains(word))
}

/// Returns what a cell says; `None` where it is not understood. `is_unconfirmed`: a service's own word for somebody who has not confirmed.
pub(super) fn judge(
    text: &str,
    standing: StateEncoding,
    is_unconfirmed: impl Fn(&str) -> bool,
) -> Option<CellMeaning> {
    if let StateEncoding::Reason(kind) = standing {
        return Some(match word(text) {
            Some(Word::Nothing | Word::No) => CellMeaning::Nothing,
            Some(Word::State(SubscriberState::Active | SubscriberState::Pending)) => {
                CellMeaning::Stays
            }
            _ => CellMeaning::State(if is_complaint(text) {
                SubscriberState::Complained
            } else {
                kind
            }),
        });
    }
    let word = word(text);
    if standing == StateEncoding::Mailbox {
        let bad = word.filter(|word| {
            matches!(
                word,
                Word::State(SubscriberState::Bounced | SubscriberState::Complained)
            )
        });
        return Some(if let Some(Word::State(state)) = bad {
            CellMeaning::State(state)
        } else {
            CellMeaning::Nothing
        });
    }
    Some(match (standing, word?) {
        (_, Word::Nothing) => CellMeaning::Nothing,
        (
            StateEncoding::Left(_),
            Word::State(SubscriberState::Active | SubscriberState::Pending),
        ) => CellMeaning::Stays,
        (_, Word::State(SubscriberState::Unsubscribed)) if is_unconfirmed(text) => {
            CellMeaning::State(SubscriberState::Pending)
        }
        (_, Word::State(state)) => CellMeaning::State(state),
        (StateEncoding::Left(kind), Word::Yes | Word::Date) => CellMeaning::State(kind),
        (StateEncoding::Left(_), Word::No) => CellMeaning::Stays,
        (StateEncoding::Subscribed | StateEncoding::Confirmed, Word::Yes | Word::Date) => {
            CellMeaning::State(SubscriberState::Active)
        }
        (StateEncoding::Subscribed, Word::No) => CellMeaning::State(SubscriberState::Unsubscribed),
        (StateEncoding::Confirmed, Word::No) => CellMeaning::State(SubscriberState::Pending),
        _ => return None,
    })
}

/// Returns why a cell of that column is refused.
pub(super) fn not_understood(column: &str, text: &str, standing: StateEncoding) -> String {
    let expected = match standing {
        StateEncoding::State => "one of pending, active, unsubscribed, bounced, complained",
        StateEncoding::Left(_) => "a date, yes or no",
        _ => "yes or no",
    };
    format!(
        "{text:?} in {column:?} is not known: expected {expected}. Mend it, or use --map or --ignore-column for {column:?}"
    )
}
