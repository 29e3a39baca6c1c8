//! The one door to the monotonic clock for these programs.

use std::time::Instant;

/// The current monotonic time.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures real time, and it has no gate to bring a clock in through"
)]
pub fn now() -> Instant {
    Instant::now()
}
