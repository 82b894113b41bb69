//! A value that is replaced while others hold references to it: the settings, and what is made of them.

use std::ops::Deref;
use std::sync::OnceLock;

/// Replacements in the life of a process. Each keeps its version until the process ends, so that a reference never ends under its
/// holder; a version of the settings has some kilobytes.
const REPLACED_MAX: usize = 200;

/// A value with its newer versions behind it. Dereferences to the newest.
#[derive(Debug)]
pub struct Live<T> {
    value: T,
    next: OnceLock<Box<Live<T>>>,
}

impl<T> Live<T> {
    /// A value that was never replaced.
    pub fn new(value: T) -> Self {
        Self {
            value,
            next: OnceLock::new(),
        }
    }

    fn newest(&self) -> (&Self, usize) {
        let (mut newest, mut count) = (self, 0);
        while let Some(next) = newest.next.get() {
            (newest, count) = (next, count + 1);
        }
        (newest, count)
    }

    /// Number of times that the value was replaced.
    pub fn replaced(&self) -> usize {
        self.newest().1
    }

    /// Replaces the value for whoever asks from now on; `false` where it was replaced too often, and stays as it is.
    pub fn replace(&self, value: T) -> bool {
        let mut new = Box::new(Self::new(value));
        loop {
            let (newest, count) = self.newest();
            if count >= REPLACED_MAX {
                return false;
            }
            match newest.next.set(new) {
                Ok(()) => return true,
                // Another was first: behind it.
                Err(back) => new = back,
            }
        }
    }
}

impl<T> Deref for Live<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.newest().0.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_gets_the_newest_and_whoever_holds_one_keeps_it() {
        let live = Live::new(1);
        let held: &i32 = &live;
        assert!(live.replace(2) && live.replace(3));
        assert_eq!((*held, *live), (1, 3));
        while live.replace(4) {}
        assert_eq!((live.newest().1, *live), (REPLACED_MAX, 4));
    }
}
