//! Small readers for the few members that are decided on. They read the raw text and change nothing.

use crate::escape::unescape;
use crate::json::{Flaw, Member, Members, Scan, Span};
use std::borrow::Cow;

/// How deep the readers below follow nesting; the frame was already held to the configured depth.
const DEPTH: usize = 512;

/// The text a JSON string stands for, or `None` if `raw` is no string or holds a lone surrogate.
pub fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    String::from_utf8(unescape(raw.as_bytes())).ok().map(Cow::Owned)
}

/// `raw` as a boolean.
pub fn boolean(raw: &str) -> Option<bool> {
    match raw {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// `raw` as a whole number that was spelled as one.
pub fn unsigned(raw: &str) -> Option<u64> {
    raw.parse().ok()
}

/// The members of the object `raw`, spans relative to `raw`. A repeated key is a flaw.
pub fn members(raw: &str) -> Result<Members, Flaw> {
    let mut scan = Scan::new(raw, 0, DEPTH);
    scan.space();
    scan.members(0)
}

/// The elements of the array `raw`, spans relative to `raw`.
pub fn elements(raw: &str) -> Result<Vec<Span>, Flaw> {
    Ok(some_elements(raw, usize::MAX)?.unwrap_or_default())
}

/// The elements of the array `raw`, or `None` if there are more than `most`.
pub fn some_elements(raw: &str, most: usize) -> Result<Option<Vec<Span>>, Flaw> {
    let mut scan = Scan::new(raw, 0, DEPTH);
    let (mut spans, mut more) = (Vec::new(), false);
    scan.space();
    scan.each_element(0, |scan| {
        let span = scan.value(1)?;
        more |= spans.len() >= most;
        if !more {
            spans.push(span);
        }
        Ok(())
    })?;
    Ok((!more).then_some(spans))
}

/// The member `key` among `members` of the document `json`.
pub fn find(json: &str, members: &[Member], key: &str) -> Option<Member> {
    members.iter().copied().find(|member| is_key(member.key.of(json), key))
}

/// The raw value of `key` in the object `raw`; `None` if it is absent or `raw` is no object.
pub fn member<'a>(raw: &'a str, key: &str) -> Option<&'a str> {
    let members = members(raw).ok()?;
    find(raw, &members, key).map(|member| member.value.of(raw))
}

/// The raw value at a path of keys through nested objects.
pub fn path<'a>(raw: &'a str, keys: &[&str]) -> Option<&'a str> {
    keys.iter().try_fold(raw, |at, key| member(at, key))
}

/// Whether the quoted `raw` key spells `key`.
pub fn is_key(raw: &str, key: &str) -> bool {
    let inner = &raw[1..raw.len() - 1];
    inner == key || inner.contains('\\') && unescape(raw.as_bytes()) == key.as_bytes()
}

/// `text` as a JSON string, quotes included.
pub fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string always serialises")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_by_what_their_key_means() {
        let raw = r#" {"n\u0061me": "a\tb", "deep": {"x": [1, {"y": 2}]}} "#.trim();
        assert_eq!(member(raw, "name").and_then(string).as_deref(), Some("a\tb"));
        assert_eq!(path(raw, &["deep", "x"]), Some(r#"[1, {"y": 2}]"#));
        let array = r#"[1, {"y": 2}]"#;
        let texts: Vec<_> = elements(array).expect("an array").iter().map(|s| s.of(array)).collect();
        assert_eq!(texts, ["1", r#"{"y": 2}"#]);
        assert_eq!(member("[]", "x"), None);
    }
}
