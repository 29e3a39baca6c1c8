//! What a server sends: answers to whoever waits, notifications to whoever they concern, requests to `asks`.
//! Everything here happens in the order it arrived and never waits.

use crate::asks;
use crate::pending::{Caller, own_id};
use crate::session::{Session, Signals, wire};
use bytes::Bytes;
use gate::{ReplyKind, Unmasked};
use mcp::frame::{Incoming, too_long};
use mcp::{BadFrame, Frame, Kind, Revision, Span};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    /// On a stream of the whole conversation.
    Shared,
    /// On the stream that answers this request.
    Request(u64),
}

/// Takes one message as it came off the wire.
pub(crate) fn take(session: &Arc<Session>, json: Bytes, via: Via) {
    let limits = &session.shared.options.limits;
    if json.first() == Some(&b'[') && session.peer().is_some_and(|peer| peer.revision == Revision::V2025_03_26) {
        return match Frame::parse_any(json.clone(), limits) {
            Ok(Incoming::Batch(frames)) => frames.into_iter().for_each(|frame| sort(session, frame, &json, via)),
            Ok(Incoming::One(frame)) => dispatch(session, *frame, via),
            Err(bad) => broken(session, &bad, &json),
        };
    }
    let frame = Frame::parse(json.clone(), limits);
    sort(session, frame, &json, via);
}

fn sort(session: &Arc<Session>, frame: Result<Frame, BadFrame>, json: &[u8], via: Via) {
    match frame {
        Ok(frame) => dispatch(session, frame, via),
        Err(bad) => broken(session, &bad, json),
    }
}

/// Takes the ends of a message that was too long to be read.
pub(crate) fn take_too_long(session: &Arc<Session>, head: &[u8], tail: &[u8]) {
    let mut bad = too_long(head, tail, &session.shared.options.limits);
    if bad.id.is_none() && bad.answers {
        // Whose answer it was cannot be told, unless only one was waited for.
        bad.id = session.pending.only().map(|id| id.to_string());
    }
    broken(session, &bad, head);
}

/// Fails the request that a broken message answers; else it only counts.
fn broken(session: &Arc<Session>, bad: &BadFrame, json: &[u8]) {
    let answers = bad.answers || !json.windows(8).take(4096).any(|part| part == b"\"method\"");
    if let Some(id) = bad.id.as_deref().and_then(own_id).filter(|_| answers) {
        let fault = session.shared.faults.protocol(format!("sent an answer that cannot be read: {}", bad.reason));
        if session.pending.settle(id, Err(fault)) {
            return;
        }
    }
    if session.peer().is_none() {
        // Before the handshake such a line is mostly a program's own words that it is no MCP server.
        let said = String::from_utf8_lossy(&json[..json.len().min(SHOWN_BYTES)]).into_owned();
        session.chattered.store(true, Ordering::Relaxed);
        session.shared.stderr.push(format!("(on standard output) {said}"));
    }
    session.offence("what is no message");
}

/// So much of a line that is no message is kept for whoever looks into a failed start.
const SHOWN_BYTES: usize = 256;

/// Takes one message.
pub(crate) fn dispatch(session: &Arc<Session>, frame: Frame, via: Via) {
    match frame.kind() {
        Kind::Result | Kind::Error => {
            let id = frame.id().and_then(own_id);
            // Who answers what was given up a moment before did nothing wrong.
            if !id.is_some_and(|id| session.pending.settle(id, Ok(frame)) || session.pending.late(id)) {
                session.offence("an answer nobody waits for");
            }
        }
        Kind::Notification => notified(session, &frame, via),
        Kind::Request => asks::asked(session, frame, via),
    }
}

fn notified(session: &Arc<Session>, frame: &Frame, via: Via) {
    match &*frame.method() {
        "notifications/progress" => progress(session, frame),
        "notifications/message" => log(session, frame, via),
        "notifications/tools/list_changed" => session.signals.raise(Signals::TOOLS),
        "notifications/prompts/list_changed" => session.signals.raise(Signals::PROMPTS),
        "notifications/resources/list_changed" => session.signals.raise(Signals::RESOURCES),
        "notifications/resources/updated" => updated(session, frame),
        "notifications/subscriptions/acknowledged" => session.signals.raise(Signals::ACKNOWLEDGED),
        "notifications/cancelled" => cancelled(session, frame),
        // What later revisions add: nothing to do.
        _ => {}
    }
}

fn progress(session: &Session, frame: &Frame) {
    let token = frame.span("progressToken");
    let id = frame.get("progressToken").and_then(own_id);
    if let Some(feed) = id.and_then(|id| session.pending.progress(id, Instant::now())) {
        feed.notify(Unmasked::message(wire(frame, token), ReplyKind::Result));
    }
}

fn log(session: &Session, frame: &Frame, via: Via) {
    if !session.may_log() {
        return;
    }
    let said = Unmasked::message(wire(frame, Span::NONE), ReplyKind::Result);
    match concerned(session, via) {
        Some(caller) => caller.feed.notify(said),
        None => session.shared.world.hub.log(&session.shared.options.name, said),
    }
}

/// A stateless server ends a subscription like this. A server with a handshake means what it asked itself, and
/// hears the answer nobody needs any more.
fn cancelled(session: &Session, frame: &Frame) {
    let id = frame.get("requestId").and_then(own_id).filter(|_| session.is_modern());
    if let Some(id) = id.filter(|id| session.pending.caller(*id).is_none()) {
        // It may be over already.
        let _ = session.pending.settle(id, Err(session.shared.faults.unavailable("ended a subscription")));
    }
}

fn updated(session: &Session, frame: &Frame) {
    let Some(uri) = frame.get_string("uri") else { return session.offence("an update without a URI") };
    let said = Unmasked::message(wire(frame, frame.span("uri")), ReplyKind::Result);
    session.shared.world.hub.resource_updated(&session.shared.options.name, &uri, said);
}

/// The caller a message is about: the one whose request it came with, or the only one there is.
pub(crate) fn concerned(session: &Session, via: Via) -> Option<Caller> {
    match via {
        Via::Request(id) => session.pending.caller(id),
        Via::Shared => session.pending.only_caller(),
    }
}
