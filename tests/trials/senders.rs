//! The processes of a run that send.

use std::time::Duration;

use crate::support::Program;
use crate::support::Running;

/// In order a process ends within its own limit (30 seconds) and a little.
const LONGEST_END: Duration = Duration::from_secs(45);

/// A few `serve` processes.
pub struct Senders {
    program: Program,
    running: Vec<Running>,
    started: usize,
}

impl Senders {
    pub fn start(program: Program, count: usize) -> Self {
        let mut senders = Self {
            program,
            running: Vec::new(),
            started: 0,
        };
        (0..count).for_each(|_| senders.add());
        senders
    }

    /// Starts one more.
    pub fn add(&mut self) {
        self.started += 1;
        self.running.push(self.program.start(
            &format!("serve-{}", self.started),
            &["serve", "--role", "deliver"],
        ));
    }

    /// `kill -9` to the one that runs longest.
    pub fn kill(&mut self) {
        self.running.remove(0).kill();
    }

    /// SIGTERM to the one that runs longest; returns when it has ended.
    pub async fn terminate(&mut self) -> Result<(), String> {
        let mut sender = self.running.remove(0);
        if sender.has_ended() {
            // It found no database when it started, say: whoever looks after it starts it again.
            self.add();
            return Ok(());
        }
        sender.signal("TERM");
        for _ in 0..LONGEST_END.as_millis() / 20 {
            match sender.ended() {
                Some(Some(0)) => return Ok(()),
                // The signal met a process that could not listen to it yet: it had begun nothing.
                Some(None) if sender.is_silent() => return Ok(()),
                Some(code) => return Err(format!("after SIGTERM it ended with {code:?}")),
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        Err(format!(
            "it did not end within {} s of SIGTERM",
            LONGEST_END.as_secs()
        ))
    }

    /// The one that runs longest; it stays in the run.
    pub fn oldest(&self) -> &Running {
        &self.running[0]
    }

    /// Ends all in order.
    pub async fn end(mut self) -> Result<(), String> {
        while !self.running.is_empty() {
            self.terminate().await?;
        }
        Ok(())
    }

    /// Starts again what has ended by itself, as a service manager would; answers how many had.
    pub fn revive(&mut self) -> usize {
        let before = self.running.len();
        self.running.retain_mut(|sender| !sender.has_ended());
        let ended = before - self.running.len();
        (0..ended).for_each(|_| self.add());
        ended
    }
}
