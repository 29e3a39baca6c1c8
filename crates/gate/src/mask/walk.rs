//! The strings and numbers of a valid JSON text, where alone a secret can stand, each with the name it stands under.

use crate::words::Place;
use smallvec::SmallVec;

/// No token, no frame.
pub(super) const NONE: u32 = u32::MAX;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A member's name.
    Key,
    /// A string value.
    Text,
    /// A number.
    Number,
}

/// A string (quotes included) or a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub place: Place,
    pub kind: Kind,
    /// The object or array it stands in.
    pub frame: u32,
    /// The token that names it: its member's, or for an element the array's.
    pub key: u32,
}

/// An object or an array.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// The token that names it.
    pub key: u32,
    pub is_array: bool,
    pub depth: u32,
}

/// All tokens and what they stand in.
#[derive(Default)]
pub(super) struct Walk {
    pub tokens: Vec<Token>,
    pub frames: Vec<Frame>,
}

impl Walk {
    /// Reads `json`, which must be valid.
    pub fn new(json: &[u8]) -> Self {
        let mut walk = Self::default();
        let mut open: SmallVec<[u32; 16]> = SmallVec::new();
        // The name that the next value stands under, and whether a name comes next.
        let (mut key, mut names) = (NONE, false);
        let mut at = 0;
        while let Some(byte) = json.get(at) {
            match byte {
                b'{' | b'[' => {
                    let frame = walk.opened(*byte == b'[', open.last().copied().unwrap_or(NONE), key);
                    open.push(frame);
                    names = *byte == b'{';
                    key = if names { NONE } else { key };
                }
                b'}' | b']' => {
                    open.pop();
                    (key, names) = walk.around(open.last().copied().unwrap_or(NONE));
                }
                b',' => (key, names) = walk.around(open.last().copied().unwrap_or(NONE)),
                b'"' | b'-' | b'0'..=b'9' => {
                    let end = if *byte == b'"' { string_end(json, at) } else { number_end(json, at) };
                    let kind = kind(*byte, names);
                    let place = Place { start: at as u32, end: end as u32 };
                    let frame = open.last().copied().unwrap_or(NONE);
                    walk.tokens.push(Token { place, kind, frame, key });
                    if kind == Kind::Key {
                        (key, names) = (walk.tokens.len() as u32 - 1, false);
                    }
                    at = end;
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
        walk
    }

    fn opened(&mut self, is_array: bool, parent: u32, key: u32) -> u32 {
        let depth = self.frame(parent).map_or(0, |parent| parent.depth + 1);
        self.frames.push(Frame { key, is_array, depth });
        self.frames.len() as u32 - 1
    }

    /// Behind a comma: what names the next value, and whether a name comes first.
    fn around(&self, frame: u32) -> (u32, bool) {
        match self.frame(frame) {
            Some(frame) if frame.is_array => (frame.key, false),
            Some(_) => (NONE, true),
            None => (NONE, false),
        }
    }

    /// The frame of that number.
    pub fn frame(&self, frame: u32) -> Option<&Frame> {
        self.frames.get(frame as usize)
    }
}

fn kind(first: u8, names: bool) -> Kind {
    match first {
        b'"' if names => Kind::Key,
        b'"' => Kind::Text,
        _ => Kind::Number,
    }
}

fn string_end(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(hit) = json.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += hit;
        if json[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    json.len()
}

fn number_end(json: &[u8], start: usize) -> usize {
    let more = json[start..].iter().position(|b| !matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'));
    more.map_or(json.len(), |more| start + more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_knows_its_name() {
        let json = br#"{"a":"x","b":[1,"y",{"c":-2.5e3}],"d":{"e":[["z"]]}}"#;
        let walk = Walk::new(json);
        let text = |token: u32| match walk.tokens.get(token as usize) {
            Some(token) => String::from_utf8_lossy(&json[token.place.range()]).into_owned(),
            None => String::new(),
        };
        let values = walk.tokens.iter().enumerate().filter(|(_, token)| token.kind != Kind::Key);
        let named: Vec<_> = values.map(|(at, token)| (text(token.key), text(at as u32))).collect();
        let want = [("\"a\"", "\"x\""), ("\"b\"", "1"), ("\"b\"", "\"y\""), ("\"c\"", "-2.5e3"), ("\"e\"", "\"z\"")];
        assert_eq!(named, want.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
}
