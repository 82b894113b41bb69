//! A file of subscribers before it is imported: its columns, and its first rows as they will be read.

use std::io::Read;

use crate::app::subscribing::columns::Mapping;
use crate::app::subscribing::columns::ParsedRow;
use crate::app::subscribing::spreadsheet::Spreadsheet;
use crate::domain::zone::ZoneName;

/// Rows that are shown.
const SAMPLE: usize = 20;

/// A column of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewColumn {
    /// Its name in the file.
    pub name: String,
    /// Field that it is taken for.
    pub field: Option<&'static str>,
}

/// A row as it will be read: address, name, time of confirmation, source, state, time zone; or why it is refused, with its line.
pub type PreviewRow = Result<[String; 6], (u64, String)>;

/// A file before it is imported.
#[derive(Debug, Clone)]
pub struct ImportPreview {
    /// Columns.
    pub columns: Vec<PreviewColumn>,
    /// Service whose export it is, by its header.
    pub service: Option<&'static str>,
    /// Fault of the columns, which must be explained first.
    pub problem: Option<String>,
    /// Its first rows.
    pub rows: Vec<PreviewRow>,
}

/// Reads the header and the first rows. `open` gives the file from its start, and may be called twice.
///
/// # Errors
/// A sentence: not even the header can be read.
pub fn preview<R: Read + Send>(
    mut open: impl FnMut() -> Result<R, String>,
    mapping: &Mapping,
) -> Result<ImportPreview, String> {
    let names = Spreadsheet::header(open()?)?;
    let mut sheet = match Spreadsheet::open(open()?, mapping) {
        Ok(sheet) => sheet,
        Err(problem) => {
            let column = |name| PreviewColumn { name, field: None };
            return Ok(ImportPreview {
                columns: names.into_iter().map(column).collect(),
                service: None,
                problem: Some(problem),
                rows: Vec::new(),
            });
        }
    };
    let used = sheet.columns().used();
    let field_of = |name: &str| {
        used.iter()
            .find(|(known, _)| known == name)
            .map(|(_, field)| *field)
    };
    let columns = names
        .into_iter()
        .map(|name| PreviewColumn {
            field: field_of(&name),
            name,
        })
        .collect();
    let service = sheet.columns().service();
    let mut rows = Vec::new();
    while rows.len() < SAMPLE {
        match sheet.next_row() {
            Some(Ok(Ok(row))) => rows.push(Ok(cells(row))),
            Some(Ok(Err(refused))) => rows.push(Err((refused.line, refused.reason))),
            Some(Err(error)) => return Err(error),
            None => break,
        }
    }
    Ok(ImportPreview {
        columns,
        service,
        problem: None,
        rows,
    })
}

fn cells(row: ParsedRow) -> [String; 6] {
    [
        row.email.as_str().to_owned(),
        row.name.unwrap_or_default(),
        row.confirmed_at
            .map_or_else(String::new, |at| at.format("%Y-%m-%d").to_string()),
        row.source
            .map_or_else(String::new, std::borrow::Cow::into_owned),
        row.state
            .map_or_else(String::new, |state| state.to_string()),
        row.timezone.map_or("", ZoneName::name).to_owned(),
    ]
}
