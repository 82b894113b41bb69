//! Preflight: checks before mail goes out to all. What servers refuse or hide mail for is found here, not in ten thousand
//! answers. `doctor` looks at the same list.
//!
//! Only what is certain stops a send. DNS that does not answer, or that is cut off from the world, is a warning; so is a relay
//! that cannot be reached just now.

use std::net::IpAddr;

use crate::app::App;
use crate::app::Failure;
use crate::app::check_result::CheckResult;
use crate::app::check_result::Severity;
use crate::app::check_result::advice;
use crate::app::check_result::fault;
use crate::app::check_result::good;
use crate::app::issue::edition::LeftOut;
use crate::domain::digest::DigestContent;
use crate::domain::digest::DigestState;
use crate::domain::rendered_mail::Rendered;
use crate::domain::slot::Slot;
use crate::domain::subscriber::SubscriberState;
use crate::mail::inspect;
use crate::mail::is_of_this_network;

/// Handling of preflight faults before a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preflight {
    /// A fault stops the send.
    Heeded,
    /// `--force`: it begins whatever is found.
    Forced,
}

impl App {
    /// Stops a send that would come to nothing, or that mail servers would punish, with a sentence; warns of the rest.
    ///
    /// A relay that cannot be reached now only warns: one that starts anew is back in seconds, and the breaker waits for it and
    /// tries again for days, where a digest that was held back would miss its hour for nothing. And as long as one relay is left,
    /// mail goes that way, which is what several are for.
    ///
    /// Only `links` are looked at where mail stays in a folder, or is tried out: links that lead to this machine or network, and
    /// relays in it too. `links` is left out where [`App::edition`] has just opened each comparison.
    pub(crate) async fn preflight(
        &self,
        state: DigestState,
        rendered: &Rendered,
        content: &DigestContent,
        links: Option<CheckResult>,
    ) -> Result<(), Failure> {
        let slot = content.slot;
        let mut findings = Vec::from_iter(links);
        findings.extend(self.examine_text(content, &rendered.subject).await);
        if self.transport().mailbox().is_none() && !self.is_tried_out() && self.readers().await > 0
        {
            findings.extend(self.examine_sending(slot, Some(rendered)).await);
        }
        let stays = |finding: &CheckResult| finding.level == Severity::Fault && !finding.may_pass;
        let lost = findings
            .iter()
            .filter(|finding| finding.what == "transport" && stays(finding))
            .count();
        let is_one_left = lost < self.relays.len();
        let stops = |finding: &&CheckResult| {
            stays(finding) && !(finding.what == "transport" && is_one_left)
        };
        let faults: Vec<_> = findings
            .iter()
            .filter(stops)
            .map(|CheckResult { what, words, .. }| format!("{what}: {words}"))
            .collect();
        if faults.is_empty() {
            for CheckResult { what, words, .. } in findings
                .iter()
                .filter(|finding| finding.level != Severity::Good)
            {
                tracing::warn!(%slot, "before sending: {what}: {words}");
            }
            return Ok(());
        }
        let anyway = if state == DigestState::Paused {
            format!("resume {slot}")
        } else {
            "send".into()
        };
        Err(Failure::conflict(format!(
            "{slot} is not sent and stays {state}, for its mails would be refused or hidden, or are not finished. {}. Mend that (`verdicts doctor` \
             looks at all of it), or send it as it is with `verdicts digest {anyway} --force`.",
            faults.join("; ")
        )))
    }

    /// Returns what decides whether a digest arrives: the one list of what `doctor` and a send look at. `rendered` is left out where
    /// there is none.
    pub(in crate::app) async fn examine_sending(
        &self,
        slot: Slot,
        rendered: Option<&Rendered>,
    ) -> Vec<CheckResult> {
        let size = rendered
            .and_then(|rendered| self.one_copy(slot, rendered, self.now()).ok())
            .map(|copy| copy.len());
        let (relays, standing) = tokio::join!(self.examine_relays(size), self.examine_standing());
        let mut findings: Vec<_> = rendered
            .map(|rendered| self.examine_digest(slot, rendered))
            .into_iter()
            .chain(relays)
            .collect();
        findings.extend([self.examine_base_url(), self.examine_sender()]);
        findings.extend(standing);
        findings.extend([self.examine_postal_address(), self.examine_reply_to()]);
        findings
    }

    /// Returns whether no reader's mail is meant: somebody is trying the program out.
    fn is_tried_out(&self) -> bool {
        is_near(self.settings.host()) && self.far_relays().is_empty()
    }

    /// The hosts of the relays that are not of this machine or its network.
    pub(in crate::app) fn far_relays(&self) -> Vec<String> {
        let host = |transport: &str| {
            url::Url::parse(transport)
                .ok()
                .and_then(|url| url.host_str().map(|host| bare(host).to_owned()))
        };
        let hosts = self
            .settings
            .mail
            .relays_in_force()
            .into_iter()
            .filter_map(|relay| host(relay.transport.expose()));
        hosts.filter(|host| !is_near(host)).collect()
    }

    /// Returns whether the sender's domain is one of those for examples, of which DNS has nothing to say, and nobody was named who has.
    pub(in crate::app) fn is_example(&self) -> bool {
        self.settings.mail.resolver.is_empty() && is_example(self.from.domain())
    }

    /// Returns how many are on the list; a database that does not answer is found elsewhere.
    pub(in crate::app) async fn readers(&self) -> u64 {
        let counts = self.storage.count_subscribers().await.unwrap_or_default();
        counts
            .iter()
            .filter(|(state, _)| *state == SubscriberState::Active)
            .map(|(_, count)| count)
            .sum()
    }

    /// Opens every comparison of a digest as a reader does who follows its links.
    pub(in crate::app) async fn examine_links(
        &self,
        content: &DigestContent,
        left_out: &[LeftOut],
    ) -> CheckResult {
        let mut closed: Vec<String> = Vec::new();
        for item in &content.items {
            let slug = &item.matchup.comparison.slug;
            match self.open_comparison(slug, self.now()).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => closed.push(format!("{slug}: {why}")),
                Err(failure) => return fault("links", failure.to_string()),
            }
        }
        if !closed.is_empty() {
            return fault(
                "links",
                format!(
                    "comparisons in it do not open: {}; put them back into the catalogue",
                    closed.join("; ")
                ),
            );
        }
        let opened = format!("each of its {} comparisons opens", content.items.len());
        if left_out.is_empty() {
            return good("links", opened);
        }
        let left_out: Vec<_> = left_out
            .iter()
            .map(|left| format!("{}: {}", left.comparison, left.why))
            .collect();
        advice(
            "links",
            format!(
                "{opened}; of what was picked it leaves out {}",
                left_out.join("; ")
            ),
        )
    }

    /// Inspects the message as a recipient would get it: size, text part, links, one-click unsubscribe.
    fn examine_digest(&self, slot: Slot, rendered: &Rendered) -> CheckResult {
        let https = self.settings.site.base_url.scheme() == "https";
        let found = match self.one_copy(slot, rendered, self.now()) {
            Ok(copy) => inspect(&copy, https),
            Err(failure) => return fault("digest", failure.to_string()),
        };
        if !found.faults.is_empty() {
            fault("digest", found.faults.join("; "))
        } else if !found.advice.is_empty() {
            advice("digest", found.advice.join("; "))
        } else {
            let one_click = if https {
                "leaving takes one click"
            } else {
                "no one-click, for links are not https"
            };
            good(
                "digest",
                format!(
                    "{} KB as it goes out, a text part in it, every link well formed, {one_click}",
                    found.size / 1024
                ),
            )
        }
    }

    fn examine_base_url(&self) -> CheckResult {
        let base = self.settings.base_url();
        let local = matches!(self.settings.host(), "localhost" | "127.0.0.1" | "[::1]");
        match (
            self.settings.site.base_url.scheme() == "https",
            local,
            self.transport().mailbox().is_some(),
        ) {
            (true, false, _) => good("base_url", format!("links begin with {base}")),
            (_, true, false) => fault(
                "base_url",
                format!(
                    "links begin with {base}, which no reader can open; set site.base_url to the public https address"
                ),
            ),
            (_, true, true) => advice(
                "base_url",
                format!("links begin with {base}: fine on this machine only"),
            ),
            _ => fault(
                "base_url",
                format!(
                    "{base} is not https: one-click unsubscribe (RFC 8058) needs it, and so do readers"
                ),
            ),
        }
    }

    fn examine_sender(&self) -> CheckResult {
        let host = self.message_id_host();
        if self.is_example() && self.transport().mailbox().is_none() {
            let words = format!(
                "mail.from is {}, a name for examples; set it to an address of your domain",
                self.from.address()
            );
            return if self.far_relays().is_empty() {
                advice("sender", words)
            } else {
                fault("sender", words)
            };
        }
        match (host.contains('.'), self.transport().mailbox().is_some()) {
            (true, _) => good("sender", format!("mail comes from {}", self.from.address())),
            (false, true) => advice(
                "sender",
                format!(
                    "mail comes from {}; set mail.from to an address of your domain",
                    self.from.address()
                ),
            ),
            (false, false) => fault(
                "sender",
                format!(
                    "mail.from is {}, which no server accepts; set it to an address of your domain",
                    self.from.address()
                ),
            ),
        }
    }

    fn examine_reply_to(&self) -> CheckResult {
        match &self.reply_to {
            Some(address) => good("reply_to", format!("answers go to {}", address.address())),
            None => advice(
                "reply_to",
                format!(
                    "is not set; answers of readers go to {}, so see that somebody reads there (mail.reply_to)",
                    self.from.address()
                ),
            ),
        }
    }

    fn examine_postal_address(&self) -> CheckResult {
        match &self.settings.mail.postal_address {
            Some(_) => good("postal_address", "is printed in every digest"),
            None => advice(
                "postal_address",
                "is not set; many countries ask newsletters for one (mail.postal_address)",
            ),
        }
    }
}

/// Returns whether a host is this machine or one of its network: an address of theirs, or a name that no other network knows.
pub(in crate::app) fn is_near(host: &str) -> bool {
    match bare(host).parse::<IpAddr>() {
        Ok(address) => is_of_this_network(address),
        Err(_) => {
            !host.contains('.')
                || ends_in(
                    host,
                    &["localhost", "local", "internal", "lan", "home.arpa", "test"],
                )
        }
    }
}

/// Without the brackets of an IPv6 address in a URL.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// RFC 2606, RFC 6761.
fn is_example(domain: &str) -> bool {
    ends_in(
        domain,
        &[
            "example",
            "invalid",
            "test",
            "localhost",
            "example.com",
            "example.net",
            "example.org",
        ],
    )
}

fn ends_in(name: &str, ends: &[&str]) -> bool {
    let before = |end: &&str| {
        name.strip_suffix(end)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    ends.iter().any(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_and_what_is_an_example() {
        for near in [
            "localhost",
            "127.0.0.1",
            "[::1]",
            "10.1.2.3",
            "192.168.0.9",
            "mailpit",
            "relay.internal",
            "fd00::1",
        ] {
            assert!(is_near(near), "{near}");
        }
        for far in [
            "example.org",
            "8.8.8.8",
            "172.32.0.1",
            "local.host.org",
            "[2001:db8::1]",
        ] {
            assert!(!is_near(far), "{far}");
        }
        assert!(
            is_example("verdicts.example")
                && is_example("news.example.org")
                && is_example("example.com")
        );
        assert!(!is_example("verdicts.org") && !is_example("myexample.org"));
    }
}
