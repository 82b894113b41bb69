//! The envelope of Amazon SNS (docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html): RSA with SHA-1 or
//! SHA-256, by a certificate that is fetched from Amazon.
//!
//! What a stranger writes into an envelope must not lead anywhere. So the topic must be one of the settings, and each address
//! in the envelope must be exactly Amazon's for that topic's region, before anything is fetched. The certificate is believed
//! for where it comes from, by TLS: Amazon serves it without the chain that it could be checked by.

use aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY;
use aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256;
use aws_lc_rs::signature::RsaParameters;
use aws_lc_rs::signature::UnparsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use url::Url;

use super::Untrusted;
use super::signature::check_age;
use crate::domain::Timestamp;

/// It tries again for an hour at the most, and the time that it signs is that of the first attempt.
const BACK: TimeDelta = TimeDelta::minutes(65);

/// An envelope, unopened.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SnsEnvelope {
    r#type: String,
    message_id: String,
    topic_arn: String,
    subject: Option<String>,
    message: String,
    timestamp: String,
    signature_version: String,
    signature: String,
    #[serde(rename = "SigningCertURL")]
    signing_cert_url: String,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Option<String>,
    token: Option<String>,
}

/// Content of a genuine notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnsMessage {
    /// A message of the topic.
    Message(String),
    /// Amazon asks whether we want the topic's messages; asking that address says yes.
    Invitation(Url),
    /// The topic will tell us nothing more.
    Farewell,
}

impl SnsEnvelope {
    /// Reads an envelope; `None` if it is none, which is also what a topic set to raw delivery sends: that is not signed.
    pub fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// By what it is known when it is sent again.
    pub fn id(&self) -> &str {
        &self.message_id
    }

    /// Returns where its certificate is, if it is of one of the topics.
    pub fn certificate(&self, topics: &[&str]) -> Result<Url, Untrusted> {
        if !topics.contains(&self.topic_arn.as_str()) {
            return Err(Untrusted::Elsewhere);
        }
        let url = self.amazons(&self.signing_cert_url)?;
        let name = url
            .path()
            .strip_prefix("/SimpleNotificationService-")
            .and_then(|path| path.strip_suffix(".pem"));
        let plain =
            |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric());
        if name.is_some_and(plain) && url.query().is_none() {
            Ok(url)
        } else {
            Err(Untrusted::Elsewhere)
        }
    }

    /// Opens it with the certificate, in PEM, that lay there.
    pub fn open(self, certificate: &[u8], now: Timestamp) -> Result<SnsMessage, Untrusted> {
        let der = CertificateDer::from_pem_slice(certificate).map_err(|_| Untrusted::Forged)?;
        let owner = webpki::EndEntityCert::try_from(&der).map_err(|_| Untrusted::Forged)?;
        let algorithm: &RsaParameters = match self.signature_version.as_str() {
            "1" => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            "2" => &RSA_PKCS1_2048_8192_SHA256,
            _ => return Err(Untrusted::Forged),
        };
        let signature = STANDARD
            .decode(&self.signature)
            .map_err(|_| Untrusted::Forged)?;
        let key = UnparsedPublicKey::new(algorithm, owner.subject_public_key_info());
        key.verify(self.signed_text()?.as_bytes(), &signature)
            .map_err(|_| Untrusted::Forged)?;
        let signed_at = Timestamp::from(
            chrono::DateTime::parse_from_rfc3339(&self.timestamp).map_err(|_| Untrusted::Forged)?,
        );
        check_age(signed_at, BACK, now)?;
        match self.r#type.as_str() {
            "SubscriptionConfirmation" => self.invitation().map(SnsMessage::Invitation),
            "UnsubscribeConfirmation" => Ok(SnsMessage::Farewell),
            _ => Ok(SnsMessage::Message(self.message)),
        }
    }

    /// Names and values, each on a line, in the order of the alphabet.
    fn signed_text(&self) -> Result<String, Untrusted> {
        let mut fields = vec![("Message", &self.message), ("MessageId", &self.message_id)];
        match self.r#type.as_str() {
            "Notification" => {
                fields.extend(self.subject.as_ref().map(|subject| ("Subject", subject)))
            }
            "SubscriptionConfirmation" | "UnsubscribeConfirmation" => {
                fields.push((
                    "SubscribeURL",
                    self.subscribe_url.as_ref().ok_or(Untrusted::Unsigned)?,
                ));
            }
            _ => return Err(Untrusted::Unsigned),
        }
        fields.push(("Timestamp", &self.timestamp));
        if self.r#type != "Notification" {
            fields.push(("Token", self.token.as_ref().ok_or(Untrusted::Unsigned)?));
        }
        fields.extend([("TopicArn", &self.topic_arn), ("Type", &self.r#type)]);
        Ok(fields
            .into_iter()
            .map(|(name, value)| format!("{name}\n{value}\n"))
            .collect())
    }

    /// The address that says yes: that of this topic, and to nothing else.
    fn invitation(&self) -> Result<Url, Untrusted> {
        let url = self.amazons(self.subscribe_url.as_deref().unwrap_or_default())?;
        let has = |name: &str, value: &str| {
            url.query_pairs()
                .any(|(known, given)| known == name && given == value)
        };
        let for_us = url.path() == "/"
            && has("Action", "ConfirmSubscription")
            && has("TopicArn", &self.topic_arn);
        if for_us {
            Ok(url)
        } else {
            Err(Untrusted::Elsewhere)
        }
    }

    /// An address at the topic's own `sns.<region>.amazonaws.com`, by https.
    fn amazons(&self, text: &str) -> Result<Url, Untrusted> {
        let host = host_of(&self.topic_arn).ok_or(Untrusted::Elsewhere)?;
        let url = Url::parse(text).map_err(|_| Untrusted::Elsewhere)?;
        let plain = url.scheme() == "https"
            && url.port().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if plain && url.host_str() == Some(host.as_str()) {
            Ok(url)
        } else {
            Err(Untrusted::Elsewhere)
        }
    }
}

/// The host of a topic like `arn:aws:sns:eu-west-1:123456789012:bounces`; `None` if that is no topic's name.
pub fn host_of(topic: &str) -> Option<String> {
    let [arn, partition, service, region, account, name] =
        topic.splitn(6, ':').collect::<Vec<_>>().try_into().ok()?;
    let end = match partition {
        "aws" | "aws-us-gov" => "amazonaws.com",
        "aws-cn" => "amazonaws.com.cn",
        _ => return None,
    };
    let plain = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let good = arn == "arn"
        && service == "sns"
        && plain(region)
        && account.bytes().all(|b| b.is_ascii_digit())
        && !name.is_empty();
    good.then(|| format!("sns.{region}.{end}"))
}
