//! One connection: its requests one after the other, and no more time than is due for any part of them.

use super::{Server, route};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

/// How long a client may take to acknowledge what was sent, in milliseconds, before it counts as gone.
const UNACKNOWLEDGED: u32 = 15_000;
/// How long a request may still take once the face closes.
const DRAIN: Duration = Duration::from_millis(500);

/// Carries the requests of one client until it goes, or `stop`.
pub(super) async fn serve(server: Arc<Server>, stream: TcpStream, stop: CancellationToken) {
    // Both only make things better; without them everything works all the same.
    let _ = stream.set_nodelay(true);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, UNACKNOWLEDGED);
    let pace = Arc::new(Pace::new());
    let (head, idle) = (server.root.options.limits.http_head, server.options.connection_idle);
    let io = TokioIo::new(Paced::new(stream, pace.clone(), head, idle));
    let service = service_fn(move |request| {
        let (server, busy) = (server.clone(), Busy::new(pace.clone()));
        async move { Ok::<_, Infallible>(route::handle(&server, request, busy).await) }
    });
    let mut connection = pin!(http1::Builder::new().serve_connection(io, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(DRAIN, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(target: "mcp::http", %error, "a connection ended early");
    }
}

/// Nothing was sent of the next request.
const IDLE: u8 = 0;
/// A request begins to arrive.
const HEAD: u8 = 1;
/// A request is under way.
const BUSY: u8 = 2;

/// What a connection is doing, and since when. A new one has to say something soon.
struct Pace {
    phase: AtomicU8,
    /// Milliseconds after `born`.
    since: AtomicU64,
    born: Instant,
}

impl Pace {
    fn new() -> Self {
        Self { phase: AtomicU8::new(HEAD), since: AtomicU64::new(0), born: Instant::now() }
    }

    fn enter(&self, phase: u8) {
        self.since.store(self.born.elapsed().as_millis() as u64, Ordering::Relaxed);
        self.phase.store(phase, Ordering::Relaxed);
    }

    fn phase(&self) -> u8 {
        self.phase.load(Ordering::Relaxed)
    }

    fn since(&self) -> Instant {
        self.born + Duration::from_millis(self.since.load(Ordering::Relaxed))
    }
}

/// While this lives, a request is under way, which takes as long as it takes.
pub(super) struct Busy(Arc<Pace>);

impl Busy {
    fn new(pace: Arc<Pace>) -> Self {
        pace.phase.store(BUSY, Ordering::Relaxed);
        Self(pace)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.enter(IDLE);
    }
}

/// A stream whose reader does not wait for ever for the head of a request. For a request that comes whole no timer
/// is set.
struct Paced<T> {
    inner: T,
    pace: Arc<Pace>,
    head: Duration,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
}

impl<T> Paced<T> {
    fn new(inner: T, pace: Arc<Pace>, head: Duration, idle: Duration) -> Self {
        let timer = Box::pin(tokio::time::sleep(head));
        Self { inner, pace, head, idle, timer }
    }

    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let deadline = match self.pace.phase() {
            IDLE => self.pace.since() + self.idle,
            HEAD => self.pace.since() + self.head,
            _ => return Poll::Pending,
        };
        if deadline < self.timer.deadline() {
            self.timer.as_mut().reset(deadline);
        }
        while self.timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.inner).poll_read(context, buffer) {
            Poll::Pending => self.poll_late(context),
            ready => {
                if buffer.filled().len() > before && self.pace.phase() == IDLE {
                    self.pace.enter(HEAD);
                }
                ready
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Paced<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
