//! Messages: headers, bodies, and templates that are filled for each reader.

pub(super) mod base64_body;
mod header;
pub(super) mod inspection;
pub(super) mod mailbox;
pub(super) mod quoted;
pub(super) mod template;
pub(super) mod template_builder;
