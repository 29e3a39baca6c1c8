//! One downstream's conversation in the era with a handshake: what it said of itself, what it hears, what it
//! was asked.

use crate::inflight::InFlight;
use crate::level::Level;
use bytes::Bytes;
use gate::{Parts, Place, ServerName, Wire};
use mcp::{Frame, Revision, Span};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// How many resources one session may watch.
pub(crate) const MOST_WATCHED: usize = 1_000;

/// What a client said in its handshake.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    /// The agreed revision.
    pub revision: Revision,
    /// The client's name.
    pub client: Option<Arc<str>>,
    /// Its capabilities object, raw.
    pub capabilities: Option<Bytes>,
    /// Whether there was a handshake at all.
    pub shaken: bool,
}

/// A conversation. All locks are held for single operations only.
pub(crate) struct Session {
    profile: Mutex<Arc<Profile>>,
    level: AtomicU8,
    /// Its unanswered requests.
    pub in_flight: Arc<InFlight>,
    /// What a person's "for this conversation" means. Nothing can be learned of it.
    pub conversation: Option<Arc<str>>,
    asked: Mutex<Asked>,
    /// Which resources it wants to hear of, and whose they are.
    watched: Mutex<HashMap<Box<str>, ServerName>>,
    /// How often it has said that its roots changed.
    roots_changed: AtomicU32,
}

/// Questions to the client that it has not answered.
#[derive(Default)]
struct Asked {
    open: HashMap<u64, oneshot::Sender<Wire>>,
    next: u64,
}

impl Session {
    /// A conversation whose handshake is still to come. Until then it is served as 2025-03-26.
    pub fn new() -> Self {
        let profile = Profile { revision: Revision::V2025_03_26, client: None, capabilities: None, shaken: false };
        let mut name = [0; 16];
        let conversation =
            getrandom::fill(&mut name).is_ok().then(|| format!("{:032x}", u128::from_be_bytes(name)).into());
        Self {
            conversation,
            profile: Mutex::new(Arc::new(profile)),
            level: AtomicU8::new(Level::DEFAULT as u8),
            in_flight: Arc::default(),
            asked: Mutex::default(),
            watched: Mutex::default(),
            roots_changed: AtomicU32::new(0),
        }
    }

    /// What the client said of itself.
    pub fn profile(&self) -> Arc<Profile> {
        self.profile.lock().expect("a clone does not panic").clone()
    }

    /// The handshake took place.
    pub fn shake(&self, profile: Profile) {
        *self.profile.lock().expect("a move does not panic") = Arc::new(profile);
    }

    /// The least important log line it wants to hear.
    pub fn level(&self) -> Level {
        Level::from_number(self.level.load(Ordering::Relaxed))
    }

    /// It chose a log level.
    pub fn set_level(&self, level: Level) {
        self.level.store(level as u8, Ordering::Relaxed);
    }

    /// Its roots are not what they were.
    pub fn change_roots(&self) {
        self.roots_changed.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has said so.
    pub fn roots_changed(&self) -> u32 {
        self.roots_changed.load(Ordering::Relaxed)
    }

    /// Opens a question: the id to ask it under. `answer` is given the client's answer.
    pub fn ask(&self, answer: oneshot::Sender<Wire>) -> u64 {
        let mut asked = self.asked.lock().expect("map operations do not panic");
        // Who asked may have given up meanwhile.
        asked.open.retain(|_, waiting| !waiting.is_closed());
        asked.next += 1;
        let id = asked.next;
        asked.open.insert(id, answer);
        id
    }

    /// Takes back a question. Whether it was still open.
    pub fn unask(&self, id: u64) -> bool {
        self.asked.lock().expect("map operations do not panic").open.remove(&id).is_some()
    }

    /// The client answered one of our questions. An answer to anything else is dropped.
    pub fn answered(&self, frame: &Frame) {
        let Some(id) = frame.id().and_then(|id| id.parse().ok()) else { return };
        let waiting = self.asked.lock().expect("map operations do not panic").open.remove(&id);
        match waiting {
            // The one who asked may be gone: then nobody wants to know.
            Some(waiting) => drop(waiting.send(answer_wire(frame))),
            None => tracing::debug!(target: "mcp::downstream", id, "an answer to a question nobody asked"),
        }
    }

    /// The session wants to hear of a resource. Whether it did before.
    pub fn watch(&self, uri: &str, server: &ServerName) -> bool {
        let mut watched = self.watched.lock().expect("map operations do not panic");
        watched.insert(uri.into(), server.clone()).is_some()
    }

    /// It no longer does. Whether it did.
    pub fn unwatch(&self, uri: &str) -> bool {
        self.watched.lock().expect("map operations do not panic").remove(uri).is_some()
    }

    /// How many resources it wants to hear of.
    pub fn watched(&self) -> usize {
        self.watched.lock().expect("map operations do not panic").len()
    }

    /// Whether it wants to hear of this resource of this server.
    pub fn watches(&self, server: &ServerName, uri: &str) -> bool {
        self.watched.lock().expect("map operations do not panic").get(uri) == Some(server)
    }

    /// Gives up all it watches, and says what that was.
    pub fn unwatch_all(&self) -> Vec<Box<str>> {
        self.watched.lock().expect("map operations do not panic").drain().map(|(uri, _)| uri).collect()
    }
}

fn answer_wire(frame: &Frame) -> Wire {
    let parts = Parts {
        id: place(frame.id_span()),
        body: place(frame.body_span()),
        meta: place(frame.meta_span()),
        ..Parts::default()
    };
    Wire { json: frame.json().clone(), parts }
}

/// The same range, in the gate's word for it.
pub(crate) fn place(span: Span) -> Place {
    Place { start: span.start, end: span.end }
}
