//! The relays, tried: whether each answers, takes our login and mails as large as ours, and keeps mail from strangers' eyes.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;
use tokio::time::timeout_at;

use crate::app::App;
use crate::app::check_result::CheckResult;
use crate::app::check_result::Severity;
use crate::app::check_result::advice;
use crate::app::check_result::fault;
use crate::app::check_result::good;
use crate::app::delivery::relay::Relay;
use crate::app::issue::preflight::is_near;
use crate::domain::Timestamp;
use crate::mail::ConnectionLimits;
use crate::mail::SmtpTimeouts;
use crate::mail::Transport;
use crate::mail::WriteDeadline;

/// Time that one look at a relay may take, all its steps together: the longest that a send waits for it. With the rest that `doctor` does
/// it fits into ten seconds, also where the system's name servers are silent.
pub(in crate::app) const LONGEST_LOOK: Duration = Duration::from_secs(8);
/// The same for each step of it, so that a look names the step that failed: some servers greet after six seconds (Postfix's postscreen).
const LONGEST_STEP: Duration = Duration::from_secs(7);
/// Time after which a relay's certain fault is looked at again: the schedule asks each minute, and a login that is
/// refused each minute locks the account.
const LOOK_AGAIN: TimeDelta = TimeDelta::minutes(10);

impl App {
    /// Tries each relay, all at once; one finding for each under `transport`, and advice. `size` is that of a digest's mail, where there is
    /// one.
    pub(in crate::app) async fn examine_relays(&self, size: Option<usize>) -> Vec<CheckResult> {
        let settings = self.settings.mail.relays_in_force();
        let look = |(relay, settings): (&std::sync::Arc<Relay>, &crate::config::RelaySettings)| {
            let (relay, encrypted, now) = (
                relay.clone(),
                self.encrypted(settings.transport.expose()),
                self.now(),
            );
            tokio::spawn(async move {
                let ends_at = Instant::now() + LONGEST_LOOK;
                let found = examine(&relay, size, now, ends_at).await;
                let advice = match encrypted {
                    Some(encrypted) if found.level == Severity::Good => {
                        examine_encryption(&encrypted, ends_at).await
                    }
                    _ => None,
                };
                [Some(found), advice]
            })
        };
        let looks: Vec<_> = self.relays.iter().zip(&settings).map(look).collect();
        let mut findings = Vec::new();
        for look in looks {
            findings.extend(look.await.into_iter().flatten().flatten());
        }
        findings
    }

    /// The relay with a demand for TLS and without a login, where mail goes over a line that others can read and no such demand
    /// is made.
    fn encrypted(&self, transport: &str) -> Option<Transport> {
        let mut url = url::Url::parse(transport).ok()?;
        let demands = |url: &url::Url| {
            url.query_pairs()
                .any(|(key, value)| key == "tls" && value == "required" || key == "tls_ca")
        };
        if url.scheme() != "smtp" || demands(&url) || url.host_str().is_none_or(is_near) {
            return None;
        }
        let port = url.port().unwrap_or(25);
        url.query_pairs_mut().clear().append_pair("tls", "required");
        // Without a port of its own it would be another one.
        url.set_port(Some(port)).ok()?;
        url.set_password(None).ok()?;
        url.set_username("").ok()?;
        let timeouts = SmtpTimeouts {
            connect: LONGEST_LOOK,
            greeting: LONGEST_LOOK,
            command: LONGEST_LOOK,
            data: LONGEST_LOOK,
            finish: LONGEST_LOOK,
        };
        let hello = self
            .settings
            .mail
            .hello
            .as_deref()
            .unwrap_or_else(|| self.settings.host());
        Transport::parse(
            url.as_str(),
            hello,
            timeouts,
            ConnectionLimits {
                mails: 1,
                idle: LONGEST_LOOK,
                takes_ahead: false,
            },
        )
        .ok()
    }
}

async fn examine(
    relay: &Relay,
    size: Option<usize>,
    now: Timestamp,
    ends_at: Instant,
) -> CheckResult {
    let described = relay.transport.describe();
    if relay.transport.mailbox().is_some() {
        return advice(
            "transport",
            format!(
                "{described}: mails stay on this machine; set mail.transport to an SMTP server to really send"
            ),
        );
    }
    if let Some(words) = relay.known_fault(now - LOOK_AGAIN) {
        return fault("transport", words);
    }
    // Each step has a limit; together they may take longer than anybody waits.
    let Ok(connected) = timeout_at(
        ends_at,
        relay
            .transport
            .within(LONGEST_STEP)
            .connect(WriteDeadline::open()),
    )
    .await
    else {
        let words = format!(
            "{described} did not answer within {} seconds",
            LONGEST_LOOK.as_secs()
        );
        return CheckResult {
            may_pass: true,
            ..fault("transport", words)
        };
    };
    match connected {
        Ok(connection) => {
            let too_large = size.and_then(|size| connection.refuses_size(size));
            connection.close().await;
            match too_large {
                Some(words) => fault("transport", words),
                None => good("transport", format!("{described} answers")),
            }
        }
        Err(problem) => {
            if !problem.may_pass() {
                relay.note_fault(problem.to_string(), now);
            }
            CheckResult {
                may_pass: problem.may_pass(),
                ..fault("transport", problem.to_string())
            }
        }
    }
}

/// Returns whether the demand for TLS could be made.
async fn examine_encryption(encrypted: &Transport, ends_at: Instant) -> Option<CheckResult> {
    match timeout_at(ends_at, encrypted.connect(WriteDeadline::open()))
        .await
        .ok()?
    {
        Ok(connection) => {
            connection.close().await;
            Some(advice(
                "tls",
                "the server offers STARTTLS with a certificate that is trusted, and it is not asked for: set tls=required",
            ))
        }
        Err(problem) if problem.is_tls() => Some(advice(
            "tls",
            format!("mails may be read on their way to the server: {problem}"),
        )),
        Err(_) => None,
    }
}
