//! The published shape of what the ledger holds: one JSON object per event.

use super::End;
use crate::catalog::Item;
use crate::policy::Grant;
use crate::refusal::Refusal;
use crate::words::{Call, CallId, ServerName};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::io::Write;

/// The longest text of others that an event holds, in bytes. All of them together, however they are escaped,
/// stay far below what the ledger takes as one line, so that no caller can talk its way out of being recorded.
const MOST_TEXT: usize = 512;

/// `text`, or its beginning with its length and digest, which still name it.
fn bounded(text: &str) -> Cow<'_, str> {
    if text.len() <= MOST_TEXT {
        return text.into();
    }
    let mark = format!("… ({} bytes, sha256 {})", text.len(), hex(&Sha256::digest(text)));
    let head = &text[..text.floor_char_boundary(MOST_TEXT - mark.len())];
    format!("{head}{mark}").into()
}

/// `bytes` in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)].into());
        text.push(DIGITS[usize::from(byte & 15)].into());
    }
    text
}

/// An event being written. By hand, because one is written twice in every call: the member order is fixed,
/// `event` and `id` come first, and the ledger relies on it.
struct Event(Vec<u8>);

impl Event {
    fn new(event: &str, id: CallId, ts: u64) -> Self {
        let mut json = Vec::with_capacity(512);
        write!(json, "{{\"event\":\"{event}\",\"id\":\"{}\",\"ts\":{ts}", id.0.as_hyphenated()).expect(ROOM);
        Self(json)
    }

    fn text(mut self, key: &str, text: &str) -> Self {
        self.key(key);
        serde_json::to_writer(&mut self.0, text).expect(ROOM);
        self
    }

    fn text_if(self, key: &str, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(key, &bounded(text)),
            None => self,
        }
    }

    fn number(mut self, key: &str, number: u64) -> Self {
        self.key(key);
        write!(self.0, "{number}").expect(ROOM);
        self
    }

    fn number_if(self, key: &str, number: u64, when: bool) -> Self {
        if when { self.number(key, number) } else { self }
    }

    fn flag(mut self, key: &str, set: bool) -> Self {
        if set {
            self.key(key);
            self.0.extend_from_slice(b"true");
        }
        self
    }

    /// Keys are ours and need no escapes.
    fn key(&mut self, key: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    /// What was called, as every event about a call tells it.
    fn subject(self, call: &Call, item: Option<&Item>) -> Self {
        let args = call.wire.part(call.wire.parts.arguments);
        let trace = &call.trace;
        self.text("by", call.by.word())
            .text("target", call.target.word())
            .text("asked", &bounded(call.target.asked()))
            .text_if("server", item.map(|item| item.server.as_str()))
            .text_if("name", item.map(|item| &*item.raw))
            .text("args_sha256", &hex(&Sha256::digest(args)))
            .number("args_bytes", args.len() as u64)
            .text_if("client", trace.client.as_deref())
            .text_if("session", trace.session.as_deref())
            .text_if("thread", trace.thread.as_deref())
            .text_if("parent_thread", trace.parent_thread.as_deref())
            .text_if("turn", trace.turn.as_deref())
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

const ROOM: &str = "a vector takes everything";

/// A call is about to be made.
pub(super) fn attempt(call: &Call, item: &Item, grant: &Grant, policy: &str, ts: u64) -> Vec<u8> {
    let event = Event::new("attempt", call.id, ts).subject(call, Some(item));
    event.text("decision", "allow").text("rule", &grant.rule().0).text("policy", policy).finish()
}

/// A call was refused.
pub(super) fn refusal(call: &Call, item: Option<&Item>, refusal: &Refusal, ts: u64) -> Vec<u8> {
    let rule = match refusal {
        Refusal::Denied(denial) => Some(&*denial.rule.0),
        Refusal::Unapproved(question) => Some(&*question.rule.0),
        Refusal::Unknown { .. } | Refusal::Ambiguous { .. } | Refusal::Busy { .. } | Refusal::NoRecord(_) => None,
    };
    let event = Event::new("refusal", call.id, ts).subject(call, item).text("decision", "deny");
    event.text("code", refusal.code().as_str()).text_if("rule", rule).finish()
}

/// A server is about to be started.
pub(super) fn start(id: CallId, server: &ServerName, rule: &str, policy: &str, ts: u64) -> Vec<u8> {
    let event = Event::new("start", id, ts).text("server", server.as_str()).text("decision", "allow");
    event.text("rule", rule).text("policy", policy).finish()
}

/// A call has ended.
pub(super) fn end(id: CallId, end: End, took_us: u64, ts: u64) -> Vec<u8> {
    let event = Event::new("end", id, ts);
    let event = match end {
        End::Finished { tool_error, rpc_error, bytes, masked } => event
            .text("end", "finished")
            .number("took_us", took_us)
            .number("bytes", bytes as u64)
            .flag("tool_error", tool_error)
            .flag("rpc_error", rpc_error)
            .number_if("masked", masked.into(), masked > 0),
        End::Failed(code) => event.text("end", "failed").number("took_us", took_us).text("code", code.as_str()),
        End::Abandoned => event.text("end", "abandoned").number("took_us", took_us),
    };
    event.finish()
}
