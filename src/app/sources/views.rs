//! Sources and proposals as programs see them: the command line's JSON and the API's.

use serde::Serialize;

use super::proposing::JudgedEntry;
use crate::app::App;
use crate::domain::Timestamp;
use crate::domain::source::EntryRemark;
use crate::domain::source::FoundComparison;
use crate::domain::source::FoundEntry;
use crate::domain::source::FoundTool;
use crate::domain::source::ProposalState;
use crate::domain::source::SourceKind;
use crate::domain::source::SourceMapping;
use crate::domain::source::SourceMode;
use crate::storage::catalogue_import::Difference;
use crate::storage::proposals::Proposal;
use crate::storage::sources::ContentSource;

/// A source.
#[derive(Debug, Clone, Serialize)]
pub struct SourceView {
    /// Opaque id.
    pub id: String,
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
    /// Seconds between two looks.
    pub every_seconds: i64,
    /// Time of the next look.
    pub next_at: Timestamp,
    /// Time of the last look that did not fail.
    pub last_ok_at: Option<Timestamp>,
    /// Looks in a row that failed.
    pub failures: u32,
    /// Reason of the last.
    pub last_error: Option<String>,
    /// Something to know of the last look.
    pub last_note: Option<String>,
    /// Time since which it publishes nothing by itself.
    pub paused_at: Option<Timestamp>,
}

/// A proposal.
#[derive(Debug, Clone, Serialize)]
pub struct ProposalView {
    /// Opaque id.
    pub id: String,
    /// Name of its source.
    pub source: String,
    /// Title.
    pub title: String,
    /// Address of its page.
    pub url: Option<String>,
    /// State.
    pub state: ProposalState,
    /// Counts its changes: whoever decides names the version that they saw.
    pub version: i64,
    /// Time when it was first seen.
    pub seen_at: Timestamp,
    /// Time when it was new or changed.
    pub changed_at: Timestamp,
    /// Time of the decision.
    pub decided_at: Option<Timestamp>,
    /// Questions, faults and notes.
    pub remarks: Vec<EntryRemark>,
    /// Verdicts that a person has to choose, as `slug Reviewer`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<String>,
    /// Differences to the catalogue; of a list, none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// Tools as the source has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<FoundTool>,
    /// Comparisons as the source has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comparisons: Vec<FoundComparison>,
}

/// Content of a source, before it is saved.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TestPullView {
    /// Entries.
    pub entries: Vec<TestEntryView>,
}

/// An entry of a test pull.
#[derive(Debug, Clone, Serialize)]
pub struct TestEntryView {
    /// Title.
    pub title: String,
    /// Tools, by slug.
    pub tools: Vec<String>,
    /// Comparisons, by slug.
    pub comparisons: Vec<String>,
    /// Differences to the catalogue.
    pub differences: usize,
    /// Questions, faults and notes.
    pub remarks: Vec<EntryRemark>,
}

impl TestPullView {
    /// Adds an entry.
    pub fn add(&mut self, entry: &FoundEntry, judged: &JudgedEntry) {
        let (tools, comparisons) = (&judged.catalogue.tools, &judged.catalogue.comparisons);
        self.entries.push(TestEntryView {
            title: entry.title.clone(),
            tools: tools.iter().map(|tool| tool.slug.to_string()).collect(),
            comparisons: comparisons
                .iter()
                .map(|comparison| comparison.slug.to_string())
                .collect(),
            differences: judged.difference.differences.len(),
            remarks: judged.remarks.clone(),
        });
    }

    /// The result in a sentence.
    pub fn summary(&self) -> String {
        let (entries, faults) = (
            self.entries.len(),
            self.with(crate::domain::source::RemarkKind::Fault),
        );
        let questions = self.with(crate::domain::source::RemarkKind::Question);
        let tools: usize = self.entries.iter().map(|entry| entry.tools.len()).sum();
        format!(
            "It can be read: {entries} {}, {tools} {}; {faults} cannot be accepted, {questions} ask something.",
            if entries == 1 { "entry" } else { "entries" },
            if tools == 1 { "tool" } else { "tools" }
        )
    }

    fn with(&self, kind: crate::domain::source::RemarkKind) -> usize {
        let has = |entry: &&TestEntryView| entry.remarks.iter().any(|remark| remark.kind == kind);
        self.entries.iter().filter(has).count()
    }
}

impl App {
    /// A source as programs see it.
    pub fn source_view(&self, source: &ContentSource) -> SourceView {
        let draft = &source.draft;
        SourceView {
            id: self.source_name(source.id),
            name: draft.name.clone(),
            kind: draft.kind,
            url: draft.url.clone(),
            mapping: draft.mapping.clone(),
            mode: draft.mode,
            every_seconds: draft.every_seconds,
            next_at: source.next_at,
            last_ok_at: source.last_ok_at,
            failures: source.failures,
            last_error: source.last_error.clone(),
            last_note: source.last_note.clone(),
            paused_at: source.paused_at,
        }
    }

    /// A proposal as programs see it in a list.
    pub fn proposal_line(&self, proposal: &Proposal) -> ProposalView {
        ProposalView {
            id: self.proposal_name(proposal.id),
            source: proposal.source.clone(),
            title: proposal.entry.title.clone(),
            url: proposal.entry.url.clone(),
            state: proposal.state,
            version: proposal.version,
            seen_at: proposal.seen_at,
            changed_at: proposal.changed_at,
            decided_at: proposal.decided_at,
            remarks: proposal.entry.remarks.clone(),
            questions: Vec::new(),
            differences: Vec::new(),
            tools: Vec::new(),
            comparisons: Vec::new(),
        }
    }

    /// A proposal as programs see it by itself.
    pub fn proposal_view(&self, proposal: &Proposal, judged: &JudgedEntry) -> ProposalView {
        ProposalView {
            remarks: judged.remarks.clone(),
            questions: judged.questions.clone(),
            differences: judged.differences(),
            tools: proposal.entry.tools.clone(),
            comparisons: proposal.entry.comparisons.clone(),
            ..self.proposal_line(proposal)
        }
    }
}
