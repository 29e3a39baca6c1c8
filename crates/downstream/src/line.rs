//! The way back to a caller while its request runs: progress, log lines and questions, on the request's own
//! stream. What nobody waits for any more is taken back. What a question says is not known here.

use crate::http::Channel;
use crate::level::Level;
use crate::listen::on_runtime;
use crate::phishing::secret_field;
use crate::question;
use crate::session::Session;
use crate::waiting::{EVERY, Waiting};
use bytes::Bytes;
use gate::ports::Listener;
use gate::{Answer, Approval, Place, Wire, Words};
use mcp::stdio::Outbox;
use mcp::{Revision, view};
use std::sync::{Arc, Mutex, OnceLock};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

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
    out: Out,
    /// The caller's own progress token, raw.
    token: Option<Bytes>,
    /// The level a stateless request asked for.
    level: Option<Level>,
    /// The conversation, in the era with a handshake.
    session: Option<Arc<Session>>,
    /// Runs what waits for an answer, or for a person.
    tracker: TaskTracker,
    /// The questions asked on it.
    asked: Mutex<Vec<u64>>,
    /// What was told of waiting for a person, if the call ever did.
    waiting: OnceLock<Arc<Waiting>>,
}

impl Line {
    /// A line to a caller with this progress token, that wants log lines of this level or has a conversation.
    pub fn new(
        out: Out,
        token: Option<Bytes>,
        level: Option<Level>,
        session: Option<Arc<Session>>,
        tracker: TaskTracker,
    ) -> Self {
        Self { out, token, level, session, tracker, asked: Mutex::default(), waiting: OnceLock::new() }
    }

    /// Asks the client what `message` makes of an id, and gives what `read` makes of its answer to `answer`. When
    /// nobody waits for that any more, the question is taken back.
    fn put<T: Send + 'static>(
        &self,
        message: impl FnOnce(&[u8]) -> Bytes,
        mut answer: oneshot::Sender<T>,
        read: impl FnOnce(Wire) -> T + Send + 'static,
    ) {
        // Without a session there is nobody to ask; dropping `answer` says so.
        let (Some(session), Some(runtime)) = (self.session.clone(), on_runtime()) else { return };
        let (sender, receiver) = oneshot::channel();
        let id = session.ask(sender);
        if !self.out.offer(message(itoa::Buffer::new().format(id).as_bytes())) {
            session.unask(id);
            return;
        }
        self.asked.lock().expect("a push does not panic").push(id);
        let out = self.out.clone();
        let wait = async move {
            tokio::select! {
                said = receiver => if let Ok(said) = said {
                    // Who asked may have gone in this very moment.
                    let _ = answer.send(read(said));
                },
                () = answer.closed() => withdraw(&session, &out, id),
            }
        };
        self.tracker.spawn_on(wait, &runtime);
    }

    /// Asks the client's user, and reads the result of that.
    fn elicit(
        &self,
        params: String,
        answer: oneshot::Sender<Answer>,
        read: impl FnOnce(&str) -> Answer + Send + 'static,
    ) {
        let message = |id: &[u8]| {
            let id = String::from_utf8_lossy(id);
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"elicitation/create","params":{params}}}"#).into()
        };
        self.put(message, answer, |said| result(&said).map_or(Answer::Dismissed, read));
    }

    /// Whether the client's revision knows elicitations other than forms.
    fn has_modes(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.profile().revision >= Revision::V2025_11_25)
    }

    fn hears(&self, level: Level) -> bool {
        let least = self.session.as_ref().map(|session| session.level()).or(self.level);
        least.is_some_and(|least| level >= least)
    }
}

impl Listener for Line {
    fn notify(&self, notification: Wire) {
        if !notification.parts.subject.is_none() {
            if let Some(token) = &self.token {
                let own = replaced(&notification, notification.parts.subject, token);
                match self.waiting.get() {
                    Some(waiting) => waiting.pass(&self.out, own, progress(&notification)),
                    None => drop(self.out.offer(own)),
                }
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
        let params = std::str::from_utf8(request.part(request.parts.body)).unwrap_or("{}");
        if let Some(field) = secret_field(params) {
            // Dropping `answer` says that nobody answers.
            tracing::warn!(target: "mcp::downstream", field, "a server asked for a secret in a form, and was not heard");
            return;
        }
        self.put(|id| replaced(&request, request.parts.id, id), answer, |said| said);
    }

    fn approve(&self, question: &Approval, answer: oneshot::Sender<Answer>) {
        let may_last = question::may_last(question);
        let read = move |result: &str| question::answer(result, may_last);
        self.elicit(question::params(question, self.has_modes()), answer, read);
    }

    fn approve_in_words(&self, question: &Approval, words: &Words, answer: oneshot::Sender<Answer>) {
        let params = question::params_in_words(question, words, self.has_modes());
        self.elicit(params, answer, question::answer_in_words);
    }

    fn waits(&self, over: oneshot::Receiver<()>) {
        let (Some(token), Some(runtime)) = (self.token.clone(), on_runtime()) else { return };
        let waiting = self.waiting.get_or_init(Arc::default).clone();
        self.tracker.spawn_on(waiting.tell(self.out.clone(), token, EVERY, over), &runtime);
    }

    fn wants_progress(&self) -> bool {
        self.token.is_some()
    }
}

/// The call is over: nobody wants to know any more.
impl Drop for Line {
    fn drop(&mut self) {
        let Some(session) = &self.session else { return };
        let asked = self.asked.get_mut().map(std::mem::take).unwrap_or_default();
        asked.into_iter().for_each(|id| withdraw(session, &self.out, id));
    }
}

/// Takes a question back at the client, unless it was answered or taken back already.
fn withdraw(session: &Session, out: &Out, id: u64) {
    if session.unask(id) {
        let params = format!(r#"{{"requestId":{id},"reason":"nobody waits for the answer any more"}}"#);
        out.offer(format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{params}}}"#).into());
    }
}

/// What a client answered, if that is no error.
fn result(said: &Wire) -> Option<&str> {
    view::member(std::str::from_utf8(&said.json).ok()?, "result")
}

/// How far a progress notification says that the call is.
fn progress(notification: &Wire) -> Option<f64> {
    let params = std::str::from_utf8(notification.part(notification.parts.body)).ok()?;
    view::member(params, "progress")?.parse().ok()
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
