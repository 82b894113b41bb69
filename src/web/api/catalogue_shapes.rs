//! Shapes of tools and reviews as they are answered; [`super::catalogue_bodies`] has those that are taken.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain;
use crate::domain::Timestamp;
use crate::domain::catalogue::RatedTool;
use crate::domain::catalogue_change::FieldChange;
use crate::domain::publication::PublicationState;
use crate::domain::publication::is_draft;
use crate::domain::slot::Slot;
use crate::storage::catalogue_edit::Versioned;
use crate::storage::catalogue_list::ListedTool;

/// A tool.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tool)]
pub struct ToolShape {
    /// Name in addresses.
    slug: String,
    name: String,
    category: String,
    /// What it is best for, in a line.
    tagline: String,
    description: String,
    /// Page of its maker.
    url: Option<String>,
    pricing: String,
    entry_price: String,
    /// Time from which it is on the site; null for a draft.
    #[schema(value_type = Option<String>, format = DateTime)]
    published_at: Option<Timestamp>,
    /// live, scheduled or draft.
    state: String,
    /// True if it belongs to the sample that a first start brings.
    sample: bool,
    /// In the panel's order.
    reviews: Vec<ReviewShape>,
    reader_votes: ReaderVotes,
    /// Time of the last change; null where none is kept.
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<Timestamp>,
    /// The last digest that a comparison of it was published in.
    last_sent: Option<String>,
}

/// A reviewer's answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Review)]
pub struct ReviewShape {
    /// Builder, Skeptic, Futurist, Founder or Creator.
    reviewer: String,
    /// 0 to 100.
    #[schema(minimum = 0, maximum = 100)]
    score: i64,
    /// ship or skip.
    verdict: String,
    take: String,
    /// Sentence of the take that mails quote; null: chosen by a rule.
    quote: Option<String>,
}

/// Votes of readers.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReaderVotes {
    #[schema(value_type = i64, minimum = 0)]
    ships: u64,
    #[schema(value_type = i64, minimum = 0)]
    skips: u64,
}

impl ToolShape {
    fn new(tool: &domain::catalogue::Tool, votes: (u64, u64), now: Timestamp) -> Self {
        let review = |review: &domain::catalogue::Review| ReviewShape {
            reviewer: review.reviewer.to_string(),
            score: review.score.points().into(),
            verdict: review.verdict.to_string(),
            take: review.take.clone(),
            quote: review.quote.clone(),
        };
        Self {
            slug: tool.slug.to_string(),
            name: tool.name.clone(),
            category: tool.category.clone(),
            tagline: tool.tagline.clone(),
            description: tool.description.clone(),
            url: tool.url.clone(),
            pricing: tool.pricing.clone(),
            entry_price: tool.entry_price.clone(),
            published_at: date(tool.published_at),
            state: PublicationState::at(tool.published_at, now).to_string(),
            sample: tool.sample,
            reviews: tool.reviews.iter().map(review).collect(),
            reader_votes: ReaderVotes {
                ships: votes.0,
                skips: votes.1,
            },
            updated_at: None,
            last_sent: None,
        }
    }

    /// A tool of a list.
    pub fn listed(listed: &ListedTool, now: Timestamp) -> Self {
        let votes = (listed.rated.votes.ships, listed.rated.votes.skips);
        Self {
            updated_at: listed.updated_at,
            last_sent: listed.last_sent.map(|slot| slot.to_string()),
            ..Self::new(&listed.rated.tool, votes, now)
        }
    }

    /// A tool by itself.
    pub fn stored(
        known: &Versioned<domain::catalogue::Tool>,
        rated: Option<&RatedTool>,
        last_sent: Option<Slot>,
        now: Timestamp,
    ) -> Self {
        let votes = rated.map_or((0, 0), |rated| (rated.votes.ships, rated.votes.skips));
        let updated_at = (known.version > 0).then(|| domain::from_millis(known.version));
        Self {
            updated_at,
            last_sent: last_sent.map(|slot| slot.to_string()),
            ..Self::new(&known.entry, votes, now)
        }
    }
}

/// Date of publication; `None` for a draft's.
pub fn date(published_at: Timestamp) -> Option<Timestamp> {
    Some(published_at).filter(|at| !is_draft(*at))
}

/// A change that was not made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change)]
pub struct ChangeShape {
    /// Always true: nothing was changed.
    dry_run: bool,
    /// added, changed or unchanged.
    change: &'static str,
    /// Fields that differ.
    fields: Vec<ChangedFieldShape>,
}

/// A field that differs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangedField)]
pub struct ChangedFieldShape {
    /// Name of the field; of a review with the reviewer before it.
    field: String,
    before: String,
    after: String,
}

impl From<FieldChange> for ChangedFieldShape {
    fn from(change: FieldChange) -> Self {
        Self {
            field: change.field,
            before: change.before,
            after: change.after,
        }
    }
}

impl ChangeShape {
    /// What a write would change.
    pub fn new(is_known: bool, fields: Vec<FieldChange>) -> Self {
        Self {
            dry_run: true,
            change: match (is_known, fields.is_empty()) {
                (false, _) => "added",
                (true, false) => "changed",
                (true, true) => "unchanged",
            },
            fields: fields.into_iter().map(ChangedFieldShape::from).collect(),
        }
    }
}
