//! The stateless era: every request describes itself.

use crate::answer::Answer;
use crate::capable::capabilities;
use crate::front::{Front, Said};
use crate::legacy::instructions;
use crate::level::Level;
use crate::trace::client_name;
use mcp::revision::{code, meta};
use mcp::{Era, Frame, Revision, view};

/// Whether a request is one of the stateless era, by what it says itself.
pub(crate) fn is_modern(frame: &Frame) -> bool {
    !frame.meta_member_span(meta::PROTOCOL_VERSION).is_none() || frame.method() == "server/discover"
}

/// What a request says of its sender.
///
/// # Errors
/// The answer to a request that does not say what it must, or speaks a revision that is not stateless.
pub(crate) fn said(frame: &Frame) -> Result<Said, Answer> {
    let id = frame.id().unwrap_or("null").as_bytes();
    let malformed = |what: &str| Answer::malformed(id, code::INVALID_PARAMS, what);
    let version = frame.meta(meta::PROTOCOL_VERSION).and_then(view::string);
    let version =
        version.ok_or_else(|| malformed("`_meta.io.modelcontextprotocol/protocolVersion` is missing or no string"))?;
    if version != Revision::MODERN.as_str() {
        return Err(unsupported(id, &version));
    }
    let object = |key: &str| match frame.meta(key) {
        Some(raw) if !raw.starts_with('{') => Err(malformed(&format!("`_meta.{key}` is not an object"))),
        found => Ok(found),
    };
    if object(meta::CLIENT_CAPABILITIES)?.is_none() {
        return Err(malformed("`_meta.io.modelcontextprotocol/clientCapabilities` is missing"));
    }
    let level = match frame.meta(meta::LOG_LEVEL) {
        Some(raw) => Some(Level::of_raw(raw).ok_or_else(|| malformed("`_meta` names no log level"))?),
        None => None,
    };
    let capabilities = frame.json().slice(frame.meta_member_span(meta::CLIENT_CAPABILITIES).range());
    let client = object(meta::CLIENT_INFO)?.and_then(client_name);
    Ok(Said { era: Era::Modern, client, capabilities: Some(capabilities), level })
}

/// The answer to a revision that is not served without a handshake.
pub(crate) fn unsupported(id: &[u8], requested: &str) -> Answer {
    let data = format!(r#"{{"supported":{},"requested":{}}}"#, supported(), view::quoted(requested));
    Answer::error(id, code::UNSUPPORTED_VERSION, "unsupported protocol version", Some(&data))
}

/// `server/discover`.
pub(crate) fn discover(front: &Front, id: &[u8]) -> Answer {
    let instructions = instructions(front).map(|text| format!(r#","instructions":{}"#, view::quoted(&text)));
    let result = format!(
        r#"{{"resultType":"complete","supportedVersions":{},"capabilities":{}{},"ttlMs":0,"cacheScope":"private","_meta":{{"{}":{}}}}}"#,
        supported(),
        capabilities(front),
        instructions.unwrap_or_default(),
        meta::SERVER_INFO,
        front.server_info,
    );
    Answer::of_result(id, &result)
}

/// All revisions, raw. The older ones are spoken after a handshake.
fn supported() -> String {
    let quoted: Vec<String> = Revision::ALL.iter().map(|revision| format!("\"{revision}\"")).collect();
    format!("[{}]", quoted.join(","))
}
