//! A key or a password that no log, page or command can print.

use serde::Deserialize;
use serde::Serialize;

/// Text in place of a secret.
pub const MASK: &str = "***";

/// A key or a password. `Debug` and `Serialize` give [`MASK`], there is no `Display`, and no `PartialEq`, whose time tells how much of
/// two secrets is the same. The crate `secrecy` was refused: it cannot be serialized, and what it adds, wiping the memory, is lost on the
/// copies that the drivers of databases and mail servers make.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Returns the text, for whoever signs, checks or logs in with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_and_never_written() {
        let secret: Secret = serde_json::from_str("\"hunter2hunter2\"").expect("a secret");
        assert_eq!(secret.expose(), "hunter2hunter2");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
        assert_eq!(
            serde_json::json!({ "key": secret }),
            serde_json::json!({ "key": MASK })
        );
    }
}
