//! Waiting for something that another process does, with a deadline.

use std::thread;
use std::time::{Duration, Instant};

/// How often [`until`] looks.
const LOOK: Duration = Duration::from_millis(5);
/// Long enough for a loaded machine: what takes longer is broken.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "tests run real processes in real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Looks every few milliseconds until `look` finds something; nothing when the time is over.
pub fn for_some<T>(time: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = now() + time;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if now() >= end {
            return None;
        }
        thread::sleep(LOOK);
    }
}

/// Waits until `look` holds; whether it did within `time`.
#[must_use]
pub fn until(time: Duration, mut look: impl FnMut() -> bool) -> bool {
    for_some(time, || look().then_some(())).is_some()
}

/// Waits with [`PATIENCE`] until `look` holds.
///
/// # Panics
/// When it never does; `what` tells what was waited for.
pub fn expect(what: &str, look: impl FnMut() -> bool) {
    assert!(until(PATIENCE, look), "waited in vain for {what}");
}
