//! How a message changes on its way: not at all, or parsed and rewritten.

use std::collections::HashMap;

use bench::rpc;
use bench::scan;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What joins an answer to its request, on the upstream side.
pub type Key = Vec<u8>;

#[derive(Deserialize, Serialize)]
struct Message<'a> {
    jsonrpc: &'a str,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    params: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize, Serialize)]
struct Params<'a> {
    name: &'a str,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a RawValue>,
    #[serde(rename = "_meta", borrow, skip_serializing_if = "Option::is_none")]
    meta: Option<&'a RawValue>,
}

/// A request on its way up: what to send, and the key its answer will carry (none for a notification).
pub struct Outgoing {
    pub line: Vec<u8>,
    pub key: Option<Key>,
}

/// The two kinds of hop.
pub enum Hop {
    Forward,
    Rewrite { next: u64, ids: HashMap<Key, Vec<u8>> },
}

impl Hop {
    pub fn new(rewrite: bool) -> Self {
        if rewrite { Hop::Rewrite { next: 0, ids: HashMap::new() } } else { Hop::Forward }
    }

    /// `None` when the request cannot be read.
    pub fn outgoing(&mut self, message: &[u8]) -> Option<Outgoing> {
        match self {
            Hop::Forward => {
                let mut line = message.to_vec();
                line.push(b'\n');
                Some(Outgoing { line, key: rpc::leading_id(message).map(<[u8]>::to_vec) })
            }
            Hop::Rewrite { next, ids } => rewrite_request(message, next, ids),
        }
    }

    /// The key of the request `line` belongs to, and the line as the client shall see it.
    pub fn incoming(&mut self, line: &[u8]) -> Option<(Key, Vec<u8>)> {
        match self {
            Hop::Forward => {
                let key = rpc::leading_id(line).or_else(|| progress_token(line))?;
                Some((key.to_vec(), line.to_vec()))
            }
            Hop::Rewrite { ids, .. } => rewrite_answer(line, ids),
        }
    }
}

/// The token of a progress notification, which by this bench's habit is its request's id.
fn progress_token(line: &[u8]) -> Option<&[u8]> {
    scan::at(line, &["params", "progressToken"])
}

fn rewrite_request(message: &[u8], next: &mut u64, ids: &mut HashMap<Key, Vec<u8>>) -> Option<Outgoing> {
    let mut request: Message<'_> = serde_json::from_slice(message).ok()?;
    let original = request.id.map(|id| id.get().as_bytes().to_vec());
    let own = RawValue::from_string(next.to_string()).ok()?;
    let key = own.get().as_bytes().to_vec();
    let params = match request.method {
        Some("tools/call") => Some(strip_prefix(request.params?)?),
        _ => None,
    };
    request.params = params.as_deref().or(request.params);
    request.id = request.id.map(|_| &*own);
    let mut line = serde_json::to_vec(&request).ok()?;
    line.push(b'\n');
    let key = original.map(|original| {
        *next += 1;
        ids.insert(key.clone(), original);
        key
    });
    Some(Outgoing { line, key })
}

fn strip_prefix(params: &RawValue) -> Option<Box<RawValue>> {
    let mut params: Params<'_> = serde_json::from_str(params.get()).ok()?;
    params.name = params.name.split_once("__").map_or(params.name, |(_, name)| name);
    serde_json::value::to_raw_value(&params).ok()
}

fn rewrite_answer(line: &[u8], ids: &mut HashMap<Key, Vec<u8>>) -> Option<(Key, Vec<u8>)> {
    let mut answer: Message<'_> = serde_json::from_slice(line).ok()?;
    let key = answer.id?.get().as_bytes().to_vec();
    let original = ids.remove(&key)?;
    let id = RawValue::from_string(String::from_utf8(original).ok()?).ok()?;
    answer.id = Some(&id);
    Some((key, serde_json::to_vec(&answer).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench::rpc::Era;

    #[test]
    fn a_rewriting_hop_uses_its_own_ids_and_gives_the_first_back() {
        let mut hop = Hop::new(true);
        let call = rpc::call(Era::Legacy, 41, "s0__echo", r#"{"text":"x"}"#, false);
        let out = hop.outgoing(call.as_bytes()).expect("a call is read");
        let line = String::from_utf8(out.line).expect("UTF-8");
        assert!(line.starts_with(r#"{"jsonrpc":"2.0","id":0,"#) && line.contains(r#""name":"echo""#), "{line}");
        let (key, answer) = hop.incoming(br#"{"jsonrpc":"2.0","id":0,"result":{"a":1.10}}"#).expect("known");
        assert_eq!(Some(key), out.key);
        assert_eq!(answer, br#"{"jsonrpc":"2.0","id":41,"result":{"a":1.10}}"#);
        assert!(hop.incoming(b"{broken").is_none());
    }

    #[test]
    fn a_forwarding_hop_changes_nothing_and_finds_the_key() {
        let mut hop = Hop::new(false);
        let call = rpc::call(Era::Legacy, 41, "echo", "{}", false);
        let out = hop.outgoing(call.as_bytes()).expect("always forwarded");
        assert_eq!(out.key.as_deref(), Some(&b"41"[..]));
        assert_eq!(out.line.strip_suffix(b"\n"), Some(call.as_bytes()));
        let note = br#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":41,"progress":1}}"#;
        assert_eq!(hop.incoming(note).map(|(key, _)| key), Some(b"41".to_vec()));
    }
}
