//! Deliverability: what comes back and why, what DNS says of the sender, and who is on the suppression list.

use std::time::Duration;

use chrono::TimeDelta;
use serde::Serialize;

use super::App;
use super::Failure;
use super::check_result::Severity;
use super::issue::results::IssueFigures;
use super::returns::bounces::masked;
use crate::domain::Timestamp;
use crate::domain::address::EmailAddress;
use crate::domain::inbound::Reason;
use crate::domain::limits::day_of;
use crate::domain::refusal::Refusal;
use crate::domain::refusal::judge;
use crate::domain::slot::Slot;
use crate::storage::dns_checks::KeptCheck;
use crate::storage::returned::ReturnedMail;
use crate::storage::returned::ReturnedPlace;
use crate::storage::suppressions::SuppressionEntry;

/// Groups of replies that are read of one send.
const GROUPS: i64 = 500;
/// Issues whose complaints are shown.
const ISSUES: usize = 12;
/// Days of other mails whose refusals are shown.
const OTHER_DAYS: i64 = 30;
/// Time after which DNS is asked again, and that a look may take.
/// Less a minute, so that the tick of each hour asks, whatever the seconds.
const DNS_EVERY: TimeDelta = TimeDelta::minutes(59);
const DNS_MAX: Duration = Duration::from_secs(8);

/// Mails whose refusals are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnedSend {
    /// An issue.
    Issue(Slot),
    /// Confirmations and other mails of the last month.
    Others,
}

/// Refusals of one domain for one reason. Names here are promised to scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReturnedCount {
    /// Recipient domain.
    pub domain: String,
    /// Reason.
    pub reason: Reason,
    /// Enhanced status code of an example.
    pub status: Option<String>,
    /// Number of them.
    pub count: u64,
    /// One of the replies, without addresses.
    pub example: String,
}

/// A DNS record to publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DnsRecord {
    /// The check that looks at it.
    pub what: &'static str,
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: &'static str,
    /// Its value.
    pub value: String,
}

impl App {
    /// Refusals of a send by domain and reason, the most frequent first.
    pub async fn returned_counts(&self, send: ReturnedSend) -> Result<Vec<ReturnedCount>, Failure> {
        let mut groups = Vec::new();
        for send in self.numbers_of(send) {
            groups.extend(self.storage.returned_groups(send, GROUPS).await?);
        }
        let mut counts: Vec<ReturnedCount> = Vec::new();
        for group in groups {
            let judged = judge(Refusal {
                stage: None,
                text: &group.example,
                field: None,
            });
            let known = counts
                .iter_mut()
                .find(|known| known.domain == group.domain && known.reason == judged.reason);
            match known {
                Some(known) => known.count += group.count,
                None => counts.push(ReturnedCount {
                    domain: group.domain,
                    reason: judged.reason,
                    status: judged.status.map(|status| status.to_string()),
                    count: group.count,
                    example: masked(&group.example),
                }),
            }
        }
        counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.domain.cmp(&b.domain)));
        Ok(counts)
    }

    /// Refused mails of a send, of one domain or of all, behind a place.
    pub async fn returned_mails(
        &self,
        send: ReturnedSend,
        domain: Option<&str>,
        after: Option<&ReturnedPlace>,
        most: usize,
    ) -> Result<Vec<ReturnedMail>, Failure> {
        let mut mails: Vec<ReturnedMail> = Vec::new();
        let begin = after.map_or(i64::MIN, |(send, ..)| *send);
        for send in self.numbers_of(send).filter(|send| *send >= begin) {
            let behind = after
                .filter(|(begin, ..)| *begin == send)
                .map(|(_, domain, subscriber)| (domain.as_str(), *subscriber));
            let room = most.saturating_sub(mails.len()) as i64;
            let more = self
                .storage
                .returned_mails(send, domain, behind, room)
                .await?;
            mails.extend(more);
            if mails.len() >= most {
                break;
            }
        }
        Ok(mails)
    }

    /// Numbers of the sends; other mails stand under their day, the newest first.
    fn numbers_of(&self, send: ReturnedSend) -> std::ops::RangeInclusive<i64> {
        match send {
            ReturnedSend::Issue(slot) => slot.id()..=slot.id(),
            ReturnedSend::Others => {
                let today = day_of(self.now());
                -today..=OTHER_DAYS - today
            }
        }
    }

    /// The newest issues that went out, with what followed them, the newest first.
    pub async fn newest_issues(&self) -> Result<Vec<IssueFigures>, Failure> {
        let digests = self.storage.digests_before(None, 4 * ISSUES as i64).await?;
        let mut figures = Vec::new();
        let published = digests
            .iter()
            .filter(|digest| digest.published_at.is_some());
        for digest in published.take(ISSUES) {
            figures.push(self.figures_of(digest).await?);
        }
        Ok(figures)
    }

    /// The entry of an address on the suppression list.
    pub async fn suppression_of_address(
        &self,
        email: &EmailAddress,
    ) -> Result<Option<SuppressionEntry>, Failure> {
        let hashes = self.secrets.address_hashes(email);
        Ok(self.storage.suppression(&hashes).await?)
    }

    /// Findings of DNS about the sender, as of the last look.
    pub async fn dns_checks(&self) -> Result<Vec<KeptCheck>, Failure> {
        Ok(self.storage.dns_checks().await?)
    }

    /// Asks DNS, if the last look was an hour ago, and keeps what it says.
    pub(in crate::app) async fn keep_dns_checks(&self, now: Timestamp) -> Result<(), Failure> {
        let kept = self.storage.dns_checks().await?;
        let is_fresh = |check: &KeptCheck| (now - check.checked_at).abs() < DNS_EVERY;
        if kept.first().is_some_and(is_fresh) {
            return Ok(());
        }
        self.look_at_dns(now).await
    }

    /// Asks DNS now, and keeps what it says.
    pub async fn look_at_dns(&self, now: Timestamp) -> Result<(), Failure> {
        let Ok(findings) = tokio::time::timeout(DNS_MAX, self.examine_standing()).await else {
            tracing::debug!("DNS did not answer in time; the last answers are kept");
            return Ok(());
        };
        let findings: Vec<(String, String, String)> = findings
            .into_iter()
            .map(|found| {
                let level = match found.level {
                    Severity::Good => "good",
                    Severity::Advice => "advice",
                    Severity::Fault => "fault",
                };
                (found.what.to_owned(), level.to_owned(), found.words)
            })
            .collect();
        Ok(self.storage.keep_dns_checks(&findings, now).await?)
    }

    /// The records that the sender's domain has to have.
    pub fn dns_records(&self) -> Vec<DnsRecord> {
        let domain = self.from.domain();
        let return_path = self.return_path.with("x");
        let bounce_domain = return_path
            .rsplit_once('@')
            .map_or(domain, |(_, domain)| domain);
        let text = |what, name: String, value: String| DnsRecord {
            what,
            name,
            kind: "TXT",
            value,
        };
        let mut records = vec![text(
            "spf",
            bounce_domain.to_owned(),
            "v=spf1 include:YOUR-RELAY -all".into(),
        )];
        let keys = self.signing.signers().records();
        records.extend(
            keys.into_iter()
                .map(|key| text("dkim", key.name, key.value)),
        );
        records.push(text(
            "dmarc",
            format!("_dmarc.{domain}"),
            "v=DMARC1; p=none".into(),
        ));
        records
    }
}
