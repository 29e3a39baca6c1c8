//! What a server of the era with a handshake asks in the middle of things. Everything is answered: by us,
//! by the caller it certainly concerns, or with a refusal, at once.

use crate::incoming::{Via, concerned};
use crate::pending::Caller;
use crate::session::{Session, wire};
use bytes::Bytes;
use gate::{Dialogue, ReplyKind, Unmasked, Wire};
use mcp::revision::code;
use mcp::splice::Splice;
use mcp::{Frame, Span, view};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::timeout;

/// Takes one request of the server.
pub(crate) fn asked(session: &Arc<Session>, frame: Frame, via: Via) {
    if session.is_modern() {
        return session.offence("a request, which this revision forbids");
    }
    let method = frame.method().into_owned();
    let own = match method.as_str() {
        "ping" => Some("{}".to_owned()),
        "roots/list" if !session.shared.options.roots.is_empty() => {
            session.told_roots.store(true, Ordering::Relaxed);
            Some(roots(&session.shared.options.roots))
        }
        _ => None,
    };
    if let Some(result) = own {
        return session.tell_later(answer(&frame, "result", &result));
    }
    let caller = concerned(session, via).filter(|caller| can(caller, &method, &frame));
    match caller {
        Some(caller) => relay(session, caller, frame, method),
        None => session.tell_later(refusal(session, &frame, &method)),
    }
}

/// Whether the caller said that it can be asked this.
fn can(caller: &Caller, method: &str, frame: &Frame) -> bool {
    if caller.dialogue != Dialogue::Live {
        return false;
    }
    let raw = caller.capabilities.as_deref().and_then(|raw| std::str::from_utf8(raw).ok()).unwrap_or("{}");
    let has = |path: &[&str]| view::path(raw, path).is_some();
    match method {
        "roots/list" => has(&["roots"]),
        "sampling/createMessage" => has(&["sampling"]) && (frame.get("tools").is_none() || has(&["sampling", "tools"])),
        "elicitation/create" if frame.get_string("mode").as_deref() == Some("url") => has(&["elicitation", "url"]),
        "elicitation/create" => {
            has(&["elicitation"]) && (has(&["elicitation", "form"]) || !has(&["elicitation", "url"]))
        }
        _ => false,
    }
}

fn relay(session: &Arc<Session>, caller: Caller, frame: Frame, method: String) {
    let Some(turn) = session.errand() else {
        session.tell_later(refusal(session, &frame, &method));
        return session.offence("more questions than can be asked");
    };
    let receiver = caller.feed.ask(Unmasked::message(wire(&frame, Span::NONE), ReplyKind::Result));
    let session = session.clone();
    let patience = session.longest_call();
    // Somebody may think about it for long: the reader goes on.
    session.shared.world.tasks.clone().spawn(async move {
        let _turn = turn;
        // No call outlives this, so neither does a question that it asks: one that is never answered goes away.
        let said =
            timeout(patience, receiver).await.ok().and_then(Result::ok).and_then(|said| readdress(&said, &frame));
        let message = said.unwrap_or_else(|| refusal(&session, &frame, &method));
        if session.tell(message).await.is_err() {
            tracing::debug!(target: "mcp::client", server = %session.shared.options.name, "an answer was not sent");
        }
    });
}

/// The caller's answer under the id that the server asked with.
fn readdress(said: &Wire, asked: &Frame) -> Option<Bytes> {
    let at = said.parts.id;
    if at.is_none() {
        return None;
    }
    let mut splice = Splice::new(&said.json);
    splice.replace(Span { start: at.start, end: at.end }, asked.id()?.as_bytes());
    Some(splice.finish().into())
}

/// What a server hears when nobody can be asked.
fn refusal(session: &Session, frame: &Frame, method: &str) -> Bytes {
    let error = |code: i64, text: &str| format!("{{\"code\":{code},\"message\":{}}}", view::quoted(text));
    match method {
        "elicitation/create" => answer(frame, "result", r#"{"action":"cancel"}"#),
        "roots/list" => answer(frame, "result", &roots(session.shared.options.workspace.as_slice())),
        "sampling/createMessage" => {
            answer(frame, "error", &error(-1, "nobody who can sample is known to have caused this request"))
        }
        _ => answer(frame, "error", &error(code::METHOD_NOT_FOUND, "method not found")),
    }
}

fn answer(frame: &Frame, member: &str, body: &str) -> Bytes {
    let id = frame.id().unwrap_or("null");
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"{member}\":{body}}}").into()
}

fn roots(roots: &[crate::options::Root]) -> String {
    let roots: Vec<String> = roots.iter().map(root).collect();
    format!("{{\"roots\":[{}]}}", roots.join(","))
}

fn root(root: &crate::options::Root) -> String {
    let name = root.name.as_ref().map(|name| format!(",\"name\":{}", view::quoted(name)));
    format!("{{\"uri\":{}{}}}", view::quoted(&root.uri), name.unwrap_or_default())
}
