//! A DMARC record as receivers read it (RFC 7489 6.3 and 6.6.3; RFC 9989).

/// Relation of a record to the domain that it counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mail) enum Reach {
    /// The domain's own.
    Own,
    /// That of a domain above it.
    Subdomain,
    /// The same, for a name that is not in DNS (`np`, RFC 9989 4.7).
    Nonexistent,
}

/// Tags of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mail) struct DmarcRecord(Vec<(String, String)>);

impl DmarcRecord {
    /// Reads a TXT record; `None` where it is none of DMARC: `v=DMARC1` comes first, in these letters, blanks around `=` allowed.
    pub(in crate::mail) fn parse(text: &str) -> Option<Self> {
        let tags: Vec<_> = text
            .split(';')
            .filter_map(|tag| tag.split_once('='))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let is_first = text
            .split(';')
            .next()
            .is_some_and(|first| first.contains('='));
        (is_first
            && tags
                .first()
                .is_some_and(|(name, value)| name == "v" && value == "DMARC1"))
        .then_some(Self(tags))
    }

    /// The policy in force: `none`, `quarantine` or `reject`, for a subdomain without a record of its own by `sp` or `np`. An unknown one counts
    /// as `none` where reports are asked for (`rua`); otherwise the record counts for nothing, which is `None`.
    pub(in crate::mail) fn policy(&self, reach: Reach) -> Option<&'static str> {
        let known = |name: &str| {
            let value = self.tag(name)?;
            ["none", "quarantine", "reject"]
                .into_iter()
                .find(|policy| value.eq_ignore_ascii_case(policy))
        };
        let fits = |name: &str| self.tag(name).is_none() || known(name).is_some();
        let is_readable = known("p").is_some() && fits("sp") && fits("np");
        if !is_readable {
            let has_address = self
                .tag("rua")
                .is_some_and(|addresses| addresses.to_ascii_lowercase().contains("mailto:"));
            return has_address.then_some("none");
        }
        match reach {
            Reach::Own => known("p"),
            Reach::Subdomain => known("sp").or_else(|| known("p")),
            Reach::Nonexistent => known("np").or_else(|| known("sp")).or_else(|| known("p")),
        }
    }

    /// Returns whether the domain owner only tries it out (`t=y`).
    pub(in crate::mail) fn is_testing(&self) -> bool {
        self.tag("t")
            .is_some_and(|value| value.eq_ignore_ascii_case("y"))
    }

    /// Returns whether `adkim` or `aspf` asks for the very domain of `From`.
    pub(in crate::mail) fn is_strict(&self, tag: &str) -> bool {
        self.tag(tag)
            .is_some_and(|value| value.eq_ignore_ascii_case("s"))
    }

    pub(in crate::mail) fn tag(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_asks_for_what_receivers_read_in_it() {
        #[rustfmt::skip]
        let table = [
            ("v=DMARC1; p=reject", Some(Some("reject"))), ("v=DMARC1;p=Reject", Some(Some("reject"))),
            ("v = DMARC1 ; p = quarantine ;", Some(Some("quarantine"))), ("V=DMARC1; P=NONE", Some(Some("none"))),
            ("v=DMARC1; p=block; rua=mailto:d@sender.example", Some(Some("none"))), ("v=DMARC1; p=block", Some(None)),
            ("v=DMARC1; rua=mailto:d@sender.example", Some(Some("none"))), ("v=DMARC1", Some(None)),
            ("v=DMARC1; p=reject; sp=off", Some(None)), ("v=DMARC1; p=reject; sp=off; rua=mailto:d@sender.example", Some(Some("none"))),
            ("v=dmarc1; p=reject", None), ("v=DMARC10; p=reject", None), ("p=reject; v=DMARC1", None), ("v=spf1 -all", None), ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(
                DmarcRecord::parse(text).map(|record| record.policy(Reach::Own)),
                expected,
                "{text}"
            );
        }
        let record =
            DmarcRecord::parse("v=DMARC1; p=reject; sp=none; np=quarantine; t=Y; adkim=s; aspf=R")
                .expect("a record");
        assert_eq!(
            (record.policy(Reach::Subdomain), record.is_testing()),
            (Some("none"), true)
        );
        assert_eq!(record.policy(Reach::Nonexistent), Some("quarantine"));
        assert!(record.is_strict("adkim") && !record.is_strict("aspf"));
    }
}
