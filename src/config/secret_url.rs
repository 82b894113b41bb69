//! The address of a server with a user and a password in it, printed without them.

use serde::Deserialize;
use serde::Serialize;
use url::Url;

use crate::domain::secret::MASK;

/// An address that may hold credentials: `smtp://user:password@host`. `Debug` and `Serialize` give [`SecretUrl::shown`]; there is no
/// `Display`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// Returns the whole address, for whoever connects with it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the address with [`MASK`] in place of the password, of the user of a mail server (with some providers it is the secret), and
    /// of every parameter but a few known ones. Of an address that cannot be read, only what stands behind the last @ is left.
    pub fn shown(&self) -> String {
        let (begin, end) = authority(&self.0);
        let hosts_at = self.0[begin..end]
            .rfind('@')
            .map_or(begin, |at| begin + at + 1);
        let hosts = &self.0[hosts_at..end];
        if !hosts.contains(',') {
            return masked(&self.0);
        }
        // `url` reads no list of hosts with ports, so a name that no address has stands in for it.
        const PLACE: &str = "several-hosts.invalid";
        masked(&format!("{}{PLACE}{}", &self.0[..hosts_at], &self.0[end..]))
            .replacen(PLACE, hosts, 1)
    }
}

impl From<String> for SecretUrl {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for SecretUrl {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.shown())
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown())
    }
}

/// Returns where user, password and hosts begin and end.
fn authority(text: &str) -> (usize, usize) {
    let begin = text.find("://").map_or(0, |at| at + 3);
    let end = text[begin..]
        .find(['/', '?', '#'])
        .map_or(text.len(), |at| begin + at);
    (begin, end)
}

/// Parameters with nothing secret in them; anything else may be a password under another name.
const HARMLESS: [&str; 7] = [
    "tls",
    "tls_ca",
    "sslmode",
    "mode",
    "host",
    "port",
    "target_session_attrs",
];

fn masked(text: &str) -> String {
    let end = authority(text).1;
    // An @ behind the host is one of a password with an unescaped / ? or #.
    let is_torn = text.contains("://") && text[end..].contains('@');
    let Some(mut url) = Url::parse(text).ok().filter(|_| !is_torn) else {
        return match text.rsplit_once('@') {
            Some((_, rest)) => format!(
                "{MASK}@{}",
                rest.split(['?', '#']).next().unwrap_or_default()
            ),
            None => MASK.into(),
        };
    };
    let is_mail = url.scheme().starts_with("smtp") || url.scheme().starts_with("imap");
    let is_harmless = |key: &str| HARMLESS.contains(&key);
    let hides_password = url.password().is_some();
    let hides_user = is_mail && !url.username().is_empty();
    let hides_parameter = url.query_pairs().any(|(key, _)| !is_harmless(&key));
    if !hides_password && !hides_user && !hides_parameter && url.fragment().is_none() {
        // As it was written: `url` would escape what is in it.
        return text.into();
    }
    // Neither can fail: an address that has them can have others.
    if hides_password {
        let _ = url.set_password(Some(MASK));
    }
    if hides_user {
        let _ = url.set_username(MASK);
    }
    if hides_parameter {
        let shown = |key: &str, value: &str| {
            if is_harmless(key) {
                value.to_owned()
            } else {
                MASK.into()
            }
        };
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .map(|(key, value)| (key.to_string(), shown(&key, &value)))
            .collect();
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    url.set_fragment(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        for (text, expected) in [
            ("mailbox:data/mailbox", "mailbox:data/mailbox"),
            ("sqlite:data/a@b.db", "sqlite:data/a@b.db"),
            ("sqlite:data/a b.db?mode=rwc", "sqlite:data/a b.db?mode=rwc"),
            ("smtp://mx.example:25", "smtp://mx.example:25"),
            (
                "smtp://hunter2:hunter2@mx.example",
                "smtp://***:***@mx.example",
            ),
            (
                "imaps://hunter2@mx.example/INBOX?tls_ca=ca.pem",
                "imaps://***@mx.example/INBOX?tls_ca=ca.pem",
            ),
            (
                "postgres://me:hunter2@db.example/list",
                "postgres://me:***@db.example/list",
            ),
            (
                "postgres://me:hunter2@a.example:5432,b.example/list?sslpassword=hunter2",
                "postgres://me:***@a.example:5432,b.example/list?sslpassword=***",
            ),
            (
                "postgres://me:h/unter2@db.example/list?password=hunter2",
                "***@db.example/list",
            ),
            ("smtp://me:12#hunter2@mx.example", "***@mx.example"),
            ("smtp://mx.example#hunter2", "smtp://mx.example"),
            (
                "smtp://me:hunter2@mx.example:port?token=hunter2",
                "***@mx.example:port",
            ),
            ("smtp//me:hunter2", "***"),
        ] {
            let url = SecretUrl::from(text);
            assert_eq!(url.shown(), expected, "{text}");
            let written = format!("{url:?} {}", serde_json::json!(url));
            assert!(!written.contains("unter2"), "{written}");
        }
    }
}
