//! The operator's side of the list: import, export, look up, add, erase.

use std::borrow::Cow;
use std::io::Read;
use std::io::Write;

use crate::app::App;
use crate::app::Failure;
use crate::app::subscribing::columns::Mapping;
use crate::app::subscribing::columns::ParsedRow;
use crate::app::subscribing::sign_up::Origin;
use crate::app::subscribing::spreadsheet::Spreadsheet;
use crate::app::subscribing::spreadsheet::UnreadableRow;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::subscriber::SubscriberState;
use crate::storage::imports::ImportRow;
use crate::storage::people::Listed;
use crate::storage::people::Person;
use crate::storage::subscribers::SignedUp;

/// Refused rows that an answer names; all are counted.
const NAMED: usize = 100;

/// Counts of an import; `read` is the sum of the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ImportReport {
    /// Rows in the file.
    pub read: u64,
    /// New on the list.
    pub added: u64,
    /// Known already, and left as they are.
    pub known: u64,
    /// On the suppression list, and left out.
    pub suppressed: u64,
    /// Could not be read.
    pub refused: u64,
    /// The first of the refused rows.
    pub refusals: Vec<UnreadableRow>,
    /// True if it was only tried.
    pub dry_run: bool,
    /// The service whose export it is, by its header.
    pub service: Option<&'static str>,
    /// Encoding by which its bytes were read.
    pub encoding: &'static str,
    /// Use of each column that is read.
    pub columns: Vec<ColumnUse>,
    /// The columns that nothing was read from.
    pub unused: Vec<String>,
}

/// Use of a column.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ColumnUse {
    /// Its name in the file.
    pub column: String,
    /// The field.
    pub field: &'static str,
}

/// Options of an import.
#[derive(Debug, Clone, Copy)]
pub struct ImportTerms<'a> {
    /// Text that the people in the file agreed to, in the operator's words: goes into each consent record.
    pub consent: &'a str,
    /// They confirmed elsewhere; otherwise each gets a confirmation mail.
    pub confirmed: bool,
    /// Count, and change nothing.
    pub dry_run: bool,
}

impl App {
    /// Takes in a file of subscribers whose columns speak for themselves: [`App::import_file`] without a mapping.
    ///
    /// # Errors
    /// As there.
    pub async fn import_subscribers(
        &self,
        actor: &Actor,
        file: impl Read + Send,
        terms: ImportTerms<'_>,
        row_read: impl Fn(u64) + Send + Sync,
    ) -> Result<ImportReport, Failure> {
        self.import_file(actor, file, terms, &Mapping::default(), None, row_read)
            .await
    }

    /// Takes in a file of subscribers, all or nothing, in memory that does not grow with it. `refused` gets the refused rows as CSV
    /// with their lines and reasons; `row_read` is called for each row.
    ///
    /// # Errors
    /// When the file cannot be read to its end, a column must be explained, or the database refuses; then nothing was imported.
    /// Broken rows are no error: they are counted and named.
    pub async fn import_file(
        &self,
        actor: &Actor,
        file: impl Read + Send,
        terms: ImportTerms<'_>,
        mapping: &Mapping,
        refused: Option<Box<dyn Write + Send>>,
        row_read: impl Fn(u64) + Send + Sync,
    ) -> Result<ImportReport, Failure> {
        let fault = |error: String| {
            Failure::invalid(format!(
                "The file cannot be imported: {error}. Nothing was imported."
            ))
        };
        let mut sheet = Spreadsheet::open(file, mapping).map_err(fault)?;
        let mut refused =
            refused.map(|file| csv::WriterBuilder::new().flexible(true).from_writer(file));
        if let Some(file) = &mut refused {
            sheet
                .write_header(file)
                .map_err(|error| fault(unwritten(&error)))?;
        }
        let mut report = ImportReport {
            dry_run: terms.dry_run,
            ..ImportReport::default()
        };
        let mut arrivals = std::iter::from_fn(|| {
            let row = next_good_row(&mut sheet, &mut refused, &mut report, &row_read)?;
            Some(row.map(|row| self.arrival(row, terms)))
        });
        let key_name = self
            .secrets
            .key_names()
            .into_iter()
            .next()
            .unwrap_or_default();
        let arrived = self
            .storage
            .import_subscribers(
                actor,
                &mut arrivals,
                terms.consent,
                &key_name,
                terms.dry_run,
                self.now(),
            )
            .await?;
        let arrived = arrived.map_err(fault)?;
        (report.added, report.known, report.suppressed) =
            (arrived.added, arrived.known, arrived.suppressed);
        describe(&mut report, &sheet);
        if !terms.dry_run {
            self.storage.refresh_statistics().await?;
            tracing::info!(
                read = report.read,
                added = report.added,
                refused = report.refused,
                "subscribers imported"
            );
            self.wake_senders();
        }
        Ok(report)
    }

    fn arrival(&self, row: ParsedRow, terms: ImportTerms<'_>) -> ImportRow {
        let state = match row.state {
            Some(
                ended @ (SubscriberState::Unsubscribed
                | SubscriberState::Bounced
                | SubscriberState::Complained),
            ) => ended,
            Some(SubscriberState::Pending) => SubscriberState::Pending,
            _ if terms.confirmed => SubscriberState::Active,
            _ => SubscriberState::Pending,
        };
        ImportRow {
            hashes: self.secrets.address_hashes(&row.email),
            email: row.email,
            name: row.name,
            timezone: row.timezone,
            source: row.source.map_or_else(|| "import".into(), Cow::into_owned),
            state,
            confirmed_at: row
                .confirmed_at
                .or_else(|| (state == SubscriberState::Active).then(|| self.now())),
        }
    }

    /// A page of the list, after the subscriber numbered `after`.
    pub async fn list_subscribers(&self, after: i64, count: i64) -> Result<Vec<Listed>, Failure> {
        Ok(self.storage.subscribers_after(after, count).await?)
    }

    /// Everything that is kept of somebody.
    pub async fn person(&self, email: &EmailAddress) -> Result<Person, Failure> {
        if let Some(person) = self.storage.person(email).await? {
            return Ok(person);
        }
        let suppressed = self
            .storage
            .is_suppressed(&self.secrets.address_hashes(email))
            .await?;
        let hint = if suppressed {
            "only a keyed hash of it is left, on the suppression list"
        } else {
            "it is not known here"
        };
        Err(Failure::not_found(format!(
            "There is no subscriber {email}: {hint}."
        )))
    }

    /// Signs somebody up by hand: they get the confirmation mail, as anybody does, unless it is to be sent later (`is_quiet`).
    pub async fn add_subscriber(
        &self,
        actor: &Actor,
        email: &EmailAddress,
        consent: &str,
        is_quiet: bool,
    ) -> Result<SignedUp, Failure> {
        self.sign_up(
            actor,
            email,
            None,
            Origin {
                source: "operator",
                shown: consent,
                timezone: None,
                client: None,
                is_quiet,
            },
        )
        .await
    }

    /// The keyed hashes under which an address stands on the suppression list, newest secret first.
    pub fn address_hashes(&self, email: &EmailAddress) -> Vec<String> {
        self.secrets.address_hashes(email)
    }

    /// Forgets somebody; what stays is a keyed hash on the suppression list. Doing it twice is doing it once.
    pub async fn erase_subscriber(
        &self,
        actor: &Actor,
        email: &EmailAddress,
    ) -> Result<(), Failure> {
        let hashes = self.secrets.address_hashes(email);
        let Some(key_name) = self.secrets.key_names().into_iter().next() else {
            return Err(Failure::invalid_field(
                "site.secret",
                "site.secret: expected at least one secret.",
            ));
        };
        let hash_of = |key: &str| {
            self.secrets
                .address_hashes(&EmailAddress::parse(key).ok()?)
                .into_iter()
                .next()
        };
        if self
            .storage
            .erase(actor, email, &hash_of, &key_name, self.now())
            .await?
        {
            tracing::info!("a subscriber was erased");
            return Ok(());
        }
        match self.storage.is_suppressed(&hashes).await? {
            true => Ok(()),
            false => Err(Failure::not_found(format!(
                "There is no subscriber {email}: nothing was erased."
            ))),
        }
    }
}

fn unwritten(error: &dyn std::fmt::Display) -> String {
    format!("the file of refused rows cannot be written: {error}")
}

/// File of the rows that were refused.
type RefusedRows = csv::Writer<Box<dyn Write + Send>>;

/// Reads on to the next row that can be imported. Rows before it that cannot are counted, named and written to `refused`; at the end of
/// the sheet that file is flushed, before anything is committed.
fn next_good_row(
    sheet: &mut Spreadsheet<'_>,
    refused: &mut Option<RefusedRows>,
    report: &mut ImportReport,
    row_read: &impl Fn(u64),
) -> Option<Result<ParsedRow, String>> {
    loop {
        let row = match sheet.next_row() {
            Some(Ok(row)) => row,
            Some(Err(error)) => return Some(Err(error)),
            None => {
                let flushed = refused.as_mut()?.flush();
                return flushed.err().map(|error| Err(unwritten(&error)));
            }
        };
        report.read += 1;
        row_read(report.read);
        let reason = match row {
            Ok(row) => return Some(Ok(row)),
            Err(reason) => reason,
        };
        let written = refused
            .as_mut()
            .map(|file| sheet.write_refused(file, &reason));
        if let Some(Err(error)) = written {
            return Some(Err(unwritten(&error)));
        }
        report.refused += 1;
        if report.refusals.len() < NAMED {
            report.refusals.push(reason);
        }
    }
}

/// Notes how the sheet was read.
fn describe(report: &mut ImportReport, sheet: &Spreadsheet<'_>) {
    let columns = sheet.columns();
    report.service = columns.service();
    report.encoding = sheet.encoding();
    report.unused = columns.unused();
    let used = columns.used().into_iter();
    report.columns = used
        .map(|(column, field)| ColumnUse { column, field })
        .collect();
}
