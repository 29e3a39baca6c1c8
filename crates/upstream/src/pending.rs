//! The requests of one connection that wait for an answer. A lock is held only to look something up.

use bytes::Bytes;
use gate::{Dialogue, Fault, Feed};
use mcp::Frame;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long a server may go on with a call that was given up: what it asks meanwhile may still be about that one.
const LINGERS: Duration = Duration::from_secs(10);

/// How many requests that were given up are remembered.
const MOST_GIVEN_UP: usize = 1_024;

/// What a waiting request gets in the end.
pub(crate) type Answer = Result<Frame, Fault>;

/// A call of somebody's, as far as a server may speak to its caller.
#[derive(Clone)]
pub(crate) struct Caller {
    /// The way back.
    pub feed: Feed,
    /// How it can be asked.
    pub dialogue: Dialogue,
    /// Its capabilities object.
    pub capabilities: Option<Bytes>,
    /// Whether it wants progress.
    pub progress: bool,
}

struct Entry {
    answer: oneshot::Sender<Answer>,
    /// `None` for requests of our own.
    caller: Option<Caller>,
    progressed: Option<Instant>,
}

#[derive(Default)]
struct Table {
    last: u64,
    waiting: HashMap<u64, Entry>,
    calls: usize,
    /// Requests that were given up and may yet be answered, oldest first.
    given_up: VecDeque<GivenUp>,
    closed: Option<Fault>,
}

struct GivenUp {
    id: u64,
    at: Instant,
    /// It was somebody's call.
    call: bool,
}

/// The table of one connection.
#[derive(Default)]
pub(crate) struct Pending(Mutex<Table>);

impl Pending {
    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing that runs under the lock can leave the table half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fresh id and where its answer will be, or why the connection takes no more requests.
    pub fn register(&self, caller: Option<Caller>) -> Result<(u64, oneshot::Receiver<Answer>), Fault> {
        let (answer, receiver) = oneshot::channel();
        let mut table = self.table();
        if let Some(fault) = &table.closed {
            return Err(fault.clone());
        }
        table.last += 1;
        table.calls += usize::from(caller.is_some());
        let id = table.last;
        table.waiting.insert(id, Entry { answer, caller, progressed: None });
        Ok((id, receiver))
    }

    /// Hands an answer to whoever waits for it; false if nobody does.
    pub fn settle(&self, id: u64, answer: Answer) -> bool {
        let entry = self.table().take(id);
        entry.is_some_and(|entry| entry.answer.send(answer).is_ok())
    }

    /// Gives a request up; false if it was settled already.
    pub fn forget(&self, id: u64) -> bool {
        let mut table = self.table();
        let Some(entry) = table.take(id) else { return false };
        if table.given_up.len() >= MOST_GIVEN_UP {
            table.given_up.pop_front();
        }
        table.given_up.push_back(GivenUp { id, at: Instant::now(), call: entry.caller.is_some() });
        true
    }

    /// Takes note of an answer that nobody waits for; whether that is because its request was given up.
    pub fn late(&self, id: u64) -> bool {
        let given_up = &mut self.table().given_up;
        let at = given_up.iter().position(|request| request.id == id);
        at.is_some_and(|at| given_up.remove(at).is_some())
    }

    /// Fails everything that waits, and all that would come later.
    pub fn close(&self, waiting: &Fault, later: Fault) {
        let entries = {
            let mut table = self.table();
            table.closed.get_or_insert(later);
            table.calls = 0;
            table.given_up.clear();
            std::mem::take(&mut table.waiting)
        };
        for (_, entry) in entries {
            // Whoever gave up waiting needs no answer.
            let _ = entry.answer.send(Err(waiting.clone()));
        }
    }

    /// Notes progress at `now`; the way to the caller if it wants to hear of it.
    pub fn progress(&self, id: u64, now: Instant) -> Option<Feed> {
        let mut table = self.table();
        let entry = table.waiting.get_mut(&id)?;
        entry.progressed = Some(now);
        entry.caller.as_ref().filter(|caller| caller.progress).map(|caller| caller.feed.clone())
    }

    /// When a request was last heard of.
    pub fn progressed(&self, id: u64) -> Option<Instant> {
        self.table().waiting.get(&id)?.progressed
    }

    /// Who waits for this answer, if it is somebody's call.
    pub fn caller(&self, id: u64) -> Option<Caller> {
        self.table().waiting.get(&id)?.caller.clone()
    }

    /// The caller, if exactly one call is under way, one that was given up a moment ago included.
    pub fn only_caller(&self) -> Option<Caller> {
        let table = self.table();
        let lingers = |request: &GivenUp| request.call && request.at.elapsed() < LINGERS;
        if table.calls != 1 || table.given_up.iter().any(lingers) {
            return None;
        }
        table.waiting.values().find_map(|entry| entry.caller.clone())
    }

    /// The one request that waits, if it is exactly one.
    pub fn only(&self) -> Option<u64> {
        let table = self.table();
        if table.waiting.len() == 1 { table.waiting.keys().next().copied() } else { None }
    }
}

impl Table {
    fn take(&mut self, id: u64) -> Option<Entry> {
        let entry = self.waiting.remove(&id)?;
        self.calls -= usize::from(entry.caller.is_some());
        Some(entry)
    }
}

/// `raw` as an id of ours: digits spelled as we spell them.
pub(crate) fn own_id(raw: &str) -> Option<u64> {
    let canonical = raw == "0" || !raw.starts_with(['0', '+']);
    if canonical { raw.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Faults;

    fn fault() -> Fault {
        Faults("x".into()).died("ended")
    }

    #[test]
    fn an_id_counts_only_as_we_spelled_it() {
        for (raw, want) in [("7", Some(7)), ("\"7\"", None), ("07", None), ("7.0", None), ("+7", None), ("-7", None)] {
            assert_eq!(own_id(raw), want, "{raw}");
        }
    }

    #[test]
    fn an_answer_reaches_its_request_once() {
        let pending = Pending::default();
        let (first, mut receiver) = pending.register(None).expect("open");
        let (second, _other) = pending.register(None).expect("open");
        assert_ne!(first, second);
        assert!(pending.settle(first, Err(fault())));
        assert!(receiver.try_recv().expect("settled").is_err());
        assert!(!pending.settle(first, Err(fault())), "a second answer");
        assert!(pending.forget(second));
        assert!(!pending.settle(second, Err(fault())), "an answer after it was given up");
    }

    #[test]
    fn a_closed_table_fails_what_waits_and_what_comes() {
        let pending = Pending::default();
        let (_, mut receiver) = pending.register(None).expect("open");
        pending.close(&fault(), fault());
        assert_eq!(receiver.try_recv().expect("settled").map(|_| ()), Err(fault()));
        assert_eq!(pending.register(None).map(|_| ()), Err(fault()));
        assert_eq!(pending.only(), None);
    }

    #[test]
    fn a_late_answer_is_known_for_one() {
        let pending = Pending::default();
        let (id, _receiver) = pending.register(None).expect("open");
        assert!(pending.forget(id));
        assert!(pending.late(id));
        assert!(!pending.late(id), "once");
        assert!(!pending.late(id + 1), "never asked");
        for _ in 0..=MOST_GIVEN_UP {
            let (id, _receiver) = pending.register(None).expect("open");
            pending.forget(id);
        }
        assert_eq!(pending.table().given_up.len(), MOST_GIVEN_UP);
    }
}
