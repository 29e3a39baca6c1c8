//! A server behind Streamable HTTP: one POST per message, its answer as JSON or as a stream of events.

use crate::faults::Faults;
use crate::http_auth::{Door, Refusal};
use crate::incoming::{self, Via};
use crate::oauth::Again;
use crate::options::HttpOptions;
use crate::pending::Answer;
use crate::session::{Session, Trouble};
use bytes::Bytes;
use gate::{Code, Delivery, Fault, State};
use http::{HeaderMap, HeaderName, HeaderValue};
use mcp::revision::Revision;
use mcp::sse::Event;
use mcp::streamable_http::{Endpoint, EndpointOptions, EventStream, FailureKind, HopHeaders, HttpFailure, PostedBody};
use mcp::{Era, Frame, Kind, Limits};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::sleep;

/// Resolving, connecting and TLS together.
const CONNECT: Duration = Duration::from_secs(10);
/// Before a broken stream is resumed, unless the server says otherwise.
const RETRY: Duration = Duration::from_secs(1);
/// What a server may ask us to wait at least and at most. Nobody makes us come back without a pause.
const LEAST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// How often a stream is resumed without anything new on it.
const RESUMPTIONS: u32 = 5;

/// The way to the endpoint and the session on it.
pub(crate) struct HttpLink {
    pub door: Door,
    id: OnceLock<HeaderValue>,
}

/// One request on its way.
pub(crate) struct Request {
    pub id: u64,
    pub body: Bytes,
    pub hop: HopHeaders,
    /// Where its answer will be.
    pub answer: oneshot::Receiver<Answer>,
}

/// The endpoint that the settings name.
pub(crate) fn endpoint(options: &HttpOptions, limits: Limits, faults: &Faults) -> Result<Endpoint, Fault> {
    let mut headers = HeaderMap::new();
    for (name, value) in &options.headers {
        let wrong =
            |_| faults.misconfigured(format!("has an HTTP header that cannot be sent: `{}`", name.escape_debug()));
        let key = HeaderName::try_from(name.as_str()).map_err(|_| wrong(()))?;
        let mut value = HeaderValue::try_from(value.expose()).map_err(|_| wrong(()))?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    let options = EndpointOptions { url: options.url.clone(), headers, limits, connect_timeout: CONNECT, proxy: None };
    Endpoint::new(options).map_err(|error| faults.misconfigured(format!("cannot be reached: {error}")))
}

impl HttpLink {
    pub fn new(door: Door) -> Self {
        Self { door, id: OnceLock::new() }
    }

    /// The headers that any message of this conversation has.
    pub fn headers(&self, session: &Session) -> HopHeaders {
        let revision = session.peer().map(|peer| peer.revision);
        let legacy = revision.is_none_or(|revision| revision.era() == Era::Legacy);
        HopHeaders { revision, session: self.id.get().filter(|_| legacy).cloned(), ..HopHeaders::default() }
    }

    /// Makes one request and waits for its answer.
    pub async fn exchange(&self, session: &Arc<Session>, request: Request) -> Result<Frame, Trouble> {
        let Request { id, body, hop, mut answer } = request;
        let faults = &session.shared.faults;
        let posted = match self.door.post(body, &hop).await {
            Ok(posted) => posted,
            Err(refusal) => return self.refused(session, id, &refusal, &mut answer),
        };
        if let Some(issued) = posted.session {
            // The first one, on the answer to `initialize`; a server may repeat it.
            let _ = self.id.set(issued);
        }
        match posted.body {
            PostedBody::Json(json) => {
                incoming::take(session, json, Via::Request(id));
                let came = answer.try_recv();
                came.unwrap_or_else(|_| Err(faults.protocol("answered with something else than the answer")))
                    .map_err(Trouble::from)
            }
            PostedBody::Events(stream) => self.follow(session, id, stream, answer).await,
            PostedBody::Accepted if hop.revision == Some(Revision::MODERN) => {
                Err(faults.protocol("took the request and did not answer it").into())
            }
            // It may still come on the stream of the conversation.
            PostedBody::Accepted => settled(answer.await, faults),
        }
    }

    /// Reads the stream that answers a request, over its breaks if it can be resumed.
    async fn follow(
        &self,
        session: &Arc<Session>,
        id: u64,
        mut stream: EventStream,
        mut answer: oneshot::Receiver<Answer>,
    ) -> Result<Frame, Trouble> {
        let faults = &session.shared.faults;
        let mut resumptions = 0;
        loop {
            let event = tokio::select! {
                biased;
                came = &mut answer => return settled(came, faults),
                event = stream.next() => event,
            };
            match event {
                Some(Ok(event)) => {
                    resumptions = 0;
                    take_event(session, event, Via::Request(id));
                }
                Some(Err(HttpFailure { kind: FailureKind::EventTooLong(_), .. })) => {
                    return Err(faults.protocol("sent an event that is too long").into());
                }
                Some(Err(_)) | None => {
                    let Some(last) = stream.last_event_id().map(str::to_owned) else { return Err(cut(faults).into()) };
                    let pause = pause_before_retry(stream.retry(), RETRY);
                    stream = loop {
                        resumptions += 1;
                        if session.is_modern() || resumptions > RESUMPTIONS {
                            return Err(cut(faults).into());
                        }
                        sleep(pause).await;
                        match self.door.open_stream(&self.headers(session), Some(&last)).await {
                            Ok(stream) => break stream,
                            Err(Refusal { failure, .. }) if failure.status.is_some_and(|status| status < 500) => {
                                return Err(cut(faults).into());
                            }
                            Err(_) => {}
                        }
                    };
                }
            }
        }
    }

    /// What a failed exchange means: a JSON-RPC error in its body is the answer.
    fn refused(
        &self,
        session: &Arc<Session>,
        id: u64,
        refusal: &Refusal,
        answer: &mut oneshot::Receiver<Answer>,
    ) -> Result<Frame, Trouble> {
        let known = self.id.get().is_some() && !session.is_modern();
        let trouble = trouble(refusal, &session.shared.faults, known);
        let failure = &refusal.failure;
        let FailureKind::Status(400..=599) = failure.kind else { return Err(trouble) };
        let auth = matches!(&trouble, Trouble::Fault(fault) if fault.code == Code::UpstreamAuthRequired);
        if auth {
            keep(session, failure);
        }
        if auth || matches!(trouble, Trouble::SessionLost) {
            return Err(trouble);
        }
        match Frame::parse(failure.body.clone(), &session.shared.options.limits) {
            // Errors of the transport often have no id; there is only one request they can answer.
            Ok(frame) if frame.kind() == Kind::Error && !frame.id_span().is_none() => {
                session.pending.settle(id, Ok(frame));
                settled(answer.try_recv(), &session.shared.faults)
            }
            _ => {
                keep(session, failure);
                Err(trouble)
            }
        }
    }

    /// Posts a notification or an answer.
    pub async fn tell(&self, session: &Session, message: Bytes) -> Result<(), Trouble> {
        match self.door.post(message, &self.headers(session)).await {
            Ok(_) => Ok(()),
            Err(refusal) => Err(trouble(&refusal, &session.shared.faults, self.id.get().is_some())),
        }
    }

    /// Ends the session at the server, if there is one.
    pub async fn close(&self, session: &Session) {
        let headers = self.headers(session);
        if headers.session.is_none() {
            return;
        }
        if let Err(Refusal { failure, .. }) = self.door.delete_session(&headers).await {
            tracing::debug!(target: "mcp::client", server = %session.shared.options.name, %failure, "session not ended");
        }
    }
}

/// How long to wait before a stream is opened again: what the server asked for within bounds, or `otherwise`.
pub(crate) fn pause_before_retry(asked: Option<Duration>, otherwise: Duration) -> Duration {
    asked.unwrap_or(otherwise).clamp(LEAST_RETRY, LONGEST_RETRY)
}

fn settled<E>(came: Result<Answer, E>, faults: &Faults) -> Result<Frame, Trouble> {
    came.unwrap_or_else(|_| Err(faults.bug("lost a request"))).map_err(Trouble::from)
}

fn cut(faults: &Faults) -> Fault {
    let fault = faults.unavailable("closed the connection before it answered");
    Fault { delivery: Delivery::Unknown, ..fault }
}

/// Takes what one event carries, if it carries a message.
pub(crate) fn take_event(session: &Arc<Session>, event: Event, via: Via) {
    let message = event.event.as_deref().is_none_or(|kind| kind == "message");
    if message && !event.data.is_empty() {
        incoming::take(session, event.data, via);
    }
}

fn keep(session: &Session, failure: &HttpFailure) {
    session.shared.http_answer.keep(failure, &session.shared.world.hub.masks());
}

/// A failed exchange in our words. `known` says whether the server had given us a session.
pub(crate) fn trouble(refusal: &Refusal, faults: &Faults, known: bool) -> Trouble {
    let Refusal { failure, again } = refusal;
    let delivery = if failure.delivered { Delivery::Unknown } else { Delivery::NotDelivered };
    let broken = |what: String| Fault { delivery, ..faults.unavailable(what) };
    if let Some(status @ (401 | 403)) = failure.status {
        return match again {
            Again::Never => faults.auth_required(status),
            again => faults.login_refused(status, again),
        }
        .into();
    }
    match &failure.kind {
        FailureKind::Status(404) if known => Trouble::SessionLost,
        FailureKind::Status(400) if known && speaks_of_sessions(&failure.body) => Trouble::SessionLost,
        FailureKind::Status(status) => {
            let wait = failure.retry_after.map(|wait| format!("; try again in {}", crate::faults::seconds(wait)));
            let what = format!("answered HTTP {status}{}", wait.unwrap_or_default());
            // What refuses how it is asked is there, but no server of this protocol; what fails itself may come back.
            let state = if (400..429).contains(status) { State::ProtocolError } else { State::Unreachable };
            Trouble::Rejected { status: *status, fault: Fault { state, ..broken(what) } }
        }
        FailureKind::Connect(_) | FailureKind::ConnectTimeout | FailureKind::Tls(_) => {
            broken(format!("cannot be reached: {failure}")).into()
        }
        FailureKind::Broken(_) => broken("broke the connection before it answered".to_owned()).into(),
        FailureKind::Redirect(_) => {
            let hint = format!("set `url` of [mcp_servers.{}] to where it leads, if that is right", faults.0);
            let fault = broken("answered with a redirect, which is not followed".to_owned());
            Fault { hint: Some(hint), state: State::ProtocolError, ..fault }.into()
        }
        FailureKind::ContentType(_) | FailureKind::ContentEncoding(_) => {
            let fault = faults.protocol("answered with something that is neither JSON nor events");
            Trouble::Rejected { status: failure.status.unwrap_or(200), fault }
        }
        FailureKind::TooLong(_) | FailureKind::EventTooLong(_) => {
            faults.protocol(format!("broke a limit: {failure}")).into()
        }
        FailureKind::NoEndpoint | FailureKind::ForeignEndpoint(_) => {
            faults.protocol("opened a stream of HTTP+SSE without a usable endpoint").into()
        }
    }
}

/// Common SDKs answer 400 instead of 404 when they do not know a session.
fn speaks_of_sessions(body: &[u8]) -> bool {
    body.to_ascii_lowercase().windows(7).any(|part| part == b"session")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_server_makes_us_come_back_at_once_or_never() {
        let asked = |millis| Some(Duration::from_millis(millis));
        for (asked, want) in [(asked(0), 100), (asked(500), 500), (asked(u64::MAX), 60_000), (None, 1_000)] {
            assert_eq!(pause_before_retry(asked, RETRY), Duration::from_millis(want));
        }
    }
}
