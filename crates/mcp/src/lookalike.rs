//! Keys that some readers take for others.
//!
//! Not a few JSON libraries (Go's first of all) match keys without regard to case. A request with both `name` and
//! `Name` would be decided by the one and run by the other, so such a request is nobody's idea of what was meant.

use crate::frame::Frame;
use crate::json::{Member, Span};
use crate::view;

/// What is read of an envelope.
const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
/// What is decided on, or recorded, of `params`.
const PARAMS: [&str; 5] = ["name", "arguments", "uri", "ref", "_meta"];
/// What is decided on of `params.ref`.
const REFERENCE: [&str; 3] = ["type", "name", "uri"];
/// What is opened or taken out of `params`, on the way to a server.
const CAMEL: [&str; 2] = ["requestState", "inputResponses"];

/// The first key of a request that is none of those that are decided on, but that a reader who disregards case
/// would take for one of them.
pub fn lookalike(frame: &Frame) -> Option<String> {
    let text = frame.text();
    envelope(text, frame.body_span())
        .or_else(|| among(text, frame.members(), &PARAMS))
        .or_else(|| camel(text, frame.members()))
        .or_else(|| reference(frame.get("ref")?))
}

/// As [`among`], for keys that are not spelled in lower case alone.
fn camel(text: &str, members: &[Member]) -> Option<String> {
    let shortest = CAMEL[0].len() + 2;
    let keys = members.iter().map(|member| member.key.of(text)).filter(|key| key.len() >= shortest);
    let mut plain = keys.filter_map(view::string);
    plain
        .find(|key| CAMEL.iter().any(|known| key.as_ref() != *known && alike(key, &known.to_ascii_lowercase())))
        .map(Into::into)
}

/// Only what is around the body is looked at: the body is long, and was read already.
fn envelope(text: &str, body: Span) -> Option<String> {
    let (head, tail) = match body.is_none() {
        true => (text, ""),
        false => (&text[..body.start as usize], &text[body.end as usize..]),
    };
    if !may_differ(head) && !may_differ(tail) {
        return None;
    }
    let around = if body.is_none() { head.trim().to_owned() } else { format!("{}0{tail}", head.trim_start()) };
    among(&around, &view::members(&around).ok()?, &ENVELOPE)
}

fn reference(raw: &str) -> Option<String> {
    if !may_differ(raw) {
        return None;
    }
    // Without members there is nothing in it to be mistaken.
    among(raw, &view::members(raw).ok()?, &REFERENCE)
}

fn among(text: &str, members: &[Member], known: &[&str]) -> Option<String> {
    let keys = members.iter().map(|member| member.key.of(text)).filter(|key| may_differ(key));
    let mut plain = keys.filter_map(view::string);
    plain.find(|key| known.iter().any(|known| key.as_ref() != *known && alike(key, known))).map(Into::into)
}

/// Whether there is anything in `text` that folding would change.
fn may_differ(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'\\' || !byte.is_ascii())
}

/// Whether two keys are the same but for case. `ſ` and `K` are an `s` and a `k` to such readers.
fn alike(key: &str, known: &str) -> bool {
    key.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).eq(known.chars())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use bytes::Bytes;

    fn check(json: &str, want: Option<&str>) {
        let frame = Frame::parse(Bytes::copy_from_slice(json.as_bytes()), &Limits::default()).expect("a frame");
        assert_eq!(lookalike(&frame).as_deref(), want, "{json}");
    }

    fn check_params(params: &str, want: Option<&str>) {
        check(&format!(r#" {{"jsonrpc":"2.0","id":"A","method":"tools/call","params":{params}, "X":1}}"#), want);
    }

    #[test]
    fn a_key_that_only_differs_in_case_is_found() {
        check_params(r#"{"name":"a","Name":"b"}"#, Some("Name"));
        check_params(r#"{"requestState":"a","inputResponses":{}}"#, None);
        check_params(r#"{"requestState":"a","requeststate":"b"}"#, Some("requeststate"));
        check_params(r#"{"inputReſponses":{}}"#, Some("inputReſponses"));
        check_params(r#"{"name":"a","\u004eAME":"b"}"#, Some("NAME"));
        check_params(r#"{"name":"a","argumentſ":{}}"#, Some("argumentſ"));
        check_params(r#"{"uri":"a","URI":"b"}"#, Some("URI"));
        check_params(r#"{"ref":{"type":"ref/prompt","name":"a","Type":"ref/resource"}}"#, Some("Type"));
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#, Some("Method"));
        check(r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{},"paramſ":{"name":"b"}}"#, Some("paramſ"));
        check(r#"{"PARAMS":{},"jsonrpc":"2.0","id":1,"method":"a","params":{}}"#, Some("PARAMS"));
    }

    #[test]
    fn what_is_read_and_what_nobody_decides_on_stays() {
        check_params(
            r#"{"n\u0061me":"a","arguments":{"Name":1,"NAME":2},"_meta":{"Name":3},"requestState":"S"}"#,
            None,
        );
        check_params(r#"{"name":"a","names":1,"é":2}"#, None);
        check(r#"{"jsonrpc":"2.0","id":"É\\","method":"logging/setLevel"}"#, None);
    }
}
