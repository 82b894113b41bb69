//! The week's issue: picked, edited, checked, approved, published. Two editors' changes are merged in [`revising`]; what they write is judged
//! in [`text`]. [`approving`] binds approvals to what was looked at; [`test_copies`] and [`reviewing`] show it to others before, [`correcting`] mends it after. [`results`]: what became of it.

pub mod approving;
pub mod correcting;
pub mod digests;
pub mod drafting;
pub mod edition;
pub mod missed;
pub mod picking;
pub mod preflight;
pub mod publishing;
pub mod results;
pub mod reviewing;
pub mod revising;
pub mod sending;
pub mod test_copies;
pub mod text;
pub(super) mod variants;
pub mod week;
