//! Events of mail providers about our mails, over HTTP.

use super::inbound::CorrelationIds;
use super::inbound::InboundChannel;
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

impl Provider {
    /// The channel of what it tells.
    pub fn channel(self) -> InboundChannel {
        match self {
            Self::Ses => InboundChannel::Ses,
            Self::Postmark => InboundChannel::Postmark,
            Self::SendGrid => InboundChannel::SendGrid,
            Self::Mailgun => InboundChannel::Mailgun,
            Self::Resend => InboundChannel::Resend,
            Self::Signed => InboundChannel::Signed,
        }
    }
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
