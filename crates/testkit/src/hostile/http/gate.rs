//! What a request has to pass before the handler sees it: sessions, headers, refusals on purpose.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::wire::MODERN;
use super::message::{Head, Request};
use super::serve::Flags;

/// A response instead of an answer.
pub(super) type Refused = (Head, String);

/// What is counted over all connections.
#[derive(Default)]
pub(super) struct Gate {
    posts: AtomicU64,
    /// Requests that came in each session.
    sessions: Mutex<BTreeMap<String, u64>>,
}

impl Gate {
    /// Faults that do not look at the message.
    pub fn fault(&self, flags: &Flags, request: &Request) -> Result<(), Refused> {
        if let Some(target) = &flags.redirect {
            return Err((Head::new(307).with("Location", target), String::new()));
        }
        if let Some((name, value)) = &flags.require_header
            && request.header(&name.to_ascii_lowercase()) != Some(value)
        {
            return Err(unauthorised(flags, 401));
        }
        let post = request.method == "POST";
        let nth = self.posts.fetch_add(u64::from(post), Ordering::Relaxed);
        match flags.status {
            Some(status) if post && flags.fail_first.is_none_or(|first| nth < first) => {
                Err(unauthorised(flags, status))
            }
            _ => Ok(()),
        }
    }

    /// Opens a session for an `initialize`; its id.
    pub fn open(&self) -> String {
        let mut sessions = self.sessions.lock().expect("no request panics");
        let id = format!("session-{}-{}", std::process::id(), sessions.len() + 1);
        sessions.insert(id.clone(), 0);
        id
    }

    /// Checks that a request names a session that is still known, and counts it.
    pub fn enter(&self, flags: &Flags, request: &Request) -> Result<(), Refused> {
        let Some(id) = request.header("mcp-session-id") else {
            return Err((Head::new(400), "no session named".into()));
        };
        let mut sessions = self.sessions.lock().expect("no request panics");
        let Some(count) = sessions.get_mut(id) else {
            return Err((Head::new(404), "no such session".into()));
        };
        *count += 1;
        if flags.lose_session_after.is_some_and(|most| *count > most) {
            sessions.remove(id);
            return Err((Head::new(404), "the session is lost".into()));
        }
        Ok(())
    }

    /// Ends the session that a DELETE names.
    pub fn leave(&self, request: &Request) -> u16 {
        let id = request.header("mcp-session-id").unwrap_or_default();
        let known = self.sessions.lock().expect("no request panics").remove(id);
        if known.is_some() { 204 } else { 404 }
    }
}

fn unauthorised(flags: &Flags, status: u16) -> Refused {
    let head = Head::new(status);
    let head = if status == 401 { head.with("WWW-Authenticate", "Bearer realm=\"fixture\"") } else { head };
    (head, flags.fail_body.clone())
}

/// Checks the headers that repeat a modern message. The reason when they do not.
pub(super) fn check_headers(request: &Request, message: &Value) -> Result<(), String> {
    let meta = &message["params"]["_meta"];
    let version = meta["io.modelcontextprotocol/protocolVersion"].as_str().unwrap_or(MODERN);
    same(request, "mcp-protocol-version", version)?;
    if message.get("id").is_none() {
        return Ok(());
    }
    let method = message["method"].as_str().unwrap_or_default();
    same(request, "mcp-method", method)?;
    let named = match method {
        "tools/call" | "prompts/get" => &message["params"]["name"],
        "resources/read" => &message["params"]["uri"],
        _ => return Ok(()),
    };
    same(request, "mcp-name", named.as_str().unwrap_or_default())
}

fn same(request: &Request, header: &str, body: &str) -> Result<(), String> {
    match request.header(header).map(decode) {
        Some(Some(value)) if value == body => Ok(()),
        Some(_) => Err(format!("the header {header} does not repeat the body")),
        None => Err(format!("the header {header} is missing")),
    }
}

/// A header value, out of its base64 form where it has it; nothing when that is invalid.
fn decode(value: &str) -> Option<String> {
    let Some(inner) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Some(value.into());
    };
    String::from_utf8(STANDARD.decode(inner).ok()?).ok()
}
