//! Faults of settings, for people: the libraries that read settings speak of `usize` and unit variants.

use figment::Error;
use figment::error::Kind;

/// A sentence for each fault: the key, what it expects, and where it stands.
pub(super) fn describe(error: Error) -> String {
    error
        .into_iter()
        .map(|fault| sentence(&fault))
        .collect::<Vec<_>>()
        .join(" ")
}

fn sentence(fault: &Error) -> String {
    let key = fault.path.join(".");
    let place = fault
        .metadata
        .as_ref()
        .map(|metadata| match &metadata.source {
            Some(figment::Source::File(path)) => path.display().to_string(),
            _ => metadata.name.to_string(),
        });
    let place = place
        .map(|place| format!(" (in {place})"))
        .unwrap_or_default();
    let key_or_all = if key.is_empty() { "The settings" } else { &key };
    match &fault.kind {
        Kind::UnknownField(name, known) => {
            let key = key
                .strip_suffix(name.as_str())
                .unwrap_or(&key)
                .trim_end_matches('.');
            let section = if key.is_empty() {
                "the settings have".into()
            } else {
                format!("[{key}] has")
            };
            format!(
                "Unknown setting {name:?}{place}: {section} {}.",
                known.join(", ")
            )
        }
        Kind::MissingField(name) => format!("{key_or_all}: {name:?} is missing{place}."),
        Kind::DuplicateField(name) => format!("{key_or_all}: {name:?} is there twice{place}."),
        Kind::UnknownVariant(_, known) => {
            format!("{key_or_all}: expected {}{place}.", known.join(" or "))
        }
        Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => {
            format!("{key_or_all}: expected a smaller number{place}.")
        }
        // What was found is left out: it may be a secret.
        Kind::InvalidType(_, expected)
        | Kind::InvalidValue(_, expected)
        | Kind::InvalidLength(_, expected) => {
            format!("{key_or_all}: expected {}{place}.", in_words(expected))
        }
        Kind::Message(words) => format!("{key_or_all}: {}{place}.", parsed(&key).unwrap_or(words)),
        kind => format!("{key_or_all}: {kind}{place}."),
    }
}

/// Returns what a text is read as by a library, whose own words name its parts and not what to write.
fn parsed(key: &str) -> Option<&'static str> {
    match key {
        "site.base_url" => {
            Some("expected an http or https address without a path, like https://news.example.org")
        }
        "site.privacy_url" | "site.imprint_url" => {
            Some("expected an http or https address of a page, like https://example.org/privacy")
        }
        key if key == "site.listen" || key.starts_with("mail.resolver") => {
            Some("expected an IP address and a port, like 127.0.0.1:8080")
        }
        key if key.starts_with("site.trusted_proxies")
            || key.starts_with("mail.mailbox_networks") =>
        {
            Some("expected networks, like 10.0.0.0/8 or 192.0.2.7/32")
        }
        _ => None,
    }
}

/// Returns what the libraries expect, as they say it.
fn in_words(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "string" | "a borrowed string" => "a text",
        "a sequence" => "a list",
        "a duration" => "a length of time like 90s, 5m or 28d",
        text if text.starts_with("struct ") || text == "a map" => "a table of keys",
        text => text,
    }
}
