//! The strings and numbers of a valid JSON text, where alone a secret can stand.

use super::MASK;
use crate::words::Place;
use aho_corasick::AhoCorasick;

/// A string (quotes included) or a number.
pub(super) struct Token {
    pub place: Place,
    is_string: bool,
}

/// Whether some character may be spelled longer than it needs to be.
pub(super) fn has_unusual_escape(json: &[u8]) -> bool {
    memchr::memchr_iter(b'\\', json).any(|at| matches!(json.get(at + 1), Some(b'u' | b'/')))
}

/// All strings and numbers of `json`, which must be valid.
pub(super) fn each(json: &[u8]) -> impl Iterator<Item = Token> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += json[at..].iter().position(|b| matches!(b, b'"' | b'-' | b'0'..=b'9'))?;
        let start = at;
        let is_string = json[at] == b'"';
        at = if is_string { string_end(json, at) } else { number_end(json, at) };
        Some(Token { place: Place { start: start as u32, end: at as u32 }, is_string })
    })
}

fn string_end(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(hit) = memchr::memchr2(b'"', b'\\', &json[at..]) {
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

impl Token {
    /// The token with its secrets masked, or `None` if it has none.
    pub fn masked(&self, json: &[u8], in_json: &AhoCorasick, plain: &AhoCorasick) -> Option<Vec<u8>> {
        let raw = &json[self.place.range()];
        if !self.is_string {
            return plain.is_match(raw).then(|| format!("\"{MASK}\"").into_bytes());
        }
        if !in_json.is_match(raw) && !has_unusual_escape(raw) {
            return None;
        }
        // A lone surrogate cannot be read; what is around it is still searched as it is spelled.
        let text = serde_json::from_slice::<String>(raw).ok();
        match text {
            Some(text) if plain.is_match(&text) => {
                let masked = plain.replace_all(&text, &vec![MASK; plain.patterns_len()]);
                Some(serde_json::to_vec(&masked).expect("a string always serialises"))
            }
            Some(_) => None,
            None => in_json.is_match(raw).then(|| format!("\"{MASK}\"").into_bytes()),
        }
    }
}
