//! One HTTP/1.1 response, read piece by piece: with a length, chunked, or without a body.

use memchr::memmem;

const CHUNK: usize = 64 * 1024;

/// A response as far as it has arrived.
#[derive(Default)]
pub struct Reply {
    raw: Vec<u8>,
    /// How much of `raw` has arrived; the rest is room to read into.
    filled: usize,
    head: Option<Head>,
    /// The decoded body of a chunked response.
    decoded: Vec<u8>,
    /// Where the next chunk's size line begins.
    chunk_at: usize,
}

struct Head {
    len: usize,
    status: u16,
    events: bool,
    session: Option<String>,
    body: BodyKind,
}

enum BodyKind {
    Length(usize),
    Chunked,
}

impl Reply {
    /// Where to read into.
    pub fn room(&mut self) -> &mut [u8] {
        if self.raw.len() < self.filled + CHUNK {
            self.raw.resize(self.filled + CHUNK, 0);
        }
        &mut self.raw[self.filled..self.filled + CHUNK]
    }

    /// The size of what [`Reply::room`] gives.
    pub fn room_len(&self) -> usize {
        CHUNK
    }

    /// Takes note of `read` more bytes; whether the response is whole.
    pub fn advance(&mut self, read: usize) -> Result<bool, String> {
        self.filled += read;
        if self.head.is_none() {
            let Some(end) = memmem::find(&self.raw[..self.filled], b"\r\n\r\n") else {
                return Ok(false);
            };
            let head = parse_head(&self.raw[..end + 2], end + 4)?;
            self.chunk_at = head.len;
            self.head = Some(head);
        }
        match self.head.as_ref().map(|head| (head.len, &head.body)) {
            Some((len, BodyKind::Length(body))) => Ok(self.filled >= len + body),
            _ => self.decode(),
        }
    }

    pub fn status(&self) -> u16 {
        self.head.as_ref().map_or(0, |head| head.status)
    }

    /// The session this response opened.
    pub fn session(&self) -> Option<&str> {
        self.head.as_ref()?.session.as_deref()
    }

    pub fn body(&self) -> &[u8] {
        match &self.head {
            Some(Head { len, body: BodyKind::Length(body), .. }) => &self.raw[*len..len + body],
            _ => &self.decoded,
        }
    }

    /// The JSON-RPC messages in the body: the body itself, or the data of each event.
    pub fn messages(&self) -> impl Iterator<Item = &[u8]> {
        let events = self.head.as_ref().is_some_and(|head| head.events);
        let whole = Some(self.body()).filter(|body| !events && !body.is_empty());
        let lines = self.body().split(|byte| *byte == b'\n').filter(move |_| events);
        let data = lines.filter_map(|line| {
            let data = line.strip_suffix(b"\r").unwrap_or(line).strip_prefix(b"data:")?;
            Some(data.strip_prefix(b" ").unwrap_or(data)).filter(|data| !data.is_empty())
        });
        whole.into_iter().chain(data)
    }

    /// Makes ready for the next response on the same connection.
    pub fn clear(&mut self) {
        self.filled = 0;
        self.head = None;
        self.decoded.clear();
    }

    fn decode(&mut self) -> Result<bool, String> {
        loop {
            let rest = &self.raw[self.chunk_at..self.filled];
            let Some(line_end) = memmem::find(rest, b"\r\n") else {
                return Ok(false);
            };
            let size = chunk_size(&rest[..line_end])?;
            let data = line_end + 2;
            let Some(chunk) = rest.get(data..data + size + 2) else {
                return Ok(false);
            };
            self.decoded.extend_from_slice(&chunk[..size]);
            self.chunk_at += data + size + 2;
            if size == 0 {
                return Ok(true);
            }
        }
    }
}

fn chunk_size(line: &[u8]) -> Result<usize, String> {
    let text = std::str::from_utf8(line).unwrap_or_default();
    let digits = text.split(';').next().unwrap_or_default().trim();
    usize::from_str_radix(digits, 16).map_err(|_| format!("chunk size `{text}`"))
}

fn parse_head(head: &[u8], len: usize) -> Result<Head, String> {
    let text = std::str::from_utf8(head).map_err(|_| "a response head is not UTF-8".to_owned())?;
    let mut lines = text.split("\r\n");
    let status =
        lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).ok_or("a response has no status")?;
    let mut parsed = Head { len, status, events: false, session: None, body: BodyKind::Length(0) };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            parsed.body = BodyKind::Length(value.parse().map_err(|_| "a broken content-length")?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            parsed.body = BodyKind::Chunked;
        } else if name.eq_ignore_ascii_case("content-type") {
            parsed.events = value.starts_with("text/event-stream");
        } else if name.eq_ignore_ascii_case("mcp-session-id") {
            parsed.session = Some(value.to_owned());
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `response` in pieces of `step` bytes and gives its messages.
    fn read(response: &str, step: usize) -> Vec<String> {
        let mut reply = Reply::default();
        let mut whole = false;
        for piece in response.as_bytes().chunks(step) {
            assert!(!whole, "whole before its end");
            reply.room()[..piece.len()].copy_from_slice(piece);
            whole = reply.advance(piece.len()).expect("well formed");
        }
        assert!(whole, "never whole");
        reply.messages().map(|message| String::from_utf8_lossy(message).into_owned()).collect()
    }

    fn check(response: &str, expected: &[&str]) {
        for step in [1, 7, 1000] {
            assert_eq!(read(response, step), expected, "step {step}");
        }
    }

    #[test]
    fn a_response_is_whole_exactly_at_its_end() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", &["{}"]);
        check("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n", &[]);
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", &["{}"]);
    }

    #[test]
    fn events_give_their_data() {
        check(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
             10\r\n: hi\n\ndata: {1}\n\n\r\nb\r\ndata: {2}\n\n\r\n0\r\n\r\n",
            &["{1}", "{2}"],
        );
    }

    #[test]
    fn a_broken_chunk_size_is_an_error() {
        let mut reply = Reply::default();
        let response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
        reply.room()[..response.len()].copy_from_slice(response);
        assert!(reply.advance(response.len()).is_err());
    }
}
