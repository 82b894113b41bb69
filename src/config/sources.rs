//! `[sources]`: places from which tools and comparisons come in.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::fault;

/// `[sources]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    /// Private hosts, addresses and networks that sources may be at; over http too.
    pub allow_private: Vec<String>,
    /// Folders that a source may read, with what is below them.
    pub folders: Vec<PathBuf>,
}

impl SourceSettings {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let is_place = |text: &String| {
            let bare = text.trim().trim_matches(['[', ']']);
            let is_host = !bare.is_empty() && !bare.contains(['/', ':', '@', ' ', '*']);
            is_host || bare.parse::<IpAddr>().is_ok() || bare.parse::<IpNet>().is_ok()
        };
        if !self.allow_private.iter().all(is_place) {
            return fault(
                "sources.allow_private",
                "expected hosts, addresses or networks like [\"feeds.internal\", \"10.0.0.0/8\"]",
            );
        }
        if self.folders.iter().any(|folder| !folder.is_absolute()) {
            return fault("sources.folders", "expected paths that begin with /");
        }
        Ok(())
    }
}
