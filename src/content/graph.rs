//! Objects that a page's JSON-LD holds, and what they refer to.

use std::collections::HashMap;

use scraper::Html;
use scraper::Selector;
use serde_json::Map;
use serde_json::Value;

use super::plain;

/// Objects of a page that are looked at.
const NODES_MAX: usize = 5_000;

/// An object.
pub type Node = Map<String, Value>;

/// Everything that a page's scripts say.
pub struct Graph {
    /// Its objects, outer ones first.
    pub nodes: Vec<Node>,
    by_id: HashMap<String, usize>,
}

impl Graph {
    /// Takes in the scripts of a page.
    ///
    /// # Errors
    /// A sentence, where there are scripts and none can be read.
    pub fn new(document: &Html) -> Result<Self, String> {
        let mut graph = Self {
            nodes: Vec::new(),
            by_id: HashMap::new(),
        };
        let scripts = Selector::parse("script[type]").map_err(|error| error.to_string())?;
        let mut fault = None;
        for script in document.select(&scripts) {
            let kind = script.value().attr("type").unwrap_or_default();
            let kind = kind.split(';').next().unwrap_or_default().trim();
            if !kind.eq_ignore_ascii_case("application/ld+json") {
                continue;
            }
            let text: String = script.text().collect();
            match serde_json::from_str::<Value>(text.trim()) {
                Ok(value) => graph.take(&value),
                Err(error) => fault = Some(format!("its JSON-LD cannot be read: {error}")),
            }
        }
        match fault {
            Some(fault) if graph.nodes.is_empty() => Err(fault),
            _ => Ok(graph),
        }
    }

    /// Takes in an object and those inside it, outer ones first. serde_json bounds the depth.
    fn take(&mut self, value: &Value) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.take(value)),
            Value::Object(node) if self.nodes.len() < NODES_MAX => {
                if let Some(id) = node.get("@id").and_then(Value::as_str)
                    && node.len() > 1
                {
                    self.by_id.entry(id.to_owned()).or_insert(self.nodes.len());
                }
                self.nodes.push(node.clone());
                node.values().for_each(|value| self.take(value));
            }
            _ => {}
        }
    }

    /// The object itself, or the one that a reference means.
    pub fn resolve<'g>(&'g self, value: &'g Value) -> Option<&'g Node> {
        let node = value.as_object()?;
        let id = node.get("@id").and_then(Value::as_str);
        match (node.len(), id) {
            (1, Some(id)) => self.by_id.get(id).map(|at| &self.nodes[*at]),
            _ => Some(node),
        }
    }

    /// The objects at a property: one, or a list.
    pub fn objects<'g>(&'g self, node: &'g Node, name: &str) -> Vec<&'g Node> {
        let values = node.get(name).map(each).unwrap_or_default();
        values
            .iter()
            .filter_map(|value| self.resolve(value))
            .collect()
    }
}

/// The values of a list, or the one that stands alone.
pub fn each(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        value => std::slice::from_ref(value),
    }
}

/// Returns whether an object has that type, by its short or its full name.
pub fn is(node: &Node, wanted: &[&str]) -> bool {
    let types = node.get("@type").map(each).unwrap_or_default();
    types.iter().filter_map(Value::as_str).any(|name| {
        let short = name.rsplit(['/', ':', '#']).next().unwrap_or(name);
        wanted.contains(&short)
    })
}

/// The text of a value: of a list the first, of an object its name or value.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => plain::of_html(text),
        Value::Number(number) => number.to_string(),
        Value::Array(values) => values.first().map(text_of).unwrap_or_default(),
        Value::Object(node) => ["@value", "name", "url", "@id"]
            .iter()
            .find_map(|name| node.get(*name))
            .map(text_of)
            .unwrap_or_default(),
        Value::Null | Value::Bool(_) => String::new(),
    }
}

/// The text of a property.
pub fn text(node: &Node, name: &str) -> String {
    node.get(name).map(text_of).unwrap_or_default()
}

/// The same on one line.
pub fn line(node: &Node, name: &str) -> String {
    let text = text(node, name);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
