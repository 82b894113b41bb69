//! Floor 3: what proves who somebody is: passwords, codes, tokens. No SQL, no clock, no network.
//!
//! Reading order: [`password`] with `common`, [`totp`], [`passkey`], [`oidc`] with [`oidc_fault`], [`secret`].

mod common;
pub mod oidc;
pub mod oidc_fault;
pub mod passkey;
pub mod password;
pub mod secret;
pub mod totp;
