//! Which conversations have read what strangers wrote (OWASP's "indirect prompt injection"): from then on, whatever
//! the agent does may be what a stranger wants. Policy decides what follows; this only remembers.

use crate::words::Call;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// How many conversations are told apart. Beyond that all count as tainted: forgetting one would clear it.
const MOST: usize = 10_000;

/// The conversations that are tainted.
#[derive(Default)]
pub(crate) struct Taints {
    /// Held for single set operations only.
    conversations: Mutex<HashSet<Key>>,
    all: AtomicBool,
}

/// A conversation; where none can be told apart, all calls of one principal are one.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key(&'static str, Option<Arc<str>>);

impl Taints {
    /// Whether the conversation of this call has read what strangers wrote.
    pub fn has(&self, call: &Call) -> bool {
        self.all.load(Ordering::Relaxed) || self.lock().contains(&key(call))
    }

    /// It has now.
    pub fn mark(&self, call: &Call) {
        let mut conversations = self.lock();
        if conversations.len() >= MOST {
            self.all.store(true, Ordering::Relaxed);
            return;
        }
        conversations.insert(key(call));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<Key>> {
        self.conversations.lock().expect("set operations do not panic")
    }
}

fn key(call: &Call) -> Key {
    Key(call.by.word(), call.conversation.clone())
}
