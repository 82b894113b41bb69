//! Parts of the document: paths, parameters, bodies and answers.

use axum::http::Method;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::operation::AnswerShape;
use super::operation::Content;
use super::operation::Need;
use super::operation::Operation;
use super::operation::Taken;
use super::patterns;
use super::schema::Shape;
use super::tags;
use crate::domain::catalogue::Slug;

/// Statuses that every operation may answer with, those with a parameter or a body, and what each means.
pub const PROBLEMS: [(u16, &str, &str); 14] = [
    (400, "BadRequest", "The request is not understood."),
    (
        401,
        "Unauthorized",
        "There is no token, or it does not work.",
    ),
    (
        403,
        "Forbidden",
        "The token lacks the scope, or its maker may not do this.",
    ),
    (404, "NotFound", "What was named does not exist."),
    (
        405,
        "MethodNotAllowed",
        "The address does not take the method; Allow lists those it takes.",
    ),
    (
        406,
        "NotAcceptable",
        "The answer has no form that Accept admits.",
    ),
    (409, "Conflict", "The present state does not allow it."),
    (
        412,
        "PreconditionFailed",
        "It was changed since it was read.",
    ),
    (
        413,
        "TooLarge",
        "The body is larger than the address takes.",
    ),
    (
        415,
        "UnsupportedMediaType",
        "The body is of a kind that the address does not take.",
    ),
    (
        422,
        "Invalid",
        "The input is wrong; errors names each place.",
    ),
    (428, "PreconditionRequired", "If-Match is missing."),
    (429, "TooMany", "There were too many requests."),
    (
        503,
        "Unavailable",
        "Something that this needs does not work for the moment.",
    ),
];

/// A path with the parameters that stand in it.
pub fn path_item(path: &str) -> Value {
    let names = path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next());
    let parameters: Vec<Value> = names
        .map(|name| {
            json!({
                "name": name,
                "in": "path",
                "required": true,
                "description": segment_words(name),
                "schema": segment_schema(name),
            })
        })
        .collect();
    match parameters.is_empty() {
        true => json!({}),
        false => json!({ "parameters": parameters }),
    }
}

fn segment_words(name: &str) -> &'static str {
    match name {
        "slug" => "Slug.",
        "slot" => "Week of the digest, like 2026-W49.",
        "reviewer" => "One of the panel.",
        "subscriber" => "Id of the subscriber, or their address.",
        _ => "Id, as the API gave it.",
    }
}

fn segment_schema(name: &str) -> Value {
    match name {
        "slug" => json!({ "type": "string", "pattern": patterns::SLUG, "maxLength": Slug::MAX }),
        "slot" => json!({ "type": "string", "pattern": patterns::SLOT }),
        "reviewer" => {
            json!({ "type": "string", "enum": crate::domain::catalogue::Reviewer::ALL })
        }
        "subscriber" => {
            json!({ "type": "string", "minLength": 3, "maxLength": 254, "pattern": "^[a-z0-9@.+_-]+$" })
        }
        _ => json!({ "type": "string", "pattern": patterns::ID }),
    }
}

/// An operation.
pub fn described(operation: &Operation) -> Value {
    let mut object = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [tags::of(operation.path)],
        "responses": responses(operation),
    });
    let scope = match operation.need {
        Need::Nothing => "Needs no token.".to_owned(),
        Need::Token => "Needs a token of any scope.".to_owned(),
        Need::Scope(scope) => format!("Needs the scope `{scope}`."),
    };
    object["description"] = format!("{} {scope}", operation.description).trim().into();
    object["security"] = match operation.need {
        Need::Nothing => json!([]),
        Need::Token | Need::Scope(_) => json!([{ "bearer": [] }]),
    };
    // OpenAPI lists scopes of OAuth alone.
    if let Need::Scope(scope) = operation.need {
        object["x-scope"] = scope.as_str().into();
    }
    let mut parameters = query_parameters(operation.query.as_ref());
    if operation.method == Method::POST {
        parameters.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
    }
    if operation.needs_match {
        parameters.push(json!({ "$ref": "#/components/parameters/IfMatch" }));
    }
    if !parameters.is_empty() {
        object["parameters"] = parameters.into();
    }
    if let Some(body) = &operation.body {
        object["requestBody"] = json!({ "required": true, "content": body_content(body) });
    }
    object
}

fn query_parameters(query: Option<&Shape>) -> Vec<Value> {
    let Some(query) = query else {
        return Vec::new();
    };
    let required = query.schema["required"].as_array();
    let is_required =
        |name: &str| required.is_some_and(|names| names.iter().any(|known| known == name));
    let properties = query.schema["properties"].as_object();
    let parameter = |(name, schema): (&String, &Value)| {
        let mut schema = schema.clone();
        let words = schema
            .as_object_mut()
            .and_then(|fields| fields.remove("description"));
        let mut parameter = json!({
            "name": name,
            "in": "query",
            "required": is_required(name),
            "schema": schema,
        });
        if let Some(words) = words {
            parameter["description"] = words;
        }
        parameter
    };
    properties.into_iter().flatten().map(parameter).collect()
}

fn reference(shape: &Shape) -> Value {
    json!({ "$ref": format!("#/components/schemas/{}", shape.name) })
}

fn body_content(body: &Taken) -> Value {
    match body {
        Taken::Json(shape) => json!({ "application/json": { "schema": reference(shape) } }),
        Taken::Patch(shape) => json!({
            "application/merge-patch+json": { "schema": reference(shape) },
            "application/json": { "schema": reference(shape) },
        }),
        Taken::Raw(types, shape) => types
            .iter()
            .map(|media_type| ((*media_type).to_owned(), raw_schema(media_type, shape)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

fn raw_schema(media_type: &str, shape: &Shape) -> Value {
    match media_type {
        "multipart/form-data" => json!({
            "schema": {
                "type": "object",
                "required": ["file"],
                "additionalProperties": false,
                "properties": { "file": { "type": "string", "contentMediaType": "application/octet-stream", "description": "The file." } },
            },
        }),
        "application/json" => json!({ "schema": reference(shape) }),
        // Bytes of a text are no JSON string: whatever comes is of the type (OpenAPI 3.1, 4.8.14.2).
        _ => json!({}),
    }
}

fn responses(operation: &Operation) -> Value {
    let mut responses = Map::new();
    for answer in &operation.answers {
        let (key, made) = (answer.status.to_string(), response(answer));
        match responses.get_mut(&key) {
            Some(known) => join(known, made),
            None => {
                responses.insert(key, made);
            }
        }
    }
    let mut statuses = vec![400, 405, 406, 429, 503];
    if operation.need != Need::Nothing {
        statuses.extend([401, 403]);
    }
    if operation.path.contains('{') {
        statuses.push(404);
    }
    if operation.body.is_some() {
        statuses.extend([413, 415, 422]);
    }
    if operation.query.is_some() || operation.method == Method::POST {
        statuses.push(422);
    }
    // Of an Idempotency-Key: its request is at work, or its body is too large to be kept.
    if operation.method == Method::POST {
        statuses.extend([409, 413]);
    }
    statuses.extend(&operation.problems);
    for (status, name, _) in PROBLEMS {
        if statuses.contains(&status) {
            let name = format!("#/components/responses/{name}");
            responses.insert(status.to_string(), json!({ "$ref": name }));
        }
    }
    responses.into()
}

/// Joins two answers of one status: media types stand beside each other, shapes of one media type are alternatives.
fn join(known: &mut Value, other: Value) {
    if let Some(words) = known["description"].as_str().map(str::to_owned) {
        let more = other["description"].as_str().unwrap_or_default();
        known["description"] = match words == more {
            true => words.into(),
            false => format!("{words} {more}").into(),
        };
    }
    for (media_type, content) in other["content"].as_object().into_iter().flatten() {
        let present = known["content"][media_type]["schema"].take();
        known["content"][media_type] = match present {
            Value::Null => content.clone(),
            present => json!({ "schema": { "anyOf": [present, content["schema"]] } }),
        };
    }
}

fn response(answer: &AnswerShape) -> Value {
    let mut object = json!({ "description": answer.words });
    match &answer.content {
        Content::Empty => {}
        Content::Json(shape) => {
            object["content"] = json!({ "application/json": { "schema": reference(shape) } });
        }
        Content::Page(shape) => {
            let page = json!({
                "type": "object",
                "required": ["data", "next", "count"],
                "properties": {
                    "data": { "type": "array", "items": reference(shape) },
                    "next": { "type": ["string", "null"], "description": "Place behind the last entry, for after; null at the end." },
                    "count": {
                        "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Count" }],
                        "description": "Count of the whole list, where it is known.",
                    },
                },
            });
            object["content"] = json!({ "application/json": { "schema": page } });
        }
        Content::Raw(media_type) => {
            let kind = match *media_type {
                "application/json" => "object",
                _ => "string",
            };
            object["content"] = json!({ (*media_type): { "schema": { "type": kind } } });
        }
    }
    let headers: Map<String, Value> = answer
        .headers
        .iter()
        .map(|(name, words)| ((*name).to_owned(), text_header(words)))
        .collect();
    if !headers.is_empty() {
        object["headers"] = headers.into();
    }
    object
}

fn text_header(words: &str) -> Value {
    json!({ "description": words, "schema": { "type": "string" } })
}

/// An answer that is a problem.
pub fn problem_response(status: u16, words: &str) -> Value {
    let mut response = json!({
        "description": words,
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    });
    let header = match status {
        401 | 403 => Some((
            "WWW-Authenticate",
            "How to sign a request, or which scope is missing.",
        )),
        405 => Some(("Allow", "Methods that the address takes.")),
        429 | 503 => Some(("Retry-After", "Whole seconds to wait.")),
        _ => None,
    };
    if let Some((name, words)) = header {
        response["headers"] = json!({ name: text_header(words) });
    }
    response
}

/// The shape of problem documents.
pub fn problem_schema() -> Value {
    let fault = json!({
        "type": "object",
        "required": ["field", "pointer", "code", "detail"],
        "properties": {
            "field": { "type": "string", "description": "Name of the field." },
            "pointer": { "type": "string", "description": "JSON pointer into the body as a fragment, or ?name for a parameter." },
            "code": { "type": "string", "description": "Stable word." },
            "detail": { "type": "string", "description": "A sentence." },
        },
    });
    json!({
        "type": "object",
        "description": "A problem document (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": { "type": "string", "format": "uri", "description": "A page that explains the code." },
            "title": { "type": "string" },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": { "type": "string", "description": "A sentence: what happened, and what to do." },
            "code": { "type": "string", "description": "Stable word." },
            "instance": { "type": "string", "description": "Id of the request, as in X-Request-Id and in the log." },
            "error": { "type": "string", "description": "The same as detail." },
            "errors": { "type": "array", "items": fault },
        },
    })
}
