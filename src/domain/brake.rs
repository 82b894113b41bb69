//! The brake: limits on how many readers one send may end, and the likeness of refusals that are judged together.
//!
//! A provider's bad hour looks like a thousand dead mailboxes. It differs from a thousand dead mailboxes in that it hits most of what one
//! domain (or one relay) was sent, with the same words. Such refusals are held until a person or a later send has confirmed them.

use chrono::TimeDelta;

use super::named;

named! {
    /// The scope of a held lot.
    HeldBy {
        /// The refusals of one recipient domain.
        Domain => "domain",
        /// The refusals of many domains that came by one relay.
        Relay => "relay",
    }
}

named! {
    /// A person's decision about held refusals.
    Decision {
        /// They are right: the subscriptions end.
        Accepted => "accepted",
        /// They are wrong: the subscriptions go on, and the refusals count no more.
        Dismissed => "dismissed",
    }
}

named! {
    /// Outcome of a refusal that may end a subscription.
    RefusalOutcome {
        /// It waits to be judged with others like it.
        Waiting => "waiting",
        /// It ended the subscription.
        Ended => "ended",
        /// It does not count: an operator said so.
        Dismissed => "dismissed",
        /// It no longer matters: a later digest arrived, or the subscription ended otherwise.
        Released => "released",
    }
}

named! {
    /// State of a group of refusals that are judged together.
    RefusalGroupState {
        /// It gathers refusals.
        Open => "open",
        /// It waits for an operator, or for a later send.
        Held => "held",
        /// Its subscriptions are being ended.
        Ending => "ending",
        /// Its refusals are being dismissed.
        Dropping => "dropping",
        /// Nothing is left to do.
        Done => "done",
    }
}

/// Limits of the brake: `bounces.brake_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brake {
    /// Hard refusals with like words at one domain from which they may be held; 0: no brake.
    pub count: u32,
    /// Per cent of the domain's (or relay's) mails in that send from which they are held.
    pub share: u32,
    /// Domains that refuse alike by one relay from which the relay's refusals are held.
    pub domains: u32,
    /// Wait for further reports after the first, before they are judged.
    pub wait: TimeDelta,
}

impl Brake {
    /// Returns whether the settings turn the brake off.
    pub fn is_off(self) -> bool {
        self.count == 0
    }

    /// Returns whether a digest with that many recipients is too small for the brake, so that nothing needs to wait. 0: not known.
    pub fn is_never_reached(self, recipients: i64) -> bool {
        self.is_off() || (1..i64::from(self.count)).contains(&recipients)
    }

    /// Returns whether `hard` refusals out of a domain's `mails` are held. Mails that were not counted (a process was killed before it
    /// wrote its counts) only make the share larger: the error is on the reader's side.
    pub fn holds_domain(self, hard: i64, mails: i64) -> bool {
        !self.is_off() && hard >= i64::from(self.count) && self.is_share(hard, mails)
    }

    /// Returns whether `hard` refusals from that many `domains` out of a relay's `mails` are held.
    pub fn holds_relay(self, domains: i64, hard: i64, mails: i64) -> bool {
        !self.is_off()
            && hard >= i64::from(self.count)
            && domains >= i64::from(self.domains)
            && self.is_share(hard, mails)
    }

    fn is_share(self, hard: i64, mails: i64) -> bool {
        hard.saturating_mul(100) >= mails.max(hard).saturating_mul(i64::from(self.share))
    }
}

/// Time at which refusals end a subscription: `[bounces]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BouncePolicy {
    /// Digests in a row that were refused because there is no such mailbox; 0: never.
    pub hard: u32,
    /// Digests in a row that were refused for a reason that lies with the recipient; 0: never.
    pub soft: u32,
    /// Limits on how many one send may end.
    pub brake: Brake,
}

/// Words kept of a reply: ids and host names stand at its end.
const WORDS: usize = 12;
/// Longest word, in characters; a longer one of ASCII is an id.
const LONGEST_WORD: usize = 24;
/// Longest result, in bytes.
const LONGEST: usize = 120;

/// The words of a reply without what differs from reader to reader or server to server: addresses, host names, numbers, codes, ids, and
/// the reader's own name. Two replies with the same result are alike.
pub fn like_words(reply: &str, email: &str) -> String {
    let (reply, email) = (reply.to_lowercase(), email.to_lowercase());
    let (local, domain) = email.rsplit_once('@').unwrap_or((&email, ""));
    let is_break = |c: char| c.is_whitespace() || "<>()[]{},;:\"'`|=*".contains(c);
    let mut text = String::new();
    let words = without_channel(&reply)
        .split(is_break)
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    let differs = |word: &str| {
        word.is_empty()
            || word == local
            || word == domain
            || word
                .chars()
                .any(|c| c.is_numeric() || "@._/\\+&%#".contains(c))
            || (word.is_ascii() && word.len() > LONGEST_WORD)
    };
    for word in words.filter(|word| !differs(word)).take(WORDS) {
        let word: String = word.chars().take(LONGEST_WORD).collect();
        if text.len() + word.len() >= LONGEST {
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&word);
    }
    text
}

/// The reply without the names of the channel it came by: `ses: `, `smtp; `.
fn without_channel(mut reply: &str) -> &str {
    for _ in 0..2 {
        let reply_of = |end: char| {
            let (name, rest) = reply.split_once(end)?;
            let is_name = (2..=12).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            is_name.then(|| rest.trim_start())
        };
        match reply_of(';').or_else(|| reply_of(':')) {
            Some(rest) => reply = rest,
            None => break,
        }
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brake() -> Brake {
        Brake {
            count: 10,
            share: 10,
            domains: 50,
            wait: TimeDelta::hours(1),
        }
    }

    #[test]
    fn replies_to_different_readers_are_alike() {
        let like = |reply: &str, email: &str| like_words(reply, email);
        let first = like(
            "550 5.1.1 <ada@big.example> User unknown (id 7f3a-99) mx1.big.example",
            "ada@big.example",
        );
        assert_eq!(first, "user unknown id");
        assert_eq!(
            like(
                "550-5.1.1 <bob.x@big.example>: User unknown (id 1c-2) mx2.big.example",
                "bob.x@big.example"
            ),
            first
        );
        assert_eq!(
            like("smtp; 550 5.1.1 User ada unknown", "ada@a.example"),
            "user unknown"
        );
        assert_eq!(
            like("ses: smtp; 550 5.1.1 User unknown", "ada@a.example"),
            "user unknown"
        );
        assert_eq!(like("550 User unknown", "eve@b.example"), "user unknown");
        assert_ne!(
            like("550 mailbox disabled", "eve@b.example"),
            "user unknown"
        );
        assert_eq!(like("550 5.1.1", "eve@b.example"), "");
        assert_eq!(
            like("550 ユーザーが見つかりません", "eve@b.example"),
            "ユーザーが見つかりません"
        );
        assert!(like(&"öäü ".repeat(400), "eve@b.example").len() <= LONGEST);
    }

    #[test]
    fn a_domain_is_held_by_count_and_share() {
        let brake = brake();
        assert!(
            brake.holds_domain(1_000, 1_000)
                && brake.holds_domain(10, 100)
                && brake.holds_domain(50, 0)
        );
        assert!(!brake.holds_domain(9, 9), "too few");
        assert!(
            !brake.holds_domain(200, 10_000),
            "two per cent of a webmail provider's mailboxes are dead at any time"
        );
        assert!(!Brake { count: 0, ..brake }.holds_domain(1_000, 1_000));
        assert!(
            brake.is_never_reached(9) && !brake.is_never_reached(10) && !brake.is_never_reached(0)
        );
    }

    #[test]
    fn a_relay_is_held_when_many_domains_refuse_alike() {
        let brake = brake();
        assert!(brake.holds_relay(300, 300, 300) && brake.holds_relay(50, 60, 600));
        assert!(!brake.holds_relay(20, 20, 20) && !brake.holds_relay(300, 300, 30_000));
    }
}
