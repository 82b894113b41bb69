//! Extractors: bodies, queries and headers, held to what the document says of them.

use std::marker::PhantomData;

use axum::body::Bytes;
use axum::extract::FromRequest;
use axum::extract::FromRequestParts;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value;
use utoipa::ToSchema;

use super::super::Web;
use super::super::answer::Problem;
use super::super::answer::ProblemFault;
use super::document;

/// A JSON body: an object of the shape that the document gives `T`.
pub struct JsonBody<T>(pub T);

/// The name under which most handlers take it.
pub use JsonBody as Body;

/// A merge patch (RFC 7396): an object of the shape that the document gives `T`, whose nulls take values away.
pub struct Patch<T> {
    /// Fields that are there.
    pub fields: Map<String, Value>,
    shape: PhantomData<T>,
}

/// Parameters of the query: those that the document gives `T`, each once, and no others.
pub struct Query<T>(pub T);

/// Largest whole number that a float holds exactly.
const FLOAT_EXACT: f64 = 9_007_199_254_740_992.0;

fn invalid(faults: Vec<ProblemFault>) -> Problem {
    let words = match faults.as_slice() {
        [fault] => format!("{}: {}", fault.pointer, fault.detail),
        faults => format!("{} places of the input are wrong.", faults.len()),
    };
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "Please correct this",
        words,
    )
    .with_faults(faults)
}

/// A problem of one place of the input.
pub fn invalid_at(pointer: &str, code: &'static str, detail: impl Into<String>) -> Problem {
    invalid(vec![ProblemFault {
        pointer: pointer.to_owned(),
        code,
        detail: detail.into(),
    }])
}

fn not_understood(status: StatusCode, words: impl Into<String>) -> Problem {
    Problem::new(status, "Not understood", words)
}

/// Reads a type from a value that is known to have its shape.
fn read<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string().replace(['.', '['], "/");
        let pointer = format!("#/{}", path.replace(']', ""));
        let mut words = error.inner().to_string();
        words.push('.');
        invalid_at(&pointer, "invalid", words)
    })
}

/// Reads JSON text: UTF-8, an object, no NUL in a text, whole numbers as integers however they are written.
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| not_understood(StatusCode::BAD_REQUEST, "The body is no UTF-8 text."))?;
    let value: Value = serde_json::from_str(text).map_err(|error| {
        // A lone half of a surrogate pair is JSON, and no text.
        let is_text = error.to_string().contains("hex escape");
        match is_text {
            true => invalid_at(
                "#",
                "invalid_text",
                "A text holds half of a surrogate pair.",
            ),
            false => not_understood(
                StatusCode::BAD_REQUEST,
                format!("The body is not JSON: {error}."),
            ),
        }
    })?;
    let Value::Object(mut fields) = value else {
        return Err(invalid_at("#", "type", "Expected an object."));
    };
    let mut faults = Vec::new();
    for (name, value) in &mut fields {
        normalise(value, &format!("#/{name}"), &mut faults);
    }
    match faults.is_empty() {
        true => Ok(fields),
        false => Err(invalid(faults)),
    }
}

fn normalise(value: &mut Value, at: &str, faults: &mut Vec<ProblemFault>) {
    let mut fault = |code, words: &str| {
        faults.push(ProblemFault {
            pointer: at.to_owned(),
            code,
            detail: words.to_owned(),
        });
    };
    match value {
        Value::String(text) if text.contains('\0') => {
            fault("invalid_text", "A text must not hold the character NUL.");
        }
        Value::Number(number) if number.is_u64() && !number.is_i64() => {
            fault("maximum", "A whole number is at most 9223372036854775807.");
        }
        Value::Number(number) => {
            let whole = number.as_f64().filter(|float| {
                number.is_f64() && float.fract() == 0.0 && float.abs() <= FLOAT_EXACT
            });
            if let Some(whole) = whole {
                *number = Number::from(whole as i64);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                normalise(item, &format!("{at}/{index}"), faults);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                if name.contains('\0') {
                    let pointer = at.to_owned();
                    faults.push(ProblemFault {
                        pointer,
                        code: "invalid_text",
                        detail: "A name must not hold the character NUL.".to_owned(),
                    });
                }
                normalise(value, &format!("{at}/{name}"), faults);
            }
        }
        _ => {}
    }
}

/// Media type of a body in lower case, without parameters; `None` where its charset is not UTF-8 or there is none.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next()?.to_ascii_lowercase();
    let is_utf8 = |part: &str| match part.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    };
    parts.all(is_utf8).then_some(media_type)
}

/// Problem of a body of the wrong media type.
pub fn unsupported(expected: &str) -> Problem {
    not_understood(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!("Send the body as {expected}, in UTF-8, and say so in Content-Type."),
    )
}

/// Bytes of a body, within the operation's limit.
pub async fn bytes(request: Request, web: &Web) -> Result<Bytes, Problem> {
    Bytes::from_request(request, web)
        .await
        .map_err(|rejection| {
            let status = axum::response::IntoResponse::into_response(rejection).status();
            match status {
                StatusCode::PAYLOAD_TOO_LARGE => {
                    not_understood(status, "The body is larger than this address takes.")
                }
                _ => not_understood(StatusCode::BAD_REQUEST, "The body did not come whole."),
            }
        })
}

async fn object<T: ToSchema>(
    request: Request,
    web: &Web,
    expected: &[&str],
) -> Result<Map<String, Value>, Problem> {
    let given = media_type(request.headers());
    if !given.is_some_and(|given| expected.contains(&&*given)) {
        return Err(unsupported(expected[0]));
    }
    let fields = parse_object(&bytes(request, web).await?)?;
    let value = Value::Object(fields);
    let faults = document::schemas().check(&T::name(), &value);
    match value {
        Value::Object(fields) if faults.is_empty() => Ok(fields),
        _ => Err(invalid(faults)),
    }
}

impl<T: ToSchema + DeserializeOwned> FromRequest<Web> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, web: &Web) -> Result<Self, Problem> {
        let fields = object::<T>(request, web, &["application/json"]).await?;
        read(Value::Object(fields)).map(Self)
    }
}

impl<T: ToSchema> FromRequest<Web> for Patch<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, web: &Web) -> Result<Self, Problem> {
        let expected = ["application/merge-patch+json", "application/json"];
        Ok(Self {
            fields: object::<T>(request, web, &expected).await?,
            shape: PhantomData,
        })
    }
}

impl<T> Patch<T> {
    /// Applies it to the JSON form of what is there, and reads the result.
    pub fn applied<R: DeserializeOwned>(
        self,
        current: &impl serde::Serialize,
    ) -> Result<R, Problem> {
        let mut merged = serde_json::to_value(current)
            .map_err(|error| crate::app::Failure::internal(error.to_string()))?;
        merge(&mut merged, Value::Object(self.fields));
        read(merged)
    }

    /// Reads the fields that are there.
    pub fn read(self) -> Result<T, Problem>
    where
        T: DeserializeOwned,
    {
        read(Value::Object(self.fields))
    }
}

/// The algorithm of RFC 7396, 2.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else {
        return;
    };
    for (name, value) in patch {
        match value {
            Value::Null => {
                fields.remove(&name);
            }
            value => merge(fields.entry(name).or_insert(Value::Null), value),
        }
    }
}

/// Value of a parameter as its schema wants it; as text where it is none.
fn parameter(schema: &Value, text: String) -> Value {
    let is = |name: &str| match &schema["type"] {
        Value::String(only) => only == name,
        Value::Array(names) => names.iter().any(|known| known == name),
        _ => false,
    };
    if is("integer")
        && let Ok(number) = text.parse::<i64>()
        && !text.starts_with('+')
    {
        return number.into();
    }
    match text.as_str() {
        "true" if is("boolean") => true.into(),
        "false" if is("boolean") => false.into(),
        _ => text.into(),
    }
}

/// Decodes `%xx` and `+`; `None` where the result is no text.
fn decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced)
        .decode_utf8()
        .ok()?;
    (!decoded.contains('\0')).then(|| decoded.into_owned())
}

impl<T: ToSchema + DeserializeOwned> FromRequestParts<Web> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Web) -> Result<Self, Problem> {
        let (schemas, name) = (document::schemas(), T::name());
        let (mut fields, mut faults) = (Map::new(), Vec::new());
        let mut fault = |name: &str, code, detail: &str| {
            faults.push(ProblemFault {
                pointer: format!("?{name}"),
                code,
                detail: detail.to_owned(),
            });
        };
        let query = parts.uri.query().unwrap_or_default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (raw, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(field), Some(value)) = (decoded(raw), decoded(value)) else {
                fault(raw, "invalid_text", "The parameter is no UTF-8 text.");
                continue;
            };
            let schema = &schemas.0.get(&*name).unwrap_or(&Value::Null)["properties"][&field];
            if fields.contains_key(&field) {
                fault(&field, "twice", "The parameter stands there twice.");
            }
            let value = parameter(schema, value);
            fields.insert(field, value);
        }
        let value = Value::Object(fields);
        faults.extend(schemas.check(&name, &value).into_iter().map(|fault| {
            let pointer = fault.pointer.replacen("#/", "?", 1);
            ProblemFault { pointer, ..fault }
        }));
        match faults.is_empty() {
            true => read(value).map(Self),
            false => Err(invalid(faults)),
        }
    }
}

/// Handlers of operations without parameters take this, so that a query that means nothing is refused.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoParameters {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_objects_with_clean_texts_and_numbers_pass() {
        let good = parse_object(br#"{"a": 1.0, "b": [2e2, 1.5], "c": {"d": -0.0}}"#).expect("good");
        assert_eq!(
            Value::Object(good),
            json!({ "a": 1, "b": [200, 1.5], "c": { "d": 0 } })
        );
        for bad in [
            &b"[1]"[..],
            b"null",
            b"{\"a\": \"\\u0000\"}",
            b"{\"a\": [{\"\\u0000\": 1}]}",
            b"{\"a\": \"\\ud800\"}",
            b"{\"a\": 9223372036854775808}",
            b"{\"a\": }",
            b"\xff",
            b"",
        ] {
            assert!(
                parse_object(bad).is_err(),
                "{}",
                String::from_utf8_lossy(bad)
            );
        }
    }

    #[test]
    fn a_patch_is_merged_as_rfc_7396_says() {
        let mut target = json!({ "a": { "b": 1, "c": 2 }, "d": [1], "e": "x" });
        merge(
            &mut target,
            json!({ "a": { "b": null, "f": { "g": null, "h": 1 } }, "d": [2], "e": null }),
        );
        assert_eq!(
            target,
            json!({ "a": { "c": 2, "f": { "h": 1 } }, "d": [2] })
        );
    }

    #[test]
    fn a_media_type_is_known_with_its_parameters_and_refused_in_another_charset() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, text.parse().expect("a header"));
            media_type(&headers)
        };
        assert_eq!(
            of("Application/JSON ;charset=UTF-8"),
            Some("application/json".into())
        );
        assert_eq!(of("application/json; charset=latin1"), None);
    }
}
