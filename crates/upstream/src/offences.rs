//! Counting what a peer does against the protocol. Not here: what counts as such.

use std::time::Duration;
use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(60);
/// More than this within [`WINDOW`] and the connection is given up.
const TOLERATED: u32 = 100;

/// Offences of one connection in the current minute and over all.
pub(crate) struct Offences {
    since: Instant,
    recent: u32,
    pub total: u64,
}

impl Offences {
    pub fn new(now: Instant) -> Self {
        Self { since: now, recent: 0, total: 0 }
    }

    /// Counts one more; whether that was too many.
    pub fn add(&mut self, now: Instant) -> bool {
        if now - self.since > WINDOW {
            (self.since, self.recent) = (now, 0);
        }
        self.recent += 1;
        self.total += 1;
        self.recent > TOLERATED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_a_minute_are_tolerated() {
        let start = Instant::now();
        let mut offences = Offences::new(start);
        assert!((0..100).all(|_| !offences.add(start)));
        assert!(offences.add(start));
        assert!(!offences.add(start + Duration::from_secs(61)));
        assert_eq!(offences.total, 102);
    }
}
