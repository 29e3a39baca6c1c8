//! The way back to the client of one HTTP request, or of one standing stream.

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rustix::net::{RecvFlags, recv};

use super::super::Handler;
use super::super::outlet::{Outlet, write_long};
use super::message::Head;

/// How a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Reply {
    /// One JSON body. What else there is to say goes to a standing stream, or nowhere.
    Json,
    /// A stream of events.
    Sse,
}

/// The response to one request. Messages before the answer turn it into a stream, where it may be one.
pub(super) struct Exchange {
    inner: Mutex<Inner>,
    reply: Reply,
    /// Headers for every response, such as the session's.
    extra: Vec<(String, String)>,
    /// Break the connection in the middle of the answer.
    tear: bool,
    handler: Arc<Handler>,
    /// Modern errors have a status of their own.
    modern: bool,
}

struct Inner {
    stream: TcpStream,
    /// The head of a stream went out.
    streaming: bool,
    done: bool,
}

impl Exchange {
    pub fn new(
        stream: TcpStream,
        reply: Reply,
        extra: Vec<(String, String)>,
        tear: bool,
        handler: Arc<Handler>,
        modern: bool,
    ) -> Self {
        let inner = Mutex::new(Inner { stream, streaming: false, done: false });
        Self { inner, reply, extra, tear, handler, modern }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no exchange panics")
    }

    fn head(&self, status: u16) -> Head {
        Head { status, headers: self.extra.clone() }
    }

    /// Opens a stream that is not tied to an answer.
    pub fn open(&self) -> io::Result<()> {
        self.stream_head(&mut self.inner())
    }

    fn stream_head(&self, inner: &mut Inner) -> io::Result<()> {
        if inner.streaming {
            return Ok(());
        }
        inner.streaming = true;
        let head = self
            .head(200)
            .with("Content-Type", "text/event-stream")
            .with("Cache-Control", "no-store")
            .with("Transfer-Encoding", "chunked");
        inner.stream.write_all(head.text().as_bytes())
    }

    /// Sends one event of the given kind.
    pub fn event(&self, kind: &str, data: &str) -> io::Result<()> {
        let mut inner = self.inner();
        self.stream_head(&mut inner)?;
        let event = format!("event: {kind}\ndata: {data}\n\n");
        chunk(&mut inner.stream, event.as_bytes())
    }

    fn finish(&self, message: &str, status: u16) -> io::Result<()> {
        if self.inner().done {
            return Ok(());
        }
        if self.tear {
            self.send_torn(message);
            return Ok(());
        }
        if self.reply == Reply::Sse && status == 200 || self.inner().streaming {
            self.event("message", message)?;
            self.inner().stream.write_all(b"0\r\n\r\n")?;
        } else {
            let head = self.head(status).with("Content-Type", "application/json");
            head.send(&mut self.inner().stream, message)?;
        }
        self.inner().done = true;
        Ok(())
    }

    /// Ends a request that nothing answered.
    pub fn close(&self) -> io::Result<()> {
        let mut inner = self.inner();
        if inner.done {
            return Ok(());
        }
        inner.done = true;
        if inner.streaming {
            return inner.stream.write_all(b"0\r\n\r\n");
        }
        self.head(202).send(&mut inner.stream, "")
    }

    /// Whether the answer went out, or a part of it.
    pub fn is_done(&self) -> bool {
        self.inner().done
    }

    pub fn is_streaming(&self) -> bool {
        self.inner().streaming
    }
}

fn chunk(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let size = format!("{:x}\r\n", bytes.len());
    stream.write_all(&[size.as_bytes(), bytes, b"\r\n"].concat())
}

impl Outlet for Exchange {
    fn send(&self, message: &str) -> bool {
        match self.reply {
            Reply::Sse => !self.inner().done && self.event("message", message).is_ok(),
            Reply::Json => !self.modern && self.handler.listeners.broadcast(message),
        }
    }

    fn answer(&self, message: &str, status: u16) {
        let status = if self.modern || status == 400 { status } else { 200 };
        drop(self.finish(message, status));
    }

    fn send_torn(&self, message: &str) {
        let mut inner = self.inner();
        let head = self.head(200).with("Content-Type", "application/json");
        let head = head.with("Content-Length", &message.len().to_string()).text();
        let half = [head.as_bytes(), &message.as_bytes()[..message.len() / 2]].concat();
        drop(inner.stream.write_all(&half));
        inner.done = true;
        // The rest of what was sent is thrown away: the client sees a reset, not an end.
        let _ = rustix::net::sockopt::set_socket_linger(&inner.stream, Some(Duration::ZERO));
        drop(inner.stream.shutdown(std::net::Shutdown::Both));
    }

    fn send_long(&self, head: &str, bytes: u64, tail: &str) {
        let mut inner = self.inner();
        let length = head.len() as u64 + bytes + tail.len() as u64;
        let response = self.head(200).with("Content-Type", "application/json");
        let response = response.with("Content-Length", &length.to_string()).text();
        let mut write = || {
            inner.stream.write_all(response.as_bytes())?;
            inner.stream.write_all(head.as_bytes())?;
            write_long(&mut inner.stream, bytes)?;
            inner.stream.write_all(tail.as_bytes())
        };
        drop(write());
        inner.done = true;
    }

    fn gone(&self) -> bool {
        let inner = self.inner();
        let mut byte = [0_u8];
        match recv(&inner.stream, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, read)) => read == 0,
            Err(error) => error != rustix::io::Errno::AGAIN,
        }
    }
}
