//! A JSON-RPC message as received: its bytes, and the places of what a hop reads or owns.

use crate::json::{Flaw, Member, Members, Scan, Span, remember};
use crate::limits::Limits;
use crate::revision::code;
use crate::salvage::broken;
pub use crate::salvage::too_long;
use crate::view;
use bytes::Bytes;
use std::borrow::Cow;
use thiserror::Error;

/// What a frame is, by JSON-RPC 2.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Has a method and an id.
    Request,
    /// Has a method and no id.
    Notification,
    /// Has a result.
    Result,
    /// Has an error.
    Error,
}

/// One message: untouched bytes and the spans found in one pass over them.
#[derive(Debug, Clone)]
pub struct Frame {
    json: Bytes,
    kind: Kind,
    id: Span,
    method: Span,
    body: Span,
    members: Members,
    meta: Span,
    meta_members: Members,
}

/// Why bytes are no frame, with what is needed to answer all the same.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct BadFrame {
    /// The JSON-RPC error code to answer with.
    pub code: i64,
    /// What is wrong, in our words.
    pub reason: String,
    /// The raw id token, where one could be found.
    pub id: Option<String>,
    /// Whether the frame has a `result` or `error` and so must not be answered.
    pub answers: bool,
}

/// Places are 32 bits wide, so nothing longer is read whatever the limits say.
const MOST_BYTES: usize = u32::MAX as usize;

/// How many messages a batch may hold.
pub const MOST_IN_BATCH: usize = 1_000;

/// What one line or body holds.
#[derive(Debug)]
pub enum Incoming {
    /// One message.
    One(Box<Frame>),
    /// A JSON-RPC batch, element by element (2025-03-26 alone allows it).
    Batch(Vec<Result<Frame, BadFrame>>),
}

#[derive(Default)]
struct Envelope {
    jsonrpc: Span,
    id: Span,
    method: Span,
    params: Span,
    result: Span,
    error: Span,
    members: Members,
    meta: Span,
    meta_members: Members,
}

impl Frame {
    /// Reads one message from `json`. A byte order mark in front is tolerated.
    ///
    /// # Errors
    /// [`BadFrame`] for anything that is not exactly one well-formed JSON-RPC 2.0 message within `limits`.
    pub fn parse(json: Bytes, limits: &Limits) -> Result<Frame, BadFrame> {
        let json = without_mark(json);
        if json.len() > limits.frame_bytes.min(MOST_BYTES) {
            return Err(too_long(&json, &json, limits));
        }
        let text = simdutf8::basic::from_utf8(&json).map_err(|_| broken(&json, Flaw::Utf8))?;
        let envelope = Envelope::read(text, limits.depth).map_err(|flaw| broken(&json, flaw))?;
        match envelope.kind(text) {
            Ok(kind) => Ok(envelope.into_frame(kind, json.clone())),
            Err((code, reason)) => Err(envelope.refused(text, code, reason)),
        }
    }

    /// Reads one message or a batch of them.
    ///
    /// # Errors
    /// [`BadFrame`] if the whole is neither; the elements of a batch fail one by one.
    pub fn parse_any(json: Bytes, limits: &Limits) -> Result<Incoming, BadFrame> {
        let json = without_mark(json);
        if json.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'[') {
            return Self::parse(json, limits).map(|frame| Incoming::One(Box::new(frame)));
        }
        let text = simdutf8::basic::from_utf8(&json).map_err(|_| broken(b"", Flaw::Utf8))?;
        // As many elements as fit are counted by their cheapest form before any place is remembered.
        let spans = view::some_elements(text, MOST_IN_BATCH).map_err(|flaw| broken(b"", flaw))?;
        let reason = match spans.as_deref() {
            Some([]) => "an empty batch".to_owned(),
            None => format!("a batch of more than {MOST_IN_BATCH} messages"),
            Some(_) => String::new(),
        };
        let Some(spans) = spans.filter(|spans| !spans.is_empty()) else {
            return Err(BadFrame { code: code::INVALID_REQUEST, reason, id: None, answers: false });
        };
        Ok(Incoming::Batch(spans.iter().map(|span| Self::parse(json.slice(span.range()), limits)).collect()))
    }

    /// The message as received.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The message as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.json).expect("checked when the frame was parsed")
    }

    /// What kind of message this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where the id stands; absent in notifications.
    pub fn id_span(&self) -> Span {
        self.id
    }

    /// Where `params`, `result` or `error` stands; absent if a request has no `params`.
    pub fn body_span(&self) -> Span {
        self.body
    }

    /// Where `_meta` of the body stands, if it is an object.
    pub fn meta_span(&self) -> Span {
        self.meta
    }

    /// The raw id token.
    pub fn id(&self) -> Option<&str> {
        self.raw(self.id)
    }

    /// The method, empty for answers.
    pub fn method(&self) -> Cow<'_, str> {
        self.raw(self.method).and_then(view::string).unwrap_or(Cow::Borrowed(""))
    }

    /// The raw `params`, `result` or `error`.
    pub fn body(&self) -> Option<&str> {
        self.raw(self.body)
    }

    /// The top-level members of the body.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The members of the body's `_meta`.
    pub fn meta_members(&self) -> &[Member] {
        &self.meta_members
    }

    /// Where the value of the body's member `key` stands.
    pub fn span(&self, key: &str) -> Span {
        view::find(self.text(), &self.members, key).map_or(Span::NONE, |member| member.value)
    }

    /// The raw value of the body's member `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.raw(self.span(key))
    }

    /// The body's member `key`, read as a string.
    pub fn get_string(&self, key: &str) -> Option<Cow<'_, str>> {
        self.get(key).and_then(view::string)
    }

    /// Where the value of `_meta`'s member `key` stands.
    pub fn meta_member_span(&self, key: &str) -> Span {
        view::find(self.text(), &self.meta_members, key).map_or(Span::NONE, |member| member.value)
    }

    /// The raw value of `_meta`'s member `key`.
    pub fn meta(&self, key: &str) -> Option<&str> {
        self.raw(self.meta_member_span(key))
    }

    fn raw(&self, span: Span) -> Option<&str> {
        (!span.is_none()).then(|| span.of(self.text()))
    }
}

impl Envelope {
    fn read(text: &str, depth: usize) -> Result<Envelope, Flaw> {
        let mut envelope = Envelope::default();
        let mut keys = Members::new();
        let mut scan = Scan::new(text, 0, depth);
        scan.space();
        scan.each_member(0, |scan, key| {
            let value = envelope.member(text, scan, key)?;
            remember(&mut keys, Member { key, value })
        })?;
        scan.refuse_duplicates(&keys)?;
        scan.end()?;
        Ok(envelope)
    }

    fn member(&mut self, text: &str, scan: &mut Scan<'_>, key: Span) -> Result<Span, Flaw> {
        let name = view::string(key.of(text)).unwrap_or(Cow::Borrowed(""));
        if !matches!(&*name, "params" | "result" | "error") {
            let span = scan.value(1)?;
            match &*name {
                "jsonrpc" => self.jsonrpc = span,
                "id" => self.id = span,
                "method" => self.method = span,
                _ => {}
            }
            return Ok(span);
        }
        scan.space();
        let span = if scan.peek() == Some(b'{') { self.body(text, scan)? } else { scan.value(1)? };
        match &*name {
            "params" => self.params = span,
            "result" => self.result = span,
            _ => self.error = span,
        }
        Ok(span)
    }

    fn body(&mut self, text: &str, scan: &mut Scan<'_>) -> Result<Span, Flaw> {
        let start = scan.pos();
        let (mut members, mut meta, mut meta_members) = (Members::new(), Span::NONE, Members::new());
        scan.each_member(1, |scan, key| {
            scan.space();
            let value = if scan.peek() == Some(b'{') && view::is_key(key.of(text), "_meta") {
                let start = scan.pos();
                meta_members = scan.members(2)?;
                meta = Span::new(start, scan.pos());
                meta
            } else {
                scan.value(2)?
            };
            remember(&mut members, Member { key, value })
        })?;
        scan.refuse_duplicates(&members)?;
        (self.members, self.meta, self.meta_members) = (members, meta, meta_members);
        Ok(Span::new(start, scan.pos()))
    }

    /// The kind of message, or the JSON-RPC code and the reason why it is none.
    fn kind(&self, text: &str) -> Result<Kind, (i64, &'static str)> {
        let invalid = |reason| Err((code::INVALID_REQUEST, reason));
        if self.jsonrpc.of(text) != "\"2.0\"" {
            return invalid("`jsonrpc` is not \"2.0\"");
        }
        if !self.method.is_none() {
            return self.call_kind(text);
        }
        if self.id.is_none() {
            return invalid("neither a method nor an id");
        }
        match (self.result.is_none(), self.error.is_none()) {
            (true, true) => invalid("neither a method, a result nor an error"),
            (false, false) => invalid("both a result and an error"),
            (false, true) if !self.result.of(text).starts_with('{') => invalid("`result` is not an object"),
            (false, true) if !is_id(self.id.of(text)) => invalid("`id` is neither a string nor a number"),
            (false, true) => Ok(Kind::Result),
            (true, false) => self.error_kind(text),
        }
    }

    fn call_kind(&self, text: &str) -> Result<Kind, (i64, &'static str)> {
        if view::string(self.method.of(text)).is_none() {
            return Err((code::INVALID_REQUEST, "`method` is not a string"));
        }
        if !self.result.is_none() || !self.error.is_none() {
            return Err((code::INVALID_REQUEST, "a method together with a result or an error"));
        }
        if !self.id.is_none() && !is_id(self.id.of(text)) {
            return Err((code::INVALID_REQUEST, "`id` is neither a string nor a number"));
        }
        if !self.params.is_none() && !self.params.of(text).starts_with('{') {
            return Err((code::INVALID_PARAMS, "`params` is not an object"));
        }
        if self.meta.is_none() && view::find(text, &self.members, "_meta").is_some() {
            return Err((code::INVALID_PARAMS, "`_meta` is not an object"));
        }
        Ok(if self.id.is_none() { Kind::Notification } else { Kind::Request })
    }

    fn error_kind(&self, text: &str) -> Result<Kind, (i64, &'static str)> {
        let integer = |raw: &str| raw.strip_prefix('-').unwrap_or(raw).bytes().all(|b| b.is_ascii_digit());
        let code = view::find(text, &self.members, "code").map(|m| m.value.of(text));
        let message = view::find(text, &self.members, "message").map(|m| m.value.of(text));
        if !code.is_some_and(integer) || !message.is_some_and(|raw| raw.starts_with('"')) {
            return Err((code::INVALID_REQUEST, "`error` lacks a whole `code` or a text `message`"));
        }
        Ok(Kind::Error)
    }

    fn into_frame(self, kind: Kind, json: Bytes) -> Frame {
        let body = match kind {
            Kind::Request | Kind::Notification => self.params,
            Kind::Result => self.result,
            Kind::Error => self.error,
        };
        let Envelope { id, method, members, meta, meta_members, .. } = self;
        Frame { json, kind, id, method, body, members, meta, meta_members }
    }

    fn refused(&self, text: &str, code: i64, reason: &str) -> BadFrame {
        let id = (!self.id.is_none()).then(|| self.id.of(text)).filter(|raw| is_id(raw));
        let answers = self.method.is_none() && (!self.result.is_none() || !self.error.is_none());
        BadFrame { code, reason: reason.to_owned(), id: id.map(str::to_owned), answers }
    }
}

/// Whether a raw token can be a request id: a string or a number (JSON-RPC 2.0, 4; MCP: never null).
pub(crate) fn is_id(raw: &str) -> bool {
    matches!(raw.as_bytes().first(), Some(b'"' | b'-' | b'0'..=b'9'))
}

fn without_mark(json: Bytes) -> Bytes {
    if json.starts_with(b"\xEF\xBB\xBF") { json.slice(3..) } else { json }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Frame, BadFrame> {
        Frame::parse(Bytes::copy_from_slice(text.as_bytes()), &Limits::default())
    }

    #[test]
    fn a_request_gives_up_its_parts() {
        let frame = parse(r#" {"jsonrpc":"2.0","id":"7","x-vendor":1,"method":"tools/call","params":{"name":"a\u0062","arguments":{"n":1.10},"_meta":{"progressToken":0,"v/k":[]}}}"#).expect("a frame");
        assert_eq!(frame.kind(), Kind::Request);
        assert_eq!(frame.id(), Some("\"7\""));
        assert_eq!(frame.method(), "tools/call");
        assert_eq!(frame.get_string("name").as_deref(), Some("ab"));
        assert_eq!(frame.get("arguments"), Some(r#"{"n":1.10}"#));
        assert_eq!(frame.meta("progressToken"), Some("0"));
        assert_eq!(frame.meta("v/k"), Some("[]"));
        assert_eq!(frame.get("absent"), None);
    }

    #[test]
    fn kinds_are_told_apart() {
        let kind = |text: &str| parse(text).map(|frame| frame.kind());
        assert_eq!(kind(r#"{"jsonrpc":"2.0","method":"ping","id":1}"#), Ok(Kind::Request));
        assert_eq!(kind(r#"{"jsonrpc":"2.0","method":"a"}"#), Ok(Kind::Notification));
        assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), Ok(Kind::Result));
        assert_eq!(kind(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"x"}}"#), Ok(Kind::Error));
    }

    /// The code, whether it answers, and the id that could be saved.
    fn check_bad(text: &str, code: i64, id: Option<&str>, answers: bool) {
        let bad = parse(text).expect_err(text);
        assert_eq!((bad.code, bad.id.as_deref(), bad.answers), (code, id, answers), "{text}: {}", bad.reason);
    }

    #[test]
    fn what_is_not_a_message_is_refused_with_the_id_it_had() {
        check_bad("garbage", code::PARSE, None, false);
        check_bad(r#"{"jsonrpc":"2.0","id":5,"method":"x","params":{"a":tru}}"#, code::PARSE, Some("5"), false);
        check_bad(r#"{"jsonrpc":"2.0","id":5,"result":{"a":"#, code::PARSE, Some("5"), true);
        check_bad(r#"{"jsonrpc":"1.0","id":5,"method":"x"}"#, code::INVALID_REQUEST, Some("5"), false);
        check_bad(r#"{"id":5,"method":"x"}"#, code::INVALID_REQUEST, Some("5"), false);
        check_bad(r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#, code::INVALID_REQUEST, None, false);
        check_bad(r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[1]}"#, code::INVALID_PARAMS, Some("1"), false);
        check_bad(
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":3}}"#,
            code::INVALID_PARAMS,
            Some("1"),
            false,
        );
        check_bad(
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#,
            code::INVALID_REQUEST,
            Some("1"),
            true,
        );
        check_bad(r#"{"jsonrpc":"2.0","id":1,"result":[]}"#, code::INVALID_REQUEST, Some("1"), true);
        check_bad(r#"{"jsonrpc":"2.0","id":1}"#, code::INVALID_REQUEST, Some("1"), false);
        check_bad(
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":""}}"#,
            code::INVALID_REQUEST,
            Some("1"),
            true,
        );
        check_bad(
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"name":"a","n\u0061me":"b"}}"#,
            code::INVALID_REQUEST,
            Some("1"),
            false,
        );
        check_bad(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}"#, code::INVALID_REQUEST, Some("2"), false);
        check_bad(r#"{"jsonrpc":"2.0","id":1,"method":"x"} {}"#, code::PARSE, Some("1"), false);
        check_bad(r#"[1]"#, code::INVALID_REQUEST, None, false);
    }

    #[test]
    fn a_batch_fails_element_by_element() {
        let batch = Bytes::from_static(br#"[{"jsonrpc":"2.0","method":"a"},{"id":3,"method":"x"}]"#);
        let Ok(Incoming::Batch(frames)) = Frame::parse_any(batch, &Limits::default()) else { panic!("a batch") };
        assert!(frames[0].is_ok());
        assert_eq!(frames[1].as_ref().expect_err("no jsonrpc").id.as_deref(), Some("3"));
        assert!(Frame::parse_any(Bytes::from_static(b"[]"), &Limits::default()).is_err());
        let many = format!("[{}1]", "1,".repeat(MOST_IN_BATCH));
        assert!(Frame::parse_any(many.into(), &Limits::default()).is_err(), "too many to remember");
    }
}
