//! The client end of Streamable HTTP: one POST per message, answered by JSON or a stream of events.
//!
//! Sessions, eras, retries and deadlines are the caller's: every future here may be dropped at any time, which
//! closes its request. Redirects are never followed, no proxy is used unless one is given, nothing is
//! decompressed. The process must have a TLS provider before the first [`Endpoint`] is made:
//! `rustls::crypto::ring::default_provider().install_default()`.

mod failure;
mod reply;
mod stream;

pub use failure::{FailureKind, HttpFailure};
pub use stream::EventStream;

use crate::headers;
use crate::limits::Limits;
use crate::revision::Revision;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::{Body, Client, Request, Response, Url};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const JSON_OR_EVENTS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// Headers that say how a request is framed or which conversation it belongs to; they are never configured.
const OURS: [HeaderName; 9] = [
    http::header::CONNECTION,
    http::header::CONTENT_LENGTH,
    http::header::TRANSFER_ENCODING,
    http::header::ACCEPT_ENCODING,
    headers::PROTOCOL_VERSION,
    headers::SESSION_ID,
    headers::METHOD,
    headers::NAME,
    headers::LAST_EVENT_ID,
];

/// What an [`Endpoint`] is made of.
#[derive(Clone)]
pub struct EndpointOptions {
    /// The absolute URL, `http` or `https`, without credentials.
    pub url: String,
    /// Headers that go with every request, `User-Agent` among them if there is to be one. Their values never
    /// appear in `Debug`. Those that belong to the transport are left out.
    pub headers: HeaderMap,
    /// Bounds on answers.
    pub limits: Limits,
    /// How long resolving, connecting and the TLS handshake may take together.
    pub connect_timeout: Duration,
    /// The URL of the proxy to use; `None` connects directly, whatever the environment says.
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
pub struct Endpoint {
    client: Client,
    url: Url,
    headers: Arc<HeaderMap>,
    limits: Limits,
}

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
    /// An endpoint; connects at the first request. For `https` the system's roots are read.
    ///
    /// # Errors
    /// [`InvalidEndpoint`] when the options cannot be used.
    pub fn new(options: EndpointOptions) -> Result<Endpoint, InvalidEndpoint> {
        let EndpointOptions { url, mut headers, limits, connect_timeout, proxy } = options;
        let url = usable(&url)?;
        for name in OURS {
            headers.remove(name);
        }
        headers.values_mut().for_each(|value| value.set_sensitive(true));
        let client = client(url.scheme() == "https", connect_timeout, proxy)?;
        Ok(Endpoint { client, url, headers: Arc::new(headers), limits })
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`HttpFailure`]; its `delivered` says whether the server may have seen the message.
    pub async fn post(&self, body: Bytes, hop: &HopHeaders) -> Result<Posted, HttpFailure> {
        let response = self.send_post(body, hop).await?;
        let session = response.headers().get(headers::SESSION_ID).cloned();
        Ok(Posted { session, body: reply::read(response, &self.url, &self.limits).await? })
    }

    /// Opens the stream of a legacy session for what the server sends on its own, or resumes one after
    /// `last_event_id`. A server that has none answers 405. An id that no header can carry is left out.
    ///
    /// # Errors
    /// [`HttpFailure`].
    pub async fn open_stream(&self, hop: &HopHeaders, last_event_id: Option<&str>) -> Result<EventStream, HttpFailure> {
        let mut request = self.request(Method::GET, EVENTS, hop);
        if let Some(id) = last_event_id.and_then(|id| HeaderValue::from_bytes(id.as_bytes()).ok()) {
            request.headers_mut().insert(headers::LAST_EVENT_ID, id);
        }
        reply::stream(self.send(request).await?, &self.url, &self.limits).await
    }

    /// Ends a legacy session. A server that knows no such session or keeps its sessions (404, 405) is no failure.
    ///
    /// # Errors
    /// [`HttpFailure`].
    pub async fn delete_session(&self, hop: &HopHeaders) -> Result<(), HttpFailure> {
        let response = self.send(self.request(Method::DELETE, JSON_OR_EVENTS, hop)).await?;
        match response.status().as_u16() {
            404 | 405 => Ok(()),
            _ => reply::accepted(response, &self.url).await,
        }
    }

    /// The same endpoint elsewhere on its origin: `reference` against the URL.
    ///
    /// # Errors
    /// [`FailureKind::NoEndpoint`] or [`FailureKind::ForeignEndpoint`].
    pub(crate) fn at(&self, reference: &str) -> Result<Endpoint, FailureKind> {
        let url = self.url.join(reference.trim_ascii()).map_err(|_| FailureKind::NoEndpoint)?;
        if url.origin() != self.url.origin() {
            return Err(FailureKind::ForeignEndpoint(failure::short(&url.origin().ascii_serialization())));
        }
        let url = usable(url.as_str()).map_err(|_| FailureKind::NoEndpoint)?;
        Ok(Endpoint { url, ..self.clone() })
    }

    /// POSTs where the answer to the message does not come with the reply.
    pub(crate) async fn post_only(&self, body: Bytes, hop: &HopHeaders) -> Result<(), HttpFailure> {
        reply::accepted(self.send_post(body, hop).await?, &self.url).await
    }

    async fn send_post(&self, body: Bytes, hop: &HopHeaders) -> Result<Response, HttpFailure> {
        let mut request = self.request(Method::POST, JSON_OR_EVENTS, hop);
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        *request.body_mut() = Some(Body::from(body));
        self.send(request).await
    }

    async fn send(&self, request: Request) -> Result<Response, HttpFailure> {
        self.client.execute(request).await.map_err(|error| failure::unanswered(&error))
    }

    fn request(&self, method: Method, accept: HeaderValue, hop: &HopHeaders) -> Request {
        let mut request = Request::new(method, self.url.clone());
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        headers.insert(ACCEPT, accept);
        let version = hop.revision.map(|revision| HeaderValue::from_static(revision.as_str()));
        let single = [
            (headers::PROTOCOL_VERSION, version.as_ref()),
            (headers::SESSION_ID, hop.session.as_ref()),
            (headers::METHOD, hop.method.as_ref()),
            (headers::NAME, hop.name.as_ref()),
            (AUTHORIZATION, hop.authorization.as_ref()),
        ];
        for (name, value) in single {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
        headers.extend(hop.params.iter().cloned());
        request
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Paths and queries of hosted servers often hold a key.
        f.debug_tuple("Endpoint").field(&self.url.origin().ascii_serialization()).finish()
    }
}

/// The URL without its fragment, if requests can be sent there.
fn usable(text: &str) -> Result<Url, InvalidEndpoint> {
    let mut url = Url::parse(text).map_err(|_| InvalidEndpoint::Url("it is no absolute url"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(InvalidEndpoint::Url("its scheme is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidEndpoint::Url("it holds credentials, which belong into a header"));
    }
    url.set_fragment(None);
    Ok(url)
}

fn client(secure: bool, connect_timeout: Duration, proxy: Option<String>) -> Result<Client, InvalidEndpoint> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(InvalidEndpoint::Client("no tls provider is installed".to_owned()));
    }
    let mut builder = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_only()
        .connect_timeout(connect_timeout);
    if !secure && proxy.is_none() {
        // Nothing will be verified, so that the system's roots need not be read.
        builder = builder.tls_certs_only([]);
    }
    if let Some(proxy) = proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(|_| InvalidEndpoint::Proxy)?);
    }
    builder.build().map_err(|error| InvalidEndpoint::Client(failure::innermost(&error)))
}

#[cfg(test)]
pub(crate) mod tests;
