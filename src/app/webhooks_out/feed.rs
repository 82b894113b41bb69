//! The feed of events: as other programs see them, and for how long.

use crate::app::App;
use crate::app::Failure;
use crate::domain::Timestamp;
use crate::domain::event::Event;
use crate::domain::event::EventDocument;
use crate::domain::event::EventKind;

impl App {
    /// An event as other programs see it. `is_personal`: with the address of its reader, where it was kept.
    pub fn event_view(&self, event: Event, is_personal: bool) -> EventDocument {
        let mut data = event.data;
        if let Some(subscriber) = event.subscriber {
            data.insert("subscriber".into(), self.subscriber_name(subscriber).into());
        }
        if let Some(email) = event.email.filter(|_| is_personal) {
            data.insert("email".into(), email.into());
        }
        EventDocument {
            kind: event.kind,
            timestamp: event.at,
            id: event.id,
            data,
        }
    }

    /// A page of the feed after a place, oldest first, without addresses; and the place behind its last event.
    pub async fn event_feed(
        &self,
        after: Option<i64>,
        kinds: &[EventKind],
        limit: usize,
    ) -> Result<(Vec<EventDocument>, Option<i64>), Failure> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let found = self
            .storage
            .events_after(after.unwrap_or_default(), kinds, limit)
            .await?;
        let last = found.last().and_then(|event| event.seq);
        let views = found.into_iter().map(|event| self.event_view(event, false));
        Ok((views.collect(), last))
    }

    /// The name of a place in the feed.
    pub fn event_place(&self, seq: i64) -> String {
        self.secrets.event_place(seq)
    }

    /// The place that [`App::event_place`] names so.
    pub fn event_placed(&self, name: &str) -> Option<i64> {
        self.secrets.event_placed(name)
    }

    /// Forgets old events, and what was sent of them.
    pub(in crate::app) async fn keep_events(
        &self,
        before: Timestamp,
        steps: usize,
    ) -> Result<(), Failure> {
        for _ in 0..steps {
            if self.storage.forget_events(before).await? == 0 {
                break;
            }
        }
        Ok(())
    }
}
