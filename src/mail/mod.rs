//! Floor 3: a mail as bytes, and one way out for it: a server, or a folder that stands for one.
//!
//! Nothing of SMTP is seen above this module: what became of a mail is an [`crate::domain::delivery::Outcome`].
//! In reading order:
//!
//! - `mailbox`: who a mail is from; `envelope`: who one is handed over for.
//! - `letter`: a mail, encoded once and filled per reader; a `draft` while it is written. `header` folds and encodes its header lines (RFC 5322,
//!   RFC 2047), `quoted` its bodies (RFC 2045).
//! - `dkim`: the signatures of a mail; `signing_key` the keys, `canonical` the form of a mail that they sign.
//! - `standing`: what `dns` says of us; `inspection`: what a server and a reader see of a mail.
//! - `transport`: the setting that says how mail leaves, read at the door; `server`: its SMTP half.
//! - `maildir`: the folder.
//! - `stream`: the bytes to and from a server, and whom they are shown to (`tls`); `outlet`: our own hold on them; `greeting`: the dialogue
//!   (`talk`) until the server knows us, logins (`sasl`) included; `smtp`: what is said from then on, `stuffing` included, with `ahead`: what
//!   may be said early; `failure`: where it broke off; `reply`: what the answers mean; `fault`: why there is no connection.
//! - `imap`: a mailbox at another server. `inbound`: what came back, read; `events`: the same, as providers tell it, with `fetch` for a key that lies at one.

mod ahead;
mod canonical;
mod dkim;
mod dmarc;
mod dmarc_record;
mod dns;
mod draft;
mod envelope;
pub mod events;
mod failure;
mod fault;
mod fetch;
mod greeting;
mod header;
pub mod imap;
pub mod inbound;
mod inspection;
mod letter;
mod mailbox;
mod maildir;
mod outlet;
mod quoted;
mod reply;
mod sasl;
mod server;
mod signing_key;
mod smtp;
mod spf;
mod spf_macro;
mod spf_record;
mod standing;
mod stream;
mod stuffing;
mod talk;
mod tls;
mod transport;
mod utf8;

pub use dkim::KeyRecord;
pub use dkim::Signers;
pub use dkim::make_key;
pub use dmarc::Rule;
pub use dns::STANDING_MAX;
pub use dns::Source;
pub use draft::TOKEN_LENGTH;
pub use envelope::Envelope;
pub use fault::ConnectFault;
pub use fetch::fetch;
pub use inspection::Inspection;
pub use inspection::inspect;
pub use letter::MessageTemplate;
pub use letter::Recipient;
pub use letter::TemplateHeaders;
pub use mailbox::InvalidMailbox;
pub use mailbox::Mailbox;
pub use maildir::Maildir;
pub use maildir::Stored;
pub use outlet::WriteDeadline;
pub use reply::RefusalStage;
pub use reply::outcome_of;
pub use server::ConnectionLimits;
pub use server::SmtpTimeouts;
pub use signing_key::Algorithm;
pub(crate) use smtp::UNHEARD;
pub use standing::BounceRoute;
pub use standing::DkimReport;
pub use standing::DmarcReport;
pub use standing::SenderAuthReport;
pub use standing::Spf;
pub use standing::Told;
pub use standing::Unnamed;
pub use standing::check_sender_auth;
pub use standing::is_of_this_network;
pub use transport::InvalidTransport;
pub use transport::OpenTransport;
pub use transport::Transport;
