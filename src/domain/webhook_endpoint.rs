//! Webhook endpoints: addresses of other programs that events are sent to, and when a request is tried again.

use chrono::TimeDelta;

use super::Timestamp;
use super::event::EventPattern;

super::named! {
    /// Reason why an endpoint is disabled.
    DisabledReason {
        /// It answered 410: it wants no more.
        Gone => "gone",
        /// Nothing succeeded for five days.
        Failing => "failing",
        /// An owner disabled it.
        Operator => "operator",
    }
}

super::named! {
    /// State of an event on its way to an endpoint.
    WebhookDeliveryState {
        /// Waits for its time, or to be tried again.
        Queued => "queued",
        /// Answered with success.
        Sent => "sent",
        /// Given up after the last attempt.
        Failed => "failed",
        /// Never sent by itself: a replay or a test.
        Asked => "asked",
    }
}

/// Name and wishes of an endpoint, as somebody types them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointDraft {
    /// Name, for people.
    pub name: String,
    /// Address.
    pub url: String,
    /// Kinds of events that it takes.
    pub kinds: Vec<EventPattern>,
    /// True if events are sent strictly in their order, one at a time.
    pub ordered: bool,
    /// True if events carry addresses.
    pub personal: bool,
    /// True if requests are signed by ed25519 too.
    pub ed25519: bool,
}

/// A webhook endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEndpoint {
    /// Number of its row; it never leaves the process.
    pub id: i64,
    /// Name and wishes.
    pub draft: EndpointDraft,
    /// Time when it was made.
    pub created_at: Timestamp,
    /// Time at which it was disabled, and why.
    pub disabled: Option<(Timestamp, DisabledReason)>,
    /// Time since which nothing succeeded.
    pub failing_since: Option<Timestamp>,
    /// Time until which the secret of before the last rotation signs too.
    pub rotating_until: Option<Timestamp>,
    /// Time before which the endpoint asked not to be called.
    pub not_before: Option<Timestamp>,
    /// What its secrets are drawn from.
    pub seeds: EndpointSeeds,
}

/// What the secrets of an endpoint are drawn from, together with `site.secret`.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointSeeds {
    /// Of the secret.
    pub secret: String,
    /// Of the secret of before the last rotation.
    pub previous_secret: Option<String>,
    /// Of the ed25519 key.
    pub key: Option<String>,
    /// Of the key of before the last rotation.
    pub previous_key: Option<String>,
}

impl std::fmt::Debug for EndpointSeeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EndpointSeeds(***)")
    }
}

/// Requests that are under way to one endpoint at most.
pub const IN_FLIGHT_MAX: usize = 4;

/// Time for which a secret of before a rotation still signs.
pub const ROTATION: TimeDelta = TimeDelta::hours(24);

/// Time without a success after which an endpoint is disabled.
pub const FAILING_MAX: TimeDelta = TimeDelta::days(5);

/// Pauses after each failed attempt, as the specification of Standard Webhooks advises: about three days in all.
const PAUSES: [TimeDelta; 9] = [
    TimeDelta::seconds(5),
    TimeDelta::minutes(5),
    TimeDelta::minutes(30),
    TimeDelta::hours(2),
    TimeDelta::hours(5),
    TimeDelta::hours(10),
    TimeDelta::hours(14),
    TimeDelta::hours(20),
    TimeDelta::hours(24),
];

/// Upper bound on a `Retry-After` that is obeyed.
const RETRY_AFTER_MAX: TimeDelta = TimeDelta::hours(24);

/// Pause of a whole endpoint that says that it is overloaded, and not for how long.
const OVERLOADED: TimeDelta = TimeDelta::seconds(5);

/// Answer to a request, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointAnswer {
    /// Status.
    pub status: u16,
    /// Text of `Retry-After`.
    pub retry_after: Option<String>,
    /// First KiB of the body.
    pub body: String,
}

impl EndpointAnswer {
    /// Returns whether the endpoint took the event: any 2xx. A redirect is none: it was not followed.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns whether the endpoint wants no more events.
    pub fn is_gone(&self) -> bool {
        self.status == 410
    }

    /// Time for which the endpoint is to be left alone: what it says in `Retry-After`, up to a day, or a little while if it is overloaded.
    pub fn asks_to_wait(&self, now: Timestamp) -> Option<TimeDelta> {
        let said = self
            .retry_after
            .as_deref()
            .and_then(|text| wait_of(text, now));
        let overloaded = matches!(self.status, 429 | 502 | 504).then_some(OVERLOADED);
        let wait = if self.is_success() {
            None
        } else {
            said.or(overloaded)
        };
        wait.map(|wait| wait.clamp(TimeDelta::zero(), RETRY_AFTER_MAX))
    }
}

/// `Retry-After`: seconds, or a date (RFC 9110, 10.2.3).
fn wait_of(text: &str, now: Timestamp) -> Option<TimeDelta> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a day has are a day.
        let seconds = text.parse().unwrap_or(i64::from(u32::MAX));
        return TimeDelta::try_seconds(seconds).or(Some(RETRY_AFTER_MAX));
    }
    let at = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    Some(at.to_utc() - now)
}

/// Time until the next attempt after so many failed ones; `None` after the last. `jitter`: from -1 to 1, for up to a tenth more or less.
pub fn pause_after(attempts: u32, jitter: f64) -> Option<TimeDelta> {
    let pause = *PAUSES.get(attempts.checked_sub(1)? as usize)?;
    let share = (pause.num_milliseconds() as f64 * 0.1 * jitter.clamp(-1.0, 1.0)) as i64;
    Some(pause + TimeDelta::milliseconds(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<&str>) -> EndpointAnswer {
        EndpointAnswer {
            status,
            retry_after: retry_after.map(str::to_owned),
            body: String::new(),
        }
    }

    #[test]
    fn an_event_is_tried_ten_times_over_about_three_days() {
        let pauses: Vec<TimeDelta> = (1..).map_while(|n| pause_after(n, 0.0)).collect();
        assert_eq!(pauses.len(), 9);
        let sum: TimeDelta = pauses.iter().sum();
        assert!(
            (TimeDelta::hours(75)..TimeDelta::hours(76)).contains(&sum),
            "{sum}"
        );
        assert_eq!(pause_after(0, 0.0), None);
        assert_eq!(pause_after(2, 1.0), Some(TimeDelta::seconds(330)));
        assert_eq!(pause_after(2, -9.0), Some(TimeDelta::seconds(270)));
    }

    #[test]
    fn an_endpoint_is_left_alone_for_as_long_as_it_says_up_to_a_day() {
        let now = "2026-11-24T09:00:00Z".parse().expect("a timestamp");
        let wait = |status, text| answer(status, text).asks_to_wait(now);
        assert_eq!(wait(429, Some("120")), Some(TimeDelta::seconds(120)));
        assert_eq!(wait(503, Some(" 7 ")), Some(TimeDelta::seconds(7)));
        assert_eq!(
            wait(429, Some("Tue, 24 Nov 2026 09:01:00 GMT")),
            Some(TimeDelta::seconds(60))
        );
        assert_eq!(
            wait(429, Some("Tue, 24 Nov 2026 08:00:00 GMT")),
            Some(TimeDelta::zero())
        );
        for long in ["999999", "99999999999999999999999999"] {
            assert_eq!(wait(429, Some(long)), Some(TimeDelta::hours(24)), "{long}");
        }
        for nonsense in ["", "soon", "-5", "1.5"] {
            assert_eq!(wait(500, Some(nonsense)), None, "{nonsense}");
            assert_eq!(wait(429, Some(nonsense)), Some(OVERLOADED), "{nonsense}");
        }
        assert_eq!(wait(504, None), Some(OVERLOADED));
        assert_eq!(wait(200, Some("120")), None);
    }

    #[test]
    fn only_2xx_is_success() {
        let good: Vec<u16> = (100..600)
            .filter(|status| answer(*status, None).is_success())
            .collect();
        assert_eq!(good, (200..300).collect::<Vec<_>>());
    }
}
