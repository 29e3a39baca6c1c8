//! The published shape of what the ledger holds: one JSON object per event.

use super::{Arguments, End, Ending, KeepArguments, Phase};
use crate::approval::{Approval, ApprovalState, Leave, StandingGrant};
use crate::catalog::Item;
use crate::mask::Counts;
use crate::refusal::Refusal;
use crate::words::{Call, CallId, ServerName};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::io::Write;

/// The longest text of others that an event holds, in bytes. All of them together, however they are escaped,
/// stay far below what the ledger takes as one line, so that no caller can talk its way out of being recorded.
const MOST_TEXT: usize = 512;

/// The longest masked copy of arguments that an event holds, in bytes.
const MOST_ARGUMENTS: usize = 4 << 10;

/// HMAC-SHA256, hex. `key` has taken its key in, which is half of the work.
fn keyed(key: &Hmac<Sha256>, bytes: &[u8]) -> String {
    hex(&key.clone().chain_update(bytes).finalize().into_bytes())
}

fn bounded(text: &str) -> Cow<'_, str> {
    bounded_to(text, MOST_TEXT)
}

/// `text`, or its beginning with its length and digest, which still name it.
fn bounded_to(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return text.into();
    }
    let mark = format!("… ({} bytes, sha256 {})", text.len(), hex(&Sha256::digest(text)));
    let head = &text[..text.floor_char_boundary(most - mark.len())];
    format!("{head}{mark}").into()
}

/// `bytes` in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    String::from_utf8(digits.collect()).expect("digits")
}

/// An event being written. By hand, because one is written twice in every call: the member order is fixed,
/// `event` and `id` come first, and the ledger relies on it.
pub(super) struct Event(Vec<u8>);

impl Event {
    fn new(event: &str, id: CallId, ts: u64) -> Self {
        let mut json = Vec::with_capacity(960);
        write!(json, "{{\"event\":\"{event}\",\"id\":\"{}\",\"ts\":{ts}", id.0.as_hyphenated()).expect(ROOM);
        Self(json)
    }

    /// Some members of one.
    pub(super) fn fragment() -> Self {
        Self(Vec::new())
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn text(mut self, key: &str, text: &str) -> Self {
        self.key(key);
        serde_json::to_writer(&mut self.0, text).expect(ROOM);
        self
    }

    pub(super) fn text_if(self, key: &str, text: Option<&str>) -> Self {
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

    /// The sum under `key`, and the classes beside it; nothing if there are none.
    fn counts(self, key: &str, counts: &Counts) -> Self {
        if counts.is_empty() {
            return self;
        }
        let mut event = self.number(key, counts.total().into());
        event.key("masked_classes");
        let mut open = b'{';
        for (class, times) in counts.iter() {
            event.0.push(std::mem::replace(&mut open, b','));
            serde_json::to_writer(&mut event.0, class).expect(ROOM);
            write!(event.0, ":{times}").expect(ROOM);
        }
        event.0.push(b'}');
        event
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
    fn subject(self, call: &Call, item: Option<&Item>, arguments: &Arguments) -> Self {
        let trace = &call.trace;
        let mut event = self.text("by", call.by.word()).text("target", call.target.word());
        arguments.names.append(call, item, &arguments.masks.load(), &mut event.0);
        event
            .arguments(call, arguments)
            .text_if("session", trace.session.as_deref())
            .text_if("thread", trace.thread.as_deref())
            .text_if("parent_thread", trace.parent_thread.as_deref())
            .text_if("turn", trace.turn.as_deref())
    }

    /// A digest that only the holder of the key can make, and a copy without what must not be seen.
    fn arguments(self, call: &Call, how: &Arguments) -> Self {
        let raw = call.wire.part(call.wire.parts.arguments);
        let event = self.number("args_bytes", raw.len() as u64);
        let event = match how.keep {
            KeepArguments::Nothing => return event,
            KeepArguments::Digest | KeepArguments::Masked => event.text("args_hmac", &keyed(&how.key, raw)),
        };
        match how.keep {
            KeepArguments::Masked if !raw.is_empty() => {
                event.text("args", &bounded_to(&how.masks.load().arguments(raw), MOST_ARGUMENTS))
            }
            _ => event,
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

const ROOM: &str = "a vector takes everything";

/// A call is about to be made.
pub(super) fn attempt(
    call: &Call,
    item: &Item,
    leave: &Leave,
    (policy, sandbox): (&str, Option<&str>),
    arguments: &Arguments,
    ts: u64,
) -> Vec<u8> {
    // Third, where the store looks for it without parsing the whole.
    let event = Event::new("attempt", call.id, ts).text("effect", leave.grant.class().word());
    let event = event.subject(call, Some(item), arguments);
    let event = event.text("decision", "allow").text("rule", &bounded(&leave.grant.rule().0)).text("policy", policy);
    let approval = leave.continuation.map(|continuation| continuation.approval.to_string());
    event.text_if("approval", approval.as_deref()).text_if("sandbox", sandbox).finish()
}

/// A call was refused.
pub(super) fn refusal(call: &Call, item: Option<&Item>, refusal: &Refusal, arguments: &Arguments, ts: u64) -> Vec<u8> {
    let rule = match refusal {
        Refusal::Denied(denial) => Some(&*denial.rule.0),
        Refusal::Unapproved(unapproved) => Some(&*unapproved.question.rule.0),
        Refusal::Pending(approval) => Some(&*approval.rule),
        Refusal::Unknown { .. }
        | Refusal::Ambiguous { .. }
        | Refusal::Quarantined { .. }
        | Refusal::BadArguments { .. }
        | Refusal::Busy { .. }
        | Refusal::Exhausted { .. }
        | Refusal::BadState
        | Refusal::NoDesk(_)
        | Refusal::NoRecord(_) => None,
    };
    let (decision, approval) = match refusal {
        Refusal::Pending(approval) => ("ask", Some(approval.id.to_string())),
        Refusal::Unapproved(unapproved) => ("ask", unapproved.approval.as_ref().map(|asked| asked.id.to_string())),
        _ => ("deny", None),
    };
    let event = Event::new("refusal", call.id, ts).subject(call, item, arguments).text("decision", decision);
    event
        .text("code", refusal.code().as_str())
        .text_if("rule", rule)
        .text_if("approval", approval.as_deref())
        .text_if("why", why(refusal).as_deref())
        .finish()
}

/// What of a refusal its code does not say.
fn why(refusal: &Refusal) -> Option<String> {
    match refusal {
        Refusal::Unapproved(unapproved) => Some(format!("{:?}", unapproved.why)),
        Refusal::Pending(_) => Some("Asked".to_owned()),
        _ => None,
    }
}

/// A question to a person was asked or answered, or nobody answered it.
pub(super) fn approval(id: CallId, approval: &Approval, phase: Phase, ts: u64) -> Vec<u8> {
    asked(id, approval, phase, ts).finish()
}

/// Leave was asked for an act within the call of this id; `shown`: with what it is.
pub(super) fn act(id: CallId, approval: &Approval, shown: bool, ts: u64) -> Vec<u8> {
    let event = asked(id, approval, Phase::Requested, ts);
    match shown {
        true => event.text("args", &bounded_to(&approval.arguments, MOST_ARGUMENTS)).finish(),
        false => event.finish(),
    }
}

fn asked(id: CallId, approval: &Approval, phase: Phase, ts: u64) -> Event {
    let event = Event::new("approval", id, ts)
        .text("approval", &approval.id.to_string())
        .text("phase", phase.word())
        .text("by", &approval.by)
        .text("server", approval.server.as_str())
        .text_if("name", Some(&approval.tool))
        .text_if("definition", Some(&approval.definition))
        .text("digest", &approval.digest.hex())
        .text_if("rule", Some(&approval.rule))
        .text_if("client", approval.client.as_deref())
        .number("expires", approval.expires);
    match &approval.state {
        ApprovalState::Approved(verdict) | ApprovalState::Denied(verdict) => {
            event.text_if("approver", Some(&verdict.approver)).text("way", verdict.way.word())
        }
        ApprovalState::Open | ApprovalState::Spent(_) | ApprovalState::Expired => event,
    }
}

/// A person gave leave that lasts.
pub(super) fn grant(grant: &StandingGrant, ts: u64) -> Vec<u8> {
    let event = Event::new("grant", CallId(grant.id), ts).text("phase", "given").text("by", &grant.by);
    let event = event.text("server", &grant.server).text_if("name", Some(&grant.tool)).number("until", grant.until);
    event.text_if("approver", Some(&grant.giver)).finish()
}

/// Something about a server that is no call.
pub(super) fn note(id: CallId, what: &str, server: &ServerName, text: &str, ts: u64) -> Vec<u8> {
    Event::new(what, id, ts).text("server", server.as_str()).text_if("text", Some(text)).finish()
}

/// A server is about to be started.
pub(super) fn start(id: CallId, server: &ServerName, rule: &str, policy: &str, ts: u64) -> Vec<u8> {
    let event = Event::new("start", id, ts).text("server", server.as_str()).text("decision", "allow");
    event.text("rule", rule).text("policy", policy).finish()
}

/// A call has ended.
pub(super) fn end(ending: Ending, ts: u64) -> Vec<u8> {
    let Ending { id, end, took_micros: took_us, sandbox } = ending;
    let event = Event::new("end", id, ts);
    let event = match end {
        End::Finished { tool_error, rpc_error, bytes, masked } => event
            .text("end", "finished")
            .number("took_us", took_us)
            .number("bytes", bytes as u64)
            .flag("tool_error", tool_error)
            .flag("rpc_error", rpc_error)
            .counts("masked", &masked),
        End::Failed(code) => event.text("end", "failed").number("took_us", took_us).text("code", code.as_str()),
        End::Abandoned => event.text("end", "abandoned").number("took_us", took_us),
    };
    event.text_if("sandbox", sandbox.as_deref()).finish()
}
