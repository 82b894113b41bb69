//! Columns as the operator assigns them: `--map FIELD=COLUMN` and `--ignore-column NAME`.

use std::str::FromStr;

use super::names::ColumnRole;
use super::names::StateEncoding;
use super::words::squeezed;
use crate::domain::subscriber::SubscriberState;

/// One `FIELD=COLUMN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    field: String,
    pub(super) role: ColumnRole,
    column: String,
}

/// The fields that a column can be mapped to.
const FIELDS: [(&str, ColumnRole); 9] = [
    ("email", ColumnRole::Email),
    ("name", ColumnRole::Name),
    ("state", ColumnRole::Standing(StateEncoding::State)),
    (
        "left",
        ColumnRole::Standing(StateEncoding::Left(SubscriberState::Unsubscribed)),
    ),
    (
        "subscribed",
        ColumnRole::Standing(StateEncoding::Subscribed),
    ),
    ("confirmed_at", ColumnRole::ConfirmedAt),
    ("source", ColumnRole::Source),
    ("timezone", ColumnRole::Timezone),
    (
        "bounced",
        ColumnRole::Standing(StateEncoding::Left(SubscriberState::Bounced)),
    ),
];

impl FromStr for Assignment {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let names = || FIELDS.map(|(name, _)| name).join(", ");
        let (field, column) = text
            .split_once('=')
            .ok_or_else(|| format!("{text:?}: expected FIELD=COLUMN, FIELD one of: {}", names()))?;
        let (field, column) = (field.trim().to_lowercase(), column.trim().to_owned());
        let Some((_, role)) = FIELDS.iter().find(|(name, _)| *name == field) else {
            return Err(format!(
                "{field:?} is no field: expected one of: {}",
                names()
            ));
        };
        if column.is_empty() {
            return Err(format!(
                "{field}=: expected the name of a column, or its number from 1"
            ));
        }
        Ok(Self {
            role: *role,
            field,
            column,
        })
    }
}

/// Assignments of a file's columns by the operator; the rest follows from their names.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    /// Columns assigned with `--map FIELD=COLUMN`.
    pub assigned: Vec<Assignment>,
    /// Columns, by name or number, that are not to be read.
    pub ignored: Vec<String>,
}

impl Mapping {
    /// Returns what each named column holds: its place in the header, and `None` for one that is not to be read.
    pub(super) fn resolve(
        &self,
        header: &[String],
    ) -> Result<Vec<(usize, Option<ColumnRole>)>, String> {
        let mut found: Vec<(usize, Option<ColumnRole>)> = Vec::new();
        let assigned = self.assigned.iter().map(|a| {
            (
                a.column.as_str(),
                Some(a.role),
                format!("--map {}={}", a.field, a.column),
            )
        });
        let ignored = self
            .ignored
            .iter()
            .map(|name| (name.as_str(), None, format!("--ignore-column {name}")));
        for (name, role, option) in assigned.chain(ignored) {
            let at = place_of(name, header).map_err(|fault| format!("{option}: {fault}"))?;
            let is_single = matches!(
                role,
                Some(
                    ColumnRole::Email
                        | ColumnRole::ConfirmedAt
                        | ColumnRole::Source
                        | ColumnRole::Timezone
                )
            );
            if found.iter().any(|(known, _)| *known == at) {
                return Err(format!(
                    "{option}: this column is named already by another option"
                ));
            }
            if is_single && found.iter().any(|(_, known)| *known == role) {
                return Err(format!(
                    "{option}: expected one column for this field, there are two"
                ));
            }
            found.push((at, role));
        }
        Ok(found)
    }
}

/// A column by its name as it is spelled, by its number from 1, or by its name in another spelling.
fn place_of(name: &str, header: &[String]) -> Result<usize, String> {
    let name = name.trim();
    let named = |fits: &dyn Fn(&str) -> bool| {
        header
            .iter()
            .enumerate()
            .filter(|(_, known)| fits(known))
            .map(|(at, _)| at)
            .collect::<Vec<_>>()
    };
    let exact = named(&|known| known == name);
    let found = match name.parse::<usize>() {
        Ok(number) if exact.is_empty() => {
            match number.checked_sub(1).filter(|at| *at < header.len()) {
                Some(at) => vec![at],
                None => {
                    return Err(format!(
                        "there is no column {number}, the header has {}",
                        header.len()
                    ));
                }
            }
        }
        _ if exact.is_empty() => {
            named(&|known| !squeezed(name).is_empty() && squeezed(known) == squeezed(name))
        }
        _ => exact,
    };
    match found.as_slice() {
        [at] => Ok(*at),
        [] => Err(format!(
            "there is no such column; the header has: {}",
            listed(header)
        )),
        several => {
            let numbers: Vec<String> = several.iter().map(|at| (at + 1).to_string()).collect();
            Err(format!(
                "several columns have that name: use a number, {}",
                numbers.join(" or ")
            ))
        }
    }
}

/// The names of a header for a sentence, cut to a bounded length.
pub(super) fn listed(header: &[String]) -> String {
    let whole = header.join(", ");
    let text: String = whole
        .chars()
        .filter(|c| !c.is_control())
        .take(300)
        .collect();
    if text.len() < whole.len() {
        text + "..."
    } else {
        text
    }
}
