//! Options that say which subscribers are meant: the desk's conditions under the same names.

use crate::app::App;
use crate::app::Failure;
use crate::domain::subscriber_filter::SubscriberFilter;

/// Conditions, which all must hold.
#[derive(Debug, Default, clap::Args)]
pub struct Conditions {
    /// Start of the address or of the name; @example.org: everybody there
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| check("search", text))]
    search: Option<String>,
    /// State: pending, active, unsubscribed, bounced or complained
    #[arg(long, value_parser = |text: &str| check("state", text))]
    state: Option<String>,
    /// Joined on this day or later
    #[arg(long, value_name = "DAY", value_parser = |text: &str| check("joined_from", text))]
    joined_from: Option<String>,
    /// Joined on this day or before
    #[arg(long, value_name = "DAY", value_parser = |text: &str| check("joined_until", text))]
    joined_until: Option<String>,
    /// Source of one of their consents, like "web form" or import
    #[arg(long, value_parser = |text: &str| check("source", text))]
    source: Option<String>,
    /// Category that they follow
    #[arg(long, value_parser = |text: &str| check("category", text))]
    category: Option<String>,
    /// Time zone, like Europe/Berlin
    #[arg(long, value_parser = |text: &str| check("zone", text))]
    zone: Option<String>,
    /// Have a pause
    #[arg(long)]
    paused: bool,
    /// Lower bound on mails that were refused for their sake
    #[arg(long, value_name = "COUNT", value_parser = |text: &str| check("bounced", text))]
    bounced: Option<String>,
    /// Lower bound on votes
    #[arg(long, value_name = "COUNT", value_parser = |text: &str| check("votes", text))]
    votes: Option<String>,
    /// Gave a consent before this day
    #[arg(long, value_name = "DAY", value_parser = |text: &str| check("consent_before", text))]
    consent_before: Option<String>,
    /// Had a delivery of this issue, like 2026-W48
    #[arg(long, value_name = "SLOT", value_parser = |text: &str| check("issue", text))]
    issue: Option<String>,
    /// Result of that issue: any, not-got, a state like sent or failed, or skipped:paused and the like
    #[arg(long, requires = "issue", value_parser = |text: &str| check("result", text))]
    result: Option<String>,
    /// A saved filter, by its slug: its conditions, and those given beside it
    #[arg(long, value_name = "SLUG")]
    segment: Option<String>,
}

fn check(key: &str, text: &str) -> Result<String, String> {
    match SubscriberFilter::of([(key, text)]) {
        Ok(_) => Ok(text.to_owned()),
        Err(faults) => Err(faults.into_iter().map(|fault| fault.sentence).collect()),
    }
}

impl Conditions {
    /// The filter.
    pub(super) async fn filter(&self, app: &App) -> Result<SubscriberFilter, Failure> {
        let saved = match &self.segment {
            Some(slug) => app.segment(slug).await?.filter.pairs(),
            None => Vec::new(),
        };
        let saved = saved.iter().map(|(key, value)| (*key, value.as_str()));
        let paused = self.paused.then(|| "yes".to_owned());
        let pairs = [
            ("search", &self.search),
            ("state", &self.state),
            ("joined_from", &self.joined_from),
            ("joined_until", &self.joined_until),
            ("source", &self.source),
            ("category", &self.category),
            ("zone", &self.zone),
            ("paused", &paused),
            ("bounced", &self.bounced),
            ("votes", &self.votes),
            ("consent_before", &self.consent_before),
            ("issue", &self.issue),
            ("result", &self.result),
        ];
        let given = pairs
            .iter()
            .filter_map(|(key, value)| Some((*key, value.as_deref()?)));
        // Each was read by itself when the command line was.
        SubscriberFilter::of(saved.chain(given)).map_err(|faults| {
            let sentences: Vec<String> = faults
                .into_iter()
                .map(|fault| format!("--{}: {}", fault.key.replace('_', "-"), fault.sentence))
                .collect();
            Failure::invalid(sentences.join(" "))
        })
    }
}
