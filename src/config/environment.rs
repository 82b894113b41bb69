//! Environment variables as a layer of settings.
//!
//! figment's own provider guesses a value's kind from its text, so that a secret of digits would become a number. Here
//! the default of the same key says what kind is meant.

use figment::Figment;
use figment::Metadata;
use figment::Profile;
use figment::Provider;
use figment::value::Dict;
use figment::value::Map;
use figment::value::Value;

use super::ConfigError;

const PREFIX: &str = "VERDICTS_";

/// One variable, or one credential, as one setting.
pub(super) struct EnvironmentValue {
    /// Origin, as `verdicts config` shows it.
    origin: String,
    key: String,
    value: Value,
}

/// The variables that are settings: `VERDICTS_SECTION__KEY`. Others with the prefix (`VERDICTS_LOG`) are left alone.
pub(super) fn values(
    defaults: &Figment,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Vec<EnvironmentValue>, ConfigError> {
    let mut found = Vec::new();
    for (name, text) in variables {
        let Some(path) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if !path.contains("__") {
            refuse_slip(defaults, &name, path)?;
            continue;
        }
        let key = super::webhooks_in::new_name(path.to_lowercase().replace("__", "."));
        let origin = format!("environment variable {name}");
        let what = format!("The environment variable {name}");
        let value = typed(defaults, &key, text, &what)?;
        found.push(EnvironmentValue { origin, key, value });
    }
    Ok(found)
}

/// A credential that systemd handed over, as one setting.
pub(super) fn credential(
    defaults: &Figment,
    key: String,
    text: String,
    file: &str,
) -> Result<EnvironmentValue, ConfigError> {
    let value = typed(defaults, &key, text, &format!("The credential {key}"))?;
    let origin = format!("credential {file}");
    Ok(EnvironmentValue { origin, key, value })
}

/// Reads a value as the default of the same key says.
fn typed(defaults: &Figment, key: &str, text: String, what: &str) -> Result<Value, ConfigError> {
    Ok(match defaults.find_value(key) {
        Ok(Value::Num(..) | Value::Bool(..)) => as_toml(&text),
        Ok(Value::Array(..)) => as_list(what, &text)?,
        Ok(Value::Dict(..)) if matches!(as_toml(&text), Value::Dict(..)) => as_toml(&text),
        Ok(Value::Dict(..)) | Err(_) => {
            return Err(ConfigError(format!(
                "{what} names no setting; `verdicts config` lists them all, {key} is none of them."
            )));
        }
        Ok(_) => Value::from(text),
    })
}

/// One underscore where two belong is the commonest slip, and would be passed over in silence.
fn refuse_slip(defaults: &Figment, name: &str, path: &str) -> Result<(), ConfigError> {
    // A section's name may have an underscore of its own.
    let slips = path
        .match_indices('_')
        .map(|(at, _)| (&path[..at], &path[at + 1..]));
    for (section, key) in slips {
        if defaults
            .find_value(&format!("{section}.{key}").to_lowercase())
            .is_ok()
        {
            return Err(ConfigError(format!(
                "The environment variable {name} needs two underscores between section and key: {PREFIX}{section}__{key}."
            )));
        }
    }
    Ok(())
}

/// Reads a list: `["one", "two"]` as in the file, or `one,two` as shells like it. Taken for one long secret, a list of two
/// would break every link that was ever sent, and say nothing.
fn as_list(what: &str, text: &str) -> Result<Value, ConfigError> {
    if !text.trim_start().starts_with('[') {
        return Ok(text
            .split([',', '\n'])
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(Value::from)
            .collect::<Vec<_>>()
            .into());
    }
    let list = Some(as_toml(text)).filter(|value| matches!(value, Value::Array(..)));
    list.ok_or_else(|| {
        ConfigError(format!(
            "{what}: expected a list like [\"one\", \"two\"], or one,two."
        ))
    })
}

/// Reads a number, a yes/no or a list as TOML would; what is none stays a text, which the settings then refuse by name.
fn as_toml(text: &str) -> Value {
    let table: Option<toml::Table> = toml::from_str(&format!("value = {text}")).ok();
    let value = table
        .and_then(|mut table| table.remove("value"))
        .and_then(|value| Value::serialize(value).ok());
    value.unwrap_or_else(|| Value::from(text))
}

impl Provider for EnvironmentValue {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let nested = figment::util::nest(&self.key, self.value.clone());
        let dict = nested.into_dict().unwrap_or_default();
        Ok(Profile::Default.collect(dict))
    }
}
