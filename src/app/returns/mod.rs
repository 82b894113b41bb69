//! Mail and events that come back: bounces, complaints, answers, providers' webhooks.

pub(super) mod answers;
pub mod bounces;
pub mod inbound;
pub(super) mod mail_commands;
pub(super) mod mailbox;
pub mod webhooks;
