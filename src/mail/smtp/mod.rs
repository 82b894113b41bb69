//! SMTP to a relay: from the open stream to the reply to a mail.

pub(super) mod connect_fault;
pub(super) mod connection;
pub(super) mod dialogue;
pub(super) mod dot_stuffing;
pub(super) mod envelope;
pub(super) mod failure;
pub(super) mod greeting;
pub(super) mod pipelining;
pub(super) mod reply;
pub(super) mod server;
pub(super) mod stream;
pub(super) mod writer;
