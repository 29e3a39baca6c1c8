//! What a caller says about itself and its conversation, read from where agents put it.

use gate::Trace;
use mcp::{Frame, view};
use std::borrow::Cow;
use std::sync::Arc;

/// The key under which Codex describes the turn a call belongs to: an object, or its text.
const CODEX_TURN: &str = "x-codex-turn-metadata";

/// The trace of one request of a client of this name.
pub(crate) fn of(frame: &Frame, client: Option<&Arc<str>>) -> Trace {
    let mut trace = Trace { client: client.cloned(), ..Trace::default() };
    if frame.meta_members().is_empty() {
        return trace;
    }
    let text = |key: &str| frame.meta(key).and_then(view::string).map(|text| text.into());
    trace.session = text("sessionId");
    trace.thread = text("threadId");
    if let Some(turn) = frame.meta(CODEX_TURN) {
        read_turn(&mut trace, turn);
    }
    trace
}

fn read_turn(trace: &mut Trace, raw: &str) {
    let object = if raw.starts_with('"') { view::string(raw) } else { Some(Cow::Borrowed(raw)) };
    let Some(object) = object else { return };
    let Ok(members) = view::members(&object) else { return };
    let text = |key: &str| {
        let member = view::find(&object, &members, key)?;
        view::string(member.value.of(&object)).map(Into::into)
    };
    trace.session = text("session_id").or(trace.session.take());
    trace.thread = text("thread_id").or(trace.thread.take());
    trace.parent_thread = text("parent_thread_id");
    trace.turn = text("turn_id");
}

/// The `name` of a raw `clientInfo`.
pub(crate) fn client_name(raw: &str) -> Option<Arc<str>> {
    view::member(raw, "name").and_then(view::string).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn check(meta: &str, want: [Option<&str>; 4]) {
        let json = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"_meta":{meta}}}}}"#);
        let frame = Frame::parse(Bytes::from(json), &mcp::Limits::default()).expect("a frame");
        let trace = of(&frame, None);
        let got = [&trace.session, &trace.thread, &trace.parent_thread, &trace.turn];
        assert_eq!(got.map(|field| field.as_deref()), want);
    }

    #[test]
    fn codex_says_which_turn_of_which_thread_calls() {
        check(r#"{"threadId":"t","sessionId":"s"}"#, [Some("s"), Some("t"), None, None]);
        let turn = r#"{"session_id":"s","thread_id":"t","parent_thread_id":"p","turn_id":"u"}"#;
        let all = [Some("s"), Some("t"), Some("p"), Some("u")];
        check(&format!(r#"{{"x-codex-turn-metadata":{turn}}}"#), all);
        check(&format!(r#"{{"x-codex-turn-metadata":{}}}"#, view::quoted(turn)), all);
        check(r#"{"x-codex-turn-metadata":7,"threadId":3}"#, [None; 4]);
    }
}
