//! Search for the DMARC record that counts for a sender: by RFC 9989, which walks up the tree of names, and by RFC 7489, which asks the public suffix
//! list for the organisation. Receivers go by either, so a record by either counts.

use futures_util::future::join_all;

use crate::mail::dns::dmarc_record::DmarcRecord;
use crate::mail::dns::resolver::Dns;
use crate::mail::dns::resolver::DnsAnswer;

/// Names that a walk asks for (RFC 9989 4.10).
const WALK_MAX: usize = 8;

/// Rules by which receivers find a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Both come to the same one.
    Both,
    /// Only the walk up the tree of RFC 9989 finds it.
    TreeWalk,
    /// Only the public suffix list leads to it.
    SuffixList,
}

/// DMARC records at one name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum RecordsAt {
    Record(DmarcRecord),
    Nothing,
    /// Several records: none counts.
    Many(usize),
    Unknown(String),
}

/// The names from a domain up to the top, with what stands there.
#[derive(Debug, Clone)]
pub(in crate::mail) struct DmarcWalk {
    domain: String,
    names: Vec<(String, RecordsAt)>,
}

/// The record that counts for a sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mail) enum DmarcPolicy {
    Found {
        domain: String,
        record: DmarcRecord,
        rule: Rule,
    },
    Missing,
    Broken(String),
    Unknown(String),
}

impl DmarcWalk {
    /// Looks at a domain and at those above it, all at once.
    pub(in crate::mail) async fn up(dns: &Dns, domain: &str) -> Self {
        let look = |name: String| async move {
            let found = at(dns, &name).await;
            (name, found)
        };
        let names = join_all(names_of(domain).into_iter().map(look)).await;
        Self {
            domain: domain.into(),
            names,
        }
    }

    /// The domain that it began at.
    pub(in crate::mail) fn domain(&self) -> &str {
        &self.domain
    }

    /// The domain of the organisation by RFC 9989 4.10.2.
    pub(in crate::mail) fn organization(&self) -> &str {
        let mut highest = None;
        for (place, (name, found)) in self.names.iter().enumerate() {
            let RecordsAt::Record(record) = found else {
                continue;
            };
            match record.tag("psd") {
                Some(value) if value.eq_ignore_ascii_case("n") => return name,
                // The one below it, whether it has a record or not.
                Some(value) if value.eq_ignore_ascii_case("y") && place > 0 => {
                    return self.below(name);
                }
                _ => highest = Some(name),
            }
        }
        highest.map_or(self.domain.as_str(), String::as_str)
    }

    /// The name one label below one that the walk met.
    fn below<'a>(&'a self, above: &str) -> &'a str {
        let labels = above.split('.').count() + 1;
        let at = self
            .domain
            .rmatch_indices('.')
            .nth(labels - 1)
            .map_or(0, |(at, _)| at + 1);
        &self.domain[at..]
    }

    /// The record that counts.
    pub(in crate::mail) fn policy(&self) -> DmarcPolicy {
        let Some((_, own)) = self.names.first() else {
            return DmarcPolicy::Missing;
        };
        match own {
            RecordsAt::Record(record) => {
                return DmarcPolicy::Found {
                    domain: self.domain.clone(),
                    record: record.clone(),
                    rule: Rule::Both,
                };
            }
            RecordsAt::Many(count) => {
                return DmarcPolicy::Broken(format!(
                    "there are {count} of them at _dmarc.{}, so none counts",
                    self.domain
                ));
            }
            RecordsAt::Unknown(why) => return DmarcPolicy::Unknown(why.clone()),
            RecordsAt::Nothing => {}
        }
        let record_at = |name: &str| {
            let found = self
                .names
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, found)| found);
            found.and_then(|found| {
                if let RecordsAt::Record(record) = found {
                    Some(record.clone())
                } else {
                    None
                }
            })
        };
        let by_list = organization_by_list(&self.domain);
        // Of the organisation, or else of the public suffix above it that asks for itself (psd=y).
        let by_walk = Some(self.organization()).filter(|name| record_at(name).is_some()).or_else(|| {
            let suffix = |(_, found): &&(String, RecordsAt)| matches!(found, RecordsAt::Record(record) if record.tag("psd").is_some_and(|psd| psd.eq_ignore_ascii_case("y")));
            self.names.iter().find(suffix).map(|(name, _)| name.as_str())
        });
        let (name, rule) = match (by_walk, record_at(by_list).map(|_| by_list)) {
            (Some(walked), Some(listed)) if walked == listed => (walked, Rule::Both),
            (Some(walked), _) => (walked, Rule::TreeWalk),
            (None, Some(listed)) => (listed, Rule::SuffixList),
            (None, None) => return self.without_record(),
        };
        record_at(name).map_or(DmarcPolicy::Missing, |record| DmarcPolicy::Found {
            domain: name.into(),
            record,
            rule,
        })
    }

    fn without_record(&self) -> DmarcPolicy {
        let above = self.names.iter().find_map(|(name, found)| match found {
            RecordsAt::Unknown(why) => Some(DmarcPolicy::Unknown(why.clone())),
            RecordsAt::Many(count) => Some(DmarcPolicy::Broken(format!(
                "there are {count} of them at _dmarc.{name}, so none counts"
            ))),
            _ => None,
        });
        above.unwrap_or(DmarcPolicy::Missing)
    }
}

/// The domain that somebody registered, by the public suffix list (RFC 7489 3.2).
pub(in crate::mail) fn organization_by_list(domain: &str) -> &str {
    psl::domain_str(domain).unwrap_or(domain)
}

/// RFC 9989 4.10: the domain itself, and then upward; of more than eight labels at once the seven on the right.
fn names_of(domain: &str) -> Vec<String> {
    let labels: Vec<&str> = domain.split('.').collect();
    let first = if labels.len() > WALK_MAX {
        labels.len() - (WALK_MAX - 1)
    } else {
        1
    };
    let above = (first..labels.len()).map(|at| labels[at..].join("."));
    std::iter::once(domain.to_owned()).chain(above).collect()
}

async fn at(dns: &Dns, name: &str) -> RecordsAt {
    let texts = match dns.texts(&format!("_dmarc.{name}")).await {
        DnsAnswer::Found(texts) => texts,
        DnsAnswer::Absent => return RecordsAt::Nothing,
        DnsAnswer::Unknown(why) => return RecordsAt::Unknown(why),
    };
    let mut records: Vec<_> = texts
        .iter()
        .filter_map(|text| DmarcRecord::parse(text))
        .collect();
    match (records.pop(), records.len()) {
        (None, _) => RecordsAt::Nothing,
        (Some(record), 0) => RecordsAt::Record(record),
        (Some(_), others) => RecordsAt::Many(others + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(domain: &str, records: &[(&str, &str)]) -> DmarcWalk {
        let found = |name: String| {
            let text = records
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, text)| *text);
            let found = text
                .and_then(DmarcRecord::parse)
                .map_or(RecordsAt::Nothing, RecordsAt::Record);
            (name, found)
        };
        DmarcWalk {
            domain: domain.into(),
            names: names_of(domain).into_iter().map(found).collect(),
        }
    }

    fn policy(domain: &str, records: &[(&str, &str)]) -> Option<(String, Rule)> {
        match walk(domain, records).policy() {
            DmarcPolicy::Found { domain, rule, .. } => Some((domain, rule)),
            _ => None,
        }
    }

    #[test]
    fn a_record_is_found_by_either_rule() {
        let any = "v=DMARC1; p=reject";
        let found = |name: &str, rule| Some((name.to_owned(), rule));
        assert_eq!(
            policy("a.b.firm.example", &[("a.b.firm.example", any)]),
            found("a.b.firm.example", Rule::Both)
        );
        assert_eq!(
            policy("a.b.firm.example", &[("firm.example", any)]),
            found("firm.example", Rule::Both)
        );
        // A middle name: nobody who goes by the list asks there.
        assert_eq!(
            policy("a.b.firm.example", &[("b.firm.example", any)]),
            found("b.firm.example", Rule::TreeWalk)
        );
        assert_eq!(
            policy(
                "a.b.firm.example",
                &[("b.firm.example", any), ("firm.example", any)]
            ),
            found("firm.example", Rule::Both)
        );
        let own = "v=DMARC1; p=reject; psd=n";
        assert_eq!(
            policy(
                "a.b.firm.example",
                &[("b.firm.example", own), ("firm.example", any)]
            ),
            found("b.firm.example", Rule::TreeWalk)
        );
        let suffix = "v=DMARC1; p=none; psd=y";
        assert_eq!(
            policy("a.firm.example", &[("example", suffix)]),
            found("example", Rule::TreeWalk)
        );
        assert_eq!(
            policy(
                "a.firm.example",
                &[("example", suffix), ("firm.example", any)]
            ),
            found("firm.example", Rule::Both)
        );
        assert_eq!(policy("a.firm.example", &[]), None);
    }

    #[test]
    fn the_organisation_is_where_the_walk_ends() {
        let any = "v=DMARC1; p=reject";
        let of = |domain: &str, records: &[(&str, &str)]| {
            walk(domain, records).organization().to_owned()
        };
        assert_eq!(
            of(
                "a.b.firm.example",
                &[("b.firm.example", any), ("firm.example", any)]
            ),
            "firm.example"
        );
        assert_eq!(
            of("a.b.firm.example", &[("b.firm.example", "v=DMARC1; psd=n")]),
            "b.firm.example"
        );
        assert_eq!(
            of("a.b.firm.example", &[("example", "v=DMARC1; psd=y")]),
            "firm.example"
        );
        assert_eq!(of("a.b.firm.example", &[]), "a.b.firm.example");
    }

    #[test]
    fn a_walk_asks_for_eight_names_at_most() {
        assert_eq!(
            names_of("a.firm.example"),
            ["a.firm.example", "firm.example", "example"]
        );
        let long = names_of("a.b.c.d.e.f.g.h.i.j.example");
        assert_eq!((long.len(), long[1].as_str()), (8, "e.f.g.h.i.j.example"));
    }
}
