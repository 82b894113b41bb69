//! From what a source says to entries of the catalogue: by the catalogue document's own rules, with a remark for all that does not fit.

use std::collections::BTreeMap;

use sha2::Digest;
use sha2::Sha256;

use crate::app::App;
use crate::app::Failure;
use crate::app::catalogue::document::Catalogue;
use crate::app::catalogue::editing::TypedReview;
use crate::app::catalogue::editing::TypedTool;
use crate::app::catalogue::editing::propose_slug;
use crate::domain::Timestamp;
use crate::domain::catalogue::Comparison;
use crate::domain::catalogue::Reviewer;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Tool;
use crate::domain::catalogue::Verdict;
use crate::domain::catalogue_change::FieldChange;
use crate::domain::catalogue_change::comparison_changes;
use crate::domain::catalogue_change::tool_changes;
use crate::domain::source::EntryRemark;
use crate::domain::source::FoundComparison;
use crate::domain::source::FoundEntry;
use crate::domain::source::FoundTool;
use crate::domain::source::RemarkKind;
use crate::storage::catalogue_import::Difference;
use crate::storage::catalogue_import::Imported;
use crate::storage::proposals::NewProposal;

/// Verdicts that a person chose, by `slug Reviewer`.
pub type Answers = BTreeMap<String, Verdict>;

/// An entry, judged.
#[derive(Debug, Clone)]
pub struct JudgedEntry {
    /// Tools and comparisons as they would be in the catalogue.
    pub catalogue: Catalogue,
    /// The difference to the catalogue as it is.
    pub difference: Imported,
    /// Remarks of whoever read it, and of this judgement.
    pub remarks: Vec<EntryRemark>,
    /// Verdicts that a person has to choose, as `slug Reviewer`.
    pub questions: Vec<String>,
}

impl JudgedEntry {
    /// Returns true if it can be accepted as it is.
    pub fn is_good(&self) -> bool {
        self.questions.is_empty() && !self.has_fault()
    }

    /// The differences, with every field of what is new; its reviews are among these.
    pub fn differences(&self) -> Vec<Difference> {
        let differences = self.difference.differences.iter();
        let added_tool = |name: &str| {
            let is_added = |other: &Difference| {
                (other.kind, other.change, other.name.as_str()) == ("tool", "added", name)
            };
            self.difference.differences.iter().any(is_added)
        };
        let shown = differences.filter(|difference| {
            let tool = difference.name.split(' ').next().unwrap_or_default();
            difference.kind != "review" || !added_tool(tool)
        });
        shown
            .map(|difference| {
                let mut difference = difference.clone();
                if difference.change == "added" && difference.kind == "tool" {
                    let tool = self
                        .catalogue
                        .tools
                        .iter()
                        .find(|tool| tool.slug.as_str() == difference.name);
                    difference.fields = tool_changes(None, tool);
                } else if difference.change == "added" && difference.kind == "comparison" {
                    let mut comparisons = self.catalogue.comparisons.iter();
                    let comparison =
                        comparisons.find(|comparison| comparison.slug.as_str() == difference.name);
                    difference.fields = comparison_changes(None, comparison);
                } else if difference.change == "added" && difference.kind == "review" {
                    difference.fields = self.review_fields(&difference.name);
                }
                difference
            })
            .collect()
    }

    /// The fields of a review that is new, by `slug Reviewer`.
    fn review_fields(&self, name: &str) -> Vec<FieldChange> {
        let Some((slug, reviewer)) = name.split_once(' ') else {
            return Vec::new();
        };
        let tool = self
            .catalogue
            .tools
            .iter()
            .find(|tool| tool.slug.as_str() == slug);
        let review = tool
            .zip(reviewer.parse().ok())
            .and_then(|(tool, reviewer)| tool.review_by(reviewer));
        let field = |(name, after): (&str, String)| FieldChange {
            field: name.to_owned(),
            before: String::new(),
            after,
        };
        review
            .map(|review| {
                let fields = [
                    ("score", review.score.points().to_string()),
                    ("verdict", review.verdict.to_string()),
                    ("take", review.take.clone()),
                ];
                fields.map(field).into()
            })
            .unwrap_or_default()
    }

    /// Returns true if it cannot be accepted, whatever a person answers.
    pub fn has_fault(&self) -> bool {
        self.remarks
            .iter()
            .any(|remark| remark.kind == RemarkKind::Fault)
    }
}

/// A hash of what an entry says; remarks are our own.
fn content_sha256(entry: &FoundEntry) -> Result<String, Failure> {
    let text = serde_json::to_vec(&(&entry.title, &entry.url, &entry.tools, &entry.comparisons))
        .map_err(|error| Failure::internal("An entry cannot be written down.").with_cause(error))?;
    Ok(data_encoding::HEXLOWER.encode(&Sha256::digest(&text)))
}

/// Identity of an entry: what the source says, or else its address, or its title.
fn identity(entry: &FoundEntry) -> String {
    let first = [
        Some(entry.guid.as_str()),
        entry.url.as_deref(),
        Some(entry.title.as_str()),
    ];
    let id = first.into_iter().flatten().find(|text| !text.is_empty());
    // The column is an index.
    id.unwrap_or_default().chars().take(500).collect()
}

impl App {
    /// Judges all entries of a source as they are to be stored. An entry that cannot be judged never stops the others.
    pub(super) async fn proposals_of(
        &self,
        entries: Vec<FoundEntry>,
    ) -> Result<Vec<NewProposal>, Failure> {
        let mut proposals: Vec<NewProposal> = Vec::with_capacity(entries.len());
        for mut entry in entries {
            let guid = identity(&entry);
            if proposals.iter().any(|known| known.guid == guid) {
                continue;
            }
            entry.title = entry.title.replace('\0', "").chars().take(300).collect();
            let judged = self.judge(&entry, &Answers::new(), self.now()).await?;
            let differs = judged.has_fault()
                || !judged.difference.differences.is_empty()
                || !judged.questions.is_empty();
            proposals.push(NewProposal {
                guid,
                content_sha256: content_sha256(&entry)?,
                entry,
                differs,
            });
        }
        Ok(proposals)
    }

    /// Judges an entry: what it would be in the catalogue, and what is in the way. `seen_at`: the date of what has none.
    pub async fn judge(
        &self,
        entry: &FoundEntry,
        answers: &Answers,
        seen_at: Timestamp,
    ) -> Result<JudgedEntry, Failure> {
        let mut judged = JudgedEntry {
            catalogue: Catalogue::default(),
            difference: Imported::default(),
            remarks: entry.remarks.clone(),
            questions: Vec::new(),
        };
        judged
            .remarks
            .retain(|remark| remark.kind != RemarkKind::Question);
        for found in &entry.tools {
            let slug = slug_of(&found.slug, &found.name);
            let known = match slug.parse::<Slug>() {
                Ok(slug) => self
                    .storage
                    .stored_tool(&slug)
                    .await?
                    .map(|known| known.entry),
                Err(_) => None,
            };
            read_tool(found, slug, known.as_ref(), answers, seen_at, &mut judged);
        }
        for found in &entry.comparisons {
            self.judge_comparison(found, entry, seen_at, &mut judged)
                .await?;
        }
        if entry.tools.is_empty() && entry.comparisons.is_empty() && !judged.has_fault() {
            judged.remarks.push(fault(
                "",
                "There is no tool and no comparison in it.".into(),
            ));
        }
        if judged.has_fault() {
            return Ok(judged);
        }
        match self.check_catalogue(&judged.catalogue, false).await {
            Ok(difference) => judged.difference = difference,
            Err(failure) if !failure.kind().is_ours() => {
                judged.remarks.push(fault("", failure.to_string()))
            }
            Err(failure) => return Err(failure),
        }
        Ok(judged)
    }

    async fn judge_comparison(
        &self,
        found: &FoundComparison,
        entry: &FoundEntry,
        seen_at: Timestamp,
        judged: &mut JudgedEntry,
    ) -> Result<(), Failure> {
        // A side is named by a slug, or as the entry's tools are.
        let side = |text: &str| -> Result<Slug, String> {
            let tool = entry
                .tools
                .iter()
                .find(|tool| tool.name == text || tool.slug == text);
            let slug = match tool {
                Some(tool) => slug_of(&tool.slug, &tool.name),
                None => slug_of(text, text),
            };
            slug.parse::<Slug>().map_err(|error| error.to_string())
        };
        let (left, right) = match (side(&found.left), side(&found.right)) {
            (Ok(left), Ok(right)) => (left, right),
            (Err(error), _) | (_, Err(error)) => {
                judged
                    .remarks
                    .push(fault("comparison", format!("{error}.")));
                return Ok(());
            }
        };
        let slug = match found.slug.as_str() {
            "" => format!("{left}-vs-{right}"),
            slug => slug.to_owned(),
        };
        let slug = match slug.parse::<Slug>() {
            Ok(slug) if left != right => slug,
            Ok(_) => {
                judged.remarks.push(fault(
                    "comparison",
                    format!("It compares {left} with itself."),
                ));
                return Ok(());
            }
            Err(error) => {
                judged
                    .remarks
                    .push(fault("comparison", format!("{error}.")));
                return Ok(());
            }
        };
        let known = self.storage.stored_comparison(&slug).await?;
        let known_at = known.map(|known| known.entry.published_at);
        judged.catalogue.comparisons.push(Comparison {
            slug,
            left,
            right,
            published_at: found.published_at.or(known_at).unwrap_or(seen_at),
            sample: found.sample,
        });
        Ok(())
    }
}

fn fault(field: &str, detail: String) -> EntryRemark {
    EntryRemark {
        kind: RemarkKind::Fault,
        field: field.to_owned(),
        detail,
    }
}

fn slug_of(slug: &str, name: &str) -> String {
    match slug.parse::<Slug>() {
        Ok(slug) => slug.to_string(),
        Err(_) => propose_slug(name),
    }
}

/// Notes a question that whoever accepts the entry answers.
fn ask(judged: &mut JudgedEntry, key: String) {
    judged.remarks.push(EntryRemark {
        kind: RemarkKind::Question,
        field: key.clone(),
        detail: format!("The source says neither ship nor skip for {key}: choose one, or set ship_from in its mapping."),
    });
    judged.questions.push(key);
}

/// Takes over the sentences that a source offers for quotation.
fn add_quotes(tool: &mut Tool, found: &FoundTool) {
    for review in &mut tool.reviews {
        let found = found
            .reviews
            .iter()
            .find(|found| found.reviewer == review.reviewer);
        review.quote = found.and_then(|found| found.quote.clone());
    }
}

fn read_tool(
    found: &FoundTool,
    slug: String,
    known: Option<&Tool>,
    answers: &Answers,
    seen_at: Timestamp,
    judged: &mut JudgedEntry,
) {
    let name = if found.name.is_empty() {
        slug.clone()
    } else {
        found.name.clone()
    };
    let or_known = |text: &String, known_text: fn(&Tool) -> &String| match known {
        Some(known) if text.is_empty() => known_text(known).clone(),
        _ => text.clone(),
    };
    let mut questions = Vec::new();
    let mut review_of = |reviewer: &Reviewer| {
        let review = found
            .reviews
            .iter()
            .find(|review| review.reviewer == *reviewer)?;
        let key = format!("{slug} {reviewer}");
        // What the source does not say, the catalogue may: a take that is the same was decided on before.
        let same = known
            .and_then(|known| known.review_by(*reviewer))
            .filter(|known| known.take == review.take)
            .map(|known| known.verdict);
        let verdict = review
            .verdict
            .or_else(|| answers.get(&key).copied())
            .or(same);
        if verdict.is_none() {
            questions.push(key);
        }
        Some(TypedReview {
            score: review.score.clone(),
            verdict: verdict?.to_string(),
            take: review.take.clone(),
        })
    };
    let reviews = Reviewer::ALL
        .iter()
        .map(|reviewer| review_of(reviewer).unwrap_or_default())
        .collect();
    let typed = TypedTool {
        slug: slug.clone(),
        name: found.name.clone(),
        category: or_known(&found.category, |known| &known.category),
        tagline: or_known(&found.tagline, |known| &known.tagline),
        description: or_known(&found.description, |known| &known.description),
        url: found.url.clone(),
        pricing: found.pricing.clone(),
        entry_price: found.entry_price.clone(),
        reviews,
    };
    for key in questions {
        ask(judged, key);
    }
    let published_at = found
        .published_at
        .or(known.map(|known| known.published_at))
        .unwrap_or(seen_at);
    match typed.read(published_at, found.sample) {
        Ok(mut tool) => {
            add_quotes(&mut tool, found);
            judged.catalogue.tools.push(tool);
        }
        Err(faults) => {
            for found in faults {
                let field = format!("{name} {}", found.field);
                judged.remarks.push(fault(&field, found.detail));
            }
        }
    }
}
