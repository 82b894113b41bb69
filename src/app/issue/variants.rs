//! A digest for each distinct choice of its readers: rendered once per choice, however many readers made it.

use std::collections::HashMap;
use std::collections::HashSet;

use chrono::Datelike;

use crate::app::App;
use crate::app::Failure;
use crate::domain::Timestamp;
use crate::domain::catalogue::RatedComparison;
use crate::domain::catalogue::Slug;
use crate::domain::digest::DigestContent;
use crate::domain::digest::DigestItem;
use crate::domain::digest::Opening;
use crate::domain::digest::decided;
use crate::domain::pick::Candidate;
use crate::domain::pick::Pick;
use crate::domain::pick::PickerRules;
use crate::domain::pick::pick;
use crate::domain::reader::PreferenceGroup;
use crate::domain::reader::best_of;
use crate::domain::slot::Slot;
use crate::domain::subject::SubjectPattern;
use crate::storage::variants::Variant;

/// Digests that a month has at most.
const OF_A_MONTH: i64 = 5;

/// Data that every choice is made from; read once for a digest.
struct VariantInputs {
    /// Time after which what was published is new.
    new_since: Timestamp,
    candidates: Vec<Candidate>,
    sent: HashSet<Slug>,
    /// Comparisons that each choice's own digests carried before.
    carried: HashMap<String, HashSet<Slug>>,
    /// Comparisons of the last month's digests, this one's first.
    month: Vec<DigestItem>,
}

impl App {
    /// Returns when the month began that `at` falls into.
    pub(in crate::app) fn month_of(&self, at: Timestamp) -> Timestamp {
        let zone = &self.site.timezone;
        let first = at
            .with_timezone(zone)
            .date_naive()
            .with_day(1)
            .and_then(|day| day.and_hms_opt(0, 0, 0));
        first.map_or(at, |first| zone.moment_of(first))
    }

    /// Returns what the digest opens with for everybody: how last week's readers voted.
    pub(in crate::app) async fn opening(&self, slot: Slot) -> Result<Opening, Failure> {
        let Some((last, _)) = self
            .storage
            .archive(2)
            .await?
            .into_iter()
            .find(|(content, _)| content.slot != slot)
        else {
            return Ok(Opening::default());
        };
        let slugs: Vec<Slug> = last
            .items
            .iter()
            .map(|item| item.matchup.comparison.slug.clone())
            .collect();
        let matchups = self.storage.matchups(&slugs, Timestamp::MAX_UTC).await?;
        Ok(Opening {
            decided: decided(&matchups),
            ..Opening::default()
        })
    }

    /// The digest as each of the distinct choices of its readers gets it.
    pub(in crate::app) async fn variants(
        &self,
        base: &DigestContent,
        subject: Option<&SubjectPattern>,
        now: Timestamp,
    ) -> Result<Vec<Variant>, Failure> {
        let choices = self.storage.choices(base.slot, now).await?;
        self.variants_for(base, subject, choices, now).await
    }

    /// The digest as each of these choices gets it.
    pub(super) async fn variants_for(
        &self,
        base: &DigestContent,
        subject: Option<&SubjectPattern>,
        choices: Vec<PreferenceGroup>,
        now: Timestamp,
    ) -> Result<Vec<Variant>, Failure> {
        if choices.is_empty() {
            return Ok(Vec::new());
        }
        let week = self.week(base, now).await?;
        let own = |choice: PreferenceGroup| (self.own_picks(base, &choice, &week, now), choice);
        let picked: Vec<(Vec<Pick>, PreferenceGroup)> = choices.into_iter().map(own).collect();
        let wanted: HashSet<&Slug> = picked
            .iter()
            .flat_map(|(picks, _)| picks.iter().map(|pick| &pick.comparison))
            .collect();
        let slugs: Vec<Slug> = wanted.into_iter().cloned().collect();
        let found = self.storage.matchups(&slugs, now).await?;
        let matchups: HashMap<Slug, RatedComparison> = found
            .into_iter()
            .map(|matchup| (matchup.comparison.slug.clone(), matchup))
            .collect();
        let mut variants = Vec::with_capacity(picked.len());
        for (picks, choice) in picked {
            let content = content_for(
                base,
                &choice,
                picks,
                &week,
                &matchups,
                self.settings.picker.max_items,
            );
            let rendered = content
                .map(|content| {
                    self.rendered_digest(&content, subject)
                        .map(|mail| (content, mail))
                })
                .transpose()?;
            variants.push(Variant {
                choice,
                mail: rendered,
            });
        }
        Ok(variants)
    }

    async fn week(&self, base: &DigestContent, now: Timestamp) -> Result<VariantInputs, Failure> {
        let new_since = self.new_since(now).await?;
        let since = now
            .checked_sub_signed(self.rules().look_back)
            .unwrap_or_default()
            .min(new_since);
        let past = self.storage.archive(OF_A_MONTH).await?;
        let recent = |at: &Timestamp| now - *at < chrono::TimeDelta::days(31);
        let older = past
            .into_iter()
            .filter(|(content, at)| content.slot != base.slot && recent(at))
            .flat_map(|(content, _)| content.items);
        let mut month: Vec<DigestItem> = base.items.iter().cloned().chain(older).collect();
        // What was taken out of the catalogue since has no page for its link.
        let slugs: Vec<Slug> = month
            .iter()
            .map(|item| item.matchup.comparison.slug.clone())
            .collect();
        let open: HashSet<Slug> = self
            .storage
            .matchups(&slugs, now)
            .await?
            .into_iter()
            .map(|matchup| matchup.comparison.slug)
            .collect();
        month.retain(|item| open.contains(&item.matchup.comparison.slug));
        Ok(VariantInputs {
            new_since,
            candidates: self.storage.candidates(since, now).await?,
            sent: self.storage.sent_comparisons().await?,
            carried: self.storage.carried(base.slot, since).await?,
            month,
        })
    }

    /// Returns what a choice of categories gets besides the top pick; nothing for one of all categories, or of once a month.
    fn own_picks(
        &self,
        base: &DigestContent,
        choice: &PreferenceGroup,
        week: &VariantInputs,
        now: Timestamp,
    ) -> Vec<Pick> {
        if choice.monthly || choice.categories.is_empty() {
            return Vec::new();
        }
        let top = base.items.first();
        let of_top = |tool: &Slug| {
            top.is_some_and(|top| {
                top.matchup
                    .contenders()
                    .iter()
                    .any(|side| side.tool.slug == *tool)
            })
        };
        let own =
            |c: &&Candidate| choice.follows(&c.left.category) || choice.follows(&c.right.category);
        let other = |c: &&Candidate| !of_top(&c.left.tool) && !of_top(&c.right.tool);
        let candidates: Vec<Candidate> = week
            .candidates
            .iter()
            .filter(own)
            .filter(other)
            .cloned()
            .collect();
        let mut sent = week.sent.clone();
        sent.extend(
            week.carried
                .get(&choice.key())
                .into_iter()
                .flatten()
                .cloned(),
        );
        let rules = PickerRules {
            max_items: self.settings.picker.max_items.saturating_sub(1).max(1),
            min_items: 1,
            ..self.rules()
        };
        pick(&candidates, &sent, week.new_since, now, &rules)
    }
}

/// Returns what a choice gets; `None` when there is nothing new in it.
fn content_for(
    base: &DigestContent,
    choice: &PreferenceGroup,
    picks: Vec<Pick>,
    week: &VariantInputs,
    matchups: &HashMap<Slug, RatedComparison>,
    most: usize,
) -> Option<DigestContent> {
    let items = if choice.monthly {
        best_of(&week.month, choice, most)
    } else if choice.categories.is_empty() {
        base.items.clone()
    } else {
        let own = picks.into_iter().filter_map(|pick| {
            let matchup = matchups.get(&pick.comparison)?.clone();
            Some(choice.explained(DigestItem {
                matchup,
                score: pick.score,
                reasons: pick.reasons,
            }))
        });
        // The top pick may be an older one that this choice had when it was new.
        let had = |item: &&DigestItem| {
            week.carried
                .get(&choice.key())
                .is_some_and(|had| had.contains(&item.matchup.comparison.slug))
        };
        let top = base
            .items
            .first()
            .filter(|top| !had(top))
            .cloned()
            .map(|top| choice.explained(top));
        let own: Vec<DigestItem> = own.collect();
        if own.is_empty() && !top.as_ref().is_some_and(|top| choice.wants(top)) {
            Vec::new()
        } else {
            top.into_iter().chain(own).collect()
        }
    };
    let opening = Opening {
        turns: choice.turns.clone(),
        has_saved: choice.saved,
        is_monthly: choice.monthly,
        ..base.opening.clone()
    };
    (!items.is_empty()).then_some(DigestContent {
        slot: base.slot,
        items,
        opening,
        text: base.text.clone(),
        corrections: Vec::new(),
    })
}
