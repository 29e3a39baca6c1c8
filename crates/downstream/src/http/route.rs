//! From a request's head to who answers it.

use super::body::{Events, Reply};
use super::connection::Busy;
use super::guard::single;
use super::session::HttpSession;
use super::status::{Refused, bare, json, not_allowed};
use super::{Server, approvals, post};
use crate::front::Front;
use bytes::Bytes;
use gate::Principal;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use mcp::{Revision, headers, sse};
use std::str::FromStr;
use std::sync::Arc;

const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Answers one request.
pub(super) async fn handle(server: &Arc<Server>, request: Request<Incoming>, busy: Busy) -> Reply {
    if let Err(refused) = server.guard.admit(request.uri(), request.headers()) {
        return refused.into();
    }
    let path = request.uri().path();
    if matches!(path, "/healthz" | "/readyz") {
        return match *request.method() {
            Method::GET | Method::HEAD => json(StatusCode::OK, Bytes::from_static(br#"{"status":"ok"}"#)),
            _ => not_allowed("GET"),
        };
    }
    let request = match approvals::handle(server, request).await {
        Ok(reply) => return reply,
        Err(request) => request,
    };
    let path = request.uri().path();
    // Without the token it cannot even be learned which faces there are.
    let by = match server.guard.principal(request.headers()) {
        Ok(by) => by,
        Err(refused) => return refused.into(),
    };
    if let Some(report) = server.options.status.as_ref().filter(|_| path == "/status") {
        return match *request.method() {
            Method::GET | Method::HEAD => json(StatusCode::OK, (report.0)()),
            _ => not_allowed("GET"),
        };
    }
    let Some(front) = server.face_at(path) else {
        return Refused::new(StatusCode::NOT_FOUND, "there is nothing here; the endpoints are /mcp and /mcp/NAME")
            .into();
    };
    match *request.method() {
        Method::POST => post::handle(server, &front, by, request, busy).await,
        Method::GET => get(server, &front, &by, request.headers(), busy).unwrap_or_else(Into::into),
        Method::DELETE => delete(server, &front, &by, request.headers()).unwrap_or_else(Into::into),
        _ => not_allowed("GET, POST, DELETE"),
    }
}

impl Server {
    fn face_at(&self, path: &str) -> Option<Arc<Front>> {
        let rest = path.strip_prefix("/mcp")?;
        match rest.strip_prefix('/') {
            None if rest.is_empty() => Some(self.root.clone()),
            Some("") => Some(self.root.clone()),
            Some(name) => self.face_of(&unescaped(name)?),
            None => None,
        }
    }
}

/// The session a request of the era with a handshake names.
///
/// # Errors
/// What to answer to one that names none, or none there is.
pub(super) fn session(
    server: &Server,
    front: &Arc<Front>,
    by: &Principal,
    map: &HeaderMap,
) -> Result<Arc<HttpSession>, Refused> {
    let id = single(map, &headers::SESSION_ID).ok().flatten().ok_or(Refused::new(
        StatusCode::BAD_REQUEST,
        "the header `Mcp-Session-Id` is missing; send `initialize` first",
    ))?;
    if let Ok(Some(version)) = single(map, &headers::PROTOCOL_VERSION)
        && Revision::from_str(version).is_err()
    {
        return Err(Refused::new(StatusCode::BAD_REQUEST, "the header `MCP-Protocol-Version` names no known revision"));
    }
    server
        .sessions
        .find(id, front, by)
        .ok_or(Refused::new(StatusCode::NOT_FOUND, "there is no such session (any more); send `initialize` again"))
}

/// The stream for what belongs to no request, or the rest of one that broke.
fn get(server: &Server, front: &Arc<Front>, by: &Principal, map: &HeaderMap, busy: Busy) -> Result<Reply, Refused> {
    if map.get(headers::SESSION_ID).is_none() {
        return Ok(not_allowed("POST"));
    }
    let session = session(server, front, by, map)?;
    if !accepts(map, "text/event-stream") {
        return Err(Refused::new(StatusCode::NOT_ACCEPTABLE, "a GET is answered with `text/event-stream`"));
    }
    let (channel, after) = match single(map, &headers::LAST_EVENT_ID) {
        Ok(Some(id)) => session
            .resume(id)
            .ok_or(Refused::new(StatusCode::BAD_REQUEST, "the header `Last-Event-ID` names nothing that is kept"))?,
        _ => (session.inbox.clone(), u64::MAX),
    };
    let after = if after == u64::MAX { channel.last() } else { after };
    let first = primed(server, &session, &channel, after);
    let events = Events::new(channel, after, first, server.options.keep_alive, busy);
    Ok(stream(events))
}

/// The event that opens a stream for clients that know how to come back to it.
pub(super) fn primed(server: &Server, session: &HttpSession, channel: &super::Channel, after: u64) -> Option<Bytes> {
    let knows = session.session.profile().revision >= Revision::V2025_11_25;
    let id = channel.event_id(after).filter(|_| knows)?;
    Some(sse::encode_priming(&id, Some(server.options.retry)))
}

/// A response that is an event stream.
pub(super) fn stream(events: Events) -> Reply {
    let mut reply = Reply::new(super::body::Body::Events(Box::new(events)));
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    reply
}

fn delete(server: &Server, front: &Arc<Front>, by: &Principal, map: &HeaderMap) -> Result<Reply, Refused> {
    if map.get(headers::SESSION_ID).is_none() {
        return Ok(not_allowed("POST"));
    }
    let session = session(server, front, by, map)?;
    server.sessions.end(&session);
    Ok(bare(StatusCode::OK))
}

/// Whether a response of this type is acceptable. No `Accept` at all accepts everything.
pub(super) fn accepts(map: &HeaderMap, wanted: &str) -> bool {
    let mut given = map.get_all(ACCEPT).iter().peekable();
    if given.peek().is_none() {
        return true;
    }
    let group = wanted.split_once('/').map_or(wanted, |(group, _)| group);
    let fits = |range: &str| {
        let range = range.split(';').next().unwrap_or_default().trim();
        range == "*/*"
            || range.eq_ignore_ascii_case(wanted)
            || range.strip_suffix("/*").is_some_and(|own| own.eq_ignore_ascii_case(group))
    };
    given.filter_map(|value| value.to_str().ok()).any(|value| value.split(',').any(fits))
}

/// A path segment without percent escapes.
fn unescaped(segment: &str) -> Option<String> {
    if !segment.contains('%') {
        return Some(segment.to_owned());
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let pair = [rest.next()?, rest.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accept_header_is_read_as_a_list_of_ranges() {
        let check = |given: &[&str], wanted: &str, want: bool| {
            let mut map = HeaderMap::new();
            for value in given {
                map.append(ACCEPT, HeaderValue::from_str(value).expect("a value"));
            }
            assert_eq!(accepts(&map, wanted), want, "{given:?} {wanted}");
        };
        check(&[], "text/event-stream", true);
        check(&["application/json, text/event-stream"], "text/event-stream", true);
        check(&["application/json", "TEXT/event-stream;q=0.5"], "text/event-stream", true);
        check(&["*/*"], "application/json", true);
        check(&["application/*"], "application/json", true);
        check(&["application/json"], "text/event-stream", false);
        check(&["application/*"], "text/event-stream", false);
    }

    #[test]
    fn a_path_is_read_without_its_escapes() {
        assert_eq!(unescaped("a%20b").as_deref(), Some("a b"));
        assert_eq!(unescaped("plain").as_deref(), Some("plain"));
        assert_eq!(unescaped("%f"), None);
        assert_eq!(unescaped("%ff"), None);
    }
}
