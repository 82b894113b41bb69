//! A look at a source: read it, write down what is new, publish what may be published, and say when it is due again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::fetch::LookFault;
use super::fetch::Validators;
use super::proposing::Answers;
use super::reading::DOCUMENT;
use super::reading::SourceContent;
use crate::app::App;
use crate::app::Failure;
use crate::domain::actor::Actor;
use crate::domain::catalogue::Slug;
use crate::domain::source::FAILURES_TOLD;
use crate::domain::source::FoundEntry;
use crate::domain::source::SourceMode;
use crate::domain::source::next_look;
use crate::storage::proposals::ProposalAccepted;
use crate::storage::proposals::ProposalFilter;
use crate::storage::sources::ContentSource;
use crate::storage::sources::LookResult;

/// Interval at which it is looked what is due.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Sources that one round takes.
const DUE_MAX: i64 = 200;
/// Hosts that are asked at once.
const HOSTS_AT_ONCE: usize = 4;
/// Longer than a look can take: twenty pages of twenty seconds each, and the feed.
const LEASE: TimeDelta = TimeDelta::minutes(15);
/// Proposals that one look publishes.
const PUBLISHED_MAX: i64 = 500;
/// Slugs that a note names.
const NAMED_MAX: usize = 10;

/// Result of a look, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct LookReport {
    /// True if the source had nothing new to say.
    pub unchanged: bool,
    /// Proposals that are new or changed.
    pub proposed: u64,
    /// Proposals that were published at once.
    pub published: u64,
    /// Something to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Reason why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl App {
    /// Looks at sources when they are due, until told to stop.
    pub async fn pull_sources_until(self: &Arc<Self>, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                pulled = self.pull_due_sources() => if let Err(failure) = pulled {
                    tracing::warn!(cause = failure.cause(), "sources are not read: {failure}");
                },
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Looks at every source that is due: several hosts at once, each of them one request after the other. Returns how many were read.
    pub async fn pull_due_sources(&self) -> Result<usize, Failure> {
        let due = self.storage.due_sources(DUE_MAX, self.now()).await?;
        let mut by_host: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for (id, host) in due {
            by_host.entry(host).or_default().push(id);
        }
        let looks = by_host.into_values().map(|ids| async move {
            let mut count = 0;
            for id in ids {
                match self.pull_source(id).await {
                    Ok(Some(_)) => count += 1,
                    Ok(None) => {}
                    Err(failure) => {
                        tracing::warn!(
                            cause = failure.cause(),
                            "a look at a source broke off: {failure}"
                        );
                    }
                }
            }
            count
        });
        let counts: Vec<usize> = futures_util::stream::iter(looks)
            .buffer_unordered(HOSTS_AT_ONCE)
            .collect()
            .await;
        Ok(counts.into_iter().sum())
    }

    /// Looks at one source now; `None` where another process does, or asks its host at this moment.
    pub async fn pull_source(&self, id: i64) -> Result<Option<LookReport>, Failure> {
        let now = self.now();
        if !self.storage.lease_source(id, now + LEASE, now).await? {
            return Ok(None);
        }
        // Under the lease: what it was before may be older.
        let Some(source) = self.storage.source(id).await? else {
            return Ok(None);
        };
        let read = self.read_source(&source.draft, Some(&source)).await;
        let taken = match read {
            Ok(content) => self.take_content(&source, content).await.map(Ok),
            Err(fault) => Ok(Err(fault)),
        };
        // Whatever happened, the lease is given back.
        let taken = taken.unwrap_or_else(|failure| Err(LookFault::from(failure.to_string())));
        let every = TimeDelta::seconds(source.draft.every_seconds);
        let chance: f64 = rand::random();
        let (report, look) = match taken {
            Ok((report, mut look)) => {
                look.next_at = next_look(every, 0, None, chance, self.now());
                (report, look)
            }
            Err(fault) => {
                let failures = source.failures.saturating_add(1);
                let look = LookResult {
                    next_at: next_look(every, failures, fault.retry_after, chance, self.now()),
                    error: Some(fault.said.clone()),
                    told_as: (failures == FAILURES_TOLD).then(|| self.source_name(id)),
                    ..LookResult::default()
                };
                metrics::counter!("verdicts_source_failures_total").increment(1);
                tracing::warn!(
                    source = source.draft.name,
                    failures,
                    "a source could not be read: {}",
                    fault.said
                );
                let report = LookReport {
                    error: Some(fault.said),
                    ..LookReport::default()
                };
                (report, look)
            }
        };
        self.storage.end_look(id, &look, self.now()).await?;
        Ok(Some(report))
    }

    /// Writes down what was read, and publishes what may be.
    async fn take_content(
        &self,
        source: &ContentSource,
        content: SourceContent,
    ) -> Result<(LookReport, LookResult), Failure> {
        let mut report = LookReport::default();
        let mut look = LookResult {
            seen: source.seen.clone(),
            modified: source.modified.clone(),
            note: source.last_note.clone(),
            ..LookResult::default()
        };
        match content {
            SourceContent::Unchanged => report.unchanged = true,
            SourceContent::Read {
                entries,
                validators: Validators { etag, modified },
                moved,
            } => {
                if let Some(note) = self.note_of(source, &entries).await? {
                    look.note = note;
                }
                let proposals = self.proposals_of(entries).await?;
                let name = self.source_name(source.id);
                report.proposed = self
                    .storage
                    .keep_proposals((source.id, &name), &proposals, self.now())
                    .await?;
                (look.seen, look.modified) = (etag, modified);
                look.moved =
                    moved.and_then(|url| Some((url.to_string(), url.host_str()?.to_owned())));
                if let Some((url, _)) = &look.moved {
                    tracing::info!(
                        source = source.draft.name,
                        url,
                        "a source has moved for good"
                    );
                    look.note = Some(format!(
                        "It has moved for good, and is read at {url} from now on."
                    ));
                }
            }
        }
        if source.draft.mode == SourceMode::Publish && source.paused_at.is_none() {
            report.published = self.publish_open(source).await?;
        }
        report.note.clone_from(&look.note);
        if report.proposed > 0 {
            tracing::info!(
                source = source.draft.name,
                proposed = report.proposed,
                published = report.published,
                "a source brought something"
            );
        }
        Ok((report, look))
    }

    /// Remark on a whole document that is no longer as it was; `None`: it says nothing about that.
    async fn note_of(
        &self,
        source: &ContentSource,
        entries: &[FoundEntry],
    ) -> Result<Option<Option<String>>, Failure> {
        let [document] = entries else {
            return Ok(None);
        };
        if document.guid != DOCUMENT {
            return Ok(None);
        }
        let before = self
            .storage
            .last_proposal(source.id, DOCUMENT, None)
            .await?;
        let Some(before) = before.map(|before| before.entry) else {
            return Ok(Some(None));
        };
        if before.tools == document.tools && before.comparisons == document.comparisons {
            return Ok(None);
        }
        let here = |slug: &str| {
            let mut tools = document.tools.iter().map(|tool| &tool.slug);
            let mut comparisons = document
                .comparisons
                .iter()
                .map(|comparison| &comparison.slug);
            tools.any(|known| known == slug) || comparisons.any(|known| known == slug)
        };
        let tools = before.tools.iter().map(|tool| tool.slug.as_str());
        let comparisons = before
            .comparisons
            .iter()
            .map(|comparison| comparison.slug.as_str());
        let gone: Vec<&str> = tools
            .chain(comparisons)
            .filter(|slug| !here(slug))
            .collect();
        if gone.is_empty() {
            return Ok(Some(None));
        }
        let named = gone
            .iter()
            .take(NAMED_MAX)
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        let more = gone.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        Ok(Some(Some(format!(
            "No longer in the document, and left in the catalogue: {named}{more}. Remove what is meant to go at the desk or with `verdicts catalog remove`."
        ))))
    }

    /// Publishes what waits and has nothing in its way.
    async fn publish_open(&self, source: &ContentSource) -> Result<u64, Failure> {
        let filter = ProposalFilter {
            source_id: Some(source.id),
            ..ProposalFilter::default()
        };
        let mut published = 0;
        for proposal in self.storage.proposals(filter, PUBLISHED_MAX).await? {
            let judged = self
                .judge(&proposal.entry, &Answers::new(), proposal.seen_at)
                .await?;
            if !judged.is_good() {
                continue;
            }
            let (tools, comparisons) = (&judged.catalogue.tools, &judged.catalogue.comparisons);
            let accepted = self
                .storage
                .accept_proposal(
                    &Actor::schedule(),
                    (proposal.id, proposal.version),
                    (tools, comparisons),
                    self.now(),
                )
                .await?;
            if let ProposalAccepted::Done(_) = accepted {
                published += 1;
                let slugs: Vec<&Slug> = tools.iter().map(|tool| &tool.slug).collect();
                tracing::info!(
                    source = source.draft.name,
                    ?slugs,
                    "published from a source"
                );
            }
        }
        Ok(published)
    }
}
