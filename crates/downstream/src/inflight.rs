//! The requests of one conversation that are not answered yet, so that they can be cancelled by their id.

use crate::answer::Answer;
use bytes::Bytes;
use futures_util::future::{AbortHandle, AbortRegistration};
use gate::Code;
use mcp::revision::code;
use mcp::view;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// How many requests of one conversation may be unanswered. Calls have a smaller limit of their own; this one is
/// for what never gets that far, and for subscriptions.
const MOST: usize = 4_096;

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
    /// Enters a request by its raw id token.
    ///
    /// # Errors
    /// The answer to it, if one of that id is in flight, or too many are.
    pub fn enter(self: &Arc<Self>, id: &Bytes) -> Result<(Slot, AbortRegistration), Answer> {
        let key = key_of(id);
        let mut table = self.lock();
        if table.entries.contains_key(&key) {
            return Err(Answer::malformed(id, code::INVALID_REQUEST, "a request of this id is in flight already"));
        }
        if table.entries.len() >= MOST {
            let what = format!("{MOST} requests are unanswered, the limit of one conversation; try again shortly");
            return Err(Answer::error(id, Code::LimitBusy.rpc(), &what, None));
        }
        let (handle, registration) = AbortHandle::new_pair();
        table.next += 1;
        let ticket = table.next;
        table.entries.insert(key.clone(), (ticket, handle));
        Ok((Slot { table: self.clone(), key, ticket }, registration))
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
        assert!(table.enter(&id("\"\\u0061\"")).is_err(), "the same id, spelled differently");
        assert!(table.enter(&id("1")).is_ok());
        table.cancel(&id(r#""a""#));
        let (_second, _) = table.enter(&id(r#""a""#)).expect("cancelled");
        drop(first);
        assert!(table.enter(&id(r#""a""#)).is_err(), "the older slot does not free the newer request");
    }

    #[test]
    fn a_conversation_has_so_many_unanswered_requests_and_no_more() {
        let table = Arc::new(InFlight::default());
        let enter = |id: usize| table.enter(&Bytes::from(id.to_string()));
        let mut slots: Vec<_> = (0..MOST).map(|id| enter(id).expect("room")).collect();
        assert_eq!(enter(MOST).err().expect("full").code, Some(Code::LimitBusy.rpc()));
        slots.pop();
        assert!(enter(MOST).is_ok());
    }
}
