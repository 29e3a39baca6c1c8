//! One strict pass over JSON text that remembers places instead of building values.
//!
//! The grammar is RFC 8259. Strings are checked but not unescaped, so escapes, lone surrogates and the
//! spelling of numbers stay as they were sent. Nothing here knows JSON-RPC.

use crate::escape::unescape;
use smallvec::SmallVec;
use thiserror::Error;

/// A half-open byte range of a document. The empty range at 0 means "absent".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The absent span.
    pub const NONE: Span = Span { start: 0, end: 0 };

    /// A span of `start..end`, in bytes. Documents are bounded far below 4 GiB, see [`crate::Limits`].
    pub fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    /// Whether there is nothing here. No JSON value is empty, so this says "absent".
    pub fn is_none(self) -> bool {
        self.start == self.end
    }

    /// The span as a range that slices.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The text of this span of `json`.
    pub fn of(self, json: &str) -> &str {
        &json[self.range()]
    }
}

/// One member of an object: its key with quotes, and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The key, quotes included.
    pub key: Span,
    /// The value, without surrounding whitespace.
    pub value: Span,
}

/// The members of one object in the order they were sent.
pub type Members = SmallVec<[Member; 6]>;

/// Why text is not the JSON we accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Flaw {
    /// The grammar was broken at this byte.
    #[error("not valid JSON at byte {0}")]
    Syntax(usize),
    /// The text ended inside a value.
    #[error("the JSON text ends too early")]
    Truncated,
    /// Arrays or objects nest deeper than the limit.
    #[error("nested deeper than {0} levels")]
    TooDeep(usize),
    /// An object that is read to decide holds the same key twice; the second key starts at this byte.
    #[error("the same key stands twice in one object, at byte {0}")]
    DuplicateKey(usize),
    /// A value that had to be an object is none.
    #[error("not an object")]
    NotAnObject,
    /// A value that had to be an array is none.
    #[error("not an array")]
    NotAnArray,
    /// An object that is read to decide has more members than anybody needs.
    #[error("more than {MOST_MEMBERS} members in one object")]
    TooManyMembers,
    /// Not UTF-8.
    #[error("not valid UTF-8")]
    Utf8,
}

/// How many members an object may have that is read to decide: remembering a place costs more than sending it.
pub const MOST_MEMBERS: usize = 10_000;

/// Adds a member while there are not too many.
///
/// # Errors
/// [`Flaw::TooManyMembers`].
pub(crate) fn remember(members: &mut Members, member: Member) -> Result<(), Flaw> {
    if members.len() >= MOST_MEMBERS {
        return Err(Flaw::TooManyMembers);
    }
    members.push(member);
    Ok(())
}

/// A pass over one document. `pos` only moves forward.
pub struct Scan<'a> {
    text: &'a [u8],
    pos: usize,
    max_depth: usize,
}

impl<'a> Scan<'a> {
    /// A pass over `text` from byte `pos`, refusing nesting beyond `max_depth`.
    pub fn new(text: &'a str, pos: usize, max_depth: usize) -> Self {
        Self { text: text.as_bytes(), pos, max_depth }
    }

    /// Where the pass stands.
    pub fn pos(&self) -> usize {
        self.pos
    }

    /// The byte at the current place, if any is left.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.text.get(self.pos).copied()
    }

    /// Moves past insignificant whitespace.
    #[inline]
    pub fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.pos += 1;
        }
    }

    /// Accepts trailing whitespace and nothing else.
    pub fn end(&mut self) -> Result<(), Flaw> {
        self.space();
        if self.pos == self.text.len() { Ok(()) } else { Err(Flaw::Syntax(self.pos)) }
    }

    fn fail<T>(&self) -> Result<T, Flaw> {
        Err(if self.pos >= self.text.len() { Flaw::Truncated } else { Flaw::Syntax(self.pos) })
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), Flaw> {
        if self.peek() == Some(byte) {
            self.pos += 1;
            return Ok(());
        }
        self.fail()
    }

    /// Passes over one value of any kind and returns where it stood. `depth` is how deep it stands.
    pub fn value(&mut self, depth: usize) -> Result<Span, Flaw> {
        self.space();
        let start = self.pos;
        match self.peek() {
            Some(b'"') => self.string()?,
            Some(b'{') => self.each_member(depth, |scan, _key| scan.value(depth + 1).map(drop))?,
            Some(b'[') => self.each_element(depth, |scan| scan.value(depth + 1).map(drop))?,
            Some(b't') => self.word(b"true")?,
            Some(b'f') => self.word(b"false")?,
            Some(b'n') => self.word(b"null")?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => return self.fail(),
        }
        Ok(Span::new(start, self.pos))
    }

    /// Passes over an object, giving each key to `visit`, which must pass over the value.
    pub fn each_member(
        &mut self,
        depth: usize,
        mut visit: impl FnMut(&mut Self, Span) -> Result<(), Flaw>,
    ) -> Result<(), Flaw> {
        self.enter(depth, b'{', Flaw::NotAnObject)?;
        self.space();
        if self.peek() == Some(b'}') {
            self.pos += 1;
            return Ok(());
        }
        loop {
            self.space();
            let start = self.pos;
            self.string()?;
            let key = Span::new(start, self.pos);
            self.space();
            self.expect(b':')?;
            visit(self, key)?;
            self.space();
            match self.peek() {
                Some(b',') => self.pos += 1,
                Some(b'}') => {
                    self.pos += 1;
                    return Ok(());
                }
                _ => return self.fail(),
            }
        }
    }

    /// Passes over an array, calling `visit` at each element, which must pass over it.
    pub fn each_element(
        &mut self,
        depth: usize,
        mut visit: impl FnMut(&mut Self) -> Result<(), Flaw>,
    ) -> Result<(), Flaw> {
        self.enter(depth, b'[', Flaw::NotAnArray)?;
        self.space();
        if self.peek() == Some(b']') {
            self.pos += 1;
            return Ok(());
        }
        loop {
            visit(self)?;
            self.space();
            match self.peek() {
                Some(b',') => self.pos += 1,
                Some(b']') => {
                    self.pos += 1;
                    return Ok(());
                }
                _ => return self.fail(),
            }
        }
    }

    /// Passes over an object and returns its members; a repeated key is a flaw.
    pub fn members(&mut self, depth: usize) -> Result<Members, Flaw> {
        let mut members = Members::new();
        self.each_member(depth, |scan, key| {
            let value = scan.value(depth + 1)?;
            remember(&mut members, Member { key, value })
        })?;
        self.refuse_duplicates(&members)?;
        Ok(members)
    }

    /// A flaw if two of `members` have the same key, however it is escaped.
    pub fn refuse_duplicates(&self, members: &[Member]) -> Result<(), Flaw> {
        if members.len() <= 12 {
            for (at, member) in members.iter().enumerate() {
                if members[..at].iter().any(|earlier| self.same_key(earlier.key, member.key)) {
                    return Err(Flaw::DuplicateKey(member.key.start as usize));
                }
            }
            return Ok(());
        }
        let mut keys: Vec<_> = members.iter().map(|m| (self.plain_key(m.key), m.key.start)).collect();
        keys.sort_unstable();
        match keys.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(Flaw::DuplicateKey(pair[1].1 as usize)),
            None => Ok(()),
        }
    }

    fn same_key(&self, a: Span, b: Span) -> bool {
        let (raw_a, raw_b) = (&self.text[a.range()], &self.text[b.range()]);
        raw_a == raw_b || (raw_a.contains(&b'\\') || raw_b.contains(&b'\\')) && self.plain_key(a) == self.plain_key(b)
    }

    fn plain_key(&self, key: Span) -> std::borrow::Cow<'a, [u8]> {
        let raw = &self.text[key.range()];
        if !raw.contains(&b'\\') {
            return std::borrow::Cow::Borrowed(&raw[1..raw.len() - 1]);
        }
        std::borrow::Cow::Owned(unescape(raw))
    }

    #[inline]
    fn enter(&mut self, depth: usize, open: u8, otherwise: Flaw) -> Result<(), Flaw> {
        if depth >= self.max_depth {
            return Err(Flaw::TooDeep(self.max_depth));
        }
        match self.peek() {
            Some(byte) if byte == open => self.pos += 1,
            Some(_) => return Err(otherwise),
            None => return Err(Flaw::Truncated),
        }
        Ok(())
    }

    fn word(&mut self, word: &'static [u8]) -> Result<(), Flaw> {
        let rest = &self.text[self.pos..];
        if rest.starts_with(word) {
            self.pos += word.len();
            return Ok(());
        }
        let same = rest.iter().zip(word).take_while(|(a, b)| a == b).count();
        self.pos += same;
        self.fail()
    }

    fn digits(&mut self) -> Result<(), Flaw> {
        let start = self.pos;
        while let Some(b'0'..=b'9') = self.peek() {
            self.pos += 1;
        }
        if self.pos == start { self.fail() } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), Flaw> {
        if self.peek() == Some(b'-') {
            self.pos += 1;
        }
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
            if let Some(b'+' | b'-') = self.peek() {
                self.pos += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Passes over a string, quotes included.
    #[inline]
    pub fn string(&mut self) -> Result<(), Flaw> {
        self.expect(b'"')?;
        loop {
            self.plain_run();
            match self.peek() {
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return self.fail(),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Flaw> {
        self.pos += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.pos += 1,
            Some(b'u') => {
                self.pos += 1;
                for _ in 0..4 {
                    match self.peek() {
                        Some(b) if b.is_ascii_hexdigit() => self.pos += 1,
                        _ => return self.fail(),
                    }
                }
            }
            _ => return self.fail(),
        }
        Ok(())
    }

    /// Moves to the next quote, backslash or control character, eight bytes at a time.
    #[inline]
    fn plain_run(&mut self) {
        const ONES: u64 = u64::from_le_bytes([1; 8]);
        const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
        while let Some(chunk) = self.text.get(self.pos..self.pos + 8) {
            let word = u64::from_le_bytes(chunk.try_into().expect("the slice is eight bytes long"));
            // The classic "has a zero byte" and "has a byte less than n" tests; lanes above a hit may be
            // wrong, the lowest hit never is, and the lowest is what we take.
            let quote = word ^ (ONES * u64::from(b'"'));
            let slash = word ^ (ONES * u64::from(b'\\'));
            let hits = (quote.wrapping_sub(ONES) & !quote
                | slash.wrapping_sub(ONES) & !slash
                | word.wrapping_sub(ONES * 0x20) & !word)
                & HIGHS;
            if hits != 0 {
                self.pos += (hits.trailing_zeros() / 8) as usize;
                return;
            }
            self.pos += 8;
        }
        while let Some(byte) = self.peek() {
            if byte == b'"' || byte == b'\\' || byte < 0x20 {
                return;
            }
            self.pos += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), Flaw> {
        let mut scan = Scan::new(text, 0, 8);
        scan.value(0)?;
        scan.end()
    }

    #[test]
    fn what_the_grammar_allows_passes() {
        for text in [
            "0",
            "-0.0",
            "1.10",
            "1e5",
            "-1.5E-3",
            "18446744073709551616",
            "true",
            "null",
            "\"\"",
            r#""a\u00e9\ud83d\n\/""#,
            "[]",
            "[1, 2 ,[3]]",
            "{}",
            r#"{"a":{"b":[1]},"a":2}"#,
            " \n{ } \t",
            r#""a long string without anything special in it, longer than eight bytes""#,
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_the_grammar_forbids_is_refused() {
        for text in [
            "",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "tru",
            "truex",
            "nul",
            "\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"a\nb\"",
            "\"abcdefgh\u{1}ijklmnop\"",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":1,}",
            "{a:1}",
            "{} {}",
            "NaN",
            "[[[[[[[[[1]]]]]]]]]",
            "'a'",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_object_with_endless_members_is_refused() {
        let many: String = (0..=MOST_MEMBERS).map(|n| format!("\"k{n}\":1,")).collect();
        let members = |text: &str| Scan::new(text, 0, 8).members(0).map(|m| m.len());
        assert_eq!(members(&format!("{{{many}\"z\":1}}")), Err(Flaw::TooManyMembers));
    }

    #[test]
    fn a_repeated_key_is_found_however_it_is_escaped() {
        let members = |text: &str| Scan::new(text, 0, 8).members(0).map(|m| m.len());
        assert_eq!(members(r#"{"a":1,"b":2}"#), Ok(2));
        assert!(matches!(members(r#"{"name":1,"n\u0061me":2}"#), Err(Flaw::DuplicateKey(10))));
        let many: String = (0..40).map(|n| format!("\"k{n}\":1,")).collect();
        assert_eq!(members(&format!("{{{}\"z\":1}}", many)), Ok(41));
        assert!(matches!(members(&format!("{{{}\"k\\u0037\":1}}", many)), Err(Flaw::DuplicateKey(_))));
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_serde_json(text in "[\\[\\]{}\",:0-9eE+.tfn\\\\ua\\- ]{0,24}") {
            let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            proptest::prop_assert_eq!(check(&text).is_ok(), theirs, "{}", text);
        }
    }
}
