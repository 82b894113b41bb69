//! What the workers bring, in groups that are worth a commit.
//!
//! A commit costs about the same for one result as for ten: it is the disk that keeps its word. Results that come faster than they
//! can be committed one by one therefore wait for each other, for a moment, until there are enough. Measured on two cores, ten
//! connections and 52 KB a mail, SQLite, half of the crew: half the processor's time, and a fifth more mails. A result that comes
//! alone waits for nobody: then it is the lines that are waited for. Nor is anybody waited for twice who stays out longer, a
//! connection whose server thinks.

use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// So long a group waits at most.
const MOMENT: Duration = Duration::from_millis(1);
/// So many in a group at most.
const MOST: usize = 256;
/// After so many groups that came together in time, one more is hoped for.
const TRUST: u32 = 32;

/// Where results come in.
pub struct Groups<T> {
    results: Receiver<T>,
    /// Whether the last group was one.
    is_busy: bool,
    /// How many come within a moment, as far as is known.
    hoped: usize,
    /// How many groups in a row had as many as were hoped for.
    in_time: u32,
}

impl<T> Groups<T> {
    pub fn of(results: Receiver<T>) -> Self {
        Self { results, is_busy: false, hoped: usize::MAX, in_time: 0 }
    }

    /// Adds the next group to `group`, of which so many are `enough`. `false`: nobody is left who could bring anything. What was added
    /// stays when it is dropped half-way.
    pub async fn next(&mut self, group: &mut Vec<T>, enough: usize) -> bool {
        if group.is_empty() && self.results.recv_many(group, MOST).await == 0 {
            return false;
        }
        if self.is_busy {
            // Over or full, it is a group.
            let wanted = self.hoped.min(enough);
            let came = timeout(MOMENT, self.fill(group, wanted)).await.is_ok();
            self.learn(wanted, came, group.len());
        }
        self.is_busy = group.len() > 1;
        true
    }

    /// Where fewer came than were wanted, one fewer is hoped for, no matter how many stayed out: it may have been chance.
    fn learn(&mut self, wanted: usize, came: bool, count: usize) {
        self.in_time = if came { self.in_time + 1 } else { 0 };
        if !came {
            self.hoped = wanted - 1;
        } else if self.in_time >= TRUST {
            (self.hoped, self.in_time) = (self.hoped.saturating_add(1), 0);
        }
        self.hoped = self.hoped.max(count);
    }

    async fn fill(&mut self, group: &mut Vec<T>, enough: usize) {
        while group.len() < enough && self.results.recv_many(group, MOST).await > 0 {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn results_that_come_one_by_one_wait_for_nobody() {
        let (sender, results) = mpsc::channel(10);
        let (mut groups, began) = (Groups::of(results), Instant::now());
        for result in 0..3 {
            sender.send(result).await.expect("sent");
            let mut group = Vec::new();
            assert!(groups.next(&mut group, 5).await);
            assert_eq!((group, began.elapsed()), (vec![result], Duration::ZERO));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn while_they_come_in_groups_half_of_the_crew_is_waited_for() {
        let (sender, results) = mpsc::channel(10);
        let mut groups = Groups::of(results);
        for result in 0..3 {
            sender.send(result).await.expect("sent");
        }
        let mut group = Vec::new();
        assert!(groups.next(&mut group, 5).await);
        assert_eq!(group.len(), 3, "nobody was waited for before it was known to be busy");
        group.clear();
        let late = tokio::spawn(async move {
            for result in 0..6 {
                sender.send(result).await.expect("sent");
                tokio::task::yield_now().await;
            }
            sender
        });
        assert!(groups.next(&mut group, 5).await);
        assert!(group.len() >= 5, "{group:?}");
        late.await.expect("ended");
    }

    #[tokio::test(start_paused = true)]
    async fn who_stays_out_is_waited_for_once_and_hoped_for_again_much_later() {
        let (sender, results) = mpsc::channel(10);
        let mut groups = Groups::of(results);
        let mut waited = Vec::new();
        for _ in 0..TRUST + 3 {
            for result in 0..4 {
                sender.send(result).await.expect("sent");
            }
            let (began, mut group) = (Instant::now(), Vec::new());
            assert!(groups.next(&mut group, 5).await);
            assert_eq!(group.len(), 4);
            waited.push(began.elapsed() > Duration::ZERO);
        }
        let times: Vec<usize> = (0..waited.len()).filter(|at| waited[*at]).collect();
        assert_eq!(times, [1, TRUST as usize + 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_come_is_waited_for_a_moment_only_and_nothing_is_lost() {
        let (sender, results) = mpsc::channel(10);
        let mut groups = Groups::of(results);
        let mut group = Vec::new();
        for expected in [2, 4] {
            sender.send(0).await.expect("sent");
            sender.send(0).await.expect("sent");
            assert!(groups.next(&mut group, 5).await);
            assert_eq!(group.len(), expected);
        }
        group.clear();
        drop(sender);
        assert!(!groups.next(&mut group, 5).await);
    }
}
