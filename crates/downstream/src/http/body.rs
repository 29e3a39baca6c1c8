//! What a response carries: one document, or an event stream and the request that feeds it.

use super::channel::{Channel, Next, Reader};
use super::connection::Busy;
use crate::answer::Answer;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::body::{Frame, SizeHint};
use mcp::sse;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A response of this face.
pub(super) type Reply = http::Response<Body>;

/// The body of a response.
pub(super) enum Body {
    Full(Option<Bytes>),
    Events(Box<Events>),
}

impl Body {
    /// One document.
    pub fn full(bytes: Bytes) -> Self {
        Self::Full((!bytes.is_empty()).then_some(bytes))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Events(events) => events.poll(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Events(_) => SizeHint::default(),
        }
    }
}

/// A request under way. `None` of it means: cancelled, never to be answered.
pub(super) struct Job {
    work: Option<BoxFuture<'static, Option<Answer>>>,
    /// Where it goes on should its connection end first; without, that cancels it.
    refuge: Option<Refuge>,
}

/// Where a request goes on without its connection, and where its answer is kept.
pub(super) struct Refuge {
    pub tracker: TaskTracker,
    pub stop: CancellationToken,
    pub channel: Arc<Channel>,
}

impl Job {
    /// A request and what becomes of it if its connection ends.
    pub fn new(work: BoxFuture<'static, Option<Answer>>, refuge: Option<Refuge>) -> Self {
        Self { work: Some(work), refuge }
    }

    /// Goes on with the request. Not to be polled again once it is ready.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Answer>> {
        let Some(work) = &mut self.work else { return Poll::Ready(None) };
        let answer = std::task::ready!(work.as_mut().poll(context));
        self.work = None;
        Poll::Ready(answer)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let (Some(work), Some(refuge)) = (self.work.take(), self.refuge.take()) else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let Refuge { tracker, stop, channel } = refuge;
        let rest = async move {
            let answer = stop.run_until_cancelled(work).await.flatten();
            channel.finish(answer.map(|answer| answer.json));
        };
        tracker.spawn_on(rest, &runtime);
    }
}

/// An event stream on a connection.
pub(super) struct Events {
    channel: Arc<Channel>,
    reader: Reader,
    job: Option<Job>,
    /// Sent before anything else.
    first: Option<Bytes>,
    beat: Pin<Box<Sleep>>,
    every: Duration,
    _busy: Busy,
}

impl Events {
    /// The messages of `channel` behind `after`, beginning with `first`. Comments keep it alive.
    pub fn new(channel: Arc<Channel>, after: u64, first: Option<Bytes>, every: Duration, busy: Busy) -> Self {
        let reader = channel.attach(after);
        let beat = Box::pin(tokio::time::sleep(every));
        Self { channel, reader, job: None, first, beat, every, _busy: busy }
    }

    /// The same, with the answer of `job` as the last message.
    pub fn of(mut self, job: Option<Job>) -> Self {
        self.job = job;
        self
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        if let Some(job) = &mut self.job
            && let Poll::Ready(answer) = job.poll(context)
        {
            self.channel.finish(answer.map(|answer| answer.json));
            self.job = None;
        }
        match self.channel.poll_next(&mut self.reader, context) {
            Poll::Ready(Next::Events(events)) => {
                self.beat.as_mut().reset(Instant::now() + self.every);
                Poll::Ready(Some(events))
            }
            Poll::Ready(Next::End) => Poll::Ready(None),
            Poll::Pending => self.poll_beat(context),
        }
    }

    fn poll_beat(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        std::task::ready!(self.beat.as_mut().poll(context));
        self.beat.as_mut().reset(Instant::now() + self.every);
        Poll::Ready(Some(Bytes::from_static(sse::KEEP_ALIVE)))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.channel.detach(&self.reader);
    }
}
