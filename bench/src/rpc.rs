//! Writes the requests a client sends, in either era. The id always comes first, so that a hop which
//! reads nothing can still find it.

use std::fmt::Write as _;

/// The prefix of every message with an id that these programs write.
pub const ID_PREFIX: &[u8] = br#"{"jsonrpc":"2.0","id":"#;

/// The newest revision with a handshake.
pub const LEGACY: &str = "2025-11-25";
/// The revision without one.
pub const MODERN: &str = "2026-07-28";

/// Which of the two ways of speaking a request uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// `initialize` first.
    Legacy,
    /// Every request describes itself.
    Modern,
}

impl Era {
    /// The revision named in headers and `_meta`.
    pub fn revision(self) -> &'static str {
        match self {
            Era::Legacy => LEGACY,
            Era::Modern => MODERN,
        }
    }
}

/// A `tools/call` of `tool` with `arguments` (JSON), asking for progress when `progress`; the progress
/// token is the id.
pub fn call(era: Era, id: u64, tool: &str, arguments: &str, progress: bool) -> String {
    let mut params = format!(r#""name":"{tool}","arguments":{arguments}"#);
    let token = progress.then(|| format!(r#""progressToken":{id}"#));
    push_meta(&mut params, era, token);
    request(id, "tools/call", &params)
}

/// A `tools/list`, from `cursor` (a JSON string) on when given.
pub fn list(era: Era, id: u64, cursor: Option<&str>) -> String {
    let mut params = cursor.map_or(String::new(), |cursor| format!(r#""cursor":{cursor}"#));
    push_meta(&mut params, era, None);
    request(id, "tools/list", &params)
}

/// The first request of a conversation: `initialize`, or `server/discover`.
pub fn hello(era: Era, id: u64) -> String {
    match era {
        Era::Legacy => request(
            id,
            "initialize",
            &format!(
                r#""protocolVersion":"{LEGACY}","capabilities":{{}},"clientInfo":{{"name":"bench","version":"1"}}"#
            ),
        ),
        Era::Modern => {
            let mut params = String::new();
            push_meta(&mut params, era, None);
            request(id, "server/discover", &params)
        }
    }
}

/// The notification that ends a legacy handshake.
pub const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// The id token of a message which begins with [`ID_PREFIX`].
pub fn leading_id(message: &[u8]) -> Option<&[u8]> {
    let rest = message.strip_prefix(ID_PREFIX)?;
    let end = rest.iter().position(|b| matches!(b, b',' | b'}'))?;
    Some(&rest[..end])
}

fn request(id: u64, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#)
}

fn push_meta(params: &mut String, era: Era, token: Option<String>) {
    let modern = (era == Era::Modern).then(|| {
        format!(
            r#""io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientInfo":{{"name":"bench","version":"1"}},"io.modelcontextprotocol/clientCapabilities":{{}}"#
        )
    });
    let members: Vec<String> = token.into_iter().chain(modern).collect();
    if members.is_empty() {
        return;
    }
    let comma = if params.is_empty() { "" } else { "," };
    write!(params, r#"{comma}"_meta":{{{}}}"#, members.join(",")).expect("a String takes any write");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_json_and_begins_with_its_id() {
        for era in [Era::Legacy, Era::Modern] {
            for message in [
                call(era, 7, "echo", "{}", true),
                call(era, 7, "echo", "{}", false),
                list(era, 7, None),
                list(era, 7, Some("\"c\"")),
                hello(era, 7),
            ] {
                serde_json::from_str::<serde_json::Value>(&message).expect("request is JSON");
                assert_eq!(leading_id(message.as_bytes()), Some(&b"7"[..]), "{message}");
            }
        }
    }
}
