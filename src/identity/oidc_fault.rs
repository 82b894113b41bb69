//! Reasons why a provider of OpenID Connect signed nobody in.

use openidconnect::ClaimsVerificationError;
use openidconnect::DiscoveryError;
use openidconnect::SignatureVerificationError;

/// Reason why the caller's network gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NetworkFault(pub String);

/// Reason why nobody was signed in by a provider. No text of it has a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OidcFault {
    /// The provider cannot be asked.
    #[error("it does not answer: {0}")]
    Unreachable(String),
    /// Its discovery document or an answer cannot be used.
    #[error("its answer cannot be used: {0}")]
    Unusable(String),
    /// It refused.
    #[error("it refused with {0}")]
    Refused(String),
    /// It signed with a key that is not known: it may be new.
    #[error("it signed with a key that it does not publish")]
    UnknownKey,
    /// Its token is not for us, not of now, or not its own.
    #[error("its token is refused: {0}")]
    Untrusted(String),
}

/// An error code of a provider (RFC 6749, 5.2), fit for a page and a log.
pub fn code_of(text: &str) -> String {
    let code: String = text
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .take(40)
        .collect();
    if code.is_empty() {
        "an error".into()
    } else {
        code
    }
}

pub(super) fn unusable(error: impl std::fmt::Display) -> OidcFault {
    OidcFault::Unusable(error.to_string())
}

impl From<DiscoveryError<NetworkFault>> for OidcFault {
    fn from(error: DiscoveryError<NetworkFault>) -> Self {
        match error {
            DiscoveryError::Request(fault) => Self::Unreachable(fault.to_string()),
            DiscoveryError::Response(status, ..) if status.is_server_error() => {
                Self::Unreachable(format!("status {status}"))
            }
            DiscoveryError::Response(status, ..) => Self::Unusable(format!(
                "its discovery document or its keys were answered with {status} or are no JSON"
            )),
            DiscoveryError::Validation(words) => Self::Unusable(words),
            DiscoveryError::Parse(error) => Self::Unusable(format!(
                "its discovery document or its keys cannot be read at {}",
                error.path()
            )),
            other => Self::Unusable(other.to_string()),
        }
    }
}

impl From<ClaimsVerificationError> for OidcFault {
    fn from(error: ClaimsVerificationError) -> Self {
        match error {
            ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey,
            ) => Self::UnknownKey,
            ClaimsVerificationError::SignatureVerification(error) => {
                Self::Untrusted(error.to_string())
            }
            other => Self::Untrusted(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_a_stranger_is_shown_as_letters() {
        assert_eq!(code_of("access_denied"), "access_denied");
        assert_eq!(code_of("<b>a\r\nb</b>"), "babb");
        assert_eq!(code_of("\u{202e}"), "an error");
        assert_eq!(code_of(&"x".repeat(200)).len(), 40);
    }
}
