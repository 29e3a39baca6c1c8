//! A response that is a stream of events.

use super::HttpFailure;
use crate::sse::Event;
use std::time::Duration;

/// The events of one response. Dropping it closes the request.
#[derive(Debug)]
pub struct EventStream {}

impl EventStream {
    /// The next event; `None` when the server has ended the stream. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Event, HttpFailure>> {
        unimplemented!()
    }

    /// The id to resume after, if any event had one.
    pub fn last_event_id(&self) -> Option<&str> {
        unimplemented!()
    }

    /// The reconnection time the server asked for last.
    pub fn retry(&self) -> Option<Duration> {
        unimplemented!()
    }
}
