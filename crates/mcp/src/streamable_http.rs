//! The client end of Streamable HTTP: one POST per message, answered by JSON or a stream of events.
//!
//! Sessions, eras, retries and deadlines are the caller's: every future here may be dropped at any time, which
//! closes its request. Redirects are never followed, no proxy is used unless one is given, nothing is
//! decompressed. The process must have a TLS provider before the first [`Endpoint`] is made:
//! `rustls::crypto::ring::default_provider().install_default()`.

mod failure;
mod stream;

pub use failure::{FailureKind, HttpFailure};
pub use stream::EventStream;

use crate::limits::Limits;
use crate::revision::Revision;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;
use thiserror::Error;

/// What an [`Endpoint`] is made of.
#[derive(Clone)]
pub struct EndpointOptions {
    /// The absolute URL, `http` or `https`, without credentials.
    pub url: String,
    /// Headers that go with every request; their values never appear in `Debug`.
    pub headers: HeaderMap,
    /// Bounds on answers.
    pub limits: Limits,
    /// How long resolving, connecting and the TLS handshake may take together.
    pub connect_timeout: Duration,
    /// The proxy to use; `None` connects directly, whatever the environment says.
    pub proxy: Option<String>,
}

/// Why there is no [`Endpoint`].
#[derive(Debug, Error)]
pub enum InvalidEndpoint {
    /// The URL cannot be used.
    #[error("the url cannot be used: {0}")]
    Url(&'static str),
    /// The proxy cannot be used.
    #[error("the proxy url cannot be used")]
    Proxy,
    /// The HTTP client cannot be made.
    #[error("cannot set up http: {0}")]
    Client(String),
}

/// One MCP endpoint and its pool of connections. Clones share the pool.
#[derive(Clone)]
pub struct Endpoint {}

/// The headers of one request.
#[derive(Debug, Clone, Default)]
pub struct HopHeaders {
    /// `MCP-Protocol-Version`.
    pub revision: Option<Revision>,
    /// `Mcp-Session-Id` (legacy).
    pub session: Option<HeaderValue>,
    /// `Mcp-Method` (modern).
    pub method: Option<HeaderValue>,
    /// `Mcp-Name` (modern), encoded by [`crate::headers::encode_value`].
    pub name: Option<HeaderValue>,
    /// `Mcp-Param-*` (modern), from [`crate::headers::values`].
    pub params: Vec<(HeaderName, HeaderValue)>,
    /// `Authorization`, in place of a configured one.
    pub authorization: Option<HeaderValue>,
}

/// What a POST was answered with.
#[derive(Debug)]
pub struct Posted {
    /// The session the server issued or repeated.
    pub session: Option<HeaderValue>,
    /// The answer.
    pub body: PostedBody,
}

/// The answer to a POST.
#[derive(Debug)]
pub enum PostedBody {
    /// One JSON document.
    Json(Bytes),
    /// A stream of events.
    Events(EventStream),
    /// Nothing: a notification or response was taken.
    Accepted,
}

impl Endpoint {
    /// An endpoint; connects at the first request.
    ///
    /// # Errors
    /// [`InvalidEndpoint`] when the options cannot be used.
    pub fn new(options: EndpointOptions) -> Result<Endpoint, InvalidEndpoint> {
        unimplemented!()
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`HttpFailure`]; its `delivered` says whether the server may have seen the message.
    pub async fn post(&self, body: Bytes, hop: &HopHeaders) -> Result<Posted, HttpFailure> {
        unimplemented!()
    }

    /// Opens the stream of a legacy session for what the server sends on its own, or resumes one after
    /// `last_event_id`. A server that has none answers 405.
    ///
    /// # Errors
    /// [`HttpFailure`].
    pub async fn open_stream(&self, hop: &HopHeaders, last_event_id: Option<&str>) -> Result<EventStream, HttpFailure> {
        unimplemented!()
    }

    /// Ends a legacy session. A server that knows no such session or keeps its sessions (404, 405) is no failure.
    ///
    /// # Errors
    /// [`HttpFailure`].
    pub async fn delete_session(&self, hop: &HopHeaders) -> Result<(), HttpFailure> {
        unimplemented!()
    }
}
