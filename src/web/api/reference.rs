//! `/api`: the document as a page for people.

use axum::extract::State;
use axum::response::Html;
use serde_json::Value;

use super::super::Web;
use super::super::answer::Page;
use super::BASE;
use super::document;
use super::tags;
use crate::render::page;
use crate::render::page::OperationField;
use crate::render::page::OperationGroup;
use crate::render::page::OperationView;

/// The page.
pub async fn show(State(web): State<Web>) -> Page {
    let document = document::document();
    let groups = tags::ALL.iter().map(|(name, words)| OperationGroup {
        name: (*name).to_owned(),
        words: (*words).to_owned(),
        operations: operations(document, name),
    });
    let groups = groups
        .filter(|group| !group.operations.is_empty())
        .collect();
    Ok(Html(page::reference(&web.app.site, BASE, groups)?))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn operations(document: &Value, tag: &str) -> Vec<OperationView> {
    let paths = document["paths"].as_object();
    let mut found = Vec::new();
    for (path, item) in paths.into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            if operation["tags"][0] == tag {
                found.push(view(document, path, method, item, operation));
            }
        }
    }
    found
}

fn view(
    document: &Value,
    path: &str,
    method: &str,
    item: &Value,
    operation: &Value,
) -> OperationView {
    let mut fields = Vec::new();
    for parameters in [&item["parameters"], &operation["parameters"]] {
        for parameter in parameters.as_array().into_iter().flatten() {
            fields.push(parameter_field(resolved(document, parameter)));
        }
    }
    let content = operation["requestBody"]["content"].as_object();
    let body = content.and_then(|content| content.values().next());
    if let Some(body) = body {
        fields.extend(body_fields(resolved(document, &body["schema"])));
    }
    let answers = operation["responses"].as_object().into_iter().flatten();
    let answers = answers.filter(|(status, _)| status.starts_with('2'));
    let answers: Vec<String> = answers
        .map(|(status, answer)| format!("{status} {}", text(&answer["description"])))
        .collect();
    OperationView {
        id: text(&operation["operationId"]),
        method: method.to_ascii_uppercase(),
        path: format!("{}{path}", document::SERVER),
        summary: text(&operation["summary"]),
        description: text(&operation["description"]),
        fields,
        answers: answers.join(" "),
    }
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let reference = value["$ref"].as_str();
    let target =
        reference.and_then(|reference| document.pointer(reference.trim_start_matches('#')));
    target.unwrap_or(value)
}

fn parameter_field(parameter: &Value) -> OperationField {
    OperationField {
        name: text(&parameter["name"]),
        place: match parameter["in"].as_str() {
            Some("path") => "in the path",
            Some("header") => "a header",
            _ => "in the query",
        },
        words: text(&parameter["description"]),
        is_required: parameter["required"] == true,
    }
}

fn body_fields(schema: &Value) -> Vec<OperationField> {
    let required = schema["required"].as_array();
    let is_required =
        |name: &str| required.is_some_and(|names| names.iter().any(|known| known == name));
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, schema)| OperationField {
            name: name.clone(),
            place: "in the body",
            words: text(&schema["description"]),
            is_required: is_required(name),
        })
        .collect()
}
