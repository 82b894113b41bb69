//! Subscribers: signing up, preferences, votes, and the list as its operator handles it.

pub mod columns;
pub mod left_meanwhile;
pub mod list;
pub mod operator;
pub mod preferences;
pub mod preview;
pub(super) mod quotas;
mod reminders;
pub mod segments;
pub mod sign_up;
pub mod spreadsheet;
pub mod subscriber_list;
pub mod votes;
