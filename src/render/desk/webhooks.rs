//! Webhook endpoints: the list, one endpoint with its log, one event of it.

use askama::Template;

use super::DeskFrame;
use crate::render::RenderError;

/// An endpoint in the list.
pub struct EndpointLine {
    /// Address of its page.
    pub path: String,
    /// Name.
    pub name: String,
    /// Host that it is at.
    pub host: String,
    /// Kinds of events.
    pub kinds: String,
    /// State in words,
    pub state: String,
    /// and as a class.
    pub mood: &'static str,
}

/// Form of an endpoint as it was typed.
pub struct EndpointForm {
    /// Address that it is sent to.
    pub action: String,
    /// Words of its button.
    pub button: &'static str,
    /// Name.
    pub name: String,
    /// Address.
    pub url: String,
    /// Kinds of events, divided by spaces.
    pub kinds: String,
    /// True if events come in order.
    pub ordered: bool,
    /// True if events carry addresses.
    pub personal: bool,
    /// True if requests are signed by ed25519 too.
    pub ed25519: bool,
    /// Field at fault, and the fault.
    pub problem: Option<(String, String)>,
}

impl EndpointForm {
    fn fault(&self, field: &str) -> Option<&str> {
        let problem = self.problem.as_ref();
        problem
            .filter(|(of, _)| of == field)
            .map(|(_, words)| words.as_str())
    }

    /// The fault of no single field.
    fn other_fault(&self) -> Option<&str> {
        let problem = self.problem.as_ref();
        let of_field = |of: &str| ["name", "url", "kinds"].contains(&of);
        problem
            .filter(|(of, _)| !of_field(of))
            .map(|(_, words)| words.as_str())
    }
}

#[derive(Template)]
#[template(path = "desk/webhooks.html", whitespace = "minimize")]
struct EndpointsPage<'a> {
    frame: DeskFrame<'a>,
    endpoints: Vec<EndpointLine>,
    form: EndpointForm,
    kinds: Vec<&'static str>,
}

/// All endpoints, and the form that adds one. `kinds`: all kinds of events.
pub fn webhook_endpoints(
    frame: DeskFrame<'_>,
    endpoints: Vec<EndpointLine>,
    form: EndpointForm,
    kinds: Vec<&'static str>,
) -> Result<String, RenderError> {
    Ok(EndpointsPage {
        frame,
        endpoints,
        form,
        kinds,
    }
    .render()?)
}

/// An event in the log of an endpoint.
pub struct EndpointDeliveryLine {
    /// Address of its page.
    pub path: String,
    /// Time of the event.
    pub at: String,
    /// Kind.
    pub kind: &'static str,
    /// State in one word,
    pub state: &'static str,
    /// and as a class.
    pub mood: &'static str,
    /// Attempts so far.
    pub attempts: u32,
    /// Time of the next one.
    pub next_at: Option<String>,
}

/// An endpoint with its log.
pub struct EndpointPageView {
    /// Address of its page.
    pub path: String,
    /// Name.
    pub name: String,
    /// State in words,
    pub state: String,
    /// and as a class.
    pub mood: &'static str,
    /// Facts: each with its words.
    pub facts: Vec<(&'static str, String)>,
    /// Sentence that says why it is disabled, or since when it fails.
    pub trouble: Option<String>,
    /// True if it is disabled.
    pub is_disabled: bool,
    /// States to filter by, each with whether it is chosen.
    pub states: Vec<(&'static str, bool)>,
    /// Log.
    pub log: Vec<EndpointDeliveryLine>,
    /// Address of the next page.
    pub next_page: Option<String>,
    /// Form that changes it.
    pub form: EndpointForm,
    /// Range to replay as it was typed, and its fault.
    pub range: (String, String, Option<String>),
}

#[derive(Template)]
#[template(path = "desk/webhook.html", whitespace = "minimize")]
struct EndpointPage<'a> {
    frame: DeskFrame<'a>,
    view: EndpointPageView,
    kinds: Vec<&'static str>,
}

/// An endpoint's page.
pub fn webhook_endpoint(
    frame: DeskFrame<'_>,
    view: EndpointPageView,
    kinds: Vec<&'static str>,
) -> Result<String, RenderError> {
    Ok(EndpointPage { frame, view, kinds }.render()?)
}

/// An attempt, in words.
pub struct EndpointAttemptLine {
    /// Time.
    pub at: String,
    /// Result.
    pub result: String,
    /// True if the endpoint took it.
    pub is_success: bool,
    /// Duration.
    pub millis: String,
    /// Who asked for a replay.
    pub replayed_by: Option<String>,
    /// First KiB of the answer.
    pub answer: Option<String>,
}

/// One event of the log: what was sent, and each answer.
pub struct EndpointEventView {
    /// Address of the endpoint's page.
    pub endpoint_path: String,
    /// Name of the endpoint.
    pub endpoint: String,
    /// Address of this page.
    pub path: String,
    /// Id of the event.
    pub event: String,
    /// Kind.
    pub kind: &'static str,
    /// State in one word,
    pub state: &'static str,
    /// and as a class.
    pub mood: &'static str,
    /// Time of the event.
    pub at: String,
    /// Body, byte for byte.
    pub body: String,
    /// Attempts, newest first.
    pub attempts: Vec<EndpointAttemptLine>,
}

#[derive(Template)]
#[template(path = "desk/webhook_event.html", whitespace = "minimize")]
struct EndpointEventPage<'a> {
    frame: DeskFrame<'a>,
    view: EndpointEventView,
}

/// Page of one event of an endpoint's log.
pub fn webhook_event(frame: DeskFrame<'_>, view: EndpointEventView) -> Result<String, RenderError> {
    Ok(EndpointEventPage { frame, view }.render()?)
}

#[derive(Template)]
#[template(path = "desk/webhook_secret.html", whitespace = "minimize")]
struct SecretPage<'a> {
    frame: DeskFrame<'a>,
    name: &'a str,
    path: &'a str,
    secret: &'a str,
    public_key: Option<&'a str>,
}

/// A secret, shown once. `path`: the endpoint's page.
pub fn webhook_secret(
    frame: DeskFrame<'_>,
    (name, path): (&str, &str),
    secret: &str,
    public_key: Option<&str>,
) -> Result<String, RenderError> {
    Ok(SecretPage {
        frame,
        name,
        path,
        secret,
        public_key,
    }
    .render()?)
}
