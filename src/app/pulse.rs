//! Signs of life of a process's roles, for a service manager that restarts what hangs.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

/// Moments by which each role said that it would be back. A role that works says a longer time than one that waits: a large publication is no hang.
#[derive(Debug, Default)]
pub struct Pulse(Mutex<Vec<(&'static str, Instant)>>);

/// Upper bound on one piece of a role's work, such as a tick of the schedule. Every wait in it has a bound of its own, so that only a
/// fault of the program lasts longer.
pub const WORK_MAX: Duration = Duration::from_secs(15 * 60);
/// Time between two signs of a role that waits.
pub const IDLE_BEAT: Duration = Duration::from_secs(10);
/// Upper bound on the time between two signs of a role that waits.
pub const IDLE_MAX: Duration = Duration::from_secs(30);

impl Pulse {
    fn roles(&self) -> MutexGuard<'_, Vec<(&'static str, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A role lives, and gives its next sign within `limit`.
    pub fn beat(&self, role: &'static str, limit: Duration) {
        let until = Instant::now() + limit;
        let mut roles = self.roles();
        match roles.iter_mut().find(|(known, _)| *known == role) {
            Some((_, time)) => *time = until,
            None => roles.push((role, until)),
        }
    }

    /// A role's work makes headway, if the role runs here: it has as much time again.
    pub fn go_on(&self, role: &'static str, limit: Duration) {
        let until = Instant::now() + limit;
        let mut roles = self.roles();
        if let Some((_, time)) = roles.iter_mut().find(|(known, _)| *known == role) {
            *time = (*time).max(until);
        }
    }

    /// A role that ended in order is not waited for.
    pub fn end(&self, role: &'static str) {
        self.roles().retain(|(known, _)| *known != role);
    }

    /// Returns a role that should have given a sign by now and did not.
    pub fn stuck(&self) -> Option<&'static str> {
        let now = Instant::now();
        let roles = self.roles();
        roles
            .iter()
            .find(|(_, until)| *until < now)
            .map(|(role, _)| *role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_role_that_gives_no_sign_in_time_is_named() {
        let pulse = Pulse::default();
        assert_eq!(pulse.stuck(), None, "no role runs");
        pulse.beat("schedule", IDLE_MAX);
        pulse.beat("deliver", WORK_MAX);
        tokio::time::advance(Duration::from_secs(29)).await;
        assert_eq!(pulse.stuck(), None);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(pulse.stuck(), Some("schedule"));
        pulse.beat("schedule", IDLE_MAX);
        assert_eq!(pulse.stuck(), None);
        tokio::time::advance(WORK_MAX).await;
        pulse.end("schedule");
        assert_eq!(pulse.stuck(), Some("deliver"));
    }
}
