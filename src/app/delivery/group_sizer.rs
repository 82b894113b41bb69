//! Commit group sizer: gathers what the workers bring into groups that are worth a commit.
//!
//! A commit costs about the same for one result as for ten: it is the disk that keeps its word. Results that come faster than they
//! can be committed one by one therefore wait for each other, for a moment, until there are enough. Measured on two cores, ten
//! connections and 52 KB a mail, SQLite, groups of half the workers: half the processor's time, and a fifth more mails. A result that comes
//! alone waits for nobody: then it is the lines that are waited for. A slow connection delays a group at most once: the expected size is
//! then lowered by one, and raised again only much later.

use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// Upper bound on how long a group waits for more.
const MAX_WAIT: Duration = Duration::from_millis(1);
/// Requests in a group at most.
const MAX: usize = 256;
/// After so many groups in a row that came together in time, the target grows by one.
const GROW_AFTER: u32 = 32;

/// Receiver of requests, in groups that are worth a commit.
pub struct CommitGroupSizer<T> {
    requests: Receiver<T>,
    /// True if the last group had more than one.
    gathers: bool,
    /// Number of requests that come within [`MAX_WAIT`], as far as is known.
    target: usize,
    /// Groups in a row that reached the target.
    in_time: u32,
}

impl<T> CommitGroupSizer<T> {
    pub fn new(requests: Receiver<T>) -> Self {
        Self {
            requests,
            gathers: false,
            target: usize::MAX,
            in_time: 0,
        }
    }

    /// Adds the next group to `group`, of which so many are `enough`. `false`: nobody is left who could bring anything. What was added
    /// stays when it is dropped half-way.
    pub async fn next(&mut self, group: &mut Vec<T>, enough: usize) -> bool {
        if group.is_empty() && self.requests.recv_many(group, MAX).await == 0 {
            return false;
        }
        if self.gathers {
            // Over or full, it is a group.
            let wanted = self.target.min(enough);
            let came = timeout(MAX_WAIT, self.fill(group, wanted)).await.is_ok();
            self.learn(wanted, came, group.len());
        }
        self.gathers = group.len() > 1;
        true
    }

    /// Lowers the target by one where fewer came than were wanted, no matter how many stayed out: it may have been chance.
    fn learn(&mut self, wanted: usize, came: bool, count: usize) {
        self.in_time = if came { self.in_time + 1 } else { 0 };
        if !came {
            self.target = wanted - 1;
        } else if self.in_time >= GROW_AFTER {
            (self.target, self.in_time) = (self.target.saturating_add(1), 0);
        }
        self.target = self.target.max(count);
    }

    async fn fill(&mut self, group: &mut Vec<T>, enough: usize) {
        while group.len() < enough && self.requests.recv_many(group, MAX).await > 0 {}
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
        let (mut groups, began) = (CommitGroupSizer::new(results), Instant::now());
        for result in 0..3 {
            sender.send(result).await.expect("sent");
            let mut group = Vec::new();
            assert!(groups.next(&mut group, 5).await);
            assert_eq!((group, began.elapsed()), (vec![result], Duration::ZERO));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn while_they_come_in_groups_more_are_waited_for() {
        let (sender, results) = mpsc::channel(10);
        let mut groups = CommitGroupSizer::new(results);
        for result in 0..3 {
            sender.send(result).await.expect("sent");
        }
        let mut group = Vec::new();
        assert!(groups.next(&mut group, 5).await);
        assert_eq!(
            group.len(),
            3,
            "nobody was waited for before it was known to be busy"
        );
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
    async fn a_slow_one_is_waited_for_once_and_again_much_later() {
        let (sender, results) = mpsc::channel(10);
        let mut groups = CommitGroupSizer::new(results);
        let mut waited = Vec::new();
        for _ in 0..GROW_AFTER + 3 {
            for result in 0..4 {
                sender.send(result).await.expect("sent");
            }
            let (began, mut group) = (Instant::now(), Vec::new());
            assert!(groups.next(&mut group, 5).await);
            assert_eq!(group.len(), 4);
            waited.push(began.elapsed() > Duration::ZERO);
        }
        let times: Vec<usize> = (0..waited.len()).filter(|at| waited[*at]).collect();
        assert_eq!(times, [1, GROW_AFTER as usize + 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_come_is_waited_for_a_moment_only_and_nothing_is_lost() {
        let (sender, results) = mpsc::channel(10);
        let mut groups = CommitGroupSizer::new(results);
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
