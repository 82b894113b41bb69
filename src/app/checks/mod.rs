//! Checks of everything around the service: `doctor`, its parts, metrics, upkeep.

pub(super) mod addresses;
pub(super) mod compiled_in;
pub mod diagnostics;
pub mod doctor;
pub(super) mod keeping;
pub(super) mod metrics;
pub(super) mod proxies;
pub(super) mod relay_checks;
pub(super) mod schedule_times;
pub(super) mod sender_auth;
pub(super) mod upkeep;
pub(super) mod zones;
