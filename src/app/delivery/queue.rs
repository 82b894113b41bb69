//! Claimed mails that no worker has yet.
//!
//! Transactional mail goes first. Of digest mail, due retries and fresh mail each have a share of the places that the other cannot take;
//! where one has nothing, the other takes all. A domain of `mail.per_domain` gives out no more mails than its limit allows; the domains
//! that may give one now stand in a list of their own, so that taking a mail never looks through all domains.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::delivery::BatchKey;
use crate::domain::delivery::DeliveryKey;
use crate::domain::delivery::DeliveryKind;
use crate::domain::delivery::MailClass;
use crate::domain::limits::DomainLimit;
use crate::domain::limits::DomainLimits;
use crate::storage::ledger::Job;

/// Of so many places,
const PLACES: u32 = 10;
/// so many are for retries while fresh mail waits too.
const RETRY_PLACES: u32 = 7;

/// The class whose limits a mail counts toward.
pub fn class_of(job: &Job) -> MailClass {
    if job.kind == DeliveryKind::Digest {
        MailClass::Digest
    } else {
        MailClass::Transactional
    }
}

/// Claimed mails: the transactional first, then those whose domain may get one now.
#[derive(Default)]
pub struct Queue {
    limits: DomainLimits,
    urgent: VecDeque<Arc<Job>>,
    /// Mails that no domain limit is about.
    plain: Lanes,
    domains: HashMap<Arc<str>, Domain>,
    /// Domains that may give a mail now, by their next mail.
    ready_retries: VecDeque<Arc<str>>,
    ready_fresh: VecDeque<Arc<str>>,
    /// Domains whose rate lets them give the next mail later.
    timers: BinaryHeap<Reverse<(Instant, Arc<str>)>>,
    /// Mails of domains with a limit.
    in_domains: usize,
    /// The domain of each mail that a worker has, of those with a limit.
    out: HashMap<DeliveryKey, Arc<str>>,
    place: u32,
}

#[derive(Default)]
struct Lanes {
    retries: VecDeque<Arc<Job>>,
    fresh: VecDeque<Arc<Job>>,
}

struct Domain {
    limit: DomainLimit,
    lanes: Lanes,
    out: usize,
    next_at: Instant,
    /// True if it stands in one of the ready lists or among the timers.
    is_listed: bool,
}

impl Lanes {
    fn of(&mut self, job: &Job) -> &mut VecDeque<Arc<Job>> {
        if job.attempts > 0 {
            &mut self.retries
        } else {
            &mut self.fresh
        }
    }

    fn len(&self) -> usize {
        self.retries.len() + self.fresh.len()
    }

    fn pop(&mut self) -> Option<Arc<Job>> {
        self.retries.pop_front().or_else(|| self.fresh.pop_front())
    }

    /// Takes out what is not to be kept.
    fn remove(&mut self, goes: &impl Fn(&Job) -> bool, removed: &mut Vec<Arc<Job>>) {
        for lane in [&mut self.retries, &mut self.fresh] {
            let (gone, kept): (Vec<_>, Vec<_>) =
                std::mem::take(lane).into_iter().partition(|job| goes(job));
            removed.extend(gone);
            lane.extend(kept);
        }
    }
}

impl Domain {
    fn may_give(&self) -> bool {
        self.lanes.len() > 0 && (self.limit.connections == 0 || self.out < self.limit.connections)
    }
}

impl Queue {
    pub fn new(limits: DomainLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    pub fn push(&mut self, job: Arc<Job>, now: Instant) {
        self.add(job, now, VecDeque::push_back);
    }

    /// Puts back a mail that a worker had and did not begin: it is the next of its kind.
    pub fn put_back(&mut self, job: Arc<Job>, now: Instant) {
        self.is_back(job.key, now);
        self.add(job, now, VecDeque::push_front);
    }

    fn add(
        &mut self,
        job: Arc<Job>,
        now: Instant,
        push: impl Fn(&mut VecDeque<Arc<Job>>, Arc<Job>),
    ) {
        if class_of(&job) == MailClass::Transactional {
            return push(&mut self.urgent, job);
        }
        let domain = job.email.rsplit_once('@').map_or("", |(_, domain)| domain);
        let is_limit = |limit: &DomainLimit| limit.connections > 0 || limit.rate_per_second > 0;
        let known = if self.limits.is_empty() {
            None
        } else {
            self.limits.of(domain).filter(|(_, limit)| is_limit(limit))
        };
        let Some((name, limit)) = known else {
            let lane = self.plain.of(&job);
            return push(lane, job);
        };
        let name = match self.domains.get_key_value(&*name) {
            Some((name, _)) => name.clone(),
            None => Arc::from(&*name),
        };
        let fresh = || Domain {
            limit,
            lanes: Lanes::default(),
            out: 0,
            next_at: now,
            is_listed: false,
        };
        let domain = self.domains.entry(name.clone()).or_insert_with(fresh);
        let lane = domain.lanes.of(&job);
        push(lane, job);
        self.in_domains += 1;
        self.list(&name, now);
    }

    /// Lists a domain where it belongs, or forgets it when there is nothing to remember.
    fn list(&mut self, name: &Arc<str>, now: Instant) {
        let Some(domain) = self.domains.get_mut(name) else {
            return;
        };
        if domain.is_listed {
            return;
        }
        if domain.next_at > now {
            domain.is_listed = true;
            self.timers.push(Reverse((domain.next_at, name.clone())));
        } else if domain.may_give() {
            domain.is_listed = true;
            let list = if domain.lanes.retries.is_empty() {
                &mut self.ready_fresh
            } else {
                &mut self.ready_retries
            };
            list.push_back(name.clone());
        } else if domain.lanes.len() == 0 && domain.out == 0 {
            self.domains.remove(name);
        }
    }

    /// Mails at hand.
    pub fn len(&self) -> usize {
        self.urgent.len() + self.plain.len() + self.in_domains
    }

    /// Mails among them that could go now; of each domain with a limit one at most.
    pub fn ready(&self) -> usize {
        self.urgent.len() + self.plain.len() + self.ready_retries.len() + self.ready_fresh.len()
    }

    /// Mails that wait for their domain's turn.
    pub fn held(&self) -> usize {
        self.in_domains
            .saturating_sub(self.ready_retries.len() + self.ready_fresh.len())
    }

    /// Transactional mails at hand.
    pub fn urgent(&self) -> usize {
        self.urgent.len()
    }

    /// Returns how many mails hold a place of their domain's.
    #[cfg(test)]
    pub fn places_taken(&self) -> usize {
        self.out.len()
    }

    /// Returns when a domain that must wait for its rate may give its next mail.
    pub fn next_timer(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// Lists the domains whose time has come.
    pub fn advance(&mut self, now: Instant) {
        while self.next_timer().is_some_and(|at| at <= now) {
            let Some(Reverse((_, name))) = self.timers.pop() else {
                return;
            };
            if let Some(domain) = self.domains.get_mut(&name) {
                domain.is_listed = false;
            }
            self.list(&name, now);
        }
    }

    /// The next mail that may go now, of the classes that may.
    pub fn pop(&mut self, now: Instant, may_go: impl Fn(MailClass) -> bool) -> Option<Arc<Job>> {
        if !self.urgent.is_empty() && may_go(MailClass::Transactional) {
            return self.urgent.pop_front();
        }
        if !may_go(MailClass::Digest) {
            return None;
        }
        self.advance(now);
        let (retries, fresh) = (
            self.plain.retries.len() + self.ready_retries.len(),
            self.plain.fresh.len() + self.ready_fresh.len(),
        );
        if retries > 0 && fresh > 0 {
            self.place = (self.place + 1) % PLACES;
        }
        if retries > 0 && (fresh == 0 || self.place < RETRY_PLACES) {
            self.plain
                .retries
                .pop_front()
                .or_else(|| self.pop_domain(true, now))
        } else {
            self.pop_domain(false, now)
                .or_else(|| self.plain.fresh.pop_front())
        }
    }

    fn pop_domain(&mut self, retries: bool, now: Instant) -> Option<Arc<Job>> {
        let list = if retries {
            &mut self.ready_retries
        } else {
            &mut self.ready_fresh
        };
        let name = list.pop_front()?;
        let domain = self.domains.get_mut(&name)?;
        domain.is_listed = false;
        let job = domain.lanes.pop()?;
        domain.out += 1;
        if domain.limit.rate_per_second > 0 {
            domain.next_at =
                now.max(domain.next_at) + Duration::from_secs(1) / domain.limit.rate_per_second;
        }
        self.in_domains -= 1;
        self.out.insert(job.key, name.clone());
        self.list(&name, now);
        Some(job)
    }

    /// A mail that was handed out is no longer out.
    pub fn is_back(&mut self, key: DeliveryKey, now: Instant) {
        if self.out.is_empty() {
            return;
        }
        let Some(name) = self.out.remove(&key) else {
            return;
        };
        if let Some(domain) = self.domains.get_mut(&name) {
            domain.out = domain.out.saturating_sub(1);
        }
        self.list(&name, now);
    }

    /// Takes out the waiting mails of a batch that a domain limit holds.
    pub fn remove_held_of(&mut self, batch: BatchKey, now: Instant) -> usize {
        self.remove(|job| job.batch == batch, false, now).len()
    }

    /// Takes out all waiting mails of a mailing.
    pub fn remove_mailing(&mut self, mailing: i64, now: Instant) -> Vec<Arc<Job>> {
        self.remove(|job| job.key.mailing == mailing, true, now)
    }

    /// Takes out all.
    pub fn remove_all(&mut self, now: Instant) -> Vec<Arc<Job>> {
        let mut removed = self.remove(|_| true, true, now);
        removed.extend(std::mem::take(&mut self.urgent));
        removed
    }

    fn remove(
        &mut self,
        goes: impl Fn(&Job) -> bool,
        plain_too: bool,
        now: Instant,
    ) -> Vec<Arc<Job>> {
        let mut removed = Vec::new();
        for domain in self.domains.values_mut() {
            domain.lanes.remove(&goes, &mut removed);
            domain.is_listed = false;
        }
        self.in_domains -= removed.len();
        self.ready_retries.clear();
        self.ready_fresh.clear();
        self.timers.clear();
        let names: Vec<Arc<str>> = self.domains.keys().cloned().collect();
        names.iter().for_each(|name| self.list(name, now));
        if plain_too {
            self.plain.remove(&goes, &mut removed);
        }
        removed
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
