//! What can still be said of bytes that are no message: above all whose call they end.

use crate::frame::{BadFrame, is_id};
use crate::json::{Flaw, Scan};
use crate::limits::Limits;
use crate::revision::code;
use crate::view;
use std::borrow::Cow;

/// The answer to bytes that are not one valid JSON text.
pub(crate) fn broken(json: &[u8], flaw: Flaw) -> BadFrame {
    let (id, answers) = salvage(json, json);
    let code = if is_json(json, flaw) { code::INVALID_REQUEST } else { code::PARSE };
    BadFrame { code, reason: flaw.to_string(), id, answers }
}

/// Whether bytes with this flaw are JSON all the same, only not such as a message may be.
fn is_json(json: &[u8], flaw: Flaw) -> bool {
    match flaw {
        Flaw::DuplicateKey(_) | Flaw::TooManyMembers => true,
        Flaw::NotAnObject => {
            let mut scan = Scan::new(lossless_prefix(json), 0, 128);
            scan.value(0).is_ok() && scan.end().is_ok()
        }
        Flaw::Syntax(_) | Flaw::Truncated | Flaw::TooDeep(_) | Flaw::NotAnArray | Flaw::Utf8 => false,
    }
}

/// The answer to a frame longer than allowed, of which the first and last bytes are known.
pub fn too_long(head: &[u8], tail: &[u8], limits: &Limits) -> BadFrame {
    let (id, answers) = salvage(head, tail);
    let reason = format!("longer than the limit of {} bytes (`[limits] frame_bytes`)", limits.frame_bytes);
    BadFrame { code: code::INVALID_REQUEST, reason, id, answers }
}

/// The id of a message that cannot be read whole, and whether it is an answer, as far as its first and
/// last bytes tell. An id is looked for at the top level only, so that one inside a payload is not taken.
fn salvage(head: &[u8], tail: &[u8]) -> (Option<String>, bool) {
    let head = lossless_prefix(head);
    let (mut id, mut method, mut answers) = (None, false, false);
    let mut scan = Scan::new(head, 0, 128);
    scan.space();
    // Any flaw ends the walk; what was seen before it counts.
    let _ = scan.each_member(0, |scan, key| {
        let name = view::string(key.of(head)).unwrap_or(Cow::Borrowed(""));
        method |= name == "method";
        answers |= name == "result" || name == "error";
        let value = scan.value(1)?;
        if name == "id" && is_id(value.of(head)) {
            id = Some(value.of(head).to_owned());
        }
        Ok(())
    });
    let id = id.or_else(|| trailing_id(tail));
    (id, answers && !method)
}

fn lossless_prefix(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).expect("valid up to here"),
    }
}

/// The id of a message that ends in `"id":TOKEN}`.
fn trailing_id(tail: &[u8]) -> Option<String> {
    let start = tail.len().saturating_sub(512);
    let text = String::from_utf8_lossy(&tail[start..]).into_owned();
    let inner = text.trim_end().strip_suffix('}')?.trim_end();
    let (before, token) = match inner.strip_suffix('"') {
        Some(quoted) => inner.split_at(quoted.rfind('"')?),
        None => inner.split_at(inner.rfind([':', ' ', '\t'])? + 1),
    };
    let before = before.trim_end().strip_suffix(':')?.trim_end();
    (before.ends_with("\"id\"") && is_id(token)).then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_an_over_long_answer_is_found_at_either_end() {
        let limits = Limits { frame_bytes: 64, ..Limits::default() };
        let bad = |head: &str, tail: &str| too_long(head.as_bytes(), tail.as_bytes(), &limits).id;
        assert_eq!(bad(r#"{"jsonrpc":"2.0","id":9,"result":{"t":"aaaa"#, "aaaa"), Some("9".into()));
        assert_eq!(bad(r#"{"jsonrpc":"2.0","result":{"id":4,"t":"aaaa"#, r#"aaa"},"id": 12}"#), Some("12".into()));
        assert_eq!(bad(r#"{"jsonrpc":"2.0","result":{"t":"aaaa"#, r#"aaa"},"id":"x-1" } "#), Some("\"x-1\"".into()));
        assert_eq!(bad(r#"{"jsonrpc":"2.0","result":{"id":4,"t":"aaaa"#, r#"aaa""#), None);
    }
}
