//! `webhooks` and `events`: endpoints that are told of events, what was sent to them, and the feed.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::output::Output;
use super::output::parse_moment;
use super::output::say;
use crate::app::App;
use crate::app::Failure;
use crate::app::webhooks_out::ReplayRange;
use crate::app::webhooks_out::TypedEndpoint;
use crate::app::webhooks_out::views::WebhookAttemptView;
use crate::app::webhooks_out::views::WebhookDeliveryView;
use crate::app::webhooks_out::views::WebhookEndpointView;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::event::EventKind;
use crate::domain::secret::Secret;
use crate::domain::webhook_endpoint::WebhookDeliveryState;
use crate::domain::webhook_endpoint::WebhookEndpoint;

#[derive(Debug, clap::Subcommand)]
pub enum WebhooksCommand {
    /// List the webhook endpoints
    List,
    /// Add an endpoint, and print the secret that its requests are signed with
    Add {
        /// Name, for people
        name: String,
        /// Address that events are posted to: https, or http at a host that webhooks_out.allow_private names
        url: String,
        /// Kinds of events, like digest.sent,vote.cast; an area like digest.*; * for all
        #[arg(long, value_delimiter = ',', required = true, value_name = "KIND,...")]
        kinds: Vec<String>,
        /// Send events strictly in their order, one at a time
        #[arg(long)]
        ordered: bool,
        /// Put addresses of subscribers into events about them
        #[arg(long)]
        personal: bool,
        /// Sign by ed25519 too
        #[arg(long)]
        ed25519: bool,
    },
    /// Change an endpoint; what is not named stays
    Edit {
        #[command(flatten)]
        endpoint: EndpointArgument,
        /// Another name
        #[arg(long, value_name = "NAME")]
        rename: Option<String>,
        /// Another address
        #[arg(long)]
        url: Option<String>,
        /// Other kinds of events
        #[arg(long, value_delimiter = ',', value_name = "KIND,...")]
        kinds: Option<Vec<String>>,
        /// Whether events are sent strictly in their order
        #[arg(long, value_name = "true|false")]
        ordered: Option<bool>,
        /// Whether events about subscribers carry their addresses
        #[arg(long, value_name = "true|false")]
        personal: Option<bool>,
        /// Whether requests are signed by ed25519 too
        #[arg(long, value_name = "true|false")]
        ed25519: Option<bool>,
    },
    /// Remove an endpoint and its log
    Remove(EndpointArgument),
    /// Send a test event now, and print the answer; fails if the endpoint does not take it
    Test(EndpointArgument),
    /// Make another secret and print it; the one of before signs too for 24 hours
    Rotate(EndpointArgument),
    /// Send events to a disabled endpoint again
    Enable(EndpointArgument),
    /// Send no events to an endpoint until it is enabled
    Disable(EndpointArgument),
    /// Show what was sent to an endpoint, newest first
    Deliveries {
        #[command(flatten)]
        endpoint: EndpointArgument,
        /// Only those in this state: queued, sent, failed or asked
        #[arg(long)]
        state: Option<WebhookDeliveryState>,
        /// This event alone: its body and each answer
        #[arg(long, value_name = "ID", conflicts_with = "state")]
        event: Option<String>,
        /// Number of events
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
    },
    /// Send events to an endpoint once more, with the same ids, also if it is disabled
    Replay {
        #[command(flatten)]
        endpoint: EndpointArgument,
        /// This event
        #[arg(long, value_name = "ID", required_unless_present = "from", conflicts_with_all = ["from", "to"])]
        event: Option<String>,
        /// Those that it takes from this time on, like 2026-11-24T09:00:00Z
        #[arg(long, value_name = "TIME", value_parser = parse_moment)]
        from: Option<Timestamp>,
        /// Up to this time; now, if none is named
        #[arg(long, value_name = "TIME", value_parser = parse_moment, requires = "from")]
        to: Option<Timestamp>,
    },
}

/// The endpoint that a command is about.
#[derive(Debug, clap::Args)]
pub struct EndpointArgument {
    /// Its name, or its id as `webhooks list` shows it
    #[arg(value_name = "ENDPOINT")]
    endpoint: String,
}

#[derive(Debug, clap::Subcommand)]
pub enum EventsCommand {
    /// List events, oldest first
    List {
        /// Go on behind this place, which the last answer named
        #[arg(long, value_name = "PLACE")]
        after: Option<String>,
        /// Only these kinds
        #[arg(long, value_delimiter = ',', value_name = "KIND,...")]
        kind: Vec<EventKind>,
        /// Number of events
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
    },
}

impl WebhooksCommand {
    pub(super) async fn run(self, app: Arc<App>, output: Output) -> Result<ExitCode, Failure> {
        let by = Actor::cli();
        match self {
            Self::List => list(&app, output).await?,
            Self::Add {
                name,
                url,
                kinds,
                ordered,
                personal,
                ed25519,
            } => {
                let typed = TypedEndpoint {
                    name,
                    url,
                    kinds,
                    ordered,
                    personal,
                    ed25519,
                };
                let made = app.add_webhook_endpoint(&by, &typed).await?;
                print_secret(&app, &made, output)?;
            }
            Self::Remove(asked) => {
                let endpoint = asked.find(&app).await?;
                app.remove_webhook_endpoint(&by, &endpoint).await?;
                say("The endpoint and its log are removed.");
            }
            Self::Rotate(asked) => {
                let endpoint = asked.find(&app).await?;
                let made = app.rotate_webhook_secret(&by, &endpoint).await?;
                print_secret(&app, &made, output)?;
            }
            Self::Enable(asked) => {
                let endpoint = asked.find(&app).await?;
                say(match app.enable_webhook_endpoint(&by, &endpoint).await? {
                    true => {
                        "The endpoint is enabled. `verdicts webhooks replay` sends what it missed."
                    }
                    false => "The endpoint is enabled already.",
                });
            }
            Self::Disable(asked) => {
                let endpoint = asked.find(&app).await?;
                say(match app.disable_webhook_endpoint(&by, &endpoint).await? {
                    true => "The endpoint is disabled.",
                    false => "The endpoint is disabled already.",
                });
            }
            Self::Test(asked) => return test(&app, &asked.find(&app).await?, output).await,
            Self::Deliveries {
                endpoint,
                state,
                event,
                limit,
            } => {
                let endpoint = endpoint.find(&app).await?;
                match event {
                    Some(event) => one_delivery(&app, &endpoint, &event, output).await?,
                    None => deliveries(&app, &endpoint, state, limit as usize, output).await?,
                }
            }
            Self::Replay {
                endpoint,
                event,
                from,
                to,
            } => {
                let endpoint = endpoint.find(&app).await?;
                let stretch = from.map(|from| (from, to.unwrap_or_else(|| app.now())));
                replay(&app, &endpoint, (event, stretch), output).await?;
            }
            Self::Edit { .. } => self.edit(&app, output).await?,
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn edit(self, app: &App, output: Output) -> Result<(), Failure> {
        let Self::Edit {
            endpoint,
            rename,
            url,
            kinds,
            ordered,
            personal,
            ed25519,
        } = self
        else {
            return Ok(());
        };
        let endpoint = endpoint.find(app).await?;
        let known = TypedEndpoint::from(&endpoint.draft);
        let typed = TypedEndpoint {
            name: rename.unwrap_or(known.name),
            url: url.unwrap_or(known.url),
            kinds: kinds.unwrap_or(known.kinds),
            ordered: ordered.unwrap_or(known.ordered),
            personal: personal.unwrap_or(known.personal),
            ed25519: ed25519.unwrap_or(known.ed25519),
        };
        let changed = app
            .change_webhook_endpoint(&Actor::cli(), &endpoint, &typed)
            .await?;
        let view = app.webhook_view(&changed);
        output.print(&json!(view), || lines_of(app, &view))
    }
}

impl EndpointArgument {
    async fn find(&self, app: &App) -> Result<WebhookEndpoint, Failure> {
        app.webhook_endpoint(&self.endpoint).await
    }
}

impl EventsCommand {
    pub(super) async fn run(self, app: Arc<App>, output: Output) -> Result<ExitCode, Failure> {
        let Self::List { after, kind, limit } = self;
        let place = match &after {
            None => None,
            Some(name) => Some(app.event_placed(name).ok_or_else(|| {
                Failure::invalid_field(
                    "after",
                    format!("{name:?} is no place that an answer named."),
                )
            })?),
        };
        let (events, last) = app.event_feed(place, &kind, limit as usize).await?;
        // Where nothing is new, the place stays.
        let next = last.map(|seq| app.event_place(seq)).or(after);
        if events.is_empty() && !output.json {
            say("There are no further events.");
        }
        output.print(&json!({ "events": events, "next": next }), || {
            let mut text = String::new();
            for event in &events {
                let data = serde_json::Value::Object(event.data.clone());
                let at = app.local_time(event.timestamp);
                let _ = writeln!(text, "{at}  {}  {}  {data}", event.kind, event.id);
            }
            if let Some(next) = next.as_ref().filter(|_| !events.is_empty()) {
                say(format_args!("Further events: --after {next}"));
            }
            text
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Sends one event again, or those of a stretch of time.
async fn replay(
    app: &App,
    endpoint: &WebhookEndpoint,
    (event, stretch): (Option<String>, Option<(Timestamp, Timestamp)>),
    output: Output,
) -> Result<(), Failure> {
    let range = match (event, stretch) {
        (None, Some((from, to))) => ReplayRange::Between(from, to),
        (event, _) => ReplayRange::One(event.unwrap_or_default()),
    };
    let queued = app.replay_webhooks(&Actor::cli(), endpoint, &range).await?;
    output.print(&json!({ "queued": queued }), || {
        format!("{queued} events are queued; the process with the role deliver sends them.\n")
    })
}

async fn list(app: &App, output: Output) -> Result<(), Failure> {
    let all = app.webhook_views().await?;
    if all.is_empty() && !output.json {
        say("There are no webhook endpoints. `verdicts webhooks add` makes one.");
    }
    output.print(&json!({ "endpoints": all }), || {
        all.iter().map(|view| lines_of(app, view)).collect()
    })
}

fn lines_of(app: &App, view: &WebhookEndpointView) -> String {
    let mut text = format!(
        "{}  {}\n  {}\n  {}",
        view.id,
        view.name,
        view.url,
        view.kinds.join(", ")
    );
    for (is_so, word) in [(view.ordered, "ordered"), (view.personal, "with addresses")] {
        if is_so {
            let _ = write!(text, "; {word}");
        }
    }
    if let Some(key) = &view.public_key {
        let _ = write!(text, "\n  public key {key}");
    }
    match (view.disabled_at, view.disabled_reason, view.failing_since) {
        (Some(at), Some(why), _) => {
            let _ = write!(text, "\n  disabled {}: {why}", app.local_time(at));
        }
        (_, _, Some(since)) => {
            let _ = write!(text, "\n  failing since {}", app.local_time(since));
        }
        _ => {}
    }
    text.push('\n');
    text
}

/// Prints the secret, the one time that it is shown.
fn print_secret(
    app: &App,
    (endpoint, secret): &(WebhookEndpoint, Secret),
    output: Output,
) -> Result<(), Failure> {
    let view = app.webhook_view(endpoint);
    if !output.json {
        say("Keep this secret where the endpoint checks signatures: it is not shown again.");
    }
    let document = json!({ "endpoint": view, "secret": secret.expose() });
    output.print(&document, || {
        format!("{}{}\n", lines_of(app, &view), secret.expose())
    })
}

async fn test(app: &App, endpoint: &WebhookEndpoint, output: Output) -> Result<ExitCode, Failure> {
    let attempt = app.test_webhook(&Actor::cli(), endpoint).await?;
    let event = attempt.event.clone();
    let view = WebhookAttemptView::from(attempt);
    output.print(&json!({ "event": event, "attempt": view }), || {
        format!("{event}: {} after {} ms\n", view.result(), view.millis)
    })?;
    match view.is_success() {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(ExitCode::FAILURE),
    }
}

fn delivery_line(app: &App, view: &WebhookDeliveryView) -> String {
    let mut line = format!(
        "{}  {:<6}  {}  {}  {} attempts",
        app.local_time(view.at),
        view.state,
        view.event,
        view.kind,
        view.attempts
    );
    if let Some(at) = view.next_at {
        let _ = write!(line, ", next {}", app.local_time(at));
    }
    line.push('\n');
    line
}

async fn deliveries(
    app: &App,
    endpoint: &WebhookEndpoint,
    state: Option<WebhookDeliveryState>,
    limit: usize,
    output: Output,
) -> Result<(), Failure> {
    let (log, _) = app.webhook_log(endpoint, state, None, limit).await?;
    if log.is_empty() && !output.json {
        say("Nothing of it was sent.");
    }
    output.print(&json!({ "deliveries": log }), || {
        log.iter().map(|view| delivery_line(app, view)).collect()
    })
}

async fn one_delivery(
    app: &App,
    endpoint: &WebhookEndpoint,
    event: &str,
    output: Output,
) -> Result<(), Failure> {
    let detail = app.webhook_delivery(endpoint, event).await?;
    output.print(&json!(detail), || {
        let mut text = delivery_line(app, &detail.delivery);
        let _ = writeln!(text, "{}", detail.body);
        for attempt in &detail.attempts {
            let at = app.local_time(attempt.at);
            let _ = write!(
                text,
                "{at}  {} after {} ms",
                attempt.result(),
                attempt.millis
            );
            if let Some(by) = &attempt.replayed_by {
                let _ = write!(text, ", replayed by {by}");
            }
            text.push('\n');
            if let Some(answer) = attempt
                .answer
                .as_deref()
                .filter(|answer| !answer.is_empty())
            {
                // Foreign text: no control character reaches the terminal.
                let clean: String = answer
                    .chars()
                    .map(|c| if c.is_control() { ' ' } else { c })
                    .collect();
                let _ = writeln!(text, "  {clean}");
            }
        }
        text
    })
}
