//! Arguments in, a `tools/call` result out. The text of a string argument is passed on as its caller spelled it.

use gate::{Parts, Place, ReplyKind, Unmasked, Wire};
use mcp::Member;
use mcp::view::{self, quoted};

/// The arguments of a call: an object that holds nothing but known parameters.
pub(crate) struct Arguments<'a> {
    raw: &'a str,
    members: Vec<Member>,
}

/// What is wrong with the arguments, for the model.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invalid(String);

/// Reads `raw` (empty means none) and refuses what is not among `known`.
pub(crate) fn arguments<'a>(raw: &'a [u8], known: &[&str]) -> Result<Arguments<'a>, Invalid> {
    let raw = match std::str::from_utf8(raw) {
        Ok("") => "{}",
        Ok(raw) => raw,
        Err(_) => return Err(Invalid("the arguments are not valid UTF-8".to_owned())),
    };
    let members = view::members(raw).map_err(|flaw| Invalid(format!("the arguments cannot be read: {flaw}")))?;
    for member in &members {
        let key = member.key.of(raw);
        if !known.iter().any(|name| view::is_key(key, name)) {
            let known =
                if known.is_empty() { "there are none".to_owned() } else { format!("known: `{}`", known.join("`, `")) };
            return Err(Invalid(format!("unknown parameter {key} ({known})")));
        }
    }
    Ok(Arguments { raw, members: members.to_vec() })
}

impl<'a> Arguments<'a> {
    /// A required string, as JSON text.
    pub fn string(&self, name: &str) -> Result<&'a str, Invalid> {
        let Some(member) = view::find(self.raw, &self.members, name) else {
            return Err(Invalid(format!("parameter `{name}` is missing")));
        };
        let value = member.value.of(self.raw);
        if !value.starts_with('"') {
            return Err(Invalid(format!("parameter `{name}` is not a string")));
        }
        Ok(value)
    }
}

/// What a tool says.
pub(crate) struct Answer {
    /// The result object.
    result: String,
    failed: bool,
}

impl Answer {
    /// An answer of one text, given as a JSON string.
    pub fn text(quoted: &str) -> Self {
        Self { result: format!(r#"{{"content":[{{"type":"text","text":{quoted}}}]}}"#), failed: false }
    }

    /// A failure in plain words, for the model.
    pub fn failure(text: &str) -> Self {
        let text = quoted(text);
        Self { result: format!(r#"{{"content":[{{"type":"text","text":{text}}}],"isError":true}}"#), failed: true }
    }

    /// A failure in plain words, and as structured content.
    pub fn failed_with(text: &str, structure: &serde_json::Value) -> Self {
        let text = quoted(text);
        let result = format!(
            r#"{{"content":[{{"type":"text","text":{text}}}],"isError":true,"structuredContent":{structure}}}"#
        );
        Self { result, failed: true }
    }

    /// The same, of a tool that failed or did not.
    #[must_use]
    pub fn failed(self, failed: bool) -> Self {
        Self { failed, ..self }
    }

    /// A result that is put together already.
    pub fn result(result: &serde_json::Value) -> Self {
        Self { result: result.to_string(), failed: false }
    }

    /// An answer of one JSON object, and as text for whoever reads only that.
    fn object(json: &str) -> Self {
        let text = quoted(json);
        let result = format!(r#"{{"content":[{{"type":"text","text":{text}}}],"structuredContent":{json}}}"#);
        Self { result, failed: false }
    }

    /// The answer as a server's message.
    pub fn into_said(self) -> Unmasked {
        message("result", &self.result, ReplyKind::Result).with_tool_error(self.failed)
    }
}

/// A server's message. Whoever asked puts its own id in the place of ours.
pub(crate) fn message(member: &str, body: &str, kind: ReplyKind) -> Unmasked {
    let (head, id) = (r#"{"jsonrpc":"2.0","id":"#, "0");
    let front = format!(r#"{head}{id},"{member}":"#);
    let place = |start: usize, length: usize| Place { start: start as u32, end: (start + length) as u32 };
    let parts = Parts { id: place(head.len(), id.len()), body: place(front.len(), body.len()), ..Parts::default() };
    Unmasked::message(Wire { json: format!("{front}{body}}}").into(), parts }, kind)
}

/// An error as a server's message.
pub(crate) fn error(code: i32, text: &str) -> Unmasked {
    message("error", &format!(r#"{{"code":{code},"message":{}}}"#, quoted(text)), ReplyKind::Error)
}

/// The error of a resource that is not there, or not for this caller.
pub(crate) fn no_resource(uri: &str, why: &str) -> Unmasked {
    let text = quoted(&format!("Resource not found: {why}"));
    message(
        "error",
        &format!(r#"{{"code":-32002,"message":{text},"data":{{"uri":{}}}}}"#, quoted(uri)),
        ReplyKind::Error,
    )
}

impl From<Invalid> for Answer {
    fn from(Invalid(why): Invalid) -> Self {
        Self::failure(&why)
    }
}

/// The time, given in microseconds since 1970.
pub(crate) fn now(micros: u64) -> Answer {
    let time = i64::try_from(micros).ok().and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
    match time {
        Some(time) => Answer::object(&format!(r#"{{"utc":{}}}"#, quoted(&time.to_string()))),
        None => Invalid("the clock shows a time beyond the calendar".to_owned()).into(),
    }
}

/// The servers by name, and whether each is enabled.
pub(crate) fn servers(all: &[(String, bool)]) -> Answer {
    let each = |(name, enabled): &(String, bool)| format!(r#"{{"name":{},"enabled":{enabled}}}"#, quoted(name));
    Answer::object(&format!(r#"{{"servers":[{}]}}"#, all.iter().map(each).collect::<Vec<_>>().join(",")))
}

/// A result as a server's message.
pub(crate) fn said(result: &serde_json::Value) -> Unmasked {
    Answer::result(result).into_said()
}

/// An object of one member.
pub(crate) fn member(name: &str, value: serde_json::Value) -> serde_json::Value {
    serde_json::Value::Object([(name.to_owned(), value)].into_iter().collect())
}
