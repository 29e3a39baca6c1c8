//! Conversations that go on: what is kept of them, and the door to wherever that is. Not here: the file or the table.

use gate::ports::BoxFuture;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// How many turns are kept: what a conversation whose thread is gone begins with again.
pub const TURNS_KEPT: usize = 2;
/// The longest text that is kept of a prompt or an answer, in bytes.
const TEXT_MAX: usize = 64 << 10;
/// How much of a turn goes before the next prompt when the thread is gone, in characters.
const RECALLED: (usize, usize) = (200, 400);

/// One exchange.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Exchange {
    /// What was asked.
    pub prompt: String,
    /// What was answered.
    pub response: String,
    /// When, in milliseconds since 1970.
    pub timestamp: u64,
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its name.
    pub id: String,
    /// When it began, in milliseconds since 1970.
    pub created: u64,
    /// When it was last used, in milliseconds since 1970.
    pub accessed: u64,
    /// Codex's own thread.
    pub thread: Option<String>,
    /// How many exchanges there were.
    pub count: u64,
    /// The last of them.
    pub turns: Vec<Exchange>,
}

impl Session {
    /// One that begins now.
    pub fn new(id: &str, now: u64) -> Self {
        Self { id: id.to_owned(), created: now, accessed: now, thread: None, count: 0, turns: Vec::new() }
    }

    /// Takes an exchange in.
    pub fn add(&mut self, prompt: &str, response: &str, now: u64) {
        let (prompt, response) = (cut(prompt).to_owned(), cut(response).to_owned());
        self.turns.push(Exchange { prompt, response, timestamp: now });
        let over = self.turns.len().saturating_sub(TURNS_KEPT);
        self.turns.drain(..over);
        self.count += 1;
        self.accessed = now;
    }

    /// The prompt with the last exchanges before it, for a thread that knows nothing of them.
    pub fn recalled(&self, prompt: &str) -> String {
        if self.turns.is_empty() {
            return prompt.to_owned();
        }
        let mut text = String::new();
        for turn in &self.turns {
            let (asked, answered) = (start(&turn.prompt, RECALLED.0), start(&turn.response, RECALLED.1));
            writeln!(text, "Context: {asked} -> {answered}").expect("a string takes everything");
        }
        format!("{text}\nTask: {prompt}")
    }
}

/// At most [`TEXT_MAX`] bytes of it.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MAX)]
}

fn start(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// How many sessions are kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// At most so many of one owner; those not used for the longest go first.
    pub count: usize,
    /// At most so long after the last use.
    pub ttl: Duration,
}

impl Keep {
    /// A session that was last used at `accessed` is kept at `now`.
    pub fn holds(&self, accessed: u64, now: u64) -> bool {
        u128::from(now.saturating_sub(accessed)) <= self.ttl.as_millis()
    }
}

/// Why nobody could say.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Unkept(pub String);

/// What a session's keeper answers, in time.
pub type Kept<'a, T> = BoxFuture<'a, Result<T, Unkept>>;

/// Held by whoever has a turn in a session; dropping the last of it lets the next one in.
pub type Hold = Arc<dyn Send + Sync>;

/// Where sessions are kept, by owner. Times are milliseconds since 1970, from the caller.
pub trait Sessions: Send + Sync {
    /// Waits for the turn in a session.
    fn hold<'a>(&'a self, owner: &'a str, id: &'a str) -> Kept<'a, Hold>;

    /// A session that is kept at `now`. What cannot be read is as good as gone.
    fn get<'a>(&'a self, owner: &'a str, id: &'a str, keep: Keep, now: u64) -> Kept<'a, Option<Session>>;

    /// Keeps a session as it is now, and lets go what `keep` no longer holds.
    fn put<'a>(&'a self, owner: &'a str, session: Session, keep: Keep) -> Kept<'a, ()>;

    /// Lets a session go.
    fn remove<'a>(&'a self, owner: &'a str, id: &'a str) -> Kept<'a, ()>;

    /// All that are kept at `now`, the one used last first.
    fn list<'a>(&'a self, owner: &'a str, keep: Keep, now: u64) -> Kept<'a, Vec<Session>>;
}

/// Owner and name of a session.
type Key = (String, String);

/// Sessions that live as long as the process.
#[derive(Default)]
pub struct InMemory {
    all: Lock<HashMap<Key, Session>>,
    turns: Lock<HashMap<Key, Arc<Mutex<()>>>>,
}

impl InMemory {
    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Session>> {
        // A map of whole values cannot be left half-changed.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(owner: &str, id: &str) -> Key {
    (owner.to_owned(), id.to_owned())
}

impl Sessions for InMemory {
    fn hold<'a>(&'a self, owner: &'a str, id: &'a str) -> Kept<'a, Hold> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            turns.entry(key(owner, id)).or_default().clone()
        };
        Box::pin(async move {
            let guard: OwnedMutexGuard<()> = turn.lock_owned().await;
            Ok(Arc::new(guard) as Hold)
        })
    }

    fn get<'a>(&'a self, owner: &'a str, id: &'a str, keep: Keep, now: u64) -> Kept<'a, Option<Session>> {
        let found = self.all().get(&key(owner, id)).filter(|session| keep.holds(session.accessed, now)).cloned();
        Box::pin(async { Ok(found) })
    }

    fn put<'a>(&'a self, owner: &'a str, session: Session, keep: Keep) -> Kept<'a, ()> {
        let now = session.accessed;
        let mut all = self.all();
        all.insert(key(owner, &session.id), session);
        all.retain(|_, session| keep.holds(session.accessed, now));
        let mut mine: Vec<_> = all
            .iter()
            .filter(|((of, _), _)| of == owner)
            .map(|(key, session)| (session.accessed, key.clone()))
            .collect();
        mine.sort_by(|a, b| b.cmp(a));
        for (_, key) in mine.into_iter().skip(keep.count) {
            all.remove(&key);
        }
        drop(all);
        Box::pin(async { Ok(()) })
    }

    fn remove<'a>(&'a self, owner: &'a str, id: &'a str) -> Kept<'a, ()> {
        self.all().remove(&key(owner, id));
        Box::pin(async { Ok(()) })
    }

    fn list<'a>(&'a self, owner: &'a str, keep: Keep, now: u64) -> Kept<'a, Vec<Session>> {
        let all = self.all();
        let mine = all.iter().filter(|((of, _), session)| of == owner && keep.holds(session.accessed, now));
        let mut mine: Vec<_> = mine.map(|(_, session)| session.clone()).collect();
        drop(all);
        mine.sort_by(|a, b| (b.accessed, &b.id).cmp(&(a.accessed, &a.id)));
        Box::pin(async { Ok(mine) })
    }
}

#[cfg(test)]
mod tests;
