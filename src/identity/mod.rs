//! Floor 3: what proves who somebody is: passwords, codes, tokens. No SQL, no clock, no network.
//!
//! Reading order: [`password`] with `common`, [`totp`], [`passkey`], [`secret`].

mod common;
pub mod passkey;
pub mod password;
pub mod secret;
pub mod totp;
