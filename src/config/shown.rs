//! The settings in force as `verdicts config` shows them, each with its origin. Secrets are masked by their types
//! ([`Secret`](crate::domain::secret::Secret), [`SecretUrl`](super::SecretUrl)), which serialize in no other way.

use figment::value::Value;

use super::Loaded;
use super::Settings;

/// One setting.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ShownSetting {
    /// `section.key`.
    pub key: String,
    /// As it would stand in the file, secrets masked.
    pub value: serde_json::Value,
    /// `default`, a file, or an environment variable.
    pub origin: String,
}

impl Settings {
    /// Every setting with its value as it would stand in the file, in the order of the file; secrets are masked.
    pub fn values(&self) -> Vec<(String, serde_json::Value)> {
        let mut out = Vec::new();
        let Ok(serde_json::Value::Object(sections)) = serde_json::to_value(self) else {
            return out;
        };
        for (section, keys) in sections {
            collect(&section, keys, &mut out);
        }
        out
    }
}

fn collect(key: &str, value: serde_json::Value, out: &mut Vec<(String, serde_json::Value)>) {
    if let serde_json::Value::Object(keys) = value {
        for (name, value) in keys {
            collect(&format!("{key}.{name}"), value, out);
        }
        return;
    }
    out.push((key.into(), without_unset(value)));
}

impl Loaded {
    /// Every setting, in the order of the file.
    pub fn shown(&self) -> Vec<ShownSetting> {
        let values = self.settings.values().into_iter();
        let shown = |(key, value): (String, serde_json::Value)| ShownSetting {
            origin: self.origin(&key),
            key,
            value,
        };
        values.map(shown).collect()
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

/// A list of tables (`mail.relays`) without the keys that a table leaves out.
fn without_unset(value: serde_json::Value) -> serde_json::Value {
    let serde_json::Value::Array(list) = value else {
        return value;
    };
    let entry = |entry| match entry {
        serde_json::Value::Object(keys) => keys
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect(),
        other => other,
    };
    list.into_iter().map(entry).collect()
}
