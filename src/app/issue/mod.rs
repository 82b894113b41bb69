//! The week's issue: picked, edited, checked, approved, published.

pub mod digests;
pub mod drafting;
pub mod edition;
pub mod missed;
pub mod picking;
pub mod preflight;
pub mod publishing;
pub mod sending;
pub mod template_cache;
pub(super) mod variants;
pub mod week;
