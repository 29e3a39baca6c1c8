//! What the detectors read: the text that a message means, without escapes and without characters nobody sees, in one
//! piece; and the way back from a place in it to a place in a token.

use super::walk::{Kind, Walk};

/// A piece of the shadow that one token means.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub start: usize,
    pub end: usize,
    pub token: u32,
}

/// The text of a message, for searching only.
#[derive(Default)]
pub(super) struct Shadow {
    pub text: Vec<u8>,
    /// One for each token with any text, in order.
    pub segments: Vec<Segment>,
    /// Where something invisible was left out, and how many bytes until there.
    gaps: Vec<(usize, usize)>,
    /// Tokens that could not be read to their end (a lone surrogate), and are masked whole or not at all.
    pub unreadable: Vec<u32>,
}

impl Shadow {
    /// A plain text, for which token 0 stands.
    pub fn of_text(text: &[u8]) -> Self {
        let mut shadow = Self { text: Vec::with_capacity(text.len()), ..Self::default() };
        shadow.push_visible(text);
        shadow.segments.push(Segment { start: 0, end: shadow.text.len(), token: 0 });
        shadow
    }

    /// All tokens of a message but those that `skip` names: quoted, a member's name and value beside one another.
    pub fn of_message(json: &[u8], walk: &Walk, mut skip: impl FnMut(u32) -> bool) -> Self {
        let mut shadow = Self { text: Vec::with_capacity(json.len()), ..Self::default() };
        for (at, token) in walk.tokens.iter().enumerate() {
            let at = at as u32;
            let raw = &json[token.place.range()];
            if skip(at) {
                continue;
            }
            shadow.text.push(b'"');
            let start = shadow.text.len();
            if token.kind == Kind::Number {
                shadow.text.extend_from_slice(raw);
            } else if !shadow.push_string(raw) {
                shadow.unreadable.push(at);
            }
            shadow.segments.push(Segment { start, end: shadow.text.len(), token: at });
            shadow.text.extend_from_slice(if token.kind == Kind::Key { b"\":" } else { b"\"\n" });
        }
        shadow
    }

    /// The inside of a quoted string; `false` if it means no text.
    fn push_string(&mut self, raw: &[u8]) -> bool {
        let inner = &raw[1..raw.len() - 1];
        if memchr::memchr(b'\\', inner).is_none() {
            self.push_visible(inner);
            return true;
        }
        match serde_json::from_slice::<std::borrow::Cow<'_, str>>(raw) {
            Ok(text) => self.push_visible(text.as_bytes()),
            Err(_) => {
                let meant = std::str::from_utf8(inner).map(crate::pin::meant);
                self.push_visible(meant.as_ref().map_or(inner, |text| text.as_bytes()));
                return false;
            }
        }
        true
    }

    fn push_visible(&mut self, text: &[u8]) {
        let mut from = 0;
        let mut at = 0;
        while let Some(hit) = next_beyond_ascii(text, at) {
            let len = invisible(&text[hit..]);
            if len > 0 {
                self.text.extend_from_slice(&text[from..hit]);
                let before = self.gaps.last().map_or(0, |(_, before)| *before);
                self.gaps.push((self.text.len(), before + len));
                from = hit + len;
            }
            at = hit + len.max(1);
        }
        self.text.extend_from_slice(&text[from..]);
    }

    /// What a token says; nothing if it was skipped or is none.
    pub fn said(&self, token: u32) -> &[u8] {
        let found = self.segments.binary_search_by_key(&token, |segment| segment.token);
        found.map_or(&[], |at| &self.text[self.segments[at].start..self.segments[at].end])
    }

    /// Where in its token's own text a place of the shadow lies. A gap counts to what stands behind it.
    pub fn in_token(&self, segment: &Segment, at: usize) -> usize {
        at - segment.start + self.left_out(at) - self.left_out(segment.start)
    }

    /// How many bytes were left out before this place.
    fn left_out(&self, at: usize) -> usize {
        let gaps = self.gaps.partition_point(|(gap, _)| *gap < at);
        gaps.checked_sub(1).map_or(0, |last| self.gaps[last].1)
    }
}

/// The next byte that may begin something invisible.
fn next_beyond_ascii(text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let hit = rest.iter().position(|byte| matches!(byte, 0xC2 | 0xE1 | 0xE2 | 0xEF | 0xF3))?;
    Some(at + hit)
}

/// How many bytes of the invisible character at the beginning of `text`, 0 if it is a visible one: soft hyphen, zero
/// width, direction marks, variation selectors, tags.
pub(super) fn invisible(text: &[u8]) -> usize {
    match text {
        [0xC2, 0xAD, ..] => 2,
        [0xE1, 0xA0, 0x8E, ..] => 3,
        [0xE2, 0x80, 0x8B..=0x8F | 0xAA..=0xAE, ..] => 3,
        [0xE2, 0x81, 0xA0..=0xAF, ..] => 3,
        [0xEF, 0xB8, 0x80..=0x8F, ..] | [0xEF, 0xBB, 0xBF, ..] => 3,
        [0xF3, 0xA0, 0x80..=0x87, _, ..] => 4,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_what_nobody_sees_are_gone_and_places_lead_back() {
        let json = "{\"a\":\"x\\ny\u{200b}z\u{e0041}!\",\"n\":12}".as_bytes();
        let walk = Walk::new(json);
        let shadow = Shadow::of_message(json, &walk, |_| false);
        assert_eq!(String::from_utf8_lossy(&shadow.text), "\"a\":\"x\nyz!\"\n\"n\":\"12\"\n");
        let value = shadow.segments[1];
        let text = "x\ny\u{200b}z\u{e0041}!";
        assert_eq!(shadow.in_token(&value, value.start + 3), text.find('\u{200b}').expect("gap"));
        assert_eq!(shadow.in_token(&value, value.start + 4), text.find('\u{e0041}').expect("tag"));
        assert_eq!(shadow.in_token(&value, value.end), text.len());
    }
}
