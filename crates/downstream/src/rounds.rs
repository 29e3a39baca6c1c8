//! Rounds of the stateless era: an answer that asks, and the same call again with what it asked for.
//!
//! Every state that a client is given to keep is sealed, a server's own too, and bound to the call it belongs to. A
//! question of ours is one more thing an answer can ask for, under a key that no server sees: who has approved goes
//! on with the server's own rounds. Nothing is kept here between two rounds.

use crate::aim::aim;
use crate::answer::Answer;
use crate::encode::{self, Shape, request_wire};
use crate::front::Front;
use crate::phishing::foul;
use crate::question;
use crate::seal::{Bound, Kept, MOST_STATE, Seal};
use bytes::Bytes;
use gate::pin::canonical;
use gate::{Approval, Call, Claim, Code, Face, Failure, Gate, Place, Principal, Refusal, Reply, ReplyKind, Target};
use mcp::revision::code;
use mcp::splice::{Change, Splice, edit_object};
use mcp::{Frame, Span, view};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// The key of our own question among what an answer asks for.
pub(crate) const KEY: &str = "toolgate/approval";
const STATE: &str = "requestState";
const RESPONSES: &str = "inputResponses";
const ASKS: &str = "input_required";

/// How long a client may keep a state that belongs to no open question, in microseconds.
const LIFETIME: u64 = 3_600_000_000;

/// What is known of a call that can go on in rounds, beside the call itself.
pub(crate) struct Turn {
    by: Principal,
    face: Face,
    target: Target,
    json: Bytes,
    arguments: Place,
    /// The request, if it brings something of an earlier round along.
    brings: Option<Frame>,
    /// The server's state as it came with this round, raw.
    inner: Option<Box<str>>,
}

impl Turn {
    /// The turn that `frame` begins, or goes on with.
    pub fn new(frame: &Frame, call: &Call) -> Self {
        let brings = [STATE, RESPONSES].iter().any(|key| !frame.span(key).is_none());
        Self {
            by: call.by.clone(),
            face: call.face.clone(),
            target: call.target.clone(),
            json: call.wire.json.clone(),
            arguments: call.wire.parts.arguments,
            brings: brings.then(|| frame.clone()),
            inner: None,
        }
    }

    /// Makes `call` what its server is to see, and what was approved known to the gate.
    ///
    /// # Errors
    /// What to answer if it brings along what it should not.
    pub fn take_up(&mut self, front: &Front, call: &mut Call, shape: &Shape) -> Result<(), Answer> {
        let Some(frame) = self.brings.take() else { return Ok(()) };
        let responses = responses(&frame).map_err(|reason| invalid(shape, reason))?;
        let kept = match state(&frame).map_err(|reason| invalid(shape, reason))? {
            None => None,
            Some(state) => match self.open(front, &state) {
                Some(kept) => Some(kept),
                None => return Err(encode::answer(Err(front.gate.refuse_state(call)), shape, None)),
            },
        };
        if let Some(bound) = kept.as_ref().and_then(|kept| kept.approval) {
            call.claim = Some(claim(bound, responses, call.abilities.approves));
        }
        let asked_here = kept.as_ref().is_some_and(|kept| kept.approval.is_some_and(|bound| bound.round.is_none()));
        self.inner = kept.and_then(|kept| kept.inner);
        let json = rewritten(&frame, self.inner.as_deref(), responses, asked_here);
        let inner = Frame::parse(json.into(), &front.options.limits).map_err(|_| invalid(shape, "no frame"))?;
        let aim = aim(&inner, shape.asked).map_err(|reason| invalid(shape, &reason))?;
        call.wire = request_wire(&inner, aim.subject, aim.arguments);
        Ok(())
    }

    fn open(&self, front: &Front, state: &str) -> Option<Kept> {
        let binding = self.binding(&front.gate)?;
        match front.options.seal.open(state, &binding) {
            Ok(kept) => Some(kept),
            Err(broken) => {
                tracing::warn!(target: "mcp::downstream", ?broken, "a call came with a state that is not for it");
                None
            }
        }
    }

    /// The answer to what became of the call.
    pub fn answer(&self, front: &Front, outcome: Result<Reply, Failure>, shape: &Shape) -> Answer {
        match outcome {
            Err(Failure::Refused(Refusal::Pending(approval))) => self.ask(front, &approval, shape),
            Ok(reply) if asks(&reply) => self.pass_on(front, reply, shape),
            outcome => encode::answer(outcome, shape, None),
        }
    }

    /// Our own question. The server's state waits with it.
    fn ask(&self, front: &Front, approval: &Approval, shape: &Shape) -> Answer {
        let bound = Bound { id: approval.id, round: None, may_last: question::may_last(approval) };
        let kept = self.kept(front, approval.expires, Some(bound), self.inner.clone());
        let Some(state) = sealed(&front.options.seal, kept) else { return unsealed(shape) };
        let result = format!(
            r#"{{"resultType":"{ASKS}","inputRequests":{{"{KEY}":{{"method":"elicitation/create","params":{}}}}},"{STATE}":"{state}"}}"#,
            question::params(approval, true)
        );
        Answer::of_result(&shape.id, &result)
    }

    /// A server's question, its state sealed.
    fn pass_on(&self, front: &Front, reply: Reply, shape: &Shape) -> Answer {
        let body = std::str::from_utf8(reply.wire.part(reply.wire.parts.body)).unwrap_or("{}");
        let inner: Option<Box<str>> = view::member(body, STATE).filter(|raw| raw.starts_with('"')).map(Into::into);
        if inner.as_ref().is_some_and(|inner| inner.len() > MOST_STATE) {
            let what = format!("the server's `{STATE}` is longer than {MOST_STATE} bytes");
            return encode::told(Code::LimitTooLarge, &what, None, shape);
        }
        if let Some(foul) = view::member(body, "inputRequests").and_then(foul) {
            return encode::told(Code::UpstreamProtocol, &format!("the server {foul}"), None, shape);
        }
        let bound =
            reply.continuation.map(|next| Bound { id: next.approval, round: Some(next.round), may_last: false });
        if inner.is_none() && bound.is_none() {
            return encode::answer(Ok(reply), shape, None);
        }
        let expires = front.options.seal.now().saturating_add(LIFETIME);
        match sealed(&front.options.seal, self.kept(front, expires, bound, inner)) {
            Some(state) => encode::answer(Ok(reply), shape, Some(&state)),
            None => unsealed(shape),
        }
    }

    fn kept(&self, front: &Front, expires: u64, approval: Option<Bound>, inner: Option<Box<str>>) -> Option<Kept> {
        Some(Kept { expires, binding: self.binding(&front.gate)?, approval, inner })
    }

    /// The digest of who calls what with which arguments, if that can be called now. Each part is preceded by its
    /// length, so that no two calls run together into the same bytes.
    fn binding(&self, gate: &Gate) -> Option<[u8; 32]> {
        let item = gate.catalog().resolve(&self.face, &self.target).ok()?;
        let raw = &self.json[self.arguments.range()];
        let raw = if raw.is_empty() { b"{}" } else { raw };
        let arguments = canonical(raw).map_or(Cow::Borrowed(raw), Cow::Owned);
        let parts: [&[u8]; 7] = [
            self.by.word().as_bytes(),
            self.target.word().as_bytes(),
            self.target.asked().as_bytes(),
            item.server.as_str().as_bytes(),
            item.raw.as_bytes(),
            item.definition_hash().as_bytes(),
            &arguments,
        ];
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Some(hash.finalize().into())
    }
}

fn sealed(seal: &Seal, kept: Option<Kept>) -> Option<String> {
    seal.close(&kept?).ok()
}

/// What was called is gone meanwhile, or there is no randomness: nothing could be kept, so nothing is asked.
fn unsealed(shape: &Shape) -> Answer {
    encode::told(Code::InternalBug, "internal error", None, shape)
}

fn invalid(shape: &Shape, reason: &str) -> Answer {
    Answer::error(&shape.id, code::INVALID_PARAMS, reason, None)
}

fn claim(bound: Bound, responses: Option<&str>, approves: bool) -> Claim {
    let answer = responses.filter(|_| approves && bound.round.is_none()).and_then(|raw| view::member(raw, KEY));
    let answer = answer.map(|raw| question::answer(raw, bound.may_last));
    Claim { approval: bound.id, answer, round: bound.round }
}

fn state(frame: &Frame) -> Result<Option<Cow<'_, str>>, &'static str> {
    match frame.get(STATE) {
        None | Some("null") => Ok(None),
        Some(raw) => view::string(raw).map(Some).ok_or("`params.requestState` is no string"),
    }
}

fn responses(frame: &Frame) -> Result<Option<&str>, &'static str> {
    match frame.get(RESPONSES) {
        None | Some("null") => Ok(None),
        Some(raw) if raw.starts_with('{') && view::members(raw).is_ok() => Ok(Some(raw)),
        Some(_) => Err("`params.inputResponses` is no object, or names something twice"),
    }
}

/// The request as its server is to see it: with its own state and without the answers to our questions. One that
/// did nothing but answer us is the call as it first was.
fn rewritten(frame: &Frame, inner: Option<&str>, responses: Option<&str>, asked_here: bool) -> Vec<u8> {
    let (text, body) = (frame.text(), frame.body_span());
    let left = responses.and_then(without_ours);
    let change = |key: &str| match (key, inner, &left) {
        (STATE, Some(inner), _) => Change::Replace(inner.to_owned().into()),
        (STATE, None, _) => Change::Remove,
        (RESPONSES, _, Some(left)) if left == "{}" && asked_here => Change::Remove,
        (RESPONSES, _, Some(left)) => Change::Replace(left.clone().into()),
        _ => Change::Keep,
    };
    let params = edit_object(text, body, frame.members(), change, &[]);
    let mut splice = Splice::new(text.as_bytes());
    splice.replace(body, params.into_bytes());
    splice.finish()
}

/// What is answered besides our own question; nothing if that is not among it.
fn without_ours(responses: &str) -> Option<String> {
    let members = view::members(responses).ok()?;
    view::find(responses, &members, KEY)?;
    let change = |key: &str| if key == KEY { Change::Remove } else { Change::Keep };
    Some(edit_object(responses, Span::new(0, responses.len()), &members, change, &[]))
}

/// Whether an answer asks for something.
fn asks(reply: &Reply) -> bool {
    let body = reply.wire.part(reply.wire.parts.body);
    reply.kind == ReplyKind::Result
        && memchr::memmem::find(body, ASKS.as_bytes()).is_some()
        && std::str::from_utf8(body)
            .ok()
            .and_then(|body| view::member(body, "resultType"))
            .and_then(view::string)
            .is_some_and(|kind| kind == ASKS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp::Limits;

    fn frame(params: &str) -> Frame {
        let json = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        Frame::parse(json.into(), &Limits::default()).expect("a frame")
    }

    #[test]
    fn a_server_sees_its_own_state_and_the_answers_to_its_own_questions() {
        let check = |params: &str, inner: Option<&str>, asked_here: bool, want: &str| {
            let frame = frame(params);
            let responses = responses(&frame).expect("an object");
            let json = String::from_utf8(rewritten(&frame, inner, responses, asked_here)).expect("text");
            assert_eq!(json, format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{want}}}"#));
        };
        let ours = r#""toolgate/approval":{"action":"accept"}"#;
        check(
            &format!(r#"{{"name":"x","inputResponses":{{{ours}}},"requestState":"tg1.AA", "k":1.10}}"#),
            None,
            true,
            r#"{"name":"x", "k":1.10}"#,
        );
        check(
            &format!(r#"{{"requestState":"tg1.AA","inputResponses":{{"a":{{}},{ours}}},"name":"x"}}"#),
            Some(r#""\u0073""#),
            true,
            r#"{"requestState":"\u0073","inputResponses":{"a":{}},"name":"x"}"#,
        );
        check(
            r#"{"inputResponses":{"a":[ 1 ]},"name":"x"}"#,
            None,
            false,
            r#"{"inputResponses":{"a":[ 1 ]},"name":"x"}"#,
        );
        check(
            &format!(r#"{{"inputResponses":{{{ours}}},"name":"x"}}"#),
            None,
            false,
            r#"{"inputResponses":{},"name":"x"}"#,
        );
        check(r#"{"inputResponses":{"toolgate\/approval":1}}"#, None, true, "{}");
    }

    #[test]
    fn an_answer_counts_only_where_it_was_asked_for() {
        let id = gate::ApprovalId(uuid::Uuid::nil());
        let yes = Some(r#"{"toolgate/approval":{"action":"accept","content":{"remember":"conversation"}}}"#);
        let check = |round, may_last, approves, want| {
            assert_eq!(claim(Bound { id, round, may_last }, yes, approves).answer, want);
        };
        check(None, true, true, Some(gate::Answer::YesForConversation));
        check(None, false, true, Some(gate::Answer::Yes));
        check(None, true, false, None);
        check(Some(1), true, true, None);
        assert_eq!(claim(Bound { id, round: None, may_last: true }, Some("{}"), true).answer, None);
    }

    #[test]
    fn what_is_no_state_and_no_answers_is_refused() {
        assert!(state(&frame(r#"{"requestState":7}"#)).is_err());
        assert!(state(&frame(r#"{"requestState":"\ud800"}"#)).is_err());
        assert_eq!(state(&frame(r#"{"requestState":null}"#)), Ok(None));
        assert!(responses(&frame(r#"{"inputResponses":[]}"#)).is_err());
        assert!(responses(&frame(r#"{"inputResponses":{"a":1,"a":2}}"#)).is_err());
    }
}
