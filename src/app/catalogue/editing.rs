//! Changing one tool or one comparison: what somebody typed becomes an entry, by the rules of the catalogue document.

use unicode_normalization::UnicodeNormalization as _;

use super::document::fields::OptionalLine;
use super::document::fields::Paragraphs;
use super::document::fields::SingleLine;
use super::document::fields::WebAddress;
use crate::app::App;
use crate::app::Failure;
use crate::app::failure::FieldFault;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::catalogue::Comparison;
use crate::domain::catalogue::RatedComparison;
use crate::domain::catalogue::RatedTool;
use crate::domain::catalogue::Review;
use crate::domain::catalogue::Reviewer;
use crate::domain::catalogue::Score;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Tool;
use crate::domain::catalogue::Verdict;
use crate::domain::publication::draft_date;
use crate::render::page;
use crate::render::page::SignUpForm;
use crate::render::page::VisitorView;
use crate::storage::catalogue_edit::ComparisonSaved;
use crate::storage::catalogue_edit::SaveOver;
use crate::storage::catalogue_edit::ToolSaved;

/// Date of publication as somebody asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishWish {
    /// As it is.
    Keep,
    /// None: a draft.
    Draft,
    /// Now.
    Now,
    /// At that time.
    At(Timestamp),
}

impl PublishWish {
    /// The date that it means. `known`: the date that the entry has.
    pub fn date(self, known: Option<Timestamp>, now: Timestamp) -> Timestamp {
        match self {
            Self::Keep => known.unwrap_or_else(draft_date),
            Self::Draft => draft_date(),
            Self::Now => now,
            Self::At(at) => at,
        }
    }
}

/// A review as it was typed; all empty: no panel take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TypedReview {
    /// Score.
    pub score: String,
    /// Verdict.
    pub verdict: String,
    /// Take.
    pub take: String,
}

impl TypedReview {
    fn is_empty(&self) -> bool {
        [&self.score, &self.verdict, &self.take]
            .iter()
            .all(|text| text.trim().is_empty())
    }
}

impl From<&Review> for TypedReview {
    fn from(review: &Review) -> Self {
        Self {
            score: review.score.points().to_string(),
            verdict: review.verdict.to_string(),
            take: review.take.clone(),
        }
    }
}

/// A tool as it was typed. Reviews stand in the panel's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TypedTool {
    /// Slug; empty: made from the name.
    pub slug: String,
    /// Name.
    pub name: String,
    /// Category.
    pub category: String,
    /// Tagline.
    pub tagline: String,
    /// Description.
    pub description: String,
    /// Address of its maker's page.
    pub url: String,
    /// Pricing.
    pub pricing: String,
    /// Entry price.
    pub entry_price: String,
    /// One for each of the panel.
    pub reviews: Vec<TypedReview>,
}

impl From<&Tool> for TypedTool {
    fn from(tool: &Tool) -> Self {
        let review = |reviewer: &Reviewer| {
            let review = tool.review_by(*reviewer);
            review.map(TypedReview::from).unwrap_or_default()
        };
        Self {
            slug: tool.slug.to_string(),
            name: tool.name.clone(),
            category: tool.category.clone(),
            tagline: tool.tagline.clone(),
            description: tool.description.clone(),
            url: tool.url.clone().unwrap_or_default(),
            pricing: tool.pricing.clone(),
            entry_price: tool.entry_price.clone(),
            reviews: Reviewer::ALL.iter().map(review).collect(),
        }
    }
}

impl TypedTool {
    /// The tool that was meant.
    ///
    /// # Errors
    /// A fault for each field that is wrong, by its name in the catalogue document; of a review `Builder score`.
    pub fn read(&self, published_at: Timestamp, sample: bool) -> Result<Tool, Vec<FieldFault>> {
        let mut faults = Faults::default();
        let slug = match self.slug.trim() {
            "" => propose_slug(&self.name),
            typed => typed.to_owned(),
        };
        let url = match self.url.trim() {
            "" => None,
            typed => Some(faults.take("url", WebAddress::try_from(typed.to_owned()))),
        };
        let reviews = Reviewer::ALL.iter().zip(&self.reviews);
        let reviews = reviews
            .filter(|(_, typed)| !typed.is_empty())
            .filter_map(|(reviewer, typed)| faults.review(*reviewer, typed))
            .collect();
        let text = |text: &String| text.clone();
        let tool = (
            faults.take("slug", slug.parse::<Slug>()),
            faults.take("name", SingleLine::<120>::try_from(text(&self.name))),
            faults.take("category", SingleLine::<60>::try_from(text(&self.category))),
            faults.take("tagline", SingleLine::<300>::try_from(text(&self.tagline))),
            faults.take(
                "description",
                Paragraphs::<10_000>::try_from(lines(&self.description)),
            ),
            faults.take(
                "pricing",
                OptionalLine::<300>::try_from(text(&self.pricing)),
            ),
            faults.take(
                "entry_price",
                OptionalLine::<60>::try_from(text(&self.entry_price)),
            ),
        );
        match tool {
            (
                Some(slug),
                Some(name),
                Some(category),
                Some(tagline),
                Some(description),
                Some(pricing),
                Some(entry_price),
            ) if faults.0.is_empty() => Ok(Tool {
                slug,
                name: name.0,
                category: category.0,
                tagline: tagline.0,
                description: description.0,
                url: url.flatten().map(|url| url.0),
                pricing: pricing.0,
                entry_price: entry_price.0,
                published_at,
                sample,
                reviews,
            }),
            _ => Err(faults.0),
        }
    }
}

/// Faults, gathered while fields are read.
#[derive(Default)]
struct Faults(Vec<FieldFault>);

impl Faults {
    fn take<T, E: std::fmt::Display>(
        &mut self,
        field: &'static str,
        read: Result<T, E>,
    ) -> Option<T> {
        read.map_err(|error| self.add(field.to_owned(), &error))
            .ok()
    }

    fn add(&mut self, field: String, error: &dyn std::fmt::Display) {
        let words = error.to_string();
        let mut first = words.chars();
        let upper = first.next().map(|c| c.to_uppercase().to_string());
        self.0.push(FieldFault {
            field: field.into(),
            detail: format!("{}{}.", upper.unwrap_or_default(), first.as_str()),
        });
    }

    fn review(&mut self, reviewer: Reviewer, typed: &TypedReview) -> Option<Review> {
        let score = typed.score.trim();
        let score = score.parse::<i64>().map_err(|_| {
            format!("{score:?} is not a score: expected a whole number from 0 to 100")
        });
        let score = score.and_then(|n| Score::try_from(n).map_err(|error| error.to_string()));
        let verdict = typed.verdict.trim().parse::<Verdict>();
        let verdict = verdict.map_err(|_| "choose ship or skip, or empty all three fields");
        let take = Paragraphs::<20_000>::try_from(lines(&typed.take));
        let mut part = |name: &str, error: &dyn std::fmt::Display| {
            self.add(format!("{reviewer} {name}"), error);
        };
        match (score, verdict, take) {
            (Ok(score), Ok(verdict), Ok(take)) => Some(Review {
                reviewer,
                score,
                verdict,
                take: take.0,
                quote: None,
            }),
            (score, verdict, take) => {
                score.err().iter().for_each(|error| part("score", error));
                verdict
                    .err()
                    .iter()
                    .for_each(|error| part("verdict", error));
                take.err().iter().for_each(|error| part("take", error));
                None
            }
        }
    }
}

/// A form sends line breaks as CR LF (HTML, the textarea element); the catalogue has LF.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// A slug for a name: "Llama 4 (Compact)" gives `llama-4-compact`. Empty where nothing of the name can stand in one.
pub fn propose_slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.nfkd().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.ends_with('-') && !is_mark(c) {
            slug.push('-');
        }
    }
    let longest = Slug::MAX / 2 - 4;
    let slug: String = slug.trim_matches('-').chars().take(longest).collect();
    slug.trim_end_matches('-').to_owned()
}

/// Returns true for an accent, which stands by itself once a letter is taken apart, and for an apostrophe.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\'' | '\u{2019}')
}

impl App {
    /// Saves a tool. `tells`: whether readers who saved it are told of a verdict that changed. A quote that the catalogue's document set
    /// stays as long as its take does: the form has no field for it.
    pub async fn save_tool_entry(
        &self,
        actor: &Actor,
        tool: &Tool,
        over: SaveOver,
        tells: Option<bool>,
    ) -> Result<ToolSaved, Failure> {
        Ok(self
            .storage
            .save_tool_entry(actor, tool, over, tells, self.now())
            .await?)
    }

    /// Saves a comparison.
    pub async fn save_comparison_entry(
        &self,
        actor: &Actor,
        comparison: &Comparison,
        over: SaveOver,
    ) -> Result<ComparisonSaved, Failure> {
        Ok(self
            .storage
            .save_comparison_entry(actor, comparison, over, self.now())
            .await?)
    }

    /// Renders the page that the site would show of a tool, with the votes that it has.
    pub async fn preview_tool(&self, tool: Tool) -> Result<String, Failure> {
        let known = self
            .storage
            .contender(&tool.slug, Timestamp::MAX_UTC)
            .await?;
        let (votes, visitors) = known.map(|known| (known.votes, known.visitors)).unzip();
        let now = self.now();
        let rated = RatedTool {
            tool: Tool {
                published_at: tool.published_at.min(now),
                ..tool
            },
            votes: votes.unwrap_or_default(),
            visitors: visitors.unwrap_or_default(),
        };
        let form = SignUpForm {
            email: "",
            problem: None,
        };
        let visit = VisitorView::default();
        Ok(page::tool(
            &self.site,
            &rated,
            &[],
            &[],
            &visit,
            &form,
            now,
        )?)
    }

    /// A comparison that is no longer in the catalogue, as the last digest that carried it has it: links in that mail lead there.
    pub async fn sent_comparison(&self, slug: &Slug) -> Result<Option<RatedComparison>, Failure> {
        if self.storage.stored_comparison(slug).await?.is_some() {
            return Ok(None);
        }
        let Some(slot) = self.storage.last_sent_with(slug).await? else {
            return Ok(None);
        };
        let frozen = self.storage.frozen_content(slot).await?;
        let items = frozen.into_iter().flat_map(|(content, _)| content.items);
        let mut comparisons = items.map(|item| item.matchup);
        Ok(comparisons.find(|found| found.comparison.slug == *slug))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_proposed_from_whatever_a_tool_is_called() {
        for (name, slug) in [
            ("Llama 4 (Compact)", "llama-4-compact"),
            ("  Émile's  Café+ ", "emiles-cafe"),
            ("東京", ""),
            ("--", ""),
        ] {
            assert_eq!(propose_slug(name), slug, "{name}");
        }
        let long = propose_slug(&"ab-".repeat(200));
        assert!(long.parse::<Slug>().is_ok() && long.len() <= 96, "{long}");
    }

    #[test]
    fn every_field_that_is_wrong_is_named_and_an_empty_review_is_no_take() {
        let mut typed = TypedTool {
            name: "A".into(),
            category: "Design".into(),
            tagline: "Draws".into(),
            description: "It draws.\r\nWell.".into(),
            reviews: vec![TypedReview::default(); Reviewer::ALL.len()],
            ..TypedTool::default()
        };
        let tool = typed.read(draft_date(), false).expect("a tool");
        assert_eq!((tool.slug.as_str(), tool.reviews.len()), ("a", 0));
        assert_eq!(tool.description, "It draws.\nWell.");
        typed.reviews[3] = TypedReview {
            score: "101".into(),
            verdict: String::new(),
            take: "Pays.".into(),
        };
        typed.url = "ftp://x".into();
        typed.tagline = String::new();
        let faults = typed.read(draft_date(), false).expect_err("refused");
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_ref()).collect();
        assert_eq!(
            fields,
            ["url", "Founder score", "Founder verdict", "tagline"]
        );
    }
}
