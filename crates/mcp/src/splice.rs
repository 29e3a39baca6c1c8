//! Outgoing messages: untouched slices of what came in, and small edits.

use crate::json::{Member, Span};
use crate::view;
use bytes::Bytes;
use smallvec::SmallVec;
use std::borrow::Cow;

/// A list of edits to one document. Edits must not overlap; they may be given in any order.
pub struct Splice<'a> {
    source: &'a [u8],
    edits: SmallVec<[(Span, Cow<'a, [u8]>); 8]>,
}

impl<'a> Splice<'a> {
    /// No edits to `source` yet.
    pub fn new(source: &'a [u8]) -> Self {
        Self { source, edits: SmallVec::new() }
    }

    /// Puts `text` where `span` stands.
    pub fn replace(&mut self, span: Span, text: impl Into<Cow<'a, [u8]>>) -> &mut Self {
        self.edits.push((span, text.into()));
        self
    }

    /// Puts `text` before byte `at`.
    pub fn insert(&mut self, at: u32, text: impl Into<Cow<'a, [u8]>>) -> &mut Self {
        self.replace(Span { start: at, end: at }, text)
    }

    /// The edited document.
    pub fn finish(mut self) -> Vec<u8> {
        self.edits.sort_by_key(|(span, _)| (span.start, span.end));
        let grown: usize = self.edits.iter().map(|(_, text)| text.len()).sum();
        let mut out = Vec::with_capacity(self.source.len() + grown);
        let mut at = 0;
        for (span, text) in &self.edits {
            out.extend_from_slice(&self.source[at..span.start as usize]);
            out.extend_from_slice(text);
            at = span.end as usize;
        }
        out.extend_from_slice(&self.source[at..]);
        out
    }
}

/// What becomes of one member of an edited object.
pub enum Change<'a> {
    /// It stays byte for byte.
    Keep,
    /// It goes, with its comma.
    Remove,
    /// It stays in place with another value.
    Replace(Cow<'a, str>),
}

/// The object at `object` of `json`, each of its `members` changed as `change` says by its key, and
/// `added` members (key without quotes, raw value) at the end. What stays keeps its order and spacing.
pub fn edit_object<'a>(
    json: &str,
    object: Span,
    members: &[Member],
    mut change: impl FnMut(&str) -> Change<'a>,
    added: &[(&str, &str)],
) -> String {
    let mut out = String::with_capacity(object.range().len() + 32 * added.len());
    out.push('{');
    let mut first = true;
    let mut previous_end = object.start + 1;
    for member in members {
        let gap = Span { start: previous_end, end: member.key.start };
        previous_end = member.value.end;
        let key = member.key.of(json);
        let plain = view::string(key).unwrap_or(Cow::Borrowed(""));
        let value = match change(&plain) {
            Change::Keep => Cow::Borrowed(member.value.of(json)),
            Change::Remove => continue,
            Change::Replace(text) => text,
        };
        let gap = gap.of(json);
        out.push_str(if first { gap.trim_start_matches([',', ' ', '\n', '\r', '\t']) } else { gap });
        out.push_str(key);
        out.push_str(Span { start: member.key.end, end: member.value.start }.of(json));
        out.push_str(&value);
        first = false;
    }
    for (key, value) in added {
        if !first {
            out.push(',');
        }
        out.push_str(&view::quoted(key));
        out.push(':');
        out.push_str(value);
        first = false;
    }
    out.push_str(Span { start: previous_end, end: object.end }.of(json).trim_start());
    out
}

/// `json` with raw line breaks turned into spaces, as stdio and SSE need it. A valid document holds them
/// only between tokens, so nothing but whitespace changes.
pub fn one_line(json: Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &json).is_none() {
        return json;
    }
    json.iter().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { *b }).collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(object: &str, drop: &[&str], put: &[(&str, &str)], added: &[(&str, &str)], want: &str) {
        let members = view::members(object).expect("an object");
        let change = |key: &str| match put.iter().find(|(k, _)| *k == key) {
            _ if drop.contains(&key) => Change::Remove,
            Some((_, value)) => Change::Replace(Cow::Owned((*value).to_owned())),
            None => Change::Keep,
        };
        assert_eq!(edit_object(object, Span::new(0, object.len()), &members, change, added), want);
    }

    #[test]
    fn an_edit_touches_only_what_it_names() {
        check(r#"{"a":1, "b" : 2,"c":3}"#, &[], &[], &[], r#"{"a":1, "b" : 2,"c":3}"#);
        check(r#"{"a":1, "b" : 2,"c":3}"#, &["a"], &[], &[], r#"{"b" : 2,"c":3}"#);
        check(r#"{"a":1, "b" : 2,"c":3}"#, &["b"], &[("c", "9")], &[], r#"{"a":1,"c":9}"#);
        check(r#"{"a":1}"#, &["a"], &[], &[("x", "true")], r#"{"x":true}"#);
        check("{ }", &[], &[], &[("x", "1")], r#"{"x":1}"#);
        check(r#"{"a":1 }"#, &[], &[], &[("x", "1"), ("y", "2")], r#"{"a":1,"x":1,"y":2}"#);
    }

    #[test]
    fn splices_apply_in_any_order() {
        let mut splice = Splice::new(b"abcdef");
        splice
            .replace(Span::new(4, 5), b"E".as_slice())
            .replace(Span::new(0, 2), b"".as_slice())
            .insert(6, b"!".as_slice());
        assert_eq!(splice.finish(), b"cdEf!");
    }
}
