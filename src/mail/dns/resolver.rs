//! DNS, asked for what it says of us. An answer that nobody gave is no answer: only what is certain may hold a mail back.
//!
//! Name servers are asked one after the other in their order, never two at once: where two have different views, the faster one would
//! decide, another each time. Each answer is kept as long as a look lasts, whatever its TTL, so that a look is of one state.

use std::collections::HashMap;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use mail_auth::MessageAuthenticator;
use mail_auth::hickory_resolver::config::NameServerConfig;
use mail_auth::hickory_resolver::config::ResolveHosts;
use mail_auth::hickory_resolver::config::ResolverConfig;
use mail_auth::hickory_resolver::config::ResolverOpts;
use mail_auth::hickory_resolver::net::DnsError;
use mail_auth::hickory_resolver::net::NetError;
use mail_auth::hickory_resolver::proto::rr::Name;
use mail_auth::hickory_resolver::proto::rr::RData;
use mail_auth::hickory_resolver::proto::rr::RecordType;
use mail_auth::hickory_resolver::system_conf::read_system_conf;
use tokio::time::Instant;
use tokio::time::timeout_at;

/// Time that a server may take for an answer.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// Time that a look may take, with all its questions: two of them, and what else `doctor` does, fit into ten seconds.
pub const STANDING_MAX: Duration = Duration::from_secs(4);

/// Result of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mail) enum DnsAnswer<T> {
    Found(T),
    /// DNS says that there is none.
    Absent,
    /// Nobody knows; the words say why.
    Unknown(String),
}

/// Name server that said so, and for how long it may go on saying so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// The name server that answered last.
    pub server: Option<SocketAddr>,
    /// Time that a "there is none" may be remembered on the way (RFC 2308).
    pub remembered: Option<Duration>,
}

/// The name servers of this machine, or those that were named, for one look.
#[derive(Clone)]
pub(in crate::mail) struct Dns {
    shared: Arc<DnsShared>,
    source: Arc<Mutex<Source>>,
}

struct DnsShared {
    servers: Vec<NameServer>,
    /// Servers that did not answer in time, which are asked last from then on.
    silent: Mutex<Vec<SocketAddr>>,
    known: Mutex<HashMap<(String, RecordType), SourcedAnswer>>,
    ends_at: Instant,
}

struct NameServer {
    address: SocketAddr,
    resolver: MessageAuthenticator,
}

/// An answer, and who gave it.
#[derive(Clone)]
struct SourcedAnswer {
    answer: DnsAnswer<Vec<RData>>,
    source: Source,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Dns {
    /// Begins a look. The servers are asked in their order from the one at `first` on, so that a second look hears another one first.
    pub(in crate::mail) fn open(servers: &[SocketAddr], first: usize) -> Result<Self, String> {
        let cannot =
            |error: NetError| format!("the name servers of this machine are not known: {error}");
        let (mut configs, mut options) = match servers {
            [] => {
                let (config, options) = read_system_conf().map_err(cannot)?;
                (config.name_servers().to_vec(), options)
            }
            named => (
                named.iter().copied().map(config).collect(),
                ResolverOpts::default(),
            ),
        };
        options.timeout = PATIENCE;
        options.attempts = 1;
        // What this machine calls itself, nobody else does.
        options.use_hosts_file = ResolveHosts::Never;
        if configs.is_empty() {
            return Err("this machine has no name servers".into());
        }
        let length = configs.len();
        configs.rotate_left(first % length);
        let open = |config: NameServerConfig| {
            let port = config
                .connections
                .first()
                .map_or(53, |connection| connection.port);
            let address = SocketAddr::new(config.ip, port);
            let resolver = MessageAuthenticator::new(
                ResolverConfig::from_name_servers(vec![config]),
                options.clone(),
            )
            .map_err(cannot)?;
            Ok(NameServer { address, resolver })
        };
        let servers = configs
            .into_iter()
            .map(open)
            .collect::<Result<_, String>>()?;
        let shared = DnsShared {
            servers,
            silent: Mutex::default(),
            known: Mutex::default(),
            ends_at: Instant::now() + STANDING_MAX,
        };
        Ok(Self {
            shared: Arc::new(shared),
            source: Arc::default(),
        })
    }

    /// The same look, for one thing that is looked at: who said so is kept apart.
    pub(in crate::mail) fn for_one(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            source: Arc::default(),
        }
    }

    /// Returns which name server answered.
    pub(in crate::mail) fn source(&self) -> Source {
        lock(&self.source).clone()
    }

    /// The TXT records of a name, each in one piece (RFC 7208 3.3); never none.
    pub(in crate::mail) async fn texts(&self, name: &str) -> DnsAnswer<Vec<String>> {
        self.ask(name, RecordType::TXT, |data| match data {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        })
        .await
    }

    /// The mail servers of a domain, as names; the root, written as nothing, says that there are to be none (RFC 7505).
    pub(in crate::mail) async fn exchanges(&self, domain: &str) -> DnsAnswer<Vec<String>> {
        self.ask(domain, RecordType::MX, |data| match data {
            RData::MX(mx) => Some(mx.exchange.to_utf8().trim_end_matches('.').to_owned()),
            _ => None,
        })
        .await
    }

    /// The addresses of a name of one kind; never none.
    pub(in crate::mail) async fn addresses_of_kind(
        &self,
        name: &str,
        is_v4: bool,
    ) -> DnsAnswer<Vec<IpAddr>> {
        let read = |data: &RData| match data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        };
        self.ask(
            name,
            if is_v4 {
                RecordType::A
            } else {
                RecordType::AAAA
            },
            read,
        )
        .await
    }

    /// The addresses of a name, of both kinds; never none.
    pub(in crate::mail) async fn addresses(&self, name: &str) -> DnsAnswer<Vec<IpAddr>> {
        match tokio::join!(
            self.addresses_of_kind(name, true),
            self.addresses_of_kind(name, false)
        ) {
            (DnsAnswer::Found(v4), DnsAnswer::Found(v6)) => DnsAnswer::Found([v4, v6].concat()),
            (DnsAnswer::Found(found), _) | (_, DnsAnswer::Found(found)) => DnsAnswer::Found(found),
            (DnsAnswer::Unknown(why), _) | (_, DnsAnswer::Unknown(why)) => DnsAnswer::Unknown(why),
            _ => DnsAnswer::Absent,
        }
    }

    /// Returns why this DNS cannot be believed when it says "there is none": one that is cut off from the world says so of anything, even
    /// of the top-level domain that a name is under.
    pub(in crate::mail) async fn isolation(&self, domain: &str) -> Option<String> {
        let top = domain.rsplit('.').next().unwrap_or(domain);
        match self
            .ask(top, RecordType::NS, |data| {
                matches!(data, RData::NS(_)).then_some(())
            })
            .await
        {
            DnsAnswer::Found(_) => None,
            DnsAnswer::Absent => Some(format!(
                "the name servers at hand do not even know of .{top}"
            )),
            DnsAnswer::Unknown(why) => Some(why),
        }
    }

    async fn ask<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> DnsAnswer<Vec<T>> {
        let key = (name.trim_end_matches('.').to_ascii_lowercase(), kind);
        let known = lock(&self.shared.known).get(&key).cloned();
        let known = match known {
            Some(known) => known,
            None => {
                let known = self.shared.ask(&key.0, kind).await;
                lock(&self.shared.known).entry(key).or_insert(known).clone()
            }
        };
        {
            let mut source = lock(&self.source);
            source.server = known.source.server.or(source.server);
            source.remembered = source.remembered.max(known.source.remembered);
        }
        match known.answer {
            DnsAnswer::Found(data) => {
                let found: Vec<T> = data.iter().filter_map(read).collect();
                if found.is_empty() {
                    DnsAnswer::Absent
                } else {
                    DnsAnswer::Found(found)
                }
            }
            DnsAnswer::Absent => DnsAnswer::Absent,
            DnsAnswer::Unknown(why) => DnsAnswer::Unknown(why),
        }
    }
}

impl DnsShared {
    /// Asks the servers in order until one answers.
    async fn ask(&self, name: &str, kind: RecordType) -> SourcedAnswer {
        let nobody = |why: String| SourcedAnswer {
            answer: DnsAnswer::Unknown(why),
            source: Source::default(),
        };
        // Not as hostnames are read: a selector may have "_" anywhere (RFC 2181 11). With the dot at its end no name of this machine's
        // own is tried in its place.
        let Ok(asked) = Name::from_str_relaxed(format!("{name}.")) else {
            return nobody(format!("{name} is no name that DNS can be asked for"));
        };
        let silent = lock(&self.silent).clone();
        let (last, first): (Vec<_>, Vec<_>) = self
            .servers
            .iter()
            .partition(|server| silent.contains(&server.address));
        let mut why = String::new();
        for server in first.into_iter().chain(last) {
            let address = server.address;
            if Instant::now() >= self.ends_at {
                break;
            }
            let ends_at = self.ends_at.min(Instant::now() + PATIENCE);
            let said = match timeout_at(
                ends_at,
                server.resolver.resolver().lookup(asked.clone(), kind),
            )
            .await
            {
                Ok(Ok(lookup)) => {
                    let data: Vec<RData> = lookup
                        .answers()
                        .iter()
                        .map(|record| record.data.clone())
                        .collect();
                    return SourcedAnswer {
                        answer: DnsAnswer::Found(data),
                        source: Source {
                            server: Some(address),
                            remembered: None,
                        },
                    };
                }
                Ok(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) => {
                    let remembered = none
                        .negative_ttl
                        .map(|seconds| Duration::from_secs(u64::from(seconds)));
                    return SourcedAnswer {
                        answer: DnsAnswer::Absent,
                        source: Source {
                            server: Some(address),
                            remembered,
                        },
                    };
                }
                Ok(Err(NetError::Timeout)) | Err(_) => {
                    lock(&self.silent).push(address);
                    "no answer in time".into()
                }
                Ok(Err(error)) => error.to_string(),
            };
            why = format!("{address} was asked for {name} ({kind}): {said}");
        }
        nobody(if why.is_empty() {
            format!(
                "DNS was asked for {name} ({kind}): no answer within {STANDING_MAX:?} for all questions"
            )
        } else {
            why
        })
    }
}

fn config(server: SocketAddr) -> NameServerConfig {
    let mut named = NameServerConfig::udp_and_tcp(server.ip());
    for connection in &mut named.connections {
        connection.port = server.port();
    }
    named
}
