//! The messages of one event stream: written by whoever speaks on it, read by the connection that carries it now.
//!
//! A stream outlives its connection in the era with sessions: what was sent last is kept, so that a client that
//! comes back is given what it missed.

use bytes::Bytes;
use mcp::sse;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

/// How many messages wait, or are kept, at most; and how many bytes of them, beyond the newest one.
const MOST_MESSAGES: usize = 256;
const MOST_BYTES: usize = 4 << 20;

/// One event stream.
pub(crate) struct Channel {
    /// Its number in its session, if its events have ids and are kept.
    number: Option<u64>,
    /// Held for single queue operations only.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    messages: VecDeque<(u64, Bytes)>,
    bytes: usize,
    last: u64,
    finished: bool,
    waker: Option<Waker>,
    /// Grows with each reader; only the newest one is given anything.
    reader: u64,
    /// Whether some connection carries the stream now.
    carried: bool,
}

/// A reader's place in a stream.
#[derive(Debug)]
pub(crate) struct Reader {
    number: u64,
    after: u64,
}

/// What a reader is given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// One or more whole events.
    Events(Bytes),
    /// There will be none for this reader any more.
    End,
}

impl Channel {
    /// A stream whose messages are forgotten once they are sent.
    pub fn passing() -> Self {
        Self { number: None, state: Mutex::default() }
    }

    /// A stream of a session, by its number there.
    pub fn kept(number: u64) -> Self {
        Self { number: Some(number), state: Mutex::default() }
    }

    /// Its number, if its messages are kept.
    pub fn number(&self) -> Option<u64> {
        self.number
    }

    /// Adds a message. Says no if its reader does not keep up, or the stream is over.
    pub fn push(&self, json: Bytes) -> bool {
        let mut state = self.lock();
        if state.finished || self.number.is_none() && state.messages.len() >= MOST_MESSAGES {
            return false;
        }
        state.push(json);
        true
    }

    /// Adds the last message, if there is one, and ends the stream.
    pub fn finish(&self, json: Option<Bytes>) {
        let mut state = self.lock();
        if state.finished {
            return;
        }
        if let Some(json) = json {
            state.push(json);
        }
        state.finished = true;
        state.wake();
    }

    /// Whether something was said that no reader has taken. If not, `context` is woken when there is.
    pub fn poll_said(&self, context: &Context<'_>) -> bool {
        let mut state = self.lock();
        if state.messages.is_empty() {
            state.waker = Some(context.waker().clone());
        }
        !state.messages.is_empty()
    }

    /// Whether nothing waits to be sent.
    pub fn is_empty(&self) -> bool {
        self.lock().messages.is_empty()
    }

    /// How much it holds, in bytes.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// The number of the newest message.
    pub fn last(&self) -> u64 {
        self.lock().last
    }

    /// From now on the messages behind `after` go to this reader and to no earlier one.
    pub fn attach(&self, after: u64) -> Reader {
        let mut state = self.lock();
        state.reader += 1;
        state.carried = true;
        state.wake();
        Reader { number: state.reader, after }
    }

    /// The reader's connection is gone.
    pub fn detach(&self, reader: &Reader) {
        let mut state = self.lock();
        if state.reader == reader.number {
            state.carried = false;
            state.waker = None;
        }
    }

    /// Whether some connection carries the stream.
    pub fn carried(&self) -> bool {
        self.lock().carried
    }

    /// Whether some connection ever did.
    pub fn known(&self) -> bool {
        self.lock().reader > 0
    }

    /// Whether nothing will be added any more.
    pub fn finished(&self) -> bool {
        self.lock().finished
    }

    /// All that `reader` has not been given yet.
    pub fn poll_next(&self, reader: &mut Reader, context: &Context<'_>) -> Poll<Next> {
        let mut state = self.lock();
        if state.reader != reader.number {
            return Poll::Ready(Next::End);
        }
        let unread = state.messages.iter().filter(|(number, _)| *number > reader.after);
        let mut events: Vec<Bytes> =
            unread.map(|(number, json)| sse::encode(json, self.event_id(*number).as_deref())).collect();
        reader.after = state.last.max(reader.after);
        if self.number.is_none() {
            state.forget();
        }
        match (events.len(), state.finished) {
            (0, true) => Poll::Ready(Next::End),
            (0, false) => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
            (1, _) => Poll::Ready(Next::Events(events.swap_remove(0))),
            _ => Poll::Ready(Next::Events(events.concat().into())),
        }
    }

    /// The id of an event, which names its stream, too.
    pub fn event_id(&self, number: u64) -> Option<String> {
        self.number.map(|stream| format!("{stream}-{number}"))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("queue operations do not panic")
    }
}

impl State {
    fn push(&mut self, json: Bytes) {
        self.last += 1;
        self.bytes += json.len();
        self.messages.push_back((self.last, json));
        while self.messages.len() > MOST_MESSAGES || self.bytes > MOST_BYTES && self.messages.len() > 1 {
            let Some((_, oldest)) = self.messages.pop_front() else { break };
            self.bytes -= oldest.len();
        }
        self.wake();
    }

    fn forget(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// The stream and the event that an event id names.
pub(crate) fn read_event_id(id: &str) -> Option<(u64, u64)> {
    let (stream, number) = id.split_once('-')?;
    Some((stream.parse().ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(channel: &Channel, reader: &mut Reader) -> Option<String> {
        match channel.poll_next(reader, &Context::from_waker(Waker::noop())) {
            Poll::Ready(Next::Events(events)) => Some(String::from_utf8_lossy(&events).into_owned()),
            Poll::Ready(Next::End) => Some("end".to_owned()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn who_comes_back_is_given_what_was_missed_and_the_old_reader_nothing() {
        let channel = Channel::kept(3);
        let mut first = channel.attach(0);
        channel.push(Bytes::from_static(b"1"));
        assert!(next(&channel, &mut first).expect("an event").contains("id: 3-1"));
        channel.push(Bytes::from_static(b"2"));
        channel.finish(Some(Bytes::from_static(b"3")));
        let mut second = channel.attach(1);
        let missed = next(&channel, &mut second).expect("events");
        assert!(missed.contains("3-2") && missed.contains("3-3") && !missed.contains("3-1"), "{missed}");
        assert_eq!(next(&channel, &mut first).as_deref(), Some("end"));
        assert_eq!(next(&channel, &mut second).as_deref(), Some("end"));
        assert!(!channel.push(Bytes::from_static(b"4")));
    }

    #[test]
    fn a_stream_holds_so_much_and_no_more() {
        let (passing, kept) = (Channel::passing(), Channel::kept(0));
        let message = Bytes::from(vec![b'x'; 1 << 20]);
        assert_eq!((0..1_000).filter(|_| passing.push(Bytes::from_static(b"x"))).count(), MOST_MESSAGES);
        for _ in 0..100 {
            assert!(kept.push(message.clone()), "who listens late misses the oldest");
        }
        assert!(kept.lock().bytes <= MOST_BYTES);
    }
}
