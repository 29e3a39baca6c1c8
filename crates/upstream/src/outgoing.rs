//! A caller's request as it goes to the server: the caller's bytes, with what this hop owns replaced.

use gate::Place;
use gate::Wire;
use mcp::revision::{Revision, meta};
use mcp::splice::{Change, Splice, edit_object};
use mcp::{Span, view};
use std::borrow::Cow;

/// What this hop puts into a request.
pub(crate) struct Hop<'a> {
    /// Our id for it.
    pub id: u64,
    /// The server's own name for what is called, where the caller's may differ.
    pub subject: Option<&'a str>,
    /// Whether progress is asked for, under our id as token.
    pub progress: bool,
    /// What a self-describing request says, to a server of the stateless era.
    pub modern: Option<Introduction<'a>>,
}

/// What each request says to a server of the stateless era. All raw JSON.
pub(crate) struct Introduction<'a> {
    pub client_info: &'a str,
    pub capabilities: &'a str,
    /// The log level, unless the caller's request names one.
    pub log_level: Option<&'a str>,
}

/// Why a request cannot be sent on. A caller's request that got here has all it needs, so this is a defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request has no {0}")]
pub(crate) struct Incomplete(&'static str);

/// The request for the server. Bytes outside the id, the subject and `_meta`'s hop keys stay as they are.
pub(crate) fn request(wire: &Wire, hop: &Hop<'_>) -> Result<Vec<u8>, Incomplete> {
    let json = std::str::from_utf8(&wire.json).map_err(|_| Incomplete("UTF-8"))?;
    let parts = &wire.parts;
    if parts.id.is_none() {
        return Err(Incomplete("id"));
    }
    let mut id = itoa::Buffer::new();
    let id: &str = id.format(hop.id);
    let mut splice = Splice::new(&wire.json);
    if let Some(subject) = hop.subject {
        rename(&mut splice, json, parts.subject, subject)?;
    }
    let level = (!parts.meta.is_none()).then(|| view::member(&json[parts.meta.range()], meta::LOG_LEVEL)).flatten();
    let added = added(hop, id, level);
    place_meta(&mut splice, json, wire, &added)?;
    splice.replace(span(parts.id), id.as_bytes());
    Ok(splice.finish())
}

fn span(place: Place) -> Span {
    Span { start: place.start, end: place.end }
}

fn rename<'a>(splice: &mut Splice<'a>, json: &str, at: Place, name: &str) -> Result<(), Incomplete> {
    if at.is_none() {
        return Err(Incomplete("name"));
    }
    let quoted = view::quoted(name);
    if json[at.range()] != quoted {
        splice.replace(span(at), quoted.into_bytes());
    }
    Ok(())
}

type Added<'a> = smallvec::SmallVec<[(&'static str, Cow<'a, str>); 5]>;

fn added<'a>(hop: &Hop<'a>, id: &'a str, level: Option<&'a str>) -> Added<'a> {
    let mut added = Added::new();
    if let Some(modern) = &hop.modern {
        added.push((meta::PROTOCOL_VERSION, view::quoted(Revision::MODERN.as_str()).into()));
        added.push((meta::CLIENT_INFO, modern.client_info.into()));
        added.push((meta::CLIENT_CAPABILITIES, modern.capabilities.into()));
        if let Some(level) = level.or(modern.log_level) {
            added.push((meta::LOG_LEVEL, level.into()));
        }
    }
    if hop.progress {
        added.push((meta::PROGRESS_TOKEN, id.into()));
    }
    added
}

/// Drops the hop keys of `_meta` and adds ours, making the object if there is none.
fn place_meta(splice: &mut Splice<'_>, json: &str, wire: &Wire, added: &Added<'_>) -> Result<(), Incomplete> {
    let added: smallvec::SmallVec<[(&str, &str); 5]> = added.iter().map(|(key, value)| (*key, &**value)).collect();
    let (at, body) = (wire.parts.meta, wire.parts.body);
    if !at.is_none() {
        let object = &json[at.range()];
        let members = view::members(object).map_err(|_| Incomplete("readable `_meta`"))?;
        let owned = members.iter().any(|m| view::string(m.key.of(object)).is_some_and(|key| meta::is_hop_key(&key)));
        if owned || !added.is_empty() {
            let change = |key: &str| if meta::is_hop_key(key) { Change::Remove } else { Change::Keep };
            splice.replace(
                span(at),
                edit_object(object, Span::new(0, object.len()), &members, change, &added).into_bytes(),
            );
        }
        return Ok(());
    }
    if added.is_empty() {
        return Ok(());
    }
    let object = edit_object("{}", Span::new(0, 2), &[], |_| Change::Keep, &added);
    if body.is_none() {
        return Err(Incomplete("params"));
    }
    let inner = json[body.start as usize + 1..body.end as usize].trim_start();
    let comma = if inner.starts_with('}') { "" } else { "," };
    splice.insert(body.start + 1, format!("\"_meta\":{object}{comma}").into_bytes());
    Ok(())
}

/// A request of our own. `params` are raw members without braces, empty for none; `described` is the raw
/// `_meta` of a self-describing request.
pub(crate) fn own(id: u64, method: &str, params: &str, described: Option<&str>) -> String {
    let mut id_text = itoa::Buffer::new();
    let mut json = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":{}", id_text.format(id), view::quoted(method));
    if described.is_some() || !params.is_empty() {
        json.push_str(",\"params\":{");
        json.push_str(params);
        if let Some(meta) = described {
            json.push_str(if params.is_empty() { "\"_meta\":" } else { ",\"_meta\":" });
            json.push_str(meta);
        }
        json.push('}');
    }
    json.push('}');
    json
}

/// The `_meta` of our own requests to a server of the stateless era.
pub(crate) fn introduce(introduction: &Introduction<'_>) -> String {
    let hop = Hop { id: 0, subject: None, progress: false, modern: Some(Introduction { ..*introduction }) };
    let added = added(&hop, "", None);
    let added: Vec<(&str, &str)> = added.iter().map(|(key, value)| (*key, &**value)).collect();
    edit_object("{}", Span::new(0, 2), &[], |_| Change::Keep, &added)
}

/// A notification. `params` are raw members without braces.
pub(crate) fn notification(method: &str, params: &str) -> String {
    let params = if params.is_empty() { String::new() } else { format!(",\"params\":{{{params}}}") };
    format!("{{\"jsonrpc\":\"2.0\",\"method\":{}{params}}}", view::quoted(method))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use gate::Parts;
    use mcp::{Frame, Limits};

    fn wire(json: &str) -> Wire {
        let frame = Frame::parse(Bytes::copy_from_slice(json.as_bytes()), &Limits::default()).expect("a frame");
        let place = |span: Span| Place { start: span.start, end: span.end };
        let parts = Parts {
            id: place(frame.id_span()),
            body: place(frame.body_span()),
            subject: place(frame.span("name")),
            arguments: place(frame.span("arguments")),
            meta: place(frame.meta_span()),
        };
        Wire { json: frame.json().clone(), parts }
    }

    fn check(json: &str, progress: bool, modern: bool, want: &str) {
        let introduction =
            modern.then_some(Introduction { client_info: r#"{"name":"t"}"#, capabilities: "{}", log_level: None });
        let hop = Hop { id: 42, subject: Some("echo"), progress, modern: introduction };
        let sent = request(&wire(json), &hop).expect("complete");
        assert_eq!(String::from_utf8(sent).expect("text"), want);
    }

    #[test]
    fn only_what_this_hop_owns_changes() {
        check(
            r#"{"jsonrpc":"2.0", "id":"a", "x":1.10,"method":"tools/call","params":{"name":"s__echo","arguments":{"b":"\ud800", "a":-0.0}}}"#,
            false,
            false,
            r#"{"jsonrpc":"2.0", "id":42, "x":1.10,"method":"tools/call","params":{"name":"echo","arguments":{"b":"\ud800", "a":-0.0}}}"#,
        );
        check(
            r#"{"params":{"_meta":{"v/k":[ 1 ],"progressToken":"p","io.modelcontextprotocol/logLevel":"info"},"name":"echo"},"method":"tools/call","id":1,"jsonrpc":"2.0"}"#,
            true,
            false,
            r#"{"params":{"_meta":{"v/k":[ 1 ],"progressToken":42},"name":"echo"},"method":"tools/call","id":42,"jsonrpc":"2.0"}"#,
        );
        check(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{ "name":"e"}}"#,
            true,
            false,
            r#"{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{"_meta":{"progressToken":42}, "name":"echo"}}"#,
        );
    }

    #[test]
    fn a_request_to_a_stateless_server_describes_itself() {
        check(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"e","_meta":{"io.modelcontextprotocol/logLevel":"info","k":1}}}"#,
            false,
            true,
            r#"{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{"name":"echo","_meta":{"k":1,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t"},"io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/logLevel":"info"}}}"#,
        );
    }

    #[test]
    fn own_messages_are_well_formed() {
        assert_eq!(own(1, "ping", "", None), r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
        assert_eq!(
            own(1, "a", "\"b\":1", Some("{}")),
            r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"b":1,"_meta":{}}}"#
        );
        assert_eq!(own(1, "a", "", Some("{}")), r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":{}}}"#);
        assert_eq!(notification("n", "\"r\":1"), r#"{"jsonrpc":"2.0","method":"n","params":{"r":1}}"#);
    }
}
