//! `[webhooks_in]`: providers that may report on our mails, each with the keys that prove its requests.

use std::collections::BTreeMap;

use figment::Metadata;
use figment::Profile;
use figment::Provider as Layer;
use figment::value::Dict;
use figment::value::Map;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;

use super::ConfigError;
use super::fault;
use super::one_or_many;
use crate::domain::secret::Secret;
use crate::domain::webhook::Provider;

/// `[webhooks_in]`: a list of keys for each provider, so that a key can be changed for another while both are in use. Empty: the provider
/// has no webhook here. [`Provider::key_form`] says what its keys look like.
#[derive(Debug, Clone)]
pub struct WebhookSettings(BTreeMap<Provider, Vec<Secret>>);

impl Default for WebhookSettings {
    fn default() -> Self {
        Self(Provider::ALL.iter().map(|it| (*it, Vec::new())).collect())
    }
}

impl WebhookSettings {
    /// The keys of a provider; empty: it has no webhook here.
    pub fn keys(&self, provider: Provider) -> &[Secret] {
        self.0.get(&provider).map_or(&[], Vec::as_slice)
    }

    /// Replaces the keys of a provider.
    pub fn set_keys(&mut self, provider: Provider, keys: Vec<Secret>) {
        self.0.insert(provider, keys);
    }

    /// No fault shows the value: most are secrets.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (provider, keys) in &self.0 {
            let form = provider.key_form();
            if !keys.iter().all(|key| form.accepts(key.expose())) {
                return fault(&format!("webhooks_in.{provider}"), form.expected());
            }
        }
        Ok(())
    }
}

/// Name of the section in earlier versions.
const OLD: &str = "webhooks";
const NEW: &str = "webhooks_in";

/// The key under its present name.
pub(super) fn new_name(key: String) -> String {
    match key.strip_prefix(OLD).filter(|rest| rest.starts_with('.')) {
        Some(rest) => format!("{NEW}{rest}"),
        None => key,
    }
}

/// A file of settings in which the section may still have its old name.
pub(super) struct WithOldName<P>(pub P);

impl<P: Layer> Layer for WithOldName<P> {
    fn metadata(&self) -> Metadata {
        self.0.metadata()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut data = self.0.data()?;
        for section in data.values_mut() {
            let Some(old) = section.remove(OLD) else {
                continue;
            };
            if section.contains_key(NEW) {
                return Err(figment::Error::from(format!(
                    "[{OLD}] and [{NEW}] are the same section: write everything under [{NEW}]"
                )));
            }
            section.insert(NEW.into(), old);
        }
        Ok(data)
    }
}

/// Returns whether a file names the section as it was named.
pub(super) fn is_old(text: &str) -> bool {
    let table = text.parse::<toml::Table>();
    table.is_ok_and(|table| table.contains_key(OLD))
}

/// Public keys are shown, secrets are masked.
impl Serialize for WebhookSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Shown<'a> {
            Public(Vec<&'a str>),
            Masked(&'a [Secret]),
        }
        serializer.collect_map(self.0.iter().map(|(provider, keys)| {
            let shown = if provider.key_form().is_public() {
                Shown::Public(keys.iter().map(Secret::expose).collect())
            } else {
                Shown::Masked(keys)
            };
            (provider, shown)
        }))
    }
}

impl<'de> Deserialize<'de> for WebhookSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Keys(#[serde(deserialize_with = "one_or_many")] Vec<Secret>);
        let mut settings = Self::default();
        for (provider, Keys(keys)) in BTreeMap::<Provider, Keys>::deserialize(deserializer)? {
            settings.set_keys(provider, keys);
        }
        Ok(settings)
    }
}
