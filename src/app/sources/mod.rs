//! Sources: content that comes in by itself. [`reading`] asks a source and reads it, [`proposing`] judges what it holds, [`looking`] does both
//! when a source is due, [`deciding`] takes proposals into the catalogue or refuses them.

mod deciding;
mod fetch;
mod looking;
mod proposing;
mod reading;
mod views;

use chrono::TimeDelta;
use url::Url;

use self::reading::SourceContent;
use crate::app::App;
use crate::app::Failure;
use crate::content;
use crate::domain::actor::Actor;
use crate::domain::source::EVERY_MAX;
use crate::domain::source::EVERY_MIN;
use crate::domain::source::FOLDER_EVERY;
use crate::domain::source::SourceKind;
use crate::domain::source::SourceMapping;
use crate::domain::source::SourceMode;
use crate::storage::sources::ContentSource;
use crate::storage::sources::SourceDraft;

pub use deciding::Decided;
pub use looking::LookReport;
pub use proposing::Answers;
pub use proposing::JudgedEntry;
pub use views::ProposalView;
pub use views::SourceView;
pub use views::TestEntryView;
pub use views::TestPullView;

/// Interval of a source that names none.
pub const EVERY_DEFAULT: TimeDelta = TimeDelta::hours(1);

/// A source as it is asked for.
#[derive(Debug, Clone)]
pub struct SourceWish {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: SourceKind,
    /// Address, or the path of a folder.
    pub url: String,
    /// Interpretation.
    pub mapping: SourceMapping,
    /// Treatment of what it brings.
    pub mode: SourceMode,
    /// Time between two looks; of a folder it is a minute.
    pub every: TimeDelta,
}

impl From<&SourceDraft> for SourceWish {
    fn from(draft: &SourceDraft) -> Self {
        Self {
            name: draft.name.clone(),
            kind: draft.kind,
            url: draft.url.clone(),
            mapping: draft.mapping.clone(),
            mode: draft.mode,
            every: TimeDelta::seconds(draft.every_seconds),
        }
    }
}

impl App {
    /// The opaque id of a source.
    pub fn source_name(&self, id: i64) -> String {
        self.secrets.source_name(id)
    }

    /// The source that a text means: its opaque id, or its name.
    pub async fn source_called(&self, text: &str) -> Result<ContentSource, Failure> {
        let by_id = match self.secrets.source_named(text) {
            Some(id) => self.storage.source(id).await?,
            None => None,
        };
        let found = match by_id {
            Some(found) => Some(found),
            None => {
                let sources = self.storage.sources().await?;
                sources.into_iter().find(|source| source.draft.name == text)
            }
        };
        found.ok_or_else(|| {
            Failure::not_found(format!(
                "There is no source \"{text}\"; `verdicts sources list` names them."
            ))
        })
    }

    /// The opaque id of a proposal.
    pub fn proposal_name(&self, id: i64) -> String {
        self.secrets.proposal_name(id)
    }

    /// Checks what is asked for.
    fn source_draft(&self, wish: &SourceWish) -> Result<SourceDraft, Failure> {
        let name = wish.name.trim();
        if name.is_empty() || name.chars().count() > 80 || name.chars().any(char::is_control) {
            return Err(Failure::invalid_field(
                "name",
                "Expected a name of 1 to 80 characters.",
            ));
        }
        content::check_mapping(&wish.mapping).map_err(|fault| {
            Failure::invalid_field(
                "mapping",
                format!("The mapping is not as expected: {fault}."),
            )
        })?;
        let (url, host, every) = match wish.kind {
            SourceKind::Folder => {
                let folder = self
                    .allowed_folder(wish.url.trim())
                    .map_err(|fault| Failure::invalid_field("url", fault))?;
                let folder = folder.display().to_string();
                (folder.clone(), folder, FOLDER_EVERY)
            }
            _ => {
                let url = Url::parse(wish.url.trim())
                    .ok()
                    .filter(|url| matches!(url.scheme(), "http" | "https"));
                let Some((url, host)) =
                    url.and_then(|url| Some((url.to_string(), url.host_str()?.to_owned())))
                else {
                    return Err(Failure::invalid_field(
                        "url",
                        "Expected an address that begins with https://.",
                    ));
                };
                if url.len() > 2_000
                    || url.contains('@')
                        && url
                            .split('/')
                            .nth(2)
                            .is_some_and(|place| place.contains('@'))
                {
                    return Err(Failure::invalid_field(
                        "url",
                        "Expected an address without user and password, of at most 2,000 characters.",
                    ));
                }
                if wish.every < EVERY_MIN || wish.every > EVERY_MAX {
                    return Err(Failure::invalid_field(
                        "every",
                        "Expected an interval from 30 minutes to 1 day.",
                    ));
                }
                (url, host, wish.every)
            }
        };
        Ok(SourceDraft {
            name: name.to_owned(),
            kind: wish.kind,
            url,
            host,
            mapping: wish.mapping.clone(),
            mode: wish.mode,
            every_seconds: every.num_seconds(),
        })
    }

    /// Reads a source as it would be, and writes nothing.
    ///
    /// # Errors
    /// The reason why it cannot be read, as a fault of its address.
    pub async fn try_source(&self, wish: &SourceWish) -> Result<TestPullView, Failure> {
        let draft = self.source_draft(wish)?;
        let content = self
            .read_source(&draft, None)
            .await
            .map_err(|fault| Failure::invalid_field("url", fault.said))?;
        let entries = match content {
            SourceContent::Read { entries, .. } => entries,
            SourceContent::Unchanged => Vec::new(),
        };
        let mut view = TestPullView::default();
        for entry in entries {
            let judged = self.judge(&entry, &Answers::new(), self.now()).await?;
            view.add(&entry, &judged);
        }
        Ok(view)
    }

    /// Adds a source; what it holds is read at the next minute.
    pub async fn add_source(
        &self,
        actor: &Actor,
        wish: &SourceWish,
    ) -> Result<ContentSource, Failure> {
        let draft = self.source_draft(wish)?;
        let added = self.storage.add_source(actor, &draft, self.now()).await?;
        let Some(id) = added else {
            return Err(Failure::conflict(format!(
                "There is a source \"{}\" already.",
                draft.name
            )));
        };
        tracing::info!(source = draft.name, kind = %draft.kind, "source added");
        self.stored_source(id).await
    }

    /// Changes a source.
    pub async fn change_source(
        &self,
        actor: &Actor,
        id: i64,
        wish: &SourceWish,
    ) -> Result<ContentSource, Failure> {
        let draft = self.source_draft(wish)?;
        if !self
            .storage
            .change_source(actor, id, &draft, self.now())
            .await?
        {
            return Err(Failure::conflict(format!(
                "The source is gone, or another is called \"{}\".",
                draft.name
            )));
        }
        self.stored_source(id).await
    }

    async fn stored_source(&self, id: i64) -> Result<ContentSource, Failure> {
        let stored = self.storage.source(id).await?;
        stored.ok_or_else(|| Failure::not_found("The source is gone."))
    }

    /// Removes a source with its proposals; what was accepted stays in the catalogue.
    pub async fn remove_source(&self, actor: &Actor, id: i64) -> Result<bool, Failure> {
        Ok(self.storage.remove_source(actor, id, self.now()).await?)
    }

    /// Pauses a source, which is then read and publishes nothing by itself, or ends its pause; false where it is so already.
    pub async fn pause_source(
        &self,
        actor: &Actor,
        id: i64,
        pauses: bool,
    ) -> Result<bool, Failure> {
        Ok(self
            .storage
            .pause_source(actor, id, pauses, self.now())
            .await?)
    }
}
