//! The settings in force as `verdicts config` shows them: each with its origin, secrets masked.

use figment::value::Value;

use super::Loaded;
use super::Settings;

/// One setting.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Shown {
    /// `section.key`.
    pub key: String,
    /// As it would stand in the file, secrets masked.
    pub value: serde_json::Value,
    /// `default`, a file, or an environment variable.
    pub origin: String,
}

impl Loaded {
    /// Every setting, in the order of the file.
    pub fn shown(&self) -> Vec<Shown> {
        let mut out = Vec::new();
        let Ok(serde_json::Value::Object(sections)) = serde_json::to_value(&self.settings) else {
            return out;
        };
        for (section, keys) in &sections {
            self.collect(section, keys, &mut out);
        }
        out
    }

    fn collect(&self, key: &str, value: &serde_json::Value, out: &mut Vec<Shown>) {
        if let serde_json::Value::Object(keys) = value {
            for (name, value) in keys {
                self.collect(&format!("{key}.{name}"), value, out);
            }
            return;
        }
        out.push(Shown {
            key: key.into(),
            value: masked(key, value),
            origin: self.origin(key),
        });
    }

    fn origin(&self, key: &str) -> String {
        let value: Option<Value> = self.figment.find_value(key).ok();
        match value.and_then(|value| self.figment.get_metadata(value.tag()).cloned()) {
            Some(meta) => match meta.source {
                Some(figment::Source::File(path)) => path.display().to_string(),
                Some(figment::Source::Code(_)) => "default".into(),
                _ => meta.name.into_owned(),
            },
            None => "default".into(),
        }
    }
}

fn masked(key: &str, value: &serde_json::Value) -> serde_json::Value {
    match (key, value) {
        (
            "site.secret" | "webhooks.postmark" | "webhooks.mailgun" | "webhooks.resend"
            | "webhooks.signed",
            serde_json::Value::Array(list),
        ) => list
            .iter()
            .map(|_| serde_json::Value::from("***"))
            .collect(),
        ("mail.transport" | "inbound.imap", serde_json::Value::String(text)) => {
            without_password(text).into()
        }
        ("database.url" | "database.direct_url", serde_json::Value::String(text)) => {
            database_without_password(text).into()
        }
        // `mail.relays`: a list of tables.
        (_, serde_json::Value::Array(list)) => {
            list.iter().map(|entry| masked_entry(key, entry)).collect()
        }
        _ => value.clone(),
    }
}

fn masked_entry(list: &str, entry: &serde_json::Value) -> serde_json::Value {
    let serde_json::Value::Object(keys) = entry else {
        return entry.clone();
    };
    let mask = |key: &str, value| match (list, key) {
        ("mail.relays", "transport") => masked("mail.transport", value),
        _ => value.clone(),
    };
    keys.iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.clone(), mask(key, value)))
        .collect()
}

/// What an address may show behind its `?`; anything else may be a password under another name.
const HARMLESS: [&str; 7] = [
    "tls",
    "tls_ca",
    "sslmode",
    "mode",
    "host",
    "port",
    "target_session_attrs",
];

/// An address without what may be secret in it: the password, any user of a mail server (with some providers it is the
/// secret), and what stands behind the `?` but for a few known names. One that does not parse shows nothing before its @.
pub fn without_password(text: &str) -> String {
    let Ok(mut url) = url::Url::parse(text) else {
        return text
            .rsplit_once('@')
            .map_or_else(|| text.into(), |(_, rest)| format!("***@{rest}"));
    };
    // Neither can fail: an address that has them can have others.
    if url.password().is_some() {
        let _ = url.set_password(Some("***"));
    }
    if (url.scheme().starts_with("smtp") || url.scheme().starts_with("imap"))
        && !url.username().is_empty()
    {
        let _ = url.set_username("***");
    }
    let is_harmless = |key: &str| HARMLESS.contains(&key);
    if url.query_pairs().all(|(key, _)| is_harmless(&key)) {
        return if url.password().is_some() || url.username() == "***" {
            url.into()
        } else {
            text.into()
        };
    }
    let pairs: Vec<(String, String)> = url
        .query_pairs()
        .map(|(key, value)| {
            (
                key.clone().into_owned(),
                if is_harmless(&key) {
                    value.into_owned()
                } else {
                    "***".into()
                },
            )
        })
        .collect();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    url.into()
}

/// The same of a database's address, which may list several hosts: `url` reads no such list where it has ports.
fn database_without_password(text: &str) -> String {
    let begin = text.find("://").map_or(0, |at| at + 3);
    let end = text[begin..]
        .find(['/', '?', '#'])
        .map_or(text.len(), |at| begin + at);
    let begin = text[begin..end]
        .rfind('@')
        .map_or(begin, |at| begin + at + 1);
    let hosts = &text[begin..end];
    if !hosts.contains(',') {
        return without_password(text);
    }
    // One name in their place that no address has.
    const PLACE: &str = "several-hosts.invalid";
    without_password(&format!("{}{PLACE}{}", &text[..begin], &text[end..]))
        .replacen(PLACE, hosts, 1)
}

impl Settings {
    /// The database's address, fit for a log.
    pub fn database_for_log(&self) -> String {
        database_without_password(&self.database.url)
    }
}
