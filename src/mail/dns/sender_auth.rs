//! Authentication of a sender: records of its domains in DNS, judged as mail servers judge it.

mod relays;

use std::net::IpAddr;
use std::net::SocketAddr;

use futures_util::future::join_all;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;

use self::relays::spf;
use crate::mail::dns::dmarc;
use crate::mail::dns::dmarc::DmarcPolicy;
use crate::mail::dns::dmarc::DmarcWalk;
use crate::mail::dns::dmarc::Rule;
use crate::mail::dns::dmarc_record::Reach;
use crate::mail::dns::resolver::Dns;
use crate::mail::dns::resolver::DnsAnswer;
use crate::mail::dns::resolver::Source;
use crate::mail::signing::dkim::KeyRecord;

pub use self::relays::is_of_this_network;

/// A finding, and the name server that said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told<T> {
    /// The finding.
    pub found: T,
    /// The name server that said so.
    pub source: Source,
}

/// Records of a sender in DNS, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderAuthReport {
    /// Senders for the return path's domain.
    pub spf: Told<Spf>,
    /// Each key, in the order of the settings.
    pub dkim: Vec<(KeyRecord, Told<DkimReport>)>,
    /// Policy for mail that is not from the domain of `From`.
    pub dmarc: Told<DmarcReport>,
    /// True if bounces have somewhere to go.
    pub bounces: Told<BounceRoute>,
}

/// SPF (RFC 7208).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spf {
    /// A record that names some. Of our relays: the hosts whose addresses it names, and the addresses that it does not.
    Some {
        /// Hosts of relays.
        named: Vec<String>,
        /// Addresses of relays.
        unnamed: Vec<Unnamed>,
    },
    /// One that names our relays (or may do so, where their addresses are not known here), and that receivers give up on for clients that
    /// no earlier term names (permerror), in words.
    FlawedForOthers {
        /// Hosts of relays.
        named: Vec<String>,
        /// Fault of the record.
        why: String,
    },
    /// One that names everybody (`+all`).
    Everybody,
    /// One that names nobody (`v=spf1 -all`).
    Nobody,
    /// No record; a text that may be meant as one, if there is such a text.
    Missing(Option<String>),
    /// One that servers give up on (permerror), in words.
    Broken(String),
    /// DNS does not say.
    Unknown(String),
}

/// An address of a relay that an SPF record does not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnamed {
    /// The relay's host, as the settings name it.
    pub host: String,
    /// One of its addresses.
    pub address: IpAddr,
}

/// A DKIM record against our key (RFC 6376 3.6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DkimReport {
    /// It is ours.
    Ours,
    /// It is ours, and says that it is only being tried out (`t=y`).
    Testing,
    /// No record.
    Missing,
    /// It takes the key back (an empty `p=`).
    Revoked,
    /// It is another key's.
    Others,
    /// It cannot be used, in words.
    Broken(String),
    /// DNS does not say.
    Unknown(String),
}

/// DMARC (RFC 9989, RFC 7489).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DmarcReport {
    /// A record.
    Found {
        /// The domain whose record it is: that of `From`, or the one that belongs to.
        domain: String,
        /// The rule by which receivers find it.
        rule: Rule,
        /// Policy for mail that fails: `none`, `quarantine`, `reject`.
        policy: &'static str,
        /// True if it is only being tried out (`t=y`, RFC 9989): receivers then ask for one step less.
        is_testing: bool,
        /// True if a key of ours stands for `From`.
        dkim_aligned: bool,
        /// True if the return path does.
        spf_aligned: bool,
    },
    /// No record.
    Missing,
    /// One that counts as none, in words.
    Broken(String),
    /// DNS does not say.
    Unknown(String),
}

/// Route of bounces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BounceRoute {
    /// The domain has mail servers.
    Somewhere,
    /// It has some, and others that no mail can reach, in words.
    Partly(String),
    /// It names mail servers, and no mail can reach any of them, in words.
    Unreachable(String),
    /// It has none, but an address, which counts as one (RFC 5321 5.1).
    Address,
    /// It says that it takes no mail (RFC 7505).
    Refused,
    /// It has neither.
    Nowhere,
    /// DNS does not say.
    Unknown(String),
}

/// Looks up how a sender stands: the domain of `From`, the return path, our keys, the hosts of our relays. `servers` are asked, or those
/// of this machine, in their order from the one at `first` on. Takes four seconds at most, whatever they do.
pub async fn check_sender_auth(
    from: &str,
    return_path: &str,
    keys: Vec<KeyRecord>,
    relays: &[String],
    servers: &[SocketAddr],
    first: usize,
) -> SenderAuthReport {
    // The public suffix list is compared byte by byte; names in DNS have no case (RFC 4343).
    let (from, return_path) = (from.to_ascii_lowercase(), return_path.to_ascii_lowercase());
    let (from, return_path) = (from.as_str(), return_path.as_str());
    let bounce_domain = return_path
        .rsplit_once('@')
        .map_or(return_path, |(_, domain)| domain);
    let dns = match Dns::open(servers, first) {
        Ok(dns) => dns,
        Err(why) => return unknown(&why, keys),
    };
    // All at once: one name server that is silent costs its patience once.
    let (for_spf, for_bounces, for_dmarc) = (dns.for_one(), dns.for_one(), dns.for_one());
    let (isolation, spf, bounces, dkim, dmarc) = tokio::join!(
        dns.isolation(from),
        spf(&for_spf, bounce_domain, return_path, relays),
        bounces(&for_bounces, bounce_domain),
        join_all(keys.iter().map(|key| dkim_told(dns.for_one(), key))),
        dmarc(&for_dmarc, from, bounce_domain, &keys),
    );
    if let Some(why) = isolation {
        return unknown(&why, keys);
    }
    SenderAuthReport {
        spf: told(&for_spf, spf),
        dkim: keys.into_iter().zip(dkim).collect(),
        dmarc: told(&for_dmarc, dmarc),
        bounces: told(&for_bounces, bounces),
    }
}

async fn dkim_told(dns: Dns, key: &KeyRecord) -> Told<DkimReport> {
    let found = dkim(&dns, key).await;
    told(&dns, found)
}

fn told<T>(dns: &Dns, found: T) -> Told<T> {
    Told {
        found,
        source: dns.source(),
    }
}

fn unknown(why: &str, keys: Vec<KeyRecord>) -> SenderAuthReport {
    fn answered<T>(found: T) -> Told<T> {
        Told {
            found,
            source: Source::default(),
        }
    }
    SenderAuthReport {
        spf: answered(Spf::Unknown(why.into())),
        dkim: keys
            .into_iter()
            .map(|key| (key, answered(DkimReport::Unknown(why.into()))))
            .collect(),
        dmarc: answered(DmarcReport::Unknown(why.into())),
        bounces: answered(BounceRoute::Unknown(why.into())),
    }
}

async fn dkim(dns: &Dns, key: &KeyRecord) -> DkimReport {
    let texts = match dns.texts(&key.name).await {
        DnsAnswer::Found(texts) => texts,
        DnsAnswer::Absent => return DkimReport::Missing,
        DnsAnswer::Unknown(why) => return DkimReport::Unknown(why),
    };
    let [text] = &texts[..] else {
        return DkimReport::Broken(format!(
            "there are {} records at {}, and only one may be",
            texts.len(),
            key.name
        ));
    };
    let same = |name| tag(text, name) == tag(&key.value, name);
    let is_first = |name: &str| {
        text.split(';')
            .next()
            .and_then(|tag| tag.split_once('='))
            .is_some_and(|(first, _)| first.trim() == name)
    };
    let serves_mail = |services: String| {
        services
            .split(':')
            .any(|service| service == "*" || service == "email")
    };
    match tag(text, "p") {
        // RFC 6376 3.6.1: a record with another version, or with the version in another place, is passed over.
        _ if tag(text, "v").is_some_and(|version| version != "DKIM1" || !is_first("v")) => {
            DkimReport::Broken("its v= is not DKIM1 in these letters at the beginning, so that receivers pass it over".into())
        }
        None => DkimReport::Broken("it names no key (p=)".into()),
        Some(public) if public.is_empty() => DkimReport::Revoked,
        Some(_) if !same("p") => DkimReport::Others,
        // RFC 6376 3.6.1: without k= it is RSA.
        Some(_) if tag(text, "k").unwrap_or_else(|| "rsa".into()) != tag(&key.value, "k").unwrap_or_default() => {
            DkimReport::Broken("it says another kind of key (k=)".into())
        }
        Some(_) if tag(text, "h").is_some_and(|hashes| !hashes.split(':').any(|hash| hash == "sha256")) => {
            DkimReport::Broken("it does not take SHA-256 (h=)".into())
        }
        Some(_) if tag(text, "s").is_some_and(|services| !serves_mail(services)) => DkimReport::Broken("it is not for mail (s=)".into()),
        Some(_) if DomainKey::parse(text.as_bytes()).is_err() => DkimReport::Broken("it cannot be read".into()),
        Some(_) if tag(text, "t").is_some_and(|flags| flags.split(':').any(|flag| flag == "y")) => DkimReport::Testing,
        Some(_) => DkimReport::Ours,
    }
}

/// A tag's value (RFC 6376 3.2), without white space.
fn tag(record: &str, name: &str) -> Option<String> {
    let tags = record.split(';').filter_map(|tag| tag.split_once('='));
    let mut values = tags
        .filter(|(known, _)| known.trim() == name)
        .map(|(_, value)| value);
    values
        .next()
        .map(|value| value.split_whitespace().collect())
}

async fn dmarc(dns: &Dns, from: &str, bounce_domain: &str, keys: &[KeyRecord]) -> DmarcReport {
    let walk = DmarcWalk::up(dns, from).await;
    let (domain, record, rule) = match walk.policy() {
        DmarcPolicy::Found {
            domain,
            record,
            rule,
        } => (domain, record, rule),
        DmarcPolicy::Missing => return DmarcReport::Missing,
        DmarcPolicy::Broken(why) => return DmarcReport::Broken(why),
        DmarcPolicy::Unknown(why) => return DmarcReport::Unknown(why),
    };
    let reach = match domain == from {
        true => Reach::Own,
        // RFC 9989 4.7, np: a name without addresses and mail servers.
        false if record.tag("np").is_some() && !is_there(dns, from).await => Reach::Nonexistent,
        false => Reach::Subdomain,
    };
    let Some(policy) = record.policy(reach) else {
        return DmarcReport::Broken(format!(
            "the one at _dmarc.{domain} asks for nothing that is known (p=) and names nobody to tell (rua=)"
        ));
    };
    let mut dkim_aligned = false;
    for key in keys {
        dkim_aligned |= is_aligned(
            dns,
            &walk,
            &key.domain.to_ascii_lowercase(),
            record.is_strict("adkim"),
        )
        .await;
    }
    let spf_aligned = is_aligned(dns, &walk, bounce_domain, record.is_strict("aspf")).await;
    DmarcReport::Found {
        domain,
        rule,
        policy,
        is_testing: record.is_testing(),
        dkim_aligned,
        spf_aligned,
    }
}

/// Returns whether another domain stands for that of `From`: the same organisation by the public suffix list or by the walk up the tree.
async fn is_aligned(dns: &Dns, from: &DmarcWalk, other: &str, is_strict: bool) -> bool {
    if other == from.domain() {
        return true;
    }
    if is_strict {
        return false;
    }
    dmarc::organization_by_list(other) == dmarc::organization_by_list(from.domain())
        || DmarcWalk::up(dns, other).await.organization() == from.organization()
}

async fn is_there(dns: &Dns, name: &str) -> bool {
    let (addresses, exchanges) = tokio::join!(dns.addresses(name), dns.exchanges(name));
    addresses != DnsAnswer::Absent || exchanges != DnsAnswer::Absent
}

async fn bounces(dns: &Dns, domain: &str) -> BounceRoute {
    match dns.exchanges(domain).await {
        DnsAnswer::Found(servers) if servers.iter().all(String::is_empty) => BounceRoute::Refused,
        DnsAnswer::Found(servers) => {
            let looked = join_all(servers.iter().map(|server| unreachable(dns, server))).await;
            let lost: Vec<String> = looked.iter().flatten().cloned().collect();
            match (lost.len(), lost.len() == servers.len()) {
                (0, _) => BounceRoute::Somewhere,
                (_, true) => BounceRoute::Unreachable(lost.join(", ")),
                _ => BounceRoute::Partly(lost.join(", ")),
            }
        }
        DnsAnswer::Unknown(why) => BounceRoute::Unknown(why),
        DnsAnswer::Absent => match dns.addresses(domain).await {
            DnsAnswer::Found(_) => BounceRoute::Address,
            DnsAnswer::Absent => BounceRoute::Nowhere,
            DnsAnswer::Unknown(why) => BounceRoute::Unknown(why),
        },
    }
}

/// Returns why no mail can reach a mail server of that name; `None` if it can, or DNS does not say.
async fn unreachable(dns: &Dns, server: &str) -> Option<String> {
    // RFC 5321 5.1: an MX record holds a name.
    if server.parse::<IpAddr>().is_ok() {
        return Some(format!("{server} is an address, where a name belongs"));
    }
    if server.is_empty() || server == "localhost" || server.ends_with(".localhost") {
        return Some(format!("{server:?} is no mail server"));
    }
    match dns.addresses(server).await {
        DnsAnswer::Absent => Some(format!("{server} has no address")),
        DnsAnswer::Found(addresses) if addresses.iter().all(IpAddr::is_loopback) => {
            Some(format!("{server} has only addresses of its own machine"))
        }
        DnsAnswer::Found(_) | DnsAnswer::Unknown(_) => None,
    }
}
