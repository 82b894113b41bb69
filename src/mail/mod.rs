//! Floor 3: a mail as bytes, and one way out for it: a server, or a folder that stands for one.
//!
//! Nothing of SMTP is seen above this module: the fate of a mail is an [`crate::domain::delivery::Outcome`].
//!
//! - [`message`]: a mail, encoded once and filled for each reader.
//! - [`signing`]: DKIM signatures and their keys.
//! - [`smtp`]: a connection to a relay. `transport` is the setting that chooses it, or `maildir`, the folder.
//! - [`dns`]: SPF, DKIM and DMARC of a sender.
//! - [`imap`]: a mailbox at another server.
//! - [`inbound`]: mails that came back, read; [`providers`]: the same as webhooks tell it.
//! - `sasl` and `utf8` serve SMTP and IMAP alike.

pub mod dns;
pub mod imap;
pub mod inbound;
mod maildir;
pub mod message;
pub mod providers;
mod sasl;
pub mod signing;
pub mod smtp;
mod transport;
mod utf8;

pub use dns::dmarc::Rule;
pub use dns::resolver::STANDING_MAX;
pub use dns::resolver::Source;
pub use dns::sender_auth::BounceRoute;
pub use dns::sender_auth::DkimReport;
pub use dns::sender_auth::DmarcReport;
pub use dns::sender_auth::SenderAuthReport;
pub use dns::sender_auth::Spf;
pub use dns::sender_auth::Told;
pub use dns::sender_auth::Unnamed;
pub use dns::sender_auth::check_sender_auth;
pub use dns::sender_auth::is_of_this_network;
pub use maildir::Maildir;
pub use maildir::Stored;
pub use message::inspection::Inspection;
pub use message::inspection::inspect;
pub use message::mailbox::InvalidMailbox;
pub use message::mailbox::Mailbox;
pub use message::template::MessageTemplate;
pub use message::template::Recipient;
pub use message::template::TemplateHeaders;
pub use message::template_builder::TOKEN_LENGTH;
pub use signing::dkim::KeyRecord;
pub use signing::dkim::Signers;
pub use signing::dkim::make_key;
pub use signing::signing_key::Algorithm;
pub use smtp::connect_fault::ConnectFault;
pub(crate) use smtp::connection::UNHEARD;
pub use smtp::envelope::Envelope;
pub use smtp::reply::RefusalStage;
pub use smtp::reply::outcome_of;
pub use smtp::server::ConnectionLimits;
pub use smtp::server::SmtpTimeouts;
pub use smtp::writer::WriteDeadline;
pub use transport::InvalidTransport;
pub use transport::OpenTransport;
pub use transport::Transport;
