//! How many log lines of a server are passed on, or kept in our own log. Log lines are the one thing a server may say as often as it likes
//! that somebody has to read; what is too much is dropped, so that it delays nobody's answers.

use std::time::Duration;
use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(1);
/// Passed on in one [`WINDOW`]: more than anybody reads, and little beside the calls.
const LINES: u32 = 500;

/// The log lines of one connection in the current second.
pub(crate) struct Chatter {
    since: Instant,
    passed: u32,
}

impl Chatter {
    pub fn new(now: Instant) -> Self {
        Self { since: now, passed: 0 }
    }

    /// Whether one more is passed on.
    pub fn passes(&mut self, now: Instant) -> bool {
        if now - self.since > WINDOW {
            (self.since, self.passed) = (now, 0);
        }
        self.passed += 1;
        self.passed <= LINES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_hundred_a_second_are_passed_on() {
        let start = Instant::now();
        let mut chatter = Chatter::new(start);
        assert!((0..500).all(|_| chatter.passes(start)));
        assert!(!chatter.passes(start));
        assert!(chatter.passes(start + Duration::from_millis(1001)));
    }
}
