//! SPF as our relays meet it: the record of the return path's domain, judged for each of their addresses.

use std::net::IpAddr;
use std::net::Ipv4Addr;

use super::Spf;
use super::Unnamed;
use crate::mail::dns::resolver::Dns;
use crate::mail::dns::resolver::DnsAnswer;
use crate::mail::dns::spf;
use crate::mail::dns::spf::Flaw;
use crate::mail::dns::spf_record::Qualifier;
use crate::mail::dns::spf_record::Record;

/// Upper bound on the addresses of a relay that are judged.
const ADDRESSES: usize = 8;

/// Judgement of the record about our relays' addresses.
#[derive(Default)]
struct Relays {
    named: Vec<String>,
    unnamed: Vec<Unnamed>,
    broken: Option<String>,
    unknown: Option<String>,
}

pub(super) async fn spf(dns: &Dns, domain: &str, return_path: &str, relays: &[String]) -> Spf {
    let record = match spf::record_of(dns, domain).await {
        Ok(record) => record,
        Err(flaw) => return spf_without_use(flaw, domain),
    };
    if record
        .to_ascii_lowercase()
        .split_whitespace()
        .eq(["v=spf1", "-all"])
    {
        return Spf::Nobody;
    }
    // A term that cannot be read stops every receiver, wherever it stands in this record.
    if let Err(why) = Record::parse(&record) {
        return Spf::Broken(why);
    }
    // A receiver stops at the term that names the client: what stands behind it, only a stranger's mail meets.
    let Relays {
        named,
        unnamed,
        broken,
        unknown,
    } = sort_relays(dns, domain, return_path, relays).await;
    if let Some(why) = broken {
        return Spf::Broken(why);
    }
    let is_known = !named.is_empty() || !unnamed.is_empty();
    // A stranger's address, to see whether everybody passes.
    let stranger = spf::judge(
        dns,
        IpAddr::V4(Ipv4Addr::new(240, 0, 0, 1)),
        domain,
        return_path,
    )
    .await;
    match (stranger.result, unknown) {
        (Ok(Some(Qualifier::Pass)), _) => Spf::Everybody,
        (Err(Flaw::Broken(why)), _) if is_known || stranger.may_pass_others => {
            Spf::FlawedForOthers { named, why }
        }
        (Err(flaw @ (Flaw::Broken(_) | Flaw::Missing(_))), _) => spf_without_use(flaw, domain),
        (Err(Flaw::Unknown(why)), _) | (Ok(_), Some(why)) if !is_known => Spf::Unknown(format!(
            "not all that the SPF record of {domain} asks for was answered: {why}"
        )),
        _ => Spf::Some { named, unnamed },
    }
}

fn spf_without_use(flaw: Flaw, domain: &str) -> Spf {
    match flaw {
        Flaw::Missing(meant) => Spf::Missing(meant),
        Flaw::Broken(why) => Spf::Broken(why),
        Flaw::Unknown(why) => Spf::Unknown(format!("the SPF record of {domain}: {why}")),
    }
}

/// Sorts relays into those that the record names, those of which it misses an address, and those for which it is broken. What DNS does not
/// say, and what only this network knows (the world sees another address then), is none of it.
async fn sort_relays(dns: &Dns, domain: &str, return_path: &str, relays: &[String]) -> Relays {
    let mut found = Relays::default();
    for host in relays {
        let addresses = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => match dns.addresses(host).await {
                DnsAnswer::Found(addresses) => addresses,
                DnsAnswer::Absent => continue,
                DnsAnswer::Unknown(why) => {
                    found.unknown = Some(why);
                    continue;
                }
            },
        };
        let (mut passes, mut is_whole) = (false, true);
        for address in addresses
            .into_iter()
            .filter(|address| !is_of_this_network(*address))
            .take(ADDRESSES)
        {
            match spf::judge(dns, address, domain, return_path).await.result {
                Ok(Some(Qualifier::Pass)) => passes = true,
                Ok(_) => {
                    found.unnamed.push(Unnamed {
                        host: host.clone(),
                        address,
                    });
                    is_whole = false;
                }
                Err(Flaw::Broken(why)) => {
                    found.broken = Some(format!("for mail from {host} ({address}), {why}"))
                }
                Err(Flaw::Missing(_)) => is_whole = false,
                Err(Flaw::Unknown(why)) => {
                    found.unknown = Some(why);
                    is_whole = false;
                }
            }
        }
        if passes && is_whole {
            found.named.push(host.clone());
        }
    }
    found
}

/// Returns whether an address means this machine or one of its network.
pub fn is_of_this_network(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
