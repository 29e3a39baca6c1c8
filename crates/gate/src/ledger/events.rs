//! The published shape of what the ledger holds: one JSON object per event.

use super::End;
use crate::catalog::Item;
use crate::policy::Grant;
use crate::refusal::Refusal;
use crate::words::{Call, CallId, ServerName, Trace};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

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
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)] as char, DIGITS[usize::from(b & 15)] as char]).collect()
}

/// What was called, as every event about a call tells it.
#[derive(Serialize)]
struct Subject<'a> {
    id: CallId,
    ts: u64,
    by: &'a crate::words::Principal,
    target: &'static str,
    asked: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    args_sha256: String,
    args_bytes: usize,
    #[serde(flatten)]
    trace: Traced<'a>,
}

/// A [`Trace`] as it is written down.
#[derive(Serialize)]
struct Traced<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_thread: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn: Option<Cow<'a, str>>,
}

impl<'a> Traced<'a> {
    fn new(trace: &'a Trace) -> Self {
        Self {
            client: trace.client.as_deref().map(bounded),
            session: trace.session.as_deref().map(bounded),
            thread: trace.thread.as_deref().map(bounded),
            parent_thread: trace.parent_thread.as_deref().map(bounded),
            turn: trace.turn.as_deref().map(bounded),
        }
    }
}

impl<'a> Subject<'a> {
    fn new(call: &'a Call, item: Option<&'a Item>, ts: u64) -> Self {
        let args = call.wire.part(call.wire.parts.arguments);
        Self {
            id: call.id,
            ts,
            by: &call.by,
            target: call.target.word(),
            asked: bounded(call.target.asked()),
            server: item.map(|item| item.server.as_str()),
            name: item.map(|item| bounded(&item.raw)),
            args_sha256: hex(&Sha256::digest(args)),
            args_bytes: args.len(),
            trace: Traced::new(&call.trace),
        }
    }
}

#[derive(Serialize)]
pub(super) struct AttemptEvent<'a> {
    event: &'static str,
    #[serde(flatten)]
    subject: Subject<'a>,
    decision: &'static str,
    rule: &'a str,
    policy: &'a str,
}

impl<'a> AttemptEvent<'a> {
    pub fn new(call: &'a Call, item: &'a Item, grant: &'a Grant, policy: &'a str, ts: u64) -> Self {
        let subject = Subject::new(call, Some(item), ts);
        Self { event: "attempt", subject, decision: "allow", rule: &grant.rule().0, policy }
    }

    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }
}

#[derive(Serialize)]
pub(super) struct RefusalEvent<'a> {
    event: &'static str,
    #[serde(flatten)]
    subject: Subject<'a>,
    decision: &'static str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
}

impl<'a> RefusalEvent<'a> {
    pub fn new(call: &'a Call, item: Option<&'a Item>, refusal: &'a Refusal, ts: u64) -> Self {
        let rule = match refusal {
            Refusal::Denied(denial) => Some(&*denial.rule.0),
            Refusal::Unapproved(question) => Some(&*question.rule.0),
            Refusal::Unknown { .. } | Refusal::Ambiguous { .. } | Refusal::Busy { .. } | Refusal::NoRecord(_) => None,
        };
        let code = refusal.code().as_str();
        Self { event: "refusal", subject: Subject::new(call, item, ts), decision: "deny", code, rule }
    }

    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }
}

#[derive(Serialize)]
pub(super) struct StartEvent<'a> {
    event: &'static str,
    id: CallId,
    ts: u64,
    server: &'a str,
    decision: &'static str,
    rule: &'a str,
    policy: &'a str,
}

impl<'a> StartEvent<'a> {
    pub fn new(id: CallId, server: &'a ServerName, rule: &'a str, policy: &'a str, ts: u64) -> Self {
        Self { event: "start", id, ts, server: server.as_str(), decision: "allow", rule, policy }
    }

    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }
}

#[derive(Serialize, Default)]
pub(super) struct EndEvent {
    event: &'static str,
    id: Option<CallId>,
    ts: u64,
    end: &'static str,
    took_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    #[serde(skip_serializing_if = "is_false")]
    tool_error: bool,
    #[serde(skip_serializing_if = "is_false")]
    rpc_error: bool,
    #[serde(skip_serializing_if = "is_zero")]
    masked: u32,
}

impl EndEvent {
    pub fn new(id: CallId, end: End, took_us: u64, ts: u64) -> Self {
        let base = Self { event: "end", id: Some(id), ts, took_us, ..Self::default() };
        match end {
            End::Finished { tool_error, rpc_error, bytes, masked } => {
                Self { end: "finished", bytes: Some(bytes), tool_error, rpc_error, masked, ..base }
            }
            End::Failed(code) => Self { end: "failed", code: Some(code.as_str()), ..base },
            End::Abandoned => Self { end: "abandoned", ..base },
        }
    }

    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

fn to_json(event: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(event).expect("events hold only strings and numbers")
}
