//! Consent in a row: confirmed, by what state and when.

use super::Columns;
use super::cells::Cells;
use super::dates::date;
use super::judgement::CellMeaning;
use super::judgement::judge;
use super::judgement::not_understood;
use super::judgement::worse;
use super::names::StateEncoding;
use super::services::Service;
use super::words::is_farewell;
use crate::domain::Timestamp;
use crate::domain::subscriber::SubscriberState;

impl Columns {
    pub(super) fn confirmed(&self, cells: &mut Cells<'_, '_>) -> Result<Option<Timestamp>, String> {
        for (n, at) in self.confirmed_at.iter().enumerate() {
            let Some(text) = cells.text(*at)? else {
                continue;
            };
            match date(&text) {
                Some(date) => return Ok(Some(date)),
                None if self.is_strict && n == 0 => {
                    return Err(format!(
                        "{text:?} is not a date: expected one like 2026-11-16T09:00:00Z"
                    ));
                }
                None => {}
            }
        }
        // "Subscribed" may hold the date of it.
        for (at, _) in self
            .standing
            .iter()
            .filter(|(_, s)| matches!(s, StateEncoding::Subscribed | StateEncoding::Confirmed))
        {
            if let Some(date) = cells.text(*at)?.and_then(|text| date(&text)) {
                return Ok(Some(date));
            }
        }
        Ok(None)
    }

    /// State of somebody by all columns that say so: the worst counts.
    pub(super) fn state(
        &self,
        cells: &mut Cells<'_, '_>,
    ) -> Result<Option<SubscriberState>, String> {
        let mut worst = self.all_are;
        // A column of consent that is empty, and whether any other says that mail is wanted.
        let (mut unsaid, mut is_wanted) = (None, false);
        for (at, standing) in &self.standing {
            let Some(text) = cells.text(*at)? else {
                if *standing == StateEncoding::Subscribed {
                    unsaid = unsaid.or(Some(*at));
                }
                continue;
            };
            let said = judge(&text, *standing, |text| self.is_unconfirmed(text))
                .ok_or_else(|| not_understood(&self.header[*at], &text, *standing))?;
            match said {
                CellMeaning::State(state) => {
                    is_wanted |= state == SubscriberState::Active;
                    worst = Some(worse(worst, state));
                }
                CellMeaning::Stays => is_wanted = true,
                CellMeaning::Nothing if *standing == StateEncoding::Subscribed => {
                    unsaid = unsaid.or(Some(*at))
                }
                CellMeaning::Nothing => {}
            }
        }
        match unsaid {
            Some(at) if !is_wanted && worst.is_none() => Err(format!(
                "{:?} is empty: expected yes or no",
                self.header[at]
            )),
            _ => Ok(worst),
        }
    }

    fn is_unconfirmed(&self, text: &str) -> bool {
        self.service
            .is_some_and(Service::has_inactive_for_unconfirmed)
            && text.eq_ignore_ascii_case("inactive")
    }

    /// A cell that says "unsubscribed" in a column that is not read is no accident.
    pub(super) fn check_silent(&self, cells: &mut Cells<'_, '_>) -> Result<(), String> {
        for (at, is_ignored) in &self.unread {
            let Some(cell) = cells
                .record
                .get(*at)
                .filter(|cell| !is_ignored && (6..=40).contains(&cell.len()))
            else {
                continue;
            };
            if let Ok(text) = std::str::from_utf8(cell)
                && is_farewell(text)
            {
                let column = &self.header[*at];
                return Err(format!(
                    "{text:?} in {column:?}, which is not read: use --map state={column:?} or --ignore-column {column:?}"
                ));
            }
        }
        Ok(())
    }
}
