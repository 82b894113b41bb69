//! Meanings of the columns of a subscriber file: our own, those of services that people come from, and any other.
//!
//! A column is read by its name ([`names`]), in any file; the whole header tells which service it comes from ([`services`]); a cell says
//! how somebody stands by its word ([`words`], [`judgement`]). Somebody who left, bounced or complained there is so here, and where several columns
//! speak the worst counts. What is not understood is never taken for "active": a word refuses its row, and an unread column whose
//! name speaks of leaving refuses the file, until the operator says what it is ([`mapping`]).

mod cells;
mod consent;
mod dates;
mod judgement;
mod mapping;
mod names;
mod services;
mod words;

use std::borrow::Cow;

use csv::ByteRecord;

use crate::app::subscribing::spreadsheet::taken;
use crate::domain::Timestamp;
use crate::domain::address::EmailAddress;
use crate::domain::subscriber::SubscriberState;
use crate::domain::subscriber::timezone;
use crate::domain::zone::ZoneName;
use cells::Cells;
pub use cells::Decode;
pub use mapping::Assignment;
pub use mapping::Mapping;
use mapping::listed;
use names::ColumnRole;
use names::StateEncoding;
use names::role;
use names::speaks_of_leaving;
use services::Service;
use services::recognise;
use words::squeezed;

/// Names of the columns that a file of refused rows has besides its own.
pub const REFUSED_COLUMNS: [&str; 2] = ["refused_line", "refused_reason"];

/// A row that could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedRow {
    /// The address.
    pub email: EmailAddress,
    /// Their name.
    pub name: Option<String>,
    /// Time at which they confirmed or gave consent.
    pub confirmed_at: Option<Timestamp>,
    /// Source of the subscription.
    pub source: Option<Cow<'static, str>>,
    /// State of the subscription where the file comes from.
    pub state: Option<SubscriberState>,
    /// An IANA name.
    pub timezone: Option<ZoneName>,
}

/// Meaning of each column.
#[derive(Debug)]
pub struct Columns {
    service: Option<&'static Service>,
    /// The header as it is spelled.
    header: Vec<String>,
    email: usize,
    /// Joined by a space; where all are empty, those of `parts` are.
    name: Vec<usize>,
    parts: Vec<usize>,
    /// Best first.
    confirmed_at: Vec<usize>,
    /// True if a bad date in the first of them refuses its row: what another service wrote is not the operator's to mend.
    is_strict: bool,
    source: Option<usize>,
    timezone: Option<usize>,
    standing: Vec<(usize, StateEncoding)>,
    /// Mailchimp's files of those who left have a column that all of them fill.
    all_are: Option<SubscriberState>,
    /// Columns that nothing is read from; `true`: the operator said so.
    unread: Vec<(usize, bool)>,
}

impl Columns {
    /// Reads a header.
    ///
    /// # Errors
    /// A sentence: what is missing in it, or which column must be explained.
    pub fn of(header: Vec<String>, mapping: &Mapping) -> Result<Self, String> {
        if header.iter().all(|name| name.trim().is_empty()) {
            return Err("expected a header with a column \"email\", it is empty".into());
        }
        let names: Vec<String> = header
            .iter()
            .map(|name| squeezed(name).into_owned())
            .collect();
        let service = recognise(&names, &header);
        let said = mapping.resolve(&header)?;
        let mut roles: Vec<Option<(ColumnRole, usize)>> = names
            .iter()
            .map(|name| by_name(name, &names, service))
            .collect();
        for (at, role) in &said {
            // What the operator maps stands alone: no other column is guessed to be the same.
            if let Some(role) = role.filter(|role| !matches!(role, ColumnRole::Standing(_))) {
                let is_same = |known: ColumnRole| {
                    known == role
                        || (role == ColumnRole::Name
                            && matches!(known, ColumnRole::FirstName | ColumnRole::LastName))
                };
                roles
                    .iter_mut()
                    .filter(|known| known.is_some_and(|(known, _)| is_same(known)))
                    .for_each(|known| *known = None);
            }
            roles[*at] = None;
        }
        for (at, role) in &said {
            roles[*at] = role.map(|role| (role, 0));
        }
        let all = |wanted: ColumnRole| {
            let mut found: Vec<(usize, usize)> = roles
                .iter()
                .enumerate()
                .filter_map(|(at, role)| {
                    role.filter(|(r, _)| *r == wanted)
                        .map(|(_, rank)| (rank, at))
                })
                .collect();
            found.sort_unstable();
            found.into_iter().map(|(_, at)| at).collect::<Vec<_>>()
        };
        let first = |wanted: ColumnRole| all(wanted).first().copied();
        let Some(email) = first(ColumnRole::Email) else {
            return Err(no_address(&header));
        };
        let is_mapped = |wanted: ColumnRole| said.iter().any(|(_, role)| *role == Some(wanted));
        let name = all(ColumnRole::Name);
        let confirmed_at = all(ColumnRole::ConfirmedAt);
        let is_strict = confirmed_at
            .first()
            .is_some_and(|at| names[*at] == "confirmedat")
            && service.is_none();
        let mut columns = Self {
            service,
            email,
            name: if is_mapped(ColumnRole::Name) {
                name
            } else {
                name.into_iter().take(1).collect()
            },
            parts: [ColumnRole::FirstName, ColumnRole::LastName]
                .into_iter()
                .filter_map(first)
                .collect(),
            confirmed_at: confirmed_at.into_iter().take(4).collect(),
            is_strict: is_strict || is_mapped(ColumnRole::ConfirmedAt),
            source: first(ColumnRole::Source),
            timezone: first(ColumnRole::Timezone),
            standing: roles
                .iter()
                .enumerate()
                .filter_map(|(at, r)| {
                    if let Some((ColumnRole::Standing(s), _)) = r {
                        Some((at, *s))
                    } else {
                        None
                    }
                })
                .collect(),
            all_are: None,
            unread: Vec::new(),
            header,
        };
        columns.all_are = columns.file_of(&said);
        let is_ignored = |at: usize| {
            said.iter()
                .any(|(said, role)| *said == at && role.is_none())
        };
        columns.unread = (0..names.len())
            .filter(|at| !columns.reads(*at))
            .map(|at| (at, is_ignored(at)))
            .collect();
        columns.check_unread(&names)?;
        Ok(columns)
    }

    /// The state of everybody in a file that has only those who left, or only those whose mail came back.
    fn file_of(&self, said: &[(usize, Option<ColumnRole>)]) -> Option<SubscriberState> {
        let has = |name: &str| {
            let at = self
                .header
                .iter()
                .position(|known| known.trim().eq_ignore_ascii_case(name));
            at.is_some_and(|at| !said.iter().any(|(said, _)| *said == at))
        };
        match (has("UNSUB_TIME"), has("CLEAN_TIME")) {
            (true, false) => Some(SubscriberState::Unsubscribed),
            (false, true) => Some(SubscriberState::Bounced),
            // Files that somebody joined: each row by its own cells.
            _ => None,
        }
    }

    fn reads(&self, at: usize) -> bool {
        let single = [Some(self.email), self.source, self.timezone];
        let many = self
            .name
            .iter()
            .chain(&self.parts)
            .chain(&self.confirmed_at);
        single.contains(&Some(at))
            || many.into_iter().any(|known| *known == at)
            || self.standing.iter().any(|(known, _)| *known == at)
    }

    fn check_unread(&self, names: &[String]) -> Result<(), String> {
        let is_known = |at: usize| {
            self.service
                .is_some_and(|service| service.explains(&names[at]))
        };
        let speaks = |at: usize| !is_known(at) && speaks_of_leaving(&self.header[at]);
        let unclear: Vec<&str> = self
            .unread
            .iter()
            .filter(|(at, ignored)| !ignored && speaks(*at))
            .map(|(at, _)| self.header[*at].as_str())
            .collect();
        let Some(first) = unclear.first() else {
            return Ok(());
        };
        let (columns, them) = if unclear.len() == 1 {
            ("column", "it")
        } else {
            ("columns", "each")
        };
        let names: Vec<String> = unclear.iter().map(|name| format!("{name:?}")).collect();
        Err(format!(
            "the {columns} {} may say who left, and what {them} means is not known. Say it with --map left={first:?} (or subscribed=, \
             state=), or leave {them} out with --ignore-column {first:?}",
            names.join(", ")
        ))
    }

    /// Reads a row.
    ///
    /// # Errors
    /// A sentence: what was expected instead.
    pub fn row(&self, record: &ByteRecord, decode: &mut Decode) -> Result<ParsedRow, String> {
        self.check_length(record)?;
        let mut cells = Cells { record, decode };
        // What our own export made of a text that a spreadsheet would compute.
        let own = |cell: Cow<'_, str>| {
            if self.service.is_none() {
                taken(&cell).to_owned()
            } else {
                cell.into_owned()
            }
        };
        let email = cells.text(self.email)?.ok_or("there is no address in it")?;
        let email = EmailAddress::parse_new(if self.service.is_none() {
            taken(&email)
        } else {
            &email
        })
        .map_err(|error| error.to_string())?;
        let mut name = None;
        for at in &self.name {
            join(&mut name, cells.text(*at)?.map(own));
        }
        if name.is_none() {
            for at in &self.parts {
                join(&mut name, cells.text(*at)?.map(own));
            }
        }
        let state = self.state(&mut cells)?;
        self.check_silent(&mut cells)?;
        Ok(ParsedRow {
            email,
            name,
            confirmed_at: self.confirmed(&mut cells)?,
            source: match self.source {
                Some(at) => cells.text(at)?.map(|source| Cow::Owned(own(source))),
                None => None,
            }
            .or_else(|| self.service.map(|service| service.name.into())),
            state,
            timezone: match self.timezone {
                Some(at) => cells.text(at)?.and_then(|text| timezone(&text)),
                None => None,
            },
        })
    }

    /// A row may lack its last fields, as spreadsheet programs write it, unless they would say how somebody stands: a row that was
    /// broken in two must not bring anybody back. Empty fields behind the last column are nothing.
    fn check_length(&self, record: &ByteRecord) -> Result<(), String> {
        let (count, length) = (self.header.len(), record.len());
        let missing = self.standing.iter().find(|(at, _)| *at >= length);
        if let Some((at, _)) = missing {
            return Err(format!(
                "expected {count} fields as in the header, it has {length} and ends before {:?}",
                self.header[*at]
            ));
        }
        if record
            .iter()
            .skip(count)
            .any(|field| !field.trim_ascii().is_empty())
        {
            return Err(format!(
                "expected {count} fields as in the header, it has {length}"
            ));
        }
        Ok(())
    }

    /// The service whose export the header is.
    pub fn service(&self) -> Option<&'static str> {
        self.service.map(|service| service.name)
    }

    /// The names of the columns that nothing was read from.
    pub fn unused(&self) -> Vec<String> {
        self.unread
            .iter()
            .map(|(at, _)| self.header[*at].clone())
            .filter(|name| !REFUSED_COLUMNS.contains(&name.as_str()))
            .collect()
    }

    /// Returns what each column that is read was taken for.
    pub fn used(&self) -> Vec<(String, &'static str)> {
        let field = |at: usize| {
            let standing = self
                .standing
                .iter()
                .find(|(known, _)| *known == at)
                .map(|(_, standing)| *standing);
            match standing {
                Some(StateEncoding::State) => "state",
                Some(
                    StateEncoding::Left(SubscriberState::Bounced)
                    | StateEncoding::Reason(SubscriberState::Bounced)
                    | StateEncoding::Mailbox,
                ) => "bounced",
                Some(StateEncoding::Left(SubscriberState::Complained)) => "complained",
                Some(StateEncoding::Left(_) | StateEncoding::Reason(_)) => "left",
                Some(StateEncoding::Subscribed) => "subscribed",
                Some(StateEncoding::Confirmed) => "confirmed",
                None if at == self.email => "email",
                None if self.confirmed_at.contains(&at) => "confirmed_at",
                None if self.source == Some(at) => "source",
                None if self.timezone == Some(at) => "timezone",
                None => "name",
            }
        };
        (0..self.header.len())
            .filter(|at| self.reads(*at))
            .map(|at| (self.header[at].clone(), field(at)))
            .collect()
    }

    /// The header as it is spelled.
    pub fn header(&self) -> &[String] {
        &self.header
    }
}

/// Returns what a column holds by its name; the geography of an address is no state of a subscription.
fn by_name(name: &str, names: &[String], service: Option<&Service>) -> Option<(ColumnRole, usize)> {
    let has = |wanted: &[&str]| names.iter().any(|name| wanted.contains(&name.as_str()));
    match name {
        "state" | "estado" | "stato"
            if has(&[
                "city",
                "ciudad",
                "cidade",
                "citta",
                "zip",
                "zipcode",
                "postalcode",
                "country",
                "pais",
                "address",
                "address1",
            ]) =>
        {
            None
        }
        "type" if service.is_some_and(|service| service.name == "buttondown") => {
            Some((ColumnRole::Standing(StateEncoding::State), 0))
        }
        _ => role(name),
    }
}

fn no_address(header: &[String]) -> String {
    let first = header
        .iter()
        .position(|name| EmailAddress::parse(name.trim()).is_ok());
    let hint = match first {
        Some(_) => {
            "its first line has an address in it: put a line of column names above".to_owned()
        }
        None => format!(
            "it has: {}. Name the column with --map email=COLUMN (a name, or a number from 1)",
            listed(header)
        ),
    };
    format!("expected a header with a column \"email\", {hint}")
}

fn join(name: &mut Option<String>, part: Option<String>) {
    match (name, part) {
        (Some(name), Some(part)) => {
            name.push(' ');
            name.push_str(&part);
        }
        (name, Some(part)) => *name = Some(part),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
