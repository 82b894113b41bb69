//! Floor 2: logs to stderr and figures for `/metrics`.

use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_exporter_prometheus::PrometheusHandle;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// Changes the level of the lines; `None` where the environment sets it.
type SetLevel = Box<dyn Fn(&str) + Send + Sync>;
static SET_LEVEL: std::sync::OnceLock<SetLevel> = std::sync::OnceLock::new();

/// Logs to stderr from `level` up; `VERDICTS_LOG` (like `debug` or `verdicts::app=trace`) overrides it. A second call
/// changes nothing.
pub fn log_to_stderr(level: &str) {
    let own = std::env::var("VERDICTS_LOG")
        .ok()
        .and_then(|text| EnvFilter::try_new(text).ok());
    let is_fixed = own.is_some();
    let filter = own.unwrap_or_else(|| filter_of(level));
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .with_target(false)
        .with_ansi(is_terminal)
        .with_filter_reloading();
    let handle = logs.reload_handle();
    // Fails only where a subscriber is set already, which is then the one that was wanted.
    if logs.finish().try_init().is_ok() && !is_fixed {
        let set: SetLevel = Box::new(move |level| {
            let _ = handle.reload(filter_of(level));
        });
        let _ = SET_LEVEL.set(set);
    }
}

fn filter_of(level: &str) -> EnvFilter {
    EnvFilter::new(format!("warn,verdicts={level}"))
}

/// Logs from `level` up from now on, unless `VERDICTS_LOG` says what is logged.
pub fn set_level(level: &str) {
    if let Some(set) = SET_LEVEL.get() {
        set(level);
    }
}

/// The process's figures, in Prometheus' text format. One per process: the first call installs the recorder.
pub fn metrics_handle() -> &'static PrometheusHandle {
    static HANDLE: std::sync::OnceLock<PrometheusHandle> = std::sync::OnceLock::new();
    HANDLE.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        // Fails only where another recorder is set already: then these figures stay empty and nothing else is lost.
        let _ = metrics::set_global_recorder(recorder);
        describe();
        handle
    })
}

fn describe() {
    metrics::describe_counter!("verdicts_sign_ups_total", "Valid sign-up requests");
    metrics::describe_counter!(
        "verdicts_confirmations_total",
        "Sign-ups that became subscriptions"
    );
    metrics::describe_counter!(
        "verdicts_unsubscribes_total",
        "Subscriptions that ended by the link"
    );
    metrics::describe_counter!(
        "verdicts_deliveries_total",
        "Delivery attempts of all processes by kind of mail and outcome, since the database was made"
    );
    metrics::describe_gauge!(
        "verdicts_open_deliveries",
        "Deliveries of digests that are being sent or paused, by state"
    );
    metrics::describe_counter!("verdicts_inbound_total", "What came back, by what it means");
    metrics::describe_counter!(
        "verdicts_inbound_links_total",
        "Mails that were not acted on and answered with a link, by kind of link"
    );
    metrics::describe_counter!(
        "verdicts_refusals_total",
        "Refused mails by class: hard, recipient (soft, counts), passing (never counts)"
    );
    metrics::describe_gauge!(
        "verdicts_bounces_held",
        "Readers whose hard refusals the brake holds until a person decides"
    );
    metrics::describe_gauge!(
        "verdicts_last_backup_timestamp_seconds",
        "Time of the last backup that `verdicts backup` made (Unix time); 0: none"
    );
    metrics::describe_gauge!(
        "verdicts_mails_set_aside",
        "Mails in the mailbox of inbound.imap that could not be handled and are tried again later"
    );
    for link in ["leave", "leave_by_other", "confirm"] {
        metrics::counter!("verdicts_inbound_links_total", "link" => link).increment(0);
    }
    for class in ["hard", "recipient", "passing"] {
        metrics::counter!("verdicts_refusals_total", "class" => class).increment(0);
    }
    metrics::gauge!("verdicts_bounces_held").set(0);
    metrics::describe_counter!(
        "verdicts_webhooks_total",
        "What providers sent, by provider and what became of it"
    );
    metrics::describe_counter!(
        "verdicts_webhook_requests_total",
        "Requests to webhook endpoints: taken or failed"
    );
    for result in ["taken", "failed"] {
        metrics::counter!("verdicts_webhook_requests_total", "result" => result).increment(0);
    }
    metrics::describe_counter!("verdicts_requests_total", "HTTP requests by status class");
    describe_sending();
}

/// Gauges of mail that does not go out.
fn describe_sending() {
    metrics::describe_gauge!(
        "verdicts_sending_stalled_seconds",
        "How long mail that is due does not go out; 0: it goes out, or none is due"
    );
    metrics::describe_gauge!(
        "verdicts_sending_stalled_until_seconds",
        "When what mail waits for may be over (Unix time); 0: not known"
    );
    metrics::describe_gauge!(
        "verdicts_sending_waits",
        "1 for each reason why mail that is due does not go out"
    );
    metrics::describe_gauge!(
        "verdicts_digests_missed",
        "Digests that were due to be picked or sent more than 5 minutes ago and were not"
    );
    metrics::describe_gauge!(
        "verdicts_clock_skew_seconds",
        "This machine's clock less PostgreSQL's"
    );
    metrics::gauge!("verdicts_sending_stalled_seconds").set(0);
    metrics::gauge!("verdicts_digests_missed").set(0);
    metrics::describe_gauge!(
        "verdicts_breaker_open",
        "1 while sending is paused because of the relay or our settings"
    );
}
