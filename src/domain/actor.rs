//! Actors: who makes a change. Every use case that writes is told, and the audit log keeps it ([`super::audit`]).

use std::borrow::Cow;
use std::net::IpAddr;

use super::subscriber::network_of;

super::named! {
    /// Kind of an actor.
    ActorKind {
        /// A reader or a visitor, by a page, a link or a mail of their own. Their actions stand in the subscriber's history.
        Reader => "reader",
        /// The operator, by a command.
        Cli => "cli",
        /// A user of the desk.
        User => "user",
        /// A program, by an API token.
        Token => "token",
        /// The timetable.
        Schedule => "schedule",
        /// Mail or an event that came back, by one of its channels.
        Inbound => "inbound",
        /// The program itself: a mail server's answer, the end of a send.
        System => "system",
    }
}

/// Author of a change. Holds ids and codes only, never an address or a name, so that erasing a person leaves the log as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    kind: ActorKind,
    id: Cow<'static, str>,
    network: Option<String>,
}

impl Actor {
    const fn of(kind: ActorKind) -> Self {
        Self {
            kind,
            id: Cow::Borrowed(kind.as_str()),
            network: None,
        }
    }

    /// A reader or a visitor.
    pub const fn reader() -> Self {
        Self::of(ActorKind::Reader)
    }

    /// The operator, by a command.
    pub const fn cli() -> Self {
        Self::of(ActorKind::Cli)
    }

    /// The timetable.
    pub const fn schedule() -> Self {
        Self::of(ActorKind::Schedule)
    }

    /// The program itself.
    pub const fn system() -> Self {
        Self::of(ActorKind::System)
    }

    /// Mail or an event that came back by that channel: `command`, `lmtp`, `imap`, or the name of a provider.
    pub fn inbound(channel: &str) -> Self {
        Self {
            id: channel.to_owned().into(),
            ..Self::of(ActorKind::Inbound)
        }
    }

    /// A user of the desk, by the id that stands outside for them, and the network of their session, cut as `network_of` does.
    pub fn user(id: impl Into<String>, network: Option<String>) -> Self {
        Self {
            kind: ActorKind::User,
            id: id.into().into(),
            network,
        }
    }

    /// An API token, by the id that stands outside for it, and the address that its program acts from.
    pub fn token(id: impl Into<String>, client: Option<IpAddr>) -> Self {
        Self {
            kind: ActorKind::Token,
            id: id.into().into(),
            network: client.map(network_of),
        }
    }

    /// Kind of the actor.
    pub fn kind(&self) -> ActorKind {
        self.kind
    }

    /// Id among the actors of its kind; the kind again where there is only one.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Kind and id in one text, for a column that only compares: "user:u3f…", "cli:cli".
    pub fn key(&self) -> String {
        format!("{}:{}", self.kind, self.id)
    }

    /// Network that they act from, cut to /24 or /48.
    pub fn network(&self) -> Option<&str> {
        self.network.as_deref()
    }

    /// Returns true if the audit log keeps what they do: everybody's actions but readers'.
    pub fn is_audited(&self) -> bool {
        self.kind != ActorKind::Reader
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_acts_from_a_network_and_no_single_address() {
        let token = Actor::token("t7", "203.0.113.77".parse().ok());
        assert_eq!(token.network(), Some("203.0.113.0/24"));
        assert!(token.is_audited() && !Actor::reader().is_audited());
        assert_eq!(
            (Actor::cli().id(), Actor::inbound("lmtp").id()),
            ("cli", "lmtp")
        );
    }
}
