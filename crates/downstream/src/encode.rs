//! What the gate answered becomes a frame: the caller's own id in place of ours, and the era's few marks.

use crate::answer::Answer;
use crate::budget::Cut;
use crate::fixup::{self, Fixed};
use crate::session::place;
use bytes::Bytes;
use gate::{Code, Counts, Failure, Place, Refusal, Reply, ReplyKind, Wire};
use mcp::revision::code;
use mcp::splice::{Change, Splice, edit_object};
use mcp::{Era, Span, view};

/// What kind of thing was asked for; results and failures differ by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Tool,
    Prompt,
    Read,
    Subscription,
    Completion,
}

impl Asked {
    /// Whether the stateless era can answer it with a question.
    pub fn has_rounds(self) -> bool {
        matches!(self, Self::Tool | Self::Prompt | Self::Read)
    }
}

/// How an answer has to look.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// The caller's raw id token.
    pub id: Bytes,
    /// The era the request was made in.
    pub era: Era,
    /// What it asked for.
    pub asked: Asked,
    /// How a long result is cut, if it may have to be.
    pub cut: Option<Box<Cut>>,
}

const META: &str = "_meta";

/// The key under which an answer of ours names its code.
const CODE_KEY: &str = "toolgate/code";

/// The key under which a result says how often something of each class was masked in it.
const MASKED_KEY: &str = "toolgate/masked";

/// The answer to a call; `state` takes the place of the state its server gave out.
pub(crate) fn answer(outcome: Result<Reply, Failure>, shape: &Shape, state: Option<&str>) -> Answer {
    match outcome {
        Ok(reply) if reply.kind == ReplyKind::Result => result(&reply, shape, state),
        Ok(reply) => error(&reply.wire, shape),
        Err(failure) => refused(&failure, shape),
    }
}

fn result(reply: &Reply, shape: &Shape, state: Option<&str>) -> Answer {
    let cacheable = shape.asked == Asked::Read;
    let wire = &reply.wire;
    let told = if state.is_none() && reply.masked.is_empty() { None } else { annotated(reply, state) };
    let told = match shape.cut.as_ref().and_then(|cut| cut.apply(reply, told.as_deref())) {
        Some(short) => Some(short),
        None => told,
    };
    let body = told.as_deref().map_or_else(|| wire.part(wire.parts.body), str::as_bytes);
    let fixed = match shape.era {
        Era::Legacy => fixup::for_legacy(body, cacheable),
        Era::Modern => fixup::for_modern(body, cacheable),
    };
    match fixed {
        Fixed::Same => Answer::result(respliced(wire, shape, told.as_deref())),
        Fixed::Edited(body) => Answer::result(respliced(wire, shape, Some(&body))),
        Fixed::Untold(kind) => untold(&kind, shape),
    }
}

/// A result with another state, and with what was masked in it counted. None if it cannot be read, and so has neither.
fn annotated(reply: &Reply, state: Option<&str>) -> Option<String> {
    let body = std::str::from_utf8(reply.wire.part(reply.wire.parts.body)).ok()?;
    let members = view::members(body).ok()?;
    let state = state.map(view::quoted);
    let meta = view::find(body, &members, META).map(|member| member.value.of(body));
    let meta = (!reply.masked.is_empty()).then(|| counted(meta, &reply.masked));
    let put: Vec<(&str, &str)> = [("requestState", &state), (META, &meta)]
        .into_iter()
        .filter_map(|(key, put)| Some((key, &**put.as_ref()?)))
        .collect();
    let value = |key: &str| put.iter().find(|(put, _)| *put == key).map(|(_, value)| *value);
    let change = |key: &str| value(key).map_or(Change::Keep, |value| Change::Replace(value.to_owned().into()));
    let added: Vec<_> = put.iter().copied().filter(|(key, _)| view::find(body, &members, key).is_none()).collect();
    Some(edit_object(body, Span::new(0, body.len()), &members, change, &added))
}

/// The `_meta` of a result, with the counts; those that a server claims go.
fn counted(meta: Option<&str>, masked: &Counts) -> String {
    let counts: Vec<String> = masked.iter().map(|(class, times)| format!("{}:{times}", view::quoted(class))).collect();
    let counts = format!("{{{}}}", counts.join(","));
    let (meta, members) = match meta.map(|meta| (meta, view::members(meta))) {
        Some((meta, Ok(members))) => (meta, members),
        _ => ("{}", view::members("{}").expect("an object")),
    };
    let change = |key: &str| if key == MASKED_KEY { Change::Remove } else { Change::Keep };
    edit_object(meta, Span::new(0, meta.len()), &members, change, &[(MASKED_KEY, &counts)])
}

fn error(wire: &Wire, shape: &Shape) -> Answer {
    let body = std::str::from_utf8(wire.part(wire.parts.body)).unwrap_or("{}");
    let found = view::member(body, "code").and_then(|raw| raw.parse().ok()).unwrap_or(code::INTERNAL);
    let told = told_code(found, body, shape);
    let edited = (told != found).then(|| with_code(body, told));
    Answer { code: Some(told), ..Answer::result(respliced(wire, shape, edited.as_deref())) }
}

/// The code a caller is told for a server's `found`: an unknown resource has one in each era.
fn told_code(found: i64, body: &str, shape: &Shape) -> i64 {
    let of_resource = matches!(shape.asked, Asked::Read | Asked::Subscription);
    match (shape.era, found) {
        (Era::Modern, code::RESOURCE_NOT_FOUND) => code::INVALID_PARAMS,
        (Era::Legacy, code::INVALID_PARAMS) if of_resource && view::path(body, &["data", "uri"]).is_some() => {
            code::RESOURCE_NOT_FOUND
        }
        (_, same) => same,
    }
}

fn with_code(body: &str, code: i64) -> String {
    let members = view::members(body).unwrap_or_default();
    let change = |key: &str| match key {
        "code" => Change::Replace(code.to_string().into()),
        _ => Change::Keep,
    };
    edit_object(body, Span::new(0, body.len()), &members, change, &[])
}

/// The message with the caller's id, and another body if there is one.
fn respliced(wire: &Wire, shape: &Shape, body: Option<&str>) -> Bytes {
    let span = |place: Place| Span { start: place.start, end: place.end };
    if wire.parts.id.is_none() {
        let (open, body) = (wire.part(wire.parts.body), body.map(str::as_bytes));
        let member = if is_error(wire) { b"error".as_slice() } else { b"result" };
        return [br#"{"jsonrpc":"2.0","id":"#, &*shape.id, b",\"", member, b"\":", body.unwrap_or(open), b"}"]
            .concat()
            .into();
    }
    let mut splice = Splice::new(&wire.json);
    splice.replace(span(wire.parts.id), &*shape.id);
    if let Some(body) = body {
        splice.replace(span(wire.parts.body), body.as_bytes());
    }
    splice.finish().into()
}

fn is_error(wire: &Wire) -> bool {
    std::str::from_utf8(&wire.json).ok().and_then(|json| view::member(json, "error")).is_some()
}

/// A result that the caller's era has no words for.
fn untold(kind: &str, shape: &Shape) -> Answer {
    let message = format!(
        "the server answered with a result of type `{kind}`, which cannot be passed to a client of the revision in use"
    );
    let hint = "use a client that speaks the revision 2026-07-28";
    told(Code::UpstreamProtocol, &message, Some(hint), shape)
}

fn refused(failure: &Failure, shape: &Shape) -> Answer {
    match failure {
        Failure::Refused(Refusal::Unknown { asked, .. }) => unknown(asked, failure, shape),
        // What integrity does not hold of is no matter of the tool's.
        Failure::Refused(Refusal::BadState) => {
            let data = data_of(failure.code(), failure.hint().as_deref(), None);
            Answer::error(&shape.id, code::INVALID_PARAMS, &failure.to_string(), Some(&data))
        }
        _ if failure.code() == Code::InternalBug => told(Code::InternalBug, "internal error", None, shape),
        _ => told(failure.code(), &failure.to_string(), failure.hint().as_deref(), shape),
    }
}

/// The same words whether it does not exist or may not be seen.
fn unknown(name: &str, failure: &Failure, shape: &Shape) -> Answer {
    let hint = failure.hint();
    let data = data_of(failure.code(), hint.as_deref(), None);
    match (shape.asked, shape.era) {
        (Asked::Tool, _) => {
            Answer::error(&shape.id, code::INVALID_PARAMS, &format!("Unknown tool: {name}"), Some(&data))
        }
        (Asked::Prompt | Asked::Completion, _) => {
            Answer::error(&shape.id, code::INVALID_PARAMS, &format!("Unknown prompt or resource: {name}"), Some(&data))
        }
        (Asked::Read | Asked::Subscription, era) => {
            let number = if era == Era::Legacy { code::RESOURCE_NOT_FOUND } else { code::INVALID_PARAMS };
            let data = data_of(failure.code(), None, Some(name));
            Answer::error(&shape.id, number, &format!("Resource not found: {name}"), Some(&data))
        }
    }
}

/// A failure in our words: for a tool a result that a model can act on, else a JSON-RPC error.
pub(crate) fn told(code: Code, message: &str, hint: Option<&str>, shape: &Shape) -> Answer {
    let as_result = shape.asked == Asked::Tool && !matches!(code, Code::ToolUnknown | Code::InternalBug);
    if !as_result {
        return Answer::error(&shape.id, code.rpc(), message, Some(&data_of(code, hint, None)));
    }
    let text = match hint {
        Some(hint) => format!("{message}\nhint: {hint}"),
        None => message.to_owned(),
    };
    let mark = if shape.era == Era::Modern { r#""resultType":"complete","# } else { "" };
    let result = format!(
        r#"{{{mark}"content":[{{"type":"text","text":{}}}],"isError":true,"_meta":{{"{CODE_KEY}":"{}"}}}}"#,
        view::quoted(&text),
        code.as_str()
    );
    Answer::of_result(&shape.id, &result)
}

fn data_of(code: Code, hint: Option<&str>, uri: Option<&str>) -> String {
    let mut data = format!(r#"{{"{CODE_KEY}":"{}""#, code.as_str());
    for (key, text) in [("hint", hint), ("uri", uri)] {
        if let Some(text) = text {
            data.push_str(&format!(r#","{key}":{}"#, view::quoted(text)));
        }
    }
    data.push('}');
    data
}

/// Where the parts of a request stand that the gate reads; `subject` is the name or URI it is aimed at.
pub(crate) fn request_wire(frame: &mcp::Frame, subject: Span, arguments: Span) -> Wire {
    let parts = gate::Parts {
        id: place(frame.id_span()),
        body: place(frame.body_span()),
        subject: place(subject),
        arguments: place(arguments),
        meta: place(frame.meta_span()),
    };
    Wire { json: frame.json().clone(), parts }
}
