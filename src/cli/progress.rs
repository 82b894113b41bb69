//! Progress of a send, for the person who looks: a bar while it is sent, a line of figures and a drawing from elsewhere.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use std::time::Instant;

use super::output::bar_with;
use super::output::lines_instead_of_bars;
use super::output::say;
use crate::app::App;
use crate::app::delivery::RelaySnapshot;
use crate::app::delivery::RelayState;
use crate::app::delivery::SendProgress;
use crate::app::issue::digests::DigestStatus;
use crate::domain::progress::drawn;
use crate::domain::slot::Slot;

/// The widest drawing, in columns.
const WIDEST: usize = 60;
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Interval at which other processes' progress is read, and a line printed where there is no bar.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// A mail that is out for so long is named.
const LONG: Duration = Duration::from_secs(10);

/// Shows how far it is: a bar with rate and time left on a terminal, else a line every few seconds.
///
/// Other processes may send the same digest: the minutes that all write are looked at too, some seconds behind.
pub async fn watch(app: Arc<App>, slot: Slot, progress: Arc<SendProgress>, total: u64) {
    let bar = bar_with(
        total,
        "Sending",
        "{msg} {wide_bar} {human_pos}/{human_len} {per_sec}{prefix}",
    );
    let ended_before = app.storage.ended_by_minutes(slot.id()).await.unwrap_or(0);
    let made = async || {
        app.storage
            .digest(slot)
            .await
            .ok()
            .flatten()
            .map_or(0, |digest| digest.recipients)
    };
    let (made_before, mut total) = (made().await, total);
    let first_total = total;
    let (mut by_all, mut said) = (0, Instant::now());
    let mut said_pause = None;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let pause = paused(&app);
        if pause.is_some() && pause != said_pause {
            said_pause.clone_from(&pause);
            pause
                .into_iter()
                .for_each(|pause| bar.suspend(|| say(pause)));
        }
        let by_us = progress.sent.load(Relaxed) + progress.failed.load(Relaxed);
        bar.set_position(by_us.max(by_all));
        if said.elapsed() < SAY_EVERY {
            continue;
        }
        said = Instant::now();
        // Deliveries are made in ranges, while the first go out.
        total = first_total + u64::try_from(made().await - made_before).unwrap_or(0);
        bar.set_length(total);
        by_all = app
            .storage
            .ended_by_minutes(slot.id())
            .await
            .map_or(by_all, |ended| ended.saturating_sub(ended_before));
        let (outlook, waits) = (
            outlook(&app, slot).await,
            paused(&app).or_else(|| waits_for(&app)),
        );
        bar.set_prefix(outlook.clone());
        if lines_instead_of_bars() {
            say(format_args!(
                "{} of {total} deliveries, {:.0} a second{outlook}",
                bar.position(),
                bar.per_sec()
            ));
            waits.into_iter().for_each(say);
        } else {
            bar.set_message(
                waits.map_or_else(|| "Sending".into(), |waits| format!("Sending; {waits}")),
            );
        }
    }
}

/// Until when sending waits and why, where no relay takes mail for now.
fn paused(app: &App) -> Option<String> {
    let snapshot = app.sending.get()?;
    let is_paused = |relay: &RelaySnapshot| {
        matches!(
            relay.state,
            RelayState::Paused | RelayState::Probing | RelayState::MailTooLarge
        )
    };
    if !snapshot.relays.iter().all(is_paused) {
        return None;
    }
    let first = snapshot
        .relays
        .iter()
        .filter(|relay| relay.until.is_some())
        .min_by_key(|relay| relay.until)?;
    let (until, reason) = (
        app.local_time(first.until?),
        first.reason.as_deref().unwrap_or_default(),
    );
    Some(format!(
        "relay {}: waiting until {until}: {reason}",
        first.name
    ))
}

/// The mail that is out longest, if that is long, and what it waits for.
fn waits_for(app: &App) -> Option<String> {
    let oldest = app.sending.get()?.oldest.clone()?;
    let since = (app.now() - oldest.since)
        .to_std()
        .ok()
        .filter(|since| *since >= LONG)?;
    Some(format!(
        "relay {}: waiting {} for {}",
        oldest.relay,
        span(since),
        oldest.stage.describe()
    ))
}

/// Returns how long the rest takes, or what it waits for: as `digest show` says it. Empty where nobody knows.
async fn outlook(app: &App, slot: Slot) -> String {
    let Ok(status) = app.status(slot).await else {
        return String::new();
    };
    match (&status.stall, status.time_left) {
        (Some(stall), _) => format!("; {}", app.stall_in_words(stall)),
        (None, Some(left)) if status.tally.open() > 0 => {
            format!(", about {} left", span(left.to_std().unwrap_or_default()))
        }
        (None, _) => String::new(),
    }
}

/// Returns what `digest show` says of it, one line each: how far, how fast, how long, and a drawing.
pub fn lines(app: &App, status: &DigestStatus) -> String {
    let ended = status.tally.sent + status.tally.failed + status.tally.skipped;
    let mut text = String::new();
    if let Some(rate) = status.rate_per_minute {
        let percent = (ended * 100)
            .checked_div(u64::try_from(status.digest.recipients).unwrap_or(0))
            .unwrap_or(100);
        let _ = write!(
            text,
            "{ended} of {} are final ({percent} %), {rate:.0} a minute",
            status.digest.recipients
        );
        if let Some(left) = status.time_left.filter(|_| status.tally.open() > 0) {
            let _ = write!(
                text,
                ", about {} left",
                span(left.to_std().unwrap_or_default())
            );
        }
        text.push('\n');
    }
    let (line, each) = drawn(&status.minutes, WIDEST);
    if let (Some(first), Some(last)) = (status.minutes.first(), status.minutes.last()) {
        let bars = if each == 1 {
            "a bar a minute".into()
        } else {
            format!("a bar for {each} minutes")
        };
        let _ = writeln!(
            text,
            "{} |{line}| {}, {bars}",
            app.local_time(first.at),
            app.local_time(last.at)
        );
    }
    text
}

/// `1h 5m`, `3m 20s`: two units are enough.
fn span(left: Duration) -> String {
    let text = humantime::format_duration(Duration::from_secs(left.as_secs())).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}
