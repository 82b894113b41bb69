//! SPF records as receivers meet them (RFC 7208): syntax of every record on the way, and the limits on look-ups.
//!
//! The library evaluates a record for one address and stops at the first match. A receiver that is asked about another address goes on,
//! so the whole tree is walked here, with the limits of section 4.6.4.

use std::pin::Pin;

use super::dns::Answer;
use super::dns::Dns;
use super::spf_record::Lookup;
use super::spf_record::Record;
use super::spf_record::is_spf;

/// Terms that ask DNS, in one evaluation (RFC 7208 4.6.4).
const LOOKUPS_MAX: u32 = 10;
/// Look-ups that find nothing (RFC 7208 4.6.4).
const VOID_LOOKUPS_MAX: u32 = 2;
/// Names behind one `mx` term (RFC 7208 4.6.4).
const EXCHANGES_MAX: usize = 10;

/// Reasons for which a receiver cannot evaluate a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Flaw {
    /// No record at the domain itself.
    Missing,
    /// A permanent error, in words.
    Broken(String),
    /// DNS did not answer, in words.
    Unknown(String),
}

/// The one SPF record of a domain, as it stands in DNS.
pub(super) async fn record_of(dns: &Dns, domain: &str) -> Result<String, Flaw> {
    let texts = match dns.texts(domain).await {
        Answer::Found(texts) => texts,
        Answer::Absent => return Err(Flaw::Missing),
        Answer::Unknown(why) => return Err(Flaw::Unknown(why)),
    };
    let mut records: Vec<_> = texts.into_iter().filter(|text| is_spf(text)).collect();
    match (records.pop(), records.len()) {
        (None, _) => Err(Flaw::Missing),
        (Some(record), 0) => Ok(record),
        (Some(_), others) => Err(Flaw::Broken(format!("{domain} has {} SPF records, and only one may be", others + 1))),
    }
}

/// Walks a domain's record with all that it includes.
///
/// # Errors
/// The first flaw that a receiver meets whose client no term names.
pub(super) async fn inspect(dns: &Dns, domain: &str) -> Result<(), Flaw> {
    Walk { dns, lookups: 0, void_lookups: 0 }.record(domain).await
}

struct Walk<'a> {
    dns: &'a Dns,
    lookups: u32,
    void_lookups: u32,
}

impl Walk<'_> {
    /// Boxed, since records include records; the depth is bounded by [`LOOKUPS_MAX`].
    fn record<'w>(&'w mut self, domain: &'w str) -> Pin<Box<dyn Future<Output = Result<(), Flaw>> + Send + 'w>> {
        Box::pin(async move {
            let text = record_of(self.dns, domain).await?;
            let record = Record::parse(&text).map_err(|why| Flaw::Broken(format!("the record of {domain}: {why}")))?;
            for lookup in &record.lookups {
                self.follow(domain, lookup).await?;
            }
            Ok(())
        })
    }

    async fn follow(&mut self, own: &str, lookup: &Lookup) -> Result<(), Flaw> {
        self.lookups += 1;
        if self.lookups > LOOKUPS_MAX {
            return Err(Flaw::Broken("it takes more than ten look-ups (RFC 7208 4.6.4)".into()));
        }
        match lookup {
            // What a macro stands for depends on the mail: counted, and not followed.
            Lookup::Include(domain) | Lookup::Redirect(domain) | Lookup::Exists(domain) if domain.contains('%') => Ok(()),
            Lookup::Address(Some(domain)) | Lookup::Exchange(Some(domain)) if domain.contains('%') => Ok(()),
            Lookup::Pointer => Ok(()),
            Lookup::Include(domain) | Lookup::Redirect(domain) => self.record(domain).await.map_err(|flaw| match flaw {
                Flaw::Missing => Flaw::Broken(format!("it leads to {domain}, which has no SPF record")),
                other => other,
            }),
            Lookup::Address(domain) => self.address(domain.as_deref().unwrap_or(own)).await,
            Lookup::Exists(domain) => self.address(domain).await,
            Lookup::Exchange(domain) => self.exchange(domain.as_deref().unwrap_or(own)).await,
        }
    }

    async fn address(&mut self, domain: &str) -> Result<(), Flaw> {
        match self.dns.addresses(domain).await {
            Answer::Found(_) => Ok(()),
            Answer::Absent => self.found_nothing(),
            Answer::Unknown(why) => Err(Flaw::Unknown(why)),
        }
    }

    async fn exchange(&mut self, domain: &str) -> Result<(), Flaw> {
        match self.dns.exchanges(domain).await {
            Answer::Found(names) if names.len() > EXCHANGES_MAX => {
                Err(Flaw::Broken(format!("mx:{domain} leads to more than ten names (RFC 7208 4.6.4)")))
            }
            Answer::Found(_) => Ok(()),
            Answer::Absent => self.found_nothing(),
            Answer::Unknown(why) => Err(Flaw::Unknown(why)),
        }
    }

    fn found_nothing(&mut self) -> Result<(), Flaw> {
        self.void_lookups += 1;
        if self.void_lookups > VOID_LOOKUPS_MAX {
            return Err(Flaw::Broken("more than two of its look-ups find nothing (RFC 7208 4.6.4)".into()));
        }
        Ok(())
    }
}
