//! Responses that carry no MCP result: refusals, bare statuses, and how the servers are.

use super::body::{Body, Reply};
use crate::answer::Answer;
use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use mcp::revision::code;
use std::fmt;
use std::sync::Arc;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Says how the servers are, as a JSON document.
#[derive(Clone)]
pub struct StatusReport(pub Arc<dyn Fn() -> Bytes + Send + Sync>);

impl fmt::Debug for StatusReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatusReport")
    }
}

/// A request that is not let in, or not in this form.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    status: StatusCode,
    what: &'static str,
    challenge: Option<&'static str>,
}

impl Refused {
    /// Refused with this status; `what` is for people.
    pub fn new(status: StatusCode, what: &'static str) -> Self {
        Self { status, what, challenge: None }
    }

    /// Refused for want of a token.
    pub fn unauthorized(challenge: &'static str) -> Self {
        let what = "a bearer token is required; `toolgate up` prints it as it starts";
        Self { status: StatusCode::UNAUTHORIZED, what, challenge: Some(challenge) }
    }
}

impl From<Refused> for Reply {
    fn from(refused: Refused) -> Reply {
        let answer = Answer::error(b"null", code::INVALID_REQUEST, refused.what, None);
        let mut reply = json(refused.status, answer.json);
        if matches!(refused.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            // Strangers do not get to hold the places that there are for connections.
            reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(challenge) = refused.challenge {
            reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        reply
    }
}

/// A JSON body.
pub(super) fn json(status: StatusCode, json: Bytes) -> Reply {
    let mut reply = Reply::new(Body::full(json));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, JSON);
    reply
}

/// A status and nothing else.
pub(super) fn bare(status: StatusCode) -> Reply {
    let mut reply = Reply::new(Body::full(Bytes::new()));
    *reply.status_mut() = status;
    reply
}

/// The method is not one of these.
pub(super) fn not_allowed(allowed: &'static str) -> Reply {
    let mut reply: Reply = Refused::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed").into();
    reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    reply
}
