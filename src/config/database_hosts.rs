//! Addresses of PostgreSQL with several hosts, as libpq has them (PostgreSQL, "Connection URIs"): `postgres://user@host1:5432,host2/name` or
//! `postgres:///name?host=host1,host2&port=5432`, with `target_session_attrs`. Neither the `url` crate nor sqlx 0.9 reads them.

use url::form_urlencoded;

use super::SecretUrl;

/// The hosts of one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseHosts {
    /// An address for each, in their order, without `target_session_attrs`.
    pub urls: Vec<SecretUrl>,
    /// True if whatever answers is used, a standby too (`target_session_attrs=any`).
    pub takes_any: bool,
}

impl DatabaseHosts {
    /// Reads the address of one host or of several.
    ///
    /// # Errors
    /// The rest of a sentence that begins with the setting's name.
    pub fn parse(address: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = address.split_once("://") else {
            return Ok(Self {
                urls: vec![address.into()],
                takes_any: true,
            });
        };
        let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
        // A password may have an @ in it.
        let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let value = |name: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        let takes_any = takes_any(value("target_session_attrs").as_deref())?;
        let listed = value("host").filter(|hosts| hosts.contains(','));
        let is_left_out = |key: &str| {
            key == "target_session_attrs" || listed.is_some() && matches!(key, "host" | "port")
        };
        let is_kept = |pair: &&str| {
            !pair.is_empty() && !is_left_out(pair.split('=').next().unwrap_or_default())
        };
        let query: Vec<&str> = query.split('&').filter(is_kept).collect();
        let whole = |hosts: &str, more: Option<String>| {
            let query = query
                .iter()
                .copied()
                .chain(more.as_deref())
                .collect::<Vec<_>>()
                .join("&");
            let mark = if query.is_empty() { "" } else { "?" };
            SecretUrl::from(format!("{scheme}://{user}{hosts}{path}{mark}{query}"))
        };
        let urls = match &listed {
            None => each(hosts)?
                .into_iter()
                .map(|host| whole(host, None))
                .collect(),
            Some(listed) => {
                let (names, ports) = (each(listed)?, value("port"));
                let ports: Vec<&str> = ports
                    .as_deref()
                    .map(|ports| ports.split(',').collect())
                    .unwrap_or_default();
                let port = |at: usize| match ports.len() {
                    0 => Ok(None),
                    1 => Ok(Some(ports[0])),
                    many if many == names.len() => Ok(Some(ports[at])),
                    many => Err(format!(
                        "{many} ports for {} hosts; expected one port, or one for each",
                        names.len()
                    )),
                };
                let pair = |(at, name): (usize, &&str)| {
                    let mut pairs = form_urlencoded::Serializer::new(String::new());
                    pairs.append_pair("host", name);
                    if let Some(port) = port(at)?.filter(|port| !port.is_empty()) {
                        pairs.append_pair("port", port);
                    }
                    Ok::<_, String>(whole(hosts, Some(pairs.finish())))
                };
                names
                    .iter()
                    .enumerate()
                    .map(pair)
                    .collect::<Result<_, _>>()?
            }
        };
        Ok(Self { urls, takes_any })
    }
}

/// The hosts of a list; none of several may be empty.
fn each(list: &str) -> Result<Vec<&str>, String> {
    let hosts: Vec<&str> = list.split(',').collect();
    if hosts.len() > 1
        && hosts
            .iter()
            .any(|host| host.is_empty() || host.starts_with(':'))
    {
        return Err("a host of the list is empty; expected postgres://user:password@host1:5432,host2:5432/name".into());
    }
    Ok(hosts)
}

fn takes_any(wanted: Option<&str>) -> Result<bool, String> {
    match wanted {
        None | Some("read-write" | "primary") => Ok(false),
        Some("any") => Ok(true),
        Some(other @ ("read-only" | "standby" | "prefer-standby")) => Err(format!(
            "target_session_attrs={other} leads to a server that takes no writes; expected read-write, primary or any"
        )),
        Some(other) => Err(format!(
            "target_session_attrs={other} is not known; expected read-write, primary or any"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(address: &str) -> Vec<String> {
        let hosts = DatabaseHosts::parse(address).expect(address);
        hosts
            .urls
            .iter()
            .map(|url| url.expose().to_owned())
            .collect()
    }

    #[test]
    fn each_host_of_a_list_gets_an_address_of_its_own() {
        for (address, expected) in [
            (
                "postgres://db.example/list",
                &["postgres://db.example/list"][..],
            ),
            ("sqlite:data/list.db", &["sqlite:data/list.db"]),
            (
                "postgres://me:a@b,c@one.example:6432,two.example,[2001:db8::1]:5433/list?sslmode=verify-full&target_session_attrs=read-write",
                &[
                    "postgres://me:a@b,c@one.example:6432/list?sslmode=verify-full",
                    "postgres://me:a@b,c@two.example/list?sslmode=verify-full",
                    "postgres://me:a@b,c@[2001:db8::1]:5433/list?sslmode=verify-full",
                ],
            ),
            (
                "postgresql://me@/list?host=one.example,two.example&port=5432,6432",
                &[
                    "postgresql://me@/list?host=one.example&port=5432",
                    "postgresql://me@/list?host=two.example&port=6432",
                ],
            ),
            (
                "postgres:///list?target_session_attrs=primary&host=%2Frun%2Fone%2Ctwo.example&port=6432&user=me",
                &[
                    "postgres:///list?user=me&host=%2Frun%2Fone&port=6432",
                    "postgres:///list?user=me&host=two.example&port=6432",
                ],
            ),
            (
                "postgres://one.example?target_session_attrs=any",
                &["postgres://one.example"],
            ),
        ] {
            assert_eq!(urls(address), expected, "{address}");
        }
    }

    #[test]
    fn a_list_that_leads_nowhere_or_to_a_standby_is_refused_with_a_sentence() {
        for (address, word) in [
            ("postgres://one.example,,two.example/list", "empty"),
            ("postgres://one.example,:5433/list", "empty"),
            (
                "postgres:///list?host=a,b,c&port=1,2",
                "2 ports for 3 hosts",
            ),
            (
                "postgres://a,b/list?target_session_attrs=standby",
                "takes no writes",
            ),
            (
                "postgres://a,b/list?target_session_attrs=writable",
                "not known",
            ),
        ] {
            let refused = DatabaseHosts::parse(address).expect_err(address);
            assert!(refused.contains(word), "{address}: {refused}");
        }
        assert!(
            DatabaseHosts::parse("postgres://a,b/list?target_session_attrs=any")
                .expect("hosts")
                .takes_any
        );
        assert!(
            !DatabaseHosts::parse("postgres://a,b/list")
                .expect("hosts")
                .takes_any
        );
    }
}
