//! Drafts by hand: making this week's digest before its time, and changing one before it goes out.

use crate::app::App;
use crate::app::Failure;
use crate::app::issue::revising::check_subject;
use crate::app::issue::text::TextChanges;
use crate::app::issue::text::checked;
use crate::config::Approval;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::catalogue::RatedComparison;
use crate::domain::catalogue::RatedTool;
use crate::domain::catalogue::Slug;
use crate::domain::digest::DigestState;
use crate::domain::pick::Candidate;
use crate::domain::pick::CandidateTool;
use crate::domain::pick::Pick;
use crate::domain::pick::PickerRules;
use crate::domain::pick::pick;
use crate::domain::slot::Slot;
use crate::storage::drafts::Edits;

/// Changes that somebody asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// Comparisons to take out.
    pub leave_out: Vec<Slug>,
    /// Comparisons to put at the end.
    pub add: Vec<Slug>,
    /// Comparisons to put first, in this order; the others follow as they are.
    pub order: Vec<Slug>,
    /// The pattern of the subject; an empty one goes back to `mail.subject`.
    pub subject: Option<String>,
    /// Time to send it.
    pub send_at: Option<Timestamp>,
    /// Changes of its text.
    pub text: TextChanges,
    /// Revision that the changes were made from; another one is refused.
    pub revision: Option<i64>,
}

impl App {
    /// Makes the present week's digest now. It keeps the send time of the schedule; where that is over, it stays a draft, and goes
    /// out when it is approved.
    ///
    /// # Errors
    /// A sentence, when the week has a digest already or there is nothing to pick.
    pub async fn draft_digest(&self, actor: &Actor) -> Result<Slot, Failure> {
        let now = self.now();
        let slot = self.slot_at(now);
        if let Some(digest) = self.storage.digest(slot).await? {
            return Err(Failure::conflict(format!(
                "{slot} has a digest already, which is {}; `verdicts digest edit {slot}` changes it, as long as it is not sent.",
                digest.state
            )));
        }
        self.check_order(slot).await?;
        let picks = self.picks_at(now).await?;
        if picks.is_empty() {
            return Err(Failure::conflict(format!(
                "There is nothing to pick for {slot}: no comparison is new. Import some first."
            )));
        }
        let scheduled = self.send_time_of(slot).filter(|at| *at > now);
        let state = match (scheduled, self.settings.schedule.approval) {
            (Some(_), Approval::Auto) => DigestState::Approved,
            _ => DigestState::Draft,
        };
        self.storage
            .make_digest(actor, slot, state, &picks, scheduled.unwrap_or(now), now)
            .await?;
        Ok(slot)
    }

    /// Returns when the schedule sends the digest that it picks in that week.
    pub(in crate::app) fn send_time_of(&self, slot: Slot) -> Option<Timestamp> {
        let week = slot.span(&self.site.timezone);
        let picked_at = self
            .pick_times
            .next_from(week.start)
            .filter(|at| week.contains(at))?;
        self.send_times.next_from(picked_at)
    }

    /// Changes a digest that is not sent yet. One that was approved where approval is required becomes a draft again: what is
    /// sent is what was approved.
    ///
    /// # Errors
    /// A sentence, when a change is not possible; then nothing is changed.
    pub async fn edit_digest(
        &self,
        actor: &Actor,
        slot: Slot,
        changes: &Changes,
    ) -> Result<(), Failure> {
        let digest = self.open_digest(slot).await?;
        if let Some(revision) = changes.revision.filter(|named| *named != digest.revision) {
            return Err(Failure::conflict(format!(
                "{slot} is at revision {}, and these changes were made from {revision}: nothing was changed. `verdicts digest draft {slot}` \
                 prints it as it is now.",
                digest.revision
            )));
        }
        check_subject(changes.subject.as_deref().unwrap_or_default())?;
        let draft = self.storage.draft(slot).await?.unwrap_or_default();
        let text = changes.text.applied(&draft.text).map(checked).transpose()?;
        if let Some(at) = changes.send_at.filter(|at| *at <= self.now()) {
            return Err(Failure::invalid_field(
                "send_at",
                format!(
                    "--send-at: {} is over; `verdicts digest send {slot}` sends it now.",
                    self.local_time(at)
                ),
            ));
        }
        let picks = self.edited_picks(slot, changes).await?;
        let edits = Edits {
            picks,
            subject: changes.subject.clone(),
            text,
            send_at: changes.send_at,
        };
        // Its time is no part of what is approved.
        let to = match edits.is_of_content() {
            true => self.state_after_edit(digest.state),
            false => digest.state,
        };
        let from = (digest.state, digest.revision);
        if !self
            .storage
            .edit_digest(actor, slot, from, to, &edits, self.now())
            .await?
        {
            return Err(Failure::conflict(format!(
                "{slot} was changed by somebody else meanwhile; look at `verdicts digest show {slot}`."
            )));
        }
        tracing::info!(%slot, state = %to, "digest changed by hand");
        Ok(())
    }

    /// The picks after the changes; `None` where they stay as they are.
    async fn edited_picks(
        &self,
        slot: Slot,
        changes: &Changes,
    ) -> Result<Option<Vec<Pick>>, Failure> {
        if changes.leave_out.is_empty() && changes.add.is_empty() && changes.order.is_empty() {
            return Ok(None);
        }
        let mut picks = self.storage.picks(slot).await?;
        for slug in &changes.leave_out {
            take(&mut picks, slug, slot)?;
        }
        for slug in &changes.add {
            picks.push(self.added(&picks, slug, slot).await?);
        }
        let mut ordered = Vec::new();
        for slug in &changes.order {
            ordered.push(take(&mut picks, slug, slot)?);
        }
        ordered.extend(picks);
        let fewest = self.settings.picker.min_items.max(1);
        if ordered.len() < fewest {
            return Err(Failure::invalid(format!(
                "{slot} would have {} comparisons and needs {fewest} (picker.min_items); `verdicts digest cancel {slot}` gives it up.",
                ordered.len()
            )));
        }
        Ok(Some(ordered))
    }

    /// A comparison that somebody adds, with the score and the reasons that picking would give it.
    async fn added(&self, picks: &[Pick], slug: &Slug, slot: Slot) -> Result<Pick, Failure> {
        let now = self.now();
        let refuse = |words: String| {
            Err(Failure::invalid_field(
                "add",
                format!("{slug} cannot be added to {slot}: {words}."),
            ))
        };
        if picks.iter().any(|pick| pick.comparison == *slug) {
            return refuse("it is in it already".into());
        }
        if self.storage.sent_comparisons().await?.contains(slug) {
            return refuse("a digest carried it already".into());
        }
        if let Err(why) = self.open_comparison(slug, now).await? {
            return refuse(why);
        }
        let Some(matchup) = self.storage.matchup(slug, now).await? else {
            return refuse("it has no page".into());
        };
        let slugs: Vec<Slug> = picks.iter().map(|pick| pick.comparison.clone()).collect();
        let others = self.storage.matchups(&slugs, Timestamp::MAX_UTC).await?;
        let tools: Vec<&Slug> = others
            .iter()
            .flat_map(|other| [&other.comparison.left, &other.comparison.right])
            .collect();
        if let Some(twice) = [&matchup.comparison.left, &matchup.comparison.right]
            .into_iter()
            .find(|tool| tools.contains(tool))
        {
            return refuse(format!("the tool {twice} is in another comparison of it"));
        }
        // However old it is: a person wants it.
        let look_back = self
            .rules()
            .look_back
            .max(now - matchup.comparison.published_at);
        let rules = PickerRules {
            max_items: 1,
            min_items: 1,
            look_back,
            ..self.rules()
        };
        let picked = pick(
            &[candidate(&matchup)],
            &Default::default(),
            self.new_since(now).await?,
            now,
            &rules,
        );
        picked
            .into_iter()
            .next()
            .map_or_else(|| refuse("no reviewer judged either tool".into()), Ok)
    }
}

fn take(picks: &mut Vec<Pick>, slug: &Slug, slot: Slot) -> Result<Pick, Failure> {
    let at = picks.iter().position(|pick| pick.comparison == *slug);
    at.map(|at| picks.remove(at)).ok_or_else(|| {
        Failure::invalid(format!("{slug} is not in {slot}, or is named twice; `verdicts digest show {slot}` lists what is."))
    })
}

fn candidate(matchup: &RatedComparison) -> Candidate {
    let entrant = |side: &RatedTool| CandidateTool {
        tool: side.tool.slug.clone(),
        name: side.tool.name.clone(),
        category: side.tool.category.clone(),
        panel: side.tool.panel(),
        votes: side.votes,
    };
    Candidate {
        comparison: matchup.comparison.slug.clone(),
        published_at: matchup.comparison.published_at,
        left: entrant(&matchup.left),
        right: entrant(&matchup.right),
    }
}
