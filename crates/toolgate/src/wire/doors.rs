//! The doors through which time and chance come in.

use gate::ports::{Clock, Ids};
use std::sync::OnceLock;
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
    fn fresh(&self) -> Uuid {
        Uuid::now_v7()
    }
}
