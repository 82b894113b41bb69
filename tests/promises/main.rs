//! The promises of the service, entered by the real door and run on both databases.

mod journey;
mod support;
