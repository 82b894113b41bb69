//! Reading what a source holds now, without writing anything.

use std::path::Path;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use sha2::Digest;
use sha2::Sha256;
use url::Url;

use super::fetch;
use super::fetch::FetchedSource;
use super::fetch::LookFault;
use super::fetch::SourceAnswer;
use super::fetch::Validators;
use crate::app::App;
use crate::app::Failure;
use crate::app::catalogue;
use crate::app::catalogue::document::Catalogue;
use crate::app::catalogue::document::Format;
use crate::content;
use crate::domain::source::FoundComparison;
use crate::domain::source::FoundEntry;
use crate::domain::source::FoundTool;
use crate::domain::source::RemarkKind;
use crate::domain::source::SourceKind;
use crate::outside::HttpClient;
use crate::storage::sources::ContentSource;
use crate::storage::sources::SourceDraft;

/// Pages of new entries that one look follows.
const FOLLOWED_MAX: usize = 20;
/// Files of a folder that are looked at.
const FILES_MAX: usize = 5_000;
/// Identity of a catalogue document: it is decided on as a whole.
pub(super) const DOCUMENT: &str = "catalogue";

/// State of a source.
#[derive(Debug)]
pub(super) enum SourceContent {
    /// As it was.
    Unchanged,
    /// Entries, and by what the version is known.
    Read {
        entries: Vec<FoundEntry>,
        validators: Validators,
        moved: Option<Url>,
    },
}

impl App {
    /// Reads a source. `known`: the source as it is stored, if it is; without it, everything is read.
    pub(super) async fn read_source(
        &self,
        draft: &SourceDraft,
        known: Option<&ContentSource>,
    ) -> Result<SourceContent, LookFault> {
        let validators = known.map_or_else(Validators::default, |known| Validators {
            etag: known.seen.clone(),
            modified: known.modified.clone(),
        });
        if draft.kind == SourceKind::Folder {
            return self.read_folder(draft, validators.etag.as_deref()).await;
        }
        let url = Url::parse(&draft.url)
            .map_err(|error| format!("The address cannot be read: {error}."))?;
        let client = fetch::client(&self.settings.sources.allow_private)?;
        let accept = match draft.kind {
            SourceKind::Feed => {
                "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1"
            }
            SourceKind::Page => "text/html, application/xhtml+xml, text/plain;q=0.5",
            _ => "application/json, application/toml, text/plain;q=0.5",
        };
        let fetched = match fetch::fetch(&client, &url, &validators, accept, self.now()).await? {
            SourceAnswer::Unchanged => return Ok(SourceContent::Unchanged),
            SourceAnswer::Read(fetched) => fetched,
        };
        check_type(draft.kind, &fetched)?;
        let (kind, mapping) = (draft.kind, draft.mapping.clone());
        let (moved, mut validators) = (fetched.moved.clone(), fetched.validators.clone());
        // Reading a large page takes a while, and is no work for the threads that answer requests.
        let read = tokio::task::spawn_blocking(move || entries_of(kind, &fetched, &mapping)).await;
        let mut entries =
            read.map_err(|error| format!("The answer cannot be read: {error}."))??;
        if draft.kind == SourceKind::Feed && draft.mapping.follow {
            let all = self.follow(&client, draft, known, &mut entries).await?;
            if !all {
                // The rest is followed at the next look, which must not be answered with "unchanged".
                validators = Validators::default();
            }
        }
        Ok(SourceContent::Read {
            entries,
            validators,
            moved,
        })
    }

    /// Reads the pages of entries that are new; false if some are left for the next look.
    async fn follow(
        &self,
        client: &HttpClient,
        draft: &SourceDraft,
        known: Option<&ContentSource>,
        entries: &mut Vec<FoundEntry>,
    ) -> Result<bool, LookFault> {
        let (mut followed, mut kept, mut is_all) = (0, Vec::new(), true);
        for mut entry in std::mem::take(entries) {
            let Some(url) = entry.url.as_deref().and_then(|url| Url::parse(url).ok()) else {
                kept.push(entry);
                continue;
            };
            if let Some(known) = known {
                let stored = self
                    .storage
                    .last_proposal(known.id, &entry.guid, entry.url.as_deref())
                    .await
                    .map_err(|error| Failure::from(error).to_string())?;
                // A page is read once; one that could not be read is tried again.
                if stored.is_some_and(|stored| {
                    !stored
                        .entry
                        .remarks
                        .iter()
                        .any(|remark| remark.kind == RemarkKind::Fault)
                }) {
                    continue;
                }
            }
            if followed == FOLLOWED_MAX {
                is_all = false;
                continue;
            }
            followed += 1;
            match self.read_page(client, &url, draft).await {
                Ok(page) => {
                    entry.tools = page.iter().flat_map(|page| page.tools.clone()).collect();
                    entry.comparisons = page
                        .iter()
                        .flat_map(|page| page.comparisons.clone())
                        .collect();
                    entry.remarks = page.into_iter().flat_map(|page| page.remarks).collect();
                }
                Err(fault) => entry.remark(
                    RemarkKind::Fault,
                    "",
                    format!("Its page could not be read. {}", fault.said),
                ),
            }
            kept.push(entry);
        }
        *entries = kept;
        Ok(is_all)
    }

    async fn read_page(
        &self,
        client: &HttpClient,
        url: &Url,
        draft: &SourceDraft,
    ) -> Result<Vec<FoundEntry>, LookFault> {
        let accept = "text/html, application/xhtml+xml";
        let known = Validators::default();
        let SourceAnswer::Read(fetched) =
            fetch::fetch(client, url, &known, accept, self.now()).await?
        else {
            return Err("The answer is 304, which was not asked for."
                .to_owned()
                .into());
        };
        check_type(SourceKind::Page, &fetched)?;
        let mapping = draft.mapping.clone();
        let read =
            tokio::task::spawn_blocking(move || entries_of(SourceKind::Page, &fetched, &mapping));
        read.await
            .map_err(|error| LookFault::from(error.to_string()))?
    }

    async fn read_folder(
        &self,
        draft: &SourceDraft,
        seen: Option<&str>,
    ) -> Result<SourceContent, LookFault> {
        let path = self.allowed_folder(&draft.url)?;
        let seen = seen.map(str::to_owned);
        let read = tokio::task::spawn_blocking(move || -> Result<SourceContent, LookFault> {
            let version = folder_version(&path)
                .map_err(|error| format!("{} cannot be read: {error}.", path.display()))?;
            if seen.as_deref() == Some(&version) {
                return Ok(SourceContent::Unchanged);
            }
            let catalogue = catalogue::read(&path).map_err(|failure| failure.to_string())?;
            Ok(SourceContent::Read {
                entries: vec![document(&catalogue)],
                validators: Validators {
                    etag: Some(version),
                    modified: None,
                },
                moved: None,
            })
        });
        read.await.map_err(|error| error.to_string())?
    }

    /// A folder that `sources.folders` names, or one below it, by its true place.
    pub(super) fn allowed_folder(&self, path: &str) -> Result<PathBuf, String> {
        let real = Path::new(path)
            .canonicalize()
            .map_err(|error| format!("{path} cannot be read: {error}."))?;
        let mut roots = self
            .settings
            .sources
            .folders
            .iter()
            .filter_map(|root| root.canonicalize().ok());
        match roots.any(|root| real.starts_with(root)) {
            true if real.is_dir() => Ok(real),
            true => Err(format!("{path} is no folder.")),
            false => Err(format!(
                "{path} is not in sources.folders, which lists the folders that sources may read."
            )),
        }
    }
}

/// Hash of the names, sizes and times of a folder's documents.
fn folder_version(path: &Path) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let (mut folders, mut count) = (vec![path.to_path_buf()], 0);
    while let Some(folder) = folders.pop() {
        let mut entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() {
                folders.push(path);
            } else if Format::of(&path).is_some() {
                count += 1;
                if count > FILES_MAX {
                    return Err(std::io::Error::other(format!(
                        "it has more than {FILES_MAX} documents"
                    )));
                }
                let facts = std::fs::metadata(&path)?;
                let since = facts
                    .modified()?
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                hash.update(format!(
                    "{}\0{}\0{}\0",
                    path.display(),
                    facts.len(),
                    since.as_nanos()
                ));
            }
        }
    }
    Ok(data_encoding::HEXLOWER.encode(&hash.finalize()))
}

/// Refuses what can be none of it: a picture, an archive.
fn check_type(kind: SourceKind, fetched: &FetchedSource) -> Result<(), LookFault> {
    let mime = fetched.mime();
    let is_text =
        mime.starts_with("text/") || mime.is_empty() || mime == "application/octet-stream";
    let is_xml = mime.ends_with("xml");
    let is_json = mime.ends_with("json");
    let is_good = match kind {
        SourceKind::Feed => is_text || is_xml || is_json,
        SourceKind::Page => is_text || is_xml,
        SourceKind::Catalogue | SourceKind::Folder => {
            is_text || is_json || mime == "application/toml"
        }
    };
    match is_good {
        true => Ok(()),
        false => Err(format!(
            "The answer is of the type {mime}, which a source of the kind {kind} never is."
        )
        .into()),
    }
}

fn entries_of(
    kind: SourceKind,
    fetched: &FetchedSource,
    mapping: &crate::domain::source::SourceMapping,
) -> Result<Vec<FoundEntry>, LookFault> {
    let entries = match kind {
        SourceKind::Feed => content::feed::read(&fetched.body, &fetched.url, mapping),
        SourceKind::Page => {
            let is_html = !fetched.mime().starts_with("text/plain");
            content::page::read(&fetched.text(), is_html, &fetched.url, mapping)
        }
        SourceKind::Catalogue | SourceKind::Folder => {
            let is_toml = fetched.mime().ends_with("toml") || fetched.url.path().ends_with(".toml");
            let format = if is_toml { Format::Toml } else { Format::Json };
            let parsed = Catalogue::parse(&fetched.text(), format)
                .and_then(|parsed| parsed.check().map(|()| parsed));
            parsed.map(|parsed| vec![document(&parsed)])
        }
    };
    let entries = entries?;
    let is_empty = |entry: &FoundEntry| {
        entry.tools.is_empty() && entry.comparisons.is_empty() && entry.remarks.is_empty()
    };
    match entries.iter().all(is_empty) && kind != SourceKind::Feed {
        true => Err("There is no tool and no comparison in it."
            .to_owned()
            .into()),
        false => Ok(entries),
    }
}

/// A whole document as one entry.
fn document(catalogue: &Catalogue) -> FoundEntry {
    let (tools, comparisons) = (catalogue.tools.len(), catalogue.comparisons.len());
    FoundEntry {
        guid: DOCUMENT.to_owned(),
        title: format!("Catalogue document: {tools} tools, {comparisons} comparisons"),
        tools: catalogue.tools.iter().map(FoundTool::from).collect(),
        comparisons: catalogue
            .comparisons
            .iter()
            .map(FoundComparison::from)
            .collect(),
        ..FoundEntry::default()
    }
}
