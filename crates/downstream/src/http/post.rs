//! One message, or a batch of them, in a POST; and its answer: one document if nothing is said before it, else an
//! event stream.

use super::body::{Events, Job, Refuge, Reply};
use super::channel::Channel;
use super::connection::Busy;
use super::guard::single;
use super::session::HttpSession;
use super::status::{Refused, bare, json};
use super::{Server, route};
use crate::answer::Answer;
use crate::caller::Caller;
use crate::front::{Front, Pending, Work};
use crate::line::Out;
use crate::session::Session;
use crate::stdio::{array, batched, no_batches};
use crate::{legacy, modern};
use bytes::{Bytes, BytesMut};
use futures_util::future::{AbortRegistration, Abortable, BoxFuture, join_all};
use gate::{Principal, Target};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming as Arriving};
use mcp::frame::Incoming;
use mcp::headers::{self, Mirrored, ParamHeader};
use mcp::revision::{code, meta};
use mcp::{Frame, Kind, Revision, view};
use std::future::poll_fn;
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::Poll;

/// What a POST is answered with its connection and session at hand.
struct Post<'s> {
    server: &'s Arc<Server>,
    front: &'s Arc<Front>,
    by: Principal,
    headers: HeaderMap,
    busy: Busy,
}

/// Answers a POST.
pub(super) async fn handle(
    server: &Arc<Server>,
    front: &Arc<Front>,
    by: Principal,
    request: Request<Arriving>,
    busy: Busy,
) -> Reply {
    let (head, body) = request.into_parts();
    if let Err(refused) = well_formed(&head.headers) {
        return refused.into();
    }
    let body = match tokio::time::timeout(server.options.body_wait, whole(body, front.options.limits.frame_bytes)).await
    {
        Ok(Ok(body)) => body,
        Ok(Err(refused)) => return refused.into(),
        Err(_) => return Refused::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time").into(),
    };
    let post = Post { server, front, by, headers: head.headers, busy };
    match Frame::parse_any(body, &front.options.limits) {
        Ok(Incoming::One(frame)) => post.one(*frame).await,
        Ok(Incoming::Batch(batch)) => post.batch(batch).await,
        Err(bad) => match Answer::to_bad_frame(&bad) {
            Some(answer) => json(StatusCode::BAD_REQUEST, answer.json),
            None => bare(StatusCode::BAD_REQUEST),
        },
    }
}

fn well_formed(map: &HeaderMap) -> Result<(), Refused> {
    let kind = single(map, &CONTENT_TYPE).ok().flatten().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be `application/json`"));
    }
    if !route::accepts(map, "application/json") || !route::accepts(map, "text/event-stream") {
        let what = "the header `Accept` must name both `application/json` and `text/event-stream`";
        return Err(Refused::new(StatusCode::NOT_ACCEPTABLE, what));
    }
    Ok(())
}

/// The whole body, without a copy if it came in one piece.
async fn whole(mut body: Arriving, most: usize) -> Result<Bytes, Refused> {
    let too_large =
        || Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than `[limits] frame_bytes` allows");
    let broken = || Refused::new(StatusCode::BAD_REQUEST, "the body broke off");
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    while let Some(piece) = body.frame().await {
        let Ok(piece) = piece.map_err(|_| broken())?.into_data() else { continue };
        if first.is_empty() {
            first = piece;
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&piece);
        if rest.len() > most {
            return Err(too_large());
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

impl Post<'_> {
    async fn one(self, frame: Frame) -> Reply {
        if self.is_modern(&frame) {
            return self.modern(frame).await;
        }
        if frame.kind() == Kind::Request && frame.method() == "initialize" {
            return self.initialize(frame);
        }
        match route::session(self.server, self.front, &self.by, &self.headers) {
            Ok(session) => self.legacy(frame, &session).await,
            Err(refused) => refused.into(),
        }
    }

    /// By what the message says of itself; else by its header.
    fn is_modern(&self, frame: &Frame) -> bool {
        if modern::is_modern(frame) {
            return true;
        }
        let version = single(&self.headers, &headers::PROTOCOL_VERSION).ok().flatten();
        version.is_some_and(|version| Revision::from_str(version) == Ok(Revision::MODERN))
    }

    fn initialize(self, frame: Frame) -> Reply {
        let session = Arc::new(Session::new());
        let caller = Caller { by: self.by.clone(), session: Some(session.clone()), out: Out::Nowhere };
        let Work::Done(answer) = self.front.begin(frame, &caller) else { return bare(StatusCode::BAD_REQUEST) };
        if answer.code.is_some() {
            return json(StatusCode::BAD_REQUEST, answer.json);
        }
        let opened = self.server.sessions.open(self.front, &self.by, session);
        let Some(id) = opened.ok().and_then(|session| HeaderValue::from_str(&session.id).ok()) else {
            return bare(StatusCode::SERVICE_UNAVAILABLE);
        };
        let mut reply = json(StatusCode::OK, answer.json);
        reply.headers_mut().insert(headers::SESSION_ID, id);
        reply
    }

    async fn legacy(self, frame: Frame, session: &Arc<HttpSession>) -> Reply {
        if frame.kind() != Kind::Request {
            legacy::note(&frame, &session.session);
            return bare(StatusCode::ACCEPTED);
        }
        let channel = session.stream();
        let work = match self.take(frame, session, &channel) {
            Ok(work) => work,
            Err(answer) => return json(StatusCode::OK, answer.json),
        };
        let job = self.sheltered(work, &channel);
        self.respond(job, channel, Some(session)).await
    }

    /// Begins a request of a session.
    ///
    /// # Errors
    /// Its answer, if that is known at once.
    fn take(
        &self,
        frame: Frame,
        session: &HttpSession,
        channel: &Arc<Channel>,
    ) -> Result<BoxFuture<'static, Option<Answer>>, Answer> {
        let id = frame.json().slice(frame.id_span().range());
        let caller =
            Caller { by: self.by.clone(), session: Some(session.session.clone()), out: Out::Stream(channel.clone()) };
        let pending = match self.front.begin(frame, &caller) {
            Work::Done(answer) => return Err(answer),
            Work::Later(pending) => pending,
        };
        let (slot, registration) = session.session.in_flight.enter(&id)?;
        let front = self.front.clone();
        Ok(Box::pin(async move {
            let answer = abortable(front, pending, registration).await;
            drop(slot);
            answer
        }))
    }

    /// In the era with sessions a connection that ends is no cancellation.
    fn sheltered(&self, work: BoxFuture<'static, Option<Answer>>, channel: &Arc<Channel>) -> Job {
        let (tracker, stop) = (self.front.tracker.clone(), self.front.stop.clone());
        Job::new(work, Some(Refuge { tracker, stop, channel: channel.clone() }))
    }

    async fn batch(self, batch: Vec<Result<Frame, mcp::BadFrame>>) -> Reply {
        let session = match route::session(self.server, self.front, &self.by, &self.headers) {
            Ok(session) => session,
            Err(refused) => return refused.into(),
        };
        if session.session.profile().revision != Revision::V2025_03_26 {
            return json(StatusCode::BAD_REQUEST, no_batches().json);
        }
        let channel = session.stream();
        let (mut answers, mut begun) = (Vec::new(), Vec::new());
        for element in batch {
            match element {
                Ok(frame) if frame.kind() != Kind::Request => legacy::note(&frame, &session.session),
                Ok(frame) => match batched(&frame).map_or_else(|| self.take(frame, &session, &channel), Err) {
                    Ok(work) => begun.push(work),
                    Err(answer) => answers.push(answer.json),
                },
                Err(bad) => answers.extend(Answer::to_bad_frame(&bad).map(|answer| answer.json)),
            }
        }
        if answers.is_empty() && begun.is_empty() {
            return bare(StatusCode::ACCEPTED);
        }
        let work = Box::pin(async move {
            answers.extend(join_all(begun).await.into_iter().flatten().map(|answer| answer.json));
            array(&answers).map(Answer::result)
        });
        let job = self.sheltered(work, &channel);
        self.respond(job, channel, Some(&session)).await
    }

    async fn modern(self, frame: Frame) -> Reply {
        match frame.kind() {
            Kind::Request => {}
            Kind::Notification => return bare(StatusCode::ACCEPTED),
            Kind::Result | Kind::Error => return bare(StatusCode::BAD_REQUEST),
        }
        if let Err(answer) = self.mirrored(&frame) {
            return modern_reply(answer);
        }
        let channel = Arc::new(Channel::passing());
        let caller = Caller { by: self.by.clone(), session: None, out: Out::Stream(channel.clone()) };
        let pending = match self.front.begin(frame, &caller) {
            Work::Done(answer) => return modern_reply(answer),
            Work::Later(pending) => pending,
        };
        let front = self.front.clone();
        let job = Job::new(Box::pin(async move { Some(front.run(*pending).await) }), None);
        self.respond(job, channel, None).await
    }

    /// Whether the headers say what the body says.
    fn mirrored(&self, frame: &Frame) -> Result<(), Answer> {
        let id = frame.id().unwrap_or("null").as_bytes();
        let Some(version) = frame.meta(meta::PROTOCOL_VERSION).and_then(view::string) else {
            // What is missing is said where the body is read.
            return modern::said(frame).map(drop);
        };
        let method = frame.method();
        let name = match &*method {
            "tools/call" | "prompts/get" => frame.get_string("name"),
            "resources/read" => frame.get_string("uri"),
            "tasks/get" | "tasks/update" | "tasks/cancel" => frame.get_string("taskId"),
            _ => None,
        };
        let params = match (&*method, &name) {
            ("tools/call", Some(name)) => self.param_headers(name),
            _ => Vec::new(),
        };
        let body = Mirrored {
            version: &version,
            method: &method,
            name: name.as_deref(),
            params: &params,
            arguments: frame.get("arguments"),
        };
        headers::check(&self.headers, &body)
            .map_err(|mismatch| Answer::error(id, code::HEADER_MISMATCH, &mismatch.to_string(), None))
    }

    /// The headers a tool wants its arguments repeated in.
    fn param_headers(&self, name: &str) -> Vec<ParamHeader> {
        let item = self.front.gate.catalog().resolve(&self.front.face, &Target::Tool(name.into()));
        // A tool that may not be seen is answered for like one that does not exist.
        let Some(item) = item.ok().filter(|item| self.front.gate.decision_word(item) != "deny") else {
            return Vec::new();
        };
        if memchr::memmem::find(&item.definition, b"x-mcp-header").is_none() {
            return Vec::new();
        }
        let schema = std::str::from_utf8(&item.definition).ok().and_then(|text| view::member(text, "inputSchema"));
        // An invalid annotation is taken off where the tool is listed, so nobody repeats it.
        schema.and_then(|schema| headers::params_of(schema).ok()).unwrap_or_default()
    }

    /// Waits for the first word of a request, and answers accordingly.
    async fn respond(self, mut job: Job, channel: Arc<Channel>, session: Option<&Arc<HttpSession>>) -> Reply {
        let mut silence = pin!(tokio::time::sleep(self.server.options.stream_after));
        let answer = poll_fn(|context| {
            let answer = job.poll(context);
            if let Poll::Ready(answer) = answer {
                return Poll::Ready(Some(answer));
            }
            if channel.poll_said(context) || silence.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await;
        match answer {
            Some(Some(answer)) if channel.is_empty() => match session {
                Some(_) => json(StatusCode::OK, answer.json),
                None => modern_reply(answer),
            },
            Some(answer) => {
                channel.finish(answer.map(|answer| answer.json));
                self.stream(channel, None, session)
            }
            None => self.stream(channel, Some(job), session),
        }
    }

    fn stream(self, channel: Arc<Channel>, job: Option<Job>, session: Option<&Arc<HttpSession>>) -> Reply {
        let first = session.and_then(|session| {
            session.keep(&channel);
            route::primed(self.server, session, &channel, 0)
        });
        let events = Events::new(channel, 0, first, self.server.options.keep_alive, self.busy);
        route::stream(events.of(job))
    }
}

async fn abortable(front: Arc<Front>, pending: Box<Pending>, registration: AbortRegistration) -> Option<Answer> {
    Abortable::new(front.run(*pending), registration).await.ok()
}

fn modern_reply(answer: Answer) -> Reply {
    let status = StatusCode::from_u16(answer.modern_status()).unwrap_or(StatusCode::OK);
    json(status, answer.json)
}
