//! `[webhooks]`: which providers may tell of mails, and by what it is known that it is they.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::fault;
use super::one_or_many;
use crate::domain::secret::Secret;
use crate::domain::webhook::Provider;

/// `[webhooks]`. Each key is a list, so that a secret can be changed for another while both are in use; empty: there is no
/// such webhook.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Topics of Amazon SNS that SES publishes to, by their ARN.
    #[serde(deserialize_with = "one_or_many")]
    pub ses: Vec<String>,
    /// `user:password` as in the webhook's address.
    #[serde(deserialize_with = "one_or_many")]
    pub postmark: Vec<Secret>,
    /// Public verification keys.
    #[serde(deserialize_with = "one_or_many")]
    pub sendgrid: Vec<String>,
    /// HTTP webhook signing keys.
    #[serde(deserialize_with = "one_or_many")]
    pub mailgun: Vec<Secret>,
    /// Signing secrets, `whsec_...`.
    #[serde(deserialize_with = "one_or_many")]
    pub resend: Vec<Secret>,
    /// Secrets of our own plain webhook.
    #[serde(deserialize_with = "one_or_many")]
    pub signed: Vec<Secret>,
}

impl WebhookSettings {
    /// The keys of a provider; none: it has no door here.
    pub fn keys(&self, provider: Provider) -> Vec<Secret> {
        let public = |keys: &[String]| keys.iter().map(|key| key.as_str().into()).collect();
        match provider {
            Provider::Ses => public(&self.ses),
            Provider::Postmark => self.postmark.clone(),
            Provider::SendGrid => public(&self.sendgrid),
            Provider::Mailgun => self.mailgun.clone(),
            Provider::Resend => self.resend.clone(),
            Provider::Signed => self.signed.clone(),
        }
    }

    /// No fault shows the value: most are secrets.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let base64 = |text: &str| STANDARD.decode(text).is_ok_and(|bytes| bytes.len() >= 16);
        let topic = |text: &str| {
            text.starts_with("arn:")
                && text.split(':').nth(2) == Some("sns")
                && text.split(':').count() == 6
        };
        if !self.ses.iter().all(|text| topic(text)) {
            return fault(
                "webhooks.ses",
                "expected topics like arn:aws:sns:eu-west-1:123456789012:bounces",
            );
        }
        if !self.postmark.iter().all(|key| {
            key.expose()
                .split_once(':')
                .is_some_and(|(user, word)| !user.is_empty() && word.len() >= 16)
        }) {
            return fault(
                "webhooks.postmark",
                "expected user:password, the password of at least 16 characters",
            );
        }
        if !self.sendgrid.iter().all(|text| base64(text)) {
            return fault(
                "webhooks.sendgrid",
                "expected verification keys as SendGrid shows them: one line of base64, no BEGIN and END",
            );
        }
        if !self
            .resend
            .iter()
            .all(|key| key.expose().strip_prefix("whsec_").is_some_and(base64))
        {
            return fault(
                "webhooks.resend",
                "expected signing secrets as Resend shows them: whsec_ and base64",
            );
        }
        for (key, list) in [
            ("webhooks.mailgun", &self.mailgun),
            ("webhooks.signed", &self.signed),
        ] {
            if list.iter().any(|secret| secret.expose().len() < 16) {
                return fault(
                    key,
                    "each secret needs at least 16 characters; `openssl rand -hex 32` makes one",
                );
            }
        }
        Ok(())
    }
}
