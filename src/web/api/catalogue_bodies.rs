//! Bodies of tools and reviews, and what they mean.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::answer::Problem;
use super::extract::invalid_at;
use super::patterns;
use crate::domain;
use crate::domain::Timestamp;
use crate::domain::catalogue::Reviewer;
use crate::domain::catalogue::Score;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Verdict;
use crate::domain::publication::draft_date;

/// A tool that is added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTool {
    /// Name in addresses.
    #[schema(max_length = 100, pattern = "slug")]
    pub slug: String,
    #[schema(max_length = 120, pattern = "line")]
    name: String,
    #[schema(max_length = 60, pattern = "line")]
    category: String,
    #[schema(max_length = 300, pattern = "line")]
    tagline: String,
    #[schema(max_length = 10000, pattern = "text")]
    description: String,
    #[schema(max_length = 500, pattern = "web")]
    url: Option<String>,
    #[schema(nullable = false, max_length = 300, pattern = "any_line")]
    pricing: Option<String>,
    #[schema(nullable = false, max_length = 60, pattern = "any_line")]
    entry_price: Option<String>,
    /// Time from which it is on the site; null, or not given, for a draft.
    #[schema(format = DateTime)]
    published_at: Option<String>,
    #[schema(nullable = false, max_items = 5)]
    reviews: Option<Vec<PanelReview>>,
}

impl NewTool {
    /// Its fields beside the slug.
    pub fn fields(self) -> ToolFields {
        ToolFields {
            name: self.name,
            category: self.category,
            tagline: self.tagline,
            description: self.description,
            url: self.url,
            pricing: self.pricing,
            entry_price: self.entry_price,
            published_at: Some(self.published_at),
            reviews: self.reviews,
        }
    }
}

/// A tool that is written, beside its slug.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolFields {
    #[schema(max_length = 120, pattern = "line")]
    name: String,
    #[schema(max_length = 60, pattern = "line")]
    category: String,
    #[schema(max_length = 300, pattern = "line")]
    tagline: String,
    #[schema(max_length = 10000, pattern = "text")]
    description: String,
    #[schema(max_length = 500, pattern = "web")]
    url: Option<String>,
    #[schema(nullable = false, max_length = 300, pattern = "any_line")]
    pricing: Option<String>,
    #[schema(nullable = false, max_length = 60, pattern = "any_line")]
    entry_price: Option<String>,
    /// Time from which it is on the site; null for a draft; not given: as it is.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, format = DateTime)]
    published_at: Option<Option<String>>,
    #[schema(nullable = false, max_items = 5)]
    reviews: Option<Vec<PanelReview>>,
}

/// A part of a tool that is changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(
    dead_code,
    reason = "the shape of a merge patch, which is applied as it came"
)]
pub struct ToolPatch {
    #[schema(nullable = false, max_length = 120, pattern = "line")]
    name: Option<String>,
    #[schema(nullable = false, max_length = 60, pattern = "line")]
    category: Option<String>,
    #[schema(nullable = false, max_length = 300, pattern = "line")]
    tagline: Option<String>,
    #[schema(nullable = false, max_length = 10000, pattern = "text")]
    description: Option<String>,
    /// Null takes it away.
    #[schema(max_length = 500, pattern = "web")]
    url: Option<String>,
    #[schema(nullable = false, max_length = 300, pattern = "any_line")]
    pricing: Option<String>,
    #[schema(nullable = false, max_length = 60, pattern = "any_line")]
    entry_price: Option<String>,
    /// Null makes it a draft.
    #[schema(format = DateTime)]
    published_at: Option<String>,
    /// All reviews: a list is written whole.
    #[schema(nullable = false, max_items = 5)]
    reviews: Option<Vec<PanelReview>>,
}

/// A reviewer's answer within a tool.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PanelReview {
    reviewer: PanelReviewer,
    #[schema(minimum = 0, maximum = 100)]
    score: i64,
    verdict: ReviewVerdict,
    #[schema(max_length = 20000, pattern = "text")]
    take: String,
    /// Sentence of the take that mails quote; null: chosen by a rule.
    #[schema(max_length = 300, pattern = "line")]
    quote: Option<String>,
}

/// One of the panel.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
enum PanelReviewer {
    Builder,
    Skeptic,
    Futurist,
    Founder,
    Creator,
}

/// An answer.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ReviewVerdict {
    Ship,
    Skip,
}

/// A reviewer's answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewBody {
    #[schema(minimum = 0, maximum = 100)]
    score: i64,
    verdict: ReviewVerdict,
    #[schema(max_length = 20000, pattern = "text")]
    take: String,
    /// Sentence of the take that mails quote; null, or not given: chosen by a rule.
    #[schema(max_length = 300, pattern = "line")]
    quote: Option<String>,
}

/// Reads a value that may be null and was given.
fn given<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

/// A time from 1970 to 9999, which is what the catalogue can say.
pub fn published_at(text: &str) -> Result<Timestamp, Problem> {
    let moment = patterns::timestamp(text);
    moment
        .filter(|at| (0..253_402_300_799).contains(&at.timestamp()))
        .ok_or_else(|| {
            invalid_at(
                "#/published_at",
                "minimum",
                "Expected a time from 1970 to 9999.",
            )
        })
}

/// Date of publication as it was given: a time, null for a draft, or not at all for what is there.
pub fn wished_date(
    wish: Option<Option<&str>>,
    known: Option<Timestamp>,
) -> Result<Timestamp, Problem> {
    match wish {
        None => Ok(known.unwrap_or_else(draft_date)),
        Some(None) => Ok(draft_date()),
        Some(Some(text)) => published_at(text),
    }
}

impl ReviewVerdict {
    fn verdict(self) -> Verdict {
        match self {
            Self::Ship => Verdict::Ship,
            Self::Skip => Verdict::Skip,
        }
    }
}

impl PanelReviewer {
    fn reviewer(self) -> Reviewer {
        match self {
            Self::Builder => Reviewer::Builder,
            Self::Skeptic => Reviewer::Skeptic,
            Self::Futurist => Reviewer::Futurist,
            Self::Founder => Reviewer::Founder,
            Self::Creator => Reviewer::Creator,
        }
    }

    fn of(reviewer: Reviewer) -> Self {
        match reviewer {
            Reviewer::Builder => Self::Builder,
            Reviewer::Skeptic => Self::Skeptic,
            Reviewer::Futurist => Self::Futurist,
            Reviewer::Founder => Self::Founder,
            Reviewer::Creator => Self::Creator,
        }
    }
}

/// The review that a body says. `at`: pointer to it.
pub fn read_review(
    reviewer: Reviewer,
    body: ReviewBody,
    at: &str,
) -> Result<domain::catalogue::Review, Problem> {
    let score = Score::try_from(body.score)
        .map_err(|error| invalid_at(&format!("{at}/score"), "maximum", format!("{error}.")))?;
    Ok(domain::catalogue::Review {
        reviewer,
        score,
        verdict: body.verdict.verdict(),
        take: body.take.trim().to_owned(),
        quote: body.quote,
    })
}

impl ToolFields {
    /// What a tool has, as a patch is applied to it. Its date stays as it is unless the patch says one.
    pub fn of(tool: &domain::catalogue::Tool) -> Self {
        let review = |review: &domain::catalogue::Review| PanelReview {
            reviewer: PanelReviewer::of(review.reviewer),
            score: review.score.points().into(),
            verdict: match review.verdict {
                Verdict::Ship => ReviewVerdict::Ship,
                Verdict::Skip => ReviewVerdict::Skip,
            },
            take: review.take.clone(),
            quote: review.quote.clone(),
        };
        Self {
            name: tool.name.clone(),
            category: tool.category.clone(),
            tagline: tool.tagline.clone(),
            description: tool.description.clone(),
            url: tool.url.clone(),
            pricing: Some(tool.pricing.clone()),
            entry_price: Some(tool.entry_price.clone()),
            published_at: None,
            reviews: Some(tool.reviews.iter().map(review).collect()),
        }
    }

    /// The same where a patch said a date: null takes it away, for a merge patch leaves no null behind.
    pub fn with_date(self) -> Self {
        let published_at = Some(self.published_at.flatten());
        Self {
            published_at,
            ..self
        }
    }

    /// The tool with that slug. `known`: what is there.
    pub fn tool(
        self,
        slug: Slug,
        known: Option<&domain::catalogue::Tool>,
    ) -> Result<domain::catalogue::Tool, Problem> {
        let mut reviews: Vec<domain::catalogue::Review> = Vec::new();
        for (index, review) in self.reviews.unwrap_or_default().into_iter().enumerate() {
            let (reviewer, at) = (review.reviewer.reviewer(), format!("#/reviews/{index}"));
            if reviews.iter().any(|known| known.reviewer == reviewer) {
                let words = format!("{reviewer} stands there twice.");
                return Err(invalid_at(&format!("{at}/reviewer"), "twice", words));
            }
            let body = ReviewBody {
                score: review.score,
                verdict: review.verdict,
                take: review.take,
                quote: review.quote,
            };
            reviews.push(read_review(reviewer, body, &at)?);
        }
        reviews.sort_by_key(|review| review.reviewer);
        let wish = self.published_at.as_ref().map(Option::as_deref);
        let trimmed = |text: Option<String>| text.unwrap_or_default().trim().to_owned();
        Ok(domain::catalogue::Tool {
            slug,
            name: self.name,
            category: self.category,
            tagline: self.tagline,
            description: self.description.trim().to_owned(),
            url: self.url,
            pricing: trimmed(self.pricing),
            entry_price: trimmed(self.entry_price),
            published_at: wished_date(wish, known.map(|known| known.published_at))?,
            sample: known.is_some_and(|known| known.sample),
            reviews,
        })
    }
}
