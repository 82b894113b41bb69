//! Meaning of a mail that came back: for whom, what, why, and by what it can be told whose mail it was an answer to.

use super::named;

named! {
    /// Meaning of a mail for one recipient.
    Classification {
        /// Mail to this address will never arrive: no such mailbox, no such host.
        Hard => "hard",
        /// This mail did not arrive; another one may.
        Soft => "soft",
        /// The reader called our mail spam.
        Complaint => "complaint",
        /// A machine answered for the reader: away, received, read, or "prove that you are human".
        Auto => "auto",
        /// The reader asks to leave.
        Unsubscribe => "unsubscribe",
        /// The reader asks to join.
        Subscribe => "subscribe",
        /// Nothing to act on: a person's answer, a notice of a delay or of success.
        None => "none",
    }
}

named! {
    /// Reason why a mail did not arrive.
    Reason {
        /// There is no such mailbox, or no longer.
        NoMailbox => "no_mailbox",
        /// There is no such mail domain, or it takes no mail (RFC 7505).
        NoHost => "no_host",
        /// The mailbox is full.
        Full => "full",
        /// The mail is too big.
        TooBig => "too_big",
        /// The mailbox is closed for now: locked, suspended, no longer used.
        Locked => "locked",
        /// The reader, or a filter of theirs, refuses our mail.
        Unwanted => "unwanted",
        /// The recipient is refused, and no reason is given.
        Refused => "refused",
        /// Our address, our login, our right to relay, or a loop.
        Sender => "sender",
        /// Refused for its content, or by a rule of the receiver.
        Policy => "policy",
        /// Our server, domain or address is on a list of unwanted ones.
        Blocked => "blocked",
        /// No way to the receiving server, or a loop.
        Network => "network",
        /// Tried for too long.
        Expired => "expired",
        /// Too much at once.
        Rate => "rate",
        /// None of these, or none was given.
        Other => "other",
    }
}

named! {
    /// Kind of soft failure: it decides whether failures in a row end a subscription.
    SoftClass {
        /// About the recipient: full, locked, or the reader refuses us. Counts toward `bounces.soft`.
        Recipient => "recipient",
        /// About us, the relay, this mail, or a passing state: rate, reputation, policy, content, network. Never counts.
        Passing => "passing",
    }
}

named! {
    /// Step at which a mail in a mailbox elsewhere could not be handled.
    MailboxStep {
        /// The server did not hand it out.
        Fetch => "fetch",
        /// It was read, and could not be kept here.
        Keep => "keep",
        /// It was acted on, and could not be marked, deleted or moved.
        Finish => "finish",
    }
}

impl Reason {
    /// The class of a soft failure with this reason.
    pub fn soft_class(self) -> SoftClass {
        match self {
            Self::NoMailbox
            | Self::NoHost
            | Self::Full
            | Self::Locked
            | Self::Unwanted
            | Self::Refused => SoftClass::Recipient,
            Self::TooBig
            | Self::Sender
            | Self::Policy
            | Self::Blocked
            | Self::Network
            | Self::Expired
            | Self::Rate
            | Self::Other => SoftClass::Passing,
        }
    }

    /// The reason in words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::NoMailbox => "there is no such mailbox",
            Self::NoHost => "there is no such domain",
            Self::Full => "the mailbox is full",
            Self::Locked => "the mailbox is closed for now",
            Self::Unwanted => "the reader refuses our mail",
            Self::Refused => "refused without a reason",
            Self::TooBig => "the mail is too large",
            Self::Sender => "our address or login is refused",
            Self::Policy => "refused for its content or by a rule",
            Self::Blocked => "our server or domain is on a block list",
            Self::Network => "no way to the server",
            Self::Expired => "tried for too long",
            Self::Rate => "too much at once",
            Self::Other => "for another reason",
        }
    }

    /// Returns whether mail to the address will never arrive.
    pub fn is_hard(self) -> bool {
        matches!(self, Self::NoMailbox | Self::NoHost)
    }
}

/// An enhanced status code (RFC 3463): `class.subject.detail`, like 5.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct EnhancedStatus {
    /// 2 success, 4 not now, 5 never.
    pub class: u16,
    /// 1 address, 2 mailbox, 3 mail system, 4 network, 5 protocol, 6 content, 7 policy.
    pub subject: u16,
    /// Detail.
    pub detail: u16,
}

impl EnhancedStatus {
    /// Reads a code that stands alone; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |digits: &str| {
            let plain =
                (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        };
        let mut parts = text.split('.');
        let status = Self {
            class: number(parts.next()?)?,
            subject: number(parts.next()?)?,
            detail: number(parts.next()?)?,
        };
        (parts.next().is_none() && matches!(status.class, 2 | 4 | 5) && status.subject <= 7)
            .then_some(status)
    }
}

impl std::fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// Report of a mail on one recipient.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RecipientReport {
    /// The address as the mail writes it; `None` where it was blanked out or never named. Holds no white space or controls.
    pub address: Option<String>,
    /// Its meaning.
    pub meaning: Classification,
    /// The class of a soft failure; `None` for every other meaning.
    pub class: Option<SoftClass>,
    /// Reason of a failure.
    pub reason: Option<Reason>,
    /// The enhanced status code, if one was given.
    pub status: Option<EnhancedStatus>,
    /// The words that it was read from, at most 500 characters.
    pub line: String,
}

/// A mail, read.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ParsedReport {
    /// Its reports; never empty.
    pub findings: Vec<RecipientReport>,
    /// By what it may be told whose it is.
    pub clues: CorrelationIds,
    /// True if anything may be answered to it: not to machines, lists, or nobody (RFC 3834, section 2).
    pub answerable: bool,
    /// True if its author answers a mail, and says yes and nothing else in words of their own.
    pub agrees: bool,
    /// True if what a person answers could be a yes.
    pub may_agree: bool,
    /// True if it asks to leave in its author's words, and not by a report: then it counts only for who wrote it.
    pub in_words: bool,
    /// True if a person's own words speak of leaving, whatever they say of it.
    pub speaks_of_leaving: bool,
    /// The same for the same mail, whatever way it came and whatever was noted on it on the way: 32 hexadecimal digits.
    pub fingerprint: String,
}

/// Identifiers of ours in a mail, unchecked: whatever is acted on must be checked first.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CorrelationIds {
    /// Addresses that it was sent to, or that the mail it is about was sent from: one may be a return path of ours.
    pub addressed: Vec<String>,
    /// Texts that may be tokens of our links, wherever they stand.
    pub tokens: Vec<String>,
    /// Those of them that stand in its subject or in its author's own lines, outside what is quoted.
    pub own_tokens: Vec<String>,
    /// Findings of servers on the way about its author, the newest first.
    pub authenticated: Vec<Authenticated>,
    /// Ids of the mails that it is about, without angle brackets.
    pub message_ids: Vec<String>,
    /// Its own author.
    pub author: Option<String>,
    /// Its own subject.
    pub subject: String,
}

/// Judgement of a server on a mail's author: it believes that the mail is from the domain of the author's address (DMARC), or not.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Authenticated {
    /// The name by which the server signs its results (RFC 8601, 2.5: authserv-id), in lower case.
    pub receiver: String,
    /// Its result; none if it does not say.
    pub passed: Option<bool>,
}

named! {
    /// The weight of a refusal for the reader whose mail was refused.
    RefusalClass {
        /// Mail to the address can never arrive: counts toward `bounces.hard`.
        Hard => "hard",
        /// The mailbox exists and did not take the mail (full, locked, refused by the reader): counts toward `bounces.soft`.
        Recipient => "recipient",
        /// About us, the relay or a passing state: never counts.
        Passing => "passing",
    }
}

impl RefusalClass {
    /// Class of a finding that says that a mail did not arrive; `None` of any other.
    pub fn of(finding: &RecipientReport) -> Option<Self> {
        match (finding.meaning, finding.class) {
            (Classification::Hard, _) => Some(Self::Hard),
            (Classification::Soft, Some(class)) => Some(class.into()),
            (Classification::Soft, None) => Some(Self::Passing),
            _ => None,
        }
    }
}

impl From<SoftClass> for RefusalClass {
    fn from(class: SoftClass) -> Self {
        match class {
            SoftClass::Recipient => Self::Recipient,
            SoftClass::Passing => Self::Passing,
        }
    }
}

/// Action on the subscriber whom a mail is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BounceAction {
    /// It counts as a refusal of that class, and may end the subscription as `bounced`.
    Refused(RefusalClass),
    /// It ends at once, and for ever.
    Complained,
    /// It ends as the reader wishes.
    Unsubscribed,
    /// Nothing but the record of it.
    Recorded,
}

impl RecipientReport {
    /// Returns what it leads to.
    pub fn consequence(&self) -> BounceAction {
        match (self.meaning, RefusalClass::of(self)) {
            (_, Some(class)) => BounceAction::Refused(class),
            (Classification::Complaint, _) => BounceAction::Complained,
            (Classification::Unsubscribe, _) => BounceAction::Unsubscribed,
            _ => BounceAction::Recorded,
        }
    }
}

/// Returns how much a meaning says against an address. Of what several targets of one alias answer, the least holds for the alias.
pub fn severity(meaning: Classification, class: Option<SoftClass>) -> u8 {
    match (meaning, class) {
        (Classification::Hard, _) => 3,
        (Classification::Soft, Some(SoftClass::Recipient)) => 2,
        (Classification::Soft, _) => 1,
        _ => 0,
    }
}

impl CorrelationIds {
    /// Returns whether there is anything that could tell whose mail it is.
    pub fn is_empty(&self) -> bool {
        self.addressed.is_empty() && self.tokens.is_empty() && self.message_ids.is_empty()
    }
}

impl ParsedReport {
    /// Returns whether it would change something if it were known whose it is.
    pub fn would_act(&self) -> bool {
        let acts = |finding: &RecipientReport| finding.consequence() != BounceAction::Recorded;
        !self.clues.is_empty() && (self.findings.iter().any(acts) || self.agrees && self.answerable)
    }

    /// Returns what a mail about a subscriber means for them. A mail of ours goes to one reader: other addresses in the report are
    /// those that theirs is passed on to, and of several of those one that is gone says little about the reader.
    pub fn about(&self, email: &str) -> Option<&RecipientReport> {
        let named = |finding: &&RecipientReport| {
            finding
                .address
                .as_ref()
                .is_some_and(|address| address.to_lowercase() == email.to_lowercase())
        };
        let mildest = |finding: &&RecipientReport| severity(finding.meaning, finding.class);
        self.findings
            .iter()
            .find(named)
            .or_else(|| self.findings.iter().min_by_key(mildest))
    }
}

#[cfg(test)]
mod policy_tests {
    use super::*;

    fn finding(address: &str, meaning: Classification) -> RecipientReport {
        RecipientReport {
            address: Some(address.into()),
            meaning,
            class: None,
            reason: None,
            status: None,
            line: String::new(),
        }
    }

    #[test]
    fn one_of_several_that_a_readers_mail_is_passed_on_to_does_not_end_a_subscription() {
        let reading = |findings| ParsedReport {
            findings,
            ..ParsedReport::default()
        };
        let meaning = |reading: &ParsedReport| {
            reading
                .about("ada@example.org")
                .map(|finding| finding.meaning)
        };
        let others = reading(vec![
            finding("a@x.example", Classification::Hard),
            finding("b@x.example", Classification::None),
        ]);
        assert_eq!(meaning(&others), Some(Classification::None));
        let own = reading(vec![
            finding("b@x.example", Classification::None),
            finding("ADA@example.org", Classification::Hard),
        ]);
        assert_eq!(meaning(&own), Some(Classification::Hard));
        assert_eq!(
            meaning(&reading(vec![finding("a@x.example", Classification::Hard)])),
            Some(Classification::Hard)
        );
    }

    #[test]
    fn each_meaning_has_its_consequence() {
        let of = |meaning, class| {
            RecipientReport {
                class,
                ..finding("a@x.example", meaning)
            }
            .consequence()
        };
        assert_eq!(
            of(Classification::Hard, None),
            BounceAction::Refused(RefusalClass::Hard)
        );
        assert_eq!(
            of(Classification::Soft, Some(SoftClass::Recipient)),
            BounceAction::Refused(RefusalClass::Recipient)
        );
        for class in [Some(SoftClass::Passing), None] {
            assert_eq!(
                of(Classification::Soft, class),
                BounceAction::Refused(RefusalClass::Passing)
            );
        }
        assert_eq!(
            of(Classification::Complaint, None),
            BounceAction::Complained
        );
        for harmless in [
            Classification::Auto,
            Classification::Subscribe,
            Classification::None,
        ] {
            assert_eq!(of(harmless, None), BounceAction::Recorded);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::EnhancedStatus;

    #[test]
    fn a_status_is_read_whole_or_not_at_all() {
        let text = |text| EnhancedStatus::parse(text).map(|status| status.to_string());
        assert_eq!(
            (text("5.1.1"), text("4.7.650")),
            (Some("5.1.1".into()), Some("4.7.650".into()))
        );
        for bad in [
            "", "5", "5.1", "5.1.1.1", "3.1.1", "5.8.1", "5.1.1234", "5.+1.1", "5..1", "٥.1.1",
        ] {
            assert_eq!(text(bad), None, "{bad:?}");
        }
    }
}
