//! Claims: the chunks that a round has, fetched ahead so that no connection waits for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::app::App;
use crate::domain::delivery::ChunkKey;
use crate::storage::StorageError;
use crate::storage::chunks::Claimed;
use crate::storage::ledger::Job;

/// So long at most until a fresh confirmation mail overtakes what was claimed before it.
const CLAIM_AGAIN: Duration = Duration::from_millis(250);
/// At hand for each connection at first: enough to keep it busy, little enough that one process does not hoard.
const CHUNK: usize = 50;
/// At hand at the most at first,
const LARGE: usize = 1_000;
/// and after that.
const LARGEST: usize = 4_000;
/// Who claims again so soon has twice as many at hand from then on: a claim keeps SQLite's one writer as long as half a dozen group commits.
const SOON: Duration = Duration::from_millis(50);
/// Who claims again so late has half as many.
const LATE: Duration = Duration::from_millis(400);

/// What a round has claimed, and its claim under way.
pub struct Claims {
    app: Arc<App>,
    sender: i64,
    only: Option<i64>,
    at_hand: AtHand,
    /// How many mails of each chunk have not come to an end here.
    open: HashMap<ChunkKey, usize>,
    /// Chunks of which there is nothing left to do here; they go back with the next claim.
    ended: Vec<ChunkKey>,
    under_way: Option<UnderWay>,
    asked_at: Instant,
    /// Whether the last claim had seen all that is due, and found nothing.
    is_dry: bool,
}

/// How many mails a round has at hand.
struct AtHand {
    wanted: usize,
    least: usize,
    /// When they last went down to half.
    low_at: Option<Instant>,
}

impl AtHand {
    fn new(connections: usize) -> Self {
        let least = (CHUNK * connections).min(LARGE);
        Self { wanted: least, least, low_at: None }
    }

    /// As many as are wanted from now on, as they went down to half: at least half of before, and so no fewer than are left.
    fn adapt(&mut self) -> usize {
        let now = Instant::now();
        match self.low_at.replace(now).map(|before| now - before) {
            Some(since) if since < SOON => self.wanted = (self.wanted * 2).min(LARGEST),
            Some(since) if since > LATE => self.wanted = (self.wanted / 2).max(self.least),
            _ => {}
        }
        self.wanted
    }
}

struct UnderWay {
    claim: JoinHandle<Result<Claimed, StorageError>>,
    returned: Vec<ChunkKey>,
    has_room: bool,
}

impl Claims {
    pub fn new(app: Arc<App>, sender: i64, only: Option<i64>) -> Self {
        let at_hand = AtHand::new(app.settings.mail.connections);
        Self {
            app,
            sender,
            only,
            at_hand,
            open: HashMap::new(),
            ended: Vec::new(),
            under_way: None,
            asked_at: Instant::now(),
            is_dry: false,
        }
    }

    /// Claims more, with so many mails at hand that wait for nothing: when half of them are gone; and now and then, for confirmation
    /// mails overtake. What it finds, [`Claims::arrived`] brings.
    pub fn look_ahead(&mut self, ready: usize) {
        let is_low = ready <= self.at_hand.wanted / 2;
        let is_long_ago = self.asked_at.elapsed() > CLAIM_AGAIN;
        if self.under_way.is_some() || !(is_low && !self.is_dry || is_long_ago) {
            return;
        }
        let room = if is_low { self.at_hand.adapt() - ready } else { 0 };
        let (app, sender, only, now) = (self.app.clone(), self.sender, self.only, self.app.now());
        let returned = std::mem::take(&mut self.ended);
        let ended = returned.clone();
        let claim = tokio::spawn(async move { app.storage.claim(sender, &ended, only, room, now).await });
        self.under_way = Some(UnderWay { claim, returned, has_room: room > 0 });
        self.asked_at = Instant::now();
    }

    /// Whether mails may still come.
    pub fn may_bring(&self) -> bool {
        self.under_way.is_some() || !self.is_dry
    }

    /// What the claim under way found; for ever pending without one. May be dropped half-way.
    pub async fn arrived(&mut self) -> Result<Vec<Job>, StorageError> {
        let Some(under_way) = &mut self.under_way else { return std::future::pending().await };
        let claimed = (&mut under_way.claim).await;
        let Some(UnderWay { returned, has_room, .. }) = self.under_way.take() else { return Ok(Vec::new()) };
        // One that panicked found nothing; what it may have claimed goes back with the lease.
        let claimed = claimed.unwrap_or_else(|_| Ok(Claimed::default()));
        match &claimed {
            Ok(Claimed { jobs, may_be_more }) => {
                self.is_dry = jobs.is_empty() && !may_be_more && (has_room || self.is_dry);
                jobs.iter().for_each(|job| *self.open.entry(job.chunk).or_default() += 1);
            }
            Err(_) => {
                // It is not known whether they went back; to give back what one does not have is nothing.
                self.ended.extend(returned);
                self.is_dry = true;
            }
        }
        claimed.map(|claimed| claimed.jobs)
    }

    /// A mail of that chunk came to an end here: it is written down what became of it, or it will not be begun.
    pub fn has_ended(&mut self, chunk: ChunkKey) {
        let Some(open) = self.open.get_mut(&chunk) else { return };
        *open -= 1;
        if *open == 0 {
            self.open.remove(&chunk);
            self.ended.push(chunk);
        }
    }

    /// Waits for the claim under way, so that what it takes is given back with the lease.
    pub async fn end(mut self) {
        if let Some(UnderWay { claim, .. }) = self.under_way.take() {
            let _ = claim.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_sends_fast_has_more_at_hand_and_who_sends_slowly_little() {
        let mut at_hand = AtHand::new(10);
        let mut had = vec![at_hand.adapt()];
        for pause in [10, 10, 10, 10, 200, 500, 500, 500, 500] {
            tokio::time::advance(Duration::from_millis(pause)).await;
            had.push(at_hand.adapt());
        }
        assert_eq!(had, [500, 1_000, 2_000, 4_000, 4_000, 4_000, 2_000, 1_000, 500, 500]);
    }
}
