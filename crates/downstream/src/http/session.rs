//! The sessions of the era with a handshake. Their ids are no proof of anything: each belongs to who opened it.

use super::channel::{Channel, read_event_id};
use crate::front::Front;
use crate::listen::{on_runtime, subscription, unsubscribe};
use crate::session::Session;
use gate::Principal;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;

/// Streams of one session whose messages are kept.
const MOST_STREAMS: usize = 32;
/// What the ended ones of them may hold together, in bytes, before the oldest go.
const MOST_KEPT: usize = 16 << 20;

/// One session.
pub(super) struct HttpSession {
    /// What the client names it by.
    pub id: String,
    pub front: Arc<Front>,
    by: Principal,
    /// What every conversation has.
    pub session: Arc<Session>,
    /// The stream for what belongs to no request: number 0.
    pub inbox: Arc<Channel>,
    streams: Mutex<VecDeque<Arc<Channel>>>,
    next: AtomicU64,
    /// Milliseconds after the face opened.
    used: AtomicU64,
}

/// All sessions of all faces of one server.
pub(super) struct Sessions {
    /// Held for single map operations only.
    open: Mutex<HashMap<String, Arc<HttpSession>>>,
    most: usize,
    idle: Duration,
    born: Instant,
}

impl HttpSession {
    /// A new stream for one request.
    pub fn stream(&self) -> Arc<Channel> {
        Arc::new(Channel::kept(self.next.fetch_add(1, Ordering::Relaxed)))
    }

    /// Keeps a stream for a client that comes back to it.
    pub fn keep(&self, stream: &Arc<Channel>) {
        let mut streams = self.streams.lock().expect("queue operations do not panic");
        if streams.len() >= MOST_STREAMS {
            let at = streams.iter().position(|stream| stream.finished()).unwrap_or(0);
            streams.remove(at);
        }
        lighten(&mut streams);
        streams.push_back(stream.clone());
    }

    /// The stream and the place in it that an event id names.
    pub fn resume(&self, event_id: &str) -> Option<(Arc<Channel>, u64)> {
        let (number, after) = read_event_id(event_id)?;
        if number == 0 {
            return Some((self.inbox.clone(), after));
        }
        let streams = self.streams.lock().expect("queue operations do not panic");
        let found = streams.iter().find(|stream| stream.number() == Some(number))?;
        Some((found.clone(), after))
    }

    /// It is over: nothing of it goes on.
    fn end(&self) {
        self.session.in_flight.cancel_all();
        self.inbox.finish(None);
        let streams = std::mem::take(&mut *self.streams.lock().expect("queue operations do not panic"));
        for stream in streams {
            stream.finish(None);
        }
        let left = self.session.unwatch_all();
        let calls: Vec<_> = left.iter().map(|uri| subscription(&self.front, &self.by, uri, false)).collect();
        if let (false, Some(runtime)) = (calls.is_empty(), on_runtime()) {
            self.front.tracker.spawn_on(unsubscribe(self.front.gate.clone(), calls), &runtime);
        }
    }
}

/// Lets go of the oldest ended streams until what the others hold is bearable.
fn lighten(streams: &mut VecDeque<Arc<Channel>>) {
    let mut held: usize = streams.iter().filter(|stream| stream.finished()).map(|stream| stream.bytes()).sum();
    streams.retain(|stream| {
        let goes = held > MOST_KEPT && stream.finished();
        held -= if goes { stream.bytes() } else { 0 };
        !goes
    });
}

impl Sessions {
    /// Room for `most` sessions, each of which ends after being idle for `idle`.
    pub fn new(most: usize, idle: Duration) -> Self {
        Self { open: Mutex::default(), most: most.max(1), idle, born: Instant::now() }
    }

    /// Opens a session of `front` for `by`.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn open(&self, front: &Arc<Front>, by: &Principal, session: Arc<Session>) -> io::Result<Arc<HttpSession>> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let session = Arc::new(HttpSession {
            id: format!("{:032x}", u128::from_be_bytes(random)),
            front: front.clone(),
            by: by.clone(),
            session,
            inbox: Arc::new(Channel::kept(0)),
            streams: Mutex::default(),
            next: AtomicU64::new(1),
            used: AtomicU64::new(self.now()),
        });
        self.make_room();
        self.lock().insert(session.id.clone(), session.clone());
        Ok(session)
    }

    /// The session of this id, if it is one of this face and of this principal.
    pub fn find(&self, id: &str, front: &Arc<Front>, by: &Principal) -> Option<Arc<HttpSession>> {
        let session = self.lock().get(id).cloned()?;
        if !Arc::ptr_eq(&session.front, front) || session.by != *by {
            tracing::warn!(target: "mcp::http", "a session was named by somebody else than who opened it");
            return None;
        }
        session.used.store(self.now(), Ordering::Relaxed);
        Some(session)
    }

    /// Ends a session.
    pub fn end(&self, session: &HttpSession) {
        if let Some(session) = self.lock().remove(&session.id) {
            session.end();
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<HttpSession>> {
        self.lock().values().cloned().collect()
    }

    /// Ends those that were idle for too long.
    pub fn sweep(&self) {
        let limit = self.now().saturating_sub(self.idle.as_millis() as u64);
        for session in self.all() {
            if session.used.load(Ordering::Relaxed) < limit && !session.inbox.carried() {
                self.end(&session);
            }
        }
    }

    /// Ends all of them.
    pub fn close(&self) {
        for session in self.all() {
            self.end(&session);
        }
    }

    fn make_room(&self) {
        let all = self.all();
        if all.len() < self.most {
            return;
        }
        let longest = all.iter().min_by_key(|session| (session.inbox.carried(), session.used.load(Ordering::Relaxed)));
        if let Some(longest) = longest {
            self.end(longest);
        }
    }

    fn now(&self) -> u64 {
        self.born.elapsed().as_millis() as u64
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<HttpSession>>> {
        self.open.lock().expect("map operations do not panic")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn what_is_kept_for_who_comes_back_has_a_bound() {
        let stream = |number: u64, ended: bool| {
            let stream = Arc::new(Channel::kept(number));
            stream.push(Bytes::from(vec![b'x'; 5 << 20]));
            if ended {
                stream.finish(None);
            }
            stream
        };
        let mut streams: VecDeque<_> =
            [false, true, true, true, true].into_iter().zip(0..).map(|(e, n)| stream(n, e)).collect();
        lighten(&mut streams);
        let left: Vec<_> = streams.iter().filter_map(|stream| stream.number()).collect();
        assert_eq!(left, [0, 2, 3, 4], "the oldest ended one has gone; the open one stays");
    }
}
