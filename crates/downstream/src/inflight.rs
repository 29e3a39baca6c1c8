//! The requests of one conversation that are not answered yet, so that they can be cancelled by their id.

use bytes::Bytes;
use futures_util::future::{AbortHandle, AbortRegistration};
use mcp::view;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// Which request is which: by its id as the client spells it, escapes aside.
#[derive(Default)]
pub(crate) struct InFlight {
    /// Held for single map operations only.
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    entries: HashMap<Bytes, (u64, AbortHandle)>,
    next: u64,
}

/// A place in the table; giving it up frees the id.
pub(crate) struct Slot {
    table: Arc<InFlight>,
    key: Bytes,
    ticket: u64,
}

impl InFlight {
    /// Enters a request by its raw id token. `None` if one of that id is in flight.
    pub fn enter(self: &Arc<Self>, id: &Bytes) -> Option<(Slot, AbortRegistration)> {
        let key = key_of(id);
        let mut table = self.lock();
        if table.entries.contains_key(&key) {
            return None;
        }
        let (handle, registration) = AbortHandle::new_pair();
        table.next += 1;
        let ticket = table.next;
        table.entries.insert(key.clone(), (ticket, handle));
        Some((Slot { table: self.clone(), key, ticket }, registration))
    }

    /// Cancels the request of this raw id token, if it is in flight.
    pub fn cancel(&self, id: &Bytes) {
        if let Some((_, handle)) = self.lock().entries.remove(&key_of(id)) {
            handle.abort();
        }
    }

    /// Cancels all of them.
    pub fn cancel_all(&self) {
        for (_, (_, handle)) in self.lock().entries.drain() {
            handle.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("map operations do not panic")
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut table = self.table.lock();
        // The id may have been cancelled and used again since.
        if table.entries.get(&self.key).is_some_and(|(ticket, _)| *ticket == self.ticket) {
            table.entries.remove(&self.key);
        }
    }
}

fn key_of(id: &Bytes) -> Bytes {
    if !id.contains(&b'\\') {
        return id.clone();
    }
    let plain = std::str::from_utf8(id).ok().and_then(view::string);
    plain.map_or_else(|| id.clone(), |text| Bytes::from(format!("\"{text}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_free_again_once_its_request_is_over_or_cancelled() {
        let table = Arc::new(InFlight::default());
        let id = |text: &'static str| Bytes::from_static(text.as_bytes());
        let (first, _) = table.enter(&id(r#""a""#)).expect("free");
        assert!(table.enter(&id("\"\\u0061\"")).is_none(), "the same id, spelled differently");
        assert!(table.enter(&id("1")).is_some());
        table.cancel(&id(r#""a""#));
        let (_second, _) = table.enter(&id(r#""a""#)).expect("cancelled");
        drop(first);
        assert!(table.enter(&id(r#""a""#)).is_none(), "the older slot does not free the newer request");
    }
}
