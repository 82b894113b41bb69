//! Catalogue in and out, and the sample that a first start brings.

mod archive;
pub mod document;
pub mod editing;
pub mod listing;
pub(super) mod page_check;

use std::path::Path;
use std::path::PathBuf;

use super::App;
use super::Failure;
use crate::app::catalogue::document::Catalogue;
use crate::app::catalogue::document::Format;
use crate::domain::actor::Actor;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue_change::EntryKind;
use crate::storage::catalogue_import::ImportMode;
use crate::storage::catalogue_import::Imported;

/// The sample catalogue, inside the program so that it needs no files to start. Every tool in it is invented.
const SAMPLE: [(&str, &str); 7] = [
    (
        "audio-and-video.toml",
        include_str!("../../content/audio-and-video.toml"),
    ),
    (
        "automation.toml",
        include_str!("../../content/automation.toml"),
    ),
    ("data.toml", include_str!("../../content/data.toml")),
    ("design.toml", include_str!("../../content/design.toml")),
    (
        "developer-tools.toml",
        include_str!("../../content/developer-tools.toml"),
    ),
    ("research.toml", include_str!("../../content/research.toml")),
    ("writing.toml", include_str!("../../content/writing.toml")),
];

/// The largest document that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// Reads a document: a file, a folder of them, a zip file of such a folder, or `-` for JSON from standard input.
///
/// # Errors
/// A sentence that names the file, the line or key, and what was expected there.
pub fn read(path: &Path) -> Result<Catalogue, Failure> {
    if path == Path::new("-") {
        let text = std::io::read_to_string(std::io::stdin()).map_err(|error| {
            Failure::invalid(format!("Standard input cannot be read: {error}."))
        })?;
        return not_empty(
            parse("standard input", &text, Format::Json)?,
            "standard input",
        );
    }
    if !path.exists() {
        return Err(Failure::invalid(format!(
            "{} cannot be read: it is not there.",
            path.display()
        )));
    }
    let unreadable = |error: std::io::Error| {
        Failure::invalid(format!("{} cannot be read: {error}.", path.display()))
    };
    let name = path.display().to_string();
    if archive::is_archive(path) && path.is_file() {
        return read_archive(std::fs::File::open(path).map_err(unreadable)?, &name);
    }
    let files = files_at(path).map_err(unreadable)?;
    let parts = files
        .iter()
        .map(|file| (file.display().to_string(), read_file(file)));
    together(parts, &name)
}

/// Reads a text that came under a name, in a format that is known.
///
/// # Errors
/// A sentence that names the line or key, and what was expected there.
pub fn read_document(name: &str, text: &str, format: Format) -> Result<Catalogue, Failure> {
    not_empty(parse(name, text, format)?, name)
}

/// Reads a file that came with a name: TOML, JSON, or a zip file of these.
///
/// # Errors
/// As [`read`].
pub(super) fn read_named(
    name: &str,
    mut file: std::fs::File,
    bytes: u64,
) -> Result<Catalogue, Failure> {
    let path = Path::new(name);
    if archive::is_archive(path) {
        return read_archive(file, name);
    }
    let format = Format::of(path).ok_or_else(|| {
        Failure::invalid(format!(
            "{name}: expected a name that ends in .toml, .json or .zip."
        ))
    })?;
    if bytes > LARGEST {
        return Err(Failure::invalid(format!("{name}: it is too large.")));
    }
    let mut text = String::new();
    std::io::Read::read_to_string(&mut file, &mut text)
        .map_err(|_| Failure::invalid(format!("{name}: it is no UTF-8 text.")))?;
    together(
        [(name.to_owned(), checked(&text, format))].into_iter(),
        name,
    )
}

/// Reads a zip file of documents.
fn read_archive(file: std::fs::File, name: &str) -> Result<Catalogue, Failure> {
    let files = archive::documents(file)
        .map_err(|fault| Failure::invalid(format!("{name} cannot be read: {fault}.")))?;
    let parts = files.into_iter().map(|(file, text)| {
        let part = Format::of(Path::new(&file))
            .ok_or_else(|| "expected a name that ends in .toml or .json".to_owned())
            .and_then(|format| checked(&text, format));
        (file, part)
    });
    together(parts, name)
}

/// One catalogue of several documents, each with its name. Every fault is named.
fn together(
    parts: impl Iterator<Item = (String, Result<Catalogue, String>)>,
    name: &str,
) -> Result<Catalogue, Failure> {
    let (mut whole, mut faults) = (Catalogue::default(), Vec::new());
    for (file, part) in parts {
        match part.and_then(|part| whole.merge(part)) {
            Ok(()) => {}
            Err(fault) => faults.extend(fault.lines().map(|fault| format!("{file}: {fault}"))),
        }
    }
    if !faults.is_empty() {
        return Err(Failure::invalid(format!("{}.", all_faults(faults))));
    }
    not_empty(whole, name)
}

fn checked(text: &str, format: Format) -> Result<Catalogue, String> {
    let catalogue = Catalogue::parse(text, format)?;
    catalogue.check()?;
    Ok(catalogue)
}

/// Faults that an answer names; all are counted.
const NAMED: usize = 50;

/// Faults as one text, a line each.
fn all_faults(mut faults: Vec<String>) -> String {
    let more = faults.len().saturating_sub(NAMED);
    faults.truncate(NAMED);
    if more > 0 {
        faults.push(format!("and {more} more"));
    }
    faults.join("\n")
}

/// A document without anything is a wrong path more often than a wish.
fn not_empty(catalogue: Catalogue, name: &str) -> Result<Catalogue, Failure> {
    match catalogue.tools.is_empty() && catalogue.comparisons.is_empty() {
        true => Err(Failure::invalid(format!(
            "{name}: expected tools or comparisons in .toml or .json files, there are none."
        ))),
        false => Ok(catalogue),
    }
}

fn read_file(file: &Path) -> Result<Catalogue, String> {
    let format = Format::of(file).ok_or("expected a name that ends in .toml or .json")?;
    let text = read_text(file).map_err(|error| format!("it cannot be read: {error}"))?;
    checked(&text, format)
}

/// The sample, with its own dates.
pub fn sample() -> Result<Catalogue, Failure> {
    let mut whole = Catalogue::default();
    for (name, text) in SAMPLE {
        whole
            .merge(parse(name, text, Format::Toml)?)
            .map_err(|fault| Failure::internal(format!("{name}: {fault}.")))?;
    }
    Ok(whole)
}

impl App {
    /// Returns what an import of a document would do, without writing.
    pub async fn check_catalogue(
        &self,
        catalogue: &Catalogue,
        replace: bool,
    ) -> Result<Imported, Failure> {
        // Nothing is written, so nobody acts.
        self.import_catalogue_as(
            &Actor::system(),
            catalogue,
            ImportMode {
                replace,
                dry_run: true,
                ..ImportMode::default()
            },
        )
        .await
    }

    /// Writes a document into the database, all or nothing; doing it twice is doing it once. What it does not mention stays.
    pub async fn import_catalogue(
        &self,
        actor: &Actor,
        catalogue: &Catalogue,
    ) -> Result<Imported, Failure> {
        self.import_catalogue_as(actor, catalogue, ImportMode::default())
            .await
    }

    /// The same, where the document may be the whole catalogue.
    pub async fn import_catalogue_as(
        &self,
        actor: &Actor,
        catalogue: &Catalogue,
        mode: ImportMode,
    ) -> Result<Imported, Failure> {
        let imported = self
            .storage
            .import_catalogue(
                actor,
                &catalogue.tools,
                &catalogue.comparisons,
                mode,
                self.now(),
            )
            .await?;
        let there = if mode.replace {
            "in the document, which replaces all"
        } else {
            "here or in the database"
        };
        let told = |faults: Vec<String>| {
            all_faults(
                faults
                    .into_iter()
                    .map(|fault| format!("{fault}, {there}"))
                    .collect(),
            )
        };
        imported
            .map_err(|faults| Failure::invalid(format!("{}; nothing was imported.", told(faults))))
    }

    /// Takes a comparison out, or a tool with everything that hangs on it; of two with one slug the comparison, unless `only` says which.
    pub async fn remove_from_catalogue(
        &self,
        actor: &Actor,
        slug: &Slug,
        only: Option<EntryKind>,
    ) -> Result<Imported, Failure> {
        let removed = self
            .storage
            .remove_from_catalogue(actor, slug, only, self.now())
            .await?;
        removed.ok_or_else(|| {
            Failure::not_found(format!(
                "There is no tool and no comparison {slug}: nothing was removed."
            ))
        })
    }

    /// Takes the sample's tools and comparisons out; answers how many there were of each.
    pub async fn drop_sample(&self, actor: &Actor) -> Result<(u64, u64), Failure> {
        Ok(self.storage.drop_sample(actor, self.now()).await?)
    }

    /// The whole catalogue of the database.
    pub async fn export_catalogue(&self) -> Result<Catalogue, Failure> {
        let (tools, comparisons) = self.storage.export_catalogue().await?;
        Ok(Catalogue { tools, comparisons })
    }

    /// Brings the sample into an empty catalogue of the embedded defaults, its dates moved so that the newest is now, and
    /// says so. Answers how many tools it brought.
    pub async fn bring_sample(&self) -> Result<usize, Failure> {
        if !self.settings.is_embedded_default() || !self.storage.is_catalogue_empty().await? {
            return Ok(0);
        }
        if !self.storage.note_sample(self.now()).await? {
            return Ok(0);
        }
        let mut catalogue = sample()?;
        catalogue.move_dates_to(self.now());
        self.import_catalogue(&Actor::system(), &catalogue).await?;
        Ok(catalogue.tools.len())
    }
}

/// Writes a document to a file by its ending, into a folder as `catalogue.toml`, or as JSON to standard output (`-`).
pub fn write(catalogue: &Catalogue, path: &Path) -> Result<(), Failure> {
    let fault = |error: String| {
        Failure::internal(format!("{} cannot be written: {error}.", path.display()))
    };
    if path == Path::new("-") {
        use std::io::Write as _;
        let text = catalogue.write(Format::Json).map_err(fault)?;
        return std::io::stdout()
            .write_all(text.as_bytes())
            .map_err(|error| fault(error.to_string()));
    }
    let file = if path.is_dir() {
        path.join("catalogue.toml")
    } else {
        path.to_path_buf()
    };
    let format = Format::of(&file)
        .ok_or_else(|| fault("expected a folder, or a name that ends in .toml or .json".into()))?;
    std::fs::write(&file, catalogue.write(format).map_err(fault)?)
        .map_err(|error| fault(error.to_string()))
}

fn parse(name: &str, text: &str, format: Format) -> Result<Catalogue, Failure> {
    checked(text, format).map_err(|fault| Failure::invalid(format!("{name}: {fault}.")))
}

/// The file itself, or those below a folder that are documents, in the order of their names.
fn files_at(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut entries = std::fs::read_dir(path)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()?;
    entries.sort();
    let mut files = Vec::new();
    for entry in entries {
        if entry.is_dir() && !entry.is_symlink() {
            files.extend(files_at(&entry)?);
        } else if Format::of(&entry).is_some() {
            files.push(entry);
        }
    }
    Ok(files)
}

fn read_text(path: &Path) -> std::io::Result<String> {
    match std::fs::metadata(path)?.len() {
        length if length > LARGEST => Err(std::io::Error::other(format!(
            "it has {length} bytes, at most {LARGEST} are read"
        ))),
        _ => std::fs::read_to_string(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_sample_is_large_enough_to_look_real_and_says_what_it_is() {
        let sample = sample().expect("good");
        let categories: HashSet<&str> = sample
            .tools
            .iter()
            .map(|tool| tool.category.as_str())
            .collect();
        assert!(
            sample.tools.len() >= 24 && categories.len() >= 6 && sample.comparisons.len() >= 30
        );
        assert!(
            sample
                .tools
                .iter()
                .all(|tool| tool.sample && (4..=5).contains(&tool.reviews.len()))
        );
        assert!(
            sample
                .comparisons
                .iter()
                .all(|comparison| comparison.sample)
                && sample.outside_tools().is_empty()
        );
        let dates = || {
            sample
                .comparisons
                .iter()
                .map(|comparison| comparison.published_at)
        };
        let weeks = (dates().max().expect("some") - dates().min().expect("some")).num_days();
        assert!((49..=56).contains(&weeks), "eight weeks: {weeks} days");
    }

    #[test]
    fn the_files_in_content_are_the_sample() {
        let folder = read(Path::new("content")).expect("good");
        assert_eq!(folder, sample().expect("good"));
    }
}
