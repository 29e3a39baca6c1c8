//! A blocking HTTP/1.1 client, one connection a request, with server-sent events.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::wait;

/// A request before it is sent.
#[must_use = "it is not sent by itself"]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
    time: Duration,
}

impl Request {
    /// A request to an `http://HOST:PORT/PATH` URL.
    pub fn new(method: &str, url: &str) -> Self {
        Self { method: method.into(), url: url.into(), headers: Vec::new(), body: String::new(), time: wait::PATIENCE }
    }

    /// A POST of one MCP message, with the headers that every MCP client sends.
    pub fn mcp(url: &str, message: &Value) -> Self {
        Self::new("POST", url)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json, text/event-stream")
            .body(message.to_string())
    }

    /// A modern request: an MCP message with the headers that repeat it.
    pub fn modern(url: &str, message: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let request = Self::mcp(url, message)
            .header("MCP-Protocol-Version", "2026-07-28")
            .header("Mcp-Method", &text(&message["method"]));
        let params = &message["params"];
        match message["method"].as_str() {
            Some("tools/call" | "prompts/get") => request.header("Mcp-Name", &text(&params["name"])),
            Some("resources/read") => request.header("Mcp-Name", &text(&params["uri"])),
            _ => request,
        }
    }

    /// One more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The body.
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    /// How long each read may take, instead of [`wait::PATIENCE`].
    pub fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Sends it and reads the head of the response.
    ///
    /// # Errors
    /// When the connection fails or the response is not HTTP.
    pub fn send(&self) -> io::Result<Response> {
        let bad = || io::Error::new(io::ErrorKind::InvalidInput, "not an http:// URL");
        let rest = self.url.strip_prefix("http://").ok_or_else(bad)?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(self.time))?;
        stream.set_nodelay(true)?;
        stream.write_all(self.text(host, path).as_bytes())?;
        Response::read(BufReader::new(stream))
    }

    fn text(&self, host: &str, path: &str) -> String {
        let given = |name: &str| self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let mut text = format!("{} /{path} HTTP/1.1\r\nConnection: close\r\n", self.method);
        if !given("host") {
            text += &format!("Host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text + &format!("Content-Length: {}\r\n\r\n{}", self.body.len(), self.body)
    }
}

/// A response whose body is still to be read.
pub struct Response {
    /// The status code.
    pub status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

impl Response {
    fn read(mut stream: BufReader<TcpStream>) -> io::Result<Self> {
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "not an HTTP response");
        let head = line(&mut stream)?;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(bad)?;
        let mut headers = Vec::new();
        loop {
            let line = line(&mut stream)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(bad)?;
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
        let find = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let chunked = find("transfer-encoding").is_some_and(|value| value.contains("chunked"));
        let length = find("content-length").and_then(|value| value.parse().ok());
        let left = if chunked { Some(0) } else { length };
        Ok(Self { status, headers, body: Body { stream, chunked, left, ended: false } })
    }

    /// The value of a header, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// The rest of the body.
    ///
    /// # Errors
    /// When the connection fails before its end.
    pub fn text(mut self) -> io::Result<String> {
        let mut bytes = Vec::new();
        self.body.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The data of the next server-sent event that has some; nothing at the end of the stream.
    ///
    /// # Errors
    /// When the connection fails or stays silent for too long.
    pub fn event(&mut self) -> io::Result<Option<String>> {
        let mut data = Vec::new();
        loop {
            let Some(line) = self.body.line()? else { return Ok(None) };
            match line.strip_prefix("data:") {
                Some(part) => data.push(part.strip_prefix(' ').unwrap_or(part).to_owned()),
                None if line.is_empty() && data.iter().any(|part| !part.is_empty()) => {
                    return Ok(Some(data.join("\n")));
                }
                None if line.is_empty() => data.clear(),
                None => {}
            }
        }
    }

    /// The answer to a request, out of a JSON body or the last event of a stream.
    ///
    /// # Errors
    /// When the connection fails or there is no JSON.
    pub fn answer(mut self) -> io::Result<Value> {
        let streamed = self.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        if !streamed {
            return Ok(serde_json::from_str(&self.text()?)?);
        }
        while let Some(event) = self.event()? {
            let message: Value = serde_json::from_str(&event)?;
            if message.get("method").is_none() {
                return Ok(message);
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// The bytes of a body, chunked or not.
struct Body {
    stream: BufReader<TcpStream>,
    chunked: bool,
    /// What is left of the body or of the chunk; until the end of the connection where unknown.
    left: Option<u64>,
    ended: bool,
}

impl Body {
    /// Makes sure that something is left, unless the body ended.
    fn advance(&mut self) -> io::Result<()> {
        if !self.chunked {
            self.ended |= self.left == Some(0);
            return Ok(());
        }
        if self.left == Some(0) && !self.ended {
            let mut size = line(&mut self.stream)?;
            if size.is_empty() {
                size = line(&mut self.stream)?;
            }
            let size = size.split(';').next().unwrap_or_default().trim();
            let bad = |_| io::Error::new(io::ErrorKind::InvalidData, "not a chunk");
            self.left = Some(u64::from_str_radix(size, 16).map_err(bad)?);
            self.ended = self.left == Some(0);
        }
        Ok(())
    }

    /// The next line without its end.
    fn line(&mut self) -> io::Result<Option<String>> {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while self.read(&mut byte)? == 1 {
            if byte == *b"\n" {
                let text = String::from_utf8_lossy(&bytes);
                return Ok(Some(text.trim_end_matches('\r').to_owned()));
            }
            bytes.push(byte[0]);
        }
        Ok(None)
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.advance()?;
        if self.ended {
            return Ok(0);
        }
        let most = self.left.map_or(buffer.len(), |left| buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        let read = self.stream.read(&mut buffer[..most])?;
        match self.left.as_mut() {
            Some(_) if read == 0 && most > 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Some(left) => *left -= read as u64,
            None => self.ended = read == 0,
        }
        Ok(read)
    }
}

fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
