//! The way back to a caller while its request runs: progress, log lines and questions, on the request's own
//! stream.

use crate::http::Channel;
use crate::level::Level;
use crate::session::Session;
use bytes::Bytes;
use gate::ports::Listener;
use gate::{Place, Wire};
use mcp::stdio::Outbox;
use mcp::view;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Where messages of one request go.
#[derive(Clone)]
pub(crate) enum Out {
    /// Onto the one pipe of the conversation.
    Pipe(Outbox),
    /// Onto the request's own event stream.
    Stream(Arc<Channel>),
    /// Nowhere: the caller cannot be told anything before the answer.
    Nowhere,
}

impl Out {
    /// Sends a message unless the caller does not keep up. Says whether it was taken.
    pub fn offer(&self, json: Bytes) -> bool {
        match self {
            Self::Pipe(outbox) => outbox.try_send(json).is_ok(),
            Self::Stream(channel) => channel.push(json),
            Self::Nowhere => false,
        }
    }
}

/// Listens to one call.
pub(crate) struct Line {
    /// Where its messages go.
    pub out: Out,
    /// The caller's own progress token, raw.
    pub token: Option<Bytes>,
    /// The level a stateless request asked for.
    pub level: Option<Level>,
    /// The conversation, in the era with a handshake.
    pub session: Option<Arc<Session>>,
}

impl Line {
    fn hears(&self, level: Level) -> bool {
        let least = self.session.as_ref().map(|session| session.level()).or(self.level);
        least.is_some_and(|least| level >= least)
    }
}

impl Listener for Line {
    fn notify(&self, notification: Wire) {
        if !notification.parts.subject.is_none() {
            if let Some(token) = &self.token {
                self.out.offer(replaced(&notification, notification.parts.subject, token));
            }
            return;
        }
        if method_is(&notification, "notifications/message") {
            let params = std::str::from_utf8(notification.part(notification.parts.body)).unwrap_or("{}");
            if !self.hears(Level::of_params(params)) {
                return;
            }
        }
        self.out.offer(notification.json);
    }

    fn ask(&self, request: Wire, answer: oneshot::Sender<Wire>) {
        // Without a session there is nobody to ask; dropping `answer` says so.
        let Some(session) = &self.session else { return };
        let id = session.ask(answer);
        let own = replaced(&request, request.parts.id, itoa::Buffer::new().format(id).as_bytes());
        if !self.out.offer(own) {
            session.unask(id);
        }
    }

    fn wants_progress(&self) -> bool {
        self.token.is_some()
    }
}

/// The message with other bytes at `place`.
pub(crate) fn replaced(wire: &Wire, place: Place, bytes: &[u8]) -> Bytes {
    let json = &wire.json;
    let (start, end) = (place.start as usize, place.end as usize);
    let mut out = Vec::with_capacity(json.len() + bytes.len());
    out.extend_from_slice(&json[..start]);
    out.extend_from_slice(bytes);
    out.extend_from_slice(&json[end..]);
    out.into()
}

/// Whether a message has this method.
pub(crate) fn method_is(wire: &Wire, method: &str) -> bool {
    let text = std::str::from_utf8(&wire.json).unwrap_or("{}");
    view::member(text, "method").and_then(view::string).is_some_and(|found| found == method)
}
