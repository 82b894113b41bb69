//! `[log]`: lines on stderr.

use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::fault;

/// `[log]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// Least severe lines that `serve` prints: `error`, `warn`, `info`, `debug` or `trace`. `VERDICTS_LOG` overrides it.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            level: "info".into(),
        }
    }
}

impl LogSettings {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if ["error", "warn", "info", "debug", "trace"].contains(&self.level.as_str()) {
            return Ok(());
        }
        fault("log.level", "expected error, warn, info, debug or trace")
    }
}
