//! DNS, asked for what it says of us. An answer that nobody gave is no answer: only what is certain may hold a mail back.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;

use mail_auth::MessageAuthenticator;
use mail_auth::hickory_resolver::config::NameServerConfig;
use mail_auth::hickory_resolver::config::ResolveHosts;
use mail_auth::hickory_resolver::config::ResolverConfig;
use mail_auth::hickory_resolver::config::ResolverOpts;
use mail_auth::hickory_resolver::net::DnsError;
use mail_auth::hickory_resolver::net::NetError;
use mail_auth::hickory_resolver::proto::rr::RData;
use mail_auth::hickory_resolver::proto::rr::RecordType;
use mail_auth::hickory_resolver::system_conf::read_system_conf;
use tokio::time::timeout;

/// How long a server may take for an answer, which is asked for twice.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// How long all servers together may take for one.
const LONGEST: Duration = Duration::from_secs(4);

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer<T> {
    Found(T),
    /// DNS says that there is none.
    Absent,
    /// Nobody knows; the words say why.
    Unknown(String),
}

/// The name servers of this machine, or one that was named.
#[derive(Clone)]
pub(super) struct Dns(MessageAuthenticator);

impl Dns {
    /// Remembers answers as long as it lives, so one that has just been mended is seen by a new one only.
    pub(super) fn open(server: Option<SocketAddr>) -> Result<Self, String> {
        let cannot = |error: NetError| format!("the name servers of this machine are not known: {error}");
        let (config, mut options) = match server {
            Some(server) => (only(server), ResolverOpts::default()),
            None => read_system_conf().map_err(cannot)?,
        };
        options.timeout = PATIENCE;
        options.attempts = 1;
        // What this machine calls itself, nobody else does.
        options.use_hosts_file = ResolveHosts::Never;
        MessageAuthenticator::new(config, options).map(Self).map_err(cannot)
    }

    /// For mail-auth, which asks by itself.
    pub(super) fn authenticator(&self) -> &MessageAuthenticator {
        &self.0
    }

    /// The TXT records of a name, each in one piece (RFC 7208 3.3); never none.
    pub(super) async fn texts(&self, name: &str) -> Answer<Vec<String>> {
        self.ask(name, RecordType::TXT, |data| match data {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        })
        .await
    }

    /// The mail servers of a domain, as names; the root, written as nothing, says that there are to be none (RFC 7505).
    pub(super) async fn exchanges(&self, domain: &str) -> Answer<Vec<String>> {
        self.ask(domain, RecordType::MX, |data| match data {
            RData::MX(mx) => Some(mx.exchange.to_utf8().trim_end_matches('.').to_owned()),
            _ => None,
        })
        .await
    }

    /// The addresses of a name, of both kinds; never none.
    pub(super) async fn addresses(&self, name: &str) -> Answer<Vec<IpAddr>> {
        let read = |data: &RData| match data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        };
        match tokio::join!(self.ask(name, RecordType::A, read), self.ask(name, RecordType::AAAA, read)) {
            (Answer::Found(v4), Answer::Found(v6)) => Answer::Found([v4, v6].concat()),
            (Answer::Found(found), _) | (_, Answer::Found(found)) => Answer::Found(found),
            (Answer::Unknown(why), _) | (_, Answer::Unknown(why)) => Answer::Unknown(why),
            _ => Answer::Absent,
        }
    }

    /// Why this DNS cannot be believed when it says "there is none": one that is cut off from the world says so of anything, even
    /// of the top-level domain that a name is under.
    pub(super) async fn isolation(&self, domain: &str) -> Option<String> {
        let top = domain.rsplit('.').next().unwrap_or(domain);
        match self.ask(top, RecordType::NS, |data| matches!(data, RData::NS(_)).then_some(())).await {
            Answer::Found(_) => None,
            Answer::Absent => Some(format!("the name servers at hand do not even know of .{top}")),
            Answer::Unknown(why) => Some(why),
        }
    }

    async fn ask<T>(&self, name: &str, kind: RecordType, read: impl Fn(&RData) -> Option<T>) -> Answer<Vec<T>> {
        // With the dot at its end no name of this machine's own is tried in its place.
        match timeout(LONGEST, self.0.resolver().lookup(format!("{name}."), kind)).await {
            Ok(Ok(lookup)) => {
                let found: Vec<T> = lookup.answers().iter().filter_map(|record| read(&record.data)).collect();
                if found.is_empty() { Answer::Absent } else { Answer::Found(found) }
            }
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(_)))) => Answer::Absent,
            Ok(Err(error)) => Answer::Unknown(format!("DNS was asked for {name} ({kind}): {error}")),
            Err(_) => Answer::Unknown(format!("DNS was asked for {name} ({kind}): no answer within {LONGEST:?}")),
        }
    }
}

fn only(server: SocketAddr) -> ResolverConfig {
    let mut named = NameServerConfig::udp_and_tcp(server.ip());
    for connection in &mut named.connections {
        connection.port = server.port();
    }
    ResolverConfig::from_name_servers(vec![named])
}
