//! The era with a handshake: `initialize`, and what a session holds.

use crate::answer::Answer;
use crate::caller::Caller;
use crate::capable::capabilities as capabilities_of;
use crate::front::{Front, Said};
use crate::level::Level;
use crate::session::{Profile, Session};
use crate::trace::client_name;
use bytes::Bytes;
use gate::Face;
use mcp::revision::code;
use mcp::{Era, Frame, Kind, Revision, view};
use std::str::FromStr;
use std::sync::Arc;

/// What the handshake said of a request's sender.
pub(crate) fn said(caller: &Caller) -> Said {
    let profile = caller.session.as_ref().map(|session| session.profile());
    let (client, capabilities) =
        profile.map(|profile| (profile.client.clone(), profile.capabilities.clone())).unwrap_or_default();
    Said { era: Era::Legacy, client, capabilities, level: None }
}

/// The handshake: the revision asked for if it is one we know, else the newest of this era.
pub(crate) fn initialize(front: &Front, frame: &Frame, session: &Session) -> Answer {
    let id = frame.id().unwrap_or("null").as_bytes();
    let Some(asked) = frame.get_string("protocolVersion") else {
        return Answer::error(id, code::INVALID_PARAMS, "`params.protocolVersion` is missing or no string", None);
    };
    let known = Revision::from_str(&asked).ok().filter(|revision| revision.era() == Era::Legacy);
    let revision = known.unwrap_or(Revision::NEWEST_LEGACY);
    let capabilities = frame.get("capabilities").filter(|raw| raw.starts_with('{'));
    let capabilities = capabilities.map(|_| frame.json().slice(frame.span("capabilities").range()));
    session.shake(Profile {
        revision,
        client: frame.get("clientInfo").and_then(client_name),
        capabilities: Some(capabilities.unwrap_or(Bytes::from_static(b"{}"))),
        shaken: true,
    });
    let instructions = instructions(front).map(|text| format!(r#","instructions":{}"#, view::quoted(&text)));
    let result = format!(
        r#"{{"protocolVersion":"{revision}","capabilities":{},"serverInfo":{}{}}}"#,
        capabilities_of(front),
        front.server_info,
        instructions.unwrap_or_default()
    );
    Answer::of_result(id, &result)
}

/// What a model is told about this face.
pub(crate) fn instructions(front: &Front) -> Option<String> {
    if let Some(own) = &front.options.instructions {
        return Some(own.clone());
    }
    let catalog = front.gate.catalog();
    match &front.face {
        Face::Only(server) => {
            let offer = catalog.offer(server)?;
            offer.instructions.as_deref().map(|text| front.gate.masks().text(text).into_owned())
        }
        Face::All => {
            let servers = catalog.servers(&front.face);
            let names: Vec<&str> = servers.iter().map(|server| server.as_str()).collect();
            (!names.is_empty()).then(|| {
                format!("One gate to these MCP servers: {}. Each tool belongs to one of them.", names.join(", "))
            })
        }
    }
}

/// `logging/setLevel`: from now on, this session hears log lines of this level and above.
pub(crate) fn set_level(frame: &Frame, session: &Session) -> Answer {
    let id = frame.id().unwrap_or("null").as_bytes();
    match frame.get("level").and_then(Level::of_raw) {
        Some(level) => {
            session.set_level(level);
            Answer::empty(id, Era::Legacy)
        }
        None => Answer::error(id, code::INVALID_PARAMS, "`params.level` is no log level", None),
    }
}

/// Takes what needs no answer: notifications, and answers to our own questions.
pub(crate) fn note(frame: &Frame, session: &Arc<Session>) {
    match frame.kind() {
        Kind::Result | Kind::Error => session.answered(frame),
        Kind::Notification if frame.method() == "notifications/cancelled" => {
            let span = frame.span("requestId");
            if !span.is_none() {
                session.in_flight.cancel(&frame.json().slice(span.range()));
            }
        }
        // Whoever wants to know its roots asks again.
        Kind::Notification if frame.method() == "notifications/roots/list_changed" => session.change_roots(),
        // The others have nobody to go to: `initialized` is implied, and no server knows our progress tokens.
        Kind::Notification | Kind::Request => {}
    }
}
