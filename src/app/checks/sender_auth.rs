//! Judgement of what DNS says of the sender: SPF, DKIM, DMARC, and where bounces go.

use crate::app::App;
use crate::app::check_result::CheckResult;
use crate::app::check_result::Severity;
use crate::app::check_result::advice;
use crate::app::check_result::fault;
use crate::app::check_result::good;
use crate::mail::BounceRoute;
use crate::mail::DkimReport;
use crate::mail::DmarcReport;
use crate::mail::KeyRecord;
use crate::mail::Rule;
use crate::mail::SenderAuthReport;
use crate::mail::Source;
use crate::mail::Spf;
use crate::mail::Told;
use crate::mail::Unnamed;
use crate::mail::check_sender_auth;

/// From so many readers on, Google, Yahoo and Microsoft ask for DMARC and refuse mail without it
/// (support.google.com/mail/answer/81126, senders of 5,000 mails a day).
const BULK: u64 = 5_000;

impl App {
    /// Returns what DNS says of the sender: SPF, DKIM, DMARC, and where bounces go.
    pub(in crate::app) async fn examine_standing(&self) -> Vec<CheckResult> {
        let from = self.from.domain();
        if !from.contains('.') {
            return Vec::new();
        }
        if self.is_example() {
            return vec![advice(
                "dns",
                format!("was not asked: {from} is a name for examples (RFC 2606)"),
            )];
        }
        let mut findings = self.look_at_standing(0).await;
        // A fault stops a send, so it is asked for again: afresh, and of another name server first where there are several.
        if findings
            .iter()
            .any(|finding| finding.level == Severity::Fault)
        {
            let again = self.look_at_standing(1).await;
            findings = findings
                .into_iter()
                .zip(again)
                .map(|(first, second)| confirmed(first, second))
                .collect();
        }
        if self.transport().mailbox().is_some() {
            // No mail leaves yet, so nothing is wrong yet.
            findings
                .iter_mut()
                .for_each(|finding| finding.level = finding.level.min(Severity::Advice));
        }
        findings
    }
}

impl App {
    /// Looks once, and judges what is found.
    async fn look_at_standing(&self, first: usize) -> Vec<CheckResult> {
        let from = self.from.domain();
        let return_path = self.return_path.with("x");
        let (keys, servers) = (
            self.signing.signers().records(),
            &self.settings.mail.resolver,
        );
        let found =
            check_sender_auth(from, &return_path, keys, &self.far_relays(), servers, first).await;
        let readers = self.readers().await;
        let bounce_domain = return_path
            .rsplit_once('@')
            .map_or(from, |(_, domain)| domain);
        let mut findings = vec![named(
            judge_spf(&found.spf.found, bounce_domain),
            &found.spf.source,
        )];
        findings.extend(judge_dkim(&found));
        findings.push(named(
            judge_dmarc(&found, from, readers),
            &found.dmarc.source,
        ));
        findings.push(named(
            judge_bounces(&found.bounces.found, bounce_domain),
            &found.bounces.source,
        ));
        findings
    }
}

/// Two looks at one thing: only what both call a fault is one.
fn confirmed(first: CheckResult, second: CheckResult) -> CheckResult {
    if first.level != Severity::Fault || second.level == Severity::Fault {
        return first;
    }
    let words = format!(
        "DNS does not say the same twice, so nothing is certain; first: {}; asked again: {}",
        first.words, second.words
    );
    advice(first.what, words)
}

/// Says which name server said so, and how long a "there is none" may last after it was mended.
fn named(mut finding: CheckResult, source: &Source) -> CheckResult {
    if finding.level == Severity::Good {
        return finding;
    }
    if let Some(server) = source.server {
        finding
            .words
            .push_str(&format!(" (so says the name server {server}"));
        if let Some(remembered) = source.remembered {
            finding.words.push_str(&format!(
                ", which may remember for {} seconds that something is not there",
                remembered.as_secs()
            ));
        }
        finding.words.push(')');
    }
    finding
}

fn judge_spf(spf: &Spf, domain: &str) -> CheckResult {
    match spf {
        Spf::Some { named, unnamed } if unnamed.is_empty() => {
            let relays = if named.is_empty() {
                "see that your relay is among them".into()
            } else {
                format!("{} among them", named.join(", "))
            };
            good(
                "spf",
                format!("{domain} names who may send for it; {relays}"),
            )
        }
        // A relay may hand mail on to other machines, which cannot be known from here: this stops nothing.
        Spf::Some { unnamed, .. } => {
            let each =
                |words: fn(&Unnamed) -> String| unnamed.iter().map(words).collect::<Vec<_>>();
            advice(
                "spf",
                format!(
                    "the record of {domain} does not name {}: if mail leaves from there, put {} into it; if your relay hands it on to other machines, put in the include that its provider names",
                    each(|relay| format!("{} ({})", relay.host, relay.address)).join(", "),
                    each(|relay| format!(
                        "{}:{}",
                        if relay.address.is_ipv4() {
                            "ip4"
                        } else {
                            "ip6"
                        },
                        relay.address
                    ))
                    .join(" ")
                ),
            )
        }
        Spf::FlawedForOthers { named, why } if named.is_empty() => advice(
            "spf",
            format!(
                "receivers that meet no earlier term with your relay's address give up on the record of {domain}: {why}; mend it"
            ),
        ),
        Spf::FlawedForOthers { named, why } => advice(
            "spf",
            format!(
                "{domain} names {} before receivers meet what is broken in its record: {why}; mend it, for what other clients send in its name is judged as if there were none",
                named.join(", ")
            ),
        ),
        Spf::Missing(Some(meant)) => advice(
            "spf",
            format!(
                "{domain} has no SPF record, only a text that may be meant as one ({:?}): it must begin with \"v=spf1\" and a space",
                meant.chars().take(40).collect::<String>()
            ),
        ),
        Spf::Missing(None) => advice(
            "spf",
            format!(
                "{domain} has no SPF record; publish a TXT record there like \"v=spf1 include:RELAY -all\", as your relay's provider says"
            ),
        ),
        Spf::Everybody => advice(
            "spf",
            format!(
                "the record of {domain} lets everybody send for it, which servers count against it; end it with -all"
            ),
        ),
        Spf::Nobody => fault(
            "spf",
            format!(
                "the record of {domain} says that nobody sends for it (v=spf1 -all); put your relay into it"
            ),
        ),
        Spf::Broken(why) => fault(
            "spf",
            format!("the record of {domain} is broken, and counts as a failure: {why}"),
        ),
        Spf::Unknown(why) => advice("spf", format!("could not be looked at; {why}")),
    }
}

fn judge_dkim(found: &SenderAuthReport) -> Vec<CheckResult> {
    if found.dkim.is_empty() {
        return vec![advice(
            "dkim",
            "mails are not signed here; unless your relay does it, make a key with `verdicts keys dkim --out FILE`",
        )];
    }
    let judge = |(key, standing): &(KeyRecord, Told<DkimReport>)| {
        let name = &key.name;
        let publish = "publish what `verdicts keys dkim` printed, or take the key out of mail.dkim";
        let finding = match &standing.found {
            DkimReport::Ours => good("dkim", format!("{name} has the record of our key")),
            DkimReport::Testing => advice(
                "dkim",
                format!("{name} says t=y, so servers may treat mails as unsigned; take that out"),
            ),
            DkimReport::Missing => fault(
                "dkim",
                format!(
                    "{name} has no TXT record, so no signature holds; {publish} (expected: {})",
                    key.value
                ),
            ),
            DkimReport::Revoked => fault(
                "dkim",
                format!(
                    "{name} takes the key back (an empty p=), so no signature holds; {publish}"
                ),
            ),
            DkimReport::Others => fault(
                "dkim",
                format!(
                    "{name} has the record of another key, so no signature holds; {publish} (expected: {})",
                    key.value
                ),
            ),
            DkimReport::Broken(why) => fault(
                "dkim",
                format!("the record at {name} cannot be used: {why}"),
            ),
            DkimReport::Unknown(why) => {
                advice("dkim", format!("{name} could not be looked at; {why}"))
            }
        };
        self::named(finding, &standing.source)
    };
    found.dkim.iter().map(judge).collect()
}

/// Words on the logo that mail programs show beside a mail (BIMI), which a policy is the condition for.
fn bimi(policy: &str, from: &str) -> String {
    match policy {
        "none" => "mail programs show a logo (BIMI) from the policy quarantine on".into(),
        _ => format!(
            "that is enough for a logo (BIMI), which the TXT record default._bimi.{from} names"
        ),
    }
}

fn judge_dmarc(found: &SenderAuthReport, from: &str, readers: u64) -> CheckResult {
    match &found.dmarc.found {
        DmarcReport::Found {
            is_testing: true,
            domain,
            policy,
            dkim_aligned: true,
            ..
        } => advice(
            "dmarc",
            format!(
                "{domain} asks for {policy} and says that it is only being tried out (t=y): receivers do less; take that out in time"
            ),
        ),
        DmarcReport::Found {
            domain,
            rule,
            policy,
            dkim_aligned,
            spf_aligned,
            ..
        } => {
            match (dkim_aligned, spf_aligned, found.dkim.is_empty()) {
                (true, _, _) => {
                    let rule = match rule {
                        Rule::Both => "",
                        Rule::TreeWalk => {
                            "; receivers find it that walk up the names (RFC 9989), and not those that go by the public suffix list"
                        }
                        Rule::SuffixList => {
                            "; receivers find it that go by the public suffix list, and not those that walk up the names (RFC 9989)"
                        }
                    };
                    good(
                        "dmarc",
                        format!(
                            "{domain} asks for {policy}, and our signature stands for {from}{rule}; {}",
                            bimi(policy, from)
                        ),
                    )
                }
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
            }
        }
        DmarcReport::Missing if readers >= BULK => fault(
            "dmarc",
            format!(
                "{from} has no record, and Google, Yahoo and Microsoft refuse mail to {readers} readers without; publish the TXT record _dmarc.{from} \"v=DMARC1; p=none\" at the least"
            ),
        ),
        DmarcReport::Missing => advice(
            "dmarc",
            format!(
                "{from} has no record; publish the TXT record _dmarc.{from} \"v=DMARC1; p=none\" at the least, from {BULK} readers on it is asked for"
            ),
        ),
        DmarcReport::Broken(why) => advice("dmarc", format!("the record does not count: {why}")),
        DmarcReport::Unknown(why) => advice("dmarc", format!("could not be looked at; {why}")),
    }
}

fn judge_bounces(bounces: &BounceRoute, domain: &str) -> CheckResult {
    let nowhere = "servers refuse mail whose bounces can go nowhere; set mail.return_path to an address that takes mail";
    match bounces {
        BounceRoute::Somewhere => good(
            "return_path",
            format!("{domain} has mail servers for what bounces"),
        ),
        BounceRoute::Partly(lost) => advice(
            "return_path",
            format!(
                "{domain} has mail servers for what bounces, and names some that no mail reaches: {lost}; mend its MX records"
            ),
        ),
        BounceRoute::Unreachable(lost) => fault(
            "return_path",
            format!("no mail reaches the mail servers of {domain}: {lost}; {nowhere}"),
        ),
        BounceRoute::Address => advice(
            "return_path",
            format!(
                "{domain} has no mail server in DNS (MX), only an address; some servers want the first"
            ),
        ),
        BounceRoute::Refused => fault(
            "return_path",
            format!("{domain} says that it takes no mail (an MX of \".\"); {nowhere}"),
        ),
        BounceRoute::Nowhere => fault(
            "return_path",
            format!("{domain} has neither a mail server nor an address in DNS; {nowhere}"),
        ),
        BounceRoute::Unknown(why) => {
            advice("return_path", format!("could not be looked at; {why}"))
        }
    }
}
