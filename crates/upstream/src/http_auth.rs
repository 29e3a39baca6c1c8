//! The way to an HTTP server with a person's login on each request. What was refused for its token was not executed:
//! it is sent once more with a new one. Without a login nothing is added, and nothing is spent.

use crate::oauth::{Again, Tokens};
use bytes::Bytes;
use http::HeaderValue;
use mcp::http_sse::{self, Poster};
use mcp::streamable_http::{Endpoint, EventStream, HopHeaders, HttpFailure, Posted};
use std::sync::Arc;
use tokio_util::task::TaskTracker;

/// An exchange that failed, and whether the login was why.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub failure: HttpFailure,
    pub again: Again,
}

impl From<HttpFailure> for Refusal {
    fn from(failure: HttpFailure) -> Self {
        Self { failure, again: Again::Never }
    }
}

/// A login, and who finishes what is begun about it.
#[derive(Clone)]
pub(crate) struct Keys {
    tokens: Arc<Tokens>,
    tasks: TaskTracker,
}

impl Keys {
    pub fn new(tokens: Arc<Tokens>, tasks: TaskTracker) -> Self {
        Self { tokens, tasks }
    }

    async fn current(&self) -> Option<HeaderValue> {
        self.tokens.current(&self.tasks).await
    }

    /// What to do about a failure; other failures than for the token are final here.
    async fn refused(&self, failure: &HttpFailure, used: Option<&HeaderValue>) -> Again {
        let Some(status @ (401 | 403)) = failure.status else { return Again::Never };
        self.tokens.refused(status, failure.www_authenticate.as_ref(), used, &self.tasks).await
    }
}

/// Sends with the login there is; once more if it was refused and there is another by then.
macro_rules! sent {
    ($keys:expr, $hop:expr, |$with:ident| $send:expr) => {{
        let Some(keys) = $keys else {
            let $with = $hop;
            return $send.await.map_err(Refusal::from);
        };
        let mut with = HopHeaders { authorization: keys.current().await, ..$hop.clone() };
        let $with = &with;
        let failure = match $send.await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        match keys.refused(&failure, with.authorization.as_ref()).await {
            Again::Yes => {}
            again => return Err(Refusal { failure, again }),
        }
        with.authorization = keys.current().await;
        let $with = &with;
        match $send.await {
            Ok(done) => Ok(done),
            Err(failure) => {
                let again = match failure.status {
                    Some(401 | 403) => Again::No,
                    _ => Again::Never,
                };
                Err(Refusal { failure, again })
            }
        }
    }};
}

/// The way to one server.
pub(crate) struct Door {
    endpoint: Endpoint,
    keys: Option<Keys>,
}

impl Door {
    pub fn new(endpoint: Endpoint, keys: Option<Keys>) -> Self {
        Self { endpoint, keys }
    }

    /// As [`Endpoint::post`].
    pub async fn post(&self, body: Bytes, hop: &HopHeaders) -> Result<Posted, Refusal> {
        if self.keys.is_none() {
            return self.endpoint.post(body, hop).await.map_err(Refusal::from);
        }
        // Rarely needed, and large.
        Box::pin(self.post_with_login(body, hop)).await
    }

    async fn post_with_login(&self, body: Bytes, hop: &HopHeaders) -> Result<Posted, Refusal> {
        sent!(&self.keys, hop, |with| self.endpoint.post(body.clone(), with))
    }

    /// As [`Endpoint::open_stream`].
    pub async fn open_stream(&self, hop: &HopHeaders, last: Option<&str>) -> Result<EventStream, Refusal> {
        sent!(&self.keys, hop, |with| self.endpoint.open_stream(with, last))
    }

    /// As [`Endpoint::delete_session`].
    pub async fn delete_session(&self, hop: &HopHeaders) -> Result<(), Refusal> {
        sent!(&self.keys, hop, |with| self.endpoint.delete_session(with))
    }
}

/// Opens a stream of HTTP+SSE.
pub(crate) async fn connect(endpoint: &Endpoint, keys: Option<Keys>) -> Result<(Posts, EventStream), Refusal> {
    let (poster, stream) = open(endpoint, keys.as_ref()).await?;
    Ok((Posts { poster, keys }, stream))
}

async fn open(endpoint: &Endpoint, keys: Option<&Keys>) -> Result<(Poster, EventStream), Refusal> {
    let hop = &HopHeaders::default();
    sent!(keys, hop, |with| http_sse::connect(endpoint, with))
}

/// The way back of HTTP+SSE.
pub(crate) struct Posts {
    poster: Poster,
    keys: Option<Keys>,
}

impl Posts {
    /// As [`Poster::post`].
    pub async fn post(&self, message: Bytes) -> Result<(), Refusal> {
        let hop = &HopHeaders::default();
        sent!(&self.keys, hop, |with| self.poster.post(message.clone(), with))
    }
}
