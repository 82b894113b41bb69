//! The folder to read: the server's namespace (RFC 2342), the folder's rights (RFC 4314), and its quota.

use super::super::ImapFault;
use super::super::PATIENCE;
use super::super::response::string;
use super::super::wire::Wire;
use super::super::wire::quoted;

/// The part of the server's tree that is ours.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Namespace {
    prefix: String,
    delimiter: Option<char>,
}

/// `* NAMESPACE (("INBOX." ".")) NIL NIL`: the first of the personal ones.
pub(super) async fn namespace(wire: &mut Wire) -> Result<Namespace, ImapFault> {
    let answer = match wire.command(PATIENCE, "NAMESPACE", "NAMESPACE").await {
        Ok(answer) => answer,
        Err(fault) if fault.is_refusal() => return Ok(Namespace::default()),
        Err(fault) => return Err(fault),
    };
    let told = answer
        .responses
        .iter()
        .find_map(|response| response.after("NAMESPACE"));
    Ok(told.map(|text| first_namespace(&text)).unwrap_or_default())
}

fn first_namespace(text: &str) -> Namespace {
    let Some(rest) = text.trim_start().strip_prefix("((") else {
        return Namespace::default();
    };
    let (prefix, rest) = string(rest).unwrap_or_default();
    let delimiter = string(rest).and_then(|(delimiter, _)| delimiter.chars().next());
    Namespace { prefix, delimiter }
}

impl Namespace {
    /// The names that a folder of the settings may have at the server, the likeliest first.
    fn candidates(&self, name: &str) -> Vec<String> {
        if name.eq_ignore_ascii_case("INBOX") {
            return vec!["INBOX".into()];
        }
        // A folder in a folder is written with a slash, whatever the server parts names by.
        let local = match self.delimiter {
            Some(delimiter) if delimiter != '/' => name.replace('/', &delimiter.to_string()),
            _ => name.to_owned(),
        };
        let is_within = self.prefix.is_empty()
            || local
                .to_ascii_uppercase()
                .starts_with(&self.prefix.to_ascii_uppercase());
        let mut names = if is_within {
            vec![local.clone()]
        } else {
            vec![format!("{}{local}", self.prefix), local]
        };
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
        names
    }
}

/// The name under which a folder of the settings is there.
pub(super) async fn find(
    wire: &mut Wire,
    name: &str,
    namespace: &Namespace,
) -> Result<Option<String>, ImapFault> {
    if name.eq_ignore_ascii_case("INBOX") {
        return Ok(Some("INBOX".into()));
    }
    for candidate in namespace.candidates(name) {
        // The pattern of LIST has wild cards of its own.
        if candidate.contains(['%', '*']) {
            continue;
        }
        let listed = wire
            .command(
                PATIENCE,
                "LIST",
                &format!("LIST \"\" {}", quoted(&candidate).unwrap_or_default()),
            )
            .await;
        let listed = match listed {
            Ok(answer) => answer.responses,
            Err(fault) if fault.is_refusal() => Vec::new(),
            Err(fault) => return Err(fault),
        };
        let opens = |rest: String| {
            !rest.to_ascii_uppercase().contains("\\NOSELECT")
                && !rest.to_ascii_uppercase().contains("\\NONEXISTENT")
        };
        if listed
            .iter()
            .filter_map(|response| response.after("LIST"))
            .any(opens)
        {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}

/// The folder that mails are moved to, made if it is not there; `Err` with the reason why it cannot be.
pub(super) async fn target(
    wire: &mut Wire,
    name: &str,
    namespace: &Namespace,
) -> Result<Result<String, String>, ImapFault> {
    if let Some(found) = find(wire, name, namespace).await? {
        return Ok(Ok(found));
    }
    let mut reason = String::new();
    for candidate in namespace.candidates(name) {
        match wire
            .command(
                PATIENCE,
                "CREATE",
                &format!("CREATE {}", quoted(&candidate).unwrap_or_default()),
            )
            .await
        {
            Ok(_) => return Ok(Ok(candidate)),
            // One that LIST does not show.
            Err(fault) if fault.is_refusal() && fault.to_string().contains("ALREADYEXISTS") => {
                return Ok(Ok(candidate));
            }
            Err(fault) if fault.is_refusal() => reason = fault.to_string(),
            Err(fault) => return Err(fault),
        }
    }
    Ok(Err(reason))
}

/// `* MYRIGHTS INBOX lrswipkxte` (RFC 4314); `None` where the server does not say.
pub(super) async fn my_rights(wire: &mut Wire, folder: &str) -> Result<Option<String>, ImapFault> {
    let answer = match wire
        .command(
            PATIENCE,
            "MYRIGHTS",
            &format!("MYRIGHTS {}", quoted(folder).unwrap_or_default()),
        )
        .await
    {
        Ok(answer) => answer,
        Err(fault) if fault.is_refusal() => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let told = answer
        .responses
        .iter()
        .find_map(|response| response.after("MYRIGHTS"));
    Ok(told.and_then(|text| {
        string(&text)
            .and_then(|(_, rest)| string(rest))
            .map(|(rights, _)| rights)
    }))
}

/// `* QUOTA "" (STORAGE 10 512)` (RFC 9208): whether a limit that applies to a folder is reached.
pub(super) async fn is_full(wire: &mut Wire, folder: &str) -> Result<bool, ImapFault> {
    let answer = match wire
        .command(
            PATIENCE,
            "GETQUOTAROOT",
            &format!("GETQUOTAROOT {}", quoted(folder).unwrap_or_default()),
        )
        .await
    {
        Ok(answer) => answer,
        Err(fault) if fault.is_refusal() => return Ok(false),
        Err(fault) => return Err(fault),
    };
    Ok(answer
        .responses
        .iter()
        .filter_map(|response| response.after("QUOTA"))
        .any(|text| is_reached(&text)))
}

fn is_reached(quota: &str) -> bool {
    let inside = quota
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .map_or("", |(inside, _)| inside);
    let words: Vec<&str> = inside.split_whitespace().collect();
    words.chunks(3).any(|resource| match resource {
        [_, used, limit] => matches!((used.parse::<u64>(), limit.parse::<u64>()), (Ok(used), Ok(limit)) if used >= limit),
        _ => false,
    })
}

/// Returns the text behind a response code: `[UIDVALIDITY 1]`.
pub(super) fn code<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.trim_start()
        .strip_prefix('[')?
        .strip_prefix(name)?
        .split_once(']')
        .map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_looked_for_where_the_server_keeps_them() {
        let courier =
            first_namespace("((\"INBOX.\" \".\")) NIL ((\"#shared.\" \".\")(\"shared.\" \".\"))");
        assert_eq!(courier.candidates("Done"), ["INBOX.Done", "Done"]);
        assert_eq!(courier.candidates("INBOX.Done"), ["INBOX.Done"]);
        assert_eq!(
            courier.candidates("Mail/Done"),
            ["INBOX.Mail.Done", "Mail.Done", "Mail/Done"]
        );
        assert_eq!(courier.candidates("inbox"), ["INBOX"]);
        let plain = first_namespace("((\"\" \"/\")) NIL NIL");
        assert_eq!(
            (
                plain.candidates("Mail/Done"),
                first_namespace("NIL NIL NIL")
            ),
            (vec!["Mail/Done".into()], Namespace::default())
        );
    }

    #[test]
    fn quotas_and_codes_are_read() {
        assert!(
            is_reached("\"\" (STORAGE 512 512)")
                && is_reached("\"user\" (MESSAGE 1 10 STORAGE 600 512)")
        );
        assert!(!is_reached("\"\" (STORAGE 10 512)") && !is_reached("\"\" ()") && !is_reached("x"));
        assert_eq!(code("[UIDVALIDITY 12] good", "UIDVALIDITY"), Some(" 12"));
    }
}
