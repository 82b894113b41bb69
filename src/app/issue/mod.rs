//! The week's issue: picked, edited, checked, approved, published. Two editors' changes are merged in [`revising`]; what they write is judged
//! in [`text`].

pub mod digests;
pub mod drafting;
pub mod edition;
pub mod missed;
pub mod picking;
pub mod preflight;
pub mod publishing;
pub mod revising;
pub mod sending;
pub mod text;
pub(super) mod variants;
pub mod week;
