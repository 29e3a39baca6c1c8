//! How much one conversation may call, so that an agent that runs in circles, or is led in circles by a server
//! ("partial, call again"), ends with an error and not with a bill.

use crate::refusal::Refusal;
use crate::words::Call;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex};

/// How many conversations are counted at once; beyond that the longest silent ones begin anew.
const MOST: usize = 1_024;

/// What one conversation may do. `None`: no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PaceLimits {
    /// Calls of tools, refused ones included.
    pub calls: Option<NonZeroU64>,
    /// Calls of the same tool with the same arguments in a row.
    pub repeats: Option<NonZeroU64>,
}

/// Counts.
#[derive(Default)]
pub(crate) struct Pace {
    /// Held for single map operations only.
    counts: Mutex<HashMap<Key, Count>>,
}

/// A conversation; where none can be told apart, all calls of one principal are one.
type Key = (&'static str, Option<Arc<str>>);

#[derive(Default)]
struct Count {
    calls: u64,
    last: u64,
    repeats: u64,
    seen: u64,
}

impl Pace {
    /// Counts a call, or says that it is one too many.
    pub fn count(&self, limits: PaceLimits, call: &Call) -> Result<(), Refusal> {
        if limits == PaceLimits::default() {
            return Ok(());
        }
        let mut counts = self.counts.lock().expect("map operations do not panic");
        if counts.len() >= MOST {
            let oldest = counts.iter().min_by_key(|(_, count)| count.seen).map(|(key, _)| key.clone());
            oldest.and_then(|key| counts.remove(&key));
        }
        let turn = counts.values().map(|count| count.seen).max().unwrap_or_default() + 1;
        let count = counts.entry((call.by.word(), call.conversation.clone())).or_default();
        let same = fingerprint(call);
        count.repeats = if count.calls > 0 && count.last == same { count.repeats + 1 } else { 1 };
        (count.calls, count.last, count.seen) = (count.calls + 1, same, turn);
        let over = |limit: Option<NonZeroU64>, found: u64| limit.map(NonZeroU64::get).filter(|limit| found > *limit);
        if let Some(limit) = over(limits.repeats, count.repeats) {
            return Err(Refusal::Exhausted { what: "the same call in a row", setting: "max_repeated_calls", limit });
        }
        match over(limits.calls, count.calls) {
            Some(limit) => {
                Err(Refusal::Exhausted { what: "calls in one session", setting: "max_calls_per_session", limit })
            }
            None => Ok(()),
        }
    }
}

fn fingerprint(call: &Call) -> u64 {
    let mut hasher = DefaultHasher::new();
    call.target.word().hash(&mut hasher);
    call.target.asked().hash(&mut hasher);
    call.wire.part(call.wire.parts.arguments).hash(&mut hasher);
    hasher.finish()
}
