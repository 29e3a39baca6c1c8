//! How an HTTP exchange fails, in our words.

use crate::sse;
use bytes::Bytes;
use http::HeaderValue;
use std::error::Error as StdError;
use std::io;
use std::time::Duration;
use thiserror::Error;

/// An HTTP exchange that gave no usable answer.
#[derive(Debug, Clone, Error)]
#[error("{kind}")]
pub struct HttpFailure {
    /// What went wrong.
    pub kind: FailureKind,
    /// The status, if there was an answer.
    pub status: Option<u16>,
    /// The answer's body, at most 64 KiB of it. Written by the server: mask it before anyone reads it.
    pub body: Bytes,
    /// The challenges of a 401 or 403, joined by commas.
    pub www_authenticate: Option<HeaderValue>,
    /// How long the server asks to wait, where it says so in seconds.
    pub retry_after: Option<Duration>,
    /// `false` if the server certainly did not see the message; `true` if it did or may have.
    pub delivered: bool,
}

impl HttpFailure {
    pub(crate) fn new(kind: FailureKind, delivered: bool) -> Self {
        Self { kind, status: None, body: Bytes::new(), www_authenticate: None, retry_after: None, delivered }
    }
}

/// What went wrong in an HTTP exchange.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FailureKind {
    /// No connection: the name does not resolve, nobody listens, no route. Never delivered.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// Connecting took longer than allowed. Never delivered.
    #[error("connecting takes too long")]
    ConnectTimeout,
    /// The TLS handshake failed. Never delivered.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// The connection broke, or what came back is no HTTP, before an answer was complete.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// A status that is neither success nor a redirect; see [`HttpFailure::status`].
    #[error("http status {0}")]
    Status(u16),
    /// A redirect, which is never followed; names the origin it leads to.
    #[error("redirected to {0}, which is not followed")]
    Redirect(String),
    /// An answer that is neither JSON nor events; names the content type.
    #[error("unexpected content type `{0}`")]
    ContentType(String),
    /// An answer with a content encoding, though none was asked for.
    #[error("unexpected content encoding `{0}`")]
    ContentEncoding(String),
    /// A JSON body above the bound, which is named in bytes.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// An event above the bound. The stream can be read on.
    #[error("{0}")]
    EventTooLong(Box<sse::TooLong>),
    /// HTTP+SSE: the stream did not begin with a usable `endpoint` event.
    #[error("the stream names no endpoint to post to")]
    NoEndpoint,
    /// HTTP+SSE: the endpoint named has another origin, which is given.
    #[error("the stream names an endpoint of another origin, {0}")]
    ForeignEndpoint(String),
}

/// A request that got no response.
pub(super) fn unanswered(error: &reqwest::Error) -> HttpFailure {
    if !error.is_connect() {
        return HttpFailure::new(FailureKind::Broken(innermost(error)), true);
    }
    let kind = match causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        Some(error) => FailureKind::Tls(short(&error.to_string())),
        None if error.is_timeout() => FailureKind::ConnectTimeout,
        None => FailureKind::Connect(innermost(error)),
    };
    HttpFailure::new(kind, false)
}

/// A response whose body broke off.
pub(super) fn broken_off(error: &reqwest::Error, status: u16) -> HttpFailure {
    HttpFailure { status: Some(status), ..HttpFailure::new(FailureKind::Broken(innermost(error)), true) }
}

/// The cause below all others, which says the most in the fewest words. What is above it may name the URL.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| "no cause is known".to_owned(), |cause| short(&cause.to_string()))
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |error| cause(*error))
}

/// The next cause. An I/O error hides what it was made of from `source`.
fn cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// `text`, which others wrote, cut to a line that can be shown.
pub(super) fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}
