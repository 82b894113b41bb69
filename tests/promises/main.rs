//! The promises of the service, entered by the real door and run on both databases.

mod catalogue;
mod commands;
mod crash;
mod delivery;
mod digests;
mod embedding;
mod inbound;
mod joining;
mod journey;
mod leaving;
mod limits;
mod mails;
mod pacing;
mod pages;
mod people;
mod personal;
mod picking;
mod preferences;
mod relays;
mod schedule;
mod signing;
mod standing;
mod support;
mod votes;
mod ways_out;
mod webhooks;
