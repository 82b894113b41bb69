//! Ways by which mails and reports come back.

use super::UnknownName;
use super::webhook::Provider;

/// The way by which a mail, or a provider's report on one, came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboundChannel {
    /// The command `verdicts inbound`: a pipe from a mail server, or a file.
    Command,
    /// Our LMTP listener.
    Lmtp,
    /// A mailbox at an IMAP server.
    Imap,
    /// A webhook of a provider.
    Webhook(Provider),
}

impl InboundChannel {
    /// Every value.
    pub fn all() -> impl Iterator<Item = Self> {
        let webhooks = Provider::ALL.iter().copied().map(Self::Webhook);
        [Self::Command, Self::Lmtp, Self::Imap]
            .into_iter()
            .chain(webhooks)
    }

    /// The name used in the database, in JSON and in text; a webhook has that of its provider.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Lmtp => "lmtp",
            Self::Imap => "imap",
            Self::Webhook(provider) => provider.as_str(),
        }
    }
}

impl std::str::FromStr for InboundChannel {
    type Err = UnknownName;
    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let names = || Self::all().map(Self::as_str).collect::<Vec<_>>();
        Self::all()
            .find(|channel| channel.as_str() == text)
            .ok_or_else(|| UnknownName::new(text, &names()))
    }
}
