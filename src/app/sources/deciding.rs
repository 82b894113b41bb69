//! Decisions about proposals.

use super::proposing::Answers;
use super::proposing::JudgedEntry;
use crate::app::App;
use crate::app::Failure;
use crate::domain::actor::Actor;
use crate::domain::source::ProposalState;
use crate::storage::catalogue_import::Imported;
use crate::storage::proposals::Proposal;
use crate::storage::proposals::ProposalAccepted;
use crate::storage::proposals::ProposalFilter;

/// Proposals that one "accept all good" looks at.
const ALL_MAX: i64 = 500;

/// Result of "accept all good".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Decided {
    /// Proposals that are in the catalogue now.
    pub accepted: u64,
    /// Proposals that need a person: a question, a fault, or a tool that is missing.
    pub left: u64,
}

impl App {
    /// A proposal by its opaque id.
    pub async fn proposal_named(&self, name: &str) -> Result<Proposal, Failure> {
        let found = match self.secrets.proposal_named(name) {
            Some(id) => self.storage.proposal(id).await?,
            None => None,
        };
        found.ok_or_else(|| {
            Failure::not_found(format!(
                "There is no proposal {name}; `verdicts proposals list` names them."
            ))
        })
    }

    /// The place from which a list of proposals goes on, by the opaque id of its last.
    pub fn proposal_place(&self, name: &str) -> Option<i64> {
        self.secrets.proposal_named(name)
    }

    /// Judges a proposal as it is, with verdicts that a person chose.
    pub async fn judge_proposal(
        &self,
        proposal: &Proposal,
        answers: &Answers,
    ) -> Result<JudgedEntry, Failure> {
        self.judge(&proposal.entry, answers, proposal.seen_at).await
    }

    /// Takes a proposal into the catalogue. `version`: the one that was looked at; without it, as it is.
    ///
    /// # Errors
    /// A conflict, where it changed or was decided on meanwhile; invalid, where a question is open or something is wrong with it.
    pub async fn accept_proposal(
        &self,
        actor: &Actor,
        proposal: &Proposal,
        version: Option<i64>,
        answers: &Answers,
    ) -> Result<Imported, Failure> {
        if !proposal.state.is_open() {
            return Err(decided(proposal.state));
        }
        let version = version.unwrap_or(proposal.version);
        let judged = self.judge_proposal(proposal, answers).await?;
        if let Some(question) = judged.questions.first() {
            return Err(Failure::invalid_field(
                "verdicts",
                format!("The source says neither ship nor skip for {question}: choose one."),
            ));
        }
        if judged.has_fault() {
            let faults: Vec<&str> = judged
                .remarks
                .iter()
                .filter(|remark| remark.kind == crate::domain::source::RemarkKind::Fault)
                .map(|remark| remark.detail.as_str())
                .collect();
            return Err(Failure::invalid(format!(
                "It cannot be accepted: {}",
                faults.join(" ")
            )));
        }
        let (tools, comparisons) = (&judged.catalogue.tools, &judged.catalogue.comparisons);
        let accepted = self
            .storage
            .accept_proposal(
                actor,
                (proposal.id, version),
                (tools, comparisons),
                self.now(),
            )
            .await?;
        match accepted {
            ProposalAccepted::Done(imported) => {
                tracing::info!(
                    source = proposal.source,
                    title = proposal.entry.title,
                    "proposal accepted"
                );
                Ok(imported)
            }
            ProposalAccepted::Stale => Err(Failure::conflict(
                "It changed meanwhile, or somebody else decided. Look at it again.",
            )),
            ProposalAccepted::Refused(faults) => {
                Err(Failure::invalid(format!("{}.", faults.join("; "))))
            }
        }
    }

    /// Refuses a proposal.
    ///
    /// # Errors
    /// A conflict, where it changed or was decided on meanwhile.
    pub async fn reject_proposal(
        &self,
        actor: &Actor,
        proposal: &Proposal,
        version: Option<i64>,
    ) -> Result<(), Failure> {
        if !proposal.state.is_open() {
            return Err(decided(proposal.state));
        }
        let version = version.unwrap_or(proposal.version);
        let rejected = self
            .storage
            .reject_proposal(actor, (proposal.id, version), self.now())
            .await?;
        match rejected {
            true => Ok(()),
            false => Err(Failure::conflict(
                "It changed meanwhile, or somebody else decided. Look at it again.",
            )),
        }
    }

    /// Accepts each proposal that has nothing in its way, of one source or of all.
    pub async fn accept_all_good(
        &self,
        actor: &Actor,
        source_id: Option<i64>,
    ) -> Result<Decided, Failure> {
        let filter = ProposalFilter {
            source_id,
            ..ProposalFilter::default()
        };
        let mut done = Decided::default();
        for proposal in self.storage.proposals(filter, ALL_MAX).await? {
            match self
                .accept_proposal(actor, &proposal, None, &Answers::new())
                .await
            {
                Ok(_) => done.accepted += 1,
                Err(failure) if !failure.kind().is_ours() => done.left += 1,
                Err(failure) => return Err(failure),
            }
        }
        Ok(done)
    }
}

fn decided(state: ProposalState) -> Failure {
    Failure::conflict(format!("It waits for no decision: it is {state}."))
}
