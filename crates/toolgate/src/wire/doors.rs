//! The doors through which time and chance come in.

use gate::ports::{Clock, Ids};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// The system's clocks and randomness.
#[derive(Debug, Clone, Copy)]
pub struct System;

impl Clock for System {
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn wall_micros(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn mono_micros(&self) -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        u64::try_from(START.get_or_init(Instant::now).elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Ids for System {
    /// A UUIDv7 whose random part is a counter from a random start: unique without asking the system each time.
    fn fresh(&self) -> Uuid {
        static NEXT: OnceLock<AtomicU64> = OnceLock::new();
        static PROCESS: OnceLock<u16> = OnceLock::new();
        let next = NEXT.get_or_init(|| AtomicU64::new(Uuid::new_v4().as_u64_pair().1));
        let process = *PROCESS.get_or_init(|| Uuid::new_v4().as_fields().1);
        let count = next.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut random = [0; 10];
        random[..2].copy_from_slice(&process.to_be_bytes());
        random[2..].copy_from_slice(&count);
        uuid::Builder::from_unix_timestamp_millis(self.wall_micros() / 1000, &random).into_uuid()
    }
}
