//! SPF records as receivers evaluate them (RFC 7208, section 4): for one client, up to the first term that matches, with the limits on
//! look-ups of section 4.6.4.
//!
//! Own code, though mail-auth can evaluate too: it asks its own resolver (two name servers at once, answers with TTL 0 again and again),
//! answers its own limit of 20 s with a permanent error, forgives syntax that receivers do not, and takes the first of several TXT records.

use std::net::IpAddr;
use std::pin::Pin;

use crate::mail::dns::resolver::Dns;
use crate::mail::dns::resolver::DnsAnswer;
use crate::mail::dns::spf_macro::Macros;
use crate::mail::dns::spf_record::Directive;
use crate::mail::dns::spf_record::Qualifier;
use crate::mail::dns::spf_record::Record;
use crate::mail::dns::spf_record::SpfMechanism;
use crate::mail::dns::spf_record::is_spf;

/// Terms that ask DNS, in one evaluation (RFC 7208 4.6.4).
const LOOKUPS_MAX: u32 = 10;
/// Look-ups that find nothing (RFC 7208 4.6.4).
const VOID_LOOKUPS_MAX: u32 = 2;
/// Names behind one `mx` term (RFC 7208 4.6.4).
const EXCHANGES_MAX: usize = 10;

/// Reasons for which a receiver cannot evaluate a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mail) enum Flaw {
    /// No record at the domain itself; what may have been meant as one, if there is such a thing.
    Missing(Option<String>),
    /// A permanent error, in words.
    Broken(String),
    /// DNS did not answer, in words.
    Unknown(String),
}

/// A receiver's judgement of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mail) struct Judged {
    /// The qualifier of the term that matched; `None` if none did.
    pub result: Result<Option<Qualifier>, Flaw>,
    /// True if a term on the way lets somebody pass: for another client the evaluation may have ended there.
    pub may_pass_others: bool,
}

/// The one SPF record of a domain, as it stands in DNS.
pub(in crate::mail) async fn record_of(dns: &Dns, domain: &str) -> Result<String, Flaw> {
    let texts = match dns.texts(domain).await {
        DnsAnswer::Found(texts) => texts,
        DnsAnswer::Absent => return Err(Flaw::Missing(None)),
        DnsAnswer::Unknown(why) => return Err(Flaw::Unknown(why)),
    };
    let (mut records, others): (Vec<_>, Vec<_>) = texts.into_iter().partition(|text| is_spf(text));
    match (records.pop(), records.len()) {
        (None, _) => {
            let meant = |text: &String| {
                text.get(..12.min(text.len()))
                    .is_some_and(|head| head.to_ascii_lowercase().contains("spf1"))
            };
            Err(Flaw::Missing(others.into_iter().find(meant)))
        }
        (Some(record), 0) => Ok(record),
        (Some(_), others) => Err(Flaw::Broken(format!(
            "{domain} has {} SPF records, and only one may be",
            others + 1
        ))),
    }
}

/// Evaluates a domain's record for a client.
pub(in crate::mail) async fn judge(
    dns: &Dns,
    client: IpAddr,
    domain: &str,
    sender: &str,
) -> Judged {
    let macros = Macros {
        client,
        sender: sender.into(),
        helo: domain.into(),
    };
    let mut walk = SpfWalk {
        dns,
        client,
        macros,
        lookups: 0,
        void_lookups: 0,
        may_pass_others: false,
    };
    let result = walk.record(domain.into(), true).await;
    Judged {
        result,
        may_pass_others: walk.may_pass_others,
    }
}

struct SpfWalk<'a> {
    dns: &'a Dns,
    client: IpAddr,
    macros: Macros,
    lookups: u32,
    void_lookups: u32,
    may_pass_others: bool,
}

impl SpfWalk<'_> {
    /// Boxed, since records include records; the depth is bounded by [`LOOKUPS_MAX`]. `counts` is true as long as a pass here is one for
    /// the whole record.
    fn record<'w>(
        &'w mut self,
        domain: String,
        counts: bool,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Qualifier>, Flaw>> + Send + 'w>> {
        Box::pin(async move {
            let text = record_of(self.dns, &domain).await?;
            let record = Record::parse(&text)
                .map_err(|why| Flaw::Broken(format!("the record of {domain}: {why}")))?;
            for Directive {
                qualifier,
                mechanism,
            } in &record.directives
            {
                let counts = counts && *qualifier == Qualifier::Pass;
                if self.matches(&domain, mechanism, counts).await? {
                    return Ok(Some(*qualifier));
                }
            }
            match &record.redirect {
                None => Ok(None),
                Some(other) => {
                    self.count()?;
                    let other = self.macros.expand(other, &domain);
                    self.record(other.clone(), counts)
                        .await
                        .map_err(|flaw| led_to(flaw, &other))
                }
            }
        })
    }

    async fn matches(
        &mut self,
        own: &str,
        mechanism: &SpfMechanism,
        counts: bool,
    ) -> Result<bool, Flaw> {
        match mechanism {
            SpfMechanism::All => Ok(true),
            SpfMechanism::Network(net) => {
                self.may_pass_others |= counts;
                Ok(net.contains(&self.client))
            }
            SpfMechanism::Include(domain) => {
                self.count()?;
                let (other, depends) = (self.macros.expand(domain, own), domain.contains('%'));
                match self.record(other.clone(), counts).await {
                    Ok(result) => Ok(result == Some(Qualifier::Pass)),
                    // For another client or reader the name is another.
                    Err(Flaw::Missing(_)) if depends => Ok(false),
                    Err(flaw) => Err(led_to(flaw, &other)),
                }
            }
            SpfMechanism::Address(domain, prefixes) => {
                let name = self.name(domain.as_deref(), own, counts)?;
                let found = self.addresses(&name).await?;
                self.may_pass_others |= counts && !found.is_empty();
                Ok(found
                    .iter()
                    .any(|address| prefixes.covers(*address, self.client)))
            }
            SpfMechanism::Exchange(domain, prefixes) => {
                let name = self.name(domain.as_deref(), own, counts)?;
                let found = self.exchanges(&name).await?;
                self.may_pass_others |= counts && !found.is_empty();
                Ok(found
                    .iter()
                    .any(|address| prefixes.covers(*address, self.client)))
            }
            SpfMechanism::Exists(domain) => {
                let name = self.name(Some(domain), own, counts)?;
                // An A record is asked for, whatever the client's address is (RFC 7208 5.7).
                let is_there = match self.dns.addresses_of_kind(&name, true).await {
                    DnsAnswer::Found(_) => true,
                    DnsAnswer::Absent => self.found_nothing().map(|()| false)?,
                    DnsAnswer::Unknown(why) => return Err(Flaw::Unknown(why)),
                };
                self.may_pass_others |= counts && is_there;
                Ok(is_there)
            }
            SpfMechanism::Pointer => {
                self.count()?;
                self.may_pass_others |= counts;
                Ok(false)
            }
        }
    }

    /// Counts a term, and returns the name that it asks for.
    fn name(&mut self, domain: Option<&str>, own: &str, counts: bool) -> Result<String, Flaw> {
        self.count()?;
        let Some(domain) = domain else {
            return Ok(own.into());
        };
        // What a macro stands for depends on the client: it may be there for another.
        self.may_pass_others |= counts && domain.contains('%');
        Ok(self.macros.expand(domain, own))
    }

    fn count(&mut self) -> Result<(), Flaw> {
        self.lookups += 1;
        if self.lookups > LOOKUPS_MAX {
            return Err(Flaw::Broken(
                "it takes more than ten look-ups (RFC 7208 4.6.4)".into(),
            ));
        }
        Ok(())
    }

    /// The addresses of a name, of the client's kind.
    async fn addresses(&mut self, name: &str) -> Result<Vec<IpAddr>, Flaw> {
        match self
            .dns
            .addresses_of_kind(name, self.client.is_ipv4())
            .await
        {
            DnsAnswer::Found(found) => Ok(found),
            DnsAnswer::Absent => self.found_nothing().map(|()| Vec::new()),
            DnsAnswer::Unknown(why) => Err(Flaw::Unknown(why)),
        }
    }

    async fn exchanges(&mut self, domain: &str) -> Result<Vec<IpAddr>, Flaw> {
        let names = match self.dns.exchanges(domain).await {
            DnsAnswer::Found(names) if names.len() > EXCHANGES_MAX => {
                return Err(Flaw::Broken(format!(
                    "mx:{domain} leads to more than ten names (RFC 7208 4.6.4)"
                )));
            }
            DnsAnswer::Found(names) => names,
            DnsAnswer::Absent => return self.found_nothing().map(|()| Vec::new()),
            DnsAnswer::Unknown(why) => return Err(Flaw::Unknown(why)),
        };
        let mut found = Vec::new();
        for name in names.iter().filter(|name| !name.is_empty()) {
            match self
                .dns
                .addresses_of_kind(name, self.client.is_ipv4())
                .await
            {
                DnsAnswer::Found(addresses) => found.extend(addresses),
                DnsAnswer::Absent => {}
                DnsAnswer::Unknown(why) => return Err(Flaw::Unknown(why)),
            }
        }
        Ok(found)
    }

    fn found_nothing(&mut self) -> Result<(), Flaw> {
        self.void_lookups += 1;
        if self.void_lookups > VOID_LOOKUPS_MAX {
            return Err(Flaw::Broken(
                "more than two of its look-ups find nothing (RFC 7208 4.6.4)".into(),
            ));
        }
        Ok(())
    }
}

/// RFC 7208 5.2 and 6.1: another record that is missing is a permanent error.
fn led_to(flaw: Flaw, domain: &str) -> Flaw {
    match flaw {
        Flaw::Missing(_) => Flaw::Broken(format!("it leads to {domain}, which has no SPF record")),
        other => other,
    }
}
