//! How a sender stands with the world: what DNS says of its domains, judged as mail servers judge it.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;

use mail_auth::Parameters;
use mail_auth::SpfResult;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::spf::verify::SpfParameters;

use super::dkim::KeyRecord;
use super::dmarc_record::DmarcRecord;
use super::dns::Answer;
use super::dns::Dns;
use super::spf;
use super::spf::Flaw;
use super::spf_record::Record;

/// So many addresses of a relay are looked at.
const ADDRESSES: usize = 8;

/// What DNS says of a sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Who may send for the return path's domain.
    pub spf: Spf,
    /// Each key, in the order of the settings.
    pub dkim: Vec<(KeyRecord, DkimStanding)>,
    /// What is to be done with mail that is not from the domain of `From`.
    pub dmarc: DmarcStanding,
    /// Whether bounces have somewhere to go.
    pub bounces: Bounces,
}

/// SPF (RFC 7208).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spf {
    /// A record that names some. Of our relays: the hosts whose addresses it names, and the addresses that it does not.
    Some { named: Vec<String>, unnamed: Vec<Unnamed> },
    /// One that names all our relays, and that receivers give up on for clients that no term names (permerror), in words.
    FlawedForOthers { named: Vec<String>, why: String },
    /// One that names everybody (`+all`).
    Everybody,
    /// One that names nobody (`v=spf1 -all`).
    Nobody,
    /// No record.
    Missing,
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
pub enum DkimStanding {
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

/// DMARC (RFC 7489).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DmarcStanding {
    /// A record.
    Found {
        /// The domain whose record it is: that of `From`, or the one that belongs to.
        domain: String,
        /// What is asked for mail that fails: `none`, `quarantine`, `reject`.
        policy: &'static str,
        /// True if it is only being tried out (`t=y`, RFC 9989): receivers then ask for one step less.
        is_testing: bool,
        /// Whether a key of ours stands for `From`.
        dkim_aligned: bool,
        /// Whether the return path does.
        spf_aligned: bool,
    },
    /// No record.
    Missing,
    /// One that counts as none, in words.
    Broken(String),
    /// DNS does not say.
    Unknown(String),
}

/// Where bounces go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bounces {
    /// The domain has mail servers.
    Somewhere,
    /// It has none, but an address, which counts as one (RFC 5321 5.1).
    Address,
    /// It says that it takes no mail (RFC 7505).
    Refused,
    /// It has neither.
    Nowhere,
    /// DNS does not say.
    Unknown(String),
}

/// Looks up how a sender stands: the domain of `From`, the return path, our keys, the hosts of our relays. `server` is asked,
/// or those of this machine. Takes some seconds at most, also where nobody answers.
pub async fn standing(from: &str, return_path: &str, keys: Vec<KeyRecord>, relays: &[String], server: Option<SocketAddr>) -> Standing {
    // The public suffix list is compared byte by byte; names in DNS have no case (RFC 4343).
    let (from, return_path) = (from.to_ascii_lowercase(), return_path.to_ascii_lowercase());
    let (from, return_path) = (from.as_str(), return_path.as_str());
    let bounce_domain = return_path.rsplit_once('@').map_or(return_path, |(_, domain)| domain);
    let unknown = |why: String, keys: Vec<KeyRecord>| Standing {
        spf: Spf::Unknown(why.clone()),
        dkim: keys.into_iter().map(|key| (key, DkimStanding::Unknown(why.clone()))).collect(),
        dmarc: DmarcStanding::Unknown(why.clone()),
        bounces: Bounces::Unknown(why),
    };
    let dns = match Dns::open(server) {
        Ok(dns) => dns,
        Err(why) => return unknown(why, keys),
    };
    if let Some(why) = dns.isolation(from).await {
        return unknown(why, keys);
    }
    let look_up = |key: KeyRecord| {
        let dns = dns.clone();
        tokio::spawn(async move {
            let standing = dkim(&dns, &key).await;
            (key, standing)
        })
    };
    // All at once: one name server that is silent costs its patience once.
    let looked_up: Vec<_> = keys.into_iter().map(look_up).collect();
    let (spf, bounces) = tokio::join!(spf(&dns, bounce_domain, return_path, relays), bounces(&dns, bounce_domain));
    let mut dkim = Vec::new();
    for key in looked_up {
        dkim.extend(key.await.ok());
    }
    let dmarc = dmarc(&dns, from, bounce_domain, &dkim).await;
    Standing { spf, dkim, dmarc, bounces }
}

async fn spf(dns: &Dns, domain: &str, return_path: &str, relays: &[String]) -> Spf {
    let record = match spf::record_of(dns, domain).await {
        Ok(record) => record,
        Err(flaw) => return spf_without_use(flaw, domain),
    };
    if record.to_ascii_lowercase().split_whitespace().eq(["v=spf1", "-all"]) {
        return Spf::Nobody;
    }
    // A term that cannot be read stops every receiver, wherever it stands in this record.
    if let Err(why) = Record::parse(&record) {
        return Spf::Broken(why);
    }
    let inspected = spf::inspect(dns, domain).await;
    let (named, unnamed) = sort_relays(dns, domain, return_path, relays).await;
    match inspected {
        // A receiver stops at the term that names the client: what stands behind it, only a stranger's mail meets.
        Err(Flaw::Broken(why)) if !named.is_empty() && unnamed.is_empty() => Spf::FlawedForOthers { named, why },
        Err(flaw) => spf_without_use(flaw, domain),
        // A stranger's address, to see whether everybody passes.
        Ok(()) => match spf_result(dns, IpAddr::V4(Ipv4Addr::new(240, 0, 0, 1)), domain, return_path).await {
            SpfResult::Pass => Spf::Everybody,
            SpfResult::PermError => Spf::Broken("a receiver's library gives up on it".into()),
            SpfResult::TempError => Spf::Unknown(format!("DNS did not answer to all that the SPF record of {domain} asks for")),
            SpfResult::None | SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral => Spf::Some { named, unnamed },
        },
    }
}

fn spf_without_use(flaw: Flaw, domain: &str) -> Spf {
    match flaw {
        Flaw::Missing => Spf::Missing,
        Flaw::Broken(why) => Spf::Broken(why),
        Flaw::Unknown(why) => Spf::Unknown(format!("the SPF record of {domain}: {why}")),
    }
}

async fn spf_result(dns: &Dns, address: IpAddr, domain: &str, return_path: &str) -> SpfResult {
    let question = SpfParameters::verify_mail_from(address, domain, domain, return_path);
    dns.authenticator().verify_spf(Parameters::new(question)).await.result()
}

/// Which relays the record names, and which of their addresses it does not. What DNS does not say, and what only this network
/// knows (the world sees another address then), is neither.
async fn sort_relays(dns: &Dns, domain: &str, return_path: &str, relays: &[String]) -> (Vec<String>, Vec<Unnamed>) {
    let (mut named, mut unnamed) = (Vec::new(), Vec::new());
    for host in relays {
        let addresses = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => match dns.addresses(host).await {
                Answer::Found(addresses) => addresses,
                Answer::Absent | Answer::Unknown(_) => continue,
            },
        };
        let (mut passes, known) = (false, unnamed.len());
        for address in addresses.into_iter().filter(|address| !is_of_this_network(*address)).take(ADDRESSES) {
            match spf_result(dns, address, domain, return_path).await {
                SpfResult::Pass => passes = true,
                SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral => unnamed.push(Unnamed { host: host.clone(), address }),
                SpfResult::None | SpfResult::TempError | SpfResult::PermError => {}
            }
        }
        if passes && unnamed.len() == known {
            named.push(host.clone());
        }
    }
    (named, unnamed)
}

/// Whether an address means this machine or one of its network.
pub fn is_of_this_network(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

async fn dkim(dns: &Dns, key: &KeyRecord) -> DkimStanding {
    let texts = match dns.texts(&key.name).await {
        Answer::Found(texts) => texts,
        Answer::Absent => return DkimStanding::Missing,
        Answer::Unknown(why) => return DkimStanding::Unknown(why),
    };
    let [text] = &texts[..] else {
        return DkimStanding::Broken(format!("there are {} records at {}, and only one may be", texts.len(), key.name));
    };
    let same = |name| tag(text, name) == tag(&key.value, name);
    match tag(text, "p") {
        None => DkimStanding::Broken("it names no key (p=)".into()),
        Some(public) if public.is_empty() => DkimStanding::Revoked,
        Some(_) if !same("p") => DkimStanding::Others,
        // RFC 6376 3.6.1: without k= it is RSA.
        Some(_) if tag(text, "k").unwrap_or_else(|| "rsa".into()) != tag(&key.value, "k").unwrap_or_default() => {
            DkimStanding::Broken("it says another kind of key (k=)".into())
        }
        Some(_) if tag(text, "h").is_some_and(|hashes| !hashes.split(':').any(|hash| hash == "sha256")) => {
            DkimStanding::Broken("it does not take SHA-256 (h=)".into())
        }
        Some(_) if DomainKey::parse(text.as_bytes()).is_err() => DkimStanding::Broken("it cannot be read".into()),
        Some(_) if tag(text, "t").is_some_and(|flags| flags.split(':').any(|flag| flag == "y")) => DkimStanding::Testing,
        Some(_) => DkimStanding::Ours,
    }
}

/// A tag's value (RFC 6376 3.2), without white space.
fn tag(record: &str, name: &str) -> Option<String> {
    let tags = record.split(';').filter_map(|tag| tag.split_once('='));
    let mut values = tags.filter(|(known, _)| known.trim() == name).map(|(_, value)| value);
    values.next().map(|value| value.split_whitespace().collect())
}

async fn dmarc(dns: &Dns, from: &str, bounce_domain: &str, keys: &[(KeyRecord, DkimStanding)]) -> DmarcStanding {
    let organization = organization(from);
    for domain in if organization == from { vec![from] } else { vec![from, organization] } {
        let texts = match dns.texts(&format!("_dmarc.{domain}")).await {
            Answer::Found(texts) => texts,
            Answer::Absent => continue,
            Answer::Unknown(why) => return DmarcStanding::Unknown(why),
        };
        let records: Vec<_> = texts.iter().filter_map(|text| DmarcRecord::parse(text)).collect();
        let record = match &records[..] {
            [] => continue,
            [record] => record,
            _ => return DmarcStanding::Broken(format!("there are {} of them at _dmarc.{domain}, so none counts", records.len())),
        };
        let Some(policy) = record.policy(domain != from) else {
            return DmarcStanding::Broken(format!(
                "the one at _dmarc.{domain} asks for nothing that is known (p=) and names nobody to tell (rua=)"
            ));
        };
        let aligned = |other: &str, strict: bool| other == from || !strict && self::organization(other) == organization;
        return DmarcStanding::Found {
            domain: domain.into(),
            policy,
            is_testing: record.is_testing(),
            dkim_aligned: keys.iter().any(|(key, _)| aligned(&key.domain.to_ascii_lowercase(), record.is_strict("adkim"))),
            spf_aligned: aligned(bounce_domain, record.is_strict("aspf")),
        };
    }
    DmarcStanding::Missing
}

/// The domain that somebody registered, by the public suffix list (RFC 7489 3.2).
fn organization(domain: &str) -> &str {
    psl::domain_str(domain).unwrap_or(domain)
}

async fn bounces(dns: &Dns, domain: &str) -> Bounces {
    match dns.exchanges(domain).await {
        Answer::Found(servers) if servers.iter().all(String::is_empty) => Bounces::Refused,
        Answer::Found(_) => Bounces::Somewhere,
        Answer::Unknown(why) => Bounces::Unknown(why),
        Answer::Absent => match dns.addresses(domain).await {
            Answer::Found(_) => Bounces::Address,
            Answer::Absent => Bounces::Nowhere,
            Answer::Unknown(why) => Bounces::Unknown(why),
        },
    }
}
