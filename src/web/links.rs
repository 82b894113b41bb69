//! Addresses of links with a token, without what mail programs and people put behind them: a slash, a full stop, the bracket or
//! quote that the link stood in. Done before routing, so that it holds for every route with a token and every method.

use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;

use crate::domain::token;

/// The request with a clean path, if it is one of a link with a token; else as it came.
pub(super) fn clean(mut request: Request) -> Request {
    if let Some(path) = cleaned(request.uri().path()) {
        let query = request
            .uri()
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        let mut parts = request.uri().clone().into_parts();
        if let Ok(path) = format!("{path}{query}").parse::<PathAndQuery>() {
            parts.path_and_query = Some(path);
            if let Ok(uri) = Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
        }
    }
    request
}

/// `None` where there is nothing to clean. A token has one length, so that what is cut off cannot have been a part of it.
fn cleaned(path: &str) -> Option<String> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let segments: Vec<&str> = decoded.split('/').skip(1).collect();
    let at = match *segments.first()? {
        "confirm" | "unsubscribe" | "preferences" | "monthly" | "saved" | "account" | "move" => 1,
        "save" | "choose" => 2,
        "vote" => 3,
        _ => return None,
    };
    let token = token::leading(segments.get(at)?)?;
    let words = segments[at + 1..]
        .iter()
        .filter(|segment| segment.contains(char::is_alphanumeric));
    let clean = segments[..at]
        .iter()
        .chain([&token])
        .chain(words)
        .fold(String::new(), |path, segment| format!("{path}/{segment}"));
    (clean != path).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::cleaned;

    #[test]
    fn a_path_is_cleaned_behind_its_token_and_nowhere_else() {
        let token = "a".repeat(39);
        for room in [
            "confirm",
            "saved",
            "monthly",
            "save/tool",
            "choose/a-vs-b",
            "vote/tool/ship",
        ] {
            let right = format!("/{room}/{token}");
            for behind in [
                "/",
                "//",
                ".",
                ",",
                ")",
                "%29",
                "%3E",
                "%22",
                "%E2%80%9D",
                ";",
                "'",
                "*",
                "/.",
                "/%29",
                ".%20",
            ] {
                assert_eq!(
                    cleaned(&format!("{right}{behind}")),
                    Some(right.clone()),
                    "{behind}"
                );
            }
            for left_alone in [
                right.clone(),
                format!("{right}a"),
                format!("{right}a."),
                format!("{right}="),
                format!("/{room}/a."),
                format!("/other{right}."),
            ] {
                assert_eq!(cleaned(&left_alone), None, "{left_alone}");
            }
        }
        assert_eq!(cleaned(&format!("/account/{token}/erase")), None);
        assert_eq!(
            cleaned(&format!("/account/{token}/erase/")),
            Some(format!("/account/{token}/erase"))
        );
        assert_eq!(cleaned("/confirm/%ff"), None);
    }
}
