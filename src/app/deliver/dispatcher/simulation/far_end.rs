//! The simulation's relays: how they take mails, and what troubles them.

use super::*;

impl World {
    /// Troubles come and go.
    pub(super) fn strike(&mut self) {
        for at in 0..self.relays.len() {
            if self.relays[at].is_healthy || self.relays[at].until > self.at {
                continue;
            }
            let troubles = [
                Trouble::None,
                Trouble::None,
                Trouble::Refuses,
                Trouble::NeverGreets,
                Trouble::SilentInEnvelope,
                Trouble::LateDot,
                Trouble::PutsOff,
                Trouble::Throttles,
                Trouble::HangsUp,
                Trouble::Crawls,
                Trouble::TakesSmall,
                Trouble::LeaseOver,
            ];
            self.relays[at].trouble = troubles[self.random.random_range(0..troubles.len())];
            self.relays[at].until = self.at + Duration::from_millis(self.random.random_range(200..60_000));
        }
    }

    /// Returns whether the mail that a worker has at hand is larger than its relay takes.
    pub(super) fn is_too_large(&self, id: WorkerId) -> bool {
        let Some(worker) = self.workers.get(&id) else { return false };
        let is_digest = worker.at_hand.as_ref().is_some_and(|job| class_of(job) == MailClass::Digest);
        is_digest && self.relays[worker.relay].trouble == Trouble::TakesSmall
    }

    pub(super) fn send(&mut self, id: WorkerId, key: DeliveryKey) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.begun = Some(key);
        worker.in_envelope = true;
        let relay = &self.relays[worker.relay];
        let mail = relay.mail;
        let rare = !relay.is_healthy && self.random.random_bool(0.01);
        let (after, verdict) = match relay.trouble {
            Trouble::SilentInEnvelope => (Duration::from_secs(300), Verdict::AboutUs { reply: "silent".into(), is_for_now: false }),
            Trouble::PutsOff => (mail, Verdict::AboutUs { reply: "451".into(), is_for_now: true }),
            Trouble::LeaseOver => (mail, Verdict::LeaseOver),
            Trouble::Throttles => (mail, Verdict::Throttled("421".into())),
            Trouble::HangsUp => (mail, Verdict::InDoubt("hung up".into())),
            Trouble::Crawls if self.random.random_bool(0.2) => (Duration::from_secs(90), Verdict::Accepted),
            Trouble::LateDot => (Duration::from_secs(590), Verdict::Accepted),
            _ if rare => (Duration::from_secs(120), Verdict::Accepted),
            _ => (mail, Verdict::Accepted),
        };
        if matches!(verdict, Verdict::Accepted | Verdict::InDoubt(_)) {
            // It is at its final dot: nobody takes it back.
            worker.in_envelope = false;
        }
        self.later(after, Happening::Answered(id, verdict));
    }

    pub(super) fn answered(&mut self, id: WorkerId, verdict: Verdict, after: Duration) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let Some(key) = worker.begun.take() else { return };
        worker.in_envelope = false;
        worker.mails += 1;
        let is_taken = verdict == Verdict::Accepted;
        let breaks = verdict != Verdict::Accepted || worker.mails >= self.mails_max;
        worker.asks_to_begin = worker.at_hand.is_some() && !breaks;
        let (relay, begins) = (worker.relay, worker.asks_to_begin);
        if breaks {
            worker.at_hand = None;
            worker.is_gone = true;
        }
        let again = self.now().wall + TimeDelta::from_std(after).expect("a time");
        let row = self.rows.get_mut(&(key.mailing, key.subscriber)).expect("a row");
        let is_in_doubt = matches!(verdict, Verdict::InDoubt(_));
        let step = match (is_taken, is_in_doubt) {
            (true, _) => Step::Sent,
            // As the ledger does it: a second doubt is held.
            (_, true) => Step::Doubted((row.doubts == 0).then_some(again)),
            _ => Step::Again(again),
        };
        if is_taken || is_in_doubt {
            row.copies += 1;
            let (copies, doubts) = (row.copies, row.doubts);
            row.doubts += u32::from(is_in_doubt);
            self.must(copies == doubts + 1 && copies <= 2, || format!("{key:?} went out {copies} times after {doubts} doubts"));
        }
        if is_taken {
            self.relays[relay].taken += 1;
            self.relays[relay].taken_at = self.at;
        }
        let result = MailResult { done: Done { key, step, reply: String::new() }, verdict };
        self.handle(Event::Requests(vec![Request { worker: id, result: Some(result), begins, wants: !breaks }]));
    }
}
