//! Reads HTTP/1.1 requests and writes responses.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// Larger than any message that a test sends.
const BODY_LIMIT: u64 = 256 * 1024 * 1024;

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    pub method: String,
    /// The path with the query.
    pub target: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    /// The next request of a connection; nothing at its end.
    pub fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let mut head = String::new();
        if stream.read_line(&mut head)? == 0 {
            return Ok(None);
        }
        let mut words = head.split_whitespace().map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let headers = read_headers(stream)?;
        let mut request = Self { method, target, headers, body: String::new() };
        let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = Vec::new();
        if request.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
            read_chunks(stream, &mut body)?;
        } else {
            stream.take(length.min(BODY_LIMIT)).read_to_end(&mut body)?;
        }
        request.body = String::from_utf8_lossy(&body).into_owned();
        Ok(Some(request))
    }

    /// The value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All headers, names in lower case.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

fn read_headers(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            return Ok(headers);
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_chunks(stream: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim(), 16).map_err(|_| io::ErrorKind::InvalidData)?;
        stream.take(size.min(BODY_LIMIT)).read_to_end(body)?;
        stream.read_line(&mut line)?;
        if size == 0 {
            return Ok(());
        }
    }
}

/// A whole response, as far as its headers go.
pub(super) struct Head {
    pub status: u16,
    pub headers: Vec<(String, String)>,
}

impl Head {
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new() }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn text(&self) -> String {
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("HTTP/1.1 {} {}\r\n{headers}\r\n", self.status, reason(self.status))
    }

    /// Sends it with a body of known length.
    pub fn send(self, stream: &mut impl Write, body: &str) -> io::Result<()> {
        let head = self.with("Content-Length", &body.len().to_string()).text();
        stream.write_all(&[head.as_bytes(), body.as_bytes()].concat())
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        300..=399 => "Elsewhere",
        400..=499 => "Refused",
        _ => "Failed",
    }
}
