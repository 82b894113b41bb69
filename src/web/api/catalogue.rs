//! The whole catalogue, as one document.

use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Web;
use super::super::answer::Problem;
use super::access::Caller;
use super::answers;
use super::catalogue_shapes::ChangedFieldShape;
use super::extract;
use super::extract::NoParameters;
use super::extract::Query;
use super::operation::Need;
use super::operation::Operation;
use crate::app::Failure;
use crate::app::catalogue::document::Format;
use crate::app::catalogue::read_document;
use crate::domain::api_token::Scope;
use crate::storage::catalogue_import::Difference;
use crate::storage::catalogue_import::ImportMode;
use crate::storage::catalogue_import::Imported;
use crate::storage::catalogue_import::ImportedCounts;

/// The largest document, in bytes.
const LARGEST: usize = 16 << 20;
/// Differences that an answer names.
const NAMED: usize = 200;
/// Media types of documents.
const TYPES: [&str; 2] = ["application/json", "application/toml"];

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/catalogue/import", Scope::CatalogueWrite, import)
            .named("importCatalogue", "Import a catalogue document, all or nothing")
            .explained("What the document does not mention stays, unless replace is true. Doing it twice is doing it once.")
            .asks::<CatalogueImportQuery>()
            .takes_raw_or::<CatalogueDocument>(&TYPES, LARGEST)
            .answers::<ImportResult>(200, "What was changed, or would be with dry_run."),
        Operation::get(
            "/catalogue/export",
            Need::Scope(Scope::CatalogueRead),
            export,
        )
        .named("exportCatalogue", "Export the whole catalogue as a document")
        .explained("In JSON, or in TOML where Accept asks for application/toml.")
        .asks::<NoParameters>()
        .answers_raw("application/json", "The document.")
        .answers_raw("application/toml", "The document."),
    ]
}

/// How a document is imported.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CatalogueImportQuery {
    /// Only tell what would change.
    #[schema(nullable = false)]
    dry_run: Option<bool>,
    /// The document is the whole catalogue: what it does not mention is removed.
    #[schema(nullable = false)]
    replace: Option<bool>,
    /// False if verdicts that change were written down wrong before: readers are not told, and histories are corrected.
    #[schema(nullable = false)]
    tell_readers: Option<bool>,
}

/// A catalogue document; its parts are checked as the command checks them, and each fault is named.
#[derive(Debug, Deserialize, ToSchema)]
#[allow(
    dead_code,
    reason = "the shape of what the catalogue's own reader reads"
)]
struct CatalogueDocument {
    #[schema(nullable = false, value_type = Option<Vec<Object>>)]
    tools: Option<Vec<serde_json::Value>>,
    #[schema(nullable = false, value_type = Option<Vec<Object>>)]
    comparisons: Option<Vec<serde_json::Value>>,
}

/// Result of an import.
#[derive(Debug, Serialize, ToSchema)]
struct ImportResult {
    /// True if nothing was written.
    dry_run: bool,
    tools: Counts,
    reviews: Counts,
    comparisons: Counts,
    /// All but the unchanged, the first 200.
    differences: Vec<DocumentDifference>,
    /// Differences beyond these.
    #[schema(value_type = i64, minimum = 0)]
    more: usize,
}

/// Counts of things of one kind.
#[derive(Debug, Serialize, ToSchema)]
struct Counts {
    #[schema(value_type = i64, minimum = 0)]
    added: u64,
    #[schema(value_type = i64, minimum = 0)]
    changed: u64,
    #[schema(value_type = i64, minimum = 0)]
    unchanged: u64,
    #[schema(value_type = i64, minimum = 0)]
    removed: u64,
}

impl From<ImportedCounts> for Counts {
    fn from(counts: ImportedCounts) -> Self {
        Self {
            added: counts.added,
            changed: counts.changed,
            unchanged: counts.unchanged,
            removed: counts.removed,
        }
    }
}

/// One thing that differs.
#[derive(Debug, Serialize, ToSchema)]
struct DocumentDifference {
    /// added, changed or removed.
    change: &'static str,
    /// tool, review or comparison.
    kind: &'static str,
    /// Its slug; of a review the tool's and the reviewer.
    name: String,
    fields: Vec<ChangedFieldShape>,
}

impl From<Difference> for DocumentDifference {
    fn from(difference: Difference) -> Self {
        Self {
            change: difference.change,
            kind: difference.kind,
            name: difference.name,
            fields: difference
                .fields
                .into_iter()
                .map(ChangedFieldShape::from)
                .collect(),
        }
    }
}

impl ImportResult {
    fn new(imported: Imported, dry_run: bool) -> Self {
        let more = imported.differences.len().saturating_sub(NAMED);
        let named = imported.differences.into_iter().take(NAMED);
        Self {
            dry_run,
            tools: imported.tools.into(),
            reviews: imported.reviews.into(),
            comparisons: imported.comparisons.into(),
            differences: named.map(DocumentDifference::from).collect(),
            more,
        }
    }
}

async fn import(
    State(web): State<Web>,
    Caller(bearer): Caller,
    Query(asked): Query<CatalogueImportQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let format = match extract::media_type(request.headers()).as_deref() {
        Some("application/json") => Format::Json,
        Some("application/toml") => Format::Toml,
        _ => return Err(extract::unsupported("application/json or application/toml")),
    };
    let bytes = extract::bytes(request, &web).await?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::invalid("The document is no UTF-8 text."))?;
    let catalogue = read_document("The document", text, format)?;
    let dry_run = asked.dry_run == Some(true);
    let mode = ImportMode {
        replace: asked.replace == Some(true),
        dry_run,
        corrections: asked.tell_readers == Some(false),
    };
    let imported = web
        .app
        .import_catalogue_as(&bearer.actor(), &catalogue, mode)
        .await?;
    answers::ok(&ImportResult::new(imported, dry_run))
}

async fn export(
    State(web): State<Web>,
    Query(NoParameters {}): Query<NoParameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let is_toml = accept.is_some_and(|accept| accept.contains("application/toml"));
    let (format, media_type) = match is_toml {
        true => (Format::Toml, "application/toml"),
        false => (Format::Json, "application/json"),
    };
    let catalogue = web.app.export_catalogue().await?;
    let text = catalogue.write(format).map_err(Failure::internal)?;
    Ok(([(header::CONTENT_TYPE, media_type)], text).into_response())
}
