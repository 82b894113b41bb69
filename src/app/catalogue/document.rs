//! The catalogue document: TOML or JSON in, domain types out, and back.

pub(super) mod fields;

use std::collections::HashMap;
use std::collections::HashSet;

use serde::Deserialize;
use serde::Serialize;

use self::fields::DocumentTime;
use self::fields::OptionalLine;
use self::fields::Paragraphs;
use self::fields::SingleLine;
use self::fields::WebAddress;
use crate::domain::Timestamp;
use crate::domain::catalogue::Comparison;
use crate::domain::catalogue::Review;
use crate::domain::catalogue::Reviewer;
use crate::domain::catalogue::Score;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Tool;
use crate::domain::catalogue::Verdict;
use crate::domain::publication::is_draft;
use crate::domain::quote::QUOTE_MAX;

/// Tools and comparisons that fit together, as far as one document can tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalogue {
    /// Each slug once.
    pub tools: Vec<Tool>,
    /// Each slug once; they may name tools that only the database knows.
    pub comparisons: Vec<Comparison>,
}

/// Format of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.toml`
    Toml,
    /// `.json`, and standard input.
    Json,
}

impl Format {
    /// By the ending of a file's name.
    pub fn of(path: &std::path::Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    comparisons: Vec<ComparisonEntry>,
}

/// A tool as a document has it, and as it is shown to programs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolEntry {
    slug: Slug,
    name: SingleLine<120>,
    category: SingleLine<60>,
    tagline: SingleLine<300>,
    description: Paragraphs<10_000>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<WebAddress>,
    #[serde(default)]
    pricing: OptionalLine<300>,
    #[serde(default)]
    entry_price: OptionalLine<60>,
    published_at: DocumentTime,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    sample: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reviews: Vec<ReviewEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReviewEntry {
    reviewer: Reviewer,
    score: Score,
    verdict: Verdict,
    take: Paragraphs<20_000>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quote: Option<SingleLine<QUOTE_MAX>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ComparisonEntry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slug: Option<Slug>,
    left: Slug,
    right: Slug,
    published_at: DocumentTime,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    sample: bool,
}

impl Catalogue {
    /// Reads one document. The error has a line for each fault: where (a line, or a key) and what was expected. Of JSON, the first.
    pub fn parse(text: &str, format: Format) -> Result<Self, String> {
        let document: Document = match format {
            Format::Toml => toml::from_str(text).map_err(|error| toml_faults(text, &error))?,
            Format::Json => serde_json::from_str(text).map_err(|error| json_fault(&error))?,
        };
        let (mut catalogue, mut faults) = (Self::default(), Vec::new());
        for entry in document.tools {
            tool_from(entry).map_or_else(
                |fault| faults.push(fault),
                |tool| catalogue.tools.push(tool),
            );
        }
        for entry in document.comparisons {
            comparison_from(entry).map_or_else(
                |fault| faults.push(fault),
                |comparison| catalogue.comparisons.push(comparison),
            );
        }
        if faults.is_empty() {
            Ok(catalogue)
        } else {
            Err(faults.join("\n"))
        }
    }

    /// Writes one document.
    pub fn write(&self, format: Format) -> Result<String, String> {
        let document = Document {
            tools: self.tools.iter().map(ToolEntry::from).collect(),
            comparisons: self.comparisons.iter().map(comparison_entry).collect(),
        };
        match format {
            Format::Json => serde_json::to_string_pretty(&document)
                .map(|text| text + "\n")
                .map_err(|error| error.to_string()),
            Format::Toml => {
                let mut value =
                    toml::Value::try_from(&document).map_err(|error| error.to_string())?;
                dates_as_dates(&mut value);
                toml::to_string_pretty(&value).map_err(|error| error.to_string())
            }
        }
    }

    /// Takes in the rest of a folder; `self` and `other` must not name a thing twice.
    pub fn merge(&mut self, other: Self) -> Result<(), String> {
        let mut faults = Vec::new();
        let mut known: HashSet<Slug> = self.tools.iter().map(|tool| tool.slug.clone()).collect();
        for tool in other.tools {
            if known.insert(tool.slug.clone()) {
                self.tools.push(tool)
            } else {
                faults.push(twice("tool", &tool.slug))
            }
        }
        let mut known: HashSet<Slug> = self
            .comparisons
            .iter()
            .map(|comparison| comparison.slug.clone())
            .collect();
        for comparison in other.comparisons {
            if known.insert(comparison.slug.clone()) {
                self.comparisons.push(comparison)
            } else {
                faults.push(twice("comparison", &comparison.slug))
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults.join("\n"))
        }
    }

    /// That no slug comes twice; a line for each that does.
    pub fn check(&self) -> Result<(), String> {
        Self::default().merge(self.clone())
    }

    /// The tools that are compared here and not described here, with the comparison that names them.
    pub fn outside_tools(&self) -> HashMap<&Slug, &Slug> {
        let here: HashSet<&Slug> = self.tools.iter().map(|tool| &tool.slug).collect();
        self.comparisons
            .iter()
            .flat_map(|c| [(&c.left, &c.slug), (&c.right, &c.slug)])
            .filter(|(tool, _)| !here.contains(tool))
            .collect()
    }

    /// Moves all dates alike, so that the newest is `now`; drafts have none.
    pub fn move_dates_to(&mut self, now: Timestamp) {
        let tools = self.tools.iter_mut().map(|tool| &mut tool.published_at);
        let comparisons = self.comparisons.iter_mut().map(|c| &mut c.published_at);
        let mut dates: Vec<&mut Timestamp> = tools
            .chain(comparisons)
            .filter(|date| !is_draft(**date))
            .collect();
        let Some(newest) = dates.iter().map(|date| **date).max() else {
            return;
        };
        for date in &mut dates {
            **date += now - newest;
        }
    }
}

fn twice(kind: &str, slug: &Slug) -> String {
    format!("{kind} {slug}: expected each slug once, it comes twice")
}

/// Every fault of a TOML document, a line each: its tools, their reviews and its comparisons are judged one by one.
fn toml_faults(text: &str, first: &toml::de::Error) -> String {
    let mut faults = Vec::new();
    if let Ok(table) = toml::de::DeTable::parse(text) {
        for (key, value) in table.into_inner() {
            let toml::de::DeValue::Array(items) = value.into_inner() else {
                continue;
            };
            for item in items {
                match key.get_ref().as_ref() {
                    "tools" => tool_faults(text, item, &mut faults),
                    "comparisons" => faults.extend(entry_fault::<ComparisonEntry>(text, item)),
                    _ => {}
                }
            }
        }
    }
    if faults.is_empty() {
        toml_fault(text, first)
    } else {
        faults.join("\n")
    }
}

fn tool_faults(
    text: &str,
    mut item: toml::Spanned<toml::de::DeValue<'_>>,
    faults: &mut Vec<String>,
) {
    if let toml::de::DeValue::Table(tool) = item.get_mut()
        && let Some(reviews) = tool.remove("reviews")
    {
        match reviews.into_inner() {
            toml::de::DeValue::Array(reviews) => faults.extend(
                reviews
                    .into_iter()
                    .filter_map(|review| entry_fault::<ReviewEntry>(text, review)),
            ),
            _ => faults.push("reviews: expected a list".into()),
        }
    }
    faults.extend(entry_fault::<ToolEntry>(text, item));
}

fn entry_fault<'de, T: Deserialize<'de>>(
    text: &str,
    item: toml::Spanned<toml::de::DeValue<'de>>,
) -> Option<String> {
    T::deserialize(toml::de::ValueDeserializer::from(item))
        .err()
        .map(|error| toml_fault(text, &error))
}

/// The place in front, as for TOML; serde_json says it at the end.
fn json_fault(error: &serde_json::Error) -> String {
    let (line, column, words) = (error.line(), error.column(), error.to_string());
    let place = format!(" at line {line} column {column}");
    format!(
        "line {line}, column {column}: {}",
        plain(words.strip_suffix(&place).unwrap_or(&words))
    )
}

/// serde's words for numbers are a programmer's.
fn plain(words: &str) -> String {
    words.replace("expected i64", "expected a whole number")
}

fn toml_fault(text: &str, error: &toml::de::Error) -> String {
    match error.span() {
        Some(span) => format!(
            "line {}: {}",
            text[..span.start.min(text.len())].matches('\n').count() + 1,
            plain(error.message())
        ),
        None => plain(error.message()),
    }
}

fn tool_from(entry: ToolEntry) -> Result<Tool, String> {
    let mut reviews: Vec<Review> = Vec::with_capacity(entry.reviews.len());
    for review in entry.reviews {
        if reviews
            .iter()
            .any(|known| known.reviewer == review.reviewer)
        {
            return Err(format!(
                "tool {}, reviews: expected one of {}, it has two",
                entry.slug, review.reviewer
            ));
        }
        reviews.push(Review {
            reviewer: review.reviewer,
            score: review.score,
            verdict: review.verdict,
            take: review.take.0,
            quote: review.quote.map(|quote| quote.0),
        });
    }
    reviews.sort_by_key(|review| review.reviewer);
    Ok(Tool {
        slug: entry.slug,
        name: entry.name.0,
        category: entry.category.0,
        tagline: entry.tagline.0,
        description: entry.description.0,
        url: entry.url.map(|url| url.0),
        pricing: entry.pricing.0,
        entry_price: entry.entry_price.0,
        published_at: entry.published_at.0,
        sample: entry.sample,
        reviews,
    })
}

fn comparison_from(entry: ComparisonEntry) -> Result<Comparison, String> {
    let slug = match entry.slug {
        Some(slug) => slug,
        None => format!("{}-vs-{}", entry.left, entry.right)
            .parse()
            .map_err(|error| {
                format!(
                    "comparison {} with {}: {error}; give it a slug",
                    entry.left, entry.right
                )
            })?,
    };
    if entry.left == entry.right {
        return Err(format!(
            "comparison {slug}: expected two different tools, both are {}",
            entry.left
        ));
    }
    Ok(Comparison {
        slug,
        left: entry.left,
        right: entry.right,
        published_at: entry.published_at.0,
        sample: entry.sample,
    })
}

impl From<&Tool> for ToolEntry {
    fn from(tool: &Tool) -> Self {
        let review = |review: &Review| ReviewEntry {
            reviewer: review.reviewer,
            score: review.score,
            verdict: review.verdict,
            take: Paragraphs(review.take.clone()),
            quote: review.quote.clone().map(SingleLine),
        };
        Self {
            slug: tool.slug.clone(),
            name: SingleLine(tool.name.clone()),
            category: SingleLine(tool.category.clone()),
            tagline: SingleLine(tool.tagline.clone()),
            description: Paragraphs(tool.description.clone()),
            url: tool.url.clone().map(WebAddress),
            pricing: OptionalLine(tool.pricing.clone()),
            entry_price: OptionalLine(tool.entry_price.clone()),
            published_at: DocumentTime(tool.published_at),
            sample: tool.sample,
            reviews: tool.reviews.iter().map(review).collect(),
        }
    }
}

fn comparison_entry(comparison: &Comparison) -> ComparisonEntry {
    ComparisonEntry {
        slug: Some(comparison.slug.clone()),
        left: comparison.left.clone(),
        right: comparison.right.clone(),
        published_at: DocumentTime(comparison.published_at),
        sample: comparison.sample,
    }
}

/// TOML has dates of its own; serde knows only texts.
fn dates_as_dates(value: &mut toml::Value) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table.iter_mut() {
                match value
                    .as_str()
                    .filter(|_| key == "published_at")
                    .and_then(|text| text.parse().ok())
                {
                    Some(date) => *value = toml::Value::Datetime(date),
                    None => dates_as_dates(value),
                }
            }
        }
        toml::Value::Array(items) => items.iter_mut().for_each(dates_as_dates),
        _ => {}
    }
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
