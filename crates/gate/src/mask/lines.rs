//! Texts that come line by line or in pieces. A key that runs over several lines is masked in all of them, and it makes no
//! difference where a text was cut: a piece is held back until its line has ended, or until it is long enough to be cut at
//! a place that its content decides.

use super::{Masks, pem};

const KEY_MASK: &str = "[masked:private-key]";

/// A line is cut here, if it did not end before.
const LONGEST_LINE: usize = 64 << 10;

/// What is held back of a cut line, so that nothing shorter is torn.
const HELD: usize = 4 << 10;

/// Masks one line after the other.
pub struct Lines<'a> {
    masks: &'a Masks,
    /// Bytes of a key seen since its first line; `None` outside of keys.
    in_key: Option<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(masks: &'a Masks) -> Self {
        Self { masks, in_key: None }
    }

    /// The next line, without its end, masked.
    pub fn line(&mut self, line: &str) -> String {
        match self.in_key {
            Some(seen) => self.within(line, seen + line.len()),
            None => self.outside(line),
        }
    }

    fn outside(&mut self, line: &str) -> String {
        let begins = pem::opens(line.as_bytes()).filter(|_| self.masks.looks_for_keys());
        let Some(at) = begins else { return self.masks.text(line).into_owned() };
        self.in_key = Some(0);
        format!("{}{KEY_MASK}", self.masks.text(&line[..at]))
    }

    fn within(&mut self, line: &str, seen: usize) -> String {
        self.in_key = Some(seen);
        match pem::closes(line.as_bytes()) {
            Some(end) => {
                self.in_key = None;
                format!("{KEY_MASK}{}", self.outside(line.get(end..).unwrap_or_default()))
            }
            None if seen > pem::LONGEST => {
                self.in_key = None;
                self.outside(line)
            }
            None => KEY_MASK.to_owned(),
        }
    }
}

/// Masks a text that comes in pieces.
pub struct Stream<'a> {
    lines: Lines<'a>,
    held: Vec<u8>,
}

impl<'a> Stream<'a> {
    pub(super) fn new(masks: &'a Masks) -> Self {
        Self { lines: Lines::new(masks), held: Vec::new() }
    }

    /// Takes the next piece; what can be shown by now, masked.
    pub fn push(&mut self, piece: &[u8]) -> String {
        let mut out = String::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let mut part = part;
            while self.held.len() + part.len() > LONGEST_LINE {
                let (fits, rest) = part.split_at(LONGEST_LINE - self.held.len());
                self.held.extend_from_slice(fits);
                part = rest;
                self.cut(&mut out);
            }
            self.held.extend_from_slice(part);
            if self.held.ends_with(b"\n") {
                self.held.pop();
                let line = std::mem::take(&mut self.held);
                out.push_str(&self.lines.line(&String::from_utf8_lossy(&line)));
                out.push('\n');
            }
        }
        out
    }

    /// The rest, masked.
    pub fn finish(mut self) -> String {
        if self.held.is_empty() {
            return String::new();
        }
        let rest = std::mem::take(&mut self.held);
        self.lines.line(&String::from_utf8_lossy(&rest))
    }

    /// Shows the beginning of a line that is too long to be held whole: up to its last blank that leaves enough back.
    fn cut(&mut self, out: &mut String) {
        let limit = self.held.len() - HELD;
        let blank = self.held[..limit].iter().rposition(|byte| matches!(byte, b' ' | b'\t'));
        match blank {
            Some(at) => {
                let rest = self.held.split_off(at);
                let shown = std::mem::replace(&mut self.held, rest);
                out.push_str(&self.lines.line(&String::from_utf8_lossy(&shown)));
            }
            // Nothing a person wrote; it is not worth the risk of a torn secret.
            None => {
                self.held.drain(..limit);
                out.push_str("[masked:long-line]");
            }
        }
    }
}
