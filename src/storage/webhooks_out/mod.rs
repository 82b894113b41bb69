//! Webhook endpoints: their rows, leases and health in [`endpoints`], events on their way to them in [`deliveries`], and what was sent, for
//! people, in [`log`].

pub mod deliveries;
pub mod endpoints;
pub mod log;
