//! What goes out in place of a message that could not be masked.

use super::Counts;
use super::walk::{Kind, Walk};
use crate::words::{Parts, Place, Reply, ReplyKind, Wire};

/// What a person or a model reads instead.
pub(super) const WITHHELD: &str = "toolgate withheld this: masking it failed, so nothing of it was passed on";

/// JSON-RPC's code for an internal error.
const INTERNAL: i32 = -32603;

/// The same answer as an error, or the same request or notification without its content.
pub(super) fn reply(wire: Wire, kind: ReplyKind) -> Reply {
    let mut masked = Counts::default();
    masked.add("withheld", 1);
    let is_answer = !wire.parts.id.is_none() && method(&wire.json).is_none();
    let (wire, kind) = if is_answer { (error(&wire), ReplyKind::Error) } else { (emptied(&wire), kind) };
    Reply { wire, kind, tool_error: false, masked, item: None, continuation: None }
}

fn error(wire: &Wire) -> Wire {
    let mut json = br#"{"jsonrpc":"2.0","id":"#.to_vec();
    let id = pushed(&mut json, wire.part(wire.parts.id));
    json.extend_from_slice(br#","error":"#);
    let body = pushed(&mut json, format!(r#"{{"code":{INTERNAL},"message":"{WITHHELD}"}}"#).as_bytes());
    json.push(b'}');
    Wire { json: json.into(), parts: Parts { id, body, ..Parts::default() } }
}

/// A message that says nothing but its method and a note; one without a method is all note.
fn emptied(wire: &Wire) -> Wire {
    let note = format!(r#"{{"level":"error","data":"{WITHHELD}","message":"{WITHHELD}"}}"#);
    let Some(method) = method(&wire.json).filter(|_| !wire.parts.body.is_none()) else {
        return Wire { json: note.into(), parts: Parts::default() };
    };
    // Made anew: whatever else stood beside the body was not masked either.
    let mut json = br#"{"jsonrpc":"2.0""#.to_vec();
    let mut id = Place::default();
    if !wire.parts.id.is_none() {
        json.extend_from_slice(br#","id":"#);
        id = pushed(&mut json, wire.part(wire.parts.id));
    }
    json.extend_from_slice(br#","method":"#);
    json.extend_from_slice(method);
    json.extend_from_slice(br#","params":"#);
    let body = pushed(&mut json, note.as_bytes());
    json.push(b'}');
    Wire { json: json.into(), parts: Parts { id, body, ..Parts::default() } }
}

/// The method of a message, quoted.
fn method(json: &[u8]) -> Option<&[u8]> {
    let walk = Walk::new(json);
    let raw = |token: u32| walk.tokens.get(token as usize).map_or(&[][..], |token| &json[token.place.range()]);
    let outermost = |frame: u32| walk.frame(frame).is_some_and(|frame| frame.depth == 0 && !frame.is_array);
    let found = walk
        .tokens
        .iter()
        .find(|token| token.kind == Kind::Text && outermost(token.frame) && raw(token.key) == br#""method""#);
    found.map(|token| &json[token.place.range()])
}

fn pushed(json: &mut Vec<u8>, part: &[u8]) -> Place {
    let start = json.len() as u32;
    json.extend_from_slice(part);
    Place { start, end: json.len() as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(json: &str, part: &str) -> Place {
        let start = json.find(part).expect("there") as u32;
        Place { start, end: start + part.len() as u32 }
    }

    fn check(json: &str, id: &str, body: &str) -> (String, Reply) {
        let parts = Parts {
            id: if id.is_empty() { Place::default() } else { place(json, id) },
            body: if body.is_empty() { Place::default() } else { place(json, body) },
            ..Parts::default()
        };
        let reply = reply(Wire { json: json.to_owned().into(), parts }, ReplyKind::Result);
        let text = String::from_utf8(reply.wire.json.to_vec()).expect("text");
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
        assert!(text.contains(WITHHELD) && !text.contains("hunter2"), "{text}");
        assert_eq!(reply.masked.total(), 1);
        (text, reply)
    }

    #[test]
    fn an_answer_becomes_an_error() {
        let (_, reply) = check(r#"{"result":{"a":"hunter2"},"id":70}"#, "70", r#"{"a":"hunter2"}"#);
        assert_eq!(reply.kind, ReplyKind::Error);
        assert_eq!(reply.wire.part(reply.wire.parts.id), b"70");
        assert!(reply.wire.part(reply.wire.parts.body).starts_with(br#"{"code":-32603"#));
    }

    #[test]
    fn what_asks_or_tells_loses_its_content() {
        let (text, reply) =
            check(r#"{"more":"hunter2","params":{"a":"hunter2"},"method":"x","id":70}"#, "70", r#"{"a":"hunter2"}"#);
        assert!(text.starts_with(r#"{"jsonrpc":"2.0","id":70,"method":"x","params":{"level""#), "{text}");
        let (text, reply_of_none) =
            check(r#"{"method":"x","params":{"method":"hunter2"},"b":1}"#, "", r#"{"method":"hunter2"}"#);
        assert!(text.starts_with(r#"{"jsonrpc":"2.0","method":"x","params":{"level""#), "{text}");
        assert!(reply_of_none.wire.part(reply_of_none.wire.parts.body).starts_with(br#"{"level""#));
        assert_eq!((reply.kind, reply.wire.part(reply.wire.parts.id)), (ReplyKind::Result, &b"70"[..]));
        check(r#"{"a":"hunter2"}"#, "", "");
    }
}
