//! The client end of HTTP+SSE (2024-11-05): a GET stream names an endpoint, messages are posted there, and
//! their answers arrive on the stream.

use crate::streamable_http::{Endpoint, EventStream, HopHeaders, HttpFailure};
use bytes::Bytes;

/// Where messages of one connection are posted. Clones share the connection pool.
#[derive(Clone)]
pub struct Poster {}

/// Opens the stream at `endpoint` and waits for the endpoint it names. The stream then carries everything the
/// server sends, as `message` events.
///
/// # Errors
/// [`HttpFailure`]; an endpoint of another origin is refused.
pub async fn connect(endpoint: &Endpoint, hop: &HopHeaders) -> Result<(Poster, EventStream), HttpFailure> {
    unimplemented!()
}

impl Poster {
    /// Sends one message; its answer, if any, arrives on the stream.
    ///
    /// # Errors
    /// [`HttpFailure`]; its `delivered` says whether the server may have seen the message.
    pub async fn post(&self, body: Bytes, hop: &HopHeaders) -> Result<(), HttpFailure> {
        unimplemented!()
    }
}
