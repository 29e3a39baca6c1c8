//! The smallest parts of JSON text: space, strings, numbers, words. What they are put together to is not here.

use std::borrow::Cow;
use thiserror::Error;

/// Why text is not the JSON that can be pinned, digested or checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Flaw {
    /// The grammar was broken at this byte, or the text ended there.
    #[error("not valid JSON at byte {0}")]
    Syntax(usize),
    /// Arrays or objects nest deeper than the limit.
    #[error("nested deeper than {0} levels")]
    TooDeep(usize),
    /// One object holds the same key twice; readers disagree on which of them counts.
    #[error("the same key stands twice in one object, which ends at byte {0}")]
    DuplicateKey(usize),
    /// A key holds half of a surrogate pair: no text at all.
    #[error("a key is no text, at byte {0}")]
    BrokenKey(usize),
    /// More values than anybody needs.
    #[error("more than {0} values")]
    TooMany(usize),
    /// Not UTF-8.
    #[error("not valid UTF-8")]
    Utf8,
}

/// A string as it stands in the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quoted<'a> {
    /// What is between the quotes.
    pub inner: &'a str,
    /// Whether there is a backslash in it.
    pub escaped: bool,
}

/// A pass over one text.
pub(super) struct Lexer<'a> {
    text: &'a str,
    pub pos: usize,
}

impl<'a> Lexer<'a> {
    pub fn new(bytes: &'a [u8]) -> Result<Self, Flaw> {
        let text = std::str::from_utf8(bytes).map_err(|_| Flaw::Utf8)?;
        Ok(Self { text, pos: 0 })
    }

    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.pos).copied()
    }

    pub fn fail<T>(&self) -> Result<T, Flaw> {
        Err(Flaw::Syntax(self.pos))
    }

    /// Moves past space and tells the byte behind it.
    #[inline]
    pub fn next(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.pos += 1;
        }
        self.peek()
    }

    /// Moves past space and `byte`.
    #[inline]
    pub fn expect(&mut self, byte: u8) -> Result<(), Flaw> {
        if self.next() == Some(byte) {
            self.pos += 1;
            return Ok(());
        }
        self.fail()
    }

    /// After an element: whether another follows. Moves past the comma or `close`.
    pub fn more(&mut self, close: u8) -> Result<bool, Flaw> {
        match self.next() {
            Some(b',') => self.pos += 1,
            Some(byte) if byte == close => {
                self.pos += 1;
                return Ok(false);
            }
            _ => return self.fail(),
        }
        Ok(true)
    }

    /// Moves past an opening bracket, and past its closing one if there is nothing between.
    pub fn open(&mut self, close: u8) -> bool {
        self.pos += 1;
        let empty = self.next() == Some(close);
        self.pos += usize::from(empty);
        !empty
    }

    /// Accepts space and nothing else.
    pub fn end(&mut self) -> Result<(), Flaw> {
        if self.next().is_none() { Ok(()) } else { self.fail() }
    }

    pub fn word(&mut self, word: &'static str) -> Result<&'static str, Flaw> {
        if self.text.as_bytes()[self.pos..].starts_with(word.as_bytes()) {
            self.pos += word.len();
            return Ok(word);
        }
        self.fail()
    }

    /// Passes over a string that begins here.
    pub fn string(&mut self) -> Result<Quoted<'a>, Flaw> {
        if self.peek() != Some(b'"') {
            return self.fail();
        }
        let start = self.pos + 1;
        let mut escaped = false;
        self.pos = start;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(0x20..) => self.pos += 1,
                Some(_) | None => return self.fail(),
            }
        }
        self.pos += 1;
        Ok(Quoted { inner: &self.text[start..self.pos - 1], escaped })
    }

    fn escape(&mut self) -> Result<(), Flaw> {
        self.pos += 1;
        let taken = match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 1,
            Some(b'u') => {
                let digits = self.text.as_bytes().get(self.pos + 1..self.pos + 5);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return self.fail();
                }
                5
            }
            _ => return self.fail(),
        };
        self.pos += taken;
        Ok(())
    }

    /// Passes over a number that begins here.
    pub fn number(&mut self) -> Result<&'a str, Flaw> {
        let start = self.pos;
        self.pos += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.pos += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.pos += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.pos += 1;
            self.pos += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(&self.text[start..self.pos])
    }

    fn digits(&mut self) -> Result<(), Flaw> {
        let start = self.pos;
        while let Some(b'0'..=b'9') = self.peek() {
            self.pos += 1;
        }
        if self.pos == start { self.fail() } else { Ok(()) }
    }
}

impl<'a> Quoted<'a> {
    /// The text it stands for; `None` if it holds half of a surrogate pair.
    pub fn text(self) -> Option<Cow<'a, str>> {
        if !self.escaped {
            return Some(Cow::Borrowed(self.inner));
        }
        let mut out = String::with_capacity(self.inner.len());
        let mut rest = self.inner;
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            let (c, taken) = unescape(&rest.as_bytes()[at..])?;
            out.push(c);
            rest = &rest[at + taken..];
        }
        out.push_str(rest);
        Some(Cow::Owned(out))
    }
}

/// What the inside of a JSON string says to a reader who minds nothing: half of a surrogate pair is U+FFFD.
pub(crate) fn meant(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (c, taken) = unescape(&rest.as_bytes()[at..]).unwrap_or((char::REPLACEMENT_CHARACTER, 6));
        out.push(c);
        rest = &rest[at + taken..];
    }
    out.push_str(rest);
    out
}

/// The character that the escape at the start of `text` stands for, and how long the escape is.
fn unescape(text: &[u8]) -> Option<(char, usize)> {
    let plain = match text[1] {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(text),
        same => same as char,
    };
    Some((plain, 2))
}

fn unicode(text: &[u8]) -> Option<(char, usize)> {
    let high = hex(&text[2..6]);
    if let Some(c) = char::from_u32(high) {
        return Some((c, 6));
    }
    let low = text.get(6..12).filter(|low| low.starts_with(b"\\u")).map(|low| hex(&low[2..]))?;
    let pair = (0xD800..0xDC00).contains(&high) && (0xDC00..0xE000).contains(&low);
    let code = pair.then(|| 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))?;
    char::from_u32(code).map(|c| (c, 12))
}

fn hex(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |sum, digit| sum * 16 + (*digit as char).to_digit(16).unwrap_or(0))
}
