//! Checking JSON against the schemas of the document: what the document says of a body or a query is what is held, in one place.
//!
//! Only the keywords that our shapes use are known; a test refuses any other. A pattern stands in a table beside the function that
//! checks it, for the program has no engine for regular expressions.

use std::collections::BTreeMap;

use serde_json::Map;
use serde_json::Value;
use utoipa::PartialSchema;
use utoipa::ToSchema;

use super::super::answer::ProblemFault;
use super::patterns;

/// A schema with the name and the schemas that it refers to.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Name among the document's components.
    pub name: String,
    /// The schema.
    pub schema: Value,
    /// Schemas that it refers to, by name.
    pub others: Vec<(String, Value)>,
}

impl Shape {
    /// The schema of a type.
    pub fn of<T: ToSchema>() -> Self {
        let mut others = Vec::new();
        T::schemas(&mut others);
        let value = |schema| {
            let mut value = serde_json::to_value(schema).unwrap_or_default();
            write_patterns(&mut value);
            value
        };
        Self {
            name: T::name().into_owned(),
            schema: value(<T as PartialSchema>::schema()),
            others: others
                .into_iter()
                .map(|(name, schema)| (name, value(schema)))
                .collect(),
        }
    }

    /// Adds it and what it refers to.
    pub fn add_to(&self, components: &mut BTreeMap<String, Value>) {
        components.insert(self.name.clone(), self.schema.clone());
        for (name, schema) in &self.others {
            components.insert(name.clone(), schema.clone());
        }
    }
}

/// Puts patterns in the place of their names: an attribute takes a text alone.
fn write_patterns(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(pattern)) = fields.get_mut("pattern") {
                *pattern = patterns::named(pattern).to_owned();
            }
            fields.values_mut().for_each(write_patterns);
        }
        Value::Array(items) => items.iter_mut().for_each(write_patterns),
        _ => {}
    }
}

/// Schemas by name.
#[derive(Debug, Default)]
pub struct Schemas(pub BTreeMap<String, Value>);

impl Schemas {
    /// Every place of a value where the schema of that name does not hold.
    pub fn check(&self, name: &str, value: &Value) -> Vec<ProblemFault> {
        let mut faults = SchemaFaults::default();
        if let Some(schema) = self.0.get(name) {
            self.walk(schema, value, "#", &mut faults);
        }
        faults.0
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let name = schema["$ref"].as_str();
        let known = name
            .and_then(|name| name.strip_prefix("#/components/schemas/"))
            .and_then(|name| self.0.get(name));
        known.unwrap_or(schema)
    }

    fn walk(&self, schema: &Value, value: &Value, at: &str, faults: &mut SchemaFaults) {
        let schema = self.resolve(schema);
        if let Some(choices) = schema["oneOf"].as_array() {
            return self.walk_choices(choices, value, at, faults);
        }
        if !has_type(&schema["type"], value) {
            return faults.add(at, "type", format!("Expected {}.", types(&schema["type"])));
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            let names: Vec<String> = allowed.iter().map(plain).collect();
            return faults.add(at, "enum", format!("Expected one of {}.", names.join(", ")));
        }
        match value {
            Value::String(text) => check_text(schema, text, at, faults),
            Value::Number(number) => check_number(schema, number, at, faults),
            Value::Array(items) => {
                check_length(schema, items.len(), at, faults);
                for (index, item) in items.iter().enumerate() {
                    self.walk(&schema["items"], item, &format!("{at}/{index}"), faults);
                }
            }
            Value::Object(fields) => self.walk_object(schema, fields, at, faults),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// A value that may be null, or one of several shapes.
    fn walk_choices(&self, choices: &[Value], value: &Value, at: &str, faults: &mut SchemaFaults) {
        let mut last = SchemaFaults::default();
        for choice in choices {
            let mut found = SchemaFaults::default();
            self.walk(choice, value, at, &mut found);
            if found.0.is_empty() {
                return;
            }
            last = found;
        }
        faults.0.extend(last.0);
    }

    fn walk_object(
        &self,
        schema: &Value,
        fields: &Map<String, Value>,
        at: &str,
        faults: &mut SchemaFaults,
    ) {
        let known = schema["properties"].as_object();
        for name in schema["required"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            if !fields.contains_key(name) {
                faults.add(&inside(at, name), "required", format!("{name} is missing."));
            }
        }
        for (name, value) in fields {
            match known.and_then(|known| known.get(name)) {
                Some(schema) => self.walk(schema, value, &inside(at, name), faults),
                None if schema["additionalProperties"].is_object() => {
                    let schema = &schema["additionalProperties"];
                    self.walk(schema, value, &inside(at, name), faults);
                }
                None if schema["additionalProperties"] == Value::Bool(false) => {
                    let names: Vec<&str> = known
                        .into_iter()
                        .flat_map(|known| known.keys())
                        .map(String::as_str)
                        .collect();
                    let words = format!("There is no such field; known are {}.", names.join(", "));
                    faults.add(&inside(at, name), "unknown_field", words);
                }
                None => {}
            }
        }
    }
}

/// Faults that one answer names.
const NAMED: usize = 50;

#[derive(Default)]
struct SchemaFaults(Vec<ProblemFault>);

impl SchemaFaults {
    fn add(&mut self, at: &str, code: &'static str, detail: String) {
        if self.0.len() < NAMED {
            self.0.push(ProblemFault {
                pointer: at.to_owned(),
                code,
                detail,
            });
        }
    }
}

/// Pointer to a field (RFC 6901, 3).
fn inside(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn has_type(wanted: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match wanted {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

fn types(wanted: &Value) -> String {
    let words = |name: &str| match name {
        "null" => "null",
        "boolean" => "true or false",
        "string" => "a text",
        "number" => "a number",
        "integer" => "a whole number of at most 63 bits",
        "array" => "a list",
        _ => "an object",
    };
    match wanted {
        Value::String(name) => words(name).to_owned(),
        Value::Array(names) => {
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).map(words).collect();
            names.join(" or ")
        }
        _ => "something else".to_owned(),
    }
}

fn check_text(schema: &Value, text: &str, at: &str, faults: &mut SchemaFaults) {
    let length = text.chars().count() as u64;
    if let Some(least) = schema["minLength"].as_u64().filter(|least| length < *least) {
        faults.add(
            at,
            "too_short",
            format!("Expected at least {least} characters."),
        );
    }
    if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
        let words = format!("Expected at most {most} characters, there are {length}.");
        faults.add(at, "too_long", words);
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && let Some(expected) = patterns::fault(pattern, text)
    {
        faults.add(at, "pattern", format!("Expected {expected}."));
    }
    if schema["format"] == "date-time" && patterns::timestamp(text).is_none() {
        let words = "Expected a time like 2026-12-01T09:00:00Z (RFC 3339).".to_owned();
        faults.add(at, "format", words);
    }
    if schema["format"] == "date" && patterns::date(text).is_none() {
        faults.add(at, "format", "Expected a date like 2026-12-01.".to_owned());
    }
}

fn check_number(schema: &Value, number: &serde_json::Number, at: &str, faults: &mut SchemaFaults) {
    let Some(number) = number.as_f64() else {
        return;
    };
    if let Some(least) = schema["minimum"].as_f64().filter(|least| number < *least) {
        faults.add(at, "minimum", format!("Expected at least {least}."));
    }
    if let Some(most) = schema["maximum"].as_f64().filter(|most| number > *most) {
        faults.add(at, "maximum", format!("Expected at most {most}."));
    }
}

fn check_length(schema: &Value, length: usize, at: &str, faults: &mut SchemaFaults) {
    let length = length as u64;
    if let Some(least) = schema["minItems"].as_u64().filter(|least| length < *least) {
        faults.add(
            at,
            "too_short",
            format!("Expected at least {least} entries."),
        );
    }
    if let Some(most) = schema["maxItems"].as_u64().filter(|most| length > *most) {
        faults.add(at, "too_long", format!("Expected at most {most} entries."));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schemas() -> Schemas {
        let tool = json!({
            "type": "object",
            "required": ["name"],
            "additionalProperties": false,
            "properties": {
                "name": { "type": "string", "minLength": 1, "maxLength": 3 },
                "score": { "type": "integer", "minimum": 0, "maximum": 100 },
                "at": { "type": ["string", "null"], "format": "date-time" },
                "parts": { "type": "array", "maxItems": 2, "items": { "$ref": "#/components/schemas/Tool" } },
                "next": { "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Tool" }] },
            },
        });
        Schemas([("Tool".to_owned(), tool)].into())
    }

    #[test]
    fn each_fault_is_named_with_its_place_and_a_code() {
        let value = json!({
            "name": "",
            "score": 101,
            "at": "2026-12-1",
            "parts": [{ "name": "long" }, { "x/y": 1 }, []],
            "next": { "name": 1 },
        });
        let faults = schemas().check("Tool", &value);
        let mut found: Vec<(&str, &str)> = faults
            .iter()
            .map(|fault| (fault.pointer.as_str(), fault.code))
            .collect();
        found.sort_unstable();
        let expected = [
            ("#/at", "format"),
            ("#/name", "too_short"),
            ("#/next/name", "type"),
            ("#/parts", "too_long"),
            ("#/parts/0/name", "too_long"),
            ("#/parts/1/name", "required"),
            ("#/parts/1/x~1y", "unknown_field"),
            ("#/parts/2", "type"),
            ("#/score", "maximum"),
        ];
        assert_eq!(found, expected);
        let good = json!({ "name": "abc", "at": null, "next": null, "parts": [{ "name": "a" }] });
        assert!(schemas().check("Tool", &good).is_empty());
        assert_eq!(schemas().check("Tool", &json!(["abc"]))[0].code, "type");
    }
}
