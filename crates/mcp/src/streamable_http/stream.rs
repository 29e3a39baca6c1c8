//! A response that is a stream of events.

use super::failure::{FailureKind, HttpFailure, broken_off};
use crate::limits::Limits;
use crate::sse::{Decoder, Event};
use reqwest::Response;
use std::fmt;
use std::time::Duration;

/// The events of one response. Dropping it closes the request.
pub struct EventStream {
    // Boxed, for it travels inside of answers that are mostly small.
    response: Box<Response>,
    decoder: Box<Decoder>,
    ended: bool,
}

impl EventStream {
    pub(super) fn new(response: Response, limits: &Limits) -> Self {
        Self { response: Box::new(response), decoder: Box::new(Decoder::new(limits)), ended: false }
    }

    /// The next event; `None` when the stream has ended or failed. Cancel safe. An event that is too long fails
    /// alone: the stream can be read on.
    pub async fn next(&mut self) -> Option<Result<Event, HttpFailure>> {
        loop {
            if let Some(event) = self.decoder.next() {
                return Some(event.map_err(|too_long| self.failure(FailureKind::EventTooLong(Box::new(too_long)))));
            }
            if self.ended {
                return None;
            }
            match self.response.chunk().await {
                Ok(Some(piece)) => self.decoder.feed(&piece),
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(broken_off(&error, self.response.status().as_u16())));
                }
            }
        }
    }

    /// The id to resume after, if any event had one.
    pub fn last_event_id(&self) -> Option<&str> {
        self.decoder.last_event_id()
    }

    /// The reconnection time the server asked for last.
    pub fn retry(&self) -> Option<Duration> {
        self.decoder.retry()
    }

    /// A failure of this stream.
    pub(crate) fn failure(&self, kind: FailureKind) -> HttpFailure {
        HttpFailure { status: Some(self.response.status().as_u16()), ..HttpFailure::new(kind, true) }
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").field("ended", &self.ended).finish_non_exhaustive()
    }
}
