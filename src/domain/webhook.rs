//! Events of mail providers about our mails, over HTTP.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::inbound::CorrelationIds;
use super::inbound::RecipientReport;
use super::named;

named! {
    /// A mail provider. Its name stands in the settings, in the route and in the database.
    Provider {
        /// Amazon SES, by way of SNS.
        Ses => "ses",
        /// Postmark.
        Postmark => "postmark",
        /// Twilio SendGrid.
        SendGrid => "sendgrid",
        /// Mailgun.
        Mailgun => "mailgun",
        /// Resend.
        Resend => "resend",
        /// Brevo.
        Brevo => "brevo",
        /// Mailjet.
        Mailjet => "mailjet",
        /// SparkPost.
        SparkPost => "sparkpost",
        /// MailerSend.
        MailerSend => "mailersend",
        /// Azure Communication Services, by way of Event Grid.
        Azure => "azure",
        /// Postal.
        Postal => "postal",
        /// KumoMTA.
        KumoMta => "kumomta",
        /// Forward Email.
        ForwardEmail => "forwardemail",
        /// A script or a provider of one's own, by our own plain signature.
        Signed => "signed",
    }
}

named! {
    /// Kind of a provider's request.
    WebhookKind {
        /// To read the events in its body.
        Events => "events",
        /// To confirm the subscription to an SNS topic; the body is the address that does so.
        SubscriptionConfirmation => "subscription_confirmation",
    }
}

/// Form of the keys that prove a provider's requests, as the settings hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// The ARN of an SNS topic; public.
    SnsTopic,
    /// `user:password`, as in the address that the provider is given.
    UserAndPassword,
    /// A public key, base64 on one line.
    PublicKey,
    /// `whsec_` and base64, the form of Svix and of Standard Webhooks.
    WebhookSecret,
    /// A text of at least [`SECRET_MIN`] characters.
    SharedSecret,
    /// A secret that the provider presents and does not sign with: `user:password`, a token, or the last part of the webhook's address.
    Presented,
}

/// Characters of the shortest secret that is accepted.
const SECRET_MIN: usize = 16;

impl Provider {
    /// Form of its keys.
    pub const fn key_form(self) -> KeyForm {
        match self {
            Self::Ses => KeyForm::SnsTopic,
            Self::Postmark => KeyForm::UserAndPassword,
            Self::SendGrid | Self::Postal => KeyForm::PublicKey,
            Self::Resend => KeyForm::WebhookSecret,
            Self::Mailgun | Self::MailerSend | Self::ForwardEmail | Self::Signed => {
                KeyForm::SharedSecret
            }
            Self::Brevo | Self::Mailjet | Self::SparkPost | Self::Azure | Self::KumoMta => {
                KeyForm::Presented
            }
        }
    }
}

impl KeyForm {
    /// True if the keys may be shown.
    pub const fn is_public(self) -> bool {
        matches!(self, Self::SnsTopic | Self::PublicKey)
    }

    /// Returns true if `key` has this form.
    pub fn accepts(self, key: &str) -> bool {
        let base64 = |text: &str| STANDARD.decode(text).is_ok_and(|bytes| bytes.len() >= 16);
        match self {
            Self::SnsTopic => {
                key.starts_with("arn:")
                    && key.split(':').nth(2) == Some("sns")
                    && key.split(':').count() == 6
            }
            Self::UserAndPassword => is_user_and_password(key),
            Self::Presented => {
                let in_address =
                    |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
                is_user_and_password(key)
                    || (key.len() >= SECRET_MIN && key.bytes().all(in_address))
            }
            Self::PublicKey => base64(key),
            Self::WebhookSecret => key.strip_prefix("whsec_").is_some_and(base64),
            Self::SharedSecret => key.len() >= SECRET_MIN,
        }
    }

    /// The form in words, for the sentence about a key that is refused. Never quotes the key.
    pub const fn expected(self) -> &'static str {
        match self {
            Self::SnsTopic => "expected topics like arn:aws:sns:eu-west-1:123456789012:bounces",
            Self::UserAndPassword => {
                "expected user:password, the password of at least 16 characters"
            }
            Self::PublicKey => {
                "expected public keys as the provider shows them: one line of base64, no BEGIN and END"
            }
            Self::WebhookSecret => {
                "expected signing secrets as the provider shows them: whsec_ and base64"
            }
            Self::Presented => {
                "expected user:password, the password of at least 16 characters, or a secret of at least 16 letters, digits, - _ ."
            }
            Self::SharedSecret => {
                "each secret needs at least 16 characters; `openssl rand -hex 32` makes one"
            }
        }
    }
}

fn is_user_and_password(key: &str) -> bool {
    key.split_once(':')
        .is_some_and(|(user, word)| !user.is_empty() && word.len() >= SECRET_MIN)
}

/// One thing that became of one mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEvent {
    /// The same when the provider tells it again; never the same for two.
    pub id: String,
    /// For whom, what, why. The address is the provider's word.
    pub finding: RecipientReport,
    /// By what it may be told whose it is, unchecked.
    pub clues: CorrelationIds,
    /// Domains of the senders that the provider names, envelope and header; empty where it names none. Never the host of a
    /// Message-ID, which a relay may have rewritten.
    pub domains: Vec<String>,
}
