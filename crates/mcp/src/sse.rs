//! Server-sent events, both directions. What an event carries is not looked at.

use crate::limits::Limits;
use bytes::Bytes;
use std::time::Duration;
use thiserror::Error;

/// One dispatched event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The id, if this very event carried one; see [`Decoder::last_event_id`].
    pub id: Option<String>,
    /// The event type; `None` means `message`.
    pub event: Option<String>,
    /// The data lines, joined by newlines. Empty in a priming event.
    pub data: Bytes,
    /// The reconnection time, if this very event carried one; see [`Decoder::retry`].
    pub retry: Option<Duration>,
}

/// An event above `Limits::event_bytes`, thrown away as it came in. The events after it are readable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an event of {bytes} bytes is too long")]
pub struct TooLong {
    /// Its first bytes of data, at most 4 KiB.
    pub head: Bytes,
    /// Its last bytes, at most 4 KiB.
    pub tail: Bytes,
    /// Its length.
    pub bytes: u64,
}

/// Makes events of a byte stream that is fed in pieces of any size.
pub struct Decoder {}

impl Decoder {
    /// A decoder at the start of a stream; an event may have `limits.event_bytes` of data.
    pub fn new(limits: &Limits) -> Self {
        unimplemented!()
    }

    /// Takes the next piece of the stream.
    pub fn feed(&mut self, piece: &[u8]) {
        unimplemented!()
    }

    /// The next complete event of what was fed; `None` means that more must be fed. What stands unfinished when
    /// the stream ends is no event.
    #[expect(clippy::should_implement_trait, reason = "`None` is not the end")]
    pub fn next(&mut self) -> Option<Result<Event, TooLong>> {
        unimplemented!()
    }

    /// The id to resume after: the last one seen, even on a block without data.
    pub fn last_event_id(&self) -> Option<&str> {
        unimplemented!()
    }

    /// The reconnection time the server asked for last.
    pub fn retry(&self) -> Option<Duration> {
        unimplemented!()
    }
}

/// A comment that keeps an idle stream open.
pub const KEEP_ALIVE: &[u8] = b":\n\n";

/// The event that carries one JSON document.
pub fn encode(frame_json: &Bytes, id: Option<&str>) -> Bytes {
    unimplemented!()
}

/// The event without data that gives a stream its first id (2025-11-25).
pub fn encode_priming(id: &str, retry: Option<Duration>) -> Bytes {
    unimplemented!()
}
