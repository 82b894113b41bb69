//! What a round has claimed and not handed out yet.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::delivery::DeliveryKey;
use crate::domain::delivery::DeliveryKind;
use crate::domain::limits::DomainLimit;
use crate::domain::limits::DomainLimits;
use crate::storage::ledger::Job;

/// More mails that wait for their domain's turn are not kept: the ledger has room for them.
const MOST_HELD: usize = 1_000;

/// Claimed mails: the urgent first, then those whose domain may get one now.
#[derive(Default)]
pub struct Queue {
    limits: DomainLimits,
    urgent: VecDeque<Job>,
    bulk: VecDeque<Job>,
    held: HashMap<String, Held>,
    held_count: usize,
    /// Which domain's mails are out, of those with a limit.
    out: HashMap<DeliveryKey, String>,
}

/// The mails of one domain that is spared (`mail.per_domain`).
struct Held {
    limit: DomainLimit,
    jobs: VecDeque<Job>,
    out: usize,
    next_at: Instant,
}

impl Queue {
    pub fn new(limits: DomainLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    pub fn push(&mut self, job: Job) {
        if job.kind != DeliveryKind::Digest {
            return self.urgent.push_back(job);
        }
        let domain = job.email.rsplit_once('@').map_or("", |(_, domain)| domain);
        let Some((name, limit)) = self.limits.of(domain).filter(|_| !self.limits.is_empty()) else { return self.bulk.push_back(job) };
        let fresh = || Held { limit, jobs: VecDeque::new(), out: 0, next_at: Instant::now() };
        self.held.entry(name.into_owned()).or_insert_with(fresh).jobs.push_back(job);
        self.held_count += 1;
    }

    /// Mails at hand.
    pub fn len(&self) -> usize {
        self.urgent.len() + self.bulk.len() + self.held_count
    }

    /// Those among them that wait for nothing.
    pub fn ready(&self) -> usize {
        self.urgent.len() + self.bulk.len()
    }

    /// The next one that may go now.
    pub fn pop(&mut self) -> Option<Job> {
        self.urgent.pop_front().or_else(|| self.pop_held()).or_else(|| self.bulk.pop_front())
    }

    fn pop_held(&mut self) -> Option<Job> {
        if self.held_count == 0 {
            return None;
        }
        let now = Instant::now();
        let may_go = |held: &Held| {
            !held.jobs.is_empty() && now >= held.next_at && (held.limit.connections == 0 || held.out < held.limit.connections)
        };
        let (name, held) = self.held.iter_mut().find(|(_, held)| may_go(held))?;
        let job = held.jobs.pop_front()?;
        held.out += 1;
        if held.limit.rate_per_second > 0 {
            held.next_at = now.max(held.next_at) + Duration::from_secs(1) / held.limit.rate_per_second;
        }
        self.out.insert(job.key, name.clone());
        self.held_count -= 1;
        Some(job)
    }

    /// A mail that was handed out is no longer out.
    pub fn is_back(&mut self, key: DeliveryKey) {
        if let Some(name) = self.out.remove(&key)
            && let Some(held) = self.held.get_mut(&name)
        {
            held.out = held.out.saturating_sub(1);
        }
    }

    /// What is too much to be kept until its domain's turn comes, and how long that may take.
    pub fn too_many(&mut self) -> Option<(VecDeque<Job>, Duration)> {
        if self.held_count <= MOST_HELD {
            return None;
        }
        let held = self.held.values_mut().max_by_key(|held| held.jobs.len())?;
        let jobs = held.jobs.split_off(held.jobs.len() / 2);
        self.held_count -= jobs.len();
        let wait = Duration::from_secs(1).mul_f64(held.jobs.len() as f64 / f64::from(held.limit.rate_per_second.max(1)));
        Some((jobs, wait.clamp(Duration::from_secs(1), Duration::from_secs(600))))
    }
}
