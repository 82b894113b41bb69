//! `subscribers import`: a file is read, its rows are entered, and refused rows are written beside it.

use std::fs::File;
use std::io::BufReader;
use std::io::BufWriter;
use std::path::Path;
use std::path::PathBuf;

use serde_json::json;

use super::super::output::Output;
use super::super::output::bar;
use super::super::output::lines_instead_of_bars;
use super::super::output::say;
use crate::app::App;
use crate::app::Failure;
use crate::app::private_file;
use crate::app::subscribing::columns::Mapping;
use crate::app::subscribing::list::ImportReport;
use crate::app::subscribing::list::ImportTerms;
use crate::domain::actor::Actor;

pub(super) async fn import(
    app: &App,
    file: &Path,
    terms: ImportTerms<'_>,
    mapping: &Mapping,
    refused: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    // Measured by bytes: how many rows there are shows only at the end.
    let opened = if file == Path::new("-") {
        spooled(std::io::stdin())?
    } else {
        File::open(file).map_err(|error| {
            Failure::invalid(format!("{} cannot be read: {error}.", file.display()))
        })?
    };
    let length = opened.metadata().map_or(0, |about| about.len());
    let progress = bar(length, "Reading");
    let counted = |rows: u64| {
        if rows.is_multiple_of(1_000) {
            progress.set_message(format!("{rows} rows"));
        }
        if lines_instead_of_bars() && rows.is_multiple_of(100_000) {
            say(format_args!("{rows} rows"));
        }
    };
    let source = BufReader::new(progress.wrap_read(opened));
    let draft = refused
        .map(|path| RefusedFile::beside(path, file))
        .transpose()?;
    let written = draft.as_ref().map(RefusedFile::create).transpose()?;
    let report = app
        .import_file(&Actor::cli(), source, terms, mapping, written, counted)
        .await?;
    progress.finish_and_clear();
    draft.map(RefusedFile::keep).transpose()?;
    output.print(&json!(report), || report_text(&report))
}

/// All of standard input, in a file without a name: whoever types or pipes slowly must not hold the database meanwhile.
fn spooled(mut input: impl std::io::Read) -> Result<File, Failure> {
    let fault = |error: std::io::Error| {
        Failure::invalid(format!(
            "Standard input cannot be read: {error}. Nothing was imported."
        ))
    };
    let mut file = tempfile::tempfile().map_err(fault)?;
    std::io::copy(&mut input, &mut file).map_err(fault)?;
    std::io::Seek::rewind(&mut file).map_err(fault)?;
    Ok(file)
}

/// The file of refused rows, written aside and moved into place when the import is done; dropped before that, it goes.
struct RefusedFile {
    path: PathBuf,
    draft: PathBuf,
}

impl RefusedFile {
    fn beside(path: &Path, source: &Path) -> Result<Self, Failure> {
        let is_source = matches!((path.canonicalize(), source.canonicalize()), (Ok(path), Ok(source)) if path == source);
        if is_source || path == Path::new("-") {
            return Err(Failure::invalid_field(
                "refused",
                "--refused: expected a file of its own, not the one that is imported. Nothing was imported.",
            ));
        }
        let mut draft = path.as_os_str().to_owned();
        draft.push(".part");
        Ok(Self {
            path: path.to_owned(),
            draft: draft.into(),
        })
    }

    fn create(&self) -> Result<Box<dyn std::io::Write + Send>, Failure> {
        let file = private_file(&self.draft).map_err(|error| self.fault(&error))?;
        Ok(Box::new(BufWriter::new(file)))
    }

    fn keep(self) -> Result<(), Failure> {
        std::fs::rename(&self.draft, &self.path).map_err(|error| self.fault(&error))
    }

    fn fault(&self, error: &std::io::Error) -> Failure {
        Failure::internal(format!(
            "{} cannot be written: {error}.",
            self.path.display()
        ))
    }
}

impl Drop for RefusedFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.draft);
    }
}

fn report_text(report: &ImportReport) -> String {
    let ImportReport {
        read,
        added,
        known,
        suppressed,
        refused,
        refusals,
        dry_run,
        ..
    } = report;
    let tried = if *dry_run {
        "Only tried, nothing was changed: "
    } else {
        ""
    };
    let mut text = format!(
        "{tried}{read} rows read: {added} added, {known} known, {suppressed} suppressed, {refused} refused\n"
    );
    let service = report
        .service
        .map(|service| format!(" as an export of {service}"))
        .unwrap_or_default();
    let columns: Vec<String> = report
        .columns
        .iter()
        .map(|used| format!("{} = {:?}", used.field, used.column))
        .collect();
    text.push_str(&format!(
        "read{service}, in {}: {}\n",
        report.encoding,
        columns.join(", ")
    ));
    if !report.unused.is_empty() {
        let unused: Vec<String> = report
            .unused
            .iter()
            .map(|name| format!("{name:?}"))
            .collect();
        text.push_str(&format!("columns not used: {}\n", unused.join(", ")));
    }
    for refusal in refusals {
        text.push_str(&format!("line {}: {}\n", refusal.line, refusal.reason));
    }
    if *refused > refusals.len() as u64 {
        text.push_str(&format!("and {} more\n", refused - refusals.len() as u64));
    }
    text
}
