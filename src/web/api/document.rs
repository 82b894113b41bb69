//! The document of the API (OpenAPI 3.1.0), made from the table of operations.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::answers::Count;
use super::document_parts::PROBLEMS;
use super::document_parts::described;
use super::document_parts::path_item;
use super::document_parts::problem_response;
use super::document_parts::problem_schema;
use super::operation::Content;
use super::operation::Need;
use super::operation::Taken;
use super::schema::Schemas;
use super::schema::Shape;
use super::tags;
use crate::domain::api_token::Scope;

/// Where the paths of the document begin, and the part of them that names the version: a path is never empty.
pub const SERVER: &str = "/api";
const VERSION_PATH: &str = "/v1";

/// Shapes of requests, by which bodies and queries are checked.
pub fn schemas() -> &'static Schemas {
    static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| {
        let mut all = BTreeMap::new();
        for operation in super::operations() {
            if let Some(query) = &operation.query {
                query.add_to(&mut all);
            }
            if let Some(Taken::Json(shape) | Taken::Patch(shape) | Taken::Raw(_, shape)) =
                &operation.body
            {
                shape.add_to(&mut all);
            }
        }
        Schemas(all)
    });
    &SCHEMAS
}

/// The document.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(make);
    &DOCUMENT
}

fn make() -> Value {
    let (mut paths, mut components) = (Map::new(), BTreeMap::new());
    let mut asked = BTreeMap::new();
    for operation in super::operations() {
        let known = paths
            .entry(format!("{VERSION_PATH}{}", operation.path))
            .or_insert_with(|| path_item(operation.path));
        known[operation.method.as_str().to_ascii_lowercase()] = described(&operation);
        for answer in &operation.answers {
            if let Content::Json(shape) | Content::Page(shape) = &answer.content {
                shape.add_to(&mut components);
            }
        }
        if let Some(Taken::Json(shape) | Taken::Patch(shape) | Taken::Raw(_, shape)) =
            &operation.body
        {
            shape.add_to(&mut asked);
        }
        // The parameters themselves stand in the operation.
        if let Some(query) = &operation.query {
            asked.extend(query.others.iter().cloned());
        }
    }
    Shape::of::<Count>().add_to(&mut components);
    // What is answered is always whole: each field is there, null where it has no value.
    components.values_mut().for_each(require_all);
    components.extend(asked);
    components.insert("Problem".to_owned(), problem_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "verdicts",
            "version": super::access::VERSION,
            "summary": "Programs read and write what the desk does.",
            "description": DESCRIPTION,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            "contact": { "name": "The publisher of this site" },
        },
        "servers": [{ "url": SERVER, "description": "This installation." }],
        "tags": tags::ALL.iter().map(|(name, words)| json!({ "name": name, "description": words })).collect::<Vec<_>>(),
        "security": [{ "bearer": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "vd_...",
                    "description": "An API token, made at the desk or by `verdicts tokens add`. Each operation names the scope that it needs.",
                },
            },
            "parameters": {
                "IdempotencyKey": {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "description": "A key of yours for this request: repeated under it within 24 hours, it is done once and answered again.",
                    "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
                },
                "IfMatch": {
                    "name": "If-Match",
                    "in": "header",
                    "required": true,
                    "description": "ETag of what was read.",
                    "schema": { "type": "string", "minLength": 1 },
                },
            },
            "responses": PROBLEMS.iter().map(|(status, name, words)| ((*name).to_owned(), problem_response(*status, words))).collect::<Map<_, _>>(),
            "schemas": components,
        },
    })
}

const DESCRIPTION: &str = "Errors are problem documents (RFC 9457) with a stable `code` and, for wrong input, the places at fault in `errors`. \
Lists come in pages: `next` and the header Link lead to the next one. Times are RFC 3339 in UTC, ids are opaque texts. \
Every POST takes an Idempotency-Key. The fields RateLimit and RateLimit-Policy tell how much a token may still ask. \
X-Request-Id names a request in answers and in the log.";

/// Adds every property to `required`, at every depth.
fn require_all(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Object(properties)) = fields.get("properties") {
                let names: Vec<Value> =
                    properties.keys().map(|name| name.as_str().into()).collect();
                if !names.is_empty() {
                    fields.insert("required".to_owned(), names.into());
                }
            }
            fields.values_mut().for_each(require_all);
        }
        Value::Array(items) => items.iter_mut().for_each(require_all),
        _ => {}
    }
}

/// Scopes, each with the operations that need it, for the page that explains them.
pub fn operations_of(scope: Scope) -> Vec<String> {
    super::operations()
        .iter()
        .filter(|operation| operation.need == Need::Scope(scope))
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::patterns;
    use super::*;

    /// Keywords that [`Schemas::check`] holds, and those that only explain.
    const KNOWN: [&str; 22] = [
        "$ref",
        "type",
        "enum",
        "oneOf",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "items",
        "properties",
        "required",
        "additionalProperties",
        "propertyNames",
        "description",
        "title",
        "example",
        "examples",
        "default",
    ];

    fn walk(schema: &Value, at: &str) {
        let Value::Object(fields) = schema else {
            return;
        };
        for (key, value) in fields {
            assert!(
                KNOWN.contains(&key.as_str()),
                "{at}: nothing checks the keyword {key}"
            );
            match key.as_str() {
                "pattern" => assert!(
                    patterns::is_known(value.as_str().unwrap_or_default()),
                    "{at}: {value} has no check"
                ),
                "format" => assert!(
                    ["date-time", "date", "int32", "int64", "double", "float"]
                        .contains(&value.as_str().unwrap_or_default()),
                    "{at}: {value}"
                ),
                "properties" => value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .for_each(|(name, schema)| walk(schema, &format!("{at}/{name}"))),
                "items" | "additionalProperties" => walk(value, &format!("{at}/{key}")),
                "oneOf" => value
                    .as_array()
                    .into_iter()
                    .flatten()
                    .for_each(|schema| walk(schema, at)),
                _ => {}
            }
        }
    }

    #[test]
    fn what_the_document_says_of_requests_is_checked() {
        assert!(!schemas().0.is_empty());
        for (name, schema) in &schemas().0 {
            walk(schema, name);
        }
    }

    #[test]
    fn no_shape_is_both_taken_and_answered() {
        // An answer requires every field, a request does not.
        let mut answered = BTreeMap::new();
        for operation in super::super::operations() {
            for answer in &operation.answers {
                if let Content::Json(shape) | Content::Page(shape) = &answer.content {
                    shape.add_to(&mut answered);
                }
            }
        }
        for name in schemas().0.keys() {
            assert!(!answered.contains_key(name), "{name}");
        }
    }

    #[test]
    fn each_operation_has_a_name_of_its_own_and_words() {
        let mut names = std::collections::BTreeSet::new();
        for operation in super::super::operations() {
            let here = format!("{} {}", operation.method, operation.path);
            assert!(
                !operation.id.is_empty() && !operation.summary.is_empty(),
                "{here}"
            );
            assert!(
                names.insert(operation.id),
                "{here}: {} stands twice",
                operation.id
            );
            assert!(!operation.answers.is_empty(), "{here} answers nothing");
            assert!(tags::is_known(operation.path), "{here} has no tag");
        }
    }
}
