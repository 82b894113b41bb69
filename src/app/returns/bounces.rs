//! Refusals: how one counts for its reader, when those of a send are judged, and what a person decides about those that are held.

use crate::app::App;
use crate::app::Failure;
use crate::app::delta;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::address::domain_of;
use crate::domain::brake::BouncePolicy;
use crate::domain::brake::Brake;
use crate::domain::brake::Decision;
use crate::domain::brake::HeldBy;
use crate::domain::brake::like_words;
use crate::domain::inbound::RefusalClass;
use crate::domain::limits::day_of;
use crate::domain::slot::Slot;
use crate::storage::held_refusals::RefusalGroup;
use crate::storage::refusal_groups::Stopped;
use crate::storage::refusals::StoredRefusal;

/// Steps of one look of a sender, each second: what else is due waits for no more of them.
pub(crate) const STEPS: usize = 20;
/// Steps of one look by the clock, each minute.
pub(in crate::app) const STEPS_OF_TICK: usize = 200;
/// Lots and counts of sends that are older are forgotten, in days.
const KEEP_DAYS: i64 = 60;
/// Lines of a list that a person reads.
const LISTED: i64 = 1_000;

/// Refusals that are held, for one domain or relay.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HeldRefusals {
    /// Tells whether `name` is a domain or a relay.
    pub kind: HeldBy,
    /// Name to accept or dismiss them by.
    pub name: String,
    /// The digest that was refused; `None`: other mails, of a day.
    pub digest: Option<Slot>,
    /// That day.
    pub day: Option<String>,
    /// Readers whose subscriptions wait for a decision.
    pub readers: u64,
    /// Hard refusals in that send.
    pub refused: u64,
    /// Mails that the domain, or the relay, was sent.
    pub mails: u64,
    /// Domains that refused.
    pub domains: u64,
    /// Words that the replies have in common.
    pub words: String,
    /// One of them, its address masked.
    pub example: String,
    /// Since when they are held.
    pub since: Timestamp,
}

/// A decision that was carried out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct BrakeDecision {
    /// Tells whether `name` is a domain or a relay.
    pub kind: HeldBy,
    /// Its name.
    pub name: String,
    /// The decision.
    pub decision: Decision,
    /// Readers whom it was about.
    pub readers: u64,
}

impl App {
    /// `[bounces]`.
    pub(crate) fn policy(&self) -> BouncePolicy {
        let bounces = &self.settings.bounces;
        let brake = Brake {
            count: bounces.brake_count,
            share: bounces.brake_share,
            domains: bounces.brake_domains,
            wait: delta(bounces.brake_wait),
        };
        BouncePolicy {
            hard: bounces.hard,
            soft: bounces.soft,
            brake,
        }
    }

    /// The keyed hash by which an address is suppressed, and the name of the secret.
    pub(crate) fn suppression_of(&self, email: &str) -> Option<(String, String)> {
        let email = EmailAddress::parse(email).ok()?;
        Some((
            self.secrets.address_hashes(&email).into_iter().next()?,
            self.secrets.key_names().into_iter().next()?,
        ))
    }

    /// A refusal of a mail to that address, as it counts; `None` if that is not an address.
    pub(crate) fn refusal_of(
        &self,
        email: &str,
        class: RefusalClass,
        reply: &str,
    ) -> Option<StoredRefusal> {
        let (hash, key_name) = self.suppression_of(email)?;
        let words = like_words(reply, email);
        Some(StoredRefusal {
            class,
            line: reply.into(),
            words,
            domain: domain_of(email),
            hash,
            key_name,
            policy: self.policy(),
        })
    }

    /// Judges the refusals that are due, and ends or drops what was decided, in at most `steps` short transactions of each kind. Any
    /// process may do it at any time, and go on where another stopped. `true`: there is more.
    pub async fn judge_refusals(&self, steps: usize) -> Result<bool, Failure> {
        let now = self.now();
        if !self.storage.has_refusals_to_judge(now).await? {
            return Ok(false);
        }
        let mut is_more = true;
        for _ in 0..steps {
            let Some(stopped) = self.storage.judge(self.policy().brake, now).await? else {
                is_more = false;
                break;
            };
            stopped.iter().for_each(say);
        }
        for _ in 0..steps {
            let worked = self.storage.end_judged(now).await?;
            if worked.ended > 0 {
                tracing::info!(
                    ended = worked.ended,
                    "subscriptions ended: their mailboxes do not exist"
                );
            }
            if !worked.is_more {
                return Ok(is_more);
            }
        }
        Ok(true)
    }

    /// Lets go of held refusals whose readers a later digest has reached, in at most `steps` short transactions. `true`: there is more.
    pub async fn release_refusals(&self, steps: usize) -> Result<bool, Failure> {
        for _ in 0..steps {
            match self
                .storage
                .release_reached(self.policy().brake.wait, self.now())
                .await?
            {
                None => return Ok(false),
                Some(0) => {}
                Some(released) => tracing::info!(
                    released,
                    "held refusals no longer count: a later digest arrived"
                ),
            }
        }
        Ok(true)
    }

    /// Judges and lets go of all that is due, however long it takes: for commands.
    pub async fn judge_all_refusals(&self) -> Result<(), Failure> {
        while self.judge_refusals(STEPS).await? {}
        while self.release_refusals(STEPS).await? {}
        Ok(())
    }

    /// Forgets what old sends left, a little each time.
    pub(in crate::app) async fn forget_old_sends(&self, now: Timestamp) -> Result<(), Failure> {
        let oldest = now - chrono::TimeDelta::days(KEEP_DAYS);
        Ok(self
            .storage
            .forget_lots(self.slot_at(oldest).id(), day_of(oldest))
            .await?)
    }

    /// Returns what is held, most readers first; of one digest, or of all.
    pub async fn held_refusals(&self, slot: Option<Slot>) -> Result<Vec<HeldRefusals>, Failure> {
        let held = self
            .storage
            .held_refusals(slot.map(Slot::id), LISTED)
            .await?;
        Ok(held.into_iter().map(HeldRefusals::from).collect())
    }

    /// Accepts or dismisses what is held for a domain or relay, all of it: `domain:NAME` and `relay:NAME` say which, where one name is
    /// both. `progress` is told how many readers there are, and how many are done.
    pub async fn decide_on(
        &self,
        actor: &Actor,
        name: &str,
        decision: Decision,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<BrakeDecision, Failure> {
        let (kind, name) = self.held_by(name).await?;
        let decided = self
            .storage
            .decide(actor, kind, &name, decision, self.now())
            .await?;
        let readers = decided.ok_or_else(|| {
            Failure::not_found(format!("Nothing is held for {name}: nothing was changed. `verdicts bounces list` shows what is held."))
        })?;
        tracing::info!(%kind, name, %decision, readers, "held refusals were decided on by hand");
        let mut done = 0;
        loop {
            progress(readers, done);
            let worked = self.storage.end_judged(self.now()).await?;
            done += worked.ended + worked.dismissed;
            if !worked.is_more {
                break;
            }
        }
        Ok(BrakeDecision {
            kind,
            name,
            decision,
            readers,
        })
    }

    async fn held_by(&self, name: &str) -> Result<(HeldBy, String), Failure> {
        let name = name.trim().to_lowercase();
        for kind in HeldBy::ALL {
            if let Some(name) = name
                .strip_prefix(kind.as_str())
                .and_then(|rest| rest.strip_prefix(':'))
            {
                return Ok((*kind, name.to_owned()));
            }
        }
        let held = self.storage.held_refusals(None, i64::MAX).await?;
        let is_held = |kind| {
            held.iter()
                .any(|held| held.held_by == kind && held.name == name)
        };
        match (is_held(HeldBy::Domain), is_held(HeldBy::Relay)) {
            (true, true) => Err(Failure::invalid(format!(
                "{name} is both a domain and a relay: write domain:{name} or relay:{name}. Nothing was changed."
            ))),
            (false, true) => Ok((HeldBy::Relay, name)),
            _ if self.relays.iter().any(|relay| relay.name == name) && !name.contains('.') => {
                Ok((HeldBy::Relay, name))
            }
            _ => Ok((HeldBy::Domain, name)),
        }
    }
}

/// Said once, when the brake begins to hold.
fn say(stopped: &Stopped) {
    let Stopped {
        send,
        held_by,
        name,
        hard,
        mails,
        words,
    } = stopped;
    let send = label(*send);
    tracing::warn!(
        %send, %held_by, name, refused = hard, mails, words,
        "brake: too many similar hard refusals in one send; no subscription ends until a person or the next send confirms them; see `verdicts bounces list`"
    );
}

/// A digest's slot, or the day of other mails.
fn label(send: i64) -> String {
    Slot::from_id(send).map_or_else(|| day(send), |slot| slot.to_string())
}

fn day(send: i64) -> String {
    let at = crate::domain::from_millis(-send * 24 * 60 * 60 * 1_000);
    at.format("%Y-%m-%d").to_string()
}

impl From<RefusalGroup> for HeldRefusals {
    fn from(held: RefusalGroup) -> Self {
        let digest = Slot::from_id(held.send);
        Self {
            kind: held.held_by,
            name: held.name,
            digest,
            day: digest.is_none().then(|| day(held.send)),
            readers: held.readers,
            refused: held.refused,
            mails: held.mails,
            domains: held.domains,
            words: held.words,
            example: masked(&held.example),
            since: held.since,
        }
    }
}

impl HeldRefusals {
    /// One line for a person.
    pub fn summary(&self) -> String {
        let send = self.digest.map_or_else(
            || format!("mails of {}", self.day.as_deref().unwrap_or_default()),
            |slot| slot.to_string(),
        );
        let Self {
            kind,
            name,
            readers,
            refused,
            mails,
            ..
        } = self;
        let domains = if *kind == HeldBy::Relay {
            format!(" at {} domains", self.domains)
        } else {
            String::new()
        };
        format!(
            "{kind} {name}: {readers} readers held; {refused} of {mails} mails of {send}{domains} refused for good: {}",
            self.example
        )
    }
}

/// A reply without the addresses in it.
pub(in crate::app) fn masked(reply: &str) -> String {
    let word = |word: &str| match word.contains('@') {
        true => "<...>".to_owned(),
        false => word.to_owned(),
    };
    reply.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
