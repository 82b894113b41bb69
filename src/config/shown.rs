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
        let Ok(serde_json::Value::Object(sections)) = serde_json::to_value(&self.settings) else { return out };
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
        out.push(Shown { key: key.into(), value: masked(key, value), origin: self.origin(key) });
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
        ("site.secret", serde_json::Value::Array(list)) => list.iter().map(|_| serde_json::Value::from("***")).collect(),
        ("database.url" | "mail.transport", serde_json::Value::String(text)) => without_password(text).into(),
        _ => value.clone(),
    }
}

/// An address with `***` where its password stood. One that does not parse but has an @ shows nothing before it.
pub fn without_password(text: &str) -> String {
    match url::Url::parse(text) {
        Ok(mut url) if url.password().is_some() => {
            // Cannot fail: an address that has a password can have another.
            let _ = url.set_password(Some("***"));
            url.into()
        }
        Ok(_) => text.into(),
        Err(_) => text.rsplit_once('@').map_or_else(|| text.into(), |(_, rest)| format!("***@{rest}")),
    }
}

impl Settings {
    /// The database's address, fit for a log.
    pub fn database_for_log(&self) -> String {
        without_password(&self.database.url)
    }
}
