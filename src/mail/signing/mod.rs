//! DKIM signatures and their keys.

pub(super) mod canonical;
pub(super) mod dkim;
pub(super) mod signing_key;
