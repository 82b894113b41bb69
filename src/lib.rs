//! verdicts: a weekly newsletter service for a site that compares AI tools.
//!
//! Six floors; an import may only point down, and `tests/layers` checks it. In reading order, from the
//! ground up:
//!
//! - [`domain`]: the product's words and rules. `domain::pick` is its heart.
//! - [`config`], [`telemetry`], [`dial`]: settings; logs and figures; the way to another host.
//! - [`storage`], [`render`], [`mail`], [`identity`], [`outside`], [`content`]: arms, strangers to one another: the database, templates, the
//!   way out, what proves who somebody is, the one HTTP client, and the reading of feeds and pages.
//! - [`app`]: the use cases, where the arms meet. `app::delivery` sends what the ledger holds.
//! - [`web`], [`schedule`], [`inbox`]: doors: a request, a tick or a mail becomes one use case.
//! - [`cli`]: reads settings, builds the `App`, starts what was asked.

#![forbid(unsafe_code)]

pub mod app;
pub mod cli;
pub mod config;
pub mod content;
pub mod dial;
pub mod domain;
pub mod identity;
pub mod inbox;
pub mod mail;
pub mod outside;
pub mod render;
pub mod schedule;
pub mod storage;
pub mod telemetry;
pub mod web;
