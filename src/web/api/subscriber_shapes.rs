//! Shapes of subscribers.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::app::subscribing::operator::SubscriberRecord;
use crate::domain::Timestamp;
use crate::domain::zone::ZoneName;
use crate::storage::people::Listed;

/// State of a subscription.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscriberState {
    Pending,
    Active,
    Unsubscribed,
    Bounced,
    Complained,
}

impl SubscriberState {
    /// Name of the state.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Unsubscribed => "unsubscribed",
            Self::Bounced => "bounced",
            Self::Complained => "complained",
        }
    }
}

/// A subscriber of a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subscriber)]
pub struct SubscriberShape {
    id: String,
    email: String,
    name: Option<String>,
    /// pending, active, unsubscribed, bounced or complained.
    state: String,
    /// Time zone, as an IANA name.
    timezone: Option<String>,
    /// Time when they were first written down.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    confirmed_at: Option<Timestamp>,
    /// Source of the last consent.
    source: Option<String>,
}

impl SubscriberShape {
    /// A line of the list.
    pub fn new(app: &App, listed: &Listed) -> Self {
        let subscriber = &listed.subscriber;
        Self {
            id: app.subscriber_name(subscriber.id),
            email: subscriber.email.clone(),
            name: subscriber.name.clone(),
            state: subscriber.state.to_string(),
            timezone: subscriber
                .timezone
                .map(|zone| ZoneName::name(zone).to_owned()),
            created_at: listed.created_at,
            confirmed_at: listed.confirmed_at,
            source: listed.source.clone(),
        }
    }
}

/// A consent.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubscriberConsent {
    /// Words that were shown.
    shown: String,
    source: String,
    /// Network that it came from.
    network: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    requested_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    confirmed_at: Option<Timestamp>,
}

/// A subscriber.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriberDetails)]
pub struct SubscriberDetailsShape {
    id: String,
    email: String,
    name: Option<String>,
    /// pending, active, unsubscribed, bounced or complained.
    state: String,
    /// Time zone, as an IANA name.
    timezone: Option<String>,
    /// Time when they were first written down.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Time since which they are in their state.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Time until which no digest goes to them.
    #[schema(value_type = Option<String>, format = DateTime)]
    paused_until: Option<Timestamp>,
    /// Categories that they follow; none: all.
    categories: Vec<String>,
    /// True if they get one digest a month.
    monthly: bool,
    /// Address that they are asked to confirm.
    new_email: Option<String>,
    /// Consents, the oldest first.
    consents: Vec<SubscriberConsent>,
}

impl SubscriberDetailsShape {
    /// What is kept of somebody.
    pub fn new(app: &App, record: &SubscriberRecord) -> Self {
        let subscriber = &record.person.subscriber;
        let consents = record.person.consents.iter();
        let change = record.data.address_change.as_ref();
        Self {
            id: app.subscriber_name(subscriber.id),
            email: subscriber.email.clone(),
            name: subscriber.name.clone(),
            state: subscriber.state.to_string(),
            timezone: subscriber
                .timezone
                .map(|zone| ZoneName::name(zone).to_owned()),
            created_at: record.data.signed_up_at,
            updated_at: record.data.state_since,
            paused_until: record.preferences.paused_until,
            categories: record.preferences.categories.clone(),
            monthly: record.preferences.monthly,
            new_email: change.map(|change| change.email.clone()),
            consents: consents
                .map(|consent| SubscriberConsent {
                    shown: consent.shown.clone(),
                    source: consent.source.clone(),
                    network: consent.network.clone(),
                    requested_at: consent.requested_at,
                    confirmed_at: consent.confirmed_at,
                })
                .collect(),
        }
    }
}
