//! The mock server over Streamable HTTP: JSON answers, or one SSE stream when there is progress to tell.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::rc::Rc;

use bench::mock::Mock;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::LocalSet;

type Shared = Rc<RefCell<Mock>>;

/// Serves until killed.
pub fn serve(address: SocketAddr, mock: Mock) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, listen(address, Rc::new(RefCell::new(mock))))
}

async fn listen(address: SocketAddr, mock: Shared) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    writeln!(io::stdout(), "listening {}", listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let mock = mock.clone();
        let serve = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(move |request| handle(request, mock.clone())));
        tokio::task::spawn_local(async move { serve.await.ok() });
    }
}

async fn handle(request: Request<Incoming>, mock: Shared) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match *request.method() {
        Method::POST => match request.into_body().collect().await {
            Ok(body) => reply(&body.to_bytes(), &mock),
            Err(_) => empty(StatusCode::BAD_REQUEST),
        },
        Method::DELETE => empty(StatusCode::NO_CONTENT),
        _ => empty(StatusCode::METHOD_NOT_ALLOWED),
    })
}

fn reply(message: &[u8], mock: &Shared) -> Response<Full<Bytes>> {
    let mut out = Vec::new();
    mock.borrow_mut().answer(message, &mut out);
    if out.pop().is_none() {
        return empty(StatusCode::ACCEPTED);
    }
    let stream = out.contains(&b'\n').then(|| as_events(&out));
    let kind = if stream.is_some() { "text/event-stream" } else { "application/json" };
    Response::builder()
        .header(CONTENT_TYPE, kind)
        .header("mcp-session-id", "bench")
        .body(Full::from(stream.unwrap_or(out)))
        .expect("a response of constant parts is valid")
}

fn as_events(lines: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(lines.len() + 1024);
    for line in lines.split(|byte| *byte == b'\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.extend_from_slice(b"\n\n");
    }
    out
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
