//! What must hold before mail goes out to all: what servers refuse or hide mail for is found here, not in ten thousand
//! answers. `doctor` shows the same.
//!
//! Only what is certain stops a send. DNS that does not answer, or that is cut off from the world, is a warning.

use std::net::IpAddr;

use super::App;
use super::Failure;
use super::doctor::Finding;
use super::doctor::Level;
use super::doctor::advice;
use super::doctor::fault;
use super::doctor::good;
use crate::domain::Timestamp;
use crate::domain::letter::Rendered;
use crate::domain::slot::Slot;
use crate::domain::subscriber::SubscriberState;
use crate::mail::Bounces;
use crate::mail::DkimStanding;
use crate::mail::DmarcStanding;
use crate::mail::KeyRecord;
use crate::mail::Spf;
use crate::mail::Standing;
use crate::mail::inspect;
use crate::mail::standing;

/// From so many readers on, Google, Yahoo and Microsoft ask for DMARC and refuse mail without it
/// (support.google.com/mail/answer/81126, senders of 5,000 mails a day).
const BULK: u64 = 5_000;

/// Whether a send begins with the look at what servers punish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preflight {
    /// And is stopped by a fault.
    Heeded,
    /// `--force`: it begins whatever is found.
    Forced,
}

impl App {
    /// Stops a send that mail servers would punish, with a sentence; warns of what could not be looked at.
    ///
    /// Nothing is looked at where mail stays in a folder, or is tried out: links that lead to this machine or network, and
    /// relays in it too.
    pub(crate) async fn preflight(&self, slot: Slot, rendered: &Rendered) -> Result<(), Failure> {
        if self.transport().mailbox().is_some() || self.is_tried_out() || self.readers().await == 0 {
            return Ok(());
        }
        let mut findings = self.examine_standing().await;
        findings.extend([self.examine_base_url(), self.examine_sender(), self.examine_digest(slot, rendered, self.now())?]);
        let faults = findings.iter().filter(|finding| finding.level == Level::Fault);
        let faults: Vec<_> = faults.map(|Finding { what, words, .. }| format!("{what}: {words}")).collect();
        if faults.is_empty() {
            for Finding { what, words, .. } in findings.iter().filter(|finding| finding.level == Level::Advice) {
                tracing::warn!(%slot, "before sending: {what}: {words}");
            }
            return Ok(());
        }
        Err(Failure::because(format!(
            "{slot} is not sent and stays approved, for mail servers would refuse it or hide it. {}. Mend that (`verdicts doctor` \
             looks at all of it), or send it as it is with `verdicts digest send --force`.",
            faults.join("; ")
        )))
    }

    /// Whether no reader's mail is meant: somebody is trying the program out.
    fn is_tried_out(&self) -> bool {
        is_near(self.settings.host()) && self.relays_are_near()
    }

    pub(crate) fn relays_are_near(&self) -> bool {
        let host = |transport: &str| url::Url::parse(transport).ok().and_then(|url| url.host_str().map(String::from));
        self.settings.mail.relays_in_force().iter().all(|relay| host(&relay.transport).is_none_or(|host| is_near(&host)))
    }

    /// Whether the sender's domain is one of those for examples, of which DNS has nothing to say, and nobody was named who has.
    pub(crate) fn is_example(&self) -> bool {
        self.settings.mail.resolver.is_none() && is_example(self.from.domain())
    }

    /// What DNS says of the sender: SPF, DKIM, DMARC, and where bounces go.
    pub(crate) async fn examine_standing(&self) -> Vec<Finding> {
        let from = self.from.domain();
        if !from.contains('.') {
            return Vec::new();
        }
        if self.is_example() {
            return vec![advice("dns", format!("was not asked: {from} is a name for examples (RFC 2606)"))];
        }
        let return_path = self.return_path.with("x");
        let found = standing(from, &return_path, self.signing.signers().records(), self.settings.mail.resolver).await;
        let readers = self.readers().await;
        let bounce_domain = return_path.rsplit_once('@').map_or(from, |(_, domain)| domain);
        let mut findings = vec![judge_spf(&found.spf, bounce_domain)];
        findings.extend(judge_dkim(&found));
        findings.extend([judge_dmarc(&found, from, readers), judge_bounces(&found.bounces, bounce_domain)]);
        if self.transport().mailbox().is_some() {
            // No mail leaves yet, so nothing is wrong yet.
            findings.iter_mut().for_each(|finding| finding.level = finding.level.min(Level::Advice));
        }
        findings
    }

    /// How many are on the list; a database that does not answer is found elsewhere.
    async fn readers(&self) -> u64 {
        let counts = self.storage.count_subscribers().await.unwrap_or_default();
        counts.iter().filter(|(state, _)| *state == SubscriberState::Active).map(|(_, count)| count).sum()
    }

    /// The digest as it would go out, with the eyes of those who get it.
    pub(crate) fn examine_digest(&self, slot: Slot, rendered: &Rendered, at: Timestamp) -> Result<Finding, Failure> {
        let https = self.settings.site.base_url.scheme() == "https";
        let found = inspect(&self.one_copy(slot, rendered, at)?, https);
        Ok(if !found.faults.is_empty() {
            fault("digest", found.faults.join("; "))
        } else if !found.advice.is_empty() {
            advice("digest", found.advice.join("; "))
        } else {
            let one_click = if https { "leaving takes one click" } else { "no one-click, for links are not https" };
            good("digest", format!("{} KB as it goes out, a text part in it, every link whole, {one_click}", found.size / 1024))
        })
    }
}

fn judge_spf(spf: &Spf, domain: &str) -> Finding {
    match spf {
        Spf::Some => good("spf", format!("{domain} names who may send for it; see that your relay is among them")),
        Spf::Missing => advice(
            "spf",
            format!(
                "{domain} has no SPF record; publish a TXT record there like \"v=spf1 include:RELAY -all\", as your relay's provider says"
            ),
        ),
        Spf::Everybody => {
            advice("spf", format!("the record of {domain} lets everybody send for it, which servers count against it; end it with -all"))
        }
        Spf::Nobody => fault("spf", format!("the record of {domain} says that nobody sends for it (v=spf1 -all); put your relay into it")),
        Spf::Broken(why) => fault("spf", format!("the record of {domain} is broken, and counts as a failure: {why}")),
        Spf::Unknown(why) => advice("spf", format!("could not be looked at; {why}")),
    }
}

fn judge_dkim(found: &Standing) -> Vec<Finding> {
    if found.dkim.is_empty() {
        return vec![advice(
            "dkim",
            "mails are not signed here; unless your relay does it, make a key with `verdicts keys dkim --out FILE`",
        )];
    }
    let judge = |(key, standing): &(KeyRecord, DkimStanding)| {
        let name = &key.name;
        let publish = "publish what `verdicts keys dkim` printed, or take the key out of mail.dkim";
        match standing {
            DkimStanding::Ours => good("dkim", format!("{name} has the record of our key")),
            DkimStanding::Testing => advice("dkim", format!("{name} says t=y, so servers may treat mails as unsigned; take that out")),
            DkimStanding::Missing => {
                fault("dkim", format!("{name} has no TXT record, so no signature holds; {publish} (expected: {})", key.value))
            }
            DkimStanding::Revoked => fault("dkim", format!("{name} takes the key back (an empty p=), so no signature holds; {publish}")),
            DkimStanding::Others => {
                fault("dkim", format!("{name} has the record of another key, so no signature holds; {publish} (expected: {})", key.value))
            }
            DkimStanding::Broken(why) => fault("dkim", format!("the record at {name} cannot be used: {why}")),
            DkimStanding::Unknown(why) => advice("dkim", format!("{name} could not be looked at; {why}")),
        }
    };
    found.dkim.iter().map(judge).collect()
}

fn judge_dmarc(found: &Standing, from: &str, readers: u64) -> Finding {
    match &found.dmarc {
        DmarcStanding::Found { domain, policy, dkim_aligned, spf_aligned } => match (dkim_aligned, spf_aligned, found.dkim.is_empty()) {
            (true, _, _) => good("dmarc", format!("{domain} asks for {policy}, and our signature stands for {from}")),
            (false, true, _) => advice(
                "dmarc",
                format!(
                    "{domain} asks for {policy}, and only the return path stands for {from}: mails that are forwarded fail; sign with a key of {from}"
                ),
            ),
            // The relay may sign for the domain, and this cannot be seen from here.
            (false, false, true) => advice(
                "dmarc",
                format!(
                    "{domain} asks for {policy}, and neither a key here nor the return path stands for {from}: see that your relay signs for it"
                ),
            ),
            (false, false, false) => fault(
                "dmarc",
                format!(
                    "{domain} asks for {policy}, and neither a key in mail.dkim nor mail.return_path stands for {from}: each mail fails; make a key for {from}"
                ),
            ),
        },
        DmarcStanding::Missing if readers >= BULK => fault(
            "dmarc",
            format!(
                "{from} has no record, and Google, Yahoo and Microsoft refuse mail to {readers} readers without; publish the TXT record _dmarc.{from} \"v=DMARC1; p=none\" at the least"
            ),
        ),
        DmarcStanding::Missing => advice(
            "dmarc",
            format!(
                "{from} has no record; publish the TXT record _dmarc.{from} \"v=DMARC1; p=none\" at the least, from {BULK} readers on it is asked for"
            ),
        ),
        DmarcStanding::Broken(why) => advice("dmarc", format!("the record does not count: {why}")),
        DmarcStanding::Unknown(why) => advice("dmarc", format!("could not be looked at; {why}")),
    }
}

fn judge_bounces(bounces: &Bounces, domain: &str) -> Finding {
    let nowhere = "servers refuse mail whose bounces can go nowhere; set mail.return_path to an address that takes mail";
    match bounces {
        Bounces::Somewhere => good("return_path", format!("{domain} has mail servers for what bounces")),
        Bounces::Address => {
            advice("return_path", format!("{domain} has no mail server in DNS (MX), only an address; some servers want the first"))
        }
        Bounces::Refused => fault("return_path", format!("{domain} says that it takes no mail (an MX of \".\"); {nowhere}")),
        Bounces::Nowhere => fault("return_path", format!("{domain} has neither a mail server nor an address in DNS; {nowhere}")),
        Bounces::Unknown(why) => advice("return_path", format!("could not be looked at; {why}")),
    }
}

/// Whether a host is this machine or one of its network: an address of theirs, or a name that no other network knows.
pub(super) fn is_near(host: &str) -> bool {
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        Err(_) => !host.contains('.') || ends_in(host, &["localhost", "local", "internal", "lan", "home.arpa", "test"]),
    }
}

/// RFC 2606, RFC 6761.
fn is_example(domain: &str) -> bool {
    ends_in(domain, &["example", "invalid", "test", "localhost", "example.com", "example.net", "example.org"])
}

fn ends_in(name: &str, ends: &[&str]) -> bool {
    let before = |end: &&str| name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    ends.iter().any(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_and_what_is_an_example() {
        for near in ["localhost", "127.0.0.1", "[::1]", "10.1.2.3", "192.168.0.9", "mailpit", "relay.internal", "fd00::1"] {
            assert!(is_near(near), "{near}");
        }
        for far in ["example.org", "8.8.8.8", "172.32.0.1", "local.host.org", "[2001:db8::1]"] {
            assert!(!is_near(far), "{far}");
        }
        assert!(is_example("verdicts.example") && is_example("news.example.org") && is_example("example.com"));
        assert!(!is_example("verdicts.org") && !is_example("myexample.org"));
    }
}
