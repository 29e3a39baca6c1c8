//! Finds members of a JSON object by walking over it, without building a value.
//!
//! Made for messages this bench wrote itself or has checked elsewhere: it trusts that the text is JSON
//! and compares keys as they are written, escapes included.

use memchr::{memchr2, memmem};

/// The raw text of `object`'s top-level member `key`, or `None` when there is none.
pub fn member<'a>(object: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let mut at = skip_space(object, 0);
    if object.get(at) != Some(&b'{') {
        return None;
    }
    at = skip_space(object, at + 1);
    while object.get(at) == Some(&b'"') {
        let (key_at, key_end) = (at, string_end(object, at)?);
        at = skip_space(object, key_end);
        if object.get(at) != Some(&b':') {
            return None;
        }
        let start = skip_space(object, at + 1);
        let found = key_is(object, key_at, key_end, key);
        let end = value_end(object, start)?;
        if found {
            return object.get(start..end);
        }
        at = skip_space(object, end);
        if object.get(at) != Some(&b',') {
            return None;
        }
        at = skip_space(object, at + 1);
    }
    None
}

/// [`member`] along a path of keys.
pub fn at<'a>(object: &'a [u8], path: &[&str]) -> Option<&'a [u8]> {
    path.iter().try_fold(object, |object, key| member(object, key))
}

/// Whether `needle` occurs in `text`.
pub fn contains(text: &[u8], needle: &[u8]) -> bool {
    memmem::find(text, needle).is_some()
}

/// The text of a JSON string without its quotes, escapes left as they are.
pub fn unquote(string: &[u8]) -> &[u8] {
    string.strip_prefix(b"\"").and_then(|s| s.strip_suffix(b"\"")).unwrap_or(string)
}

fn key_is(object: &[u8], start: usize, end: usize, key: &str) -> bool {
    &object[start + 1..end - 1] == key.as_bytes()
}

fn skip_space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// `start` is at the opening quote; the answer is one past the closing one.
fn string_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

fn value_end(text: &[u8], start: usize) -> Option<usize> {
    match text.get(start)? {
        b'"' => string_end(text, start),
        b'{' | b'[' => nested_end(text, start),
        _ => {
            let rest = &text[start..];
            let len = rest.iter().position(|b| matches!(b, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'));
            Some(start + len.unwrap_or(rest.len()))
        }
    }
}

fn nested_end(text: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = start;
    loop {
        match text.get(at)? {
            b'"' => {
                at = string_end(text, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(object: &str, path: &[&str], expected: Option<&str>) {
        let found = at(object.as_bytes(), path).map(|span| String::from_utf8_lossy(span));
        assert_eq!(found.as_deref(), expected, "{object} {path:?}");
    }

    #[test]
    fn members_are_found_whatever_stands_around_them() {
        check(r#"{"a":1,"b":"x"}"#, &["b"], Some(r#""x""#));
        check(r#" { "a" : [ {"b":2} ] , "b" : -3 } "#, &["b"], Some("-3"));
        check(r#"{"a":{"b":{"c":"\"}"}}}"#, &["a", "b", "c"], Some(r#""\"}""#));
        check(r#"{"xa":1,"a":2}"#, &["a"], Some("2"));
        check(r#"{"a":"b","b":null}"#, &["b"], Some("null"));
    }

    #[test]
    fn what_is_absent_or_broken_is_none() {
        check("{}", &["a"], None);
        check(r#"{"a":{"b":1}}"#, &["b"], None);
        check(r#"{"a":"unclosed"#, &["a"], None);
        check("[1]", &["a"], None);
        check("", &["a"], None);
    }
}
