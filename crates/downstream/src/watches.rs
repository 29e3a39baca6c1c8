//! Who watches which resource, so that one watcher who leaves does not end the watch of the others.

use gate::ServerName;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

type Key = (ServerName, Box<str>);

/// Counts watchers by server and URI, over all sessions of one process.
#[derive(Default)]
pub(crate) struct Watches {
    /// Held for single map operations only.
    counts: Mutex<HashMap<Key, usize>>,
}

impl Watches {
    /// One more watcher, for as long as the guard lives.
    pub fn add(self: &Arc<Self>, server: &ServerName, uri: &str) -> Watch {
        let key = (server.clone(), Box::from(uri));
        *self.counts.lock().expect("map operations do not panic").entry(key.clone()).or_default() += 1;
        Watch { watches: self.clone(), key }
    }

    /// Whether anybody watches.
    pub fn watched(&self, server: &ServerName, uri: &str) -> bool {
        let counts = self.counts.lock().expect("map operations do not panic");
        counts.contains_key(&(server.clone(), Box::from(uri)))
    }
}

/// One watcher of one resource.
pub(crate) struct Watch {
    watches: Arc<Watches>,
    key: Key,
}

impl Watch {
    /// Whose resource.
    pub fn server(&self) -> &ServerName {
        &self.key.0
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut counts = self.watches.counts.lock().expect("map operations do not panic");
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_watched_until_its_last_watcher_leaves() {
        let (watches, server) = (Arc::new(Watches::default()), ServerName::from("s"));
        let first = watches.add(&server, "a://b");
        let second = watches.add(&server, "a://b");
        drop(first);
        assert!(watches.watched(&server, "a://b"));
        drop(second);
        assert!(!watches.watched(&server, "a://b"));
    }
}
