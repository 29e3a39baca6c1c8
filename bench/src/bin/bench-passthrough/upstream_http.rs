//! An HTTP upstream behind HTTP (one upstream connection for each of the client's) or behind stdio
//! (a stack of idle connections).

use std::cell::RefCell;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::rc::Rc;

use bytes::{Buf, Bytes};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::LocalSet;

/// HTTP on both sides; serves until killed.
pub fn serve_http(address: SocketAddr, upstream: SocketAddr) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, listen(address, upstream))
}

async fn listen(address: SocketAddr, upstream: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    writeln!(io::stdout(), "listening {}", listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::task::spawn_local(bridge(stream, upstream));
    }
}

async fn bridge(stream: TcpStream, upstream: SocketAddr) -> Option<()> {
    let sender = Rc::new(Mutex::new(connect::<Incoming>(upstream).await?));
    let service = service_fn(move |request: Request<Incoming>| forward(request, sender.clone()));
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok()
}

async fn forward(
    request: Request<Incoming>,
    sender: Rc<Mutex<SendRequest<Incoming>>>,
) -> hyper::Result<Response<Incoming>> {
    let mut sender = sender.lock().await;
    sender.ready().await?;
    sender.send_request(request).await
}

async fn connect<B>(upstream: SocketAddr) -> Option<SendRequest<B>>
where
    B: Body + 'static,
    B::Data: Buf + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TcpStream::connect(upstream).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
    tokio::task::spawn_local(async move { connection.await.ok() });
    Some(sender)
}

/// stdio in front of an HTTP upstream.
struct Bridge {
    upstream: SocketAddr,
    idle: RefCell<Vec<SendRequest<Full<Bytes>>>>,
    output: Mutex<pipe::Sender>,
}

/// Serves until the input ends.
pub fn serve_stdio(upstream: SocketAddr) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, read_requests(upstream))
}

async fn read_requests(upstream: SocketAddr) -> io::Result<()> {
    let mut input = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    let output = pipe::Sender::from_owned_fd(io::stdout().as_fd().try_clone_to_owned()?)?;
    let bridge = Rc::new(Bridge { upstream, idle: RefCell::default(), output: Mutex::new(output) });
    let mut pending = Vec::new();
    while input.read_buf(&mut pending).await? > 0 {
        let Some(end) = memchr::memrchr(b'\n', &pending) else {
            continue;
        };
        for line in pending[..end].split(|byte| *byte == b'\n') {
            tokio::task::spawn_local(ask(Bytes::copy_from_slice(line), bridge.clone()));
        }
        pending.drain(..=end);
    }
    Ok(())
}

async fn ask(message: Bytes, bridge: Rc<Bridge>) -> Option<()> {
    let idle = bridge.idle.borrow_mut().pop();
    let mut sender = match idle {
        Some(sender) => sender,
        None => connect(bridge.upstream).await?,
    };
    sender.ready().await.ok()?;
    let request = Request::post("/mcp")
        .header(HOST, bridge.upstream.to_string())
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream")
        .body(Full::new(message))
        .ok()?;
    let response = sender.send_request(request).await.ok()?;
    relay(response, &bridge.output).await?;
    bridge.idle.borrow_mut().push(sender);
    Some(())
}

/// JSON goes out as one line, each event of a stream as one line as soon as it is whole.
async fn relay(response: Response<Incoming>, output: &Mutex<pipe::Sender>) -> Option<()> {
    let events = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
    let mut body = response.into_body();
    let mut pending = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        pending.extend_from_slice(&data);
        while let Some(end) = events.then(|| memchr::memmem::find(&pending, b"\n\n")).flatten() {
            let event: Vec<u8> = pending.drain(..end + 2).collect();
            let line = event.strip_prefix(b"data: ")?.strip_suffix(b"\n")?;
            output.lock().await.write_all(line).await.ok()?;
        }
    }
    if !pending.is_empty() {
        pending.push(b'\n');
        output.lock().await.write_all(&pending).await.ok()?;
    }
    Some(())
}
