//! Choice of the way to log in to an IMAP server.

use super::wire::quoted;
use crate::mail::sasl::Login;
use crate::mail::sasl::SaslMechanism;

/// Picks one of those that a server offers. LOGIN comes first, since accounts exist whose stored password fits no challenge though the
/// server offers it; a server that offers ways of logging in and none by password means it.
///
/// # Errors
/// The names of what is offered, where this program knows none of it.
pub(super) fn pick(capabilities: &[String], login: &Login) -> Result<SaslMechanism, String> {
    let has = |name: &str| capabilities.iter().any(|capability| capability == name);
    let offered: Vec<&str> = capabilities
        .iter()
        .filter_map(|capability| capability.strip_prefix("AUTH="))
        .collect();
    let by_password = offered.is_empty()
        || offered
            .iter()
            .any(|name| matches!(*name, "PLAIN" | "LOGIN"));
    let is_plain_text = [&login.user, &login.password]
        .iter()
        .all(|text| quoted(text.expose()).is_some());
    if by_password && !has("LOGINDISABLED") && is_plain_text {
        return Ok(SaslMechanism::Login);
    }
    let known = [
        SaslMechanism::Plain,
        SaslMechanism::ScramSha256,
        SaslMechanism::ScramSha1,
        SaslMechanism::CramMd5,
    ];
    let found = known
        .into_iter()
        .find(|mechanism| offered.contains(&mechanism.name()));
    found.ok_or_else(|| {
        // From a list of ours: a server's own words are not shown.
        let others = ["GSSAPI", "GSS-SPNEGO", "XOAUTH2", "OAUTHBEARER", "NTLM", "DIGEST-MD5", "EXTERNAL", "ANONYMOUS"];
        let others: Vec<_> = others.into_iter().filter(|name| offered.contains(name)).collect();
        let others = if others.is_empty() { "nothing that is known here".into() } else { others.join(", ") };
        format!("the server offers {others}, and this program logs in by PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-1 or CRAM-MD5")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_picked_by_what_is_offered() {
        let pick = |offers: &[&str], password: &str| {
            let offers: Vec<String> = offers.iter().map(|offer| (*offer).into()).collect();
            super::pick(
                &offers,
                &Login {
                    user: "user".into(),
                    password: password.into(),
                },
            )
            .map(SaslMechanism::name)
        };
        assert_eq!(pick(&[], "p"), Ok("LOGIN"));
        assert_eq!(
            pick(&["AUTH=PLAIN", "AUTH=SCRAM-SHA-256"], "p"),
            Ok("LOGIN")
        );
        assert_eq!(pick(&["AUTH=PLAIN"], "pä"), Ok("PLAIN"));
        assert_eq!(
            pick(&["AUTH=SCRAM-SHA-1", "AUTH=SCRAM-SHA-256"], "p"),
            Ok("SCRAM-SHA-256")
        );
        assert_eq!(pick(&["AUTH=CRAM-MD5"], "p"), Ok("CRAM-MD5"));
        assert_eq!(pick(&["LOGINDISABLED", "AUTH=PLAIN"], "p"), Ok("PLAIN"));
        assert!(
            pick(&["AUTH=GSSAPI", "AUTH=XOAUTH2"], "p")
                .is_err_and(|why| why.contains("GSSAPI, XOAUTH2"))
        );
    }
}
