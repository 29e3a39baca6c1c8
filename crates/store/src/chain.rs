//! The hash chain: how an event becomes a line, and how a line is read back. No files here.

use sha2::{Digest, Sha256};
use std::io::Write;
use thiserror::Error;

/// No line is longer, newline included.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// A SHA-256 in lower-case hex.
pub(crate) type Hash = [u8; 64];

/// What the hash does not cover: `,"hash":"…"}`.
const TAIL_BYTES: usize = 75;

/// The last line of a chain: what the next one is linked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub seq: u64,
    pub hash: Hash,
}

/// Why an event cannot become a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Unsealable {
    #[error("the event is not a JSON object on one line")]
    NotAnObject,
    #[error("the event is too long: a line would have {0} bytes, {MAX_LINE_BYTES} are the limit")]
    TooLong(usize),
}

impl Link {
    /// What the first line of a chain is linked to.
    pub const START: Self = Self { seq: 0, hash: [b'0'; 64] };

    /// Appends the line of `event` to `out`, newline included. Returns the link the line after it needs.
    /// On an error `out` is as it was.
    pub fn seal(&self, event: &[u8], out: &mut Vec<u8>) -> Result<Self, Unsealable> {
        let members = members(event).ok_or(Unsealable::NotAnObject)?;
        let start = out.len();
        let seq = self.seq + 1;
        out.extend_from_slice(b"{");
        out.extend_from_slice(members);
        let comma = if members.is_empty() { "" } else { "," };
        write!(out, "{comma}\"seq\":{seq},\"prev\":\"").expect("a vector takes everything");
        out.extend_from_slice(&self.hash);
        out.push(b'"');
        let hash = hash(&out[start..]);
        out.extend_from_slice(b",\"hash\":\"");
        out.extend_from_slice(&hash);
        out.extend_from_slice(b"\"}\n");
        let length = out.len() - start;
        if length > MAX_LINE_BYTES {
            out.truncate(start);
            return Err(Unsealable::TooLong(length));
        }
        Ok(Self { seq, hash })
    }

    /// Whether `line` is the one after this.
    pub fn leads_to(&self, line: &Sealed<'_>) -> bool {
        line.seq == self.seq + 1 && line.prev == self.hash
    }
}

/// What stands between the braces of an object on one line.
fn members(event: &[u8]) -> Option<&[u8]> {
    let inner = event.strip_prefix(b"{")?.strip_suffix(b"}")?;
    memchr::memchr(b'\n', inner).is_none().then_some(inner)
}

/// A line whose hash fits its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sealed<'a> {
    /// All of it, for the events' readers.
    pub line: &'a [u8],
    pub seq: u64,
    pub prev: &'a [u8],
    pub hash: Hash,
}

impl<'a> Sealed<'a> {
    /// Reads a line without its newline. `None` if it has not the right form or another hash.
    pub fn read(line: &'a [u8]) -> Option<Self> {
        let (body, tail) = line.split_at_checked(line.len().checked_sub(TAIL_BYTES)?)?;
        let written: &Hash = tail.strip_prefix(b",\"hash\":\"")?.strip_suffix(b"\"}")?.try_into().ok()?;
        let (front, prev) = body.strip_suffix(b"\"")?.split_last_chunk::<64>()?;
        let front = front.strip_suffix(b",\"prev\":\"")?;
        let digits = front.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let (front, seq) = front.split_at(front.len() - digits);
        let seq = std::str::from_utf8(seq).ok()?.parse().ok()?;
        if !front.ends_with(b"\"seq\":") || !line.starts_with(b"{") || hash(body) != *written {
            return None;
        }
        Some(Self { line, seq, prev, hash: *written })
    }

    /// What the line after this one is linked to.
    pub fn link(&self) -> Link {
        Link { seq: self.seq, hash: self.hash }
    }

    /// What this line says it is linked to.
    pub fn before(&self) -> Option<Link> {
        Some(Link { seq: self.seq.checked_sub(1)?, hash: self.prev.try_into().ok()? })
    }
}

/// The SHA-256 of `bytes` in lower-case hex.
fn hash(bytes: &[u8]) -> Hash {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = [0; 64];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(Sha256::digest(bytes)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(event: &str) -> (String, Link) {
        let mut out = Vec::new();
        let link = Link::START.seal(event.as_bytes(), &mut out).expect("sealable");
        (String::from_utf8(out).expect("text"), link)
    }

    #[test]
    fn a_line_is_the_event_and_three_members_more() {
        let (line, link) = line(r#"{"event":"attempt","id":"1"}"#);
        let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(event["event"], "attempt");
        assert_eq!(event["seq"], 1);
        assert_eq!(event["prev"], "0".repeat(64));
        assert_eq!(event["hash"].as_str().map(str::as_bytes), Some(&link.hash[..]));
        let body = &line.trim_end().as_bytes()[..line.len() - 1 - TAIL_BYTES];
        let hash: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(event["hash"], hash, "the recipe in the documentation");
    }

    #[test]
    fn what_is_sealed_can_be_read_back() {
        for event in ["{}", r#"{"a":1}"#, r#"{"a":"\",\"hash\":\""}"#] {
            let (line, link) = line(event);
            let sealed = Sealed::read(line.trim_end().as_bytes()).expect(event);
            assert_eq!(sealed.link(), link);
            assert_eq!(sealed.before(), Some(Link::START));
            assert!(Link::START.leads_to(&sealed) && !link.leads_to(&sealed));
            serde_json::from_str::<serde_json::Value>(&line).expect(event);
        }
    }

    #[test]
    fn every_changed_byte_is_seen() {
        let (line, _) = line(r#"{"event":"end","id":"0","end":"finished"}"#);
        let line = line.trim_end().as_bytes();
        for at in 0..line.len() {
            for flip in [1, 0x20] {
                let mut changed = line.to_vec();
                changed[at] ^= flip;
                assert_eq!(Sealed::read(&changed), None, "byte {at}");
            }
        }
        for length in 0..line.len() {
            assert_eq!(Sealed::read(&line[..length]), None, "cut at {length}");
        }
    }

    #[test]
    fn what_is_no_object_on_one_line_is_no_event() {
        for event in ["", "{", "}", "[]", "{\"a\":1}\n", "{\"a\":\n1}", "null"] {
            let mut out = b"kept".to_vec();
            assert_eq!(Link::START.seal(event.as_bytes(), &mut out), Err(Unsealable::NotAnObject), "{event:?}");
            assert_eq!(out, b"kept");
        }
    }

    #[test]
    fn a_line_has_a_limit() {
        let event = |length: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(length));
        let mut out = Vec::new();
        let room = MAX_LINE_BYTES - line(&event(0)).0.len();
        Link::START.seal(event(room).as_bytes(), &mut out).expect("just fits");
        assert_eq!(out.len(), MAX_LINE_BYTES);
        let refused = Link::START.seal(event(room + 1).as_bytes(), &mut out);
        assert_eq!(refused, Err(Unsealable::TooLong(MAX_LINE_BYTES + 1)));
        assert_eq!(out.len(), MAX_LINE_BYTES);
    }
}
