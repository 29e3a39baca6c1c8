//! An HTTP client that hides nothing: one connection, raw heads, chunks and events.

use crate::common::PATIENCE;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A response whose body is still to be read.
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    stream: BufReader<TcpStream>,
    chunk: Vec<u8>,
}

/// One server-sent event.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub id: Option<String>,
    pub data: Option<String>,
    pub retry: Option<String>,
}

impl Event {
    pub fn json(&self) -> Value {
        serde_json::from_str(self.data.as_deref().unwrap()).unwrap()
    }
}

/// Sends a request on a new connection and reads the head of its response.
pub async fn send(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut text = format!("{method} {path} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text += &format!("Host: {address}\r\n");
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{text}\r\n{body}").as_bytes()).await.unwrap();
    let read = Response::read(BufReader::new(stream));
    tokio::time::timeout(PATIENCE, read).await.expect("an answer in time")
}

impl Response {
    async fn read(mut stream: BufReader<TcpStream>) -> Self {
        let head = line(&mut stream).await;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = line(&mut stream).await;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Self { status, headers, stream, chunk: Vec::new() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn is_stream(&self) -> bool {
        self.header("content-type") == Some("text/event-stream")
    }

    /// The whole body.
    pub async fn text(mut self) -> String {
        let Some(length) = self.header("content-length") else {
            let mut all = String::new();
            while let Some(line) = self.event_line().await {
                all += &line;
                all.push('\n');
            }
            return all;
        };
        let mut body = vec![0; length.parse().unwrap()];
        tokio::time::timeout(PATIENCE, self.stream.read_exact(&mut body)).await.expect("in time").unwrap();
        String::from_utf8(body).unwrap()
    }

    pub async fn json(self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"))
    }

    /// The next event; `None` at the end of the stream.
    pub async fn event(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            let line = self.event_line().await?;
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match field {
                "data" => event.data = Some(value),
                "id" => event.id = Some(value),
                "retry" => event.retry = Some(value),
                "" if line.is_empty() && event != Event::default() => return Some(event),
                _ => {}
            }
        }
    }

    /// The next line of a chunked body, comments included.
    pub async fn event_line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.chunk.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.chunk.drain(..=at).collect();
                return Some(String::from_utf8(line).unwrap().trim_end().to_owned());
            }
            let size = tokio::time::timeout(PATIENCE, line(&mut self.stream)).await.expect("in time");
            let size = usize::from_str_radix(&size, 16).ok().filter(|size| *size > 0)?;
            let mut piece = vec![0; size + 2];
            self.stream.read_exact(&mut piece).await.ok()?;
            self.chunk.extend_from_slice(&piece[..size]);
        }
    }

    /// Whether the other side ends the connection within a time.
    pub async fn ends_within(mut self, time: Duration) -> bool {
        let mut rest = Vec::new();
        tokio::time::timeout(time, self.stream.read_to_end(&mut rest)).await.is_ok()
    }
}

async fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    if stream.read_line(&mut line).await.is_err() {
        return String::new();
    }
    line.trim_end().to_owned()
}
