//! Numbers of mails of a send to each recipient domain and by each relay, added up here and written every few seconds: what a share of
//! refusals is a share of.
//!
//! A process that is killed loses the counts of a few seconds. The share of refusals then comes out larger than it is, and the brake
//! rather holds too much than ends somebody by mistake.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use crate::app::App;
use crate::domain::Timestamp;
use crate::domain::address::domain_of;
use crate::storage::ledger::Job;
use crate::storage::refusals::send_of;

const WRITE_EVERY: Duration = Duration::from_secs(10);
/// A send without a mail for so long is over, or waits for retries: its counts are dropped from memory.
const FORGET_AFTER: Duration = Duration::from_secs(3_600);
/// Domains counted at most for one send and relay. Further ones have few readers each.
const DOMAINS_MAX: usize = 50_000;
/// Rows of one transaction.
const BATCH: usize = 500;

/// Counts of this process.
#[derive(Debug, Default)]
pub struct Sends(Mutex<SendsState>);

#[derive(Debug, Default)]
struct SendsState {
    sends: BTreeMap<i64, OneSend>,
    written_at: Option<Instant>,
}

#[derive(Debug)]
struct OneSend {
    relays: BTreeMap<String, RelaySends>,
    noted_at: Instant,
}

#[derive(Debug, Default)]
struct RelaySends {
    all: SendCount,
    domains: HashMap<String, SendCount>,
}

#[derive(Debug, Default, Clone, Copy)]
struct SendCount {
    mails: u32,
    written: u32,
}

impl SendCount {
    /// Marks all as written; answers how many were not.
    fn take(&mut self) -> i64 {
        let fresh = self.mails - self.written;
        self.written = self.mails;
        i64::from(fresh)
    }
}

impl Sends {
    /// Counts a mail whose delivery is final.
    pub fn note(&self, job: &Job, relay: &str, now: Timestamp) {
        let domain = domain_of(&job.email);
        let mut state = self.state();
        let noted_at = Instant::now();
        let send = state
            .sends
            .entry(send_of(job.key.mailing, now))
            .or_insert_with(|| OneSend {
                relays: BTreeMap::new(),
                noted_at,
            });
        send.noted_at = noted_at;
        if !send.relays.contains_key(relay) {
            send.relays.insert(relay.to_owned(), RelaySends::default());
        }
        let Some(relay) = send.relays.get_mut(relay) else {
            return;
        };
        relay.all.mails += 1;
        if let Some(count) = relay.domains.get_mut(&domain) {
            count.mails += 1;
        } else if relay.domains.len() < DOMAINS_MAX {
            relay.domains.insert(
                domain,
                SendCount {
                    mails: 1,
                    written: 0,
                },
            );
        }
    }

    /// Writes the counts down, if it is time again.
    pub async fn write_if_due(&self, app: &App) {
        if self
            .state()
            .written_at
            .is_none_or(|at| at.elapsed() >= WRITE_EVERY)
        {
            self.write(app).await;
        }
    }

    /// Writes the counts that matter: a domain with fewer mails than the brake asks refusals for is never held.
    pub async fn write(&self, app: &App) {
        let rows = self.take(app.settings.bounces.brake_count);
        for rows in rows.chunks(BATCH) {
            if let Err(error) = app.storage.add_send_domains(rows).await {
                tracing::debug!(%error, "writing the mail counts per domain failed; the brake may hold more refusals than needed");
            }
        }
    }

    fn take(&self, least: u32) -> Vec<(i64, String, String, i64)> {
        let mut state = self.state();
        state.written_at = Some(Instant::now());
        let mut rows = Vec::new();
        if least > 0 {
            for (id, send) in &mut state.sends {
                for (name, relay) in &mut send.relays {
                    rows.push((*id, String::new(), name.clone(), relay.all.take()));
                    let counted = relay
                        .domains
                        .iter_mut()
                        .filter(|(_, count)| count.mails >= least);
                    rows.extend(
                        counted.map(|(domain, count)| {
                            (*id, domain.clone(), name.clone(), count.take())
                        }),
                    );
                }
            }
        }
        state
            .sends
            .retain(|_, send| send.noted_at.elapsed() < FORGET_AFTER);
        rows.retain(|(.., mails)| *mails > 0);
        // Two processes that write the same rows in one order wait for each other instead of for good.
        rows.sort();
        rows
    }

    fn state(&self) -> MutexGuard<'_, SendsState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
