//! The face on standard input and output: one client, one conversation, everything in one task.

use crate::answer::Answer;
use crate::caller::Caller;
use crate::front::{Front, Options, Pending, Work};
use crate::herald::{Hearer, herald};
use crate::inflight::Slot;
use crate::legacy;
use crate::line::Out;
use crate::session::Session;
use bytes::Bytes;
use futures_util::future::{AbortRegistration, Abortable, BoxFuture, join_all};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use gate::{Gate, Principal};
use mcp::frame::{Incoming, too_long};
use mcp::revision::code;
use mcp::stdio::{Line, LineReader, Outbox};
use mcp::{Frame, Kind, Limits, Revision};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// How long requests under way may still take once the client has closed its end. Then lists are answered with
/// what is known, and [`LAST_WORDS`] later the conversation is over.
const DRAIN: Duration = Duration::from_millis(300);
/// How long answers may take to be written when everything else is over.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Serves one client over a pair of byte streams until it closes its end, or `stop`. Requests still under way then
/// are given a moment and cancelled; this returns within a second of the end of `reader`.
///
/// # Errors
/// What the streams report.
pub async fn serve_stdio(
    gate: Arc<Gate>,
    options: Options,
    reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Unpin,
    stop: CancellationToken,
) -> io::Result<()> {
    let limits = options.limits;
    let (outbox, pump) = mcp::stdio::outbox(writer, limits);
    let mut mark = [0; 4];
    getrandom::fill(&mut mark).map_err(io::Error::other)?;
    let face = options.face.clone();
    let front = Arc::new(Front::new(gate, face, Arc::new(options), mark));
    let mut pump = pin!(pump.run());
    let talk = Conversation::new(front, outbox).run(LineReader::new(reader, limits), stop);
    tokio::select! {
        biased;
        talked = talk => talked?,
        // Nobody reads any more, so there is nobody to answer.
        pumped = &mut pump => return pumped,
    }
    tokio::time::timeout(LAST_WORDS, pump).await.unwrap_or(Ok(()))
}

/// One conversation. Dropping it cancels what is under way.
struct Conversation {
    front: Arc<Front>,
    session: Arc<Session>,
    caller: Caller,
    outbox: Outbox,
    limits: Limits,
}

type Calls = FuturesUnordered<BoxFuture<'static, Option<Bytes>>>;

impl Conversation {
    fn new(front: Arc<Front>, outbox: Outbox) -> Self {
        let session = Arc::new(Session::new());
        let caller = Caller { by: Principal::Local, session: Some(session.clone()), out: Out::Pipe(outbox.clone()) };
        let limits = front.options.limits;
        Self { front, session, caller, outbox, limits }
    }

    async fn run(self, mut reader: LineReader<impl AsyncRead + Unpin>, stop: CancellationToken) -> io::Result<()> {
        let mut calls = Calls::new();
        let mut stopped = pin!(stop.cancelled());
        let mut herald = pin!(herald(self.front.gate.hub().listen(), || self.hearers(), || true));
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => {
                    self.front.stop.cancel();
                    // Subscriptions end with a word; nothing else is waited for.
                    while let Some(Some(answer)) = calls.next().now_or_never() {
                        self.say(answer).await;
                    }
                    break;
                }
                Some(answer) = calls.next(), if !calls.is_empty() => self.say(answer).await,
                line = reader.next() => match line? {
                    Line::Frame(json) => self.hear(json, &mut calls).await,
                    Line::TooLong { head, tail, .. } => {
                        self.say(Answer::to_bad_frame(&too_long(&head, &tail, &self.limits)).map(|a| a.json)).await;
                    }
                    Line::Eof => {
                        self.drain(&mut calls).await;
                        break;
                    }
                },
                () = &mut herald => {}
            }
        }
        self.front.stop.cancel();
        Ok(())
    }

    /// The client has said all it will say: what is under way is given a moment.
    async fn drain(&self, calls: &mut Calls) {
        for _ in 0..2 {
            let rest = async {
                while let Some(answer) = calls.next().await {
                    self.say(answer).await;
                }
            };
            if tokio::time::timeout(DRAIN, rest).await.is_ok() {
                return;
            }
            self.front.hurry.cancel();
            self.front.stop.cancel();
        }
    }

    /// A closed pipe ends the conversation elsewhere; here it only means that nobody hears.
    async fn say(&self, message: Option<Bytes>) {
        if let Some(message) = message {
            let _ = self.outbox.send(message).await;
        }
    }

    fn hearers(&self) -> Vec<Hearer> {
        let hearer = Hearer { front: self.front.clone(), session: self.session.clone(), out: self.caller.out.clone() };
        vec![hearer]
    }

    async fn hear(&self, json: Bytes, calls: &mut Calls) {
        match Frame::parse_any(json, &self.limits) {
            Ok(Incoming::One(frame)) => match self.take(*frame) {
                Taken::Nothing => {}
                Taken::Answered(answer) => self.say(Some(answer)).await,
                Taken::Begun(call) => calls.push(call),
            },
            Ok(Incoming::Batch(batch)) => self.hear_batch(batch, calls).await,
            Err(bad) => self.say(Answer::to_bad_frame(&bad).map(|answer| answer.json)).await,
        }
    }

    fn take(&self, frame: Frame) -> Taken {
        if frame.kind() != Kind::Request {
            legacy::note(&frame, &self.session);
            return Taken::Nothing;
        }
        let id = frame.json().slice(frame.id_span().range());
        match self.front.begin(frame, &self.caller) {
            Work::Done(answer) => Taken::Answered(answer.json),
            Work::Later(pending) => match self.session.in_flight.enter(&id) {
                Ok((slot, registration)) => {
                    Taken::Begun(Box::pin(finished(self.front.clone(), pending, slot, registration)))
                }
                Err(refusal) => Taken::Answered(refusal.json),
            },
        }
    }

    /// A batch is answered by one array, in whatever revision may send one.
    async fn hear_batch(&self, batch: Vec<Result<Frame, mcp::BadFrame>>, calls: &mut Calls) {
        if self.session.profile().revision != Revision::V2025_03_26 {
            return self.say(Some(no_batches().json)).await;
        }
        let mut answers = Vec::new();
        let mut begun = Vec::new();
        for element in batch {
            match element.map(|frame| self.take_of_batch(frame)) {
                Ok(Taken::Nothing) => {}
                Ok(Taken::Answered(answer)) => answers.push(answer),
                Ok(Taken::Begun(call)) => begun.push(call),
                Err(bad) => answers.extend(Answer::to_bad_frame(&bad).map(|answer| answer.json)),
            }
        }
        calls.push(Box::pin(async move {
            answers.extend(join_all(begun).await.into_iter().flatten());
            array(&answers)
        }));
    }

    fn take_of_batch(&self, frame: Frame) -> Taken {
        match batched(&frame) {
            Some(refusal) => Taken::Answered(refusal.json),
            None => self.take(frame),
        }
    }
}

/// What came of one message.
enum Taken {
    Nothing,
    Answered(Bytes),
    Begun(BoxFuture<'static, Option<Bytes>>),
}

async fn finished(
    front: Arc<Front>,
    pending: Box<Pending>,
    slot: Slot,
    registration: AbortRegistration,
) -> Option<Bytes> {
    let answer = Abortable::new(front.run(*pending), registration).await;
    drop(slot);
    answer.ok().map(|answer| answer.json)
}

/// The answer to a batch in a revision without batches.
pub(crate) fn no_batches() -> Answer {
    Answer::malformed(b"null", code::INVALID_REQUEST, "batches exist in the revision 2025-03-26 alone")
}

/// Why a request cannot be part of a batch, if it cannot.
pub(crate) fn batched(frame: &Frame) -> Option<Answer> {
    let id = frame.id().unwrap_or("null").as_bytes();
    let alone = frame.kind() == Kind::Request && frame.method() == "initialize";
    alone.then(|| Answer::malformed(id, code::INVALID_REQUEST, "`initialize` cannot be part of a batch"))
}

/// Answers as one array; nothing if there are none.
pub(crate) fn array(answers: &[Bytes]) -> Option<Bytes> {
    if answers.is_empty() {
        return None;
    }
    Some([b"[", &*answers.join(&b","[..]), b"]"].concat().into())
}
