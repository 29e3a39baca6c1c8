//! HTTP in front of a stdio upstream.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::process::Child;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::net::unix::pipe;
use tokio::sync::{Mutex, mpsc};
use tokio::task::LocalSet;

use crate::hop::{Hop, Key, Outgoing};

type Reply = Response<Either<Full<Bytes>, Events>>;

/// Everything the connections share.
struct Shared {
    hop: RefCell<Hop>,
    waiting: RefCell<HashMap<Key, mpsc::Sender<Vec<u8>>>>,
    to: Mutex<pipe::Sender>,
}

/// Serves until the upstream ends.
pub fn serve(address: SocketAddr, child: Child, rewrite: bool) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, run(address, child, rewrite))
}

async fn run(address: SocketAddr, mut child: Child, rewrite: bool) -> io::Result<()> {
    let missing = || io::Error::other("the child has no pipe");
    let to = OwnedFd::from(child.stdin.take().ok_or_else(missing)?);
    let from = OwnedFd::from(child.stdout.take().ok_or_else(missing)?);
    let shared = Rc::new(Shared {
        hop: RefCell::new(Hop::new(rewrite)),
        waiting: RefCell::default(),
        to: Mutex::new(pipe::Sender::from_owned_fd(to)?),
    });
    let listener = TcpListener::bind(address).await?;
    writeln!(io::stdout(), "listening {}", listener.local_addr()?)?;
    let reader = read_answers(pipe::Receiver::from_owned_fd(from)?, shared.clone());
    tokio::select! {
        ended = reader => ended,
        ended = accept(listener, shared) => ended,
    }
}

async fn accept(listener: TcpListener, shared: Rc<Shared>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let shared = shared.clone();
        let serve = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(move |request| handle(request, shared.clone())));
        tokio::task::spawn_local(async move { serve.await.ok() });
    }
}

async fn handle(request: Request<Incoming>, shared: Rc<Shared>) -> Result<Reply, Infallible> {
    if request.method() != Method::POST {
        return Ok(empty(StatusCode::METHOD_NOT_ALLOWED));
    }
    let answer = match request.into_body().collect().await {
        Ok(body) => ask(&body.to_bytes(), &shared).await,
        Err(_) => None,
    };
    Ok(answer.unwrap_or_else(|| empty(StatusCode::BAD_GATEWAY)))
}

async fn ask(message: &[u8], shared: &Shared) -> Option<Reply> {
    let Outgoing { line, key } = shared.hop.borrow_mut().outgoing(message)?;
    let streams = bench::scan::contains(message, b"\"progressToken\"");
    let answers = key.map(|key| {
        let (sender, receiver) = mpsc::channel(64);
        shared.waiting.borrow_mut().insert(key, sender);
        receiver
    });
    shared.to.lock().await.write_all(&line).await.ok()?;
    let Some(mut answers) = answers else {
        return Some(empty(StatusCode::ACCEPTED));
    };
    if streams {
        return Some(typed("text/event-stream", Either::Right(Events(answers))));
    }
    let answer = answers.recv().await?;
    Some(typed("application/json", Either::Left(Full::from(answer))))
}

async fn read_answers(mut from: pipe::Receiver, shared: Rc<Shared>) -> io::Result<()> {
    let mut pending = Vec::with_capacity(64 * 1024);
    loop {
        let fresh = pending.len();
        pending.reserve(64 * 1024);
        if from.read_buf(&mut pending).await? == 0 {
            return Ok(());
        }
        let Some(end) = memchr::memrchr(b'\n', &pending[fresh..]) else {
            continue;
        };
        for line in pending[..fresh + end].split(|byte| *byte == b'\n') {
            deliver(line, &shared);
        }
        pending.drain(..=fresh + end);
    }
}

/// An answer ends its request; what bears only a token leaves it waiting.
fn deliver(line: &[u8], shared: &Shared) {
    let Some((key, message)) = shared.hop.borrow_mut().incoming(line) else {
        return;
    };
    let mut waiting = shared.waiting.borrow_mut();
    if line.starts_with(bench::rpc::ID_PREFIX) {
        if let Some(sender) = waiting.remove(&key) {
            sender.try_send(message).ok();
        }
    } else if let Some(sender) = waiting.get(&key) {
        sender.try_send(message).ok();
    }
}

/// Messages as server-sent events, until their sender is gone.
struct Events(mpsc::Receiver<Vec<u8>>);

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|message| {
            message.map(|message| {
                let event = [&b"data: "[..], &message, b"\n\n"].concat();
                Ok(Frame::data(Bytes::from(event)))
            })
        })
    }
}

fn typed(kind: &'static str, body: Either<Full<Bytes>, Events>) -> Reply {
    Response::builder().header(CONTENT_TYPE, kind).body(body).expect("a response of constant parts is valid")
}

fn empty(status: StatusCode) -> Reply {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = status;
    response
}
