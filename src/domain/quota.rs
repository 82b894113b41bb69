//! Quotas on mails that a stranger can cause: how many of something fit into a time, and under which name an address counts.

use chrono::TimeDelta;

use super::Timestamp;
use super::address::EmailAddress;

/// At most `max` of something in `window`: all at once if need be, then one each `window / max`. This is the generic cell rate
/// algorithm, whose whole state is one timestamp, so that a quota is one row however much is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// Key that is counted: a keyed hash, which names nobody.
    pub key: String,
    /// Upper bound in `window`; 0 allows nothing.
    pub max: u32,
    /// The time that `max` of them use up.
    pub window: TimeDelta,
}

impl Quota {
    /// Takes one at `now` from a quota that is used until `used_until`. Returns the timestamp until which it is used then; the error
    /// is how long to wait.
    ///
    /// # Errors
    /// When the quota is used up.
    pub fn take(
        &self,
        used_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Timestamp, TimeDelta> {
        if self.max == 0 {
            return Err(self.window);
        }
        let one = self.window / i32::try_from(self.max).unwrap_or(i32::MAX);
        // A clock that ran ahead and was set back leaves no longer wait than a quota that is used up.
        let from = used_until.map_or(now, |until| until.clamp(now, now + self.window));
        // Division leaves up to `max` milliseconds over: the last of `max` still fits.
        let (next, end) = (from + one, now + self.window);
        if next <= end {
            Ok(next)
        } else {
            Err(next - end)
        }
    }
}

/// Domains whose mailboxes are one whether a dot stands in the part before the @ or not, as one name.
const DOTLESS: [(&str, &str); 2] = [("gmail.com", "gmail.com"), ("googlemail.com", "gmail.com")];

/// Returns the name under which all spellings of one mailbox count: what follows a plus is cut (RFC 5233 subaddresses, which most
/// providers deliver to the same mailbox), and dots where the provider is known to ignore them. For counting only, never for sending.
pub fn mailbox_key(address: &EmailAddress) -> String {
    let key = address.key();
    let (local, domain) = key.rsplit_once('@').unwrap_or((&key, ""));
    let local = local
        .strip_prefix('"')
        .and_then(|inner| inner.strip_suffix('"'))
        .unwrap_or(local);
    // A plus at the beginning separates nothing.
    let local = local
        .char_indices()
        .find(|(at, c)| *at > 0 && *c == '+')
        .map_or(local, |(at, _)| &local[..at]);
    match DOTLESS.iter().find(|(known, _)| *known == domain) {
        Some((_, name)) => format!("{}@{name}", local.replace('.', "")),
        None => format!("{local}@{domain}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_gives_its_number_at_once_and_then_one_at_a_time() {
        let start: Timestamp = "2026-11-24T07:30:00Z".parse().expect("a timestamp");
        let quota = Quota {
            key: String::new(),
            max: 3,
            window: TimeDelta::hours(1),
        };
        let mut used = None;
        for _ in 0..3 {
            used = Some(quota.take(used, start).expect("it fits"));
        }
        assert_eq!(quota.take(used, start), Err(TimeDelta::minutes(20)));
        assert!(quota.take(used, start + TimeDelta::minutes(19)).is_err());
        let used = quota
            .take(used, start + TimeDelta::minutes(20))
            .expect("it fits");
        assert!(
            quota
                .take(Some(used), start + TimeDelta::minutes(20))
                .is_err()
        );
        assert!(
            quota
                .take(Some(start + TimeDelta::days(900)), start)
                .is_err_and(|wait| wait <= TimeDelta::hours(1)),
            "a clock set back"
        );
        assert!(Quota { max: 0, ..quota }.take(None, start).is_err());
        let odd = Quota {
            key: String::new(),
            max: 7,
            window: TimeDelta::milliseconds(1_000),
        };
        let all = (0..7).try_fold(None, |used, _| odd.take(used, start).map(Some));
        assert!(all.is_ok_and(|used| odd.take(used, start).is_err()));
    }

    #[test]
    fn spellings_of_one_mailbox_are_one() {
        let key = |text: &str| mailbox_key(&text.parse().expect("an address"));
        for same in [
            "ada.love@gmail.com",
            "adalove@googlemail.com",
            "A.D.A.love+x.y@GMAIL.com",
            "\"ada.love+a\"@gmail.com",
        ] {
            assert_eq!(key(same), "adalove@gmail.com", "{same}");
        }
        assert_eq!(key("ada.love+news@example.org"), "ada.love@example.org");
        assert_eq!(key("+ada@example.org"), "+ada@example.org");
        assert_ne!(
            key("adalove@example.org"),
            key("ada.love@example.org"),
            "elsewhere a dot tells two people apart"
        );
    }
}
