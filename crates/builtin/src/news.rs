//! What a caller hears while a call runs: progress that only goes up, not too often, and nothing lost: what comes too
//! soon is said together with what comes next. Not here: what is worth saying.

use gate::{Feed, Parts, Place, ReplyKind, Unmasked, Wire};
use mcp::view::quoted;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;

/// Between two notifications.
pub const PACE: Duration = Duration::from_millis(100);
/// The longest message, in bytes; of a longer one the end is kept.
const MESSAGE_MAX: usize = 4_000;

/// The way back to the caller of one call.
pub struct News {
    /// None if the caller wants to hear nothing.
    feed: RwLock<Option<Feed>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    said: u64,
    last: Option<Instant>,
    waiting: String,
}

impl News {
    /// The way back through `feed`.
    pub fn new(feed: Option<Feed>) -> Self {
        Self { feed: RwLock::new(feed), state: Mutex::default() }
    }

    /// From now on through `feed`: a call that goes on in a round of its own is another way back.
    pub fn turn_to(&self, feed: Option<Feed>) {
        *self.feed.write().unwrap_or_else(PoisonError::into_inner) = feed;
    }

    fn feed(&self) -> Option<Feed> {
        self.feed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says something, now or with what comes next.
    pub fn say(&self, what: &str) {
        let Some(feed) = &self.feed() else { return };
        let mut state = self.state();
        if !state.waiting.is_empty() {
            state.waiting.push('\n');
        }
        state.waiting.push_str(what.trim_end());
        if state.last.is_none_or(|last| last.elapsed() >= PACE) {
            state.flush(feed);
        }
    }

    /// Says more of a text, as it goes on: now or with what comes next.
    pub fn pour(&self, what: &str) {
        let Some(feed) = &self.feed() else { return };
        let mut state = self.state();
        state.waiting.push_str(what);
        // Of what nobody could be told in time the end is enough.
        if state.waiting.len() > 2 * MESSAGE_MAX {
            let from = state.waiting.ceil_char_boundary(state.waiting.len() - MESSAGE_MAX);
            state.waiting.drain(..from);
        }
        if state.last.is_none_or(|last| last.elapsed() >= PACE) {
            state.flush(feed);
        }
    }

    /// Says what waits.
    pub fn flush(&self) {
        if let Some(feed) = &self.feed() {
            self.state().flush(feed);
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Text and numbers: at worst one message is said twice.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn flush(&mut self, feed: &Feed) {
        if self.waiting.trim().is_empty() {
            self.waiting.clear();
            return;
        }
        self.said += 1;
        self.last = Some(Instant::now());
        let waiting = std::mem::take(&mut self.waiting);
        let from = waiting.ceil_char_boundary(waiting.len().saturating_sub(MESSAGE_MAX));
        feed.notify(progress(self.said, waiting[from..].trim_end()));
    }
}

/// A notification. Whoever passes it on puts the caller's own token in the place of ours.
fn progress(progress: u64, message: &str) -> Unmasked {
    let head = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":"#;
    let (before, token) = (r#"{"progressToken":"#, "0");
    let body = format!("{before}{token},\"progress\":{progress},\"message\":{}}}", quoted(message));
    let place = |start: usize, length: usize| Place { start: start as u32, end: (start + length) as u32 };
    let parts = Parts {
        body: place(head.len(), body.len()),
        subject: place(head.len() + before.len(), token.len()),
        ..Parts::default()
    };
    Unmasked::message(Wire { json: format!("{head}{body}}}").into(), parts }, ReplyKind::Result)
}
